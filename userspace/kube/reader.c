#include "kube/reader.h"

#include <errno.h>

#define ALIGNMENT 8u

static char *take_bytes(struct reader *reader, size_t size)
{
	if (reader->is_full || reader->size - reader->used < size) {
		reader->is_full = true;
		return NULL;
	}
	char *taken = reader->memory + reader->used;
	reader->used += size;
	return taken;
}

void *reader_take(struct reader *reader, size_t count, size_t size)
{
	size_t gap = -reader->used & (ALIGNMENT - 1);
	if (count == 0 || !take_bytes(reader, gap))
		return NULL;
	char *taken = take_bytes(reader, count * size);
	return taken ? memset(taken, 0, count * size) : NULL;
}

static const char *copy(struct reader *reader, const char *text)
{
	size_t size = strlen(text) + 1;
	char *taken = size > 1 ? take_bytes(reader, size) : NULL;
	return taken ? memcpy(taken, text, size) : "";
}

const char *reader_copy(struct reader *reader, const char *text)
{
	for (unsigned i = 0; i < READER_RECENT && reader->recent[i]; i++) {
		if (strcmp(reader->recent[i], text) == 0)
			return reader->recent[i];
	}
	const char *copied = copy(reader, text);
	if (*copied)
		reader->recent[reader->next_recent++ % READER_RECENT] = copied;
	return copied;
}

void reader_fault(struct reader *reader, const char *field)
{
	if (!reader->faults->count)
		reader->faults->field = field;
	reader->faults->count++;
}

unsigned reader_place(const char *const *names, unsigned count, const char *text)
{
	unsigned place = 0;
	while (place < count && strcmp(names[place], text) != 0)
		place++;
	return place;
}

/* ---- members ---- */

static const cJSON *member(struct reader *reader, const cJSON *parent, const char *key,
			   cJSON_bool (*is_type)(const cJSON *))
{
	const cJSON *found = cJSON_GetObjectItemCaseSensitive(parent, key);
	if (!found || cJSON_IsNull(found))
		return NULL;
	if (is_type(found))
		return found;
	reader_fault(reader, key);
	return NULL;
}

const cJSON *reader_object(struct reader *reader, const cJSON *parent, const char *key)
{
	return member(reader, parent, key, cJSON_IsObject);
}

const cJSON *reader_array(struct reader *reader, const cJSON *parent, const char *key)
{
	return member(reader, parent, key, cJSON_IsArray);
}

const char *reader_text(struct reader *reader, const cJSON *parent, const char *key)
{
	const cJSON *found = member(reader, parent, key, cJSON_IsString);
	return found ? found->valuestring : "";
}

const char *reader_copied(struct reader *reader, const cJSON *parent, const char *key)
{
	return reader_copy(reader, reader_text(reader, parent, key));
}

const char *reader_single(struct reader *reader, const cJSON *parent, const char *key)
{
	return copy(reader, reader_text(reader, parent, key));
}

bool reader_bool(struct reader *reader, const cJSON *parent, const char *key, bool otherwise)
{
	const cJSON *found = member(reader, parent, key, cJSON_IsBool);
	return found ? cJSON_IsTrue(found) : otherwise;
}

uint32_t reader_number(struct reader *reader, const cJSON *parent, const char *key, uint32_t most)
{
	const cJSON *found = member(reader, parent, key, cJSON_IsNumber);
	double value = found ? found->valuedouble : 0;
	bool is_whole = value >= 1 && value <= most && value == (double)(uint32_t)value;
	if (found && !is_whole)
		reader_fault(reader, key);
	return is_whole ? (uint32_t)value : 0;
}

uint8_t reader_protocol(struct reader *reader, const cJSON *port)
{
	const char *name = reader_text(reader, port, "protocol");
	unsigned count = array_count(names_of_protocols);
	unsigned place = *name ? reader_place(names_of_protocols, count, name) : KUBE_TCP;
	if (place < count)
		return (uint8_t)place;
	reader_fault(reader, "protocol");
	return KUBE_PROTOCOL_OTHER;
}

uint32_t reader_count(struct reader *reader, const cJSON *array, const char *key, uint32_t most)
{
	int count = cJSON_GetArraySize(array);
	if (count <= 0 || (uint32_t)count <= most)
		return count > 0 ? (uint32_t)count : 0;
	reader_fault(reader, key);
	return most;
}

/* ---- addresses ---- */

int reader_address(struct reader *reader, const char *text, const char *field,
		   struct weft_address *ret)
{
	int error = address_parse_ip(span_text(text), 0, ret);
	if (error)
		reader_fault(reader, field);
	return error;
}

const struct weft_address *reader_addresses(struct reader *reader, const cJSON *array,
					    const char *key, uint16_t *ret_count)
{
	uint32_t most = reader_count(reader, array, "addresses", UINT16_MAX);
	struct weft_address *addresses = reader_take(reader, most, sizeof(*addresses));
	uint16_t count = 0;
	const cJSON *element;
	cJSON_ArrayForEach(element, array)
	{
		if (!addresses || count == most)
			break;
		const char *text = key                       ? reader_text(reader, element, key)
				   : cJSON_IsString(element) ? element->valuestring
							     : "";
		if (reader_address(reader, text, key ? key : "address", &addresses[count]) == 0)
			count++;
	}
	*ret_count = count;
	return addresses;
}
