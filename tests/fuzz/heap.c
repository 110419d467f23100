// SPDX-License-Identifier: BSD-3-Clause
// The heap against books: libFuzzer writes a program of allocations, stores, collections and frees,
// a byte for what and some for which. The books know what points to what, so what a mark must reach
// is known exactly; what it may keep besides, for the sake of a stale word, is not.
//
// Held to the books, after each collection of the program and at its end:
//   - what is reachable is whole, and its cleanup has not run
//   - a weak pointer gives what is reachable, and once it has given NULL it always does
//   - a cleanup runs once at most, and not after go_cleanup_stop or go_free
//   - go_object and go_object_size agree with what was asked for
// GODEBUG's check-mark, heap walk and clobbering are on: they end the process by themselves.
#include <undergo.h>
#include <undergo/heap.h>

#include "fuzz.h"

enum {
	VARS = 8,
	BOOKS = 256, // objects of one program at most
	EDGES = 4,
	LARGE = 40000,
	SMALL_STEP = 24,
	IDS = 1 << 20, // cleanups are told apart that far
};

typedef struct Object {
	uint64_t identity;
	struct Object *edges[EDGES];
	uint64_t last; // beyond what the types say has pointers
} Object;

typedef enum Kind {
	OF_TYPE,
	OF_WORDS,
	OF_BYTES,
	OF_CHUNKS,
	OF_PROGRAM,
	ALIGNED,
	PINNED,
	DATA,
	KINDS,
} Kind;

typedef struct Book {
	uintptr_t hidden; // the complement of its address
	size_t bytes;
	uint64_t identity;
	Kind kind;
	int edges[EDGES]; // books, or -1
	int id;           // of its cleanup; 0: none
	go_cleanup cleanup;
	go_weak *weak;
	bool gone;        // weak has given NULL
	bool freed;       // by go_free
	bool reached;
} Book;

static Object *volatile vars[VARS]; // roots
static int var_book[VARS];          // or -1
static Book books[BOOKS];
static int n_books;
static int last_id;
static _Atomic unsigned char ends[IDS]; // how often the cleanup of an id has run

static const go_type object_type = {
	.bytes = sizeof(Object),
	.scan_bytes = offsetof(Object, last),
	.mask = ((1 << EDGES) - 1) << 1,
	.name = "Object",
};
static const uint8_t object_program[] = {6, ((1 << EDGES) - 1) << 1, 0};
static const go_type program_type = {
	.bytes = sizeof(Object),
	.scan_bytes = sizeof(Object),
	.name = "Object by program",
	.program = object_program,
	.program_bytes = sizeof(object_program),
};

static Object *
object_of(const Book *b)
{
	return (Object *)~b->hidden;
}

// --- making --------------------------------------------------------------------------------------

static Object *
allocate(Kind kind, size_t more, size_t *bytes)
{
	*bytes = sizeof(Object) + more;
	switch (kind) {
	case OF_TYPE:
		*bytes = sizeof(Object);
		return go_new_typed(Object, &object_type);
	case OF_WORDS:
		return go_alloc_object(*bytes);
	case OF_BYTES:
		return go_alloc(*bytes);
	case OF_CHUNKS:
		*bytes = sizeof(Object) * (1 + more / 8);
		return go_alloc_typed(&object_type, 1 + more / 8);
	case OF_PROGRAM:
		*bytes = sizeof(Object) * (1 + more / 8);
		return go_alloc_typed(&program_type, 1 + more / 8);
	case ALIGNED:
		return go_try_alloc(*bytes, (size_t)1 << more % 13, GO_ALLOC_SCAN);
	case PINNED:
		return go_try_alloc(*bytes, 0, GO_ALLOC_PINNED);
	default:
		return go_alloc_data(*bytes);
	}
}

static void
make(int var, Kind kind, size_t more)
{
	if (n_books == BOOKS)
		return;
	Book *b = &books[n_books];
	*b = (Book){.kind = kind, .edges = {-1, -1, -1, -1}};
	Object *o = allocate(kind, more, &b->bytes);
	must(o != NULL);
	for (size_t i = 0; i < b->bytes / 8; i++)
		must(((uint64_t *)(void *)o)[i] == 0);
	b->identity = 0x5afe0000u + (unsigned)n_books;
	o->identity = o->last = b->identity;
	b->hidden = ~(uintptr_t)o;
	vars[var] = o;
	var_book[var] = n_books++;
}

// --- the books' view -----------------------------------------------------------------------------

static void
reach(int at)
{
	if (at < 0 || books[at].reached)
		return;
	books[at].reached = true;
	if (books[at].kind != DATA)
		for (int i = 0; i < EDGES; i++)
			reach(books[at].edges[i]);
}

static void
check_object(const Book *b)
{
	const Object *o = object_of(b);
	must(o->identity == b->identity && o->last == b->identity);
	for (int i = 0; i < EDGES; i++)
		must(o->edges[i] == (b->edges[i] < 0 ? NULL : object_of(&books[b->edges[i]])));
	must(b->id == 0 || ends[b->id % IDS] == 0);
	must(b->weak == NULL || go_weak_get(b->weak) == o);
	must(go_object((const char *)o + b->bytes - 1) == o);
	must(go_object_size(o) >= b->bytes);
}

static void
check_all(void)
{
	for (int i = 0; i < n_books; i++)
		books[i].reached = false;
	for (int i = 0; i < VARS; i++)
		reach(var_book[i]);
	for (int i = 0; i < n_books; i++) // what is pinned is a root, and lives
		if (books[i].kind == PINNED && !books[i].freed)
			reach(i);
	for (int i = 0; i < n_books; i++) {
		Book *b = &books[i];
		if (b->reached)
			check_object(b);
		else if (b->weak != NULL && go_weak_get(b->weak) == NULL)
			b->gone = true;
		else
			must(!b->gone);
		must(b->id == 0 || ends[b->id % IDS] <= 1);
	}
}

// Whether anything but this variable points to its object.
static bool
shared(int var)
{
	for (int i = 0; i < VARS; i++)
		if (i != var && var_book[i] == var_book[var])
			return true;
	for (int i = 0; i < n_books; i++)
		for (int k = 0; k < EDGES; k++)
			if (books[i].edges[k] == var_book[var])
				return true;
	return false;
}

// --- what a program can do -----------------------------------------------------------------------

static void
set_edge(int var, int edge, int to)
{
	Book *b = &books[var_book[var]];
	int target = var_book[to];
	if (b->kind == DATA && target >= 0) // it would keep nothing
		return;
	b->edges[edge] = target;
	vars[var]->edges[edge] = target < 0 ? NULL : vars[to];
}

static void
follow_edge(int var, int edge, int to)
{
	vars[to] = vars[var]->edges[edge];
	var_book[to] = books[var_book[var]].edges[edge];
}

static void
on_end(void *id)
{
	ends[(uintptr_t)id % IDS]++;
}

static void
watch(Book *b, Object *o)
{
	if (b->id == 0) {
		b->id = ++last_id;
		ends[b->id % IDS] = 0;
		b->cleanup = go_add_cleanup(o, on_end, (void *)(uintptr_t)b->id);
		must(b->cleanup != 0);
	} else if (b->cleanup != 0) {
		must(go_cleanup_stop(o, b->cleanup));
		must(!go_cleanup_stop(o, b->cleanup));
		b->cleanup = 0;
		ends[b->id % IDS] = 0;
		b->id = 0;
	}
}

static void
weaken(Book *b, Object *o)
{
	if (b->weak != NULL)
		return;
	b->weak = go_weak_new(o);
	must(b->weak != NULL);
}

static void
release(int var)
{
	Book *b = &books[var_book[var]];
	if (b->freed || shared(var))
		return;
	if (b->weak != NULL) // it would point to nothing that the books know
		go_weak_free(b->weak);
	b->weak = NULL;
	for (int i = 0; i < EDGES; i++)
		b->edges[i] = -1;
	Object *o = vars[var];
	vars[var] = NULL;
	var_book[var] = -1;
	b->freed = true;
	go_free(o);
	must(b->id == 0 || ends[b->id % IDS] == 0);
}

typedef enum What {
	MAKE,
	MAKE_LARGE,
	DROP,
	COPY,
	SET,
	FOLLOW,
	WATCH,
	WEAKEN,
	RELEASE,
	COLLECT,
} What;

// How often each comes, in bytes without a plan.
static const uint8_t what_of[] = {
	MAKE, MAKE, MAKE, MAKE,  MAKE_LARGE, DROP,    DROP,    COPY,
	SET,  SET,  SET,  FOLLOW, WATCH,     WEAKEN, RELEASE, COLLECT,
};

static void
step(Input *in)
{
	What what = (What)what_of[next_byte(in) % sizeof(what_of)];
	int var = next_byte(in) % VARS;
	if (what == MAKE || what == MAKE_LARGE) {
		Kind kind = (Kind)(next_byte(in) % KINDS);
		size_t more = next_byte(in) * (size_t)SMALL_STEP;
		make(var, kind, what == MAKE ? more : LARGE + more * 8);
		return;
	}
	if (what == COLLECT) {
		go_gc();
		check_all();
		return;
	}
	if (what == DROP) {
		vars[var] = NULL;
		var_book[var] = -1;
		return;
	}
	int other = next_byte(in) % VARS, edge = next_byte(in) % EDGES;
	if (what == COPY) {
		vars[other] = vars[var];
		var_book[other] = var_book[var];
		return;
	}
	if (var_book[var] < 0)
		return;
	switch (what) {
	case SET:
		set_edge(var, edge, other);
		break;
	case FOLLOW:
		follow_edge(var, edge, other);
		break;
	case WATCH:
		watch(&books[var_book[var]], vars[var]);
		break;
	case WEAKEN:
		weaken(&books[var_book[var]], vars[var]);
		break;
	default:
		release(var);
	}
}

static int
run(void *v)
{
	Input *in = v;
	n_books = 0;
	for (int i = 0; i < VARS; i++)
		var_book[i] = -1;
	while (in->at < in->n)
		step(in);
	go_gc();
	check_all();
	for (int i = 0; i < VARS; i++)
		vars[i] = NULL;
	for (int i = 0; i < n_books; i++) {
		go_weak_free(books[i].weak);
		if (books[i].kind == PINNED && !books[i].freed)
			go_free(object_of(&books[i]));
	}
	return 0;
}

void
fuzz_begin(void)
{
	setenv("GODEBUG", "gccheckmark=1,gcwalk=1,clobberfree=1", 0);
	setenv("GOGC", "off", 0);
}

void
fuzz_one(Input *in)
{
	must(go_run(run, in) == 0);
}
