/*
 * The one table of config keys: from it the loader (control/config) takes names, types, ranges and
 * defaults, `weft config --reference` prints it and the admin room shows values. Pure; any thread.
 *
 * A path names maps by "." and the elements of a list by "[]": "services[].ports[]". A field is an
 * offset into the struct that holds the key: struct draft at the top, else the draft struct of the
 * nearest list of maps.
 */
#ifndef MODEL_KEYS_H
#define MODEL_KEYS_H

#include "base/text.h"
#include "model/draft.h"

enum key_type {
	KEY_MAP,      /* of further keys */
	KEY_LIST,     /* of the element key path[], or of maps when there is none */
	KEY_BOOL,     /* true | false */
	KEY_INTEGER,  /* least..most */
	KEY_DURATION, /* 250ms, 1s, 2m, 1h; nanoseconds */
	KEY_SIZE,     /* 4096, 64KiB, 10MiB, 1GiB; bytes */
	KEY_PERCENT,  /* 20, 0.5 or 99.9%; parts per million */
	KEY_IP,       /* 10.0.0.1 or fd00::1 */
	KEY_ADDRESS,  /* 10.0.0.1:80 or [fd00::1]:80 */
	KEY_CIDR,     /* 192.0.2.0/24 */
	KEY_CHOICE,   /* one word of `choices` */
	KEY_NAME,     /* a metric's label: letters, digits and . _ - / */
	KEY_PATH,     /* absolute, at most `most` bytes */
	KEY_URL,      /* http:// or https:// and more, at most `most` bytes */
	KEY_DTAB,     /* entries of a dtab, over any number of lines */
	KEY_TEXT,     /* anything without control characters, at most `most` bytes */
};

/* How a value lies in its field. */
enum key_store {
	KEY_STORE_NONE,    /* maps, elements of lists */
	KEY_STORE_NUMBER,  /* unsigned, enum or bool of `width` bytes */
	KEY_STORE_TEXT,    /* const char * */
	KEY_STORE_ADDRESS, /* struct weft_address */
	KEY_STORE_LIST,    /* struct draft_list */
	KEY_STORE_PLACED,  /* struct draft_text; the loader adds where it stands */
};

enum key_flag {
	KEY_REQUIRED = 1 << 0,
	KEY_MAY_BE_EMPTY = 1 << 1,
	KEY_AT_START = 1 << 2,    /* a change takes effect when weftd starts the next time */
	KEY_MAY_BE_ZERO = 1 << 3, /* beside least..most */
	KEY_IS_SECRET = 1 << 4,   /* text that is never shown again */
};

struct key {
	const char *path;
	enum key_type type;
	enum key_store store;
	uint32_t flags;       /* enum key_flag */
	uint16_t offset;      /* of the field */
	uint16_t width;       /* bytes of the field, or of one element of a list of maps */
	uint64_t least;       /* of numbers; fewest elements of a list */
	uint64_t most;        /* of numbers; most elements of a list; most bytes of text */
	const char *fallback; /* the default as text, NULL = none */
	const char *example;  /* for the reference, where there is no default */
	const char *choices;  /* "auto|http|opaque" */
	const char *unit;     /* "" = none */
	const char *meaning;  /* one sentence */
};

struct key_value {
	uint64_t number;  /* also bool, choice (index), duration (ns), size (bytes) */
	const char *text; /* as given: borrowed */
	struct weft_address address;
	uint8_t prefix; /* of the folded address */
};

size_t keys_count(void);
const struct key *keys_at(size_t index);
/* The key `name` of a map, of a list's elements, or of the top (parent NULL); NULL = unknown. */
const struct key *key_child(const struct key *parent, struct span name);
/* What the elements of a list are; NULL = maps. */
const struct key *key_element(const struct key *list);
/* Last part of the path: "ports" of "services[].ports". */
const char *key_name(const struct key *key);
/* A key that the writer of `name` may have meant, or NULL. */
const struct key *key_near(const struct key *parent, struct span name);
/* True when the key is a direct child of parent (NULL = top). */
bool key_is_child(const struct key *key, const struct key *parent);

/* 0, or -EINVAL and in `why` what was given and what was expected, without the key's name. */
int key_parse(const struct key *key, const char *text, struct key_value *ret_value,
	      struct text *why) MUST_CHECK;
/* Writes a parsed value into the struct that holds the key. */
void key_set(const struct key *key, const struct key_value *value, void *holder);
/* Writes the defaults of all keys below `parent` into the struct that holds them. */
void keys_set_defaults(const struct key *parent, void *holder);
/* Of a service that nothing is said of. */
void keys_default_resilience(struct resilience *ret_resilience);
/* The value in `holder` as the config file would say it; scalars only. */
void key_print(const struct key *key, const void *holder, struct text *text);
/* Bytes of a user's text in quotes, for messages: escaped, cut where it is long. */
void key_quote(struct text *text, struct span bytes);

/* A commented config file with every key, its type, default, unit and meaning. */
void keys_print_reference(struct text *text);

#endif
