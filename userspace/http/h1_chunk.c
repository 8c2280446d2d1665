#include "http/h1_chunk.h"

/* In the order in which a line goes through them. */
enum chunk_step {
	CHUNK_FIRST_DIGIT,
	CHUNK_DIGITS,
	CHUNK_BEFORE_SEMICOLON, /* blanks after the size or after an extension */
	CHUNK_NAME_START,
	CHUNK_NAME,
	CHUNK_AFTER_NAME, /* blanks; then '=' or ';' */
	CHUNK_VALUE_START,
	CHUNK_VALUE,
	CHUNK_QUOTED,
	CHUNK_QUOTED_PAIR,
	CHUNK_AFTER_QUOTED,
	CHUNK_LF,
	CHUNK_BAD,
};

static const struct h1_fault bad_size = {H1_BAD_FRAMING, "chunk size is not a hexadecimal number"};
static const struct h1_fault too_large = {H1_BAD_FRAMING, "chunk size over 2^63 - 1"};
static const struct h1_fault bad_extension = {H1_BAD_FRAMING, "chunk extension with bad syntax"};
static const struct h1_fault long_extension = {H1_BAD_FRAMING, "chunk extensions too long"};

void h1_chunk_begin(struct h1_reader *reader)
{
	reader->chunk_step = CHUNK_FIRST_DIGIT;
	reader->chunk_count = 0;
	reader->body_left = 0;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* What may stand after a complete extension, or after the size. */
static enum chunk_step after_item(char c)
{
	if (c == ';')
		return CHUNK_NAME_START;
	if (c == '\r')
		return CHUNK_LF;
	return is_blank(c) ? CHUNK_BEFORE_SEMICOLON : CHUNK_BAD;
}

static enum chunk_step after_name(char c)
{
	if (c == '=')
		return CHUNK_VALUE_START;
	if (is_blank(c))
		return CHUNK_AFTER_NAME;
	return c == ';' ? CHUNK_NAME_START : CHUNK_BAD;
}

static enum chunk_step in_quotes(char c)
{
	if (c == '"')
		return CHUNK_AFTER_QUOTED;
	if (c == '\\')
		return CHUNK_QUOTED_PAIR;
	return h1_is_text(c) ? CHUNK_QUOTED : CHUNK_BAD;
}

/* RFC 9112 7.1.1: *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] ) */
static enum chunk_step extension_step(enum chunk_step step, char c)
{
	switch (step) {
	case CHUNK_BEFORE_SEMICOLON:
		/* Blanks that no extension follows are in no grammar. */
		return is_blank(c) ? step : c == ';' ? CHUNK_NAME_START : CHUNK_BAD;
	case CHUNK_NAME_START:
		return is_blank(c) ? step : h1_is_token(c) ? CHUNK_NAME : CHUNK_BAD;
	case CHUNK_NAME:
		if (h1_is_token(c))
			return step;
		return c == '\r' ? CHUNK_LF : after_name(c);
	case CHUNK_AFTER_NAME:
		return after_name(c);
	case CHUNK_VALUE_START:
		if (c == '"')
			return CHUNK_QUOTED;
		return is_blank(c) ? step : h1_is_token(c) ? CHUNK_VALUE : CHUNK_BAD;
	case CHUNK_VALUE:
		return h1_is_token(c) ? step : after_item(c);
	case CHUNK_QUOTED:
		return in_quotes(c);
	case CHUNK_QUOTED_PAIR:
		return h1_is_text(c) ? CHUNK_QUOTED : CHUNK_BAD;
	case CHUNK_AFTER_QUOTED:
		return after_item(c);
	default:
		return CHUNK_BAD;
	}
}

static const struct h1_fault *take_digit(struct h1_reader *reader, int digit)
{
	if (++reader->chunk_count > H1_CHUNK_DIGITS_MAX || reader->body_left >> 59)
		return &too_large;
	reader->body_left = reader->body_left << 4 | (unsigned)digit;
	reader->chunk_step = CHUNK_DIGITS;
	return NULL;
}

static const struct h1_fault *take_size_byte(struct h1_reader *reader, char byte)
{
	int digit = hex_value(byte);
	if (digit >= 0)
		return take_digit(reader, digit);
	if (reader->chunk_step == CHUNK_FIRST_DIGIT)
		return &bad_size;
	reader->chunk_step = after_item(byte);
	reader->chunk_count = 0;
	return reader->chunk_step == CHUNK_BAD ? &bad_size : NULL;
}

/* Body bytes pay for extensions, so that a body cannot be made of them (as CVE-2023-39326). */
static void pay_debt(struct h1_reader *reader)
{
	if (reader->body_left >= reader->extension_debt)
		reader->extension_debt = 0;
	else
		reader->extension_debt -= (uint16_t)reader->body_left;
}

const struct h1_fault *h1_chunk_take(struct h1_reader *reader, char byte, bool *ret_is_done)
{
	*ret_is_done = false;
	if (reader->chunk_step <= CHUNK_DIGITS)
		return take_size_byte(reader, byte);
	if (reader->chunk_step == CHUNK_LF) {
		if (byte != '\n')
			return &bad_size;
		pay_debt(reader);
		*ret_is_done = true;
		return NULL;
	}
	if (++reader->chunk_count > H1_EXTENSION_LINE_MAX ||
	    ++reader->extension_debt > H1_EXTENSION_DEBT_MAX)
		return &long_extension;
	reader->chunk_step = (uint8_t)extension_step(reader->chunk_step, byte);
	return reader->chunk_step == CHUNK_BAD ? &bad_extension : NULL;
}
