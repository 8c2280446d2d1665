/* Namers that ask DNS as the config has them, and the names that stand in its dtab. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "control/dns_names.h"
#include "control/state.h"
#include "model/dns_service.h"

#define TRIES 2 /* each server, before a look-up has failed */

static const char *prefix_of(const struct namer_draft *draft)
{
	if (*draft->prefix)
		return draft->prefix;
	return draft->kind == NAMER_DNS ? "dns" : "dns_srv";
}

/* ---- namers ---- */

/* All that matters here of a namer's element, as a text; NULL = out of memory. */
static char *print_form(const struct namer_draft *draft)
{
	const struct draft_value *servers = draft->servers.items;
	struct text form = {0};
	char address[ADDRESS_TEXT_MAX];
	text_printf(&form, "%d\n%s\n%s\n%u %u %u %llu %llu %llu %llu", (int)draft->kind,
		    prefix_of(draft), draft->domain, draft->server_port, draft->family,
		    draft->names_most, (unsigned long long)draft->timeout_ns,
		    (unsigned long long)draft->refresh_ns, (unsigned long long)draft->ttl_min_ns,
		    (unsigned long long)draft->ttl_max_ns);
	for (uint32_t i = 0; i < draft->servers.count; i++)
		text_printf(&form, " %s", address_print_ip(&servers[i].address, address));
	if (form.failed)
		text_fini(&form);
	return form.data;
}

static void open_resolver(struct dns_namer *namer)
{
	struct text why = {0};
	const struct dns_resolver_options options = {
		.ring = namer->names->ring,
		.servers = namer->servers,
		.server_count = namer->server_count,
		.timeout_ns = namer->timeout_ns,
		.tries = TRIES,
	};
	int error = dns_resolver_open(&options, &why, &namer->resolver);
	if (error)
		log_warn("dns_resolver_not_opened", "prefix=%s error=\"%s\"", namer->prefix,
			 why.data ? why.data : strerror(-error));
	text_fini(&why);
}

static void take_servers(struct dns_namer *namer, const struct namer_draft *draft)
{
	const struct draft_value *servers = draft->servers.items;
	for (uint32_t i = 0; i < draft->servers.count && i < DNS_RESOLVER_SERVERS_MAX; i++) {
		namer->servers[i] = servers[i].address;
		namer->servers[i].port = htons(draft->server_port);
		namer->server_count++;
	}
}

/* Takes `form` over; without memory the namer comes at the next build. */
static void add_namer(struct dns_names *names, const struct namer_draft *draft, char *form)
{
	struct dns_namer *namer = mem_zalloc(sizeof(*namer));
	if (!namer) {
		mem_free(form);
		return;
	}
	namer->names = names;
	namer->form = form;
	namer->kind = draft->kind;
	namer->family = (enum dns_family)draft->family;
	namer->names_most = draft->names_most;
	namer->timeout_ns = draft->timeout_ns;
	namer->pace = (struct dns_pace){draft->refresh_ns, draft->ttl_min_ns, draft->ttl_max_ns};
	namer->is_configured = true;
	take_servers(namer, draft);
	const char *domain = *draft->domain == '.' ? draft->domain + 1 : draft->domain;
	snprintf(namer->domain, sizeof(namer->domain), "%s", domain);
	snprintf(namer->prefix, sizeof(namer->prefix), "%s", prefix_of(draft));
	list_init(&namer->all);
	list_init(&namer->waiting);
	list_add_last(&names->namers, &namer->link);
	open_resolver(namer);
}

/* Its names are gone; what is left of it ends by and by. */
static void retire(struct dns_namer *namer)
{
	list_remove(&namer->link);
	mem_free(namer->form);
	namer->form = NULL;
	dns_resolver_stop(namer->resolver);
	list_add_last(&namer->names->leaving, &namer->link);
}

static void free_left(struct dns_namer *namer)
{
	list_remove(&namer->link);
	dns_resolver_close(namer->resolver);
	mem_free(namer);
}

static void drop(struct dns_namer *namer)
{
	list_each (&namer->all, link)
		dns_name_forget(list_entry(link, struct dns_name, link));
	retire(namer);
}

void dns_namers_tick(struct dns_names *names)
{
	list_each (&names->leaving, link) {
		struct dns_namer *namer = list_entry(link, struct dns_namer, link);
		if (dns_resolver_has_ended(namer->resolver))
			free_left(namer);
	}
	list_each (&names->namers, link) {
		struct dns_namer *namer = list_entry(link, struct dns_namer, link);
		if (!namer->resolver)
			open_resolver(namer);
	}
}

void dns_namers_free(struct dns_names *names)
{
	list_each (&names->namers, link)
		drop(list_entry(link, struct dns_namer, link));
	list_each (&names->leaving, link)
		free_left(list_entry(link, struct dns_namer, link));
}

static struct dns_namer *find_namer(struct dns_names *names, const char *form)
{
	list_each (&names->namers, link) {
		struct dns_namer *namer = list_entry(link, struct dns_namer, link);
		if (strcmp(namer->form, form) == 0)
			return namer;
	}
	return NULL;
}

/* The same names mean the same: only how they are asked for differs. */
static bool is_successor(const struct dns_namer *namer, const struct dns_namer *of)
{
	return namer->is_configured && !of->is_configured && namer->kind == of->kind &&
	       namer->family == of->family && strcmp(namer->prefix, of->prefix) == 0 &&
	       strcmp(namer->domain, of->domain) == 0;
}

/* Names of a namer that changes, or whose change is taken back, stay known. */
static void hand_over(struct dns_names *names)
{
	list_each (&names->namers, link) {
		struct dns_namer *from = list_entry(link, struct dns_namer, link);
		list_each (&names->namers, other) {
			struct dns_namer *to = list_entry(other, struct dns_namer, link);
			if (!is_successor(to, from))
				continue;
			list_each (&from->all, item)
				dns_name_move(list_entry(item, struct dns_name, link), to);
		}
	}
}

/* ---- names that stand in the dtab ---- */

/* "#/PREFIX/NAME" of a leaf below a namer's prefix. */
static void take_leaf(struct dns_names *names, struct name_path path)
{
	list_each (&names->namers, link) {
		struct dns_namer *namer = list_entry(link, struct dns_namer, link);
		struct span prefix = span_text(namer->prefix);
		char service[WEFT_NAME_MAX];
		struct name_path rest;
		if (!namer->is_configured || !dns_service_below(prefix, path, &rest) ||
		    dns_service_print(namer->kind, prefix, rest, service))
			continue;
		struct dns_name *name = dns_name_find(names, span_text(service));
		if (name)
			name->is_literal = true;
		else
			dns_name_add(namer, span_text(service), true);
	}
}

static void take_tree(struct dns_names *names, const struct name_tree *tree)
{
	if (tree->kind == NAME_LEAF)
		take_leaf(names, tree->path);
	name_tree_each(tree, child) take_tree(names, child);
}

/* A dtab that is none is refused by the build. */
static void take_literals(struct dns_names *names, const char *text)
{
	struct dtab *dtab;
	struct name_error where;
	hash_each(&names->table, item) hash_entry(item, struct dns_name, item)->is_literal = false;
	if (dtab_parse(span_text(text), &dtab, &where))
		return;
	for (uint32_t i = 0; i < dtab->count; i++)
		take_tree(names, dtab->entries[i].tree);
	dtab_free(dtab);
}

/* ---- the config ---- */

/* Whether namers came or went. */
static bool configure_namers(struct dns_names *names, const struct draft *config)
{
	const struct namer_draft *drafts = config->namers.items;
	bool has_changed = false;
	list_each (&names->namers, link)
		list_entry(link, struct dns_namer, link)->is_configured = false;
	for (uint32_t i = 0; i < config->namers.count; i++) {
		if (!namer_asks_dns(drafts[i].kind))
			continue;
		char *form = print_form(&drafts[i]);
		struct dns_namer *namer = form ? find_namer(names, form) : NULL;
		if (namer) {
			namer->is_configured = true;
			mem_free(form);
		} else if (form) {
			add_namer(names, &drafts[i], form);
			has_changed = true;
		}
	}
	list_each (&names->namers, link)
		has_changed |= !list_entry(link, struct dns_namer, link)->is_configured;
	return has_changed;
}

void dns_names_configure(struct source *source, const struct draft *config)
{
	struct dns_names *names = container_of(source, struct dns_names, source);
	const char *dtab = config->dtab.text ? config->dtab.text : "";
	bool has_changed = configure_namers(names, config);
	if (!has_changed && names->dtab && strcmp(names->dtab, dtab) == 0)
		return;
	names->is_changed = true;
	hand_over(names);
	take_literals(names, dtab);
	mem_free(names->dtab);
	names->dtab = mem_text(dtab, strlen(dtab));
}

void dns_names_built(struct source *source, const struct snapshot *snapshot)
{
	struct dns_names *names = container_of(source, struct dns_names, source);
	(void)snapshot;
	list_each (&names->namers, link) {
		struct dns_namer *namer = list_entry(link, struct dns_namer, link);
		if (!namer->is_configured)
			drop(namer);
	}
}
