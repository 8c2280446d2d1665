#include "policy/utility_name.h"

#include <string.h>

#include "base/address.h"

#define PORT_BYTES_MAX 63 /* a DNS label, RFC 1035 2.3.4 */

/* Takes the segments behind the name; answers with a path that stands for all of them. */
struct rewriting {
	struct name_path rest;
	struct name_arena *arena;
	struct name_path path;
	bool has_no_memory;
};

typedef const char *rewrite_function(struct rewriting *rewriting); /* NULL, or why there is none */

static bool is_upper_word(struct span segment)
{
	for (size_t i = 0; i < segment.size; i++)
		if (segment.data[i] < 'A' || segment.data[i] > 'Z')
			return false;
	return segment.size > 0;
}

static bool is_host(struct span segment)
{
	for (size_t i = 0; i < segment.size; i++) {
		unsigned char c = (unsigned char)segment.data[i];
		if (!name_byte_is_plain(c) || c == '#' || c == '$' || c == '%')
			return false;
	}
	return segment.size > 0;
}

/* A lower-case DNS label: a port's number or name. */
static bool is_port_label(struct span segment)
{
	for (size_t i = 0; i < segment.size; i++) {
		char c = segment.data[i];
		bool is_word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
		if (!is_word && (c != '-' || i == 0))
			return false;
	}
	return segment.size > 0 && segment.size <= PORT_BYTES_MAX;
}

/* The rewritten path: `head`, then what of the rest comes behind `used` segments. */
static const char *rewrite_to(struct rewriting *rewriting, const struct span *head, uint32_t count,
			      uint32_t used)
{
	struct name_path tail = name_path_drop(rewriting->rest, used);
	struct span *segments = name_arena_take(
		rewriting->arena, sizeof(*segments) * ((size_t)count + tail.count) + 1);
	if (!segments) {
		rewriting->has_no_memory = true;
		return "out of memory";
	}
	if (count)
		memcpy(segments, head, sizeof(*segments) * count);
	if (tail.count)
		memcpy(segments + count, tail.segments, sizeof(*segments) * tail.count);
	rewriting->path = (struct name_path){segments, count + tail.count};
	return NULL;
}

static const char *any_method(struct rewriting *rewriting)
{
	if (rewriting->rest.count < 1 || !is_upper_word(rewriting->rest.segments[0]))
		return "no method in upper case";
	return rewrite_to(rewriting, NULL, 0, 1);
}

static const char *any_method_pfx(struct rewriting *rewriting)
{
	if (rewriting->rest.count < 2 || !is_upper_word(rewriting->rest.segments[1]))
		return "no method in upper case";
	return rewrite_to(rewriting, rewriting->rest.segments, 1, 2);
}

static const char *any_host(struct rewriting *rewriting)
{
	if (rewriting->rest.count < 1 || !is_host(rewriting->rest.segments[0]))
		return "no host";
	return rewrite_to(rewriting, NULL, 0, 1);
}

static const char *any_host_pfx(struct rewriting *rewriting)
{
	if (rewriting->rest.count < 2 || !is_host(rewriting->rest.segments[1]))
		return "no host";
	return rewrite_to(rewriting, rewriting->rest.segments, 1, 2);
}

/* What stands before .domain in host, whose port is dropped; false when nothing does. */
static bool subdomain(struct span domain, struct span host, struct span *ret_sub)
{
	const char *colon = memchr(host.data, ':', host.size);
	if (colon && colon != host.data)
		host.size = (size_t)(colon - host.data);
	if (host.size < domain.size + 2)
		return false;
	size_t size = host.size - domain.size - 1;
	if (host.data[size] != '.' ||
	    !span_equal(span_of(host.data + size + 1, domain.size), domain))
		return false;
	*ret_sub = span_of(host.data, size);
	return true;
}

static const char *subdomain_of(struct rewriting *rewriting)
{
	const struct span *rest = rewriting->rest.segments;
	struct span sub;
	if (rewriting->rest.count < 2 || !is_host(rest[0]) || !is_host(rest[1]) ||
	    !subdomain(rest[0], rest[1], &sub))
		return "the host is not below the domain";
	return rewrite_to(rewriting, &sub, 1, 2);
}

static const char *subdomain_of_pfx(struct rewriting *rewriting)
{
	const struct span *rest = rewriting->rest.segments;
	struct span head[2];
	if (rewriting->rest.count < 3 || !is_host(rest[0]) || !is_host(rest[2]) ||
	    !subdomain(rest[0], rest[2], &head[1]))
		return "the host is not below the domain";
	head[0] = rest[1];
	return rewrite_to(rewriting, head, 2, 3);
}

/* The labels of the host at `at`, last one first, behind the `at` segments before it. */
static const char *reverse_labels(struct rewriting *rewriting, uint32_t at)
{
	if (rewriting->rest.count <= at || !is_host(rewriting->rest.segments[at]))
		return "no host";
	struct span host = rewriting->rest.segments[at];
	while (host.size && host.data[host.size - 1] == '.') /* the root of DNS */
		host.size--;
	uint32_t count = 1;
	for (size_t i = 0; i < host.size; i++)
		count += host.data[i] == '.';
	struct span *head = name_arena_take(rewriting->arena, sizeof(*head) * ((size_t)at + count));
	if (!head) {
		rewriting->has_no_memory = true;
		return "out of memory";
	}
	if (at)
		head[0] = rewriting->rest.segments[0];
	struct span rest = host;
	struct span label;
	for (uint32_t i = 0; span_split(&rest, '.', &label); i++) {
		if (label.size == 0)
			return "the host has an empty label";
		head[at + count - 1 - i] = label;
	}
	return rewrite_to(rewriting, head, at + count, at + 1);
}

static const char *domain_to_path(struct rewriting *rewriting)
{
	return reverse_labels(rewriting, 0);
}

static const char *domain_to_path_pfx(struct rewriting *rewriting)
{
	return reverse_labels(rewriting, 1);
}

static const char *split_port(struct rewriting *rewriting, bool port_first)
{
	if (rewriting->rest.count < 2)
		return "no host:port";
	struct span port = rewriting->rest.segments[1];
	struct span host;
	if (!span_split(&port, ':', &host) || !port.data || host.size == 0 || !is_port_label(port))
		return "no host:port";
	struct span head[3] = {rewriting->rest.segments[0], port_first ? port : host,
			       port_first ? host : port};
	return rewrite_to(rewriting, head, 3, 2);
}

static const char *hostport_pfx(struct rewriting *rewriting)
{
	return split_port(rewriting, false);
}

static const char *porthost_pfx(struct rewriting *rewriting)
{
	return split_port(rewriting, true);
}

static const struct {
	const char *full;
	const char *brief;
	rewrite_function *rewrite;
} rewrites[] = {
	{"io.buoyant.hostportPfx", "hostportPfx", hostport_pfx},
	{"io.buoyant.porthostPfx", "porthostPfx", porthost_pfx},
	{"io.buoyant.http.anyMethod", "anyMethod", any_method},
	{"io.buoyant.http.anyMethodPfx", "anyMethodPfx", any_method_pfx},
	{"io.buoyant.http.anyHost", "anyHost", any_host},
	{"io.buoyant.http.anyHostPfx", "anyHostPfx", any_host_pfx},
	{"io.buoyant.http.subdomainOf", "subdomainOf", subdomain_of},
	{"io.buoyant.http.subdomainOfPfx", "subdomainOfPfx", subdomain_of_pfx},
	{"io.buoyant.http.domainToPath", "domainToPath", domain_to_path},
	{"io.buoyant.http.domainToPathPfx", "domainToPathPfx", domain_to_path_pfx},
};

static void answer_rewritten(rewrite_function *rewrite, struct name_path path,
			     struct name_arena *arena, struct namer_answer *answer)
{
	struct rewriting rewriting = {.rest = name_path_drop(path, 2), .arena = arena};
	const char *why = rewrite(&rewriting);
	struct name_tree *leaf = why ? NULL : name_tree_new(NAME_LEAF, arena);
	if (rewriting.has_no_memory || (!why && !leaf)) {
		answer->verdict = NAMER_FAIL;
		return;
	}
	answer->why = why;
	if (why)
		return;
	leaf->path = rewriting.path;
	answer->verdict = NAMER_TREE;
	answer->tree = leaf;
	answer->consumed = path.count;
}

static bool is_number(struct span segment, uint64_t least, uint64_t most)
{
	uint64_t number;
	return segment.size && span_to_u64(segment, &number) == 0 && number >= least &&
	       number <= most;
}

static bool is_port(struct span segment)
{
	return is_number(segment, 1, UINT16_MAX);
}

static void answer_bound(struct name_path path, uint32_t consumed, struct namer_answer *answer)
{
	answer->verdict = NAMER_BOUND;
	answer->id = name_path_slice(path, 0, consumed);
	answer->consumed = consumed;
}

/* /$/inet/<host>/<port>, /$/inet/<port>. */
static void answer_inet(struct name_path path, struct namer_answer *answer)
{
	if (path.count >= 4 && is_port(path.segments[3]))
		answer_bound(path, 4, answer);
	else if (path.count >= 3 && is_port(path.segments[2]))
		answer_bound(path, 3, answer);
	else
		answer->why = "no port from 1 to 65535 behind the host";
}

/* A path whose id begins with /$/ and the full name, whatever the name was. */
static void answer_named(struct name_path path, uint32_t consumed, const char *full,
			 struct name_arena *arena, struct namer_answer *answer)
{
	answer_bound(path, consumed, answer);
	if (span_is(path.segments[1], full))
		return;
	struct span *id = name_arena_take(arena, sizeof(*id) * consumed);
	if (!id) {
		answer->verdict = NAMER_FAIL;
		return;
	}
	memcpy(id, path.segments, sizeof(*id) * consumed);
	id[1] = span_text(full);
	answer->id = (struct name_path){id, consumed};
}

static bool is_id(struct name_path id, const char *name)
{
	return id.count == 4 && span_is(id.segments[0], "$") && span_is(id.segments[1], name);
}

bool utility_host(struct name_path id, struct span ret_host_port[2])
{
	struct weft_address address;
	bool is_turned = is_id(id, "io.buoyant.rinet");
	if (!is_turned && !is_id(id, "inet") && !is_id(id, "fixedinet"))
		return false;
	ret_host_port[0] = id.segments[is_turned ? 3 : 2];
	ret_host_port[1] = id.segments[is_turned ? 2 : 3];
	return address_parse_ip(ret_host_port[0], 0, &address) != 0;
}

void utility_look_up(struct name_path path, struct name_arena *arena,
		     struct namer_answer *ret_answer)
{
	struct span name = path.count > 1 ? path.segments[1] : span_of(NULL, 0);
	*ret_answer = (struct namer_answer){.verdict = NAMER_NEG};
	if (span_is(name, "inet") || span_is(name, "fixedinet")) {
		answer_inet(path, ret_answer);
	} else if (span_is(name, "io.buoyant.rinet") || span_is(name, "rinet")) {
		if (path.count >= 4 && is_port(path.segments[2]))
			answer_named(path, 4, "io.buoyant.rinet", arena, ret_answer);
		else
			ret_answer->why = "no port from 1 to 65535 before a host";
	} else if (span_is(name, "io.buoyant.http.status") || span_is(name, "status")) {
		if (path.count >= 3 && is_number(path.segments[2], 100, 599))
			answer_named(path, 3, "io.buoyant.http.status", arena, ret_answer);
		else
			ret_answer->why = "no status from 100 to 599";
	} else if (span_is(name, "nil")) {
		ret_answer->verdict = NAMER_EMPTY;
	} else if (span_is(name, "fail")) {
		ret_answer->verdict = NAMER_FAIL;
		ret_answer->why = "the name says so";
	} else {
		for (size_t i = 0; i < array_count(rewrites); i++) {
			if (!span_is(name, rewrites[i].full) && !span_is(name, rewrites[i].brief))
				continue;
			answer_rewritten(rewrites[i].rewrite, path, arena, ret_answer);
			return;
		}
		ret_answer->why = "no such utility name";
	}
}
