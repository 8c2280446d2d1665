/*
 * follow URL [-n NODE] [-c CA_FILE] [-t TOKEN_FILE] [-s STALL_MS]: the client on the real ring, for
 * tests that put a server in front of it. One JSON line per change,
 * {"kind": "services", "key": "shop/web", "version": "7"} (null: deleted), and four times a second
 * one line of {"status": {"services": {…}, …}}. Ends when standard input does.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "kube/kube.h"

#define STATUS_NS 250000000ull

struct follower {
	struct io_ring *ring;
	struct blocks blocks;
	struct wire_loop loop;
	struct kube *kube;
	struct timer timer;
	struct io_op input;
	char input_byte;
	bool is_over;
};

static void on_changed(void *owner, const struct kube_object *before,
		       const struct kube_object *after)
{
	const struct kube_object *object = after ? after : before;
	const char *quote = after ? "\"" : "";
	(void)owner;
	printf("{\"kind\": \"%s\", \"key\": \"%s/%s\", \"version\": %s%s%s}\n",
	       kube_kind_name(object->kind), object->namespace, object->name, quote,
	       after ? after->version : "null", quote);
}

static void on_synced(void *owner, enum kube_kind kind)
{
	(void)owner;
	(void)kind;
}

static const struct kube_events events = {.changed = on_changed, .synced = on_synced};

static void print_kind(const struct follower *follower, enum kube_kind kind)
{
	struct kube_status status;
	kube_status(follower->kube, kind, &status);
	printf("%s\"%s\": {\"state\": \"%s\", \"synced\": %s, \"objects\": %" PRIu64
	       ", \"lists\": %" PRIu64 ", \"stale_s\": %.3f, \"version\": \"%s\", \"faults\": {",
	       kind ? ", " : "", kube_kind_name(kind), kube_watch_state_name(status.state),
	       status.is_synced ? "true" : "false", status.objects, status.lists, status.stale_s,
	       status.version);
	for (enum kube_fault fault = 0; fault < KUBE_FAULTS; fault++)
		printf("%s\"%s\": %" PRIu64, fault ? ", " : "", kube_fault_name(fault),
		       status.faults[fault]);
	printf("}}");
}

static void on_timer(struct timer *timer)
{
	struct follower *follower = container_of(timer, struct follower, timer);
	printf("{\"status\": {");
	for (enum kube_kind kind = 0; kind < KUBE_KINDS; kind++)
		print_kind(follower, kind);
	printf("}}\n");
	if (timer_set(io_timers(follower->ring), timer, io_now_ns(follower->ring) + STATUS_NS))
		follower->is_over = true;
}

static void on_input(struct io_op *op, int result, bool more)
{
	(void)more;
	(void)result;
	container_of(op, struct follower, input)->is_over = true;
}

static void flush(void *owner)
{
	wire_loop_flush(&((struct follower *)owner)->loop);
	fflush(stdout);
}

static bool options_read(int argc, char **argv, struct kube_options *options)
{
	int option;
	while ((option = getopt(argc, argv, "n:c:t:s:")) != -1) {
		if (option == 'n')
			options->node = optarg;
		else if (option == 'c')
			options->ca_file = optarg;
		else if (option == 't')
			options->token_file = optarg;
		else if (option == 's')
			options->stall_ns = strtoull(optarg, NULL, 10) * 1000000;
		else
			return false;
	}
	options->url = argv[optind];
	return optind + 1 == argc;
}

static int follower_open(struct follower *follower, struct kube_options *options)
{
	struct text why = {0};
	struct io_options ring = {
		.entries = 64, .shared_count = 16, .large_count = 4, .blocks = &follower->blocks};
	blocks_init(&follower->blocks, UINT64_MAX);
	int error = io_ring_open(&ring, &follower->ring);
	if (error)
		return error;
	wire_loop_init(&follower->loop, follower->ring, &follower->blocks);
	io_set_hooks(follower->ring, flush, NULL, follower);
	options->loop = &follower->loop;
	options->events = &events;
	options->owner = follower;
	options->seed = (uint64_t)getpid();
	error = kube_open(options, &why, &follower->kube);
	if (error)
		fprintf(stderr, "%s", text_span(&why).data);
	text_fini(&why);
	return error;
}

int main(int argc, char **argv)
{
	struct follower follower = {.input.done = on_input};
	struct kube_options options = {0};
	log_set_level(LOG_LEVEL_ERROR);
	if (!options_read(argc, argv, &options) || follower_open(&follower, &options))
		return 1;
	timer_init(&follower.timer, on_timer);
	on_timer(&follower.timer);
	io_read(follower.ring, &follower.input, STDIN_FILENO, &follower.input_byte, 1);
	while (!follower.is_over)
		io_turn(follower.ring, UINT64_MAX);
	timer_clear(io_timers(follower.ring), &follower.timer);
	kube_close(follower.kube);
	io_ring_close(follower.ring);
	blocks_fini(&follower.blocks);
	return 0;
}
