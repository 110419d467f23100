// SPDX-License-Identifier: BSD-3-Clause
// The leak report: what the mark has found alive, in groups of the same site, or else of the same
// size, kind and type.
//
// Objects are counted with the world stopped, when the mark is complete. The groups are an open
// hash table; when it is full what comes then is put into one group, which is the last entry.
#include "gc/live.h"

#include "gc/collect.h"

enum {
	GROUPS = 1 << 14,
	FULL = GROUPS * 3 / 4,
	OTHERS = GROUPS,
};

static struct {
	ATOMIC(LiveGroup *) groups; // NULL: nobody wants to know. Set by who does, cleared STW
	size_t n;                   // groups in use; STW
	uint64_t objects, bytes;    // STW
} live;

static ATOMIC(const LiveVisit *) visit; // NULL: none. Set by who wants one, cleared STW

static size_t
table_bytes(void)
{
	return (GROUPS + 1) * sizeof(LiveGroup);
}

static bool
same_group(const LiveGroup *a, const LiveGroup *b)
{
	return a->bytes == b->bytes && a->type == b->type && a->site == b->site &&
	       a->kind == b->kind;
}

// Where the group of that key is, or shall be.
static LiveGroup *
find_group(LiveGroup *groups, const LiveGroup *key)
{
	uint64_t h = base_mix(key->bytes ^ (uint64_t)key->site << 40 ^ (uint64_t)key->kind << 60);
	h = base_mix(h ^ (uintptr_t)key->type);
	for (size_t i = h % GROUPS;; i = (i + 1) % GROUPS) {
		LiveGroup *g = &groups[i];
		if (g->objects != 0 && !same_group(g, key))
			continue;
		if (g->objects != 0)
			return g;
		if (live.n == FULL)
			return &groups[OTHERS];
		live.n++;
		*g = *key;
		return g;
	}
}

// The type that the heap itself remembers; NULL: none.
static const HeapType *
known_type(Slot s)
{
	if (!kind_typed(s.info->kind))
		return NULL;
	if (s.info->size == 0)
		return heap.spans[s.page].type;
	return s.info->size > MASKED_MAX ? heap_slot_type(s) : NULL;
}

static void
count_object(LiveGroup *groups, Slot s)
{
	LiveGroup key = {
		.bytes = slot_bytes(s),
		.type = known_type(s),
		.site = objsites_get(s),
		.kind = s.info->kind,
	};
	if (key.site != 0)
		key.type = site_of(key.site)->type;
	LiveGroup *g = find_group(groups, &key);
	g->objects++;
	g->all_bytes += key.bytes;
	live.objects++;
	live.bytes += key.bytes;
}

static void
count_span(void *groups, Mspan *sp)
{
	Slot s = {.page = span_page(sp), .info = &heap.info[span_page(sp)]};
	for (; s.index < s.info->nelems; s.index++) {
		uint64_t free = load_rlx(slot_free_word(s)); // order: STW
		if ((free >> (s.index % 64) & 1) == 0 && slot_marked(s))
			count_object(groups, s);
	}
}

bool
live_wanted(void)
{
	return load_acq(&live.groups) != NULL || load_acq(&visit) != NULL; // order: observe, both
}

static void
gather_groups(LiveGroup *groups)
{
	for (size_t i = 0; i <= GROUPS; i++)
		groups[i] = (LiveGroup){0};
	live.n = live.objects = live.bytes = 0;
	for (size_t i = 0, n = heap_chunks(); i < n; i++)
		chunk_each_span(i, count_span, groups);
	store_rel(&live.groups, NULL); // order: publish -> live_report
}

void
live_gather(const RootSet *roots)
{
	LiveGroup *groups = load_acq(&live.groups); // order: observe <- live_report
	const LiveVisit *v = load_acq(&visit);      // order: observe <- live_visit
	if (groups != NULL)
		gather_groups(groups);
	if (v != NULL) {
		v->fn(v->ctx, roots);
		store_rel(&visit, NULL); // order: publish -> live_visit
	}
}

// --- visits --------------------------------------------------------------------------------------

typedef struct Each {
	void (*fn)(void *ctx, Slot s, bool alive);
	void *ctx;
} Each;

static void
each_of_span(void *v, Mspan *sp)
{
	const Each *e = v;
	Slot s = {.page = span_page(sp), .info = &heap.info[span_page(sp)]};
	for (; s.index < s.info->nelems; s.index++) {
		uint64_t free = load_rlx(slot_free_word(s)); // order: STW
		if ((free >> (s.index % 64) & 1) == 0)
			e->fn(e->ctx, s, slot_marked(s));
	}
}

void
live_each(void (*fn)(void *ctx, Slot s, bool alive), void *ctx)
{
	Each e = {fn, ctx};
	for (size_t i = 0, n = heap_chunks(); i < n; i++)
		chunk_each_span(i, each_of_span, &e);
}

bool
live_visit(const LiveVisit *v)
{
	store_rel(&visit, v); // order: publish -> live_gather
	gc_collect(GC_FORCED);
	if (load_acq(&visit) == NULL) // order: observe <- live_gather
		return true;
	store_rlx(&visit, NULL); // order: no cycle looks while we are in the runtime
	return false;
}

// --- the face -----------------------------------------------------------------------------------

static bool
before(const LiveGroup *a, const LiveGroup *b)
{
	return a->all_bytes != b->all_bytes ? a->all_bytes > b->all_bytes : a->objects > b->objects;
}

static void
swap(LiveGroup *a, LiveGroup *b)
{
	LiveGroup t = *a;
	*a = *b;
	*b = t;
}

// Lets g[i] sink in a heap of n whose top is the one that comes last.
static void
sink(LiveGroup *g, size_t i, size_t n)
{
	for (;;) {
		size_t child = 2 * i + 1;
		if (child >= n)
			return;
		if (child + 1 < n && before(&g[child], &g[child + 1]))
			child++;
		if (!before(&g[i], &g[child]))
			return;
		swap(&g[i], &g[child]);
		i = child;
	}
}

// libc's would take memory.
static void
sort(LiveGroup *g, size_t n)
{
	for (size_t i = n / 2; i-- > 0;)
		sink(g, i, n);
	for (size_t end = n; end > 1; end--) {
		swap(&g[0], &g[end - 1]);
		sink(g, 0, end - 1);
	}
}

bool
live_report(LiveReport *r)
{
	*r = (LiveReport){.groups = NULL};
	if (!gc_started())
		return true;
	LiveGroup *groups = os_map(table_bytes(), os_page_bytes());
	*r = (LiveReport){.groups = groups};
	if (groups == NULL)
		return false;
	store_rel(&live.groups, groups); // order: publish -> live_gather
	gc_collect(GC_FORCED);
	if (live_wanted()) { // whoever began it sees to it, unless there was no memory to collect
		store_rlx(&live.groups, NULL); // order: no cycle looks while we are in the runtime
		live_report_free(r);
		return false;
	}
	for (size_t i = 0; i <= GROUPS; i++)
		if (groups[i].objects != 0)
			groups[r->n++] = groups[i];
	sort(groups, r->n);
	r->objects = live.objects;
	r->all_bytes = live.bytes;
	return true;
}

void
live_report_free(LiveReport *r)
{
	if (r->groups != NULL)
		os_unmap(r->groups, table_bytes());
	r->groups = NULL;
}
