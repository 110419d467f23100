// SPDX-License-Identifier: BSD-3-Clause
// The core of signals: handlers, what is pending, who waits for it.
//
// Invariants:
//   S1  wanted and ignored have no bit in common. A signal in neither has the effect it had before
//       us: our handler is gone, or hands it on (S4).
//   S2  Table.before is written under the caller's lock while our handler is not installed.
//   S3  A signal that came while it was wanted is in pending, or with the receiver; or a handler is
//       inside and about to say so.
//   S4  Signals that a fault raises keep our handler once they had it, as an overflow of a stack
//       must be found out at any time. It goes first, takes what was sent and is wanted, and hands
//       all else to the handler before it.
//   S5  The receiver sleeps only while there was no ring since it came back last. What it looked at
//       since then, signal_wanted and pending, is as new as any ring it does not wake up for.
// Order:  O1  dekker: a handler counts itself in inside, then reads wanted; signal_disable clears
//             the bit, then inside is read. So who waits for inside to be 0 has seen the last of
//             those who found the bit set.
//         O2  publish pending, bell -> signal_recv.
//         O3  The receiver says busy before it takes a bit from pending; who waits until it is idle
//             reads pending first.
#include <signal.h>
#include <string.h>

#include "signal/signal.h"
#include "undergo/base.h"

enum {
	WAIT_LOOK_NS = 20000, // between looks whether all is delivered
	LIBC_FIRST = 32,      // signals that libc keeps
	LIBC_LAST = 33,
};

static struct Table {
	struct sigaction before[SIGNAL_LAST + 1]; // S2
	bool handled[SIGNAL_LAST + 1];            // caller's lock: our handler is installed
	bool kept[SIGNAL_LAST + 1];               // caller's lock: before is what it was without us
	bool in_child_known;                      // caller's lock
} table;

static ATOMIC_U64 wanted;  // caller's lock writes, all read
static ATOMIC_U64 ignored; // the same: S4's, which have our handler meanwhile
static ATOMIC_U64 pending; // atomic
static ATOMIC_U32 inside;  // atomic: handlers
static ATOMIC_U32 bell;    // atomic: counts rings
static uint32_t heard;     // receiver: the rings it has come back for, S5
static ATOMIC_U32 settled; // receiver: heard, as it was when it looked at signal_wanted last
static ATOMIC_U32 busy;    // receiver: it has something, or may have

static uint64_t
bit_of(int sig)
{
	return UINT64_C(1) << (sig - 1);
}

bool
signal_can_have(int sig)
{
	return sig > 0 && sig <= SIGNAL_LAST && sig != SIGKILL && sig != SIGSTOP &&
	       sig != SIGPROF && (sig < LIBC_FIRST || sig > LIBC_LAST);
}

// Raised by what a thread does, not only by somebody.
static bool
is_of_faults(int sig)
{
	return sig == SIGSEGV || sig == SIGBUS || sig == SIGFPE || sig == SIGILL || sig == SIGTRAP;
}

// --- the handler --------------------------------------------------------------------------------

void
signal_ring(void)
{
	add_rel(&bell, 1); // order: publish -> signal_recv, O2
	os_futex_wake(&bell, 1);
}

// Its default effect, or that of being ignored, which a fault has not.
static void
take_default(int sig, const siginfo_t *info)
{
	if (table.before[sig].sa_handler == SIG_IGN && info->si_code <= 0)
		return;
	os_abort(sig);
}

static void
hand_on(int sig, siginfo_t *info, void *context)
{
	if (!os_signal_hand_on(&table.before[sig], sig, info, context))
		take_default(sig, info);
}

// It came as it was being disabled: once more, to who has it now.
static void
not_wanted(int sig, siginfo_t *info, void *context)
{
	if (is_of_faults(sig))
		hand_on(sig, info, context);
	else
		os_signal_thread(os_thread_id(), sig);
}

static void
on_signal(int sig, siginfo_t *info, void *context)
{
	if (is_of_faults(sig) && info->si_code > 0) { // a thread did it to itself
		hand_on(sig, info, context);
		return;
	}
	add_ar(&inside, 1); // order: dekker with signal_disable, O1
	fence_seq();        // order: dekker with signal_disable, O1
	bool ours = (load_rlx(&wanted) & bit_of(sig)) != 0; // order: dekker with signal_disable
	if (ours) {
		or_ar(&pending, bit_of(sig)); // order: publish -> signal_recv, O2
		signal_ring();
	}
	bool drop = (load_rlx(&ignored) & bit_of(sig)) != 0; // order: hint
	sub_rel(&inside, 1); // order: publish -> signal_wait_until_idle
	if (!ours && !drop)
		not_wanted(sig, info, context);
}

// --- the state of a signal ----------------------------------------------------------------------

// The child of a fork has no receiver; what it was before holds there, until it calls exec too.
static void
in_child(void)
{
	uint64_t sigs = load_rlx(&wanted); // order: own, the only thread
	for (int sig = 1; sig <= SIGNAL_LAST; sig++)
		if ((sigs & bit_of(sig)) != 0 && table.handled[sig])
			os_signal_restore(sig, &table.before[sig]);
}

// Remembers once what sig would do without us.
static void
keep_before(int sig)
{
	if (!table.kept[sig] && os_signal_now(sig, &table.before[sig]) == 0)
		table.kept[sig] = true;
}

static int
install(int sig)
{
	struct sigaction unused;
	if (table.handled[sig])
		return 0;
	keep_before(sig);
	if (os_signal_handle(sig, on_signal, &unused) != 0)
		return GO_ENOSYS;
	table.handled[sig] = true;
	return 0;
}

int
signal_enable(int sig)
{
	if (!table.in_child_known)
		table.in_child_known = os_after_fork(in_child);
	and_ar(&ignored, ~bit_of(sig)); // order: hint
	or_ar(&wanted, bit_of(sig));    // order: hint: the handler comes behind it
	int err = install(sig);
	if (err != 0)
		and_ar(&wanted, ~bit_of(sig)); // order: hint
	signal_ring();                         // the receiver lets it through
	return err;
}

void
signal_disable(int sig)
{
	if (!is_of_faults(sig) && table.kept[sig]) {
		os_signal_restore(sig, &table.before[sig]);
		table.handled[sig] = table.kept[sig] = false;
	}
	and_ar(&wanted, ~bit_of(sig));  // order: dekker with on_signal, O1
	and_ar(&ignored, ~bit_of(sig)); // order: hint
	fence_seq();                    // order: dekker with on_signal, O1
	signal_ring();                  // the receiver no longer lets it through
}

int
signal_ignore(int sig)
{
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	int err = 0;
	if (is_of_faults(sig)) {
		err = install(sig);
	} else {
		keep_before(sig);
		if (os_signal_restore(sig, &ignore) != 0)
			return GO_ENOSYS;
		table.handled[sig] = false;
	}
	or_ar(&ignored, bit_of(sig));  // order: hint
	and_ar(&wanted, ~bit_of(sig)); // order: dekker with on_signal, O1
	fence_seq();                   // order: dekker with on_signal, O1
	signal_ring();                 // the receiver no longer lets it through
	return err;
}

bool
signal_ignored(int sig)
{
	struct sigaction now;
	if ((load_rlx(&ignored) & bit_of(sig)) != 0) // order: hint
		return true;
	return os_signal_now(sig, &now) == 0 && now.sa_handler == SIG_IGN;
}

uint64_t
signal_wanted(void)
{
	return load_rlx(&wanted); // order: hint, signal_ring follows a change
}

// --- the receiver -------------------------------------------------------------------------------

int
signal_recv(void)
{
	store_rel(&settled, heard);         // order: publish -> signal_wait_until_idle
	store_rel(&busy, 1);                // order: publish -> signal_wait_until_idle, O3
	uint64_t sigs = load_acq(&pending); // order: observe <- on_signal, O2
	if (sigs != 0) {
		int sig = __builtin_ctzll(sigs) + 1;
		and_ar(&pending, ~bit_of(sig)); // order: claim; publish busy, O3
		return sig;
	}
	store_rel(&busy, 0); // order: publish -> signal_wait_until_idle: all is delivered
	os_futex_wait(&bell, heard, INT64_MAX);
	heard = load_acq(&bell); // order: observe <- signal_ring, O2
	return 0;
}

void
signal_wait_until_idle(void)
{
	uint32_t rung = load_acq(&bell); // order: observe <- signal_ring: our own
	while ((int32_t)(load_acq(&settled) - rung) < 0) // order: observe <- signal_recv
		os_sleep(WAIT_LOOK_NS);
	// order: observe <- on_signal, O1; then <- signal_recv, twice, O3
	while (load_acq(&inside) != 0 || load_acq(&pending) != 0 || load_acq(&busy) != 0)
		os_sleep(WAIT_LOOK_NS);
}
