#include "http/server_name.h"

#define RECORD_HANDSHAKE  22
#define RECORD_MAX_BYTES  (1 << 14)
#define CLIENT_HELLO      1
#define EXTENSION_NAME    0
#define NAME_TYPE_HOST    0
#define HELLO_FIXED_BYTES (2 + 32) /* legacy_version, random */

/* Each but the last three reads one number; what it means is in number_taken. */
enum step {
	MESSAGE_TYPE,
	MESSAGE_SIZE,
	SESSION_ID_SIZE,
	CIPHER_SUITES_SIZE,
	COMPRESSIONS_SIZE,
	EXTENSIONS_SIZE,
	EXTENSION_TYPE,
	EXTENSION_SIZE,
	LIST_SIZE,
	NAME_TYPE,
	NAME_SIZE,
	NAME,
	FOUND,
	ABSENT,
};

static const uint8_t number_bytes[] = {
	[MESSAGE_TYPE] = 1,       [MESSAGE_SIZE] = 3,      [SESSION_ID_SIZE] = 1,
	[CIPHER_SUITES_SIZE] = 2, [COMPRESSIONS_SIZE] = 1, [EXTENSIONS_SIZE] = 2,
	[EXTENSION_TYPE] = 2,     [EXTENSION_SIZE] = 2,    [LIST_SIZE] = 2,
	[NAME_TYPE] = 1,          [NAME_SIZE] = 2,
};

void server_name_init(struct server_name *search)
{
	memset(search, 0, sizeof(*search));
	search->step = MESSAGE_TYPE;
	search->ends[0] = number_bytes[MESSAGE_TYPE] + number_bytes[MESSAGE_SIZE];
}

struct span server_name_found(const struct server_name *search)
{
	return span_of(search->name, search->name_used);
}

static bool is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_';
}

/* Do `size` bytes fit into the innermost vector that is open? */
static bool fits(const struct server_name *search, uint32_t size)
{
	return size <= search->ends[search->depth] - search->at;
}

/* A vector of `size` bytes is passed over; then comes `next`. */
static enum step step_over(struct server_name *search, uint32_t size, enum step next)
{
	search->skip = size;
	return fits(search, size) ? next : ABSENT;
}

/* What follows is inside a vector of `size` bytes. */
static enum step step_into(struct server_name *search, uint32_t size, enum step next)
{
	if (!fits(search, size))
		return ABSENT;
	search->ends[++search->depth] = search->at + size;
	return next;
}

static enum step message_begun(struct server_name *search, uint32_t size)
{
	search->ends[0] = search->at + size;
	return step_over(search, HELLO_FIXED_BYTES, SESSION_ID_SIZE);
}

static enum step name_begun(struct server_name *search, uint32_t size)
{
	if (search->name_type != NAME_TYPE_HOST)
		return step_over(search, size, NAME_TYPE);
	search->name_size = (uint8_t)size;
	return size > 0 && size <= SERVER_NAME_MAX_BYTES && fits(search, size) ? NAME : ABSENT;
}

static enum step number_taken(struct server_name *search, uint32_t number)
{
	switch ((enum step)search->step) {
	case MESSAGE_TYPE:
		return number == CLIENT_HELLO ? MESSAGE_SIZE : ABSENT;
	case MESSAGE_SIZE:
		return message_begun(search, number);
	case SESSION_ID_SIZE:
		return step_over(search, number, CIPHER_SUITES_SIZE);
	case CIPHER_SUITES_SIZE:
		return step_over(search, number, COMPRESSIONS_SIZE);
	case COMPRESSIONS_SIZE:
		return step_over(search, number, EXTENSIONS_SIZE);
	case EXTENSIONS_SIZE:
		return step_into(search, number, EXTENSION_TYPE);
	case EXTENSION_TYPE:
		search->extension_type = (uint16_t)number;
		return EXTENSION_SIZE;
	case EXTENSION_SIZE:
		return search->extension_type == EXTENSION_NAME
			       ? step_into(search, number, LIST_SIZE)
			       : step_over(search, number, EXTENSION_TYPE);
	case LIST_SIZE:
		return step_into(search, number, NAME_TYPE);
	case NAME_TYPE:
		search->name_type = (uint8_t)number;
		return NAME_SIZE;
	case NAME_SIZE:
		return name_begun(search, number);
	default:
		return ABSENT;
	}
}

static enum step number_byte(struct server_name *search, uint8_t byte)
{
	uint8_t size = number_bytes[search->step];
	uint32_t number = search->number << 8 | byte;
	search->at++;
	search->number = number;
	if (++search->number_size < size)
		return search->step;
	search->number = 0;
	search->number_size = 0;
	enum step next = number_taken(search, number);
	bool has_room = next >= NAME || fits(search, search->skip + number_bytes[next]);
	return has_room ? next : ABSENT;
}

static enum step name_byte(struct server_name *search, char byte)
{
	if (!is_plain(byte))
		return ABSENT;
	search->at++;
	search->name[search->name_used++] = byte;
	return search->name_used == search->name_size ? FOUND : NAME;
}

/* Bytes of the handshake message. */
static void message_feed(struct server_name *search, struct span bytes)
{
	for (size_t i = 0; i < bytes.size && search->step < FOUND;) {
		size_t left = bytes.size - i;
		size_t skip = search->skip < left ? search->skip : left;
		if (skip) {
			search->skip -= (uint32_t)skip;
			search->at += (uint32_t)skip;
			i += skip;
			continue;
		}
		char byte = bytes.data[i++];
		search->step = search->step == NAME ? name_byte(search, byte)
						    : number_byte(search, (uint8_t)byte);
	}
}

/* Type 22, version 3.x, length 1..2^14 (RFC 8446 5.1). */
static bool record_begins(struct server_name *search)
{
	const uint8_t *header = search->header;
	search->record_left = (uint16_t)(header[3] << 8 | header[4]);
	search->header_size = 0;
	return header[0] == RECORD_HANDSHAKE && header[1] == 3 && header[2] <= 4 &&
	       search->record_left > 0 && search->record_left <= RECORD_MAX_BYTES;
}

enum server_name_state server_name_feed(struct server_name *search, struct span bytes)
{
	while (bytes.size && search->step < FOUND) {
		size_t used = 1;
		if (search->record_left == 0) {
			search->header[search->header_size++] = (uint8_t)bytes.data[0];
			if (search->header_size == sizeof(search->header) && !record_begins(search))
				search->step = ABSENT;
		} else {
			used = bytes.size < search->record_left ? bytes.size : search->record_left;
			message_feed(search, span_of(bytes.data, used));
			search->record_left -= (uint16_t)used;
		}
		bytes = span_of(bytes.data + used, bytes.size - used);
	}
	if (search->step < FOUND)
		return SERVER_NAME_MORE;
	return search->step == FOUND ? SERVER_NAME_FOUND : SERVER_NAME_ABSENT;
}
