#include "base/mem.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static atomic_ulong fail_countdown;
static atomic_long live;

static int must_fail(void)
{
	if (atomic_load_explicit(&fail_countdown, memory_order_relaxed) == 0)
		return 0;
	return atomic_fetch_sub(&fail_countdown, 1) == 1;
}

static void *counted(void *memory)
{
	if (memory)
		atomic_fetch_add_explicit(&live, 1, memory_order_relaxed);
	return memory;
}

void *mem_alloc(size_t size)
{
	return must_fail() ? NULL : counted(malloc(size));
}

void *mem_zalloc(size_t size)
{
	return must_fail() ? NULL : counted(calloc(1, size));
}

void *mem_realloc(void *old, size_t size)
{
	if (must_fail())
		return NULL;
	return old ? realloc(old, size) : counted(malloc(size));
}

char *mem_text(const char *text, size_t size)
{
	if (size == SIZE_MAX)
		return NULL;
	char *copy = mem_alloc(size + 1);
	if (!copy)
		return NULL;
	memcpy(copy, text, size);
	copy[size] = '\0';
	return copy;
}

void mem_free(void *memory)
{
	if (!memory)
		return;
	atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
	free(memory);
}

void mem_fail_nth(unsigned long n)
{
	atomic_store(&fail_countdown, n);
}

long mem_live(void)
{
	return atomic_load(&live);
}
