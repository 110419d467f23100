// SPDX-License-Identifier: BSD-3-Clause
// Contexts: a tree of counted nodes in which an end spreads downwards.
//
// Every context can be cancelled by itself, one made for a value too. Each knows its parent, which
// it keeps alive, and its children, which it does not.
//
// Invariants:
//   C1  err goes from 0 to GO_ECANCELED or GO_ETIMEDOUT, once, under the lock. Who moves it closes
//       the done channel that is there, and ends the children; each context is walked once.
//   C2  The done channel is installed once, under the lock. Who installs it when err is already set
//       closes it. So it is closed once.
//   C3  A context is in its parent's list until it is freed, unless the parent had ended before it
//       came. A walker may find one there whose count is 0: it is being freed, and
//       whoever does waits for the list's lock.
//   C4  deadline is the earliest on the way up. Only who is earlier than his parent has a timer.
// Locks:  Ctx.lock, rank scope, one at a time, nothing under it. Timers are added and stopped,
//         channels closed and freed, without it. The timer takes a reference and posts the end.
// Order:  O1  publish err -> ctx_err; done -> ctx_done.
//         O2  publish count - 1 -> the last one, who frees.
#include "scope/scope.h"

#include "undergo/base.h"
#include "undergo/context.h"

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
	Ctx *walk_next;       // who ended the parent
	ATOMIC(Hchan *) done; // lock writes, all read; C2
	int64_t deadline;     // set before publication; C4
	const void *key;      // set before publication
	void *value;          // set before publication
	Timer timer;
};

// --- references and lists -----------------------------------------------------------------------

// One more, for somebody who found c in a list or a timer. False: it is being freed.
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
	os_free(c);
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

// Ends c alone, and puts its children, referenced, on the list of those to end next.
static Ctx *
end_one(Ctx *c, int err, Ctx *walk)
{
	mutex_lock(&c->lock);
	if (load_rlx(&c->err) != 0) { // order: own, under the lock
		mutex_unlock(&c->lock);
		return walk;
	}
	store_rel(&c->err, err); // order: publish -> ctx_err, O1
	for (Ctx *k = c->children; k != NULL; k = k->next) {
		if (!try_ref(k)) // C3
			continue;
		k->walk_next = walk;
		walk = k;
	}
	Hchan *done = load_rlx(&c->done); // order: own, under the lock
	mutex_unlock(&c->lock);

	if (done != NULL)
		chan_close(done);
	timer_stop(&c->timer);
	return walk;
}

// Ends c and all below it.  Locks: takes scope, chan, timers, one at a time.  Blocks: no.
static void
ctx_end(Ctx *c, int err)
{
	Ctx *walk = end_one(c, err, NULL);
	while (walk != NULL) {
		Ctx *k = walk;
		walk = end_one(k, err, k->walk_next);
		ctx_unref(k);
	}
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
	Ctx *c = os_alloc(sizeof(*c));
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
		timer_add(&c->timer, c->deadline);
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
	return load_acq(&c->err); // order: observe <- end_one, O1
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
	Hchan *done = load_rlx(&c->done);    // order: own, under the lock
	bool ended = load_rlx(&c->err) != 0; // order: own, under the lock
	if (done == NULL)
		store_rel(&c->done, mine); // order: publish -> ctx_done, O1
	mutex_unlock(&c->lock);
	if (done != NULL) {
		chan_free(mine);
		return done;
	}
	if (ended)
		chan_close(mine); // C2
	return mine;
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
