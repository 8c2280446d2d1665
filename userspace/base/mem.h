/*
 * The one allocator hook. Everything in weft that may fail at run time allocates here, so that a
 * test can let the n-th allocation fail. Any thread.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

#include "base/attr.h"

/* NULL when memory is short (or the test hook says so); mem_zalloc returns zeroed bytes. */
void *mem_alloc(size_t size) MUST_CHECK;
void *mem_zalloc(size_t size) MUST_CHECK;
/* As realloc(3): on failure returns NULL and leaves `old` valid. */
void *mem_realloc(void *old, size_t size) MUST_CHECK;
/* NULL-terminated copy of the first `size` bytes, or NULL. */
char *mem_text(const char *text, size_t size) MUST_CHECK;
void mem_free(void *memory);

/* Tests only: the n-th allocation from now fails (1 = the next); 0 = none. */
void mem_fail_nth(unsigned long n);
/* Tests only: allocations not yet freed, counted since the process began. */
long mem_live(void);

#endif
