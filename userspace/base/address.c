#include "base/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

bool address_is_loopback(const struct weft_address *address)
{
	static const uint8_t v6[16] = {[15] = 1};
	if (address_is_v4(address))
		return address->ip[12] == 127;
	return memcmp(address->ip, v6, sizeof(v6)) == 0;
}

bool address_is_any(const struct weft_address *address)
{
	static const uint8_t zero[16];
	size_t from = address_is_v4(address) ? 12 : 0;
	return memcmp(address->ip + from, zero, sizeof(zero) - from) == 0;
}

static void set_v4(struct weft_address *address, const void *ip)
{
	memset(address->ip, 0, 10);
	address->ip[10] = address->ip[11] = 0xff;
	memcpy(address->ip + 12, ip, 4);
}

int address_parse_ip(struct span ip, uint16_t port, struct weft_address *ret)
{
	char text[INET6_ADDRSTRLEN];
	if (ip.size >= 2 && ip.data[0] == '[' && ip.data[ip.size - 1] == ']')
		ip = span_of(ip.data + 1, ip.size - 2);
	if (ip.size == 0 || ip.size >= sizeof(text) || memchr(ip.data, 0, ip.size))
		return -EINVAL;
	memcpy(text, ip.data, ip.size);
	text[ip.size] = '\0';

	struct weft_address address = {.port = htons(port)};
	struct in_addr v4;
	if (inet_pton(AF_INET, text, &v4) == 1)
		set_v4(&address, &v4);
	else if (inet_pton(AF_INET6, text, address.ip) != 1)
		return -EINVAL;
	*ret = address;
	return 0;
}

int address_parse(struct span text, struct weft_address *ret)
{
	const char *colon = text.size ? memrchr(text.data, ':', text.size) : NULL;
	if (!colon)
		return -EINVAL;
	struct span ip = span_of(text.data, (size_t)(colon - text.data));
	struct span port = span_of(colon + 1, text.size - ip.size - 1);
	uint64_t number;
	if (span_to_u64(port, &number) || number > 65535)
		return -EINVAL;
	bool has_colon = ip.size && memchr(ip.data, ':', ip.size);
	if (has_colon && ip.data[0] != '[')
		return -EINVAL; /* "::1:80" could be read in two ways */
	return address_parse_ip(ip, (uint16_t)number, ret);
}

const char *address_print_ip(const struct weft_address *address, char text[ADDRESS_TEXT_MAX])
{
	if (address_is_v4(address))
		inet_ntop(AF_INET, address->ip + 12, text, ADDRESS_TEXT_MAX);
	else
		inet_ntop(AF_INET6, address->ip, text, ADDRESS_TEXT_MAX);
	return text;
}

const char *address_print(const struct weft_address *address, char text[ADDRESS_TEXT_MAX])
{
	char ip[ADDRESS_TEXT_MAX];
	address_print_ip(address, ip);
	bool v4 = address_is_v4(address);
	snprintf(text, ADDRESS_TEXT_MAX, v4 ? "%.45s:%u" : "[%.45s]:%u", ip, ntohs(address->port));
	return text;
}

bool address_from_sockaddr(const struct sockaddr *from, struct weft_address *ret)
{
	struct weft_address address = {0};
	if (from->sa_family == AF_INET) {
		struct sockaddr_in v4;
		memcpy(&v4, from, sizeof(v4));
		set_v4(&address, &v4.sin_addr);
		address.port = v4.sin_port;
	} else if (from->sa_family == AF_INET6) {
		struct sockaddr_in6 v6;
		memcpy(&v6, from, sizeof(v6));
		memcpy(address.ip, &v6.sin6_addr, 16);
		address.port = v6.sin6_port;
	} else {
		return false;
	}
	*ret = address;
	return true;
}

socklen_t address_to_sockaddr(const struct weft_address *address, struct sockaddr_storage *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (address_is_v4(address)) {
		struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = address->port};
		memcpy(&v4.sin_addr, address->ip + 12, 4);
		memcpy(ret, &v4, sizeof(v4));
		return sizeof(v4);
	}
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = address->port};
	memcpy(&v6.sin6_addr, address->ip, 16);
	memcpy(ret, &v6, sizeof(v6));
	return sizeof(v6);
}

uint32_t address_hash(const struct weft_address *address)
{
	uint64_t words[2];
	memcpy(words, address->ip, 16);
	uint64_t h = words[0] ^ (words[1] * 0x9e3779b97f4a7c15ull) ^ address->port;
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93ull;
	h ^= h >> 32;
	return (uint32_t)h;
}
