/*
 * Puts one command into a pod: cgroup, network namespace and a mount namespace with the pod's own
 * /etc/hosts; then becomes it. The command ends with the process that launched it.
 *
 *   launch --parent PID [--cgroup DIR] [--netns FILE] [--hosts FILE] [--user NAME] -- COMMAND...
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

static void die(const char *what, const char *about)
{
	fprintf(stderr, "launch: %s %s: %s\n", what, about, strerror(errno));
	exit(126);
}

static void join_cgroup(const char *folder)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.procs", folder);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		die("join", path);
	close(fd);
}

static void enter_netns(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, CLONE_NEWNET))
		die("enter", path);
	close(fd);
}

/* Nobody outside sees these mounts; without a resolver only /etc/hosts knows names. */
static void mount_hosts(const char *hosts)
{
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		die("unshare", "mounts");
	if (mount(hosts, "/etc/hosts", NULL, MS_BIND, NULL))
		die("mount", hosts);
	if (mount("/dev/null", "/etc/resolv.conf", NULL, MS_BIND, NULL) && errno != ENOENT)
		die("mount", "/etc/resolv.conf");
}

static void become(const char *name)
{
	const struct passwd *user = getpwnam(name);

	if (!user || initgroups(name, user->pw_gid) || setgid(user->pw_gid) || setuid(user->pw_uid))
		die("become", name);
}

int main(int argc, char **argv)
{
	const char *cgroup = NULL, *netns = NULL, *hosts = NULL, *user = NULL;
	pid_t parent = 0;
	int at = 1;

	for (; at + 1 < argc && strcmp(argv[at], "--"); at += 2) {
		if (!strcmp(argv[at], "--parent"))
			parent = (pid_t)strtol(argv[at + 1], NULL, 10);
		else if (!strcmp(argv[at], "--cgroup"))
			cgroup = argv[at + 1];
		else if (!strcmp(argv[at], "--netns"))
			netns = argv[at + 1];
		else if (!strcmp(argv[at], "--hosts"))
			hosts = argv[at + 1];
		else if (!strcmp(argv[at], "--user"))
			user = argv[at + 1];
	}
	if (at + 1 >= argc) {
		fprintf(stderr, "launch: no command after --\n");
		return 126;
	}
	if (cgroup)
		join_cgroup(cgroup);
	if (netns)
		enter_netns(netns);
	if (hosts)
		mount_hosts(hosts);
	if (user)
		become(user);
	/* after the change of user, which would clear it */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL))
		die("prctl", "PR_SET_PDEATHSIG");
	if (parent && getppid() != parent)
		return 125;
	execvp(argv[at + 1], argv + at + 1);
	die("exec", argv[at + 1]);
}
