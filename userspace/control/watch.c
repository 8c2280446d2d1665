#include "control/watch.h"

#include <errno.h>
#include <limits.h>
#include <stdalign.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

#define STEPS_MOST  64 /* folders and links on the way of one path */
#define EVENT_BYTES 4096
/* A regular file that is being written tells at its close; links tell when they are made. */
#define EVENTS (IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR)

/* One name in one folder; the way leads over it. */
struct step {
	int wd;
	char name[NAME_MAX + 1];
};

struct watch {
	struct io_ring *ring;
	void (*changed)(void *owner);
	void *owner;
	char *path;
	int fd;
	bool is_closing;
	struct io_op op;
	uint32_t step_count;
	uint32_t old_count;
	struct step *steps; /* [STEPS_MOST] */
	struct step *old;   /* [STEPS_MOST]: of the walk before */
	alignas(struct inotify_event) char events[EVENT_BYTES];
};

/* ---- walking ---- */

/* Where a walk stands: the folder so far, and what of the path is still to come. */
struct walk {
	struct watch *watch;
	uint32_t links;
	char folder[PATH_MAX];
	char rest[PATH_MAX];
};

static void add_step(struct walk *walk, struct span name)
{
	struct watch *watch = walk->watch;
	const char *folder = walk->folder[0] ? walk->folder : "/";
	if (watch->step_count == STEPS_MOST || name.size > NAME_MAX)
		return;
	int wd = inotify_add_watch(watch->fd, folder, EVENTS);
	if (wd < 0)
		return; /* it is missing: its parent's step tells when it comes */
	struct step *step = &watch->steps[watch->step_count++];
	step->wd = wd;
	memcpy(step->name, name.data, name.size);
	step->name[name.size] = '\0';
}

static void leave_folder(struct walk *walk)
{
	char *slash = strrchr(walk->folder, '/');
	if (slash)
		*slash = '\0';
}

static bool enter(struct walk *walk, struct span name)
{
	size_t size = strlen(walk->folder);
	if (size + name.size + 2 > sizeof(walk->folder))
		return false;
	walk->folder[size] = '/';
	memcpy(walk->folder + size + 1, name.data, name.size);
	walk->folder[size + 1 + name.size] = '\0';
	return true;
}

/* The last name entered is a link: its target goes before the rest. False: it is none. */
static bool follow_link(struct walk *walk)
{
	char target[PATH_MAX];
	ssize_t size = readlink(walk->folder, target, sizeof(target) - 1);
	size_t rest_size = strlen(walk->rest);
	if (size <= 0 || ++walk->links > 40 || (size_t)size + rest_size + 2 > sizeof(walk->rest))
		return false;
	leave_folder(walk);
	if (target[0] == '/')
		walk->folder[0] = '\0';
	memmove(walk->rest + size + 1, walk->rest, rest_size + 1);
	memcpy(walk->rest, target, (size_t)size);
	walk->rest[size] = '/';
	return true;
}

static void walk_path(struct walk *walk)
{
	while (walk->rest[0]) {
		const char *end = strchrnul(walk->rest, '/');
		char name[NAME_MAX + 1];
		size_t size = (size_t)(end - walk->rest);
		bool is_last = !*end;
		if (size > NAME_MAX)
			return;
		memcpy(name, walk->rest, size);
		name[size] = '\0';
		memmove(walk->rest, is_last ? end : end + 1, strlen(end) + is_last);
		if (size == 0 || strcmp(name, ".") == 0)
			continue;
		if (strcmp(name, "..") == 0) {
			leave_folder(walk);
			continue;
		}
		add_step(walk, span_of(name, size));
		if (!enter(walk, span_of(name, size)))
			return;
		follow_link(walk);
	}
}

static bool has_wd(const struct step *steps, uint32_t count, int wd)
{
	for (uint32_t i = 0; i < count; i++) {
		if (steps[i].wd == wd)
			return true;
	}
	return false;
}

void watch_follow(struct watch *watch)
{
	struct walk *walk = mem_zalloc(sizeof(*walk));
	if (!walk)
		return; /* the way of before is still watched */
	struct step *steps = watch->old;
	watch->old = watch->steps;
	watch->old_count = watch->step_count;
	watch->steps = steps;
	watch->step_count = 0;
	walk->watch = watch;
	memcpy(walk->rest, watch->path, strlen(watch->path) + 1);
	walk_path(walk);
	mem_free(walk);
	/* Only now, so that a folder that stays on the way is watched throughout. */
	for (uint32_t i = 0; i < watch->old_count; i++) {
		int wd = watch->old[i].wd;
		if (!has_wd(watch->steps, watch->step_count, wd) && !has_wd(watch->old, i, wd))
			inotify_rm_watch(watch->fd, wd);
	}
}

/* ---- events ---- */

/* A file that was only just made is still empty: its writer's close will tell. Links, folders and
 * hard links are complete when they appear. */
static bool matters(const struct watch *watch, const struct inotify_event *event)
{
	if (event->mask & IN_Q_OVERFLOW)
		return true;
	if (event->mask & (IN_IGNORED | IN_UNMOUNT))
		return (event->mask & IN_UNMOUNT) != 0;
	for (uint32_t i = 0; i < watch->step_count; i++) {
		const struct step *step = &watch->steps[i];
		if (step->wd != event->wd || event->len == 0 || strcmp(step->name, event->name))
			continue;
		struct stat status;
		bool is_last = i + 1 == watch->step_count;
		if (!(event->mask & IN_CREATE) || !is_last || lstat(watch->path, &status))
			return true;
		return !S_ISREG(status.st_mode) || status.st_nlink > 1;
	}
	return false;
}

static void arm(struct watch *watch)
{
	io_read(watch->ring, &watch->op, watch->fd, watch->events, sizeof(watch->events));
}

static void on_events(struct io_op *op, int result, bool more)
{
	struct watch *watch = container_of(op, struct watch, op);
	bool has_changed = false;
	(void)more;
	if (watch->is_closing)
		return;
	for (int at = 0; at < result;) {
		const struct inotify_event *event = (void *)(watch->events + at);
		has_changed = has_changed || matters(watch, event);
		at += (int)(sizeof(*event) + event->len);
	}
	if (result < 0 && result != -EINTR && result != -EAGAIN) {
		log_warn("config_watch_ended", "path=%s error=\"%s\" remedy=\"send SIGHUP\"",
			 watch->path, strerror(-result));
		return;
	}
	arm(watch);
	if (has_changed)
		watch->changed(watch->owner);
}

/* ---- life ---- */

static void watch_free(struct watch *watch)
{
	mem_free(watch->path);
	mem_free(watch->steps);
	mem_free(watch->old);
	mem_free(watch);
}

static char *absolute(const char *path)
{
	char folder[PATH_MAX];
	char joined[PATH_MAX];
	if (path[0] == '/')
		return strlen(path) < PATH_MAX ? mem_text(path, strlen(path)) : NULL;
	if (!getcwd(folder, sizeof(folder)))
		return NULL;
	int size = snprintf(joined, sizeof(joined), "%s/%s", folder, path);
	return size > 0 && (size_t)size < sizeof(joined) ? mem_text(joined, (size_t)size) : NULL;
}

int watch_open(struct io_ring *ring, const char *path, void (*changed)(void *owner), void *owner,
	       struct watch **ret_watch)
{
	struct watch *watch = mem_zalloc(sizeof(*watch));
	if (!watch)
		return -ENOMEM;
	watch->ring = ring;
	watch->changed = changed;
	watch->owner = owner;
	watch->op.done = on_events;
	watch->path = absolute(path);
	watch->steps = mem_zalloc(STEPS_MOST * sizeof(struct step));
	watch->old = mem_zalloc(STEPS_MOST * sizeof(struct step));
	int error = watch->path && watch->steps && watch->old ? 0 : -ENOMEM;
	if (!error) {
		watch->fd = inotify_init1(IN_CLOEXEC);
		error = watch->fd < 0 ? -errno : 0;
	}
	if (error) {
		watch_free(watch);
		return error;
	}
	watch_follow(watch);
	arm(watch);
	*ret_watch = watch;
	return 0;
}

void watch_close(struct watch *watch)
{
	if (!watch)
		return;
	watch->is_closing = true;
	if (watch->op.in_flight)
		io_cancel(watch->ring, &watch->op);
	while (watch->op.in_flight)
		io_turn(watch->ring, 10000000);
	close(watch->fd);
	watch_free(watch);
}
