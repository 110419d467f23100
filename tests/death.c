// SPDX-License-Identifier: BSD-3-Clause
// Children that must die: DEATH registers a body, expect_death runs it in a new process and holds
// what happened to what was wanted.
//
// The child stays in the test's process group, so the runner's time limit reaches it too.
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum {
	CAPTURE_BYTES = 256 * 1024,
	DEFAULT_LIMIT_MS = 5000,
	AFTER_QUIT_MS = 1000, // between SIGQUIT and SIGKILL
	TICK_MS = 20,
};

// One stream of the child. What does not fit is read and dropped.
struct Capture {
	int fd; // -1 once at its end
	size_t n;
	char *text; // CAPTURE_BYTES + 1
};

struct Child {
	pid_t pid;
	struct Capture out, err;
	int status; // of waitpid
	bool timed_out;
};

static struct HarnessDeath *deaths;

void
harness_death_add(struct HarnessDeath *d)
{
	for (struct HarnessDeath *other = deaths; other != NULL; other = other->next)
		if (strcmp(other->name, d->name) == 0) {
			fprintf(stderr, "two DEATHs are called %s\n", d->name);
			abort();
		}
	d->next = deaths;
	deaths = d;
}

// Runs the body in this process. Returns the process's exit status.
int
harness_death_run(const char *name)
{
	for (struct HarnessDeath *d = deaths; d != NULL; d = d->next)
		if (strcmp(d->name, name) == 0) {
			d->body();
			return 0;
		}
	fprintf(stderr, "no DEATH is called %s\n", name);
	return 125;
}

static void
capture_read(struct Capture *c)
{
	char spill[4096];

	for (;;) {
		size_t room = CAPTURE_BYTES - c->n;
		ssize_t got = read(c->fd, room > 0 ? c->text + c->n : spill,
				   room > 0 ? room : sizeof(spill));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return;
		if (got == 0) {
			close(c->fd);
			c->fd = -1;
			return;
		}
		if (room > 0)
			c->n += (size_t)got;
	}
}

// Adds the words of env to this process's environment; it is the child, about to exec.
static void
add_env(const char *env)
{
	char *words = strdup(env);

	for (char *word = strtok(words, " "); word != NULL; word = strtok(NULL, " "))
		if (strchr(word, '=') != NULL)
			putenv(word);
		else
			unsetenv(word);
}

// The child between fork and exec. The test has one thread, so anything may be called here.
static void
become_child(const char *name, const struct DeathWant *want, int out, int err)
{
	const char *argv[HARNESS_ARGV];
	struct rlimit none = {0, 0};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setrlimit(RLIMIT_CORE, &none);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	dup2(null, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	if (want->env != NULL)
		add_env(want->env);
	harness_argv(argv, "--child", name);
	execvp(argv[0], (char *const *)argv);
	_exit(126);
}

static bool
child_start(struct Child *c, const char *name, const struct DeathWant *want)
{
	int out[2], err[2];

	if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0)
		return false;
	c->pid = fork();
	if (c->pid == 0)
		become_child(name, want, out[1], err[1]);
	close(out[1]);
	close(err[1]);
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	fcntl(err[0], F_SETFL, O_NONBLOCK);
	c->out = (struct Capture){out[0], 0, malloc(CAPTURE_BYTES + 1)};
	c->err = (struct Capture){err[0], 0, malloc(CAPTURE_BYTES + 1)};
	return c->pid > 0 && c->out.text != NULL && c->err.text != NULL;
}

static bool
child_reaped(struct Child *c)
{
	pid_t got;

	do
		got = waitpid(c->pid, &c->status, WNOHANG);
	while (got < 0 && errno == EINTR);
	return got != 0;
}

static void
child_wait(struct Child *c, const struct DeathWant *want)
{
	int limit_ms = (want->limit_ms > 0 ? want->limit_ms : DEFAULT_LIMIT_MS) * test_slowness();
	int64_t start = test_now_ns();
	int64_t ready = want->says_when ? 0 : start; // 0: not yet
	bool sent = want->send == 0, quit = false;

	while (!child_reaped(c)) {
		struct pollfd fds[2] = {{c->out.fd, POLLIN, 0}, {c->err.fd, POLLIN, 0}};
		int64_t ms = (test_now_ns() - start) / 1000000;

		if (ready == 0 && c->out.n > 0)
			ready = test_now_ns();
		if (!sent && ready != 0 &&
		    test_now_ns() - ready >= want->send_after_ms * INT64_C(1000000)) {
			kill(c->pid, want->send);
			sent = true;
		}
		if (!quit && ms >= limit_ms) {
			kill(c->pid, SIGQUIT);
			quit = c->timed_out = true;
		}
		if (ms >= (int64_t)limit_ms + AFTER_QUIT_MS)
			kill(c->pid, SIGKILL);
		poll(fds, 2, TICK_MS);
		if (c->out.fd >= 0)
			capture_read(&c->out);
		if (c->err.fd >= 0)
			capture_read(&c->err);
	}
	if (c->out.fd >= 0)
		capture_read(&c->out);
	if (c->err.fd >= 0)
		capture_read(&c->err);
	c->out.text[c->out.n] = c->err.text[c->err.n] = '\0';
}

// How the child ended, in words.
static const char *
ending(const struct Child *c, char text[64])
{
	if (c->timed_out)
		snprintf(text, 64, "it was stopped after its time limit");
	else if (WIFSIGNALED(c->status))
		snprintf(text, 64, "it was ended by signal %d", WTERMSIG(c->status));
	else
		snprintf(text, 64, "it ended with exit status %d", WEXITSTATUS(c->status));
	return text;
}

// Which option of want was not met; its text, if it has one, goes to *text. NULL when all were.
static const char *
unmet(const struct Child *c, const struct DeathWant *want, const char **text)
{
	const char *at = c->err.text;

	*text = "";
	if (c->timed_out)
		return ".limit_ms";
	if (want->signal != 0 && !(WIFSIGNALED(c->status) && WTERMSIG(c->status) == want->signal))
		return ".signal";
	if (want->signal == 0 && !(WIFEXITED(c->status) && WEXITSTATUS(c->status) == want->status))
		return ".status";
	*text = want->err;
	if (want->err != NULL && strncmp(at, want->err, strlen(want->err)) != 0)
		return ".err";
	for (int i = 0; i < DEATH_TEXTS && want->err_has[i] != NULL; i++) {
		*text = want->err_has[i];
		at = strstr(at, *text);
		if (at == NULL)
			return ".err_has";
		at += strlen(*text);
	}
	for (int i = 0; i < DEATH_TEXTS && want->err_lacks[i] != NULL; i++) {
		*text = want->err_lacks[i];
		if (strstr(c->err.text, *text) != NULL)
			return ".err_lacks";
	}
	*text = want->out;
	return want->out != NULL && strcmp(c->out.text, want->out) != 0 ? ".out" : NULL;
}

void
harness_expect_death(const char *file, int line, const char *name, const struct DeathWant *want)
{
	struct Child c = {0};
	char end[64];
	const char *text;

	if (!child_start(&c, name, want))
		harness_fail(file, line, "a child process can be started");
	child_wait(&c, want);

	const char *option = unmet(&c, want, &text);
	if (option != NULL) {
		fprintf(stderr, "%s:%d: DEATH(%s): %s\n", file, line, name, ending(&c, end));
		fprintf(stderr, "not met (status %d, signal %d): %s %s\n", want->status,
			want->signal, option, text);
		fprintf(stderr, "---- its stdout\n%s---- its stderr\n%s----\n", c.out.text,
			c.err.text);
		fflush(stderr);
		_exit(1);
	}
	if (c.out.fd >= 0)
		close(c.out.fd);
	if (c.err.fd >= 0)
		close(c.err.fd);
	free(c.out.text);
	free(c.err.text);
}
