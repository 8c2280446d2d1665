#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel/netns.h"
#include "kernel/socket_options.h"

#define LISTENER_BACKLOG 4096

static int option_set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) ? -errno : 0;
}

static int bind_loopback(int fd, sa_family_t family, __be16 port)
{
	struct sockaddr_in v4 = {
		.sin_family = AF_INET, .sin_port = port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 v6 = {
		.sin6_family = AF_INET6, .sin6_port = port, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	const void *address = family == AF_INET ? (const void *)&v4 : (const void *)&v6;
	socklen_t size = family == AF_INET ? sizeof(v4) : sizeof(v6);
	return bind(fd, address, size) ? -errno : 0;
}

static int port_of(int fd, __be16 *ret_port)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);
	struct weft_address folded;
	if (getsockname(fd, (struct sockaddr *)&address, &size))
		return -errno;
	if (!address_from_sockaddr((struct sockaddr *)&address, &folded))
		return -EAFNOSUPPORT;
	*ret_port = folded.port;
	return 0;
}

/* `ret_port` comes with the port that it would like; 0 = any. */
static int listener_open(const struct kernel *kernel, sa_family_t family,
			 const struct weft_socket *mark, int *ret_fd, __be16 *ret_port)
{
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* marked before it listens: from then on the hook may send dials here */
	int error = kernel_socket_mark(kernel, fd, mark);
	if (!error && family == AF_INET6)
		error = option_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (!error) /* accepted sockets inherit it */
		error = socket_options_set(fd);
	if (!error)
		error = bind_loopback(fd, family, *ret_port);
	if (error == -EADDRINUSE && *ret_port)
		error = bind_loopback(fd, family, 0);
	if (!error && listen(fd, LISTENER_BACKLOG))
		error = -errno;
	/* No TCP Fast Open from the app to us, even if net.ipv4.tcp_fastopen turns it on for every
	 * listener: data in the SYN would make us accept before the flow is filed. */
	if (!error)
		(void)option_set(fd, IPPROTO_TCP, TCP_FASTOPEN, 0);
	if (!error)
		error = port_of(fd, ret_port);
	if (error) {
		close(fd);
		return error;
	}
	*ret_fd = fd;
	return 0;
}

/* A namespace without IPv6 is fine: dials of IPv6 sockets then come v4-mapped or not at all. */
static bool is_no_ipv6(int error)
{
	return error == -EAFNOSUPPORT || error == -EADDRNOTAVAIL;
}

/* Both families of a lane like the same port: each port that listens is one that the pod's dials
 * cannot have. */
static int lane_open(const struct kernel *kernel, const struct weft_socket *mark, unsigned lane,
		     struct stock_listeners *listeners, struct text *why)
{
	struct weft_listener *ports = &listeners->ports[mark->worker];
	__be16 port = 0;
	const char *ip = "127.0.0.1";
	int error =
		listener_open(kernel, AF_INET, mark, &listeners->fd4[mark->worker][lane], &port);
	if (!error) {
		ip = "::1";
		ports->port4[lane] = port;
		error = listener_open(kernel, AF_INET6, mark, &listeners->fd6[mark->worker][lane],
				      &port);
		ports->port6[lane] = error ? 0 : port;
		if (is_no_ipv6(error))
			return 0;
	}
	if (error)
		text_printf(why, "cannot listen on %s in the pod: %s", ip, strerror(-error));
	return error;
}

int listeners_open(const struct kernel *kernel, uint32_t pod_id, unsigned workers,
		   struct stock_listeners *listeners, struct text *why)
{
	memset(listeners->fd4, -1, sizeof(listeners->fd4)); /* -1 is all bits */
	memset(listeners->fd6, -1, sizeof(listeners->fd6));
	for (unsigned i = 0; i < workers * WEFT_LANES; i++) {
		struct weft_socket mark = {
			.role = WEFT_SOCKET_LISTENER, .pod_id = pod_id, .worker = i / WEFT_LANES};
		int error = lane_open(kernel, &mark, i % WEFT_LANES, listeners, why);
		if (error) {
			listeners_close(listeners);
			return error;
		}
	}
	return 0;
}

static void close_all(int fds[WEFT_WORKERS_MAX][WEFT_LANES])
{
	for (unsigned i = 0; i < WEFT_WORKERS_MAX * WEFT_LANES; i++) {
		int *fd = &fds[i / WEFT_LANES][i % WEFT_LANES];
		if (*fd >= 0)
			close(*fd);
		*fd = -1;
	}
}

void listeners_close(struct stock_listeners *listeners)
{
	close_all(listeners->fd4);
	close_all(listeners->fd6);
}
