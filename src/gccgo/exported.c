// SPDX-License-Identifier: BSD-3-Clause
// Functions of package runtime and runtime/debug that programs call and that need little:
// collection, settings, numbers.
#include "gc/goal.h"
#include "gc/limit.h"
#include "gc/pace.h"
#include "gccgo/gccgo.h"
#include "gccgo/kept.h"
#include "panic/panic.h"
#include "undergo/heap.h"

extern const String rt_build_version __asm__("runtime.buildVersion");

// --- collecting ----------------------------------------------------------------------------------

// What stands where arguments would is no root: there are none.
typedef void Collect(Int a, Int b, Int c, Int d, Int e, Int f);

static void
rest_gc(const Kept *k)
{
	sched_enter();
	gc_collect_from(GC_FORCED, k);
	sched_leave();
}

GOFUNC("runtime.GC", void, rt_gc, (void))
{
	GO_KEPT(Collect, rest_gc, 0, 0, 0, 0, 0, 0);
}
GOVALUE("runtime.GC", rt_gc);

GOFUNC("runtime.KeepAlive", void, rt_keepalive, (Eface e))
{
	__asm__ volatile("" : : "r"(e.data) : "memory");
}
GOVALUE("runtime.KeepAlive", rt_keepalive);

GOFUNC("runtime_1debug.setGCPercent", int32_t, rt_setgcpercent, (int32_t percent))
{
	gc_configure();
	sched_enter();
	int32_t old = pace_set_percent(percent);
	sched_leave();
	return old;
}

// Package runtime/debug has it since Go 1.19; programs can name the symbol.
GOFUNC("runtime_1debug.SetMemoryLimit", int64_t, rt_setmemorylimit, (int64_t bytes))
{
	gc_configure();
	sched_enter();
	int64_t old = limit_set(bytes);
	sched_leave();
	return old;
}

enum { POOL_STACK_BYTES = 32 << 10 };

// Go code that empties the pools at each cycle; it waits for nothing and allocates nothing. Its
// stack is no static array, where the cycle that begins would find what it has just let go.
static const FuncVal *pool_cleanup;
static char *pool_stack;

static void
clean_pools(void *unused)
{
	(void)unused;
	GO_CALL(void (*)(void), pool_cleanup, );
}

// On a stack of its own, as the one we are on may be any, and nearly full.  STW.
static void
clean_pools_apart(void)
{
	const G *gp = sched_g();
	arch_set_stack_limit(0);
	arch_call_on(pool_stack + POOL_STACK_BYTES, clean_pools, NULL);
	arch_set_stack_limit(gp->split ? (uintptr_t)gp->stack.lo + STACK_RESERVE_BYTES : 0);
}

GOFUNC("sync.runtime__registerPoolCleanup", void, rt_registerpoolcleanup, (const FuncVal *f))
{
	pool_stack = os_map(POOL_STACK_BYTES, os_page_bytes());
	if (pool_stack == NULL)
		fatal("no memory or no thread to start with");
	pool_cleanup = f;
	gc_cycle_begins = clean_pools_apart;
}

// What the system gets back, besides.
static void
rest_freeosmemory(const Kept *k)
{
	sched_enter();
	gc_collect_from(GC_FORCED, k);
	(void)heap_scavenge(SIZE_MAX, true);
	sched_leave();
}

GOFUNC("runtime_1debug.freeOSMemory", void, rt_freeosmemory, (void))
{
	GO_KEPT(Collect, rest_freeosmemory, 0, 0, 0, 0, 0, 0);
}

// --- what there is -------------------------------------------------------------------------------

GOFUNC("runtime.Version", String, rt_version, (void))
{
	return rt_build_version;
}
GOVALUE("runtime.Version", rt_version);

GOFUNC("runtime.GOROOT", String, rt_goroot, (void))
{
	return GO_STRING("/usr");
}
GOVALUE("runtime.GOROOT", rt_goroot);

GOFUNC("runtime.Breakpoint", void, rt_breakpoint, (void))
{
	__asm__ volatile("int3");
}
GOVALUE("runtime.Breakpoint", rt_breakpoint);

GOFUNC("runtime_1debug.SetTraceback", void, rt_settraceback, (String level))
{
	panic_set_level(string_to_c(level));
}

// What a program can name, though package runtime does not export it.
GOFUNC("runtime.abort", void, rt_abort, (void))
{
	__asm__ volatile("int3");
}

GOFUNC("runtime.getm", M *, rt_getm, (void))
{
	return sched_m();
}

static String mod_info;

GOFUNC("runtime.setmodinfo", void, rt_setmodinfo, (String s))
{
	mod_info = s;
}

GOFUNC("runtime_1debug.modinfo", String, rt_modinfo, (void))
{
	return mod_info;
}

GOFUNC("runtime_1debug.setMaxThreads", Int, rt_setmaxthreads, (Int n))
{
	sched_enter();
	Int old = sched_set_max_threads(n < 0 ? 0 : n > INT32_MAX ? INT32_MAX : (uint32_t)n);
	sched_leave();
	return old;
}
