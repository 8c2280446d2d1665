#include "dns/lookup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

#define QUESTIONS_MAX (2 * DNS_SERVERS_MAX)
/* Weights grow by this where shares of them are needed: of several addresses of one server, and
 * beside servers of weight 0, which are to get very little (RFC 2782). */
#define FINER 100u

/* For the addresses of one server. */
struct question {
	struct dns_query query;
	struct dns_lookup *lookup;
	uint16_t server;
	uint16_t type; /* enum dns_type */
};

struct address {
	uint16_t server;
	struct weft_address address; /* with the server's port */
};

struct dns_lookup {
	struct dns_lookup_options options;
	struct dns_query query; /* for the SRV records */
	unsigned under_way;     /* questions, and one more while questions are being asked */
	bool is_abandoned;
	bool has_failed; /* some question: what was not found is not known to be absent */
	uint32_t ttl_s;
	uint32_t negative_ttl_s;
	const char *why;
	uint32_t server_count;
	uint32_t group;                             /* servers of one priority: the first, */
	uint32_t group_end;                         /* and behind the last */
	struct dns_server servers[DNS_SERVERS_MAX]; /* by priority; a host is the only one */
	uint32_t question_count;
	struct question questions[QUESTIONS_MAX];
	uint32_t address_count;
	struct address addresses[DNS_ENDPOINTS_MAX];
	struct dns_endpoint endpoints[DNS_ENDPOINTS_MAX];
	struct dns_answer answer; /* being read; of SRV: until the last group */
	struct dns_answer part;
};

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* ---- what comes of it ---- */

static void end(struct dns_lookup *lookup, enum dns_finding finding, uint32_t count)
{
	struct dns_found found = {
		.finding = finding,
		.is_partial = finding == DNS_FOUND && lookup->has_failed,
		.why = finding == DNS_FOUND && !lookup->has_failed ? NULL : lookup->why,
		.ttl_s = finding == DNS_FOUND ? lookup->ttl_s : lookup->negative_ttl_s,
		.count = count,
		.endpoints = lookup->endpoints,
	};
	if (!lookup->is_abandoned)
		lookup->options.done(lookup->options.owner, &found);
	mem_free(lookup);
}

static int compare(const void *a, const void *b)
{
	return memcmp(&((const struct dns_endpoint *)a)->address,
		      &((const struct dns_endpoint *)b)->address, sizeof(struct weft_address));
}

/* Those with one address are one, of the sum of weights. */
static uint32_t merge(struct dns_endpoint *endpoints, uint32_t count)
{
	uint32_t kept = 0;
	qsort(endpoints, count, sizeof(*endpoints), compare);
	for (uint32_t i = 0; i < count; i++) {
		if (kept && address_equal(&endpoints[kept - 1].address, &endpoints[i].address))
			endpoints[kept - 1].weight = least(
				endpoints[kept - 1].weight + endpoints[i].weight, DNS_WEIGHT_MAX);
		else
			endpoints[kept++] = endpoints[i];
	}
	return kept;
}

static uint32_t addresses_of(const struct dns_lookup *lookup, uint32_t server)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < lookup->address_count; i++)
		count += lookup->addresses[i].server == server;
	return count;
}

/* By what the weights of the group are to be multiplied. */
static uint32_t scale_of(const struct dns_lookup *lookup)
{
	uint32_t most = 0;
	bool is_finer = false;
	if (lookup->group_end - lookup->group < 2)
		return 1;
	for (uint32_t i = lookup->group; i < lookup->group_end; i++) {
		uint32_t weight = lookup->servers[i].weight;
		most = weight > most ? weight : most;
		is_finer |= weight == 0 || addresses_of(lookup, i) > 1;
	}
	if (!is_finer || most == 0)
		return 1;
	return most * FINER <= DNS_WEIGHT_MAX ? FINER : DNS_WEIGHT_MAX / most;
}

static bool has_weight(const struct dns_lookup *lookup)
{
	for (uint32_t i = lookup->group; i < lookup->group_end; i++) {
		if (lookup->servers[i].weight)
			return true;
	}
	return false;
}

static uint32_t make_endpoints(struct dns_lookup *lookup)
{
	uint32_t scale = scale_of(lookup);
	bool is_weighted = has_weight(lookup);
	for (uint32_t i = 0; i < lookup->address_count; i++) {
		uint32_t server = lookup->addresses[i].server;
		uint32_t share = addresses_of(lookup, server);
		uint32_t weight = lookup->servers[server].weight * scale / share;
		lookup->endpoints[i] = (struct dns_endpoint){
			lookup->addresses[i].address,
			is_weighted && weight ? weight : 1,
		};
	}
	return merge(lookup->endpoints, lookup->address_count);
}

/* ---- addresses ---- */

static bool is_of(const struct dns_address *address, enum dns_type type)
{
	return address_is_v4(&address->address) == (type == DNS_A);
}

static void take_address(struct dns_lookup *lookup, uint32_t server,
			 const struct dns_address *address)
{
	if (lookup->address_count == DNS_ENDPOINTS_MAX)
		return;
	struct address *to = &lookup->addresses[lookup->address_count++];
	to->server = (uint16_t)server;
	to->address = address->address;
	to->address.port = htons(lookup->servers[server].port);
	lookup->ttl_s = least(lookup->ttl_s, address->ttl_s);
}

static void on_addresses(struct dns_query *query, enum dns_outcome outcome, struct span message,
			 const char *why);

static void ask(struct dns_lookup *lookup, uint32_t server, enum dns_type type)
{
	if (lookup->question_count == QUESTIONS_MAX)
		return;
	struct question *question = &lookup->questions[lookup->question_count++];
	*question = (struct question){.query = {.done = on_addresses},
				      .lookup = lookup,
				      .server = (uint16_t)server,
				      .type = (uint16_t)type};
	lookup->under_way++;
	dns_resolver_ask(lookup->options.resolver, lookup->servers[server].target, type,
			 &question->query);
}

static void ask_addresses(struct dns_lookup *lookup, uint32_t server)
{
	enum dns_family family = lookup->options.family;
	if (family != DNS_FAMILY_V6)
		ask(lookup, server, DNS_A);
	if (family == DNS_FAMILY_V6 || family == DNS_FAMILY_BOTH)
		ask(lookup, server, DNS_AAAA);
}

/* From the additional section, if it has what would be asked for first. */
static bool take_additional(struct dns_lookup *lookup, uint32_t server)
{
	const struct dns_answer *answer = &lookup->answer;
	enum dns_type type = lookup->options.family == DNS_FAMILY_V6 ? DNS_AAAA : DNS_A;
	bool has_any = false;
	if (!lookup->options.is_service || lookup->options.family == DNS_FAMILY_BOTH)
		return false;
	for (uint32_t i = 0; i < answer->address_count; i++) {
		const struct dns_address *address = &answer->addresses[i];
		const char *target = answer->servers[address->server].target;
		if (!is_of(address, type) || strcmp(target, lookup->servers[server].target) != 0)
			continue;
		take_address(lookup, server, address);
		has_any = true;
	}
	return has_any;
}

/* ---- groups of one priority ---- */

static void begin_group(struct dns_lookup *lookup)
{
	lookup->group = lookup->group_end;
	lookup->question_count = 0;
	while (lookup->group_end < lookup->server_count &&
	       lookup->servers[lookup->group_end].priority ==
		       lookup->servers[lookup->group].priority)
		lookup->group_end++;
	for (uint32_t i = lookup->group; i < lookup->group_end; i++) {
		if (!take_additional(lookup, i))
			ask_addresses(lookup, i);
	}
}

/* A question is over, or all of a group were asked. The next group only when none of this one has
 * an address. */
static void go_on(struct dns_lookup *lookup)
{
	while (--lookup->under_way == 0) {
		uint32_t count = make_endpoints(lookup);
		if (count) {
			end(lookup, DNS_FOUND, count);
			return;
		}
		if (lookup->is_abandoned || lookup->group_end == lookup->server_count) {
			end(lookup, lookup->has_failed ? DNS_UNKNOWN : DNS_ABSENT, 0);
			return;
		}
		lookup->under_way = 1;
		begin_group(lookup);
	}
}

/* ---- answers ---- */

static void note(struct dns_lookup *lookup, enum dns_outcome outcome, const char *why)
{
	bool is_negative = outcome == DNS_NO_NAME || outcome == DNS_NO_DATA;
	if (!is_negative || !lookup->has_failed)
		lookup->why = why;
	lookup->has_failed |= !is_negative;
	lookup->is_abandoned |= outcome == DNS_CANCELLED;
}

/* False: it is none of use. */
static bool read_answer(struct dns_lookup *lookup, enum dns_outcome outcome, struct span message,
			const char *why, const char *name, enum dns_type type,
			struct dns_answer *answer)
{
	*answer = (struct dns_answer){.ttl_s = UINT32_MAX, .negative_ttl_s = UINT32_MAX};
	if (outcome != DNS_ANSWERED)
		note(lookup, outcome, why);
	if (outcome == DNS_FAILED || outcome == DNS_CANCELLED)
		return false;
	if (dns_answer_read(message, name, type, answer)) {
		if (outcome == DNS_ANSWERED)
			note(lookup, DNS_FAILED, "the DNS server's answer is malformed");
		return false;
	}
	lookup->negative_ttl_s = least(lookup->negative_ttl_s, answer->negative_ttl_s);
	if (outcome != DNS_ANSWERED)
		return false;
	if (answer->address_count == 0 && answer->server_count == 0)
		note(lookup, DNS_NO_DATA, "DNS has the name, and no record of this type");
	return true;
}

static void on_addresses(struct dns_query *query, enum dns_outcome outcome, struct span message,
			 const char *why)
{
	struct question *question = container_of(query, struct question, query);
	struct dns_lookup *lookup = question->lookup;
	struct dns_answer *answer = &lookup->part;
	uint32_t server = question->server;
	uint32_t before = lookup->address_count;
	enum dns_type type = (enum dns_type)question->type;
	if (read_answer(lookup, outcome, message, why, lookup->servers[server].target, type,
			answer)) {
		lookup->ttl_s = least(lookup->ttl_s, answer->ttl_s);
		for (uint32_t i = 0; i < answer->address_count; i++)
			take_address(lookup, server, &answer->addresses[i]);
	}
	if (lookup->options.family == DNS_FAMILY_AUTO && type == DNS_A && !lookup->is_abandoned &&
	    lookup->address_count == before)
		ask(lookup, server, DNS_AAAA);
	go_on(lookup);
}

static int compare_priorities(const void *a, const void *b)
{
	const struct dns_server *one = a, *other = b;
	return (one->priority > other->priority) - (one->priority < other->priority);
}

static void on_servers(struct dns_query *query, enum dns_outcome outcome, struct span message,
		       const char *why)
{
	struct dns_lookup *lookup = container_of(query, struct dns_lookup, query);
	struct dns_answer *answer = &lookup->answer;
	if (read_answer(lookup, outcome, message, why, lookup->options.name, DNS_SRV, answer)) {
		lookup->ttl_s = least(lookup->ttl_s, answer->ttl_s);
		for (uint32_t i = 0; i < answer->server_count; i++) {
			if (*answer->servers[i].target && answer->servers[i].port)
				lookup->servers[lookup->server_count++] = answer->servers[i];
		}
		if (answer->server_count && !lookup->server_count)
			note(lookup, DNS_NO_DATA,
			     "DNS says that the service is decidedly not available (SRV with . "
			     "as its target)");
		qsort(lookup->servers, lookup->server_count, sizeof(*lookup->servers),
		      compare_priorities);
	}
	go_on(lookup);
}

/* ---- life ---- */

int dns_lookup_start(const struct dns_lookup_options *options, struct dns_lookup **ret_lookup)
{
	struct dns_lookup *lookup = mem_zalloc(sizeof(*lookup));
	if (!lookup)
		return -ENOMEM;
	lookup->options = *options;
	lookup->ttl_s = lookup->negative_ttl_s = UINT32_MAX;
	lookup->why = "DNS says nothing of it";
	lookup->under_way = 1;
	*ret_lookup = lookup;
	if (options->is_service) {
		lookup->query.done = on_servers;
		dns_resolver_ask(options->resolver, options->name, DNS_SRV, &lookup->query);
		return 0;
	}
	struct dns_server *host = &lookup->servers[lookup->server_count++];
	host->port = options->port;
	host->weight = 1;
	snprintf(host->target, sizeof(host->target), "%s", options->name);
	begin_group(lookup);
	go_on(lookup);
	return 0;
}

void dns_lookup_abandon(struct dns_lookup *lookup)
{
	if (lookup)
		lookup->is_abandoned = true;
}
