#include "policy/balance_key.h"

#include "base/mix.h"
#include "model/sticky.h"

uint64_t balance_key_of_source(const uint8_t client_ip[16])
{
	return mix_bytes(span_of((const char *)client_ip, 16), 0);
}

struct span balance_cookie(const struct http_head *head, struct span name)
{
	for (uint16_t i = 0; i < head->field_count; i++) {
		struct span pairs = head->fields[i].value, pair;
		if (!span_is_nocase(head->fields[i].name, "cookie"))
			continue;
		while (span_split(&pairs, ';', &pair)) {
			struct span value = span_trim(pair), part;
			if (value.size <= name.size || value.data[name.size] != '=' ||
			    !span_split(&value, '=', &part) || !span_equal(part, name))
				continue;
			return value;
		}
	}
	return span_of(NULL, 0);
}

/* Of the origin form, and of the absolute form behind the authority (RFC 9112 3.2). */
static struct span path_of(const struct http_head *head)
{
	struct span path = head->target, part;
	const char *scheme = path.size ? memmem(path.data, path.size, "://", 3) : NULL;
	const char *query = path.size ? memchr(path.data, '?', path.size) : NULL;
	if (query)
		path.size = (size_t)(query - path.data);
	if (path.size && path.data[0] != '/' && scheme && scheme < path.data + path.size) {
		part = span_of(scheme + 3, path.size - (size_t)(scheme + 3 - path.data));
		const char *slash = part.size ? memchr(part.data, '/', part.size) : NULL;
		if (!slash)
			return span_text("/");
		return span_of(slash, part.size - (size_t)(slash - part.data));
	}
	return path;
}

static struct span value_of(const struct service *service, const struct http_head *head)
{
	const struct http_field *field;
	switch (service->balancing.hash_on) {
	case HASH_ON_HEADER:
		field = http_find(head, service->hash_name);
		return field ? field->value : span_of(NULL, 0);
	case HASH_ON_COOKIE:
		return balance_cookie(head, span_text(service->hash_name));
	case HASH_ON_PATH:
		return path_of(head);
	case HASH_ON_SOURCE:
		break;
	}
	return span_of(NULL, 0);
}

bool balance_key(const struct service *service, const struct http_head *head,
		 const uint8_t client_ip[16], uint64_t *ret_key)
{
	if (service->balancing.hash_on == HASH_ON_SOURCE) {
		*ret_key = balance_key_of_source(client_ip);
		return true;
	}
	struct span value = head ? value_of(service, head) : span_of(NULL, 0);
	if (!value.data)
		return false;
	*ret_key = mix_bytes(value, 0);
	return true;
}

bool balance_token(const struct service *service, const struct http_head *head, uint64_t *ret_token)
{
	if (!*service->sticky.cookie)
		return false;
	struct span value = balance_cookie(head, span_text(service->sticky.cookie));
	return value.data && sticky_parse(value, ret_token);
}
