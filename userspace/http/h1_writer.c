#include "http/h1.h"
#include "http/h1_head.h"

/*
 * Most that is added to a head besides its own fields: start line digits, framing, Connection with
 * all its options, line ends.
 */
#define ADDED_BYTES 192
#define VIA_BYTES   (sizeof("Via: 1.1 \r\n"))

/* What becomes of a received field. */
enum fate {
	FATE_PASS,
	FATE_DROP,
	FATE_LENGTH, /* written anew in its place */
	FATE_CODING,
};

/* Options of Connection that name fields (RFC 9110 7.6.1). */
struct listed {
	struct span names[H1_CONNECTION_OPTIONS_MAX];
	size_t count;
};

static char *put(char *at, struct span bytes)
{
	if (bytes.size)
		memcpy(at, bytes.data, bytes.size);
	return at + bytes.size;
}

#define put_literal(at, text) ((char *)memcpy((at), (text), sizeof(text) - 1) + (sizeof(text) - 1))

static char *put_number(char *at, uint64_t number)
{
	char digits[20];
	size_t begin = sizeof(digits);
	do {
		digits[--begin] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	return put(at, span_of(digits + begin, sizeof(digits) - begin));
}

static char *put_field(char *at, struct span name, struct span value)
{
	at = put(at, name);
	at = put_literal(at, ": ");
	at = put(at, value);
	return put_literal(at, "\r\n");
}

/* ---- which fields go on ---- */

/*
 * Fields for all recipients of the content must not be listed in Connection (RFC 9110 7.6.1).
 * Somebody who lists one wants the next hop not to see it: framing, routing, identity and meaning
 * of the message stay, whatever Connection says. Options that name no field cost nothing.
 */
static bool is_never_listed(struct span name)
{
	static const char *const kept[] = {
		"host",   "cache-control", "authorization",     "proxy-authorization",
		"cookie", "set-cookie",    "www-authenticate",  "proxy-authenticate",
		"expect", "range",         "transfer-encoding", "trailer",
		"date",   "location",      "upgrade",
	};
	static const char content[] = "content-";
	if (name.size >= sizeof(content) &&
	    span_is_nocase(span_of(name.data, sizeof(content) - 1), content))
		return true;
	for (size_t i = 0; i < array_count(kept); i++) {
		if (span_is_nocase(name, kept[i]))
			return true;
	}
	return false;
}

static bool is_signal(struct span option)
{
	return span_is_nocase(option, "close") || span_is_nocase(option, "keep-alive") ||
	       span_is_nocase(option, "te");
}

static void listed_add(struct listed *listed, struct span list)
{
	struct span option;
	while (span_split(&list, ',', &option) && listed->count < array_count(listed->names)) {
		option = span_trim(option);
		if (option.size && !is_signal(option) && !is_never_listed(option))
			listed->names[listed->count++] = option;
	}
}

static void listed_read(const struct http_head *head, struct listed *listed)
{
	listed->count = 0;
	for (size_t i = 0; i < head->field_count; i++) {
		const struct http_field *field = &head->fields[i];
		if (field->name.size == 10 && span_is_nocase(field->name, "connection"))
			listed_add(listed, field->value);
	}
}

static bool is_listed(const struct listed *listed, struct span name)
{
	for (size_t i = 0; i < listed->count; i++) {
		if (span_equal_nocase(listed->names[i], name))
			return true;
	}
	return false;
}

static enum fate field_fate(struct span name, bool keeps_upgrade)
{
	switch (name.size) {
	case 2:
		return span_is_nocase(name, "te") ? FATE_DROP : FATE_PASS;
	case 7:
		return !keeps_upgrade && span_is_nocase(name, "upgrade") ? FATE_DROP : FATE_PASS;
	case 10:
		return span_is_nocase(name, "connection") || span_is_nocase(name, "keep-alive")
			       ? FATE_DROP
			       : FATE_PASS;
	case 14:
		return span_is_nocase(name, "content-length") ? FATE_LENGTH : FATE_PASS;
	case 16:
		return span_is_nocase(name, "proxy-connection") ? FATE_DROP : FATE_PASS;
	case 17:
		return span_is_nocase(name, "transfer-encoding") ? FATE_CODING : FATE_PASS;
	default:
		return FATE_PASS;
	}
}

/* ---- the head ---- */

/* 304 too describes the body that it does not have (RFC 9110 15.4.5). */
static bool framing_passes(const struct http_head *head, const struct h1_rewrite *rewrite)
{
	return rewrite->is_head_answer || (!head->is_request && head->status == 304);
}

size_t h1_head_bytes(const struct http_head *head, const struct h1_rewrite *rewrite)
{
	size_t size = ADDED_BYTES + head->method_text.size + head->target.size + head->reason.size;
	for (size_t i = 0; i < head->field_count; i++)
		size += head->fields[i].name.size + head->fields[i].value.size + 4;
	for (size_t i = 0; i < rewrite->extra_count; i++)
		size += rewrite->extra[i].name.size + rewrite->extra[i].value.size + 4;
	if (rewrite->via.size)
		size += VIA_BYTES + rewrite->via.size;
	return size;
}

static char *put_version(char *at, unsigned minor_version)
{
	return minor_version ? put_literal(at, "HTTP/1.1") : put_literal(at, "HTTP/1.0");
}

static char *put_start_line(char *at, const struct http_head *head, unsigned minor_version)
{
	if (head->is_request) {
		at = put(at, head->method_text);
		*at++ = ' ';
		at = put(at, head->target);
		*at++ = ' ';
		at = put_version(at, minor_version);
	} else {
		at = put_version(at, minor_version);
		*at++ = ' ';
		at = put_number(at, head->status);
		*at++ = ' ';
		at = put(at, head->reason);
	}
	return put_literal(at, "\r\n");
}

/*
 * Writes a framing field in the place and spelling of the received one, at most once.
 * Transfer-Encoding is never shown to HTTP/1.0 (RFC 9112 6.1).
 */
static char *put_framing(char *at, const struct http_head *head, const struct h1_rewrite *rewrite,
			 struct span name, bool *is_written)
{
	if (*is_written)
		return at;
	*is_written = true;
	if (rewrite->framing == HTTP_LENGTH) {
		at = put(at, name);
		at = put_literal(at, ": ");
		at = put_number(at, head->body_length);
		return put_literal(at, "\r\n");
	}
	return put_field(at, name, span_text("chunked"));
}

static char *put_framing_field(char *at, const struct http_head *head,
			       const struct h1_rewrite *rewrite, const struct http_field *field,
			       enum fate fate, bool *is_written)
{
	if (framing_passes(head, rewrite)) {
		if (fate == FATE_CODING && rewrite->minor_version == 0)
			return at;
		return put_field(at, field->name, field->value);
	}
	if ((fate == FATE_LENGTH && rewrite->framing == HTTP_LENGTH) ||
	    (fate == FATE_CODING && rewrite->framing == HTTP_CHUNKED && rewrite->minor_version))
		return put_framing(at, head, rewrite, field->name, is_written);
	return at;
}

static char *put_received(char *at, const struct http_head *head, const struct h1_rewrite *rewrite,
			  bool *is_framed)
{
	struct listed listed;
	listed_read(head, &listed);
	for (size_t i = 0; i < head->field_count; i++) {
		const struct http_field *field = &head->fields[i];
		enum fate fate = field_fate(field->name, rewrite->keeps_upgrade);
		if (fate == FATE_PASS && !(listed.count && is_listed(&listed, field->name)))
			at = put_field(at, field->name, field->value);
		else if (fate == FATE_LENGTH || fate == FATE_CODING)
			at = put_framing_field(at, head, rewrite, field, fate, is_framed);
	}
	return at;
}

static char *put_option(char *at, const char *option, bool *has_options)
{
	at = *has_options ? put_literal(at, ", ") : put_literal(at, "Connection: ");
	*has_options = true;
	return put(at, span_text(option));
}

/* "Upgrade" with a capital, as everybody writes it: some servers compare it byte for byte. */
static char *put_connection(char *at, const struct http_head *head,
			    const struct h1_rewrite *rewrite)
{
	bool has_options = false;
	bool keeps_te = head->is_request && head->has_te_trailers && rewrite->minor_version;
	if (!rewrite->keep_alive || rewrite->framing == HTTP_UNTIL_CLOSE)
		at = put_option(at, "close", &has_options);
	else if (rewrite->minor_version == 0)
		at = put_option(at, "keep-alive", &has_options);
	if (rewrite->keeps_upgrade)
		at = put_option(at, "Upgrade", &has_options);
	if (keeps_te)
		at = put_option(at, "TE", &has_options);
	if (has_options)
		at = put_literal(at, "\r\n");
	return keeps_te ? put_literal(at, "TE: trailers\r\n") : at;
}

static char *put_via(char *at, const struct http_head *head, struct span pseudonym)
{
	if (pseudonym.size == 0)
		return at;
	at = head->minor_version ? put_literal(at, "Via: 1.1 ") : put_literal(at, "Via: 1.0 ");
	at = put(at, pseudonym);
	return put_literal(at, "\r\n");
}

size_t h1_write_head(const struct http_head *head, const struct h1_rewrite *rewrite, char *memory)
{
	bool is_framed = false;
	char *at = put_start_line(memory, head, rewrite->minor_version);
	at = put_received(at, head, rewrite, &is_framed);
	if (!framing_passes(head, rewrite)) {
		if (rewrite->framing == HTTP_LENGTH)
			at = put_framing(at, head, rewrite, span_text("Content-Length"),
					 &is_framed);
		else if (rewrite->framing == HTTP_CHUNKED && rewrite->minor_version)
			at = put_framing(at, head, rewrite, span_text("Transfer-Encoding"),
					 &is_framed);
	}
	at = put_connection(at, head, rewrite);
	at = put_via(at, head, rewrite->via);
	for (size_t i = 0; i < rewrite->extra_count; i++)
		at = put_field(at, rewrite->extra[i].name, rewrite->extra[i].value);
	at = put_literal(at, "\r\n");
	return (size_t)(at - memory);
}

/* ---- chunks ---- */

size_t h1_write_chunk_head(size_t size, char memory[H1_CHUNK_HEAD_MAX])
{
	static const char digits[] = "0123456789abcdef";
	char *at = memory;
	int shift = 60;
	while (shift > 0 && !(size >> shift))
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		*at++ = digits[(size >> shift) & 15];
	at = put_literal(at, "\r\n");
	return (size_t)(at - memory);
}

/*
 * RFC 9110 6.5.1: a recipient may merge trailers into the head, where these would change framing,
 * routing, authentication or how the content is read.
 */
static bool is_trailer(struct span name)
{
	static const char *const never[] = {
		"connection",
		"keep-alive",
		"proxy-connection",
		"te",
		"trailer",
		"upgrade",
		"host",
		"transfer-encoding",
		"expect",
		"range",
		"authorization",
		"cookie",
		"proxy-authorization",
		"set-cookie",
		"age",
		"cache-control",
		"max-forwards",
		"location",
		"date",
		"vary",
		"retry-after",
		"content-length",
		"content-type",
		"content-encoding",
		"content-range",
	};
	for (size_t i = 0; i < array_count(never); i++) {
		if (span_is_nocase(name, never[i]))
			return false;
	}
	return true;
}

size_t h1_write_last_chunk(const struct http_field *trailers, size_t count, char *memory)
{
	size_t size = sizeof("0\r\n\r\n") - 1;
	char *at = memory ? put_literal(memory, "0\r\n") : NULL;
	for (size_t i = 0; i < count; i++) {
		if (!is_trailer(trailers[i].name))
			continue;
		size += trailers[i].name.size + trailers[i].value.size + 4;
		if (at)
			at = put_field(at, trailers[i].name, trailers[i].value);
	}
	if (at)
		memcpy(at, "\r\n", 2);
	return size;
}
