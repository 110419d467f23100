// SPDX-License-Identifier: BSD-3-Clause
// The key-value server, part store: the keys, in shards with a lock each.
//
// Locks: those of shards, several at once by rising number. A command has all the shards of its
//        keys, so it is one step to everybody else.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kv.h"

enum { TEXT_ROOM = 16 };

Shard shards[SHARDS_MAX];
unsigned n_shards;

void
store_open(unsigned n)
{
	n_shards = n;
	for (unsigned i = 0; i < n; i++)
		if (go_map_init(shards[i].keys, 0) != 0)
			exit(1);
}

// --- shards -------------------------------------------------------------------------------------

static inline uint64_t
mixed(uint64_t h, uint64_t w)
{
	h = (h ^ w) * 0x9e3779b97f4a7c15;
	return h ^ h >> 32;
}

unsigned
shard_of(go_bytes key)
{
	uint64_t h = key.n, w = 0;
	const char *p = key.p;
	size_t n = key.n;
	for (; n >= sizeof(w); n -= sizeof(w), p += sizeof(w)) {
		memcpy(&w, p, sizeof(w));
		h = mixed(h, w);
	}
	w = 0;
	memcpy(&w, p, n);
	return (unsigned)(mixed(h, w) >> 20) & (n_shards - 1);
}

uint64_t
store_lock(const go_bytes *keys, int n, int step)
{
	uint64_t wanted = 0;
	for (int i = 0; i < n; i += step)
		wanted |= (uint64_t)1 << shard_of(keys[i]);
	for (uint64_t left = wanted; left != 0; left &= left - 1)
		go_mutex_lock(&shards[__builtin_ctzll(left)].lock);
	return wanted;
}

void
store_unlock(uint64_t locked)
{
	for (; locked != 0; locked &= locked - 1)
		go_mutex_unlock(&shards[__builtin_ctzll(locked)].lock);
}

// --- keys ---------------------------------------------------------------------------------------

static bool
has_expired(const Value *v)
{
	return v->expires != GO_NEVER && v->expires <= go_now();
}

Value *
store_find(go_bytes key)
{
	Shard *s = &shards[shard_of(key)];
	Value *v = go_map_find(s->keys, key);
	if (v == NULL || !has_expired(v))
		return v;
	(void)store_delete(key);
	return NULL;
}

// The map keeps the bytes it is given for a new key, so these are copied.
Value *
store_make(go_bytes key)
{
	Value *v = store_find(key);
	if (v == NULL) {
		v = go_map_at(shards[shard_of(key)].keys, bytes_kept(key));
		v->expires = GO_NEVER;
	}
	return v;
}

bool
store_delete(go_bytes key)
{
	Shard *s = &shards[shard_of(key)];
	const Value *v = go_map_find(s->keys, key);
	if (v == NULL)
		return false;
	bool gone = has_expired(v);
	s->expiring -= v->expires != GO_NEVER;
	go_map_del(s->keys, key);
	return !gone;
}

void
store_expire(Value *v, go_bytes key, int64_t when)
{
	Shard *s = &shards[shard_of(key)];
	s->expiring += (when != GO_NEVER) - (size_t)(v->expires != GO_NEVER);
	v->expires = when;
}

// A shard at a time, so that commands wait for a short while only.
void
store_clean(void)
{
	while (go_sleep(GO_SEC) == 0) { // often enough for keys that nobody asks for
		for (unsigned i = 0; i < n_shards; i++) {
			Shard *s = &shards[i];
			go_mutex_lock(&s->lock);
			if (s->expiring != 0)
				go_map_each (s->keys, it)
					if (has_expired(it.elem))
						(void)store_delete(*it.key);
			go_mutex_unlock(&s->lock);
		}
	}
}

// --- bytes --------------------------------------------------------------------------------------

go_bytes
bytes_kept(go_bytes b)
{
	void *p = go_alloc_data(b.n != 0 ? b.n : 1);
	memcpy(p, b.p, b.n);
	return (go_bytes){p, b.n};
}

void
text_set(Text *t, go_bytes b)
{
	if (t->room < b.n || t->room > 4 * b.n + TEXT_ROOM) {
		t->room = b.n > TEXT_ROOM ? b.n : TEXT_ROOM;
		t->p = go_alloc_data(t->room);
	}
	memcpy(t->p, b.p, b.n);
	t->n = b.n;
}

void
text_append(Text *t, go_bytes b)
{
	if (t->room - t->n < b.n) {
		size_t room = 2 * t->n + b.n + TEXT_ROOM;
		char *p = go_alloc_data(room);
		if (t->n != 0)
			memcpy(p, t->p, t->n);
		t->p = p;
		t->room = room;
	}
	memcpy(t->p + t->n, b.p, b.n);
	t->n += b.n;
}
