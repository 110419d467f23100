// SPDX-License-Identifier: BSD-3-Clause
// Certificates for tests, made while the test runs. Files are in memory and have names below /proc,
// so nothing is left behind.
#ifndef UNDERGO_TESTS_TLS_CERTS_H
#define UNDERGO_TESTS_TLS_CERTS_H

#include <openssl/x509.h>
#include <stdbool.h>

typedef char PemName[48]; // other processes may open it while this one lives

// An authority. Its file has the certificate alone.
typedef struct Ca {
	EVP_PKEY *key;
	X509 *cert;
	PemName file;
} Ca;

void ca_make(Ca *ca, const char *name);

typedef struct Leaf {
	const char *name; // of the subject
	const char *san;  // NULL, or for whom it is, as OpenSSL writes it: "DNS:x.org,IP:127.0.0.1"
	bool expired;
} Leaf;

// Makes a certificate and its key, both in one file; signed by itself when ca is NULL.
void leaf_make(const Ca *ca, const Leaf *leaf, PemName file);

#endif
