/*
 * One event, one line: `time level event key=value …` on stderr. Rate-limited per call site (10 in
 * a second, then one line that says how many were left out). Any thread.
 * Level error means that an operator must act.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdatomic.h>

#include "base/attr.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

struct log_site {
	atomic_long second;
	atomic_uint lines;
	atomic_uint left_out;
};

void log_set_level(enum log_level level);
void log_set_json(int is_json);
/* `event` is one word; `format` gives "key=value key=value", values with blanks in quotes. */
void log_line(struct log_site *site, enum log_level level, const char *event, const char *format,
	      ...) PRINTF_LIKE(4, 5);

#define log_at(level, event, ...)                                                                  \
	do {                                                                                       \
		static struct log_site log_site_here;                                              \
		log_line(&log_site_here, level, event, __VA_ARGS__);                               \
	} while (0)
#define log_error(event, ...) log_at(LOG_LEVEL_ERROR, event, __VA_ARGS__)
#define log_warn(event, ...)  log_at(LOG_LEVEL_WARN, event, __VA_ARGS__)
#define log_info(event, ...)  log_at(LOG_LEVEL_INFO, event, __VA_ARGS__)
#define log_debug(event, ...) log_at(LOG_LEVEL_DEBUG, event, __VA_ARGS__)

#endif
