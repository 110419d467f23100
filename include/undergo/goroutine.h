/* SPDX-License-Identifier: BSD-3-Clause */
/* undergo/goroutine.h - starting, ending and naming goroutines.
 *
 * A goroutine is a function running on its own stack. Thousands to millions of them share
 * GOMAXPROCS threads; whichever blocks lets another run. Ordinary blocking calls (read,
 * getaddrinfo, a database client) may be made from any goroutine: the runtime notices, mostly
 * within a millisecond, and gives the processor to somebody else.
 *
 * Any thread of the process may call this library. A thread that the runtime did not make is
 * attached at its first call and detached when it ends; it may do everything a goroutine may.
 * Destructors of pthread keys may call too, if need be as a newly attached thread.
 */
#ifndef UNDERGO_GOROUTINE_H
#define UNDERGO_GOROUTINE_H

#include "base.h"

/* What a goroutine may be given at its start. Zero-initialise, then set what matters. */
typedef struct go_attr {
	size_t stack_bytes; /* to reserve; 0 is the default, 256 KiB; only touched pages cost */
	const char *name;   /* shown in dumps and debuggers; copied, at most 23 bytes are kept */
} go_attr;

/* go_run - start the runtime, run fn(arg) as the main goroutine, and return what it returns.
 *
 * The runtime stays up afterwards and other goroutines go on running; the process ends as C
 * programs end, by returning from main or by exit. May be called again, also from several threads.
 * Blocks:    the calling thread.
 * Call from: a thread, not from a goroutine.
 * Errors:    GO_EINVAL when fn is NULL or the caller is a goroutine, GO_ENOMEM when no thread or
 *            stack can be had.
 */
GO_API int go_run(int (*fn)(void *arg), void *arg);

/* go_spawn - start a goroutine that runs fn(arg).
 *
 * Starts the runtime when nothing has yet. The goroutine ends when fn returns. It begins with the
 * default floating-point modes and errno 0; what it changes of them stays its own.
 * Errors:    GO_EINVAL when fn is NULL; GO_ENOMEM when no stack can be had. Nothing was started.
 * Blocks:    no.
 * Call from: a goroutine or a thread; not from a signal handler.
 * Owns:      arg stays the caller's affair.
 * Order:     what the caller did before is visible to fn.
 */
GO_API int go_spawn(void (*fn)(void *arg), void *arg);

/* go_spawn_with - go_spawn with attributes.
 *
 * attr may be NULL, and may be reused on return.
 * Errors:    as go_spawn, and GO_EINVAL when stack_bytes is beyond 1 GB.
 * Blocks:    no.
 * Call from: a goroutine or a thread; not from a signal handler.
 */
GO_API int go_spawn_with(const go_attr *attr, void (*fn)(void *arg), void *arg);

/* go_yield - let other goroutines run first.
 *
 * The caller stays runnable and goes to the end of the queue.
 * Blocks:    this goroutine, until its turn comes round.
 * Call from: a goroutine; on a thread of the program it yields the thread.
 */
GO_API void go_yield(void);

/* go_exit - end the calling goroutine.
 *
 * A go_once_do that it is in counts as done, and its goroutine-local values are destroyed. Ending
 * the main goroutine so lets the others go on and leaves go_run waiting.
 * Call from: a goroutine. On a thread of the program it is a fatal error.
 */
GO_API void go_exit(void) __attribute__((noreturn));

/* go_id - the number of the calling goroutine, from 1 up, never used twice.
 *
 * A thread of the program has a number of its own.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API uint64_t go_id(void);

/* go_name_set - name the calling goroutine for dumps and debuggers.
 *
 * Copies at most 23 bytes; NULL takes the name away.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API void go_name_set(const char *name);

/* go_name - the calling goroutine's name, "" when it has none.
 *
 * Owns:      the text belongs to the goroutine and changes with go_name_set.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API const char *go_name(void);

/* go_block_begin - announce a call that is likely to block the thread.
 *
 * A hint: without it the processor is taken back as soon as the monitor notices. With it, it is
 * given up at once when work waits for it or no other processor is idle, and else whenever
 * somebody wants it.
 * Every go_block_begin is followed by go_block_end on the same goroutine, with no call of this
 * library between them.
 * Blocks:    no.
 * Call from: a goroutine; on a thread of the program it does nothing.
 */
GO_API void go_block_begin(void);

/* go_block_end - the announced call has returned.
 *
 * Keeps errno.
 * Blocks:    this goroutine, until a processor is free.
 * Call from: where go_block_begin was called.
 */
GO_API void go_block_end(void);

#endif
