#include "control/faults.h"

#include <stdlib.h>

struct text *faults_add(struct faults *faults, uint32_t line)
{
	if (faults->count++ < FAULTS_MOST) {
		struct fault *fault = &faults->kept[faults->count - 1];
		fault->line = line;
		return &fault->sentence;
	}
	/* Swallows what is written to it: `failed` makes later appends do nothing. */
	static _Thread_local struct text nowhere;
	nowhere.failed = true;
	return &nowhere;
}

static int compare_lines(const void *a, const void *b)
{
	uint32_t x = ((const struct fault *)a)->line;
	uint32_t y = ((const struct fault *)b)->line;
	return (x > y) - (x < y);
}

void faults_print(struct faults *faults, const char *file, struct text *why)
{
	uint32_t kept = faults->count < FAULTS_MOST ? faults->count : FAULTS_MOST;
	qsort(faults->kept, kept, sizeof(faults->kept[0]), compare_lines);
	for (uint32_t i = 0; i < kept; i++) {
		const struct fault *fault = &faults->kept[i];
		if (fault->line > 0)
			text_printf(why, "%s:%u: ", file, fault->line);
		else
			text_printf(why, "%s: ", file);
		text_add(why, text_span(&fault->sentence));
		text_add(why, span_text("\n"));
	}
	if (faults->count > kept)
		text_printf(why, "%s: and %u more\n", file, faults->count - kept);
}

void faults_fini(struct faults *faults)
{
	for (uint32_t i = 0; i < FAULTS_MOST; i++)
		text_fini(&faults->kept[i].sentence);
	*faults = (struct faults){0};
}
