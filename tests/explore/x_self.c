// SPDX-License-Identifier: BSD-3-Clause
// The explorer's proof of itself: litmus tests whose answers are known.
//
// Each test names the outcomes that have to turn up (a model that is too strong would hide bugs of
// the runtime) and those that never may (one that is too weak would cry wolf). Tests with must_fail
// plant a bug that has to be found. Outcome numbers are the two or more values read, as the bits of
// one number: outcome 2 of store buffering is r0 = 0, r1 = 1 (bit i belongs to thread i).
#include "explore.h"

#include <string.h>

static ATOMIC_U32 x, y, z;
static uint32_t r[8];
static int plain_data;

static void
init(void)
{
	memset(&x, 0, sizeof(x));
	memset(&y, 0, sizeof(y));
	memset(&z, 0, sizeof(z));
	memset(r, 0, sizeof(r));
	plain_data = 0;
}

#define OUT(n) (UINT64_C(1) << (n))

// --- store buffering: 0 is both read 0 --------------------------------------------------------
static void
sb_final(void)
{
	explore_outcome(r[0] | r[1] << 1);
}

static void
sb_release_acquire(int id)
{
	store_rel(id == 0 ? &x : &y, 1);
	r[id] = load_acq(id == 0 ? &y : &x);
}

static void
sb_seq(int id)
{
	store_rlx(id == 0 ? &x : &y, 1);
	fence_seq();
	r[id] = load_rlx(id == 0 ? &y : &x);
}

static void
sb_one_seq(int id)
{
	store_rlx(id == 0 ? &x : &y, 1);
	if (id == 0)
		fence_seq();
	r[id] = load_rlx(id == 0 ? &y : &x);
}

static void
sb_light_heavy(int id)
{
	store_rlx(id == 0 ? &x : &y, 1);
	if (id == 0)
		fence_light();
	else
		fence_heavy();
	r[id] = load_rlx(id == 0 ? &y : &x);
}

static void
sb_light_light(int id)
{
	store_rlx(id == 0 ? &x : &y, 1);
	fence_light();
	r[id] = load_rlx(id == 0 ? &y : &x);
}

static void
sb_seq_heavy(int id)
{
	store_rlx(id == 0 ? &x : &y, 1);
	if (id == 0)
		fence_seq();
	else
		fence_heavy();
	r[id] = load_rlx(id == 0 ? &y : &x);
}

static void
sb_rmw(int id) // a read-modify-write is no fence
{
	(void)xchg_ar(id == 0 ? &x : &y, 1);
	r[id] = load_acq(id == 0 ? &y : &x);
}

// --- message passing: 1 is flag seen, data not; 3 both ----------------------------------------
static void
mp_final(void)
{
	explore_outcome(r[0] | r[1] << 1);
}

static void
mp_release_acquire(int id)
{
	if (id == 0) {
		store_rlx(&x, 1);
		store_rel(&y, 1);
	} else {
		r[0] = load_acq(&y);
		r[1] = load_rlx(&x);
	}
}

static void
mp_relaxed_store(int id)
{
	if (id == 0) {
		store_rlx(&x, 1);
		store_rlx(&y, 1);
	} else {
		r[0] = load_acq(&y);
		r[1] = load_rlx(&x);
	}
}

static void
mp_relaxed_load(int id)
{
	if (id == 0) {
		store_rlx(&x, 1);
		store_rel(&y, 1);
	} else {
		r[0] = load_rlx(&y);
		r[1] = load_rlx(&x);
	}
}

static void
mp_fences(int id)
{
	if (id == 0) {
		store_rlx(&x, 1);
		fence_rel();
		store_rlx(&y, 1);
	} else {
		r[0] = load_rlx(&y);
		fence_acq();
		r[1] = load_rlx(&x);
	}
}

static void
mp_light(int id) // a light fence by itself is no acquire fence
{
	if (id == 0) {
		store_rlx(&x, 1);
		store_rel(&y, 1);
	} else {
		r[0] = load_rlx(&y);
		fence_light();
		r[1] = load_rlx(&x);
	}
}

static void
mp_plain(int id)
{
	if (id == 0) {
		PLAIN_WRITE(plain_data, 1);
		store_rel(&y, 1);
	} else if (load_acq(&y) == 1) {
		EXPLORE_CHECK(PLAIN_READ(plain_data) == 1, "payload");
	}
}

static void
mp_plain_race(int id)
{
	if (id == 0) {
		PLAIN_WRITE(plain_data, 1);
		store_rlx(&y, 1);
	} else if (load_acq(&y) == 1) {
		(void)PLAIN_READ(plain_data);
	}
}

// Seq_cst fences order locations but make no happens-before without a message.
static void
mp_plain_write_after(int id)
{
	if (id == 0) {
		store_rel(&y, 1);
		PLAIN_WRITE(plain_data, 1);
	} else if (load_acq(&y) == 1) {
		(void)PLAIN_READ(plain_data);
	}
}

// --- independent reads of independent writes --------------------------------------------------
// Bits: reader 2 read x then y, reader 3 read y then x. 5 is 2: x=1,y=0 and 3: y=1,x=0.
static void
iriw(int id, bool seq)
{
	if (id < 2) {
		store_rel(id == 0 ? &x : &y, 1);
		return;
	}
	uint32_t a = load_acq(id == 2 ? &x : &y);
	if (seq)
		fence_seq();
	uint32_t b = load_acq(id == 2 ? &y : &x);
	r[id - 2] = a | b << 1;
}

static void
iriw_acquire(int id)
{
	iriw(id, false);
}

static void
iriw_seq(int id)
{
	iriw(id, true);
}

static void
iriw_final(void)
{
	explore_outcome(r[0] | r[1] << 2);
}

// --- 2+2W: both locations end with the first store of either thread ----------------------------
static void
ww_final(void)
{
	explore_outcome((load_rlx(&x) == 1) | (load_rlx(&y) == 1) << 1);
}

static void
ww(int id, bool seq)
{
	store_rlx(id == 0 ? &x : &y, 1);
	if (seq)
		fence_seq();
	store_rlx(id == 0 ? &y : &x, 2);
}

static void
ww_relaxed(int id)
{
	ww(id, false);
}

static void
ww_seq(int id)
{
	ww(id, true);
}

// --- coherence: reads of one location never go back -------------------------------------------
static void
corr(int id)
{
	if (id == 0) {
		store_rlx(&x, 1);
		store_rlx(&x, 2);
	} else {
		r[2 * id] = load_rlx(&x);
		r[2 * id + 1] = load_rlx(&x);
		EXPLORE_CHECK(r[2 * id] <= r[2 * id + 1], "a read went back in modification order");
		if (r[2 * id] == 1 && r[2 * id + 1] == 1)
			explore_outcome(0);
		if (r[2 * id] == 0 && r[2 * id + 1] == 2)
			explore_outcome(1);
	}
}

// --- release sequences ------------------------------------------------------------------------
// Bits: 0 the flag's last value was seen, 1 the data was.
static void
sequence_reader(void)
{
	r[0] = load_acq(&y) == 2;
	r[1] = load_rlx(&x);
}

static void
sequence_store(int id) // C++20: a store, even by the same thread, does not continue the sequence
{
	if (id == 0) {
		store_rlx(&x, 1);
		store_rel(&y, 1);
		store_rlx(&y, 2);
	} else {
		sequence_reader();
	}
}

static void
sequence_rmw(int id) // a relaxed read-modify-write does, even by another thread
{
	if (id == 0) {
		store_rlx(&x, 1);
		store_rel(&y, 1);
	} else if (id == 1) {
		uint32_t one = 1;
		(void)cas_rlx(&y, &one, 2);
	} else {
		sequence_reader();
	}
}

static void
sequence_cut(int id) // a relaxed store by another thread ends it
{
	if (id == 0) {
		store_rlx(&x, 1);
		store_rel(&y, 1);
	} else if (id == 1) {
		if (load_rlx(&y) == 1)
			store_rlx(&y, 2);
	} else {
		sequence_reader();
	}
}

// --- read-modify-write ------------------------------------------------------------------------
static void
rmw(int id)
{
	(void)id;
	(void)add_rlx(&x, 1);
	(void)add_rlx(&x, 1);
}

static void
rmw_final(void)
{
	EXPLORE_CHECK(load_rlx(&x) == 6, "an addition was lost");
}

static void
rmw_by_halves(int id)
{
	(void)id;
	store_rlx(&x, load_rlx(&x) + 1);
	store_rlx(&x, load_rlx(&x) + 1);
}

static void
cas_claim(int id)
{
	uint32_t zero = 0;
	if (cas_acq(&x, &zero, 1)) {
		PLAIN_WRITE(plain_data, id);
		store_rel(&x, 0);
	}
}

static void
two_owners(int id)
{
	(void)id;
	own_add(&x, 1);
}

// Values of every width come back as they went.
static void
widths(int id)
{
	static ATOMIC(int8_t) a;
	static ATOMIC(bool) b;
	static ATOMIC(int64_t) c;
	static ATOMIC(void *) d;
	static ATOMIC(uint16_t) e;
	store_rlx(&a, -5);
	EXPLORE_CHECK(load_rlx(&a) == -5, "int8_t");
	EXPLORE_CHECK(add_rlx(&a, -100) == -5 && load_rlx(&a) == -105, "int8_t add");
	store_rlx(&b, true);
	EXPLORE_CHECK(load_rlx(&b), "bool");
	store_rlx(&c, INT64_MIN);
	EXPLORE_CHECK(sub_rlx(&c, 1) == INT64_MIN && load_rlx(&c) == INT64_MAX, "int64_t");
	store_rlx(&d, &a);
	EXPLORE_CHECK(xchg_ar(&d, NULL) == (void *)&a && load_rlx(&d) == NULL, "pointer");
	store_rlx(&e, 0xfff0);
	(void)add_ar(&e, 0x20);
	EXPLORE_CHECK(load_rlx(&e) == 0x10, "uint16_t wraps");
	(void)or_ar(&e, 0xf00);
	EXPLORE_CHECK(and_ar(&e, 0xf0) == 0xf10 && load_rlx(&e) == 0x10, "or, and");
	uint16_t old = 3;
	EXPLORE_CHECK(!cas_ar(&e, &old, 1) && old == 0x10 && cas_ar(&e, &old, 1), "cas");
	(void)id;
}

// A slot read, then given free: the load has to come before the next store.
static void
slot(int id, bool release)
{
	if (id == 0) {
		uint32_t v = load_rlx(&x);
		if (release)
			store_rel(&y, 1);
		else
			store_rlx(&y, 1);
		explore_kept(&x, sizeof(x), v);
	} else if (load_acq(&y) == 1) {
		store_rlx(&x, 1);
	}
}

static void
slot_released(int id)
{
	slot(id, true);
}

static void
slot_relaxed(int id)
{
	slot(id, false);
}

// --- futex, locks, spinning -------------------------------------------------------------------
// A wait that tells the futex what it saw does not sleep through the wake.
static void
futex_right(int id)
{
	if (id == 0) {
		while (load_acq(&x) == 0)
			(void)explore_futex_wait(&x, 0, false);
		EXPLORE_CHECK(PLAIN_READ(plain_data) == 7, "payload");
	} else {
		PLAIN_WRITE(plain_data, 7);
		store_rel(&x, 1);
		explore_futex_wake(&x, 1);
	}
}

// One that looks at another word than it sleeps on does.
static void
futex_lost(int id)
{
	if (id == 0) {
		if (load_acq(&x) == 0)
			(void)explore_futex_wait(&y, 0, false);
	} else {
		store_rel(&x, 1);
		explore_futex_wake(&y, 1);
	}
}

static void
futex_deadline(int id)
{
	if (id == 0)
		explore_outcome(explore_futex_wait(&x, 0, true) == EXPLORE_TIMED_OUT ? 1 : 0);
	else
		explore_futex_wake(&x, 1);
}

static void
futex_spurious(int id)
{
	if (id == 0) {
		explore_may_sleep(true);
		(void)explore_futex_wait(&x, 0, false);
		explore_outcome(1);
	} else {
		(void)load_rlx(&y);
		(void)load_rlx(&y);
	}
}

static void
lock_right(int id)
{
	explore_lock(&z);
	PLAIN_WRITE(plain_data, plain_data + id + 1);
	explore_unlock(&z);
}

static void
lock_final(void)
{
	EXPLORE_CHECK(plain_data == 6, "lock");
}

static void
lock_order(int id)
{
	explore_lock(id == 0 ? &x : &y);
	explore_lock(id == 0 ? &y : &x);
	explore_unlock(&x);
	explore_unlock(&y);
}

static void
spin_wait(int id)
{
	if (id == 0) {
		while (load_acq(&x) == 0)
			explore_yield();
		EXPLORE_CHECK(PLAIN_READ(plain_data) == 1, "payload");
	} else {
		PLAIN_WRITE(plain_data, 1);
		store_rel(&x, 1);
	}
}

static void
spin_for_ever(int id)
{
	while (load_acq(id == 0 ? &x : &y) == 0)
		explore_yield();
	store_rel(id == 0 ? &y : &x, 1);
}

static volatile uintptr_t nowhere = 8;

static void
crash(int id)
{
	if (load_rlx(&x) == 1)
		*(volatile int *)nowhere = id;
	store_rlx(&x, 1);
}

// A bug that needs three switches at the right places (depth 4 of PCT).
static void
deep(int id)
{
	if (id == 0) {
		store_rlx(&x, 1);
		store_rlx(&x, 2);
		store_rlx(&x, 3);
		store_rlx(&x, 4);
	} else {
		bool one = load_rlx(&x) == 1;
		bool two = load_rlx(&x) == 2;
		bool three = load_rlx(&x) == 3;
		EXPLORE_CHECK(!(one && two && three), "deep");
	}
}

// --- the bottom of a deque, forty steps: the engine's speed -----------------------------------
static void
forty_steps(int id)
{
	for (uint32_t i = 0; i < 5; i++) {
		(void)load_acq(id == 0 ? &x : &y);
		store_rel(id == 0 ? &y : &x, i);
		uint32_t was = load_rlx(&z);
		(void)cas_ar(&z, &was, i);
	}
}

#define LITMUS(name_, threads_, body, final_, ...)                                               \
	{                                                                                       \
		.name = (name_), .threads = (threads_), .init = init, .thread = (body),         \
		.final = (final_), __VA_ARGS__                                                  \
	}

// clang-format off
static const struct ExploreTest tests[] = {
    LITMUS("sb release/acquire", 2, sb_release_acquire, sb_final, .must = 0xf),
    LITMUS("sb seq fences", 2, sb_seq, sb_final, .must = OUT(1) | OUT(2) | OUT(3)),
    LITMUS("sb one seq fence", 2, sb_one_seq, sb_final, .must = 0xf),
    LITMUS("sb light and heavy", 2, sb_light_heavy, sb_final, .must = OUT(1) | OUT(2) | OUT(3)),
    LITMUS("sb light and light", 2, sb_light_light, sb_final, .must = 0xf),
    LITMUS("sb seq and heavy", 2, sb_seq_heavy, sb_final, .must = OUT(1) | OUT(2) | OUT(3)),
    LITMUS("sb exchanges", 2, sb_rmw, sb_final, .must = 0xf),
    LITMUS("mp release/acquire", 2, mp_release_acquire, mp_final, .must = OUT(0) | OUT(2) | OUT(3)),
    LITMUS("mp relaxed store", 2, mp_relaxed_store, mp_final, .must = 0xf),
    LITMUS("mp relaxed load", 2, mp_relaxed_load, mp_final, .must = 0xf),
    LITMUS("mp fences", 2, mp_fences, mp_final, .must = OUT(0) | OUT(2) | OUT(3)),
    LITMUS("mp light fence", 2, mp_light, mp_final, .must = 0xf),
    LITMUS("mp plain payload", 2, mp_plain, NULL, .must = 0),
    LITMUS("mp plain race", 2, mp_plain_race, NULL, .must_fail = "data race"),
    LITMUS("mp plain write after release", 2, mp_plain_write_after, NULL, .must_fail = "data race"),
    LITMUS("iriw acquire", 4, iriw_acquire, iriw_final, .must = 0xffff),
    LITMUS("iriw seq fences", 4, iriw_seq, iriw_final, .must = 0xffff & ~OUT(5)),
    LITMUS("2+2w relaxed", 2, ww_relaxed, ww_final, .must = 0xf),
    LITMUS("2+2w seq fences", 2, ww_seq, ww_final, .must = OUT(0) | OUT(1) | OUT(2)),
    LITMUS("coherence", 3, corr, NULL, .must = OUT(0) | OUT(1)),
    LITMUS("release sequence, store", 2, sequence_store, mp_final, .must = 0xf),
    LITMUS("release sequence, rmw", 3, sequence_rmw, mp_final, .must = OUT(0) | OUT(2) | OUT(3)),
    LITMUS("release sequence, cut", 3, sequence_cut, mp_final, .must = 0xf),
    LITMUS("rmw atomicity", 3, rmw, rmw_final, .must = 0),
    LITMUS("rmw by halves", 3, rmw_by_halves, rmw_final, .must_fail = "an addition was lost"),
    LITMUS("cas claim", 3, cas_claim, NULL, .must = 0),
    LITMUS("slot released", 2, slot_released, NULL, .must = 0),
    LITMUS("slot given free relaxed", 2, slot_relaxed, NULL, .must_fail = "nothing orders"),
    LITMUS("own_add by two", 2, two_owners, NULL, .must_fail = "not ordered before"),
    LITMUS("widths", 1, widths, NULL, .must = 0),
    LITMUS("futex", 2, futex_right, NULL, .must = 0),
    LITMUS("futex lost wake-up", 2, futex_lost, NULL, .must_fail = "deadlock"),
    LITMUS("futex deadline", 2, futex_deadline, NULL, .must = OUT(0) | OUT(1)),
    LITMUS("futex spurious wake", 2, futex_spurious, NULL, .must = OUT(1)),
    LITMUS("lock", 3, lock_right, lock_final, .must = 0),
    LITMUS("lock order", 2, lock_order, NULL, .must_fail = "deadlock"),
    LITMUS("spin", 2, spin_wait, NULL, .must = 0),
    LITMUS("spin for ever", 2, spin_for_ever, NULL, .must_fail = "livelock"),
    LITMUS("crash", 2, crash, NULL, .must_fail = "SIGSEGV"),
    LITMUS("deep", 2, deep, NULL, .must_fail = "deep"),
    LITMUS("forty steps", 2, forty_steps, NULL, .must = 0),
    {0},
};
// clang-format on

const struct ExploreDriver explore_driver = {
    .name = "self",
    .tests = tests,
};
