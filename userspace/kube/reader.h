/*
 * What the readers of the kinds (read_*.c) share: members of a JSON object by type, and memory for
 * the object that is being built. A reader that runs out of memory says so by `is_full` and goes
 * on with absent values. Owner: one kube_read.
 */
#ifndef KUBE_READER_H
#define KUBE_READER_H

#include <cjson/cJSON.h>

#include "kube/names.h"
#include "kube/read.h"

#define READER_RECENT 16

struct reader {
	char *memory;
	size_t size;
	size_t used;
	bool is_full;
	const struct read_options *options;
	struct read_faults *faults;
	const char *recent[READER_RECENT]; /* texts of this object, to be shared */
	unsigned next_recent;
};

/* Zeroed; NULL when full or when count is 0. */
void *reader_take(struct reader *reader, size_t count, size_t size);
/* A copy, shared with an equal one of the same object when that was not long ago. */
const char *reader_copy(struct reader *reader, const char *text);
void reader_fault(struct reader *reader, const char *field);
/* The place of `text` among the names; `count` when it is none of them. */
unsigned reader_place(const char *const *names, unsigned count, const char *text);

/* A member of that type; NULL when it is absent, null, or (then a fault) of another type. */
const cJSON *reader_object(struct reader *reader, const cJSON *parent, const char *key);
const cJSON *reader_array(struct reader *reader, const cJSON *parent, const char *key);
/* "" for NULL as above. Not copied. */
const char *reader_text(struct reader *reader, const cJSON *parent, const char *key);
/* The same, copied: as reader_copy, or without looking for an equal text (names and ids). */
const char *reader_single(struct reader *reader, const cJSON *parent, const char *key);
const char *reader_copied(struct reader *reader, const cJSON *parent, const char *key);
bool reader_bool(struct reader *reader, const cJSON *parent, const char *key, bool otherwise);
/* 0 when absent or (then a fault) not in 1..most. */
uint32_t reader_number(struct reader *reader, const cJSON *parent, const char *key, uint32_t most);
/* Of a member "protocol": TCP when absent. */
uint8_t reader_protocol(struct reader *reader, const cJSON *port);
/* How many elements; at most `most` (a fault beyond). NULL is 0. */
uint32_t reader_count(struct reader *reader, const cJSON *array, const char *key, uint32_t most);
/* 0, or -EINVAL and a fault under the name `field`. */
int reader_address(struct reader *reader, const char *text, const char *field,
		   struct weft_address *ret) MUST_CHECK;
/* Text elements that are addresses, or objects with that text under `key`. */
const struct weft_address *reader_addresses(struct reader *reader, const cJSON *array,
					    const char *key, uint16_t *ret_count);

/* The kinds. NULL = full. */
struct kube_object *read_pod(struct reader *reader, const cJSON *json);
struct kube_object *read_namespace(struct reader *reader, const cJSON *json);
struct kube_object *read_node(struct reader *reader, const cJSON *json);
struct kube_object *read_service(struct reader *reader, const cJSON *json);
struct kube_object *read_slice(struct reader *reader, const cJSON *json);

#endif
