/* Values of config keys: text <-> value <-> field. */
#include <errno.h>
#include <stdio.h>

#include "base/mem.h"
#include "model/keys.h"

#define QUOTE_MOST 60 /* bytes of a user's text shown in a message */

struct unit {
	const char *name;
	uint64_t factor;
};

/* Largest first: printing takes the first one that divides. */
static const struct unit durations[] = {
	{"h", 3600000000000ull}, {"m", 60000000000ull}, {"s", 1000000000ull},
	{"ms", 1000000ull},      {"us", 1000ull},       {"ns", 1ull},
};
static const struct unit sizes[] = {
	{"GiB", 1ull << 30}, {"MiB", 1ull << 20}, {"KiB", 1ull << 10}, {"B", 1}, {"", 1},
};

void key_quote(struct text *text, struct span bytes)
{
	struct span shown = bytes;
	if (shown.size > QUOTE_MOST)
		shown.size = QUOTE_MOST;
	while (shown.size < bytes.size && shown.size > QUOTE_MOST - 4 &&
	       ((unsigned char)bytes.data[shown.size] & 0xc0) == 0x80)
		shown.size--; /* not inside a UTF-8 sequence */
	text_json_string(text, shown);
	if (shown.size < bytes.size)
		text_add(text, span_text("..."));
}

/* "250ms" -> number and unit; 0, -EINVAL or -ERANGE. */
static int parse_scaled(struct span text, const struct unit *units, size_t unit_count,
			uint64_t *ret)
{
	size_t digits = 0;
	uint64_t number;
	while (digits < text.size && text.data[digits] >= '0' && text.data[digits] <= '9')
		digits++;
	int error = span_to_u64(span_of(text.data, digits), &number);
	if (error)
		return error;
	struct span name = span_of(text.data + digits, text.size - digits);
	for (size_t i = 0; i < unit_count; i++) {
		if (span_is(name, units[i].name)) {
			bool is_over = __builtin_mul_overflow(number, units[i].factor, ret);
			return is_over ? -ERANGE : 0;
		}
	}
	return -EINVAL;
}

/* Up to four decimals, with or without the sign. */
static int parse_percent(struct span text, uint64_t *ret)
{
	struct span rest = text;
	struct span whole, decimals = span_of("", 0);
	uint64_t number;
	uint64_t fraction = 0;
	if (rest.size && rest.data[rest.size - 1] == '%')
		rest.size--;
	bool has_point = rest.size && memchr(rest.data, '.', rest.size);
	if (!span_split(&rest, '.', &whole) || (has_point && !span_split(&rest, '.', &decimals)) ||
	    rest.data || decimals.size > 4 || span_to_u64(whole, &number))
		return -EINVAL;
	if (has_point && span_to_u64(decimals, &fraction))
		return -EINVAL;
	for (size_t i = decimals.size; i < 4; i++)
		fraction *= 10;
	if (number > UINT32_MAX)
		return -ERANGE;
	*ret = number * 10000 + fraction;
	return 0;
}

static void print_percent(uint64_t ppm, struct text *text)
{
	text_printf(text, "%llu", (unsigned long long)(ppm / 10000));
	if (ppm % 10000 == 0)
		return;
	text_printf(text, ".%04llu", (unsigned long long)(ppm % 10000));
	while (text->size && text->data[text->size - 1] == '0')
		text->data[--text->size] = '\0';
}

static int parse_number(const struct key *key, struct span text, uint64_t *ret)
{
	if (key->type == KEY_PERCENT)
		return parse_percent(text, ret);
	if (key->type == KEY_DURATION) {
		if (span_is(text, "0")) {
			*ret = 0;
			return 0;
		}
		return parse_scaled(text, durations, array_count(durations), ret);
	}
	if (key->type == KEY_SIZE)
		return parse_scaled(text, sizes, array_count(sizes), ret);
	return span_to_u64(text, ret);
}

static void print_scaled(struct text *text, uint64_t number, const struct unit *units,
			 const char *zero)
{
	if (number == 0) {
		text_add(text, span_text(zero));
		return;
	}
	while (number % units->factor != 0)
		units++;
	text_printf(text, "%llu%s", (unsigned long long)(number / units->factor), units->name);
}

static void print_number(const struct key *key, uint64_t number, struct text *text)
{
	if (key->type == KEY_PERCENT)
		print_percent(number, text);
	else if (key->type == KEY_DURATION)
		print_scaled(text, number, durations, "0s");
	else if (key->type == KEY_SIZE && number >= 1024)
		print_scaled(text, number, sizes, "0");
	else
		text_printf(text, "%llu", (unsigned long long)number);
}

static void expected_number(const struct key *key, struct text *why)
{
	static const char *const what[] = {
		[KEY_INTEGER] = "a whole number",
		[KEY_DURATION] = "a duration such as 250ms, 1s or 2m",
		[KEY_SIZE] = "a size such as 4096, 64KiB or 10MiB",
		[KEY_PERCENT] = "a percentage such as 20, 0.5 or 99.9%",
	};
	text_printf(why, " is not %s from ", what[key->type]);
	print_number(key, key->least, why);
	text_add(why, span_text(" to "));
	print_number(key, key->most, why);
	if (key->flags & KEY_MAY_BE_ZERO)
		text_add(why, span_text(", or 0"));
}

static bool is_in_range(const struct key *key, uint64_t number)
{
	if (number == 0 && (key->flags & KEY_MAY_BE_ZERO))
		return true;
	return number >= key->least && number <= key->most;
}

static bool choice_at(const char *choices, unsigned index, struct span *ret_word)
{
	struct span rest = span_text(choices);
	for (unsigned i = 0; span_split(&rest, '|', ret_word); i++) {
		if (i == index)
			return true;
	}
	return false;
}

static int parse_choice(const struct key *key, struct span text, struct key_value *value,
			struct text *why)
{
	struct span word;
	for (unsigned i = 0; choice_at(key->choices, i, &word); i++) {
		if (span_equal(word, text)) {
			value->number = i;
			return 0;
		}
	}
	key_quote(why, text);
	text_add(why, span_text(" is not one of "));
	for (unsigned i = 0; choice_at(key->choices, i, &word); i++)
		text_printf(why, "%s%.*s", i ? ", " : "", SPAN_PRINT(word));
	return -EINVAL;
}

static int parse_cidr(struct span text, struct key_value *value)
{
	const char *slash = text.size ? memchr(text.data, '/', text.size) : NULL;
	uint64_t prefix;
	if (!slash)
		return -EINVAL;
	struct span ip = span_of(text.data, (size_t)(slash - text.data));
	struct span bits = span_of(slash + 1, text.size - ip.size - 1);
	struct weft_address address;
	if (address_parse_ip(ip, 0, &address) || span_to_u64(bits, &prefix))
		return -EINVAL;
	/* 10.0.0.0/8 is ::ffff:10.0.0.0/104; a dotted address has at most 32 bits of its own. */
	bool is_dotted = !memchr(ip.data, ':', ip.size);
	if (prefix > (is_dotted ? 32 : 128))
		return -EINVAL;
	value->prefix = (uint8_t)(prefix + (is_dotted ? 96 : 0));
	for (unsigned bit = value->prefix; bit < 128; bit++) {
		if (address.ip[bit / 8] & (0x80u >> (bit % 8)))
			return -ERANGE;
	}
	value->address = address;
	return 0;
}

static bool is_label_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '_' || c == '-' || c == '/';
}

_Static_assert(WEFT_NAME_MAX == 192, "the sentences below name the limit");

static const char *name_fault(const struct key *key, struct span text)
{
	if (text.size == 0)
		return "is empty: a name of 1 to 191 bytes is needed";
	if (text.size > key->most)
		return "is longer than 191 bytes";
	for (size_t i = 0; i < text.size; i++) {
		if (!is_label_byte(text.data[i]))
			return "may only have letters, digits and . _ - /";
	}
	return NULL;
}

static const char *path_fault(const struct key *key, struct span text)
{
	if (text.size == 0 || text.data[0] != '/')
		return "is not an absolute path";
	for (size_t i = 0; i < text.size; i++) {
		if ((unsigned char)text.data[i] < 0x20 || text.data[i] == 0x7f)
			return "has a control character";
	}
	return text.size > key->most ? "is too long for a path here" : NULL;
}

static const char *text_fault(const struct key *key, struct span text)
{
	for (size_t i = 0; i < text.size; i++) {
		if ((unsigned char)text.data[i] < 0x20 || text.data[i] == 0x7f)
			return "has a control character";
	}
	if (text.size == 0)
		return "is empty";
	return text.size > key->most ? "is too long here" : NULL;
}

static const char *url_fault(const struct key *key, struct span text)
{
	if (!span_starts(text, span_text("http://")) && !span_starts(text, span_text("https://")))
		return "does not begin with http:// or https://";
	for (size_t i = 0; i < text.size; i++) {
		if ((unsigned char)text.data[i] <= 0x20 || text.data[i] == 0x7f)
			return "has a blank or control character";
	}
	return text.size > key->most ? "is too long for a URL here" : NULL;
}

static const char *address_fault(const struct key *key, struct span text, struct key_value *value)
{
	if (key->type == KEY_IP)
		return address_parse_ip(text, 0, &value->address)
			       ? "is not an address such as 10.0.0.1 or fd00::1"
			       : NULL;
	if (key->type == KEY_ADDRESS)
		return address_parse(text, &value->address) || value->address.port == 0
			       ? "is not an address with a port such as 10.0.0.1:80 or [fd00::1]:80"
			       : NULL;
	int error = parse_cidr(text, value);
	if (error == -ERANGE)
		return "has bits set behind its prefix";
	return error ? "is not a network such as 192.0.2.0/24 or fd00::/8" : NULL;
}

static int parse_bool(struct span text, struct key_value *value)
{
	value->number = span_is(text, "true");
	return value->number || span_is(text, "false") ? 0 : -EINVAL;
}

int key_parse(const struct key *key, const char *text, struct key_value *ret_value,
	      struct text *why)
{
	struct span given = span_text(text);
	struct key_value value = {.text = text};
	const char *fault = NULL;
	if (given.size == 0 && (key->flags & KEY_MAY_BE_EMPTY)) {
		*ret_value = value;
		return 0;
	}
	switch (key->type) {
	case KEY_MAP:
	case KEY_LIST:
		return -EINVAL;
	case KEY_BOOL:
		fault = parse_bool(given, &value) ? "is not true or false" : NULL;
		break;
	case KEY_INTEGER:
	case KEY_DURATION:
	case KEY_SIZE:
	case KEY_PERCENT:
		if (!parse_number(key, given, &value.number) && is_in_range(key, value.number))
			break;
		key_quote(why, given);
		expected_number(key, why);
		return -EINVAL;
	case KEY_IP:
	case KEY_ADDRESS:
	case KEY_CIDR:
		fault = address_fault(key, given, &value);
		break;
	case KEY_CHOICE:
		if (parse_choice(key, given, &value, why))
			return -EINVAL;
		break;
	case KEY_NAME:
		fault = name_fault(key, given);
		break;
	case KEY_PATH:
		fault = path_fault(key, given);
		break;
	case KEY_URL:
		fault = url_fault(key, given);
		break;
	case KEY_DTAB: /* the builder reads it */
		fault = given.size > key->most ? "is longer than 64 KiB" : NULL;
		break;
	case KEY_TEXT:
		fault = text_fault(key, given);
		break;
	}
	if (fault) {
		key_quote(why, given);
		text_printf(why, " %s", fault);
		return -EINVAL;
	}
	*ret_value = value;
	return 0;
}

static void set_number(void *field, uint16_t width, uint64_t number)
{
	uint8_t u8 = (uint8_t)number;
	uint16_t u16 = (uint16_t)number;
	uint32_t u32 = (uint32_t)number;
	switch (width) {
	case 1:
		memcpy(field, &u8, 1);
		return;
	case 2:
		memcpy(field, &u16, 2);
		return;
	case 4:
		memcpy(field, &u32, 4);
		return;
	default:
		memcpy(field, &number, 8);
	}
}

static uint64_t get_number(const void *field, uint16_t width)
{
	uint8_t u8;
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;
	switch (width) {
	case 1:
		memcpy(&u8, field, 1);
		return u8;
	case 2:
		memcpy(&u16, field, 2);
		return u16;
	case 4:
		memcpy(&u32, field, 4);
		return u32;
	default:
		memcpy(&u64, field, 8);
		return u64;
	}
}

void key_set(const struct key *key, const struct key_value *value, void *holder)
{
	char *field = (char *)holder + key->offset;
	if (key->store == KEY_STORE_NUMBER)
		set_number(field, key->width, value->number);
	else if (key->store == KEY_STORE_TEXT)
		memcpy(field, &value->text, sizeof(value->text));
	else if (key->store == KEY_STORE_PLACED)
		*(struct draft_text *)field = (struct draft_text){.text = value->text};
	else if (key->store == KEY_STORE_ADDRESS)
		memcpy(field, &value->address, sizeof(value->address));
}

void keys_set_defaults(const struct key *parent, void *holder)
{
	for (size_t i = 0; i < keys_count(); i++) {
		const struct key *key = keys_at(i);
		struct key_value value;
		struct text why = {0};
		if (!key_is_child(key, parent))
			continue;
		if (key->type == KEY_MAP)
			keys_set_defaults(key, holder);
		else if (key->fallback && key_parse(key, key->fallback, &value, &why) == 0)
			key_set(key, &value, holder);
		text_fini(&why);
	}
}

void keys_default_resilience(struct resilience *ret_resilience)
{
	struct service_draft draft = {0};
	keys_set_defaults(key_child(NULL, span_text("services")), &draft);
	*ret_resilience = draft.resilience;
}

void key_print(const struct key *key, const void *holder, struct text *text)
{
	const char *field = (const char *)holder + key->offset;
	const char *held;
	struct span word;
	if (key->store == KEY_STORE_TEXT) {
		memcpy(&held, field, sizeof(held));
		if (held && *held && key->flags & KEY_IS_SECRET)
			held = "(not shown)";
		text_add(text, span_text(held ? held : ""));
		return;
	}
	if (key->store != KEY_STORE_NUMBER)
		return;
	uint64_t number = get_number(field, key->width);
	if (key->type == KEY_BOOL)
		text_add(text, span_text(number ? "true" : "false"));
	else if (key->type == KEY_CHOICE && choice_at(key->choices, (unsigned)number, &word))
		text_add(text, word);
	else
		print_number(key, number, text);
}
