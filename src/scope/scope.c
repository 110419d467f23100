// SPDX-License-Identifier: BSD-3-Clause
// Scopes: goroutines that end before the block that started them, and can be told to.
//
// A scope lies in its opener's go_scope. Children are goroutines with G.scope set to it. A scope
// that a child opens is an inner scope of the one the child runs in.
//
// Invariants:
//   S1  Scope.err goes from 0 to the first cause, once: a child's error, GO_ETIMEDOUT or
//       GO_ECANCELED. From then on the scope is cancelled. Who moved err walks it (scope_end).
//   S2  refs counts the opener, the children, and those who look after the scope from outside: its
//       deadline, and a walk that came from the scope around it. At 0 nobody but the opener touches
//       the scope, and it never rises again. Giving up a reference is the last touch.
//   S3  A child is in the list of its scope from before it can run until its values are destroyed.
//       So a canceller that holds the lock may use every G of the list.
//   S4  An inner scope is in its outer scope's list until its refs are 0, and its memory is good
//       while somebody holds the outer scope's lock and finds it there.
//   S5  A scope is not older than the one around it, and is gone before it: its opener is a child
//       of that scope and cannot end before it has waited.
// Locks:  Scope.lock, rank scope, one at a time. Under it only sched_ready's. The deadline's timer
//         takes none: it moves err and posts the walk.
// Order:  O1  dekker between a cancellation (err stored, then each child's claim tried) and the
//             begin of a wait (claim PREPARED, then err read, sched/wait.c): fence_seq at both.
//         O2  publish refs - 1 -> the opener: what a child did is visible when scope_wait returns.
//         O3  What is linked after the walk has passed comes under the lock that the walk gave up:
//             a child reads err when it begins to wait, an inner scope when it is linked.
#include "scope/scope.h"

#include "sched/sched_up.h"
#include "undergo/base.h"
#include "undergo/scope.h"

struct Scope {
	Mutex lock;
	ATOMIC(int32_t) err; // atomic; S1
	ATOMIC_U32 refs;     // atomic; S2
	G *opener;           // set before publication
	Scope *outer;        // set before publication; NULL: none
	G *children;         // lock
	Scope *inner;        // lock
	Scope *next;         // outer's lock
	Scope *prev;         // outer's lock
	Scope *walk_next;    // who moved err
	Timer deadline;
};
static_assert(sizeof(Scope) <= sizeof(go_scope), "a scope fits into its place");
static_assert(_Alignof(Scope) <= _Alignof(go_scope), "a scope fits into its place");

// --- references -------------------------------------------------------------------------------

// One more, for somebody who found s in a list or a timer. False: the opener is about to close it.
static bool
scope_pin(Scope *s)
{
	uint32_t n = load_rlx(&s->refs); // order: hint, claimed below
	while (n != 0)
		if (cas_rlx(&s->refs, &n, n + 1)) // order: count; what it keeps is ordered by locks
			return true;
	return false;
}

static void
scope_unref(Scope *s)
{
	if (sub_ar(&s->refs, 1) == 1)   // order: publish -> opener, O2; observe <- the others
		sched_ready(s->opener); // who waits for this, so s is still there
}

// The opener, off its stack.
static void
opener_unref(void *s)
{
	scope_unref(s);
}

// --- lists ------------------------------------------------------------------------------------

static void
link_child(Scope *s, G *gp)
{
	mutex_lock(&s->lock);
	gp->scope_prev = NULL;
	gp->scope_next = s->children;
	if (s->children != NULL)
		s->children->scope_prev = gp;
	s->children = gp;
	mutex_unlock(&s->lock);
}

static void
unlink_child(Scope *s, G *gp)
{
	mutex_lock(&s->lock);
	if (gp->scope_prev != NULL)
		gp->scope_prev->scope_next = gp->scope_next;
	else
		s->children = gp->scope_next;
	if (gp->scope_next != NULL)
		gp->scope_next->scope_prev = gp->scope_prev;
	gp->scope_next = gp->scope_prev = NULL;
	mutex_unlock(&s->lock);
}

static void
link_inner(Scope *outer, Scope *s)
{
	mutex_lock(&outer->lock);
	s->next = outer->inner;
	if (outer->inner != NULL)
		outer->inner->prev = s;
	outer->inner = s;
	if (load_rlx(&outer->err) != 0)           // order: O3, the walk has passed or will find s
		store_rlx(&s->err, GO_ECANCELED); // order: nobody knows s before the unlock
	mutex_unlock(&outer->lock);
}

static void
unlink_inner(Scope *outer, Scope *s)
{
	mutex_lock(&outer->lock);
	if (s->prev != NULL)
		s->prev->next = s->next;
	else
		outer->inner = s->next;
	if (s->next != NULL)
		s->next->prev = s->prev;
	mutex_unlock(&outer->lock);
}

// --- cancelling -------------------------------------------------------------------------------

// True for the one who gives the scope its first cause (S1); he then calls scope_end.
static bool
set_cause(Scope *s, int err)
{
	int32_t none = 0;
	return cas_ar(&s->err, &none, err); // order: claim
}

// Puts the inner scopes that nobody has cancelled yet on the list of those to walk, pinned.
// Locks: s held.
static Scope *
take_inner(Scope *s, Scope *walk)
{
	for (Scope *c = s->inner; c != NULL; c = c->next) {
		if (!scope_pin(c)) // S4
			continue;
		if (set_cause(c, GO_ECANCELED)) {
			c->walk_next = walk;
			walk = c;
		} else {
			scope_unref(c);
		}
	}
	return walk;
}

// Ends the waits of everyone in s and in the scopes within, whose err is set.
// Locks: takes scope.  Stack: any.  Blocks: no.  Time: O(children and inner scopes).
static void
scope_end(Scope *s)
{
	Scope *walk = s;
	s->walk_next = NULL;
	while (walk != NULL) {
		Scope *w = walk;
		walk = w->walk_next;
		fence_seq(); // order: dekker with sched_wait_begin, O1
		mutex_lock(&w->lock);
		for (G *gp = w->children; gp != NULL; gp = gp->scope_next) // S3
			sched_claim_and_ready(gp, CLAIM_CANCEL);
		walk = take_inner(w, walk);
		mutex_unlock(&w->lock);
		if (w != s)
			scope_unref(w);
	}
}

void
scope_cancel(Scope *s)
{
	if (set_cause(s, GO_ECANCELED))
		scope_end(s);
}

static void
deadline_post(void *v)
{
	Scope *s = v;
	scope_end(s);
	scope_unref(s);
}

// Locks: timers held. The opener stops the timer before it closes the scope, so s is there.
static int64_t
deadline_fire(Timer *t, Firing *f)
{
	Scope *s = container_of(t, Scope, deadline);
	if (scope_pin(s)) {
		if (set_cause(s, GO_ETIMEDOUT))
			timer_post(f, deadline_post, s);
		else
			scope_unref(s);
	}
	return TIMER_DONE;
}

bool
up_scope_canceled(G *gp)
{
	return load_rlx(&gp->scope->err) != 0; // order: O1, the caller has the fence
}

bool
scope_canceled(const G *gp)
{
	return gp->scope != NULL && load_rlx(&gp->scope->err) != 0; // order: hint
}

// --- opening and waiting ------------------------------------------------------------------------

void
scope_open(Scope *s, int64_t deadline)
{
	G *gp = sched_g();
	*s = (Scope){.opener = gp, .outer = gp->scope};
	mutex_init(&s->lock, RANK_scope);
	init_plain(&s->refs, 1);
	timer_init(&s->deadline, deadline_fire);
	if (deadline != GO_NEVER && deadline <= os_nanotime())
		init_plain(&s->err, GO_ETIMEDOUT);
	if (s->outer != NULL)
		link_inner(s->outer, s);
	// order: hint, a scope that has ended needs no timer
	if (deadline != GO_NEVER && load_rlx(&s->err) == 0)
		timer_add(&s->deadline, deadline);
}

// True when the opener's reference is the last; it is given up then.
static bool
close_at_once(Scope *s)
{
	uint32_t one = 1;
	return cas_acq(&s->refs, &one, 0); // order: observe <- scope_unref, O2
}

int
scope_wait(Scope *s)
{
	check(s->opener == sched_g(), "scope_wait: the scope was opened by another goroutine");
	if (!close_at_once(s))
		sched_park(WAIT_scope_wait, opener_unref, s);
	timer_stop(&s->deadline);
	if (s->outer != NULL)
		unlink_inner(s->outer, s);
	return load_acq(&s->err); // order: observe <- set_cause
}

// --- children -----------------------------------------------------------------------------------

typedef struct Child {
	int (*fn)(void *);
	void *arg;
} Child;

// The body of a child, outside the runtime as all bodies are.
static void
child_main(void *v)
{
	Child c = *(Child *)v;
	os_free(v);
	int err = c.fn(c.arg);
	if (err >= 0)
		return;
	Scope *s = sched_enter()->scope;
	if (set_cause(s, err))
		scope_end(s);
	sched_leave();
}

int
scope_spawn(Scope *s, SpawnAttr attr, int (*fn)(void *), void *arg)
{
	// A cancellation from here on is one that comes right after; the child will notice it.
	if (load_rlx(&s->err) != 0) // order: hint
		return GO_ECANCELED;
	Child *c = os_alloc(sizeof(*c));
	if (c == NULL)
		return GO_ENOMEM;
	*c = (Child){fn, arg};
	G *gp = sched_spawn_held(child_main, c, attr.stack_bytes, attr.name);
	if (gp == NULL) {
		os_free(c);
		return GO_ENOMEM;
	}
	gp->scope = s;
	add_rlx(&s->refs, 1); // order: count; the caller has a reference or knows who has
	link_child(s, gp);
	sched_ready(gp);
	return 0;
}

// What a G leaves behind, also by go_exit.  Runs on: gp.  Blocks: G, in destructors.
void
up_g_ends(G *gp)
{
	if (gp->locals != NULL)
		local_end(gp);
	Scope *s = gp->scope;
	if (s == NULL)
		return;
	unlink_child(s, gp);
	gp->scope = NULL;
	scope_unref(s);
}
