#include "model/sticky.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

struct siphash_key sticky_key(const char *secret)
{
	static const struct siphash_key first = {{1, 0}}, second = {{2, 0}};
	struct span text = span_text(secret ? secret : "");
	return (struct siphash_key){{siphash(&first, text), siphash(&second, text)}};
}

uint64_t sticky_token(const struct service *service, const struct endpoint *endpoint)
{
	char bytes[sizeof(struct weft_address) + WEFT_NAME_MAX];
	size_t name = strnlen(service->name, WEFT_NAME_MAX);
	memcpy(bytes, &endpoint->address, sizeof(struct weft_address));
	memcpy(bytes + sizeof(struct weft_address), service->name, name);
	return siphash(&service->sticky.key, span_of(bytes, sizeof(struct weft_address) + name));
}

static int compare(const void *a, const void *b)
{
	uint64_t x = ((const struct sticky_item *)a)->token;
	uint64_t y = ((const struct sticky_item *)b)->token;
	return (x > y) - (x < y);
}

int sticky_fill(struct service *service)
{
	uint32_t count = service->endpoint_count;
	if (!*service->sticky.cookie || count == 0)
		return 0;
	service->sticky.items = mem_alloc(count * sizeof(struct sticky_item));
	if (!service->sticky.items)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++)
		service->sticky.items[i] = (struct sticky_item){
			.token = sticky_token(service, &service->endpoints[i]), .index = i};
	qsort(service->sticky.items, count, sizeof(struct sticky_item), compare);
	return 0;
}

const struct endpoint *sticky_find(const struct service *service, uint64_t token)
{
	const struct sticky_item wanted = {.token = token};
	if (!service->sticky.items)
		return NULL;
	const struct sticky_item *found = bsearch(&wanted, service->sticky.items,
						  service->endpoint_count, sizeof(wanted), compare);
	return found ? &service->endpoints[found->index] : NULL;
}

void sticky_print(uint64_t token, char text[STICKY_TEXT])
{
	snprintf(text, STICKY_TEXT, "%016llx", (unsigned long long)token);
}

bool sticky_parse(struct span text, uint64_t *ret_token)
{
	uint64_t token = 0;
	if (text.size != STICKY_TEXT - 1)
		return false;
	for (size_t i = 0; i < text.size; i++) {
		char c = text.data[i];
		bool is_digit = c >= '0' && c <= '9';
		if (!is_digit && (c < 'a' || c > 'f'))
			return false;
		token = token << 4 | (uint64_t)(is_digit ? c - '0' : c - 'a' + 10);
	}
	*ret_token = token;
	return true;
}
