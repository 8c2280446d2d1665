#include "kube/keeper.h"

#include <assert.h>
#include <errno.h>

#include "base/log.h"
#include "base/mem.h"

#define NS_PER_MS 1000000ull
#define NS_PER_S  1000000000ull
/*
 * How long the lists may take. Most are there in time, and then no old word is heard. Longer, and
 * pods wait for weftd although it could serve them; shorter, and requests of every restart go to
 * endpoints of the past. What the file has is wrong for as long as the lists take then, as a watch
 * that lags would be.
 */
#define WAIT_NS NS_PER_S
#define REST_NS NS_PER_S
/* The ring's other events go between two pieces. Reading is waited for; writing must not be noticed
 * by a worker on the same core: 0.1 ms at a time. */
#define PIECE_BYTES    65536u
#define PIECE_PAUSE_NS (2 * NS_PER_MS)
#define WRITE_BYTES    16384u
#define WRITE_PAUSE_NS (5 * NS_PER_MS)
/* Written again after this time for each MiB, which takes 3 to 6 ms of a core. */
#define PAUSE_PER_MIB_NS (3 * NS_PER_S)
/* Although nothing changed, so that its age is right. */
#define REFRESH_NS (60 * NS_PER_S)
#define RETRY_NS   (10 * NS_PER_S)
#define NEVER_NS   (UINT64_MAX / 2) /* keeps its place in the heap of timers */

static struct io_ring *ring_of(const struct keeper *keeper)
{
	return keeper->informers->callers.loop->ring;
}

static uint64_t now_ns(const struct keeper *keeper)
{
	return io_now_ns(ring_of(keeper));
}

static void enter(struct keeper *keeper, enum keeper_state state, uint64_t pause_ns)
{
	keeper->state = state;
	int error = timer_set(io_timers(ring_of(keeper)), &keeper->timer,
			      pause_ns == NEVER_NS ? NEVER_NS : now_ns(keeper) + pause_ns);
	assert(!error); /* its place in the heap is kept */
	(void)error;
}

static bool is_watched(const struct keeper *keeper, int kind)
{
	return keeper->kinds >> kind & 1;
}

/* ---- what there is ---- */

static bool all_are_known(const struct keeper *keeper)
{
	for (int kind = 0; kind < KUBE_KINDS; kind++) {
		if (is_watched(keeper, kind) && !informer_is_known(&keeper->watches[kind]))
			return false;
	}
	return true;
}

static bool any_is_fresh(const struct keeper *keeper)
{
	for (int kind = 0; kind < KUBE_KINDS; kind++) {
		if (is_watched(keeper, kind) && !keeper->watches[kind].stale_ns)
			return true;
	}
	return false;
}

static uint64_t news_of(const struct keeper *keeper)
{
	uint64_t news = 0;
	for (int kind = 0; kind < KUBE_KINDS; kind++) {
		if (is_watched(keeper, kind))
			news += informer_news(&keeper->watches[kind]);
	}
	return news;
}

static int identify(const struct keeper *keeper, struct text *identity)
{
	known_identify(keeper->informers->callers.server, keeper->node, identity);
	return identity->failed ? -ENOMEM : 0;
}

static void note(struct keeper *keeper, const char *what, const char *why)
{
	text_clear(&keeper->last_fault);
	text_printf(&keeper->last_fault, "%s: %s", what, why);
}

/* ---- recalling ---- */

static void not_used(struct keeper *keeper, const char *why)
{
	keeper->is.read_faults++;
	note(keeper, "not used", why);
	log_warn("known_file_not_used", "file=%s why=\"%s\"", keeper->path, why);
	enter(keeper, KEEPER_RESTING, REST_NS);
}

static void begin_recall(struct keeper *keeper)
{
	struct text identity = {0};
	struct text why = {0};
	int error = identify(keeper, &identity);
	if (!error)
		error = known_open(&keeper->reader, keeper->path, text_span(&identity), &why);
	if (!error)
		enter(keeper, KEEPER_RECALLING, 0);
	else if (error == -ENOENT)
		enter(keeper, KEEPER_RESTING, REST_NS);
	else
		not_used(keeper, why.size ? why.data : strerror(-error));
	text_fini(&identity);
	text_fini(&why);
}

static double age_s(const struct keeper *keeper, uint64_t since_ns)
{
	return (double)(now_ns(keeper) - since_ns) / 1e9;
}

/* Each kind must be there, with a time that has been. The age is of those that no list had yet. */
static bool recalled_all(const struct keeper *keeper, uint64_t *ret_oldest_ns)
{
	uint64_t oldest_ns = now_ns(keeper);
	for (int kind = 0; kind < KUBE_KINDS; kind++) {
		uint64_t told_ns = keeper->reader.told_ns[kind];
		if (!is_watched(keeper, kind))
			continue;
		if (!told_ns || told_ns > now_ns(keeper))
			return false;
		if (told_ns < oldest_ns && !informer_is_known(&keeper->watches[kind]))
			oldest_ns = told_ns;
	}
	*ret_oldest_ns = oldest_ns;
	return true;
}

static void end_recall(struct keeper *keeper)
{
	const struct informers *informers = keeper->informers;
	uint64_t oldest_ns;
	known_close(&keeper->reader);
	if (!recalled_all(keeper, &oldest_ns)) {
		not_used(keeper, "it lacks a kind of objects, or is of the future");
		return;
	}
	for (int kind = 0; kind < KUBE_KINDS; kind++) {
		if (is_watched(keeper, kind))
			informer_recalled(&keeper->watches[kind], keeper->reader.told_ns[kind]);
	}
	keeper->is.was_used = true;
	log_warn("known_file_used",
		 "file=%s age_seconds=%.0f why=\"the API server has not listed everything yet\"",
		 keeper->path, age_s(keeper, oldest_ns));
	keeper->kept_news = news_of(keeper);
	enter(keeper, KEEPER_RESTING, REST_NS);
	if (informers->events->recalled)
		informers->events->recalled(informers->owner);
}

/* Whatever was told before a fault is not known: it goes with the list. */
static void recall_some(struct keeper *keeper)
{
	struct known_reader *reader = &keeper->reader;
	uint64_t until = reader->bytes + PIECE_BYTES;
	if (all_are_known(keeper)) { /* by lists that came meanwhile */
		known_close(reader);
		enter(keeper, KEEPER_RESTING, REST_NS);
		return;
	}
	while (reader->bytes < until) {
		struct kube_object *object = NULL;
		int error = known_next(reader, &keeper->informers->read, &object);
		if (error) {
			known_close(reader);
			not_used(keeper, error == -ENOMEM ? "no memory" : "an object is no object");
			return;
		}
		if (!object) {
			end_recall(keeper);
			return;
		}
		if (is_watched(keeper, object->kind))
			informer_recall(&keeper->watches[object->kind], object);
		else
			mem_free(object);
	}
	enter(keeper, KEEPER_RECALLING, PIECE_PAUSE_NS);
}

/* ---- writing ---- */

static void rest_after(struct keeper *keeper, uint64_t pause_ns)
{
	keeper->due_ns = now_ns(keeper) + pause_ns;
	enter(keeper, KEEPER_RESTING, pause_ns > REST_NS ? pause_ns : REST_NS);
}

static void write_failed(struct keeper *keeper, int error)
{
	known_abandon(&keeper->writer);
	keeper->is.write_faults++;
	note(keeper, "not written", strerror(-error));
	if (!keeper->is_failing)
		log_warn("known_file_not_written", "file=%s error=\"%s\" kept=old", keeper->path,
			 strerror(-error));
	keeper->is_failing = true;
	rest_after(keeper, RETRY_NS);
}

static void written(struct keeper *keeper)
{
	uint64_t bytes = keeper->writer.bytes;
	if (keeper->is_failing)
		log_info("known_file_written", "file=%s bytes=%llu", keeper->path,
			 (unsigned long long)bytes);
	keeper->is_failing = false;
	keeper->is.written++;
	keeper->is.bytes = bytes;
	keeper->kept_news = keeper->news;
	keeper->kept_ns = now_ns(keeper);
	rest_after(keeper, (bytes >> 10) * (PAUSE_PER_MIB_NS >> 10));
}

static int begin_write(struct keeper *keeper)
{
	struct text identity = {0};
	int error = identify(keeper, &identity);
	if (!error)
		error = known_create(&keeper->writer, keeper->path, text_span(&identity));
	text_fini(&identity);
	keeper->news = news_of(keeper);
	keeper->kind = -1;
	keeper->place = keeper->places = 0;
	return error;
}

/* False: that was the last kind. */
static bool begin_kind(struct keeper *keeper)
{
	do
		keeper->kind++;
	while (keeper->kind < KUBE_KINDS && !is_watched(keeper, keeper->kind));
	if (keeper->kind == KUBE_KINDS)
		return false;
	const struct informer *informer = &keeper->watches[keeper->kind];
	keeper->place = 0;
	keeper->places = cache_places(&informer->cache);
	known_add_kind(&keeper->writer, (enum kube_kind)keeper->kind, informer_told_ns(informer));
	return true;
}

static void add_object(void *owner, const struct kube_object *object)
{
	known_add(owner, object);
}

/* The cache is seen place by place while it changes: an object is in the file as it was at some
 * time meanwhile, and what came where the walk has been is news for the next file. 0, 1 = that was
 * all, -EAGAIN: the places are others now, -errno. */
static int write_some(struct keeper *keeper)
{
	struct known_writer *writer = &keeper->writer;
	while (writer->piece.size < WRITE_BYTES && !writer->piece.failed) {
		if (keeper->place == keeper->places) {
			if (!begin_kind(keeper))
				return 1;
			continue;
		}
		const struct cache *cache = &keeper->watches[keeper->kind].cache;
		if (cache_places(cache) != keeper->places)
			return -EAGAIN;
		cache_each_at(cache, keeper->place++, add_object, writer);
	}
	return known_flush(writer);
}

static void end_write(struct keeper *keeper)
{
	int error = known_commit(&keeper->writer);
	if (error)
		write_failed(keeper, error);
	else
		written(keeper);
}

static void write_on(struct keeper *keeper)
{
	int step = write_some(keeper);
	if (step == 1) {
		end_write(keeper);
	} else if (step == 0) {
		enter(keeper, KEEPER_WRITING, WRITE_PAUSE_NS);
	} else if (step == -EAGAIN) {
		known_abandon(&keeper->writer);
		rest_after(keeper, REST_NS);
	} else {
		write_failed(keeper, step);
	}
}

static bool is_due(const struct keeper *keeper)
{
	if (now_ns(keeper) < keeper->due_ns || !all_are_known(keeper))
		return false;
	return news_of(keeper) != keeper->kept_news ||
	       (any_is_fresh(keeper) && now_ns(keeper) - keeper->kept_ns >= REFRESH_NS);
}

static void write_if_due(struct keeper *keeper)
{
	int error = 0;
	if (!is_due(keeper))
		enter(keeper, KEEPER_RESTING, REST_NS);
	else if ((error = begin_write(keeper)))
		write_failed(keeper, error);
	else
		write_on(keeper);
}

/* ---- life ---- */

static void on_timer(struct timer *timer)
{
	struct keeper *keeper = container_of(timer, struct keeper, timer);
	enter(keeper, keeper->state, NEVER_NS);
	switch (keeper->state) {
	case KEEPER_WAITING:
		if (all_are_known(keeper))
			enter(keeper, KEEPER_RESTING, 0);
		else
			begin_recall(keeper);
		break;
	case KEEPER_RECALLING:
		recall_some(keeper);
		break;
	case KEEPER_RESTING:
		write_if_due(keeper);
		break;
	case KEEPER_WRITING:
		write_on(keeper);
		break;
	case KEEPER_OFF:
		break;
	}
}

int keeper_open(struct keeper *keeper, struct informers *informers, struct informer *watches,
		unsigned kinds, const char *node, const char *path)
{
	*keeper = (struct keeper){.informers = informers,
				  .watches = watches,
				  .kinds = kinds,
				  .node = node,
				  .reader.fd = -1,
				  .writer.fd = -1};
	timer_init(&keeper->timer, on_timer);
	if (!path)
		return 0;
	keeper->path = mem_text(path, strlen(path));
	if (!keeper->path)
		return -ENOMEM;
	keeper->state = KEEPER_WAITING;
	return timer_set(io_timers(ring_of(keeper)), &keeper->timer, now_ns(keeper) + WAIT_NS);
}

/* What is being read or written is given up. */
static void interrupt(struct keeper *keeper)
{
	if (keeper->state == KEEPER_RECALLING)
		known_close(&keeper->reader);
	if (keeper->state == KEEPER_WRITING)
		known_abandon(&keeper->writer);
}

void keeper_write(struct keeper *keeper)
{
	bool is_known = keeper->state != KEEPER_OFF && all_are_known(keeper);
	if (!is_known || (news_of(keeper) == keeper->kept_news && !any_is_fresh(keeper)))
		return;
	interrupt(keeper);
	int step = begin_write(keeper);
	while (step == 0)
		step = write_some(keeper);
	if (step == 1)
		end_write(keeper);
	else
		write_failed(keeper, step);
}

void keeper_stop(struct keeper *keeper)
{
	if (keeper->state == KEEPER_OFF)
		return;
	interrupt(keeper);
	timer_clear(io_timers(ring_of(keeper)), &keeper->timer);
	keeper->state = KEEPER_OFF;
	known_remove(keeper->path);
}

void keeper_close(struct keeper *keeper)
{
	if (!keeper->informers)
		return;
	interrupt(keeper);
	timer_clear(io_timers(ring_of(keeper)), &keeper->timer);
	mem_free(keeper->path);
	text_fini(&keeper->last_fault);
}
