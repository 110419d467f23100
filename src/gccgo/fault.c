// SPDX-License-Identifier: BSD-3-Clause
// Faults of Go code that become panics: a nil pointer, a division.
//
// The handler runs on the thread's signal stack. It lets the goroutine go on in
// arch/x86_64/gofault.S, on its own stack, where a panic may run deferred functions for as long as
// they like. What faults inside the runtime, or on a goroutine of C, is none of this.
#include <ucontext.h>

#include "base/line.h"
#include "gccgo/gccgo.h"
#include "panic/panic.h"

enum {
	NIL_BYTES = 4096, // what the compiler lets the processor find out
	RED_ZONE = 128,   // below the stack pointer, in use
	FRAME_ALIGN = 16,
};

// go/error.go
GOEXTERN("runtime.panicmem", NORETURN void, go_panic_mem, (void));
GOEXTERN("runtime.panicdivide", NORETURN void, go_panic_divide, (void));
GOEXTERN("runtime.panicaddress", NORETURN void, go_panic_address, (String, uintptr_t));
void gccgo_fault_entry(void);

static ATOMIC_BOOL panic_on_fault;

GOFUNC("runtime_1debug.setPanicOnFault", bool, rt_setpaniconfault, (bool on))
{
	return xchg_rlx(&panic_on_fault, on); // order: count
}

// What gccgo_fault_entry's unwind rules expect.
typedef struct FaultFrame {
	uintptr_t pc;
	uintptr_t sp;
} FaultFrame;

static bool
is_ours(const siginfo_t *info, const M *mp)
{
	if (mp == NULL || mp->curg == NULL || !mp->curg->split || mp->curg->face == NULL)
		return false;
	if (load_rlx(&mp->lease.inrt) != 0 || ((const GoFace *)mp->curg->face)->in_c) // order: own
		return false;
	if (info->si_signo == SIGFPE)
		return true;
	return (uintptr_t)info->si_addr < NIL_BYTES ||
	       load_rlx(&panic_on_fault); // order: count
}

// See panic_on_signal.  Stack: signal.
static bool
raise_fault(const siginfo_t *info, void *context)
{
	M *mp = sched_m();
	if (!is_ours(info, mp))
		return false;
	GoFace *f = mp->curg->face;
	greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
	f->fault = (Fault){info->si_signo, info->si_code, (uintptr_t)info->si_addr,
			   (uintptr_t)r[REG_RIP]};
	uintptr_t sp = (uintptr_t)r[REG_RSP];
	uintptr_t below = sp - RED_ZONE - sizeof(FaultFrame);
	FaultFrame *frame = (FaultFrame *)(below & ~(uintptr_t)(FRAME_ALIGN - 1));
	*frame = (FaultFrame){(uintptr_t)r[REG_RIP], sp};
	r[REG_RSP] = (greg_t)(uintptr_t)frame;
	r[REG_RIP] = (greg_t)(uintptr_t)gccgo_fault_entry;
	return true;
}

void
goface_faults(void)
{
	panic_on_signal = raise_fault;
	panic_exits = true;
}

// On the goroutine's stack, outside of the runtime.
NORETURN void gccgo_fault(void) __asm__("runtime.sigpanic");
void
gccgo_fault(void)
{
	const Fault *f = &goface()->fault;
	if (f->sig == SIGFPE)
		go_panic_divide();
	if (f->addr < NIL_BYTES)
		go_panic_mem();
	go_panic_address(GO_STRING("invalid memory address or nil pointer dereference"),
			 f->addr);
}
