/* How the table of keys is written; for its files only. */
#ifndef MODEL_KEYS_TABLE_H
#define MODEL_KEYS_TABLE_H

#include "model/keys.h"
#include "model/naming.h"

#define KIB 1024ull
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define MS  1000000ull
#define SEC (1000 * MS)
#define DAY (86400 * SEC)

#define FIELD(holder, member)                                                                      \
	.offset = __builtin_offsetof(holder, member), .width = sizeof(((holder *)0)->member)
#define NUMBER(holder, member)  .store = KEY_STORE_NUMBER, FIELD(holder, member)
#define TEXT(holder, member)    .store = KEY_STORE_TEXT, FIELD(holder, member)
#define ADDRESS(holder, member) .store = KEY_STORE_ADDRESS, FIELD(holder, member)
/* A list of plain values, and a list of maps that fill a struct of their own. */
#define VALUES(holder, member)                                                                     \
	.type = KEY_LIST, .store = KEY_STORE_LIST, .offset = __builtin_offsetof(holder, member),   \
	.width = sizeof(struct draft_value)
#define MAPS(holder, member, item)                                                                 \
	.type = KEY_LIST, .store = KEY_STORE_LIST, .offset = __builtin_offsetof(holder, member),   \
	.width = sizeof(item)
#define RANGE(low, high) .least = (low), .most = (high)
#define SETTING(member)  NUMBER(struct draft, settings.member)

/* The part of the table that is about routes, after all others. */
extern const struct key route_keys[];
extern const size_t route_key_count;
/* The part about names, after that. */
extern const struct key naming_keys[];
extern const size_t naming_key_count;

#endif
