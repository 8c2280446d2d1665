#include "io/lookup.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <string.h>

#include "base/mem.h"

/* Freed by the ring's thread when it was told, by its own when it was abandoned. */
struct io_lookup_task {
	struct io_mail mail;
	pthread_mutex_t lock;
	struct io_ring *ring; /* NULL: abandoned */
	bool is_posted;
	struct io_lookup *lookup;
	struct weft_address addresses[IO_LOOKUP_MOST];
	unsigned count;
	const char *why;
	uint16_t port;
	char name[IO_LOOKUP_NAME_MAX];
};

static void task_free(struct io_lookup_task *task)
{
	pthread_mutex_destroy(&task->lock);
	mem_free(task);
}

/* ---- in the thread ---- */

static void take(struct io_lookup_task *task, const struct addrinfo *found)
{
	for (; found && task->count < IO_LOOKUP_MOST; found = found->ai_next) {
		struct weft_address *to = &task->addresses[task->count];
		if (!address_from_sockaddr(found->ai_addr, to))
			continue;
		to->port = htons(task->port);
		task->count++;
	}
}

static void look_up(struct io_lookup_task *task)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	int error = getaddrinfo(task->name, NULL, &hints, &found);
	if (error) {
		task->why = gai_strerror(error);
		return;
	}
	take(task, found);
	freeaddrinfo(found);
	if (task->count == 0)
		task->why = "it has no IP address";
}

static void *run(void *argument)
{
	struct io_lookup_task *task = argument;
	pthread_setname_np(pthread_self(), "weft-lookup");
	look_up(task);
	pthread_mutex_lock(&task->lock);
	bool is_abandoned = !task->ring;
	if (!is_abandoned)
		io_post(task->ring, &task->mail);
	task->is_posted = !is_abandoned;
	pthread_mutex_unlock(&task->lock);
	if (is_abandoned)
		task_free(task);
	return NULL;
}

/* ---- in the ring's thread ---- */

static void on_mail(struct io_mail *mail)
{
	struct io_lookup_task *task = container_of(mail, struct io_lookup_task, mail);
	struct io_lookup *lookup = task->lookup;
	const char *why = task->why;
	/* The thread has let go of the ring, and of the task, only when it has let go of the lock.
	 */
	pthread_mutex_lock(&task->lock);
	pthread_mutex_unlock(&task->lock);
	lookup->task = NULL;
	lookup->count = task->count;
	memcpy(lookup->addresses, task->addresses, sizeof(lookup->addresses));
	task_free(task);
	lookup->done(lookup, why);
}

static int thread_start(struct io_lookup_task *task)
{
	pthread_t thread;
	pthread_attr_t detached;
	int error = pthread_attr_init(&detached);
	if (error)
		return -error;
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	error = pthread_create(&thread, &detached, run, task);
	pthread_attr_destroy(&detached);
	return -error;
}

int io_lookup_start(struct io_ring *ring, struct io_lookup *lookup, const char *name, uint16_t port)
{
	size_t size = strlen(name);
	if (size >= IO_LOOKUP_NAME_MAX)
		return -ENAMETOOLONG;
	struct io_lookup_task *task = mem_zalloc(sizeof(*task));
	if (!task)
		return -ENOMEM;
	pthread_mutex_init(&task->lock, NULL);
	memcpy(task->name, name, size);
	task->mail.run = on_mail;
	task->ring = ring;
	task->lookup = lookup;
	task->port = port;
	int error = thread_start(task);
	if (error)
		task_free(task);
	else
		lookup->task = task;
	return error;
}

bool io_lookup_abandon(struct io_lookup *lookup)
{
	struct io_lookup_task *task = lookup->task;
	if (!task)
		return true;
	pthread_mutex_lock(&task->lock);
	bool is_posted = task->is_posted;
	if (!is_posted)
		task->ring = NULL;
	pthread_mutex_unlock(&task->lock);
	if (!is_posted)
		lookup->task = NULL;
	return !is_posted;
}
