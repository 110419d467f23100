// SPDX-License-Identifier: BSD-3-Clause
// Halting threads: each is sent a signal whose handler notes where the thread was and waits for the
// end of the halt.
//
// The signal is number 33. libc keeps it for itself, to make all threads change their user together
// (setuid). So no mask made with libc's functions holds it, nor does sigfillset, and whoever makes
// masks without libc, as the sanitizers do, leaves this one out, or setuid would hang. It is the
// one signal that programs do not block, wait for, or install a handler for by accident. Ours come
// with a value of our own and go to us; the others go on to libc's handler. Debuggers pass it in
// silence.
//
// A halted thread may hold any lock of libc, so nobody who halts threads calls libc before the end;
// the handler calls nothing but the kernel, and needs no thread-locals: it runs on threads that
// never heard of us, too.
//
// Records lie in a table, hashed by thread and halt, that is never unmapped: a handler that comes
// late reads a record that is not its own, at worst, and finds that out.
//
//   FREE     -> ASKED     sys_halt_ask
//   ASKED    -> CLAIMED   the thread, by CAS: it writes the record
//   CLAIMED  -> HALTED    the thread
//   ASKED    -> DROPPED   sys_halt_end, sys_halt_forget, by CAS
//   FREE     -> EXCEPTED  sys_halt_except
//
// Invariants:
//   I1  halt.number is odd during a halt, and each halt has another. Record.key and Record.state
//       carry it: those of earlier halts are FREE, whatever they say.
//   I2  Who halts writes a record in FREE, ASKED (the state only), the thread in CLAIMED. Nobody
//       writes one in HALTED.
//   I3  After the end no record is CLAIMED, so none is written to.
// Order:  O1  publish HALTED -> settled: the record is complete.
//         O2  publish number -> on_halt, at the end: it goes on.
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <string.h>
#include <sys/auxv.h>
#include <time.h>

#include "os/linux/syscall.h"
#include "os/os_impl.h"

typedef enum RecordState {
	RECORD_FREE,
	RECORD_ASKED,
	RECORD_AWAITED, // ASKED, and somebody sleeps until it is HALTED
	RECORD_CLAIMED,
	RECORD_CLAIMED_AWAITED,
	RECORD_HALTED,
	RECORD_DROPPED,
	RECORD_EXCEPTED,
} RecordState;

enum { STATE_BITS = 3, STATE_MASK = 7, TABLE_MIN = 256 };

typedef struct Record {
	ATOMIC_U64 key;   // number of the halt << 32 | tid
	ATOMIC_U32 state; // number << STATE_BITS | RecordState; a futex
	OsHalted at;
} Record;

typedef struct Table {
	uint32_t mask;  // records - 1
	uint32_t room;  // how many may be in use
	Record **asked; // in this order; room of them
	Record records[];
} Table;

static struct {
	ATOMIC_U32 number;     // I1; a futex, on which halted threads sleep
	ATOMIC(Table *) table; // replaced between halts
	// The rest is for who halts.
	uint32_t n_used;
	uint32_t n_asked;
	uint32_t n_settled; // asked[0, n_settled) stand still or are dropped
	long pid;
	void (*libc_handler)(int, siginfo_t *, void *); // set before the first halt
} halt;

// --- records ------------------------------------------------------------------------------------

// What handlers share is always inlined, or it would be instrumented.
#define SHARED UNINSTRUMENTED static inline

SHARED uint64_t
key_of(uint32_t number, int tid)
{
	return (uint64_t)number << 32 | (uint32_t)tid;
}

// The record of a thread in this halt, or a FREE one.
SHARED Record *
look_up(Table *t, uint32_t number, int tid)
{
	uint64_t key = key_of(number, tid);
	uint32_t i = (uint32_t)tid * UINT32_C(2654435761) >> 7;
	for (;; i++) {
		Record *r = &t->records[i & t->mask];
		uint64_t k = load_acq(&r->key); // order: observe <- enter
		if (k == key || k >> 32 != number)
			return r;
	}
}

SHARED uint32_t
tagged(uint32_t number, RecordState s)
{
	return number << STATE_BITS | s;
}

SHARED bool
move(Record *r, uint32_t number, RecordState from, RecordState to)
{
	uint32_t w = tagged(number, from);
	return cas_ar(&r->state, &w, tagged(number, to)); // order: claim; publish, O1
}

SHARED void
sleep_on(ATOMIC_U32 *w, uint32_t seen, const struct timespec *until)
{
	syscall6(SYS_futex, (long)w, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, seen, (long)until, 0,
		 (long)FUTEX_BITSET_MATCH_ANY);
}

SHARED void
wake_on(ATOMIC_U32 *w, int n)
{
	syscall3(SYS_futex, w, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, n);
}

// --- the handler --------------------------------------------------------------------------------

// uc lies at the low end of the frame that the kernel has made.
SHARED void
note_place(OsHalted *at, const ucontext_t *uc)
{
	uintptr_t here = (uintptr_t)uc, sp = ucontext_sp(uc) - RED_ZONE;
	uintptr_t lo = (uintptr_t)uc->uc_stack.ss_sp, hi = lo + uc->uc_stack.ss_size;
	bool elsewhere = here - lo < hi - lo && sp - lo >= hi - lo;
	at->pc = ucontext_pc(uc);
	at->tp = thread_pointer_of_any();
	at->sp = elsewhere ? sp : here;
	at->frame_lo = here;
	at->frame_hi = elsewhere ? hi : 0;
	at->alt_hi = at->sp - lo < hi - lo ? hi : 0;
}

// False: nobody waits for that, any more.
SHARED bool
stand_still(Record *r, uint32_t number, const ucontext_t *uc)
{
	bool awaited = false;
	if (!move(r, number, RECORD_ASKED, RECORD_CLAIMED)) {
		if (!move(r, number, RECORD_AWAITED, RECORD_CLAIMED_AWAITED))
			return false;
		awaited = true;
	}
	note_place(&r->at, uc);
	if (!awaited && move(r, number, RECORD_CLAIMED, RECORD_HALTED))
		return true;
	store_rel(&r->state, tagged(number, RECORD_HALTED)); // order: publish -> settled, O1
	wake_on(&r->state, 1);
	return true;
}

UNINSTRUMENTED static void
on_halt(int sig, siginfo_t *info, void *context)
{
	if (info->si_code != SI_QUEUE || info->si_value.sival_ptr != &halt) {
		if (halt.libc_handler != NULL)
			halt.libc_handler(sig, info, context);
		return;
	}
	uint32_t number = load_acq(&halt.number); // order: observe <- sys_halt_begin
	if (number % 2 == 0)
		return; // late
	Table *t = load_acq(&halt.table); // order: observe <- make_room
	int tid = (int)syscall0(SYS_gettid);
	Record *r = look_up(t, number, tid);
	// order: own. A FREE one may have become another thread's since.
	if (load_acq(&r->key) != key_of(number, tid) || !stand_still(r, number, context))
		return;
	while (load_acq(&halt.number) == number) // order: observe <- sys_halt_end, O2
		sleep_on(&halt.number, number, NULL);
}

// The kernel's struct sigaction.
typedef struct KernelAction {
	void (*handler)(int, siginfo_t *, void *);
	unsigned long flags;
	void (*restorer)(void);
	uint64_t mask;
} KernelAction;

enum { FLAG_RESTORER = 0x04000000 };

static int
action(const KernelAction *now, KernelAction *before)
{
	return (int)syscall4(SYS_rt_sigaction, HALT_SIGNAL, now, before, sizeof(now->mask));
}

// libc installs its handler when the first thread is made.
int
sys_halt_init(void)
{
	static bool installed;
	KernelAction before = {0};
	if (installed)
		return 0;
	KernelAction now = {
		.handler = on_halt,
		.flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART,
		.restorer = signal_return,
		.mask = UINT64_MAX,
	};
	if (now.restorer != NULL)
		now.flags |= FLAG_RESTORER;
	int err = action(NULL, &before);
	if (before.handler != (void *)SIG_DFL && before.handler != (void *)SIG_IGN)
		halt.libc_handler = before.handler;
	if (err == 0)
		err = action(&now, NULL);
	installed = err == 0;
	return err;
}

// --- the other side -----------------------------------------------------------------------------

static inline uint32_t
number_now(void)
{
	return load_rlx(&halt.number); // order: own
}

static inline Table *
table_now(void)
{
	return load_rlx(&halt.table); // order: own
}

static inline bool
in_use(const Record *r)
{
	return load_rlx(&r->key) >> 32 == number_now(); // order: own
}

static inline RecordState
state_of(const Record *r)
{
	return (RecordState)(load_acq(&r->state) & STATE_MASK); // order: observe <- stand_still, O1
}

static inline bool
settled(const Record *r)
{
	RecordState s = state_of(r);
	return s == RECORD_HALTED || s == RECORD_DROPPED;
}

// A table with room for so many; the old one stays where it is.
static bool
make_room(uint32_t threads)
{
	uint32_t n = TABLE_MIN;
	while (n / 2 < threads)
		n *= 2;
	if (table_now() != NULL && table_now()->room >= n / 2)
		return true;
	size_t records = sizeof(Table) + n * sizeof(Record);
	Table *t = sys_map(records + n / 2 * sizeof(Record *), os_page_bytes());
	if (t == NULL)
		return false;
	t->mask = n - 1;
	t->room = n / 2;
	t->asked = (Record **)(void *)((char *)t + records);
	store_rel(&halt.table, t); // order: publish -> on_halt
	return true;
}

int
sys_halt_begin(uint32_t threads)
{
	if (!make_room(threads))
		return -ENOMEM;
	halt.n_used = halt.n_asked = halt.n_settled = 0;
	halt.pid = syscall0(SYS_getpid);
	store_rel(&halt.number, number_now() + 1); // order: publish -> on_halt
	return 0;
}

// A record for a thread that has none; NULL: there is no room.
static Record *
enter(int tid, RecordState s)
{
	if (halt.n_used == table_now()->room)
		return NULL;
	Record *r = look_up(table_now(), number_now(), tid);
	halt.n_used++;
	r->at = (OsHalted){.tid = tid};
	store_rlx(&r->state, tagged(number_now(), s)); // order: published by key
	store_rel(&r->key, key_of(number_now(), tid)); // order: publish -> look_up
	return r;
}

int
sys_halt_except(int tid)
{
	return sys_halt_knows(tid) || enter(tid, RECORD_EXCEPTED) != NULL ? 0 : -ENOSPC;
}

bool
sys_halt_knows(int tid)
{
	return in_use(look_up(table_now(), number_now(), tid));
}

// Unlike tgkill, it lets us put a value in.
static int
send(int tid)
{
	siginfo_t info;
	memset(&info, 0, sizeof(info));
	info.si_signo = HALT_SIGNAL;
	info.si_code = SI_QUEUE;
	info.si_value.sival_ptr = &halt;
	return (int)syscall4(SYS_rt_tgsigqueueinfo, halt.pid, tid, HALT_SIGNAL, &info);
}

int
sys_halt_ask(int tid)
{
	Record *r = enter(tid, RECORD_ASKED);
	if (r == NULL)
		return -ENOSPC;
	int err = send(tid);
	if (err == 0)
		table_now()->asked[halt.n_asked++] = r;
	else
		move(r, number_now(), RECORD_ASKED, RECORD_DROPPED);
	return err;
}

// False: the deadline has come.
static bool
wait_for(Record *r, const struct timespec *until, int64_t deadline)
{
	while (!settled(r)) {
		if (!move(r, number_now(), RECORD_ASKED, RECORD_AWAITED))
			move(r, number_now(), RECORD_CLAIMED, RECORD_CLAIMED_AWAITED);
		uint32_t w = load_acq(&r->state); // order: observe <- stand_still
		RecordState s = (RecordState)(w & STATE_MASK);
		if (s == RECORD_AWAITED || s == RECORD_CLAIMED_AWAITED)
			sleep_on(&r->state, w, until);
		if (!settled(r) && sys_nanotime() >= deadline)
			return false;
	}
	return true;
}

uint32_t
sys_halt_wait(int64_t deadline)
{
	struct timespec until = {.tv_sec = deadline / 1000000000, .tv_nsec = deadline % 1000000000};
	Record **asked = table_now()->asked;
	while (halt.n_settled < halt.n_asked &&
	       wait_for(asked[halt.n_settled], &until, deadline))
		halt.n_settled++;
	uint32_t missing = 0;
	for (uint32_t i = halt.n_settled; i < halt.n_asked; i++)
		missing += !settled(asked[i]);
	return missing;
}

int
sys_halt_missing(void)
{
	Record **asked = table_now()->asked;
	for (uint32_t i = halt.n_settled; i < halt.n_asked; i++)
		if (!settled(asked[i]))
			return asked[i]->at.tid;
	return 0;
}

// Not once the thread writes there.
static void
drop(Record *r)
{
	if (!move(r, number_now(), RECORD_ASKED, RECORD_DROPPED))
		move(r, number_now(), RECORD_AWAITED, RECORD_DROPPED);
}

void
sys_halt_forget(int tid)
{
	drop(look_up(table_now(), number_now(), tid));
}

// Of those that were dropped, what says that they stand nowhere.
OsHalted *
sys_halted(uint32_t i)
{
	static OsHalted nowhere;
	if (i >= halt.n_asked)
		return NULL;
	Record *r = table_now()->asked[i];
	return state_of(r) == RECORD_HALTED ? &r->at : &nowhere;
}

OsHalted *
sys_halted_tid(int tid)
{
	Record *r = look_up(table_now(), number_now(), tid);
	return in_use(r) && state_of(r) == RECORD_HALTED ? &r->at : NULL;
}

// I3: who is about to note where it is finishes that first.
void
sys_halt_end(void)
{
	for (uint32_t i = 0; i < halt.n_asked; i++) {
		Record *r = table_now()->asked[i];
		drop(r);
		while (!settled(r))
			sys_yield();
	}
	store_rel(&halt.number, number_now() + 1); // order: publish -> on_halt, O2
	wake_on(&halt.number, INT32_MAX);
}

int
os_process_id(void)
{
	return (int)syscall0(SYS_getpid);
}

// Where the kernel has left some bytes, above all frames.
uintptr_t
os_first_stack(void)
{
	return getauxval(AT_RANDOM);
}

uintptr_t
os_thread_pointer(void)
{
	return thread_pointer();
}
