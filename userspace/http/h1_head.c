#include "http/h1_head.h"

static const uint8_t token_chars[256] = {
	['!'] = 1, ['#'] = 1, ['$'] = 1, ['%'] = 1,         ['&'] = 1,         ['\''] = 1,
	['*'] = 1, ['+'] = 1, ['-'] = 1, ['.'] = 1,         ['^'] = 1,         ['_'] = 1,
	['`'] = 1, ['|'] = 1, ['~'] = 1, ['0' ... '9'] = 1, ['A' ... 'Z'] = 1, ['a' ... 'z'] = 1,
};

/*
 * RFC 3986 3.2.2 reg-name: unreserved, percent, sub-delims. Without the comma, which no host has,
 * but which two Host fields joined by somebody in front of us would have. With bytes above 127,
 * which clients send that know no IDNA, and which nginx and Node serve.
 */
static const uint8_t host_chars[256] = {
	['0' ... '9'] = 1, ['A' ... 'Z'] = 1, ['a' ... 'z'] = 1, ['-'] = 1,           ['.'] = 1,
	['_'] = 1,         ['~'] = 1,         ['%'] = 1,         ['!'] = 1,           ['$'] = 1,
	['&'] = 1,         ['\''] = 1,        ['('] = 1,         [')'] = 1,           ['*'] = 1,
	['+'] = 1,         [';'] = 1,         ['='] = 1,         [0x80 ... 0xff] = 1,
};

bool h1_is_token(char c)
{
	return token_chars[(uint8_t)c];
}

bool h1_is_text(char c)
{
	uint8_t byte = (uint8_t)c;
	return (byte >= 0x20 && byte != 0x7f) || byte == '\t';
}

#define FAULT(kind, words)                                                                         \
	({                                                                                         \
		static const struct h1_fault fault_here = {kind, words};                           \
		&fault_here;                                                                       \
	})

/* ---- layout: start line, fields, empty line, and not one byte between them ---- */

static const char *skip_blanks(const char *at)
{
	while (*at == ' ' || *at == '\t')
		at++;
	return at;
}

/*
 * llhttp, also in strict mode, takes obs-fold, some lone line feeds, an empty name. All but the
 * last leave a gap between what it reports and where that must stand. `at` is where the field must
 * begin; the line feed at the head's end stops every loop. Returns the next line or NULL.
 */
static const char *field_end(const char *at, struct http_field *field)
{
	if (field->name.data != at || field->name.size == 0 || at[field->name.size] != ':')
		return NULL;
	at = skip_blanks(at + field->name.size + 1);
	if (!field->value.size)
		field->value = span_of(at, 0);
	else if (field->value.data != at)
		return NULL;
	at = skip_blanks(at + field->value.size);
	field->value = span_trim(field->value);
	return at[0] == '\r' && at[1] == '\n' ? at + 2 : NULL;
}

static const struct h1_fault *fields_check(const char *at, const char *end,
					   struct http_field *fields, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		at = field_end(at, &fields[i]);
		if (!at)
			return FAULT(H1_BAD_SYNTAX,
				     "field line without a name, folded or badly ended");
	}
	if (end - at != 2 || at[0] != '\r' || at[1] != '\n')
		return FAULT(H1_BAD_SYNTAX, "head does not end with an empty line");
	return NULL;
}

/* ---- start line ---- */

static bool host_is_valid(struct span host, bool needs_port)
{
	const char *at = host.data;
	const char *end = host.data + host.size;
	if (at < end && *at == '[') {
		do {
			at++;
		} while (at < end && (host_chars[(uint8_t)*at] || *at == ':'));
		if (at == end || *at++ != ']')
			return false;
	} else {
		while (at < end && host_chars[(uint8_t)*at])
			at++;
	}
	if (at == end)
		return !needs_port;
	if (at == host.data || *at++ != ':')
		return false;
	bool has_port = at < end;
	while (at < end && *at >= '0' && *at <= '9')
		at++;
	return at == end && (has_port || !needs_port);
}

static enum http_method method_of(const llhttp_t *parser)
{
	switch (parser->method) {
	case HTTP_GET:
		return HTTP_METHOD_GET;
	case HTTP_HEAD:
		return HTTP_METHOD_HEAD;
	case HTTP_POST:
		return HTTP_METHOD_POST;
	case HTTP_PUT:
		return HTTP_METHOD_PUT;
	case HTTP_DELETE:
		return HTTP_METHOD_DELETE;
	case HTTP_OPTIONS:
		return HTTP_METHOD_OPTIONS;
	case HTTP_TRACE:
		return HTTP_METHOD_TRACE;
	case HTTP_CONNECT:
		return HTTP_METHOD_CONNECT;
	default:
		return HTTP_METHOD_OTHER;
	}
}

static const struct h1_fault *target_check(const struct http_head *head)
{
	struct span target = head->target;
	for (size_t i = 0; i < target.size; i++) {
		uint8_t byte = (uint8_t)target.data[i];
		if (byte <= 0x20 || byte == 0x7f)
			return FAULT(H1_BAD_SYNTAX, "blank or control byte in the request target");
		if (byte == '#')
			return FAULT(H1_BAD_SYNTAX, "fragment in the request target");
	}
	if (head->method == HTTP_METHOD_CONNECT && !host_is_valid(target, true))
		return FAULT(H1_BAD_SYNTAX, "CONNECT target is not host:port");
	if (target.data[0] == '*' && (target.size > 1 || head->method != HTTP_METHOD_OPTIONS))
		return FAULT(H1_BAD_SYNTAX, "\"*\" as target of a method other than OPTIONS");
	return NULL;
}

#define VERSION_SIZE 8 /* "HTTP/1.1" */

/* HTTP/1.0 and HTTP/1.1 only: llhttp also knows 0.9 and 2.0. */
static bool version_read(const char *text, struct http_head *head)
{
	if (memcmp(text, "HTTP/1.", 7) != 0 || (text[7] != '0' && text[7] != '1'))
		return false;
	head->minor_version = (uint8_t)(text[7] - '0');
	return true;
}

static const struct h1_fault *request_line_read(const struct h1_reader *reader, struct span line,
						struct http_head *head)
{
	const char *blank = memchr(line.data, ' ', line.size);
	const char *end = line.data + line.size;
	if (!blank || end - blank < VERSION_SIZE + 3)
		return FAULT(H1_BAD_SYNTAX, "request line is not METHOD target HTTP/1.x");
	if (!version_read(end - VERSION_SIZE, head) || end[-VERSION_SIZE - 1] != ' ')
		return FAULT(H1_BAD_SYNTAX, "version is not HTTP/1.0 or HTTP/1.1");
	head->method_text = span_of(line.data, (size_t)(blank - line.data));
	head->method = (uint8_t)method_of(&reader->parser);
	head->target = span_of(blank + 1, (size_t)(end - blank) - VERSION_SIZE - 2);
	return target_check(head);
}

static const struct h1_fault *status_line_read(const struct h1_reader *reader, struct span line,
					       struct http_head *head)
{
	if (line.size < VERSION_SIZE + 4 || !version_read(line.data, head) ||
	    line.data[VERSION_SIZE] != ' ')
		return FAULT(H1_BAD_SYNTAX, "status line is not HTTP/1.x and a status");
	const char *at = line.data + VERSION_SIZE + 1;
	for (int i = 0; i < 3; i++) {
		if (at[i] < (i ? '0' : '1') || at[i] > '9')
			return FAULT(H1_BAD_SYNTAX, "status is not three digits from 100");
	}
	head->status = reader->parser.status_code;
	/* The blank before an absent reason is often left out (RFC 9112 4 asks for it). */
	struct span rest = span_of(at + 3, line.size - VERSION_SIZE - 4);
	if (rest.size && rest.data[0] != ' ')
		return FAULT(H1_BAD_SYNTAX, "status is not three digits from 100");
	head->reason = rest.size ? span_of(rest.data + 1, rest.size - 1) : rest;
	for (size_t i = 0; i < head->reason.size; i++) {
		if (!h1_is_text(head->reason.data[i]))
			return FAULT(H1_BAD_SYNTAX, "control byte in the reason phrase");
	}
	return NULL;
}

/* ---- fields with a meaning here ---- */

struct seen {
	unsigned hosts;
	unsigned lengths;
	unsigned codings;
	unsigned options; /* of Connection */
	bool has_upgrade; /* field, listed or not */
	bool says_close;
	bool says_keep_alive;
	bool says_upgrade;
	bool is_length_bad;
	bool is_coding_bad;
	uint64_t length;
};

static void connection_read(struct span list, struct seen *seen)
{
	struct span option;
	while (span_split(&list, ',', &option)) {
		option = span_trim(option);
		if (option.size == 0)
			continue;
		seen->options++;
		seen->says_close |= span_is_nocase(option, "close");
		seen->says_keep_alive |= span_is_nocase(option, "keep-alive");
		seen->says_upgrade |= span_is_nocase(option, "upgrade");
	}
}

static void keep_alive_read(struct span list, struct http_head *head)
{
	static const char prefix[] = "timeout=";
	struct span part;
	uint64_t seconds;
	while (span_split(&list, ',', &part)) {
		part = span_trim(part);
		if (part.size < sizeof(prefix) ||
		    !span_is_nocase(span_of(part.data, sizeof(prefix) - 1), prefix))
			continue;
		part = span_of(part.data + sizeof(prefix) - 1, part.size - sizeof(prefix) + 1);
		if (span_to_u64(part, &seconds))
			continue;
		head->has_keep_alive_timeout = true;
		head->keep_alive_timeout_s = seconds > UINT32_MAX ? UINT32_MAX : (uint32_t)seconds;
	}
}

/* These authenticate the connection, not the request. */
static bool scheme_binds(struct span credentials)
{
	struct span scheme;
	return span_split(&credentials, ' ', &scheme) &&
	       (span_is_nocase(scheme, "negotiate") || span_is_nocase(scheme, "ntlm"));
}

static void length_read(struct span value, struct seen *seen)
{
	seen->lengths++;
	if (span_to_u64(value, &seen->length) || seen->length > INT64_MAX)
		seen->is_length_bad = true;
}

/* Most fields mean nothing here; their length alone says so. */
static void field_read(const struct http_field *field, struct http_head *head, struct seen *seen)
{
	switch (field->name.size) {
	case 2:
		if (span_is_nocase(field->name, "te"))
			head->has_te_trailers |= http_list_has(field->value, "trailers");
		break;
	case 4:
		if (span_is_nocase(field->name, "host")) {
			seen->hosts++;
			head->host = field->value;
		}
		break;
	case 6:
		if (span_is_nocase(field->name, "expect"))
			head->expects_continue |= http_list_has(field->value, "100-continue");
		break;
	case 7:
		seen->has_upgrade |= span_is_nocase(field->name, "upgrade");
		break;
	case 10:
		if (span_is_nocase(field->name, "connection"))
			connection_read(field->value, seen);
		else if (span_is_nocase(field->name, "keep-alive"))
			keep_alive_read(field->value, head);
		break;
	case 13:
		if (span_is_nocase(field->name, "authorization"))
			head->binds_connection |= scheme_binds(field->value);
		break;
	case 14:
		if (span_is_nocase(field->name, "content-length"))
			length_read(field->value, seen);
		break;
	case 17:
		if (span_is_nocase(field->name, "transfer-encoding")) {
			seen->codings++;
			seen->is_coding_bad |= !span_is_nocase(field->value, "chunked");
		}
		break;
	case 19:
		if (span_is_nocase(field->name, "proxy-authorization"))
			head->binds_connection |= scheme_binds(field->value);
		break;
	default:
		break;
	}
}

/* ---- framing ---- */

static const struct h1_fault *framing_check(const struct http_head *head, const struct seen *seen)
{
	if (seen->lengths > 1)
		return FAULT(H1_BAD_FRAMING, "more than one Content-Length");
	if (seen->is_length_bad)
		return FAULT(H1_BAD_FRAMING, "Content-Length is not one decimal number");
	if (seen->codings && seen->lengths)
		return FAULT(H1_BAD_FRAMING, "Content-Length together with Transfer-Encoding");
	if (seen->codings > 1 || seen->is_coding_bad)
		return FAULT(H1_BAD_FRAMING, "Transfer-Encoding other than chunked, once");
	if (seen->codings && head->minor_version == 0)
		return FAULT(H1_BAD_FRAMING, "Transfer-Encoding in HTTP/1.0");
	if (seen->options > H1_CONNECTION_OPTIONS_MAX)
		return FAULT(H1_BAD_SYNTAX, "too many options in Connection");
	return NULL;
}

static const struct h1_fault *request_check(const struct http_head *head, const struct seen *seen)
{
	if (seen->hosts > 1)
		return FAULT(H1_BAD_FRAMING, "more than one Host");
	if (seen->hosts == 0 && head->minor_version == 1)
		return FAULT(H1_BAD_FRAMING, "no Host in HTTP/1.1");
	if (seen->hosts && head->host.size && !host_is_valid(head->host, false))
		return FAULT(H1_BAD_FRAMING, "Host is not host or host:port");
	/* What follows it is the tunnel's (RFC 9110 9.3.6), so a body could be read in two ways. */
	if (head->method == HTTP_METHOD_CONNECT && (seen->codings || seen->length))
		return FAULT(H1_BAD_FRAMING, "CONNECT with a body");
	return NULL;
}

static bool has_no_body(const struct h1_reader *reader, const struct http_head *head)
{
	if (head->is_request)
		return head->method == HTTP_METHOD_CONNECT;
	return head->status < 200 || head->status == 204 || head->status == 304 ||
	       reader->answers_head || (reader->answers_connect && head->status < 300);
}

/* RFC 9112 6.3, in its order; the contradictions are already refused. */
static void framing_decide(const struct h1_reader *reader, const struct seen *seen,
			   struct http_head *head)
{
	head->has_body_field = seen->codings || seen->lengths;
	if (has_no_body(reader, head)) {
		head->framing = HTTP_NO_BODY;
	} else if (seen->codings) {
		head->framing = HTTP_CHUNKED;
	} else if (seen->lengths) {
		head->framing = HTTP_LENGTH;
		head->body_length = seen->length;
	} else {
		head->framing = head->is_request ? HTTP_NO_BODY : HTTP_UNTIL_CLOSE;
	}
}

const struct h1_fault *h1_head_read(const struct h1_reader *reader, struct span bytes,
				    struct http_field *fields, size_t count,
				    struct http_head *ret_head)
{
	const char *end = bytes.data + bytes.size;
	const char *second_line = count ? fields[0].name.data : end - 2;
	struct span line = span_of(bytes.data, (size_t)(second_line - bytes.data));
	struct http_head head = {.is_request = reader->is_request, .fields = fields};
	struct seen seen = {0};
	if (line.size < 2 || second_line[-2] != '\r' || second_line[-1] != '\n')
		return FAULT(H1_BAD_SYNTAX, "first line does not end with CR LF");
	line.size -= 2;

	const struct h1_fault *fault = head.is_request ? request_line_read(reader, line, &head)
						       : status_line_read(reader, line, &head);
	if (!fault)
		fault = fields_check(second_line, end, fields, count);
	if (fault)
		return fault;
	head.field_count = (uint16_t)count;
	for (size_t i = 0; i < count; i++)
		field_read(&fields[i], &head, &seen);
	fault = framing_check(&head, &seen);
	if (!fault && head.is_request)
		fault = request_check(&head, &seen);
	if (fault)
		return fault;

	framing_decide(reader, &seen, &head);
	bool is_1_1 = head.minor_version == 1;
	head.keep_alive = !seen.says_close && (is_1_1 || seen.says_keep_alive) &&
			  head.framing != HTTP_UNTIL_CLOSE;
	head.has_upgrade = seen.has_upgrade && seen.says_upgrade && is_1_1;
	head.expects_continue &= head.is_request && is_1_1;
	*ret_head = head;
	return NULL;
}

const struct h1_fault *h1_trailers_read(struct span bytes, struct http_field *fields, size_t count)
{
	/* Whoever merges trailers into the head would frame the message anew (RFC 9110 6.5.1). */
	for (size_t i = 0; i < count; i++) {
		if (span_is_nocase(fields[i].name, "content-length") ||
		    span_is_nocase(fields[i].name, "transfer-encoding"))
			return FAULT(H1_BAD_FRAMING, "framing field among the trailers");
	}
	return fields_check(bytes.data, bytes.data + bytes.size, fields, count);
}
