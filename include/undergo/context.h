/* SPDX-License-Identifier: BSD-3-Clause */
/* undergo/context.h - cancellation, deadlines and request values handed down a call tree.
 *
 * A context is made from a parent and ends with it. It is counted: every go_ctx that a call of
 * this header returns is one reference, given back with go_ctx_unref. All functions take NULL as
 * the context that is never cancelled, has no deadline and holds nothing.
 */
#ifndef UNDERGO_CONTEXT_H
#define UNDERGO_CONTEXT_H

#include "base.h"
#include "chan.h"

typedef struct go_ctx go_ctx;

/* go_ctx_new - a context below parent that can be cancelled and ends at the deadline.
 *
 * The earlier of the parent's deadline and this one holds; GO_NEVER adds none. Returns NULL when
 * there is no memory.
 * Owns:      the caller has one reference; the new context keeps one of parent.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API go_ctx *go_ctx_new(go_ctx *parent, int64_t deadline);

/* go_ctx_with_value - a context below parent that holds value under key.
 *
 * Keys are compared by address. Returns NULL when there is no memory.
 * Owns:      the caller has one reference; value must outlive the context.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API go_ctx *go_ctx_with_value(go_ctx *parent, const void *key, void *value);

/* go_ctx_value - what the nearest context up the tree holds under key, or NULL.
 *
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API void *go_ctx_value(go_ctx *ctx, const void *key);

/* go_ctx_cancel - end a context and all below it with GO_ECANCELED. NULL is allowed.
 *
 * The first end counts; later ones change nothing. When the call returns, ctx and all below it have
 * ended, whoever ended them.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API void go_ctx_cancel(go_ctx *ctx);

/* go_ctx_done - the channel that is closed when the context ends.
 *
 * NULL for a context that can never end, which suits select.
 * Owns:      the context.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API go_chan *go_ctx_done(go_ctx *ctx);

/* go_ctx_err - 0 while the context lives, then GO_ECANCELED or GO_ETIMEDOUT for ever.
 *
 * Once it is not 0, go_ctx_done is closed, and the other way round.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API int go_ctx_err(go_ctx *ctx);

/* go_ctx_deadline - when the context ends by itself; GO_NEVER when it has no deadline.
 *
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API int64_t go_ctx_deadline(go_ctx *ctx);

/* go_ctx_ref - one more reference to ctx; returns ctx.
 *
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API go_ctx *go_ctx_ref(go_ctx *ctx);

/* go_ctx_unref - one reference less; the last one frees the context. NULL is allowed.
 *
 * Freeing does not cancel children: they hold references of their own.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API void go_ctx_unref(go_ctx *ctx);

#endif
