// SPDX-License-Identifier: BSD-3-Clause
// Goroutine-local values: an array per goroutine that has any, indexed by key number. It is pinned
// memory of the heap, since values may point to what the collector manages.
//
// Only the goroutine itself touches its array, so there are no locks. Keys are never taken back.
//
// Order:  O1  A destructor is stored before anyone can have the key's number: who makes the key
//             hands the number on, and that orders it.
#include "scope/scope.h"

#include <string.h>

#include "gc/gc.h"
#include "undergo/base.h"

enum {
	FIRST_VALUES = 8,
	ROUNDS = 4, // destructors may set values again; what is left after so many rounds stays
};

struct Locals {
	uint32_t n;      // owner: keys up to n have a place
	uint32_t rounds; // owner: of destroying, that are over
	uint32_t at;     // owner: the place that this round comes to next
	bool ran;        // owner: a destructor has run in it
	void *value[];   // owner
};

static void (*destructor[LOCAL_KEYS])(void *); // O1
static ATOMIC_U32 n_keys;                      // only grows

uint32_t
local_key_new(void (*destroy)(void *))
{
	uint32_t n = load_rlx(&n_keys); // order: hint, claimed below
	while (n < LOCAL_KEYS) {
		if (cas_rlx(&n_keys, &n, n + 1)) { // order: claim of a place nobody knows yet, O1
			destructor[n] = destroy;
			return n + 1;
		}
	}
	return 0;
}

void *
local_get(const G *gp, uint32_t key)
{
	const struct Locals *l = gp->locals;
	uint32_t i = key - 1; // no key becomes a number beyond any array
	return l != NULL && i < l->n ? l->value[i] : NULL;
}

// Room for value i.
static struct Locals *
grow(G *gp, uint32_t i)
{
	struct Locals *old = gp->locals;
	uint32_t n = old != NULL ? old->n : FIRST_VALUES;
	while (n <= i)
		n *= 2;
	struct Locals *l = gc_alloc_pinned(sizeof(*l) + n * sizeof(l->value[0]));
	if (l == NULL)
		return NULL;
	if (old != NULL)
		memcpy(l, old, sizeof(*l) + old->n * sizeof(l->value[0]));
	gc_free_pinned(old);
	l->n = n;
	gp->locals = l;
	return l;
}

int
local_set(G *gp, uint32_t key, void *value)
{
	uint32_t i = key - 1;
	if (i >= load_rlx(&n_keys)) // order: O1, a caller who has a key knows that it was made
		return GO_EINVAL;
	struct Locals *l = gp->locals;
	if (l == NULL || i >= l->n) {
		if (value == NULL)
			return 0;
		l = grow(gp, i);
	}
	if (l == NULL)
		return GO_ENOMEM;
	l->value[i] = value;
	return 0;
}

// One round; true when a destructor has run. Each value is taken out before its destructor sees it,
// which runs as the program's code does: outside the runtime. It may end the goroutine once more:
// then the round goes on from there, above its frame, and this call never returns.
static bool
destroy_round(G *gp)
{
	while (gp->locals->at < gp->locals->n) {
		uint32_t i = gp->locals->at++;
		void *value = gp->locals->value[i];
		gp->locals->value[i] = NULL;
		if (value == NULL || destructor[i] == NULL)
			continue;
		gp->locals->ran = true;
		sched_leave();
		destructor[i](value);
		sched_enter();
	}
	bool ran = gp->locals->ran;
	gp->locals->at = 0;
	gp->locals->ran = false;
	return ran;
}

void
local_end(G *gp)
{
	while (gp->locals->rounds < ROUNDS && destroy_round(gp))
		gp->locals->rounds++;
	gc_free_pinned(gp->locals);
	gp->locals = NULL;
}
