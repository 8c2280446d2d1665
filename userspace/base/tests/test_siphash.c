#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/siphash.h"

/* Vectors of the reference implementation: key 00..0f, input 00, 01, …, of so many bytes. */
static void it_is_the_reference(void **state)
{
	static const struct {
		size_t size;
		uint64_t hash;
	} vectors[] = {
		{0, 0x726fdb47dd0e0e31ull}, {1, 0x74f839c593dc67fdull},  {7, 0xab0200f58b01d137ull},
		{8, 0x93f5f5799a932462ull}, {15, 0xa129ca6149be45e5ull},
	};
	const struct siphash_key key = {{0x0706050403020100ull, 0x0f0e0d0c0b0a0908ull}};
	char bytes[16];
	(void)state;
	for (int i = 0; i < 16; i++)
		bytes[i] = (char)i;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
		assert_true(siphash(&key, span_of(bytes, vectors[i].size)) == vectors[i].hash);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(it_is_the_reference)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
