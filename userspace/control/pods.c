/*
 * Enrolment: each pod of the snapshot from its first try to its last connection.
 *
 *   WAITING -> SERVING -> CAPTURED -> DRAINING -> gone, or WAITING again
 *      |  ^      |                       ^
 *      v  |      +-----------------------+
 *     FAILED, tried again each second
 */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/mem.h"
#include "control/state.h"

/* A namespace that vanished has no app left that could answer: its connections end soon. */
#define VANISHED_DRAIN_NS 1000000000ull

static const char *place_of(const struct pod *pod)
{
	return pod->netns_path ? pod->netns_path : pod->cgroup_path;
}

static bool has_same_place(const struct pod *a, const struct pod *b)
{
	return !a->netns_path == !b->netns_path && strcmp(place_of(a), place_of(b)) == 0;
}

static uint32_t all_workers(const struct control *control)
{
	return (uint32_t)((1ull << control->options.workers) - 1);
}

static void set_error(struct enrolment *enrolment, const char *sentence)
{
	guests_tell(&enrolment->control->guests, enrolment->pod->name, sentence);
	if (enrolment->error.size > 0 && strcmp(enrolment->error.data, sentence) == 0)
		return; /* once per cause: it may fail each second */
	text_clear(&enrolment->error);
	text_add(&enrolment->error, span_text(sentence));
	log_warn("pod_failed", "pod=%s error=\"%s\"", enrolment->pod->name, sentence);
}

/* ---- the pod's row and exclusions in the kernel ---- */

static void local_address(uint8_t to[16], const struct weft_address *asked,
			  const struct weft_address *found)
{
	static const struct weft_address none;
	const struct weft_address *from = address_equal(asked, &none) ? found : asked;
	memcpy(to, from->ip, 16);
}

enum dials { DIALS_CAPTURED, DIALS_PASS, DIALS_REFUSED };

/* Refused: of a pod that fails closed, when no listener is there. */
static int put_row(struct enrolment *enrolment, enum dials dials)
{
	const struct control *control = enrolment->control;
	const struct pod *pod = enrolment->pod;
	const struct settings *settings = &control->current->settings;
	struct weft_pod row = {
		.pod_id = pod->id,
		.worker_count = control->options.workers,
		.shortcut = (uint16_t)pod->shortcut,
		.shortcut_mesh = (uint16_t)settings->shortcut,
		.shortcut_window = settings->shortcut_window,
	};
	if (dials != DIALS_PASS)
		row.flags |= WEFT_POD_CAPTURE;
	if (pod->on_proxy_death == ON_PROXY_DEATH_CLOSED)
		row.flags |= WEFT_POD_FAIL_CLOSED;
	if (pod->captures_all)
		row.flags |= WEFT_POD_CAPTURE_ALL;
	local_address(row.local4, &pod->local4, &enrolment->listeners.local4);
	local_address(row.local6, &pod->local6, &enrolment->listeners.local6);
	if (dials != DIALS_REFUSED)
		memcpy(row.listeners, enrolment->listeners.ports,
		       control->options.workers * sizeof(row.listeners[0]));
	snprintf(row.name, sizeof(row.name), "%s", pod->name);
	return kernel_pod_put(control->options.kernel, &enrolment->key, &row);
}

static int put_skips(struct kernel *kernel, const struct pod *pod)
{
	int error = 0;
	for (uint32_t i = 0; !error && i < pod->skip_ports.count; i++)
		error = kernel_skip_port(kernel, pod->id, pod->skip_ports.items[i]);
	for (uint32_t i = 0; !error && i < pod->skip_cidr_count; i++) {
		const struct skip_cidr *cidr = &pod->skip_cidrs[i];
		/* The kernel room counts an IPv4 prefix from the address's own bits. */
		uint8_t prefix = cidr->prefix;
		if (address_is_v4(&cidr->network))
			prefix = (uint8_t)(prefix - 96);
		error = kernel_skip_cidr(kernel, pod->id, &cidr->network, prefix);
	}
	return error;
}

static bool skips_cidr(const struct pod *pod, const struct skip_cidr *cidr)
{
	for (uint32_t i = 0; i < pod->skip_cidr_count; i++) {
		if (pod->skip_cidrs[i].prefix == cidr->prefix &&
		    address_equal(&pod->skip_cidrs[i].network, &cidr->network))
			return true;
	}
	return false;
}

/* True when `next` still excludes all that `old` did: then nothing has to be taken out. */
static bool keeps_skips(const struct pod *old, const struct pod *next)
{
	for (uint32_t i = 0; i < old->skip_ports.count; i++) {
		if (!port_list_has(&next->skip_ports, old->skip_ports.items[i]))
			return false;
	}
	for (uint32_t i = 0; i < old->skip_cidr_count; i++) {
		if (!skips_cidr(next, &old->skip_cidrs[i]))
			return false;
	}
	return true;
}

/* ---- the end ---- */

static void release_sockets(struct enrolment *enrolment)
{
	if (enrolment->stock)
		stock_pod_close(enrolment->control->options.stock, enrolment->stock);
	enrolment->stock = NULL;
}

static void enrolment_free(struct enrolment *enrolment)
{
	list_remove(&enrolment->item);
	text_fini(&enrolment->error);
	pod_drop(enrolment->pod);
	mem_free(enrolment);
}

/* No new dial first; then the workers take what is queued and let go. */
static void leave(struct enrolment *enrolment, uint64_t drain_ns)
{
	struct control *control = enrolment->control;
	if (enrolment->state == ENROLMENT_DRAINING)
		return;
	enum dials dials = enrolment->is_refused ? DIALS_REFUSED : DIALS_PASS;
	int error = enrolment->is_in_map ? put_row(enrolment, dials) : 0;
	if (error) {
		log_error("capture_not_switched_off", "pod=%s error=\"%s\"", enrolment->pod->name,
			  strerror(-error));
		if (!enrolment->is_refused)
			kernel_pod_remove(control->options.kernel, &enrolment->key,
					  enrolment->pod->id);
	}
	log_info("pod_leaving", "pod=%s drain_seconds=%.3f", enrolment->pod->name,
		 (double)drain_ns / 1e9);
	enrolment->state = ENROLMENT_DRAINING;
	enrolment->left = 0;
	control->options.hooks.pod_removing(control->options.hooks.owner, enrolment->pod->id,
					    drain_ns);
}

static bool has_workers(const struct enrolment *enrolment)
{
	return enrolment->state == ENROLMENT_SERVING || enrolment->state == ENROLMENT_CAPTURED ||
	       enrolment->state == ENROLMENT_DRAINING;
}

/* For good: the snapshot does not have the pod (there) any more. */
static void dismiss(struct enrolment *enrolment)
{
	struct control *control = enrolment->control;
	enrolment->is_leaving = true;
	if (has_workers(enrolment))
		leave(enrolment, control->current->settings.drain_timeout_ns);
	else
		enrolment_free(enrolment);
}

/* ---- the beginning ---- */

/* One that leaves under the same id or from the same place must be gone first: the map has one row
 * for the place, and workers tell of pods by id. */
static bool must_wait(const struct enrolment *enrolment)
{
	const struct pod *pod = enrolment->pod;
	list_each (&enrolment->control->enrolments, item) {
		const struct enrolment *other = list_entry(item, struct enrolment, item);
		if (other != enrolment && other->is_leaving &&
		    (other->pod->id == pod->id || has_same_place(other->pod, pod)))
			return true;
	}
	return false;
}

/* Who is enrolled from there already: paths differ, the namespace or cgroup behind them is one, and
 * the map has one row for it. */
static const struct pod *taken_by(const struct enrolment *enrolment, const struct stat *place)
{
	list_each (&enrolment->control->enrolments, item) {
		const struct enrolment *other = list_entry(item, struct enrolment, item);
		if (other != enrolment && has_workers(other) && other->place_dev == place->st_dev &&
		    other->place_inode == place->st_ino)
			return other->pod;
	}
	return NULL;
}

static int open_sockets(struct enrolment *enrolment, struct text *why)
{
	const struct control *control = enrolment->control;
	const struct pod *pod = enrolment->pod;
	struct stat place;
	if (stat(place_of(pod), &place)) {
		int error = -errno;
		text_printf(why, "%s %s: %s", pod->netns_path ? "netns" : "cgroup", place_of(pod),
			    strerror(-error));
		return error;
	}
	const struct pod *owner = taken_by(enrolment, &place);
	if (owner) {
		text_printf(why, "%s is the same %s as that of pod %s", place_of(pod),
			    pod->netns_path ? "network namespace" : "cgroup", owner->name);
		return -EEXIST;
	}
	struct stock_place asked = {.netns_path = pod->netns_path, .cgroup_path = pod->cgroup_path};
	if (pod->holds_addresses) {
		asked.holds[0] = pod->local4;
		asked.holds[1] = pod->local6;
	}
	int error = stock_pod_open(control->options.stock, pod->id, &asked, why, &enrolment->stock,
				   &enrolment->listeners);
	if (error)
		return error;
	enrolment->place_dev = place.st_dev;
	enrolment->place_inode = place.st_ino;
	enrolment->key = (struct weft_pod_key){
		.id = pod->netns_path ? enrolment->listeners.netns_cookie
				      : enrolment->listeners.cgroup_id,
		.kind = pod->netns_path ? WEFT_POD_BY_NETNS : WEFT_POD_BY_CGROUP,
	};
	return 0;
}

static void try_to_open(struct enrolment *enrolment)
{
	struct control *control = enrolment->control;
	const struct control_hooks *hooks = &control->options.hooks;
	struct text why = {0};
	if (control->is_stopped)
		return;
	if (must_wait(enrolment)) {
		enrolment->state = ENROLMENT_WAITING;
		return;
	}
	int error = open_sockets(enrolment, &why);
	if (error) {
		enrolment->state = ENROLMENT_FAILED;
		if (error == -ENOENT) /* nobody is there: what a dead weftd enrolled is stale */
			adopted_settle(control, enrolment->pod->name, NULL);
		set_error(enrolment, why.data ? why.data : strerror(-error));
		text_fini(&why);
		return;
	}
	text_fini(&why);
	enrolment->state = ENROLMENT_SERVING;
	enrolment->served = 0;
	enrolment->is_in_map = false;
	hooks->pod_added(hooks->owner, enrolment->pod, enrolment->stock, &enrolment->listeners);
}

static void start_capture(struct enrolment *enrolment)
{
	struct control *control = enrolment->control;
	const struct pod *pod = enrolment->pod;
	/* Before the new rows: removing a row of the same pod id takes its exclusions along. */
	adopted_settle(control, pod->name, &enrolment->key);
	kernel_skip_clear(control->options.kernel, pod->id);
	int error = put_skips(control->options.kernel, pod);
	if (!error)
		error = put_row(enrolment, DIALS_CAPTURED);
	enrolment->is_in_map = true; /* also after a failure: an older row may be there */
	if (error) {
		char sentence[128];
		snprintf(sentence, sizeof(sentence), "cannot be entered into the kernel's maps: %s",
			 strerror(-error));
		set_error(enrolment, sentence);
		leave(enrolment, 0);
		return;
	}
	text_clear(&enrolment->error);
	enrolment->state = ENROLMENT_CAPTURED;
	enrolment->since_ns = io_now_ns(control->options.ring);
	guests_tell(&control->guests, pod->name, NULL);
	log_info("pod_captured", "pod=%s id=%u uncaptured_connections=%u", pod->name, pod->id,
		 enrolment->listeners.uncaptured_count);
}

/* ---- changes ---- */

/* The same pod at the same place with other settings: listeners and connections stay. */
static void change_settings(struct enrolment *enrolment, const struct pod *next)
{
	struct kernel *kernel = enrolment->control->options.kernel;
	const struct pod *old = enrolment->pod;
	enrolment->pod = pod_keep(next);
	if (enrolment->state == ENROLMENT_CAPTURED) {
		if (!keeps_skips(old, next))
			kernel_skip_clear(kernel, next->id);
		int error = put_skips(kernel, next);
		if (!error)
			error = put_row(enrolment, DIALS_CAPTURED);
		if (error)
			log_error("pod_settings_not_applied", "pod=%s error=\"%s\"", next->name,
				  strerror(-error));
	}
	pod_drop(old);
}

/* The enrolment that is the pod's own, not one that leaves. */
static struct enrolment *find(const struct control *control, uint32_t pod_id)
{
	list_each (&control->enrolments, item) {
		struct enrolment *enrolment = list_entry(item, struct enrolment, item);
		if (!enrolment->is_leaving && enrolment->pod->id == pod_id)
			return enrolment;
	}
	return NULL;
}

static void enrol(struct control *control, const struct pod *pod)
{
	struct enrolment *enrolment = mem_zalloc(sizeof(*enrolment));
	if (!enrolment) {
		log_error("pod_not_enrolled", "pod=%s error=\"out of memory\"", pod->name);
		return; /* the next tick tries again */
	}
	enrolment->control = control;
	enrolment->pod = pod_keep(pod);
	list_add_last(&control->enrolments, &enrolment->item);
	try_to_open(enrolment);
}

static void dismiss_absent(struct control *control)
{
	list_each (&control->enrolments, item) {
		struct enrolment *enrolment = list_entry(item, struct enrolment, item);
		const struct pod *pod =
			snapshot_pod_named(control->current, span_text(enrolment->pod->name));
		if (!enrolment->is_leaving && (!pod || !has_same_place(pod, enrolment->pod)))
			dismiss(enrolment);
	}
}

/* Rows repeat what the mesh says of the shortcut. True: they are out of date. */
static bool mesh_has_changed(struct control *control)
{
	const struct settings *settings = &control->current->settings;
	bool is_changed = control->shortcut != settings->shortcut ||
			  control->shortcut_window != settings->shortcut_window;
	control->shortcut = settings->shortcut;
	control->shortcut_window = settings->shortcut_window;
	return is_changed;
}

/* A system call of every program gets slower by it, so only while it is needed. */
static void watch_splices(struct control *control)
{
	struct text why = {0};
	if (kernel_splice_watch(control->options.kernel, control->current->has_shortcut_on, &why))
		log_warn("splice_not_watched", "cause=\"%.*s\"", SPAN_PRINT(text_span(&why)));
	text_fini(&why);
}

void pods_apply(struct control *control)
{
	bool mesh_changed = mesh_has_changed(control);
	watch_splices(control);
	adopted_settle_absent(control, control->current);
	dismiss_absent(control);
	for (uint32_t i = 0; i < control->current->pod_count; i++) {
		const struct pod *pod = control->current->pods[i];
		struct enrolment *enrolment = find(control, pod->id);
		if (!enrolment)
			enrol(control, pod);
		else if (enrolment->pod != pod || mesh_changed)
			change_settings(enrolment, pod);
		/* one that was dropped and added again within one build never left */
		if (enrolment && enrolment->state == ENROLMENT_CAPTURED)
			guests_tell(&control->guests, pod->name, NULL);
	}
}

/* ---- what workers tell ---- */

enum tidings { POD_SERVED, POD_NOT_SERVED, POD_LEFT };

struct report {
	struct io_mail mail;
	struct control *control;
	uint32_t pod_id;
	uint32_t worker;
	enum tidings tidings;
};

static void on_left(struct enrolment *enrolment, uint32_t worker)
{
	struct control *control = enrolment->control;
	enrolment->left |= 1u << worker;
	if (enrolment->state != ENROLMENT_DRAINING || enrolment->left != all_workers(control))
		return;
	if (enrolment->is_in_map && !enrolment->is_refused)
		kernel_pod_remove(control->options.kernel, &enrolment->key, enrolment->pod->id);
	enrolment->is_in_map = false;
	release_sockets(enrolment);
	enrolment->state = ENROLMENT_FAILED; /* the tick brings back what is still wanted */
	if (enrolment->is_leaving)
		enrolment_free(enrolment);
	list_each (&control->enrolments, item) {
		struct enrolment *waiting = list_entry(item, struct enrolment, item);
		if (waiting->state == ENROLMENT_WAITING)
			try_to_open(waiting);
	}
	control_check_drained(control);
}

static void on_served(struct enrolment *enrolment, uint32_t worker)
{
	enrolment->served |= 1u << worker;
	if (enrolment->state == ENROLMENT_SERVING &&
	    enrolment->served == all_workers(enrolment->control))
		start_capture(enrolment);
}

/* Those that did take it let go at once, then the tick tries again. */
static void on_not_served(struct enrolment *enrolment)
{
	if (enrolment->state != ENROLMENT_SERVING)
		return;
	set_error(enrolment, "a worker has no memory for it");
	leave(enrolment, 0);
}

static void take_report(struct enrolment *enrolment, const struct report *report)
{
	if (report->tidings == POD_LEFT)
		on_left(enrolment, report->worker);
	else if (enrolment->control->is_stopped)
		return;
	else if (report->tidings == POD_SERVED)
		on_served(enrolment, report->worker);
	else
		on_not_served(enrolment);
}

static void on_report(struct io_mail *mail)
{
	struct report *report = container_of(mail, struct report, mail);
	struct report copy = *report;
	mem_free(report);
	list_each (&copy.control->enrolments, item) {
		struct enrolment *enrolment = list_entry(item, struct enrolment, item);
		/* Two may have the id, but only one of them has workers. */
		if (enrolment->pod->id != copy.pod_id || !has_workers(enrolment))
			continue;
		take_report(enrolment, &copy);
		return;
	}
}

/* Any thread. */
static void post_report(struct control *control, uint32_t pod_id, unsigned worker,
			enum tidings tidings)
{
	struct report *report = mem_zalloc(sizeof(*report));
	if (!report)
		report = mem_zalloc(sizeof(*report));
	if (!report) {
		log_error("pod_report_lost", "pod_id=%u worker=%u error=\"out of memory\"", pod_id,
			  worker);
		return;
	}
	report->mail.run = on_report;
	report->control = control;
	report->pod_id = pod_id;
	report->worker = worker;
	report->tidings = tidings;
	io_post(control->options.ring, &report->mail);
}

void control_pod_served(struct control *control, uint32_t pod_id, unsigned worker)
{
	post_report(control, pod_id, worker, POD_SERVED);
}

void control_pod_not_served(struct control *control, uint32_t pod_id, unsigned worker)
{
	post_report(control, pod_id, worker, POD_NOT_SERVED);
}

void control_pod_left(struct control *control, uint32_t pod_id, unsigned worker)
{
	post_report(control, pod_id, worker, POD_LEFT);
}

/* ---- time ---- */

static void check_place(struct enrolment *enrolment)
{
	struct stat place;
	const char *path = place_of(enrolment->pod);
	const char *what;
	if (stat(path, &place))
		what = errno == ENOENT ? "vanished" : NULL;
	else
		what = place.st_dev != enrolment->place_dev ||
				       place.st_ino != enrolment->place_inode
			       ? "is another one now"
			       : NULL;
	if (!what)
		return;
	char sentence[256];
	snprintf(sentence, sizeof(sentence), "%.200s %s", path, what);
	set_error(enrolment, sentence);
	uint64_t drain_ns = enrolment->control->current->settings.drain_timeout_ns;
	leave(enrolment, drain_ns < VANISHED_DRAIN_NS ? drain_ns : VANISHED_DRAIN_NS);
}

void pods_tick(struct control *control)
{
	list_each (&control->enrolments, item) {
		struct enrolment *enrolment = list_entry(item, struct enrolment, item);
		if (enrolment->state == ENROLMENT_FAILED || enrolment->state == ENROLMENT_WAITING)
			try_to_open(enrolment);
		else if (enrolment->state != ENROLMENT_DRAINING)
			check_place(enrolment);
	}
	for (uint32_t i = 0; i < control->current->pod_count; i++) {
		if (!find(control, control->current->pods[i]->id))
			enrol(control, control->current->pods[i]);
	}
}

bool pods_is_captured(const struct control *control, const char *name)
{
	list_each (&control->enrolments, item) {
		const struct enrolment *enrolment = list_entry(item, struct enrolment, item);
		if (!enrolment->is_leaving && strcmp(enrolment->pod->name, name) == 0)
			return enrolment->state == ENROLMENT_CAPTURED;
	}
	return false;
}

void pods_cut(struct control *control, const char *name)
{
	list_each (&control->enrolments, item) {
		struct enrolment *enrolment = list_entry(item, struct enrolment, item);
		if (!enrolment->is_leaving && strcmp(enrolment->pod->name, name) == 0 &&
		    has_workers(enrolment))
			leave(enrolment, 0);
	}
}

void pods_drain(struct control *control, enum drain drain)
{
	adopted_settle_all(control, drain);
	list_each (&control->enrolments, item) {
		struct enrolment *enrolment = list_entry(item, struct enrolment, item);
		enrolment->is_refused = drain == DRAIN_FOR_RESTART &&
					enrolment->state == ENROLMENT_CAPTURED &&
					enrolment->pod->on_proxy_death == ON_PROXY_DEATH_CLOSED;
		dismiss(enrolment);
	}
}

void pods_close(struct control *control)
{
	list_each (&control->enrolments, item) {
		struct enrolment *enrolment = list_entry(item, struct enrolment, item);
		release_sockets(enrolment);
		enrolment_free(enrolment);
	}
}
