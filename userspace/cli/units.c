#include "cli/units.h"

#include <inttypes.h>
#include <stdio.h>

const char *unit_bytes(uint64_t bytes, char text[UNIT_TEXT_MAX])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
	double value = (double)bytes;
	unsigned unit = 0;
	/* 1023.95 would be printed as 1024.0. */
	while (value >= 1023.95 && unit < 5) {
		value /= 1024;
		unit++;
	}
	snprintf(text, UNIT_TEXT_MAX, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
	return text;
}

const char *unit_time(uint64_t microseconds, char text[UNIT_TEXT_MAX])
{
	double ms = (double)microseconds / 1000;
	if (microseconds < 1000)
		snprintf(text, UNIT_TEXT_MAX, "%" PRIu64 " us", microseconds);
	else if (ms < 999.95)
		snprintf(text, UNIT_TEXT_MAX, "%.1f ms", ms);
	else
		snprintf(text, UNIT_TEXT_MAX, "%.1f s", ms / 1000);
	return text;
}

const char *unit_share(double share, char text[UNIT_TEXT_MAX])
{
	double percent = share * 100;
	/* What is not all is never shown as all. */
	if (share < 1 && percent > 99.9)
		percent = 99.9;
	snprintf(text, UNIT_TEXT_MAX, "%.1f %%", percent);
	return text;
}

const char *unit_rate(double per_second, char text[UNIT_TEXT_MAX])
{
	snprintf(text, UNIT_TEXT_MAX, per_second < 10 ? "%.2f" : "%.1f", per_second);
	return text;
}

const char *unit_count(uint64_t count, char text[UNIT_TEXT_MAX])
{
	snprintf(text, UNIT_TEXT_MAX, "%" PRIu64, count);
	return text;
}
