/*
 * The namers of kind fs (linkerd1.md M1): each file of a folder is a service, its lines are the
 * endpoints. A source of drafts; folders are watched (inotify(7)) and read anew at a change. Owner:
 * the control thread.
 */
#ifndef CONTROL_FOLDERS_H
#define CONTROL_FOLDERS_H

#include "base/arena.h"
#include "control/source.h"
#include "io/ring.h"

#define FOLDER_FILES_MOST 1024 /* of one folder; further ones are left out, which is logged */
#define FOLDER_FILE_BYTES (500 * 1024)

struct folders {
	struct source source; /* services "#/PREFIX/FILE", without addresses of their own */
	struct control *control;
	struct io_ring *ring;
	struct io_op op; /* of the watch */
	int fd;          /* of the watch; -1 = none */
	bool is_closing;
	bool is_stale;      /* a folder has changed since it was read */
	char *form;         /* which folders, under which prefixes */
	struct arena arena; /* of the drafts */
	uint32_t capacity;  /* of source.services */
	char *events;
};

void folders_init(struct folders *folders, struct control *control, struct io_ring *ring);
/* Turns the ring until the last operation is back. */
void folders_close(struct folders *folders);

/*
 * "HOST PORT [* WEIGHT]" in each line, # begins a comment. HOST is an address; WEIGHT is 0 or more,
 * with up to three decimals. What is no such line is told and left out. 0 or -ENOMEM.
 */
int folder_read_file(struct span bytes, struct arena *arena,
		     void (*fault)(void *owner, uint32_t line, const char *sentence), void *owner,
		     struct draft_list *ret_endpoints) MUST_CHECK;

#endif
