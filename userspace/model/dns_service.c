#include "model/dns_service.h"

#include <stdio.h>

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool is_host(struct span segment)
{
	for (size_t i = 0; i < segment.size; i++) {
		char c = lower(segment.data[i]);
		/* : of addresses of IPv6 */
		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && !strchr("-_.:", c))
			return false;
	}
	return segment.size > 0;
}

static bool is_port(struct span segment)
{
	uint64_t port;
	return segment.size && segment.data[0] != '0' && span_to_u64(segment, &port) == 0 &&
	       port <= 65535;
}

const char *dns_service_print(enum namer_kind kind, struct span prefix, struct name_path name,
			      char ret_service[WEFT_NAME_MAX])
{
	bool has_port = kind == NAMER_DNS;
	if (name.count < dns_service_segments(kind))
		return has_port ? "a host and a port are needed, as /#/dns/web.example/80"
				: "a name is needed, as /#/dns_srv/_http._tcp.web.example";
	if (!is_host(name.segments[0]))
		return "this is no name of DNS: letters, digits, - and _ with dots are";
	if (has_port && !is_port(name.segments[1]))
		return "behind the host no port from 1 to 65535 follows";
	struct span port = has_port ? name.segments[1] : span_of("", 0);
	int size = snprintf(ret_service, WEFT_NAME_MAX, "#/%.*s/%.*s%s%.*s", SPAN_PRINT(prefix),
			    SPAN_PRINT(name.segments[0]), has_port ? "/" : "", SPAN_PRINT(port));
	if (size < 0 || size >= WEFT_NAME_MAX)
		return "the name is too long: with its prefix at most 189 bytes";
	for (size_t i = prefix.size + 2; i < (size_t)size; i++)
		ret_service[i] = lower(ret_service[i]);
	return NULL;
}

bool dns_service_below(struct span prefix, struct name_path path, struct name_path *ret_name)
{
	struct span part;
	uint32_t at = 1;
	if (path.count == 0 || !span_is(path.segments[0], "#"))
		return false;
	while (span_split(&prefix, '/', &part)) {
		if (at >= path.count || !span_equal(path.segments[at++], part))
			return false;
	}
	*ret_name = name_path_drop(path, at);
	return true;
}
