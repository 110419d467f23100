// SPDX-License-Identifier: BSD-3-Clause
// Scopes, contexts, goroutine-local values: what a goroutine is told from outside, and carries.
//
// Reading order and the protocols that span files: src/scope/README.
#ifndef UNDERGO_SCOPE_SCOPE_H
#define UNDERGO_SCOPE_SCOPE_H

#include "base/base.h"
#include "chan/chan.h"
#include "sched/sched.h"
#include "timer/timer.h"

// --- scope.c ------------------------------------------------------------------------------------

typedef struct Scope Scope; // go_scope's contents

// What a child is started with beside its function.
typedef struct SpawnAttr {
	size_t stack_bytes; // 0: the default
	const char *name;   // NULL: none
} SpawnAttr;

void scope_open(Scope *s, int64_t deadline);
int scope_spawn(Scope *s, SpawnAttr attr, int (*fn)(void *), void *arg);
void scope_cancel(Scope *s);
int scope_wait(Scope *s);
// Whether gp's scope has been cancelled.  Runs on: gp.
bool scope_canceled(const G *gp);

// --- context.c ----------------------------------------------------------------------------------

typedef struct go_ctx Ctx;

// NULL without memory. parent may be NULL here and in ctx_with_value, c nowhere.
Ctx *ctx_new(Ctx *parent, int64_t deadline);
Ctx *ctx_with_value(Ctx *parent, const void *key, void *value);
void *ctx_value(const Ctx *c, const void *key);
void ctx_cancel(Ctx *c);
Hchan *ctx_done(Ctx *c);
int ctx_err(Ctx *c);
int64_t ctx_deadline(const Ctx *c);
void ctx_ref(Ctx *c);
void ctx_unref(Ctx *c);

// --- local.c ------------------------------------------------------------------------------------

enum { LOCAL_KEYS = 1024 };

// Key numbers run from 1. 0: all are in use.
uint32_t local_key_new(void (*destroy)(void *));
void *local_get(const G *gp, uint32_t key);
int local_set(G *gp, uint32_t key, void *value);
// Destroys gp's values.  Runs on: gp, at its end.  Blocks: G.
void local_end(G *gp);

#endif
