/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * cgroup/getpeername and getsockname: a captured socket reports the address that the app dialled,
 * and a local address that a direct dial would have had. Sockets that servers accepted need
 * nothing: weft dials them from the source pod's namespace.
 */
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "address.bpf.h"
#include "maps.bpf.h"
#include "pod.bpf.h"

/* What the app dialled with this socket, NULL when it was not captured. */
static __always_inline const struct weft_flow *dial_of(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	if (!sk || sk->state == BPF_TCP_LISTEN) /* listening now: an earlier dial says nothing */
		return NULL;
	return bpf_sk_storage_get(&weft_dials, sk, NULL, 0);
}

/*
 * The pod's own address when the kernel's answer is loopback only because of the redirect.
 * NULL: leave the answer as it is.
 */
static __always_inline const __be32 *local_ip_of(struct bpf_sock_addr *ctx,
						 const struct weft_address *local)
{
	const struct weft_flow *dial = dial_of(ctx);
	if (!dial || !address_is_loopback(local) || address_is_loopback(&dial->destination))
		return NULL;
	const struct weft_pod *pod = pod_find(bpf_get_netns_cookie(ctx));
	if (!pod)
		return NULL;
	const __be32 *ip =
		(const __be32 *)(address_is_v4(&dial->destination) ? pod->local4 : pod->local6);
	return ip[0] | ip[1] | ip[2] | ip[3] ? ip : NULL;
}

SEC("cgroup/getpeername4")
int weft_getpeername4(struct bpf_sock_addr *ctx)
{
	const struct weft_flow *dial = dial_of(ctx);
	if (!dial)
		return 1;
	ctx->user_ip4 = ((const __be32 *)dial->destination.ip)[3];
	ctx->user_port = dial->destination.port;
	return 1;
}

SEC("cgroup/getpeername6")
int weft_getpeername6(struct bpf_sock_addr *ctx)
{
	const struct weft_flow *dial = dial_of(ctx);
	if (!dial)
		return 1;
	const __be32 *ip = (const __be32 *)dial->destination.ip;
	ctx->user_ip6[0] = ip[0];
	ctx->user_ip6[1] = ip[1];
	ctx->user_ip6[2] = ip[2];
	ctx->user_ip6[3] = ip[3];
	ctx->user_port = dial->destination.port;
	return 1;
}

SEC("cgroup/getsockname4")
int weft_getsockname4(struct bpf_sock_addr *ctx)
{
	struct weft_address local;
	address_set_v4(&local, ctx->user_ip4, 0);
	const __be32 *ip = local_ip_of(ctx, &local);
	if (ip)
		ctx->user_ip4 = ip[3];
	return 1;
}

SEC("cgroup/getsockname6")
int weft_getsockname6(struct bpf_sock_addr *ctx)
{
	struct weft_address local;
	address_set(&local, ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3],
		    0);
	const __be32 *ip = local_ip_of(ctx, &local);
	if (!ip)
		return 1;
	ctx->user_ip6[0] = ip[0];
	ctx->user_ip6[1] = ip[1];
	ctx->user_ip6[2] = ip[2];
	ctx->user_ip6[3] = ip[3];
	return 1;
}

char weft_license[] SEC("license") = "Dual BSD/GPL";
