#include "admin/spare.h"

#include <fcntl.h>
#include <unistd.h>

bool spare_fill(struct spare *spare)
{
	while (spare->count < SPARE_DESCRIPTORS) {
		int fd = open("/", O_PATH | O_CLOEXEC);
		if (fd < 0)
			return false;
		spare->fds[spare->count++] = fd;
	}
	return true;
}

bool spare_spend(struct spare *spare)
{
	if (spare->count == 0)
		return false;
	close(spare->fds[--spare->count]);
	return true;
}

void spare_close(struct spare *spare)
{
	while (spare_spend(spare))
		;
}
