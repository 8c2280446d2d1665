/* SipHash-2-4 (Aumasson, Bernstein 2012): a keyed hash of 64 bits that tells nobody without the key
 * what was hashed. */
#ifndef BASE_SIPHASH_H
#define BASE_SIPHASH_H

#include <stdint.h>

#include "base/span.h"

struct siphash_key {
	uint64_t words[2];
};

uint64_t siphash(const struct siphash_key *key, struct span bytes);

#endif
