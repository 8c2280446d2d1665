#include "policy/route_regex.h"

#include <errno.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/mem.h"

struct regex {
	pcre2_code *code;
};

struct regex_work {
	pcre2_general_context *memory;
	pcre2_match_context *limits;
	pcre2_match_data *data;
	uint64_t limit_hits;
};

static void *take(PCRE2_SIZE size, void *owner)
{
	(void)owner;
	return mem_alloc(size);
}

static void give(void *memory, void *owner)
{
	(void)owner;
	mem_free(memory);
}

int regex_new(struct span pattern, struct regex **ret_regex, char *why, size_t why_size,
	      size_t *ret_column)
{
	int error = 0;
	PCRE2_SIZE offset = 0;
	struct regex *regex = mem_zalloc(sizeof(*regex));
	pcre2_general_context *memory = pcre2_general_context_create(take, give, NULL);
	pcre2_compile_context *context = memory ? pcre2_compile_context_create(memory) : NULL;
	if (regex && context) {
		pcre2_set_parens_nest_limit(context, 50);
		regex->code = pcre2_compile((PCRE2_SPTR)pattern.data, pattern.size,
					    PCRE2_ANCHORED | PCRE2_ENDANCHORED |
						    PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_UTF,
					    &error, &offset, context);
	}
	pcre2_compile_context_free(context);
	pcre2_general_context_free(memory);
	if (regex && regex->code) {
		*ret_regex = regex;
		return 0;
	}
	mem_free(regex);
	/* 121: PCRE2 could not get memory; 0: it was not even asked */
	if (error == 0 || error == PCRE2_ERROR_HEAP_FAILED)
		return -ENOMEM;
	pcre2_get_error_message(error, (PCRE2_UCHAR *)why, why_size);
	*ret_column = offset + 1;
	return -EINVAL;
}

void regex_free(struct regex *regex)
{
	if (!regex)
		return;
	pcre2_code_free(regex->code);
	mem_free(regex);
}

struct regex_work *regex_work_new(void)
{
	struct regex_work *work = mem_zalloc(sizeof(*work));
	if (!work)
		return NULL;
	work->memory = pcre2_general_context_create(take, give, NULL);
	if (work->memory) {
		work->limits = pcre2_match_context_create(work->memory);
		work->data = pcre2_match_data_create(1, work->memory);
	}
	if (!work->limits || !work->data) {
		regex_work_free(work);
		return NULL;
	}
	pcre2_set_match_limit(work->limits, REGEX_STEPS_MOST);
	pcre2_set_depth_limit(work->limits, REGEX_DEPTH_MOST);
	pcre2_set_heap_limit(work->limits, REGEX_HEAP_KIB);
	return work;
}

void regex_work_free(struct regex_work *work)
{
	if (!work)
		return;
	pcre2_match_data_free(work->data);
	pcre2_match_context_free(work->limits);
	pcre2_general_context_free(work->memory);
	mem_free(work);
}

int regex_match(const struct regex *regex, struct regex_work *work, struct span text)
{
	if (!regex)
		return -ENOENT;
	int got = pcre2_match(regex->code, (PCRE2_SPTR)(text.data ? text.data : ""), text.size, 0,
			      0, work->data, work->limits);
	if (got >= 0)
		return 0;
	if (got == PCRE2_ERROR_NOMEMORY)
		return -ENOMEM;
	work->limit_hits += got != PCRE2_ERROR_NOMATCH;
	return -ENOENT;
}

uint64_t regex_limit_hits(const struct regex_work *work)
{
	return work->limit_hits;
}
