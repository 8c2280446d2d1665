#include "kernel/diag.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>

#define STATES_OF_CONNECTIONS                                                                      \
	(1u << TCP_ESTABLISHED | 1u << TCP_SYN_SENT | 1u << TCP_FIN_WAIT1 | 1u << TCP_FIN_WAIT2 |  \
	 1u << TCP_CLOSE_WAIT | 1u << TCP_LAST_ACK | 1u << TCP_CLOSING)

struct dump {
	void (*each)(const struct diag_connection *connection, void *owner);
	void *owner;
};

static struct weft_address address_of(const struct inet_diag_msg *message, bool peer)
{
	const struct inet_diag_sockid *id = &message->id;
	const __be32 *ip = peer ? id->idiag_dst : id->idiag_src;
	struct weft_address address = {.port = peer ? id->idiag_dport : id->idiag_sport};
	if (message->idiag_family == AF_INET) {
		address.ip[10] = address.ip[11] = 0xff;
		memcpy(address.ip + 12, ip, 4);
	} else {
		memcpy(address.ip, ip, 16);
	}
	return address;
}

static int on_attribute(const struct nlattr *attribute, void *data)
{
	struct diag_connection *connection = data;
	if (mnl_attr_get_type(attribute) == INET_DIAG_CGROUP_ID &&
	    mnl_attr_validate(attribute, MNL_TYPE_U64) == 0)
		connection->cgroup_id = mnl_attr_get_u64(attribute);
	return MNL_CB_OK;
}

static int on_message(const struct nlmsghdr *header, void *data)
{
	const struct dump *dump = data;
	if (mnl_nlmsg_get_payload_len(header) < sizeof(struct inet_diag_msg))
		return MNL_CB_OK;
	const struct inet_diag_msg *message = mnl_nlmsg_get_payload(header);
	struct diag_connection connection = {
		.local = address_of(message, false),
		.peer = address_of(message, true),
		.cookie = (uint64_t)message->id.idiag_cookie[1] << 32 | message->id.idiag_cookie[0],
	};
	mnl_attr_parse(header, sizeof(*message), on_attribute, &connection);
	if (!address_is_loopback(&connection.peer))
		dump->each(&connection, dump->owner);
	return MNL_CB_OK;
}

static int dump_family(struct mnl_socket *netlink, uint8_t family, struct dump *dump)
{
	_Alignas(struct nlmsghdr) char buffer[16384];
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
	header->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	header->nlmsg_seq = family;
	struct inet_diag_req_v2 *request = mnl_nlmsg_put_extra_header(header, sizeof(*request));
	request->sdiag_family = family;
	request->sdiag_protocol = IPPROTO_TCP;
	request->idiag_states = STATES_OF_CONNECTIONS;
	if (mnl_socket_sendto(netlink, header, header->nlmsg_len) < 0)
		return -errno;
	int turn = MNL_CB_OK;
	while (turn > MNL_CB_STOP) {
		ssize_t got = mnl_socket_recvfrom(netlink, buffer, sizeof(buffer));
		if (got < 0)
			return -errno;
		turn = mnl_cb_run(buffer, (size_t)got, family, mnl_socket_get_portid(netlink),
				  on_message, dump);
	}
	return turn < 0 ? -errno : 0;
}

int diag_connections(void (*each)(const struct diag_connection *connection, void *owner),
		     void *owner)
{
	struct mnl_socket *netlink = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	if (!netlink)
		return -errno;
	struct dump dump = {each, owner};
	int error = mnl_socket_bind(netlink, 0, MNL_SOCKET_AUTOPID) < 0 ? -errno : 0;
	if (!error)
		error = dump_family(netlink, AF_INET, &dump);
	if (!error)
		error = dump_family(netlink, AF_INET6, &dump);
	mnl_socket_close(netlink);
	return error;
}
