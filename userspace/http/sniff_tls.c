/* The server name of a ClientHello, RFC 8446 4.1.2 and RFC 6066 3. */
#include "http/sniff.h"

#define RECORD_HANDSHAKE  22
#define CLIENT_HELLO      1
#define SERVER_NAME       0
#define NAME_TYPE_HOST    0
#define HELLO_FIXED_BYTES (2 + 32) /* legacy_version, random */
#define NAME_MAX_BYTES    255
#define RECORD_MAX_BYTES  (1 << 14)

/* Takes a big-endian number of `bytes` bytes off the front; false when there are fewer. */
static bool take_number(struct span *rest, unsigned bytes, size_t *ret_number)
{
	size_t number = 0;
	if (rest->size < bytes)
		return false;
	for (unsigned i = 0; i < bytes; i++)
		number = number << 8 | (uint8_t)rest->data[i];
	*rest = span_of(rest->data + bytes, rest->size - bytes);
	*ret_number = number;
	return true;
}

/* A vector of TLS: its length in `bytes` bytes, then as many bytes. */
static bool take_vector(struct span *rest, unsigned bytes, struct span *ret_vector)
{
	size_t size;
	if (!take_number(rest, bytes, &size) || rest->size < size)
		return false;
	*ret_vector = span_of(rest->data, size);
	*rest = span_of(rest->data + size, rest->size - size);
	return true;
}

static bool name_is_plain(struct span name)
{
	for (size_t i = 0; i < name.size; i++) {
		char c = name.data[i];
		bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
				(c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
		if (!is_plain)
			return false;
	}
	return name.size > 0 && name.size <= NAME_MAX_BYTES;
}

static struct span extension_name(struct span extension)
{
	static const struct span none = {"", 0};
	struct span names;
	struct span name;
	size_t type;
	if (!take_vector(&extension, 2, &names))
		return none;
	while (take_number(&names, 1, &type) && take_vector(&names, 2, &name)) {
		if (type == NAME_TYPE_HOST)
			return name_is_plain(name) ? name : none;
	}
	return none;
}

/* Steps over what stands before the extensions. */
static bool hello_extensions(struct span record, struct span *ret_extensions)
{
	struct span hello;
	struct span ignored;
	size_t type;
	if (!take_number(&record, 1, &type) || type != CLIENT_HELLO ||
	    !take_vector(&record, 3, &hello) || hello.size < HELLO_FIXED_BYTES)
		return false;
	hello = span_of(hello.data + HELLO_FIXED_BYTES, hello.size - HELLO_FIXED_BYTES);
	return take_vector(&hello, 1, &ignored) && /* legacy_session_id */
	       take_vector(&hello, 2, &ignored) && /* cipher_suites */
	       take_vector(&hello, 1, &ignored) && /* legacy_compression_methods */
	       take_vector(&hello, 2, ret_extensions);
}

struct span sniff_server_name(struct span bytes)
{
	static const struct span none = {"", 0};
	struct span record;
	struct span extensions;
	struct span extension;
	size_t type;
	size_t version;
	if (!take_number(&bytes, 1, &type) || type != RECORD_HANDSHAKE ||
	    !take_number(&bytes, 2, &version) || version < 0x0300 || version > 0x0304 ||
	    !take_vector(&bytes, 2, &record) || record.size > RECORD_MAX_BYTES ||
	    !hello_extensions(record, &extensions))
		return none;
	while (take_number(&extensions, 2, &type) && take_vector(&extensions, 2, &extension)) {
		if (type == SERVER_NAME)
			return extension_name(extension);
	}
	return none;
}
