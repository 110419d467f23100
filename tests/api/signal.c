// SPDX-License-Identifier: BSD-3-Clause
// undergo/signal.h: what its comments promise, but for what ends the process, which is in
// tests/fatal/signal.c.
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "goroutines.h"

// The next number in c.
static int
next_of(go_chan *c)
{
	int sig = 0;
	expect_eq(go_chan_recv(c, &sig, GO_NEVER), 0);
	return sig;
}

GO_TEST(signal_notify, 2)
{
	go_chan *a = go_chan_new(sizeof(int), 4), *b = go_chan_new(sizeof(int), 4);
	expect_eq(go_signal_notify(a, SIGUSR1), 0);
	expect_eq(go_signal_notify(b, SIGUSR1), 0);
	expect_eq(go_signal_notify(b, SIGUSR2), 0);
	kill(getpid(), SIGUSR1);
	expect_eq(next_of(a), SIGUSR1);
	expect_eq(next_of(b), SIGUSR1);
	kill(getpid(), SIGUSR2);
	expect_eq(next_of(b), SIGUSR2);
	expect_eq(go_chan_len(a), 0);
	go_signal_stop(a);
	kill(getpid(), SIGUSR1);
	expect_eq(next_of(b), SIGUSR1);
	expect_eq(go_chan_len(a), 0);
	go_signal_stop(b);
	go_signal_stop(b);
	go_chan_free(a);
	go_chan_free(b);
}

// Nobody is waited for, and what came stays.
GO_TEST(signal_notify_drops, 2)
{
	go_chan *full = go_chan_new(sizeof(int), 1), *c = go_chan_new(sizeof(int), 1);
	expect_eq(go_signal_notify(full, SIGUSR1), 0);
	expect_eq(go_signal_notify(c, SIGUSR1), 0);
	for (int i = 0; i < 5; i++) {
		kill(getpid(), SIGUSR1);
		expect_eq(next_of(c), SIGUSR1);
	}
	go_signal_stop(full);
	expect_eq(go_chan_len(full), 1);
	go_signal_stop(c);
}

GO_TEST(signal_refused, 2)
{
	go_chan *c = go_chan_new(sizeof(int), 1), *wide = go_chan_new(8, 1);
	const int bad[] = {-1, 65, 1 << 20, SIGKILL, SIGSTOP, SIGPROF, 32, 33};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		expect_eq(go_signal_notify(c, bad[i]), GO_EINVAL);
		expect_eq(go_signal_ignore(bad[i]), GO_EINVAL);
		expect_eq(go_signal_reset(bad[i]), GO_EINVAL);
		expect(!go_signal_ignored(bad[i]));
		expect(go_signal_context(NULL, &bad[i], 1) == NULL);
	}
	expect_eq(go_signal_notify(wide, SIGUSR1), GO_EINVAL);
	go_signal_stop(c);
	go_signal_stop(NULL);
}

// Every signal there is, without a fault of ours in between; then nothing is left of it.
GO_TEST(signal_notify_all, 2)
{
	struct sigaction now;
	go_chan *c = go_chan_new(sizeof(int), 64);
	expect_eq(go_signal_notify(c, 0), 0);
	for (int sig = 1; sig <= 64; sig++) {
		if (sig == SIGKILL || sig == SIGSTOP || sig == SIGPROF || sig == 32 || sig == 33)
			continue;
		kill(getpid(), sig);
		expect_eq(next_of(c), sig);
	}
	go_signal_stop(c);
	expect_eq(sigaction(SIGUSR1, NULL, &now), 0);
	expect(now.sa_handler == SIG_DFL);
	go_chan_free(c);
}

static atomic_int own_calls;

static void
own_handler(int sig)
{
	atomic_fetch_add(&own_calls, sig);
}

// A handler of the program's rests while a channel has its signal.
GO_TEST(signal_handler_of_the_program, 2)
{
	go_chan *c = go_chan_new(sizeof(int), 4);
	signal(SIGUSR1, own_handler);
	raise(SIGUSR1);
	expect_eq(atomic_load(&own_calls), SIGUSR1);
	expect_eq(go_signal_notify(c, SIGUSR1), 0);
	raise(SIGUSR1);
	expect_eq(next_of(c), SIGUSR1);
	expect_eq(atomic_load(&own_calls), SIGUSR1);
	expect_eq(go_signal_reset(SIGUSR1), 0);
	raise(SIGUSR1);
	expect_eq(atomic_load(&own_calls), 2 * SIGUSR1);
	expect_eq(go_signal_notify(c, SIGUSR1), 0);
	go_signal_stop(c);
	raise(SIGUSR1);
	expect_eq(atomic_load(&own_calls), 3 * SIGUSR1);
	expect_eq(go_chan_len(c), 0);
}

// As of a process that nohup has started.
GO_TEST(signal_ignored_from_the_start, 2)
{
	go_chan *c = go_chan_new(sizeof(int), 4);
	struct sigaction ignore = {.sa_flags = SA_SIGINFO};
	ignore.sa_handler = SIG_IGN;
	sigaction(SIGHUP, &ignore, NULL);
	expect(go_signal_ignored(SIGHUP));
	expect(!go_signal_ignored(SIGTERM));
	raise(SIGHUP);
	expect_eq(go_signal_notify(c, SIGHUP), 0);
	expect(!go_signal_ignored(SIGHUP));
	raise(SIGHUP);
	expect_eq(next_of(c), SIGHUP);
	go_signal_stop(c);
	expect(go_signal_ignored(SIGHUP));
	raise(SIGHUP);
	expect_eq(go_chan_len(c), 0);
}

GO_TEST(signal_ignore, 2)
{
	go_chan *c = go_chan_new(sizeof(int), 4);
	const int sigs[] = {SIGTERM, SIGSEGV, SIGQUIT, SIGFPE};
	for (int i = 0; i < 4; i++) {
		expect_eq(go_signal_notify(c, sigs[i]), 0);
		expect_eq(go_signal_ignore(sigs[i]), 0);
		expect(go_signal_ignored(sigs[i]));
		raise(sigs[i]);
		expect_eq(go_signal_notify(c, sigs[i]), 0);
		raise(sigs[i]);
		expect_eq(next_of(c), sigs[i]);
		go_signal_stop(c);
		expect(!go_signal_ignored(sigs[i]));
	}
	expect_eq(go_chan_len(c), 0);
}

GO_TEST(signal_cancels_context, 2)
{
	const int sigs[] = {SIGUSR1, SIGTERM};
	int64_t none;
	go_ctx *ctx = go_signal_context(NULL, sigs, 2), *other = go_signal_context(ctx, sigs, 1);
	go_ctx *below = go_ctx_new(ctx, GO_NEVER);
	expect(ctx != NULL && other != NULL && below != NULL);
	expect_eq(go_ctx_err(ctx), 0);
	kill(getpid(), SIGTERM);
	expect_eq(go_chan_recv(go_ctx_done(below), &none, GO_NEVER), GO_ECLOSED);
	expect_eq(go_ctx_err(ctx), GO_ECANCELED);
	go_signal_context_stop(ctx);
	go_signal_context_stop(ctx);
	go_signal_context_stop(other);
	go_signal_context_stop(NULL);
	struct sigaction now;
	expect_eq(sigaction(SIGTERM, NULL, &now), 0);
	expect(now.sa_handler == SIG_DFL);
	go_ctx_unref(below);
	go_ctx_unref(other);
	go_ctx_unref(ctx);
	go_ctx *never = go_signal_context(NULL, sigs, 2);
	go_signal_context_stop(never);
	expect_eq(go_ctx_err(never), GO_ECANCELED);
	go_ctx_unref(never);
}

// --- threads and their masks --------------------------------------------------------------------

static go_chan *to_main;

static void *
stranger_raises(void *unused)
{
	(void)unused;
	raise(SIGUSR1); // this thread, which never called in
	return NULL;
}

GO_TEST(signal_to_a_stranger, 2)
{
	pthread_t t;
	to_main = go_chan_new(sizeof(int), 4);
	expect_eq(go_signal_notify(to_main, SIGUSR1), 0);
	expect_eq(pthread_create(&t, NULL, stranger_raises, NULL), 0);
	expect_eq(next_of(to_main), SIGUSR1);
	pthread_join(t, NULL);
	go_signal_stop(to_main);
}

static int
receive_blocked(void *unused)
{
	(void)unused;
	to_main = go_chan_new(sizeof(int), 4);
	expect_eq(go_signal_notify(to_main, SIGUSR2), 0);
	kill(getpid(), SIGUSR2);
	expect_eq(next_of(to_main), SIGUSR2);
	sigset_t mask;
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	expect(sigismember(&mask, SIGUSR2));
	go_signal_stop(to_main);
	kill(getpid(), SIGUSR2); // nobody lets it through any more
	expect_eq(sigpending(&mask), 0);
	expect(sigismember(&mask, SIGUSR2));
	return 0;
}

// Every thread blocks it, those of the runtime too, which do as the one that started them.
void
test_signal_that_all_block(void)
{
	sigset_t all;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	expect_eq(go_run(receive_blocked, NULL), 0);
}

// SIGURG is the program's own: only what was sent comes, however busy the processors are.
static atomic_bool enough;

static void
spin_until_enough(void *unused)
{
	(void)unused;
	while (!atomic_load(&enough))
		;
}

GO_TEST(signal_none_of_the_runtime, 2)
{
	go_chan *c = go_chan_new(sizeof(int), 64);
	expect_eq(go_signal_notify(c, 0), 0);
	for (int i = 0; i < 4; i++)
		go_spawn(spin_until_enough, NULL);
	go_sleep(30 * GO_MSEC);
	go_gc();
	expect_eq(go_chan_len(c), 0);
	kill(getpid(), SIGURG);
	expect_eq(next_of(c), SIGURG);
	atomic_store(&enough, true);
	go_signal_stop(c);
}

// --- stopping loses nothing ---------------------------------------------------------------------

static atomic_int to_handler;

static void
count_signal(int sig)
{
	(void)sig;
	atomic_fetch_add(&to_handler, 1);
}

static atomic_long asked; // rounds begun; -1: no more
static atomic_long raised;

static void *
raise_when_asked(void *unused)
{
	(void)unused;
	for (long n = 1; atomic_load(&asked) >= 0; n++) {
		while (atomic_load(&asked) >= 0 && atomic_load(&asked) < n)
			;
		if (atomic_load(&asked) < 0)
			break;
		raise(SIGUSR1);
		atomic_store(&raised, n);
	}
	return NULL;
}

// A signal that comes as a channel stops is in it, or had its effect.
GO_TEST(signal_stop_loses_none, 2)
{
	go_chan *c = go_chan_new(sizeof(int), 4);
	uint64_t seed = test_seed();
	pthread_t t;
	signal(SIGUSR1, count_signal);
	long got = 0, n = test_scale(1500);
	expect_eq(pthread_create(&t, NULL, raise_when_asked, NULL), 0);
	for (long i = 1; i <= n; i++) {
		int sig;
		expect_eq(go_signal_notify(c, SIGUSR1), 0);
		atomic_store(&asked, i);
		for (uint64_t spin = test_rand(&seed) % 4000; spin > 0; spin--)
			__asm__ volatile("");
		go_signal_stop(c);
		while (atomic_load(&raised) < i)
			;
		while (go_chan_recv(c, &sig, GO_POLL) == 0)
			got++;
		expect_eq(got + atomic_load(&to_handler), i);
	}
	atomic_store(&asked, -1);
	pthread_join(t, NULL);
}

enum { KINDS = 25, LOOKS = 300 };

static go_waitgroup both_stop;

// Whoever has stopped a channel may free it, also when another stops it at the same time.
static void
stop_and_look(void *c)
{
	go_signal_stop(c);
	size_t n = go_chan_len(c);
	for (int i = 0; i < LOOKS; i++) {
		go_yield();
		expect_eq(go_chan_len(c), n);
	}
	go_wg_done(&both_stop);
}

GO_TEST(signal_stop_twice_at_once, 4)
{
	for (int sig = 0; sig < KINDS; sig++)
		signal(SIGRTMIN + sig, count_signal);
	for (long i = test_scale(500); i > 0; i--) {
		go_chan *c = go_chan_new(sizeof(int), KINDS);
		for (int sig = 0; sig < KINDS; sig++)
			expect_eq(go_signal_notify(c, SIGRTMIN + sig), 0);
		go_wg_add(&both_stop, 2);
		go_spawn(stop_and_look, c);
		for (int sig = 0; sig < KINDS; sig++)
			raise(SIGRTMIN + sig);
		go_spawn(stop_and_look, c);
		expect_eq(go_wg_wait(&both_stop, GO_NEVER), 0);
		go_chan_free(c);
	}
}

// The first who has stopped it closes it, while signals go on coming to another one.
static atomic_bool closed;

static void
stop_and_close(void *c)
{
	go_signal_stop(c);
	if (!atomic_exchange(&closed, true))
		go_chan_close(c);
	go_wg_done(&both_stop);
}

GO_TEST(signal_stop_and_close, 4)
{
	go_chan *other = go_chan_new(sizeof(int), 1);
	expect_eq(go_signal_notify(other, SIGUSR1), 0);
	for (long i = test_scale(3000); i > 0; i--) {
		go_chan *c = go_chan_new(sizeof(int), 4);
		expect_eq(go_signal_notify(c, SIGUSR1), 0);
		atomic_store(&closed, false);
		go_wg_add(&both_stop, 2);
		go_spawn(stop_and_close, c);
		go_spawn(stop_and_close, c);
		while (!atomic_load(&closed))
			raise(SIGUSR1);
		expect_eq(go_wg_wait(&both_stop, GO_NEVER), 0);
		go_chan_free(c);
	}
	go_signal_stop(other);
}

// --- fork ---------------------------------------------------------------------------------------

// A child has the effects of the beginning, before it calls exec too.
GO_TEST(signal_in_a_child, 2)
{
	int status = 0;
	go_chan *c = go_chan_new(sizeof(int), 4);
	expect_eq(go_signal_notify(c, SIGTERM), 0);
	pid_t pid = fork();
	if (pid == 0) {
		raise(SIGTERM);
		_exit(5);
	}
	expect_eq(waitpid(pid, &status, 0), pid);
	expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	raise(SIGTERM);
	expect_eq(next_of(c), SIGTERM);
	go_signal_stop(c);
}

// --- many at once -------------------------------------------------------------------------------

static atomic_int senders;

static void *
send_many(void *unused)
{
	(void)unused;
	for (long i = test_scale(2000); i > 0; i--)
		kill(getpid(), i % 2 != 0 ? SIGUSR1 : SIGUSR2);
	atomic_fetch_sub(&senders, 1);
	return NULL;
}

static void
notify_and_stop(void *wg)
{
	while (atomic_load(&senders) != 0) {
		int sig;
		go_chan *c = go_chan_new(sizeof(int), 2);
		expect_eq(go_signal_notify(c, SIGUSR1), 0);
		expect_eq(go_signal_notify(c, SIGUSR2), 0);
		(void)go_chan_recv(c, &sig, go_in(GO_MSEC));
		go_signal_stop(c);
		go_chan_free(c);
	}
	go_wg_done(wg);
}

GO_TEST(signal_storm, 4)
{
	enum { SENDERS = 3, STOPPERS = 6 };
	static go_waitgroup wg;
	pthread_t t[SENDERS];
	signal(SIGUSR1, own_handler);
	signal(SIGUSR2, own_handler);
	atomic_store(&senders, SENDERS);
	for (int i = 0; i < STOPPERS; i++) {
		go_wg_add(&wg, 1);
		go_spawn(notify_and_stop, &wg);
	}
	for (int i = 0; i < SENDERS; i++)
		expect_eq(pthread_create(&t[i], NULL, send_many, NULL), 0);
	expect_eq(go_wg_wait(&wg, GO_NEVER), 0);
	for (int i = 0; i < SENDERS; i++)
		pthread_join(t[i], NULL);
}
