#include "kube/known.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json_scan.h"
#include "base/mem.h"
#include "kube/write.h"
#include "weft/limits.h"
#include "weft/version.h"

/* The layout, and what is written of an object: another number for each other one. */
#define FORMAT        1
#define READ_BYTES    16384u
#define FIRST_MOST    4096u
#define LINE_MOST     (32u << 20) /* an item of the API's 4 MiB, each byte escaped */
#define END_PREFIX    "{\"end\":"
#define KIND_PREFIX   "{\"kind\":"
#define BOOT_ID_FILE  "/proc/sys/kernel/random/boot_id"
#define BOOT_ID_BYTES 36

/* ---- the sum over all lines ---- */

/* Against accidents, not against forgers: whoever may write the file is root. */
static uint64_t sum_of(uint64_t sum, struct span line)
{
	for (size_t i = 0; i < line.size; i += sizeof(uint64_t)) {
		uint64_t word = 0;
		size_t size = line.size - i < sizeof(word) ? line.size - i : sizeof(word);
		memcpy(&word, line.data + i, size);
		sum = (sum ^ word) * 0x9e3779b97f4a7c15u;
		sum ^= sum >> 32;
	}
	return (sum ^ line.size) * 0x9e3779b97f4a7c15u;
}

static void add_end(struct text *text, uint64_t lines, uint64_t sum)
{
	text_printf(text, END_PREFIX "%llu,\"sum\":\"%016llx\"}", (unsigned long long)lines,
		    (unsigned long long)sum);
}

/* ---- whose it is ---- */

static void read_boot_id(char id[BOOT_ID_BYTES + 1])
{
	int fd = open(BOOT_ID_FILE, O_RDONLY | O_CLOEXEC);
	ssize_t size = fd < 0 ? 0 : read(fd, id, BOOT_ID_BYTES);
	id[size > 0 ? size : 0] = '\0';
	if (fd >= 0)
		close(fd);
}

static void add_member(struct text *text, const char *key, const char *value)
{
	text_printf(text, ",\"%s\":", key);
	text_json_string(text, span_text(value));
}

/* Two clusters may have their API at one address, but not one certificate authority. */
void known_identify(const struct server *server, const char *node, struct text *identity)
{
	char boot[BOOT_ID_BYTES + 1];
	char ca[17];
	snprintf(ca, sizeof(ca), "%016llx", (unsigned long long)sum_of(0, text_span(&server->ca)));
	read_boot_id(boot);
	text_printf(identity, "{\"weft\":\"%s\",\"format\":%u", WEFT_VERSION, FORMAT);
	add_member(identity, "server", server->host);
	add_member(identity, "ca", ca);
	add_member(identity, "node", node);
	add_member(identity, "boot", boot);
	text_add(identity, span_text("}"));
}

/* ---- writing ---- */

/* `from`: where the line begins in the piece. */
static void line_ends(struct known_writer *writer, size_t from)
{
	struct text *piece = &writer->piece;
	if (piece->failed)
		return;
	writer->sum = sum_of(writer->sum, span_of(piece->data + from, piece->size - from));
	writer->lines++;
	text_add(piece, span_text("\n"));
}

int known_create(struct known_writer *writer, const char *path, struct span identity)
{
	*writer = (struct known_writer){.fd = -1};
	int size = snprintf(writer->path, PATH_MAX, "%s", path);
	if (size >= PATH_MAX ||
	    snprintf(writer->fresh_path, PATH_MAX, "%s" WEFT_KNOWN_FRESH, path) >= PATH_MAX)
		return -ENAMETOOLONG;
	/* A file of its own, whoever else still writes to one of that name. */
	unlink(writer->fresh_path);
	writer->fd = open(writer->fresh_path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			  0600);
	if (writer->fd < 0)
		return -errno;
	text_add(&writer->piece, identity);
	line_ends(writer, 0);
	return 0;
}

void known_add_kind(struct known_writer *writer, enum kube_kind kind, uint64_t told_ns)
{
	size_t from = writer->piece.size;
	text_printf(&writer->piece, KIND_PREFIX "\"%s\",\"told_ns\":%llu}", kube_kind_name(kind),
		    (unsigned long long)told_ns);
	line_ends(writer, from);
}

void known_add(struct known_writer *writer, const struct kube_object *object)
{
	size_t from = writer->piece.size;
	kube_write(object, &writer->piece);
	line_ends(writer, from);
}

int known_flush(struct known_writer *writer)
{
	struct span rest = text_span(&writer->piece);
	if (writer->piece.failed)
		return -ENOMEM;
	while (rest.size) {
		ssize_t size = write(writer->fd, rest.data, rest.size);
		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0)
			return -errno;
		rest = span_of(rest.data + size, rest.size - (size_t)size);
		writer->bytes += (uint64_t)size;
	}
	text_clear(&writer->piece);
	return 0;
}

static void writer_end(struct known_writer *writer)
{
	if (writer->fd >= 0)
		close(writer->fd);
	writer->fd = -1;
	text_fini(&writer->piece);
}

/* Not synced to a disk: it is of no use after the next boot. */
int known_commit(struct known_writer *writer)
{
	add_end(&writer->piece, writer->lines, writer->sum);
	text_add(&writer->piece, span_text("\n"));
	int error = known_flush(writer);
	if (!error && rename(writer->fresh_path, writer->path))
		error = -errno;
	if (error)
		known_abandon(writer);
	writer_end(writer);
	return error;
}

void known_abandon(struct known_writer *writer)
{
	if (writer->fd >= 0)
		unlink(writer->fresh_path);
	writer_end(writer);
}

void known_remove(const char *path)
{
	char fresh[PATH_MAX];
	unlink(path);
	if (snprintf(fresh, sizeof(fresh), "%s" WEFT_KNOWN_FRESH, path) < PATH_MAX)
		unlink(fresh);
}

/* ---- reading lines ---- */

/* More bytes behind those that are not used yet. 0, 1 = no more, -errno. */
static int fill(struct known_reader *reader)
{
	struct text *buffer = &reader->buffer;
	char bytes[READ_BYTES];
	ssize_t size;
	do
		size = read(reader->fd, bytes, sizeof(bytes));
	while (size < 0 && errno == EINTR);
	if (size <= 0)
		return size ? -errno : 1;
	if (reader->used) {
		buffer->size -= reader->used;
		memmove(buffer->data, buffer->data + reader->used, buffer->size);
		reader->used = 0;
	}
	text_add(buffer, span_of(bytes, (size_t)size));
	return buffer->failed ? -ENOMEM : 0;
}

/* Without its end; valid until the next one. -EBADMSG: the file ends before. */
static int next_line(struct known_reader *reader, struct span *ret_line)
{
	size_t searched = 0;
	for (;;) {
		struct span rest = text_span(&reader->buffer);
		rest = span_of(rest.data + reader->used, rest.size - reader->used);
		const char *end = memchr(rest.data + searched, '\n', rest.size - searched);
		if (end) {
			*ret_line = span_of(rest.data, (size_t)(end - rest.data));
			reader->used += ret_line->size + 1;
			reader->bytes += ret_line->size + 1;
			return 0;
		}
		searched = rest.size;
		bool is_too_long = searched > (reader->lines ? LINE_MOST : FIRST_MOST);
		int error = is_too_long ? -EBADMSG : fill(reader);
		if (error)
			return error == 1 ? -EBADMSG : error;
	}
}

static void rewind_lines(struct known_reader *reader)
{
	text_clear(&reader->buffer);
	reader->used = 0;
}

/* ---- is it whole, and ours? ---- */

static int check_end(struct known_reader *reader, struct span line)
{
	struct text wanted = {0};
	add_end(&wanted, reader->lines, reader->sum);
	int error = wanted.failed ? -ENOMEM : span_equal(line, text_span(&wanted)) ? 0 : -EBADMSG;
	text_fini(&wanted);
	if (!error && (reader->used < reader->buffer.size || fill(reader) != 1))
		error = -EBADMSG;
	return error;
}

static int check_lines(struct known_reader *reader, struct span identity)
{
	struct span line;
	for (;;) {
		int error = next_line(reader, &line);
		if (error)
			return error;
		if (reader->lines == 0 && !span_equal(line, identity))
			return -ESTALE;
		if (span_starts(line, span_text(END_PREFIX)))
			return check_end(reader, line);
		reader->sum = sum_of(reader->sum, line);
		reader->lines++;
	}
}

static int check_owner(int fd)
{
	struct stat found;
	if (fstat(fd, &found))
		return -errno;
	bool is_private = S_ISREG(found.st_mode) && found.st_uid == geteuid() &&
			  (found.st_mode & (S_IRWXG | S_IRWXO)) == 0;
	return is_private ? 0 : -EPERM;
}

static const char *reason_of(int error)
{
	switch (error) {
	case -EPERM:
	case -ELOOP:
		return "it is not a file of this user alone";
	case -ESTALE:
		return "it is of another cluster, node, boot or version of weft";
	case -EBADMSG:
		return "it is not whole";
	default:
		return strerror(-error);
	}
}

int known_open_fd(struct known_reader *reader, int fd, struct span identity, struct text *why)
{
	*reader = (struct known_reader){.fd = fd, .kind = KUBE_KINDS};
	int error = check_lines(reader, identity);
	rewind_lines(reader);
	if (!error && lseek(fd, 0, SEEK_SET))
		error = -errno;
	struct span first;
	if (!error)
		error = next_line(reader, &first); /* the identity */
	if (error) {
		text_printf(why, "%s", reason_of(error));
		known_close(reader);
	}
	return error;
}

int known_open(struct known_reader *reader, const char *path, struct span identity,
	       struct text *why)
{
	/* A pipe of that name must not hold us up. */
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int error = fd < 0 ? -errno : check_owner(fd);
	if (!error)
		return known_open_fd(reader, fd, identity, why);
	if (fd >= 0)
		close(fd);
	text_printf(why, "%s", reason_of(error));
	return error;
}

void known_close(struct known_reader *reader)
{
	if (reader->fd >= 0)
		close(reader->fd);
	reader->fd = -1;
	text_fini(&reader->buffer);
}

/* ---- objects ---- */

static int take_kind(struct known_reader *reader, struct span line)
{
	struct span value;
	struct span name;
	uint64_t told_ns;
	if (json_member(line, "kind", &value) || !json_plain_string(value, &name) ||
	    json_member(line, "told_ns", &value) || span_to_u64(value, &told_ns))
		return -EBADMSG;
	for (int kind = 0; kind < KUBE_KINDS; kind++) {
		if (!span_is(name, kube_kind_name((enum kube_kind)kind)))
			continue;
		reader->kind = (enum kube_kind)kind;
		reader->told_ns[kind] = told_ns;
		return 0;
	}
	return -EBADMSG;
}

int known_next(struct known_reader *reader, const struct read_options *options,
	       struct kube_object **ret_object)
{
	for (;;) {
		struct span line;
		struct read_faults faults;
		int error = next_line(reader, &line);
		if (error)
			return error;
		if (span_starts(line, span_text(END_PREFIX))) {
			*ret_object = NULL;
			return 0;
		}
		if (!span_starts(line, span_text(KIND_PREFIX))) {
			if (reader->kind == KUBE_KINDS)
				return -EBADMSG;
			error = kube_read(reader->kind, line, options, &faults, ret_object);
			return error && error != -ENOMEM ? -EBADMSG : error;
		}
		error = take_kind(reader, line);
		if (error)
			return error;
	}
}
