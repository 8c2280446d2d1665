#include "stage.h"

#include <errno.h>

#include "tls/tests/peer.h"

#define DAY_S      86400
#define BULK_BYTES 1000000

/* A wire that dials a TLS server, and the server behind its socket. */
struct scene {
	struct stage stage;
	struct owner owner;
	struct weft_address address;
	struct sockaddr_storage sockaddr;
	struct peer_identity ca;
	struct peer_identity identity;
	struct tls_context *context;
	struct io_peer *socket; /* the server's end; NULL until it is reached */
	struct peer server;
	char *heard; /* plain bytes from the wire */
	size_t heard_size;
};

static struct tls_session *session_for(struct scene *scene, const char *name)
{
	struct tls_session *session;
	assert_int_equal(tls_session_open(scene->context, name, &session), 0);
	return session;
}

static void scene_open(struct scene *scene, uint64_t seed)
{
	struct text why = {0};
	*scene = (struct scene){0};
	stage_open(&scene->stage);
	io_double_seed(seed);
	scene->ca = peer_identity_new(NULL, NULL, DAY_S);
	scene->identity = peer_identity_new(&scene->ca, "DNS:a.example", DAY_S);
	scene->server = peer_open(&scene->identity, TLS1_3_VERSION);
	scene->heard = malloc(2 * BULK_BYTES);
	assert_non_null(scene->heard);
	char *pem = peer_pem(&scene->ca);
	assert_int_equal(tls_context_open(span_text(pem), &why, &scene->context), 0);
	free(pem);
	assert_int_equal(address_parse(span_text("10.96.0.1:443"), &scene->address), 0);
	address_to_sockaddr(&scene->address, &scene->sockaddr);
	io_double_address(&scene->address, IO_DOUBLE_ACCEPTS, NS_PER_MS);
	owner_init(&scene->owner, &scene->stage);
}

static void scene_dial(struct scene *scene, const char *name)
{
	struct wire *wire = &scene->owner.wire;
	int fd = io_socket(scene->stage.ring, AF_INET, 30);
	assert_int_equal(wire_encrypt(wire, session_for(scene, name)), 0);
	owner_calls(&scene->owner,
		    wire_dial(wire, fd, &scene->sockaddr, sizeof(struct sockaddr_in)));
	owner_calls(&scene->owner, wire_read_start(wire));
	io_double_run(scene->stage.ring, 2 * NS_PER_MS);
	scene->socket = io_double_reached(&scene->address);
	assert_non_null(scene->socket);
}

/* Not the owner: it has ended. */
static void scene_close(struct scene *scene)
{
	owner_fini(&scene->owner);
	tls_context_close(scene->context);
	peer_close(&scene->server);
	peer_identity_free(&scene->identity);
	peer_identity_free(&scene->ca);
	free(scene->heard);
	stage_close(&scene->stage);
}

static void scene_abort(struct scene *scene)
{
	owner_calls(&scene->owner, wire_abort(&scene->owner.wire));
	io_double_settle(scene->stage.ring);
	scene_close(scene);
}

/* What the wire has sent goes to the server. */
static void server_hears(struct scene *scene)
{
	peer_receive(&scene->server, io_peer_received(scene->socket));
	io_peer_forget(scene->socket);
	while (peer_is_ready(&scene->server) && scene->heard_size < 2 * BULK_BYTES) {
		size_t size = peer_read(&scene->server, scene->heard + scene->heard_size,
					2 * BULK_BYTES - scene->heard_size);
		if (!size)
			break;
		scene->heard_size += size;
	}
}

static bool server_sends(struct scene *scene)
{
	static char records[2 * BULK_BYTES];
	size_t size = peer_records(&scene->server, records, sizeof(records));
	if (size)
		io_peer_send(scene->socket, span_of(records, size));
	io_double_settle(scene->stage.ring);
	return size > 0 || io_peer_received(scene->socket).size > 0;
}

/* Both sides, until neither has anything to say. */
static void both_speak(struct scene *scene)
{
	io_double_settle(scene->stage.ring);
	do
		server_hears(scene);
	while (server_sends(scene));
}

static void assert_heard(const struct scene *scene, const char *text)
{
	assert_span(span_of(scene->heard, scene->heard_size), span_text(text));
}

static void both_sides_hear_plain_bytes(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 10; seed++) {
		struct scene scene;
		scene_open(&scene, seed);
		scene_dial(&scene, "a.example");
		io_peer_pieces(scene.socket, 1 + seed * 30);
		both_speak(&scene);
		assert_string_equal(scene.owner.log, "c");
		write_text(&scene.owner, "a question");
		both_speak(&scene);
		assert_heard(&scene, "a question");
		peer_write(&scene.server, span_text("an answer"));
		both_speak(&scene);
		assert_got(&scene.owner, "an answer");
		assert_string_equal(scene.owner.log, "cwd");
		assert_int_equal(scene.owner.wire.bytes_received, 9);
		assert_int_equal(scene.owner.wire.bytes_sent, 10);
		assert_null(wire_tls_why(&scene.owner.wire));
		scene_abort(&scene);
	}
}

static void nothing_is_sent_in_the_clear(void **state)
{
	struct scene scene;
	(void)state;
	scene_open(&scene, 0);
	write_text(&scene.owner, "a secret");
	scene_dial(&scene, "a.example");
	assert_false(wire_is_open(&scene.owner.wire));
	for (int i = 0; i < 5; i++) {
		struct span sent = io_peer_received(scene.socket);
		assert_null(memmem(sent.data, sent.size, "secret", 6));
		server_hears(&scene);
		server_sends(&scene);
	}
	assert_true(wire_is_open(&scene.owner.wire));
	assert_heard(&scene, "a secret");
	scene_abort(&scene);
}

static void a_refused_certificate_is_a_failed_dial(void **state)
{
	struct scene scene;
	struct owner next;
	(void)state;
	scene_open(&scene, 0);
	write_text(&scene.owner, "for somebody else");
	scene_dial(&scene, "b.example");
	both_speak(&scene);
	assert_string_equal(scene.owner.log, "f");
	assert_int_equal(scene.owner.error, -EKEYREJECTED);
	assert_string_equal(wire_tls_why(&scene.owner.wire),
			    "the server's certificate is refused: hostname mismatch");
	struct io_peer *other = owner_adopt(&next, &scene.stage);
	wire_move_queue(&scene.owner.wire, &next.wire);
	io_double_settle(scene.stage.ring);
	assert_peer_got(other, "for somebody else");
	assert_heard(&scene, "");
	owner_abort(&next, &scene.stage);
	scene_abort(&scene);
}

static void a_peer_that_breaks_the_handshake_off_is_a_failed_dial(void **state)
{
	(void)state;
	for (int how = 0; how < 3; how++) {
		struct scene scene;
		scene_open(&scene, 0);
		scene_dial(&scene, "a.example");
		if (how == 0)
			io_peer_finish(scene.socket);
		else if (how == 1)
			io_peer_reset(scene.socket);
		else
			io_peer_send(scene.socket, span_text("HTTP/1.1 400 Bad Request\r\n\r\n"));
		io_double_settle(scene.stage.ring);
		assert_string_equal(scene.owner.log, "f");
		assert_int_equal(scene.owner.error, how == 2 ? -EPROTO : -ECONNRESET);
		scene_abort(&scene);
	}
}

/* The owner leaves after each of the handshake's steps. */
static void a_handshake_may_be_aborted(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 10; seed++) {
		for (int steps = 0; steps < 4; steps++) {
			struct scene scene;
			scene_open(&scene, seed);
			write_text(&scene.owner, "queued");
			scene_dial(&scene, "a.example");
			for (int i = 0; i < steps; i++) {
				server_hears(&scene);
				server_sends(&scene);
			}
			owner_calls(&scene.owner, seed % 2 ? wire_abort(&scene.owner.wire)
							   : wire_close(&scene.owner.wire));
			io_double_run(scene.stage.ring, 31 * NS_PER_S);
			scene_close(&scene);
		}
	}
}

static void a_goodbye_is_an_eof(void **state)
{
	struct scene scene;
	(void)state;
	scene_open(&scene, 0);
	scene_dial(&scene, "a.example");
	both_speak(&scene);
	peer_write(&scene.server, span_text("the last words"));
	SSL_shutdown(scene.server.ssl);
	both_speak(&scene);
	assert_got(&scene.owner, "the last words");
	assert_string_equal(scene.owner.log, "cde");
	write_text(&scene.owner, "to be sure");
	both_speak(&scene);
	assert_string_equal(scene.owner.log, "cdew");
	scene_abort(&scene);
}

static void an_end_without_goodbye_is_a_failure(void **state)
{
	struct scene scene;
	(void)state;
	scene_open(&scene, 0);
	scene_dial(&scene, "a.example");
	both_speak(&scene);
	peer_write(&scene.server, span_text("half a sent"));
	both_speak(&scene);
	io_peer_finish(scene.socket);
	io_double_settle(scene.stage.ring);
	assert_got(&scene.owner, "half a sent");
	assert_string_equal(scene.owner.log, "cdf");
	assert_int_equal(scene.owner.error, -ECONNRESET);
	scene_abort(&scene);
}

static void a_changed_record_is_a_failure(void **state)
{
	struct scene scene;
	(void)state;
	scene_open(&scene, 0);
	scene_dial(&scene, "a.example");
	both_speak(&scene);
	io_peer_send(scene.socket, span_of("\x17\x03\x03\x00\x13this is no record..", 24));
	io_double_settle(scene.stage.ring);
	assert_string_equal(scene.owner.log, "cf");
	assert_int_equal(scene.owner.error, -EPROTO);
	assert_non_null(wire_tls_why(&scene.owner.wire));
	scene_abort(&scene);
}

static void a_half_close_says_goodbye_and_reads_on(void **state)
{
	struct scene scene;
	(void)state;
	scene_open(&scene, 0);
	scene_dial(&scene, "a.example");
	write_text(&scene.owner, "that is all");
	owner_calls(&scene.owner, wire_finish(&scene.owner.wire));
	both_speak(&scene);
	assert_heard(&scene, "that is all");
	assert_true(peer_saw_goodbye(&scene.server));
	assert_true(io_peer_saw_fin(scene.socket));
	peer_write(&scene.server, span_text("an answer"));
	both_speak(&scene);
	assert_got(&scene.owner, "an answer");
	scene_abort(&scene);
}

static void closing_sends_the_rest_and_a_goodbye(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 10; seed++) {
		struct scene scene;
		scene_open(&scene, seed);
		scene_dial(&scene, "a.example");
		both_speak(&scene);
		char *bytes = pattern(BULK_BYTES);
		owner_calls(&scene.owner,
			    assert_int_equal(
				    wire_write(&scene.owner.wire, span_of(bytes, BULK_BYTES)), 0));
		owner_calls(&scene.owner, seed % 2 ? wire_close(&scene.owner.wire)
						   : wire_close_lingering(&scene.owner.wire));
		both_speak(&scene);
		assert_span(span_of(scene.heard, scene.heard_size), span_of(bytes, BULK_BYTES));
		assert_true(peer_saw_goodbye(&scene.server));
		free(bytes);
		io_double_run(scene.stage.ring, 2 * NS_PER_S);
		scene_close(&scene);
	}
}

static void a_paused_wire_keeps_what_arrives(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 20; seed++) {
		struct scene scene;
		scene_open(&scene, seed);
		scene_dial(&scene, "a.example");
		both_speak(&scene);
		scene.owner.pauses = true;
		for (int i = 0; i < 8; i++)
			peer_write(&scene.server, span_text("piece "));
		SSL_shutdown(scene.server.ssl);
		both_speak(&scene);
		unsigned deliveries = scene.owner.deliveries;
		assert_int_equal(deliveries, 1);
		while (scene.owner.log[scene.owner.log_size - 1] != 'e') {
			owner_calls(&scene.owner, wire_read_start(&scene.owner.wire));
			io_double_settle(scene.stage.ring);
			assert_in_range(scene.owner.deliveries, deliveries, deliveries + 1);
			deliveries = scene.owner.deliveries;
		}
		assert_got(&scene.owner, "piece piece piece piece piece piece piece piece ");
		assert_string_equal(scene.owner.log, "cde");
		scene_abort(&scene);
	}
}

/* A record of 16 KiB has to be there before the owner hears of it and pauses. */
static void a_paused_wire_receives_no_more_than_is_under_way(void **state)
{
	struct scene scene;
	(void)state;
	scene_open(&scene, 0);
	scene_dial(&scene, "a.example");
	both_speak(&scene);
	scene.owner.pauses = true;
	char *bytes = pattern(BULK_BYTES);
	peer_write(&scene.server, span_of(bytes, BULK_BYTES));
	server_sends(&scene);
	assert_in_range(io_peer_unreceived(scene.socket), BULK_BYTES - 100000, BULK_BYTES + 65536);
	free(bytes);
	scene_abort(&scene);
}

static void bulk_arrives_whole_both_ways(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 4; seed++) {
		struct scene scene;
		scene_open(&scene, seed);
		scene_dial(&scene, "a.example");
		scene.owner.takes_blocks = seed % 2;
		char *bytes = pattern(BULK_BYTES);
		owner_calls(&scene.owner,
			    assert_int_equal(
				    wire_write(&scene.owner.wire, span_of(bytes, BULK_BYTES)), 0));
		both_speak(&scene);
		peer_write(&scene.server, span_of(bytes, BULK_BYTES));
		both_speak(&scene);
		assert_span(span_of(scene.owner.bytes, scene.owner.size),
			    span_of(bytes, BULK_BYTES));
		assert_span(span_of(scene.heard, scene.heard_size), span_of(bytes, BULK_BYTES));
		assert_true(scene.owner.blocks_seen > 0);
		free(bytes);
		scene_abort(&scene);
	}
}

/* What is encrypted ahead of a peer that does not read has a limit. */
static void little_is_encrypted_ahead(void **state)
{
	struct scene scene;
	(void)state;
	scene_open(&scene, 0);
	scene_dial(&scene, "a.example");
	both_speak(&scene);
	char *bytes = pattern(BULK_BYTES);
	io_peer_window(scene.socket, 1000);
	owner_calls(&scene.owner,
		    assert_int_equal(wire_write(&scene.owner.wire, span_of(bytes, BULK_BYTES)), 0));
	io_double_settle(scene.stage.ring);
	assert_true(wire_queued(&scene.owner.wire) > BULK_BYTES - 300000);
	assert_null(strchr(scene.owner.log, 'w'));
	io_peer_window(scene.socket, UINT64_MAX);
	both_speak(&scene);
	assert_span(span_of(scene.heard, scene.heard_size), span_of(bytes, BULK_BYTES));
	assert_string_equal(scene.owner.log, "cw");
	free(bytes);
	scene_abort(&scene);
}

static void a_new_key_is_answered(void **state)
{
	struct scene scene;
	(void)state;
	scene_open(&scene, 0);
	scene_dial(&scene, "a.example");
	both_speak(&scene);
	assert_true(SSL_key_update(scene.server.ssl, SSL_KEY_UPDATE_REQUESTED));
	peer_write(&scene.server, span_text("with a new key"));
	both_speak(&scene);
	assert_got(&scene.owner, "with a new key");
	write_text(&scene.owner, "here too");
	both_speak(&scene);
	assert_heard(&scene, "here too");
	scene_abort(&scene);
}

static void a_failed_allocation_costs_the_wire_at_most(void **state)
{
	bool has_failed = true;
	(void)state;
	for (unsigned long n = 1; has_failed && n < 100; n++) {
		struct scene scene;
		scene_open(&scene, 0);
		stage_forget_free_blocks(&scene.stage);
		struct tls_session *session = session_for(&scene, "a.example");
		mem_fail_nth(n);
		struct wire *wire = &scene.owner.wire;
		if (wire_encrypt(wire, session) == 0) {
			int fd = io_socket(scene.stage.ring, AF_INET, 30);
			wire_dial(wire, fd, &scene.sockaddr, sizeof(struct sockaddr_in));
			wire_read_start(wire);
			(void)!wire_write(wire, span_text("a question"));
			io_double_run(scene.stage.ring, 2 * NS_PER_MS);
			scene.socket = io_double_reached(&scene.address);
			both_speak(&scene);
			if (peer_is_ready(&scene.server))
				peer_write(&scene.server, span_text("an answer"));
			both_speak(&scene);
		}
		has_failed = nth_has_failed(n);
		scene_abort(&scene);
	}
	assert_false(has_failed);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_sides_hear_plain_bytes),
		cmocka_unit_test(nothing_is_sent_in_the_clear),
		cmocka_unit_test(a_refused_certificate_is_a_failed_dial),
		cmocka_unit_test(a_peer_that_breaks_the_handshake_off_is_a_failed_dial),
		cmocka_unit_test(a_handshake_may_be_aborted),
		cmocka_unit_test(a_goodbye_is_an_eof),
		cmocka_unit_test(an_end_without_goodbye_is_a_failure),
		cmocka_unit_test(a_changed_record_is_a_failure),
		cmocka_unit_test(a_half_close_says_goodbye_and_reads_on),
		cmocka_unit_test(closing_sends_the_rest_and_a_goodbye),
		cmocka_unit_test(a_paused_wire_keeps_what_arrives),
		cmocka_unit_test(a_paused_wire_receives_no_more_than_is_under_way),
		cmocka_unit_test(bulk_arrives_whole_both_ways),
		cmocka_unit_test(little_is_encrypted_ahead),
		cmocka_unit_test(a_new_key_is_answered),
		cmocka_unit_test(a_failed_allocation_costs_the_wire_at_most),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
