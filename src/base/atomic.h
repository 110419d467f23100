// SPDX-License-Identifier: BSD-3-Clause
// Atomics: the only spelling of shared memory in undergo.
//
// ATOMIC(T) wraps T in a one-member struct, so touching it plainly does not compile. The order
// stands in the name of the operation, and nothing else in the tree spells a memory order.
// Three back ends answer: compiler builtins (here; ThreadSanitizer understands them as they
// are), the same with a switch point before each operation (stress builds, for the
// deterministic mode), and the schedule explorer (tests/explore), which replaces this file's
// second half by defining UNDERGO_EXPLORE.
//
// Rules:
//   - Data rides on a release/acquire pair, never on a fence: ThreadSanitizer sees no fences.
//   - fence_light and fence_heavy are the two halves of an asymmetric fence: the light side costs
//     a compiler barrier because the heavy side makes every running thread of the process
//     execute a full fence (membarrier). A light fence orders against a heavy one only, never
//     against another light one. Where the kernel refuses, both become full fences.
#ifndef UNDERGO_BASE_ATOMIC_H
#define UNDERGO_BASE_ATOMIC_H

#include <stdbool.h>
#include <stdint.h>

#ifdef UNDERGO_EXPLORE
#include "explore_atomic.h" // tests/explore: the same names over modelled memory
#else

#define ATOMIC(T)            \
	struct {             \
		T atomic_v_; \
	}
// clang-format off
#define ATOMIC_INIT(x) { (x) }
// clang-format on

// In stress builds each operation is a place where the deterministic mode may switch threads.
#ifdef UNDERGO_STRESS
void base_switch_point(void);
#define ATOMIC_POINT_() base_switch_point()
#else
#define ATOMIC_POINT_() ((void)0)
#endif

#define load_rlx(p) (ATOMIC_POINT_(), __atomic_load_n(&(p)->atomic_v_, __ATOMIC_RELAXED))
#define load_acq(p) (ATOMIC_POINT_(), __atomic_load_n(&(p)->atomic_v_, __ATOMIC_ACQUIRE))

#define store_rlx(p, x) (ATOMIC_POINT_(), __atomic_store_n(&(p)->atomic_v_, (x), __ATOMIC_RELAXED))
#define store_rel(p, x) (ATOMIC_POINT_(), __atomic_store_n(&(p)->atomic_v_, (x), __ATOMIC_RELEASE))

// Exchange; the value is what was there.
#define xchg_rlx(p, x) \
	(ATOMIC_POINT_(), __atomic_exchange_n(&(p)->atomic_v_, (x), __ATOMIC_RELAXED))
#define xchg_acq(p, x) \
	(ATOMIC_POINT_(), __atomic_exchange_n(&(p)->atomic_v_, (x), __ATOMIC_ACQUIRE))
#define xchg_rel(p, x) \
	(ATOMIC_POINT_(), __atomic_exchange_n(&(p)->atomic_v_, (x), __ATOMIC_RELEASE))
#define xchg_ar(p, x) \
	(ATOMIC_POINT_(), __atomic_exchange_n(&(p)->atomic_v_, (x), __ATOMIC_ACQ_REL))

// Strong compare-and-swap: true when *old was there; otherwise *old becomes what was.
#define cas_rlx(p, old, x) ATOMIC_CAS_(p, old, x, __ATOMIC_RELAXED, __ATOMIC_RELAXED)
#define cas_acq(p, old, x) ATOMIC_CAS_(p, old, x, __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE)
#define cas_rel(p, old, x) ATOMIC_CAS_(p, old, x, __ATOMIC_RELEASE, __ATOMIC_RELAXED)
#define cas_ar(p, old, x) ATOMIC_CAS_(p, old, x, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)
#define ATOMIC_CAS_(p, old, x, ok, fail) \
	(ATOMIC_POINT_(),                \
	 __atomic_compare_exchange_n(&(p)->atomic_v_, (old), (x), false, (ok), (fail)))

// Read-modify-write; the value is what was there before.
#define add_rlx(p, x) (ATOMIC_POINT_(), __atomic_fetch_add(&(p)->atomic_v_, (x), __ATOMIC_RELAXED))
#define add_acq(p, x) (ATOMIC_POINT_(), __atomic_fetch_add(&(p)->atomic_v_, (x), __ATOMIC_ACQUIRE))
#define add_rel(p, x) (ATOMIC_POINT_(), __atomic_fetch_add(&(p)->atomic_v_, (x), __ATOMIC_RELEASE))
#define add_ar(p, x) (ATOMIC_POINT_(), __atomic_fetch_add(&(p)->atomic_v_, (x), __ATOMIC_ACQ_REL))
#define sub_rlx(p, x) (ATOMIC_POINT_(), __atomic_fetch_sub(&(p)->atomic_v_, (x), __ATOMIC_RELAXED))
#define sub_rel(p, x) (ATOMIC_POINT_(), __atomic_fetch_sub(&(p)->atomic_v_, (x), __ATOMIC_RELEASE))
#define sub_ar(p, x) (ATOMIC_POINT_(), __atomic_fetch_sub(&(p)->atomic_v_, (x), __ATOMIC_ACQ_REL))
#define or_ar(p, x) (ATOMIC_POINT_(), __atomic_fetch_or(&(p)->atomic_v_, (x), __ATOMIC_ACQ_REL))
#define and_ar(p, x) (ATOMIC_POINT_(), __atomic_fetch_and(&(p)->atomic_v_, (x), __ATOMIC_ACQ_REL))

// A counter that one thread writes and others read: no locked instruction.
#define own_add(p, x)                                                                          \
	(__atomic_store_n(&(p)->atomic_v_,                                                     \
			  __atomic_load_n(&(p)->atomic_v_, __ATOMIC_RELAXED) + (x),            \
			  __ATOMIC_RELAXED))

// An object before anyone else can see it.
#define init_plain(p, x) (__atomic_store_n(&(p)->atomic_v_, (x), __ATOMIC_RELAXED))

// gcc warns that ThreadSanitizer does not model fences; the first rule above is the answer.
#if defined(__SANITIZE_THREAD__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wtsan"
#endif

static inline void
fence_seq(void)
{
	ATOMIC_POINT_();
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

// True once the kernel has promised membarrier. Set before a second thread exists, then constant.
extern bool base_fence_asymmetric;

static inline void
fence_light(void)
{
	ATOMIC_POINT_();
	if (__builtin_expect(!base_fence_asymmetric, 0))
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	else
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

// Makes every running thread of the process execute a full fence. 1 to 5 microseconds.
void fence_heavy(void);

// Orders plain accesses against a signal handler on the same thread.
static inline void
fence_compiler(void)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

#endif // UNDERGO_EXPLORE

// Named, so that functions can take pointers to them.
typedef ATOMIC(uint32_t) ATOMIC_U32;
typedef ATOMIC(uint64_t) ATOMIC_U64;
typedef ATOMIC(int64_t) ATOMIC_I64;
typedef ATOMIC(bool) ATOMIC_BOOL;

#endif
