// SPDX-License-Identifier: BSD-3-Clause
// Maps against arrays: libFuzzer writes a program of operations on a map with keys of one kind, a
// byte for what and some for which. An array says of each key whether it is there, and with which
// element; another the same of NaNs, each a key of its own. Up to three iterators go on meanwhile.
//
// Held to the arrays, at each step:
//   - what an operation returns, and the number of entries
//   - an operation without memory fails and changes nothing
//   - an iterator meets what is there, with the element as it is, no entry twice, and before it
//     ends all that was there all the time
//   - a copy keeps what it was made with
// map_verify looks at the whole map now and then.
#include <math.h>

#include "fuzz.h"
#include "map_kinds.h"

enum { IDS = 4096, NANS = 512, ITERS = 3, RUNS_TO_COLLECT = 64 };

// What an iterator has to do with a key.
enum {
	OWED = 1, // there since the iteration began
	MET = 2,  // since it came
};

typedef struct Watch {
	MapIter it;
	bool on;
	uint8_t state[IDS];
	uint8_t nan_state[NANS];
} Watch;

typedef struct Copy {
	Map *m;
	size_t count;
	uint32_t elem[IDS];
} Copy;

static struct {
	const KeyKind *kind;
	bool has_nans;      // the kind has
	Map *m;
	size_t count;
	uint32_t ids;       // in use
	uint32_t elem[IDS]; // 0: no such key
	uint32_t nans;      // so many, their elements are the complements of 1 and on
	uint32_t first_nan; // those before are gone
	uint32_t stamp;
	Watch w[ITERS];
	Copy copy;
} f;

// Tests have it from the harness.
void
harness_fail(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: %s\n", file, line, what);
	abort();
}

static const MapType *
type(void)
{
	return &f.kind->type;
}

static uint32_t
elem_read(const void *elem)
{
	uint32_t n;
	memcpy(&n, elem, sizeof(n));
	return n;
}

// --- iterators -----------------------------------------------------------------------------------

static void
met(Watch *w)
{
	AnyKey k;
	uint32_t elem = elem_read(w->it.elem);
	memset(&k, 0, sizeof(k));
	memcpy(&k, w->it.key, type()->key_bytes);
	if (f.has_nans && elem > UINT32_MAX - 1 - NANS) {
		uint32_t nan = ~elem - 1;
		must(nan >= f.first_nan && nan < f.nans);
		must((w->nan_state[nan] & MET) == 0);
		w->nan_state[nan] |= MET;
		return;
	}
	uint32_t id = f.kind->id(&k);
	must(id < f.ids && f.elem[id] != 0);
	must(elem == f.elem[id]);
	must((w->state[id] & MET) == 0);
	w->state[id] |= MET;
	f.elem[id] = ++f.stamp; // into the map, whichever table the iterator is in
	memcpy(w->it.elem, &f.stamp, sizeof(f.stamp));
}

static void
look(Watch *w)
{
	if (w->it.key != NULL) {
		met(w);
		return;
	}
	for (uint32_t id = 0; id < f.ids; id++)
		must(w->state[id] != OWED);
	for (uint32_t nan = f.first_nan; nan < f.nans; nan++)
		must(w->nan_state[nan] != OWED);
	w->on = false;
}

static void
begin(Watch *w)
{
	for (uint32_t id = 0; id < f.ids; id++)
		w->state[id] = f.elem[id] != 0 ? OWED : 0;
	for (uint32_t nan = 0; nan < f.nans; nan++)
		w->nan_state[nan] = OWED;
	memset(&w->it, 0xa5, sizeof(w->it));
	w->on = true;
	map_iter_begin(type(), f.m, &w->it);
	look(w);
}

static void
advance(Watch *w, uint32_t steps)
{
	while (w->on && steps-- > 0) {
		map_iter_next(&w->it);
		look(w);
	}
}

static void
forget(uint32_t id)
{
	for (int i = 0; i < ITERS; i++)
		f.w[i].state[id] = 0;
}

// --- operations ----------------------------------------------------------------------------------

// ends: so many allocations on there is no memory; 0: there is.
static void
put(uint32_t id, uint32_t ends)
{
	AnyKey k;
	f.kind->make(&k, id);
	store_rlx(&map_memory_ends, ends);
	char *elem = map_assign(type(), f.m, &k);
	bool failed = ends != 0 && load_rlx(&map_memory_ends) == 0;
	store_rlx(&map_memory_ends, 0);
	must(elem != NULL || failed);
	if (elem == NULL)
		return;
	if (f.elem[id] == 0) {
		for (uint32_t i = 0; i < type()->elem_bytes; i++)
			must(elem[i] == 0);
		forget(id);
		f.count++;
	} else {
		must(elem_read(elem) == f.elem[id]);
	}
	f.elem[id] = ++f.stamp;
	memcpy(elem, &f.stamp, sizeof(f.stamp));
}

static void
put_nan(void)
{
	AnyKey k;
	if (!f.has_nans || f.nans == NANS)
		return;
	memset(&k, 0, sizeof(k));
	if (type()->key_kind == GO_MAP_KEY_FLOAT)
		k.f = NAN;
	else if (type()->key_kind == GO_MAP_KEY_DOUBLE)
		k.d = (double)NAN;
	else
		k.ld = (long double)NAN;
	must(map_get(type(), f.m, &k) == NULL && !map_delete(type(), f.m, &k));
	for (int i = 0; i < ITERS; i++)
		f.w[i].nan_state[f.nans] = 0;
	uint32_t elem = ~++f.nans;
	memcpy(map_assign(type(), f.m, &k), &elem, sizeof(elem));
	f.count++;
}

static void
drop(uint32_t id, uint32_t ends)
{
	AnyKey k;
	f.kind->make(&k, id);
	store_rlx(&map_memory_ends, ends);
	must(map_delete(type(), f.m, &k) == (f.elem[id] != 0));
	store_rlx(&map_memory_ends, 0);
	f.count -= f.elem[id] != 0;
	f.elem[id] = 0;
	forget(id);
}

static void
get(const Map *m, const uint32_t elems[], uint32_t id)
{
	AnyKey k;
	f.kind->make(&k, id);
	const void *elem = map_get(type(), m, &k);
	must((elem != NULL) == (elems[id] != 0));
	must(elem == NULL || elem_read(elem) == elems[id]);
}

static void
clear(void)
{
	map_clear(type(), f.m);
	memset(f.elem, 0, sizeof(f.elem));
	f.count = 0;
	f.first_nan = f.nans;
	for (int i = 0; i < ITERS; i++)
		memset(f.w[i].state, 0, sizeof(f.w[i].state));
}

static void
check_copy(void)
{
	if (f.copy.m == NULL)
		return;
	map_verify(type(), f.copy.m);
	must(map_len(f.copy.m) == f.copy.count);
	for (uint32_t id = 0; id < f.ids; id++)
		get(f.copy.m, f.copy.elem, id);
}

// The map goes on as the copy or as what was copied, the other is kept.
static void
copy(bool swap, uint32_t ends)
{
	check_copy();
	store_rlx(&map_memory_ends, ends);
	Map *m = map_clone(type(), f.m);
	bool failed = ends != 0 && load_rlx(&map_memory_ends) == 0;
	store_rlx(&map_memory_ends, 0);
	must(m != NULL || failed);
	f.copy.m = NULL;
	if (m == NULL)
		return;
	f.copy.m = swap ? f.m : m;
	f.copy.count = f.count;
	memcpy(f.copy.elem, f.elem, sizeof(f.elem));
	f.m = swap ? m : f.m;
	for (int i = 0; swap && i < ITERS; i++)
		f.w[i].on = false;
}

static void
verify(void)
{
	map_verify(type(), f.m);
	must(map_len(f.m) == f.count);
}

// --- programs ------------------------------------------------------------------------------------

typedef enum What {
	PUT,
	PUT_ROW,
	PUT_NANS,
	PUT_WITHOUT,
	DEL,
	DEL_ROW,
	DEL_ALL,
	GET,
	BEGIN,
	NEXT,
	NEXT_MANY,
	CLEAR,
	COPY,
	COLLECT,
	VERIFY,
} What;

// How often each comes, in bytes without a plan.
static const uint8_t what_of[] = {
	PUT,     PUT,   PUT_ROW, PUT_ROW, PUT_ROW, PUT_NANS, PUT_WITHOUT, DEL,  DEL_ROW,   DEL_ROW,
	DEL_ROW, DEL_ALL, GET,     BEGIN,   BEGIN,   BEGIN,    NEXT,      NEXT, NEXT_MANY, CLEAR,
	COPY,    COLLECT, VERIFY,
};

static uint32_t
next_id(Input *in)
{
	uint32_t n = next_byte(in);
	return (n << 8 | next_byte(in)) % f.ids;
}

static void
row(Input *in, void (*fn)(uint32_t id, uint32_t ends))
{
	uint32_t id = next_id(in), n = next_byte(in) + 1U, ends = next_byte(in);
	for (; n > 0; n--, id = (id + 1) % f.ids)
		fn(id, ends % 4 == 0 ? ends / 4 % 4 : 0);
}

static void
step(Input *in)
{
	Watch *w;
	switch ((What)what_of[next_byte(in) % sizeof(what_of)]) {
	case PUT:
		put(next_id(in), 0);
		break;
	case PUT_ROW:
		row(in, put);
		break;
	case PUT_NANS:
		for (uint32_t n = next_byte(in) % 16; n > 0; n--)
			put_nan();
		break;
	case PUT_WITHOUT:
		put(next_id(in), 1 + next_byte(in) % 4);
		break;
	case DEL:
		drop(next_id(in), 0);
		break;
	case DEL_ROW:
		row(in, drop);
		break;
	case DEL_ALL:
		for (uint32_t id = 0; id < f.ids; id++)
			drop(id, 0);
		break;
	case GET:
		get(f.m, f.elem, next_id(in));
		break;
	case BEGIN:
		begin(&f.w[next_byte(in) % ITERS]);
		break;
	case NEXT:
		w = &f.w[next_byte(in) % ITERS];
		advance(w, 1);
		break;
	case NEXT_MANY:
		w = &f.w[next_byte(in) % ITERS];
		advance(w, next_byte(in));
		break;
	case CLEAR:
		if (next_byte(in) % 4 == 0)
			clear();
		break;
	case COPY:
		copy(next_byte(in) % 2 != 0, next_byte(in) % 8);
		break;
	case COLLECT:
		if (next_byte(in) % 16 == 0) // it takes longer than all the rest
			go_gc();
		break;
	default:
		verify();
	}
}

static int
run(void *v)
{
	static const uint32_t ids[] = {3, 9, 60, 600, IDS};
	Input *in = v;
	memset((void *)&f, 0, sizeof(f));
	f.kind = &key_kinds[next_byte(in) % KEY_KINDS];
	f.has_nans = type()->key_kind == GO_MAP_KEY_FLOAT ||
		     type()->key_kind == GO_MAP_KEY_DOUBLE ||
		     type()->key_kind == GO_MAP_KEY_LONG_DOUBLE;
	f.ids = ids[next_byte(in) % (sizeof(ids) / sizeof(ids[0]))];
	uint32_t hint = next_byte(in);
	f.m = map_new(type(), hint % 2 != 0 ? 0 : hint * hint / 8);
	while (in->at < in->n)
		step(in);
	verify();
	check_copy();
	for (int i = 0; i < ITERS; i++)
		advance(&f.w[i], UINT32_MAX);
	for (uint32_t id = 0; id < f.ids; id++)
		get(f.m, f.elem, id);
	static int runs;
	if (++runs % RUNS_TO_COLLECT == 0)
		go_gc();
	return 0;
}

void
fuzz_begin(void)
{
	setenv("GODEBUG", "clobberfree=1", 0);
	setenv("GOGC", "off", 0); // programs collect, and chance would all the time
}

void
fuzz_one(Input *in)
{
	must(go_run(run, in) == 0);
}
