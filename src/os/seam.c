// SPDX-License-Identifier: BSD-3-Clause
// os.h, answered: each service asks the fault plan, then the simulation when it is on, then the
// system.
//
// What the simulation does not play (memory, descriptors, handlers) is real in it too. It is not
// let see files: what they say differs from machine to machine, and would from run to run.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base_up.h"
#include "base/godebug.h"
#include "os/file.h"
#include "os/os_impl.h"

bool os_simulated;

static size_t page_bytes;
static int cpu_count = 1; // set by os_init, then constant

// --- start --------------------------------------------------------------------------------------

// A decimal number and nothing else.
static bool
parse_u64(const char *s, uint64_t *v)
{
	*v = 0;
	if (*s == '\0')
		return false;
	for (; *s >= '0' && *s <= '9'; s++)
		if (__builtin_mul_overflow(*v, 10, v) ||
		    __builtin_add_overflow(*v, (uint64_t)(*s - '0'), v))
			return false;
	return *s == '\0';
}

COLD NORETURN static void
bad_environment(const char *name, const char *value)
{
	print_str("runtime: ");
	print_str(name);
	print_str("=");
	print_str(value);
	print_str(" makes no sense\n");
	os_exit(2);
}

static void
init_seed(void)
{
	const char *text = getenv("UNDERGO_SEED");
	base_seed_given = text != NULL && *text != '\0';
	if (!base_seed_given)
		sys_random(&base_seed, sizeof(base_seed));
	else if (!parse_u64(text, &base_seed))
		bad_environment("UNDERGO_SEED", text);
}

static void
init_faults(void)
{
	const char *plan = getenv("UNDERGO_FAULT");
	if (plan != NULL && !os_fault_plan(plan))
		bad_environment("UNDERGO_FAULT", plan);
}

// The simulation has one thread, for which a light fence is enough against all others.
void
os_init(void)
{
	int saved = errno;
	page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	init_seed();
	init_faults();
	godebug_parse(getenv("GODEBUG"));
	os_simulated = base_seed_given;
	base_fence_asymmetric = os_simulated || sys_fence_register();
	sys_signal_mask_note();
	if (os_simulated)
		sim_init(base_seed);
	else
		sim_absent();
	cpu_count = os_simulated ? sim_cpu_count() : sys_cpu_count();
	errno = saved;
}

size_t
os_page_bytes(void)
{
	return page_bytes;
}

// --- memory -------------------------------------------------------------------------------------

void *
os_map(size_t bytes, size_t align)
{
	return fault(FAULT_map) == 0 ? sys_map(bytes, align) : NULL;
}

void *
os_reserve(size_t bytes, size_t align)
{
	return fault(FAULT_reserve) == 0 ? sys_reserve(bytes, align) : NULL;
}

int
os_commit(void *p, size_t bytes)
{
	int err = fault(FAULT_commit);
	return err != 0 ? err : sys_commit(p, bytes);
}

int
os_commit_zero(void *p, size_t bytes)
{
	int err = fault(FAULT_commit);
	return err != 0 ? err : sys_commit_zero(p, bytes);
}

int
os_unmap(void *p, size_t bytes)
{
	int err = fault(FAULT_unmap);
	return err != 0 ? err : sys_unmap(p, bytes);
}

int
os_guard(void *p, size_t bytes)
{
	int err = fault(FAULT_guard);
	return err != 0 ? err : sys_guard(p, bytes);
}

int
os_protect_none(void *p, size_t bytes)
{
	int err = fault(FAULT_protect_none);
	return err != 0 ? err : sys_protect_none(p, bytes);
}

int
os_decommit(void *p, size_t bytes)
{
	int err = fault(FAULT_decommit);
	return err != 0 ? err : sys_decommit(p, bytes);
}

int
os_no_huge_pages(void *p, size_t bytes)
{
	int err = fault(FAULT_no_huge_pages);
	return err != 0 ? err : sys_no_huge_pages(p, bytes);
}

int
os_huge_pages(void *p, size_t bytes)
{
	int err = fault(FAULT_huge_pages);
	return err != 0 ? err : sys_huge_pages(p, bytes);
}

int
os_populate(void *p, size_t bytes)
{
	int err = fault(FAULT_populate);
	return err != 0 ? err : sys_populate(p, bytes);
}

void *
os_alloc(size_t bytes)
{
	return fault(FAULT_alloc) == 0 ? sys_alloc(bytes) : NULL;
}

// --- threads ------------------------------------------------------------------------------------

enum {
	FIRST_RETRY_NS = 1000000,
	LAST_RETRY_NS = 8000000, // 1 + 2 + 4 + 8 ms: meanwhile some thread may end
};

int
os_thread_start(void (*fn)(void *arg), void *arg)
{
	int err = fault(FAULT_thread);
	if (err != 0)
		return err;
	return os_simulated ? sim_thread_start(fn, arg) : sys_thread_start(fn, arg);
}

int
os_thread_start_patient(void (*fn)(void *arg), void *arg)
{
	int err = os_thread_start(fn, arg);
	for (int64_t ns = FIRST_RETRY_NS; err == -EAGAIN && ns <= LAST_RETRY_NS; ns *= 2) {
		os_sleep(ns);
		err = os_thread_start(fn, arg);
	}
	return err;
}

int
os_thread_id(void)
{
	return os_simulated ? sim_thread_id() : sys_thread_id();
}

void
os_thread_stack(void **lo, void **hi)
{
	if (os_simulated)
		sim_thread_stack(lo, hi);
	else
		sys_thread_stack(lo, hi);
}

void
os_thread_exit_key(void (*fn)(void *value))
{
	if (os_simulated)
		sim_thread_exit_key(fn);
	else
		sys_thread_exit_key(fn);
}

void
os_thread_exit_set(void *value)
{
	if (os_simulated)
		sim_thread_exit_set(value);
	else
		sys_thread_exit_set(value);
}

int64_t
os_thread_cpu_ns(int tid)
{
	if (fault(FAULT_thread_cpu) != 0)
		return -1;
	return os_simulated ? sim_thread_cpu_ns(tid) : sys_thread_cpu_ns(tid);
}

int64_t
os_process_cpu_ns(void)
{
	return os_simulated ? 0 : sys_process_cpu_ns();
}

char
os_thread_state(int tid)
{
	return os_simulated ? 'S' : sys_thread_state(tid);
}

bool
os_thread_gone(int tid)
{
	return !os_simulated && sys_signal_thread(tid, 0) == -ESRCH;
}

bool
os_thread_of_kernel(int tid)
{
	return !os_simulated && sys_thread_of_kernel(tid);
}

bool
os_thread_still_of_kernel(int tid)
{
	return !os_simulated && sys_thread_still_of_kernel(tid);
}

bool
os_thread_runnable(int tid)
{
	return !os_simulated && sys_thread_state(tid) == 'R';
}

int
os_threads_each(void (*fn)(void *ctx, int tid), void *ctx)
{
	int err = fault(FAULT_thread_list);
	if (err != 0)
		return err;
	return os_simulated ? sim_threads_each(fn, ctx) : sys_threads_each(fn, ctx);
}

int
os_thread_count(void)
{
	int err = fault(FAULT_thread_count);
	if (err != 0)
		return err;
	return os_simulated ? sim_thread_count() : sys_thread_count();
}

void
os_yield(void)
{
	if (os_simulated)
		sim_yield();
	else
		sys_yield();
}

void
os_sleep(int64_t ns)
{
	if (fault(FAULT_sleep) != 0)
		return;
	if (os_simulated)
		sim_sleep(ns);
	else
		sys_sleep(ns);
}

void
up_fence_all_threads(void)
{
	if (!os_simulated)
		sys_fence_all_threads();
}

// --- halting threads ----------------------------------------------------------------------------

void
os_halt_files(void)
{
	if (os_simulated)
		return;
	sys_threads_ready();
	sys_mappings_ready();
}

int
os_halt_init(void)
{
	return os_simulated ? 0 : sys_halt_init();
}

int
os_halt_begin(uint32_t threads)
{
	int err = fault(FAULT_halt_begin);
	if (err != 0)
		return err;
	return os_simulated ? sim_halt_begin() : sys_halt_begin(threads);
}

int
os_halt_except(int tid)
{
	return os_simulated ? sim_halt_except(tid) : sys_halt_except(tid);
}

bool
os_halt_knows(int tid)
{
	return os_simulated ? sim_halt_knows(tid) : sys_halt_knows(tid);
}

int
os_halt_ask(int tid)
{
	int err = fault(FAULT_halt);
	if (err != 0)
		return err;
	return os_simulated ? sim_halt_ask(tid) : sys_halt_ask(tid);
}

uint32_t
os_halt_wait(int64_t deadline)
{
	return os_simulated ? 0 : sys_halt_wait(deadline);
}

int
os_halt_missing(void)
{
	return os_simulated ? 0 : sys_halt_missing();
}

void
os_halt_forget(int tid)
{
	if (!os_simulated)
		sys_halt_forget(tid);
}

bool
os_signal_blocked(int tid, int sig)
{
	return !os_simulated && sys_signal_blocked(tid, sig);
}

bool
os_halt_blocked(int tid)
{
	return !os_simulated && sys_halt_blocked(tid);
}

OsHalted *
os_halted(uint32_t i)
{
	return os_simulated ? sim_halted(i) : sys_halted(i);
}

OsHalted *
os_halted_tid(int tid)
{
	return os_simulated ? sim_halted_tid(tid) : sys_halted_tid(tid);
}

void
os_halt_end(void)
{
	if (os_simulated)
		sim_halt_end();
	else
		sys_halt_end();
}

// The simulation's threads have stacks that are mapped as anything else.
int
os_mappings(OsRange *out, uint32_t max)
{
	int err = fault(FAULT_mappings);
	return err != 0 ? err : sys_mappings(out, max);
}

// --- futex --------------------------------------------------------------------------------------

int
os_futex_wait(ATOMIC_U32 *word, uint32_t seen, int64_t deadline)
{
	int err = fault(FAULT_futex_wait);
	if (err != 0)
		return err == -EINTR ? 0 : err;
	if (os_simulated)
		return sim_futex_wait(word, seen, deadline);
	return sys_futex_wait(word, seen, deadline);
}

// A wake-up cannot fail, it can only come late.
void
os_futex_wake(ATOMIC_U32 *word, int n)
{
	if (fault(FAULT_futex_wake) != 0)
		os_yield();
	if (os_simulated)
		sim_futex_wake(word, n);
	else
		sys_futex_wake(word, n);
}

// --- waiting for descriptors --------------------------------------------------------------------

int
os_close(int fd)
{
	os_sim_point();
	return sys_close(fd);
}

int
os_poller_make(void)
{
	int err = fault(FAULT_poller_make);
	return err != 0 ? err : sys_poller_make();
}

int
os_poller_add(int poller, int fd, uint64_t tag)
{
	int err = fault(FAULT_poller_add);
	return err != 0 ? err : sys_poller_add(poller, fd, tag);
}

int
os_poller_remove(int poller, int fd)
{
	os_sim_point();
	return sys_poller_remove(poller, fd);
}

int
os_poller_bell(int poller, uint64_t tag)
{
	int err = fault(FAULT_poller_add);
	return err != 0 ? err : sys_poller_bell(poller, tag);
}

void
os_bell_ring(int bell)
{
	if (fault(FAULT_bell_ring) != 0)
		os_yield();
	if (os_simulated)
		sim_bell_ring(bell);
	else
		sys_bell_ring(bell);
}

void
os_bell_hush(int bell)
{
	sys_bell_hush(bell);
}

// Without epoll_pwait2 a poller counts in milliseconds. Waiting for it to become readable does not.
static int
poller_wait_in_two(int poller, OsReady *ready, int max, int64_t timeout_ns)
{
	int n = sys_readable(poller, timeout_ns);
	return n > 0 ? sys_poller_wait(poller, ready, max, 0) : n;
}

static int
poller_wait(int poller, OsReady *ready, int max, int64_t timeout_ns)
{
	static ATOMIC_BOOL in_two; // hint
	int n = -ENOSYS;
	if (timeout_ns == 0)
		return sys_poller_wait(poller, ready, max, 0);
	if (!load_rlx(&in_two)) // order: hint
		n = fault(FAULT_epoll_pwait2);
	if (n == 0)
		n = sys_poller_wait(poller, ready, max, timeout_ns);
	if (n != -ENOSYS)
		return n;
	store_rlx(&in_two, true); // order: hint
	return poller_wait_in_two(poller, ready, max, timeout_ns);
}

int
os_poller_wait(int poller, OsReady *ready, int max, int64_t deadline)
{
	int err = fault(FAULT_poller_wait);
	if (err != 0)
		return err == -EINTR ? 0 : err;
	if (os_simulated)
		return sim_poller_wait(poller, ready, max, deadline);
	int64_t timeout_ns = deadline;
	if (deadline != 0 && deadline != INT64_MAX) {
		timeout_ns = deadline - sys_nanotime();
		timeout_ns = timeout_ns > 0 ? timeout_ns : 0;
	}
	int n = poller_wait(poller, ready, max, timeout_ns);
	return n == -EINTR ? 0 : n;
}

// --- files handed over to the kernel ------------------------------------------------------------

// What the kernel does meanwhile is no function of the seed.
int
os_ring_make(void)
{
	int err = fault(FAULT_ring_make);
	if (err != 0)
		return err;
	return os_simulated ? -ENOSYS : sys_ring_make();
}

void
os_ring_end(void)
{
	sys_ring_end();
}

int
os_ring_submit(const OsFileCall *c, OsRingWhen when, uint64_t tag)
{
	int err = fault(FAULT_ring_submit);
	return err != 0 ? err : sys_ring_submit(c, when == OS_RING_LATER, tag);
}

// A plan may have a call fail that was made: it says nothing of those that move a file's place.
bool
os_ring_take(OsRingDone *done)
{
	if (!sys_ring_take(done))
		return false;
	int err = fault(FAULT_ring_result);
	if (err != 0)
		done->result = err;
	return true;
}

// --- time, processors, files --------------------------------------------------------------------

int64_t
os_nanotime(void)
{
	return os_simulated ? sim_nanotime() : sys_nanotime();
}

int
os_cpu_count(void)
{
	return cpu_count;
}

int
os_read_file_at(const char *path, int64_t offset, char *buf, size_t size)
{
	int err = fault(FAULT_read_file);
	if (err != 0)
		return err;
	return os_simulated ? -ENOENT : sys_read_file_at(path, offset, buf, size);
}

int
os_read_file(const char *path, char *buf, size_t size)
{
	int n = os_read_file_at(path, 0, buf, size - 1);
	buf[n > 0 ? n : 0] = '\0';
	return n;
}

// --- signals ------------------------------------------------------------------------------------

int
os_signal_stack(void *base, size_t bytes)
{
	int err = fault(FAULT_signal_stack);
	if (err != 0)
		return err;
	return os_simulated ? sim_signal_stack(base, bytes) : sys_signal_stack(base, bytes);
}

int
os_signal_handle(int sig, OsHandler *fn, struct sigaction *before)
{
	int err = fault(FAULT_signal_handle);
	return err != 0 ? err : sys_signal_handle(sig, fn, before);
}

int
os_signal_now(int sig, struct sigaction *now)
{
	return sys_signal_now(sig, now);
}

int
os_signal_restore(int sig, const struct sigaction *before)
{
	return sys_signal_restore(sig, before);
}

void
os_signal_mask_as_started(void)
{
	sys_signal_mask_as_started();
}

void
os_signal_block_but(uint64_t open)
{
	sys_signal_block_but(open);
}

void
os_signal_unblock_all(void)
{
	sys_signal_unblock_all();
}

void
os_signal_unblock_faults(void)
{
	sys_signal_unblock_faults();
}

int
os_signal_thread(int tid, int sig)
{
	int err = fault(FAULT_signal_thread);
	if (err != 0)
		return err;
	return os_simulated ? sim_signal_thread(tid, sig) : sys_signal_thread(tid, sig);
}

// --- descriptors and the end --------------------------------------------------------------------

int64_t
os_write(int fd, const void *buf, size_t n)
{
	int err = fault(FAULT_write);
	return err != 0 ? err : sys_write(fd, buf, n, true);
}

void
os_exit(int status)
{
	sys_exit(status);
}

int
up_write(int fd, const char *buf, size_t n, bool patient)
{
	if (fault(FAULT_write) != 0)
		return -EIO;
	int64_t put = sys_write(fd, buf, n, patient);
	return put < 0 ? (int)put : (uint64_t)put < n ? -EIO : 0;
}

void
up_exit(int status)
{
	sys_exit(status);
}

// Nothing is written for so long: whoever dies hangs.
#define HOLD_STILL_NS INT64_C(5000000000)
enum { EXIT_HELD = 2 };

void
up_hold_still(void)
{
	uint32_t seen;
	do {
		seen = load_rlx(&base_told); // order: count
		sys_sleep(HOLD_STILL_NS);
	} while (load_rlx(&base_told) != seen); // order: count
	sys_exit(EXIT_HELD);
}
