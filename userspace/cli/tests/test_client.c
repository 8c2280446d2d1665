#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/place.h"

struct outcome {
	struct answer answer;
	struct text why;
	int error;
};

/* What the client makes of these bytes, after which the peer closes. */
static struct outcome read_bytes(const char *bytes)
{
	struct outcome outcome = {0};
	int ends[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	size_t size = strlen(bytes);
	assert_int_equal(write(ends[0], bytes, size), size);
	close(ends[0]);
	outcome.error = client_read(ends[1], &outcome.answer, &outcome.why);
	close(ends[1]);
	return outcome;
}

static void outcome_fini(struct outcome *outcome)
{
	text_fini(&outcome->answer.body);
	text_fini(&outcome->why);
}

static void every_framing_of_an_answer_is_read(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		unsigned status;
		const char *body;
	} cases[] = {
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nready", 200, "ready"},
		{"HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 503,
		 "abc"},
		{"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end", 200, "until the end"},
		{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200,
		 "ok"},
		{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, NULL},
	};
	for (size_t i = 0; i < array_count(cases); i++) {
		struct outcome outcome = read_bytes(cases[i].bytes);
		assert_int_equal(outcome.error, 0);
		assert_int_equal(outcome.answer.status, cases[i].status);
		if (cases[i].body)
			assert_string_equal(outcome.answer.body.data, cases[i].body);
		else
			assert_int_equal(outcome.answer.body.size, 0);
		outcome_fini(&outcome);
	}
}

static void a_broken_answer_is_an_error_with_a_sentence(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		int error;
		const char *why;
	} cases[] = {
		{"", -ECONNRESET, "ended too early"},
		{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", -ECONNRESET,
		 "ended too early"},
		{"HTTP/1.1 200 OK\r\nContent-Le", -ECONNRESET, "ended too early"},
		{"SSH-2.0-OpenSSH\r\n\r\n", -EPROTO, "no valid HTTP"},
		{"HTTP/1.1 100 Continue\r\n\r\n", -ECONNRESET, "ended too early"},
	};
	for (size_t i = 0; i < array_count(cases); i++) {
		struct outcome outcome = read_bytes(cases[i].bytes);
		if (outcome.error != cases[i].error || !strstr(outcome.why.data, cases[i].why))
			fail_msg("case %zu: %d %s", i, outcome.error,
				 outcome.why.data ? outcome.why.data : "");
		outcome_fini(&outcome);
	}
}

static void an_absent_weftd_is_named_with_its_socket(void **state)
{
	(void)state;
	struct answer answer;
	struct text why = {0};
	int error = client_ask("/nonexistent/weftd.sock", "GET", "/ready", &answer, &why);
	assert_int_equal(error, -ENOENT);
	assert_string_equal(why.data,
			    "weftd is not reachable at /nonexistent/weftd.sock: No such "
			    "file or directory; is it running? try `weft check`");
	text_fini(&why);
}

static void a_dead_weftds_socket_is_told_from_a_living_ones(void **state)
{
	(void)state;
	char folder[] = "/tmp/weft-cli-test-XXXXXX";
	assert_non_null(mkdtemp(folder));
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/sock", folder);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_true(client_is_served(address.sun_path));
	assert_int_equal(client_server_pid(address.sun_path), getpid());
	close(fd);
	assert_false(client_is_served(address.sun_path));
	assert_int_equal(client_server_pid(address.sun_path), 0);

	struct answer answer;
	struct text why = {0};
	assert_int_equal(client_ask(address.sun_path, "GET", "/", &answer, &why), -ECONNREFUSED);
	assert_non_null(strstr(why.data, "its process is gone"));
	text_fini(&why);
	unlink(address.sun_path);
	rmdir(folder);
}

static void a_run_is_known_by_its_name(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		pid_t pid; /* 0 = none */
	} cases[] = {{"weft-run-17", 17}, {"weft-run-", 0},    {"weft-run-0", 0},
		     {"weft-run-x", 0},   {"weft-runs-17", 0}, {"weft-run-17a", 0},
		     {"weft", 0},         {"weft-run--17", 0}, {"weft-run-99999999999999", 0}};
	for (size_t i = 0; i < array_count(cases); i++) {
		pid_t pid = 0;
		assert_int_equal(place_name_pid(cases[i].name, &pid), cases[i].pid != 0);
		assert_int_equal(pid, cases[i].pid);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_framing_of_an_answer_is_read),
		cmocka_unit_test(a_broken_answer_is_an_error_with_a_sentence),
		cmocka_unit_test(an_absent_weftd_is_named_with_its_socket),
		cmocka_unit_test(a_dead_weftds_socket_is_told_from_a_living_ones),
		cmocka_unit_test(a_run_is_known_by_its_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
