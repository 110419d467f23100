// SPDX-License-Identifier: BSD-3-Clause
// What cgo's generated code asks for, in C and in Go.
//
// A C function runs on the goroutine's stack, outside of the runtime: no thread is changed and no P
// handed over for it, and it loses its P when it takes long, as all that runs outside does. C code
// that calls back is on a goroutine; or on a thread of the program's, which is attached by the call
// and stays so until it ends. Then the goroutine is the thread, its stack grows as others do, with
// the thread's own as the first (stack.c), and panics end where the thread began.
//
// Invariants:
//   C1  The goroutine is locked to its thread while a call back runs, and enters the runtime from C
//       in no other way: C code finds its thread as it was.
//   C2  GoFace.in_c says whether C or Go runs. C calls Go only from within a C function, so a call
//       back always ends in C, and a call in Go. Both ends are deferred, panics pass them as well.
#include "gccgo/gccgo.h"

#include "sync/sync.h"

// go/error.go
GOEXTERN("runtime.panicstring", NORETURN void, go_panic_string, (String));

ATOMIC_U32 goface_callbacks;

// --- from Go to C --------------------------------------------------------------------------------

GOFUNC("syscall.Cgocall", void, rt_cgocall, (void))
{
	M *mp = sched_m();
	own_add(&mp->cgo_calls, 1);
	((GoFace *)mp->curg->face)->in_c = true;
}

// One that has lost its P meanwhile waits for one here.
GOFUNC("syscall.CgocallDone", void, rt_cgocalldone, (void))
{
	int saved = *os_errno_addr();
	G *gp = sched_enter();
	((GoFace *)gp->face)->in_c = false;
	*os_errno_addr() = saved;
	sched_leave();
}

GOFUNC("runtime.NumCgoCall", int64_t, rt_numcgocall, (void))
{
	uint64_t n = 0;
	for (const M *mp = sched_ms(); mp != NULL; mp = mp->all_next)
		n += load_rlx(&mp->cgo_calls); // order: count
	return (int64_t)n;
}
GOVALUE("runtime.NumCgoCall", rt_numcgocall);

// --- from C to Go --------------------------------------------------------------------------------

static void
attach(void)
{
	if (!sched_attached())
		fatal("no memory or no thread to start with");
}

// From here on Go runs. C may have jumped down its stack.
static void
begin_go(void)
{
	if (!sched_g()->split)
		goface_adopt();
	goface()->in_c = false;
	stack_settle();
}

GOFUNC("syscall.CgocallBack", void, rt_cgocallback, (void))
{
	attach();
	sched_enter_locked(LOCK_INTERNAL);
	sched_leave();
	begin_go();
	if (sched_g()->thread && goface()->callbacks++ == 0)
		add_rlx(&goface_callbacks, 1); // order: count
}

GOFUNC("syscall.CgocallBackDone", void, rt_cgocallbackdone, (void))
{
	G *gp = sched_enter();
	sched_unlock_thread(LOCK_INTERNAL);
	sched_leave();
	((GoFace *)gp->face)->in_c = true;
	if (gp->thread && --((GoFace *)gp->face)->callbacks == 0)
		sub_rlx(&goface_callbacks, 1); // order: count
}

// --- before a thread's first call ----------------------------------------------------------------

static ATOMIC_U32 packages_ready;

void
goface_packages_ready(void)
{
	store_rel(&packages_ready, 1); // order: publish -> _cgo_wait_runtime_init_done
	os_futex_wake(&packages_ready, INT32_MAX);
}

// Whether who calls in may do so while packages initialise themselves: one of them has called the C
// function that does, or it is a constructor of C, before main.
static bool
may_be_early(void)
{
	const M *mp = sched_m();
	return (mp != NULL && mp->curg != NULL && !mp->curg->thread) ||
	       os_thread_id() == os_process_id();
}

// Threads of C wait here until all packages are ready for use.
GO_VISIBLE size_t _cgo_wait_runtime_init_done(void);
size_t
_cgo_wait_runtime_init_done(void)
{
	if (likely(load_acq(&packages_ready) != 0)) // order: observe <- goface_packages_ready
		return 0;
	while (!may_be_early() &&
	       load_acq(&packages_ready) == 0) // order: observe <- goface_packages_ready
		os_futex_wait(&packages_ready, 0, INT64_MAX);
	return 0;
}

// --- values --------------------------------------------------------------------------------------

GOFUNC("__go_byte_array_to_string", String, rt_bytes_to_string, (const char *p, Int n))
{
	return string_of(p, (size_t)n);
}

GOFUNC("__go_string_to_byte_array", Slice, rt_string_to_bytes, (String s))
{
	return (Slice){string_to_c(s), s.n, s.n};
}

// No call back: nothing would end it. The value is a string, as if Go code had said it.
GOFUNC("_cgo_panic", NORETURN void, rt_cgo_panic, (const char *text))
{
	attach();
	begin_go();
	go_panic_string(string_c(text));
}
