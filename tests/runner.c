// SPDX-License-Identifier: BSD-3-Clause
// The test runner: every test in a process of its own, a few at a time, each with a time limit.
//
//	suite [-j N] [--only DIR] [--stress|--short] [--slow] [--repeat N] [--seed N] [--list]
//	      [NAME...]
//
// Without names it runs what list.def lists: all but F_SLOW; with --stress only F_STRESS; with
// --short none of these; with --slow also F_SLOW. A name is NAME or DIR/NAME and overrides those
// choices. The two modes `--run NAME` and `--child NAME` are what the started processes are called
// with; in a debugger `--run NAME` runs a test in place.
//
// The output of a test is kept and shown only when it fails: its beginning and its end when it is
// very long. The last line is `N passed, N failed`, with `, N skipped` when there were any, and the
// exit status is 0 when nothing failed, 1 when something did, 2 for a wrong call.
//
// A started process leads a process group. At its time limit the group gets SIGQUIT, so that the
// runtime can say where everyone is, and SIGKILL a second later. Whatever a test leaves running is
// killed when the test's process ends.
//
// Invariants:
//   I1  A slot of jobs is in use exactly while its pid is not 0, and then the pid is not reaped.
//   I2  A test with F_SOLO starts only when no slot is in use, and nothing starts beside it.
//   I3  Tests with F_ASLEEP have slots of their own, behind the first opt.jobs; not with -j 1.
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	JOBS_MAX = 64,
	ASLEEP_MAX = 16,
	OUTPUT_BYTES = 512 * 1024, // of one test
	OUTPUT_HEAD = 128 * 1024,  // of them, never dropped
	AFTER_QUIT_MS = 1000,      // between SIGQUIT and SIGKILL
};

struct Test {
	const char *dir;
	const char *name;
	void (*fn)(void);
	int limit_ms;
	unsigned flags;
};

#define T(dir, name, limit_ms, flags) {#dir, #name, test_##name, (limit_ms), (flags)},
static const struct Test tests[] = {
#include SUITE_LIST
    {NULL, NULL, NULL, 0, 0}};
#undef T

struct Job {
	pid_t pid; // 0: the slot is free
	const struct Test *test;
	int fd; // its stdout and stderr; -1 once at its end
	char *output;
	size_t n, dropped;
	int64_t start_ns;
	int64_t limit_ms;
	bool quit, killed; // the signals of the time limit were sent
};

static struct {
	int jobs, repeat;
	bool stress, brief, slow, list;
	const char *only;
	char **names; // NULL-terminated
} opt = {.jobs = 2, .repeat = 1};

static struct Job jobs[JOBS_MAX + ASLEEP_MAX];
static int passed, failed, skipped;
static int bell[2]; // written by signal handlers, read by wait_for_news
static volatile sig_atomic_t stop_signal;

static void
on_signal(int sig)
{
	int saved = errno;
	ssize_t n;

	if (sig != SIGCHLD)
		stop_signal = sig;
	n = write(bell[1], "", 1); // a full pipe rings too
	(void)n;
	errno = saved;
}

// The part of a test that runs here: the test itself, in its own process.
static int
run_here(const char *name)
{
	for (const struct Test *t = tests; t->name != NULL; t++)
		if (strcmp(t->name, name) == 0) {
			t->fn();
			return 0;
		}
	fprintf(stderr, "no test is called %s\n", name);
	return 2;
}

// The started process between fork and exec.
static void
become_test(const struct Test *t, int out)
{
	const char *argv[HARNESS_ARGV];

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	dup2(null, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	harness_argv(argv, "--run", t->name);
	execvp(argv[0], (char *const *)argv);
	fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
	_exit(126);
}

static void
job_start(struct Job *j, const struct Test *t)
{
	int out[2];

	fflush(stdout);
	if (pipe2(out, O_CLOEXEC) != 0) {
		perror("pipe");
		exit(2);
	}
	pid_t pid = fork();
	if (pid < 0) {
		perror("fork");
		exit(2);
	}
	if (pid == 0)
		become_test(t, out[1]);
	setpgid(pid, pid); // both sides, so that it holds for whoever is first
	close(out[1]);
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	j->test = t;
	j->fd = out[0];
	j->n = j->dropped = 0;
	j->start_ns = test_now_ns();
	j->limit_ms = (int64_t)t->limit_ms * test_slowness();
	j->quit = j->killed = false;
	j->pid = pid;
	if (j->output == NULL)
		j->output = malloc(OUTPUT_BYTES);
	if (j->output == NULL)
		abort();
}

static int64_t
job_ms(const struct Job *j)
{
	return (test_now_ns() - j->start_ns) / 1000000;
}

// Takes what the test has written so far. A full buffer loses its middle.
static void
job_read(struct Job *j)
{
	while (j->fd >= 0) {
		if (j->n == OUTPUT_BYTES) {
			size_t drop = (OUTPUT_BYTES - OUTPUT_HEAD) / 2;
			memmove(j->output + OUTPUT_HEAD, j->output + OUTPUT_HEAD + drop,
				OUTPUT_BYTES - OUTPUT_HEAD - drop);
			j->n -= drop;
			j->dropped += drop;
		}
		ssize_t got = read(j->fd, j->output + j->n, OUTPUT_BYTES - j->n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return;
		if (got == 0) {
			close(j->fd);
			j->fd = -1;
			return;
		}
		j->n += (size_t)got;
	}
}

static void
show_output(const struct Job *j)
{
	size_t head = j->dropped > 0 ? OUTPUT_HEAD : j->n;

	fwrite(j->output, 1, head, stdout);
	if (j->dropped > 0) {
		printf("\n[... %zu bytes left out ...]\n", j->dropped);
		fwrite(j->output + head, 1, j->n - head, stdout);
	}
	if (j->n > 0 && j->output[j->n - 1] != '\n')
		putchar('\n');
}

static void
show_failure(const struct Job *j, int status)
{
	const struct Test *t = j->test;

	printf("FAIL %s/%s (%lld ms): ", t->dir, t->name, (long long)job_ms(j));
	if (j->quit)
		printf("over its limit of %lld ms\n", (long long)j->limit_ms);
	else if (WIFSIGNALED(status))
		printf("ended by signal %d, %s\n", WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		printf("exit status %d\n", WEXITSTATUS(status));
	printf("---- output of %s\n", t->name);
	show_output(j);
	printf("----\n");
}

// The reason a skipped test gave, the last line it wrote.
static void
show_skip(const struct Job *j)
{
	size_t end = j->n, begin;

	while (end > 0 && j->output[end - 1] == '\n')
		end--;
	for (begin = end; begin > 0 && j->output[begin - 1] != '\n';)
		begin--;
	if (end - begin > 6 && memcmp(j->output + begin, "skip: ", 6) == 0)
		begin += 6;
	printf("skip %s/%s: %.*s\n", j->test->dir, j->test->name, (int)(end - begin),
	       j->output + begin);
}

// Counts and shows how the test ended, and frees the slot.
static void
job_end(struct Job *j, int status)
{
	job_read(j);
	if (j->fd >= 0)
		close(j->fd);
	if (!j->quit && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		passed++;
		printf("ok   %s/%s (%lld ms)\n", j->test->dir, j->test->name, (long long)job_ms(j));
	} else if (!j->quit && WIFEXITED(status) && WEXITSTATUS(status) == HARNESS_SKIP) {
		skipped++;
		show_skip(j);
	} else {
		failed++;
		show_failure(j, status);
	}
	j->pid = 0;
}

// Looks whether the test's process has ended. Its group is killed before it is reaped, while the
// number cannot belong to anyone else.
static void
job_reap(struct Job *j)
{
	siginfo_t info = {0};
	int status = 0;

	if (waitid(P_PID, (id_t)j->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
	    info.si_pid == 0)
		return;
	kill(-j->pid, SIGKILL);
	while (waitpid(j->pid, &status, 0) < 0 && errno == EINTR)
		;
	job_end(j, status);
}

static void
job_limit(struct Job *j)
{
	int64_t ms = job_ms(j);

	if (!j->quit && ms >= j->limit_ms) {
		kill(-j->pid, SIGQUIT);
		j->quit = true;
	}
	if (!j->killed && ms >= j->limit_ms + AFTER_QUIT_MS) {
		kill(-j->pid, SIGKILL);
		j->killed = true;
	}
}

static int
slots(void)
{
	return opt.jobs > 1 ? opt.jobs + ASLEEP_MAX : opt.jobs;
}

static int
jobs_running(void)
{
	int n = 0;

	for (int i = 0; i < slots(); i++)
		n += jobs[i].pid != 0;
	return n;
}

static void
kill_all_and_leave(void)
{
	for (int i = 0; i < slots(); i++)
		if (jobs[i].pid != 0)
			kill(-jobs[i].pid, SIGKILL);
	printf("stopped by signal %d\n", (int)stop_signal);
	fflush(stdout);
	_exit(128 + stop_signal);
}

// Waits until a test writes or ends or reaches its limit, and deals with that.
static void
wait_for_news(void)
{
	struct pollfd fds[JOBS_MAX + ASLEEP_MAX + 1];
	char drain[64];
	int64_t wait_ms = 60 * 1000;

	fds[0] = (struct pollfd){bell[0], POLLIN, 0};
	for (int i = 0; i < slots(); i++) {
		const struct Job *j = &jobs[i];
		int64_t left_ms = j->limit_ms + (j->quit ? AFTER_QUIT_MS : 0) - job_ms(j);
		fds[i + 1] = (struct pollfd){j->pid != 0 ? j->fd : -1, POLLIN, 0};
		if (j->pid != 0 && !j->killed && left_ms < wait_ms)
			wait_ms = left_ms > 0 ? left_ms : 0;
	}
	poll(fds, (nfds_t)slots() + 1, (int)wait_ms + 1);
	while (read(bell[0], drain, sizeof(drain)) > 0)
		;
	if (stop_signal != 0)
		kill_all_and_leave();
	for (int i = 0; i < slots(); i++) {
		if (jobs[i].pid == 0)
			continue;
		job_read(&jobs[i]);
		job_limit(&jobs[i]);
		job_reap(&jobs[i]);
	}
	fflush(stdout);
}

static struct Job *
free_slot(int from, int to)
{
	for (int i = from; i < to; i++)
		if (jobs[i].pid == 0)
			return &jobs[i];
	return NULL;
}

static void
run_in(int from, int to, const struct Test *t)
{
	struct Job *j;

	while ((j = free_slot(from, to)) == NULL)
		wait_for_news();
	job_start(j, t);
}

static bool
named(const struct Test *t)
{
	for (char **name = opt.names; *name != NULL; name++) {
		const char *slash = strchr(*name, '/');
		size_t dir = slash != NULL ? (size_t)(slash - *name) : 0;
		if (strcmp(slash != NULL ? slash + 1 : *name, t->name) != 0)
			continue;
		if (slash == NULL || (strlen(t->dir) == dir && memcmp(*name, t->dir, dir) == 0))
			return true;
	}
	return false;
}

static bool
chosen(const struct Test *t)
{
	if (*opt.names != NULL)
		return named(t);
	if (opt.only != NULL && strcmp(opt.only, t->dir) != 0)
		return false;
	if (opt.brief && (t->flags & F_STRESS))
		return false;
	if (opt.stress && !(t->flags & F_STRESS))
		return opt.slow && (t->flags & F_SLOW);
	return opt.slow || !(t->flags & F_SLOW);
}

// Why this build or this wrapper leaves the test out; NULL when it does not.
static const char *
left_out(const struct Test *t)
{
#if defined(UNDERGO_SANITIZE_THREAD)
	if (t->flags & F_NOTSAN)
		return "F_NOTSAN";
#elif defined(UNDERGO_SANITIZE_ADDRESS)
	if (t->flags & F_NOASAN)
		return "F_NOASAN";
#endif
	if ((t->flags & F_NOVALGRIND) && test_under("valgrind"))
		return "F_NOVALGRIND";
	if ((t->flags & F_NOQEMU) && test_under("qemu"))
		return "F_NOQEMU";
	return NULL;
}

// Starts those of the tests with the flags `want` out of F_SOLO and F_ASLEEP, in these slots.
static void
run_those(int want, int from, int to)
{
	for (const struct Test *t = tests; t->name != NULL; t++) {
		if (((int)t->flags & (F_SOLO | F_ASLEEP)) != want || !chosen(t))
			continue;
		const char *why = left_out(t);
		if (why == NULL) {
			run_in(from, to, t);
			continue;
		}
		skipped++;
		printf("skip %s/%s: %s\n", t->dir, t->name, why);
	}
}

static void
wait_for_all(void)
{
	while (jobs_running() > 0)
		wait_for_news();
}

// One round over the list: those that sleep, beside them those that may share the machine, and at
// last the F_SOLO ones (I2, I3).
static void
run_round(void)
{
	run_those(F_ASLEEP, opt.jobs > 1 ? opt.jobs : 0, slots());
	run_those(0, 0, opt.jobs);
	wait_for_all();
	run_those(F_SOLO, 0, 1);
	wait_for_all();
}

static void
list_tests(void)
{
	for (const struct Test *t = tests; t->name != NULL; t++)
		if (chosen(t))
			printf("%s/%s\n", t->dir, t->name);
}

static void
usage(const char *what)
{
	fprintf(stderr,
		"suite: %s\n"
		"suite [-j N] [--only DIR] [--stress|--short] [--slow] [--repeat N] [--seed N] "
		"[--list] [NAME...]\n",
		what);
	exit(2);
}

static int
number(const char *text, int most)
{
	char *end;
	long n = text != NULL ? strtol(text, &end, 10) : 0;

	if (text == NULL || *end != '\0' || n < 1 || n > most)
		usage("a number is missing or out of range");
	return (int)n;
}

static void
read_options(char **argv)
{
	for (argv++; *argv != NULL && **argv == '-'; argv++) {
		if (strcmp(*argv, "-j") == 0)
			opt.jobs = number(*++argv, JOBS_MAX);
		else if (strcmp(*argv, "--repeat") == 0)
			opt.repeat = number(*++argv, 1000000000);
		else if (strcmp(*argv, "--stress") == 0)
			opt.stress = true;
		else if (strcmp(*argv, "--short") == 0)
			opt.brief = true;
		else if (strcmp(*argv, "--slow") == 0)
			opt.slow = true;
		else if (strcmp(*argv, "--list") == 0)
			opt.list = true;
		else if (strcmp(*argv, "--only") == 0 && argv[1] != NULL)
			opt.only = *++argv;
		else if (strcmp(*argv, "--seed") == 0 && argv[1] != NULL)
			setenv("UNDERGO_TEST_SEED", *++argv, 1);
		else
			usage(*argv);
	}
	opt.names = argv;
	for (; *argv != NULL; argv++) {
		char **rest = opt.names;
		bool known = false;
		char *one[2] = {*argv, NULL};
		opt.names = one;
		for (const struct Test *t = tests; t->name != NULL; t++)
			known = known || named(t);
		opt.names = rest;
		if (!known)
			usage(*argv);
	}
}

// What was ignored or blocked when we began is so in every test, too: a shell has its background
// jobs ignore SIGINT and SIGQUIT. The tests expect what a process has from the start.
static void
forget_inherited_signals(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL); // refused for SIGKILL, SIGSTOP and libc's own
}

static void
catch_signals(void)
{
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

	if (pipe2(bell, O_CLOEXEC | O_NONBLOCK) != 0) {
		perror("pipe");
		exit(2);
	}
	sigaction(SIGCHLD, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
}

int
main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "--run") == 0)
		return run_here(argv[2]);
	if (argc == 3 && strcmp(argv[1], "--child") == 0)
		return harness_death_run(argv[2]);
	read_options(argv);
	if (opt.list) {
		list_tests();
		return 0;
	}
	forget_inherited_signals();
	catch_signals();
	for (int i = 0; i < opt.repeat; i++)
		run_round();
	printf("%d passed, %d failed", passed, failed);
	if (skipped > 0)
		printf(", %d skipped", skipped);
	printf("\n");
	return failed > 0 ? 1 : 0;
}
