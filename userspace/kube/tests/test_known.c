#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "kube/known.h"

#define IDENTITY "{\"weft\":\"1\"}"
#define META     "\"metadata\":{\"name\":\"%s\",\"namespace\":\"shop\",\"resourceVersion\":\"1\"}"

static const struct read_options options;
static char folder[64];
static char path[96];
static char fresh[100];

static int setup(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/weft-known-XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/known", folder);
	snprintf(fresh, sizeof(fresh), "%s.new", path);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	known_remove(path);
	assert_int_equal(rmdir(folder), 0); /* nothing else is left */
	return mem_live() == 0 ? 0 : -1;
}

static struct kube_object *service_of(const char *name)
{
	char json[256];
	struct read_faults faults;
	struct kube_object *object;
	snprintf(json, sizeof(json), "{" META "}", name);
	assert_int_equal(kube_read(KUBE_SERVICES, span_text(json), &options, &faults, &object), 0);
	return object;
}

static void add_service(struct known_writer *writer, const char *name)
{
	struct kube_object *object = service_of(name);
	known_add(writer, object);
	mem_free(object);
}

/* Two services and no node. */
static int write_file(void)
{
	struct known_writer writer;
	int error = known_create(&writer, path, span_text(IDENTITY));
	if (error)
		return error;
	known_add_kind(&writer, KUBE_SERVICES, 77);
	add_service(&writer, "a");
	error = known_flush(&writer);
	if (error) {
		known_abandon(&writer);
		return error;
	}
	add_service(&writer, "b");
	known_add_kind(&writer, KUBE_NODES, 78);
	return known_commit(&writer);
}

static int open_file(struct known_reader *reader, const char *identity)
{
	struct text why = {0};
	int error = known_open(reader, path, span_text(identity), &why);
	assert_int_equal(!error, !why.size);
	text_fini(&why);
	return error;
}

static void overwrite(const char *bytes, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_int_equal(write(fd, bytes, size), size);
	close(fd);
}

static size_t read_file(char bytes[4096])
{
	int fd = open(path, O_RDONLY);
	ssize_t size = read(fd, bytes, 4096);
	close(fd);
	assert_true(size > 0 && size < 4096);
	return (size_t)size;
}

static void assert_next(struct known_reader *reader, const char *name)
{
	struct kube_object *object;
	assert_int_equal(known_next(reader, &options, &object), 0);
	assert_int_equal(object->kind, KUBE_SERVICES);
	assert_string_equal(object->name, name);
	mem_free(object);
}

static void what_is_committed_is_read(void **state)
{
	struct known_reader reader;
	struct kube_object *object;
	struct stat found;
	(void)state;
	assert_int_equal(write_file(), 0);
	assert_int_equal(stat(path, &found), 0);
	assert_int_equal(found.st_mode, S_IFREG | 0600);
	assert_int_equal(open_file(&reader, IDENTITY), 0);
	assert_next(&reader, "a");
	assert_next(&reader, "b");
	assert_int_equal(known_next(&reader, &options, &object), 0);
	assert_null(object);
	assert_int_equal(reader.told_ns[KUBE_SERVICES], 77);
	assert_int_equal(reader.told_ns[KUBE_NODES], 78);
	assert_int_equal(reader.told_ns[KUBE_PODS], 0);
	known_close(&reader);
}

static void what_is_abandoned_leaves_the_file_as_it_was(void **state)
{
	struct known_writer writer;
	struct known_reader reader;
	(void)state;
	assert_int_equal(write_file(), 0);
	assert_int_equal(known_create(&writer, path, span_text("{}")), 0);
	assert_int_equal(known_flush(&writer), 0);
	assert_int_equal(access(fresh, F_OK), 0);
	known_abandon(&writer);
	assert_int_not_equal(access(fresh, F_OK), 0);
	assert_int_equal(open_file(&reader, IDENTITY), 0);
	known_close(&reader);
}

static void what_a_killed_writer_left_is_replaced(void **state)
{
	(void)state;
	assert_int_equal(symlink("/dev/null", fresh), 0);
	assert_int_equal(write_file(), 0);
	assert_int_not_equal(access(fresh, F_OK), 0);
}

static void a_file_that_is_not_there_is_no_fault_of_it(void **state)
{
	struct known_reader reader;
	(void)state;
	assert_int_equal(open_file(&reader, IDENTITY), -ENOENT);
}

static void another_clusters_file_is_not_used(void **state)
{
	struct known_reader reader;
	(void)state;
	assert_int_equal(write_file(), 0);
	assert_int_equal(open_file(&reader, "{\"weft\":\"2\"}"), -ESTALE);
}

static void a_file_that_is_cut_off_anywhere_is_not_used(void **state)
{
	char bytes[4096];
	struct known_reader reader;
	(void)state;
	assert_int_equal(write_file(), 0);
	size_t size = read_file(bytes);
	for (size_t cut = 0; cut < size; cut++) {
		overwrite(bytes, cut);
		assert_int_equal(open_file(&reader, IDENTITY), -EBADMSG);
	}
	bytes[size] = '\n';
	overwrite(bytes, size + 1);
	assert_int_equal(open_file(&reader, IDENTITY), -EBADMSG);
}

static void a_file_with_a_byte_changed_anywhere_is_not_used(void **state)
{
	char bytes[4096];
	struct known_reader reader;
	(void)state;
	assert_int_equal(write_file(), 0);
	size_t size = read_file(bytes);
	for (size_t at = 0; at < size; at++) {
		bytes[at] ^= 4;
		overwrite(bytes, size);
		assert_true(open_file(&reader, IDENTITY) < 0);
		bytes[at] ^= 4;
	}
}

static void garbage_without_lines_costs_no_memory(void **state)
{
	static char bytes[1 << 20];
	struct known_reader reader;
	(void)state;
	memset(bytes, 'x', sizeof(bytes));
	overwrite(bytes, sizeof(bytes));
	assert_int_equal(open_file(&reader, IDENTITY), -EBADMSG);
}

static void what_is_not_this_users_alone_is_not_used(void **state)
{
	struct known_reader reader;
	(void)state;
	assert_int_equal(write_file(), 0);
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(open_file(&reader, IDENTITY), -EPERM);
	assert_int_equal(chmod(path, 0600), 0);
	if (geteuid() == 0) {
		assert_int_equal(chown(path, 1, 0), 0);
		assert_int_equal(open_file(&reader, IDENTITY), -EPERM);
	}
	known_remove(path);
	assert_int_equal(symlink("/etc/hosts", path), 0);
	assert_int_equal(open_file(&reader, IDENTITY), -ELOOP);
	known_remove(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(open_file(&reader, IDENTITY), -EPERM);
	known_remove(path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(open_file(&reader, IDENTITY), -EPERM);
	assert_int_equal(rmdir(path), 0);
}

/* A sum that is right says nothing of who wrote it. */
static void nonsense_with_a_right_sum_ends_the_reading(void **state)
{
	static const struct {
		enum kube_kind kind;
		const char *name;
	} bad[] = {{KUBE_KINDS, "a"}, {KUBE_SERVICES, ""}};
	(void)state;
	for (size_t i = 0; i < array_count(bad); i++) {
		struct known_writer writer;
		struct known_reader reader;
		struct kube_object *object = service_of("a");
		assert_int_equal(known_create(&writer, path, span_text(IDENTITY)), 0);
		if (bad[i].kind != KUBE_KINDS)
			known_add_kind(&writer, bad[i].kind, 1);
		object->name = bad[i].name;
		known_add(&writer, object);
		mem_free(object);
		assert_int_equal(known_commit(&writer), 0);
		assert_int_equal(open_file(&reader, IDENTITY), 0);
		assert_int_equal(known_next(&reader, &options, &object), -EBADMSG);
		known_close(&reader);
	}
}

static void a_client_is_told_from_others(void **state)
{
	struct server server = {.host = "10.0.0.1:6443"};
	struct server other = {.host = "10.0.0.1:6444"};
	struct text texts[4] = {{0}};
	(void)state;
	known_identify(&server, "n1", &texts[0]);
	known_identify(&server, "n2", &texts[1]);
	known_identify(&other, "n1", &texts[2]);
	text_add(&server.ca, span_text("a certificate"));
	known_identify(&server, "n1", &texts[3]);
	text_fini(&server.ca);
	for (size_t i = 0; i < array_count(texts); i++) {
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(texts[i].data, texts[j].data);
	}
	for (size_t i = 0; i < array_count(texts); i++)
		text_fini(&texts[i]);
}

static void a_failed_allocation_is_told(void **state)
{
	struct known_reader reader;
	int error = -ENOMEM;
	(void)state;
	for (unsigned long n = 1; error; n++) {
		assert_true(n < 100);
		mem_fail_nth(n);
		struct known_writer writer;
		error = known_create(&writer, path, span_text(IDENTITY));
		assert_int_equal(error, 0);
		known_add_kind(&writer, KUBE_SERVICES, 77);
		error = known_commit(&writer);
		mem_fail_nth(0);
		assert_true(error == 0 || error == -ENOMEM);
		assert_int_not_equal(access(fresh, F_OK), 0);
	}
	assert_int_equal(write_file(), 0);
	error = -ENOMEM;
	for (unsigned long n = 1; error; n++) {
		struct text why = {0};
		struct kube_object *object = NULL;
		mem_fail_nth(n);
		error = known_open(&reader, path, span_text(IDENTITY), &why);
		if (!error) {
			error = known_next(&reader, &options, &object);
			known_close(&reader);
			mem_free(object);
		}
		mem_fail_nth(0);
		text_fini(&why);
		assert_true(error == 0 || error == -ENOMEM);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_committed_is_read),
		TEST(what_is_abandoned_leaves_the_file_as_it_was),
		TEST(what_a_killed_writer_left_is_replaced),
		TEST(a_file_that_is_not_there_is_no_fault_of_it),
		TEST(another_clusters_file_is_not_used),
		TEST(a_file_that_is_cut_off_anywhere_is_not_used),
		TEST(a_file_with_a_byte_changed_anywhere_is_not_used),
		TEST(garbage_without_lines_costs_no_memory),
		TEST(what_is_not_this_users_alone_is_not_used),
		TEST(nonsense_with_a_right_sum_ends_the_reading),
		TEST(a_client_is_told_from_others),
		TEST(a_failed_allocation_is_told),
	};
	return cmocka_run_group_tests_name("known", tests, NULL, NULL);
}
