#include "cli/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/command.h"

/* What the child says by the pipe when it cannot become the command. */
struct failure {
	int error; /* -errno */
	bool is_exec;
};

int inside_exit_status(int exec_error)
{
	return exec_error == -ENOENT || exec_error == -ENOTDIR ? 127 : 126;
}

static int enter_cgroup(const struct place *place)
{
	char path[PLACE_PATH_MAX + 16];
	snprintf(path, sizeof(path), "%s/cgroup.procs", place->cgroup);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int error = write(fd, "0\n", 2) == 2 ? 0 : -errno;
	close(fd);
	return error;
}

/* A mount namespace of its own, so that nobody else sees the names. Mounts of the machine still
 * arrive (slave). */
static int bind_hosts(const struct place *place)
{
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_SLAVE, NULL) ||
	    mount(place->hosts, "/etc/hosts", NULL, MS_BIND, NULL))
		return -errno;
	return 0;
}

static void fail(int pipe_fd, int error, bool is_exec)
{
	struct failure failure = {.error = error, .is_exec = is_exec};
	ssize_t written = write(pipe_fd, &failure, sizeof(failure));
	_exit(written == (ssize_t)sizeof(failure) ? 127 : 125);
}

static void become(const struct inside *inside, int pipe_fd)
{
	int error = enter_cgroup(inside->place);
	if (error)
		fail(pipe_fd, error, false);
	error = inside->has_hosts ? bind_hosts(inside->place) : 0;
	if (error)
		complain("notice: services' names are not in /etc/hosts of the command: %s",
			 strerror(-error));
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, inside->mask, NULL);
	execvp(inside->command[0], inside->command);
	fail(pipe_fd, -errno, true);
}

int inside_start(const struct inside *inside, pid_t *ret_pid, bool *ret_is_exec)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	pid_t pid = fork();
	if (pid == 0)
		become(inside, ends[1]);
	int error = pid < 0 ? -errno : 0;
	close(ends[1]);
	struct failure failure;
	ssize_t size = 0;
	while (pid > 0 && (size = read(ends[0], &failure, sizeof(failure))) < 0 && errno == EINTR)
		;
	close(ends[0]);
	if (error)
		return error;
	if (size == (ssize_t)sizeof(failure)) { /* else the pipe was closed by exec */
		waitpid(pid, NULL, 0);
		*ret_is_exec = failure.is_exec;
		return failure.error;
	}
	*ret_pid = pid;
	return 0;
}
