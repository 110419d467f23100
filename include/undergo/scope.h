/* SPDX-License-Identifier: BSD-3-Clause */
/* undergo/scope.h - goroutines that cannot outlive the block that started them.
 *
 *   go_scope s;
 *   go_scope_open(&s, go_in(2 * GO_SEC));
 *   go_scope_spawn(&s, fetch, &a);
 *   go_scope_spawn(&s, fetch, &b);
 *   int err = go_scope_wait(&s);   // first error, or GO_ETIMEDOUT; all children have ended
 *
 * When a scope is cancelled, by hand, by its deadline, by a child that returns an error, or with
 * the scope around it, every blocking call of its children returns GO_ECANCELED: a wait in progress
 * ends, and later ones do not begin; calls that need not wait succeed, and GO_POLL tells GO_EAGAIN.
 * Locks (go_mutex_lock, go_rwmutex_*, go_once_do) are not cancelled.
 */
#ifndef UNDERGO_SCOPE_H
#define UNDERGO_SCOPE_H

#include "base.h"
#include "goroutine.h"

/* A scope, in place: usually a local variable. Its contents are private. */
typedef struct go_scope {
	uint64_t opaque[22];
} go_scope;

/* go_scope_open - open a scope in the calling goroutine.
 *
 * It lies within the scope the caller itself runs in, if any, and is cancelled with it.
 * Blocks:    no.
 * A panic that leaves the caller's block, or go_exit, cancels it and waits for its children.
 * Fatal:     "scope: end of a goroutine with an open scope", when the caller returns from its
 *            function before it has called go_scope_wait.
 * Call from: a goroutine or a thread.
 */
GO_API void go_scope_open(go_scope *s, int64_t deadline);

/* go_scope_spawn - start a child that runs fn(arg) inside the scope.
 *
 * A negative result of fn cancels the scope; the first such result is the scope's.
 * Fatal:     "scope: spawn in a closed scope", while the memory of s still tells.
 * Errors:    GO_EINVAL when fn is NULL, GO_ENOMEM; GO_ECANCELED when the scope has been cancelled.
 *            Nothing was started.
 * Blocks:    no.
 * Call from: the goroutine that opened the scope, or any of its children.
 */
GO_API int go_scope_spawn(go_scope *s, int (*fn)(void *arg), void *arg);

/* go_scope_spawn_with - go_scope_spawn with attributes; attr may be NULL.
 *
 * Errors:    as go_scope_spawn and go_spawn_with.
 * Blocks:    no.
 * Call from: the goroutine that opened the scope, or any of its children.
 */
GO_API int go_scope_spawn_with(go_scope *s, const go_attr *attr, int (*fn)(void *arg), void *arg);

/* go_scope_cancel - cancel the scope and the scopes inside it. Children end in their own time.
 *
 * When it returns, the scope and all inside it are cancelled, whoever began that.
 * Blocks:    no.
 * Call from: any goroutine or thread while the scope is open.
 */
GO_API void go_scope_cancel(go_scope *s);

/* go_scope_wait - wait until every child has ended, then close the scope.
 *
 * Returns 0, or the first negative result of a child, GO_ETIMEDOUT when the deadline came
 * first, or GO_ECANCELED when the scope was cancelled.
 * Blocks:    this goroutine; the wait itself is not cut short, since children must not outlive it.
 * Fatal:     "scope: wait by a goroutine that did not open it", "scope: wait for a closed scope".
 * Call from: the goroutine that opened the scope, once.
 * Order:     what the children did is visible.
 */
GO_API int go_scope_wait(go_scope *s);

/* go_canceled - whether the scope that the calling goroutine runs in has been cancelled.
 *
 * For loops that compute without blocking. False outside every scope.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API bool go_canceled(void);

#endif
