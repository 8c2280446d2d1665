/* Numbers as people read them: a value, a blank, a unit. Pure. */
#ifndef CLI_UNITS_H
#define CLI_UNITS_H

#include <stdint.h>

#define UNIT_TEXT_MAX 32

/* Each returns `text`. */
const char *unit_bytes(uint64_t bytes, char text[UNIT_TEXT_MAX]);       /* "17 B", "3.4 MiB" */
const char *unit_time(uint64_t microseconds, char text[UNIT_TEXT_MAX]); /* "850 us", "1.2 ms" */
const char *unit_share(double share, char text[UNIT_TEXT_MAX]);         /* 0.5 → "50.0 %" */
const char *unit_rate(double per_second, char text[UNIT_TEXT_MAX]);     /* "0.42", "1234.5" */
const char *unit_count(uint64_t count, char text[UNIT_TEXT_MAX]);

#endif
