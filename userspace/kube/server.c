#include "kube/server.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

#define ACCOUNT_FOLDER "/var/run/secrets/kubernetes.io/serviceaccount/"
#define FILE_BYTES_MAX (1u << 20)
#define READ_AGAIN_NS  60000000000ull
/* RFC 1035 2.3.4 */
#define NAME_BYTES_MAX  253
#define LABEL_BYTES_MAX 63

/* ---- files ---- */

static int read_all(int fd, struct text *ret_text)
{
	char piece[4096];
	for (;;) {
		ssize_t size = read(fd, piece, sizeof(piece));
		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0)
			return -errno;
		if (size == 0)
			return ret_text->failed ? -ENOMEM : 0;
		text_add(ret_text, span_of(piece, (size_t)size));
		if (ret_text->size > FILE_BYTES_MAX)
			return -EFBIG;
	}
}

static int read_file(const char *path, struct text *ret_text)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int error = read_all(fd, ret_text);
	close(fd);
	return error;
}

/* The token as it goes into a field of the request. */
static bool is_token(struct span token)
{
	for (size_t i = 0; i < token.size; i++) {
		if (token.data[i] <= ' ' || token.data[i] > '~')
			return false;
	}
	return token.size > 0;
}

static int load_token(struct server *server, struct text *why)
{
	struct text file = {0};
	int error = server->token_file ? read_file(server->token_file, &file) : 0;
	struct span token = text_span(&file);
	while (token.size && token.data[token.size - 1] <= ' ')
		token.size--;
	if (server->token_file && !error && !is_token(token))
		error = -EINVAL;
	if (error) {
		text_printf(why, "token file %s: %s\n", server->token_file,
			    error == -EINVAL ? "holds no token" : strerror(-error));
	} else {
		text_fini(&server->token);
		server->token = file;
		server->token.size = token.size;
		file = (struct text){0};
	}
	text_fini(&file);
	return error;
}

static int load_ca(struct server *server, struct text *why)
{
	struct text file = {0};
	struct tls_context *tls = NULL;
	int error = read_file(server->ca_file, &file);
	if (error)
		text_printf(why, "CA file %s: %s\n", server->ca_file, strerror(-error));
	else if (!server->tls || !span_equal(text_span(&file), text_span(&server->ca)))
		error = tls_context_open(text_span(&file), why, &tls);
	if (tls) {
		tls_context_close(server->tls); /* open sessions hold on to it */
		server->tls = tls;
		text_fini(&server->ca);
		server->ca = file;
		file = (struct text){0};
	}
	text_fini(&file);
	return error;
}

static int load_files(struct server *server, uint64_t now_ns, struct text *why)
{
	server->read_ns = now_ns;
	int error = load_token(server, why);
	if (!error && server->is_tls)
		error = load_ca(server, why);
	return error;
}

void server_refresh(struct server *server, uint64_t now_ns, bool at_once)
{
	struct text why = {0};
	if (!at_once && now_ns - server->read_ns < READ_AGAIN_NS)
		return;
	if (load_files(server, now_ns, &why))
		log_warn("kube_credentials", "kept=old why=\"%s\"", text_span(&why).data);
	text_fini(&why);
}

/* ---- address ---- */

/* Of letters, digits, hyphens and underscores (RFC 952, and what people use), not all digits at its
 * end, as an address that was mistyped would be. */
static bool is_name(struct span host)
{
	struct span rest = host;
	struct span label = {0};
	bool has_letter = false;
	if (host.size == 0 || host.size > NAME_BYTES_MAX || host.data[host.size - 1] == '.')
		return false;
	while (span_split(&rest, '.', &label)) {
		if (label.size == 0 || label.size > LABEL_BYTES_MAX)
			return false;
		has_letter = false;
		for (size_t i = 0; i < label.size; i++) {
			unsigned char byte = (unsigned char)label.data[i];
			if (!isalnum(byte) && byte != '-' && byte != '_')
				return false;
			has_letter |= !isdigit(byte);
		}
	}
	return has_letter;
}

static int set_address(struct server *server, struct span host, struct span port, struct text *why)
{
	struct weft_address address;
	uint64_t number = 0;
	if (span_to_u64(port, &number) || number == 0 || number > UINT16_MAX) {
		text_printf(why, "API server: %.*s is no port\n", SPAN_PRINT(port));
		return -EINVAL;
	}
	if (address_parse_ip(host, (uint16_t)number, &address) == 0) {
		addresses_set(&server->addresses, &address);
		address_print(&address, server->host);
		return 0;
	}
	if (!is_name(host)) {
		text_printf(why, "API server: %.*s is neither an IP address nor a name\n",
			    SPAN_PRINT(host));
		return -EINVAL;
	}
	addresses_set_name(&server->addresses, host, (uint16_t)number);
	snprintf(server->host, sizeof(server->host), "%.*s:%u", SPAN_PRINT(host), (unsigned)number);
	return 0;
}

/* "https://10.0.0.1:6443", "http://[::1]:8001/" */
static int parse_url(struct server *server, const char *url, struct text *why)
{
	struct span rest = span_text(url);
	struct span http = span_text("http://");
	struct span https = span_text("https://");
	server->is_tls = span_starts(rest, https);
	if (!server->is_tls && !span_starts(rest, http)) {
		text_printf(why, "API server: %s begins with neither https:// nor http://\n", url);
		return -EINVAL;
	}
	size_t scheme = server->is_tls ? https.size : http.size;
	rest = span_of(rest.data + scheme, rest.size - scheme);
	if (rest.size && rest.data[rest.size - 1] == '/')
		rest.size--;
	struct span host = rest;
	struct span port = span_text(server->is_tls ? "443" : "80");
	const char *colon = memrchr(rest.data, ':', rest.size);
	if (colon && !memchr(colon, ']', (size_t)(rest.data + rest.size - colon))) {
		host.size = (size_t)(colon - rest.data);
		port = span_of(colon + 1, rest.size - host.size - 1);
	}
	return set_address(server, host, port, why);
}

static int find_in_cluster(struct server *server, struct text *why)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST");
	const char *port = getenv("KUBERNETES_SERVICE_PORT");
	server->is_tls = true;
	if (!host || !port) {
		text_printf(why,
			    "not in a cluster: KUBERNETES_SERVICE_HOST and _PORT are not "
			    "set\n");
		return -ENOENT;
	}
	return set_address(server, span_text(host), span_text(port), why);
}

static char *copy(const char *text)
{
	return mem_text(text, strlen(text));
}

/* What its certificate is for, unless somebody says otherwise. */
static const char *own_name(const struct server *server, char ip[ADDRESS_TEXT_MAX])
{
	const struct addresses *addresses = &server->addresses;
	return *addresses->name ? addresses->name : address_print_ip(addresses_next(addresses), ip);
}

static int keep_names(struct server *server, const struct kube_options *options)
{
	char ip[ADDRESS_TEXT_MAX];
	const char *name = options->server_name;
	const char *token = options->token_file;
	const char *ca = options->ca_file;
	bool is_account = !options->url || (server->is_tls && !ca);
	if (is_account && !token)
		token = ACCOUNT_FOLDER "token";
	if (is_account && !ca)
		ca = ACCOUNT_FOLDER "ca.crt";
	server->name = copy(name ? name : own_name(server, ip));
	server->token_file = token ? copy(token) : NULL;
	server->ca_file = ca ? copy(ca) : NULL;
	bool is_short = !server->name || (token && !server->token_file) || (ca && !server->ca_file);
	return is_short ? -ENOMEM : 0;
}

int server_open(struct server *server, const struct kube_options *options, uint64_t now_ns,
		struct text *why)
{
	*server = (struct server){0};
	addresses_init(&server->addresses, options->loop->ring);
	int error =
		options->url ? parse_url(server, options->url, why) : find_in_cluster(server, why);
	if (!error)
		error = keep_names(server, options);
	return error ? error : load_files(server, now_ns, why);
}

void server_close(struct server *server)
{
	addresses_fini(&server->addresses);
	tls_context_close(server->tls);
	text_fini(&server->token);
	text_fini(&server->ca);
	mem_free(server->name);
	mem_free(server->token_file);
	mem_free(server->ca_file);
	*server = (struct server){0};
}
