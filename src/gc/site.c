// SPDX-License-Identifier: BSD-3-Clause
// Where objects come from.
//
// A site is a call stack together with a sort of object: size, kind, type. Each gets a number, for
// ever. The heap profile counts samples by site; with GODEBUG=allocsites=n every object's number is
// kept, in a table beside the heap with an entry for each 16 bytes.
//
// A stack begins with the function of the library that the program called.
//
// Invariants:
//   T1  A site is complete before its number is in `count` (release) or in a bucket (the lock).
// Locks:  site_lock, rank leaf.
#include "gc/site.h"

#include <string.h>

#include "base/godebug.h"
#include "gc/gc_up.h"
#include "os/os.h"

enum {
	BUCKETS = 1 << 14,
	FRAMES_DEFAULT = 8,  // of the program's, when a leak report wants some
};

static Mutex site_lock = MUTEX_INIT(leaf);
static Site *sites;               // site_lock; entry 0 is not used
static uint32_t *buckets;         // site_lock; of BUCKETS, with the sites
static ATOMIC_U32 count;          // site_lock writes; T1
static uint32_t *objsites;        // set before the first allocation; NULL: off
static size_t objsites_frames;    // the same

static bool
same_site(const Site *a, const Site *b)
{
	return a->hash == b->hash && a->n_pcs == b->n_pcs && a->kind == b->kind &&
	       a->bytes == b->bytes && a->type == b->type &&
	       memcmp(a->pcs, b->pcs, a->n_pcs * sizeof(a->pcs[0])) == 0;
}

static uint64_t
hash_site(const Site *s)
{
	uint64_t h = base_mix(s->bytes ^ (uint64_t)s->kind << 56 ^ (uintptr_t)s->type << 8);
	for (uint16_t i = 0; i < s->n_pcs; i++)
		h = base_mix(h ^ s->pcs[i]);
	return h;
}

// No static arrays: each cycle would look for pointers there.  Locks: site_lock held.
static bool
have_memory(void)
{
	size_t bytes = SITES_MAX * sizeof(Site);
	if (sites != NULL)
		return true;
	char *p = os_map(bytes + BUCKETS * sizeof(*buckets), os_page_bytes());
	if (p == NULL)
		return false;
	buckets = (uint32_t *)(void *)(p + bytes);
	sites = (Site *)(void *)p;
	return true;
}

// Locks: site_lock held.
static uint32_t
add_site(const Site *s, uint32_t *bucket)
{
	uint32_t number = load_rlx(&count) + 1; // order: own, under the lock
	if (number >= SITES_MAX)
		return 0;
	sites[number] = *s;
	sites[number].next = *bucket;
	*bucket = number;
	store_rel(&count, number); // order: publish -> sites_count, T1
	return number;
}

// Locks: site_lock held.
static uint32_t
find_or_add(const Site *s)
{
	uint32_t *bucket = &buckets[s->hash % BUCKETS], number = *bucket;
	while (number != 0 && !same_site(&sites[number], s))
		number = sites[number].next;
	return number != 0 ? number : add_site(s, bucket);
}

uint32_t
site_here(size_t frames, size_t bytes, Kind kind, const HeapType *type)
{
	Site s = {.kind = (uint8_t)kind, .bytes = bytes, .type = type};
	s.n_pcs = (uint16_t)up_callers(s.pcs, frames < SITE_FRAMES ? frames : SITE_FRAMES);
	s.hash = hash_site(&s);
	mutex_lock(&site_lock);
	uint32_t number = have_memory() ? find_or_add(&s) : 0;
	mutex_unlock(&site_lock);
	return number;
}

Site *
site_of(uint32_t number)
{
	return &sites[number];
}

uint32_t
sites_count(void)
{
	return load_acq(&count); // order: observe <- add_site, T1
}

// --- of every object ----------------------------------------------------------------------------

void
objsites_start(void)
{
	int64_t frames = godebug.allocsites;
	if (frames <= 0 && godebug.leaks != 0)
		frames = FRAMES_DEFAULT;
	if (frames <= 0)
		return;
	objsites_frames = (size_t)frames + 1; // the first is in the function that was called
	objsites = os_map(heap.limit / SLOT_MIN * sizeof(*objsites), os_page_bytes());
	if (objsites == NULL)
		print_str("runtime: allocsites: no memory for the table\n");
}

bool
objsites_on(void)
{
	return objsites != NULL;
}

static uint32_t *
entry_of(Slot s)
{
	return &objsites[((uintptr_t)slot_addr(s) - heap.base) / SLOT_MIN];
}

void
objsites_note(void *p, const HeapType *type)
{
	Slot s = heap_slot((uintptr_t)p);
	*entry_of(s) = site_here(objsites_frames, slot_bytes(s), (Kind)s.info->kind, type);
}

uint32_t
objsites_get(Slot s)
{
	return objsites != NULL ? *entry_of(s) : 0;
}
