/*
 * The first line is a request's target, the second its Cookie: what is found lies in them, a
 * cookie's value stands behind its name, and adding a cookie in front of one makes it the one
 * found.
 */
#include "base/fuzz/target.h"

#include <assert.h>

#include "base/mem.h"
#include "model/sticky.h"
#include "policy/balance_key.h"

static struct http_head head_of(struct span target, struct http_field *cookie)
{
	return (struct http_head){.target = target, .field_count = 1, .fields = cookie};
}

static void cookie_check(struct span value)
{
	static const char front[] = "stick=0123456789abcdef; ";
	struct http_field field = {span_text("Cookie"), value};
	struct http_head head = head_of(span_text("/"), &field);
	struct span found = balance_cookie(&head, span_text("stick"));
	if (found.data) {
		assert(found.data >= value.data + 6);
		assert(found.data + found.size <= value.data + value.size);
		assert(memcmp(found.data - 6, "stick=", 6) == 0);
		assert(!found.size || !memchr(found.data, ';', found.size));
	}
	char *longer = mem_alloc(value.size + sizeof(front));
	if (!longer)
		return;
	memcpy(longer, front, sizeof(front) - 1);
	if (value.size)
		memcpy(longer + sizeof(front) - 1, value.data, value.size);
	field.value = span_of(longer, value.size + sizeof(front) - 1);
	struct service service = {.sticky.cookie = "stick"};
	uint64_t token = 0;
	assert(balance_token(&service, &head, &token) && token == 0x0123456789abcdefull);
	mem_free(longer);
}

/* A query changes nothing. */
static void path_check(struct span target)
{
	static const uint8_t client[16];
	struct http_field none = {span_text("a"), span_text("b")};
	struct service service = {.balancing.hash_on = HASH_ON_PATH};
	struct span before;
	struct span rest = target;
	uint64_t whole, without;
	if (!target.size || !span_split(&rest, '?', &before) || !before.size)
		return;
	struct http_head head = head_of(target, &none);
	assert(balance_key(&service, &head, client, &whole));
	head.target = before;
	assert(balance_key(&service, &head, client, &without));
	assert(whole == without);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = span_of((const char *)data, size);
	struct span target;
	if (size == 0 || !span_split(&rest, '\n', &target))
		return 0;
	path_check(target);
	if (rest.data)
		cookie_check(rest);
	return 0;
}
