// SPDX-License-Identifier: BSD-3-Clause
// Channels and contexts that signals go to, and the thread that serves them.
//
// Invariants, while the lock is held:
//   N1  A signal is enabled while a registration that is not stopping has it.
//   N2  A registration that is stopping still gets what comes: until all that came while the signal
//       was enabled has been delivered. Whoever finds that first ends it for all who stop the same
//       channel or context, as he may free that now. The others began before he was through, so
//       nothing is owed to them that has not come.
// Locks:  lock, rank signal; under it those of contexts, timers and channels.
#include "signal/signal.h"

#include "undergo/base.h"

struct NotifyReg {
	Hchan *c; // one of the two is not NULL
	Ctx *ctx; // one reference
	uint64_t sigs;
	uint32_t stoppers; // N2: it is stopping when there are some
	NotifyReg *next;
};

enum { RECEIVER_NONE, RECEIVER_BEGINS, RECEIVER_THERE };
enum {
	ATTACH_AGAIN_NS = 10000000,
	BEGINS_LOOK_NS = 50000,
};

static Mutex lock = MUTEX_INIT(signal);
static NotifyReg *regs;          // lock
static ATOMIC_U32 receiver; // RECEIVER_...

// --- delivering ---------------------------------------------------------------------------------

// Nobody is waited for: a channel without room gets nothing.
static void
deliver(int sig)
{
	mutex_lock(&lock);
	for (NotifyReg *r = regs; r != NULL; r = r->next) {
		if ((r->sigs >> (sig - 1) & 1) == 0)
			continue;
		if (r->c != NULL)
			(void)chan_try_send(r->c, &sig);
		else
			ctx_cancel(r->ctx);
	}
	mutex_unlock(&lock);
}

// All signals but those that are wanted stay blocked here, so no other handler runs on this thread.
static void
receiver_main(void *unused)
{
	(void)unused;
	os_thread_name("undergo-sig");
	while (sched_attach() != 0)
		os_sleep(ATTACH_AGAIN_NS);
	sched_enter();
	sched_set_name(sched_g(), "os/signal");
	sched_leave();
	for (;;) {
		os_signal_block_but(signal_wanted());
		int sig = signal_recv();
		if (sig == 0)
			continue;
		sched_enter();
		deliver(sig);
		sched_leave();
	}
}

int
notify_start(void)
{
	uint32_t is = RECEIVER_NONE;
	while (!cas_rlx(&receiver, &is, RECEIVER_BEGINS)) { // order: claim, no data rides on it
		if (is == RECEIVER_THERE)
			return 0;
		is = RECEIVER_NONE;
		os_sleep(BEGINS_LOOK_NS); // another one starts it, or fails to
	}
	int err = sched_thread_start(receiver_main, NULL);
	store_rlx(&receiver, err == 0 ? RECEIVER_THERE : RECEIVER_NONE); // order: release, as above
	return err == 0 ? 0 : GO_ENOMEM;
}

// --- registering --------------------------------------------------------------------------------

static NotifyReg *
find(const Hchan *c, const Ctx *ctx, bool stopping)
{
	assert_held(&lock);
	NotifyReg *r = regs;
	while (r != NULL && (r->c != c || r->ctx != ctx || (r->stoppers != 0) != stopping))
		r = r->next;
	return r;
}

static void
unlink_reg(const NotifyReg *r)
{
	NotifyReg **at = &regs;
	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
}

// Those of sigs that a registration has which is not stopping.
static uint64_t
still_wanted(uint64_t sigs)
{
	uint64_t had = 0;
	for (const NotifyReg *r = regs; r != NULL; r = r->next)
		if (r->stoppers == 0)
			had |= r->sigs;
	return had & sigs;
}

static void
disable_all(uint64_t sigs)
{
	for (int sig = 1; sig <= SIGNAL_LAST; sig++)
		if ((sigs >> (sig - 1) & 1) != 0)
			signal_disable(sig);
}

// Those of sigs that were enabled in vain have the effect again that they had.
static void
enabled_in_vain(uint64_t sigs, uint64_t ignored)
{
	disable_all(sigs & ~ignored);
	for (int sig = 1; sig <= SIGNAL_LAST; sig++)
		if ((sigs & ignored) >> (sig - 1) & 1)
			(void)signal_ignore(sig);
}

// Enables all of sigs or, after an error, none.
static int
enable_all(uint64_t sigs)
{
	uint64_t tried = 0, ignored = 0;
	int err = 0;
	for (int sig = 1; sig <= SIGNAL_LAST && err == 0; sig++) {
		uint64_t bit = UINT64_C(1) << (sig - 1);
		if ((sigs & bit) == 0)
			continue;
		tried |= bit;
		if (signal_ignored(sig))
			ignored |= bit;
		err = signal_enable(sig);
	}
	if (err != 0)
		enabled_in_vain(tried & ~still_wanted(tried), ignored);
	return err;
}

// fresh is used unless there is a registration already. True: it was.
static bool
add_locked(NotifyReg *fresh, int *err)
{
	NotifyReg *r = find(fresh->c, fresh->ctx, false);
	bool used = r == NULL;
	uint64_t more = fresh->sigs;
	*err = enable_all(more);
	if (*err != 0)
		return false;
	if (used) {
		fresh->next = regs;
		regs = fresh;
	} else {
		r->sigs |= more;
	}
	return used;
}

static void
free_reg(NotifyReg *r)
{
	if (r->ctx != NULL)
		ctx_unref(r->ctx);
	os_free(r);
}

static int
add(Hchan *c, Ctx *ctx, uint64_t sigs)
{
	int err;
	NotifyReg *fresh = os_alloc(sizeof(*fresh));
	if (fresh == NULL)
		return GO_ENOMEM;
	*fresh = (NotifyReg){.c = c, .ctx = ctx, .sigs = sigs};
	if (ctx != NULL)
		ctx_ref(ctx); // before somebody can stop it and give up the reference
	mutex_lock(&lock);
	bool used = add_locked(fresh, &err);
	mutex_unlock(&lock);
	if (!used)
		free_reg(fresh);
	return err;
}

int
notify_chan(Hchan *c, uint64_t sigs)
{
	return add(c, NULL, sigs);
}

int
notify_ctx(Ctx *ctx, uint64_t sigs)
{
	return add(NULL, ctx, sigs);
}

NotifyReg *
notify_stop_begin(Hchan *c, Ctx *ctx)
{
	mutex_lock(&lock);
	NotifyReg *r = find(c, ctx, false);
	bool first = r != NULL;
	if (!first)
		r = find(c, ctx, true); // whoever stops it may not be through
	if (r != NULL)
		r->stoppers++; // N2
	if (first)
		disable_all(r->sigs & ~still_wanted(r->sigs));
	mutex_unlock(&lock);
	return r;
}

void
notify_stop_end(NotifyReg *r)
{
	mutex_lock(&lock);
	for (NotifyReg *other = regs; other != NULL; other = other->next)
		if (other->stoppers != 0 && other->c == r->c && other->ctx == r->ctx)
			other->sigs = 0; // N2
	bool last = --r->stoppers == 0;
	if (last)
		unlink_reg(r);
	mutex_unlock(&lock);
	if (last)
		free_reg(r);
}

// Registrations without a signal stay: go_signal_stop ends them.
static void
take_away(uint64_t sigs)
{
	for (NotifyReg *r = regs; r != NULL; r = r->next)
		if (r->stoppers == 0)
			r->sigs &= ~sigs;
}

int
notify_ignore(uint64_t sigs)
{
	int err = 0;
	mutex_lock(&lock);
	take_away(sigs);
	for (int sig = 1; sig <= SIGNAL_LAST && err == 0; sig++)
		if ((sigs >> (sig - 1) & 1) != 0)
			err = signal_ignore(sig);
	mutex_unlock(&lock);
	return err;
}

void
notify_reset(uint64_t sigs)
{
	mutex_lock(&lock);
	take_away(sigs);
	disable_all(sigs);
	mutex_unlock(&lock);
}
