// SPDX-License-Identifier: BSD-3-Clause
// Vector registers survive being stopped. Some kernels lost their upper halves when a signal was
// delivered to an alternate stack whose pages were not there yet; nothing can be done about such a
// kernel but to find out, here.
//
// A thread and a goroutine keep a pattern in all vector registers and compute, while collections
// stop them again and again; the thread's alternate stack loses its pages before each round.
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

#include "goroutines.h"

#include <undergo/heap.h>

#ifdef __x86_64__
static atomic_bool stop;
static Count ended, rounds;

enum { REGISTERS = 16, WORDS = 4, SPINS = 2000 };

// Fills all registers from `in`, waits, and stores them to `out`. No stack is used in between.
__attribute__((target("avx"), noinline)) static void
keep_in_registers(const uint64_t *in, uint64_t *out)
{
	long n = SPINS;
	__asm__ volatile("vmovdqu 0x000(%[in]), %%ymm0\n\tvmovdqu 0x020(%[in]), %%ymm1\n\t"
			 "vmovdqu 0x040(%[in]), %%ymm2\n\tvmovdqu 0x060(%[in]), %%ymm3\n\t"
			 "vmovdqu 0x080(%[in]), %%ymm4\n\tvmovdqu 0x0a0(%[in]), %%ymm5\n\t"
			 "vmovdqu 0x0c0(%[in]), %%ymm6\n\tvmovdqu 0x0e0(%[in]), %%ymm7\n\t"
			 "vmovdqu 0x100(%[in]), %%ymm8\n\tvmovdqu 0x120(%[in]), %%ymm9\n\t"
			 "vmovdqu 0x140(%[in]), %%ymm10\n\tvmovdqu 0x160(%[in]), %%ymm11\n\t"
			 "vmovdqu 0x180(%[in]), %%ymm12\n\tvmovdqu 0x1a0(%[in]), %%ymm13\n\t"
			 "vmovdqu 0x1c0(%[in]), %%ymm14\n\tvmovdqu 0x1e0(%[in]), %%ymm15\n\t"
			 "1: pause\n\tdec %[n]\n\tjnz 1b\n\t"
			 "vmovdqu %%ymm0, 0x000(%[out])\n\tvmovdqu %%ymm1, 0x020(%[out])\n\t"
			 "vmovdqu %%ymm2, 0x040(%[out])\n\tvmovdqu %%ymm3, 0x060(%[out])\n\t"
			 "vmovdqu %%ymm4, 0x080(%[out])\n\tvmovdqu %%ymm5, 0x0a0(%[out])\n\t"
			 "vmovdqu %%ymm6, 0x0c0(%[out])\n\tvmovdqu %%ymm7, 0x0e0(%[out])\n\t"
			 "vmovdqu %%ymm8, 0x100(%[out])\n\tvmovdqu %%ymm9, 0x120(%[out])\n\t"
			 "vmovdqu %%ymm10, 0x140(%[out])\n\tvmovdqu %%ymm11, 0x160(%[out])\n\t"
			 "vmovdqu %%ymm12, 0x180(%[out])\n\tvmovdqu %%ymm13, 0x1a0(%[out])\n\t"
			 "vmovdqu %%ymm14, 0x1c0(%[out])\n\tvmovdqu %%ymm15, 0x1e0(%[out])\n\t"
			 "vzeroupper"
			 : [n] "+r"(n)
			 : [in] "r"(in), [out] "r"(out)
			 : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
			   "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
			   "xmm15");
}

static void
keep_pattern(uint64_t round)
{
	uint64_t in[REGISTERS * WORDS], out[REGISTERS * WORDS] = {0};
	for (uint64_t i = 0; i < REGISTERS * WORDS; i++)
		in[i] = (round + 1) * 0x9e3779b97f4a7c15u + i;
	keep_in_registers(in, out);
	for (int i = 0; i < REGISTERS * WORDS; i++)
		expect_eq(out[i], in[i]);
	count_add(&rounds);
}

static void *
keep_in_thread(void *unused)
{
	enum { BYTES = 64 << 10 };
	void *stack = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	expect(stack != MAP_FAILED);
	stack_t st = {.ss_sp = stack, .ss_size = BYTES};
	expect_eq(sigaltstack(&st, NULL), 0);
	for (uint64_t i = 0; !atomic_load(&stop); i++) {
		expect_eq(madvise(stack, BYTES, MADV_DONTNEED), 0);
		keep_pattern(i);
	}
	count_add(&ended);
	return unused;
}

static void
keep_in_goroutine(void *unused)
{
	(void)unused;
	for (uint64_t i = 0; !atomic_load(&stop); i++)
		keep_pattern(i);
	count_add(&ended);
}

GO_TEST(vectors_survive_stops, 2)
{
	pthread_t t;
	if (!__builtin_cpu_supports("avx"))
		skip("no AVX");
	expect(go_alloc(1) != NULL);
	expect_eq(pthread_create(&t, NULL, keep_in_thread, NULL), 0);
	expect_eq(go_spawn(keep_in_goroutine, NULL), 0);
	for (long i = test_scale(300); i > 0; i--)
		go_gc();
	until(count_of(&rounds) > 100);
	atomic_store(&stop, true);
	until(count_of(&ended) == 2);
	expect_eq(pthread_join(t, NULL), 0);
}
#else
GO_TEST(vectors_survive_stops, 2)
{
	skip("the defect was one of x86 kernels");
}
#endif
