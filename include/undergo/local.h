/* SPDX-License-Identifier: BSD-3-Clause */
/* undergo/local.h - values that belong to a goroutine, as thread-local ones belong to a thread. */
#ifndef UNDERGO_LOCAL_H
#define UNDERGO_LOCAL_H

#include "base.h"

typedef struct go_local_key {
	uint32_t id; /* 0: not a key */
} go_local_key;

/* go_local_key_new - make a key under which each goroutine may keep one pointer.
 *
 * destroy, unless NULL, is called with a goroutine's value when it ends and the value is not
 * NULL; it runs on that goroutine and may block. Keys are never taken back.
 * Errors:    GO_ENOMEM when all 1024 keys are in use, GO_EINVAL when key is NULL.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API int go_local_key_new(go_local_key *key, void (*destroy)(void *value));

/* go_local_get - the calling goroutine's value under the key; NULL when it has set none.
 *
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API void *go_local_get(go_local_key key);

/* go_local_set - keep value under the key for the calling goroutine.
 *
 * Errors:    GO_EINVAL when the key was never made, GO_ENOMEM.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 * Owns:      the value stays the caller's; a goroutine's values end with it, see destroy.
 */
GO_API int go_local_set(go_local_key key, void *value);

#endif
