// SPDX-License-Identifier: BSD-3-Clause
// undergo/scope.h, undergo/context.h and undergo/local.h.
#include "scope/scope.h"

#include "sched/sched.h"
#include "undergo/context.h"
#include "undergo/local.h"
#include "undergo/scope.h"

// --- scopes ------------------------------------------------------------------------------------

static Scope *
inside(go_scope *s)
{
	return (Scope *)(void *)s;
}

void
go_scope_open(go_scope *s, int64_t deadline)
{
	sched_enter();
	scope_open(inside(s), deadline);
	sched_leave();
}

static int
spawn(go_scope *s, const go_attr *attr, int (*fn)(void *arg), void *arg, const void *return_pc)
{
	SpawnAttr a = {0, NULL};
	if (s == NULL || fn == NULL)
		return GO_EINVAL;
	if (attr != NULL)
		a = (SpawnAttr){attr->stack_bytes, attr->name};
	if (a.stack_bytes > STACK_MAX_BYTES)
		return GO_EINVAL;
	if (!sched_attached())
		return GO_ENOMEM;
	sched_enter();
	sched_spawning(return_pc);
	int err = scope_spawn(inside(s), a, fn, arg);
	sched_leave();
	return err;
}

int
go_scope_spawn(go_scope *s, int (*fn)(void *arg), void *arg)
{
	return spawn(s, NULL, fn, arg, __builtin_return_address(0));
}

int
go_scope_spawn_with(go_scope *s, const go_attr *attr, int (*fn)(void *arg), void *arg)
{
	return spawn(s, attr, fn, arg, __builtin_return_address(0));
}

void
go_scope_cancel(go_scope *s)
{
	sched_enter();
	scope_cancel(inside(s));
	sched_leave();
}

int
go_scope_wait(go_scope *s)
{
	sched_enter();
	int err = scope_wait(inside(s));
	sched_leave();
	return err;
}

// A thread that was never here has no G and runs in no scope.
bool
go_canceled(void)
{
	return sched_m() != NULL && scope_canceled(sched_g());
}

// --- contexts: NULL is the one that never ends -------------------------------------------------

go_ctx *
go_ctx_new(go_ctx *parent, int64_t deadline)
{
	if (!sched_attached())
		return NULL;
	sched_enter();
	Ctx *c = ctx_new(parent, deadline);
	sched_leave();
	return c;
}

go_ctx *
go_ctx_with_value(go_ctx *parent, const void *key, void *value)
{
	if (!sched_attached())
		return NULL;
	sched_enter();
	Ctx *c = ctx_with_value(parent, key, value);
	sched_leave();
	return c;
}

void *
go_ctx_value(go_ctx *ctx, const void *key)
{
	return ctx_value(ctx, key);
}

void
go_ctx_cancel(go_ctx *ctx)
{
	if (ctx == NULL)
		return;
	sched_enter();
	ctx_cancel(ctx);
	sched_leave();
}

go_chan *
go_ctx_done(go_ctx *ctx)
{
	if (ctx == NULL)
		return NULL;
	sched_enter();
	Hchan *done = ctx_done(ctx);
	sched_leave();
	return done;
}

int
go_ctx_err(go_ctx *ctx)
{
	return ctx != NULL ? ctx_err(ctx) : 0;
}

int64_t
go_ctx_deadline(go_ctx *ctx)
{
	return ctx != NULL ? ctx_deadline(ctx) : GO_NEVER;
}

go_ctx *
go_ctx_ref(go_ctx *ctx)
{
	if (ctx != NULL)
		ctx_ref(ctx);
	return ctx;
}

void
go_ctx_unref(go_ctx *ctx)
{
	if (ctx == NULL)
		return;
	sched_enter();
	ctx_unref(ctx);
	sched_leave();
}

// --- goroutine-local values --------------------------------------------------------------------

int
go_local_key_new(go_local_key *key, void (*destroy)(void *value))
{
	if (key == NULL)
		return GO_EINVAL;
	key->id = local_key_new(destroy);
	return key->id != 0 ? 0 : GO_ENOMEM;
}

// No need to enter: a goroutine's values are its own, and a thread that was never here has none.
void *
go_local_get(go_local_key key)
{
	return sched_m() != NULL ? local_get(sched_g(), key.id) : NULL;
}

int
go_local_set(go_local_key key, void *value)
{
	if (!sched_attached())
		return GO_ENOMEM;
	int err = local_set(sched_enter(), key.id, value);
	sched_leave();
	return err;
}
