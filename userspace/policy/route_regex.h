/*
 * Regular expressions of routes: PCRE2, over bytes, matching whole texts, with limits on what one
 * match may cost. Compiled when config is read. Internal to policy.
 */
#ifndef POLICY_ROUTE_REGEX_H
#define POLICY_ROUTE_REGEX_H

#include <stdint.h>

#include "base/attr.h"
#include "base/span.h"

struct regex;      /* immutable */
struct regex_work; /* one thread's memory for matching */

#define REGEX_STEPS_MOST 20000 /* PCRE2's match limit: about a millisecond */
#define REGEX_DEPTH_MOST 500   /* nested backtracking points */
#define REGEX_HEAP_KIB   256   /* memory for them */

/* 0; -EINVAL: `why` says what is wrong, *ret_column where (from 1); -ENOMEM. */
int regex_new(struct span pattern, struct regex **ret_regex, char *why, size_t why_size,
	      size_t *ret_column) MUST_CHECK;
void regex_free(struct regex *regex); /* NULL is fine */

struct regex_work *regex_work_new(void) MUST_CHECK;
void regex_work_free(struct regex_work *work);
/* 0; -ENOENT, also of texts that cost more than the limits, which are counted; -ENOMEM. */
int regex_match(const struct regex *regex, struct regex_work *work, struct span text) MUST_CHECK;
uint64_t regex_limit_hits(const struct regex_work *work);

#endif
