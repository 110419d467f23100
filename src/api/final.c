// SPDX-License-Identifier: BSD-3-Clause
// undergo/heap.h: the end of objects.
//
// A thread without a P may wait for a lock, and be stopped there, when all that is left of the
// object in hand is the number of its slot. So each function keeps p until it is done.
#include "gc/special.h"
#include "sched/sched.h"
#include "undergo/heap.h"

int
go_set_finalizer(void *p, void (*fn)(void *p, void *arg), void *arg)
{
	if (!sched_attached())
		return GO_ENOMEM;
	sched_enter();
	int err = special_set_finalizer(p, POINTS_TO_BEGINNING, fn, arg);
	go_keep_alive(p);
	sched_leave();
	return err;
}

go_cleanup
go_add_cleanup(void *p, void (*fn)(void *arg), void *arg)
{
	if (fn == NULL || !sched_attached())
		return 0;
	if (p == NULL)
		fatal("runtime.AddCleanup: ptr is nil");
	if (p == arg)
		fatal("runtime.AddCleanup: ptr is equal to arg, cleanup will never run");
	sched_enter();
	uint64_t id = special_add_cleanup(p, fn, arg);
	go_keep_alive(p);
	sched_leave();
	return id;
}

bool
go_cleanup_stop(void *p, go_cleanup c)
{
	if (c == 0)
		return false;
	sched_enter();
	bool stopped = special_stop_cleanup(p, c);
	go_keep_alive(p);
	sched_leave();
	return stopped;
}

go_weak *
go_weak_new(void *p)
{
	if (!sched_attached())
		return NULL;
	sched_enter();
	go_weak *w = special_weak_new(p);
	go_keep_alive(p);
	sched_leave();
	return w;
}

void *
go_weak_get(go_weak *w)
{
	if (w == NULL)
		return NULL;
	sched_enter();
	void *p = special_weak_get(w);
	sched_leave();
	return p;
}

void
go_weak_free(go_weak *w)
{
	if (w == NULL)
		return;
	sched_enter();
	special_weak_free(w);
	sched_leave();
}
