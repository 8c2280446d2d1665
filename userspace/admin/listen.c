#include "admin/listen.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/address.h"

#define BACKLOG 64
/* After SIGKILL an io_uring keeps its process' listeners for some milliseconds more. */
#define BIND_TRIES   50
#define BIND_WAIT_NS 20000000

static int refuse(int error, struct text *why, const char *what, const char *where,
		  const char *advice)
{
	text_printf(why, "%s %s: %s%s%s", what, where, strerror(-error), advice ? "; " : "",
		    advice ? advice : "");
	return error;
}

static const char *bind_advice(int error)
{
	if (error == -EADDRINUSE)
		return "another process listens there: give admin.address another port, or \"\" to "
		       "switch it off";
	if (error == -EADDRNOTAVAIL)
		return "no interface of this machine has that address";
	return NULL;
}

static int bind_patiently(int fd, const struct sockaddr *address, socklen_t size)
{
	for (unsigned tries = 0; bind(fd, address, size); tries++) {
		struct timespec wait = {.tv_nsec = BIND_WAIT_NS};
		if (errno != EADDRINUSE || tries == BIND_TRIES)
			return -errno;
		nanosleep(&wait, NULL);
	}
	return listen(fd, BACKLOG) ? -errno : 0;
}

int listen_tcp(const char *text, struct text *why, int *ret_fd)
{
	struct weft_address address;
	if (address_parse(span_text(text), &address)) {
		text_printf(why,
			    "admin.address \"%s\" is no address and port, as in 127.0.0.1:9990 or "
			    "[::1]:9990",
			    text);
		return -EINVAL;
	}
	struct sockaddr_storage socket_address;
	socklen_t size = address_to_sockaddr(&address, &socket_address);
	int fd = socket(socket_address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return refuse(-errno, why, "admin.address", text, NULL);
	int one = 1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	int error = bind_patiently(fd, (const struct sockaddr *)&socket_address, size);
	if (error) {
		close(fd);
		return refuse(error, why, "admin.address", text, bind_advice(error));
	}
	*ret_fd = fd;
	return 0;
}

/* ---- the Unix socket ---- */

/* Every folder above the socket, 0755 whatever the umask. */
static int make_folders(const char *path)
{
	char folder[sizeof(((struct sockaddr_un *)0)->sun_path)];
	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		size_t size = (size_t)(slash - path);
		memcpy(folder, path, size);
		folder[size] = '\0';
		if (mkdir(folder, 0755) == 0)
			chmod(folder, 0755);
		else if (errno != EEXIST)
			return -errno;
	}
	return 0;
}

/* 0: somebody listens. -ECONNREFUSED: nobody does, or a process that is gone while its io_uring is
 * not yet. Other errors as connect(2), -EAGAIN: a backlog that is full. */
static int probe(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	struct ucred server = {0};
	socklen_t size = sizeof(server);
	int error = 0;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)))
		error = -errno;
	else if (!getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &server, &size) && server.pid > 0 &&
		 kill(server.pid, 0) && errno == ESRCH)
		error = -ECONNREFUSED;
	close(fd);
	return error;
}

/* 0 = nothing is in the way any more. */
static int clear_stale(const char *path, const struct sockaddr_un *address, struct text *why)
{
	struct stat found;
	if (lstat(path, &found))
		return errno == ENOENT ? 0
				       : refuse(-errno, why, "admin.socket", path,
						"it cannot be looked at");
	if (!S_ISSOCK(found.st_mode)) {
		text_printf(why,
			    "admin.socket %s: something that is no socket is there; move it away "
			    "or choose another path",
			    path);
		return -EEXIST;
	}
	int error = probe(address);
	if (error == -ENOENT)
		return 0;
	if (error != -ECONNREFUSED) {
		text_printf(why,
			    "admin.socket %s: another process listens there; stop that weftd or "
			    "choose another path",
			    path);
		return -EADDRINUSE;
	}
	if (unlink(path) && errno != ENOENT)
		return refuse(-errno, why, "admin.socket", path, "the stale socket stays");
	return 0;
}

static int bind_private(int fd, const struct sockaddr_un *address)
{
	/* The file gets the socket's own mode: at no moment may others connect. */
	if (fchmod(fd, 0600))
		return -errno;
	if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) || listen(fd, BACKLOG))
		return -errno;
	return chmod(address->sun_path, 0600) ? -errno : 0;
}

int listen_unix(const char *path, struct text *why, struct listen_file *ret_file, int *ret_fd)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t size = strlen(path);
	if (size == 0 || size >= sizeof(address.sun_path) || path[0] != '/') {
		text_printf(why,
			    "admin.socket \"%s\" must be an absolute path of at most %zu bytes",
			    path, sizeof(address.sun_path) - 1);
		return -EINVAL;
	}
	memcpy(address.sun_path, path, size);
	int error = make_folders(path);
	if (error)
		return refuse(error, why, "admin.socket", path, "its folder cannot be made");
	error = clear_stale(path, &address, why);
	if (error)
		return error;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	error = fd < 0 ? -errno : bind_private(fd, &address);
	struct stat made;
	if (!error && lstat(path, &made))
		error = -errno;
	if (error) {
		if (fd >= 0)
			close(fd);
		return refuse(error, why, "admin.socket", path, NULL);
	}
	*ret_file = (struct listen_file){.device = made.st_dev, .inode = made.st_ino};
	*ret_fd = fd;
	return 0;
}

void listen_unlink(const char *path, const struct listen_file *file)
{
	struct stat found;
	if (lstat(path, &found) == 0 && found.st_dev == file->device && found.st_ino == file->inode)
		unlink(path);
}
