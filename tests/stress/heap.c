// SPDX-License-Identifier: BSD-3-Clause
// The collector against a model: goroutines and threads change random graphs of objects and keep
// books of what points to what, while collections are forced, GOMAXPROCS changes and objects travel
// through channels.
//
// What can be reached by the books must be alive: each object carries its identity and a pattern,
// and has a cleanup that says when it has died. What cannot be reached must, nearly all of it, die.
// Some have a weak pointer, which gives what is reached, and nothing of what has died; and some of
// those that cannot be in a cycle have a finalizer, which runs once, before the cleanup, and finds
// the object whole.
#include "goroutines.h"
#include "stress/mutators.h"

#include <limits.h>
#include <pthread.h>
#include <undergo/heap.h>

enum {
	NODES = 1500, // of a mutator's table
	EDGES = 4,
	ROOTS = 24,   // of each kind of place
	LARGE = 70000,
};

typedef enum Kind {
	OBJECT,  // go_alloc_object
	BYTES,   // go_alloc
	TYPED,   // one Cell
	CELLS,   // an array of them
	LARGE_BYTES,
	LARGE_CELLS,
	ALIGNED, // go_try_alloc
	PINNED,
	DATA,    // holds no pointers
	KINDS,
} Kind;

// How one object points to another.
typedef enum How { AT_BEGINNING, INSIDE, AT_END } How;

// All objects begin so. The pattern's words are whatever the identity says.
typedef struct Cell {
	uint64_t identity;
	void *edges[EDGES];
	uint64_t pattern[3];
} Cell;

static const go_type cell_type = {
	.bytes = sizeof(Cell),
	.scan_bytes = offsetof(Cell, pattern),
	.mask = ((1 << EDGES) - 1) << 1,
	.name = "Cell",
};

// What the books say of an object. Nothing here looks like a pointer to it.
typedef struct Book {
	uintptr_t hidden; // the complement of its address; 0: this place is free
	size_t bytes;
	Kind kind;
	uint32_t edge_cell; // which Cell of it has the edges
	int edges[EDGES];  // numbers of objects, -1 none
	bool reached;
	bool finalizes;
	atomic_bool finalized;
	atomic_bool dead;
	go_weak *weak; // or NULL
} Book;

typedef struct Mutator {
	int number;
	uint64_t rand;
	Book *books;      // NODES, from malloc
	int roots[3][ROOTS]; // by the books: on the stack, global, added
	void **on_stack;
	void **added;     // from malloc, a root by go_root_add
	int n_used;
	long made, died;
} Mutator;

enum { MUTATORS = 6 };
enum { ON_STACK, GLOBAL, ADDED };

long mutator_rounds = 250;
long mutator_parcels = LONG_MAX;
static Mutator mutators[MUTATORS];
static void *globals[MUTATORS][ROOTS];
static uint64_t first_seed;
static atomic_bool stop;
static Count running, sending, made_all, died_all, freed_all, finalized_all, trees;

static unsigned
below(uint64_t *rand, unsigned n)
{
	return (unsigned)(test_rand(rand) % n);
}

// --- objects -------------------------------------------------------------------------------------

static Cell *
object_at(const Book *b)
{
	return (Cell *)~b->hidden;
}

static void **
edges_of(const Book *b)
{
	return object_at(b)[b->edge_cell].edges;
}

static size_t
random_bytes(Mutator *m, Kind kind)
{
	switch (kind) {
	case TYPED:
		return sizeof(Cell);
	case CELLS:
		return sizeof(Cell) * (2 + below(&m->rand, 30));
	case LARGE_CELLS:
		return sizeof(Cell) * (LARGE / sizeof(Cell) + below(&m->rand, 5000));
	case LARGE_BYTES:
		return LARGE + below(&m->rand, 400000);
	default:
		return sizeof(Cell) + below(&m->rand, below(&m->rand, 8) == 0 ? 30000 : 500);
	}
}

static void *
allocate(Mutator *m, Kind kind, size_t bytes)
{
	switch (kind) {
	case OBJECT:
		return go_alloc_object(bytes);
	case TYPED:
		return go_new_typed(Cell, &cell_type);
	case CELLS:
	case LARGE_CELLS:
		return go_alloc_typed(&cell_type, bytes / sizeof(Cell));
	case ALIGNED:
		return go_try_alloc(bytes, (size_t)16 << below(&m->rand, 10), GO_ALLOC_SCAN);
	case PINNED:
		return go_try_alloc(bytes, 0, GO_ALLOC_PINNED);
	case DATA:
		return go_alloc_data(bytes);
	default:
		return go_alloc(bytes);
	}
}

static void
died(void *arg)
{
	uintptr_t id = (uintptr_t)arg;
	Book *b = &mutators[id / NODES].books[id % NODES];
	expect_eq(atomic_load(&b->finalized), b->finalizes);
	bool dies_once = !atomic_exchange(&b->dead, true); // the book may be used anew from here on
	expect(dies_once);
	count_add(&died_all);
}

static uint64_t
identity_of(const Mutator *m, int i)
{
	return UINT64_C(0xfeed00000000) + ((uint64_t)m->number << 32) + (uint64_t)i * 3 + 1;
}

// Of the object at p, whoever gives it to us.
static void
check_whole(const Cell *c, const Mutator *m, int i)
{
	const Cell *e = c + m->books[i].edge_cell;
	expect_eq(c->identity, identity_of(m, i));
	expect_eq(e->identity, identity_of(m, i));
	for (int k = 0; k < 3; k++)
		expect_eq(e->pattern[k], identity_of(m, i) * (uint64_t)(k + 7));
}

static void
finalize(void *p, void *arg)
{
	uintptr_t id = (uintptr_t)arg;
	Mutator *m = &mutators[id / NODES];
	Book *b = &m->books[id % NODES];
	check_whole(p, m, (int)(id % NODES));
	expect(!atomic_load(&b->dead));
	bool once = !atomic_exchange(&b->finalized, true);
	expect(once);
	count_add(&finalized_all);
}

static void
check_zero(const void *p, size_t bytes)
{
	const uint64_t *w = p;
	for (size_t i = 0; i < bytes / 8; i++)
		expect_eq(w[i], 0);
}

// The first Cell and the one with edges carry the identity; all between must be as they were.
static void
check_object(const Mutator *m, int i)
{
	const Book *b = &m->books[i];
	expect(!atomic_load(&b->dead) && !atomic_load(&b->finalized));
	check_whole(object_at(b), m, i);
	if (b->weak != NULL)
		expect(go_weak_get(b->weak) == object_at(b));
}

// A pointer to object i in one of the ways that keep it.
static void *
pointer_to(Mutator *m, int i)
{
	const Book *b = &m->books[i];
	char *p = (char *)object_at(b);
	bool ends = b->kind != OBJECT && b->kind != TYPED && b->kind != CELLS &&
		    b->kind != LARGE_CELLS;
	switch ((How)below(&m->rand, ends ? 3 : 2)) {
	case AT_END:
		return p + b->bytes;
	case INSIDE:
		return p + below(&m->rand, (unsigned)b->bytes);
	default:
		return p;
	}
}

// --- the books -----------------------------------------------------------------------------------

static void **
root_words(Mutator *m, int place)
{
	return place == ON_STACK ? m->on_stack : place == GLOBAL ? globals[m->number] : m->added;
}

static void
set_root(Mutator *m, int place, int k, int i)
{
	m->roots[place][k] = i;
	root_words(m, place)[k] = i >= 0 ? pointer_to(m, i) : NULL;
}

static void
set_edge(Mutator *m, int from, int k, int to)
{
	Book *b = &m->books[from];
	if (b->kind == DATA)
		return;
	b->edges[k] = to;
	edges_of(b)[k] = to >= 0 ? pointer_to(m, to) : NULL;
}

// Marks by the books what is reached, and looks at all of it.
static void
reach(Mutator *m)
{
	int *stack = malloc(sizeof(int) * (NODES + 3 * ROOTS) * (EDGES + 1)), n = 0;
	for (int i = 0; i < NODES; i++)
		m->books[i].reached = false;
	for (int place = 0; place < 3; place++)
		for (int k = 0; k < ROOTS; k++)
			if (m->roots[place][k] >= 0)
				stack[n++] = m->roots[place][k];
	while (n > 0) {
		int i = stack[--n];
		Book *b = &m->books[i];
		if (b->reached)
			continue;
		b->reached = true;
		check_object(m, i);
		for (int k = 0; k < EDGES; k++)
			if (b->edges[k] >= 0)
				stack[n++] = b->edges[k];
	}
	free(stack);
}

// What nothing reaches may come back by its weak pointer until it has died; then it is whole.
static void
check_weak(Mutator *m, int i)
{
	Book *b = &m->books[i];
	if (b->weak == NULL)
		return;
	bool was_dead = atomic_load(&b->dead);
	Cell *c = go_weak_get(b->weak);
	expect(c == NULL || (!was_dead && c == object_at(b)));
	if (c != NULL)
		check_whole(c, m, i);
	go_keep_alive(c);
}

static void
forget(Book *b)
{
	b->hidden = 0;
	if (b->weak == NULL)
		return;
	expect(go_weak_get(b->weak) == NULL);
	go_weak_free(b->weak);
	b->weak = NULL;
}

// Entries of the dead are used again; pinned objects that nothing reaches are freed by hand, and so
// are some others.
static void
settle(Mutator *m)
{
	reach(m);
	m->n_used = 0;
	for (int i = 0; i < NODES; i++) {
		Book *b = &m->books[i];
		if (b->hidden == 0)
			continue;
		m->n_used++;
		if (b->reached)
			continue;
		check_weak(m, i);
		if (b->kind == PINNED) {
			check_object(m, i);
			go_free(object_at(b)); // its cleanup goes with it
			count_add(&freed_all);
			forget(b);
		} else if (atomic_load(&b->dead)) {
			m->died++;
			forget(b);
		}
	}
}

static int
free_book(Mutator *m)
{
	int at = (int)below(&m->rand, NODES);
	for (int i = 0; i < NODES; i++)
		if (m->books[(at + i) % NODES].hidden == 0)
			return (at + i) % NODES;
	return -1;
}

// One that can be reached: some root's object, then along random edges. -1: none was met.
static int
some_object(Mutator *m)
{
	int i = m->roots[below(&m->rand, 3)][below(&m->rand, ROOTS)];
	for (unsigned steps = below(&m->rand, 6); i >= 0 && steps > 0; steps--) {
		int next = m->books[i].edges[below(&m->rand, EDGES)];
		if (next >= 0)
			i = next;
	}
	return i;
}

// --- steps ---------------------------------------------------------------------------------------

static Kind
random_kind(Mutator *m)
{
	Kind kind = (Kind)below(&m->rand, KINDS);
	bool large = kind == LARGE_BYTES || kind == LARGE_CELLS;
	return large && below(&m->rand, 8) != 0 ? OBJECT : kind;
}

// Makes an object and lets a root or an edge point to it.
static void
step_make(Mutator *m)
{
	int i = free_book(m);
	if (i < 0)
		return;
	Kind kind = random_kind(m);
	size_t bytes = random_bytes(m, kind);
	Cell *c = allocate(m, kind, bytes);
	expect(c != NULL);
	check_zero(c, bytes);
	Book *b = &m->books[i];
	*b = (Book){.hidden = ~(uintptr_t)c, .bytes = bytes, .kind = kind};
	memset(b->edges, -1, sizeof(b->edges));
	b->edge_cell = kind == DATA ? 0 : below(&m->rand, (unsigned)(bytes / sizeof(Cell)));
	Cell *e = c + b->edge_cell;
	c->identity = e->identity = identity_of(m, i);
	for (int k = 0; k < 3; k++)
		e->pattern[k] = identity_of(m, i) * (uint64_t)(k + 7);
	void *id = (void *)(uintptr_t)(m->number * NODES + i);
	expect(go_add_cleanup(c, died, id) != 0);
	b->finalizes = kind == DATA && below(&m->rand, 2) != 0;
	if (b->finalizes)
		expect_eq(go_set_finalizer(c, finalize, id), 0);
	if (below(&m->rand, 4) == 0)
		expect((b->weak = go_weak_new(c)) != NULL);
	m->made++;
	count_add(&made_all);
	int from = some_object(m);
	if (from >= 0 && below(&m->rand, 3) != 0)
		set_edge(m, from, (int)below(&m->rand, EDGES), i);
	else
		set_root(m, (int)below(&m->rand, 3), (int)below(&m->rand, ROOTS), i);
	go_keep_alive(c); // the books would not
}

static void
step_link(Mutator *m)
{
	int from = some_object(m), to = some_object(m);
	if (from >= 0)
		set_edge(m, from, (int)below(&m->rand, EDGES), to);
}

static void
step_root(Mutator *m)
{
	set_root(m, (int)below(&m->rand, 3), (int)below(&m->rand, ROOTS), some_object(m));
}

static void
step_drop(Mutator *m)
{
	int from = some_object(m);
	if (from >= 0 && below(&m->rand, 2) != 0)
		set_edge(m, from, (int)below(&m->rand, EDGES), -1);
	else
		set_root(m, (int)below(&m->rand, 3), (int)below(&m->rand, ROOTS), -1);
}

static void
step(Mutator *m)
{
	unsigned what = below(&m->rand, 100);
	bool crowded = m->n_used > NODES * 3 / 4;
	if (what < 45 && !crowded)
		step_make(m);
	else if (what < 60)
		step_link(m);
	else if (what < 75)
		step_root(m);
	else if (what < 97)
		step_drop(m);
	else
		settle(m);
}

static __attribute__((noinline)) void
mutate(Mutator *m, long steps)
{
	void *on_stack[ROOTS] = {NULL};
	m->on_stack = on_stack;
	for (long i = 0; i < steps; i++) {
		step(m);
		if (i % 256 == 0 && !m->number)
			go_yield();
	}
	settle(m);
	for (int k = 0; k < ROOTS; k++)
		m->roots[ON_STACK][k] = -1;
	__asm__ volatile("" : : "r"(on_stack) : "memory");
	memset(on_stack, 0, sizeof(on_stack));
	__asm__ volatile("" : : "r"(on_stack) : "memory");
}

static void
mutator_begin(Mutator *m, int number)
{
	*m = (Mutator){.number = number, .rand = first_seed + (uint64_t)number * 977};
	m->books = calloc(NODES, sizeof(Book));
	m->added = calloc(ROOTS, sizeof(void *));
	memset(m->roots, -1, sizeof(m->roots));
	expect_eq(go_root_add(m->added, ROOTS * sizeof(void *)), 0);
}

static void
mutator_end(Mutator *m)
{
	for (int place = GLOBAL; place <= ADDED; place++)
		for (int k = 0; k < ROOTS; k++)
			set_root(m, place, k, -1);
	settle(m);
	expect_eq(go_root_remove(m->added), 0);
	free(m->added);
}

// In rounds, so that the stack changes.
static void
mutator_main(void *v)
{
	Mutator *m = v;
	for (long i = test_scale(mutator_rounds); i > 0; i--)
		mutate(m, 1000);
	mutator_end(m);
	atomic_fetch_sub(&running, 1);
}

static void *
mutator_thread(void *v)
{
	mutator_main(v);
	return NULL;
}

// --- trees that travel ---------------------------------------------------------------------------

// A tree is what its seed says; whoever gets one can check it.
typedef struct Tree {
	uint64_t seed;
	struct Tree *sons[2];
} Tree;

static const go_type tree_type = GO_TYPE(Tree, sons[0], sons[1]);

typedef struct Parcel {
	Tree *tree;
	uint64_t seed;
} Parcel;

static Tree *
tree_make(uint64_t seed)
{
	uint64_t rand = seed;
	uint64_t draw = test_rand(&rand);
	Tree *t = draw % 2 ? go_new_typed(Tree, &tree_type) : go_new(Tree);
	t->seed = seed;
	for (int i = 0; i < 2; i++)
		if ((draw >> (8 + i)) % 16 != 0 && seed % 1024 < 9)
			t->sons[i] = tree_make(seed / 1024 * 1024 * 2 + 1024 * (uint64_t)i +
					       seed % 1024 + 1);
	return t;
}

static long
tree_check(const Tree *t, uint64_t seed)
{
	uint64_t rand = seed;
	uint64_t draw = test_rand(&rand);
	long n = 1;
	expect_eq(t->seed, seed);
	for (int i = 0; i < 2; i++) {
		bool has = (draw >> (8 + i)) % 16 != 0 && seed % 1024 < 9;
		expect_eq(t->sons[i] != NULL, has);
		if (has)
			n += tree_check(t->sons[i], seed / 1024 * 1024 * 2 + 1024 * (uint64_t)i +
							    seed % 1024 + 1);
	}
	return n;
}

static go_chan *post[2];

static void
sender(void *v)
{
	uint64_t rand = first_seed + (uintptr_t)v;
	for (long i = mutator_parcels; i > 0 && !atomic_load(&stop); i--) {
		Parcel p = {.seed = (test_rand(&rand) & 0xffffff) * 1024 + below(&rand, 6)};
		p.tree = tree_make(p.seed);
		expect_eq(go_chan_send(post[below(&rand, 2)], &p, GO_NEVER), 0);
	}
	atomic_fetch_sub(&sending, 1);
}

static void
receiver(void *v)
{
	go_chan *c = v;
	Parcel p;
	while (go_chan_recv(c, &p, GO_NEVER) == 0) {
		tree_check(p.tree, p.seed);
		count_add(&trees);
	}
}

// --- all at once ---------------------------------------------------------------------------------

static void
disturb(uint64_t *rand)
{
	switch (below(rand, 8)) {
	case 0:
	case 1:
	case 2:
		go_gc();
		break;
	case 3:
		go_gomaxprocs(1 + (int)below(rand, 4));
		break;
	case 4:
		go_set_gc_percent((int)(10 + below(rand, 90)));
		break;
	default:
		go_sleep((int64_t)below(rand, 2000) * GO_USEC);
	}
}

static void
start_mutators(pthread_t threads[MUTATORS])
{
	for (int i = 0; i < MUTATORS; i++) {
		mutator_begin(&mutators[i], i);
		count_add(&running);
		if (i % 3 == 2)
			expect_eq(pthread_create(&threads[i], NULL, mutator_thread, &mutators[i]),
				  0);
		else
			expect_eq(go_spawn(mutator_main, &mutators[i]), 0);
	}
}

static long
gone(void)
{
	return count_of(&died_all) + count_of(&freed_all);
}

GO_TEST(heap_mutators, 2)
{
	pthread_t threads[MUTATORS];
	first_seed = test_seed();
	uint64_t rand = first_seed ^ 0x77;
	go_set_gc_percent(20);
	for (int i = 0; i < 2; i++) {
		post[i] = go_chan_new(sizeof(Parcel), (size_t)i * 40);
		expect_eq(go_spawn(receiver, post[i]), 0);
	}
	start_mutators(threads);
	for (uintptr_t i = 0; i < 3; i++) {
		count_add(&sending);
		expect_eq(go_spawn(sender, (void *)i), 0);
	}
	while (count_of(&running) != 0)
		disturb(&rand);
	atomic_store(&stop, true);
	until(count_of(&sending) == 0);
	for (int i = 0; i < 2; i++)
		go_chan_close(post[i]);
	for (int i = 2; i < MUTATORS; i += 3)
		pthread_join(threads[i], NULL);
	expect(count_of(&trees) > 0 && count_of(&finalized_all) > 0);
	for (int i = 0; i < 20 && gone() < count_of(&made_all) * 9 / 10; i++) {
		go_gc();
		go_sleep(GO_MSEC);
	}
	expect(gone() >= count_of(&made_all) * 9 / 10);
}
