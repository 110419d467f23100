// SPDX-License-Identifier: BSD-3-Clause
// The block profile: where Go code waited, how often and how long. The mutex profile: where it gave
// up what others had waited for, and how long they had.
//
// Events are counted by stack, in a table for each profile. The rates are variables that inlined
// code sets: of blocking, events shorter than so many nanoseconds are taken by chance, in
// proportion to their length, and stand for more of them; of mutexes, one event in so many.
//
// Invariants:
//   B1  A bucket's stack is complete before its number is in its chain; buckets stay.
// Locks:  blocking_lock, rank leaf.
#include "gccgo/blocking.h"

#include "gccgo/callers.h"

enum { FRAMES = 32, BUCKETS_MAX = 1 << 13, CHAINS = 1 << 10 };

typedef struct Bucket {
	uint64_t hash;
	uint32_t next;  // in its chain; 0: the last
	uint32_t n_pcs;
	double count;   // blocking_lock
	int64_t cycles; // blocking_lock; nanoseconds
	uintptr_t pcs[FRAMES];
} Bucket;

typedef struct Table {
	Bucket *buckets; // blocking_lock; entry 0 is not used
	uint32_t n;      // blocking_lock: the last number
	uint32_t chains[CHAINS];
} Table;

// runtime.BlockProfileRecord
typedef struct BlockRecord {
	int64_t count, cycles;
	uintptr_t stack[FRAMES];
} BlockRecord;
static_assert(sizeof(BlockRecord) == 272, "what programs were compiled with");

static Mutex blocking_lock = MUTEX_INIT(leaf);
static Table blocked, contended; // blocking_lock

GODATA("runtime.blockprofilerate", ProfileRate, block_profile_rate) = ATOMIC_INIT(0);
GODATA("runtime.mutexprofilerate", ProfileRate, mutex_profile_rate) = ATOMIC_INIT(0);

// --- events --------------------------------------------------------------------------------------

static bool
same(const Bucket *b, uint64_t hash, const uintptr_t *pcs, size_t n)
{
	return b->hash == hash && b->n_pcs == n && memcmp(b->pcs, pcs, n * sizeof(*pcs)) == 0;
}

// NULL: no memory, or there are too many.  Locks: blocking_lock held.
static Bucket *
bucket_of(Table *t, const uintptr_t *pcs, size_t n)
{
	uint64_t hash = n;
	for (size_t i = 0; i < n; i++)
		hash = base_mix(hash ^ pcs[i]);
	uint32_t *chain = &t->chains[hash % CHAINS];
	for (uint32_t i = *chain; i != 0; i = t->buckets[i].next)
		if (same(&t->buckets[i], hash, pcs, n))
			return &t->buckets[i];
	if (t->buckets == NULL)
		t->buckets = os_map(BUCKETS_MAX * sizeof(Bucket), os_page_bytes());
	if (t->buckets == NULL || t->n + 1 == BUCKETS_MAX)
		return NULL;
	Bucket *b = &t->buckets[++t->n];
	*b = (Bucket){.hash = hash, .next = *chain, .n_pcs = (uint32_t)n};
	memcpy(b->pcs, pcs, n * sizeof(*pcs));
	*chain = t->n;
	return b;
}

static void
count(Table *t, double times, double cycles, size_t skip)
{
	uintptr_t pcs[FRAMES];
	size_t n = callers_beyond(pcs, callers_of_go(pcs, FRAMES), skip);
	sched_enter();
	mutex_lock(&blocking_lock);
	Bucket *b = bucket_of(t, pcs, n);
	if (b != NULL) {
		b->count += times;
		b->cycles += (int64_t)cycles;
	}
	mutex_unlock(&blocking_lock);
	sched_leave();
}

static uint64_t
chance(void)
{
	return base_rand(&sched_m()->rand) >> 16;
}

// Who has waited for a lock is asked where he is as soon as he has it. So the first who may wait
// reads the debug information before, outside of the runtime, as that takes long.
static void
prepare(void)
{
	static ATOMIC(bool) begun;
	if (likely(load_rlx(&begun)) || xchg_rlx(&begun, true)) // order: hint; order: claim
		return;
	sched_leave();
	callers_prepare();
	sched_enter();
}

// The wait is forgotten, so that it is known afterwards whether there was one.
int64_t
blocking_begin_slow(void)
{
	prepare();
	store_rlx(&sched_g()->wait, (uint8_t)WAIT_none); // order: own
	return os_nanotime();
}

static void
count_wait(uint64_t ns)
{
	uint64_t rate = load_rlx(&block_profile_rate); // order: hint
	if (rate == 0)
		return;
	if (ns >= rate)
		count(&blocked, 1, (double)ns, 0);
	else if (chance() % rate <= ns)
		count(&blocked, (double)rate / (double)ns, (double)rate, 0);
}

void
blocking_end_slow(int64_t since)
{
	if (load_rlx(&sched_g()->wait) == WAIT_none) // order: own
		return;
	int64_t now = os_nanotime();
	count_wait(now > since ? (uint64_t)(now - since) : 1);
}

// Tests of package runtime/pprof report waits of their own.
GOFUNC("runtime.blockevent", void, rt_blockevent, (int64_t cycles, Int skip))
{
	(void)skip;
	count_wait(cycles > 0 ? (uint64_t)cycles : 1);
}

void
contention_end(int64_t waited_ns, size_t skip)
{
	uint64_t rate = load_rlx(&mutex_profile_rate); // order: hint
	if (rate != 0 && chance() % rate == 0)
		count(&contended, (double)rate, (double)rate * (double)waited_ns, skip);
}

// --- reading -------------------------------------------------------------------------------------

typedef struct Records {
	Int n;
	bool ok;
} Records;

static Records
records_of(const Table *t, Slice to)
{
	BlockRecord *r = to.p;
	sched_enter();
	mutex_lock(&blocking_lock);
	Records all = {t->n, (Int)t->n <= to.len};
	for (uint32_t i = 1; i <= t->n && all.ok; i++) {
		const Bucket *b = &t->buckets[i];
		BlockRecord *one = &r[i - 1];
		*one = (BlockRecord){.count = (int64_t)b->count, .cycles = b->cycles};
		memcpy(one->stack, b->pcs, b->n_pcs * sizeof(b->pcs[0]));
	}
	mutex_unlock(&blocking_lock);
	sched_leave();
	return all;
}

GOFUNC("runtime.BlockProfile", Records, rt_blockprofile, (Slice records))
{
	return records_of(&blocked, records);
}
GOVALUE("runtime.BlockProfile", rt_blockprofile);

GOFUNC("runtime.MutexProfile", Records, rt_mutexprofile, (Slice records))
{
	return records_of(&contended, records);
}
GOVALUE("runtime.MutexProfile", rt_mutexprofile);

// Ticks are nanoseconds here.
GOFUNC("runtime.SetBlockProfileRate", void, rt_setblockprofilerate, (Int rate))
{
	store_rlx(&block_profile_rate, rate > 0 ? (uint64_t)rate : 0); // order: hint
}
GOVALUE("runtime.SetBlockProfileRate", rt_setblockprofilerate);

GOFUNC("runtime.SetMutexProfileFraction", Int, rt_setmutexprofilefraction, (Int rate))
{
	uint64_t old = load_rlx(&mutex_profile_rate); // order: hint
	if (rate >= 0)
		old = xchg_rlx(&mutex_profile_rate, (uint64_t)rate); // order: hint
	return (Int)old;
}
GOVALUE("runtime.SetMutexProfileFraction", rt_setmutexprofilefraction);
