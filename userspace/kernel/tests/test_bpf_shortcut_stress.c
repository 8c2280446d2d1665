/*
 * The shortcut: many streams at once that do what programs do, in random order, and in each of them
 * every byte is at its place. WEFT_STREAMS says how many (default 1,500 for each test).
 */
#include <pthread.h>
#include <sys/mount.h>

#include "kernel/tests/pair.h"

#define THREADS    6
#define STREAMS    1500u
#define BYTES_MOST 60000u
#define PIECE_MOST 9000u
#define READ_MOST  12000u
#define DEADLINE_S 20

struct random {
	uint64_t state;
};

/* xorshift64* */
static uint32_t random_next(struct random *random, uint32_t limit)
{
	random->state ^= random->state >> 12;
	random->state ^= random->state << 25;
	random->state ^= random->state >> 27;
	return (uint32_t)((random->state * 2685821657736338717ull) >> 33) % limit;
}

/* Of one direction; what is at each place depends on the stream. */
struct half {
	int from;
	int to;
	uint64_t seed;
	uint32_t size;
	struct random random;
	bool pauses;
	bool finishes; /* FIN at its end, while the other half goes on */
	const char *failure;
};

static char byte_at(uint64_t seed, uint32_t place)
{
	uint64_t mixed = (seed + place / 7) * 0x9e3779b97f4a7c15ull;
	return (char)((mixed >> 40) + place);
}

static void pause_a_little(struct half *half)
{
	if (half->pauses && random_next(&half->random, 12) == 0)
		poll(NULL, 0, (int)random_next(&half->random, 3));
}

/* As programs with an event loop do: never in a call that blocks. */
static bool wait_for(int fd, short events)
{
	struct pollfd ready = {.fd = fd, .events = events};
	return poll(&ready, 1, DEADLINE_S * 1000) == 1;
}

static ssize_t wait_and_send(int fd, const char *bytes, size_t size)
{
	for (;;) {
		if (!wait_for(fd, POLLOUT))
			return -1;
		ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent >= 0 || errno != EAGAIN)
			return sent;
	}
}

static ssize_t wait_and_receive(int fd, char *bytes, size_t size)
{
	for (;;) {
		if (!wait_for(fd, POLLIN))
			return -1;
		ssize_t got = recv(fd, bytes, size, MSG_DONTWAIT);
		if (got >= 0 || errno != EAGAIN)
			return got;
	}
}

static void *write_half(void *of)
{
	struct half *half = of;
	char piece[PIECE_MOST];
	for (uint32_t done = 0; done < half->size;) {
		uint32_t size = 1 + random_next(&half->random, PIECE_MOST);
		if (size > half->size - done)
			size = half->size - done;
		for (uint32_t i = 0; i < size; i++)
			piece[i] = byte_at(half->seed, done + i);
		for (uint32_t sent = 0; sent < size;) {
			ssize_t more = wait_and_send(half->from, piece + sent, size - sent);
			if (more <= 0) {
				half->failure = "a send failed";
				return NULL;
			}
			sent += (uint32_t)more;
		}
		done += size;
		pause_a_little(half);
	}
	if (half->finishes)
		shutdown(half->from, SHUT_WR);
	return NULL;
}

static void read_half(struct half *half)
{
	char got[READ_MOST];
	struct random random = {.state = half->seed | 1};
	for (uint32_t done = 0; done < half->size;) {
		ssize_t more = wait_and_receive(half->to, got, 1 + random_next(&random, READ_MOST));
		if (more <= 0) {
			half->failure = more ? "a receive failed" : "an end came before all bytes";
			return;
		}
		for (ssize_t i = 0; i < more; i++, done++) {
			if (done >= half->size || got[i] != byte_at(half->seed, done)) {
				half->failure = "a byte is not at its place";
				return;
			}
		}
		if (half->pauses && random_next(&random, 20) == 0)
			poll(NULL, 0, 1);
	}
	char byte;
	if (half->finishes && wait_and_receive(half->to, &byte, 1) != 0)
		half->failure = "no end came after all bytes";
}

static void *read_half_in_thread(void *of)
{
	read_half(of);
	return NULL;
}

/* What may send a connection back to TCP, at any moment of it. */
static void demote(const struct rig_pod *pod, struct pair *pair, struct random *random)
{
	int mark = 1 + (int)random_next(random, 3);
	switch (random_next(random, 4)) {
	case 0:
		kernel_leg_to_tcp(pod->rig->kernel, &pair->end, WEFT_REASON_DEMOTED_TUNNEL);
		break;
	case 1:
		setsockopt(pair->app, SOL_SOCKET, SO_RCVLOWAT, &mark, sizeof(mark));
		mark = 1;
		setsockopt(pair->app, SOL_SOCKET, SO_RCVLOWAT, &mark, sizeof(mark));
		break;
	default:
		break;
	}
}

static const char *play(const struct rig_pod *pod, struct pair *pair, struct random *random)
{
	struct half halves[2] = {{.from = pair->app, .to = pair->ours},
				 {.from = pair->ours, .to = pair->app}};
	pthread_t threads[3];
	for (int i = 0; i < 2; i++) {
		halves[i].seed = ((uint64_t)random_next(random, 1u << 30) << 1) | 1;
		halves[i].random.state = halves[i].seed;
		halves[i].size = random_next(random, 3) ? random_next(random, 300)
							: random_next(random, BYTES_MOST);
		halves[i].pauses = random_next(random, 3) == 0;
		halves[i].finishes = random_next(random, 2);
	}
	if (pthread_create(&threads[0], NULL, write_half, &halves[0]) ||
	    pthread_create(&threads[1], NULL, write_half, &halves[1]) ||
	    pthread_create(&threads[2], NULL, read_half_in_thread, &halves[0]))
		return "no thread";
	demote(pod, pair, random);
	read_half(&halves[1]);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	return halves[0].failure ? halves[0].failure : halves[1].failure;
}

struct player {
	struct rig_pod *pod;
	pthread_mutex_t *accepting; /* who accepts gets the connection that it dialled */
	struct random random;
	unsigned streams;
	const char *failure;
};

static bool dial(struct player *player, struct pair *pair)
{
	struct weft_address address = rig_address(RIG_VIRTUAL);
	struct sockaddr_storage to;
	socklen_t size = rig_sockaddr(AF_INET, &address, &to);
	pthread_mutex_lock(player->accepting);
	pair->app = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	pair->ours = -1;
	if (connect(pair->app, (struct sockaddr *)&to, size) && errno == EINPROGRESS &&
	    wait_for(pair->app, POLLOUT))
		pair->ours = rig_accept_any(player->pod, DEADLINE_S * 1000);
	pthread_mutex_unlock(player->accepting);
	if (pair->ours < 0 || kernel_flow_take(player->pod->rig->kernel, pair->ours, &pair->flow))
		return false;
	pair->end = (struct weft_leg_end){pair->flow.leg, pair->flow.leg_slot, WEFT_LEG_ACCEPTOR};
	return true;
}

static void *play_many(void *of)
{
	struct player *player = of;
	if (setns(player->pod->netns, CLONE_NEWNET)) {
		player->failure = "setns failed";
		return NULL;
	}
	for (unsigned i = 0; i < player->streams && !player->failure; i++) {
		struct pair pair;
		if (!dial(player, &pair)) {
			player->failure = "a dial failed";
			return NULL;
		}
		player->failure = play(player->pod, &pair, &player->random);
		bool app_first = random_next(&player->random, 2);
		close(app_first ? pair.app : pair.ours);
		close(app_first ? pair.ours : pair.app);
	}
	return NULL;
}

/* Packets of `lo` go to the other CPUs: what was acknowledged here may be established there. */
static void spread_packets(void)
{
	char folder[] = "/tmp/weft-kernel-sysfs-XXXXXX", path[128];
	assert_non_null(mkdtemp(folder));
	assert_int_equal(unshare(CLONE_NEWNS), 0);
	assert_int_equal(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	assert_int_equal(mount("sysfs", folder, "sysfs", 0, NULL), 0);
	snprintf(path, sizeof(path), "%s/class/net/lo/queues/rx-0/rps_cpus", folder);
	FILE *file = fopen(path, "we");
	if (file) { /* absent without CONFIG_RPS */
		fputs("3", file);
		fclose(file);
	}
	umount2(folder, MNT_DETACH);
	rmdir(folder);
}

static void play_all(struct rig *rig, bool spreads, uint64_t seed)
{
	struct rig_pod pod;
	pthread_mutex_t accepting = PTHREAD_MUTEX_INITIALIZER;
	struct player players[THREADS];
	pthread_t threads[THREADS];
	const char *asked = getenv("WEFT_STREAMS");
	unsigned streams = asked ? (unsigned)strtoul(asked, NULL, 10) : STREAMS;
	pod_open(rig, &pod);
	if (spreads)
		spread_packets();
	for (unsigned i = 0; i < THREADS; i++) {
		players[i] = (struct player){.pod = &pod,
					     .accepting = &accepting,
					     .random = {.state = seed + i},
					     .streams = streams / THREADS};
		assert_int_equal(pthread_create(&threads[i], NULL, play_many, &players[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < THREADS; i++) {
		if (players[i].failure)
			fail_msg("seed %llu: %s", (unsigned long long)seed + i, players[i].failure);
	}
	print_message(
		"%u streams: %llu had the shortcut, back on TCP: %llu by weft, %llu by option, "
		"%llu by the window, %llu without a peer, %llu after bytes by TCP\n",
		streams, (unsigned long long)rig_count(&pod, WEFT_REASON_SHORTCUT),
		(unsigned long long)rig_count(&pod, WEFT_REASON_DEMOTED_TUNNEL),
		(unsigned long long)rig_count(&pod, WEFT_REASON_DEMOTED_OPTION),
		(unsigned long long)rig_count(&pod, WEFT_REASON_DEMOTED_WINDOW),
		(unsigned long long)rig_count(&pod, WEFT_REASON_DEMOTED_NO_PEER),
		(unsigned long long)rig_count(&pod, WEFT_REASON_DEMOTED_SENT));
	assert_int_equal(rig_count(&pod, WEFT_REASON_SHORTCUT), streams / THREADS * THREADS);
	rig_wait_until(rows_in_use(rig) == 0);
	rig_pod_close(&pod);
}

static void every_byte_of_many_streams_is_at_its_place(void **state)
{
	play_all(*state, false, 1000);
}

static void every_byte_is_at_its_place_where_packets_go_to_other_cpus(void **state)
{
	play_all(*state, true, 2000);
}

/* ---- ends in any order ---- */

/* Keys of the pinned map, which are all of one size or less. */
static unsigned keys_in(const struct rig *rig, const char *map)
{
	char path[160], key[64], next[64];
	unsigned count = 0;
	snprintf(path, sizeof(path), "%s/%s", rig->pin_dir, map);
	int fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	for (void *from = NULL; bpf_map_get_next_key(fd, from, next) == 0; count++) {
		memcpy(key, next, sizeof(key));
		from = key;
	}
	close(fd);
	return count;
}

static void end_anyhow(int *fd, struct random *random)
{
	struct linger now = {.l_onoff = 1};
	const struct sockaddr none = {.sa_family = AF_UNSPEC};
	switch (random_next(random, 6)) {
	case 0:
		shutdown(*fd, (int)random_next(random, 3));
		return;
	case 1:
		setsockopt(*fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
		break;
	case 2:
		(void)connect(*fd, &none, sizeof(none)); /* a reset, and the socket stays */
		return;
	default:
		break;
	}
	close(*fd);
	*fd = -1;
}

/* Sends, reads and ends of both, none of them to the end. */
static void step(const struct rig_pod *pod, struct pair *pair, struct random *random)
{
	static char bytes[40000];
	int *fd = random_next(random, 2) ? &pair->app : &pair->ours;
	if (*fd < 0)
		return;
	size_t size = 1 + random_next(random, random_next(random, 4) ? 500 : sizeof(bytes) - 1);
	switch (random_next(random, 8)) {
	case 0:
		end_anyhow(fd, random);
		return;
	case 1:
		demote(pod, pair, random);
		return;
	case 2:
	case 3:
		(void)!recv(*fd, bytes, size, MSG_DONTWAIT);
		return;
	default:
		(void)!send(*fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	}
}

static void nothing_is_left_of_streams_that_end_anyhow(void **state)
{
	struct rig *rig = *state;
	struct rig_pod pod;
	struct random random = {.state = 3000};
	pod_open(rig, &pod);
	for (unsigned i = 0; i < STREAMS; i++) {
		struct pair pair;
		pair_open(&pod, &pair);
		for (unsigned steps = random_next(&random, 24); steps > 0; steps--)
			step(&pod, &pair, &random);
		bool app_first = random_next(&random, 2);
		for (int turn = 0; turn < 2; turn++) {
			int fd = app_first == !turn ? pair.app : pair.ours;
			if (fd >= 0)
				close(fd);
		}
	}
	assert_int_equal(rig_count(&pod, WEFT_REASON_SHORTCUT), STREAMS);
	rig_wait_until(rows_in_use(rig) == 0);
	rig_wait_until(keys_in(rig, "weft_leg_sockets") == 0);
	rig_wait_until(keys_in(rig, "weft_flows") == 0);
	rig_pod_close(&pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_byte_of_many_streams_is_at_its_place),
		cmocka_unit_test(every_byte_is_at_its_place_where_packets_go_to_other_cpus),
		cmocka_unit_test(nothing_is_left_of_streams_that_end_anyhow),
	};
	return cmocka_run_group_tests(tests, rig_open, rig_close);
}
