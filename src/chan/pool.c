// SPDX-License-Identifier: BSD-3-Clause
// Memory for channels.
//
// A channel and its ring are one block, of a few sizes; a ring too large for these lies apart.
// Blocks are kept for the next channel and never given back to the system. Elements may be pointers
// to what the collector manages, so all of it is pinned memory of the heap, which is scanned; a
// free block's ring is zero, or what it has held would live on.
//
// Invariants:
//   I1  Hchan.lock of a block is initialised once and is a lock for ever. Whoever gives a channel's
//       lock up looks at its sleepers afterwards, when the channel may have been freed and even
//       made anew (chan.c, O3): he reads a lock then, and at worst wakes a sleeper for nothing.
//   I2  A block's ring pointer is the pool's while the block is free: the next free one of its
//       size.
// Locks:  pool_lock, rank leaf.
// Not done: lists for each P. Programs that make channels in a hurry make a goroutine with each.
#include "chan/chan_impl.h"
#include "gc/gc.h"

// What nobody may look at in a free block: all but the lock, and the pointer to the next.
#if SANITIZE_ADDRESS
#include <sanitizer/asan_interface.h>
#define POISON(p, n) ASAN_POISON_MEMORY_REGION(p, n)
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#else
#define POISON(p, n) ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#endif
enum { CHUNK_BYTES = 16 * 1024 };

static const uint16_t block_bytes[] = {
    128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12288, 16384, 32768,
};
enum { CLASSES = countof(block_bytes) };
static_assert(sizeof(Hchan) <= 128, "a channel without a ring fits the smallest block");
static_assert(sizeof(Hchan) % 16 == 0, "the ring behind it is aligned");

static Mutex pool_lock = MUTEX_INIT(leaf);
static Hchan *free_blocks[CLASSES]; // pool_lock

// The smallest class that holds a channel with such a ring; CLASSES when the ring lies apart.
static uint32_t
class_of(size_t ring_bytes)
{
	uint32_t class = 0;
	while (class < CLASSES && block_bytes[class] - sizeof(Hchan) < ring_bytes)
		class ++;
	return class;
}

// Locks: pool_lock held.
static void
push(uint32_t class, Hchan *c)
{
	c->ring = (char *)free_blocks[class];
	free_blocks[class] = c;
}

// Makes one block to return and others to keep. NULL without memory.
static Hchan *
grow(uint32_t class)
{
	size_t bytes = block_bytes[class];
	size_t n = CHUNK_BYTES / bytes > 1 ? CHUNK_BYTES / bytes : 1;
	char *chunk = gc_alloc_pinned(n * bytes);
	if (chunk == NULL)
		return NULL;
	check((uintptr_t)chunk % CACHE_LINE == 0, "chan: a block is not aligned");
	for (size_t i = 0; i < n; i++) {
		Hchan *c = (Hchan *)(void *)(chunk + i * bytes);
		mutex_init(&c->lock, RANK_chan);
	}
	mutex_lock(&pool_lock);
	for (size_t i = n; i-- > 1;)
		push(class, (Hchan *)(void *)(chunk + i * bytes));
	mutex_unlock(&pool_lock);
	return (Hchan *)(void *)chunk;
}

static Hchan *
get_block(uint32_t class)
{
	mutex_lock(&pool_lock);
	Hchan *c = free_blocks[class];
	if (c != NULL) {
		UNPOISON(c, block_bytes[class]);
		free_blocks[class] = (Hchan *)(void *)c->ring;
	}
	mutex_unlock(&pool_lock);
	return c != NULL ? c : grow(class);
}

Hchan *
chan_pool_get(size_t ring_bytes)
{
	uint32_t class = class_of(ring_bytes);
	if (class < CLASSES) {
		Hchan *c = get_block(class);
		if (c != NULL)
			c->ring = (char *)(c + 1);
		return c;
	}
	Hchan *c = get_block(0);
	if (c == NULL)
		return NULL;
	c->ring = gc_alloc_pinned(ring_bytes);
	if (c->ring == NULL) {
		chan_pool_put(c, 0);
		return NULL;
	}
	return c;
}

void
chan_pool_put(Hchan *c, size_t ring_bytes)
{
	uint32_t class = class_of(ring_bytes);
	if (class == CLASSES) {
		gc_free_pinned(c->ring);
		class = 0;
	} else {
		memset(c + 1, 0, ring_bytes);
	}
	mutex_lock(&pool_lock);
	push(class, c);
	POISON(c, offsetof(Hchan, ring)); // every use of a channel looks at its count or capacity
	POISON(&c->recvq, block_bytes[class] - offsetof(Hchan, recvq));
	mutex_unlock(&pool_lock);
}
