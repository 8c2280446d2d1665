/* What the log writes to stderr; the lines are caught in a memory file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

static int real_stderr;
static int caught;
static char lines[65536];

static int catch_begin(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_INFO);
	log_set_json(0);
	real_stderr = dup(STDERR_FILENO);
	caught = memfd_create("weft-test-log", 0);
	return real_stderr < 0 || caught < 0 || dup2(caught, STDERR_FILENO) < 0;
}

static int catch_end(void **state)
{
	(void)state;
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	close(caught);
	return 0;
}

/* What was written since the last call; the number of lines. */
static unsigned caught_lines(void)
{
	unsigned count = 0;
	ssize_t size = pread(caught, lines, sizeof(lines) - 1, 0);
	assert_true(size >= 0);
	lines[size] = '\0';
	for (ssize_t i = 0; i < size; i++)
		count += lines[i] == '\n';
	assert_int_equal(ftruncate(caught, 0), 0);
	assert_int_equal(lseek(caught, 0, SEEK_SET), 0);
	return count;
}

static void a_line_has_time_level_event_and_keys(void **state)
{
	int year;
	char zone;
	char rest[100];
	(void)state;
	log_warn("dial_failed", "service=%s attempt=%d", "web", 2);
	assert_int_equal(caught_lines(), 1);
	assert_int_equal(
		sscanf(lines, "%4d-%*2d-%*2dT%*2d:%*2d:%*2d.%*3d%c %99[^\n]", &year, &zone, rest),
		3);
	assert_int_equal(zone, 'Z');
	assert_string_equal(rest, "warn dial_failed service=web attempt=2");
}

static void a_json_line_is_escaped(void **state)
{
	(void)state;
	log_set_json(1);
	log_error("odd", "text=%s", "a\"b\n\x01");
	assert_int_equal(caught_lines(), 1);
	assert_non_null(strstr(lines, "\"level\":\"error\",\"event\":\"odd\""));
	assert_non_null(strstr(lines, "\"message\":\"text=a\\\"b\\n\\u0001\"}\n"));
}

static void a_value_cannot_begin_a_line_of_its_own(void **state)
{
	(void)state;
	log_info("odd", "path=%s size=%d", "a\n2026 info fake\r\x1b[2J\x7f\xc3\xa9\"b\"", 3);
	assert_int_equal(caught_lines(), 1);
	assert_non_null(strstr(lines,
			       " info odd path=a\\n2026 info fake\\x0d\\x1b[2J\\x7f"
			       "\xc3\xa9\"b\" size=3\n"));
}

static void lower_levels_are_left_out(void **state)
{
	(void)state;
	log_debug("a", "%d", 1);
	assert_int_equal(caught_lines(), 0);
	log_set_level(LOG_LEVEL_ERROR);
	log_warn("a", "%d", 1);
	assert_int_equal(caught_lines(), 0);
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("a", "%d", 1);
	assert_int_equal(caught_lines(), 1);
}

/* 25 lines of one site within one second: again when the second changed meanwhile. */
static unsigned burst(struct log_site *site)
{
	for (int attempt = 0; attempt < 10; attempt++) {
		*site = (struct log_site){0};
		for (int i = 0; i < 25; i++)
			log_line(site, LOG_LEVEL_INFO, "burst", "i=%d", i);
		unsigned count = caught_lines();
		if (atomic_load(&site->left_out) == 15)
			return count;
	}
	fail_msg("a second is never long enough for 25 lines");
	return 0;
}

static void a_site_writes_ten_lines_in_a_second(void **state)
{
	struct log_site site;
	(void)state;
	assert_int_equal(burst(&site), 10);
	assert_non_null(strstr(lines, "i=9"));
	assert_null(strstr(lines, "i=10"));
}

static void the_next_second_says_how_many_were_left_out(void **state)
{
	struct log_site site;
	(void)state;
	assert_int_equal(burst(&site), 10);
	/* As if all of it had been a while ago. */
	atomic_store(&site.second, 1);
	log_line(&site, LOG_LEVEL_INFO, "burst", "i=%d", 25);
	assert_int_equal(caught_lines(), 1);
	assert_non_null(strstr(lines, "i=25 left_out=15\n"));
	log_line(&site, LOG_LEVEL_INFO, "burst", "i=%d", 26);
	assert_int_equal(caught_lines(), 1);
	assert_null(strstr(lines, "left_out"));
}

static void one_site_does_not_silence_another(void **state)
{
	struct log_site site;
	struct log_site other = {0};
	(void)state;
	assert_int_equal(burst(&site), 10);
	log_line(&other, LOG_LEVEL_INFO, "other", "i=%d", 1);
	assert_int_equal(caught_lines(), 1);
}

static void a_long_message_is_cut_and_stays_one_line(void **state)
{
	static char large[5000];
	(void)state;
	memset(large, 'x', sizeof(large) - 1);
	log_info("large", "text=%s", large);
	assert_int_equal(caught_lines(), 1);
	assert_true(strlen(lines) < 1200);
	assert_int_equal(mem_live(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_line_has_time_level_event_and_keys, catch_begin,
						catch_end),
		cmocka_unit_test_setup_teardown(a_json_line_is_escaped, catch_begin, catch_end),
		cmocka_unit_test_setup_teardown(a_value_cannot_begin_a_line_of_its_own, catch_begin,
						catch_end),
		cmocka_unit_test_setup_teardown(lower_levels_are_left_out, catch_begin, catch_end),
		cmocka_unit_test_setup_teardown(a_site_writes_ten_lines_in_a_second, catch_begin,
						catch_end),
		cmocka_unit_test_setup_teardown(the_next_second_says_how_many_were_left_out,
						catch_begin, catch_end),
		cmocka_unit_test_setup_teardown(one_site_does_not_silence_another, catch_begin,
						catch_end),
		cmocka_unit_test_setup_teardown(a_long_message_is_cut_and_stays_one_line,
						catch_begin, catch_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
