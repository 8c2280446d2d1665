/* What one file of a folder says. Pure. */
#include <errno.h>

#include "control/folders.h"

#define WEIGHT_MOST 65535u /* as services[].endpoints[].weight */
#define MILLI       1000u

struct line {
	struct weft_address address;
	uint64_t weight; /* in thousandths */
};

static bool take_word(struct span *rest, struct span *ret_word)
{
	size_t at = 0;
	while (at < rest->size && strchr(" \t\r", rest->data[at]))
		at++;
	size_t end = at;
	while (end < rest->size && !strchr(" \t\r", rest->data[end]))
		end++;
	*ret_word = span_of(rest->data + at, end - at);
	*rest = span_of(rest->data + end, rest->size - end);
	return ret_word->size > 0;
}

/* "1", "0.25": in thousandths. */
static int parse_weight(struct span text, uint64_t *ret_weight)
{
	struct span decimals = span_of("", 0);
	uint64_t whole;
	uint64_t part = 0;
	const char *point = text.size ? memchr(text.data, '.', text.size) : NULL;
	if (point) {
		size_t size = (size_t)(point - text.data);
		decimals = span_of(point + 1, text.size - size - 1);
		text.size = size;
	}
	if (span_to_u64(text, &whole) || whole > WEIGHT_MOST || decimals.size > 3 ||
	    (decimals.size && span_to_u64(decimals, &part)))
		return -EINVAL;
	for (size_t i = decimals.size; i < 3; i++)
		part *= 10;
	*ret_weight = whole * MILLI + part;
	return 0;
}

/* NULL, or what is wrong with it. */
static const char *parse_line(struct span rest, struct line *line)
{
	struct span host, port, star, weight, more;
	uint64_t number;
	take_word(&rest, &host);
	if (!take_word(&rest, &port) || span_to_u64(port, &number) || number == 0 || number > 65535)
		return "no port from 1 to 65535 behind the address";
	if (address_parse_ip(host, (uint16_t)number, &line->address))
		return "no address such as 10.0.0.1 or fd00::1 at the beginning; names of hosts "
		       "are "
		       "not looked up here";
	line->weight = MILLI;
	if (!take_word(&rest, &star))
		return NULL;
	if (!span_is(star, "*") || !take_word(&rest, &weight) || take_word(&rest, &more) ||
	    parse_weight(weight, &line->weight))
		return "* and a weight from 0 to 65535 are expected behind the port, or nothing";
	return NULL;
}

static uint32_t count_lines(struct span bytes)
{
	uint32_t count = 1;
	for (size_t i = 0; i < bytes.size; i++)
		count += bytes.data[i] == '\n';
	return count;
}

/* Whole weights stay what they are; fractions make all of the file's larger. */
static void put_weights(const struct line *lines, struct endpoint_draft *endpoints, uint32_t count)
{
	bool is_whole = true;
	for (uint32_t i = 0; i < count; i++)
		is_whole = is_whole && lines[i].weight % MILLI == 0;
	for (uint32_t i = 0; i < count; i++) {
		uint64_t weight = is_whole ? lines[i].weight / MILLI : lines[i].weight;
		endpoints[i].weight = weight < WEIGHT_MOST ? (uint32_t)weight : WEIGHT_MOST;
	}
}

int folder_read_file(struct span bytes, struct arena *arena,
		     void (*fault)(void *owner, uint32_t line, const char *sentence), void *owner,
		     struct draft_list *ret_endpoints)
{
	uint32_t most = count_lines(bytes);
	struct line *lines = arena_take(arena, most * sizeof(*lines));
	struct endpoint_draft *endpoints = arena_take(arena, most * sizeof(*endpoints));
	struct span rest = bytes;
	struct span line;
	uint32_t count = 0;
	if (!lines || !endpoints)
		return -ENOMEM;
	for (uint32_t number = 1; span_split(&rest, '\n', &line); number++) {
		const char *comment = line.size ? memchr(line.data, '#', line.size) : NULL;
		struct span said = line;
		struct span word;
		if (comment)
			said.size = (size_t)(comment - line.data);
		struct span look = said;
		if (!take_word(&look, &word))
			continue;
		const char *why = parse_line(said, &lines[count]);
		for (uint32_t i = 0; !why && i < count; i++) {
			if (address_equal(&lines[i].address, &lines[count].address))
				why = "the same address and port once more";
		}
		if (why) {
			fault(owner, number, why);
			continue;
		}
		endpoints[count].address = lines[count].address;
		count++;
	}
	put_weights(lines, endpoints, count);
	*ret_endpoints = (struct draft_list){.count = count, .items = endpoints};
	return 0;
}
