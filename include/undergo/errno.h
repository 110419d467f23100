/* SPDX-License-Identifier: BSD-3-Clause */
/* undergo/errno.h - errno that is right after a goroutine has moved to another thread.
 *
 * The C library lets the compiler keep errno's address for as long as it likes. A goroutine may
 * continue on another thread after any call that blocks, so code compiled with that promise would
 * read another thread's errno. This header replaces the macro by one whose address is asked for at
 * every use. The value itself belongs to the goroutine: it is saved and restored across switches.
 * Define GO_KEEP_ERRNO before including to leave errno alone.
 */
#ifndef UNDERGO_ERRNO_H
#define UNDERGO_ERRNO_H

#include <errno.h>

#include "base.h"

/* go_errno_location - the address of the calling thread's errno, now.
 *
 * The address is good until the next call that may move the goroutine; see base.h.
 * Blocks:    no.
 * Call from: anywhere.
 */
GO_API int *go_errno_location(void);

#ifndef GO_KEEP_ERRNO
#undef errno
#define errno (*go_errno_location())
#endif

#endif
