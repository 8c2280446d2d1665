/* What a fuzz target defines; libFuzzer or replay.c calls it. 0 = done, the input may be kept. */
#ifndef BASE_FUZZ_TARGET_H
#define BASE_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
