// SPDX-License-Identifier: BSD-3-Clause
// go_once: the function itself is called by the face, outside the runtime and with the mutex held.
//
// A panic in the function, or go_exit, ends it as if it had returned: that is deferred.
//
// Order: done is stored with release after the function has ended, and read with acquire.
#include "chan/chan_impl.h"

bool
gonce_done(go_once *o)
{
	return load_acq(ATOMIC_WORD(&o->done)) != 0; // order: observe <- gonce_end
}

static void
finish(go_once *o)
{
	store_rel(ATOMIC_WORD(&o->done), 1); // order: publish -> gonce_done
	gmutex_unlock(&o->m);
}

// Deferred.  Stack: user.
static void
abandon(void *v)
{
	const OnceRun *run = v;
	sched_enter();
	finish(run->once);
	sched_leave();
}

bool
gonce_begin(go_once *o, OnceRun *run)
{
	static const DeferKind plain;
	gmutex_lock(&o->m, WAIT_mutex_lock);
	if (gonce_done(o)) {
		gmutex_unlock(&o->m);
		return false;
	}
	run->once = o;
	run->d.kind = &plain;
	run->d.fn = abandon;
	run->d.arg = run;
	defer_push(sched_g(), &run->d);
	return true;
}

void
gonce_end(OnceRun *run)
{
	defer_pop(sched_g(), &run->d);
	finish(run->once);
}
