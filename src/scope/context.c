// SPDX-License-Identifier: BSD-3-Clause
// Contexts: a tree of counted nodes in which an end spreads downwards.
//
// Every context can be cancelled by itself, one made for a value too. Each knows its parent, which
// it keeps alive, and its children, which it does not.
//
// Invariants:
//   C1  err goes from 0 over ENDING to GO_ECANCELED or GO_ETIMEDOUT, once, under the lock.
//       Between the two steps the done channel is closed. So ctx_err never tells of an end that
//       ctx_done does not show, nor the other way round.
//   C2  Who ends a context holds its lock until all below it have ended. So whoever finds it ended
//       and holds its lock, or waits for it, finds all below it ended too.
//   C3  A context is in its parent's list until it is freed, unless the parent had ended before it
//       came. Its memory is good while somebody holds the parent's lock and finds it there.
//   C4  deadline is the earliest on the way up. Only who is earlier than his parent has a timer.
// Locks:  Ctx.lock, rank scope, several along one path, parents first. Under it those of the done
//         channel and of the timer, whose function takes none: it posts.
// Order:  O1  publish err -> ctx_err; done -> ctx_done.
//         O2  publish count - 1 -> the last one, who frees.
#include "scope/scope.h"

#include "gc/gc.h"
#include "undergo/base.h"
#include "undergo/context.h"

enum { ENDING = 1 }; // errors are negative

struct go_ctx {
	Mutex lock;
	ATOMIC_U32 refs;      // atomic
	ATOMIC(int32_t) err;  // lock writes, all read; C1
	bool linked;          // parent's lock
	bool has_value;       // set before publication
	Ctx *parent;          // set before publication; one reference
	Ctx *children;        // lock; no references
	Ctx *next;            // parent's lock
	Ctx *prev;            // parent's lock
	ATOMIC(Hchan *) done; // lock writes, all read; C1
	int64_t deadline;     // set before publication; C4
	const void *key;      // set before publication
	void *value;          // set before publication
	Timer timer;
};

// --- references and lists -----------------------------------------------------------------------

// One more, for the timer, which has none. False: it is being freed.
static bool
try_ref(Ctx *c)
{
	uint32_t n = load_rlx(&c->refs); // order: hint, claimed below
	while (n != 0)
		if (cas_rlx(&c->refs, &n, n + 1)) // order: count; what it keeps is ordered by locks
			return true;
	return false;
}

void
ctx_ref(Ctx *c)
{
	add_rlx(&c->refs, 1); // order: count; the caller has a reference
}

// Enters c into its parent's list, or tells how the parent has ended.
static int
join_parent(Ctx *c)
{
	Ctx *parent = c->parent;
	mutex_lock(&parent->lock);
	int err = load_rlx(&parent->err); // order: own, under the lock
	if (err == 0) {
		c->next = parent->children;
		if (c->next != NULL)
			c->next->prev = c;
		parent->children = c;
		c->linked = true;
	}
	mutex_unlock(&parent->lock);
	return err;
}

static void
leave_parent(Ctx *c)
{
	Ctx *parent = c->parent;
	mutex_lock(&parent->lock);
	if (c->linked) {
		if (c->prev != NULL)
			c->prev->next = c->next;
		else
			parent->children = c->next;
		if (c->next != NULL)
			c->next->prev = c->prev;
	}
	mutex_unlock(&parent->lock);
}

// Frees c, whose last reference is gone, and returns the parent, c's reference to it included.
static Ctx *
free_one(Ctx *c)
{
	Ctx *parent = c->parent;
	timer_stop(&c->timer); // now its function does not look at c
	if (parent != NULL)
		leave_parent(c);          // nor does a walker
	Hchan *done = load_rlx(&c->done); // order: own, O2
	if (done != NULL)
		chan_free(done);
	gc_free_pinned(c);
	return parent;
}

// A loop and not a recursion: chains of contexts may be long, stacks are short.
void
ctx_unref(Ctx *c)
{
	// order: publish -> who frees, O2; observe <- the others
	while (c != NULL && sub_ar(&c->refs, 1) == 1)
		c = free_one(c);
}

// --- ending -----------------------------------------------------------------------------------

// Locks c and ends it alone. False, and not locked: it had ended before, and so have all below it.
static bool
lock_and_end(Ctx *c, int err)
{
	mutex_lock(&c->lock);
	if (load_rlx(&c->err) != 0) { // order: own, under the lock
		mutex_unlock(&c->lock);
		return false;
	}
	store_rlx(&c->err, ENDING); // order: published by the close; who sees it takes the lock
	Hchan *done = load_rlx(&c->done); // order: own, under the lock
	if (done != NULL)
		chan_close(done);
	store_rel(&c->err, err); // order: publish -> ctx_err, O1
	timer_stop(&c->timer);
	return true;
}

// Ends top and all below it, a parent before its children; C2. A loop, as chains may be long.
// Locks: takes scope, several; chan, timers.  Blocks: no.  Time: O(contexts below).
static void
ctx_end(Ctx *top, int err)
{
	if (!lock_and_end(top, err))
		return;
	Ctx *c = top, *next = top->children;
	while (c != top || next != NULL) {
		if (next == NULL) {
			next = c->next;
			mutex_unlock(&c->lock);
			c = c->parent;
		} else if (lock_and_end(next, err)) {
			c = next;
			next = c->children;
		} else {
			next = next->next;
		}
	}
	mutex_unlock(&top->lock);
}

void
ctx_cancel(Ctx *c)
{
	ctx_end(c, GO_ECANCELED);
}

static void
deadline_post(void *v)
{
	Ctx *c = v;
	ctx_end(c, GO_ETIMEDOUT);
	ctx_unref(c);
}

// Locks: timers held. Who frees c stops the timer first, so c is there.
static int64_t
deadline_fire(Timer *t, Firing *f)
{
	Ctx *c = container_of(t, Ctx, timer);
	if (try_ref(c))
		timer_post(f, deadline_post, c);
	return TIMER_DONE;
}

// --- making -----------------------------------------------------------------------------------

static Ctx *
make(Ctx *parent, int64_t deadline)
{
	Ctx *c = gc_alloc_pinned(sizeof(*c)); // key and value are the program's
	if (c == NULL)
		return NULL;
	mutex_init(&c->lock, RANK_scope);
	init_plain(&c->refs, 1);
	timer_init(&c->timer, deadline_fire);
	c->parent = parent;
	if (parent != NULL)
		ctx_ref(parent);
	int64_t above = parent != NULL ? parent->deadline : GO_NEVER;
	c->deadline = deadline < above ? deadline : above;
	return c;
}

// Sets c's timer, unless c has ended since it is in the tree.
static void
start_timer(Ctx *c)
{
	mutex_lock(&c->lock);
	if (load_rlx(&c->err) == 0) // order: own, under the lock
		timer_add(&c->timer, c->deadline);
	mutex_unlock(&c->lock);
}

// Makes c a part of the tree. From here on it may end at any moment.
static void
begin(Ctx *c)
{
	int err = c->parent != NULL ? join_parent(c) : 0;
	if (err == 0 && c->deadline != GO_NEVER && c->deadline <= os_nanotime())
		err = GO_ETIMEDOUT;
	if (err != 0)
		ctx_end(c, err);
	else if (c->deadline < (c->parent != NULL ? c->parent->deadline : GO_NEVER)) // C4
		start_timer(c);
}

Ctx *
ctx_new(Ctx *parent, int64_t deadline)
{
	Ctx *c = make(parent, deadline);
	if (c != NULL)
		begin(c);
	return c;
}

Ctx *
ctx_with_value(Ctx *parent, const void *key, void *value)
{
	Ctx *c = make(parent, GO_NEVER);
	if (c == NULL)
		return NULL;
	c->has_value = true;
	c->key = key;
	c->value = value;
	begin(c);
	return c;
}

// --- looking ----------------------------------------------------------------------------------

void *
ctx_value(const Ctx *c, const void *key)
{
	for (; c != NULL; c = c->parent)
		if (c->has_value && c->key == key)
			return c->value;
	return NULL;
}

int
ctx_err(Ctx *c)
{
	int err = load_acq(&c->err); // order: observe <- lock_and_end, O1
	if (likely(err != ENDING))
		return err;
	mutex_lock(&c->lock);
	err = load_rlx(&c->err); // order: own, under the lock
	mutex_unlock(&c->lock);
	return err;
}

int64_t
ctx_deadline(const Ctx *c)
{
	return c->deadline;
}

// Installs a done channel; the one that is there when somebody was faster.
static Hchan *
install_done(Ctx *c, Hchan *mine)
{
	mutex_lock(&c->lock);
	Hchan *done = load_rlx(&c->done); // order: own, under the lock
	if (done == NULL) {
		if (load_rlx(&c->err) != 0) // order: own, under the lock
			chan_close(mine);
		store_rel(&c->done, mine); // order: publish -> ctx_done, O1
	}
	mutex_unlock(&c->lock);
	if (done == NULL)
		return mine;
	chan_free(mine);
	return done;
}

Hchan *
ctx_done(Ctx *c)
{
	Hchan *done = load_acq(&c->done); // order: observe <- install_done, O1
	if (done != NULL)
		return done;
	done = chan_new(1, 0);
	if (done == NULL)
		fatal("no memory for a context's channel");
	return install_done(c, done);
}
