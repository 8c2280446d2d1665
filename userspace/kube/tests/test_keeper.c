/* A client that keeps what it knows, and the client after it. */
#include "stage.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];
static char file[96];
static char fresh[100];
static unsigned recalls;

static int setup(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/weft-keeper-XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(file, sizeof(file), "%s/known", folder);
	snprintf(fresh, sizeof(fresh), "%s.new", file);
	recalls = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(file);
	return rmdir(folder); /* nothing else is left */
}

static void on_recalled(void *owner)
{
	struct stage *stage = owner;
	recalls++;
	stage_note(stage, "recalled ",
		   &(struct kube_object){.name = "", .namespace = "", .version = ""});
}

/* The clock is virtual and begins anew: a later client begins later. */
static void keeper_begin(struct stage *stage, unsigned at_s)
{
	static const struct kube_events events = {
		.changed = on_changed, .synced = on_synced, .recalled = on_recalled};
	stage_open_ring(stage);
	stage_run(stage, at_s * 1000);
	struct kube_options options = stage_options(stage);
	options.known_file = file;
	options.events = &events;
	stage_open(stage, &options);
}

static struct kube_known known_of(const struct stage *stage)
{
	struct kube_known known;
	kube_known(stage->kube, &known);
	return known;
}

static void lists_all(struct stage *stage, const char *version, const char *items)
{
	char meta[64];
	snprintf(meta, sizeof(meta), "\"resourceVersion\":\"%s\"", version);
	asked(stage, "GET /api/v1/services?limit=500 HTTP/1.1\r\n");
	lists(stage, meta, items);
	asked(stage, "GET /api/v1/services?watch=1&");
	stream_begins(stage);
}

/* A client that knew the services a and b, and was killed. */
static void a_client_knew(void)
{
	struct stage stage;
	keeper_begin(&stage, 0);
	lists_all(&stage, "7", META("a", "u1", "5") "," META("b", "u2", "6"));
	stage_run(&stage, 2500);
	assert_int_equal(known_of(&stage).written, 1);
	stage_close(&stage);
}

/* The next one, whose server is away. */
static void a_client_recalls(struct stage *stage)
{
	keeper_begin(stage, 100);
	asked(stage, "GET /api/v1/services?limit=500 HTTP/1.1\r\n");
	stage_run(stage, 900);
	assert_told(stage, "");
	assert_false(status_of(stage).is_synced);
	stage_run(stage, 200);
}

static void what_was_known_is_told_when_the_server_is_away(void **state)
{
	struct stage stage;
	(void)state;
	a_client_knew();
	a_client_recalls(&stage);
	assert_int_equal(recalls, 1);
	assert_string_equal(strstr(stage.log, "recalled"), "recalled @ ");
	assert_non_null(strstr(stage.log, "+shop/a@5 "));
	assert_non_null(strstr(stage.log, "+shop/b@6 "));
	struct kube_status status = status_of(&stage);
	assert_true(status.is_synced && status.is_recalled);
	assert_int_equal(status.lists, 0);
	assert_true(status.stale_s > 98 && status.stale_s < 102);
	assert_true(status.byte_age_s > 98 && status.byte_age_s < 102);
	assert_true(known_of(&stage).was_used);
	assert_string_equal(known_of(&stage).last_fault, "");
	stage_run(&stage, 100000);
	assert_true(status_of(&stage).stale_s > 198);
	assert_int_equal(known_of(&stage).written, 0); /* nothing that it does not have */
	stage_close(&stage);
}

static void what_the_list_has_unchanged_is_not_told_again(void **state)
{
	struct stage stage;
	(void)state;
	a_client_knew();
	a_client_recalls(&stage);
	stage.log_size = 0;
	stage.log[0] = '\0';
	lists(&stage, "\"resourceVersion\":\"9\"", META("a", "u1", "5") "," META("c", "u3", "8"));
	assert_told(&stage, "+shop/c@8 -shop/b@6 =services ");
	asked(&stage, "GET /api/v1/services?watch=1&");
	stream_begins(&stage);
	struct kube_status status = status_of(&stage);
	assert_true(status.is_synced && !status.is_recalled);
	assert_true(status.stale_s == 0);
	stage_run(&stage, 2500);
	assert_int_equal(known_of(&stage).written, 1);
	stage_close(&stage);
}

static void a_list_in_time_lets_no_old_word_be_heard(void **state)
{
	struct stage stage;
	(void)state;
	a_client_knew();
	keeper_begin(&stage, 100);
	asked(&stage, "GET /api/v1/services?limit=500 HTTP/1.1\r\n");
	stage_run(&stage, 900);
	lists(&stage, "\"resourceVersion\":\"9\"", META("c", "u3", "8"));
	stage_run(&stage, 5000);
	assert_told(&stage, "+shop/c@8 =services ");
	assert_int_equal(recalls, 0);
	assert_false(known_of(&stage).was_used);
	stage_close(&stage);
}

/* What the first page had is newer than the file, and what no page has goes. */
static void the_servers_word_goes_before_the_files(void **state)
{
	struct stage stage;
	(void)state;
	a_client_knew();
	keeper_begin(&stage, 100);
	asked(&stage, "GET /api/v1/services?limit=500 ");
	lists(&stage, "\"resourceVersion\":\"9\",\"continue\":\"x\"", META("a", "u1", "8"));
	asked(&stage, "GET /api/v1/services?limit=500&continue=x ");
	stage_run(&stage, 1100);
	assert_told(&stage, "+shop/a@8 +shop/b@6 recalled @ ");
	lists(&stage, "\"resourceVersion\":\"9\"", "");
	assert_told(&stage, "-shop/b@6 =services ");
	stage_close(&stage);
}

/* A page that failed deletes nothing of what was recalled. */
static void an_error_deletes_nothing_that_was_recalled(void **state)
{
	struct stage stage;
	(void)state;
	a_client_knew();
	a_client_recalls(&stage);
	answers(&stage, "500 Oh", "", "");
	for (int i = 0; i < 5; i++) {
		asked(&stage, "GET /api/v1/services?limit=500 ");
		answers(&stage, "200 OK", "", "<html>please log in</html>");
	}
	assert_int_equal(status_of(&stage).objects, 2);
	assert_true(status_of(&stage).is_synced);
	assert_true(status_of(&stage).stale_s > 98);
	stage_close(&stage);
}

static void assert_not_used(const char *why)
{
	struct stage stage;
	a_client_recalls(&stage);
	assert_told(&stage, "");
	assert_false(status_of(&stage).is_synced);
	assert_int_equal(known_of(&stage).read_faults, 1);
	if (!strstr(known_of(&stage).last_fault, why))
		fail_msg("%s", known_of(&stage).last_fault);
	lists(&stage, "\"resourceVersion\":\"9\"", META("c", "u3", "8"));
	assert_told(&stage, "+shop/c@8 =services ");
	stage_run(&stage, 3000);
	assert_int_equal(known_of(&stage).written, 1); /* in its place */
	stage_close(&stage);
}

static void a_file_that_is_not_good_is_counted_and_replaced(void **state)
{
	(void)state;
	a_client_knew();
	assert_int_equal(truncate(file, 100), 0);
	assert_not_used("not whole");
	assert_int_equal(chmod(file, 0644), 0);
	assert_not_used("user alone");
}

static void a_file_of_the_future_is_not_used(void **state)
{
	struct stage stage;
	(void)state;
	keeper_begin(&stage, 1000);
	lists_all(&stage, "7", "");
	stage_run(&stage, 2500);
	stage_close(&stage);
	assert_not_used("future");
}

static void no_file_is_no_fault(void **state)
{
	struct stage stage;
	(void)state;
	a_client_recalls(&stage);
	assert_int_equal(known_of(&stage).read_faults, 0);
	assert_string_equal(known_of(&stage).last_fault, "");
	stage_close(&stage);
}

/* ---- writing ---- */

static uint64_t inode_of_file(const struct stage *stage)
{
	(void)stage;
	struct stat found;
	return stat(file, &found) ? 0 : (uint64_t)found.st_ino;
}

static void nothing_is_written_of_half_a_cluster(void **state)
{
	struct stage stage;
	(void)state;
	keeper_begin(&stage, 0);
	asked(&stage, "GET /api/v1/services?limit=500 ");
	lists(&stage, "\"resourceVersion\":\"9\",\"continue\":\"x\"", META("a", "u1", "8"));
	stage_run(&stage, 5000);
	kube_keep(stage.kube);
	assert_int_equal(known_of(&stage).written, 0);
	assert_int_not_equal(access(file, F_OK), 0);
	stage_close(&stage);
}

static void what_changed_is_written_and_what_did_not_once_a_minute(void **state)
{
	struct stage stage;
	(void)state;
	keeper_begin(&stage, 0);
	lists_all(&stage, "7", META("a", "u1", "5"));
	stage_run(&stage, 30000);
	assert_int_equal(known_of(&stage).written, 1);
	streams(&stage, EVENT("MODIFIED", META("a", "u1", "8")));
	stage_run(&stage, 2500);
	assert_int_equal(known_of(&stage).written, 2);
	stage_run(&stage, 50000);
	assert_int_equal(known_of(&stage).written, 2);
	stage_run(&stage, 15000);
	assert_int_equal(known_of(&stage).written, 3);
	stage_close(&stage);
}

/* ---- many ---- */

#define MANY 3000

/* A list of services with annotations of half a KiB. */
static void lists_many(struct stage *stage)
{
	char *items = malloc(MANY * 1024);
	size_t size = 0;
	for (int i = 0; i < MANY; i++)
		size += (size_t)snprintf(
			items + size, 1024,
			"%s{\"metadata\":{\"namespace\":\"shop\",\"name\":\"s%d\",\"uid\":\"u\","
			"\"resourceVersion\":\"5\",\"annotations\":{\"weft.io/x\":\"%0512d\"}}}",
			i ? "," : "", i, i);
	lists(stage, "\"resourceVersion\":\"7\"", items);
	free(items);
	asked(stage, "GET /api/v1/services?watch=1&");
	stream_begins(stage);
}

static void begin_many(struct stage *stage)
{
	keeper_begin(stage, 0);
	stage->is_quiet = true;
	asked(stage, "GET /api/v1/services?limit=500 ");
	lists_many(stage);
	while (access(fresh, F_OK))
		stage_run(stage, 1);
}

static void recalls_many(struct stage *stage)
{
	keeper_begin(stage, 100);
	stage->is_quiet = true;
	asked(stage, "GET /api/v1/services?limit=500 ");
	while (!recalls)
		stage_run(stage, 1);
}

static void a_large_file_is_written_in_pieces_and_seldom(void **state)
{
	struct stage stage;
	(void)state;
	begin_many(&stage);
	uint64_t began_ns = io_now_ns(stage.ring);
	streams(&stage, EVENT("ADDED", META("new", "u9", "8")));
	streams(&stage, EVENT("DELETED",
			      "{\"metadata\":{\"namespace\":\"shop\",\"name\":\"s17\","
			      "\"uid\":\"u\",\"resourceVersion\":\"9\"}}"));
	while (!known_of(&stage).written)
		stage_run(&stage, 1);
	uint64_t bytes = known_of(&stage).bytes;
	assert_true(bytes > MANY * 512);
	/* A pause after each 16 KiB. */
	assert_true(io_now_ns(stage.ring) - began_ns > bytes / 16384 * 4 * NS_PER_MS);
	/* Three seconds for each MiB until the changes are written too. */
	stage_run(&stage, (unsigned)(bytes * 3000 >> 20) - 500);
	assert_int_equal(known_of(&stage).written, 1);
	stage_run(&stage, 6000);
	assert_int_equal(known_of(&stage).written, 2);
	stage_close(&stage);
	recalls_many(&stage);
	assert_int_equal(status_of(&stage).objects, MANY);
	assert_non_null(kube_find(stage.kube, KUBE_SERVICES, "shop", "new"));
	assert_null(kube_find(stage.kube, KUBE_SERVICES, "shop", "s17"));
	stage_close(&stage);
}

/* The list comes between two pieces. */
static void a_list_that_comes_meanwhile_ends_the_recalling(void **state)
{
	struct stage stage;
	(void)state;
	begin_many(&stage);
	kube_keep(stage.kube);
	stage_close(&stage);
	keeper_begin(&stage, 100);
	stage.is_quiet = true;
	asked(&stage, "GET /api/v1/services?limit=500 ");
	while (!status_of(&stage).objects)
		stage_run(&stage, 1);
	lists(&stage, "\"resourceVersion\":\"9\"", META("c", "u3", "8"));
	stage_run(&stage, 5000);
	assert_int_equal(status_of(&stage).objects, 1);
	assert_int_equal(recalls, 0);
	assert_false(known_of(&stage).was_used);
	assert_int_equal(known_of(&stage).read_faults, 0);
	assert_int_equal(known_of(&stage).written, 1);
	stage_close(&stage);
}

/* The table of the cache grows under the walk. */
static void a_cache_that_grows_meanwhile_is_written_anew(void **state)
{
	struct stage stage;
	(void)state;
	begin_many(&stage);
	for (int i = 0; i < 2000; i++) {
		char event[256];
		snprintf(event, sizeof(event),
			 EVENT("ADDED",
			       "{\"metadata\":{\"namespace\":\"shop\",\"name\":\"n%d\","
			       "\"uid\":\"u\",\"resourceVersion\":\"8\"}}"),
			 i);
		streams(&stage, event);
	}
	stage_run(&stage, 5000);
	assert_int_equal(known_of(&stage).written, 1);
	assert_int_equal(known_of(&stage).write_faults, 0);
	stage_close(&stage);
	recalls_many(&stage);
	assert_int_equal(status_of(&stage).objects, MANY + 2000);
	stage_close(&stage);
}

static void a_client_that_ends_in_the_middle_leaves_nothing(void **state)
{
	struct stage stage;
	(void)state;
	begin_many(&stage);
	stage_close(&stage);
	assert_int_not_equal(access(fresh, F_OK), 0);
	begin_many(&stage);
	kube_keep(stage.kube); /* an orderly end */
	assert_int_equal(known_of(&stage).written, 1);
	stage_close(&stage);
	keeper_begin(&stage, 100);
	stage.is_quiet = true;
	asked(&stage, "GET /api/v1/services?limit=500 ");
	while (!status_of(&stage).objects)
		stage_run(&stage, 1);
	assert_false(status_of(&stage).is_synced);
	stage_close(&stage);
}

/* ---- faults ---- */

static void limit_file_size(rlim_t bytes)
{
	struct rlimit limit;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_full_disk_keeps_the_old_file(void **state)
{
	struct stage stage;
	(void)state;
	a_client_knew();
	uint64_t before = inode_of_file(&stage);
	keeper_begin(&stage, 100);
	lists_all(&stage, "9", META("c", "u3", "8"));
	limit_file_size(100);
	stage_run(&stage, 30000);
	limit_file_size(RLIM_INFINITY);
	assert_int_equal(known_of(&stage).written, 0);
	assert_in_range(known_of(&stage).write_faults, 2, 3);
	assert_string_equal(known_of(&stage).last_fault, "not written: File too large");
	assert_int_equal(inode_of_file(&stage), before);
	assert_int_not_equal(access(fresh, F_OK), 0);
	stage_run(&stage, 11000);
	assert_int_equal(known_of(&stage).written, 1);
	stage_close(&stage);
}

static void a_folder_that_is_not_there_is_a_fault_that_is_counted(void **state)
{
	struct stage stage;
	(void)state;
	assert_int_equal(rmdir(folder), 0);
	keeper_begin(&stage, 0);
	lists_all(&stage, "9", META("c", "u3", "8"));
	stage_run(&stage, 5000);
	assert_int_equal(known_of(&stage).write_faults, 1);
	kube_keep(stage.kube);
	assert_int_equal(known_of(&stage).write_faults, 2);
	stage_close(&stage);
	assert_int_equal(mkdir(folder, 0700), 0);
}

static void who_leaves_keeps_nothing(void **state)
{
	struct stage stage;
	(void)state;
	begin_many(&stage);
	kube_keep(stage.kube);
	assert_int_equal(access(file, F_OK), 0);
	streams(&stage, EVENT("ADDED", META("new", "u9", "8")));
	kube_keep_nothing(stage.kube);
	assert_int_not_equal(access(file, F_OK), 0);
	stage_run(&stage, 100000);
	kube_keep(stage.kube);
	assert_int_not_equal(access(file, F_OK), 0);
	kube_keep_nothing(stage.kube);
	stage_close(&stage);
}

/* With the n-th allocation failing a file is whole or not there, and what is told is whole or not
 * known. */
static void a_failed_allocation_costs_one_file(void **state)
{
	(void)state;
	for (unsigned long n = 1; n < 40; n++) {
		struct stage stage;
		keeper_begin(&stage, 0);
		lists_all(&stage, "7", META("a", "u1", "5") "," META("b", "u2", "6"));
		mem_fail_nth(n);
		stage_run(&stage, 2500);
		mem_fail_nth(0);
		stage_run(&stage, 20000);
		assert_int_equal(known_of(&stage).written, 1);
		stage_close(&stage);
	}
	for (unsigned long n = 1; n < 60; n++) {
		struct stage stage;
		keeper_begin(&stage, 100);
		asked(&stage, "GET /api/v1/services?limit=500 HTTP/1.1\r\n");
		stage_run(&stage, 900);
		mem_fail_nth(n);
		stage_run(&stage, 200);
		mem_fail_nth(0);
		bool was_used = known_of(&stage).was_used;
		assert_int_equal(status_of(&stage).is_synced, was_used);
		assert_int_equal(known_of(&stage).read_faults, !was_used);
		if (was_used)
			assert_int_equal(status_of(&stage).objects, 2);
		lists(&stage, "\"resourceVersion\":\"9\"", META("a", "u1", "5"));
		assert_int_equal(status_of(&stage).objects, 1);
		stage_close(&stage);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(what_was_known_is_told_when_the_server_is_away),
		TEST(what_the_list_has_unchanged_is_not_told_again),
		TEST(a_list_in_time_lets_no_old_word_be_heard),
		TEST(the_servers_word_goes_before_the_files),
		TEST(an_error_deletes_nothing_that_was_recalled),
		TEST(a_file_that_is_not_good_is_counted_and_replaced),
		TEST(a_file_of_the_future_is_not_used),
		TEST(no_file_is_no_fault),
		TEST(nothing_is_written_of_half_a_cluster),
		TEST(what_changed_is_written_and_what_did_not_once_a_minute),
		TEST(a_large_file_is_written_in_pieces_and_seldom),
		TEST(a_list_that_comes_meanwhile_ends_the_recalling),
		TEST(a_cache_that_grows_meanwhile_is_written_anew),
		TEST(a_client_that_ends_in_the_middle_leaves_nothing),
		TEST(a_full_disk_keeps_the_old_file),
		TEST(a_folder_that_is_not_there_is_a_fault_that_is_counted),
		TEST(who_leaves_keeps_nothing),
		TEST(a_failed_allocation_costs_one_file),
	};
	return cmocka_run_group_tests_name("keeper", tests, NULL, NULL);
}
