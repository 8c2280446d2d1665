#include "http/h1_section.h"

#include "base/mem.h"
#include "http/h1_line.h"

/* Fields that a section may have without a heap allocation. */
#define FEW_FIELDS 48
/* What comes in pieces is gathered in steps, so that a body behind a head is not copied. */
#define GATHER_STEP    1024
#define GATHER_INITIAL 1024

/* A section while llhttp walks over it. */
struct reading {
	const char *begin;         /* everything so far is in one piece of memory */
	size_t size;               /* bytes that llhttp has seen, or that are held */
	struct http_field *fields; /* spans point into that memory */
	uint32_t field_count;
	uint32_t field_room;
	struct span name; /* of the field whose colon has not come */
	bool is_on_heap;  /* fields */
	bool is_held;     /* the request line, until it is whole */
	bool is_done;
};

struct h1_scratch {
	struct reading reading;
	char *bytes;
	size_t capacity;
	size_t charged; /* to the limits' blocks */
};

static void refuse_memory(struct h1_reader *reader)
{
	h1_refuse(reader, H1_NO_MEMORY, "out of memory");
}

/* ---- llhttp's callbacks: they run inside h1_feed and only note where things are ---- */

static struct h1_reader *reader_of(llhttp_t *parser)
{
	return container_of(parser, struct h1_reader, parser);
}

static bool has_field_room(struct reading *reading, uint32_t limit)
{
	if (reading->field_count < reading->field_room)
		return true;
	uint32_t room = reading->field_room * 2 < limit ? reading->field_room * 2 : limit;
	struct http_field *fields = mem_alloc(room * sizeof(*fields));
	if (!fields)
		return false;
	memcpy(fields, reading->fields, reading->field_count * sizeof(*fields));
	if (reading->is_on_heap)
		mem_free(reading->fields);
	reading->fields = fields;
	reading->field_room = room;
	reading->is_on_heap = true;
	return true;
}

static int on_name(llhttp_t *parser, const char *at, size_t size)
{
	struct reading *reading = parser->data;
	if (!reading->name.data)
		reading->name = span_of(at, 0);
	reading->name.size += size;
	return 0;
}

static int on_name_complete(llhttp_t *parser)
{
	struct h1_reader *reader = reader_of(parser);
	struct reading *reading = parser->data;
	if (reading->field_count >= reader->limits->field_count) {
		h1_refuse(reader, H1_HEAD_TOO_LARGE, "too many fields");
		return -1;
	}
	if (!has_field_room(reading, reader->limits->field_count)) {
		refuse_memory(reader);
		return -1;
	}
	reading->fields[reading->field_count++] = (struct http_field){.name = reading->name};
	reading->name = (struct span){NULL, 0};
	return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t size)
{
	struct reading *reading = parser->data;
	struct span *value = &reading->fields[reading->field_count - 1].value;
	if (size == 0)
		return 0; /* of an empty value, and points behind its line */
	if (!value->data)
		*value = span_of(at, 0);
	if (value->data + value->size != at) {
		h1_refuse(reader_of(parser), H1_BAD_SYNTAX, "folded field line");
		return HPE_USER;
	}
	value->size += size;
	return 0;
}

/* Bodies are framed here, so llhttp never goes on by itself. */
static int on_end(llhttp_t *parser)
{
	struct reading *reading = parser->data;
	reading->is_done = true;
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
	.on_header_field = on_name,
	.on_header_field_complete = on_name_complete,
	.on_header_value = on_value,
	.on_headers_complete = on_end,
	.on_message_complete = on_end, /* of trailers */
};

static void refuse_as_llhttp(struct h1_reader *reader, llhttp_errno_t code)
{
	switch (code) {
	case HPE_UNEXPECTED_CONTENT_LENGTH:
	case HPE_INVALID_CONTENT_LENGTH:
	case HPE_INVALID_TRANSFER_ENCODING:
		h1_refuse(reader, H1_BAD_FRAMING, llhttp_get_error_reason(&reader->parser));
		break;
	default:
		h1_refuse(reader, H1_BAD_SYNTAX, llhttp_get_error_reason(&reader->parser));
		break;
	}
}

void h1_section_init(struct h1_reader *reader)
{
	llhttp_init(&reader->parser, reader->is_request ? HTTP_REQUEST : HTTP_RESPONSE, &settings);
}

/* What it has grown to. False: past the limit. */
static bool scratch_charge(const struct h1_reader *reader, struct h1_scratch *scratch)
{
	const struct reading *reading = &scratch->reading;
	size_t bytes = sizeof(*scratch) + scratch->capacity +
		       reading->field_room * sizeof(*reading->fields);
	struct blocks *blocks = reader->limits->blocks;
	if (!blocks || bytes == scratch->charged)
		return true;
	if (!blocks_charge(blocks, bytes - scratch->charged))
		return false;
	scratch->charged = bytes;
	return true;
}

static void scratch_free(const struct h1_reader *reader, struct h1_scratch *scratch)
{
	if (!scratch)
		return;
	if (scratch->charged)
		blocks_discharge(reader->limits->blocks, scratch->charged);
	mem_free(scratch->reading.fields);
	mem_free(scratch->bytes);
	mem_free(scratch);
}

void h1_section_fini(struct h1_reader *reader)
{
	scratch_free(reader, reader->scratch);
	reader->scratch = NULL;
}

/* ---- limits ---- */

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/*
 * Bytes until the next limit must be looked at. llhttp is never shown more in one go, so that the
 * answer does not depend on how the bytes were cut into feeds.
 */
static size_t limit_distance(const struct h1_reader *reader, size_t size)
{
	const struct h1_limits *limits = reader->limits;
	if (!reader->head_done && size < limits->line_bytes)
		return least(limits->line_bytes, limits->head_bytes) - size;
	return limits->head_bytes - size;
}

static void limits_check(struct h1_reader *reader, const struct reading *reading)
{
	const struct h1_limits *limits = reader->limits;
	if (!reader->head_done && reading->size == limits->line_bytes &&
	    !memchr(reading->begin, '\n', reading->size)) {
		if (reader->is_request)
			h1_refuse(reader, H1_URI_TOO_LONG, "request line too long");
		else
			h1_refuse(reader, H1_BAD_SYNTAX, "status line too long");
	} else if (reading->size >= limits->head_bytes) {
		h1_refuse(reader, H1_HEAD_TOO_LARGE, "head too large");
	}
}

/* llhttp has refused a byte before the first LF: the line may still be one of h1_line.h's. */
static bool may_hold(const struct h1_reader *reader, const struct reading *reading)
{
	const char *refused = llhttp_get_error_pos(&reader->parser);
	return reader->is_request && !reader->head_done &&
	       !memchr(reading->begin, '\n', (size_t)(refused - reading->begin));
}

/* These two return how many of the `size` bytes were taken. */
static size_t bytes_show(struct h1_reader *reader, struct reading *reading, size_t size)
{
	const char *at = reading->begin + reading->size;
	llhttp_errno_t code = llhttp_execute(&reader->parser, at, size);
	if (reading->is_done)
		return (size_t)(llhttp_get_error_pos(&reader->parser) - at);
	if (code == HPE_OK)
		return size;
	if (!reader->error && may_hold(reader, reading)) {
		reading->is_held = true;
		return 0;
	}
	refuse_as_llhttp(reader, code);
	return size;
}

static size_t line_hold(struct h1_reader *reader, struct reading *reading, size_t size)
{
	const char *at = reading->begin + reading->size;
	const char *line_feed = memchr(at, '\n', size);
	size_t used = line_feed ? (size_t)(line_feed + 1 - at) : size;
	if (!h1_line_is_text(span_of(at, used))) {
		h1_refuse(reader, H1_BAD_SYNTAX, "control byte in the request line");
	} else if (line_feed) {
		reading->is_held = false;
		h1_section_init(reader);
		reader->parser.data = reading;
		h1_line_show(reader, span_of(reading->begin, reading->size + used));
	}
	return used;
}

/* Shows llhttp the next `available` bytes behind what it has seen; ends early when it is done. */
static void reading_advance(struct h1_reader *reader, struct reading *reading, size_t available)
{
	while (available && !reading->is_done && !reader->error) {
		size_t size = least(available, limit_distance(reader, reading->size));
		if (reading->is_held)
			size = line_hold(reader, reading, size);
		else
			size = bytes_show(reader, reading, size);
		reading->size += size;
		available -= size;
		if (!reading->is_done && !reader->error)
			limits_check(reader, reading);
	}
}

/* ---- a section in one piece, or in several ---- */

/* Same bytes, other place. */
static void reading_move(struct reading *reading, const char *to)
{
	for (uint32_t i = 0; i < reading->field_count; i++) {
		struct http_field *field = &reading->fields[i];
		field->name.data = to + (field->name.data - reading->begin);
		if (field->value.data)
			field->value.data = to + (field->value.data - reading->begin);
	}
	if (reading->name.data)
		reading->name.data = to + (reading->name.data - reading->begin);
	reading->begin = to;
}

static bool scratch_grow(struct h1_scratch *scratch, size_t needed)
{
	if (needed <= scratch->capacity)
		return true;
	size_t capacity = scratch->capacity ? scratch->capacity : GATHER_INITIAL;
	while (capacity < needed)
		capacity *= 2;
	char *bytes = mem_alloc(capacity);
	if (!bytes)
		return false;
	memcpy(bytes, scratch->reading.begin, scratch->reading.size);
	reading_move(&scratch->reading, bytes);
	mem_free(scratch->bytes);
	scratch->bytes = bytes;
	scratch->capacity = capacity;
	return true;
}

/* The feed ended inside the head: keep what there is. */
static void scratch_begin(struct h1_reader *reader, struct reading *reading)
{
	struct h1_scratch *scratch = mem_zalloc(sizeof(*scratch));
	if (!scratch)
		goto no_memory;
	if (!reading->is_on_heap) {
		struct http_field *fields = mem_alloc(reading->field_room * sizeof(*fields));
		if (!fields)
			goto no_memory;
		memcpy(fields, reading->fields, reading->field_count * sizeof(*fields));
		reading->fields = fields;
		reading->is_on_heap = true;
	}
	scratch->reading = *reading;
	if (!scratch_grow(scratch, reading->size) || !scratch_charge(reader, scratch))
		goto no_memory;
	reader->scratch = scratch;
	reader->parser.data = &scratch->reading;
	return;

no_memory:
	if (scratch)
		mem_free(scratch->bytes);
	mem_free(scratch);
	if (reading->is_on_heap)
		mem_free(reading->fields);
	reading->is_on_heap = false;
	refuse_memory(reader);
}

/* After a head in chunks llhttp waits for the first chunk; it is shown the last one. */
static bool llhttp_begin(struct h1_reader *reader, struct reading *reading)
{
	static const char last_chunk[] = "0\r\n";
	if (!reader->head_done) {
		h1_section_init(reader);
		reader->parser.data = reading;
		return true;
	}
	reader->parser.data = reading;
	reader->parser.upgrade = 0;
	llhttp_resume(&reader->parser);
	return llhttp_execute(&reader->parser, last_chunk, sizeof(last_chunk) - 1) == HPE_OK;
}

/* The common case: all of it lies in this feed and nothing is copied or allocated. */
static size_t section_first(struct h1_reader *reader, struct span bytes, h1_section_done *done)
{
	struct http_field fields[FEW_FIELDS];
	struct reading reading = {
		.begin = bytes.data,
		.fields = fields,
		.field_room = FEW_FIELDS,
	};
	if (!llhttp_begin(reader, &reading)) {
		h1_refuse(reader, H1_BAD_FRAMING, "trailers do not follow chunks");
		return 0;
	}
	reading_advance(reader, &reading, bytes.size);
	size_t used = reading.size;
	if (!reading.is_done && !reader->error) {
		scratch_begin(reader, &reading);
		return used;
	}
	if (!reader->error)
		done(reader, span_of(reading.begin, reading.size), reading.fields,
		     reading.field_count);
	if (reading.is_on_heap)
		mem_free(reading.fields);
	return used;
}

static size_t section_more(struct h1_reader *reader, struct span bytes, h1_section_done *done)
{
	struct h1_scratch *scratch = reader->scratch;
	struct reading *reading = &scratch->reading;
	size_t before = reading->size;
	size_t used = 0;
	while (used < bytes.size && !reading->is_done && !reader->error) {
		size_t part = least(bytes.size - used, GATHER_STEP);
		part = least(part, limit_distance(reader, reading->size));
		if (!scratch_grow(scratch, reading->size + part) ||
		    !scratch_charge(reader, scratch)) {
			refuse_memory(reader);
			break;
		}
		memcpy(scratch->bytes + reading->size, bytes.data + used, part);
		reading_advance(reader, reading, part);
		used = reading->size - before;
	}
	if (!reading->is_done && !reader->error)
		return used;
	reader->scratch = NULL;
	if (!reader->error)
		done(reader, span_of(reading->begin, reading->size), reading->fields,
		     reading->field_count);
	scratch_free(reader, scratch);
	return used;
}

size_t h1_section_read(struct h1_reader *reader, struct span bytes, h1_section_done *done)
{
	return reader->scratch ? section_more(reader, bytes, done)
			       : section_first(reader, bytes, done);
}
