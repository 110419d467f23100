// SPDX-License-Identifier: BSD-3-Clause
// Who asks for descriptors that have become ready, and when. How to ask is net's affair.
//
//   an M without work, before it looks at other Ps' queues, unless somebody sleeps in the poller
//   an idle M, in place of its note: the poller is where it sleeps; one at a time
//   the monitor, when nobody has for a millisecond
//
// A program in which no goroutine waits for a descriptor pays for two loads on the way to idleness.
//
// Invariants:
//   I1  While a G waits for a descriptor and a P is idle, an M sleeps in the poller, or is on its
//       way to or from it, or spins, or runs a batch alone (I4). Otherwise the monitor is awake.
//   I2  sched.poller is set by who lies down, and cleared by the same M when it has left the
//       poller: so a ring of the bell cannot end another one's sleep instead.
//   I3  What the poller has told is made ready by who was told, whatever else has woken him.
//   I4  A P that was told of a batch runs it alone, and nobody is woken to run it or to poll in its
//       place, when batches like it have lately taken ALONE_NS at most: a wake-up costs as much as
//       one event of a server's, and who is woken sleeps again soon. P.alone_until says so, and
//       that the P will have polled by then. If it has not, the monitor wakes somebody; and while
//       any P says so the monitor looks once a millisecond at least (sched.brisk). So what was told
//       waits beside an idle P for ALONE_NS and a millisecond at most, and so does what the poller
//       would tell.
//   I5  While every P is busy nobody lies down in the poller: he would wake for each event, and
//       have no P to run it. Who runs out of work polls, and gets all that has come at once.
// Order:  O1  dekker: sched_poll_waits raises polled, and then reads poller and n_pidle; who makes
//             a P idle reads polled after its fence (find.c), and who leaves the poller reads it
//             after a fence of its own.
//         O2  dekker: who stays alone stores alone_until, light fence, reads brisk; the monitor
//             clears brisk, heavy fence, reads every alone_until (be_brisk).
#include "sched/sched_impl.h"

enum {
	ALONE_NS = 250 * 1000,             // a batch of so much work is run alone
	EVENT_NS_MAX = 1000 * 1000 * 1000, // of what is remembered
	BRISK_LOOKS = 100,                 // of the monitor, after it was wanted last
	CALL_BYTES = 512,                  // of a goroutine's stack that a call that waits is in
};

void
sched_poll_waits(void)
{
	// order: dekker with lie_down and poll_left, O1; publish -> who polls: there is a poller
	add_rel(&sched.polled, 1);
	fence_seq();
	if (load_rlx(&sched.poller) != NULL || load_rlx(&sched.n_pidle) == 0)
		return;
	M *mp = sched_m();
	if (mp->p == NULL || load_rlx(&mp->p->alone_until) == 0) // order: own; I4
		sched_wake(); // who finds nothing and goes to sleep there
}

void
sched_poll_waited(void)
{
	sub_rel(&sched.polled, 1); // order: publish -> check_dead
}

// --- batches that are run alone -----------------------------------------------------------------

// pp has run its batch, if it had one. What an event takes is remembered as the most of late: the
// next ones count for a quarter.
static void
batch_ends(P *pp)
{
	if (pp->batch_since == 0)
		return;
	int64_t each = (os_nanotime() - pp->batch_since) / pp->batch_n;
	int64_t before = pp->event_ns - pp->event_ns / 4;
	each = each > before ? each : before;
	pp->event_ns = each < EVENT_NS_MAX ? (uint32_t)each : EVENT_NS_MAX;
	pp->batch_since = 0;
	store_rlx(&pp->alone_until, 0); // order: own
}

// Whether pp, told of n now, runs them alone.  I4
static bool
stays_alone(P *pp, uint32_t n, int64_t now)
{
	pp->batch_since = now;
	pp->batch_n = n;
	if (pp->event_ns == 0 || (int64_t)n * pp->event_ns > ALONE_NS)
		return false;
	if (load_rlx(&sched.brisk_wanted) == 0) // order: hint
		store_rlx(&sched.brisk_wanted, 1);
	store_rlx(&pp->alone_until, now + ALONE_NS); // order: dekker with be_brisk, O2
	fence_light();
	if (load_rlx(&sched.brisk) != 0) // order: dekker with be_brisk, O2
		return true;
	store_rlx(&pp->alone_until, 0); // order: own
	return false;
}

// --- polling ------------------------------------------------------------------------------------

// They are about to run, one after the other, and have waited since their last message: what a call
// that waits has on its stack has left the caches.  Its owner is who took the G out of its word.
static void
prefetch_stacks(const GList *l)
{
	for (const G *gp = l->first; gp != NULL; gp = gp->link)
		for (int at = 0; at < CALL_BYTES; at += CACHE_LINE)
			__builtin_prefetch((const char *)gp->sp + at, 1);
}

// For pp, unless it is NULL. *alone: nobody else need come for it.
static bool
make_ready(P *pp, const OsReady *ready, int n, int64_t now, bool *alone)
{
	GList l = {0};
	up_poll_take(ready, n, &l);
	*alone = pp != NULL && stays_alone(pp, l.n != 0 ? l.n : 1, now);
	if (l.first == NULL)
		return false;
	prefetch_stacks(&l);
	if (*alone)
		sched_put_list(&l);
	else
		sched_ready_list(&l);
	return true;
}

bool
poll_now(void)
{
	uint32_t none = 0;
	M *mp = sched_m();
	P *pp = mp != NULL ? mp->p : NULL;
	if (pp != NULL)
		batch_ends(pp);
	// order: observe <- sched_poll_waits; hint
	if (load_acq(&sched.polled) == 0 || load_rlx(&sched.poller) != NULL)
		return false;
	if (!cas_rlx(&sched.polling, &none, 1)) // order: claim, nothing rides on it
		return false;
	OsReady ready[POLL_MAX];
	bool rung;
	int n = up_poll_wait(ready, POLL_MAX, GO_POLL, &rung);
	int64_t now = os_nanotime();
	store_rlx(&sched.poll_last, now); // order: hint
	store_rlx(&sched.polling, 0);     // order: release, nothing rides on it
	bool alone;
	return n != 0 && make_ready(pp, ready, n, now, &alone);
}

// Sleeps in the poller. A ring that was meant for an earlier sleep ends none.
bool
poll_sleep(void *sleep, int64_t deadline)
{
	PollSleep *s = sleep;
	for (;;) {
		bool rung;
		s->n = up_poll_wait(s->ready, POLL_MAX, deadline, &rung);
		if (note_woken(&s->mp->park))
			return true;
		if (s->n != 0 || (deadline != INT64_MAX && os_nanotime() >= deadline))
			return false;
	}
}

// With a P if there is one: what was told goes to its queue then.
void
poll_left(M *mp, PollSleep *s)
{
	mutex_lock(&sched.lock);
	mp->polls = false;
	store_rlx(&sched.poller, NULL); // order: dekker with sched_poll_waits, O1
	P *pp = s->n != 0 && mp->p == NULL ? pidle_get() : NULL;
	if (pp != NULL)
		p_acquire(mp, pp);
	mutex_unlock(&sched.lock);
	fence_seq();
	bool alone = false;
	if (s->n != 0)
		(void)make_ready(mp->p, s->ready, s->n, os_nanotime(), &alone); // I3
	if (mp->p != NULL && !alone && load_rlx(&sched.polled) != 0) // order: dekker, O1
		sched_wake_after_put();                    // somebody who takes our place
}

// --- the monitor's part -------------------------------------------------------------------------

// Wakes somebody, once, when pp is late.  I4
void
poll_overdue(P *pp, int64_t now)
{
	int64_t until = load_rlx(&pp->alone_until); // order: hint
	if (until == 0 || now < until || until == pp->seen_alone)
		return;
	pp->seen_alone = until;
	if (load_rlx(&sched.n_pidle) != 0) // order: hint; who idles later looks at the queues
		sched_wake();
}

static bool
somebody_alone(void)
{
	ProcSnapshot procs = sched_procs();
	for (uint32_t i = 0; i < procs.n; i++)
		if (load_rlx(&procs.p[i]->alone_until) != 0) // order: dekker with stays_alone, O2
			return true;
	return false;
}

bool
be_brisk(uint32_t *left)
{
	if (load_rlx(&sched.brisk_wanted) != 0) { // order: hint
		store_rlx(&sched.brisk_wanted, 0); // order: hint
		store_rlx(&sched.brisk, 1);        // order: own
		*left = BRISK_LOOKS;
	} else if (*left != 0 && --*left == 0) {
		store_rlx(&sched.brisk, 0); // order: dekker with stays_alone, O2
		fence_heavy();
		if (somebody_alone()) {
			store_rlx(&sched.brisk, 1); // order: own
			*left = BRISK_LOOKS;
		}
	}
	return *left != 0;
}
