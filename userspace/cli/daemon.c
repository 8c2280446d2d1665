#include "cli/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/place.h"

#define POLL_MS 10

static bool is_program(const char *path)
{
	return access(path, X_OK) == 0;
}

static bool find_beside(char *ret_path, size_t size)
{
	char self[PLACE_PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (length <= 0)
		return false;
	self[length] = '\0';
	char *slash = strrchr(self, '/');
	if (!slash)
		return false;
	*slash = '\0';
	snprintf(ret_path, size, "%s/weftd", self);
	if (is_program(ret_path))
		return true;
	snprintf(ret_path, size, "%s/../sbin/weftd", self);
	return is_program(ret_path);
}

int daemon_find(char *ret_path, size_t size)
{
	if (find_beside(ret_path, size))
		return 0;
	const char *path = getenv("PATH");
	struct span rest = span_text(path ? path : "/usr/local/sbin:/usr/sbin:/usr/bin");
	struct span folder;
	while (span_split(&rest, ':', &folder)) {
		snprintf(ret_path, size, "%.*s/weftd", SPAN_PRINT(folder));
		if (folder.size && is_program(ret_path))
			return 0;
	}
	return -ENOENT;
}

/* In the child: never returns. */
static void become(const char *weftd, const char *config, bool validates, pid_t parent)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (!validates) {
		setpgid(0, 0);
		signal(SIGTTOU, SIG_IGN); /* a log line must not stop it (stty tostop) */
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (getppid() != parent) /* it died before the prctl */
			_exit(1);
	}
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0)
		dup2(null, STDIN_FILENO);
	/* The command's output stays its own; that a config is valid needs no word. */
	dup2(validates && null >= 0 ? null : STDERR_FILENO, STDOUT_FILENO);
	const char *const arguments[] = {weftd, "--config", config, validates ? "--validate" : NULL,
					 NULL};
	execv(weftd, (char *const *)arguments);
	fprintf(stderr, "weft: cannot start %s: %s\n", weftd, strerror(errno));
	_exit(127);
}

int daemon_start(struct daemon *daemon, const char *weftd, const char *config, struct text *why)
{
	pid_t self = getpid();
	pid_t pid = fork();
	if (pid < 0) {
		text_printf(why, "cannot start %s: %s", weftd, strerror(errno));
		return -errno;
	}
	if (pid == 0)
		become(weftd, config, false, self);
	*daemon = (struct daemon){.pid = pid};
	return 0;
}

int daemon_validate(const char *weftd, const char *config)
{
	pid_t pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		become(weftd, config, true, 0);
	int status;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool daemon_ended(struct daemon *daemon)
{
	if (daemon->pid == 0)
		return true;
	if (waitpid(daemon->pid, &daemon->status, WNOHANG) != daemon->pid)
		return false;
	daemon->pid = 0;
	return true;
}

bool daemon_stop(struct daemon *daemon, unsigned limit_ms)
{
	if (daemon_ended(daemon))
		return true;
	kill(daemon->pid, SIGTERM);
	for (unsigned waited_ms = 0; waited_ms < limit_ms; waited_ms += POLL_MS) {
		struct timespec wait = {.tv_nsec = POLL_MS * 1000000};
		if (daemon_ended(daemon))
			return true;
		nanosleep(&wait, NULL);
	}
	kill(daemon->pid, SIGKILL);
	waitpid(daemon->pid, &daemon->status, 0);
	daemon->pid = 0;
	return false;
}
