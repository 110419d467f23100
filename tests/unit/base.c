// SPDX-License-Identifier: BSD-3-Clause
// base: printing, dying, the asymmetric fence, small arithmetic.
#include "base/base.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arch/arch.h"
#include "harness.h"
#include "os/os.h"
#include "panic/chain.h"

// --- printing -----------------------------------------------------------------------------------

// Everything the print functions write goes to the descriptor this thread has chosen, and the
// extremes of each type come out right.
void
test_base_print(void)
{
	int fds[2];
	char text[256];
	os_init();
	expect(pipe(fds) == 0);
	expect_eq(print_to(fds[1]), 2);
	print_str("a");
	print_str("");
	print_n("bcd", 2);
	print_u64(0);
	print_str(" ");
	print_u64(UINT64_MAX);
	print_str(" ");
	print_i64(INT64_MIN);
	print_i64(7);
	print_str(" ");
	print_hex(0);
	print_hex(UINT64_MAX);
	expect_eq(print_to(-1), fds[1]);
	print_str("nowhere");
	expect_eq(print_to(INT_MIN), -1);
	expect_eq(print_to(2), INT_MIN);
	close(fds[1]);
	ssize_t n = read(fds[0], text, sizeof(text) - 1);
	expect(n > 0);
	text[n] = '\0';
	expect_str(text, "abc0 18446744073709551615 -92233720368547758087 0x00xffffffffffffffff");
}

// --- dying --------------------------------------------------------------------------------------

DEATH(base_throw)
{
	os_init();
	throw("of a test");
}

DEATH(base_fatal)
{
	os_init();
	fatal("of a test");
}

DEATH(base_panic)
{
	os_init();
	panic("of a test");
}

DEATH(base_check)
{
	os_init();
	check(getpid() == 0, "not the first process");
}

// The headline, a blank line, status 2, whatever the way to die; and the seed exactly when there is
// one that would repeat the run.
void
test_base_deaths(void)
{
	expect_death(base_throw, .status = 2, .err = "fatal error: of a test\n\n");
	expect_death(base_fatal, .status = 2, .err = "fatal error: of a test\n\n");
	expect_death(base_panic, .status = 2, .err = "panic: of a test\n\n");
	expect_death(base_check, .status = 2, .err = "fatal error: not the first process\n\n");
	expect_death(base_throw, .status = 2, .err = "fatal error: of a test\n\n",
		     .err_has = {"\nruntime: UNDERGO_SEED=77\n"}, .env = "UNDERGO_SEED=77");
#ifndef UNDERGO_STRESS
	expect_death(base_throw, .status = 2, .err_lacks = {"UNDERGO_SEED"});
#endif
}

enum { TOGETHER = 4 };
static ATOMIC_U32 ready;

static void
die_together(void *arg)
{
	(void)arg;
	add_ar(&ready, 1); // order: claim and release, a barrier
	while (load_acq(&ready) < TOGETHER) // order: observe <- add_ar above
		os_yield();
	throw("together");
}

DEATH(base_together)
{
	os_init();
	for (int i = 0; i < TOGETHER; i++)
		expect_eq(os_thread_start(die_together, NULL), 0);
	for (;;)
		pause();
}

// Threads that die at once: one of them prints, and the process ends without waiting for the
// others.
void
test_base_deaths_together(void)
{
	for (int i = 0; i < 10; i++)
		expect_death(base_together, .status = 2, .err = "fatal error: together\n\n",
			     .err_lacks = {"panic during panic"});
}

static int real_stderr;

static void
dies_too(int sig)
{
	(void)sig;
	dup2(real_stderr, 2);
	throw("in a handler");
}

// Descriptor 2 is a full pipe that nobody reads, so the first death hangs while it prints.
DEATH(base_death_in_death)
{
	int fds[2];
	char bytes[4096] = {0};
	os_init();
	real_stderr = dup(2);
	expect(pipe2(fds, O_NONBLOCK) == 0);
	while (write(fds[1], bytes, sizeof(bytes)) > 0)
		continue;
	fcntl(fds[1], F_SETFL, 0);
	dup2(fds[1], 2);
	signal(SIGALRM, dies_too);
	alarm(1);
	throw("the first");
}

// A death that comes while the same thread prints one says so, in short, and has another status.
void
test_base_death_in_death(void)
{
	expect_death(base_death_in_death, .status = 3,
		     .err = "fatal error: in a handler\npanic during panic\n");
}

// --- the asymmetric fence -----------------------------------------------------------------------

enum { FENCE_MS = 1500 }; // fewer rounds are done on a machine that is busy with other things

static ATOMIC_U32 light_flag, heavy_flag, turn, light_saw, light_done;

// Until word differs from seen; what it then is.
static uint32_t
await_change(ATOMIC_U32 *word, uint32_t seen)
{
	for (uint32_t looks = 1;; looks++) {
		uint32_t now = load_acq(word); // order: observe <- whoever takes the next turn
		if (now != seen)
			return now;
		arch_pause();
		if (looks % 1000 == 0)
			os_yield();
	}
}

// Stores its flag, light fence, looks at the other's: in each round that fence_rounds announces,
// until it announces 0.
static void
light_side(void *arg)
{
	(void)arg;
	uint32_t round = 0;
	while ((round = await_change(&turn, round)) != 0) {
		store_rlx(&light_flag, round); // order: dekker with fence_rounds
		fence_light();
		store_rlx(&light_saw, load_rlx(&heavy_flag)); // order: dekker with fence_rounds
		store_rel(&light_done, round); // order: publish -> fence_rounds
	}
}

// In each round one of the two sides has to see the other's store.
static void
fence_rounds(uint32_t rounds)
{
	int64_t end = test_now_ns() + INT64_C(1000000) * FENCE_MS;
	uint64_t chance = test_seed();
	expect_eq(os_thread_start(light_side, NULL), 0);
	for (uint32_t round = 1; round <= rounds && test_now_ns() < end; round++) {
		store_rel(&turn, round); // order: publish -> light_side
		for (uint64_t wait = test_rand(&chance) % 64; wait > 0; wait--)
			arch_pause();
		store_rlx(&heavy_flag, round); // order: dekker with light_side
		fence_heavy();
		uint32_t saw = load_rlx(&light_flag); // order: dekker with light_side
		await_change(&light_done, round - 1);
		expect(saw == round || load_rlx(&light_saw) == round); // order: own
	}
	store_rel(&turn, 0); // order: publish -> light_side
}

void
test_base_fence_orders(void)
{
	os_init();
	fence_rounds((uint32_t)test_scale(20000));
}

// The same where the kernel refuses membarrier: both sides are full fences then.
void
test_base_fence_orders_without_membarrier(void)
{
	setenv("UNDERGO_FAULT", "membarrier:*:ENOSYS", 1);
	os_init();
	expect(!base_fence_asymmetric);
	fence_rounds((uint32_t)test_scale(20000));
}

// --- arithmetic ---------------------------------------------------------------------------------

void
test_base_arithmetic(void)
{
	uint64_t state = base_mix(0);
	expect(state != 0);
	uint32_t seen = 0;
	for (int i = 0; i < 10000; i++) {
		uint32_t v = base_rand_below(&state, 10);
		expect(v < 10);
		seen |= 1u << v;
	}
	expect_eq(seen, 0x3ff);
	expect_eq(base_rand_below(&state, 1), 0);
	expect_eq(base_deadline(5, INT64_MAX), INT64_MAX);
	expect_eq(base_deadline(5, 6), 11);
	expect_eq(base_deadline(5, -6), -1);
}
