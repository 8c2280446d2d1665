#include "control/control.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "control/config.h"
#include "control/state.h"
#include "model/keys.h"

#define COALESCE_NS 50000000ull /* changes that come together are read together */
/* After a build, before what a cluster changed is built: the longest rest is of one that never
 * does. A build of a large one takes most of a millisecond, for which a worker on the same core
 * waits (bench/README.md). */
#define REST_LEAST_NS 10000000ull
#define REST_MOST_NS  200000000ull
#define TICK_NS       1000000000ull

_Static_assert(__builtin_offsetof(struct draft, settings) == 0,
	       "keys outside of lists are fields of struct settings");

static uint32_t claim_series(void *owner, struct span service, struct span endpoint,
			     bool must_claim)
{
	uint32_t slot;
	if (must_claim)
		return series_slot(owner, service, endpoint);
	return series_find(owner, service, endpoint, &slot) ? slot : SERIES_UNCLAIMED;
}

/* ---- settings that take effect here ---- */

static void apply_log(const struct settings *settings)
{
	static const char *const levels[] = {"debug", "info", "warn", "error"};
	for (unsigned i = 0; i < array_count(levels); i++) {
		if (strcmp(settings->log_level, levels[i]) == 0)
			log_set_level((enum log_level)i);
	}
	log_set_json(settings->log_json);
}

static void warn_of_restart(const struct settings *old, const struct settings *next)
{
	for (size_t i = 0; i < keys_count(); i++) {
		const struct key *key = keys_at(i);
		struct text before = {0};
		struct text after = {0};
		if (!(key->flags & KEY_AT_START))
			continue;
		key_print(key, old, &before);
		key_print(key, next, &after);
		if (!span_equal(text_span(&before), text_span(&after)))
			log_warn("setting_needs_restart", "key=%s running=\"%.*s\" file=\"%.*s\"",
				 key->path, SPAN_PRINT(text_span(&before)),
				 SPAN_PRINT(text_span(&after)));
		text_fini(&before);
		text_fini(&after);
	}
}

/* ---- reading the file ---- */

static void note_failure(struct control *control, struct text *why)
{
	struct span rest = text_span(why);
	struct span line;
	while (span_split(&rest, '\n', &line)) {
		if (line.size > 0)
			log_error("config_refused", "%.*s", SPAN_PRINT(line));
	}
	text_fini(&control->last_error);
	control->last_error = *why;
	*why = (struct text){0};
	if (control->last_error.size == 0) /* no memory even for the sentence */
		text_add(&control->last_error, span_text("out of memory"));
	control->failed_at = time(NULL);
}

static void on_left_out(void *owner, const char *service, const char *sentence)
{
	text_printf(owner, "%s: %s\n", service, sentence);
}

static struct build_options build_options(const struct control *control, struct text *left_out)
{
	return (struct build_options){
		.previous = control->current,
		.now_ns = io_now_ns(control->options.ring),
		.node = control->node,
		.zone = control->zone,
		.known_services = control->adopted_names.services,
		.known_service_count = control->adopted_names.service_count,
		.known_pods = control->adopted_names.pods,
		.known_pod_count = control->adopted_names.pod_count,
		.series = claim_series,
		.series_owner = control->options.series,
		.left_out = on_left_out,
		.left_out_owner = left_out,
	};
}

/* Services of sources that had to give way; said once. */
static void note_left_out(struct control *control, struct text *left_out)
{
	struct span rest = text_span(left_out);
	struct span line;
	if (!span_equal(rest, text_span(&control->left_out))) {
		while (span_split(&rest, '\n', &line)) {
			if (line.size > 0)
				log_warn("discovered_left_out", "%.*s", SPAN_PRINT(line));
		}
	}
	text_fini(&control->left_out);
	control->left_out = *left_out;
}

/* Requests wait for names. */
static void tell_names(struct control *control)
{
	const struct control_hooks *hooks = &control->options.hooks;
	if (hooks->names_changed)
		hooks->names_changed(hooks->owner);
}

static void publish_config(struct control *control, struct config *config, struct snapshot *next)
{
	if (control->current)
		warn_of_restart(&control->current->settings, &next->settings);
	apply_log(&next->settings);
	config_free(control->config);
	control->config = config;
	destinations_publish(control, next);
	tell_names(control);
	sources_built(&control->sources, control->current);
	text_clear(&control->last_error);
	control->loaded_at = time(NULL);
	log_info("config_loaded", "path=%s generation=%llu services=%u pods=%u",
		 control->config_path, (unsigned long long)next->generation, next->service_count,
		 next->pod_count);
}

/* False: the file is bad and changes nothing. */
static bool take_file(struct control *control)
{
	struct text why = {0};
	struct text left_out = {0};
	struct config *config;
	struct snapshot *next;
	const struct build_options options = build_options(control, &left_out);
	if (control->watch)
		watch_follow(control->watch);
	int error = config_load(control->config_path, &control->sources, &options, &why, &config,
				&next);
	if (error)
		note_failure(control, &why);
	else
		publish_config(control, config, next);
	note_left_out(control, &left_out);
	text_fini(&why);
	return error == 0;
}

/* False: there was no memory, and it is to be tried again. */
static bool take_sources(struct control *control)
{
	struct text why = {0};
	struct text left_out = {0};
	struct snapshot *next;
	const struct build_options options = build_options(control, &left_out);
	int error = config_build(control->config, &control->sources, &options, &why, &next);
	if (error) {
		log_error("sources_refused", "%.*s", SPAN_PRINT(text_span(&why)));
		guests_tell(&control->guests, NULL, why.data ? why.data : strerror(-error));
	} else {
		destinations_publish(control, next);
		tell_names(control);
		sources_built(&control->sources, control->current);
	}
	note_left_out(control, &left_out);
	text_fini(&why);
	return error != -ENOMEM;
}

/* A source may ask for the next build while it is told of this one. */
static void build_now(struct control *control)
{
	bool file_changed = control->file_changed;
	bool sources_changed = control->sources_changed;
	control->file_changed = false;
	control->sources_changed = false;
	bool took_file = file_changed && take_file(control);
	(void)pace_rest(&control->pace, io_now_ns(control->options.ring), REST_LEAST_NS,
			REST_MOST_NS);
	if (!took_file && sources_changed && !take_sources(control))
		control->sources_changed = true;
	pods_apply(control);
}

static void on_build(struct timer *timer)
{
	build_now(container_of(timer, struct control, build));
}

/* Without memory for the timer the next tick builds. */
static void build_by(struct control *control, uint64_t due_ns)
{
	struct timers *timers = io_timers(control->options.ring);
	if (timer_is_set(&control->build) && control->build.deadline_ns <= due_ns)
		return;
	if (timer_set(timers, &control->build, due_ns))
		log_warn("build_delayed", "error=\"out of memory\"");
}

void control_reload(struct control *control)
{
	if (control->is_draining)
		return;
	control->file_changed = true;
	build_by(control, io_now_ns(control->options.ring) + COALESCE_NS);
}

/* ---- sources ---- */

void control_source_add(struct control *control, struct source *source)
{
	list_add_last(&control->sources, &source->item);
}

void control_source_remove(struct control *control, struct source *source)
{
	list_remove(&source->item);
	control_sources_changed(control);
}

static void sources_changed(struct control *control, uint64_t due_ns)
{
	if (control->is_draining)
		return;
	control->sources_changed = true;
	build_by(control, due_ns);
}

void control_sources_changed(struct control *control)
{
	sources_changed(control, io_now_ns(control->options.ring) + COALESCE_NS);
}

void control_place(struct control *control, const char *node, const char *zone)
{
	control->node = node;
	control->zone = zone;
}

void control_sources_churn(struct control *control)
{
	sources_changed(control, control->pace.until_ns);
}

void control_sources_harm(struct control *control)
{
	const struct pace *pace = &control->pace;
	sources_changed(control,
			pace->until_ns - (pace->rest_ns ? pace->rest_ns - REST_LEAST_NS : 0));
}

void control_release_destinations(struct control *control)
{
	if (!control->holds_destinations)
		return;
	control->holds_destinations = false;
	adopted_services_fini(&control->adopted_names);
	destinations_remove_stale(control);
}

void control_release_adopted(struct control *control)
{
	control_release_destinations(control);
	if (!control->holds_adopted)
		return;
	control->holds_adopted = false;
	adopted_names_fini(&control->adopted_names);
}

static void on_file_changed(void *owner)
{
	control_reload(owner);
}

/* ---- names that requests lead to ---- */

struct wanted {
	struct io_mail mail;
	struct control *control;
	size_t size;
	char service[];
};

static void on_wanted(struct io_mail *mail)
{
	struct wanted *wanted = container_of(mail, struct wanted, mail);
	if (!wanted->control->is_draining)
		dns_names_want(&wanted->control->dns, span_of(wanted->service, wanted->size));
	atomic_fetch_sub(&wanted->control->wanted_count, 1);
	mem_free(wanted);
}

void control_name_wanted(struct control *control, struct span service)
{
	struct wanted *wanted = NULL;
	/* Pods may lead to more names than this thread has time for. */
	if (atomic_fetch_add(&control->wanted_count, 1) < CONTROL_WANTED_MOST)
		wanted = mem_alloc(sizeof(*wanted) + service.size);
	if (!wanted) {
		atomic_fetch_sub(&control->wanted_count, 1);
		return;
	}
	*wanted = (struct wanted){
		.mail = {.run = on_wanted}, .control = control, .size = service.size};
	memcpy(wanted->service, service.data, service.size);
	io_post(control->options.ring, &wanted->mail);
}

void control_namers_json(const struct control *control, struct text *json)
{
	dns_names_json(&control->dns, json);
}

void control_metrics(const struct control *control, struct text *page)
{
	dns_names_metrics(&control->dns, page);
}

/* ---- time ---- */

static void on_tick(struct timer *timer)
{
	struct control *control = container_of(timer, struct control, tick);
	uint64_t due_ns = io_now_ns(control->options.ring) + TICK_NS;
	if (timer_set(io_timers(control->options.ring), timer, due_ns))
		log_error("tick_lost", "error=\"out of memory\"");
	if ((control->file_changed || control->sources_changed) && !timer_is_set(&control->build))
		build_now(control);
	if (control->destinations_owed)
		destinations_reconcile(control);
	pods_tick(control);
}

/* ---- life ---- */

static void on_start(struct io_mail *mail)
{
	struct control *control = container_of(mail, struct control, start);
	control->is_started = true;
	if (!control->is_draining)
		pods_apply(control);
}

static int load_first(struct control *control, struct text *why)
{
	struct text left_out = {0};
	struct config *config = NULL;
	struct snapshot *next = NULL;
	int error = adopt_read(control, &control->adopted_names);
	if (error) {
		text_printf(why, "the kernel's maps cannot be read: %s\n", strerror(-error));
		return error;
	}
	const struct build_options options = build_options(control, &left_out);
	error = config_load(control->config_path, &control->sources, &options, why, &config, &next);
	note_left_out(control, &left_out);
	if (error)
		return error;
	/* What main.c may have published already was built without ids and series: the new one
	 * shares nothing with it. */
	const struct snapshot *before = snapshot_current(control->options.slot);
	if (before)
		next->generation = before->generation + 1;
	control->holds_destinations = true;
	control->holds_adopted = true;
	publish_config(control, config, next);
	if (!next->settings.kubernetes)
		control_release_adopted(control);
	return 0;
}

static void control_free(struct control *control)
{
	destinations_fini(control);
	guests_fini(&control->guests);
	folders_close(&control->folders);
	dns_names_close(&control->dns);
	config_free(control->config);
	mem_free(control->config_path);
	mem_free(control->adopted);
	adopted_names_fini(&control->adopted_names);
	text_fini(&control->last_error);
	text_fini(&control->left_out);
	mem_free(control);
}

static int control_start(struct control *control, struct text *why)
{
	struct io_ring *ring = control->options.ring;
	/* The watch begins before the file is read: a change in between is read again. */
	int error =
		watch_open(ring, control->config_path, on_file_changed, control, &control->watch);
	if (error)
		log_warn("config_not_watched", "path=%s error=\"%s\" remedy=\"send SIGHUP\"",
			 control->config_path, strerror(-error));
	error = load_first(control, why);
	if (!error)
		error = timer_set(io_timers(ring), &control->tick, io_now_ns(ring) + TICK_NS);
	if (error) {
		watch_close(control->watch);
		return error;
	}
	io_post(ring, &control->start);
	return 0;
}

int control_open(const struct control_options *options, struct text *why,
		 struct control **ret_control)
{
	struct control *control = mem_zalloc(sizeof(*control));
	if (!control)
		return -ENOMEM;
	control->options = *options;
	control->config_path = mem_text(options->config_path, strlen(options->config_path));
	control->start.run = on_start;
	list_init(&control->enrolments);
	list_init(&control->sources);
	guests_init(&control->guests, control);
	folders_init(&control->folders, control, options->ring);
	dns_names_init(&control->dns, control, options->ring);
	timer_init(&control->build, on_build);
	timer_init(&control->tick, on_tick);
	int error = control->config_path ? control_start(control, why) : -ENOMEM;
	if (error) {
		timer_clear(io_timers(options->ring), &control->build);
		control_free(control);
		return error;
	}
	*ret_control = control;
	return 0;
}

void control_stop(struct control *control)
{
	if (!control)
		return;
	control->is_draining = true;
	control->is_stopped = true;
	timer_clear(io_timers(control->options.ring), &control->build);
	timer_clear(io_timers(control->options.ring), &control->tick);
}

void control_close(struct control *control)
{
	if (!control)
		return;
	control_stop(control);
	io_turn(control->options.ring, 0); /* mails that workers sent last */
	while (!control->is_started)
		io_turn(control->options.ring, 0);
	watch_close(control->watch);
	pods_close(control);
	control_free(control);
}

static bool is_on_its_way_in(const struct enrolment *enrolment)
{
	return enrolment->state == ENROLMENT_WAITING || enrolment->state == ENROLMENT_SERVING;
}

bool control_is_ready(const struct control *control)
{
	if (!control->is_started || control->is_draining)
		return false;
	list_each (&control->enrolments, item) {
		if (is_on_its_way_in(list_entry(item, struct enrolment, item)))
			return false;
	}
	return true;
}

/* ---- draining ---- */

void control_check_drained(struct control *control)
{
	if (!control->is_draining || !list_is_empty(&control->enrolments) || !control->drained)
		return;
	void (*drained)(void *owner) = control->drained;
	control->drained = NULL;
	drained(control->drained_owner);
}

void control_drain(struct control *control, enum drain drain, void (*done)(void *owner),
		   void *owner)
{
	bool is_first = !control->is_draining;
	control->is_draining = true;
	control->drained = done;
	control->drained_owner = owner;
	if (is_first) {
		timer_clear(io_timers(control->options.ring), &control->build);
		timer_clear(io_timers(control->options.ring), &control->tick);
		pods_drain(control, drain);
	}
	control_check_drained(control);
}
