/*
 * Any bytes as the file of a client before this one: it is not used, or (as if its sum were right)
 * every object holds together and nothing is left in memory.
 */
#include "base/fuzz/target.h"

#include <assert.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "kube/known.h"

static int file_of(const uint8_t *data, size_t size)
{
	int fd = memfd_create("known", MFD_CLOEXEC);
	assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	assert(lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

/* 0 at the end of all objects. */
static int read_all(struct known_reader *reader)
{
	static const char *const keep[] = {"weft.io/", NULL};
	static const struct read_options options = {.keep = keep};
	for (;;) {
		struct kube_object *object = NULL;
		int error = known_next(reader, &options, &object);
		assert(error == 0 || error == -EBADMSG);
		if (error || !object)
			return error;
		assert(object->kind == reader->kind && *object->name && *object->version);
		mem_free(object);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	long live = mem_live();
	struct text why = {0};
	struct known_reader reader = {.fd = file_of(data, size), .kind = KUBE_KINDS};
	(void)!read_all(&reader);
	known_close(&reader);
	int error = known_open_fd(&reader, file_of(data, size), span_text("{}"), &why);
	assert(error == 0 || error == -EBADMSG || error == -ESTALE);
	assert(!error == !why.size);
	if (!error) {
		(void)!read_all(&reader);
		known_close(&reader);
	}
	text_fini(&why);
	assert(mem_live() == live);
	return 0;
}
