// SPDX-License-Identifier: BSD-3-Clause
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "say.h"

static volatile sig_atomic_t stopped_by; // a signal that is to end us, 0: none
static volatile pid_t child;
static struct sigaction sigchld; // as we got it; while a child runs it is the usual one

static const int stops[] = {SIGINT, SIGTERM, SIGHUP};
enum { STOPS = sizeof(stops) / sizeof(stops[0]) };

// The terminal's signals are for the compiler, too; others are passed on.
static void
on_stop(int sig, siginfo_t *info, void *context)
{
	(void)context;
	int error = errno;
	stopped_by = sig;
	if (child > 0 && info->si_code != SI_KERNEL)
		kill(child, sig);
	errno = error;
}

static void
end_as_stopped(void)
{
	if (stopped_by != 0) {
		signal(stopped_by, SIG_DFL);
		raise(stopped_by);
	}
}

void
process_mind_signals(void)
{
	atexit(end_as_stopped);
	for (int i = 0; i < STOPS; i++) {
		struct sigaction now, stop = {.sa_sigaction = on_stop, .sa_flags = SA_SIGINFO};
		if (sigaction(stops[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN)
			sigaction(stops[i], &stop, NULL);
	}
}

void
process_stop_minding_signals(void)
{
	for (int i = 0; i < STOPS; i++) {
		struct sigaction now;
		if (sigaction(stops[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN)
			signal(stops[i], SIG_DFL);
	}
	end_as_stopped();
}

// A new process of a command, which writes to `out`. With SIGCHLD ignored nobody could wait for it.
static pid_t
start(const Args *a, int out)
{
	struct sigaction usual = {.sa_handler = SIG_DFL};
	sigaction(SIGCHLD, &usual, &sigchld);
	pid_t pid = fork();
	if (pid < 0)
		die(STATUS_FAILED, "fork: %s", strerror(errno));
	if (pid == 0) {
		process_stop_minding_signals();
		if (out != STDOUT_FILENO)
			dup2(out, STDOUT_FILENO);
		execvp(a->arg[0], (char *const *)(uintptr_t)a->arg);
		fprintf(stderr, "undergo: cannot run %s: %s\n", a->arg[0], strerror(errno));
		_exit(STATUS_FAILED);
	}
	child = pid;
	if (stopped_by != 0) // perhaps before on_stop knew of it
		kill(pid, stopped_by);
	return pid;
}

// Waits for it; its exit status, or 1 when it died.
static int
wait_for(pid_t pid, const char *name)
{
	int status;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			die(STATUS_FAILED, "waitpid: %s", strerror(errno));
	child = 0;
	sigaction(SIGCHLD, &sigchld, NULL);
	if (stopped_by != 0)
		return STATUS_FAILED;
	if (WIFSIGNALED(status))
		fprintf(stderr, "undergo: %s died of signal %d\n", name, WTERMSIG(status));
	return WIFEXITED(status) ? WEXITSTATUS(status) : STATUS_FAILED;
}

int
process_run(const Args *a)
{
	if (stopped_by != 0)
		return STATUS_FAILED;
	return wait_for(start(a, STDOUT_FILENO), a->arg[0]);
}

// Neither end is a standard stream, which the command would be given.
static void
open_pipe(int ends[2])
{
	if (pipe2(ends, O_CLOEXEC) != 0)
		die(STATUS_FAILED, "pipe: %s", strerror(errno));
	for (int i = 0; i < 2; i++) {
		int high = fcntl(ends[i], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
		if (high < 0)
			die(STATUS_FAILED, "pipe: %s", strerror(errno));
		close(ends[i]);
		ends[i] = high;
	}
}

// All that is in it, up to a zero.
static char *
read_all(FILE *f)
{
	char *text = NULL;
	size_t size = 0;
	if (getdelim(&text, &size, '\0', f) < 0) {
		if (ferror(f) && errno != EINTR)
			die(STATUS_FAILED, "cannot read what a command writes: %s",
			    strerror(errno));
		text = strdup("");
	}
	if (text == NULL)
		die(STATUS_FAILED, "no memory");
	return text;
}

char *
process_ask(const Args *a)
{
	int ends[2];
	open_pipe(ends);
	FILE *f = fdopen(ends[0], "r");
	if (f == NULL)
		die(STATUS_FAILED, "no memory");
	pid_t pid = start(a, ends[1]);
	close(ends[1]);
	char *text = read_all(f); // less than all when a signal ends us
	fclose(f);
	int status = wait_for(pid, a->arg[0]);
	if (status != 0)
		exit(status);
	return text;
}

bool
process_find(char to[PATH_BYTES], const char *name)
{
	if (strchr(name, '/') != NULL) {
		path_make(to, "%s", name);
		return access(to, X_OK) == 0;
	}
	const char *path = getenv("PATH");
	for (const char *at = path; at != NULL && *at != '\0';) {
		int n = (int)strcspn(at, ":");
		path_make(to, "%.*s/%s", n, at, name);
		if (access(to, X_OK) == 0)
			return true;
		at += n + (at[n] == ':');
	}
	return false;
}

bool
process_is_us(const char *file)
{
	struct stat it, us;
	return stat(file, &it) == 0 && stat("/proc/self/exe", &us) == 0 && it.st_dev == us.st_dev &&
	       it.st_ino == us.st_ino;
}
