#include "proxy/answer.h"

#include <errno.h>

#include "base/text.h"

static const char *reason_phrase(unsigned status)
{
	switch (status) {
	case 301:
		return "Moved Permanently";
	case 302:
		return "Found";
	case 303:
		return "See Other";
	case 307:
		return "Temporary Redirect";
	case 308:
		return "Permanent Redirect";
	case 400:
		return "Bad Request";
	case 404:
		return "Not Found";
	case 408:
		return "Request Timeout";
	case 414:
		return "URI Too Long";
	case 429:
		return "Too Many Requests";
	case 431:
		return "Request Header Fields Too Large";
	case 500:
		return "Internal Server Error";
	case 502:
		return "Bad Gateway";
	case 503:
		return "Service Unavailable";
	case 504:
		return "Gateway Timeout";
	default:
		return "Error";
	}
}

/* As java.net.URLEncoder does, which Linkerd used: blanks become '+'. */
static void add_url_encoded(struct text *text, const char *message)
{
	for (const unsigned char *c = (const unsigned char *)message; *c; c++) {
		bool is_plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
				(*c >= '0' && *c <= '9') || strchr(".-*_", *c);
		if (is_plain)
			text_add(text, span_of((const char *)c, 1));
		else if (*c == ' ')
			text_add(text, span_text("+"));
		else
			text_printf(text, "%%%02X", *c);
	}
}

int answer_write(struct wire *wire, const struct answer *answer)
{
	struct text body = {0};
	struct text head = {0};
	text_printf(&body, "weft: %s: %s", answer->service, answer->text);
	text_printf(&head, "HTTP/1.1 %u %s\r\nl5d-err: ", answer->status,
		    reason_phrase(answer->status));
	add_url_encoded(&head, body.data ? body.data : "");
	text_add(&body, span_text("\n"));
	text_printf(&head, "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %zu\r\n",
		    body.size);
	if (answer->is_unsent)
		text_add(&head, span_text("l5d-retryable: true\r\n"));
	if (answer->is_nack)
		text_add(&head, span_text("finagle-http-nack: true\r\n"));
	if (answer->has_retry_after)
		text_printf(&head, "Retry-After: %u\r\n", answer->retry_after_s);
	text_printf(&head, "%s\r\n", answer->keep_alive ? "" : "Connection: close\r\n");
	if (!answer->is_head)
		text_add(&head, text_span(&body));
	int error = head.failed || body.failed ? -ENOMEM : wire_write(wire, text_span(&head));
	text_fini(&body);
	text_fini(&head);
	return error;
}

int answer_redirect(struct wire *wire, unsigned status, struct span location, bool keep_alive)
{
	struct text head = {0};
	text_printf(&head, "HTTP/1.1 %u %s\r\nLocation: ", status, reason_phrase(status));
	text_add(&head, location);
	text_printf(&head, "\r\nContent-Length: 0\r\n%s\r\n",
		    keep_alive ? "" : "Connection: close\r\n");
	int error = head.failed ? -ENOMEM : wire_write(wire, text_span(&head));
	text_fini(&head);
	return error;
}
