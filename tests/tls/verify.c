// SPDX-License-Identifier: BSD-3-Clause
// undergo/tls.h: whom a client, or a server, believes, and what is refused before anybody talks.
#include "pair.h"

// A client that trusts the_ca meets a server with the certificate in file.
static int
meet(const char *file, const char *name, char *why, size_t n)
{
	int server;
	go_tls_options s = {.cert_file = file};
	Pair p = pair_of(client_config(), config_of(&s), name);
	int err = pair_shake(&p, &server);
	snprintf(why, n, "%s", go_tls_why(p.client));
	if (err != 0) {
		char c;
		expect(server != 0); // it was told, or has found the stream ended
		expect_eq(go_tls_write(p.client, "secret", 6), GO_ECLOSED);
		expect_eq(go_tls_read(p.server, &c, 1) > 0, 0);
	}
	pair_free(&p);
	return err;
}

static void
refused(const char *file, const char *name, const char *because)
{
	char why[200];
	expect_eq(meet(file, name, why, sizeof(why)), GO_TLS_EVERIFY);
	expect_str(why, because);
}

GO_TEST(tls_wrong_name_refused, 0)
{
	PemName file;
	refused(localhost_file(), "example.org", "certificate refused: hostname mismatch");
	refused(localhost_file(), "127.0.0.2", "certificate refused: IP address mismatch");
	// A name counts where names for hosts stand, and nowhere else.
	leaf_make(the_ca(), &(Leaf){"localhost", NULL, false}, file);
	refused(file, "localhost", "certificate refused: hostname mismatch");
	leaf_make(the_ca(), &(Leaf){"x", "DNS:127.0.0.1", false}, file);
	refused(file, "127.0.0.1", "certificate refused: IP address mismatch");
	leaf_make(the_ca(), &(Leaf){"x", "DNS:*.example.org", false}, file);
	refused(file, "example.org", "certificate refused: hostname mismatch");
	refused(file, "a.b.example.org", "certificate refused: hostname mismatch");
}

GO_TEST(tls_address_accepted, 0)
{
	char why[100];
	PemName file;
	expect_eq(meet(localhost_file(), "127.0.0.1", why, sizeof(why)), 0);
	leaf_make(the_ca(), &(Leaf){"x", "IP:::1,DNS:*.example.org", false}, file);
	expect_eq(meet(file, "::1", why, sizeof(why)), 0);
	expect_eq(meet(file, "a.example.org", why, sizeof(why)), 0);
}

static int
meet_by_default(const char *file, bool insecure, char *why, size_t n)
{
	int server;
	go_tls_options c = {.insecure = insecure}, s = {.cert_file = file};
	Pair p = pair_of(config_of(&c), config_of(&s), insecure ? NULL : "localhost");
	int err = pair_shake(&p, &server);
	snprintf(why, n, "%s", go_tls_why(p.client));
	pair_free(&p);
	return err;
}

// With the system's store.
GO_TEST(tls_self_signed_refused, 0)
{
	PemName file;
	char why[200];
	leaf_make(NULL, &(Leaf){"x", "DNS:localhost", false}, file);
	expect_eq(meet_by_default(file, false, why, sizeof(why)), GO_TLS_EVERIFY);
	expect_str(why, "certificate refused: self-signed certificate");
	refused(file, "localhost", "certificate refused: self-signed certificate");
}

GO_TEST(tls_unknown_signer_refused, 0)
{
	Ca other;
	PemName file;
	char why[200];
	ca_make(&other, "somebody else");
	leaf_make(&other, &(Leaf){"x", "DNS:localhost", false}, file);
	refused(file, "localhost", "certificate refused: unable to get local issuer certificate");
	expect_eq(meet_by_default(localhost_file(), false, why, sizeof(why)), GO_TLS_EVERIFY);
	ca_make(&other, "the authority"); // of the same name, with another key
	leaf_make(&other, &(Leaf){"x", "DNS:localhost", false}, file);
	expect_eq(meet(file, "localhost", why, sizeof(why)), GO_TLS_EVERIFY);
}

GO_TEST(tls_expired_refused, 0)
{
	PemName file;
	leaf_make(the_ca(), &(Leaf){"x", "DNS:localhost", true}, file);
	refused(file, "localhost", "certificate refused: certificate has expired");
}

GO_TEST(tls_insecure_takes_all, 0)
{
	PemName file;
	char why[200];
	leaf_make(NULL, &(Leaf){"x", NULL, true}, file);
	expect_eq(meet_by_default(file, true, why, sizeof(why)), 0);
}

// --- clients ------------------------------------------------------------------------------------

// What a server that wants certificates of clients makes of one with cert, or with none.
static int
be_client(const char *cert, int clients, char *peer, size_t n)
{
	char c;
	int server;
	go_tls_options co = {.ca_file = the_ca()->file, .cert_file = cert};
	go_tls_options so = {.cert_file = localhost_file(), .ca_file = the_ca()->file,
			     .clients = clients};
	Pair p = pair_of(config_of(&co), config_of(&so), "localhost");
	expect_eq(pair_shake(&p, &server), 0); // a client hears of it later
	go_tls_peer(p.server, peer, n);
	if (server == 0)
		expect_eq(go_tls_write(p.server, "x", 1), 1);
	int64_t got = go_tls_read(p.client, &c, 1);
	expect_eq(got, server == 0 ? 1 : GO_TLS_EPROTOCOL);
	pair_free(&p);
	return server;
}

GO_TEST(tls_client_certificate, 0)
{
	Ca other;
	PemName good, bad;
	char peer[100];
	ca_make(&other, "somebody else");
	leaf_make(the_ca(), &(Leaf){"the client", NULL, false}, good);
	leaf_make(&other, &(Leaf){"the client", NULL, false}, bad);
	expect_eq(be_client(good, GO_TLS_REQUIRE, peer, sizeof(peer)), 0);
	expect_str(peer, "CN=the client");
	expect_eq(be_client(good, GO_TLS_ASK, peer, sizeof(peer)), 0);
	expect_str(peer, "CN=the client");
	expect_eq(be_client(NULL, GO_TLS_ASK, peer, sizeof(peer)), 0);
	expect_str(peer, "");
	expect_eq(be_client(good, GO_TLS_ANYBODY, peer, sizeof(peer)), 0);
	expect_str(peer, "");
	expect_eq(be_client(NULL, GO_TLS_REQUIRE, peer, sizeof(peer)), GO_TLS_EVERIFY);
	expect_eq(be_client(bad, GO_TLS_REQUIRE, peer, sizeof(peer)), GO_TLS_EVERIFY);
	expect_eq(be_client(bad, GO_TLS_ASK, peer, sizeof(peer)), GO_TLS_EVERIFY);
}

// --- nobody to talk to --------------------------------------------------------------------------

GO_TEST(tls_no_tls_is_told, 0)
{
	go_fd ends[2];
	char buf[64];
	Pair p = good_pair();
	expect_eq(go_write(go_tls_fd(p.client), "GET / HTTP/1.1\r\n\r\n", 18), 18);
	expect_eq(go_tls_handshake(p.server), GO_TLS_EPROTOCOL);
	expect_str(go_tls_why(p.server), "http request");
	expect_eq(go_tls_handshake(p.server), GO_TLS_EPROTOCOL);
	expect_eq(go_tls_write(p.server, "x", 1), GO_TLS_EPROTOCOL);
	expect_eq(go_tls_close_write(p.server), GO_TLS_EPROTOCOL);
	pair_free(&p);
	streams(ends);
	go_tls_config *c = client_config();
	expect_eq(go_tls_client(&p.client, c, ends[0], "localhost"), 0);
	expect_eq(go_write(ends[1], "SSH-2.0-x\r\n", 11), 11);
	expect_eq(go_tls_handshake(p.client), GO_TLS_EPROTOCOL);
	expect_str(go_tls_why(p.client), "wrong version number");
	expect(go_read(ends[1], buf, sizeof(buf)) > 0);
	go_tls_free(p.client);
	go_tls_config_free(c);
	go_close(ends[1]);
}

static void
bad_options(go_tls_options o, const char *reason)
{
	char why[200] = "";
	expect(go_tls_config_new(&o, why, sizeof(why)) == NULL);
	if (strncmp(why, reason, strlen(reason)) != 0)
		expect_str(why, reason);
}

GO_TEST(tls_options_refused, 0)
{
	PemName other;
	leaf_make(NULL, &(Leaf){"x", NULL, false}, other);
	bad_options((go_tls_options){.ca_file = "/nowhere"}, "/nowhere: ");
	bad_options((go_tls_options){.cert_file = "/nowhere"}, "/nowhere: ");
	bad_options((go_tls_options){.cert_file = the_ca()->file}, the_ca()->file); // no key
	bad_options((go_tls_options){.cert_file = localhost_file(), .key_file = other}, other);
	bad_options((go_tls_options){.key_file = other}, other);
	bad_options((go_tls_options){.alpn = "h2,,x"}, "alpn is no list of names");
	bad_options((go_tls_options){.alpn = "h2,"}, "alpn is no list of names");
	bad_options((go_tls_options){.min_version = 11}, "no such version of TLS");
	bad_options((go_tls_options){.clients = 3}, "no such value for clients");
	bad_options((go_tls_options){.clients = GO_TLS_ASK},
		    "certificates of clients need a ca_file or ca_dir");
	go_tls_config_free(config_of(&(go_tls_options){.min_version = GO_TLS_1_3, .alpn = "h2"}));
	go_tls_config_free(NULL);
}

GO_TEST(tls_arguments_refused, 0)
{
	go_fd ends[2];
	go_tls *t = NULL;
	char c = 0;
	streams(ends);
	go_tls_config *config = client_config();
	expect_eq(go_tls_client(&t, config, ends[0], NULL), GO_EINVAL);
	expect_eq(go_tls_client(&t, config, ends[0], ""), GO_EINVAL);
	expect_eq(go_tls_client(&t, NULL, ends[0], "localhost"), GO_EINVAL);
	expect_eq(go_tls_client(NULL, config, ends[0], "localhost"), GO_EINVAL);
	expect_eq(go_tls_client(&t, config, GO_ENOHOST, "localhost"), GO_ENOHOST);
	expect_eq(go_tls_server(&t, config, ends[0]), GO_EINVAL); // it has no certificate
	expect(t == NULL);
	expect_eq(go_tls_read(NULL, &c, 1), GO_EINVAL);
	expect_eq(go_tls_write(NULL, &c, 1), GO_EINVAL);
	expect_eq(go_tls_handshake(NULL), GO_EINVAL);
	expect_eq(go_tls_close(NULL), GO_EINVAL);
	expect_eq(go_tls_fd(NULL), GO_EINVAL);
	go_tls_free(NULL);
	expect_str(go_tls_why(NULL), "");
	expect_str(go_tls_strerror(GO_TLS_EVERIFY), "certificate refused");
	expect_str(go_tls_strerror(GO_EINVAL), go_strerror(GO_EINVAL));
	go_tls_config_free(config);
	expect_eq(go_close(ends[0]), 0); // it stayed ours
	expect_eq(go_close(ends[1]), 0);
}
