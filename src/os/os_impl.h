// SPDX-License-Identifier: BSD-3-Clause
// The three back ends behind os.h, for the files of os itself.
//
// seam.c answers os.h: it asks the fault plan, then the simulation when that is on, then the
// system.
#ifndef UNDERGO_OS_IMPL_H
#define UNDERGO_OS_IMPL_H

#include "base/base.h"
#include "os/os.h"

#if defined(__SANITIZE_THREAD__)
#define OS_TSAN 1
#elif defined(__SANITIZE_ADDRESS__)
#define OS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define OS_TSAN 1
#elif __has_feature(address_sanitizer)
#define OS_ASAN 1
#endif
#endif

// --- the real system, src/os/linux: contracts are those of os.h ---------------------------------

// The signal that halts threads, see linux/halt.c.
enum { HALT_SIGNAL = 33 };

void sys_init(void);
bool sys_fence_register(void); // whether the kernel promises sys_fence_all_threads
void sys_fence_all_threads(void);

void *sys_map(size_t bytes, size_t align);
int sys_unmap(void *p, size_t bytes);
void *sys_reserve(size_t bytes, size_t align);
int sys_commit(void *p, size_t bytes);
int sys_commit_zero(void *p, size_t bytes);
int sys_guard(void *p, size_t bytes);
int sys_protect_none(void *p, size_t bytes);
int sys_decommit(void *p, size_t bytes);
int sys_no_huge_pages(void *p, size_t bytes);
int sys_huge_pages(void *p, size_t bytes);
int sys_populate(void *p, size_t bytes);
void *sys_alloc(size_t bytes);

int sys_thread_start(void (*fn)(void *arg), void *arg);
int sys_thread_id(void);
void sys_thread_stack(void **lo, void **hi);
void sys_thread_exit_key(void (*fn)(void *value));
void sys_thread_exit_set(void *value);
int64_t sys_thread_cpu_ns(int tid);
int64_t sys_process_cpu_ns(void);
int sys_thread_count(void);
void sys_yield(void);
void sys_sleep(int64_t ns);

int sys_futex_wait(ATOMIC_U32 *word, uint32_t seen, int64_t deadline);
void sys_futex_wake(ATOMIC_U32 *word, int n);

int sys_halt_init(void);
int sys_halt_begin(uint32_t threads);
int sys_halt_except(int tid);
bool sys_halt_knows(int tid);
int sys_halt_ask(int tid);
uint32_t sys_halt_wait(int64_t deadline);
int sys_halt_missing(void);
void sys_halt_forget(int tid);
OsHalted *sys_halted(uint32_t i);
OsHalted *sys_halted_tid(int tid);
void sys_halt_end(void);

int sys_close(int fd);
int sys_poller_make(void);
int sys_poller_add(int poller, int fd, uint64_t tag);
int sys_poller_remove(int poller, int fd);
int sys_poller_bell(int poller, uint64_t tag);
void sys_bell_ring(int bell);
void sys_bell_hush(int bell);
// The timeout is from now on; 0: none, INT64_MAX: for ever. -EINTR, -ENOSYS.
int sys_poller_wait(int poller, OsReady *ready, int max, int64_t timeout_ns);
// The same without the result: 1 when there is something, for systems whose pollers count in
// milliseconds.
int sys_readable(int fd, int64_t timeout_ns);

struct OsFileCall;
struct OsRingDone;
int sys_ring_make(void);
void sys_ring_end(void);
int sys_ring_submit(const struct OsFileCall *c, bool later, uint64_t tag);
bool sys_ring_take(struct OsRingDone *done);

int64_t sys_nanotime(void);
void sys_random(void *buf, size_t n);
int sys_cpu_count(void);
int sys_read_file_at(const char *path, int64_t offset, char *buf, size_t size);

int sys_signal_stack(void *base, size_t bytes);
int sys_signal_handle(int sig, OsHandler *fn, struct sigaction *before);
int sys_signal_now(int sig, struct sigaction *now);
int sys_signal_restore(int sig, const struct sigaction *before);
void sys_signal_unblock_all(void);
void sys_signal_unblock_faults(void);
void sys_signal_all_but_faults(sigset_t *mask);
void sys_threads_ready(void);
int sys_threads_each(void (*fn)(void *ctx, int tid), void *ctx);
char sys_thread_state(int tid);
bool sys_thread_of_kernel(int tid);
bool sys_thread_still_of_kernel(int tid);
bool sys_signal_blocked(int tid, int sig);
bool sys_halt_blocked(int tid);
void sys_mappings_ready(void);
int sys_mappings(OsRange *out, uint32_t max);
void sys_signal_mask_note(void);
void sys_signal_mask_as_started(void);
void sys_signal_block_but(uint64_t open);
int sys_signal_thread(int tid, int sig);

int64_t sys_write(int fd, const void *buf, size_t n, bool patient);
_Noreturn void sys_exit(int status);

// --- the fault plan, fault.c --------------------------------------------------------------------

typedef enum FaultKind {
#define FAULT(name) FAULT_##name,
#include "os/fault.def"
#undef FAULT
	FAULT_COUNT
} FaultKind;

extern bool os_fault_on; // changes while one thread runs
int os_fault_slow(FaultKind kind);

// 0, or the negative errno that this call of that kind shall fail with. Signal-safe.
static inline int
fault(FaultKind kind)
{
	return unlikely(os_fault_on) ? os_fault_slow(kind) : 0;
}

// --- the simulation, sim/: contracts are those of os.h ------------------------------------------

void sim_init(uint64_t seed);
void sim_absent(void); // instead, where nothing is simulated

int sim_thread_start(void (*fn)(void *arg), void *arg);
int sim_thread_id(void);
void sim_thread_stack(void **lo, void **hi);
void sim_thread_exit_key(void (*fn)(void *value));
void sim_thread_exit_set(void *value);
int sim_thread_count(void);
int64_t sim_thread_cpu_ns(int tid);
void sim_yield(void);
void sim_sleep(int64_t ns);

int sim_futex_wait(ATOMIC_U32 *word, uint32_t seen, int64_t deadline);
void sim_futex_wake(ATOMIC_U32 *word, int n);
int sim_poller_wait(int poller, OsReady *ready, int max, int64_t deadline);
void sim_bell_ring(int bell);

int64_t sim_nanotime(void);
int sim_cpu_count(void);

int sim_threads_each(void (*fn)(void *ctx, int tid), void *ctx);
int sim_halt_begin(void);
int sim_halt_except(int tid);
bool sim_halt_knows(int tid);
int sim_halt_ask(int tid);
OsHalted *sim_halted(uint32_t i);
OsHalted *sim_halted_tid(int tid);
void sim_halt_end(void);

int sim_signal_stack(void *base, size_t bytes);
int sim_signal_thread(int tid, int sig);

#endif
