// SPDX-License-Identifier: BSD-3-Clause
// Stopping every thread of the process.
//
// The world is stopped already: no goroutine is inside the runtime. But goroutines compute or block
// in C on Ms without a P, and the program has threads of its own, of which we may never have heard.
// Each gets a signal (os/linux/halt.c). Spared are the caller, the collector's workers, the
// monitor, and who rests: idle Ms and attached threads that are parked, whose registers lie on
// their stacks and who ask before they go on (sched_rest_hold).
//
// Where the kernel counts no threads but the spared ones there is no more to do. Else threads are
// listed until a pass finds none that is new, all old ones stand still, and the kernel counts as
// many as were listed: what stands still makes no threads.
//
// A thread that blocks every signal for a moment, as libc does where it makes threads and ends
// them, may wait in that moment for a lock of libc that a thread holds which stands still already.
// So who does not come is waited for only a little. Then all go on for a while, and we try again,
// with more patience each time. Threads that merely wait for a processor are waited for as long as
// it takes.
//
// But some do not come for very long: one that the kernel has put to sleep where no signal wakes
// it, before a disk that does not answer or until a child of vfork has begun its program; and none
// can be asked while the queue of signals is full. The world must not wait for that. After some
// tries it goes on without a cycle, for nine times as long as it has been stopped at least, until
// the next round of tries.
//
// Threads of the kernel's, which io_uring puts into the process, take no signals and have nothing
// of the program. They are found out when they do not come, and remembered, as each signal that one
// does not take stays in the kernel's queue. Who is remembered is looked at again each time: the
// number may have become another thread's.
//
// Locks:  none are taken; the caller holds foreign_lock, and the world is stopped.
#include <errno.h>

#include "base/line.h"
#include "gc/gc_impl.h"
#include "sched/sched.h"

enum {
	EXEMPT_MAX = 64,
	PATIENCE_NS = 2 * GO_MSEC,
	PATIENCE_MAX_NS = 128 * GO_MSEC,
	ROUND_NS = 20 * GO_MSEC, // of tries; no other begins when so much is over
	REST_SHARE = 9,          // times as long as a round took
	COMPLAIN_S = 10,
	SPARE_ROOM = 64,
	PASSES_MAX = 100, // that only find the count of threads changing
	WORKERS_KEPT = 64,
};

static ATOMIC(int) exempt[EXEMPT_MAX];
// Who stops the world:
static int late;           // kept the last try waiting; 0: nobody did
static int refused;        // or why it could not be asked
static bool unlisted;      // there were more threads, and nobody says which
static int64_t patience_ns = PATIENCE_NS; // of the next try
static int64_t failing_since;             // 0: the last round did not fail
static bool complained;                   // since then
static ATOMIC_I64 again_at;               // when the next round is due; 0: at once
static bool leader_ended;  // the first thread has, and stays listed for ever
static int kernels[WORKERS_KEPT]; // threads of the kernel's; 0: none

void
threads_exempt(int tid)
{
	for (int i = 0; i < EXEMPT_MAX; i++) {
		int none = 0;
		if (cas_rel(&exempt[i], &none, tid)) // order: publish -> except_ours
			return;
	}
	throw("threads_exempt: too many");
}

// --- who is spared ------------------------------------------------------------------------------

// Threads that are not asked, the caller among them. None of them ends now, with one exception: an
// M's record may have become another thread's since its tid was read. That one is not counted here,
// and the kernel counts it in place of the one that has ended.
static uint32_t spared;

static bool
spare(int tid)
{
	spared += !os_halt_knows(tid);
	return os_halt_except(tid) == 0;
}

static bool
except_ours(void)
{
	spared = 1;
	bool ok = os_halt_except(os_thread_id()) == 0;
	for (int i = 0; i < EXEMPT_MAX; i++) {
		int tid = load_acq(&exempt[i]); // order: observe <- threads_exempt
		if (tid != 0)
			ok &= spare(tid);
	}
	if (sched_monitor_tid() != 0)
		ok &= spare(sched_monitor_tid());
	if (leader_ended)
		ok &= spare(os_process_id());
	return ok;
}

static bool
except_kernels(void)
{
	for (int i = 0; i < WORKERS_KEPT; i++) {
		if (kernels[i] != 0 && !os_thread_still_of_kernel(kernels[i]))
			kernels[i] = 0;
		if (kernels[i] != 0 && os_halt_except(kernels[i]) != 0)
			return false;
	}
	return true;
}

// One more than there is room for is found out anew each time.
static void
remember_kernels(int tid)
{
	int i = 0;
	while (i < WORKERS_KEPT - 1 && kernels[i] != 0)
		i++;
	kernels[i] = tid;
}

static bool
except_resting(void)
{
	for (M *mp = sched_ms(); mp != NULL; mp = mp->all_next) {
		int tid = load_acq(&mp->tid); // order: observe <- settle
		// It may wake now and say so, before it waits for the end of the halt.
		bool rests = load_acq(&mp->resting) != 0; // order: observe <- m_rest
		mp->held_resting = tid != 0 && rests;
		if (mp->held_resting && !spare(tid))
			return false;
	}
	return true;
}

// --- asking -------------------------------------------------------------------------------------

typedef struct Pass {
	bool met_self;
	bool news;   // a thread was asked
	bool failed; // one could not be
} Pass;

static void
ask(void *v, int tid)
{
	Pass *pass = v;
	pass->met_self |= tid == os_thread_id();
	if (os_halt_knows(tid))
		return;
	pass->news = true;
	int err = os_halt_ask(tid);
	if (err == 0 || err == -ESRCH)
		return;
	pass->failed = true;
	late = tid;
	refused = err;
}

// Without /proc only those threads can be stopped that have called us; with that of an outer
// namespace, too, and then there is no cycle while the kernel counts more.
static void
ask_ms(Pass *pass)
{
	for (M *mp = sched_ms(); mp != NULL; mp = mp->all_next) {
		int tid = load_acq(&mp->tid); // order: observe <- settle
		if (tid != 0)
			ask(pass, tid);
	}
}

// The thread that keeps us waiting: false when it is better to let all go on first.
static bool
may_still_come(int tid)
{
	char state = os_thread_state(tid);
	if (state == '\0' && os_thread_gone(tid))
		state = 'X';
	switch (state) {
	case 'Z':
	case 'X':
	case 'x': // it has ended, or is about to and will run no more of the program
		leader_ended |= tid == os_process_id();
		os_halt_forget(tid);
		return true;
	case 'R':
	case 't':
	case 'T':
		if (!os_halt_blocked(tid))
			return true;
		break;
	}
	if (!os_thread_of_kernel(tid))
		return false;
	remember_kernels(tid);
	os_halt_forget(tid);
	return true;
}

static bool
await(int64_t patience)
{
	while (os_halt_wait(os_nanotime() + patience) != 0) {
		int tid = os_halt_missing();
		if (tid == 0 || may_still_come(tid))
			continue;
		late = tid;
		return false;
	}
	return true;
}

// Whether the process has no threads but the spared ones: then there is none to list, nor to ask.
// Threads of the kernel's may end, and are not among them.
static bool
all_spared(void)
{
	return os_thread_count() == (int)spared;
}

static uint32_t
standing(void)
{
	uint32_t n = 0;
	const OsHalted *h;
	for (uint32_t i = 0; (h = os_halted(i)) != NULL; i++)
		n += h->tid != 0;
	return n;
}

// Whether so many are all: those listed, or without a list who is spared and who stands still.
static bool
are_all(int counted, int listed)
{
	if (counted < 0)
		return true; // the kernel does not tell
	unlisted = listed < 0 && counted > (int)(spared + standing());
	return listed < 0 ? !unlisted : listed == counted;
}

static bool
stop_all(int64_t patience)
{
	late = refused = 0;
	if (all_spared())
		return true;
	for (int i = 0; i < PASSES_MAX; i++) {
		Pass pass = {.news = false};
		int listed = os_threads_each(ask, &pass);
		if (!pass.met_self)
			listed = -ENOENT; // or they are told in another namespace's numbers
		if (listed < 0)
			ask_ms(&pass);
		if (pass.failed || !await(patience))
			return false;
		int counted = os_thread_count(); // negative: the kernel does not tell
		if (!pass.news && are_all(counted, listed))
			return true;
	}
	return false;
}

// Records for all threads, and for as many that are made meanwhile.
static uint32_t
room_wanted(void)
{
	int threads = os_thread_count();
	if (threads < 0)
		threads = os_threads_each(NULL, NULL);
	return (threads > 0 ? (uint32_t)threads : 0) * 2 + EXEMPT_MAX +
	       WORKERS_KEPT + SPARE_ROOM;
}

typedef enum Try { STOPPED, AGAIN, REFUSED } Try;

// AGAIN: all go on, and it can be tried again. REFUSED: there is no memory for it.
static Try
try_to_stop(int64_t patience)
{
	if (os_halt_begin(room_wanted()) != 0)
		return REFUSED;
	sched_rest_hold();
	if (except_ours() && except_kernels() && except_resting() && stop_all(patience))
		return STOPPED;
	threads_resume();
	return AGAIN;
}

// --- the face -----------------------------------------------------------------------------------

COLD static void
complain(void)
{
	Line l = {.n = 0};
	if (late == 0 && unlisted) {
		line_str(&l, "runtime: no collection while /proc does not list all threads");
	} else if (late == 0) {
		line_str(&l, "runtime: no collection while threads come and go all the time");
	} else if (refused != 0) {
		line_str(&l, "runtime: no collection while thread ");
		line_u64(&l, (uint64_t)late);
		line_str(&l, refused == -EAGAIN
				 ? " cannot be signalled: too many signals are queued (ulimit -i)"
				 : " cannot be signalled");
	} else {
		line_str(&l, "runtime: a collection waits for thread ");
		line_u64(&l, (uint64_t)late);
		line_str(&l, ", which does not let its signal through");
	}
	line_end(&l);
}

// A round of tries that began then was for nothing.
COLD static void
round_failed(int64_t begun)
{
	int64_t now = os_nanotime();
	if (failing_since == 0)
		failing_since = begun;
	store_rlx(&again_at, now + (now - begun) * REST_SHARE); // order: hint
}

Halt
threads_stop(void)
{
	check(os_halt_init() == 0, "cannot install the signal that stops threads");
	int64_t begun = os_nanotime();
	while (os_nanotime() - begun < ROUND_NS) {
		Try t = try_to_stop(patience_ns);
		if (t == REFUSED)
			return HALT_REFUSED;
		if (t == STOPPED) {
			patience_ns = PATIENCE_NS;
			failing_since = 0;
			complained = false;
			store_rlx(&again_at, 0); // order: hint
			return HALTED;
		}
		os_sleep(GO_MSEC); // the thread that was late runs, and takes its signal
		if (patience_ns < PATIENCE_MAX_NS)
			patience_ns *= 2;
	}
	round_failed(begun);
	return HALT_LATE;
}

void
threads_resume(void)
{
	os_halt_end();
	sched_rest_release();
}

bool
threads_held_off(void)
{
	int64_t at = load_rlx(&again_at); // order: hint
	return unlikely(at != 0) && os_nanotime() < at;
}

bool
threads_failed(void)
{
	if (os_nanotime() - failing_since <= COMPLAIN_S * GO_SEC)
		return true;
	if (!complained)
		complain();
	complained = true;
	return false;
}

int64_t
threads_again_at(void)
{
	return load_rlx(&again_at); // order: own
}
