// SPDX-License-Identifier: BSD-3-Clause
// Scopes: goroutines that end before the block that started them, and can be told to.
//
// A scope lies in its opener's go_scope. Children are goroutines with G.scope set to it. A scope
// that a child opens is an inner scope of the one the child runs in.
//
// Invariants:
//   S1  Scope.err goes from 0 to the first cause, once, under the lock: a child's error,
//       GO_ETIMEDOUT or GO_ECANCELED. From then on the scope is cancelled. Who moves err ends the
//       children's waits and cancels what is inside before he lets go of the lock. So whoever finds
//       the scope cancelled and holds its lock, or waits for it, finds all inside cancelled too.
//   S2  refs counts the opener, the children, and the deadline while it cancels. Once 0 it never
//       rises again, and giving up a reference is the last touch of who held it. Besides the
//       opener only the deadline and a walk from the scope around it may still look, until it has
//       stopped the one and left the other's list.
//   S3  A child is in the list of its scope from before it can run until its values are destroyed.
//       So a canceller that holds the lock may use every G of the list.
//   S4  An inner scope leaves its outer scope's list after its refs are 0 and before scope_wait
//       returns: its memory is good while somebody holds the outer lock and finds it there.
//   S5  A scope is not older than the one around it, and is gone before it: its opener is a child
//       of that scope and cannot end before it has waited: up_g_ends sees to it.
// Locks:  Scope.lock, rank scope, several along one path, outer ones first. Under it sched_ready's,
//         and the timers'.
//         The deadline's timer takes none: it takes a reference and posts.
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
	ATOMIC(int32_t) err; // lock writes, all read; S1
	ATOMIC_U32 refs;     // atomic; S2
	G *opener;           // set before publication
	Scope *outer;        // set before publication; NULL: none
	G *children;         // lock
	Scope *inner;        // lock
	Scope *next;         // outer's lock
	Scope *prev;         // outer's lock
	Timer deadline;
	Defer abandoned; // opener: should it not come to wait
};
static_assert(sizeof(Scope) <= sizeof(go_scope), "a scope fits into its place");
static_assert(_Alignof(Scope) <= _Alignof(go_scope), "a scope fits into its place");

// --- references -------------------------------------------------------------------------------

// One more, for the deadline, which has none. False: the opener is about to close s.
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

// Locks s, gives it its first cause and ends its children's waits. False, and not locked: it had
// been cancelled before, and so have those inside.
static bool
lock_and_cancel(Scope *s, int err)
{
	mutex_lock(&s->lock);
	if (load_rlx(&s->err) != 0) { // order: own, under the lock
		mutex_unlock(&s->lock);
		return false;
	}
	store_rel(&s->err, err); // order: publish -> scope_wait
	fence_seq();             // order: dekker with sched_wait_begin, O1
	for (G *gp = s->children; gp != NULL; gp = gp->scope_next) // S3
		sched_claim_and_ready(gp, CLAIM_CANCEL);
	timer_stop(&s->deadline);
	return true;
}

// Cancels top because of err, and all scopes inside; S1. A loop, as scopes may be deep.
// Locks: takes scope, several.  Stack: any.  Blocks: no.  Time: O(children and inner scopes).
static void
scope_end(Scope *top, int err)
{
	if (!lock_and_cancel(top, err))
		return;
	Scope *s = top, *next = top->inner;
	while (s != top || next != NULL) {
		if (next == NULL) {
			next = s->next;
			mutex_unlock(&s->lock);
			s = s->outer;
		} else if (lock_and_cancel(next, GO_ECANCELED)) { // S4
			s = next;
			next = s->inner;
		} else {
			next = next->next;
		}
	}
	mutex_unlock(&top->lock);
}

void
scope_cancel(Scope *s)
{
	scope_end(s, GO_ECANCELED);
}

static void
deadline_post(void *v)
{
	Scope *s = v;
	scope_end(s, GO_ETIMEDOUT);
	scope_unref(s);
}

// Locks: timers held. The opener stops the timer before scope_wait returns, so s is there.
static int64_t
deadline_fire(Timer *t, Firing *f)
{
	Scope *s = container_of(t, Scope, deadline);
	if (scope_pin(s))
		timer_post(f, deadline_post, s);
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

// A panic or go_exit leaves the block of s: its children shall end, and are waited for.
// Stack: user.  Runs on: the opener.
static void
abandon(void *v)
{
	sched_enter();
	scope_cancel(v);
	(void)scope_wait(v);
	sched_leave();
}

void
scope_open(Scope *s, int64_t deadline)
{
	static const DeferKind plain;
	G *gp = sched_g();
	*s = (Scope){.opener = gp, .outer = gp->scope};
	gp->open_scopes++;
	s->abandoned = (Defer){.kind = &plain, .fn = abandon, .arg = s};
	defer_push(gp, &s->abandoned);
	mutex_init(&s->lock, RANK_scope);
	init_plain(&s->refs, 1);
	timer_init(&s->deadline, deadline_fire);
	if (deadline != GO_NEVER && deadline <= os_nanotime())
		init_plain(&s->err, GO_ETIMEDOUT);
	if (s->outer != NULL)
		link_inner(s->outer, s);
	if (deadline == GO_NEVER)
		return;
	mutex_lock(&s->lock);
	if (load_rlx(&s->err) == 0) // order: own, under the lock
		timer_add(&s->deadline, deadline);
	mutex_unlock(&s->lock);
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
	if (unlikely(s->opener != sched_g()))
		fatal("scope: wait by a goroutine that did not open it");
	if (unlikely(load_rlx(&s->refs) == 0)) // order: own, 0 only by misuse; S2
		fatal("scope: wait for a closed scope");
	if (!close_at_once(s))
		sched_park(WAIT_scope_wait, opener_unref, s);
	if (s->abandoned.fn != NULL)
		defer_remove(s->opener, &s->abandoned);
	timer_stop(&s->deadline);
	if (s->outer != NULL)
		unlink_inner(s->outer, s);
	s->opener->open_scopes--;
	return load_acq(&s->err); // order: observe <- lock_and_cancel
}

// --- children -----------------------------------------------------------------------------------

// The body of a child, outside the runtime as all bodies are.
static void
child_main(void *arg)
{
	int err = sched_g()->scope_fn(arg);
	if (err >= 0)
		return;
	scope_end(sched_enter()->scope, err);
	sched_leave();
}

int
scope_spawn(Scope *s, SpawnAttr attr, int (*fn)(void *), void *arg)
{
	if (unlikely(load_rlx(&s->refs) == 0)) // order: own, 0 only by misuse; S2
		fatal("scope: spawn in a closed scope");
	// A cancellation from here on is one that comes right after; the child will notice it.
	if (load_rlx(&s->err) != 0) // order: hint
		return GO_ECANCELED;
	G *gp = sched_spawn_held(child_main, arg, attr.stack_bytes, attr.name);
	if (gp == NULL)
		return GO_ENOMEM;
	gp->scope = s;
	gp->scope_fn = fn;
	add_rlx(&s->refs, 1); // order: count; the caller has a reference or knows who has
	link_child(s, gp);
	sched_ready(gp);
	return 0;
}

// What a G leaves behind, also by go_exit. Of a scope it has opened nothing may be left: it lies on
// the stack that ends, and the scope around it would find it there (S5).
// Runs on: gp.  Blocks: G, in destructors.
void
up_g_ends(G *gp)
{
	if (gp->locals != NULL)
		local_end(gp);
	if (unlikely(gp->open_scopes != 0))
		fatal("scope: end of a goroutine with an open scope");
	Scope *s = gp->scope;
	if (s == NULL)
		return;
	unlink_child(s, gp);
	gp->scope = NULL;
	scope_unref(s);
}
