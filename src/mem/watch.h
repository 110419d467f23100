// SPDX-License-Identifier: BSD-3-Clause
// What is told of slots to those who watch over memory: the sanitizers. See clobber.h, too.
//
// ThreadSanitizer sees nothing of a thread being stopped, so what a slot's earlier object has seen
// must be forgotten, or it would be a race with the next one.
#ifndef UNDERGO_MEM_WATCH_H
#define UNDERGO_MEM_WATCH_H

#include "base/base.h"

#if SANITIZE_THREAD
void __tsan_java_alloc(unsigned long p, unsigned long bytes);
void __tsan_java_free(unsigned long p, unsigned long bytes);
#endif
#if SANITIZE_ADDRESS
#include <sanitizer/asan_interface.h>
#endif

enum { WATCHES_FREE = SANITIZE_ADDRESS };

// [p, p + bytes) is about to become an object.
static inline void
watch_made(void *p, size_t bytes)
{
#if SANITIZE_THREAD
	__tsan_java_free((unsigned long)p, bytes);
	__tsan_java_alloc((unsigned long)p, bytes);
#elif SANITIZE_ADDRESS
	ASAN_UNPOISON_MEMORY_REGION(p, bytes);
#else
	(void)p;
	(void)bytes;
#endif
}

// It is none any more.
static inline void
watch_gone(void *p, size_t bytes)
{
#if SANITIZE_ADDRESS
	ASAN_POISON_MEMORY_REGION(p, bytes);
#endif
	(void)p;
	(void)bytes;
}

#endif
