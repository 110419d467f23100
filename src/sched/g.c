// SPDX-License-Identifier: BSD-3-Clause
// Goroutines' records: made, started, retired, reused.
//
// A record is never freed, so dumps and snapshots may follow pointers to it at any time; its stack
// is. A dead G with a stack of the default size keeps it and goes to its P's list, then in batches
// to a global list, whose surplus the monitor takes apart. Other stacks go back at once.
#include <string.h>

#include "sched/fiber.h"
#include "sched/sched_impl.h"

enum { SLAB_GS = 16 };
#ifdef NDEBUG
static_assert(sizeof(G) <= 216, "docs/ARCHITECTURE.md and docs/CAVEATS.md say how large it is");
#endif

// --- records ----------------------------------------------------------------------------------

static G *
record_new(void)
{
	assert_held(&sched.gfree_lock);
	if (sched.g_slab_left == 0) {
		sched.g_slab = os_alloc(SLAB_GS * sizeof(G));
		if (sched.g_slab == NULL)
			return NULL;
		sched.g_slab_left = SLAB_GS;
	}
	G *gp = (G *)(void *)sched.g_slab;
	sched.g_slab += sizeof(G);
	sched.g_slab_left--;
	return gp;
}

// Makes a new record findable by dumps. It is Gidle and complete as far as they look.
static void
record_publish(G *gp)
{
	mutex_lock(&sched.allg_lock);
	observe_record(gp, load_rlx(&sched.observing)); // order: own, under the lock
	gp->all_next = load_rlx(&sched.all_g); // order: own, under the lock
	store_rel(&sched.all_g, gp);           // order: publish -> sched_all_first
	mutex_unlock(&sched.allg_lock);
}

G *
sched_all_first(void)
{
	return load_acq(&sched.all_g); // order: observe <- record_publish
}

// A record without a stack.
static G *
record_get(void)
{
	mutex_lock(&sched.gfree_lock);
	G *gp = glist_pop(&sched.gfree_bare);
	bool fresh = gp == NULL;
	if (fresh)
		gp = record_new();
	mutex_unlock(&sched.gfree_lock);
	if (gp != NULL && fresh)
		record_publish(gp);
	return gp;
}

uint64_t
g_next_id(P *pp)
{
	if (pp == NULL)
		return add_rlx(&sched.id_gen, 1) + 1; // order: count
	if (pp->id_next == pp->id_end) {
		pp->id_next = add_rlx(&sched.id_gen, ID_BATCH) + 1; // order: count
		pp->id_end = pp->id_next + ID_BATCH;
	}
	return pp->id_next++;
}

// --- free lists -------------------------------------------------------------------------------

// Moves up to half of what a P may keep from the global list to pp's.
static void
refill(P *pp)
{
	mutex_lock(&sched.gfree_lock);
	while (pp->gfree.n < GFREE_MAX / 2 && sched.gfree.n != 0)
		glist_push(&pp->gfree, glist_pop(&sched.gfree));
	if (sched.gfree.n < sched.gfree_low)
		sched.gfree_low = sched.gfree.n;
	mutex_unlock(&sched.gfree_lock);
}

void
g_flush_free(P *pp)
{
	mutex_lock(&sched.gfree_lock);
	glist_append(&sched.gfree, &pp->gfree);
	mutex_unlock(&sched.gfree_lock);
}

static COLD void
flush_half(P *pp)
{
	GList half = {0};
	while (half.n < GFREE_MAX / 2)
		glist_push(&half, glist_pop(&pp->gfree));
	mutex_lock(&sched.gfree_lock);
	glist_append(&sched.gfree, &half);
	mutex_unlock(&sched.gfree_lock);
}

// A dead G with a default stack, or NULL.
static G *
reuse(P *pp)
{
	if (likely(pp != NULL)) {
		if (unlikely(pp->gfree.n == 0))
			refill(pp);
		return glist_pop(&pp->gfree);
	}
	mutex_lock(&sched.gfree_lock);
	G *gp = glist_pop(&sched.gfree);
	mutex_unlock(&sched.gfree_lock);
	return gp;
}

static COLD G *
make(size_t stack_bytes)
{
	Stack s = stack_alloc(stack_bytes);
	if (s.lo == NULL)
		return NULL;
	G *gp = record_get();
	if (gp == NULL) {
		stack_free(s);
		return NULL;
	}
	gp->stack = s;
	gp->keeps_stack = stack_bytes == 0;
	return gp;
}

void
g_retire(void *v)
{
	G *gp = v;
	P *pp = sched_m()->p;
	fiber_reset(gp);
	gp->sp = NULL;
	if (unlikely(gp->name != NULL))
		gp->name[0] = '\0';
	gp->scope = NULL;
	gp->defers = NULL;
	gp->panics = NULL;
	gp->panics_on_fault = false;
	gp->split = false;
	if (likely(gp->keeps_stack)) {
		// Newest first: its stack is still in the cache.
		gp->link = pp->gfree.first;
		pp->gfree.first = gp;
		if (pp->gfree.last == NULL)
			pp->gfree.last = gp;
		if (unlikely(++pp->gfree.n >= GFREE_MAX))
			flush_half(pp);
		return;
	}
	stack_free(gp->stack);
	gp->stack = (Stack){0};
	mutex_lock(&sched.gfree_lock);
	glist_push(&sched.gfree_bare, gp);
	mutex_unlock(&sched.gfree_lock);
}

// Called by the monitor now and then: of the dead Gs that nobody wanted since the last call, half
// lose their stacks, so that a peak of goroutines gives its memory back within seconds.
void
g_scavenge(void)
{
	GList surplus = {0};
	mutex_lock(&sched.gfree_lock);
	uint32_t low = sched.gfree_low < sched.gfree.n ? sched.gfree_low : sched.gfree.n;
	for (uint32_t n = (low + 1) / 2; n != 0; n--)
		glist_push(&surplus, glist_pop(&sched.gfree));
	sched.gfree_low = sched.gfree.n;
	mutex_unlock(&sched.gfree_lock);
	for (G *gp = surplus.first; gp != NULL; gp = gp->link) {
		stack_free(gp->stack);
		gp->stack = (Stack){0};
	}
	mutex_lock(&sched.gfree_lock);
	glist_append(&sched.gfree_bare, &surplus);
	mutex_unlock(&sched.gfree_lock);
}

bool
g_worth_scavenging(void)
{
	mutex_lock(&sched.gfree_lock);
	bool worth = sched.gfree.n > GFREE_MAX;
	mutex_unlock(&sched.gfree_lock);
	return worth;
}

// --- starting ---------------------------------------------------------------------------------

void
sched_set_name(G *gp, const char *name)
{
	if (name == NULL)
		name = "";
	if (gp->name == NULL && name[0] != '\0')
		gp->name = os_alloc(G_NAME_BYTES);
	if (gp->name != NULL) // a name is a nicety: without memory the goroutine goes without
		strncpy(gp->name, name, G_NAME_BYTES - 1);
}

G *
sched_spawn_held(void (*fn)(void *), void *arg, size_t stack_bytes, const char *name)
{
	M *mp = sched_m();
	P *pp = mp->p;
	G *gp = NULL;
	if (stack_bytes != 0 && stack_round(stack_bytes) == stack_round(0))
		stack_bytes = 0;
	if (likely(stack_bytes == 0))
		gp = reuse(pp);
	if (unlikely(gp == NULL)) {
		gp = make(stack_bytes);
		if (gp == NULL)
			return NULL;
	}
	// A thread without a P may be halted anywhere here, with arg in the record alone: Gidle
	// says so.
	store_rlx(&gp->status, Gidle); // order: own
	fence_compiler();
	gp->fn = fn;
	gp->arg = arg;
	gp->id = g_next_id(pp);
	gp->parent_id = mp->curg != NULL ? mp->curg->id : 0;
	gp->spawn_pc = mp->spawn_pc;
	mp->spawn_pc = 0;
	store_rlx(&gp->wait, WAIT_none);   // order: count
	store_rel(&gp->status, Gidle);     // order: publish -> dumps
	if (unlikely(name != NULL))
		sched_set_name(gp, name);
	if (likely(pp != NULL))
		own_add(&pp->spawned, 1);
	else
		add_rlx(&sched.spawned_no_p, 1); // order: count
	return gp;
}

G *
sched_spawn(void (*fn)(void *), void *arg, size_t stack_bytes, const char *name)
{
	G *gp = sched_spawn_held(fn, arg, stack_bytes, name);
	if (likely(gp != NULL))
		sched_ready(gp);
	return gp;
}

// The G of a thread of the program: its stack is the thread's own.
G *
g_for_thread(void)
{
	G *gp = record_get();
	if (gp == NULL)
		return NULL;
	gp->thread = true;
	gp->id = g_next_id(NULL);
	gp->parent_id = 0;
	gp->spawn_pc = 0;
	store_rel(&gp->status, Grunning); // order: publish -> dumps
	return gp;
}

// What a thread has put upon its own stack and left by pthread_exit.
static void
drop_stacks(G *gp)
{
	while (gp->chained) {
		const StackBelow *b = stack_below(gp->stack);
		Stack own = b->own;
		gp->chained = b->chained;
		gp->stack = b->stack;
		stack_free(own);
	}
	gp->stack = (Stack){0};
}

void
g_thread_done(G *gp)
{
	store_rel(&gp->status, Gdead); // order: publish -> dumps
	gp->split = false;
	drop_stacks(gp);
	store_rlx(&gp->m, NULL); // order: hint
	gp->scope = NULL;
	gp->defers = NULL;
	gp->panics = NULL;
	gp->panics_on_fault = false;
	if (gp->name != NULL)
		gp->name[0] = '\0';
	mutex_lock(&sched.gfree_lock);
	gp->thread = false; // who finds it running under the lock knows whose it is: events.c
	glist_push(&sched.gfree_bare, gp);
	mutex_unlock(&sched.gfree_lock);
}
