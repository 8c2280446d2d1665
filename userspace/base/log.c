#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

#define LINES_PER_SECOND 10

static atomic_int least_level = LOG_LEVEL_INFO;
static atomic_int json_lines;

void log_set_level(enum log_level level)
{
	atomic_store(&least_level, (int)level);
}

void log_set_json(int is_json)
{
	atomic_store(&json_lines, is_json);
}

static int site_admits(struct log_site *site, long second, unsigned *ret_left_out)
{
	if (atomic_exchange(&site->second, second) != second) {
		atomic_store(&site->lines, 0);
		*ret_left_out = atomic_exchange(&site->left_out, 0);
	}
	if (atomic_fetch_add(&site->lines, 1) < LINES_PER_SECOND)
		return 1;
	atomic_fetch_add(&site->left_out, 1);
	return 0;
}

/* Control characters of a value must neither begin a line of their own nor steer a terminal. */
static void add_one_line(struct text *line, const char *message)
{
	for (;;) {
		size_t plain = 0;
		while ((unsigned char)message[plain] >= 0x20 && message[plain] != 0x7f)
			plain++;
		text_add(line, span_of(message, plain));
		message += plain;
		if (!*message)
			return;
		if (*message == '\n')
			text_add(line, span_text("\\n"));
		else
			text_printf(line, "\\x%02x", (unsigned)*message);
		message++;
	}
}

void log_line(struct log_site *site, enum log_level level, const char *event, const char *format,
	      ...)
{
	static const char *const names[] = {"debug", "info", "warn", "error"};
	unsigned left_out = 0;
	struct timespec now;
	if ((int)level < atomic_load(&least_level))
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	if (!site_admits(site, (long)now.tv_sec, &left_out))
		return;

	char stamp[32];
	char message[1024];
	struct tm utc;
	va_list args;
	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	gmtime_r(&now.tv_sec, &utc);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &utc);

	struct text line = {0};
	long millis = now.tv_nsec / 1000000;
	if (atomic_load(&json_lines)) {
		text_printf(&line, "{\"time\":\"%s.%03ldZ\",\"level\":\"%s\",\"event\":\"%s\"",
			    stamp, millis, names[level], event);
		text_printf(&line, ",\"left_out\":%u,\"message\":", left_out);
		text_json_string(&line, span_text(message));
		text_add(&line, span_text("}\n"));
	} else {
		text_printf(&line, "%s.%03ldZ %s %s ", stamp, millis, names[level], event);
		add_one_line(&line, message);
		if (left_out)
			text_printf(&line, " left_out=%u", left_out);
		text_add(&line, span_text("\n"));
	}
	/* A log that cannot be written has nowhere to complain. */
	ssize_t written = line.data ? write(STDERR_FILENO, line.data, line.size) : 0;
	(void)written;
	text_fini(&line);
}
