// SPDX-License-Identifier: BSD-3-Clause
// Two connections with each other; see pair.h.
#include "pair.h"

#include <sys/socket.h>

const Ca *
the_ca(void)
{
	static Ca ca;
	if (ca.key == NULL)
		ca_make(&ca, "the authority");
	return &ca;
}

const char *
localhost_file(void)
{
	static PemName file;
	if (file[0] == '\0')
		leaf_make(the_ca(), &(Leaf){"the server", "DNS:localhost,IP:127.0.0.1", false},
			  file);
	return file;
}

go_tls_config *
config_of(const go_tls_options *o)
{
	char why[200] = "";
	go_tls_config *c = go_tls_config_new(o, why, sizeof(why));
	expect_str(why, "");
	expect(c != NULL);
	return c;
}

go_tls_config *
server_config(void)
{
	return config_of(&(go_tls_options){.cert_file = localhost_file()});
}

go_tls_config *
client_config(void)
{
	return config_of(&(go_tls_options){.ca_file = the_ca()->file});
}

void
streams(go_fd ends[2])
{
	int fds[2];
	expect_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	ends[0] = go_adopt(fds[0]);
	ends[1] = go_adopt(fds[1]);
	expect(ends[0] > 0 && ends[1] > 0);
}

Pair
pair_of(go_tls_config *client, go_tls_config *server, const char *name)
{
	Pair p;
	go_fd ends[2];
	streams(ends);
	expect_eq(go_tls_client(&p.client, client, ends[0], name), 0);
	expect_eq(go_tls_server(&p.server, server, ends[1]), 0);
	go_tls_config_free(client);
	go_tls_config_free(server);
	return p;
}

Pair
good_pair(void)
{
	return pair_of(client_config(), server_config(), "localhost");
}

typedef struct Shake {
	go_tls *t;
	int err;
	go_waitgroup wg;
} Shake;

static void
shake(void *v)
{
	Shake *s = v;
	s->err = go_tls_handshake(s->t);
	go_wg_done(&s->wg);
}

int
pair_shake(Pair *p, int *server)
{
	Shake s = {.t = p->server};
	go_wg_add(&s.wg, 1);
	expect_eq(go_spawn(shake, &s), 0);
	int err = go_tls_handshake(p->client);
	if (err != 0)
		go_tls_close(p->client); // a server that waits for more gets the end
	expect_eq(go_wg_wait(&s.wg, GO_NEVER), 0);
	*server = s.err;
	return err;
}

void
pair_shaken(Pair *p)
{
	int server;
	int client = pair_shake(p, &server);
	expect_str(go_tls_why(p->client), "");
	expect_str(go_tls_why(p->server), "");
	expect_eq(client, 0);
	expect_eq(server, 0);
}

void
pair_free(Pair *p)
{
	go_tls_free(p->client);
	go_tls_free(p->server);
}
