/*
 * What a client knows, in a file for the client after it: lines of JSON that the readers of the
 * API's objects read (write.h).
 *
 *   {"weft":…,"format":…,"server":…,"ca":…,"node":…,"boot":…}   must be what a writer writes now
 *   {"kind":"pods","told_ns":…}                            the clock's when the server still told
 *   {"metadata":…}                                         one of that kind, and so on
 *   {"end":LINES,"sum":"…"}                                else the file is not whole
 *
 * An object that is read back counts as the API's of the same version and stays when a list has it
 * unchanged. So a file of another version of weft is not read: that may read fields that this did
 * not. A file is never changed, only replaced. Owner: a keeper.
 */
#ifndef KUBE_KNOWN_H
#define KUBE_KNOWN_H

#include <limits.h>

#include "base/text.h"
#include "kube/read.h"
#include "kube/server.h"

/* Of this client on this boot of the machine: the first line. */
void known_identify(const struct server *server, const char *node, struct text *identity);

struct known_writer {
	int fd;
	char path[PATH_MAX];
	char fresh_path[PATH_MAX]; /* what it is called until it is whole */
	struct text piece;         /* not yet written */
	uint64_t bytes;            /* written */
	uint64_t lines;
	uint64_t sum;
};

/* 0 or -errno. After it known_commit or known_abandon is due. */
int known_create(struct known_writer *writer, const char *path, struct span identity) MUST_CHECK;
void known_add_kind(struct known_writer *writer, enum kube_kind kind, uint64_t told_ns);
void known_add(struct known_writer *writer, const struct kube_object *object);
/* Writes what was added. 0 or -errno. */
int known_flush(struct known_writer *writer) MUST_CHECK;
/* Now a reader finds it. 0, or -errno and the file is what it was. */
int known_commit(struct known_writer *writer) MUST_CHECK;
void known_abandon(struct known_writer *writer);
/* With what a writer that was killed left. */
void known_remove(const char *path);

struct known_reader {
	int fd;
	struct text buffer;
	size_t used;    /* of the buffer */
	uint64_t bytes; /* of the lines that were read */
	uint64_t lines;
	uint64_t sum;
	uint64_t told_ns[KUBE_KINDS]; /* 0 = the file does not have that kind */
	enum kube_kind kind;          /* of the objects that come now; KUBE_KINDS before any */
};

/*
 * Reads all of it once, without a look into the objects. 0, -ENOENT, or -errno and why it is not
 * used (-EPERM: it is not this user's alone; -ESTALE: another cluster's, boot's or weft's;
 * -EBADMSG: not whole). After 0 known_close is due.
 */
int known_open(struct known_reader *reader, const char *path, struct span identity,
	       struct text *why) MUST_CHECK;
/* As known_open, of a file that is open; the reader takes it over. */
int known_open_fd(struct known_reader *reader, int fd, struct span identity,
		  struct text *why) MUST_CHECK;
/* 0; *ret_object is NULL at the end. -ENOMEM; -EBADMSG: whoever wrote it wrote nonsense. */
int known_next(struct known_reader *reader, const struct read_options *options,
	       struct kube_object **ret_object) MUST_CHECK;
void known_close(struct known_reader *reader);

#endif
