#include "stage.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "tls/tests/peer.h"

#define DAY_S 86400

/* A folder as the kubelet mounts it: token and ca.crt. */
struct account {
	char folder[64];
	char token[96];
	char ca[96];
};

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void account_open(struct account *account, const char *token, const char *ca)
{
	*account = (struct account){.folder = "/tmp/weft-kube-test-XXXXXX"};
	assert_non_null(mkdtemp(account->folder));
	snprintf(account->token, sizeof(account->token), "%s/token", account->folder);
	snprintf(account->ca, sizeof(account->ca), "%s/ca.crt", account->folder);
	write_file(account->token, token);
	write_file(account->ca, ca);
}

static void account_close(struct account *account)
{
	unlink(account->token);
	unlink(account->ca);
	assert_int_equal(rmdir(account->folder), 0);
}

/* ---- where the server is ---- */

struct opening {
	const char *url;
	const char *why; /* NULL: it is good */
	const char *host;
};

static void a_url_names_an_address(void **state)
{
	static const struct opening cases[] = {
		{"http://10.96.0.1:8001", NULL, "10.96.0.1:8001"},
		{"http://10.96.0.1", NULL, "10.96.0.1:80"},
		{"http://10.96.0.1/", NULL, "10.96.0.1:80"},
		{"http://[2001:db8::1]:8001", NULL, "[2001:db8::1]:8001"},
		{"http://[2001:db8::1]", NULL, "[2001:db8::1]:80"},
		{"http://10.96.0.300:443",
		 "API server: 10.96.0.300 is neither an IP address nor a name\n", NULL},
		{"http://api..test:443",
		 "API server: api..test is neither an IP address nor a name\n", NULL},
		{"http://api.test.:443",
		 "API server: api.test. is neither an IP address nor a name\n", NULL},
		{"http://api test", "API server: api test is neither an IP address nor a name\n",
		 NULL},
		{"http://10.96.0.1:0", "API server: 0 is no port\n", NULL},
		{"http://10.96.0.1:x", "API server: x is no port\n", NULL},
		{"http://10.96.0.1:65536", "API server: 65536 is no port\n", NULL},
		{"ftp://10.96.0.1",
		 "API server: ftp://10.96.0.1 begins with neither https:// nor http://\n", NULL},
		{"http://", "API server:  is neither an IP address nor a name\n", NULL},
	};
	(void)state;
	for (size_t i = 0; i < array_count(cases); i++) {
		struct stage stage;
		struct text why = {0};
		stage_open_ring(&stage);
		struct kube_options options = stage_options(&stage);
		options.url = cases[i].url;
		int error = kube_open(&options, &why, &stage.kube);
		assert_string_equal(text_span(&why).data, cases[i].why ? cases[i].why : "");
		assert_int_equal(error, cases[i].why ? -EINVAL : 0);
		text_fini(&why);
		if (!error) {
			char wanted[64];
			assert_int_equal(address_parse(span_text(cases[i].host), &stage.address),
					 0);
			io_double_address(&stage.address, IO_DOUBLE_ACCEPTS, 0);
			stage_run(&stage, 10);
			stage.server = io_double_reached(&stage.address);
			snprintf(wanted, sizeof(wanted), "\r\nHost: %s\r\n", cases[i].host);
			struct span request = io_peer_received(stage.server);
			assert_non_null(memmem(request.data, request.size, wanted, strlen(wanted)));
		}
		stage_close(&stage);
	}
}

static void https_by_url_is_the_service_accounts_too(void **state)
{
	struct stage stage;
	struct text why = {0};
	(void)state;
	stage_open_ring(&stage);
	struct kube_options options = stage_options(&stage);
	options.url = "https://10.96.0.1";
	assert_int_equal(kube_open(&options, &why, &stage.kube), -ENOENT);
	assert_string_equal(why.data,
			    "token file /var/run/secrets/kubernetes.io/serviceaccount/"
			    "token: No such file or directory\n");
	text_fini(&why);
	stage_close(&stage);
}

static void a_pod_is_told_where_the_server_is(void **state)
{
	struct stage stage;
	struct account account;
	struct text why = {0};
	(void)state;
	account_open(&account, "secret\n", "no certificate");
	stage_open_ring(&stage);
	struct kube_options options = stage_options(&stage);
	options.url = NULL;
	unsetenv("KUBERNETES_SERVICE_HOST");
	assert_int_equal(kube_open(&options, &why, &stage.kube), -ENOENT);
	assert_string_equal(why.data,
			    "not in a cluster: KUBERNETES_SERVICE_HOST and _PORT are "
			    "not set\n");
	text_clear(&why);
	setenv("KUBERNETES_SERVICE_HOST", "2001:db8::1", 1);
	setenv("KUBERNETES_SERVICE_PORT", "443", 1);
	options.token_file = account.token;
	options.ca_file = account.ca;
	assert_int_equal(kube_open(&options, &why, &stage.kube), -EINVAL);
	assert_string_equal(why.data, "CA: no certificate in it\n");
	text_clear(&why);
	options.token_file = "/nonexistent/token";
	assert_int_equal(kube_open(&options, &why, &stage.kube), -ENOENT);
	assert_string_equal(why.data, "token file /nonexistent/token: No such file or directory\n");
	text_fini(&why);
	unsetenv("KUBERNETES_SERVICE_HOST");
	unsetenv("KUBERNETES_SERVICE_PORT");
	account_close(&account);
	stage_close(&stage);
}

/* ---- tokens ---- */

static void stage_with_token(struct stage *stage, const struct account *account)
{
	stage_open_ring(stage);
	struct kube_options options = stage_options(stage);
	options.token_file = account->token;
	stage_open(stage, &options);
}

static void assert_bears(struct stage *stage, const char *token)
{
	char wanted[64];
	for (int i = 0; i < 600; i++) {
		struct io_peer *reached = io_double_reached(&stage->address);
		stage->server = reached ? reached : stage->server;
		if (io_peer_received(stage->server).size)
			break;
		stage_run(stage, 10);
	}
	struct span request = io_peer_received(stage->server);
	snprintf(wanted, sizeof(wanted), "\r\nAuthorization: Bearer %s\r\n", token);
	if (!memmem(request.data, request.size, wanted, strlen(wanted)))
		fail_msg("not %s: %.*s", token, SPAN_PRINT(request));
	io_peer_forget(stage->server);
}

static void a_refused_token_is_read_again_at_once(void **state)
{
	struct stage stage;
	struct account account;
	(void)state;
	account_open(&account, "first\n", "");
	stage_with_token(&stage, &account);
	assert_bears(&stage, "first");
	write_file(account.token, "second");
	answers(&stage, "401 Unauthorized", "", "");
	assert_bears(&stage, "second");
	lists(&stage, "\"resourceVersion\":\"7\"", "");
	assert_int_equal(fault_count(&stage, KUBE_FAULT_UNAUTHORIZED), 1);
	account_close(&account);
	stage_close(&stage);
}

static void a_token_is_read_again_before_it_ends(void **state)
{
	struct stage stage;
	struct account account;
	(void)state;
	account_open(&account, "first", "");
	stage_with_token(&stage, &account);
	assert_bears(&stage, "first");
	lists(&stage, "\"resourceVersion\":\"7\"", "");
	assert_bears(&stage, "first");
	stream_begins(&stage);
	write_file(account.token, "second");
	stage_run(&stage, 61000);
	says(&stage, "0\r\n\r\n");
	assert_bears(&stage, "second");
	account_close(&account);
	stage_close(&stage);
}

/* The kubelet replaces files; one that is missing or odd for a moment changes nothing. */
static void a_token_that_cannot_be_read_stays_what_it_was(void **state)
{
	static const char *const odd[] = {"", "\n", "two words", "line\nbreak", "\x01"};
	(void)state;
	for (size_t i = 0; i < array_count(odd); i++) {
		struct stage stage;
		struct account account;
		account_open(&account, "first", "");
		stage_with_token(&stage, &account);
		assert_bears(&stage, "first");
		write_file(account.token, odd[i]);
		answers(&stage, "401 Unauthorized", "", "");
		assert_bears(&stage, "first");
		unlink(account.token);
		answers(&stage, "401 Unauthorized", "", "");
		assert_bears(&stage, "first");
		account_close(&account);
		stage_close(&stage);
	}
}

/* ---- TLS ---- */

struct secure {
	struct stage stage;
	struct account account;
	struct peer_identity ca;
	struct peer_identity identity;
	struct peer peer;
};

static void secure_open_at(struct secure *secure, const char *url, const char *names)
{
	secure->ca = peer_identity_new(NULL, NULL, DAY_S);
	secure->identity = peer_identity_new(&secure->ca, names, DAY_S);
	secure->peer = peer_open(&secure->identity, TLS1_3_VERSION);
	char *pem = peer_pem(&secure->ca);
	account_open(&secure->account, "secret", pem);
	free(pem);
	stage_open_ring(&secure->stage);
	io_double_name("api.k8s.test", &secure->stage.address, 1, 0);
	struct kube_options options = stage_options(&secure->stage);
	options.url = url;
	options.token_file = secure->account.token;
	options.ca_file = secure->account.ca;
	stage_open(&secure->stage, &options);
	secure->stage.server = io_double_reached(&secure->stage.address);
}

static void secure_open(struct secure *secure, const char *names)
{
	secure_open_at(secure, "https://10.96.0.1", names);
}

static void secure_close(struct secure *secure)
{
	peer_close(&secure->peer);
	peer_identity_free(&secure->identity);
	peer_identity_free(&secure->ca);
	account_close(&secure->account);
	stage_close(&secure->stage);
}

/* Lets records cross until the server hears something; what it heard. */
static size_t hear(struct secure *secure, char *text, size_t size)
{
	static char records[65536];
	size_t heard = 0;
	for (int i = 0; i < 20 && !heard; i++) {
		peer_receive(&secure->peer, io_peer_received(secure->stage.server));
		io_peer_forget(secure->stage.server);
		if (peer_is_ready(&secure->peer))
			heard = peer_read(&secure->peer, text, size);
		size_t sent = peer_records(&secure->peer, records, sizeof(records));
		io_peer_send(secure->stage.server, span_of(records, sent));
		io_double_settle(secure->stage.ring);
	}
	return heard;
}

static void a_secure_server_is_listed_and_watched(void **state)
{
	static const char list[] =
		"HTTP/1.1 200 OK\r\nContent-Length: 68\r\n\r\n"
		"{\"kind\":\"ServiceList\",\"metadata\":{\"resourceVersion\":"
		"\"7\"},\"items\":[]}";
	struct secure secure;
	char heard[2048] = "";
	(void)state;
	secure_open(&secure, "IP:10.96.0.1");
	assert_true(hear(&secure, heard, sizeof(heard)) > 0);
	assert_non_null(strstr(heard, "GET /api/v1/services?limit=500 HTTP/1.1\r\n"));
	assert_non_null(strstr(heard, "Authorization: Bearer secret\r\n"));
	peer_write(&secure.peer, span_text(list));
	assert_true(hear(&secure, heard, sizeof(heard)) > 0);
	assert_non_null(strstr(heard, "GET /api/v1/services?watch=1&"));
	assert_told(&secure.stage, "=services ");
	secure_close(&secure);
}

static void a_server_with_another_name_hears_no_token(void **state)
{
	struct secure secure;
	char heard[2048];
	(void)state;
	secure_open(&secure, "IP:10.96.0.2");
	assert_int_equal(hear(&secure, heard, sizeof(heard)), 0);
	assert_int_equal(fault_count(&secure.stage, KUBE_FAULT_TLS), 1);
	assert_string_equal(status_of(&secure.stage).last_fault,
			    "list: the server's certificate is refused: IP address mismatch");
	secure_close(&secure);
}

static void a_named_server_is_known_by_its_name_and_not_by_its_address(void **state)
{
	static const struct {
		const char *names;
		bool is_believed;
	} cases[] = {{"DNS:api.k8s.test", true},
		     {"DNS:*.k8s.test", true},
		     {"IP:10.96.0.1", false},
		     {"DNS:other.k8s.test", false}};
	(void)state;
	for (size_t i = 0; i < array_count(cases); i++) {
		struct secure secure;
		char heard[2048];
		secure_open_at(&secure, "https://api.k8s.test", cases[i].names);
		assert_int_equal(hear(&secure, heard, sizeof(heard)) > 0, cases[i].is_believed);
		assert_int_equal(fault_count(&secure.stage, KUBE_FAULT_TLS), !cases[i].is_believed);
		secure_close(&secure);
	}
}

/* A cluster that changes its CA: the file changes, and the next connection believes it. */
static void a_new_ca_is_believed(void **state)
{
	struct secure secure;
	char heard[2048];
	(void)state;
	secure_open(&secure, "IP:10.96.0.1");
	struct peer_identity ca = peer_identity_new(NULL, NULL, DAY_S);
	struct peer_identity next = peer_identity_new(&ca, "IP:10.96.0.1", DAY_S);
	peer_close(&secure.peer);
	secure.peer = peer_open(&next, TLS1_3_VERSION);
	assert_int_equal(hear(&secure, heard, sizeof(heard)), 0);
	assert_int_equal(fault_count(&secure.stage, KUBE_FAULT_TLS), 1);
	char *pem = peer_pem(&ca);
	write_file(secure.account.ca, pem);
	free(pem);
	bool was_heard = false;
	for (int i = 0; i < 300 && !was_heard; i++) {
		stage_run(&secure.stage, 250);
		struct io_peer *reached = io_double_reached(&secure.stage.address);
		if (!reached)
			continue;
		secure.stage.server = reached;
		peer_close(&secure.peer);
		secure.peer = peer_open(&next, TLS1_3_VERSION);
		was_heard = hear(&secure, heard, sizeof(heard)) > 0;
	}
	assert_true(was_heard);
	peer_identity_free(&next);
	peer_identity_free(&ca);
	secure_close(&secure);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_url_names_an_address),
		cmocka_unit_test(https_by_url_is_the_service_accounts_too),
		cmocka_unit_test(a_pod_is_told_where_the_server_is),
		cmocka_unit_test(a_refused_token_is_read_again_at_once),
		cmocka_unit_test(a_token_is_read_again_before_it_ends),
		cmocka_unit_test(a_token_that_cannot_be_read_stays_what_it_was),
		cmocka_unit_test(a_secure_server_is_listed_and_watched),
		cmocka_unit_test(a_server_with_another_name_hears_no_token),
		cmocka_unit_test(a_named_server_is_known_by_its_name_and_not_by_its_address),
		cmocka_unit_test(a_new_ca_is_believed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
