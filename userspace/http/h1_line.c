#include "http/h1_line.h"

#include "http/h1_head.h"
#include "http/h1_section.h"

#define SHOWN_BYTES 256 /* in one go */

bool h1_line_is_text(struct span bytes)
{
	for (size_t i = 0; i < bytes.size; i++) {
		uint8_t byte = (uint8_t)bytes.data[i];
		if ((byte < 0x20 && byte != '\r' && byte != '\n') || byte == 0x7f)
			return false;
	}
	return true;
}

static bool is_token(struct span method)
{
	for (size_t i = 0; i < method.size; i++) {
		if (!h1_is_token(method.data[i]))
			return false;
	}
	return method.size > 0;
}

/*
 * Methods are case-sensitive (RFC 9110 9.1), but not to every server, and the answers to these two
 * are framed in a way of their own: after "head" nobody could say where the answer ends.
 */
static bool is_twin(struct span method)
{
	return (span_is_nocase(method, "HEAD") && !span_is(method, "HEAD")) ||
	       (span_is_nocase(method, "CONNECT") && !span_is(method, "CONNECT"));
}

/* What llhttp reports stays true: any other method is HTTP_METHOD_OTHER, and SEARCH is one. */
static struct span method_shown(struct span method)
{
	static const char *const numbered[] = {
		"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT",
	};
	for (size_t i = 0; i < array_count(numbered); i++) {
		if (span_is(method, numbered[i]))
			return method;
	}
	return span_text("SEARCH");
}

/* '%' may stand inside a path, a query and a host, as those bytes may, but begins no target. */
static llhttp_errno_t show_disguised(llhttp_t *parser, struct span bytes)
{
	char shown[SHOWN_BYTES];
	llhttp_errno_t code = HPE_OK;
	for (size_t i = 0; i < bytes.size && code == HPE_OK;) {
		size_t size = 0;
		for (; size < sizeof(shown) && i < bytes.size; size++, i++)
			shown[size] = (uint8_t)bytes.data[i] >= 0x80 ? '%' : bytes.data[i];
		code = llhttp_execute(parser, shown, size);
	}
	return code;
}

void h1_line_show(struct h1_reader *reader, struct span line)
{
	const char *blank = memchr(line.data, ' ', line.size);
	struct span method = span_of(line.data, blank ? (size_t)(blank - line.data) : 0);
	if (!is_token(method)) {
		h1_refuse(reader, H1_BAD_SYNTAX, "method is not a token");
		return;
	}
	if (is_twin(method)) {
		h1_refuse(reader, H1_BAD_SYNTAX, "HEAD or CONNECT in small letters");
		return;
	}
	struct span shown = method_shown(method);
	llhttp_errno_t code = llhttp_execute(&reader->parser, shown.data, shown.size);
	if (code == HPE_OK)
		code = show_disguised(&reader->parser, span_of(blank, line.size - method.size));
	if (code != HPE_OK)
		h1_refuse(reader, H1_BAD_SYNTAX, llhttp_get_error_reason(&reader->parser));
}
