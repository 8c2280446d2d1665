#include "kube/kube.h"

#include <errno.h>

#include "base/mem.h"
#include "kube/informer.h"
#include "kube/keeper.h"
#include "kube/notes.h"

#define PAGE_ITEMS 500
#define STALL_NS   90000000000ull

struct kube {
	struct server server;
	struct informers informers;
	struct informer watches[KUBE_KINDS];
	struct notes notes;
	struct keeper keeper;
	char **keep; /* copies, ended by NULL */
	char *node;
	unsigned kinds;
};

/* ---- opening ---- */

static size_t count_of(const char *const *list)
{
	size_t count = 0;
	while (list && list[count])
		count++;
	return count;
}

static int copy_texts(struct kube *kube, const struct kube_options *options)
{
	size_t count = count_of(options->keep);
	const char *node = options->node ? options->node : "";
	kube->node = mem_text(node, strlen(node));
	kube->keep = mem_zalloc((count + 1) * sizeof(*kube->keep));
	if (!kube->node || !kube->keep)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		kube->keep[i] = mem_text(options->keep[i], strlen(options->keep[i]));
		if (!kube->keep[i])
			return -ENOMEM;
	}
	return 0;
}

static void set_shared(struct kube *kube, const struct kube_options *options)
{
	struct informers *informers = &kube->informers;
	*informers = (struct informers){
		.callers = {.loop = options->loop, .server = &kube->server},
		.read = {.keep = (const char *const *)kube->keep},
		.events = options->events,
		.owner = options->owner,
		.page_items = options->page_items ? options->page_items : PAGE_ITEMS,
		.stall_ns = options->stall_ns ? options->stall_ns : STALL_NS,
		.rest_ns = options->rest_ns,
	};
	rng_init(&informers->rng, options->seed);
}

static int open_watches(struct kube *kube, const struct kube_options *options)
{
	unsigned kinds = options->kinds ? options->kinds : (1u << KUBE_KINDS) - 1;
	const char *node = *kube->node ? kube->node : NULL;
	for (unsigned kind = 0; kind < KUBE_KINDS; kind++) {
		if (!(kinds >> kind & 1))
			continue;
		kube->kinds |= 1u << kind;
		int error = informer_open(&kube->watches[kind], &kube->informers, kind, node);
		if (error)
			return error;
	}
	return 0;
}

int kube_open(const struct kube_options *options, struct text *why, struct kube **ret_kube)
{
	struct kube *kube = mem_zalloc(sizeof(*kube));
	if (!kube)
		return -ENOMEM;
	int error = copy_texts(kube, options);
	set_shared(kube, options);
	notes_init(&kube->notes, &kube->informers.callers, kube->node);
	if (!error)
		error = server_open(&kube->server, options, io_now_ns(options->loop->ring), why);
	if (!error)
		error = open_watches(kube, options);
	if (!error)
		error = keeper_open(&kube->keeper, &kube->informers, kube->watches, kube->kinds,
				    kube->node, options->known_file);
	if (error) {
		kube_close(kube);
		return error;
	}
	*ret_kube = kube;
	return 0;
}

/* The last one may close in the flush itself, and then nothing would end a wait. */
static void close_connections(const struct callers *callers)
{
	wire_loop_flush(callers->loop);
	while (callers->connections) {
		io_turn(callers->loop->ring, UINT64_MAX);
		wire_loop_flush(callers->loop);
	}
}

void kube_close(struct kube *kube)
{
	if (!kube)
		return;
	notes_close(&kube->notes);
	keeper_close(&kube->keeper);
	for (unsigned kind = 0; kind < KUBE_KINDS; kind++) {
		if (kube_watches(kube, kind))
			informer_close(&kube->watches[kind]);
	}
	close_connections(&kube->informers.callers);
	server_close(&kube->server);
	for (size_t i = 0; kube->keep && kube->keep[i]; i++)
		mem_free(kube->keep[i]);
	mem_free((void *)kube->keep);
	mem_free(kube->node);
	mem_free(kube);
}

/* ---- questions ---- */

bool kube_watches(const struct kube *kube, enum kube_kind kind)
{
	return kube->kinds >> kind & 1;
}

const struct kube_object *kube_find(const struct kube *kube, enum kube_kind kind,
				    const char *namespace, const char *name)
{
	if (!kube_watches(kube, kind))
		return NULL;
	return cache_find(&kube->watches[kind].cache, namespace, name);
}

void kube_each(const struct kube *kube, enum kube_kind kind,
	       void (*each)(void *owner, const struct kube_object *object), void *owner)
{
	if (kube_watches(kube, kind))
		cache_each(&kube->watches[kind].cache, each, owner);
}

void kube_status(const struct kube *kube, enum kube_kind kind, struct kube_status *ret_status)
{
	*ret_status = (struct kube_status){.version = "", .last_fault = ""};
	if (kube_watches(kube, kind))
		informer_status(&kube->watches[kind], ret_status);
}

int kube_tell(struct kube *kube, const struct kube_note *note)
{
	return notes_add(&kube->notes, note);
}

void kube_note_counts(const struct kube *kube, struct kube_note_counts *ret_counts)
{
	*ret_counts = kube->notes.counts;
}

/* ---- kept for the next client ---- */

void kube_keep(struct kube *kube)
{
	keeper_write(&kube->keeper);
}

void kube_keep_nothing(struct kube *kube)
{
	keeper_stop(&kube->keeper);
}

void kube_known(const struct kube *kube, struct kube_known *ret_known)
{
	const struct keeper *keeper = &kube->keeper;
	*ret_known = keeper->is;
	ret_known->file = keeper->path ? keeper->path : "";
	ret_known->last_fault = text_span(&keeper->last_fault).data;
}

/* ---- names ---- */

const char *kube_fault_name(enum kube_fault fault)
{
	static const char *const names[KUBE_FAULTS] = {
		[KUBE_FAULT_RESOLVE] = "resolve",
		[KUBE_FAULT_CONNECT] = "connect",
		[KUBE_FAULT_TLS] = "tls",
		[KUBE_FAULT_UNAUTHORIZED] = "unauthorized",
		[KUBE_FAULT_FORBIDDEN] = "forbidden",
		[KUBE_FAULT_GONE] = "gone",
		[KUBE_FAULT_BUSY] = "busy",
		[KUBE_FAULT_SERVER] = "server",
		[KUBE_FAULT_STALLED] = "stalled",
		[KUBE_FAULT_GARBAGE] = "garbage",
		[KUBE_FAULT_TOO_LARGE] = "too_large",
		[KUBE_FAULT_UNREADABLE] = "unreadable",
		[KUBE_FAULT_FIELD] = "field",
		[KUBE_FAULT_MEMORY] = "memory",
	};
	return names[fault];
}

const char *kube_watch_state_name(enum kube_watch_state state)
{
	static const char *const names[] = {[KUBE_LISTING] = "listing",
					    [KUBE_WATCHING] = "watching",
					    [KUBE_BACKING_OFF] = "backing_off"};
	return names[state];
}

static const char *value_of(const struct kube_pair *pairs, unsigned count, const char *key)
{
	for (unsigned i = 0; i < count; i++) {
		if (strcmp(pairs[i].key, key) == 0)
			return pairs[i].value;
	}
	return NULL;
}

const char *kube_label(const struct kube_object *object, const char *key)
{
	return value_of(object->labels, object->label_count, key);
}

const char *kube_annotation(const struct kube_object *object, const char *key)
{
	return value_of(object->annotations, object->annotation_count, key);
}
