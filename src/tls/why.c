// SPDX-License-Identifier: BSD-3-Clause
// Why a call of OpenSSL failed: a code, and a text for people.
//
// OpenSSL keeps its errors in a queue for each thread. So whoever calls OpenSSL empties the queue
// before, and asks here right after, with no call of undergo in between: that could go on on
// another thread, and another goroutine on this one.
#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#include "tls_impl.h"

// The first error of the queue is the cause, the others what it led to.
void
tls_openssl_text(char *buf, size_t n)
{
	unsigned long e = ERR_peek_error();
	const char *text = NULL, *data = "";
	int flags = 0;
	ERR_peek_error_all(NULL, NULL, NULL, &data, &flags);
	if (e != 0 && ERR_SYSTEM_ERROR(e))
		text = strerror(ERR_GET_REASON(e));
	else if (e != 0)
		text = ERR_reason_error_string(e);
	if (text == NULL)
		text = e != 0 ? "unknown error of OpenSSL" : "no reason given";
	if ((flags & ERR_TXT_STRING) == 0 || data == NULL || *data == '\0')
		snprintf(buf, n, "%s", text);
	else
		snprintf(buf, n, "%s (%s)", text, data);
	ERR_clear_error();
}

// What OpenSSL adds last, to errors of the certificate's own, a bad signature for instance.
static bool
is_refusal(unsigned long e)
{
	int reason = ERR_GET_REASON(e);
	return ERR_GET_LIB(e) == ERR_LIB_SSL &&
	       (reason == SSL_R_CERTIFICATE_VERIFY_FAILED ||
		reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE);
}

int
tls_failed(go_tls *t)
{
	unsigned long e = ERR_peek_last_error();
	if (t->failure != 0) {
		ERR_clear_error();
		return t->failure;
	}
	if (t->no_memory || ERR_GET_REASON(e) == ERR_R_MALLOC_FAILURE) {
		t->failure = GO_ENOMEM;
		ERR_clear_error();
	} else if (is_refusal(e) && SSL_get_verify_result(t->ssl) != X509_V_OK) {
		t->failure = GO_TLS_EVERIFY;
		snprintf(t->why, sizeof(t->why), "certificate refused: %s",
			 X509_verify_cert_error_string(SSL_get_verify_result(t->ssl)));
		ERR_clear_error();
	} else {
		t->failure = is_refusal(e) ? GO_TLS_EVERIFY : GO_TLS_EPROTOCOL;
		tls_openssl_text(t->why, sizeof(t->why));
	}
	return t->failure;
}

const char *
go_tls_strerror(int code)
{
	switch (code) {
	case GO_TLS_EVERIFY:
		return "certificate refused";
	case GO_TLS_EPROTOCOL:
		return "TLS protocol failure";
	default:
		return go_strerror(code);
	}
}
