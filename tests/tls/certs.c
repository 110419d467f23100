// SPDX-License-Identifier: BSD-3-Clause
// Makes certificates; see certs.h.
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "certs.h"
#include "harness.h"

enum { DAY_S = 24 * 60 * 60 };

static FILE *
file_in_memory(PemName name)
{
	int fd = memfd_create("pem", 0);
	expect(fd >= 0);
	snprintf(name, sizeof(PemName), "/proc/%d/fd/%d", (int)getpid(), fd);
	FILE *f = fdopen(dup(fd), "w");
	expect(f != NULL);
	return f;
}

static void
extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	expect(e != NULL);
	expect(X509_add_ext(cert, e, -1) == 1);
	X509_EXTENSION_free(e);
}

static X509 *
blank(EVP_PKEY *key, const char *name, long from_s, long to_s)
{
	static long serial;
	X509 *cert = X509_new();
	expect(cert != NULL);
	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), ++serial);
	X509_gmtime_adj(X509_getm_notBefore(cert), from_s);
	X509_gmtime_adj(X509_getm_notAfter(cert), to_s);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
				   (const unsigned char *)name, -1, -1, 0);
	expect(X509_set_pubkey(cert, key) == 1);
	return cert;
}

static void
sign(X509 *cert, X509 *issuer, EVP_PKEY *key)
{
	expect(X509_set_issuer_name(cert, X509_get_subject_name(issuer)) == 1);
	expect(X509_sign(cert, key, EVP_sha256()) > 0);
}

void
ca_make(Ca *ca, const char *name)
{
	ca->key = EVP_EC_gen("P-256");
	expect(ca->key != NULL);
	ca->cert = blank(ca->key, name, -DAY_S, DAY_S);
	extend(ca->cert, ca->cert, NID_basic_constraints, "critical,CA:TRUE");
	extend(ca->cert, ca->cert, NID_key_usage, "critical,keyCertSign,cRLSign");
	sign(ca->cert, ca->cert, ca->key);
	FILE *f = file_in_memory(ca->file);
	expect(PEM_write_X509(f, ca->cert) == 1);
	fclose(f);
}

void
leaf_make(const Ca *ca, const Leaf *leaf, PemName file)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	expect(key != NULL);
	X509 *cert = blank(key, leaf->name, -2 * DAY_S, leaf->expired ? -DAY_S : DAY_S);
	X509 *issuer = ca != NULL ? ca->cert : cert;
	if (leaf->san != NULL)
		extend(cert, issuer, NID_subject_alt_name, leaf->san);
	sign(cert, issuer, ca != NULL ? ca->key : key);
	FILE *f = file_in_memory(file);
	expect(PEM_write_X509(f, cert) == 1);
	expect(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1);
	fclose(f);
	X509_free(cert);
	EVP_PKEY_free(key);
}
