// SPDX-License-Identifier: BSD-3-Clause
// Pages of the heap: runs of them are found first-fit by address, so that the high end empties.
//
// A region grows by committing chunks at its end. Free pages keep their memory until heap_scavenge
// gives it back; such pages are `released`, and read as zero when they are used again. While a
// region grows, the next ones get memory ahead of their use and are `fresh`: zero, too.
//
// Invariants, while the lock is held:
//   P1  lead, trail and longest of each committed chunk describe its used bits.
//   P2  Chunks below a region's `search` have no free page.
//   P3  released is set only where used is clear, but for the page of P4; fresh only where both
//       are.
//   P4  The heap's first page is never handed out: heap.base is a word that points there, and would
//       keep alive for ever what lies in it.
//   P5  Chunks from a region's `scavenge` on have no page to give back.
// Locks:  pages_lock, rank heappages, for all here. Memory goes back to the system under it, at
//         most SCAVENGE_PAGES at a time; it comes without it.
#include <errno.h>
#include <string.h>

#include "mem/efence.h"
#include "mem/gcprog.h"
#include "mem/heap_impl.h"
#include "mem/mem_up.h"

enum {
	GROW_CHUNKS = 16, // 64 MiB at a time, when the system allows
	SCAVENGE_PAGES = 256,
	HALF_PAGES = CHUNK_PAGES / 2, // a huge page
	HALF_WORDS = CHUNK_WORDS / 2,
	HALF_BYTES = HALF_PAGES * HEAP_PAGE,
	AHEAD = 2,       // halves ahead of use: some milliseconds of allocating
	AHEAD_FROM = 16, // chunks that a region has come to: of less that would be a large part
	MAP_AHEAD = 8,   // so many chunks before the last one the next are asked for
};

static_assert((int)POPULATE_BYTES == (int)HALF_BYTES, "heap_populate");

typedef struct PageRegion {
	size_t first;     // its first chunk
	size_t committed; // one past its last usable chunk
	size_t mapped;    // one past the last that the system lets us use, as high or higher
	size_t end;       // one past its last chunk
	size_t search;    // P2
	size_t scavenge;  // P5
	size_t ahead;     // the half chunk from which on memory is wanted ahead of use
	size_t ahead_n;   // so many of them
	bool large;       // more than its first chunk has been used
} PageRegion;

static Mutex pages_lock = MUTEX_INIT(heappages);
static PageRegion regions[REGION_COUNT]; // pages_lock

// pages_lock writes; others read them as they are about now.
static ATOMIC_U64 pages_used;
static ATOMIC_U64 pages_released;
static ATOMIC_U64 pages_committed;
static ATOMIC_U64 pages_peak;     // the most that were in use since heap_take_peak
static ATOMIC_U64 pages_most;     // so much of the arrays is touched, about
static ATOMIC_U64 pages_max = ATOMIC_INIT(UINT64_MAX); // in use, hard
static ATOMIC_U64 pages_fresh;
static ATOMIC_BOOL pages_wanted;   // some region's ahead_n is not 0, and heap_populate is called
static ATOMIC_BOOL populate_fails; // the kernel cannot, or had no memory: it is not asked again

void
pages_init(void)
{
	size_t chunks = heap.limit / (CHUNK_PAGES * (size_t)HEAP_PAGE) / REGION_COUNT;
	for (size_t i = 0; i < REGION_COUNT; i++)
		regions[i] = (PageRegion){
			.first = i * chunks,
			.committed = i * chunks,
			.mapped = i * chunks,
			.end = (i + 1) * chunks,
			.search = i * chunks,
			.scavenge = i * chunks,
		};
}

static PageRegion *
region_of(size_t page)
{
	size_t chunk = page / CHUNK_PAGES;
	PageRegion *r = regions;
	while (chunk >= r->end)
		r++;
	return r;
}

// --- bits of a chunk -----------------------------------------------------------------------------

// The first page from `from` on whose bit is `set`; CHUNK_PAGES when none is.
static uint32_t
next_page(const uint64_t *bits, uint32_t from, bool set)
{
	while (from < CHUNK_PAGES) {
		uint64_t w = bits[from / 64];
		w = (set ? w : ~w) >> (from % 64);
		if (w != 0)
			return from + (uint32_t)__builtin_ctzll(w);
		from = (from / 64 + 1) * 64;
	}
	return CHUNK_PAGES;
}

// P1.
static void
summarize(Chunk *c)
{
	uint32_t longest = 0, run = 0, at = 0;
	c->lead = (uint16_t)next_page(c->used, 0, true);
	while ((at = next_page(c->used, at, false)) < CHUNK_PAGES) {
		uint32_t end = next_page(c->used, at, true);
		run = end - at;
		if (run > longest)
			longest = run;
		at = end;
		if (end < CHUNK_PAGES)
			run = 0;
	}
	c->longest = (uint16_t)longest;
	c->trail = (uint16_t)run;
}

// One past the last used page before `to`, or 0.
static uint32_t
free_since(const uint64_t *used, uint32_t to)
{
	while (to > 0) {
		uint32_t at = (to - 1) % 64;
		uint64_t w = used[(to - 1) / 64] << (63 - at);
		if (w != 0)
			return to - (uint32_t)__builtin_clzll(w);
		to -= at + 1;
	}
	return 0;
}

// P1, after [from, to) has been taken or freed. Only what was cut from the longest run, unless that
// is most of the chunk, makes it necessary to look at the others.
static void
summarize_change(Chunk *c, uint32_t from, uint32_t to, bool used)
{
	uint32_t lo = free_since(c->used, from), hi = next_page(c->used, to, true);
	assert(!used || hi - lo <= c->longest);
	if (used && hi - lo == c->longest) {
		uint32_t rest = from - lo > hi - to ? from - lo : hi - to;
		if (rest < CHUNK_PAGES - (hi - lo)) {
			summarize(c);
			return;
		}
		c->longest = (uint16_t)rest; // there is no room for a longer one elsewhere
	}
	if (lo == 0)
		c->lead = (uint16_t)(used ? from : hi);
	if (hi == CHUNK_PAGES)
		c->trail = (uint16_t)(CHUNK_PAGES - (used ? to : lo));
	if (!used && hi - lo > c->longest)
		c->longest = (uint16_t)(hi - lo);
}

// The first page of a free run of n in c, which has one.
static uint32_t
find_run(const Chunk *c, uint32_t n)
{
	uint32_t at = 0;
	for (;;) {
		at = next_page(c->used, at, false);
		uint32_t end = next_page(c->used, at, true);
		if (end - at >= n)
			return at;
		at = end;
	}
}

static uint64_t
mask_of(uint32_t from, uint32_t n)
{
	return (n >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << n) - 1) << from;
}

typedef struct Untouched {
	size_t released, fresh; // pages
} Untouched;

// Sets or clears the used bits of pages [from, to) of one chunk; see set_used.
static Untouched
set_used_in(Chunk *c, uint32_t from, uint32_t to, bool used)
{
	Untouched was = {0, 0};
	for (uint32_t at = from; at < to;) {
		uint32_t bit = at % 64, n = 64 - bit < to - at ? 64 - bit : to - at;
		uint64_t mask = mask_of(bit, n);
		uint64_t *u = &c->used[at / 64], *r = &c->released[at / 64];
		uint64_t *f = &c->fresh[at / 64];
		*u = used ? *u | mask : *u & ~mask;
		was.released += (size_t)__builtin_popcountll(*r & mask);
		was.fresh += (size_t)__builtin_popcountll(*f & mask);
		*r &= ~mask;
		*f &= ~mask;
		at += n;
	}
	summarize_change(c, from, to, used);
	return was;
}

// Sets or clears the used bits of a run; returns how many of its pages were released and fresh.
// Those are no longer.
static Untouched
set_used(size_t page, size_t n, bool used)
{
	Untouched was = {0, 0};
	for (size_t end = page + n; page < end;) {
		size_t from = page % CHUNK_PAGES, left = end - page;
		size_t to = left < CHUNK_PAGES - from ? from + left : CHUNK_PAGES;
		Untouched in = set_used_in(&heap_chunk_table[page / CHUNK_PAGES], (uint32_t)from,
					   (uint32_t)to, used);
		was.released += in.released;
		was.fresh += in.fresh;
		page += to - from;
	}
	return was;
}

// --- finding -------------------------------------------------------------------------------------

static void
advise_huge(size_t chunk, size_t n)
{
	if (n != 0)
		os_huge_pages(heap_page_addr(chunk * CHUNK_PAGES), n * CHUNK_PAGES * HEAP_PAGE);
}

// A region begins with small pages: a program that needs little memory has little, and does not
// wait for the kernel to clear a huge page of each region. Now it needs more.
static void
first_is_full(PageRegion *r)
{
	r->large = true;
	advise_huge(r->first, 1);
}

// Asks the system for chunks [from, to) of r. Any number may ask for the same.  Locks: any.
static bool
map_chunks(const PageRegion *r, size_t from, size_t to)
{
	if (!heap_commit(from, to))
		return false;
	size_t small = from == r->first; // see first_is_full
	advise_huge(from + small, to - from - small);
	return true;
}

static bool
map_to(PageRegion *r, size_t end)
{
	if (end > r->mapped) {
		if (!map_chunks(r, r->mapped, end))
			return false;
		r->mapped = end;
	}
	return true;
}

// Commits chunks at the end of r, so that n more pages may fit.
static bool
grow(PageRegion *r, size_t n)
{
	size_t need = (n + CHUNK_PAGES - 1) / CHUNK_PAGES, room = r->end - r->committed;
	if (need > room)
		return false;
	size_t chunks = need > GROW_CHUNKS ? need : room < GROW_CHUNKS ? room : GROW_CHUNKS;
	if (!map_to(r, r->committed + chunks)) {
		chunks = need;
		if (!map_to(r, r->committed + chunks))
			return false;
	}
	for (size_t i = r->committed; i < r->committed + chunks; i++) {
		Chunk *c = &heap_chunk_table[i];
		memset(c->released, 0xff, sizeof(c->released));
		c->lead = c->trail = c->longest = CHUNK_PAGES;
		if (i == 0) { // P4
			c->used[0] = 1;
			summarize(c);
		}
	}
	r->committed += chunks;
	own_add(&pages_committed, chunks * CHUNK_PAGES);
	own_add(&pages_released, chunks * CHUNK_PAGES);
	return true;
}

// The first page of the lowest free run of n in r; SIZE_MAX when there is none.
static size_t
find(PageRegion *r, size_t n)
{
	while (r->search < r->committed && heap_chunk_table[r->search].longest == 0)
		r->search++;
	size_t run = 0; // free pages right before chunk i
	for (size_t i = r->search; i < r->committed; i++) {
		const Chunk *c = &heap_chunk_table[i];
		if (run + c->lead >= n)
			return i * CHUNK_PAGES - run;
		if (c->longest >= n)
			return i * CHUNK_PAGES + find_run(c, (uint32_t)n);
		run = c->lead == CHUNK_PAGES ? run + CHUNK_PAGES : c->trail;
	}
	return SIZE_MAX;
}

static size_t
find_or_grow(PageRegion *r, size_t n)
{
	size_t page = find(r, n);
	if (page == SIZE_MAX && grow(r, n))
		page = find(r, n);
	if (!r->large && page != SIZE_MAX && page + n > (r->first + 1) * CHUNK_PAGES)
		first_is_full(r);
	return page;
}

// Somewhere in the region if there is room, else in another; SIZE_MAX: nowhere. At a multiple of
// `align` pages of the address space; those before and behind that are not needed stay free.
static size_t
find_anywhere(size_t npages, size_t align, Region region)
{
	uint64_t used = load_rlx(&pages_used), max = load_rlx(&pages_max); // order: hint
	if (used > max || npages > max - used)
		return SIZE_MAX;
	size_t room = npages + align - 1;
	size_t page = find_or_grow(&regions[region], room);
	for (int i = 0; i < REGION_COUNT && page == SIZE_MAX; i++)
		page = find_or_grow(&regions[i], room);
	if (page != SIZE_MAX)
		page += -(heap.base / HEAP_PAGE + page) & (align - 1);
	return page;
}

static void
count_used(size_t npages)
{
	uint64_t used = load_rlx(&pages_used) + npages; // order: own, under the lock
	store_rlx(&pages_used, used);                   // order: count
	if (used > load_rlx(&pages_peak))               // order: hint
		store_rlx(&pages_peak, used);           // order: count
	if (used > load_rlx(&pages_most))               // order: own, under the lock
		store_rlx(&pages_most, used);           // order: count
}

// Half a chunk that has given back some of its pages gets no huge page, or the kernel would fill it
// again at its leisure. One that has all its memory, or none, may.
static void
advise_half(size_t chunk, uint32_t half)
{
	Chunk *c = &heap_chunk_table[chunk];
	uint64_t any = 0, all = ~(uint64_t)0;
	const uint64_t *released = c->released + half * HALF_WORDS;
	for (int i = 0; i < HALF_WORDS; i++) {
		any |= released[i];
		all &= released[i];
	}
	bool in_parts = any != 0 && ~all != 0;
	if (in_parts == c->in_parts[half])
		return;
	c->in_parts[half] = in_parts;
	char *at = heap_page_addr(chunk * CHUNK_PAGES + half * HALF_PAGES);
	if (in_parts)
		os_no_huge_pages(at, HALF_BYTES);
	else
		os_huge_pages(at, HALF_BYTES);
}

// Pages that had been given back are in use.
static void
took_back(size_t page, size_t npages)
{
	for (size_t at = page / HALF_PAGES; at <= (page + npages - 1) / HALF_PAGES; at++)
		if (heap_chunk_table[at / 2].in_parts[at % 2])
			advise_half(at / 2, at % 2);
}

// --- ahead of use --------------------------------------------------------------------------------
//
// Who touches a page first waits for the kernel to clear it: a tenth of a millisecond for a huge
// page, and ten of these where a hypervisor has to find the memory. So whoever takes such pages in
// a region that grows has those behind them made present by another thread, meanwhile.
//
// Regions are committed by who allocates alone: the collector numbers chunks while the world stands
// still, and the other thread does not. It asks the system for them, though, which takes long.

static bool
half_is_released(size_t half)
{
	const uint64_t *released =
	    heap_chunk_table[half / 2].released + half % 2 * HALF_WORDS;
	for (int i = 0; i < HALF_WORDS; i++)
		if (~released[i] != 0)
			return false;
	return true;
}

// Whether there may be memory behind what follows page `end` of r. Never with fences: whoever needs
// pages may ask the system for the same chunks and put a fence there, before the other thread asks
// for them and so opens it.
static bool
may_be_ahead(const PageRegion *r, size_t end)
{
	if (fenced())
		return false;
	uint64_t used = load_rlx(&pages_used), max = load_rlx(&pages_max); // order: hint
	return end >= (r->first + AHEAD_FROM) * CHUNK_PAGES && used < max &&
	       max - used >= AHEAD * HALF_PAGES && !load_rlx(&populate_fails); // order: hint
}

// Pages below `end` have been taken that nobody had touched. True: heap_populate is to be called,
// and nobody has said so yet.
static bool
look_ahead(PageRegion *r, size_t end)
{
	size_t next = (end + HALF_PAGES - 1) / HALF_PAGES;
	if (!may_be_ahead(r, end) || (next + AHEAD > 2 * r->committed && !grow(r, HALF_PAGES)))
		return false;
	if (!half_is_released(next + AHEAD - 1))
		return false;
	r->ahead = next;
	r->ahead_n = AHEAD;
	bool known = load_rlx(&pages_wanted); // order: own, under the lock
	store_rlx(&pages_wanted, true);       // order: hint
	return !known;
}

bool
heap_pages_wanted(void)
{
	return load_rlx(&pages_wanted); // order: hint
}

// The next half chunk that is wanted and has no memory; SIZE_MAX: none. The regions take turns.
// Locks: pages_lock.
static size_t
next_ahead(void)
{
	static int turn; // pages_lock
	for (int i = 0; i < REGION_COUNT; i++) {
		turn = (turn + 1) % REGION_COUNT;
		PageRegion *r = &regions[turn];
		while (r->ahead_n > 0) {
			r->ahead_n--;
			if (half_is_released(r->ahead++))
				return r->ahead - 1;
		}
	}
	return SIZE_MAX;
}

static void
forget_wishes(void)
{
	for (int k = 0; k < REGION_COUNT; k++)
		regions[k].ahead_n = 0;
}

// The half chunk has memory, where nobody has taken it since; or some of it, if the kernel had no
// more. What was taken and given back to the system in between is called fresh, too: it is zero.
static void
mark_fresh(size_t half)
{
	Chunk *c = &heap_chunk_table[half / 2];
	uint64_t n = 0;
	for (size_t i = half % 2 * HALF_WORDS; i < (half % 2 + 1) * HALF_WORDS; i++) {
		n += (uint64_t)__builtin_popcountll(c->released[i]);
		c->fresh[i] |= c->released[i];
		c->released[i] = 0;
	}
	own_add(&pages_released, -n);
	own_add(&pages_fresh, n);
	if (c->in_parts[half % 2])
		advise_half(half / 2, (uint32_t)(half % 2));
	PageRegion *r = region_of(half * HALF_PAGES);
	if (half / 2 >= r->scavenge)
		r->scavenge = half / 2 + 1; // P5
}

static bool
any_wish(void)
{
	bool any = false;
	for (int k = 0; k < REGION_COUNT; k++)
		any |= regions[k].ahead_n > 0;
	return any;
}

// The next chunks of a region that is about to need more of them than it has.
static void
map_ahead(size_t half)
{
	mutex_lock(&pages_lock);
	PageRegion *r = region_of(half * HALF_PAGES);
	size_t from = r->mapped, to = from + GROW_CHUNKS;
	bool wanted = from == r->committed && half / 2 + MAP_AHEAD >= from && to <= r->end;
	mutex_unlock(&pages_lock); // others need pages
	if (!wanted || !map_chunks(r, from, to))
		return;
	mutex_lock(&pages_lock);
	r->mapped = to > r->mapped ? to : r->mapped;
	mutex_unlock(&pages_lock);
}

bool
heap_populate(void)
{
	mutex_lock(&pages_lock);
	size_t half = next_ahead();
	if (half == SIZE_MAX)
		store_rlx(&pages_wanted, false); // order: own, under the lock
	mutex_unlock(&pages_lock);
	if (half == SIZE_MAX)
		return false;
	int err = heap_make_present(half * HALF_PAGES, HALF_PAGES);
	mutex_lock(&pages_lock);
	if (err != 0) {
		store_rlx(&populate_fails, true); // order: hint
		forget_wishes();
	}
	if (err != -EINVAL) // else it has none of it
		mark_fresh(half);
	store_rlx(&pages_wanted, any_wish()); // order: own, under the lock
	mutex_unlock(&pages_lock);
	if (err == 0)
		map_ahead(half);
	return true;
}

// --- taking and freeing --------------------------------------------------------------------------

PageRun
pages_alloc(size_t npages, size_t align, Region region)
{
	mutex_lock(&pages_lock);
	size_t page = find_anywhere(npages, align, region);
	PageRun run = {page, page != SIZE_MAX, false};
	bool wants = false;
	if (run.ok) {
		Untouched was = set_used(page, npages, true);
		count_used(npages);
		own_add(&pages_released, -(uint64_t)was.released);
		own_add(&pages_fresh, -(uint64_t)was.fresh);
		if (was.released != 0)
			took_back(page, npages);
		if (was.released + was.fresh != 0)
			wants = look_ahead(region_of(page), page + npages);
		run.zeroed = was.released + was.fresh == npages;
	}
	mutex_unlock(&pages_lock);
	if (unlikely(wants))
		up_pages_wanted();
	return run;
}

void
pages_free(size_t page, size_t npages)
{
	mutex_lock(&pages_lock);
	set_used(page, npages, false);
	own_add(&pages_used, -(uint64_t)npages);
	PageRegion *r = region_of(page);
	if (page / CHUNK_PAGES < r->search)
		r->search = page / CHUNK_PAGES;
	if ((page + npages - 1) / CHUNK_PAGES >= r->scavenge)
		r->scavenge = (page + npages - 1) / CHUNK_PAGES + 1;
	mutex_unlock(&pages_lock);
}

// --- giving back ---------------------------------------------------------------------------------

// A chunk without a page in use or with memory needs none in the arrays beside the heap.
static void
forget_if_unused(size_t chunk)
{
	const Chunk *c = &heap_chunk_table[chunk];
	for (int i = 0; i < CHUNK_WORDS; i++)
		if (c->used[i] != 0 || ~c->released[i] != 0)
			return;
	heap_forget(chunk);
	uint64_t most = load_rlx(&pages_most), used = load_rlx(&pages_used); // order: own
	most = most > CHUNK_PAGES ? most - CHUNK_PAGES : 0;
	store_rlx(&pages_most, most > used ? most : used); // order: count
}

typedef struct Pages {
	uint32_t from, end; // of a chunk; the same: none
} Pages;

// The first run of pages that have memory to give back, of whole pages of the system. With `ahead`
// also of what was made present ahead of use.
static Pages
releasable(const Chunk *c, bool ahead)
{
	uint32_t whole = (uint32_t)((os_page_bytes() + HEAP_PAGE - 1) / HEAP_PAGE);
	uint64_t busy[CHUNK_WORDS];
	for (int i = 0; i < CHUNK_WORDS; i++)
		busy[i] = c->used[i] | c->released[i] | (ahead ? 0 : c->fresh[i]);
	Pages run = {0, 0};
	while ((run.from = next_page(busy, run.end, false)) < CHUNK_PAGES) {
		run.end = next_page(busy, run.from, true);
		Pages fit = {(run.from + whole - 1) & ~(whole - 1), run.end & ~(whole - 1)};
		if (fit.end > fit.from)
			return fit;
	}
	return (Pages){0, 0};
}

// The pages have been given back.
static void
mark_released(Chunk *c, Pages run)
{
	for (uint32_t i = run.from; i < run.end; i++) {
		uint64_t bit = (uint64_t)1 << (i % 64);
		own_add(&pages_fresh, (c->fresh[i / 64] & bit) != 0 ? UINT64_MAX : 0);
		c->released[i / 64] |= bit;
		c->fresh[i / 64] &= ~bit;
	}
	own_add(&pages_released, run.end - run.from);
}

// Releases free pages of one chunk, at most a few; returns how many.
static size_t
release_some(size_t chunk, bool ahead)
{
	Chunk *c = &heap_chunk_table[chunk];
	Pages run = releasable(c, ahead);
	if (run.from == run.end)
		return 0;
	if (run.end - run.from > SCAVENGE_PAGES)
		run.end = run.from + SCAVENGE_PAGES;
	char *at = heap_page_addr(chunk * CHUNK_PAGES + run.from);
	if (os_decommit(at, (size_t)(run.end - run.from) * HEAP_PAGE) != 0)
		return 0;
	mark_released(c, run);
	advise_half(chunk, run.from / HALF_PAGES);
	if ((run.end - 1) / HALF_PAGES != run.from / HALF_PAGES)
		advise_half(chunk, 1);
	forget_if_unused(chunk);
	return run.end - run.from;
}

static bool
has_fresh(size_t chunk)
{
	uint64_t any = 0;
	for (int i = 0; i < CHUNK_WORDS; i++)
		any |= heap_chunk_table[chunk].fresh[i];
	return any != 0;
}

// From the high end down, since low pages are used first. At most `want` pages, or some more.
static size_t
scavenge_region(PageRegion *r, size_t want, bool ahead)
{
	size_t got = 0;
	mutex_lock(&pages_lock);
	size_t end = r->scavenge;
	bool kept = false; // something behind `end` that is to go another time
	while (got < want && end > r->first) {
		size_t n = release_some(end - 1, ahead);
		got += n;
		if (n == 0) {
			kept |= has_fresh(--end);
			if (!kept && r->scavenge == end + 1)
				r->scavenge = end; // P5
		}
		mutex_unlock(&pages_lock); // others need pages
		mutex_lock(&pages_lock);
	}
	mutex_unlock(&pages_lock);
	return got;
}

size_t
heap_scavenge(size_t bytes, bool ahead)
{
	size_t want = bytes / HEAP_PAGE, got = 0;
	for (int k = 0; k < REGION_COUNT && got < want; k++)
		got += scavenge_region(&regions[k], want - got, ahead);
	return got * HEAP_PAGE;
}

// --- walking ------------------------------------------------------------------------------------

// STW, so without the lock.
size_t
heap_chunks(void)
{
	size_t n = 0;
	for (int i = 0; i < REGION_COUNT; i++)
		n += regions[i].committed - regions[i].first;
	return n;
}

size_t
chunk_number(size_t i)
{
	const PageRegion *r = regions;
	while (i >= r->committed - r->first) {
		i -= r->committed - r->first;
		r++;
	}
	return r->first + i;
}

// STW: nobody but the monitor, which is not stopped, can have the lock.
void
pages_hold(void)
{
	mutex_lock(&pages_lock);
}

void
pages_let_go(void)
{
	mutex_unlock(&pages_lock);
}

// P3, and that they are zero, of which the first word is a sample.
ANY_MEMORY static void
verify_fresh(size_t chunk, WrongFn *wrong)
{
	const Chunk *c = &heap_chunk_table[chunk];
	for (size_t i = 0; i < CHUNK_PAGES; i++) {
		uint64_t bit = (uint64_t)1 << i % 64;
		if ((c->fresh[i / 64] & bit) == 0)
			continue;
		const uint64_t *at = (void *)heap_page_addr(chunk * CHUNK_PAGES + i);
		if (((c->used[i / 64] | c->released[i / 64]) & bit) != 0)
			wrong("a fresh page is in use, or released", (uintptr_t)at, 1, 0);
		else if (*at != 0)
			wrong("a fresh page is not zero", (uintptr_t)at, *at, 0);
	}
}

// P2, P3.
void
pages_verify(WrongFn *wrong)
{
	for (int k = 0; k < REGION_COUNT; k++)
		for (size_t i = regions[k].first; i < regions[k].search; i++)
			if (heap_chunk_table[i].longest != 0)
				wrong("a free page below where the search begins",
				      (uintptr_t)heap_page_addr(i * CHUNK_PAGES), 1, 0);
	for (size_t i = 0; i < heap_chunks(); i++)
		verify_fresh(chunk_number(i), wrong);
}

void
chunk_each_span(size_t chunk, void (*fn)(void *ctx, Mspan *s), void *ctx)
{
	chunk = chunk_number(chunk);
	const Chunk *c = &heap_chunk_table[chunk];
	uint32_t at = 0;
	while ((at = next_page(c->used, at, true)) < CHUNK_PAGES) {
		size_t page = chunk * CHUNK_PAGES + at;
		const PageInfo *pi = &heap.info[page];
		uint32_t npages = 1;
		// order: STW. A page in use without a span has just been taken, or is given back
		if (load_rlx(&pi->state) != SPAN_NONE && pi->back == 0) {
			npages = heap.spans[page].npages;
			fn(ctx, &heap.spans[page]);
		}
		at += npages < CHUNK_PAGES - at ? npages : CHUNK_PAGES - at;
	}
}

// --- numbers ------------------------------------------------------------------------------------

// A page in use is so much of the arrays; that of types is touched only here and there.
enum { META_BYTES = sizeof(PageInfo) + sizeof(Mspan) + 2 * PAGE_WORDS * sizeof(uint64_t) };

// Without the lock: the numbers may be of moments apart, and a difference is never taken below 0.
void
heap_counts(HeapCounts *c)
{
	// order: count, all
	uint64_t released = load_rlx(&pages_released), used = load_rlx(&pages_used);
	uint64_t committed = load_rlx(&pages_committed);
	uint64_t free = committed > used + released ? committed - used - released : 0;
	*c = (HeapCounts){
		.reserved = committed * HEAP_PAGE,
		.in_use = used * HEAP_PAGE,
		.free = free * HEAP_PAGE,
		.released = released * HEAP_PAGE,
		.meta = load_rlx(&pages_most) * META_BYTES + gcprog_bytes(),
	};
}

uint64_t
heap_fresh_bytes(void)
{
	return load_rlx(&pages_fresh) * HEAP_PAGE; // order: count
}

uint64_t
heap_used_bytes(void)
{
	return load_rlx(&pages_used) * HEAP_PAGE; // order: count
}

uint64_t
heap_take_peak(void)
{
	uint64_t peak = load_rlx(&pages_peak), used = load_rlx(&pages_used); // order: count
	store_rlx(&pages_peak, used); // order: count; a higher one that is lost comes again
	return (peak > used ? peak : used) * HEAP_PAGE;
}

void
heap_set_max(uint64_t bytes)
{
	store_rlx(&pages_max, bytes / HEAP_PAGE); // order: hint
}
