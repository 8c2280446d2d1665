/*
 * Cuts a JSON text that arrives in any pieces into the parts that are worth a tree of their own,
 * so that only one of them is in memory at a time. Owner: one thread.
 *
 *   list:    {"kind": …, "metadata": {…}, "items": [ITEM, ITEM, …]}   parts: the members of the
 *            object but `items`, with their names, and each item
 *   stream:  DOCUMENT DOCUMENT …   with or without blanks between; each an object
 */
#ifndef BASE_JSON_PARTS_H
#define BASE_JSON_PARTS_H

#include "base/json_scan.h"
#include "base/text.h"

#define JSON_PART_KEY_MAX 16 /* a longer name is told as "" */

enum json_part { JSON_DOCUMENT, JSON_MEMBER, JSON_ITEM };

struct json_parts;

struct json_parts_events {
	/* Both spans are valid during the call only. `key` is a member's name, as written. */
	void (*part)(struct json_parts *parts, enum json_part kind, struct span key,
		     struct span text);
	/* A part of more bytes than the limit is over: it was not kept. */
	void (*too_large)(struct json_parts *parts, enum json_part kind, uint64_t size);
};

struct json_parts {
	const struct json_parts_events *events; /* set once by the owner */
	struct json_scan scan;
	struct text gathered; /* of a part that came in several pieces */
	const char *from;     /* where the part, or a name, begins in what is being fed */
	uint64_t part_bytes;  /* of the part, in earlier pieces */
	size_t limit_bytes;
	char key[JSON_PART_KEY_MAX];
	uint8_t key_size;
	bool is_stream;
	bool in_key;
	bool in_part;
	bool in_items;
};

void json_parts_init(struct json_parts *parts, bool is_stream, size_t limit_bytes,
		     const struct json_parts_events *events);
/* 0, -EBADMSG (no JSON, or not in the form above), -ENOMEM; after either only fini is left. */
int json_parts_feed(struct json_parts *parts, struct span bytes) MUST_CHECK;
/* The list is closed; no document of the stream is incomplete. */
bool json_parts_is_whole(const struct json_parts *parts);
void json_parts_fini(struct json_parts *parts);

#endif
