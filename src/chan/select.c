// SPDX-License-Identifier: BSD-3-Clause
// select: wait until one of several cases can go ahead, and do it.
//
//   pass 0  look at the cases one channel at a time, in random order; do the first that is ready
//   pass 1  lock all channels; look again, in the same order
//   pass 2  still under all locks: queue on every channel, then park; the park gives all locks up
//   pass 3  awake: leave the queues of the cases that were not chosen
//
// Fairness: the order is a random permutation, so each of the cases that are ready comes first with
// the same chance. Pass 0 draws it as it goes along and stops at the first that is ready.
//
// Pass 0 may choose a case, since that case was ready under its lock. It may not conclude that none
// is: a value can move from a channel not looked at yet to one already passed. That conclusion,
// "default", a deadline that has passed, or the decision to wait, is pass 1's: under all locks no
// case was ready.
//
// Invariants:
//   I1  Channels are locked by rising address, each once, however many cases it stands in.
//   I2  Every Sudog of a select is .claimed: who wakes it has won its Wait, so exactly one is
//       fired.
//   I3  The frame of a parked select lives until unlock_all is done with it: the G that was woken
//       locks, in pass 3, every channel but its own, and its own was given up before the waker
//       could lock it. unlock_all reads nothing after it has given the last one up.
// Locks:  Hchan.lock of all cases.
#include "chan/chan_impl.h"
#include "os/os.h"

enum { SMALL = 16 }; // cases that need no memory but the stack

typedef struct Select {
	SelectCase *cases;
	uint16_t *order; // a permutation of the cases
	Hchan **locks;   // the channels, by rising address
	Sudog *sudogs;   // one for each case; not set where it has no channel
	uint32_t n;
	uint32_t n_locks;
} Select;

// --- pass 0 -----------------------------------------------------------------------------------

static inline uint32_t
random_below(uint32_t n)
{
	return base_rand_below(&sched_m()->rand, n);
}

// Does a case if that needs no wait.
static inline bool
try_case(SelectCase *k)
{
	if (k->chan == NULL)
		return false;
	if (k->send)
		return chan_send(k->chan, k->elem, GO_POLL) == 0;
	int err = chan_recv(k->chan, k->elem, GO_POLL);
	k->ok = err == 0;
	return err != GO_EAGAIN;
}

// Draws the order and tries each case in turn. The index of the one done; -1 for none, and then the
// order is complete.
static int
look_in_turn(SelectCase *cases, uint16_t *order, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		order[i] = (uint16_t)i;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t j = i + random_below(n - i);
		uint16_t k = order[j];
		order[j] = order[i];
		order[i] = k;
		if (try_case(&cases[k]))
			return k;
	}
	return -1;
}

// --- locking ----------------------------------------------------------------------------------

static void
sift_down(Hchan **a, uint32_t at, uint32_t n)
{
	Hchan *c = a[at];
	for (uint32_t child; (child = 2 * at + 1) < n; at = child) {
		if (child + 1 < n && (uintptr_t)a[child] < (uintptr_t)a[child + 1])
			child++;
		if ((uintptr_t)c >= (uintptr_t)a[child])
			break;
		a[at] = a[child];
	}
	a[at] = c;
}

static void
sort_large(Hchan **a, uint32_t n)
{
	for (uint32_t i = n / 2; i-- > 0;)
		sift_down(a, i, n);
	for (uint32_t i = n; i-- > 1;) {
		Hchan *top = a[0];
		a[0] = a[i];
		a[i] = top;
		sift_down(a, 0, i);
	}
}

static void
sort_small(Hchan **a, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++) {
		Hchan *c = a[i];
		uint32_t at = i;
		for (; at > 0 && (uintptr_t)a[at - 1] > (uintptr_t)c; at--)
			a[at] = a[at - 1];
		a[at] = c;
	}
}

// Fills s->locks. I1
static void
find_locks(Select *s)
{
	uint32_t n = 0, kept = 0;
	for (uint32_t i = 0; i < s->n; i++)
		if (s->cases[i].chan != NULL)
			s->locks[n++] = s->cases[i].chan;
	if (n <= SMALL)
		sort_small(s->locks, n);
	else
		sort_large(s->locks, n);
	for (uint32_t i = 0; i < n; i++)
		if (kept == 0 || s->locks[kept - 1] != s->locks[i])
			s->locks[kept++] = s->locks[i];
	s->n_locks = kept;
}

static void
lock_all(Select *s)
{
	for (uint32_t i = 0; i < s->n_locks; i++)
		mutex_lock(&s->locks[i]->lock);
}

// Also the `after` of the park: s and all it points to may be gone when the last one is given up.
// I3
static void
unlock_all(void *v)
{
	Select *s = v;
	Hchan **locks = s->locks;
	for (uint32_t i = s->n_locks; i-- > 0;)
		mutex_unlock(&locks[i]->lock);
}

// --- passes 1 to 3 ----------------------------------------------------------------------------

// Does the first case in order that is ready. Its index, or -1. Locks: all held.
static int
look_locked(Select *s, int *result, G **wake)
{
	for (uint32_t i = 0; i < s->n; i++) {
		SelectCase *k = &s->cases[s->order[i]];
		if (k->chan == NULL)
			continue;
		*result = k->send ? chan_send_locked(k->chan, k->elem, wake)
				  : chan_recv_locked(k->chan, k->elem, wake);
		if (*result != GO_EAGAIN)
			return s->order[i];
	}
	return -1;
}

// Case k is done.
static int
finish(Select *s, int k, bool success)
{
	if (!s->cases[k].send)
		s->cases[k].ok = success;
	else if (!success)
		panic("send on closed channel");
	return k;
}

// Locks: all held.
static void
enqueue_all(Select *s, G *gp)
{
	for (uint32_t i = 0; i < s->n; i++) {
		SelectCase *k = &s->cases[i];
		if (k->chan == NULL)
			continue;
		s->sudogs[i] = (Sudog){
		    .g = gp,
		    .elem = k->elem,
		    .owner = k->chan,
		    .ticket = i,
		    .claimed = true, // I2
		};
		chan_enqueue(k->chan, &s->sudogs[i], k->send ? CHAN_SENDERS : CHAN_RECEIVERS);
	}
}

// Leaves every queue but the one of the case that was chosen. Its index, or -1.
static int
dequeue_others(Select *s)
{
	int chosen = -1;
	for (uint32_t i = 0; i < s->n; i++) {
		SelectCase *k = &s->cases[i];
		if (k->chan == NULL)
			continue;
		if (s->sudogs[i].fired) { // written before this G was readied, by the winner alone
			check(chosen < 0, "select: two cases were chosen");
			chosen = (int)i;
			continue;
		}
		mutex_lock(&k->chan->lock);
		chan_unlink(k->chan, &s->sudogs[i], k->send ? CHAN_SENDERS : CHAN_RECEIVERS);
		mutex_unlock(&k->chan->lock);
	}
	return chosen;
}

// Pass 0 has found nothing.  Blocks: G.
static int
select_wait(Select *s, int64_t deadline)
{
	Wait w;
	G *wake = NULL;
	int result = 0;
	// A wait that is over before it began still decides under all locks.
	int err = deadline == GO_POLL ? GO_EAGAIN : sched_wait_begin(&w, deadline);

	find_locks(s);
	lock_all(s);
	int k = look_locked(s, &result, &wake);
	if (k >= 0 || err != 0) {
		unlock_all(s);
		if (err == 0)
			sched_wait_end(&w);
		if (wake != NULL)
			sched_ready(wake);
		return k >= 0 ? finish(s, k, result == 0) : err;
	}
	sched_wait_share(&w); // I2
	enqueue_all(s, w.gp);
	// Without a channel there is no lock that keeps the frame alive for unlock_all.
	Claim by = sched_wait_park(&w, WAIT_select, s->n_locks != 0 ? unlock_all : NULL, s);
	k = dequeue_others(s);
	if (by != CLAIM_PEER)
		return sched_claim_error(by);
	check(k >= 0, "select: woken by nobody");
	return finish(s, k, s->sudogs[k].success);
}

// --- by size ----------------------------------------------------------------------------------

static int
select_one(SelectCase *k, int64_t deadline)
{
	if (k->send)
		return chan_send(k->chan, k->elem, deadline);
	int err = chan_recv(k->chan, k->elem, deadline);
	k->ok = err == 0;
	return err == GO_ECLOSED ? 0 : err;
}

static NOINLINE int
wait_small(SelectCase *cases, uint16_t *order, uint32_t n, int64_t deadline)
{
	Sudog sudogs[SMALL];
	Hchan *locks[SMALL];
	Select s = {cases, order, locks, sudogs, n, 0};
	return select_wait(&s, deadline);
}

static int
select_two(SelectCase *cases, int64_t deadline)
{
	uint16_t first = (uint16_t)random_below(2);
	uint16_t order[2] = {first, first ^ 1};
	if (try_case(&cases[first]))
		return first;
	if (try_case(&cases[first ^ 1]))
		return first ^ 1;
	return wait_small(cases, order, 2, deadline);
}

static NOINLINE int
select_small(SelectCase *cases, uint32_t n, int64_t deadline)
{
	uint16_t order[SMALL];
	int k = look_in_turn(cases, order, n);
	return k >= 0 ? k : wait_small(cases, order, n, deadline);
}

static void
free_all(void *mem)
{
	os_free(mem);
}

// A send may panic.
static NOINLINE int
select_large(SelectCase *cases, uint32_t n, int64_t deadline)
{
	static_assert(SELECT_MAX - 1 <= UINT16_MAX, "a case's index fits the order");
	char *mem = os_alloc(n * (sizeof(Sudog) + sizeof(Hchan *) + sizeof(uint16_t)));
	if (mem == NULL)
		return GO_ENOMEM;
	static const DeferKind plain;
	Defer d = {.kind = &plain, .fn = free_all, .arg = mem};
	defer_push(sched_g(), &d);
	Sudog *sudogs = (Sudog *)(void *)mem;
	Hchan **locks = (Hchan **)(void *)(sudogs + n);
	Select s = {cases, (uint16_t *)(void *)(locks + n), locks, sudogs, n, 0};
	int k = look_in_turn(cases, s.order, n);
	if (k < 0)
		k = select_wait(&s, deadline);
	defer_pop(sched_g(), &d);
	os_free(mem);
	return k;
}

int
chan_select(SelectCase *cases, int n, int64_t deadline)
{
	if (n == 2)
		return select_two(cases, deadline);
	if (n == 1)
		return select_one(cases, deadline);
	if (n == 0)
		return chan_wait_nothing(WAIT_select_none, deadline);
	if (n <= SMALL)
		return select_small(cases, (uint32_t)n, deadline);
	return select_large(cases, (uint32_t)n, deadline);
}
