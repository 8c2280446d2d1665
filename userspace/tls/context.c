#include "tls/context.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "tls/inside.h"

/* Adds every certificate of the text; how many, or -errno. */
static int trust(SSL_CTX *ssl, struct span pem)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ssl);
	BIO *bio = pem.size <= INT_MAX ? BIO_new_mem_buf(pem.data, (int)pem.size) : NULL;
	int count = 0;
	X509 *certificate;
	if (!bio)
		return -ENOMEM;
	while (count >= 0 && (certificate = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL))) {
		count = X509_STORE_add_cert(store, certificate) ? count + 1 : -ENOMEM;
		X509_free(certificate);
	}
	/* What ended the loop: the text's end, or something in it that is no certificate. */
	unsigned long error = ERR_peek_last_error();
	bool is_end =
		ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
	ERR_clear_error();
	BIO_free(bio);
	return count >= 0 && !is_end ? -EINVAL : count;
}

static SSL_CTX *client_new(void)
{
	SSL_CTX *ssl = SSL_CTX_new(TLS_client_method());
	if (!ssl)
		return NULL;
	SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	/* An idle connection gives its record buffers back. */
	SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
	if (!SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION)) {
		SSL_CTX_free(ssl);
		return NULL;
	}
	return ssl;
}

int tls_context_open(struct span ca_pem, struct text *why, struct tls_context **ret_context)
{
	struct tls_context *context = mem_alloc(sizeof(*context));
	SSL_CTX *ssl = context ? client_new() : NULL;
	int count = ssl ? trust(ssl, ca_pem) : -ENOMEM;
	if (count > 0) {
		context->ssl = ssl;
		*ret_context = context;
		return 0;
	}
	if (count != -ENOMEM)
		text_printf(why, "CA: %s\n",
			    count ? "a certificate cannot be read" : "no certificate in it");
	SSL_CTX_free(ssl);
	mem_free(context);
	return count == -ENOMEM ? -ENOMEM : -EINVAL;
}

void tls_context_close(struct tls_context *context)
{
	if (!context)
		return;
	SSL_CTX_free(context->ssl);
	mem_free(context);
}
