#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "admin/listen.h"
#include "base/address.h"

struct fixture {
	char folder[64];
	char path[128];
	struct text why;
	struct listen_file file;
	int fd;
};

static struct fixture fixture;

static int fresh(void **state)
{
	(void)state;
	fixture = (struct fixture){.fd = -1};
	snprintf(fixture.folder, sizeof(fixture.folder), "/tmp/weft-admin-test-XXXXXX");
	assert_non_null(mkdtemp(fixture.folder));
	snprintf(fixture.path, sizeof(fixture.path), "%s/weft/run/weftd.sock", fixture.folder);
	return 0;
}

static int drop(void **state)
{
	(void)state;
	char path[128];
	if (fixture.fd >= 0)
		close(fixture.fd);
	unlink(fixture.path);
	snprintf(path, sizeof(path), "%s/weft/run", fixture.folder);
	rmdir(path);
	snprintf(path, sizeof(path), "%s/weft", fixture.folder);
	rmdir(path);
	rmdir(fixture.folder);
	text_fini(&fixture.why);
	return 0;
}

static int listen_here(void)
{
	return listen_unix(fixture.path, &fixture.why, &fixture.file, &fixture.fd);
}

static void the_socket_is_private_and_its_folders_are_made(void **state)
{
	(void)state;
	struct stat found;
	mode_t before = umask(0);
	assert_int_equal(listen_here(), 0);
	umask(before);
	assert_int_equal(stat(fixture.path, &found), 0);
	assert_true(S_ISSOCK(found.st_mode));
	assert_int_equal(found.st_mode & 07777, 0600);
	*strrchr(fixture.path, '/') = '\0';
	assert_int_equal(stat(fixture.path, &found), 0);
	fixture.path[strlen(fixture.path)] = '/';
	assert_int_equal(found.st_mode & 07777, 0755);
}

static void a_dead_process_socket_is_replaced(void **state)
{
	(void)state;
	assert_int_equal(listen_here(), 0);
	close(fixture.fd);
	fixture.fd = -1;
	assert_int_equal(listen_here(), 0);
}

static void a_living_process_socket_is_left_alone(void **state)
{
	(void)state;
	struct listen_file file;
	int second;
	assert_int_equal(listen_here(), 0);
	assert_int_equal(listen_unix(fixture.path, &fixture.why, &file, &second), -EADDRINUSE);
	assert_non_null(strstr(fixture.why.data, "another process listens there"));
	assert_int_equal(access(fixture.path, F_OK), 0);
}

static void something_else_at_the_path_is_left_alone(void **state)
{
	(void)state;
	snprintf(fixture.path, sizeof(fixture.path), "%s/weftd.sock", fixture.folder);
	int file = open(fixture.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(file >= 0);
	close(file);
	assert_int_equal(listen_here(), -EEXIST);
	assert_non_null(strstr(fixture.why.data, "something that is no socket"));
	assert_int_equal(access(fixture.path, F_OK), 0);
}

static void a_path_that_cannot_be_is_told(void **state)
{
	(void)state;
	char path[300];
	memset(path, 'a', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	path[0] = '/';
	assert_int_equal(listen_unix(path, &fixture.why, &fixture.file, &fixture.fd), -EINVAL);
	assert_non_null(strstr(fixture.why.data, "at most 107 bytes"));
	text_clear(&fixture.why);
	assert_int_equal(listen_unix("relative", &fixture.why, &fixture.file, &fixture.fd),
			 -EINVAL);
	text_clear(&fixture.why);
	assert_int_equal(listen_unix("/proc/weft/x.sock", &fixture.why, &fixture.file, &fixture.fd),
			 -ENOENT);
	assert_non_null(strstr(fixture.why.data, "its folder cannot be made"));
}

static void only_ones_own_socket_is_removed(void **state)
{
	(void)state;
	assert_int_equal(listen_here(), 0);
	struct listen_file other = fixture.file;
	other.inode++;
	listen_unlink(fixture.path, &other);
	assert_int_equal(access(fixture.path, F_OK), 0);
	listen_unlink(fixture.path, &fixture.file);
	assert_int_equal(access(fixture.path, F_OK), -1);
}

static void a_tcp_address_is_taken_or_the_reason_is_told(void **state)
{
	(void)state;
	assert_int_equal(listen_tcp("[::1]:0", &fixture.why, &fixture.fd), 0);
	close(fixture.fd);
	assert_int_equal(listen_tcp("127.0.0.1:0", &fixture.why, &fixture.fd), 0);
	struct sockaddr_in bound;
	socklen_t size = sizeof(bound);
	assert_int_equal(getsockname(fixture.fd, (struct sockaddr *)&bound, &size), 0);
	char text[64];
	int second;
	snprintf(text, sizeof(text), "127.0.0.1:%u", ntohs(bound.sin_port));
	assert_int_equal(listen_tcp(text, &fixture.why, &second), -EADDRINUSE);
	assert_non_null(strstr(fixture.why.data, "another process listens there"));
	text_clear(&fixture.why);
	assert_int_equal(listen_tcp("localhost:80", &fixture.why, &second), -EINVAL);
	assert_non_null(strstr(fixture.why.data, "is no address and port"));
	text_clear(&fixture.why);
	assert_int_equal(listen_tcp("192.0.2.1:80", &fixture.why, &second), -EADDRNOTAVAIL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define LISTEN_TEST(test) cmocka_unit_test_setup_teardown(test, fresh, drop)
		LISTEN_TEST(the_socket_is_private_and_its_folders_are_made),
		LISTEN_TEST(a_dead_process_socket_is_replaced),
		LISTEN_TEST(a_living_process_socket_is_left_alone),
		LISTEN_TEST(something_else_at_the_path_is_left_alone),
		LISTEN_TEST(a_path_that_cannot_be_is_told),
		LISTEN_TEST(only_ones_own_socket_is_removed),
		LISTEN_TEST(a_tcp_address_is_taken_or_the_reason_is_told),
#undef LISTEN_TEST
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
