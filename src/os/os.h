// SPDX-License-Identifier: BSD-3-Clause
// Every service of the system the runtime uses, behind one seam with three back ends:
//
//   real        src/os/linux: the system calls themselves
//   simulated   src/os/sim/: one thread plays all of them, time is virtual, and a seed decides
//               every switch (the deterministic mode, UNDERGO_SEED=n)
//   fault plan  src/os/fault.c: fails the Nth call of a kind (UNDERGO_FAULT="mmap:3:ENOMEM,...")
//
// Results are 0 or more, or a negative errno value; errno itself is never touched. Functions that
// may be called from a signal handler say so. Nothing here takes a lock of the runtime.
#ifndef UNDERGO_OS_OS_H
#define UNDERGO_OS_OS_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"

// Once, before any other call. Sets the page size, counts the CPUs, probes membarrier, reads
// UNDERGO_SEED and UNDERGO_FAULT.
void os_init(void);

// --- memory -----------------------------------------------------------------------------------
// Zeroed pages, committed by touch, without swap reservation; NULL when refused. align is a power
// of two of at least a page.
void *os_map(size_t bytes, size_t align);
int os_unmap(void *p, size_t bytes);
// Address space alone: any touch faults, nothing counts as used. NULL when refused.
void *os_reserve(size_t bytes, size_t align);
// Makes part of a reservation zeroed pages as os_map gives them. 0 or -ENOMEM.
int os_commit(void *p, size_t bytes);
// Makes part of a reservation read as zero; writing still faults. 0 or -ENOMEM.
int os_commit_zero(void *p, size_t bytes);
// Makes [p, p+bytes) fault on touch without a mapping of its own (MADV_GUARD_INSTALL).
// -EINVAL where the kernel cannot: use os_protect_none then.
int os_guard(void *p, size_t bytes);
int os_protect_none(void *p, size_t bytes);
// Gives the pages back; they read as zero afterwards, guards stay.
int os_decommit(void *p, size_t bytes);
// How many bytes of whole pages have memory behind them; all, where the system does not tell.
size_t os_resident(const void *p, size_t bytes);
// No huge pages here: a stack that touches one page shall cost one.
int os_no_huge_pages(void *p, size_t bytes);
// Huge pages where the system has some: memory that will be used all over, in no order.
int os_huge_pages(void *p, size_t bytes);
// Puts memory behind the pages, zeroed, as if each had been written to; those that have some keep
// what is in them. -EINVAL where the kernel cannot (Linux before 5.14).
int os_populate(void *p, size_t bytes);
size_t os_page_bytes(void);
uint64_t os_address_limit(void); // bytes of address space, by ulimit -v; UINT64_MAX: any
// Small memory for the runtime's own records, zeroed; NULL when refused. From libc's malloc.
void *os_alloc(size_t bytes);
void os_free(void *p);

// --- threads ----------------------------------------------------------------------------------
// Starts a detached thread that runs fn(arg), all signals blocked until fn unblocks them (so none
// lands before it has its alternate stack). 0, -EAGAIN, -ENOMEM. One try, without a wait.
int os_thread_start(void (*fn)(void *arg), void *arg);
// The same for a caller that can wait and cannot go on without: tries again for some milliseconds.
int os_thread_start_patient(void (*fn)(void *arg), void *arg);
int os_thread_id(void); // the kernel's; cached per thread
int os_process_id(void);
// From here on fn is called in the child of each fork, on its only thread. False: no memory.
bool os_after_fork(void (*fn)(void));
uintptr_t os_first_stack(void); // an address on the stack of the process's first thread
// The calling thread's errno. The compiler may not remember the answer across a switch.
int *os_errno_addr(void);
// Bounds of the calling thread's own stack.
void os_thread_stack(void **lo, void **hi);
// Called with value when a thread that has set it (os_thread_exit_set) ends: once for each time it
// was set, unless that was by the last of the program's own destructors, in their last round.
void os_thread_exit_key(void (*fn)(void *value));
void os_thread_exit_set(void *value);
void os_thread_name(const char *name);
// Wake-ups as exact as the kernel can make them, for the calling thread. Returns how late they
// could be before, for os_thread_exact_no_more; that leaves alone what somebody has set since.
int64_t os_thread_exact_timers(void);
void os_thread_exact_no_more(int64_t was);
// CPU time a thread of this process has used; -1 when it is gone. Units: ns.
int64_t os_thread_cpu_ns(int tid);
// CPU time of all threads of the process, those that have ended too; 0 in the simulation. Units:
// ns.
int64_t os_process_cpu_ns(void);
// Whether a thread of this process runs or waits for a processor; false when it sleeps in the
// kernel, is gone, or it cannot be told. Some microseconds.
bool os_thread_runnable(int tid);
// Threads the process has according to the kernel; negative when it cannot be told.
int os_thread_count(void);
// Calls fn, if there is one, for each thread of the process, without libc and without memory.
// Threads that come or go meanwhile may be missed or seen. How many there were, or a negative errno
// value.
int os_threads_each(void (*fn)(void *ctx, int tid), void *ctx);
// The letter of a thread's state in /proc ('R', 'S', 'D', 'Z', ...); 0 when it is gone or it cannot
// be told.
char os_thread_state(int tid);
// Whether the process has no such thread (any more).
bool os_thread_gone(int tid);
// Whether it is a thread that the kernel keeps in the process for work of its own, as io_uring has
// some: it runs nothing of the program's, and no signal gets through to it.
bool os_thread_of_kernel(int tid);
// The same of a number that was one's before, in less than half the time.
bool os_thread_still_of_kernel(int tid);
// What the processor's thread pointer register says: where this thread's thread-locals are.
uintptr_t os_thread_pointer(void);
void os_yield(void);
// Blocks this thread for about ns.
void os_sleep(int64_t ns);

// --- halting threads --------------------------------------------------------------------------
// A halt makes threads of the process stand still, wherever they are, by a signal. One party at a
// time. What a halted thread has in its registers lies in memory: in the frame of the signal.
typedef struct OsHalted {
	int tid;
	uintptr_t pc;       // where it was interrupted
	uintptr_t sp;       // the lowest address in use of the stack it was on
	uintptr_t tp;       // os_thread_pointer there; 0: the simulation's, there is just one
	uintptr_t frame_lo; // the signal's frame, when that lies on another stack
	uintptr_t frame_hi; // 0: it lies above sp, on the same one
	uintptr_t alt_hi;   // end of the thread's signal stack when sp lies on that, else 0
	void *note;         // for who halts; NULL at first
} OsHalted;

// Early, as long as there are descriptors: os_threads_each and os_mappings open what they keep
// open; and few threads, which os_thread_count is tried with. Before a halt, or by who halts.
void os_halt_files(void);
// Once, after the process has made its first thread. 0, or a negative errno value.
int os_halt_init(void);
// Begins a halt with room for so many threads at least. 0 or -ENOMEM.
int os_halt_begin(uint32_t threads);
// This thread shall go on. 0 or -ENOSPC.
int os_halt_except(int tid);
// Whether os_halt_ask or os_halt_except has been called for it in this halt.
bool os_halt_knows(int tid);
// Asks a thread to stand still. 0; -ESRCH: it is gone; -EAGAIN; -ENOSPC: more than there is room
// for.
int os_halt_ask(int tid);
// Waits until all that were asked stand still, or the deadline. How many do not yet.
uint32_t os_halt_wait(int64_t deadline);
// One that does not yet; 0: none.
int os_halt_missing(void);
// It has ended: nobody waits for it any more.
void os_halt_forget(int tid);
// Whether the thread blocks the signal; then it will not stand still before it lets it through.
bool os_halt_blocked(int tid);
// The i-th that stands still; NULL: there are no more. Valid until os_halt_end.
OsHalted *os_halted(uint32_t i);
OsHalted *os_halted_tid(int tid); // NULL: it does not
// All go on.
void os_halt_end(void);

// --- memory of the process --------------------------------------------------------------------
typedef struct OsRange {
	uintptr_t lo, hi;
} OsRange;

// A block of thread-locals that may lie elsewhere than beside the thread pointer.
typedef struct OsTls {
	size_t module; // its number for the loader, from 1
	size_t bytes;
} OsTls;

// What is loaded into the process. The arrays belong to the caller.
typedef struct OsModules {
	OsRange *data; // segments that can be written
	uint32_t n_data, data_cap;
	OsTls *tls;
	uint32_t n_tls, tls_cap;
	size_t tls_below; // of the thread pointer: blocks that threads have from their start
	size_t tls_above;
	size_t tls_spare; // of tls_below, the far end: room for blocks that come later
	uint64_t digest;
} OsModules;

// [p, p + bytes), static, holds nothing that the collector must see there: os_modules_list leaves
// it out. Before there is anything for it to see, for a few large arrays of the runtime; others
// stay in.  Threads: any.
void os_modules_leave_out(const void *p, size_t bytes);
// Fills m. False: one of the arrays is too small; n_data and n_tls then tell what is needed.
// Locks: takes the loader's.
bool os_modules_list(OsModules *m);
// Whether they are what they were, and the loader is not at work. Takes no lock: all threads that
// could load something stand still.
bool os_modules_same(const OsModules *m);
// Where a thread with that thread pointer has its block of a module, or 0. It stands still.
uintptr_t os_tls_block(uintptr_t tp, const OsTls *t);

// The mappings that can be read, by rising address: at most max. How many there are, or a negative
// errno value. Without libc.
int os_mappings(OsRange *out, uint32_t max);
// How far from lo up to hi, and from hi down to lo, memory can be read without a fault: mappings
// have guards within.
uintptr_t os_readable_up(uintptr_t lo, uintptr_t hi);
uintptr_t os_readable_down(uintptr_t lo, uintptr_t hi);
// Whether something is mapped at each page of [p, p + bytes).
bool os_mapped(uintptr_t p, size_t bytes);

// --- futex ------------------------------------------------------------------------------------
// Sleeps while *word == seen. 0 when woken (or for no reason at all), -EAGAIN when the word
// differs, -ETIMEDOUT at the deadline (os_nanotime's clock; INT64_MAX never). EINTR counts as
// woken.
int os_futex_wait(ATOMIC_U32 *word, uint32_t seen, int64_t deadline);
// Wakes up to n sleepers. Signal-safe.
void os_futex_wake(ATOMIC_U32 *word, int n);

// --- descriptors of the program -----------------------------------------------------------------
int os_close(int fd); // it is gone, whatever comes back

// --- waiting for descriptors ------------------------------------------------------------------
// A poller knows descriptors under tags and tells which of them have become ready for something:
// once each time they do, and once when they are added.
enum {
	OS_READABLE = 1, // or failed, or hung up: a call would not wait
	OS_WRITABLE = 2, // the same
	OS_ENDED = 4,    // failed, hung up, the other side has ended its stream; urgent data came
};

typedef struct OsReady {
	uint64_t tag;
	uint32_t what;
} OsReady;

int os_poller_make(void); // its descriptor
// -EPERM: a call on the descriptor never waits (it is a file). -EEXIST, -ENOMEM, -ENOSPC.
int os_poller_add(int poller, int fd, uint64_t tag);
// What is already on its way may still be told. Any error means that it is not there.
int os_poller_remove(int poller, int fd);
// A bell is a descriptor that stays readable for the poller, and for who polls, until it is hushed.
int os_poller_bell(int poller, uint64_t tag);
void os_bell_ring(int bell);
void os_bell_hush(int bell);
// How many have become ready, at most max; 0 at the deadline (os_nanotime's clock; 0: do not wait,
// INT64_MAX: never), and sometimes for no reason.
int os_poller_wait(int poller, OsReady *ready, int max, int64_t deadline);

// --- time -------------------------------------------------------------------------------------
int64_t os_nanotime(void); // CLOCK_MONOTONIC; virtual in the simulation

// --- processors -------------------------------------------------------------------------------
int os_cpu_count(void); // in the affinity mask of the thread that called os_init; at least 1
// Whole small file into buf, NUL-terminated. Bytes read, or negative.
int os_read_file(const char *path, char *buf, size_t size);
// Up to size bytes from offset on, for larger ones; 0 at the end.
int os_read_file_at(const char *path, int64_t offset, char *buf, size_t size);

// --- signals ----------------------------------------------------------------------------------
// The calling thread's alternate signal stack, its upper part pre-faulted; base may be NULL to take
// it away.
int os_signal_stack(void *base, size_t bytes);
typedef void OsHandler(int sig, siginfo_t *info, void *ucontext);
// Installs a handler (SA_SIGINFO|SA_ONSTACK|SA_RESTART); *before gets what was installed.
int os_signal_handle(int sig, OsHandler *fn, struct sigaction *before);
// What is installed.
int os_signal_now(int sig, struct sigaction *now);
// Puts back what was there.
int os_signal_restore(int sig, const struct sigaction *before);
// For a handler: hands its signal to the function that was there before. False when there was none.
bool os_signal_hand_on(const struct sigaction *before, int sig, siginfo_t *info, void *ucontext);
// The mask of the calling thread: nothing blocked; faults not blocked, since the kernel kills
// without a word where they are; or what the thread had blocked that started the runtime, but for
// these, since the program may count on its signals going elsewhere (sigwait, signalfd).
void os_signal_unblock_all(void);
void os_signal_unblock_faults(void);
void os_signal_mask_as_started(void);
// The same: everything blocked but the signals whose bits (sig - 1) are set, faults and libc's.
void os_signal_block_but(uint64_t open);
int os_signal_thread(int tid, int sig);
// Whether that thread of the process blocks the signal; false when it is gone or it cannot be told.
bool os_signal_blocked(int tid, int sig);
// For a dying process: fn is called on this thread, as SIGALRM's handler, each time that ns have
// gone by. Returns what os_timer_end gets.
int os_timer_every(int64_t ns, OsHandler *fn);
void os_timer_end(int timer);
// For samples of what runs: fn becomes SIGPROF's handler. Faults reach their handlers
// from within it; other signals wait, but for libc's.
int os_profile_handle(OsHandler *fn);
// From now on the signal is sent to a thread that computes each time that the process has computed
// for ns; 0: never again, but for one that is under way. 0 or -errno.
int os_profile_every(int64_t ns);
// CPU time of the calling thread; in the simulation, too, that of the system.
int64_t os_self_cpu_ns(void);
// The stack pointer and program counter a signal interrupted.
void os_signal_regs(const void *ucontext, uintptr_t *pc, uintptr_t *sp);
// The i-th register it interrupted, by the name that Go gives it; NULL: there are no more.
const char *os_signal_reg(const void *ucontext, int i, uint64_t *value);

// --- descriptors ------------------------------------------------------------------------------
// All of it, unless the descriptor fails. Raises no SIGPIPE. In non-blocking mode -EAGAIN when it
// takes nothing for a second; some of it may have been written.
int64_t os_write(int fd, const void *buf, size_t n);
_Noreturn void os_exit(int status); // at once, without destructors
_Noreturn void os_abort(int sig);   // dies of the signal with its default action

// --- the fault plan ---------------------------------------------------------------------------
// Replaces the plan; the syntax is that of UNDERGO_FAULT, see fault.c. NULL turns it off. False
// when it makes no sense: nothing has changed then. For tests, while one thread runs.
bool os_fault_plan(const char *plan);
// How often the service of that name (fault.def) was called since a plan, be it "", was set.
uint64_t os_fault_count(const char *kind);

// --- the simulation ---------------------------------------------------------------------------
extern bool os_simulated; // set by os_init, then constant
// An object in the calling thread's thread-local storage that each simulated thread shall have for
// its own, zeroed when it starts. At most a few, small. Does nothing in the real system.
void os_sim_thread_local(void *object, size_t bytes);
// A digest of every decision of the simulation so far: equal seeds give equal digests.
uint64_t os_sim_hash(void);
void os_sim_point_slow(void);
// A place where the deterministic mode may let another thread go on. Stack: any.
static inline void
os_sim_point(void)
{
	if (__builtin_expect(os_simulated, 0))
		os_sim_point_slow();
}

#endif
