/*
 * A control room on a real ring, over the kernel double, with a config file and stand-ins for
 * namespaces in a folder of its own. For the tests of control, one at a time; a header because a
 * test is one file.
 */
#ifndef CONTROL_TESTS_STAGE_H
#define CONTROL_TESTS_STAGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "control/control.h"
#include "kernel/double.h"

#define WORKERS     2u
#define DEADLINE_NS 20000000000ull
#define TURN_NS     10000000ull
#define ALL(function)                                                                              \
	for (unsigned worker = 0; worker < WORKERS; worker++)                                      \
	function

static struct stage {
	char folder[64];
	char config[96];
	struct io_ring *ring;
	struct kernel *kernel;
	struct stock *stock;
	struct snapshot_slot *slot;
	struct series_store series;
	struct control *control;
	unsigned added; /* what the hooks were told */
	unsigned removing;
	unsigned drained;
	uint32_t last_pod_id;
	uint64_t last_drain_ns;
	bool row_at_added;     /* the pod had a row in the map when it was added */
	bool capture_at_leave; /* its row still captured when it was to leave */
	bool workers_serve;    /* what the workers do at once */
	bool workers_leave;
} stage;

/* ---- the kernel's map ---- */

struct row_search {
	const char *name;
	bool is_found;
	struct weft_pod row;
	struct weft_pod_key key;
};

static inline void on_row(const struct weft_pod_key *key, const struct weft_pod *pod, void *owner)
{
	struct row_search *search = owner;
	if (strcmp(pod->name, search->name) != 0)
		return;
	search->is_found = true;
	search->row = *pod;
	search->key = *key;
}

static inline struct row_search stage_row(const char *name)
{
	struct row_search search = {.name = name};
	assert_int_equal(kernel_pod_each(stage.kernel, on_row, &search), 0);
	return search;
}

static inline bool stage_has_row(const char *name)
{
	return stage_row(name).is_found;
}

static inline bool stage_is_captured(const char *name)
{
	return stage_row(name).row.flags & WEFT_POD_CAPTURE;
}

static inline struct weft_address address_of(const char *text)
{
	struct weft_address address;
	assert_int_equal(address_parse(span_text(text), &address), 0);
	return address;
}

static inline const struct weft_destination *destination_of(const char *text)
{
	struct weft_address address = address_of(text);
	return kernel_double_destination(&address);
}

/* ---- hooks ---- */

static inline void serve_all(uint32_t pod_id)
{
	ALL(control_pod_served(stage.control, pod_id, worker));
}

static inline void leave_all(uint32_t pod_id)
{
	ALL(control_pod_left(stage.control, pod_id, worker));
}

static inline void on_pod_added(void *owner, const struct pod *pod, struct stock_pod *stock,
				const struct stock_listeners *listeners)
{
	(void)owner;
	assert_non_null(stock);
	assert_true(listeners->ports[0].port4[0] != 0);
	stage.added++;
	stage.last_pod_id = pod->id;
	stage.row_at_added = stage_has_row(pod->name);
	if (stage.workers_serve)
		serve_all(pod->id);
}

struct capture_search {
	uint32_t pod_id;
	bool captures;
};

static inline void on_captured_row(const struct weft_pod_key *key, const struct weft_pod *pod,
				   void *owner)
{
	struct capture_search *search = owner;
	(void)key;
	if (pod->pod_id == search->pod_id && (pod->flags & WEFT_POD_CAPTURE))
		search->captures = true;
}

static inline void on_pod_removing(void *owner, uint32_t pod_id, uint64_t drain_ns)
{
	struct capture_search search = {.pod_id = pod_id};
	(void)owner;
	stage.removing++;
	stage.last_pod_id = pod_id;
	stage.last_drain_ns = drain_ns;
	assert_int_equal(kernel_pod_each(stage.kernel, on_captured_row, &search), 0);
	stage.capture_at_leave |= search.captures;
	if (stage.workers_leave)
		leave_all(pod_id);
}

static inline void on_drained(void *owner)
{
	(void)owner;
	stage.drained++;
}

/* ---- files ---- */

/* Lends until the next call but three. */
static inline const char *stage_path(const char *name)
{
	static char paths[4][160];
	static unsigned next;
	char *path = paths[next++ % 4];
	snprintf(path, sizeof(paths[0]), "%s/%s", stage.folder, name);
	return path;
}

/* "@" in the text stands for the stage's folder. */
static inline void stage_write_in_place(const char *name, const char *text)
{
	FILE *file = fopen(stage_path(name), "w");
	assert_non_null(file);
	for (; *text; text++) {
		if (*text == '@')
			fputs(stage.folder, file);
		else
			fputc(*text, file);
	}
	assert_int_equal(fclose(file), 0);
}

static inline void stage_write(const char *name, const char *text)
{
	stage_write_in_place("new", text);
	assert_int_equal(rename(stage_path("new"), stage_path(name)), 0);
}

static inline void stage_link(const char *target, const char *name)
{
	assert_int_equal(symlink(target, stage_path("new")), 0);
	assert_int_equal(rename(stage_path("new"), stage_path(name)), 0);
}

static inline void stage_folder(const char *name)
{
	assert_int_equal(mkdir(stage_path(name), 0700), 0);
}

static inline void stage_remove(const char *name)
{
	assert_int_equal(unlink(stage_path(name)), 0);
}

/* ---- turning ---- */

static inline uint64_t stage_clock_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static inline void stage_turn(uint64_t end_ns, const char *claim)
{
	if (stage_clock_ns() > end_ns)
		fail_msg("never: %s", claim);
	io_turn(stage.ring, TURN_NS);
}

#define stage_until(claim)                                                                         \
	for (uint64_t end_ns = stage_clock_ns() + DEADLINE_NS; !(claim);)                          \
	stage_turn(end_ns, #claim)

/* For what must not happen meanwhile. */
static inline void stage_turn_for(uint64_t ns)
{
	uint64_t end_ns = stage_clock_ns() + ns;
	while (stage_clock_ns() < end_ns)
		io_turn(stage.ring, TURN_NS);
}

/* ---- what control shows ---- */

static inline cJSON *stage_config_json(void)
{
	struct text json = {0};
	control_config_json(stage.control, &json);
	assert_false(json.failed);
	cJSON *tree = cJSON_Parse(json.data);
	assert_non_null(tree);
	text_fini(&json);
	return tree;
}

static inline cJSON *stage_pods_json(void)
{
	struct text json = {0};
	control_pods_json(stage.control, &json);
	assert_false(json.failed);
	cJSON *tree = cJSON_Parse(json.data);
	assert_true(cJSON_IsArray(tree));
	text_fini(&json);
	return tree;
}

/* A text of the pod in /pods.json; "" when the pod or the text is absent. Lends until the next
 * call. */
static inline const char *stage_pod_text(const char *pod, const char *name)
{
	static char copy[256];
	cJSON *tree = stage_pods_json();
	const cJSON *item;
	copy[0] = '\0';
	cJSON_ArrayForEach(item, tree)
	{
		if (strcmp(cJSON_GetObjectItem(item, "name")->valuestring, pod) != 0)
			continue;
		const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(item, name));
		snprintf(copy, sizeof(copy), "%s", text ? text : "");
	}
	cJSON_Delete(tree);
	return copy;
}

static inline bool stage_state_is(const char *pod, const char *state)
{
	return strcmp(stage_pod_text(pod, "state"), state) == 0;
}

static inline uint64_t stage_generation(void)
{
	return snapshot_current(stage.slot)->generation;
}

/* ---- life ---- */

static inline int stage_set_up(void **state)
{
	const struct io_options ring_options = {.entries = 64, .shared_count = 8};
	const struct kernel_options kernel_options = {.workers = WORKERS};
	struct text why = {0};
	(void)state;
	stage = (struct stage){.workers_serve = true, .workers_leave = true};
	kernel_double_reset();
	snprintf(stage.folder, sizeof(stage.folder), "/tmp/weft-control-%d-XXXXXX", getpid());
	if (!mkdtemp(stage.folder) || io_ring_open(&ring_options, &stage.ring) ||
	    kernel_open(&kernel_options, &why, &stage.kernel))
		return -1;
	snprintf(stage.config, sizeof(stage.config), "%s/weft.yaml", stage.folder);
	const struct stock_options stock_options = {
		.kernel = stage.kernel, .workers = WORKERS, .depth = 1};
	series_store_init(&stage.series, kernel_series(stage.kernel),
			  kernel_series_labels(stage.kernel), kernel_proxy_counts(stage.kernel),
			  WORKERS);
	stage.slot = snapshot_slot_new();
	return stage.slot ? stock_open(&stock_options, &stage.stock) : -1;
}

/* As if weftd had died: the kernel's maps stay. */
static inline void stage_close(void)
{
	control_close(stage.control);
	stage.control = NULL;
}

static inline int stage_try_to_open(struct text *why)
{
	const struct control_options options = {
		.config_path = stage.config,
		.ring = stage.ring,
		.kernel = stage.kernel,
		.stock = stage.stock,
		.slot = stage.slot,
		.series = &stage.series,
		.workers = WORKERS,
		.hooks = {.pod_added = on_pod_added, .pod_removing = on_pod_removing},
	};
	return control_open(&options, why, &stage.control);
}

static inline void stage_open(const char *config)
{
	struct text why = {0};
	stage_write("weft.yaml", config);
	int error = stage_try_to_open(&why);
	if (error)
		fail_msg("control_open: %d %s", error, why.data);
	text_fini(&why);
}

static inline int stage_tear_down(void **state)
{
	char command[128];
	(void)state;
	mem_fail_nth(0);
	stage_close();
	stock_close(stage.stock);
	snapshot_slot_free(stage.slot);
	kernel_close(stage.kernel);
	io_ring_close(stage.ring);
	kernel_double_reset();
	snprintf(command, sizeof(command), "rm -rf %s", stage.folder);
	return system(command);
}

#define stage_test(test) cmocka_unit_test_setup_teardown(test, stage_set_up, stage_tear_down)

#endif
