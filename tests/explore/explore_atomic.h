// SPDX-License-Identifier: BSD-3-Clause
// The names of base/atomic.h over the modelled memory of the schedule explorer.
//
// base/atomic.h includes this file when UNDERGO_EXPLORE is defined, so the sources of the runtime
// are explored as they stand. Each use of an operation is a site: one static record with its
// text, its place and its order. The linker gathers the records (section explore_sites), so the
// engine knows every site of a program before it runs, and can weaken one at a time.
//
// Invariants:
//   A1  atomic_v_ holds the newest value of the location, also while threads run; set-up and
//       final checks therefore read and write it directly.
//   A2  loc is this schedule's index of the location, believed only when the engine's table
//       points back at the same address. Zero, or what another schedule left, registers anew.
//   A3  The first member is atomic_v_, and loc follows at offset 2 or sizeof(T), whichever is
//       larger: the engine finds both from the address and the size in the site.
//   A4  Arguments are evaluated once, in no fixed order, as in the builtin back end.
#ifndef UNDERGO_TESTS_EXPLORE_ATOMIC_H
#define UNDERGO_TESTS_EXPLORE_ATOMIC_H

#include <stdbool.h>
#include <stdint.h>

#define ATOMIC(T)             \
	struct {              \
		T atomic_v_;  \
		uint16_t loc; \
	}
// clang-format off
#define ATOMIC_INIT(x) { (x), 0 }
// clang-format on

enum { // what an order is made of
	EXPLORE_ACQ = 1,
	EXPLORE_REL = 2,
	EXPLORE_SEQ = 4, // fences only
	EXPLORE_LIGHT = 8,
	EXPLORE_HEAVY = 16,
};

enum ExploreRmw {
	EXPLORE_XCHG,
	EXPLORE_ADD,
	EXPLORE_SUB,
	EXPLORE_OR,
	EXPLORE_AND,
};

struct ExploreSite {
	const char *file;
	const char *func;
	const char *text;
	int line;
	uint8_t size;  // of the value, 0 for a fence
	uint8_t order; // as written
	uint8_t drop;  // parts of the order that a mutant takes away
	uint8_t reached;
};

#define EXPLORE_SITE_(text_, size_, order_)                                           \
	({                                                                            \
		static struct ExploreSite explore_site_ = {                           \
		    .file = __FILE__,                                                 \
		    .func = __func__,                                                 \
		    .text = (text_),                                                  \
		    .line = __LINE__,                                                 \
		    .size = (size_),                                                  \
		    .order = (order_),                                                \
		};                                                                    \
		static struct ExploreSite *const explore_site_entry_                  \
		    __attribute__((section("explore_sites"), used)) = &explore_site_; \
		&explore_site_;                                                       \
	})

// The value type of *p without qualifiers; p is not evaluated.
#define EXPLORE_T_(p) __typeof__(((void)0, (p)->atomic_v_))
#define EXPLORE_BITS_(p, x) ((uint64_t)(uintptr_t)(EXPLORE_T_(p))(x))
#define EXPLORE_PTR_(p) ((void *)(uintptr_t)(const volatile void *)(p))

uint64_t explore_load(struct ExploreSite *, void *p);
void explore_store(struct ExploreSite *, void *p, uint64_t v);
bool explore_cas(struct ExploreSite *, void *p, void *old, uint64_t v);
uint64_t explore_rmw(struct ExploreSite *, void *p, enum ExploreRmw, uint64_t v);
void explore_own_add(struct ExploreSite *, void *p, uint64_t v);
void explore_init(struct ExploreSite *, void *p, uint64_t v);
void explore_fence(struct ExploreSite *);
void explore_yield(void);

#define EXPLORE_LOAD_(p, text, order)            \
	((EXPLORE_T_(p))(uintptr_t)explore_load( \
	    EXPLORE_SITE_(text, sizeof((p)->atomic_v_), order), EXPLORE_PTR_(p)))
#define EXPLORE_STORE_(p, x, text, order)                                                  \
	explore_store(EXPLORE_SITE_(text, sizeof((p)->atomic_v_), order), EXPLORE_PTR_(p), \
		      EXPLORE_BITS_(p, x))
#define EXPLORE_RMW_(p, op, x, text, order)                                                        \
	((EXPLORE_T_(p))(uintptr_t)explore_rmw(EXPLORE_SITE_(text, sizeof((p)->atomic_v_), order), \
					       EXPLORE_PTR_(p), op, EXPLORE_BITS_(p, x)))
#define EXPLORE_CAS_(p, old, x, text, order)                                                    \
	explore_cas(EXPLORE_SITE_(text, sizeof((p)->atomic_v_), order), EXPLORE_PTR_(p), (old), \
		    EXPLORE_BITS_(p, x))

#define load_rlx(p) EXPLORE_LOAD_(p, "load_rlx(" #p ")", 0)
#define load_acq(p) EXPLORE_LOAD_(p, "load_acq(" #p ")", EXPLORE_ACQ)
#define store_rlx(p, x) EXPLORE_STORE_(p, x, "store_rlx(" #p ")", 0)
#define store_rel(p, x) EXPLORE_STORE_(p, x, "store_rel(" #p ")", EXPLORE_REL)

#define xchg_rlx(p, x) EXPLORE_RMW_(p, EXPLORE_XCHG, x, "xchg_rlx(" #p ")", 0)
#define xchg_acq(p, x) EXPLORE_RMW_(p, EXPLORE_XCHG, x, "xchg_acq(" #p ")", EXPLORE_ACQ)
#define xchg_rel(p, x) EXPLORE_RMW_(p, EXPLORE_XCHG, x, "xchg_rel(" #p ")", EXPLORE_REL)
#define xchg_ar(p, x) EXPLORE_RMW_(p, EXPLORE_XCHG, x, "xchg_ar(" #p ")", EXPLORE_ACQ | EXPLORE_REL)

#define cas_rlx(p, old, x) EXPLORE_CAS_(p, old, x, "cas_rlx(" #p ")", 0)
#define cas_acq(p, old, x) EXPLORE_CAS_(p, old, x, "cas_acq(" #p ")", EXPLORE_ACQ)
#define cas_rel(p, old, x) EXPLORE_CAS_(p, old, x, "cas_rel(" #p ")", EXPLORE_REL)
#define cas_ar(p, old, x) EXPLORE_CAS_(p, old, x, "cas_ar(" #p ")", EXPLORE_ACQ | EXPLORE_REL)

#define add_rlx(p, x) EXPLORE_RMW_(p, EXPLORE_ADD, x, "add_rlx(" #p ")", 0)
#define add_acq(p, x) EXPLORE_RMW_(p, EXPLORE_ADD, x, "add_acq(" #p ")", EXPLORE_ACQ)
#define add_rel(p, x) EXPLORE_RMW_(p, EXPLORE_ADD, x, "add_rel(" #p ")", EXPLORE_REL)
#define add_ar(p, x) EXPLORE_RMW_(p, EXPLORE_ADD, x, "add_ar(" #p ")", EXPLORE_ACQ | EXPLORE_REL)
#define sub_rlx(p, x) EXPLORE_RMW_(p, EXPLORE_SUB, x, "sub_rlx(" #p ")", 0)
#define sub_acq(p, x) EXPLORE_RMW_(p, EXPLORE_SUB, x, "sub_acq(" #p ")", EXPLORE_ACQ)
#define sub_rel(p, x) EXPLORE_RMW_(p, EXPLORE_SUB, x, "sub_rel(" #p ")", EXPLORE_REL)
#define sub_ar(p, x) EXPLORE_RMW_(p, EXPLORE_SUB, x, "sub_ar(" #p ")", EXPLORE_ACQ | EXPLORE_REL)
#define or_ar(p, x) EXPLORE_RMW_(p, EXPLORE_OR, x, "or_ar(" #p ")", EXPLORE_ACQ | EXPLORE_REL)
#define and_ar(p, x) EXPLORE_RMW_(p, EXPLORE_AND, x, "and_ar(" #p ")", EXPLORE_ACQ | EXPLORE_REL)

#define own_add(p, x)                                                                \
	explore_own_add(EXPLORE_SITE_("own_add(" #p ")", sizeof((p)->atomic_v_), 0), \
			EXPLORE_PTR_(p), (uint64_t)(uintptr_t)(x))
#define init_plain(p, x)                                                             \
	explore_init(EXPLORE_SITE_("init_plain(" #p ")", sizeof((p)->atomic_v_), 0), \
		     EXPLORE_PTR_(p), EXPLORE_BITS_(p, x))

#define EXPLORE_FENCE_(text, order) explore_fence(EXPLORE_SITE_(text, 0, order))
// The library has neither of these two; the explorer's own tests use them.
#define fence_acq() EXPLORE_FENCE_("fence_acq()", EXPLORE_ACQ)
#define fence_rel() EXPLORE_FENCE_("fence_rel()", EXPLORE_REL)
#define fence_seq() EXPLORE_FENCE_("fence_seq()", EXPLORE_ACQ | EXPLORE_REL | EXPLORE_SEQ)
#define fence_light() EXPLORE_FENCE_("fence_light()", EXPLORE_LIGHT)
#define fence_heavy() \
	EXPLORE_FENCE_("fence_heavy()", EXPLORE_ACQ | EXPLORE_REL | EXPLORE_SEQ | EXPLORE_HEAVY)
#define fence_compiler() ((void)0)

#endif
