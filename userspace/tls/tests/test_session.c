#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "peer.h"
#include "tls/session.h"

#define DAY_S 86400

/* A client and a server, and what is between them. */
struct stage {
	struct peer_identity ca;
	struct peer_identity server;
	struct tls_context *context;
	struct tls_session *session;
	struct peer peer;
	size_t piece; /* records cross in pieces of so many bytes */
	long live_before;
};

static void stage_open(struct stage *stage, const char *names, long valid_s,
		       const char *wanted_name, int version_most)
{
	struct text why = {0};
	*stage = (struct stage){.piece = 100000, .live_before = mem_live()};
	stage->ca = peer_identity_new(NULL, NULL, DAY_S);
	stage->server = peer_identity_new(&stage->ca, names, valid_s);
	char *pem = peer_pem(&stage->ca);
	assert_int_equal(tls_context_open(span_text(pem), &why, &stage->context), 0);
	free(pem);
	assert_int_equal(tls_session_open(stage->context, wanted_name, &stage->session), 0);
	stage->peer = peer_open(&stage->server, version_most);
}

static void stage_close(struct stage *stage)
{
	tls_session_close(stage->session);
	tls_context_close(stage->context);
	peer_close(&stage->peer);
	peer_identity_free(&stage->server);
	peer_identity_free(&stage->ca);
	assert_int_equal(mem_live(), stage->live_before);
}

static void cross_to_peer(struct stage *stage)
{
	struct span records;
	while ((records = tls_outgoing(stage->session)).size) {
		if (records.size > stage->piece)
			records.size = stage->piece;
		peer_receive(&stage->peer, records);
		tls_sent(stage->session, records.size);
	}
}

static bool cross_from_peer(struct stage *stage)
{
	char records[100000];
	size_t size = peer_records(&stage->peer, records, stage->piece);
	assert_int_equal(tls_receive(stage->session, span_of(records, size)), 0);
	return size > 0;
}

/* The result of the client's last step. */
static int shake_hands(struct stage *stage)
{
	int result = tls_handshake(stage->session);
	for (int i = 0; i < 20000 && (result == -EAGAIN || !peer_is_ready(&stage->peer)); i++) {
		cross_to_peer(stage);
		if (!cross_from_peer(stage) && result != -EAGAIN)
			break;
		result = tls_handshake(stage->session);
	}
	cross_to_peer(stage);
	return result;
}

static void assert_read(struct stage *stage, const char *wanted)
{
	char got[256] = "";
	size_t size = 0;
	while (size < strlen(wanted)) {
		int result = tls_read(stage->session, got + size, sizeof(got) - size);
		if (result == -EAGAIN) {
			assert_true(cross_from_peer(stage));
			continue;
		}
		assert_true(result > 0);
		size += (size_t)result;
	}
	assert_string_equal(got, wanted);
}

static void exchange(struct stage *stage)
{
	char got[256] = "";
	assert_true(tls_is_ready(stage->session));
	assert_int_equal(tls_write(stage->session, span_text("from the client")), 0);
	cross_to_peer(stage);
	assert_int_equal(peer_read(&stage->peer, got, sizeof(got)), 15);
	assert_string_equal(got, "from the client");
	peer_write(&stage->peer, span_text("from the server"));
	assert_read(stage, "from the server");
	assert_int_equal(tls_read(stage->session, got, sizeof(got)), -EAGAIN);
	assert_null(tls_why(stage->session));
}

static void both_sides_hear_each_other(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	static const char *const names[] = {"TLSv1.2", "TLSv1.3"};
	static const size_t pieces[] = {1, 7, 100000};
	(void)state;
	for (size_t i = 0; i < 6; i++) {
		struct stage stage;
		stage_open(&stage, "DNS:a.example", DAY_S, "a.example", versions[i % 2]);
		stage.piece = pieces[i / 2];
		assert_int_equal(shake_hands(&stage), 0);
		assert_string_equal(tls_version(stage.session), names[i % 2]);
		exchange(&stage);
		stage_close(&stage);
	}
}

struct name_case {
	const char *names; /* in the certificate */
	const char *wanted;
	bool is_good;
};

static void a_certificate_must_be_for_the_name(void **state)
{
	static const struct name_case cases[] = {
		{"DNS:a.example", "a.example", true},
		{"DNS:b.example,DNS:a.example", "a.example", true},
		{"DNS:*.b.example", "a.b.example", true},
		{"DNS:b.example", "a.example", false},
		{"DNS:*.b.example", "a.c.b.example", false},
		{"DNS:a*.b.example", "ab.b.example", false},
		{"IP:10.96.0.1", "10.96.0.1", true},
		{"IP:10.96.0.2", "10.96.0.1", false},
		{"DNS:10.96.0.1", "10.96.0.1", false},
		{"IP:2001:db8::1", "2001:db8::1", true},
		{"IP:10.96.0.1", "a.example", false},
	};
	(void)state;
	for (size_t i = 0; i < array_count(cases); i++) {
		struct stage stage;
		stage_open(&stage, cases[i].names, DAY_S, cases[i].wanted, TLS1_3_VERSION);
		int result = shake_hands(&stage);
		if (result != (cases[i].is_good ? 0 : -EKEYREJECTED))
			fail_msg("case %zu: %d, %s", i, result, tls_why(stage.session));
		stage_close(&stage);
	}
}

static void a_name_is_sent_and_an_address_is_not(void **state)
{
	static const char *const wanted[] = {"a.example", "10.96.0.1"};
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct stage stage;
		stage_open(&stage, "DNS:a.example,IP:10.96.0.1", DAY_S, wanted[i], TLS1_3_VERSION);
		assert_int_equal(shake_hands(&stage), 0);
		const char *sent = SSL_get_servername(stage.peer.ssl, TLSEXT_NAMETYPE_host_name);
		if (i == 0)
			assert_string_equal(sent, "a.example");
		else
			assert_null(sent);
		stage_close(&stage);
	}
}

static void a_certificate_of_another_ca_is_refused(void **state)
{
	struct stage stage;
	(void)state;
	stage_open(&stage, "DNS:a.example", DAY_S, "a.example", TLS1_3_VERSION);
	struct peer_identity other = peer_identity_new(NULL, NULL, DAY_S);
	struct peer_identity stranger = peer_identity_new(&other, "DNS:a.example", DAY_S);
	peer_close(&stage.peer);
	stage.peer = peer_open(&stranger, TLS1_3_VERSION);
	assert_int_equal(shake_hands(&stage), -EKEYREJECTED);
	assert_string_equal(tls_why(stage.session),
			    "the server's certificate is refused: unable "
			    "to get local issuer certificate");
	assert_false(tls_is_ready(stage.session));
	assert_int_equal(tls_write(stage.session, span_text("secret")), -EPROTO);
	peer_identity_free(&stranger);
	peer_identity_free(&other);
	stage_close(&stage);
}

static void a_certificate_that_has_ended_is_refused(void **state)
{
	struct stage stage;
	(void)state;
	stage_open(&stage, "DNS:a.example", -60, "a.example", TLS1_3_VERSION);
	assert_int_equal(shake_hands(&stage), -EKEYREJECTED);
	assert_string_equal(tls_why(stage.session),
			    "the server's certificate is refused: certificate has expired");
	stage_close(&stage);
}

static void an_old_version_is_refused(void **state)
{
	struct stage stage;
	(void)state;
	stage_open(&stage, "DNS:a.example", DAY_S, "a.example", TLS1_1_VERSION);
	assert_int_equal(shake_hands(&stage), -EPROTO);
	assert_non_null(tls_why(stage.session));
	stage_close(&stage);
}

static void what_is_no_tls_is_refused(void **state)
{
	struct stage stage;
	(void)state;
	stage_open(&stage, "DNS:a.example", DAY_S, "a.example", TLS1_3_VERSION);
	assert_int_equal(tls_handshake(stage.session), -EAGAIN);
	assert_int_equal(tls_receive(stage.session, span_text("HTTP/1.1 400 Bad Request\r\n\r\n")),
			 0);
	assert_int_equal(tls_handshake(stage.session), -EPROTO);
	assert_string_equal(tls_why(stage.session), "TLS: wrong version number");
	assert_int_equal(tls_handshake(stage.session), -EPROTO);
	stage_close(&stage);
}

static void a_record_that_was_changed_is_refused(void **state)
{
	struct stage stage;
	char records[1000];
	char got[100];
	(void)state;
	stage_open(&stage, "DNS:a.example", DAY_S, "a.example", TLS1_3_VERSION);
	assert_int_equal(shake_hands(&stage), 0);
	while (cross_from_peer(&stage))
		assert_int_equal(tls_read(stage.session, got, sizeof(got)), -EAGAIN);
	peer_write(&stage.peer, span_text("text"));
	size_t size = peer_records(&stage.peer, records, sizeof(records));
	records[size - 1] ^= 1;
	assert_int_equal(tls_receive(stage.session, span_of(records, size)), 0);
	assert_int_equal(tls_read(stage.session, got, sizeof(got)), -EPROTO);
	assert_int_equal(tls_read(stage.session, got, sizeof(got)), -EPROTO);
	stage_close(&stage);
}

/* Each side ends for itself; bytes after our end still come. */
static void a_goodbye_ends_one_side(void **state)
{
	struct stage stage;
	char got[100];
	(void)state;
	stage_open(&stage, "DNS:a.example", DAY_S, "a.example", TLS1_3_VERSION);
	assert_int_equal(shake_hands(&stage), 0);
	tls_finish(stage.session);
	cross_to_peer(&stage);
	assert_int_equal(peer_read(&stage.peer, got, sizeof(got)), 0);
	assert_true(peer_saw_goodbye(&stage.peer));
	peer_write(&stage.peer, span_text("the rest"));
	SSL_shutdown(stage.peer.ssl);
	assert_read(&stage, "the rest");
	while (cross_from_peer(&stage))
		continue;
	assert_int_equal(tls_read(stage.session, got, sizeof(got)), 0);
	assert_null(tls_why(stage.session));
	stage_close(&stage);
}

static void a_new_key_is_no_event(void **state)
{
	struct stage stage;
	(void)state;
	stage_open(&stage, "DNS:a.example", DAY_S, "a.example", TLS1_3_VERSION);
	assert_int_equal(shake_hands(&stage), 0);
	exchange(&stage);
	assert_true(SSL_key_update(stage.peer.ssl, SSL_KEY_UPDATE_REQUESTED));
	exchange(&stage);
	exchange(&stage);
	stage_close(&stage);
}

static void a_ca_file_must_hold_certificates(void **state)
{
	static const char *const bad[] = {
		"", "no certificate\n",
		"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"};
	(void)state;
	for (size_t i = 0; i < array_count(bad); i++) {
		struct text why = {0};
		struct tls_context *context = NULL;
		assert_int_equal(tls_context_open(span_text(bad[i]), &why, &context), -EINVAL);
		assert_true(why.size > 0);
		assert_null(context);
		text_fini(&why);
	}
}

static void a_ca_file_may_hold_many_certificates(void **state)
{
	struct peer_identity first = peer_identity_new(NULL, NULL, DAY_S);
	struct peer_identity second = peer_identity_new(NULL, NULL, DAY_S);
	struct text bundle = {0};
	struct stage stage;
	(void)state;
	stage_open(&stage, "DNS:a.example", DAY_S, "a.example", TLS1_3_VERSION);
	char *pems[] = {peer_pem(&first), peer_pem(&second)};
	text_printf(&bundle, "# the first\n%s\n# the second\n%s", pems[0], pems[1]);
	struct peer_identity server = peer_identity_new(&second, "DNS:a.example", DAY_S);
	tls_session_close(stage.session);
	tls_context_close(stage.context);
	peer_close(&stage.peer);
	assert_int_equal(tls_context_open(text_span(&bundle), NULL, &stage.context), 0);
	assert_int_equal(tls_session_open(stage.context, "a.example", &stage.session), 0);
	stage.peer = peer_open(&server, TLS1_3_VERSION);
	assert_int_equal(shake_hands(&stage), 0);
	text_fini(&bundle);
	free(pems[0]);
	free(pems[1]);
	peer_identity_free(&first);
	peer_identity_free(&second);
	peer_identity_free(&server);
	stage_close(&stage);
}

static void a_session_outlives_its_context(void **state)
{
	struct stage stage;
	(void)state;
	stage_open(&stage, "DNS:a.example", DAY_S, "a.example", TLS1_3_VERSION);
	tls_context_close(stage.context);
	stage.context = NULL;
	assert_int_equal(shake_hands(&stage), 0);
	exchange(&stage);
	stage_close(&stage);
}

static void a_failed_allocation_is_told(void **state)
{
	struct stage stage;
	struct text why = {0};
	struct tls_context *context;
	struct tls_session *session;
	(void)state;
	stage_open(&stage, "DNS:a.example", DAY_S, "a.example", TLS1_3_VERSION);
	char *pem = peer_pem(&stage.ca);
	mem_fail_nth(1);
	assert_int_equal(tls_context_open(span_text(pem), &why, &context), -ENOMEM);
	mem_fail_nth(1);
	assert_int_equal(tls_session_open(stage.context, "a", &session), -ENOMEM);
	mem_fail_nth(0);
	assert_int_equal(tls_session_open(stage.context, "", &session), -EINVAL);
	free(pem);
	stage_close(&stage);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_sides_hear_each_other),
		cmocka_unit_test(a_certificate_must_be_for_the_name),
		cmocka_unit_test(a_name_is_sent_and_an_address_is_not),
		cmocka_unit_test(a_certificate_of_another_ca_is_refused),
		cmocka_unit_test(a_certificate_that_has_ended_is_refused),
		cmocka_unit_test(an_old_version_is_refused),
		cmocka_unit_test(what_is_no_tls_is_refused),
		cmocka_unit_test(a_record_that_was_changed_is_refused),
		cmocka_unit_test(a_goodbye_ends_one_side),
		cmocka_unit_test(a_new_key_is_no_event),
		cmocka_unit_test(a_ca_file_must_hold_certificates),
		cmocka_unit_test(a_ca_file_may_hold_many_certificates),
		cmocka_unit_test(a_session_outlives_its_context),
		cmocka_unit_test(a_failed_allocation_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
