/*
 * Pods that started while weftd was silent: one file each, named after the sandbox, with what
 * weftd would have been told (ask.h). weftd settles them when it is back: it enrols or forgets the
 * pod and removes the file. The folder is on a tmpfs, so a reboot empties it. One thread.
 */
#ifndef CNI_PENDING_H
#define CNI_PENDING_H

#include <stdbool.h>

#include "base/attr.h"
#include "base/span.h"

#define CNI_PENDING_DIR "/run/weft/pending"

/* Whole or not at all: a reader never sees half a file. 0 or -errno. */
int pending_write(struct span dir, struct span container_id, struct span body) MUST_CHECK;
/* A file that is not there is fine. */
void pending_remove(struct span dir, struct span container_id);
/* Removes the files of all sandboxes that `attachments` (JSON: [{"containerID": …}]) lacks. */
void pending_sweep(struct span dir, struct span attachments);
/*
 * Shows `settle` what each file says and removes those of which it says true. Returns how many it
 * removed. A folder that is not there has none.
 */
unsigned pending_settle(const char *dir, bool (*settle)(void *owner, struct span body),
			void *owner);
/* Removes all files, and the folder when nothing else is in it. */
void pending_clear(const char *dir);

#endif
