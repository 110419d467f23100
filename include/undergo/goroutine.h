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

/* go_run_here - go_run with the main goroutine on the calling thread.
 *
 * For what the system or a library wants on one thread, mostly the process's first: fn begins
 * locked to the calling thread, as if by go_lock_os_thread. Other goroutines run elsewhere. After
 * go_unlock_os_thread it may move, and this thread runs any goroutine. So a program does here what
 * belongs to this thread, then unlocks or not, as a Go program does in its init functions.
 *
 * When fn has returned, on whatever thread, this call returns as soon as no goroutine needs the
 * thread: one that is locked to it, or computes or is blocked in the system there, keeps it. A
 * goroutine that ends locked to the thread does not end it, as it is the program's: but nothing
 * more runs on it until fn has returned, and this call leaves it in the state it is in.
 * Blocks:    the calling thread, which runs goroutines meanwhile.
 * Call from: a thread, not from a goroutine. From several threads at once too.
 * Errors:    GO_EINVAL when fn is NULL or the caller is a goroutine, GO_ENOMEM when no stack can be
 *            had.
 */
GO_API int go_run_here(int (*fn)(void *arg), void *arg);

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
 * Calls what is deferred (panic.h), then destructors of C++ in the functions it is in. No
 * go_protect ends it. A go_once_do that it is in counts as done, scopes that it has open are
 * cancelled and waited for, and its goroutine-local values are destroyed. Ending the main
 * goroutine so lets the others go on and leaves go_run waiting.
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

/* go_lock_os_thread - keep the calling goroutine on its thread, alone.
 *
 * From here on the goroutine runs on the thread it is on and no other goroutine does, until it has
 * called go_unlock_os_thread as often. For state that the system keeps for each thread: namespaces
 * and credentials, the signal mask, priorities, libraries that want always the same thread. Waiting
 * and waking take a change of threads each way, some microseconds.
 *
 * A goroutine that ends locked, by returning or by go_exit, ends its thread, which may be in any
 * state: destructors of pthread keys run, and nothing of the library's runs there again. Threads
 * that the library makes inherit nothing from one that a goroutine is locked to, nor from a thread
 * of the program; they are as the process was at the library's first call.
 *
 * Goroutines never run on the process's first thread, nor on another of the program's, unless that
 * has called go_run_here: the thread that called go_run sleeps there, and the main goroutine is as
 * any other. A thread of the program that calls this is alone on its thread anyway, and outlives
 * its calls.
 * With UNDERGO_SEED one thread of the system plays all: goroutines take turns as said here, but
 * what the system keeps for a thread they share, and no thread of the system ends.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API void go_lock_os_thread(void);

/* go_unlock_os_thread - take back one go_lock_os_thread.
 *
 * When it was the last one the goroutine may move and the thread goes back to the others: undo
 * first what was done to the thread's state. Without a go_lock_os_thread it does nothing.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API void go_unlock_os_thread(void);

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
