#include "base/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

static bool has_room(struct text *text, size_t more)
{
	if (text->failed)
		return false;
	size_t needed = text->size + more + 1;
	if (needed <= text->capacity)
		return true;
	size_t capacity = text->capacity ? text->capacity : 256;
	while (capacity < needed)
		capacity *= 2;
	char *data = mem_realloc(text->data, capacity);
	if (!data) {
		text->failed = true;
		return false;
	}
	text->data = data;
	text->capacity = capacity;
	return true;
}

void text_add(struct text *text, struct span bytes)
{
	if (!has_room(text, bytes.size))
		return;
	if (bytes.size)
		memcpy(text->data + text->size, bytes.data, bytes.size);
	text->size += bytes.size;
	text->data[text->size] = '\0';
}

void text_printf(struct text *text, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int size = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (size < 0 || !has_room(text, (size_t)size))
		return;
	va_start(args, format);
	vsnprintf(text->data + text->size, (size_t)size + 1, format, args);
	va_end(args);
	text->size += (size_t)size;
}

/* Length of the valid UTF-8 sequence at the front (RFC 3629 4), 0 if there is none. */
static size_t utf8_length(const unsigned char *s, size_t size)
{
	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		return size >= 2 && (s[1] & 0xc0) == 0x80 ? 2 : 0;
	if (s[0] >= 0xe0 && s[0] <= 0xef) {
		if (size < 3 || (s[1] & 0xc0) != 0x80 || (s[2] & 0xc0) != 0x80)
			return 0;
		bool overlong = s[0] == 0xe0 && s[1] < 0xa0;
		bool surrogate = s[0] == 0xed && s[1] > 0x9f;
		return overlong || surrogate ? 0 : 3;
	}
	if (s[0] >= 0xf0 && s[0] <= 0xf4) {
		if (size < 4 || (s[1] & 0xc0) != 0x80 || (s[2] & 0xc0) != 0x80 ||
		    (s[3] & 0xc0) != 0x80)
			return 0;
		bool overlong = s[0] == 0xf0 && s[1] < 0x90;
		bool too_high = s[0] == 0xf4 && s[1] > 0x8f;
		return overlong || too_high ? 0 : 4;
	}
	return 0;
}

static void add_json_char(struct text *text, unsigned char c)
{
	switch (c) {
	case '"':
		text_add(text, span_text("\\\""));
		return;
	case '\\':
		text_add(text, span_text("\\\\"));
		return;
	case '\n':
		text_add(text, span_text("\\n"));
		return;
	case '\t':
		text_add(text, span_text("\\t"));
		return;
	default:
		text_printf(text, "\\u%04x", c);
	}
}

/* How many bytes at the front stand for themselves. */
static size_t plain_length(const unsigned char *s, size_t size)
{
	size_t length = 0;
	while (length < size && s[length] >= 0x20 && s[length] < 0x80 && s[length] != '"' &&
	       s[length] != '\\')
		length++;
	return length;
}

void text_json_string(struct text *text, struct span bytes)
{
	text_add(text, span_text("\""));
	for (size_t i = 0; i < bytes.size;) {
		const unsigned char *at = (const unsigned char *)bytes.data + i;
		size_t plain = plain_length(at, bytes.size - i);
		if (plain) {
			text_add(text, span_of((const char *)at, plain));
			i += plain;
			continue;
		}
		size_t length = utf8_length(at, bytes.size - i);
		if (length == 1)
			add_json_char(text, *at);
		else if (length > 1)
			text_add(text, span_of((const char *)at, length));
		else
			text_add(text, span_text("\xef\xbf\xbd"));
		i += length ? length : 1;
	}
	text_add(text, span_text("\""));
}

void text_clear(struct text *text)
{
	text->size = 0;
	text->failed = false;
	if (text->data)
		text->data[0] = '\0';
}

void text_fini(struct text *text)
{
	mem_free(text->data);
	*text = (struct text){0};
}
