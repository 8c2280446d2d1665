#include "base/siphash.h"

static uint64_t rotate(uint64_t x, int k)
{
	return (x << k) | (x >> (64 - k));
}

static void turn(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[0] = rotate(v[0], 32);
	v[2] += v[3];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[2] = rotate(v[2], 32);
}

static void take(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	turn(v);
	turn(v);
	v[0] ^= word;
}

/* Little-endian, as the reference: weft runs on little-endian machines only. */
uint64_t siphash(const struct siphash_key *key, struct span bytes)
{
	uint64_t v[4] = {
		key->words[0] ^ 0x736f6d6570736575ull,
		key->words[1] ^ 0x646f72616e646f6dull,
		key->words[0] ^ 0x6c7967656e657261ull,
		key->words[1] ^ 0x7465646279746573ull,
	};
	uint64_t last = (uint64_t)bytes.size << 56;
	for (; bytes.size >= 8; bytes = span_of(bytes.data + 8, bytes.size - 8)) {
		uint64_t word;
		memcpy(&word, bytes.data, 8);
		take(v, word);
	}
	for (size_t i = 0; i < bytes.size; i++)
		last |= (uint64_t)(uint8_t)bytes.data[i] << (8 * i);
	take(v, last);
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		turn(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
