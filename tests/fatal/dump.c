// SPDX-License-Identifier: BSD-3-Clause
// What is said about goroutines: go_dump while they run, SIGQUIT, GOTRACEBACK, broken stacks.
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "goroutines.h"

static atomic_bool stop;

// Behind a call: the caller's frame stays until it returns.
#define KEEP_FRAME() __asm__ volatile("")

static void
wait_in_dump(void *c)
{
	int v;
	go_chan_recv(c, &v, GO_NEVER);
	KEEP_FRAME();
}

static void
spin_in_dump(void *unused)
{
	(void)unused;
	while (!atomic_load(&stop))
		;
}

static __attribute__((noinline)) void
wait_deep(int n, void *c)
{
	if (n > 0)
		wait_deep(n - 1, c);
	else
		wait_in_dump(c);
	KEEP_FRAME();
}

static void
wait_deep_in_dump(void *c)
{
	wait_deep(300, c);
	KEEP_FRAME();
}

enum { DUMP_BYTES = 1 << 20 };

// What go_dump wrote to a temporary file. Good until the next call.
static char *
read_dump(FILE *f)
{
	static char *text;
	if (text == NULL)
		text = test_pages(DUMP_BYTES);
	rewind(f);
	size_t n = fread(text, 1, DUMP_BYTES - 1, f);
	expect(n > 0 && n < DUMP_BYTES - 1);
	text[n] = 0;
	fclose(f);
	return text;
}

static void
expect_in(const char *text, const char *part)
{
	if (strstr(text, part) == NULL) {
		fprintf(stderr, "no \"%s\" in:\n%s\n", part, text);
		harness_fail(__FILE__, __LINE__, "the dump says it");
	}
}

GO_TEST(dump_shows_all, 2)
{
	go_chan *c = go_chan_new(sizeof(int), 0);
	go_attr named = {.name = "namely"};
	go_spawn_with(&named, wait_in_dump, c);
	go_spawn(wait_deep_in_dump, c);
	go_sleep(20 * GO_MSEC);
	go_spawn(spin_in_dump, NULL);
	go_sleep(20 * GO_MSEC);
	FILE *f = tmpfile();
	go_dump(fileno(f));
	char *text = read_dump(f);
	expect(strncmp(text, "goroutine ", 10) == 0);
	expect_in(text, " [running]:\ngo_dump(...)\n\t");
	expect_in(text, "dump_shows_all_main(...)\n\t");
	expect_in(text, "\ncreated by dump_shows_all_main in goroutine 1\n\t");
	expect_in(text, " [go_run, thread]:\n");
	expect_in(text, " \"namely\" [chan receive]:\ngo_chan_recv(...)\n\t");
	expect_in(text, "\nwait_in_dump(...)\n\t");
	expect_in(text, "\nwait_deep(...)\n\t");
	expect_in(text, " frames elided...\nwait_deep(...)\n");
	expect_in(text, "\nwait_deep_in_dump(...)\n\t");
	expect_in(text, "]:\nspin_in_dump(...)\n\t");
	expect(strstr(text, "running on other thread") == NULL);
	expect(strstr(text, "sched_") == NULL);
	atomic_store(&stop, true);
	int v = 1;
	go_chan_send(c, &v, GO_NEVER);
	go_chan_send(c, &v, GO_NEVER);
	go_sleep(20 * GO_MSEC);
	go_chan_free(c);
}

// There is one P: the one that spins has lost it without any call, the other in one that blocks.
static void
read_one_in_dump(void *from)
{
	char c;
	expect(read(*(int *)from, &c, 1) == 1);
	KEEP_FRAME();
}

GO_TEST(dump_of_who_has_no_p, 1)
{
	int ends[2];
	expect(pipe(ends) == 0);
	go_spawn(spin_in_dump, NULL);
	go_spawn(read_one_in_dump, &ends[0]);
	const char *text;
	do {
		go_sleep(GO_MSEC); // until both are where they stay
		FILE *f = tmpfile();
		go_dump(fileno(f));
		text = read_dump(f);
	} while (strstr(text, " [running]:\nspin_in_dump(...)\n\t") == NULL ||
		 strstr(text, " [syscall]:\n") == NULL);
	atomic_store(&stop, true);
	expect(write(ends[1], "", 1) == 1);
}

// --- one that does not answer -------------------------------------------------------------------

static atomic_bool deaf;

static void
spin_deaf(void *unused)
{
	sigset_t set, before;
	(void)unused;
	go_lock_os_thread();
	sigemptyset(&set);
	sigaddset(&set, SIGPROF);
	pthread_sigmask(SIG_BLOCK, &set, &before);
	atomic_store(&deaf, true);
	while (!atomic_load(&stop))
		;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	go_unlock_os_thread();
}

#define UNAVAILABLE "]:\n\tgoroutine running on other thread; stack unavailable\n"

static void
await_deaf(void)
{
	go_spawn(spin_deaf, NULL);
	while (!atomic_load(&deaf))
		go_sleep(GO_MSEC); // nothing can be waited for: it has its thread to itself
}

GO_TEST(dump_of_the_deaf, 2)
{
	FILE *f = tmpfile();
	await_deaf();
	go_dump(fileno(f));
	expect_in(read_dump(f), UNAVAILABLE);
	atomic_store(&stop, true);
}

static int
die_beside_deaf(void *unused)
{
	(void)unused;
	await_deaf();
	go_chan_close(NULL);
	return 0;
}

DEATH(dying_beside_the_deaf)
{
	go_gomaxprocs(2);
	go_run(die_beside_deaf, NULL);
}

void
test_dump_of_the_dying_beside_the_deaf(void)
{
	expect_death(dying_beside_the_deaf, .status = 2, .env = "GOTRACEBACK=all",
		     .err = "panic: close of nil channel\n", .err_has = {UNAVAILABLE});
}

// --- what has not run ---------------------------------------------------------------------------

static int
wait_in_scope(void *c)
{
	int v, err = go_chan_recv(c, &v, GO_NEVER);
	KEEP_FRAME();
	return err;
}

// One that has not run yet shows where it will begin. A dump gives its processor away, so there is
// somebody to keep it, for a slice; and who comes late tries again.
GO_TEST(dump_shows_what_has_not_run, 1)
{
	go_chan *c = go_chan_new(sizeof(int), 0);
	for (bool seen = false; !seen;) {
		FILE *f = tmpfile();
		int fd = fileno(f), v = 1;
		atomic_store(&stop, false);
		go_spawn(spin_in_dump, NULL);
		go_scope s;
		go_scope_open(&s, GO_NEVER);
		go_spawn(wait_in_dump, c);
		go_scope_spawn(&s, wait_in_scope, c);
		go_spawn(spin_in_dump, NULL);
		go_dump(fd);
		atomic_store(&stop, true);
		char *text = read_dump(f);
		seen = strstr(text, " [runnable]:\nwait_in_dump(...)\n\t") != NULL &&
		       strstr(text, " [runnable]:\nwait_in_scope(...)\n\t") != NULL;
		go_chan_send(c, &v, GO_NEVER);
		go_chan_send(c, &v, GO_NEVER);
		go_scope_wait(&s);
		go_sleep(20 * GO_MSEC);
	}
	go_chan_free(c);
}

static atomic_long about; // goroutines that have come and not gone
static long about_most;   // ThreadSanitizer ends near 8,000, and is slow to dump them

static void
come_and_go(void *left)
{
	atomic_fetch_add(&about, 1);
	while (atomic_load(&about) > about_most)
		go_yield();
	if ((intptr_t)left % 4 == 0)
		go_name_set((intptr_t)left % 8 == 0 ? "comes" : "goes");
	if ((intptr_t)left > 0)
		go_spawn(come_and_go, (void *)((intptr_t)left - 1));
	go_yield();
	atomic_fetch_sub(&about, 1);
}

// go_dump to what is no descriptor writes nothing.
DEATH(dump_nowhere)
{
	go_dump(-1);
}

void
test_dump_nowhere(void)
{
	expect_death(dump_nowhere, .status = 0, .err = "", .err_lacks = {"goroutine"});
}

// Dumps while goroutines start, wait, run and end disturb nobody.
GO_TEST(dump_under_load, 2)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	about_most = test_slowness() < 4 ? 3000 : 300;
	for (int i = 0; i < 4; i++)
		go_spawn(come_and_go, (void *)(intptr_t)test_scale(100000));
	for (long i = test_scale(200); i > 0; i--) {
		go_dump(null);
		go_yield();
	}
	close(null);
}

// The reader of a dump may be a goroutine like any other, even in the dump and on the same P.
enum { FULL_PIPE = 1500 };
static int dump_pipe[2];
static atomic_long dumped;

static void
read_the_dump(void *unused)
{
	char text[512];
	(void)unused;
	for (ssize_t n; (n = read(dump_pipe[0], text, sizeof(text))) > 0;) {
		atomic_fetch_add(&dumped, n);
		if (atomic_load(&dumped) / 512 % 16 == 0)
			go_sleep(10 * GO_USEC);
	}
	close(dump_pipe[0]);
}

static void
dump_into_pipe(void)
{
	go_chan *c = go_chan_new(sizeof(int), 0);
	expect_eq(pipe2(dump_pipe, O_CLOEXEC), 0);
	for (int i = 0; i < FULL_PIPE; i++)
		go_spawn(wait_in_dump, c);
	go_spawn(read_the_dump, NULL);
	go_sleep(10 * GO_MSEC);
	go_dump(dump_pipe[1]);
	close(dump_pipe[1]);
	expect(atomic_load(&dumped) > FULL_PIPE * 40);
	for (int i = 0; i < FULL_PIPE; i++)
		go_chan_send(c, &i, GO_NEVER);
}

GO_TEST(dump_to_a_goroutine, 1)
{
	dump_into_pipe();
}

// One that is in the dump itself, with more text than the pipe takes, and wakes meanwhile.
static __attribute__((noinline)) void
read_below_more_text_than_the_pipe_holds_at_once(int n)
{
	char text[512];
	if (n > 0)
		read_below_more_text_than_the_pipe_holds_at_once(n - 1);
	else
		do
			go_sleep(GO_MSEC);
		while (read(dump_pipe[0], text, sizeof(text)) > 0);
	KEEP_FRAME();
}

static void
read_in_dump(void *unused)
{
	(void)unused;
	read_below_more_text_than_the_pipe_holds_at_once(90);
	close(dump_pipe[0]);
}

GO_TEST(dump_to_who_is_in_it, 8)
{
	expect_eq(pipe2(dump_pipe, O_CLOEXEC), 0);
	expect(fcntl(dump_pipe[1], F_SETPIPE_SZ, 4096) >= 0);
	go_spawn(read_in_dump, NULL);
	go_sleep(20 * GO_MSEC);
	for (int i = 0; i < 3; i++)
		go_dump(dump_pipe[1]);
	close(dump_pipe[1]);
}

// --- readers that do not read -------------------------------------------------------------------

// Into dump_pipe's end for writing, in non-blocking mode, goes nothing more.
static void
fill_dump_pipe(void)
{
	static char lots[4096];
	expect_eq(pipe2(dump_pipe, O_NONBLOCK | O_CLOEXEC), 0);
	while (write(dump_pipe[1], lots, sizeof(lots)) > 0)
		;
}

static void
die_beside_others(void)
{
	go_mutex m = GO_MUTEX_INIT;
	go_chan *c = go_chan_new(sizeof(int), 0);
	for (int i = 0; i < 20; i++)
		go_spawn(wait_in_dump, c);
	go_sleep(10 * GO_MSEC);
	fill_dump_pipe();
	dup2(dump_pipe[1], 2);
	go_mutex_unlock(&m);
}

DEATH(dying_unread)
{
	die_beside_others();
}

// However much there is to say, a dying process waits a second in all for who does not listen.
void
test_dump_of_the_dying_is_not_held_up(void)
{
	expect_death(dying_unread, .status = 2, .err = "", .limit_ms = 5000);
}

static Count all_read;

static void
read_after_a_while(void *text)
{
	size_t n = 0;
	go_sleep(50 * GO_MSEC);
	fcntl(dump_pipe[0], F_SETFL, 0);
	for (ssize_t got; (got = read(dump_pipe[0], (char *)text + n, 4096)) > 0;)
		n += (size_t)got;
	close(dump_pipe[0]);
	count_add(&all_read);
}

// Whether text, behind what filled the pipe, has 20 waiting goroutines in it.
static bool
is_whole(const char *text, const char *end)
{
	while (text < end && *text == 0)
		text++;
	if (strncmp(text, "goroutine ", 10) != 0)
		return false;
	for (int i = 0; i < 20 && text != NULL; i++)
		text = strstr(text + 1, "wait_in_dump(...)");
	return text != NULL;
}

// go_dump gives up in the same way, and the next one tries anew. If the reader comes too late for
// that, all is tried anew.
GO_TEST(dump_gives_up_and_tries_again, 2)
{
	char *text = test_pages(DUMP_BYTES);
	go_chan *c = go_chan_new(sizeof(int), 0);
	for (int i = 0; i < 20; i++)
		go_spawn(wait_in_dump, c);
	go_sleep(10 * GO_MSEC);
	for (long tries = 1; !is_whole(text, text + DUMP_BYTES - 1); tries++) {
		memset(text, 0, DUMP_BYTES);
		fill_dump_pipe();
		int64_t begun = go_now();
		go_dump(dump_pipe[1]);
		expect(go_now() - begun > GO_SEC / 2);
		expect(go_now() - begun < 5 * test_slowness() * GO_SEC);
		go_spawn(read_after_a_while, text);
		go_dump(dump_pipe[1]);
		close(dump_pipe[1]);
		until(count_of(&all_read) == tries);
	}
	for (int i = 0; i < 20; i++)
		go_chan_send(c, &i, GO_NEVER);
}

static void *
dump_once(void *null)
{
	go_dump(*(int *)null);
	return NULL;
}

void
test_dump_from_threads(void)
{
	pthread_t t[4];
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	for (int i = 0; i < 4; i++)
		expect(pthread_create(&t[i], NULL, dump_once, &null) == 0);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	close(null);
}

// --- SIGQUIT ------------------------------------------------------------------------------------

static void
say_ready(void)
{
	expect_eq(write(1, "ready\n", 6), 6);
}

static int
wait_to_be_quit(void *unused)
{
	(void)unused;
	signal(SIGALRM, SIG_DFL);
	go_spawn(wait_in_dump, go_chan_new(sizeof(int), 0));
	go_spawn(spin_in_dump, NULL);
	say_ready();
	go_sleep(60 * GO_SEC);
	return 0;
}

DEATH(quit)
{
	go_run(wait_to_be_quit, NULL);
}

// It comes to the very thread that writes a dump which nobody reads.
DEATH(quit_in_a_dump)
{
	int fds[2];
	static char some[1 << 16];
	expect_eq(pipe(fds), 0);
	expect_eq(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
	while (write(fds[1], some, sizeof(some)) > 0)
		;
	while (write(fds[1], some, 1) > 0)
		;
	expect_eq(fcntl(fds[1], F_SETFL, 0), 0);
	say_ready();
	go_dump(fds[1]);
}

static void
wait_as_the_last(void *c)
{
	wait_in_dump(c);
	KEEP_FRAME();
}

// As timeout sends it, to the process and then to its group.
static int
quit_twice_body(void *unused)
{
	enum { MANY = 200 };
	go_chan *c = go_chan_new(sizeof(int), 0);
	(void)unused;
	for (int i = 0; i < MANY; i++)
		go_spawn(wait_in_dump, c);
	go_spawn(wait_as_the_last, c);
	go_sleep(20 * GO_MSEC); // until they wait: one that has not run yet has no stack to show
	if (fork() == 0) {
		for (int i = 0; i < 3; i++) {
			kill(getppid(), SIGQUIT);
			usleep(1000); // two that wait are one
		}
		_exit(0);
	}
	go_sleep(60 * GO_SEC); // a signal ends it; without a sleeper it would be a deadlock
	return 0;
}

DEATH(quit_twice)
{
	go_run(quit_twice_body, NULL);
}

static void
own_quit(int sig)
{
	(void)sig;
	_exit(9);
}

DEATH(quit_of_its_own)
{
	signal(SIGQUIT, own_quit);
	go_run(wait_to_be_quit, NULL);
}

#define QUIT_WHEN_READY .send = SIGQUIT, .send_after_ms = 300, .says_when = true

void
test_quit_dumps(void)
{
	expect_death(quit, .status = 2, QUIT_WHEN_READY, .err = "SIGQUIT: quit\nPC=0x",
		     .err_has = {" m=", " sigcode=", "\n\ngoroutine ", " [sleep]:\ngo_sleep(...)\n",
				 "wait_to_be_quit(...)\n", " [chan receive]:\n",
				 "wait_in_dump(...)\n"});
	expect_death(quit_in_a_dump, .status = 2, QUIT_WHEN_READY, .err = "SIGQUIT: quit\nPC=0x");
	expect_death(quit_of_its_own, .status = 9, QUIT_WHEN_READY);
	expect_death(quit_twice, .status = 2, .err = "SIGQUIT: quit\nPC=0x",
		     .err_has = {"\nwait_as_the_last(...)\n"});
}

// --- GOTRACEBACK --------------------------------------------------------------------------------

static void
close_twice_in_dump(void *c)
{
	go_chan_close(c);
	go_chan_close(c);
	KEEP_FRAME();
}

static int
panic_beside_others(void *unused)
{
	(void)unused;
	go_spawn(wait_in_dump, go_chan_new(sizeof(int), 0));
	go_sleep(10 * GO_MSEC);
	go_spawn(close_twice_in_dump, go_chan_new(sizeof(int), 0));
	go_sleep(20 * GO_SEC);
	return 0;
}

DEATH(traced_panic)
{
	go_run(panic_beside_others, NULL);
}

#define PANIC_TEXT .err = "panic: close of closed channel\n\n"

void
test_gotraceback_levels(void)
{
	expect_death(traced_panic, .status = 2, .env = "GOTRACEBACK", PANIC_TEXT,
		     .err_has = {" [running]:\ngo_chan_close(...)\n", "close_twice_in_dump(...)\n"},
		     .err_lacks = {"wait_in_dump", "panic(...)", "runtime stack"});
	expect_death(traced_panic, .status = 2, .env = "GOTRACEBACK=none", PANIC_TEXT,
		     .err_lacks = {"goroutine"});
	expect_death(traced_panic, .status = 2, .env = "GOTRACEBACK=0", PANIC_TEXT,
		     .err_lacks = {"goroutine"});
	expect_death(traced_panic, .status = 2, .env = "GOTRACEBACK=single", PANIC_TEXT,
		     .err_has = {"close_twice_in_dump"}, .err_lacks = {"wait_in_dump"});
	expect_death(traced_panic, .status = 2, .env = "GOTRACEBACK=all", PANIC_TEXT,
		     .err_has = {"close_twice_in_dump", "wait_in_dump"},
		     .err_lacks = {"panic(...)"});
	expect_death(traced_panic, .status = 2, .env = "GOTRACEBACK=1", PANIC_TEXT,
		     .err_has = {"close_twice_in_dump", "wait_in_dump"},
		     .err_lacks = {"panic(...)"});
	expect_death(traced_panic, .status = 2, .env = "GOTRACEBACK=01", PANIC_TEXT,
		     .err_has = {"wait_in_dump"}, .err_lacks = {"panic(...)"});
	expect_death(traced_panic, .status = 2, .env = "GOTRACEBACK=system", PANIC_TEXT,
		     .err_has = {"panic(...)", "close_twice_in_dump", "wait_in_dump"});
	expect_death(traced_panic, .status = 2, .env = "GOTRACEBACK=2", PANIC_TEXT,
		     .err_has = {"panic(...)", "close_twice_in_dump", "wait_in_dump"});
	expect_death(traced_panic, .status = 2, .env = "GOTRACEBACK=31", PANIC_TEXT,
		     .err_has = {"panic(...)", "close_twice_in_dump", "wait_in_dump"});
	const char *const none[] = {"GOTRACEBACK=wer", "GOTRACEBACK=-1", "GOTRACEBACK=4294967296"};
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		expect_death(traced_panic, .status = 2, .env = none[i], PANIC_TEXT,
			     .err_lacks = {"goroutine"});
	expect_death(traced_panic, .status = 2, .env = "GOTRACEBACK=", PANIC_TEXT,
		     .err_has = {"close_twice_in_dump"}, .err_lacks = {"wait_in_dump"});
	expect_death(traced_panic, .signal = SIGABRT, .env = "GOTRACEBACK=crash", PANIC_TEXT,
		     .err_has = {"panic(...)", "close_twice_in_dump", "wait_in_dump"});
}

// --- a program whose folder is called as ours is ------------------------------------------------

static int wait_in_src(void *unused);

DEATH(traced_from_src)
{
	go_run(wait_in_src, NULL);
}

void
test_dump_of_a_folder_called_src(void)
{
	expect_death(traced_from_src, .status = 2,
		     .err_has = {"go_chan_recv(...)\n", "wait_in_src(...)\n\t../src/main.c:6 +0x"});
}

// As Meson calls a program's own sources. To the end of the file.
#line 1 "../src/main.c"
static int
wait_in_src(void *unused)
{
	int v;
	(void)unused;
	go_chan_recv(go_chan_new(sizeof(int), 0), &v, GO_NEVER);
	KEEP_FRAME();
	return 0;
}
