// SPDX-License-Identifier: BSD-3-Clause
// go_once: the function itself is called by the face, outside the runtime and with the mutex held.
//
// A goroutine knows which functions it is in, by a list of places on its own stack, so that
// go_exit can end them as if they had returned. On a thread of the program go_exit is fatal, and
// there is no list.
//
// Order: done is stored with release after the function has ended, and read with acquire.
#include "chan/chan_impl.h"

bool
gonce_done(go_once *o)
{
	return load_acq(ATOMIC_WORD(&o->done)) != 0; // order: observe <- gonce_end
}

bool
gonce_begin(go_once *o, OnceRun *run)
{
	gmutex_lock(&o->m, WAIT_mutex_lock);
	if (gonce_done(o)) {
		gmutex_unlock(&o->m);
		return false;
	}
	G *gp = sched_g();
	run->once = o;
	if (!gp->thread) {
		run->outer = gp->onces;
		gp->onces = run;
	}
	return true;
}

void
gonce_end(OnceRun *run)
{
	G *gp = sched_g();
	if (!gp->thread)
		gp->onces = run->outer;
	go_once *o = run->once;
	store_rel(ATOMIC_WORD(&o->done), 1); // order: publish -> gonce_done
	gmutex_unlock(&o->m);
}

void
gonce_exit(G *gp)
{
	while (gp->onces != NULL)
		gonce_end(gp->onces);
}
