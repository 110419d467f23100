// SPDX-License-Identifier: BSD-3-Clause
// Stacks of goroutines that run, which their threads are asked for: of go_dump, and of who dies.
// Threads that do not answer, that have begun to and take long, that are in the middle of a switch;
// a program that uses the signal itself.
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "goroutines.h"
#include "panic/panic.h"

// Behind a call: the caller's frame stays until it returns.
#define KEEP_FRAME() __asm__ volatile("")
#define UNAVAILABLE "]:\n\tgoroutine running on other thread; stack unavailable\n"
#define CLOSE_OF_NIL "panic: close of nil channel\n"
#define UNLOCKED "fatal error: sync: unlock of unlocked mutex\n"

enum { DUMP_BYTES = 1 << 20 };

static atomic_bool stop;

static void
spin_asked(void *unused)
{
	(void)unused;
	while (!atomic_load(&stop))
		;
	KEEP_FRAME();
}

static void
wait_unasked(void *c)
{
	int v;
	go_chan_recv(c, &v, GO_NEVER);
	KEEP_FRAME();
}

// What go_dump writes now. Good until the next call.
static char *
dump_now(void)
{
	static char *text;
	static int file;
	if (text == NULL) {
		text = test_pages(DUMP_BYTES);
		file = memfd_create("dump", MFD_CLOEXEC);
	}
	expect(ftruncate(file, 0) == 0 && lseek(file, 0, SEEK_SET) == 0);
	go_dump(file);
	ssize_t n = pread(file, text, DUMP_BYTES - 1, 0);
	expect(n > 0 && n < DUMP_BYTES - 1);
	text[n] = '\0';
	return text;
}

// A thread that gets no processor for a second is not shown, so who comes late tries again.
static void
until_dump_has(const char *first, const char *second)
{
	const char *at;
	do {
		at = strstr(dump_now(), first);
		at = at != NULL ? strstr(at, second) : NULL;
	} while (at == NULL);
}

// --- who dies of a broken stack -----------------------------------------------------------------

static int *volatile bad_address = (int *)16;

static __attribute__((noinline)) void *
place_of_call(void)
{
	return __builtin_return_address(0);
}

// The caller of this frame is this frame. Room of no constant size: it is found by its pointer.
static __attribute__((noinline)) void
circle(volatile size_t n)
{
	volatile char room[n];
	void **frame = __builtin_frame_address(0);
	room[0] = 0;
	frame[1] = place_of_call();
	frame[0] = frame;
	*bad_address = room[0];
	KEEP_FRAME();
}

static int
die_in_a_circle(void *unused)
{
	(void)unused;
	circle(16);
	KEEP_FRAME();
	return 0;
}

DEATH(circle_of_frames)
{
	go_run(die_in_a_circle, NULL);
}

// Nothing that readies the unwinder walks the stack of who dies.
void
test_asked_beside_a_circle(void)
{
	expect_death(circle_of_frames, .status = 2, .env = "GOTRACEBACK=all",
		     .err = "fatal error: unexpected signal\n",
		     .err_has = {"circle(...)\n", " [go_run, thread]:\ngo_run(...)\n"});
}

// --- threads that do not answer -----------------------------------------------------------------

// Each signal that is sent meanwhile is lost, but for the few that come between two calls of ours.
static void
ignore_again_and_again(void *unused)
{
	(void)unused;
	for (;;)
		signal(SIGPROF, SIG_IGN);
}

static void
unlock_unlocked(void *unused)
{
	go_mutex m = GO_MUTEX_INIT;
	(void)unused;
	go_sleep(20 * GO_MSEC); // so that the others have begun, mostly
	go_mutex_unlock(&m);
	KEEP_FRAME();
}

static int
die_together(void *unused)
{
	go_spawn(ignore_again_and_again, NULL);
	for (int i = 0; i < 6; i++)
		go_spawn(spin_asked, NULL);
	go_spawn(unlock_unlocked, NULL);
	go_spawn(unlock_unlocked, NULL);
	go_spawn(wait_unasked, go_chan_new(sizeof(int), 0));
	go_sleep(30 * GO_SEC); // the others end the process long before
	return unused != NULL;
}

DEATH(together_beside_the_silent)
{
	go_gomaxprocs(10);
	go_run(die_together, NULL);
}

// Another death, which waits for the first, does not take it for one that hangs.
void
test_asked_in_vain_is_no_hang(void)
{
	expect_death(together_beside_the_silent, .status = 2, .env = "GOTRACEBACK=all",
		     .err = UNLOCKED, .err_has = {"wait_unasked(...)\n"}, .limit_ms = 15000);
}

enum { DEAF = 40 };
static Count deaf;

static void *
be_deaf(void *unused)
{
	sigset_t all;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	go_yield();
	count_add(&deaf);
	while (!atomic_load(&stop))
		pause();
	return unused;
}

static int
die_beside_many_deaf(void *unused)
{
	pthread_t t;
	for (int i = 0; i < DEAF; i++)
		expect(pthread_create(&t, NULL, be_deaf, NULL) == 0);
	until(count_of(&deaf) == DEAF);
	go_spawn(spin_asked, NULL);
	go_sleep(20 * GO_MSEC); // so that it has begun, mostly
	go_chan_close(NULL);
	return unused != NULL;
}

DEATH(beside_many_deaf)
{
	go_gomaxprocs(2);
	go_run(die_beside_many_deaf, NULL);
}

// Those who cannot answer do not use up the patience with who can.
void
test_asked_behind_the_deaf(void)
{
	expect_death(beside_many_deaf, .status = 2, .env = "GOTRACEBACK=all", .err = CLOSE_OF_NIL,
		     .err_has = {"]:\nspin_asked(...)\n"});
}

// --- answers that take long ---------------------------------------------------------------------

// What is walked meanwhile, in a handler, takes more than the moments after which one looks whether
// there can be an answer.
enum { DEPTH = 16000, TOO_DEEP = 20000 };

static __attribute__((noinline)) void
spin_deep(int n, atomic_bool *there)
{
	if (n > 0)
		spin_deep(n - 1, there);
	else
		for (atomic_store(there, true); !atomic_load(&stop);)
			;
	KEEP_FRAME();
}

static atomic_bool is_deep, is_too_deep;

static void
spin_at_depth(void *unused)
{
	(void)unused;
	spin_deep(DEPTH, &is_deep);
	KEEP_FRAME();
}

static void
spin_too_deep(void *unused)
{
	(void)unused;
	spin_deep(TOO_DEEP, &is_too_deep);
	KEEP_FRAME();
}

// A stack that is told has its outermost frames too, or says that some are left out.
GO_TEST(asked_far_down, 3)
{
	const go_attr large = {.stack_bytes = 64 << 20};
	go_spawn_with(&large, spin_at_depth, NULL);
	until(atomic_load(&is_deep));
	until_dump_has("]:\nspin_deep(...)\n", " frames elided...\nspin_deep(...)\n");
	until_dump_has("]:\nspin_deep(...)\n", "\nspin_at_depth(...)\n");
	go_spawn_with(&large, spin_too_deep, NULL);
	until(atomic_load(&is_too_deep));
	until_dump_has("]:\nspin_deep(...)\n", "\n...additional frames elided...\ncreated by ");
	atomic_store(&stop, true);
}

// --- whose stack it is --------------------------------------------------------------------------

static void
be_short_a(void *unused)
{
	(void)unused;
	compute_for(20 * GO_USEC);
	KEEP_FRAME();
}

static void
be_short_b(void *unused)
{
	(void)unused;
	compute_for(20 * GO_USEC);
	KEEP_FRAME();
}

static void
yield_a(void *unused)
{
	(void)unused;
	while (!atomic_load(&stop))
		go_yield();
	KEEP_FRAME();
}

static void
yield_b(void *unused)
{
	(void)unused;
	while (!atomic_load(&stop))
		go_yield();
	KEEP_FRAME();
}

static Count spawners;

static void
spawn_a(void *unused)
{
	(void)unused;
	go_spawn(yield_a, NULL);
	while (!atomic_load(&stop)) {
		go_spawn(be_short_a, NULL);
		go_yield();
	}
	count_add(&spawners);
}

static void
spawn_b(void *unused)
{
	(void)unused;
	go_spawn(yield_b, NULL);
	while (!atomic_load(&stop)) {
		go_spawn(be_short_b, NULL);
		go_yield();
	}
	count_add(&spawners);
}

static bool
has(const char *from, const char *to, const char *part)
{
	const char *at = strstr(from, part);
	return at != NULL && at < to;
}

// Who was created by spawn_a runs functions whose names end in a.
static void
expect_own_stacks(const char *text)
{
	for (const char *end; *text != '\0'; text = end) {
		end = strstr(text, "\n\n");
		end = end != NULL ? end + 2 : text + strlen(text);
		bool a = has(text, end, "be_short_a(") || has(text, end, "yield_a(");
		bool b = has(text, end, "be_short_b(") || has(text, end, "yield_b(");
		bool wrong = (a && has(text, end, "created by spawn_b ")) ||
			     (b && has(text, end, "created by spawn_a ")) || (a && b);
		if (wrong) {
			fprintf(stderr, "%.*s", (int)(end - text), text);
			harness_fail(__FILE__, __LINE__, "a stack under its own number");
		}
	}
}

GO_TEST(asked_by_number, 3)
{
	go_spawn(spawn_a, NULL);
	go_spawn(spawn_b, NULL);
	for (long i = test_scale(500); i > 0; i--)
		expect_own_stacks(dump_now());
	atomic_store(&stop, true);
	until(count_of(&spawners) == 2);
}

// --- whose signal it is -------------------------------------------------------------------------

static Count ticks;

static void
count_tick(int sig)
{
	(void)sig;
	count_add(&ticks);
}

static void
expect_ticks(void)
{
	long before = count_of(&ticks);
	while (count_of(&ticks) < before + 3)
		compute_for(GO_MSEC);
}

// A program that has a handler keeps it, and its ticks.
GO_TEST(asked_by_no_signal_of_others, 2)
{
	const struct itimerval each = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
	go_spawn(spin_asked, NULL);
	signal(SIGPROF, count_tick);
	setitimer(ITIMER_PROF, &each, NULL);
	expect_ticks();
	expect(strstr(dump_now(), UNAVAILABLE) != NULL);
	expect_ticks();
	setitimer(ITIMER_PROF, &never, NULL);
	signal(SIGPROF, SIG_IGN);
	expect(strstr(dump_now(), UNAVAILABLE) != NULL);
	expect(signal(SIGPROF, SIG_DFL) == SIG_IGN);
	until_dump_has("]:\nspin_asked(...)\n", "created by ");
	signal(SIGPROF, SIG_DFL);
	until_dump_has("]:\nspin_asked(...)\n", "created by ");
	atomic_store(&stop, true);
}

static int
die_beside_a_spinner(void *handler)
{
	go_spawn(spin_asked, NULL);
	go_sleep(20 * GO_MSEC); // so that it has begun, mostly
	(void)dump_now();
	signal(SIGPROF, (void (*)(int))(uintptr_t)handler);
	go_chan_close(NULL);
	return 0;
}

#define DEATH_WITH(name, handler)                                                \
	DEATH(name)                                                              \
	{                                                                        \
		go_gomaxprocs(2);                                                \
		go_run(die_beside_a_spinner, (void *)(uintptr_t)(handler));      \
	}

DEATH_WITH(signal_given_back, SIG_DFL)
DEATH_WITH(signal_ignored, SIG_IGN)
DEATH_WITH(signal_of_others, count_tick)

// Who dies takes it in any case.
void
test_asked_by_the_dying(void)
{
#define TOLD .status = 2, .env = "GOTRACEBACK=all", .err = CLOSE_OF_NIL, \
	     .err_has = {"]:\nspin_asked(...)\n"}
	expect_death(signal_given_back, TOLD);
	expect_death(signal_ignored, TOLD);
	expect_death(signal_of_others, TOLD);
}

// --- whose turn it is ---------------------------------------------------------------------------

static ATOMIC(G *) spinner;
static Count looks;

static void
spin_looked_at(void *unused)
{
	(void)unused;
	store_rel(&spinner, sched_g()); // order: publish -> look_again
	while (!atomic_load(&stop))
		;
	KEEP_FRAME();
}

static void *
look_again(void *unused)
{
	static __thread Look l;
	while (load_rlx(&base_dying) == 0) { // order: hint
		G *gp = load_acq(&spinner); // order: observe <- spin_looked_at
		(void)panic_look(gp, &l);
		count_add(&looks);
	}
	// Going on without an end would only keep who is asked from a processor.
	for (;;)
		pause();
	return unused;
}

static int
die_among_askers(void *unused)
{
	pthread_t t;
	go_spawn(spin_looked_at, NULL);
	until(load_rlx(&spinner) != NULL); // order: hint
	for (int i = 0; i < 8; i++)
		expect(pthread_create(&t, NULL, look_again, NULL) == 0);
	until(count_of(&looks) > 20);
	go_chan_close(NULL);
	return unused != NULL;
}

DEATH(among_askers)
{
	go_gomaxprocs(2);
	go_run(die_among_askers, NULL);
}

void
test_asked_among_askers(void)
{
	for (long i = test_scale(4); i > 0; i--)
		expect_death(among_askers, .status = 2, .env = "GOTRACEBACK=all",
			     .err = CLOSE_OF_NIL, .err_has = {"]:\nspin_looked_at(...)\n"});
}
