/* Hashes of 64 bits that spread well and are the same on every node. Not against an opponent. */
#ifndef BASE_MIX_H
#define BASE_MIX_H

#include <stdint.h>
#include <string.h>

#include "base/span.h"

/* splitmix64's finaliser: every bit of the value moves half of the result's. */
static inline uint64_t mix(uint64_t value)
{
	value += 0x9e3779b97f4a7c15ull;
	value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ull;
	value = (value ^ (value >> 27)) * 0x94d049bb133111ebull;
	return value ^ (value >> 31);
}

/* Of bytes, eight at a time; `seed` chains several texts, 0 for the first. */
static inline uint64_t mix_bytes(struct span bytes, uint64_t seed)
{
	uint64_t sum = mix(seed + bytes.size);
	while (bytes.size) {
		uint64_t word = 0;
		size_t size = bytes.size < sizeof(word) ? bytes.size : sizeof(word);
		memcpy(&word, bytes.data, size);
		sum = mix(sum + word);
		bytes = span_of(bytes.data + size, bytes.size - size);
	}
	return sum;
}

#endif
