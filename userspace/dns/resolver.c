#include "dns/resolver.h"

#include <ares.h>
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"

#define NS_PER_MS   1000000ull
#define READS_MOST  64 /* of one socket in a row: a stream is read in small pieces */
#define TURN_NS     10000000ull
#define EDNS_BYTES  1232 /* what passes unfragmented nearly everywhere (DNS flag day 2020) */
#define DNS_PORT    53
#define RESOLV_CONF "/etc/resolv.conf"
#define LOOK_NS     1000000000ull /* at most once in this time is the file looked at */
#define RENEW_NS    2000000000ull /* for so long old servers are asked on, once it has changed */

/* A socket of the library's and what it waits for. Freed with its operation's last completion. */
struct watched {
	struct list item;
	struct io_op op;
	struct dns_resolver *resolver;
	int fd;
	unsigned events;
	bool is_over; /* the library closed it, or waits for other events by another of these */
};

struct dns_resolver {
	struct io_ring *ring;
	ares_channel channel;
	struct list sockets; /* of struct watched */
	struct timer timer;
	struct timespec changed_at; /* of the file with the servers, when it was read */
	uint64_t looked_ns;         /* when that was compared last */
	uint64_t stale_ns;          /* when it was found to have changed; 0 = it has not */
	uint32_t under_way;
	const char *file;
	uint16_t port;
	bool follows_file;
	bool is_inside; /* the library: its channel must stay */
	bool is_closing;
	int timeout_ms;
	int tries;
};

static void go_on(struct dns_resolver *resolver);

/* ---- sockets ---- */

static struct watched *find(struct dns_resolver *resolver, int fd)
{
	list_each (&resolver->sockets, item) {
		struct watched *watched = list_entry(item, struct watched, item);
		if (watched->fd == fd && !watched->is_over)
			return watched;
	}
	return NULL;
}

static bool has_bytes(int fd)
{
	struct pollfd entry = {.fd = fd, .events = POLLIN};
	return poll(&entry, 1, 0) == 1 && (entry.revents & POLLIN);
}

static void process(struct dns_resolver *resolver, ares_socket_t readable, ares_socket_t writable)
{
	resolver->is_inside = true;
	ares_process_fd(resolver->channel, readable, writable);
	resolver->is_inside = false;
}

/* The ring tells of new bytes only, so none may be left. The socket may be closed meanwhile, and
 * its number be another's then. */
static void serve(struct watched *watched, unsigned events)
{
	struct dns_resolver *resolver = watched->resolver;
	int fd = watched->fd;
	bool is_writable = events & (POLLOUT | POLLERR | POLLHUP);
	bool is_readable = events & (POLLIN | POLLERR | POLLHUP);
	for (int reads = 0; reads < READS_MOST && !watched->is_over; reads++) {
		process(resolver, is_readable ? fd : ARES_SOCKET_BAD,
			is_writable ? fd : ARES_SOCKET_BAD);
		is_writable = false;
		if (watched->is_over || !has_bytes(fd))
			return;
		is_readable = true;
	}
}

static void on_events(struct io_op *op, int result, bool more)
{
	struct watched *watched = container_of(op, struct watched, op);
	struct dns_resolver *resolver = watched->resolver;
	if (!watched->is_over && result != 0) {
		serve(watched, result > 0 ? (unsigned)result : POLLERR);
		go_on(resolver);
	}
	if (more)
		return;
	if (!watched->is_over) {
		io_poll(resolver->ring, op, watched->fd, watched->events);
		return;
	}
	list_remove(&watched->item);
	mem_free(watched);
}

static void watch(struct dns_resolver *resolver, int fd, unsigned events)
{
	struct watched *watched = mem_zalloc(sizeof(*watched));
	if (!watched)
		return; /* the question ends by its timeout */
	watched->op.done = on_events;
	watched->resolver = resolver;
	watched->fd = fd;
	watched->events = events;
	list_add_last(&resolver->sockets, &watched->item);
	io_poll(resolver->ring, &watched->op, fd, events);
}

/* The library: it waits for these events of this socket, or has closed it. */
static void on_socket(void *owner, ares_socket_t fd, int is_readable, int is_writable)
{
	struct dns_resolver *resolver = owner;
	unsigned events = (is_readable ? POLLIN : 0u) | (is_writable ? POLLOUT : 0u);
	struct watched *before = find(resolver, fd);
	if (before && before->events == events)
		return;
	if (before) {
		before->is_over = true;
		io_cancel(resolver->ring, &before->op);
	}
	if (events)
		watch(resolver, fd, events);
}

/* ---- time ---- */

static void on_timer(struct timer *timer)
{
	struct dns_resolver *resolver = container_of(timer, struct dns_resolver, timer);
	process(resolver, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	go_on(resolver);
}

/* After whatever may have changed what the library waits for. */
static void go_on(struct dns_resolver *resolver)
{
	struct timeval left;
	struct timers *timers = io_timers(resolver->ring);
	timer_clear(timers, &resolver->timer);
	if (resolver->is_closing || !ares_timeout(resolver->channel, NULL, &left))
		return;
	/* A millisecond more, as the library's clock is coarser. */
	uint64_t left_ns =
		((uint64_t)left.tv_sec * 1000 + (uint64_t)left.tv_usec / 1000 + 1) * NS_PER_MS;
	if (timer_set(timers, &resolver->timer, io_now_ns(resolver->ring) + left_ns))
		log_warn("no_timer", "what=dns");
}

/* ---- the channel ---- */

static int error_of(int status)
{
	return status == ARES_ENOMEM ? -ENOMEM : -EINVAL;
}

/* 0 or an ARES_ status. */
static int open_channel(struct dns_resolver *resolver)
{
	static char lookups[] = "b";
	char file[PATH_MAX]; /* the library copies it */
	struct ares_options options = {
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_EDNS,
		.timeout = resolver->timeout_ms,
		.tries = resolver->tries,
		.lookups = lookups,
		.sock_state_cb = on_socket,
		.sock_state_cb_data = resolver,
		.ednspsz = EDNS_BYTES,
		.resolvconf_path = file,
		.udp_port = resolver->port,
		.tcp_port = resolver->port,
	};
	int set = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS |
		  ARES_OPT_SOCK_STATE_CB | ARES_OPT_EDNSPSZ | ARES_OPT_DOMAINS |
		  ARES_OPT_RESOLVCONF | ARES_OPT_UDP_PORT | ARES_OPT_TCP_PORT;
	snprintf(file, sizeof(file), "%s", resolver->file);
	return ares_init_options(&resolver->channel, &options, set);
}

static struct timespec change_of(const char *file)
{
	struct stat status;
	if (stat(file, &status))
		status.st_mtim = (struct timespec){0};
	return status.st_mtim;
}

/* Other servers may be in the file now. While something is under way the old ones are asked on, but
 * not for ever: there is always something under way where they are dead, which fails then. */
static void follow_file(struct dns_resolver *resolver)
{
	uint64_t now_ns = io_now_ns(resolver->ring);
	if (!resolver->follows_file || resolver->is_inside ||
	    now_ns - resolver->looked_ns < LOOK_NS)
		return;
	struct timespec changed_at = change_of(resolver->file);
	resolver->looked_ns = now_ns;
	if (changed_at.tv_sec == resolver->changed_at.tv_sec &&
	    changed_at.tv_nsec == resolver->changed_at.tv_nsec)
		return;
	if (!resolver->stale_ns)
		resolver->stale_ns = now_ns;
	if (resolver->under_way && now_ns - resolver->stale_ns < RENEW_NS)
		return;
	ares_channel before = resolver->channel;
	if (open_channel(resolver)) {
		resolver->channel = before;
		return;
	}
	resolver->changed_at = changed_at;
	resolver->stale_ns = 0;
	ares_destroy(before); /* who is told may ask again, by the new one */
	log_info("dns_servers_read", "file=%s", resolver->file);
}

static void set_node(const struct weft_address *address, struct ares_addr_port_node *node)
{
	bool is_v4 = address_is_v4(address);
	*node = (struct ares_addr_port_node){.family = is_v4 ? AF_INET : AF_INET6,
					     .udp_port = ntohs(address->port),
					     .tcp_port = ntohs(address->port)};
	if (is_v4)
		memcpy(&node->addr.addr4, address->ip + 12, 4);
	else
		memcpy(&node->addr.addr6, address->ip, 16);
}

/* 0 or an ARES_ status. */
static int set_servers(struct dns_resolver *resolver, const struct weft_address *servers,
		       uint32_t count)
{
	struct ares_addr_port_node nodes[DNS_RESOLVER_SERVERS_MAX];
	if (count == 0)
		return ARES_SUCCESS;
	for (uint32_t i = 0; i < count && i < array_count(nodes); i++) {
		set_node(&servers[i], &nodes[i]);
		if (i)
			nodes[i - 1].next = &nodes[i];
	}
	return ares_set_servers_ports(resolver->channel, nodes);
}

int dns_resolver_open(const struct dns_resolver_options *options, struct text *why,
		      struct dns_resolver **ret_resolver)
{
	int status = ares_library_init_mem(ARES_LIB_INIT_ALL, mem_alloc, mem_free, mem_realloc);
	struct dns_resolver *resolver = status ? NULL : mem_zalloc(sizeof(*resolver));
	if (!resolver) {
		if (!status)
			ares_library_cleanup();
		return -ENOMEM;
	}
	uint64_t timeout_ms = options->timeout_ns / NS_PER_MS;
	resolver->ring = options->ring;
	resolver->timeout_ms = timeout_ms > 1 ? (int)timeout_ms : 1;
	resolver->tries = (int)options->tries;
	resolver->follows_file = options->server_count == 0;
	resolver->file = options->file ? options->file : RESOLV_CONF;
	resolver->port = options->port ? options->port : DNS_PORT;
	resolver->changed_at = change_of(resolver->file);
	list_init(&resolver->sockets);
	timer_init(&resolver->timer, on_timer);
	status = open_channel(resolver);
	bool is_open = !status;
	if (is_open)
		status = set_servers(resolver, options->servers, options->server_count);
	if (status) {
		text_printf(why, "%s", ares_strerror(status));
		if (is_open)
			ares_destroy(resolver->channel);
		mem_free(resolver);
		ares_library_cleanup();
		return error_of(status);
	}
	*ret_resolver = resolver;
	return 0;
}

void dns_resolver_stop(struct dns_resolver *resolver)
{
	if (!resolver || resolver->is_closing)
		return;
	resolver->is_closing = true;
	timer_clear(io_timers(resolver->ring), &resolver->timer);
	ares_destroy(resolver->channel);
}

bool dns_resolver_has_ended(const struct dns_resolver *resolver)
{
	return !resolver || (resolver->is_closing && list_is_empty(&resolver->sockets));
}

void dns_resolver_close(struct dns_resolver *resolver)
{
	if (!resolver)
		return;
	dns_resolver_stop(resolver);
	while (!list_is_empty(&resolver->sockets))
		io_turn(resolver->ring, TURN_NS);
	mem_free(resolver);
	ares_library_cleanup();
}

/* ---- questions ---- */

static enum dns_outcome outcome_of(const struct dns_resolver *resolver, int status)
{
	switch (status) {
	case ARES_SUCCESS:
		return DNS_ANSWERED;
	case ARES_ENOTFOUND:
		return DNS_NO_NAME;
	case ARES_ENODATA:
		return DNS_NO_DATA;
	default:
		return resolver->is_closing ? DNS_CANCELLED : DNS_FAILED;
	}
}

static const char *sentence_of(int status)
{
	switch (status) {
	case ARES_SUCCESS:
		return NULL;
	case ARES_ENOTFOUND:
		return "DNS has no such name (NXDOMAIN)";
	case ARES_ENODATA:
		return "DNS has the name, and no record of this type";
	case ARES_ETIMEOUT:
	case ARES_EDESTRUCTION:
		return "no DNS server answered in time";
	case ARES_ECONNREFUSED:
		/* The library does not keep which it was. */
		return "every DNS server failed (SERVFAIL, REFUSED) or could not be reached";
	default:
		return ares_strerror(status);
	}
}

static void on_answer(void *owner, int status, int timeouts, unsigned char *bytes, int size)
{
	struct dns_query *query = owner;
	struct dns_resolver *resolver = query->resolver;
	(void)timeouts;
	resolver->under_way--;
	query->is_under_way = false;
	query->done(query, outcome_of(resolver, status),
		    bytes && size > 0 ? span_of((const char *)bytes, (size_t)size) : span_of("", 0),
		    sentence_of(status));
}

void dns_resolver_ask(struct dns_resolver *resolver, const char *name, enum dns_type type,
		      struct dns_query *query)
{
	follow_file(resolver);
	query->resolver = resolver;
	query->is_under_way = true;
	resolver->under_way++;
	bool was_inside = resolver->is_inside;
	resolver->is_inside = true;
	ares_query(resolver->channel, name, 1, (int)type, on_answer, query);
	resolver->is_inside = was_inside;
	go_on(resolver);
}
