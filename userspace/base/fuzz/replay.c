/*
 * Runs a fuzz target over files, so that every corpus is a test: replay FILE…
 * A fault ends the process (sanitizer, assert); an unreadable file is a failure too.
 */
#include "base/fuzz/target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A copy of exactly the input's size, so that the sanitizer sees the first byte too many. */
static uint8_t *input_read(const char *path, size_t *ret_size)
{
	FILE *file = fopen(path, "rb");
	uint8_t *input = NULL;
	long size = -1;

	if (!file)
		return NULL;
	if (fseek(file, 0, SEEK_END) == 0)
		size = ftell(file);
	if (size >= 0 && fseek(file, 0, SEEK_SET) == 0)
		input = malloc(size > 0 ? (size_t)size : 1);
	if (input && fread(input, 1, (size_t)size, file) != (size_t)size) {
		free(input);
		input = NULL;
	}
	fclose(file);
	if (input)
		*ret_size = (size_t)size;
	return input;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		size_t size;
		uint8_t *input = input_read(argv[i], &size);

		if (!input) {
			fprintf(stderr, "%s: cannot read %s: %s\n", argv[0], argv[i],
				strerror(errno));
			return 1;
		}
		LLVMFuzzerTestOneInput(input, size);
		free(input);
	}
	printf("%s: %d inputs replayed\n", argv[0], argc - 1);
	return argc > 1 ? 0 : 1;
}
