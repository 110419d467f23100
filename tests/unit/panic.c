// SPDX-License-Identifier: BSD-3-Clause
// A panic that comes inside of the runtime, as one of a signal handler may; and steps over frames,
// which have to lead where those of libgcc lead.
#include <alloca.h>
#include <stdlib.h>
#include <string.h>
#include <unwind.h>

#include "arch/arch.h"
#include "harness.h"
#include "panic/chain.h"
#include "panic/step.h"

DEATH(panic_inside)
{
	sched_enter();
	Value v = value_text("of a handler");
	panic_raise(&v, NULL);
}

void
test_panic_inside_is_fatal(void)
{
	expect_death(panic_inside, .status = 2, .err = "fatal error: panic inside the runtime\n");
}

// --- steps --------------------------------------------------------------------------------------

enum { FRAMES = 64 };

typedef struct Walked {
	int n;
	uintptr_t pc[FRAMES];
	uintptr_t sp[FRAMES];
	bool cleanups[FRAMES];
} Walked;

static _Unwind_Reason_Code
walk_one(struct _Unwind_Context *context, void *v)
{
	Walked *w = v;
	if (w->n == FRAMES || _Unwind_GetIP(context) == 0)
		return _URC_END_OF_STACK;
	w->pc[w->n] = _Unwind_GetIP(context);
	w->sp[w->n] = _Unwind_GetCFA(context);
	w->cleanups[w->n++] = _Unwind_GetLanguageSpecificData(context) != 0;
	return _URC_NO_REASON;
}

static int compared; // frames, of the last walk

// From the first frame that both know, which is this function's caller.
static __attribute__((noinline)) void
compare(void)
{
	Walked w = {0};
	Steps s = {0};
	_Unwind_Backtrace(walk_one, &w);
	arch_here(&s.pc, &s.sp, &s.fp);
	compared = 0;
	(void)step_out(&s);
	int i = 0;
	while (i < w.n && w.pc[i] != s.pc)
		i++;
	expect(i < w.n);
	for (; i < w.n; i++) {
		expect_eq(s.pc, w.pc[i]);
		expect_eq(s.sp, w.sp[i]);
		Step step = step_out(&s);
		if (step == STEP_UNKNOWN)
			break; // libc's, perhaps; what leads here is ours
		expect_eq(step == STEP_CLEANUPS, w.cleanups[i]);
		compared++;
		if (step == STEP_END)
			break;
	}
}

static __attribute__((noinline)) void
with_frame_pointer(long n)
{
	char *p = alloca((size_t)n);
	memset(p, 1, (size_t)n);
	compare();
	__asm__ volatile("" : : "r"(p) : "memory");
}

static int
with_sort(const void *a, const void *b)
{
	static bool done;
	if (!done)
		with_frame_pointer(333);
	done = true;
	return *(const int *)a - *(const int *)b;
}

static __attribute__((noinline)) int
with_registers(int a, int b, int c, int d, int e, int f)
{
	compare();
	return a + b * c + d * e + f;
}

// Each twice: the second time the rows are known.
void
test_panic_steps(void)
{
	for (int i = 0; i < 2; i++) {
		with_frame_pointer(100 + 1000 * i);
		expect(compared >= 3);
		expect_eq(with_registers(1, 2, 3, 4, 5, i), 27 + i);
		expect(compared >= 3);
	}
	int numbers[] = {3, 1, 2};
	qsort(numbers, 3, sizeof(numbers[0]), with_sort);
	expect(compared >= 2);
}
