// SPDX-License-Identifier: BSD-3-Clause
// Maps beside a model: an array that says of each key whether it is there, and with which element.
// Random operations in phases that fill, empty, and keep; several iterators go on meanwhile, and of
// each is known what it has to meet, what it may meet, and what not.
#include "map_kinds.h"

enum { ITERS = 3, NEVER_MOST = KEY_IDS };

// Of a key, for an iterator.
enum {
	OWED = 1, // there since the iteration began
	MET = 2,  // since it was last assigned to anew
};

typedef struct Watch {
	MapIter it;
	bool on;
	bool all_owed; // nothing was cleared since
	uint8_t *state; // by id
} Watch;

typedef struct Model {
	const KeyKind *kind;
	Map *m;
	uint32_t ids;
	size_t count;
	bool *has;      // by id
	uint32_t *elem; // by id
	Watch w[ITERS];
	uint64_t rand;
	uint32_t stamp;
} Model;

static uint32_t
below(Model *mo, uint32_t n)
{
	return (uint32_t)(test_rand(&mo->rand) >> 33) % n;
}

static void
stop(Watch *w)
{
	w->on = false;
}

static void
ended(Model *mo, Watch *w)
{
	if (w->all_owed)
		for (uint32_t id = 0; id < mo->ids; id++)
			expect((w->state[id] & OWED) == 0 || (w->state[id] & MET) != 0);
	stop(w);
}

static void
met(Model *mo, Watch *w)
{
	AnyKey k;
	uint32_t elem;
	memset(&k, 0, sizeof(k));
	memcpy(&k, w->it.key, mo->kind->type.key_bytes);
	memcpy(&elem, w->it.elem, sizeof(elem));
	uint32_t id = mo->kind->id(&k);
	expect(id < mo->ids);
	expect(mo->has[id]);
	expect_eq(elem, mo->elem[id]);
	expect((w->state[id] & MET) == 0);
	w->state[id] |= MET;
	mo->elem[id] = ++mo->stamp; // into the map, whichever table the iterator is in
	memcpy(w->it.elem, &mo->stamp, sizeof(mo->stamp));
}

static void
look(Model *mo, Watch *w)
{
	if (w->it.key == NULL)
		ended(mo, w);
	else
		met(mo, w);
}

static void
begin(Model *mo, Watch *w)
{
	w->on = w->all_owed = true;
	for (uint32_t id = 0; id < mo->ids; id++)
		w->state[id] = mo->has[id] ? OWED : 0;
	memset(&w->it, 0xa5, sizeof(w->it));
	map_iter_begin(&mo->kind->type, mo->m, &w->it);
	look(mo, w);
}

static void
advance(Model *mo, Watch *w, uint32_t steps)
{
	while (w->on && steps-- > 0) {
		map_iter_next(&w->it);
		look(mo, w);
	}
}

static void
assign(Model *mo, uint32_t id)
{
	AnyKey k;
	mo->kind->make(&k, id);
	char *elem = map_assign(&mo->kind->type, mo->m, &k);
	expect(elem != NULL);
	if (!mo->has[id]) {
		for (uint32_t i = 0; i < mo->kind->type.elem_bytes; i++)
			expect(elem[i] == 0);
		for (int i = 0; i < ITERS; i++)
			mo->w[i].state[id] = 0;
		mo->count++;
	}
	mo->has[id] = true;
	mo->elem[id] = ++mo->stamp;
	memcpy(elem, &mo->stamp, sizeof(mo->stamp));
}

static void
drop(Model *mo, uint32_t id)
{
	AnyKey k;
	mo->kind->make(&k, id);
	expect(map_delete(&mo->kind->type, mo->m, &k) == mo->has[id]);
	mo->count -= mo->has[id];
	mo->has[id] = false;
	for (int i = 0; i < ITERS; i++)
		mo->w[i].state[id] = 0;
}

static void
get(Model *mo, uint32_t id)
{
	AnyKey k;
	mo->kind->make(&k, id);
	uint32_t *elem = map_get(&mo->kind->type, mo->m, &k);
	expect((elem != NULL) == mo->has[id]);
	if (elem != NULL)
		expect_eq(*elem, mo->elem[id]);
}

static void
clear(Model *mo)
{
	map_clear(&mo->kind->type, mo->m);
	memset(mo->has, 0, mo->ids * sizeof(bool));
	mo->count = 0;
	for (int i = 0; i < ITERS; i++) {
		mo->w[i].all_owed = false;
		memset(mo->w[i].state, 0, mo->ids);
	}
}

static void
swap_for_clone(Model *mo)
{
	Map *old = mo->m;
	mo->m = map_clone(&mo->kind->type, old);
	expect(mo->m != NULL);
	map_clear(&mo->kind->type, old);
	for (int i = 0; i < ITERS; i++)
		stop(&mo->w[i]);
}

// fill: of 100 changes so many assign.
static void
step(Model *mo, uint32_t fill)
{
	uint32_t what = below(mo, 1000), id = below(mo, mo->ids);
	Watch *w = &mo->w[below(mo, ITERS)];
	if (what < 700) {
		if (below(mo, 100) < fill)
			assign(mo, id);
		else
			drop(mo, id);
	} else if (what < 900) {
		get(mo, id);
	} else if (what < 990) {
		if (w->on)
			advance(mo, w, below(mo, 20));
		else if (below(mo, 8) == 0)
			begin(mo, w);
	} else if (what == 990 && below(mo, 20) == 0) {
		clear(mo);
	} else if (what == 991 && below(mo, 20) == 0) {
		swap_for_clone(mo);
	}
}

static void
run(const KeyKind *kind, uint64_t seed, uint32_t ids, long steps)
{
	static const uint8_t fills[] = {90, 50, 20, 95, 8, 50, 3};
	Model mo = {.kind = kind, .ids = ids, .rand = seed};
	mo.has = calloc(ids, sizeof(bool));
	mo.elem = calloc(ids, sizeof(uint32_t));
	for (int i = 0; i < ITERS; i++)
		mo.w[i].state = calloc(ids, 1);
	mo.m = map_new(below(&mo, 2) != 0 ? &kind->type : NULL, 0);
	if (below(&mo, 4) == 0)
		mo.m = map_new(&kind->type, below(&mo, ids));
	long phase = steps / (long)sizeof(fills) + 1;
	for (long i = 0; i < steps; i++) {
		step(&mo, fills[i / phase]);
		if (i % (phase / 3 + 1) == 0) {
			map_verify(&kind->type, mo.m);
			expect_eq(map_len(mo.m), mo.count);
		}
	}
	for (int i = 0; i < ITERS; i++)
		advance(&mo, &mo.w[i], UINT32_MAX);
	map_verify(&kind->type, mo.m);
	for (uint32_t id = 0; id < ids; id++)
		get(&mo, id);
	for (int i = 0; i < ITERS; i++)
		free(mo.w[i].state);
	free(mo.has);
	free(mo.elem);
}

static void
run_kinds(long steps)
{
	uint64_t seed = test_seed();
	for (int i = 0; i < KEY_KINDS; i++) {
		static const uint32_t ids[] = {6, 40, 700, 6000, KEY_IDS};
		for (size_t j = 0; j < sizeof(ids) / sizeof(ids[0]); j++) {
			long n = steps * (ids[j] < 1000 ? 1 : ids[j] / 500);
			run(&key_kinds[i], test_rand(&seed), ids[j], n);
		}
	}
}

GO_TEST(map_model, 1)
{
	run_kinds(test_scale(10000));
}
