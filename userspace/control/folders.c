#include "control/folders.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "model/keys.h"

#define EVENT_BYTES 4096
/* Files tell when they are complete; links when they are made. */
#define EVENTS (IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR)

struct reading {
	struct folders *folders;
	const struct namer_draft *namer;
	const char *file;
};

/* ---- one file ---- */

static void on_fault(void *owner, uint32_t line, const char *sentence)
{
	const struct reading *reading = owner;
	log_warn("service_file_line_left_out", "file=%s/%s line=%u error=\"%s\"",
		 reading->namer->root_dir, reading->file, line, sentence);
}

static const char *prefix_of(const struct namer_draft *namer)
{
	return *namer->prefix ? namer->prefix : "fs";
}

/* 0, -errno; *ret_bytes is the caller's. */
static int read_bytes(int folder, const char *name, char **ret_bytes, size_t *ret_size)
{
	struct stat status;
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	int error = fstat(fd, &status) ? -errno : 0;
	if (!error && !S_ISREG(status.st_mode))
		error = -EISDIR;
	if (!error && status.st_size > FOLDER_FILE_BYTES)
		error = -EFBIG;
	char *bytes = error ? NULL : mem_alloc((size_t)status.st_size + 1);
	if (!error && !bytes)
		error = -ENOMEM;
	ssize_t size = bytes ? read(fd, bytes, (size_t)status.st_size) : 0;
	if (bytes && size < 0) {
		error = -errno;
		mem_free(bytes);
	}
	close(fd);
	if (error)
		return error;
	*ret_bytes = bytes;
	*ret_size = (size_t)size;
	return 0;
}

static int make_room(struct folders *folders)
{
	struct draft_list *services = &folders->source.services;
	if (services->count < folders->capacity)
		return 0;
	uint32_t capacity = folders->capacity ? 2 * folders->capacity : 16;
	struct service_draft *items =
		mem_realloc(services->items, capacity * sizeof(struct service_draft));
	if (!items)
		return -ENOMEM;
	services->items = items;
	folders->capacity = capacity;
	return 0;
}

static int add_service(struct reading *reading, struct span bytes)
{
	struct folders *folders = reading->folders;
	char name[WEFT_NAME_MAX];
	struct service_draft draft = {0};
	int size =
		snprintf(name, sizeof(name), "#/%s/%s", prefix_of(reading->namer), reading->file);
	if (size < 0 || (size_t)size >= sizeof(name)) {
		log_warn("service_file_left_out", "file=%s/%s error=\"its name is too long\"",
			 reading->namer->root_dir, reading->file);
		return 0;
	}
	keys_set_defaults(key_child(NULL, span_text("services")), &draft);
	draft.may_be_left_out = true;
	draft.name = arena_text(&folders->arena, span_of(name, (size_t)size));
	if (!draft.name || make_room(folders))
		return -ENOMEM;
	int error = folder_read_file(bytes, &folders->arena, on_fault, reading, &draft.endpoints);
	if (error)
		return error;
	((struct service_draft *)folders->source.services.items)[folders->source.services.count++] =
		draft;
	return 0;
}

static int read_file(struct reading *reading, int folder)
{
	char *bytes = NULL;
	size_t size = 0;
	int error = read_bytes(folder, reading->file, &bytes, &size);
	if (error == -EISDIR)
		return 0; /* a folder in the folder */
	if (error) {
		log_warn("service_file_left_out", "file=%s/%s error=\"%s\"",
			 reading->namer->root_dir, reading->file, strerror(-error));
		return error == -ENOMEM ? error : 0;
	}
	error = add_service(reading, span_of(bytes, size));
	mem_free(bytes);
	return error;
}

/* ---- folders ---- */

/* Before the folder is read, so that no change is missed. */
static void watch(struct folders *folders, const char *path)
{
	if (folders->fd >= 0 && inotify_add_watch(folders->fd, path, EVENTS) < 0)
		log_warn("service_folder_not_watched",
			 "folder=%s error=\"%s\" remedy=\"make it, then send SIGHUP\"", path,
			 strerror(errno));
}

static int read_folder(struct folders *folders, const struct namer_draft *namer)
{
	struct reading reading = {.folders = folders, .namer = namer};
	uint32_t count = 0;
	int error = 0;
	watch(folders, namer->root_dir);
	DIR *folder = opendir(namer->root_dir);
	if (!folder) {
		log_warn("service_folder_not_read", "folder=%s error=\"%s\"", namer->root_dir,
			 strerror(errno));
		return 0;
	}
	for (struct dirent *entry; !error && (entry = readdir(folder));) {
		if (entry->d_name[0] == '.')
			continue;
		if (++count > FOLDER_FILES_MOST) {
			log_warn("service_files_left_out", "folder=%s limit=%u files",
				 namer->root_dir, FOLDER_FILES_MOST);
			break;
		}
		reading.file = entry->d_name;
		error = read_file(&reading, dirfd(folder));
	}
	closedir(folder);
	return error;
}

static bool is_folder(const struct namer_draft *namer)
{
	return namer->kind == NAMER_FILES && *namer->root_dir;
}

/* Which folders, as a text; NULL = out of memory. */
static char *print_form(const struct draft *config)
{
	const struct namer_draft *namers = config->namers.items;
	struct text form = {0};
	text_add(&form, span_text("\n"));
	for (uint32_t i = 0; i < config->namers.count; i++) {
		if (is_folder(&namers[i]))
			text_printf(&form, "%s\n%s\n", prefix_of(&namers[i]), namers[i].root_dir);
	}
	if (form.failed)
		text_fini(&form);
	return form.data;
}

static void configure(struct source *source, const struct draft *config)
{
	struct folders *folders = container_of(source, struct folders, source);
	const struct namer_draft *namers = config->namers.items;
	char *form = print_form(config);
	int error = form ? 0 : -ENOMEM;
	if (form && folders->form && !folders->is_stale && strcmp(form, folders->form) == 0) {
		mem_free(form);
		return;
	}
	mem_free(folders->form);
	folders->form = form;
	folders->is_stale = false;
	folders->source.services.count = 0;
	arena_fini(&folders->arena);
	folders->arena = (struct arena){0};
	for (uint32_t i = 0; !error && i < config->namers.count; i++) {
		if (is_folder(&namers[i]))
			error = read_folder(folders, &namers[i]);
	}
	if (error) {
		folders->is_stale = true; /* at the next build */
		log_warn("service_folders_not_read", "error=\"out of memory\"");
	}
}

/* ---- changes ---- */

static void arm(struct folders *folders)
{
	io_read(folders->ring, &folders->op, folders->fd, folders->events, EVENT_BYTES);
}

static void on_events(struct io_op *op, int result, bool more)
{
	struct folders *folders = container_of(op, struct folders, op);
	(void)more;
	if (folders->is_closing)
		return;
	if (result < 0 && result != -EINTR && result != -EAGAIN) {
		log_warn("service_folders_watch_ended", "error=\"%s\"", strerror(-result));
		return;
	}
	arm(folders);
	folders->is_stale = true;
	control_sources_changed(folders->control);
}

void folders_init(struct folders *folders, struct control *control, struct io_ring *ring)
{
	folders->control = control;
	folders->ring = ring;
	folders->op.done = on_events;
	folders->source.configure = configure;
	folders->events = mem_alloc(EVENT_BYTES);
	folders->fd = folders->events ? inotify_init1(IN_CLOEXEC) : -1;
	control_source_add(control, &folders->source);
	if (folders->fd >= 0)
		arm(folders);
}

void folders_close(struct folders *folders)
{
	folders->is_closing = true;
	if (folders->op.in_flight)
		io_cancel(folders->ring, &folders->op);
	while (folders->op.in_flight)
		io_turn(folders->ring, 10000000);
	if (folders->fd >= 0)
		close(folders->fd);
	arena_fini(&folders->arena);
	mem_free(folders->source.services.items);
	mem_free(folders->form);
	mem_free(folders->events);
}
