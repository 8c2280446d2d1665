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

static int bind_loopback(int fd, sa_family_t family)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
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
		error = bind_loopback(fd, family);
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

int listeners_open(const struct kernel *kernel, uint32_t pod_id, unsigned workers,
		   struct stock_listeners *listeners, struct text *why)
{
	for (unsigned i = 0; i < WEFT_WORKERS_MAX; i++)
		listeners->fd4[i] = listeners->fd6[i] = -1;
	for (unsigned i = 0; i < workers; i++) {
		struct weft_socket mark = {
			.role = WEFT_SOCKET_LISTENER, .pod_id = pod_id, .worker = i};
		struct weft_listener *ports = &listeners->ports[i];
		const char *ip = "127.0.0.1";
		int error =
			listener_open(kernel, AF_INET, &mark, &listeners->fd4[i], &ports->port4);
		if (!error) {
			ip = "::1";
			error = listener_open(kernel, AF_INET6, &mark, &listeners->fd6[i],
					      &ports->port6);
		}
		if (error && !is_no_ipv6(error)) {
			text_printf(why, "cannot listen on %s in the pod: %s", ip,
				    strerror(-error));
			listeners_close(listeners);
			return error;
		}
		if (listeners->fd4[i] < 0) {
			text_printf(why, "cannot listen on 127.0.0.1 in the pod: %s",
				    strerror(-error));
			listeners_close(listeners);
			return error;
		}
	}
	return 0;
}

void listeners_close(struct stock_listeners *listeners)
{
	for (unsigned i = 0; i < WEFT_WORKERS_MAX; i++) {
		if (listeners->fd4[i] >= 0)
			close(listeners->fd4[i]);
		if (listeners->fd6[i] >= 0)
			close(listeners->fd6[i]);
		listeners->fd4[i] = listeners->fd6[i] = -1;
	}
}
