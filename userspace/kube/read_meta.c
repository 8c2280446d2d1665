/* Metadata, which every kind has, and the kinds that have little else. */
#include <errno.h>
#include <time.h>

#include "kube/reader.h"
#include "kube/read_meta.h"

#define PAIRS_MOST 256

/* RFC 3339 as the API server writes it: "2024-05-01T12:00:00Z". */
static uint64_t read_time(struct reader *reader, const cJSON *meta, const char *key)
{
	const char *text = reader_text(reader, meta, key);
	struct tm parts = {0};
	if (!*text)
		return 0;
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &parts);
	time_t seconds = end && (*end == 'Z' || *end == '.') ? timegm(&parts) : -1;
	if (seconds < 0) {
		reader_fault(reader, key);
		return 0;
	}
	return (uint64_t)seconds;
}

static bool is_kept(const struct reader *reader, const char *key)
{
	const char *const *prefix = reader->options->keep;
	for (; prefix && *prefix; prefix++) {
		if (strncmp(key, *prefix, strlen(*prefix)) == 0)
			return true;
	}
	return false;
}

static const struct kube_pair *read_pairs(struct reader *reader, const cJSON *meta,
					  const char *field, uint16_t *ret_count)
{
	const cJSON *all = reader_object(reader, meta, field);
	const cJSON *pair;
	size_t count = 0;
	cJSON_ArrayForEach(pair, all) count += is_kept(reader, pair->string);
	if (count > PAIRS_MOST) {
		reader_fault(reader, field);
		count = PAIRS_MOST;
	}
	struct kube_pair *pairs = reader_take(reader, count, sizeof(*pairs));
	uint16_t used = 0;
	cJSON_ArrayForEach(pair, all)
	{
		if (!pairs || used == count)
			break;
		if (!is_kept(reader, pair->string))
			continue;
		if (!cJSON_IsString(pair)) {
			reader_fault(reader, field);
			continue;
		}
		pairs[used].key = reader_copy(reader, pair->string);
		pairs[used++].value = reader_copy(reader, pair->valuestring);
	}
	*ret_count = used;
	return pairs;
}

void *read_meta(struct reader *reader, const cJSON *json, size_t size)
{
	struct kube_object *object = reader_take(reader, 1, size);
	if (!object)
		return NULL;
	const cJSON *meta = reader_object(reader, json, "metadata");
	object->name = reader_single(reader, meta, "name");
	object->namespace = reader_copied(reader, meta, "namespace");
	object->uid = reader_single(reader, meta, "uid");
	object->version = reader_single(reader, meta, "resourceVersion");
	object->created_s = read_time(reader, meta, "creationTimestamp");
	object->is_deleting = *reader_text(reader, meta, "deletionTimestamp") != '\0';
	object->labels = read_pairs(reader, meta, "labels", &object->label_count);
	object->annotations = read_pairs(reader, meta, "annotations", &object->annotation_count);
	return object;
}

const char *read_label(struct reader *reader, const cJSON *json, const char *key)
{
	const cJSON *meta = reader_object(reader, json, "metadata");
	return reader_copied(reader, reader_object(reader, meta, "labels"), key);
}

struct kube_object *read_namespace(struct reader *reader, const cJSON *json)
{
	return read_meta(reader, json, sizeof(struct kube_namespace));
}
