// SPDX-License-Identifier: BSD-3-Clause
// libundergo-tls with the openssl command at the other end. It gets its certificates by their names
// below /proc.
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "pair.h"

extern char **environ;

typedef struct Child {
	pid_t pid;
	go_fd in, out; // its standard input; its output and errors
	char said[16384];
	size_t n;
} Child;

// Starts openssl with these words. Skips the test where there is no such command.
static void
child_start(Child *c, const char *const *words)
{
	int in[2], out[2];
	posix_spawn_file_actions_t files;
	expect_eq(pipe2(in, O_CLOEXEC), 0);
	expect_eq(pipe2(out, O_CLOEXEC), 0);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, in[0], 0);
	posix_spawn_file_actions_adddup2(&files, out[1], 1);
	posix_spawn_file_actions_adddup2(&files, out[1], 2);
	int err = posix_spawnp(&c->pid, "openssl", &files, NULL, (char *const *)(uintptr_t)words,
			       environ);
	posix_spawn_file_actions_destroy(&files);
	close(in[0]);
	close(out[1]);
	if (err != 0)
		skip("there is no openssl command");
	c->in = go_adopt(in[1]);
	c->out = go_adopt(out[0]);
	expect(c->in > 0 && c->out > 0);
}

// Waits until it has said this; where that begins.
static const char *
child_says(Child *c, const char *text)
{
	const char *at;
	while ((at = strstr(c->said, text)) == NULL) {
		expect(c->n < sizeof(c->said) - 1);
		int64_t n = go_read(c->out, c->said + c->n, sizeof(c->said) - 1 - c->n);
		if (n <= 0)
			expect_str(c->said, text); // it ended without
		c->n += (size_t)n;
		c->said[c->n] = '\0';
	}
	return at;
}

static void
child_end(Child *c)
{
	go_close(c->in);
	kill(c->pid, SIGTERM);
	waitpid(c->pid, NULL, 0);
	go_close(c->out);
}

static int
port_of(const char *accept_line)
{
	const char *colon = strrchr(accept_line, ':');
	expect(colon != NULL);
	return atoi(colon + 1);
}

GO_TEST(tls_openssl_as_server, 0)
{
	static Child c;
	char at[64], buf[16];
	go_tls *t;
	const char *words[] = {"openssl", "s_server", "-rev", "-ign_eof", "-accept", "127.0.0.1:0",
			       "-cert", localhost_file(), "-key", localhost_file(), NULL};
	child_start(&c, words);
	child_says(&c, "ACCEPT ");
	const char *line = child_says(&c, "ACCEPT 127");
	while (strchr(line, '\n') == NULL) {
		child_says(&c, "\n");
		line = strstr(c.said, "ACCEPT 127");
	}
	*strchr((char *)(uintptr_t)line, '\n') = '\0';
	snprintf(at, sizeof(at), "127.0.0.1:%d", port_of(line));
	go_tls_config *config = client_config();
	expect_eq(go_tls_client(&t, config, go_dial("tcp", at, GO_NEVER), "localhost"), 0);
	expect_eq(go_tls_write(t, "undergo\n", 8), 8);
	expect_eq(go_tls_read_full(t, buf, 8), 8);
	expect(memcmp(buf, "ogrednu\n", 8) == 0);
	go_tls_free(t);
	go_tls_config_free(config);
	child_end(&c);
}

typedef struct Server {
	go_fd listener;
	char at[64];
	go_tls_config *config;
	int err;
	go_waitgroup wg;
} Server;

static void
serve_one(void *v)
{
	Server *s = v;
	go_tls *t;
	char buf[100];
	int64_t n;
	expect_eq(go_tls_server(&t, s->config, go_accept(s->listener)), 0);
	s->err = go_tls_handshake(t);
	while (s->err == 0 && (n = go_tls_read(t, buf, sizeof(buf))) > 0)
		expect_eq(go_tls_write(t, buf, (size_t)n), n);
	go_tls_free(t);
	go_wg_done(&s->wg);
}

static void
server_start(Server *s, const go_tls_options *o)
{
	s->config = config_of(o);
	s->listener = go_listen("tcp", "127.0.0.1:0");
	expect(s->listener > 0);
	go_local_text(s->listener, s->at, sizeof(s->at));
	go_wg_add(&s->wg, 1);
	expect_eq(go_spawn(serve_one, s), 0);
}

static void
server_end(Server *s)
{
	expect_eq(go_wg_wait(&s->wg, GO_NEVER), 0);
	go_close(s->listener);
	go_tls_config_free(s->config);
}

// New keys, on the client's demand: who reads has to answer.
GO_TEST(tls_openssl_as_client, 0)
{
	static Child c;
	Server s = {0};
	server_start(&s, &(go_tls_options){.cert_file = localhost_file()});
	const char *words[] = {"openssl", "s_client", "-connect", s.at, "-CAfile", the_ca()->file,
			       "-verify_return_error", "-verify_hostname", "localhost", NULL};
	child_start(&c, words);
	child_says(&c, "Verify return code: 0 (ok)");
	expect_eq(go_write(c.in, "first word\n", 11), 11);
	child_says(&c, "first word\n");
	expect_eq(go_write(c.in, "K\n", 2), 2);
	child_says(&c, "KEYUPDATE");
	expect_eq(go_write(c.in, "second word\n", 12), 12);
	child_says(&c, "second word\n");
	expect_eq(go_write(c.in, "Q\n", 2), 2);
	server_end(&s);
	expect_eq(s.err, 0);
	child_end(&c);
}

static void
too_old(const char *version, int least)
{
	static Child c;
	Server s = {0};
	server_start(&s, &(go_tls_options){.cert_file = localhost_file(), .min_version = least});
	// At security level 0 openssl itself would go so low.
	const char *words[] = {"openssl", "s_client", "-connect", s.at, version, "-cipher",
			       "ALL:@SECLEVEL=0", NULL};
	c = (Child){0};
	child_start(&c, words);
	server_end(&s);
	expect_eq(s.err, GO_TLS_EPROTOCOL);
	child_says(&c, "alert protocol version");
	child_end(&c);
}

GO_TEST(tls_openssl_too_old, 0)
{
	too_old("-tls1_1", 0);
	too_old("-tls1_2", GO_TLS_1_3);
}
