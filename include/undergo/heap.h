/* SPDX-License-Identifier: BSD-3-Clause */
/* undergo/heap.h - memory that is freed when nothing points to it any more.
 *
 *   struct node { struct node *left, *right; long value; };
 *   static const go_type node_type = GO_TYPE(struct node, left, right);
 *
 *   struct node *n = go_new(struct node);             // each word may be a pointer
 *   struct node *t = go_new_typed(struct node, &node_type); // pointers where the type says
 *   char *buf = go_alloc_data(4096);                  // no pointers inside
 *
 * Objects never move. What keeps one alive is a pointer to it, or into it, in: a global or static
 * variable of any loaded object, a thread's stack, registers or thread-local variables, a
 * goroutine's stack or local values, what waits in a channel, what go_root_add named, or another
 * live object. Memory from malloc and mmap is not looked at; values of pthread keys are where libc
 * is glibc. Pointers must be stored whole and aligned to their size.
 *
 * All objects begin zeroed. Without memory these functions end the process with "fatal error: out
 * of memory", but those that say they return NULL.
 */
#ifndef UNDERGO_HEAP_H
#define UNDERGO_HEAP_H

#include <stddef.h>

#include "base.h"

/* Where objects of one type have pointers. Constant while objects of it live. */
typedef struct go_type {
	size_t bytes;           /* of one object; a multiple of 8 if arrays of it have pointers */
	size_t scan_bytes;      /* no pointers from here on */
	uint64_t mask;          /* bit i: word i is a pointer; the first 64 words */
	const uint64_t *bitmap; /* the same for all words, when scan_bytes is more than 512 */
	const char *name;       /* for reports */
	const uint8_t *program; /* NULL, or says what mask and bitmap would; see below */
	size_t program_bytes;   /* of it */
} go_type;

/* A program says in some bytes where a huge type has pointers. It is a row of
 *
 *   0                  the end
 *   n       1 to 127   n words follow, a bit for each in (n + 7) / 8 bytes, the lowest first;
 *                      1: the word is a pointer
 *   0x80|n c           the last n words, 1 to 127, come again, c times more
 *   0x80 n c           the same for any n
 *
 * c, and n of the last line, are written 7 bits to a byte, the lowest first; all bytes but the last
 * have the top bit set. It begins with the type's first word; behind what it says there are no
 * pointers. This is the form that gccgo uses, without the length before it.
 *
 *   // struct { void *p; long n; } rows[1000000];
 *   static const uint8_t code[] = {2, 1, 0x80 | 2, 0xbf, 0x84, 0x3d, 0}; // 999999 times more
 *   static const go_type rows_type = {
 *           .bytes = 16000000, .scan_bytes = 16000000, .name = "rows",
 *           .program = code, .program_bytes = sizeof(code),
 *   };
 *
 * A type with a program stays as it is for ever. Its bitmap is made once and kept. */

/* go_alloc - an object of n bytes, each aligned word of which may be a pointer.
 *
 * A pointer to its end, one past the last byte, keeps it alive too. Aligned to 16 bytes.
 * Blocks:    this goroutine, while a collection runs.
 * Call from: a goroutine or a thread.
 */
GO_API void *go_alloc(size_t n);

/* go_alloc_data - an object of n bytes that holds no pointers: buffers, text, numbers.
 *
 * The collector never looks inside, so this is the cheapest memory there is. Otherwise as go_alloc.
 * Blocks:    this goroutine, while a collection runs.
 * Call from: a goroutine or a thread.
 */
GO_API void *go_alloc_data(size_t n);

/* go_alloc_object - as go_alloc, but a pointer to its end does not keep it alive. See go_new.
 *
 * From 17 to 24 bytes it is aligned to 8, which is what a type of that size can ask for.
 * Blocks:    this goroutine, while a collection runs.
 * Call from: a goroutine or a thread.
 */
GO_API void *go_alloc_object(size_t n);

/* go_alloc_typed - an array of n objects of type t, which has pointers where it says.
 *
 * Aligned as by go_alloc_object.
 * Fatal:     "go_alloc_typed: the program of a type is malformed": it has no end, repeats what is
 *            not there, or says more than fits into the type, or a pointer beyond scan_bytes.
 *            "go_alloc_typed: pointers of an array would not be aligned": n is more than 1, and
 *            the size of a type with pointers no multiple of 8.
 * Blocks:    this goroutine, while a collection runs.
 * Call from: a goroutine or a thread.
 */
GO_API void *go_alloc_typed(const go_type *t, size_t n);

/* What go_try_alloc makes. */
typedef enum go_alloc_kind {
	GO_ALLOC_SCAN,  /* as go_alloc */
	GO_ALLOC_DATA,  /* as go_alloc_data */
	GO_ALLOC_PINNED /* as go_alloc, but lives until go_free, whoever points to it */
} go_alloc_kind;

/* go_try_alloc - n bytes aligned to align, or NULL when there is no memory or n is absurd.
 *
 * align is a power of two up to 1 GiB; 0 means 16. NULL for any other.
 * Blocks:    this goroutine, while a collection runs.
 * Call from: a goroutine or a thread.
 */
GO_API void *go_try_alloc(size_t n, size_t align, go_alloc_kind kind);

/* go_free - give an object back before the collector finds it dead. NULL is allowed.
 *
 * Never needed but for GO_ALLOC_PINNED. p is what the allocation returned. Its finalizer and
 * cleanups are dropped.
 * Fatal:     "go_free: not the beginning of an object", "go_free: object is free already" (found
 *            while nothing else lies there).
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API void go_free(void *p);

/* go_new - an object of type T, each word of which may be a pointer. */
#define go_new(T) ((T *)go_alloc_object(sizeof(T)))
/* go_new_typed - an object of type T with the pointers that the go_type at t names. */
#define go_new_typed(T, t) ((T *)go_alloc_typed((t), 1))

/* GO_TYPE - an initializer of the go_type of T, whose pointers are the fields named, one to eight;
 * all within its first 512 bytes. */
#define GO_TYPE(T, ...)                                                               \
	{                                                                             \
		sizeof(T), sizeof(T),                                                 \
			GO_TYPE_N_(__VA_ARGS__, 8, 7, 6, 5, 4, 3, 2, 1, 0)(T, __VA_ARGS__), \
			NULL, #T, NULL, 0                                             \
	}
#define GO_TYPE_1_(T, f) ((uint64_t)1 << (offsetof(T, f) / sizeof(void *)))
#define GO_TYPE_2_(T, f, ...) (GO_TYPE_1_(T, f) | GO_TYPE_1_(T, __VA_ARGS__))
#define GO_TYPE_3_(T, f, ...) (GO_TYPE_1_(T, f) | GO_TYPE_2_(T, __VA_ARGS__))
#define GO_TYPE_4_(T, f, ...) (GO_TYPE_1_(T, f) | GO_TYPE_3_(T, __VA_ARGS__))
#define GO_TYPE_5_(T, f, ...) (GO_TYPE_1_(T, f) | GO_TYPE_4_(T, __VA_ARGS__))
#define GO_TYPE_6_(T, f, ...) (GO_TYPE_1_(T, f) | GO_TYPE_5_(T, __VA_ARGS__))
#define GO_TYPE_7_(T, f, ...) (GO_TYPE_1_(T, f) | GO_TYPE_6_(T, __VA_ARGS__))
#define GO_TYPE_8_(T, f, ...) (GO_TYPE_1_(T, f) | GO_TYPE_7_(T, __VA_ARGS__))
#define GO_TYPE_N_(a, b, c, d, e, f, g, h, n, ...) GO_TYPE_##n##_

/* go_object - the beginning of the object that p points to or into; NULL when it is not in one.
 *
 * p need not be a pointer. Of an object that was freed, or has been found dead, it may still tell
 * where that was.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API void *go_object(const void *p);

/* go_object_size - the usable bytes of the object that p points to or into; 0 when in none.
 *
 * At least what was asked for; all of them belong to the caller.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API size_t go_object_size(const void *p);

/* go_keep_alive - p is used up to here, whatever the compiler thinks. */
static inline void
go_keep_alive(const void *p)
{
	__asm__ volatile("" : : "r"(p) : "memory");
}

/* go_root_add - look for pointers in [p, p + n) too, memory that is not managed.
 *
 * The range stays readable until go_root_remove with the same p.
 * Errors:    GO_EINVAL, GO_ENOMEM.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API int go_root_add(const void *p, size_t n);

/* go_root_remove - forget a range, which nobody reads any more. GO_EINVAL when there is none at p.
 *
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API int go_root_remove(const void *p);

/* go_gc - collect now: when it returns, what was unreachable at the call is free.
 *
 * Unless there is no memory for collecting itself, which is little; or some thread cannot be
 * stopped for ten seconds, as the kernel keeps it asleep: then nothing is free. Then others get
 * their turn, as by go_yield.
 * Blocks:    this goroutine, until it is done.
 * Call from: a goroutine or a thread.
 */
GO_API void go_gc(void);

/* What go_heap_stats_read tells. Bytes, or numbers of objects or of collections, unless it says
 * otherwise; totals are since the start. A moment later all may be different. */
typedef struct go_heap_stats {
	/* objects */
	uint64_t alloc_bytes;  /* total, allocated: counted when a processor takes them in hand */
	uint64_t allocs;       /* total, how many objects */
	uint64_t frees;        /* total, how many of them are freed, or were found dead */
	uint64_t objects;      /* in use: alive at the last collection, or allocated since */
	uint64_t live_bytes;   /* the same in bytes */
	uint64_t marked_bytes; /* what the last collection found alive */
	/* memory */
	uint64_t spans_bytes;    /* pages in use */
	uint64_t free_bytes;     /* pages free, with memory behind them */
	uint64_t released_bytes; /* pages free, given back to the system or never used */
	uint64_t reserved_bytes; /* address space of all these pages */
	uint64_t meta_bytes;     /* what the runtime has beside the heap for it, about */
	uint64_t stack_bytes;    /* stacks of goroutines in use at the last collection, about */
	uint64_t memory_bytes;   /* all that counts against the limit */
	/* settings */
	int gc_percent;       /* GOGC, or go_set_gc_percent; negative: off */
	int64_t limit_bytes;  /* the memory limit; INT64_MAX: none */
	int64_t max_bytes;    /* go_set_memory_max; INT64_MAX: none */
	uint64_t goal_bytes;  /* the next collection begins before live_bytes gets there */
	/* collections */
	uint64_t collections;
	uint64_t forced;      /* of these, by go_gc */
	uint64_t periodic;    /* of these, since there had been none for two minutes */
	uint64_t held_back;   /* not begun for the limit's sake: see go_set_memory_limit */
	int64_t held_back_at; /* go_now at the last of those; 0: there was none */
	int64_t last_at;      /* go_now when the last collection ended; 0: there was none */
	uint64_t pause_ns;    /* nanoseconds in which all stood still */
	uint64_t pause_max_ns;
	uint64_t pause_last_ns;
	uint64_t gc_cpu_ns;   /* CPU time of all collecting, nanoseconds */
	uint64_t stacks_shrunk;  /* how often a waiting goroutine's stack gave memory back */
	uint64_t stack_released_bytes; /* how much */
} go_heap_stats;

/* go_heap_stats_read - the numbers as they are about now.
 *
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API void go_heap_stats_read(go_heap_stats *st);

/* go_heap_report - collect, then write to fd what is alive: how many objects of which size, kind
 * and type, and where they were allocated.
 *
 * Where, and the types of small objects, are known when the program was started with
 * GODEBUG=allocsites=n, which keeps n callers of each allocation, or with GODEBUG=leaks=1, which
 * writes the report when the process exits, too.
 * Errors:    GO_ENOMEM, also when there can be no collection (see go_gc); nothing was written.
 *            GO_EIO: not all of it could be written.
 * Blocks:    the calling thread: it writes.
 * Call from: a goroutine or a thread.
 */
GO_API int go_heap_report(int fd);

/* go_heap_profile - write the heap profile to fd, in pprof's format, not compressed: samples of
 * what has been allocated since sampling began, and of what of it is alive.
 *
 * Errors:    GO_ENOMEM: nothing was written. GO_EIO: not all of it could be written.
 * Blocks:    the calling thread: it writes.
 * Call from: a goroutine or a thread.
 */
GO_API int go_heap_profile(int fd);

/* go_heap_profile_rate - sample one allocation for so many bytes, on the average; 0 ends sampling.
 *
 * Nothing is sampled at first, unless GODEBUG=memprofilerate=n says so. Go's own rate is 512 KiB;
 * 1 takes every allocation. A rate that changes between two profiles makes their numbers wrong.
 * Returns the old rate.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API int64_t go_heap_profile_rate(int64_t bytes);

/* --- when to collect ------------------------------------------------------------------------- */

/* go_set_gc_percent - collect when the heap has grown by so many percent since the last collection.
 *
 * Of what lived then, and of the stacks and globals that had to be looked through for it. A heap of
 * less than percent * 40 KiB is never collected. 100 at the start, or GOGC. Negative: only near the
 * memory limit. Returns the old value.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API int go_set_gc_percent(int percent);

/* go_set_memory_limit - try to keep the runtime's memory below n bytes.
 *
 * At the start GOMEMLIMIT; without it nine tenths of the smallest memory limit of the control
 * groups above the process. It counts what go_heap_stats calls memory_bytes. Near it collections
 * become more frequent, and free memory goes back to the system at once. They never take more than
 * half of the CPU for the limit's sake, but for a second for each processor; when that is not
 * enough the limit is exceeded, and a line on standard error says so.
 * Negative: only returns the limit. Returns the old value; INT64_MAX is none.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API int64_t go_set_memory_limit(int64_t n);

/* go_set_memory_max - let objects never have more than n bytes of pages.
 *
 * An allocation that needs more finds no memory, when a collection has not helped. Unlike the limit
 * it is hard, and collections are no more frequent near it: set the limit, too. At the start
 * UNDERGO_MEMORY_MAX, or none. Negative: only returns it. Returns the old value; INT64_MAX is none.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API int64_t go_set_memory_max(int64_t n);

/* What a function is told that asked for it; bytes. */
typedef struct go_pressure {
	int64_t limit_bytes; /* the memory limit */
	int64_t used_bytes;  /* what counts against it now */
	int64_t live_bytes;  /* what the last collection found alive */
	uint64_t held_back;  /* as in go_heap_stats: when it rises the limit cannot be kept */
} go_pressure;

typedef void go_pressure_fn(const go_pressure *p, void *arg);

/* go_pressure_add - call fn(p, arg) after each collection that leaves percent of the memory limit,
 * or more, in use.
 *
 * On a goroutine of its own, in the order of go_pressure_add. It may do all that a goroutine may:
 * free caches, refuse work. While one runs no other does; when collections pass meanwhile, all are
 * called once more afterwards. Without a limit nobody is called.
 * Errors:    GO_EINVAL: fn NULL, or percent negative. GO_ENOMEM.
 * Owns:      arg is kept alive until go_pressure_remove.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API int go_pressure_add(go_pressure_fn *fn, void *arg, int percent);

/* go_pressure_remove - do not call fn(p, arg) any more. A call may be going on.
 *
 * Errors:    GO_EINVAL: they were not added.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API int go_pressure_remove(go_pressure_fn *fn, void *arg);

/* --- the end of objects --- */

/* go_set_finalizer - call fn(p, arg) in a goroutine when nothing but finalizers points to p.
 *
 * During the call p is alive again, and its finalizer is gone: set it anew to be called again.
 * Objects that point to each other are finalized from the outside in; those of a cycle never are.
 * fn NULL takes the finalizer away. One goroutine runs all finalizers: start another for what takes
 * long. One that has run for ten seconds is told of on standard error, at the next collection.
 * Goroutine-local values that a finalizer leaves are there for the next one.
 * Fatal:     "runtime.SetFinalizer: pointer not at beginning of allocated block",
 *            "runtime.SetFinalizer: pointer not in heap", "runtime.SetFinalizer: finalizer already
 *            set".
 * Errors:    GO_ENOMEM.
 * Owns:      the finalizer keeps arg alive.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API int go_set_finalizer(void *p, void (*fn)(void *p, void *arg), void *arg);

/* A cleanup that go_cleanup_stop takes away; 0 is none. */
typedef uint64_t go_cleanup;

/* go_add_cleanup - call fn(arg) in a goroutine some time after the object at p is unreachable.
 *
 * p points to the object or into it. An object may have any number; it is not revived. arg must not
 * keep p alive, or it never dies. Returns 0 when there is no memory, or fn is NULL.
 * Fatal:     "runtime.AddCleanup: ptr is nil"; "runtime.AddCleanup: ptr not in allocated block";
 *            "runtime.AddCleanup: ptr is equal to arg, cleanup will never run".
 * Owns:      the cleanup keeps arg alive.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API go_cleanup go_add_cleanup(void *p, void (*fn)(void *arg), void *arg);

/* go_cleanup_stop - the cleanup shall not run. False when it has been queued, run or stopped.
 *
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API bool go_cleanup_stop(void *p, go_cleanup c);

/* A pointer that does not keep its object alive. */
typedef struct go_weak go_weak;

/* go_weak_new - a weak pointer to the object that p points to or into; NULL without memory, or when
 * p is in none.
 *
 * All weak pointers made from the same p are the same one, counted; go_weak_free gives each back.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API go_weak *go_weak_new(void *p);

/* go_weak_get - p, which is alive from here on as any pointer on the stack keeps it; NULL when the
 * object is unreachable.
 *
 * NULL from the moment its finalizer is queued, even should that revive it.
 * Fatal:     "go_weak_get: the weak pointer was freed" (found while nothing else has its memory).
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API void *go_weak_get(go_weak *w);

/* go_weak_free - one weak pointer less. NULL is allowed.
 *
 * Fatal:     "go_weak_free: the weak pointer was freed already" (found as above).
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API void go_weak_free(go_weak *w);

#endif
