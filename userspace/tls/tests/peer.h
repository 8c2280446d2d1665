/*
 * The other end of a TLS session in tests: an OpenSSL server over memory, and certificates made on
 * the spot. Not through base/mem, so that tests may let allocations fail.
 */
#ifndef TLS_TESTS_PEER_H
#define TLS_TESTS_PEER_H

#include <assert.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "base/span.h"

/* A key with a certificate, signed by another one or by itself. */
struct peer_identity {
	EVP_PKEY *key;
	X509 *certificate;
};

static inline void peer_extend(X509 *certificate, X509 *issuer, int id, const char *value)
{
	X509V3_CTX place;
	X509V3_set_ctx_nodb(&place);
	X509V3_set_ctx(&place, issuer, certificate, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &place, id, value);
	assert(extension);
	X509_add_ext(certificate, extension, -1);
	X509_EXTENSION_free(extension);
}

/* `issuer` NULL: a CA. `names` is a subjectAltName, "DNS:a,IP:10.0.0.1". Valid from an hour ago. */
static inline struct peer_identity peer_identity_new(const struct peer_identity *issuer,
						     const char *names, long valid_s)
{
	struct peer_identity made = {.key = EVP_EC_gen("P-256"), .certificate = X509_new()};
	static long serial;
	char name[32];
	X509 *certificate = made.certificate;
	const struct peer_identity *signer = issuer ? issuer : &made;
	assert(made.key && certificate);
	X509_set_version(certificate, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
	X509_gmtime_adj(X509_getm_notAfter(certificate), valid_s);
	X509_set_pubkey(certificate, made.key);
	snprintf(name, sizeof(name), "%s %ld", issuer ? "server" : "test CA", serial);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
				   (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(certificate, X509_get_subject_name(signer->certificate));
	peer_extend(certificate, signer->certificate, NID_basic_constraints,
		    issuer ? "critical,CA:FALSE" : "critical,CA:TRUE");
	if (issuer)
		peer_extend(certificate, signer->certificate, NID_subject_alt_name, names);
	int size = X509_sign(certificate, signer->key, EVP_sha256());
	assert(size > 0);
	(void)size;
	return made;
}

static inline void peer_identity_free(struct peer_identity *identity)
{
	EVP_PKEY_free(identity->key);
	X509_free(identity->certificate);
}

/* To be freed. */
static inline char *peer_pem(const struct peer_identity *identity)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data;
	PEM_write_bio_X509(bio, identity->certificate);
	long size = BIO_get_mem_data(bio, &data);
	char *copy = calloc(1, (size_t)size + 1);
	assert_non_null(copy);
	memcpy(copy, data, (size_t)size);
	BIO_free(bio);
	return copy;
}

struct peer {
	SSL_CTX *context;
	SSL *ssl;
	BIO *in;
	BIO *out;
};

static inline struct peer peer_open(const struct peer_identity *identity, int version_most)
{
	struct peer peer = {.context = SSL_CTX_new(TLS_server_method()),
			    .in = BIO_new(BIO_s_mem()),
			    .out = BIO_new(BIO_s_mem())};
	SSL_CTX_use_certificate(peer.context, identity->certificate);
	SSL_CTX_use_PrivateKey(peer.context, identity->key);
	SSL_CTX_set_min_proto_version(peer.context, TLS1_VERSION);
	SSL_CTX_set_max_proto_version(peer.context, version_most);
	SSL_CTX_set_security_level(peer.context, 0); /* old versions, to be refused */
	peer.ssl = SSL_new(peer.context);
	SSL_set_bio(peer.ssl, peer.in, peer.out);
	SSL_set_accept_state(peer.ssl);
	return peer;
}

static inline void peer_close(struct peer *peer)
{
	SSL_free(peer->ssl);
	SSL_CTX_free(peer->context);
}

/* Takes records and goes on with the handshake; the rest waits for peer_read. */
static inline void peer_receive(struct peer *peer, struct span records)
{
	if (records.size)
		BIO_write(peer->in, records.data, (int)records.size);
	if (!SSL_is_init_finished(peer->ssl))
		SSL_do_handshake(peer->ssl);
}

/* Plain bytes; 0 = none now, or no more. */
static inline size_t peer_read(struct peer *peer, char *memory, size_t size)
{
	int got = SSL_read(peer->ssl, memory, (int)size);
	return got > 0 ? (size_t)got : 0;
}

static inline void peer_write(struct peer *peer, struct span bytes)
{
	int sent = SSL_write(peer->ssl, bytes.data, (int)bytes.size);
	assert(sent == (int)bytes.size);
	(void)sent;
}

/* Takes up to `most` bytes of the records that it wants to send. */
static inline size_t peer_records(struct peer *peer, char *memory, size_t most)
{
	int size = BIO_read(peer->out, memory, (int)most);
	return size > 0 ? (size_t)size : 0;
}

static inline bool peer_is_ready(const struct peer *peer)
{
	return SSL_is_init_finished(peer->ssl);
}

/* The client has said goodbye (close_notify). */
static inline bool peer_saw_goodbye(const struct peer *peer)
{
	return SSL_get_shutdown(peer->ssl) & SSL_RECEIVED_SHUTDOWN;
}

#endif
