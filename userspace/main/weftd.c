/*
 * weftd: opens the rooms in order, wires them by hooks, turns the control thread's loop, and takes
 * everything down in reverse. The only file that knows both proxy and control and admin.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "admin/admin.h"
#include "base/log.h"
#include "cni/metrics.h"
#include "cni/node_lock.h"
#include "control/control.h"
#include "control/discovery.h"
#include "kernel/metrics.h"
#include "proxy/workers.h"
#include "weft/version.h"

#define CONFIG_PATH    "/etc/weft/weft.yaml"
#define RING_ENTRIES   256
#define SHARED_BUFFERS 64
#define DESCRIPTORS    1048576
#define LEAVING_MS     1000
#define TICK_NS        1000000000ull
#define SWEEP_TICKS    60 /* so that what is gone was read by a scraper once more */

struct daemon {
	const char *config_path;
	struct settings settings; /* of the config at start; texts belong to `first` */
	struct snapshot_slot *slot;
	struct kernel *kernel;
	struct stock *stock;
	struct io_ring *ring;
	struct series_store series;
	struct workers *workers;
	struct blocks blocks; /* of the control thread's wires */
	struct wire_loop wires;
	struct control *control;
	struct discovery *discovery; /* NULL = off */
	struct admin *admin;
	unsigned worker_count;
	int signal_fd;
	struct io_op signal_op;
	struct timer tick;
	unsigned ticks;
	bool was_ready;
	bool is_draining;
	bool must_stop;
};

/* ---- hooks: control -> workers, workers -> control ---- */

static void on_pod_added(void *owner, const struct pod *pod, struct stock_pod *stock,
			 const struct stock_listeners *listeners)
{
	struct daemon *daemon = owner;
	workers_pod_added(daemon->workers, pod, stock, listeners);
}

static void on_pod_removing(void *owner, uint32_t pod_id, uint64_t drain_ns)
{
	struct daemon *daemon = owner;
	workers_pod_removing(daemon->workers, pod_id, drain_ns);
}

static void on_pod_served(void *owner, uint32_t pod_id, unsigned worker)
{
	struct daemon *daemon = owner;
	control_pod_served(daemon->control, pod_id, worker);
}

static void on_pod_not_served(void *owner, uint32_t pod_id, unsigned worker)
{
	struct daemon *daemon = owner;
	control_pod_not_served(daemon->control, pod_id, worker);
}

static void on_pod_left(void *owner, uint32_t pod_id, unsigned worker)
{
	struct daemon *daemon = owner;
	control_pod_left(daemon->control, pod_id, worker);
}

static void on_names_changed(void *owner)
{
	struct daemon *daemon = owner;
	workers_names_changed(daemon->workers);
}

static void on_name_wanted(void *owner, struct span service)
{
	struct daemon *daemon = owner;
	control_name_wanted(daemon->control, service);
}

/* ---- hooks: admin -> everything ---- */

/* Who serves stays ready: a pod that comes later is on its own way in, for as long as one before it
 * drains, and says nothing of the node. */
static bool is_ready(void *owner, struct text *why)
{
	struct daemon *daemon = owner;
	if (daemon->is_draining) {
		text_printf(why, "weftd is draining");
		return false;
	}
	if (daemon->was_ready)
		return true;
	if (daemon->discovery && !discovery_is_built(daemon->discovery, why))
		return false;
	daemon->was_ready = control_is_ready(daemon->control);
	if (!daemon->was_ready)
		text_printf(why, "pods are being enrolled");
	return daemon->was_ready;
}

static void pods_json(void *owner, struct text *json)
{
	const struct daemon *daemon = owner;
	control_pods_json(daemon->control, json);
}

static void config_json(void *owner, struct text *json)
{
	const struct daemon *daemon = owner;
	control_config_json(daemon->control, json);
}

static void namers_json(void *owner, struct text *json)
{
	const struct daemon *daemon = owner;
	control_namers_json(daemon->control, json);
}

static void kubernetes_json(void *owner, struct text *json)
{
	const struct daemon *daemon = owner;
	if (daemon->discovery)
		discovery_json(daemon->discovery, json);
	else
		text_add(json, span_text("{\"enabled\":false}"));
}

static void version_json(void *owner, struct text *json)
{
	const struct daemon *daemon = owner;
	const char *node = daemon->discovery ? discovery_node(daemon->discovery) : "";
	text_add(json, span_text("{\"version\":\"" WEFT_VERSION "\",\"node\":"));
	text_json_string(json, span_text(node));
	text_add(json, span_text("}"));
}

static unsigned sandbox(void *owner, bool is_added, struct span body, struct text *json)
{
	struct daemon *daemon = owner;
	if (!daemon->discovery) {
		text_add(json, span_text("{\"why\":\"kubernetes.enabled is false\"}\n"));
		return 404;
	}
	return is_added ? discovery_sandbox_added(daemon->discovery, body, json)
			: discovery_sandbox_removed(daemon->discovery, body, json);
}

/* Where the chart says that the plugin is installed. */
static void cni_metrics(const struct daemon *daemon, struct text *page)
{
	const struct cni_place place = {
		.bin_dir = getenv("WEFT_CNI_BIN_DIR"),
		.conf_dir = getenv("WEFT_CNI_CONF_DIR"),
	};
	if (place.bin_dir && place.conf_dir)
		cni_metrics_page(&place, daemon->settings.control_socket, page);
}

static void metrics_of_kernel(void *owner, struct text *page)
{
	const struct daemon *daemon = owner;
	kernel_metrics_page(daemon->kernel, page);
	control_metrics(daemon->control, page);
	if (daemon->discovery)
		discovery_metrics(daemon->discovery, page);
	cni_metrics(daemon, page);
}

static void connections_json(void *owner, struct span pod,
			     void (*done)(void *request, const char *json), void *request)
{
	struct daemon *daemon = owner;
	workers_connections(daemon->workers, daemon->ring, pod, done, request);
}

static void edges_json(void *owner, struct span pod, void (*done)(void *request, const char *json),
		       void *request)
{
	struct daemon *daemon = owner;
	workers_edges(daemon->workers, daemon->ring, pod, done, request);
}

static bool breaker(void *owner, const struct service *service, const struct endpoint *endpoint,
		    struct breaker_view *ret_view)
{
	const struct daemon *daemon = owner;
	return workers_breaker(daemon->workers, service, endpoint, ret_view);
}

static bool service_is_up(void *owner, const struct snapshot *snapshot,
			  const struct service *service, uint64_t now_ns)
{
	const struct daemon *daemon = owner;
	return workers_service_is_up(daemon->workers, snapshot, service, now_ns);
}

static void explain_json(void *owner, struct span query,
			 void (*done)(void *request, const char *json), void *request)
{
	struct daemon *daemon = owner;
	workers_explain(daemon->workers, daemon->ring, query, done, request);
}

static int add_pod(void *owner, struct span spec, void (*told)(void *request, const char *error),
		   void *request, struct text *why, void **ret_pod)
{
	struct daemon *daemon = owner;
	struct guest *guest;
	int error = control_pod_add(daemon->control, spec, told, request, why, &guest);
	if (!error)
		*ret_pod = guest;
	return error;
}

static void drop_pod(void *owner, void *pod)
{
	struct daemon *daemon = owner;
	control_pod_drop(daemon->control, pod);
}

static void on_drained(void *owner)
{
	struct daemon *daemon = owner;
	log_info("drained", "pods=0");
	daemon->must_stop = true;
}

static void drain(struct daemon *daemon, enum drain drain)
{
	if (daemon->is_draining)
		return;
	daemon->is_draining = true;
	log_info("draining", "limit_seconds=%llu",
		 (unsigned long long)(daemon->settings.drain_timeout_ns / 1000000000));
	control_drain(daemon->control, drain, on_drained, daemon);
}

static void drain_for_good(void *owner)
{
	struct daemon *daemon = owner;
	if (daemon->discovery)
		discovery_keep_nothing(daemon->discovery);
	drain(daemon, DRAIN_FOR_GOOD);
}

/* ---- housekeeping ---- */

static void on_tick(struct timer *timer)
{
	struct daemon *daemon = container_of(timer, struct daemon, tick);
	if (++daemon->ticks % SWEEP_TICKS == 0 || series_is_crowded(&daemon->series))
		workers_sweep_series(daemon->workers);
	if (timer_set(io_timers(daemon->ring), timer, io_now_ns(daemon->ring) + TICK_NS))
		log_error("tick_lost", "error=\"out of memory\"");
}

/* ---- signals ---- */

static void on_signal(struct io_op *op, int result, bool more)
{
	struct daemon *daemon = container_of(op, struct daemon, signal_op);
	struct signalfd_siginfo info;
	(void)result;
	while (read(daemon->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGHUP)
			control_reload(daemon->control);
		else if (daemon->is_draining)
			daemon->must_stop = true; /* asked twice: at once */
		else
			drain(daemon, DRAIN_FOR_RESTART);
	}
	if (!more)
		io_poll(daemon->ring, op, daemon->signal_fd, POLLIN);
}

static int open_signals(struct daemon *daemon)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	daemon->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return daemon->signal_fd < 0 ? -errno : 0;
}

/* ---- opening ---- */

static unsigned choose_workers(unsigned wanted)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned count = wanted ? wanted : (unsigned)(cpus > 4 ? cpus / 4 : 1);
	return count > WEFT_WORKERS_MAX ? WEFT_WORKERS_MAX : count;
}

static void raise_descriptor_limit(void)
{
	struct rlimit limit = {DESCRIPTORS, DESCRIPTORS};
	if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
		return;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	log_info("few_descriptors", "limit=%llu why=\"a connection takes two\"",
		 (unsigned long long)limit.rlim_cur);
}

static void set_log(const struct settings *settings)
{
	static const char *const names[] = {"debug", "info", "warn", "error"};
	log_set_json(settings->log_json);
	for (unsigned i = 0; i < array_count(names); i++) {
		if (settings->log_level && strcmp(settings->log_level, names[i]) == 0)
			log_set_level((enum log_level)i);
	}
}

/* The first snapshot is published as it is, so that workers always have one; control replaces it
 * before a pod is enrolled. */
static int open_config(struct daemon *daemon, struct text *why)
{
	struct snapshot *first;
	int error = config_read(daemon->config_path, why, &first);
	if (error)
		return error;
	daemon->slot = snapshot_slot_new();
	if (!daemon->slot) {
		snapshot_free(first);
		return -ENOMEM;
	}
	daemon->settings = first->settings;
	daemon->settings.admin_address = strdup(first->settings.admin_address);
	daemon->settings.control_socket = strdup(first->settings.control_socket);
	daemon->settings.pin_dir = strdup(first->settings.pin_dir);
	daemon->settings.cgroup_root = strdup(first->settings.cgroup_root);
	set_log(&first->settings);
	daemon->worker_count = choose_workers(first->settings.workers);
	snapshot_publish(daemon->slot, first);
	return 0;
}

static int open_kernel(struct daemon *daemon, struct text *why)
{
	struct kernel_options options = {
		.pin_dir = daemon->settings.pin_dir,
		.cgroup_root = daemon->settings.cgroup_root,
		.workers = daemon->worker_count,
	};
	int error = kernel_open(&options, why, &daemon->kernel);
	if (error)
		return error;
	series_store_init(&daemon->series, kernel_series(daemon->kernel),
			  kernel_series_labels(daemon->kernel), kernel_proxy_counts(daemon->kernel),
			  daemon->worker_count);
	struct stock_options stock_options = {
		.kernel = daemon->kernel,
		.workers = daemon->worker_count,
		.depth = daemon->settings.socket_stock,
	};
	error = stock_open(&stock_options, &daemon->stock);
	if (error)
		text_printf(why, "the socket helper thread could not start: %s", strerror(-error));
	return error;
}

static void flush_wires(void *owner)
{
	struct daemon *daemon = owner;
	wire_loop_flush(&daemon->wires);
}

static int open_ring(struct daemon *daemon, struct text *why)
{
	struct io_options options = {.entries = RING_ENTRIES, .shared_count = SHARED_BUFFERS};
	int error = io_ring_open(&options, &daemon->ring);
	if (error) {
		text_printf(why, "io_uring is not usable: %s; `weft check` says more",
			    strerror(-error));
		return error;
	}
	blocks_init(&daemon->blocks, ADMIN_BLOCK_BYTES + KUBE_BLOCK_BYTES);
	wire_loop_init(&daemon->wires, daemon->ring, &daemon->blocks);
	io_set_hooks(daemon->ring, flush_wires, NULL, daemon);
	daemon->signal_op.done = on_signal;
	io_poll(daemon->ring, &daemon->signal_op, daemon->signal_fd, POLLIN);
	return 0;
}

static int open_workers(struct daemon *daemon, struct text *why)
{
	struct workers_options options = {
		.count = daemon->worker_count,
		.kernel = daemon->kernel,
		.slot = daemon->slot,
		.series = &daemon->series,
		.heartbeats = kernel_heartbeats(daemon->kernel),
		.owner = daemon,
		.pod_served = on_pod_served,
		.pod_not_served = on_pod_not_served,
		.pod_left = on_pod_left,
		.name_wanted = on_name_wanted,
	};
	int error = workers_open(&options, why, &daemon->workers);
	timer_init(&daemon->tick, on_tick);
	if (!error)
		error = timer_set(io_timers(daemon->ring), &daemon->tick,
				  io_now_ns(daemon->ring) + TICK_NS);
	return error;
}

static int open_control(struct daemon *daemon, struct text *why)
{
	struct control_options options = {
		.config_path = daemon->config_path,
		.ring = daemon->ring,
		.kernel = daemon->kernel,
		.stock = daemon->stock,
		.slot = daemon->slot,
		.series = &daemon->series,
		.workers = daemon->worker_count,
		.hooks =
			{
				.owner = daemon,
				.pod_added = on_pod_added,
				.pod_removing = on_pod_removing,
				.names_changed = on_names_changed,
			},
	};
	return control_open(&options, why, &daemon->control);
}

static int open_discovery(struct daemon *daemon, struct text *why)
{
	if (!daemon->settings.kubernetes)
		return 0;
	return discovery_open(daemon->control, &daemon->wires, why, &daemon->discovery);
}

static int open_admin(struct daemon *daemon, struct text *why)
{
	struct admin_sources sources = {
		.owner = daemon,
		.slot = daemon->slot,
		.series = &daemon->series,
		.heartbeats = kernel_heartbeats(daemon->kernel),
		.workers = daemon->worker_count,
		.started_ns = io_now_ns(daemon->ring),
		.is_ready = is_ready,
		.pods_json = pods_json,
		.config_json = config_json,
		.kubernetes_json = kubernetes_json,
		.namers_json = namers_json,
		.version_json = version_json,
		.sandbox = sandbox,
		.kernel_metrics = metrics_of_kernel,
		.breaker = breaker,
		.service_is_up = service_is_up,
		.connections_json = connections_json,
		.edges_json = edges_json,
		.explain_json = explain_json,
		.pod_add = add_pod,
		.pod_drop = drop_pod,
		.drain = drain_for_good,
	};
	return admin_open(&daemon->wires, &sources, daemon->settings.admin_address,
			  daemon->settings.control_socket, why, &daemon->admin);
}

static int open_all(struct daemon *daemon, struct text *why)
{
	int (*const steps[])(struct daemon *, struct text *) = {
		open_kernel, open_ring, open_workers, open_control, open_discovery, open_admin,
	};
	for (unsigned i = 0; i < array_count(steps); i++) {
		int error = steps[i](daemon, why);
		if (error)
			return error;
	}
	return 0;
}

static void close_all(struct daemon *daemon)
{
	if (daemon->ring)
		timer_clear(io_timers(daemon->ring), &daemon->tick);
	admin_close(daemon->admin);
	discovery_close(daemon->discovery);
	control_stop(daemon->control);
	workers_close(daemon->workers);
	if (daemon->control)
		io_turn(daemon->ring, 0); /* the workers' last reports */
	control_close(daemon->control);
	stock_close(daemon->stock);
	io_ring_close(daemon->ring);
	blocks_fini(&daemon->blocks);
	kernel_close(daemon->kernel);
	snapshot_slot_free(daemon->slot);
	close(daemon->signal_fd);
	free(daemon->settings.admin_address);
	free(daemon->settings.control_socket);
	free(daemon->settings.pin_dir);
	free(daemon->settings.cgroup_root);
}

/* ---- command line ---- */

static const char usage_text[] =
	"usage: weftd [--config FILE] [--validate | --version]\n"
	"\n"
	"  --config FILE   YAML or JSON, default " CONFIG_PATH
	"; keys: weft config --reference\n"
	"  --validate      read the config, say what is wrong with it, start nothing\n"
	"  --version       version of weftd and of the layout of its pinned maps\n"
	"\n"
	"SIGTERM drains and ends, SIGHUP reads the config again. Pins stay; `weft cleanup` "
	"removes\n"
	"them.\n";

/* Sentences about a config end their lines themselves. */
static void complain(const char *prefix, const struct text *why, int error)
{
	const char *sentence = why->data ? why->data : strerror(-error);
	size_t size = strlen(sentence);
	fprintf(stderr, "%s%s%s", prefix, sentence, size && sentence[size - 1] == '\n' ? "" : "\n");
}

static int validate(const char *path)
{
	struct text why = {0};
	struct snapshot *snapshot;
	int error = config_read(path, &why, &snapshot);
	if (error)
		complain("", &why, error);
	else
		printf("%s: %u services, %u pods, no error\n", path, snapshot->service_count,
		       snapshot->pod_count);
	if (!error)
		snapshot_free(snapshot);
	text_fini(&why);
	return error ? 1 : 0;
}

/* Pins are for the next weftd; one that never served leaves none but those that it found. */
static int open_or_leave_nothing(struct daemon *daemon, struct text *why)
{
	struct text detail = {0};
	char *pin_dir = strdup(daemon->settings.pin_dir);
	bool had_pins = !pin_dir || access(pin_dir, F_OK) == 0;
	int error = open_all(daemon, why);
	if (error) {
		close_all(daemon);
		*daemon = (struct daemon){.signal_fd = -1};
	}
	if (error && !had_pins && kernel_remove(pin_dir, &detail))
		log_warn("pins_left", "dir=%s cause=\"%.*s\"", pin_dir,
			 SPAN_PRINT(text_span(&detail)));
	text_fini(&detail);
	free(pin_dir);
	return error;
}

/* Shares the node's lock, which `weft leave` holds alone: nothing is put on a node that leaves the
 * mesh. -ECANCELED: a signal came first. Without a lock (no such folder) weftd starts all the same.
 */
static int join_node(struct daemon *daemon, int *ret_lock)
{
	struct pollfd signals = {.fd = daemon->signal_fd, .events = POLLIN};
	struct node_lock_wait wait = {0};
	const char *socket = daemon->settings.control_socket;
	bool is_told = false;
	while ((*ret_lock = node_lock_share(socket, &wait)) == -EWOULDBLOCK) {
		if (!is_told)
			log_info("waiting", "why=\"this node is leaving the mesh\"");
		is_told = true;
		if (poll(&signals, 1, LEAVING_MS) > 0)
			return -ECANCELED;
	}
	return 0;
}

static int serve(struct daemon *daemon)
{
	struct text why = {0};
	int lock = -1;
	int error = open_signals(daemon);
	raise_descriptor_limit();
	if (!error)
		error = open_config(daemon, &why);
	if (!error)
		error = join_node(daemon, &lock);
	if (!error)
		error = open_or_leave_nothing(daemon, &why);
	node_lock_end(lock);
	if (error == -ECANCELED) {
		error = 0;
	} else if (error) {
		complain("weftd: ", &why, error);
	} else {
		log_info("serving", "version=%s pid=%d workers=%u config=%s socket=%s admin=%s",
			 WEFT_VERSION, getpid(), daemon->worker_count, daemon->config_path,
			 daemon->settings.control_socket, daemon->settings.admin_address);
		while (!daemon->must_stop)
			io_turn(daemon->ring, UINT64_MAX);
		/* Who waits for the socket to end, to remove every trace, finds all of them. */
		if (daemon->discovery)
			discovery_keep(daemon->discovery);
	}
	close_all(daemon);
	text_fini(&why);
	return error ? 1 : 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"validate", no_argument, NULL, 'v'},
		{"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	struct daemon daemon = {.config_path = CONFIG_PATH, .signal_fd = -1};
	bool only_validates = false;
	int option;
	while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			daemon.config_path = optarg;
			break;
		case 'v':
			only_validates = true;
			break;
		case 'V':
			printf("weftd %s, layout of pinned maps %u\n", WEFT_VERSION,
			       WEFT_LAYOUT_VERSION);
			return 0;
		case 'h':
			fputs(usage_text, stdout);
			return 0;
		default:
			fputs(usage_text, stderr);
			return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "weftd: unexpected argument \"%s\"\n%s", argv[optind], usage_text);
		return 2;
	}
	return only_validates ? validate(daemon.config_path) : serve(&daemon);
}
