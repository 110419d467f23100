// SPDX-License-Identifier: BSD-3-Clause
// What belongs to a goroutine as it would to a thread: errno, and the floating-point environment.
#include <fenv.h>
#include <pthread.h>
#include <undergo/errno.h>

#include "goroutines.h"

static Count ran;

// Keeps its errno over every kind of wait; the value is its id.
static void
keep_errno(void *arg)
{
	go_chan *c = arg;
	int mine = (int)go_id();
	errno = mine;
	for (int i = 0; i < 100; i++) {
		switch ((i + mine) % 4) {
		case 0:
			go_yield();
			break;
		case 1:
			go_sleep(20 * GO_USEC);
			break;
		case 2: {
			int v = mine;
			go_chan_send(c, &v, GO_NEVER);
			break;
		}
		default: {
			int v;
			go_chan_recv(c, &v, go_in(GO_MSEC));
		}
		}
		expect_eq(errno, mine);
	}
	count_add(&ran);
}

// errno stays with its goroutine while others with theirs run on the same threads.
GO_TEST(errno_belongs_to_goroutine, 0)
{
	go_chan *c = go_chan_new(sizeof(int), 100000);
	go_gomaxprocs(4);
	for (int i = 0; i < 100; i++)
		expect_eq(go_spawn(keep_errno, c), 0);
	errno = 12345;
	until(count_of(&ran) == 100);
	expect_eq(errno, 12345);
}

static void
expect_errno_0(void *unused)
{
	(void)unused;
	expect_eq(errno, 0);
	errno = 99; // whoever comes next on this stack or thread begins with 0
	count_add(&ran);
}

GO_TEST(errno_begins_with_0, 0)
{
	for (int i = 1; i <= 1000; i++) {
		expect_eq(go_spawn(expect_errno_0, NULL), 0);
		if (i % 50 == 0)
			until(count_of(&ran) == i);
	}
}

// A blocking call's errno survives the way back, when the processor was lost meanwhile.
static void
read_bad_descriptor(void *unused)
{
	(void)unused;
	for (int i = 0; i < 50; i++) {
		char byte;
		go_block_begin();
		block_thread_for(100 * GO_USEC);
		expect_eq(read(-1, &byte, 1), -1);
		go_block_end();
		expect_eq(errno, EBADF);
		go_yield();
		expect_eq(errno, EBADF);
		errno = 0;
		block_thread_for(100 * GO_USEC); // not announced
		expect_eq(read(-1, &byte, 1), -1);
		expect_eq(errno, EBADF);
		go_yield();
		expect_eq(errno, EBADF);
	}
	count_add(&ran);
}

GO_TEST(errno_survives_blocking, 1)
{
	for (int i = 0; i < 10; i++)
		expect_eq(go_spawn(read_bad_descriptor, NULL), 0);
	until(count_of(&ran) == 10);
}

// A thread's errno is its own too, and no call of ours that succeeds changes it.
static void *
thread_errno(void *arg)
{
	go_chan *c = arg;
	int v = 0;
	errno = 4711;
	for (int i = 0; i < 100; i++) {
		expect_eq(go_chan_send(c, &v, GO_NEVER), 0);
		expect_eq(errno, 4711);
		expect_eq(go_chan_recv(c, &v, GO_NEVER), 0);
		expect_eq(errno, 4711);
	}
	return NULL;
}

void
test_errno_of_threads(void)
{
	pthread_t threads[4];
	go_chan *c = go_chan_new(sizeof(int), 8);
	for (int i = 0; i < 4; i++)
		expect(pthread_create(&threads[i], NULL, thread_errno, c) == 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	go_chan_free(c);
}

// --- floating point ---------------------------------------------------------------------------

static double
third(void)
{
	volatile double one = 1, three = 3;
	return one / three;
}

static const int rounding_modes[4] = {FE_TONEAREST, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO};
static double rounded[4]; // third() in each mode

// Each rounds its own way, whoever runs between.
static void
keep_rounding(void *arg)
{
	int mode = (int)(uintptr_t)arg % 4;
	expect_eq(fegetround(), FE_TONEAREST); // neither the spawner's nor the last one's
	expect_eq(fesetround(rounding_modes[mode]), 0);
	for (int i = 0; i < 200; i++) {
		if (i % 16 == 0)
			go_sleep(20 * GO_USEC);
		else
			go_yield();
		expect_eq(fegetround(), rounding_modes[mode]);
		expect(third() == rounded[mode]);
	}
	count_add(&ran);
}

GO_TEST(fp_rounding_belongs_to_goroutine, 0)
{
	for (int i = 0; i < 4; i++) {
		fesetround(rounding_modes[i]);
		rounded[i] = third();
	}
	fesetround(FE_UPWARD);
	expect(rounded[1] != rounded[2]);
	go_gomaxprocs(3);
	for (uintptr_t i = 0; i < 64; i++)
		expect_eq(go_spawn(keep_rounding, (void *)i), 0);
	until(count_of(&ran) == 64);
	expect_eq(fegetround(), FE_UPWARD);
}

#ifdef __x86_64__
#include <xmmintrin.h>

// Flushing denormals to zero, which fast-math programs set in MXCSR.
static void
keep_flush(void *arg)
{
	unsigned mode = (uintptr_t)arg % 2 != 0 ? _MM_FLUSH_ZERO_ON : _MM_FLUSH_ZERO_OFF;
	volatile double tiny = 2.3e-308, half = 0.5;
	_MM_SET_FLUSH_ZERO_MODE(mode);
	for (int i = 0; i < 200; i++) {
		go_yield();
		expect_eq(_MM_GET_FLUSH_ZERO_MODE(), mode);
		expect((tiny * half == 0) == (mode == _MM_FLUSH_ZERO_ON));
	}
	count_add(&ran);
}

// x87 keeps its own control word, used for long double.
static void
keep_x87(void *arg)
{
	unsigned short mine = (uintptr_t)arg % 2 != 0 ? 0x037f : 0x007f, now; // 64 and 24 bits
	__asm__ volatile("fldcw %0" : : "m"(mine));
	for (int i = 0; i < 200; i++) {
		go_yield();
		__asm__ volatile("fnstcw %0" : "=m"(now));
		expect_eq(now & 0x0f3f, mine & 0x0f3f);
	}
	count_add(&ran);
}

GO_TEST(fp_control_words_belong_to_goroutine, 0)
{
	for (uintptr_t i = 0; i < 40; i++) {
		expect_eq(go_spawn(keep_flush, (void *)i), 0);
		expect_eq(go_spawn(keep_x87, (void *)i), 0);
	}
	until(count_of(&ran) == 80);
}
#else
GO_TEST(fp_control_words_belong_to_goroutine, 0)
{
	skip("these control words are of x86-64");
}
#endif
