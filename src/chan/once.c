// SPDX-License-Identifier: BSD-3-Clause
// go_once: the function itself is called by the face, outside the runtime and with the mutex held.
//
// Order: done is stored with release after the function has returned, and read with acquire.
#include "chan/chan_impl.h"

bool
gonce_done(go_once *o)
{
	return load_acq(ATOMIC_WORD(&o->done)) != 0; // order: observe <- gonce_end
}

bool
gonce_begin(go_once *o)
{
	gmutex_lock(&o->m, WAIT_mutex_lock);
	if (!gonce_done(o))
		return true;
	gmutex_unlock(&o->m);
	return false;
}

void
gonce_end(go_once *o)
{
	store_rel(ATOMIC_WORD(&o->done), 1); // order: publish -> gonce_done
	gmutex_unlock(&o->m);
}
