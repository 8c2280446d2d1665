/* What a request's name is bound to, remembered and anew, by dtabs of 10 and 1,000 entries. */
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "micro.h"
#include "model/builder.h"
#include "policy/binder.h"

#define SERVICES 1000u
#define NAMES    (2 * BINDER_NAMES_MAX) /* in turn: more than are remembered */

enum { CACHED, UNCACHED, LOCAL };

struct names {
	struct snapshot *snapshot;
	struct binder *binder;
	uint32_t count; /* of names that are asked for in turn */
	uint32_t next;
	struct span local;
	bool has_local;
	char texts[NAMES][24];
};

/* "/svc" leads to the services; each of the others to one of them, and none takes /svc/host-…. */
static void print_dtab(struct text *dtab, uint32_t entries)
{
	text_printf(dtab, "/srv => /#/weft ; /svc => /srv ; ");
	for (uint32_t i = 2; i < entries; i++)
		text_printf(dtab, "/svc/alias-%u => /srv/service-%u ; ", i, i % SERVICES);
}

static struct snapshot *build(uint32_t entries)
{
	static char names[SERVICES][16];
	static struct service_draft services[SERVICES];
	const struct build_options options = {.namers = &namer_compiler};
	struct text dtab = {0};
	struct snapshot *snapshot;
	print_dtab(&dtab, entries);
	for (uint32_t i = 0; i < SERVICES; i++) {
		snprintf(names[i], sizeof(names[i]), "service-%u", i);
		services[i] = (struct service_draft){.line = 1, .name = names[i]};
	}
	struct draft draft = {.services = {SERVICES, services}, .dtab.text = dtab.data};
	struct settings *settings = &draft.settings;
	settings->admin_address = settings->control_socket = settings->pin_dir = "";
	settings->cgroup_root = settings->kube_api = settings->kube_node = "";
	settings->proc_root = settings->log_level = "";
	if (!dtab.data || snapshot_build(&draft, &options, &snapshot))
		exit(1);
	text_fini(&dtab);
	return snapshot;
}

static void *names_open(const struct micro_case *of)
{
	struct names *all = micro_alloc(sizeof(*all));
	all->snapshot = build(of->size);
	all->binder = binder_new();
	if (!all->binder)
		exit(1);
	all->count = of->variant == UNCACHED ? NAMES : 16;
	all->has_local = of->variant == LOCAL;
	all->local = span_text("/svc/service-1 => /svc/service-2");
	for (uint32_t i = 0; i < NAMES; i++)
		snprintf(all->texts[i], sizeof(all->texts[i]), "/svc/service-%u", i);
	return all;
}

static void names_run(void *state, uint32_t calls)
{
	struct names *all = state;
	for (uint32_t i = 0; i < calls; i++) {
		struct bind_request request = {span_text(all->texts[all->next++ % all->count]),
					       &all->local, all->has_local};
		struct binding binding;
		struct name_error error;
		uint32_t local;
		if (binder_bind(all->binder, all->snapshot, &request, &binding, &local, &error))
			exit(1);
		micro_use(binding.bound);
	}
}

static void names_close(void *state)
{
	struct names *all = state;
	binder_free(all->binder);
	snapshot_free(all->snapshot);
	free(all);
}

#define CASE(text, what, entries)                                                                  \
	{                                                                                          \
		.name = text, .size = (entries), .variant = (what), .open = names_open,            \
		.run = names_run, .close = names_close                                             \
	}

static const struct micro_case cases[] = {
	CASE("dtab-cached-10", CACHED, 10),          CASE("dtab-cached-1000", CACHED, 1000),
	CASE("dtab-uncached-10", UNCACHED, 10),      CASE("dtab-uncached-1000", UNCACHED, 1000),
	CASE("dtab-cached-local-1000", LOCAL, 1000),
};

const struct micro_subject micro_naming = {"naming", cases, sizeof(cases) / sizeof(cases[0])};
