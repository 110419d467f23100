// SPDX-License-Identifier: BSD-3-Clause
// The ring of os/file.h where there is no liburing to build with: there is none.
#include <errno.h>

#include "os/file.h"
#include "os/os_impl.h"

int
sys_ring_make(void)
{
	return -ENOSYS;
}

void
sys_ring_end(void)
{
}

int
sys_ring_submit(const OsFileCall *c, bool later, uint64_t tag)
{
	(void)c;
	(void)later;
	(void)tag;
	return -ENOSYS;
}

bool
sys_ring_take(OsRingDone *done)
{
	(void)done;
	return false;
}
