// SPDX-License-Identifier: BSD-3-Clause
// The C face of goroutines: include/undergo/goroutine.h.
#include <string.h>

#include "os/os.h"
#include "panic/chain.h"
#include "sched/sched.h"
#include "undergo/errno.h"
#include "undergo/goroutine.h"
#include "undergo/runtime.h"

int
go_run(int (*fn)(void *arg), void *arg)
{
	if (fn == NULL)
		return GO_EINVAL;
	if (!sched_attached())
		return GO_ENOMEM;
	sched_enter();
	int result = sched_run_main(fn, arg);
	sched_leave();
	return result;
}

int
go_run_here(int (*fn)(void *arg), void *arg)
{
	if (fn == NULL)
		return GO_EINVAL;
	if (!sched_attached())
		return GO_ENOMEM;
	sched_enter();
	int result = sched_run_here(fn, arg, LOCK_EXTERNAL);
	sched_leave();
	return result;
}

int
go_spawn(void (*fn)(void *arg), void *arg)
{
	if (unlikely(fn == NULL))
		return GO_EINVAL;
	if (!sched_attached())
		return GO_ENOMEM;
	sched_enter();
	sched_spawning(__builtin_return_address(0));
	G *gp = sched_spawn(fn, arg, 0, NULL);
	sched_leave();
	return likely(gp != NULL) ? 0 : GO_ENOMEM;
}

int
go_spawn_with(const go_attr *attr, void (*fn)(void *arg), void *arg)
{
	static const go_attr none;
	if (attr == NULL)
		attr = &none;
	if (fn == NULL || attr->stack_bytes > STACK_MAX_BYTES)
		return GO_EINVAL;
	if (!sched_attached())
		return GO_ENOMEM;
	sched_enter();
	sched_spawning(__builtin_return_address(0));
	G *gp = sched_spawn(fn, arg, attr->stack_bytes, attr->name);
	sched_leave();
	return gp != NULL ? 0 : GO_ENOMEM;
}

void
go_yield(void)
{
	sched_enter();
	sched_gosched();
	sched_leave();
}

void
go_exit(void)
{
	const M *mp = sched_m();
	if (mp == NULL || mp->curg->thread)
		fatal("go_exit on a thread that is no goroutine");
	panic_goexit();
}

// A goroutine's own id and name do not change under it, so these need no P.
static G *
self(void)
{
	M *mp = sched_m();
	if (likely(mp != NULL))
		return mp->curg;
	G *gp = sched_enter();
	sched_leave();
	return gp;
}

uint64_t
go_id(void)
{
	return self()->id;
}

void
go_name_set(const char *name)
{
	sched_set_name(self(), name);
}

const char *
go_name(void)
{
	const char *name = self()->name;
	return name != NULL ? name : "";
}

void
go_block_begin(void)
{
	if (sched_m() == NULL)
		return;
	sched_enter();
	sched_block_begin();
}

void
go_block_end(void)
{
	if (sched_m() == NULL)
		return;
	int saved = *os_errno_addr();
	sched_enter();
	*os_errno_addr() = saved;
	sched_leave();
}

void
go_lock_os_thread(void)
{
	sched_enter();
	sched_lock_thread(LOCK_EXTERNAL);
	sched_leave();
}

void
go_unlock_os_thread(void)
{
	sched_enter();
	sched_unlock_thread(LOCK_EXTERNAL);
	sched_leave();
}

int *
go_errno_location(void)
{
	return os_errno_addr();
}
