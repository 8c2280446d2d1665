#include "control/dns_names.h"

#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "control/state.h"
#include "model/keys.h"

#define TICK_NS 1000000000ull

static uint64_t now_ns(const struct dns_names *names)
{
	return io_now_ns(names->ring);
}

static void changed(struct dns_names *names)
{
	names->is_changed = true;
	control_sources_changed(names->control);
}

static void set_state(struct dns_name *name, enum dns_name_state state)
{
	name->namer->counts[name->state]--;
	name->state = state;
	name->namer->counts[state]++;
}

/* ---- look-ups ---- */

static void ask(struct dns_name *name);

static void ask_later(struct dns_name *name, uint64_t wait_ns)
{
	struct timers *timers = io_timers(name->names->ring);
	if (timer_set(timers, &name->timer, now_ns(name->names) + wait_ns))
		log_warn("no_timer", "what=dns name=%s", name->text);
}

static bool is_same(const struct dns_name *name, const struct dns_found *found)
{
	if (name->count != found->count)
		return false;
	for (uint32_t i = 0; i < found->count; i++) {
		const struct endpoint_draft *endpoint = &name->endpoints[i];
		if (!address_equal(&endpoint->address, &found->endpoints[i].address) ||
		    endpoint->weight != found->endpoints[i].weight)
			return false;
	}
	return true;
}

/* 0 or -ENOMEM. */
static int keep_endpoints(struct dns_name *name, const struct dns_found *found)
{
	struct endpoint_draft *endpoints = NULL;
	if (found->count) {
		endpoints = mem_zalloc(found->count * sizeof(*endpoints));
		if (!endpoints)
			return -ENOMEM;
	}
	for (uint32_t i = 0; i < found->count; i++) {
		endpoints[i].address = found->endpoints[i].address;
		endpoints[i].weight = found->endpoints[i].weight;
	}
	mem_free(name->endpoints);
	name->endpoints = endpoints;
	name->count = found->count;
	return 0;
}

/* What was known of it stays. */
static void take_failure(struct dns_name *name, const char *why)
{
	bool was_known = name->answered_ns != 0;
	name->failed++;
	name->why = why;
	if (name->failures++ == 0)
		log_warn("dns_failed", "name=%s error=\"%s\" %s", name->text, why,
			 was_known ? "meanwhile=\"the last answer serves\""
				   : "meanwhile=\"it has no endpoints\"");
	if (was_known || name->state == DNS_NAME_UNKNOWN)
		return;
	set_state(name, DNS_NAME_UNKNOWN);
	changed(name->names);
}

static void take_answer(struct dns_name *name, const struct dns_found *found)
{
	enum dns_name_state state = found->finding == DNS_FOUND ? DNS_NAME_FOUND : DNS_NAME_ABSENT;
	bool is_news = state != name->state || !is_same(name, found);
	if (is_news && keep_endpoints(name, found)) {
		take_failure(name, "out of memory");
		return;
	}
	if (name->failures)
		log_info("dns_answers_again", "name=%s failures=%u", name->text, name->failures);
	name->failures = 0;
	name->answered_ns = now_ns(name->names);
	name->why = found->why;
	if (!is_news)
		return;
	set_state(name, state);
	changed(name->names);
}

/* A question that fails at once ends in here again: the loop goes on with the next, not that call.
 */
static void ask_next(struct dns_namer *namer)
{
	if (namer->is_asking)
		return;
	namer->is_asking = true;
	while (!list_is_empty(&namer->waiting) && namer->under_way < DNS_LOOKUPS_MOST) {
		struct dns_name *name = list_entry(namer->waiting.next, struct dns_name, waiting);
		list_remove(&name->waiting);
		ask(name);
	}
	namer->is_asking = false;
}

/* What was found before is more, and not yet too old to be believed. */
static bool keeps_whole(const struct dns_name *name, const struct dns_found *found)
{
	return found->is_partial && name->state == DNS_NAME_FOUND && !is_same(name, found) &&
	       name->failures < DNS_PARTIAL_MOST;
}

static void on_found(void *owner, const struct dns_found *found)
{
	struct dns_name *name = owner;
	struct dns_namer *namer = name->namer;
	name->lookup = NULL;
	namer->under_way--;
	namer->found[found->finding]++;
	if (found->finding == DNS_UNKNOWN || keeps_whole(name, found))
		take_failure(name, found->why);
	else
		take_answer(name, found);
	ask_later(name, dns_pace_wait(&namer->pace, name->failures ? DNS_UNKNOWN : found->finding,
				      found->ttl_s, name->failures, &name->names->rng));
	ask_next(namer);
}

static void ask(struct dns_name *name)
{
	struct dns_namer *namer = name->namer;
	if (name->lookup || list_is_linked(&name->waiting) || name->names->is_closing)
		return;
	timer_clear(io_timers(name->names->ring), &name->timer);
	if (namer->under_way >= DNS_LOOKUPS_MOST) {
		list_add_last(&namer->waiting, &name->waiting);
		return;
	}
	const struct dns_lookup_options options = {
		.resolver = namer->resolver,
		.name = name->host,
		.is_service = namer->kind == NAMER_DNS_SRV,
		.port = name->port,
		.family = namer->family,
		.done = on_found,
		.owner = name,
	};
	namer->under_way++;
	if (namer->resolver && dns_lookup_start(&options, &name->lookup) == 0)
		return;
	const struct dns_found nothing = {
		.finding = DNS_UNKNOWN,
		.why = namer->resolver ? "out of memory" : "the resolver could not be opened",
		.ttl_s = UINT32_MAX,
	};
	on_found(name, &nothing);
}

/* ---- names ---- */

struct dns_name *dns_name_find(const struct dns_names *names, struct span service)
{
	struct hash_item *item = hash_first(&names->table, hash_text(service, 0));
	for (; item; item = hash_next(item)) {
		struct dns_name *name = hash_entry(item, struct dns_name, item);
		if (span_is(service, name->text))
			return name;
	}
	return NULL;
}

/* The look-up, or the wait for one, ends. */
static void stop_asking(struct dns_name *name)
{
	if (name->lookup)
		name->namer->under_way--;
	dns_lookup_abandon(name->lookup);
	name->lookup = NULL;
	list_remove(&name->waiting);
	timer_clear(io_timers(name->names->ring), &name->timer);
}

void dns_name_forget(struct dns_name *name)
{
	stop_asking(name);
	hash_remove(&name->names->table, &name->item);
	list_remove(&name->link);
	name->namer->counts[name->state]--;
	name->names->is_changed = true;
	mem_free(name->endpoints);
	mem_free(name);
}

void dns_name_move(struct dns_name *name, struct dns_namer *namer)
{
	stop_asking(name);
	list_remove(&name->link);
	list_add_last(&namer->all, &name->link);
	name->namer->counts[name->state]--;
	namer->counts[name->state]++;
	name->namer = namer;
	if (name->state != DNS_NAME_REFUSED && *name->host)
		ask_later(name, 0);
}

/* The whole name as DNS knows it. False: it is none. */
static bool complete_host(const struct dns_namer *namer, struct span host, struct dns_name *name)
{
	bool is_complete = host.size && host.data[host.size - 1] == '.';
	bool has_domain = *namer->domain && !is_complete;
	int size = snprintf(name->host, sizeof(name->host), "%.*s%s%s", SPAN_PRINT(host),
			    has_domain ? "." : "", has_domain ? namer->domain : "");
	if (size > 0 && (size_t)size < sizeof(name->host) &&
	    dns_name_is_valid(span_of(name->host, (size_t)size)))
		return true;
	name->host[0] = '\0';
	return false;
}

/* "HOST/PORT" or "NAME". False: it is not of that form. */
static bool parse_rest(const struct dns_namer *namer, struct span rest, struct span *ret_host,
		       uint16_t *ret_port)
{
	uint64_t port;
	*ret_port = 0;
	*ret_host = rest;
	if (namer->kind == NAMER_DNS_SRV)
		return rest.size && !memchr(rest.data, '/', rest.size);
	if (!span_split(&rest, '/', ret_host) || !rest.data || ret_host->size == 0 ||
	    span_to_u64(rest, &port) || port == 0 || port > 65535)
		return false;
	*ret_port = (uint16_t)port;
	return true;
}

/* What is behind the namer's prefix; false: it is another's. */
static bool cut_prefix(const struct dns_namer *namer, struct span service, struct span *ret_rest)
{
	size_t size = strlen(namer->prefix);
	if (service.size < size + 4 || memcmp(service.data, "#/", 2) != 0 ||
	    memcmp(service.data + 2, namer->prefix, size) != 0 || service.data[size + 2] != '/')
		return false;
	*ret_rest = span_of(service.data + size + 3, service.size - size - 3);
	return true;
}

/* An address needs nobody to be asked. */
static bool take_address(struct dns_name *name, struct span host)
{
	struct dns_endpoint endpoint = {.weight = 1};
	const struct dns_found found = {
		.finding = DNS_FOUND, .count = 1, .endpoints = &endpoint, .ttl_s = UINT32_MAX};
	if (name->port == 0 || address_parse_ip(host, name->port, &endpoint.address))
		return false;
	take_answer(name, &found);
	if (name->failures) /* no memory for it */
		ask_later(name, name->namer->pace.least_ns);
	return true;
}

static void refuse(struct dns_name *name)
{
	struct dns_namer *namer = name->namer;
	namer->refused++;
	name->why = "the namer keeps as many names as `names` allows";
	set_state(name, DNS_NAME_REFUSED);
	log_warn("dns_name_refused",
		 "name=%s limit=%u names remedy=\"namers[].names of the prefix %s\"", name->text,
		 namer->names_most, namer->prefix);
	changed(name->names);
}

static uint32_t kept_count(const struct dns_namer *namer)
{
	uint32_t count = 0;
	for (int i = 0; i < DNS_NAME_STATES; i++)
		count += i == DNS_NAME_REFUSED ? 0 : namer->counts[i];
	return count;
}

/* The one unused for longest, if it has been for long enough. */
static struct dns_name *find_unused(struct dns_namer *namer, enum dns_name_state only,
				    uint64_t unused_ns)
{
	struct dns_name *found = NULL;
	list_each (&namer->all, link) {
		struct dns_name *name = list_entry(link, struct dns_name, link);
		bool is_refused = name->state == DNS_NAME_REFUSED;
		if (is_refused != (only == DNS_NAME_REFUSED) || name->is_literal ||
		    now_ns(namer->names) - name->used_ns < unused_ns)
			continue;
		if (!found || name->used_ns < found->used_ns)
			found = name;
	}
	return found;
}

/* Room for one more; false: it is to be refused. What stands in the dtab goes before all that
 * requests led to. */
static bool make_room(struct dns_namer *namer, bool is_literal)
{
	if (kept_count(namer) < namer->names_most)
		return true;
	struct dns_name *unused = find_unused(namer, DNS_NAME_ASKED, is_literal ? 0 : DNS_USED_NS);
	if (unused)
		dns_name_forget(unused);
	return unused != NULL;
}

static void begin(struct dns_name *name, struct span host)
{
	static const struct dns_found none = {
		.finding = DNS_ABSENT,
		.why = "this is no name of DNS: letters, digits, - and _ with dots, at most 253",
		.ttl_s = UINT32_MAX};
	if (take_address(name, host))
		return;
	if (complete_host(name->namer, host, name))
		ask(name);
	else
		take_answer(name, &none);
}

static void on_due(struct timer *timer)
{
	struct dns_name *name = container_of(timer, struct dns_name, timer);
	struct span rest, host;
	uint16_t port;
	if (*name->host)
		ask(name);
	else if (cut_prefix(name->namer, span_text(name->text), &rest) &&
		 parse_rest(name->namer, rest, &host, &port))
		take_address(name, host);
}

struct dns_name *dns_name_add(struct dns_namer *namer, struct span service, bool is_literal)
{
	struct dns_names *names = namer->names;
	struct span rest, host;
	uint16_t port;
	if (service.size >= WEFT_NAME_MAX || !cut_prefix(namer, service, &rest) ||
	    !parse_rest(namer, rest, &host, &port))
		return NULL;
	bool has_room = make_room(namer, is_literal);
	if (!has_room && namer->counts[DNS_NAME_REFUSED] >= DNS_REFUSED_MOST)
		return NULL; /* who needs it waits in vain */
	struct dns_name *name = mem_zalloc(sizeof(*name));
	if (!name)
		return NULL;
	memcpy(name->text, service.data, service.size);
	if (hash_add(&names->table, &name->item, hash_text(service, 0))) {
		mem_free(name);
		return NULL;
	}
	name->names = names;
	name->namer = namer;
	name->is_literal = is_literal;
	name->port = port;
	name->used_ns = now_ns(names);
	list_init(&name->waiting);
	list_add_last(&namer->all, &name->link);
	timer_init(&name->timer, on_due);
	namer->counts[DNS_NAME_ASKED]++;
	if (has_room)
		begin(name, host);
	else
		refuse(name);
	return name;
}

static struct dns_name *find_refused_literal(struct dns_namer *namer)
{
	list_each (&namer->all, link) {
		struct dns_name *name = list_entry(link, struct dns_name, link);
		if (name->is_literal && name->state == DNS_NAME_REFUSED)
			return name;
	}
	return NULL;
}

/* Others are forgotten and wanted anew; these would stay as they are. */
static void admit_literals(struct dns_namer *namer)
{
	struct dns_name *name;
	struct span rest, host;
	while (namer->counts[DNS_NAME_REFUSED] && (name = find_refused_literal(namer)) &&
	       make_room(namer, true) && cut_prefix(namer, span_text(name->text), &rest) &&
	       parse_rest(namer, rest, &host, &name->port)) {
		set_state(name, DNS_NAME_ASKED);
		changed(namer->names);
		begin(name, host);
	}
}

void dns_names_want(struct dns_names *names, struct span service)
{
	struct dns_name *name = dns_name_find(names, service);
	if (name && name->state != DNS_NAME_REFUSED)
		name->used_ns = now_ns(names);
	if (name)
		return;
	list_each (&names->namers, link) {
		struct dns_namer *namer = list_entry(link, struct dns_namer, link);
		struct span rest;
		if (!namer->is_configured || !cut_prefix(namer, service, &rest))
			continue;
		if (dns_name_add(namer, service, false))
			return;
	}
}

/* ---- as a source ---- */

static int make_capacity(struct dns_names *names)
{
	struct draft_list *services = &names->source.services;
	uint32_t count = names->table.count;
	if (count <= names->capacity)
		return 0;
	struct service_draft *items =
		mem_realloc(services->items, 2 * count * sizeof(struct service_draft));
	if (!items)
		return -ENOMEM;
	services->items = items;
	names->capacity = 2 * count;
	return 0;
}

static void add_draft(struct dns_names *names, const struct dns_name *name)
{
	struct service_draft *draft = (struct service_draft *)names->source.services.items +
				      names->source.services.count++;
	*draft = names->defaults;
	draft->may_be_left_out = true;
	draft->name = name->text;
	if (name->state == DNS_NAME_ABSENT)
		draft->standing = STANDING_ABSENT;
	else if (name->state == DNS_NAME_REFUSED)
		draft->standing = STANDING_REFUSED;
	if (name->state == DNS_NAME_FOUND)
		draft->endpoints =
			(struct draft_list){.count = name->count, .items = name->endpoints};
}

static void refresh(struct source *source)
{
	struct dns_names *names = container_of(source, struct dns_names, source);
	if (!names->is_changed)
		return;
	source->services.count = 0;
	if (make_capacity(names)) {
		log_warn("dns_names_left_out", "error=\"out of memory\"");
		return; /* at the next build */
	}
	names->is_changed = false;
	list_each (&names->namers, link) {
		const struct dns_namer *namer = list_entry(link, struct dns_namer, link);
		for (struct list *at = namer->all.next; namer->is_configured && at != &namer->all;
		     at = at->next) {
			const struct dns_name *name = list_entry(at, struct dns_name, link);
			if (name->state != DNS_NAME_ASKED)
				add_draft(names, name);
		}
	}
}

/* ---- time ---- */

/* What workers used since the last time. */
static void note_use(struct dns_names *names)
{
	const struct snapshot *snapshot = names->control->current;
	hash_each(&names->table, item)
	{
		struct dns_name *name = hash_entry(item, struct dns_name, item);
		const struct service *service =
			snapshot ? snapshot_service_named(snapshot, span_text(name->text)) : NULL;
		bool is_used = service && service_take_wanted(service);
		if (is_used && name->state != DNS_NAME_REFUSED)
			name->used_ns = now_ns(names);
	}
}

static void sweep(struct dns_namer *namer)
{
	struct dns_name *name;
	bool has_any = false;
	while ((name = find_unused(namer, DNS_NAME_REFUSED, DNS_REFUSED_NS)) ||
	       (name = find_unused(namer, DNS_NAME_ASKED, DNS_IDLE_NS))) {
		dns_name_forget(name);
		has_any = true;
	}
	if (has_any)
		changed(namer->names);
	admit_literals(namer);
}

static void on_tick(struct timer *timer)
{
	struct dns_names *names = container_of(timer, struct dns_names, tick);
	note_use(names);
	list_each (&names->namers, link)
		sweep(list_entry(link, struct dns_namer, link));
	dns_namers_tick(names);
	if (timer_set(io_timers(names->ring), timer, now_ns(names) + TICK_NS))
		log_warn("no_timer", "what=dns_tick");
}

/* ---- life ---- */

void dns_names_init(struct dns_names *names, struct control *control, struct io_ring *ring)
{
	names->control = control;
	names->ring = ring;
	names->source.configure = dns_names_configure;
	names->source.refresh = refresh;
	names->source.built = dns_names_built;
	rng_init(&names->rng, io_now_ns(ring));
	keys_set_defaults(key_child(NULL, span_text("services")), &names->defaults);
	list_init(&names->namers);
	list_init(&names->leaving);
	timer_init(&names->tick, on_tick);
	control_source_add(control, &names->source);
	if (timer_set(io_timers(ring), &names->tick, io_now_ns(ring) + TICK_NS))
		log_warn("no_timer", "what=dns_tick");
}

void dns_names_close(struct dns_names *names)
{
	names->is_closing = true;
	timer_clear(io_timers(names->ring), &names->tick);
	dns_namers_free(names);
	hash_fini(&names->table);
	mem_free(names->source.services.items);
	mem_free(names->dtab);
}
