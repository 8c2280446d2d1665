#include "kernel/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/nsfs.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

int netns_open(const char *path, struct text *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		int error = -errno;
		text_printf(why, "network namespace %s: %s", path, strerror(-error));
		return error;
	}
	if (ioctl(fd, NS_GET_NSTYPE) == CLONE_NEWNET)
		return fd;
	close(fd);
	text_printf(why, "%s is no network namespace; use /run/netns/NAME or /proc/PID/ns/net",
		    path);
	return -EINVAL;
}

int netns_enter(int netns_fd)
{
	if (netns_fd < 0)
		return 0;
	return setns(netns_fd, CLONE_NEWNET) ? -errno : 0;
}

int netns_current(void)
{
	int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Neither loopback nor link-local: an address that another host could answer to. */
static bool is_global(const struct weft_address *address)
{
	if (address_is_loopback(address) || address_is_any(address))
		return false;
	if (address_is_v4(address))
		return !(address->ip[12] == 169 && address->ip[13] == 254);
	return !(address->ip[0] == 0xfe && (address->ip[1] & 0xc0) == 0x80);
}

static void addresses_find(struct stock_listeners *listeners)
{
	struct ifaddrs *first;
	if (getifaddrs(&first))
		return; /* getsockname will show what the kernel has */
	for (struct ifaddrs *one = first; one; one = one->ifa_next) {
		struct weft_address address;
		if (!one->ifa_addr || !(one->ifa_flags & IFF_UP) ||
		    !address_from_sockaddr(one->ifa_addr, &address) || !is_global(&address))
			continue;
		struct weft_address *slot =
			address_is_v4(&address) ? &listeners->local4 : &listeners->local6;
		if (address_is_any(slot))
			*slot = address;
	}
	freeifaddrs(first);
}

int netns_holds(const struct weft_address *address, struct text *why)
{
	static const struct weft_address none;
	char text[ADDRESS_TEXT_MAX];
	struct ifaddrs *first;
	bool found = false;
	if (address_equal(address, &none))
		return 0;
	if (getifaddrs(&first)) {
		text_printf(why, "the namespace's addresses: %s", strerror(errno));
		return -errno;
	}
	for (struct ifaddrs *one = first; one && !found; one = one->ifa_next) {
		struct weft_address own;
		if (!one->ifa_addr || !address_from_sockaddr(one->ifa_addr, &own))
			continue;
		found = memcmp(own.ip, address->ip, sizeof(own.ip)) == 0;
	}
	freeifaddrs(first);
	if (found)
		return 0;
	text_printf(why, "the network namespace does not have the pod's address %s",
		    address_print_ip(address, text));
	return -EADDRNOTAVAIL;
}

static int loopback_check(int socket_fd, struct text *why)
{
	struct ifreq request = {.ifr_name = "lo"};
	if (ioctl(socket_fd, SIOCGIFFLAGS, &request) || !(request.ifr_flags & IFF_UP)) {
		text_printf(why,
			    "the loopback device of the network namespace is down; "
			    "ip -n NAMESPACE link set lo up");
		return -ENETDOWN;
	}
	return 0;
}

int netns_describe(struct stock_listeners *listeners, struct text *why)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		text_printf(why, "socket: %s", strerror(errno));
		return -errno;
	}
	socklen_t size = sizeof(listeners->netns_cookie);
	int error = loopback_check(fd, why);
	if (!error &&
	    getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &listeners->netns_cookie, &size)) {
		error = -errno;
		text_printf(why, "SO_NETNS_COOKIE: %s; kernel 6.1 or newer is needed",
			    strerror(-error));
	}
	close(fd);
	if (!error)
		addresses_find(listeners);
	return error;
}
