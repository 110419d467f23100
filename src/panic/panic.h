// SPDX-License-Identifier: BSD-3-Clause
// How the process dies visibly: tracebacks, dumps, fatal signals.
#ifndef UNDERGO_PANIC_PANIC_H
#define UNDERGO_PANIC_PANIC_H

#include "sched/sched.h"

// Once, at the start of the runtime, before the first goroutine: reads GOTRACEBACK, readies the
// unwinder and the symboliser, installs the handlers of fatal signals.
void panic_init(void);

// go_dump: every goroutine to fd, the calling one first, while the others go on. The caller has
// left the runtime, as before any call that blocks.  Blocks: M.
void panic_dump(int fd);

// go_heap_report, go_heap_profile. The same holds. 0 or GO_ENOMEM.  Blocks: M, G.
int panic_heap_report(int fd);
int panic_heap_profile(int fd);
// go_cpu_profile_start, go_cpu_profile_stop. The same holds; errors as there.  Blocks: M.
int panic_cpu_profile_start(int hz);
int panic_cpu_profile_stop(int fd);

// Asked of a fault before it kills: true when the code that faulted goes on elsewhere. Set once by
// the Go face; else NULL.  Stack: signal.
extern bool (*panic_on_signal)(const siginfo_t *info, void *context);

// Asked for the stack of who allocates, in place of up_alloc_entries: up_callers. Set once by the
// Go face; else NULL.
extern size_t (*panic_callers)(uintptr_t *pcs, size_t max);

// Asked how tracebacks of who dies name a function; it may write to `to`. symbol: of the code that
// it is, or is inlined into; may be NULL. Set once by the Go face; else NULL.  Allocates: no.
extern const char *(*panic_name)(char *to, size_t room, const char *symbol, const char *function);

// Asked of the symbol of a function of ours, which tracebacks of who dies pass over: by which one
// it is shown all the same; NULL: not. Set once by the Go face; else NULL.  Allocates: no.
extern const char *(*panic_shown)(const char *symbol);

// What a goroutine is doing, as others can see it.
enum { LOOK_FRAMES = 100 };
typedef struct Look {
	char header[160]; // "goroutine 7 [chan receive]:"
	uint64_t id;
	WaitReason why;   // WAIT_none: it does not wait
	uint64_t creator; // 0: none
	uintptr_t creator_pc; // 0: not known
	void *face;
	size_t n;         // 0: its stack could not be had
	bool elided;      // between the first and the last half there were more
	uintptr_t pcs[LOOK_FRAMES]; // from the inside; all as return addresses are
} Look;
// Looks at gp, which is not the caller's own. False: there is no such goroutine now. The caller is
// outside of the runtime.  Blocks: M, mostly for microseconds; for a second at most, when a thread
// that is to tell a stack gets no processor.  Stack: some 8 KiB.
bool panic_look(G *gp, Look *l);

// The handler that a face gives to signals that shall do nothing. Set once, before the runtime
// starts.
extern void (*panic_unnoticed)(int sig);

// What GOTRACEBACK says, as if it said text; what the environment said is the least.
void panic_set_level(const char *text);

// Whether fatal signals end the process with Go's exit status, and not by the signal. Set once by
// the Go face.
extern bool panic_exits;

// libbacktrace's state of this program, for who looks names up himself; NULL: there is none.
struct backtrace_state *panic_symbols(void);

// The answers of panic to questions from below: up_print_goroutines (base_up.h), up_thread_starts
// and up_thread_ends (sched_up.h).

#endif
