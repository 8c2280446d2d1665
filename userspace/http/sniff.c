#include "http/sniff.h"

#define DECIDED_BYTES 24 /* the client preface of HTTP/2 needs them all */

/*
 * By these a connection counts as HTTP. h1_feed takes any token later on, but a first word that is
 * none of these is rather another protocol's, and as a tunnel it works whatever it is. Without
 * SOURCE, which Icecast sends with a version of its own, and PRI, which is HTTP/2's.
 */
static const char *const methods[] = {
	"GET",         "POST",       "PUT",        "HEAD",  "DELETE",   "OPTIONS", "PATCH",
	"CONNECT",     "TRACE",      "COPY",       "LOCK",  "MKCOL",    "MOVE",    "PROPFIND",
	"PROPPATCH",   "SEARCH",     "UNLOCK",     "BIND",  "REBIND",   "UNBIND",  "ACL",
	"REPORT",      "MKACTIVITY", "CHECKOUT",   "MERGE", "M-SEARCH", "NOTIFY",  "SUBSCRIBE",
	"UNSUBSCRIBE", "PURGE",      "MKCALENDAR", "LINK",  "UNLINK",
};

/* More bytes can still make `bytes` begin with `wanted`. */
static bool may_become(struct span bytes, struct span wanted)
{
	return bytes.size < wanted.size && memcmp(bytes.data, wanted.data, bytes.size) == 0;
}

static bool is_letter(char c)
{
	c |= 0x20;
	return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* `target` begins with `wanted`, or may still do so, in any case. */
static enum sniff sniff_beginning(struct span target, const char *wanted)
{
	size_t size = strlen(wanted);
	size_t seen = target.size < size ? target.size : size;
	if (!span_equal_nocase(span_of(target.data, seen), span_of(wanted, seen)))
		return SNIFF_OPAQUE;
	return seen == size ? SNIFF_HTTP1 : SNIFF_MORE;
}

/*
 * The absolute form, of HTTP's own schemes: "OPTIONS rtsp://" and "OPTIONS icap://" begin other
 * protocols, and a bare word is a key of some line protocol (Redis: GET key).
 */
static enum sniff sniff_scheme(struct span target)
{
	enum sniff answer = sniff_beginning(target, "http://");
	return answer == SNIFF_OPAQUE ? sniff_beginning(target, "https://") : answer;
}

/* The four forms of RFC 9112 3.2, by their beginning. */
static enum sniff sniff_target(struct span target, struct span method)
{
	if (target.size == 0)
		return SNIFF_MORE;
	char first = target.data[0];
	if (span_is(method, "CONNECT")) {
		bool is_host = is_letter(first) || is_digit(first) || first == '[';
		return is_host ? SNIFF_HTTP1 : SNIFF_OPAQUE;
	}
	if (first == '/')
		return SNIFF_HTTP1;
	if (first == '*' && !span_is(method, "OPTIONS"))
		return SNIFF_OPAQUE;
	if (first == '*') /* RTSP knows that too */
		return sniff_beginning(target, "* HTTP/1.");
	return sniff_scheme(target);
}

static enum sniff sniff_http1(struct span bytes)
{
	for (size_t i = 0; i < array_count(methods); i++) {
		struct span method = span_text(methods[i]);
		if (may_become(bytes, method))
			return SNIFF_MORE;
		if (!span_starts(bytes, method))
			continue;
		if (bytes.size == method.size)
			return SNIFF_MORE;
		/* No method begins with another one and a blank. */
		if (bytes.data[method.size] == ' ') {
			size_t used = method.size + 1;
			return sniff_target(span_of(bytes.data + used, bytes.size - used), method);
		}
	}
	return SNIFF_OPAQUE;
}

static enum sniff sniff_http2(struct span bytes)
{
	static const struct span preface = {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24};
	if (span_starts(bytes, preface))
		return SNIFF_HTTP2;
	return may_become(bytes, preface) ? SNIFF_MORE : SNIFF_OPAQUE;
}

/* Record: type 22, version 3.x, length 1..2^14; then message type 1 (RFC 8446 5.1, 4). */
static enum sniff sniff_tls(struct span bytes)
{
	const uint8_t *at = (const uint8_t *)bytes.data;
	if (at[0] != 22 || (bytes.size > 1 && at[1] != 3) || (bytes.size > 2 && at[2] > 4))
		return SNIFF_OPAQUE;
	if (bytes.size > 4) {
		unsigned length = (unsigned)at[3] << 8 | at[4];
		if (length == 0 || length > 1 << 14)
			return SNIFF_OPAQUE;
	}
	if (bytes.size > 5)
		return at[5] == 1 ? SNIFF_TLS : SNIFF_OPAQUE;
	return SNIFF_MORE;
}

enum sniff sniff_client(struct span bytes)
{
	if (bytes.size == 0)
		return SNIFF_MORE;
	if (bytes.size > DECIDED_BYTES)
		bytes.size = DECIDED_BYTES;
	static enum sniff (*const asked[])(struct span) = {sniff_http1, sniff_http2, sniff_tls};
	for (size_t i = 0; i < array_count(asked); i++) {
		enum sniff answer = asked[i](bytes);
		if (answer != SNIFF_OPAQUE)
			return answer;
	}
	return SNIFF_OPAQUE;
}
