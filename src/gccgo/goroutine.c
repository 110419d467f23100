// SPDX-License-Identifier: BSD-3-Clause
// Goroutines of Go code: the go statement, Gosched, and what the Go face keeps of each.
#include "gccgo/gccgo.h"

#include "gc/service.h"
#include "undergo/base.h"
#include "undergo/runtime.h"

GODATA("runtime.expectedSystemGoroutines", uint32_t, expected_system_goroutines) = 0;
GODATA("runtime.ncpu", int32_t, rt_ncpu) = 1;

// Inside the runtime.  Dies without memory.
static GoFace *
face_of(G *gp)
{
	if (likely(gp->face != NULL))
		return gp->face;
	gp->face = gc_alloc_pinned(sizeof(GoFace));
	if (gp->face == NULL)
		gc_out_of_memory(sizeof(GoFace));
	return gp->face;
}

// What a thread of the program has.
static Stack
stack_of_thread(void)
{
	const M *mp = sched_m();
	return (Stack){mp->stack_lo, mp->stack_hi};
}

void
goface_adopt(void)
{
	G *gp = sched_enter();
	face_of(gp);
	if (!gp->split) // what it has may be of a thread that has ended
		goface_clear(gp);
	if (gp->thread)
		gp->stack = stack_of_thread();
	gp->split = true;
	arch_set_stack_limit((uintptr_t)gp->stack.lo + STACK_RESERVE_BYTES);
	sched_leave();
}

void
goface_clear(G *gp)
{
	GoFace *f = gp->face;
	f->defers = NULL;
	f->panics = NULL;
	store_rlx(&f->panicking, 0); // order: own
	f->caught = NULL;
	f->labels = NULL;
	f->fn = NULL;
	f->in_c = false;
	f->callbacks = 0;
	f->fault.sig = 0;
	gp->split = false;
}

// Where they begin. fn may return something.
static GOFUNC_LOCAL("runtime.goexit", void, begin, (void *arg))
{
	goface()->fn(arg);
	goface_clear(sched_g());
}

static NORETURN void
die_without_memory(void)
{
	fatal("runtime: cannot allocate memory for a goroutine");
}

GOFUNC("__go_go", void *, rt_go, (void (*fn)(void *), void *arg))
{
	G *parent = sched_enter();
	sched_spawning(__builtin_return_address(0));
	G *gp = sched_spawn_held(begin, arg, 0, NULL);
	if (gp == NULL)
		die_without_memory();
	GoFace *f = face_of(gp);
	f->fn = fn;
	f->in_c = false;
	if (parent->face != NULL)
		f->labels = ((GoFace *)parent->face)->labels;
	gp->split = true;
	sched_ready(gp);
	sched_leave();
	return gp;
}

// --- threads -------------------------------------------------------------------------------------

GOFUNC("runtime.LockOSThread", void, rt_lockosthread, (void))
{
	sched_enter();
	sched_lock_thread(LOCK_EXTERNAL);
	sched_leave();
}
GOVALUE("runtime.LockOSThread", rt_lockosthread);

GOFUNC("runtime.UnlockOSThread", void, rt_unlockosthread, (void))
{
	sched_enter();
	sched_unlock_thread(LOCK_EXTERNAL);
	sched_leave();
}
GOVALUE("runtime.UnlockOSThread", rt_unlockosthread);

// --- yielding ------------------------------------------------------------------------------------

GOFUNC("runtime.Gosched", void, rt_gosched, (void))
{
	sched_enter();
	sched_gosched();
	sched_leave();
}
GOVALUE("runtime.Gosched", rt_gosched);

static void
gosched_m(void *unused)
{
	(void)unused;
	rt_gosched();
}
GODATA("runtime.gosched__m..f", const FuncVal, rt_gosched_m_value) = {(void (*)(void))gosched_m};

// What inlined code does: f is gosched_m.
GOFUNC("runtime.mcall", void, rt_mcall, (const FuncVal *f))
{
	GO_CALL(void (*)(void *), f, sched_g());
}

GOFUNC("runtime.osyield", void, rt_osyield, (void))
{
	os_yield();
}

GOFUNC("runtime.goid", uint64_t, rt_goid, (void))
{
	return sched_g()->id;
}

// --- numbers -------------------------------------------------------------------------------------

static uint64_t
count_goroutines(void)
{
	go_stats st;
	sched_stats(&st);
	return st.goroutines;
}

// Those of Go code. A thread of C is one while it is in a call of Go code.
GOFUNC("runtime.gcount", int32_t, rt_gcount, (void))
{
	sched_enter();
	uint64_t n = service_others(count_goroutines);
	sched_leave();
	return (int32_t)(n + load_rlx(&goface_callbacks)); // order: count
}

// Inlined into Go code with NumGoroutine. There are none that it could wait for.
GOFUNC("runtime.waitForSystemGoroutines", void, rt_waitforsystem, (void))
{
}

GOFUNC("runtime.NumGoroutine", Int, rt_numgoroutine, (void))
{
	return rt_gcount();
}
GOVALUE("runtime.NumGoroutine", rt_numgoroutine);

GOFUNC("runtime.GOMAXPROCS", Int, rt_gomaxprocs, (Int n))
{
	sched_enter();
	int old = sched_gomaxprocs(n > INT32_MAX ? INT32_MAX : n < 0 ? 0 : (int)n);
	sched_leave();
	return old;
}
GOVALUE("runtime.GOMAXPROCS", rt_gomaxprocs);

GOFUNC("runtime.NumCPU", Int, rt_numcpu, (void))
{
	return rt_ncpu;
}
GOVALUE("runtime.NumCPU", rt_numcpu);

GOFUNC("runtime.fastrand", uint32_t, rt_fastrand, (void))
{
	return (uint32_t)(base_rand(&sched_m()->rand) >> 32);
}
GOALIAS("os.fastrand", "runtime.fastrand");
GOALIAS("net.fastrand", "runtime.fastrand");
