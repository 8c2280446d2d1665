#include "tls/session.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "tls/inside.h"

struct tls_session {
	SSL *ssl;
	BIO *in;  /* records received; both belong to ssl */
	BIO *out; /* records to send */
	size_t out_taken;
	bool has_failed;
	char why[160];
};

/* ---- errors ---- */

static void say(struct tls_session *session, const char *what, const char *detail)
{
	if (!session->has_failed)
		snprintf(session->why, sizeof(session->why), "%s%s%s", what, detail ? ": " : "",
			 detail ? detail : "");
	session->has_failed = true;
}

static int fail(struct tls_session *session)
{
	long verdict = SSL_get_verify_result(session->ssl);
	unsigned long error = ERR_get_error();
	ERR_clear_error();
	if (verdict != X509_V_OK) {
		say(session, "the server's certificate is refused",
		    X509_verify_cert_error_string(verdict));
		return -EKEYREJECTED;
	}
	say(session, "TLS", error ? ERR_reason_error_string(error) : "protocol error");
	return -EPROTO;
}

/* -EAGAIN when only the peer's bytes are missing. */
static int explain(struct tls_session *session, int result)
{
	switch (SSL_get_error(session->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		return fail(session);
	}
}

const char *tls_why(const struct tls_session *session)
{
	return session->has_failed ? session->why : NULL;
}

/* ---- a session's life ---- */

static bool is_ip(const char *name)
{
	ASN1_OCTET_STRING *ip = a2i_IPADDRESS(name);
	ASN1_OCTET_STRING_free(ip);
	ERR_clear_error();
	return ip != NULL;
}

/* An IP address is never sent as SNI (RFC 6066 3). */
static int expect(SSL *ssl, const char *name)
{
	X509_VERIFY_PARAM *wanted = SSL_get0_param(ssl);
	bool is_set;
	if (is_ip(name))
		is_set = X509_VERIFY_PARAM_set1_ip_asc(wanted, name);
	else
		is_set = *name && SSL_set1_host(ssl, name) && SSL_set_tlsext_host_name(ssl, name);
	X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	ERR_clear_error();
	return is_set ? 0 : -EINVAL;
}

int tls_session_open(struct tls_context *context, const char *server_name,
		     struct tls_session **ret_session)
{
	struct tls_session *session = mem_zalloc(sizeof(*session));
	if (!session)
		return -ENOMEM;
	session->ssl = SSL_new(context->ssl);
	session->in = BIO_new(BIO_s_mem());
	session->out = BIO_new(BIO_s_mem());
	int error = session->ssl && session->in && session->out ? 0 : -ENOMEM;
	if (!error)
		error = expect(session->ssl, server_name);
	if (error) {
		BIO_free(session->in);
		BIO_free(session->out);
		SSL_free(session->ssl);
		mem_free(session);
		return error;
	}
	BIO_set_mem_eof_return(session->in, -1); /* empty means: not yet */
	SSL_set_bio(session->ssl, session->in, session->out);
	SSL_set_connect_state(session->ssl);
	*ret_session = session;
	return 0;
}

void tls_session_close(struct tls_session *session)
{
	if (!session)
		return;
	SSL_free(session->ssl);
	mem_free(session);
}

/* ---- records ---- */

int tls_receive(struct tls_session *session, struct span records)
{
	while (records.size) {
		int size = records.size < INT_MAX ? (int)records.size : INT_MAX;
		int taken = BIO_write(session->in, records.data, size);
		if (taken <= 0) {
			ERR_clear_error();
			say(session, "no memory for received records", NULL);
			return -ENOMEM;
		}
		records = span_of(records.data + taken, records.size - (size_t)taken);
	}
	return 0;
}

struct span tls_outgoing(const struct tls_session *session)
{
	char *data = NULL;
	long size = BIO_get_mem_data(session->out, &data);
	return span_of(data + session->out_taken, (size_t)size - session->out_taken);
}

void tls_sent(struct tls_session *session, size_t size)
{
	session->out_taken += size;
	if (tls_outgoing(session).size)
		return;
	session->out_taken = 0;
	BIO_reset(session->out);
}

/* ---- plain bytes ---- */

int tls_handshake(struct tls_session *session)
{
	if (session->has_failed)
		return -EPROTO;
	ERR_clear_error();
	int result = SSL_do_handshake(session->ssl);
	if (result == 1)
		return 0;
	int error = explain(session, result);
	return error ? error : fail(session); /* close_notify before the end */
}

bool tls_is_ready(const struct tls_session *session)
{
	return !session->has_failed && SSL_is_init_finished(session->ssl);
}

int tls_read(struct tls_session *session, char *memory, size_t size)
{
	if (session->has_failed)
		return -EPROTO;
	ERR_clear_error();
	int result = SSL_read(session->ssl, memory, size < INT_MAX ? (int)size : INT_MAX);
	return result > 0 ? result : explain(session, result);
}

int tls_write(struct tls_session *session, struct span bytes)
{
	assert(bytes.size && bytes.size <= 1u << 30);
	if (session->has_failed)
		return -EPROTO;
	ERR_clear_error();
	/* The memory takes all; what is missing can only be memory. */
	int result = SSL_write(session->ssl, bytes.data, (int)bytes.size);
	if (result == (int)bytes.size)
		return 0;
	int error = explain(session, result);
	if (error == -EPROTO)
		return error;
	say(session, "records cannot be written", NULL);
	return -ENOMEM;
}

void tls_finish(struct tls_session *session)
{
	if (tls_is_ready(session))
		SSL_shutdown(session->ssl);
	ERR_clear_error();
}

const char *tls_version(const struct tls_session *session)
{
	return SSL_get_version(session->ssl);
}
