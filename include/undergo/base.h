/* SPDX-License-Identifier: BSD-3-Clause */
/* undergo/base.h - time, deadlines and error codes: what every other header uses. */
#ifndef UNDERGO_BASE_H
#define UNDERGO_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define GO_EXTERN extern "C"
#else
#define GO_EXTERN extern
#endif
#define GO_API GO_EXTERN __attribute__((visibility("default")))

#define GO_VERSION_MAJOR 0
#define GO_VERSION_MINOR 1
#define GO_VERSION_PATCH 0

/* What the tags of these headers mean:
 *
 *   Blocks: no   does not wait for another goroutine or for time. A call may still have to wait
 *                for a processor, when the goroutine's was taken back meanwhile, and then return
 *                on another thread. So after any call of this library but go_now, go_in,
 *                go_strerror, go_chan_len, go_chan_cap and go_errno_location, do not count on
 *                the address of a thread-local variable, or on a lock that belongs to a thread.
 *   Panics:      a panic with Go's text begins, see panic.h. Unless something catches it the
 *                process ends with that text and exit status 2.
 *   Fatal:       the same, as an error that Go never lets a program recover from.
 */

/* Time is int64_t nanoseconds throughout. A deadline is a point on go_now's clock. */
#define GO_NSEC ((int64_t)1)
#define GO_USEC ((int64_t)1000)
#define GO_MSEC ((int64_t)1000000)
#define GO_SEC ((int64_t)1000000000)

/* The deadline that never comes, and the one that says: do not wait at all. */
#define GO_NEVER INT64_MAX
#define GO_POLL ((int64_t)0)

/* Error codes: negative, and the only failures a call returns. 0 is success. Their values are
 * part of the ABI and unrelated to errno. */
enum {
	GO_EAGAIN = -1,    /* it would wait, and the caller said not to */
	GO_ETIMEDOUT = -2, /* the deadline came first */
	GO_ECANCELED = -3, /* the goroutine's scope or context was cancelled */
	GO_ECLOSED = -4,   /* the channel is closed and drained; the descriptor is closed */
	GO_EINVAL = -5,    /* an argument makes no sense */
	GO_ENOMEM = -6,    /* the system gives no memory, thread or descriptor */
	GO_EBUSY = -7,     /* the object is in use */
	GO_ENOSYS = -8,    /* this system cannot do it */
	GO_EIO = -9,       /* the descriptor does not take what was to be written */
	GO_EEOF = -10,     /* the other side has ended the stream too early */
	GO_ENOHOST = -11,  /* no such host */
	GO_EADDRESS = -12, /* an address that cannot be read, or an unknown network or service */
	GO_ESYSTEM = -1000 /* less an errno: what the system says, as it is; see GO_ERRNO */
};

/* The code for an errno value that has none of its own above: GO_ERRNO(ECONNREFUSED). */
#define GO_ERRNO(e) (GO_ESYSTEM - (e))

/* go_strerror - the text of an error code.
 *
 * Returns a constant string, for unknown codes "unknown error".
 * Blocks:    no.
 * Call from: anywhere, signal handlers too.
 */
GO_API const char *go_strerror(int code);

/* go_now - the current time on the monotonic clock deadlines are measured on.
 *
 * The clock starts at an arbitrary point, never goes back, and stands still while the
 * machine is suspended. In the deterministic mode it is virtual.
 * Units:     nanoseconds.
 * Blocks:    no.
 * Call from: anywhere.
 */
GO_API int64_t go_now(void);

/* go_in - the deadline that lies delay_ns after now.
 *
 * Saturates: a huge delay gives GO_NEVER, a negative one a deadline that has passed.
 * Units:     nanoseconds.
 * Blocks:    no.
 * Call from: anywhere.
 */
GO_API int64_t go_in(int64_t delay_ns);

#endif
