// SPDX-License-Identifier: BSD-3-Clause
// The showcase's other processes, and its part go: a Go program on this runtime.
//
// The program is examples/go/web.go, built by gccgo beside the showcase, where gccgo 12 was found.
// Its report is a word and a value in each line: operations, ns, resident, note, failed.
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "showcase.h"

extern char **environ;

// --- processes ----------------------------------------------------------------------------------

static int
spawn(Child *c, const char *path, const char *const *args, int output)
{
	posix_spawn_file_actions_t actions;
	if (posix_spawn_file_actions_init(&actions) != 0)
		return -1;
	int err = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
	if (err == 0)
		err = posix_spawn(&c->pid, path, &actions, NULL, (char *const *)args, environ);
	posix_spawn_file_actions_destroy(&actions);
	return err;
}

bool
child_start(Child *c, const char *path, const char *const *args)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) != 0)
		return false;
	int err = spawn(c, path, args, ends[1]);
	close(ends[1]);
	c->output = err == 0 ? go_adopt(ends[0]) : GO_EINVAL;
	if (c->output > 0)
		return true;
	close(ends[0]);
	if (err == 0) {
		kill(c->pid, SIGKILL);
		waitpid(c->pid, NULL, 0);
	}
	return false;
}

bool
child_end(Child *c, bool by_force)
{
	int status;
	if (by_force)
		kill(c->pid, SIGKILL);
	go_close(c->output);
	return waitpid(c->pid, &status, 0) == c->pid && status == 0;
}

// --- the part -----------------------------------------------------------------------------------

// One line of the report.
static void
hear(Result *r, char *line)
{
	char *value = strchr(line, ' ');
	if (value == NULL)
		return;
	*value++ = '\0';
	if (strcmp(line, "operations") == 0)
		r->operations = strtoull(value, NULL, 10);
	else if (strcmp(line, "ns") == 0)
		r->ns = strtoll(value, NULL, 10);
	else if (strcmp(line, "resident") == 0)
		r->resident = strtoull(value, NULL, 10);
	else if (strcmp(line, "note") == 0)
		note(r, "%s", value);
	else if (expect(r, strcmp(line, "failed") != 0, "the Go program says so"))
		return;
	else
		note(r, "%s", value);
}

static void
hear_all(Result *r, go_fd from, int64_t deadline)
{
	char text[2048], *rest;
	go_set_read_deadline(from, deadline);
	int64_t n = go_read_full(from, text, sizeof text - 1); // less, at the end
	if (!expect(r, n >= 0, "the Go program does not end"))
		return;
	text[n] = '\0';
	char *line = strtok_r(text, "\n", &rest);
	for (; line != NULL; line = strtok_r(NULL, "\n", &rest))
		hear(r, line);
}

// Beside the showcase.
static bool
find_program(char path[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 8);
	if (n < 0)
		return false;
	path[n] = '\0';
	char *slash = strrchr(path, '/');
	strcpy(slash != NULL ? slash + 1 : path, "go-web");
	return access(path, X_OK) == 0;
}

void
run_go(const Load *load, Result *r)
{
	char path[PATH_MAX], clients[16], length[32];
	Child program;
	if (!find_program(path)) {
		r->left_out = true;
		note(r, "left out: built without the Go face, which takes gccgo 12 and an x86-64");
		return;
	}
	snprintf(clients, sizeof clients, "%d", load->web_clients);
	snprintf(length, sizeof length, "%lldns", (long long)load->web_ns);
	const char *args[] = {"go-web", "-clients", clients, "-for", length, NULL};
	r->elsewhere = true;
	if (!expect(r, child_start(&program, path, args), "the Go program does not start"))
		return;
	hear_all(r, program.output, go_in(load->web_ns + 30 * GO_SEC));
	expect(r, child_end(&program, r->failure != NULL), "the Go program failed");
	expect(r, r->failure != NULL || r->operations != 0, "the Go program reports nothing");
}
