#include "policy/binder.h"

#include <errno.h>

#include "base/list.h"
#include "base/mem.h"
#include "base/mix.h"
#include "model/dns_service.h"
#include "policy/rewrite_namer.h"

#define BUCKETS           256
#define NAMES_PER_SERVICE 8 /* segments that a service's name may have */
#define USED_MAX          8 /* names of DNS that one remembered name may lead to */

/* A name that was bound. */
struct entry {
	struct list by_use; /* of the binder, the last used first */
	struct entry *next; /* of its bucket */
	uint64_t hash;
	struct text key; /* name, then each local text behind a NUL */
	struct text local;
	struct bound_name *bound;
	/* Of namers that ask DNS, of the binder's snapshot: to be said to be in use. */
	uint32_t used_count;
	const struct service *used[USED_MAX];
};

struct known_namer {
	struct binder *binder;
	const struct snapshot *snapshot;
	const struct namer_rule *rule; /* NULL: the services by their names */
};

struct binder {
	uint64_t generation;
	uint32_t count;
	struct entry *buckets[BUCKETS];
	struct list by_use;
	struct entry *passing; /* not remembered: until the next call */
	struct text key;
	bool is_asking;      /* for a request: what is missing is wanted, what is there is used */
	uint32_t used_count; /* by the name being bound; more than USED_MAX: not all are kept */
	const struct service *used[USED_MAX];
	uint32_t wanted_count;
	char wanted[BINDER_WANTED_MAX][WEFT_NAME_MAX];
	struct known_namer known[NAMERS_MAX];
	struct namer namers[NAMERS_MAX];
};

/* ---- namers ---- */

static int compile(struct span pattern, struct span name, void **ret_rewriter, bool *ret_is_in_name,
		   struct name_error *ret_error)
{
	struct rewrite_namer *rewriter;
	struct rewrite_namer_error where = {0};
	int error = rewrite_namer_parse(pattern, name, &rewriter, &where);
	if (!error) {
		*ret_rewriter = rewriter;
		return 0;
	}
	*ret_is_in_name = where.is_in_name;
	*ret_error = where.error;
	return error;
}

static void free_rewriter(void *rewriter)
{
	rewrite_namer_free(rewriter);
}

const struct namer_compiler namer_compiler = {compile, free_rewriter};

/* Services of Kubernetes have /svc/ in their names already. */
static const struct service *find_own(const struct snapshot *snapshot, struct span name)
{
	const struct service *service =
		snapshot_service_named(snapshot, span_of(name.data + 5, name.size - 5));
	return service ? service : snapshot_service_named(snapshot, name);
}

/* "#/fs/" and the name's segments; the most that make a service's name, as those of Kubernetes have
 * several. */
static const struct service *find_service(const struct known_namer *known, struct name_path name,
					  uint32_t *ret_consumed)
{
	char text[WEFT_NAME_MAX];
	size_t ends[NAMES_PER_SERVICE + 1];
	size_t size = 0;
	uint32_t count = 0;
	if (known->rule) {
		if (known->rule->text.size + 3 >= sizeof(text))
			return NULL;
		memcpy(text, "#/", 2);
		memcpy(text + 2, known->rule->text.data, known->rule->text.size);
		size = known->rule->text.size + 2;
		text[size++] = '/';
	} else {
		memcpy(text, "/svc/", 5);
		size = 5;
	}
	for (; count < name.count && count < NAMES_PER_SERVICE; count++) {
		struct span segment = name.segments[count];
		if (size + segment.size + 1 >= sizeof(text))
			break;
		if (count)
			text[size++] = '/';
		memcpy(text + size, segment.data, segment.size);
		ends[count] = size += segment.size;
	}
	for (; count > 0; count--) {
		struct span whole = span_of(text, ends[count - 1]);
		const struct service *service =
			known->rule ? snapshot_service_named(known->snapshot, whole)
				    : find_own(known->snapshot, whole);
		if (service) {
			*ret_consumed = count;
			return service;
		}
	}
	return NULL;
}

static void note_wanted(struct binder *binder, const char *service)
{
	if (!binder->is_asking || binder->wanted_count == BINDER_WANTED_MAX)
		return;
	memcpy(binder->wanted[binder->wanted_count++], service, WEFT_NAME_MAX);
}

static void note_used(struct binder *binder, const struct service *service)
{
	if (!binder->is_asking)
		return;
	service_want(service);
	if (binder->used_count < USED_MAX)
		binder->used[binder->used_count] = service;
	binder->used_count++;
}

/* What DNS says of it is in the snapshot, or to be found out. */
static void look_up_dns(const struct known_namer *known, struct name_path name,
			struct namer_answer *ret_answer)
{
	enum namer_kind kind = (enum namer_kind)known->rule->kind;
	char text[WEFT_NAME_MAX];
	ret_answer->why = dns_service_print(kind, known->rule->text, name, text);
	if (ret_answer->why)
		return;
	const struct service *service = snapshot_service_named(known->snapshot, span_text(text));
	if (!service) {
		note_wanted(known->binder, text);
		ret_answer->verdict = NAMER_PENDING;
		ret_answer->why = "it was not looked up yet";
		return;
	}
	note_used(known->binder, service);
	switch (service->standing) {
	case STANDING_ABSENT:
		ret_answer->why = "DNS has no such name, or no record of this type";
		return;
	case STANDING_REFUSED:
		ret_answer->verdict = NAMER_FAIL;
		ret_answer->why = "the namer has no room for one more name (namers[].names)";
		return;
	case STANDING_PRESENT:
		ret_answer->verdict = NAMER_BOUND;
		ret_answer->consumed = dns_service_segments(kind);
		ret_answer->target = service->id;
	}
}

static void look_up(void *context, struct name_path name, struct name_arena *arena,
		    struct namer_answer *ret_answer)
{
	const struct known_namer *known = context;
	uint32_t consumed;
	if (known->rule && known->rule->kind == NAMER_REWRITE) {
		rewrite_namer_look_up(known->rule->rewriter, name, arena, ret_answer);
		return;
	}
	*ret_answer = (struct namer_answer){.verdict = NAMER_NEG};
	if (known->rule && namer_asks_dns((enum namer_kind)known->rule->kind)) {
		look_up_dns(known, name, ret_answer);
		return;
	}
	const struct service *service = find_service(known, name, &consumed);
	if (!service) {
		ret_answer->why = known->rule ? "there is no such file, or it could not be read"
					      : "no service of the mesh has this name";
		return;
	}
	ret_answer->verdict = NAMER_BOUND;
	ret_answer->consumed = consumed;
	ret_answer->target = service->id;
}

/* Those of this snapshot; the mesh's own services are below /#/weft. */
static uint32_t name_namers(struct binder *binder, const struct snapshot *snapshot)
{
	static const struct span weft = {NAMING_STATIC_PREFIX, sizeof(NAMING_STATIC_PREFIX) - 1};
	const struct naming *naming = snapshot->naming;
	uint32_t count = naming->namer_count + 1;
	for (uint32_t i = 0; i < count; i++) {
		const struct namer_rule *rule = i ? &naming->namers[i - 1] : NULL;
		binder->known[i] = (struct known_namer){binder, snapshot, rule};
		binder->namers[i] = (struct namer){
			.prefix = rule ? rule->prefix : (struct name_path){&weft, 1},
			.look_up = look_up,
			.context = &binder->known[i],
		};
	}
	return count;
}

/* Of a kind that looks up hosts, the one that would be asked first; NULL = none. */
static const struct namer *namer_of_hosts(const struct binder *binder, uint32_t count)
{
	for (uint32_t i = count; i > 0; i--) {
		const struct namer_rule *rule = binder->known[i - 1].rule;
		if (rule && rule->kind == NAMER_DNS)
			return &binder->namers[i - 1];
	}
	return NULL;
}

/* ---- what is remembered ---- */

struct binder *binder_new(void)
{
	struct binder *binder = mem_zalloc(sizeof(*binder));
	if (binder)
		list_init(&binder->by_use);
	return binder;
}

static void entry_free(struct entry *entry)
{
	if (!entry)
		return;
	bound_name_free(entry->bound);
	text_fini(&entry->key);
	text_fini(&entry->local);
	mem_free(entry);
}

static void forget(struct binder *binder, struct entry *entry)
{
	struct entry **link = &binder->buckets[entry->hash % BUCKETS];
	while (*link != entry)
		link = &(*link)->next;
	*link = entry->next;
	list_remove(&entry->by_use);
	binder->count--;
	entry_free(entry);
}

static void forget_all(struct binder *binder)
{
	while (!list_is_empty(&binder->by_use))
		forget(binder, list_entry(binder->by_use.next, struct entry, by_use));
}

void binder_free(struct binder *binder)
{
	if (!binder)
		return;
	forget_all(binder);
	entry_free(binder->passing);
	text_fini(&binder->key);
	mem_free(binder);
}

static uint64_t hash_of(struct span key)
{
	uint64_t hash = 0;
	for (size_t i = 0; i < key.size; i++)
		hash = (hash ^ (unsigned char)key.data[i]) * 0x100000001b3ull;
	return hash ^ (hash >> 32);
}

static struct entry *find(struct binder *binder, struct span key, uint64_t hash)
{
	struct entry *entry = binder->buckets[hash % BUCKETS];
	while (entry && !(entry->hash == hash && span_equal(text_span(&entry->key), key)))
		entry = entry->next;
	if (!entry)
		return NULL;
	list_remove(&entry->by_use);
	list_add_first(&binder->by_use, &entry->by_use);
	return entry;
}

static void remember(struct binder *binder, struct entry *entry)
{
	if (binder->count == BINDER_NAMES_MAX)
		forget(binder, list_entry(binder->by_use.prev, struct entry, by_use));
	struct entry **bucket = &binder->buckets[entry->hash % BUCKETS];
	entry->next = *bucket;
	*bucket = entry;
	list_add_first(&binder->by_use, &entry->by_use);
	binder->count++;
}

/* ---- binding ---- */

/* The dtabs of one evaluation: the two of the config come first. */
struct dtabs {
	const struct dtab *all[2 + BINDER_LOCALS_MAX];
	struct dtab *own[BINDER_LOCALS_MAX];
	uint32_t own_count;
};

static void dtabs_fini(struct dtabs *dtabs)
{
	for (uint32_t i = 0; i < dtabs->own_count; i++)
		dtab_free(dtabs->own[i]);
}

static int dtabs_parse(struct dtabs *dtabs, const struct snapshot *snapshot,
		       const struct bind_request *request, struct text *local, uint32_t *ret_local,
		       struct name_error *ret_error)
{
	dtabs->all[0] = snapshot->naming->first;
	dtabs->all[1] = snapshot->naming->base;
	for (uint32_t i = 0; i < request->local_count; i++) {
		int error = dtab_parse(request->locals[i], &dtabs->own[i], ret_error);
		if (error) {
			*ret_local = i;
			return error;
		}
		dtabs->own_count++;
		dtabs->all[2 + i] = dtabs->own[i];
		if (local->size && dtabs->own[i]->count)
			text_add(local, span_text("; "));
		dtab_print(dtabs->own[i], local);
	}
	return local->failed ? -ENOMEM : 0;
}

static int bind_anew(struct binder *binder, const struct snapshot *snapshot,
		     const struct bind_request *request, struct delegate_trace *trace,
		     struct entry *entry, uint32_t *ret_local, struct name_error *ret_error)
{
	struct dtabs dtabs = {0};
	struct name_arena arena;
	struct name_path path;
	name_arena_init(&arena, NULL, 0);
	*ret_local = UINT32_MAX;
	int error = name_path_parse(request->name, &arena, &path, ret_error);
	if (!error)
		error = dtabs_parse(&dtabs, snapshot, request, &entry->local, ret_local, ret_error);
	if (!error) {
		uint32_t namer_count = name_namers(binder, snapshot);
		const struct delegate_rules rules = {
			.dtabs = dtabs.all,
			.dtab_count = 2 + dtabs.own_count,
			.namers = binder->namers,
			.namer_count = namer_count,
			.hosts = namer_of_hosts(binder, namer_count),
		};
		entry->bound = delegate(&rules, path, trace);
		if (!entry->bound || entry->bound->state == DELEGATE_NO_MEMORY)
			error = -ENOMEM;
	}
	dtabs_fini(&dtabs);
	name_arena_fini(&arena);
	return error;
}

static struct span print_key(struct binder *binder, const struct bind_request *request)
{
	text_clear(&binder->key);
	text_add(&binder->key, request->name);
	for (uint32_t i = 0; i < request->local_count; i++) {
		text_add(&binder->key, span_of("", 1));
		text_add(&binder->key, request->locals[i]);
	}
	return text_span(&binder->key);
}

static void give(const struct binder *binder, const struct entry *entry,
		 struct binding *ret_binding)
{
	*ret_binding = (struct binding){entry->bound, text_span(&entry->local), binder->wanted,
					binder->wanted_count};
}

static int bind_passing(struct binder *binder, const struct snapshot *snapshot,
			const struct bind_request *request, struct delegate_trace *trace,
			struct binding *ret_binding, uint32_t *ret_local,
			struct name_error *ret_error)
{
	entry_free(binder->passing);
	binder->passing = mem_zalloc(sizeof(struct entry));
	if (!binder->passing)
		return -ENOMEM;
	int error =
		bind_anew(binder, snapshot, request, trace, binder->passing, ret_local, ret_error);
	if (!error)
		give(binder, binder->passing, ret_binding);
	return error;
}

int binder_explain(struct binder *binder, const struct snapshot *snapshot,
		   const struct bind_request *request, struct delegate_trace *trace,
		   struct binding *ret_binding, uint32_t *ret_local, struct name_error *ret_error)
{
	binder->is_asking = false;
	binder->wanted_count = 0;
	return bind_passing(binder, snapshot, request, trace, ret_binding, ret_local, ret_error);
}

/* What is pending is known in a later snapshot at best, but is to be wanted until then. */
static bool may_remember(const struct binder *binder)
{
	const struct bound_name *bound = binder->passing->bound;
	return bound->steps <= BINDER_STEPS_MAX && !bound->has_pending &&
	       binder->used_count <= USED_MAX;
}

static void say_used(const struct entry *entry)
{
	for (uint32_t i = 0; i < entry->used_count; i++)
		service_want(entry->used[i]);
}

int binder_bind(struct binder *binder, const struct snapshot *snapshot,
		const struct bind_request *request, struct binding *ret_binding,
		uint32_t *ret_local, struct name_error *ret_error)
{
	if (binder->generation != snapshot->generation)
		forget_all(binder);
	binder->generation = snapshot->generation;
	struct span key = print_key(binder, request);
	if (binder->key.failed)
		return -ENOMEM;
	uint64_t hash = hash_of(key);
	struct entry *entry = find(binder, key, hash);
	binder->is_asking = true;
	binder->wanted_count = binder->used_count = 0;
	if (entry) {
		say_used(entry);
		give(binder, entry, ret_binding);
		return 0;
	}
	int error =
		bind_passing(binder, snapshot, request, NULL, ret_binding, ret_local, ret_error);
	if (error || !may_remember(binder))
		return error;
	entry = binder->passing;
	entry->used_count = binder->used_count;
	memcpy(entry->used, binder->used, sizeof(entry->used));
	text_add(&entry->key, key);
	if (entry->key.failed)
		return 0; /* bound, not remembered */
	entry->hash = hash;
	binder->passing = NULL;
	remember(binder, entry);
	return 0;
}

/* ---- ids that are no service's ---- */

static bool is_utility(struct name_path id, const char *name)
{
	return id.count >= 3 && span_is(id.segments[0], "$") && span_is(id.segments[1], name);
}

int binder_address(struct name_path id, struct weft_address *ret_address)
{
	bool is_turned = is_utility(id, "io.buoyant.rinet");
	uint64_t port;
	if (id.count < 4 || (!is_turned && !is_utility(id, "inet") && !is_utility(id, "fixedinet")))
		return -EINVAL;
	struct span host = id.segments[is_turned ? 3 : 2];
	if (span_to_u64(id.segments[is_turned ? 2 : 3], &port) || port == 0 || port > 65535)
		return -EINVAL;
	return address_parse_ip(host, (uint16_t)port, ret_address) ? -ENOENT : 0;
}

unsigned binder_status(struct name_path id)
{
	uint64_t status;
	if (!is_utility(id, "io.buoyant.http.status") || span_to_u64(id.segments[2], &status) ||
	    status < 100 || status > 599)
		return 0;
	return (unsigned)status;
}
