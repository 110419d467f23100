// SPDX-License-Identifier: BSD-3-Clause
// The key-value server, part kinds: the commands for lists, hashes and sets. A list is a ring of
// texts, hashes and sets are maps. One that has become empty is no key any more.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kv.h"

enum { RING_ROOM = 8 };

// The value of a key that has to be of a kind: as find says made, or NULL. *told: it was another.
typedef enum Find { FIND, FIND_OR_MAKE } Find;

static Value *
value_of(Client *c, Kind kind, Find find, bool *told)
{
	Value *v = find == FIND ? store_find(c->args[1]) : store_make(c->args[1]);
	*told = false;
	if (v == NULL || v->kind == kind)
		return v;
	if (v->kind != KIND_NONE) {
		*told = true;
		reply_wrong_kind(c);
		return NULL;
	}
	v->kind = kind;
	if ((kind == KIND_HASH && go_map_init(v->hash, 0) != 0) ||
	    (kind == KIND_SET && go_map_init(v->set, 0) != 0))
		exit(1);
	return v;
}

// --- lists --------------------------------------------------------------------------------------

static Text *
list_at(const List *l, size_t i)
{
	return &l->ring[(l->first + i) & (l->room - 1)];
}

static void
list_grow(List *l)
{
	size_t room = l->room != 0 ? 2 * l->room : RING_ROOM;
	Text *ring = go_alloc(room * sizeof(*ring));
	for (size_t i = 0; i < l->n; i++)
		ring[i] = *list_at(l, i);
	*l = (List){ring, 0, l->n, room};
}

typedef enum Side { LEFT, RIGHT } Side;

static void
push(Client *c, Side side)
{
	bool told;
	Value *v = value_of(c, KIND_LIST, FIND_OR_MAKE, &told);
	if (told)
		return;
	List *l = &v->list;
	for (int i = 2; i < c->n_args; i++) {
		if (l->n == l->room)
			list_grow(l);
		if (side == LEFT)
			l->first = (l->first - 1) & (l->room - 1);
		Text *t = list_at(l, side == LEFT ? 0 : l->n);
		l->n++;
		go_bytes kept = bytes_kept(c->args[i]);
		*t = (Text){(char *)(uintptr_t)kept.p, kept.n, kept.n};
	}
	reply_int(c, (int64_t)l->n);
}

static void
run_lpush(Client *c)
{
	push(c, LEFT);
}

static void
run_rpush(Client *c)
{
	push(c, RIGHT);
}

static void
pop_one(Client *c, List *l, Side side)
{
	Text *t = list_at(l, side == LEFT ? 0 : l->n - 1);
	reply_bulk(c, t->p, t->n);
	*t = (Text){0}; // or it would be kept alive
	l->first = (l->first + (side == LEFT)) & (l->room - 1);
	l->n--;
}

static void
pop(Client *c, Side side)
{
	bool told;
	int64_t n = 1;
	Value *v = value_of(c, KIND_LIST, FIND, &told);
	if (c->n_args > 2 && (!bytes_number(c->args[2], &n) || n < 0)) {
		if (!told)
			reply_error(c, "value is out of range, must be positive");
		return;
	}
	if (v == NULL) {
		if (!told)
			reply_text(c, c->n_args > 2 ? "*-1" : "$-1");
		return;
	}
	if ((uint64_t)n > v->list.n)
		n = (int64_t)v->list.n;
	if (c->n_args > 2)
		reply_array(c, (size_t)n);
	for (; n != 0; n--)
		pop_one(c, &v->list, side);
	if (v->list.n == 0)
		(void)store_delete(c->args[1]);
}

static void
run_lpop(Client *c)
{
	pop(c, LEFT);
}

static void
run_rpop(Client *c)
{
	pop(c, RIGHT);
}

static void
run_llen(Client *c)
{
	bool told;
	const Value *v = value_of(c, KIND_LIST, FIND, &told);
	if (!told)
		reply_int(c, v != NULL ? (int64_t)v->list.n : 0);
}

static void
run_lrange(Client *c)
{
	bool told;
	int64_t from, to;
	if (!bytes_number(c->args[2], &from) || !bytes_number(c->args[3], &to)) {
		reply_error(c, "value is not an integer or out of range");
		return;
	}
	const Value *v = value_of(c, KIND_LIST, FIND, &told);
	if (told)
		return;
	int64_t n = v != NULL ? (int64_t)v->list.n : 0;
	from = from < 0 ? (from < -n ? 0 : from + n) : from;
	to = to < 0 ? (to < -n ? -1 : to + n) : to >= n ? n - 1 : to;
	reply_array(c, from <= to ? (size_t)(to - from + 1) : 0);
	for (; from <= to; from++) {
		const Text *t = list_at(&v->list, (size_t)from);
		reply_bulk(c, t->p, t->n);
	}
}

// --- hashes -------------------------------------------------------------------------------------

static void
run_hset(Client *c)
{
	bool told;
	int added = 0;
	if (c->n_args % 2 != 0) {
		reply_error(c, "wrong number of arguments for 'hset' command");
		return;
	}
	Value *v = value_of(c, KIND_HASH, FIND_OR_MAKE, &told);
	if (told)
		return;
	for (int i = 2; i < c->n_args; i += 2) {
		Text *t = go_map_find(v->hash, c->args[i]);
		if (t == NULL) {
			t = go_map_at(v->hash, bytes_kept(c->args[i]));
			added++;
		}
		text_set(t, c->args[i + 1]);
	}
	reply_int(c, added);
}

static void
run_hget(Client *c)
{
	bool told;
	const Value *v = value_of(c, KIND_HASH, FIND, &told);
	if (told)
		return;
	const Text *t = v != NULL ? go_map_find(v->hash, c->args[2]) : NULL;
	if (t != NULL)
		reply_bulk(c, t->p, t->n);
	else
		reply_null(c);
}

static void
run_hgetall(Client *c)
{
	bool told;
	const Value *v = value_of(c, KIND_HASH, FIND, &told);
	if (told)
		return;
	reply_array(c, v != NULL ? 2 * go_map_len(v->hash) : 0);
	if (v != NULL) {
		go_map_each (v->hash, it) {
			reply_bulk(c, it.key->p, it.key->n);
			reply_bulk(c, it.elem->p, it.elem->n);
		}
	}
}

static void
run_hdel(Client *c)
{
	bool told;
	int n = 0;
	Value *v = value_of(c, KIND_HASH, FIND, &told);
	if (told)
		return;
	for (int i = 2; v != NULL && i < c->n_args; i++)
		n += go_map_del(v->hash, c->args[i]);
	if (v != NULL && go_map_len(v->hash) == 0)
		(void)store_delete(c->args[1]);
	reply_int(c, n);
}

static void
run_hlen(Client *c)
{
	bool told;
	const Value *v = value_of(c, KIND_HASH, FIND, &told);
	if (!told)
		reply_int(c, v != NULL ? (int64_t)go_map_len(v->hash) : 0);
}

// --- sets ---------------------------------------------------------------------------------------

static void
run_sadd(Client *c)
{
	bool told;
	int added = 0;
	Value *v = value_of(c, KIND_SET, FIND_OR_MAKE, &told);
	if (told)
		return;
	for (int i = 2; i < c->n_args; i++) {
		if (go_map_has(v->set, c->args[i]))
			continue;
		go_map_put(v->set, bytes_kept(c->args[i]), true);
		added++;
	}
	reply_int(c, added);
}

static void
run_srem(Client *c)
{
	bool told;
	int n = 0;
	Value *v = value_of(c, KIND_SET, FIND, &told);
	if (told)
		return;
	for (int i = 2; v != NULL && i < c->n_args; i++)
		n += go_map_del(v->set, c->args[i]);
	if (v != NULL && go_map_len(v->set) == 0)
		(void)store_delete(c->args[1]);
	reply_int(c, n);
}

// Maps are gone through in a random order, so the first one is anyone.
static void
run_spop(Client *c)
{
	bool told;
	Value *v = value_of(c, KIND_SET, FIND, &told);
	if (told)
		return;
	if (v == NULL) {
		reply_null(c);
		return;
	}
	go_map_each (v->set, it) {
		go_bytes member = *it.key;
		reply_bulk(c, member.p, member.n);
		go_map_del(v->set, member);
		break;
	}
	if (go_map_len(v->set) == 0)
		(void)store_delete(c->args[1]);
}

static void
run_scard(Client *c)
{
	bool told;
	const Value *v = value_of(c, KIND_SET, FIND, &told);
	if (!told)
		reply_int(c, v != NULL ? (int64_t)go_map_len(v->set) : 0);
}

static void
run_sismember(Client *c)
{
	bool told;
	const Value *v = value_of(c, KIND_SET, FIND, &told);
	if (!told)
		reply_int(c, v != NULL && go_map_has(v->set, c->args[2]));
}

static void
run_smembers(Client *c)
{
	bool told;
	const Value *v = value_of(c, KIND_SET, FIND, &told);
	if (told)
		return;
	reply_array(c, v != NULL ? go_map_len(v->set) : 0);
	if (v != NULL)
		go_map_each (v->set, it)
			reply_bulk(c, it.key->p, it.key->n);
}

const Command kind_commands[] = {
    {"HDEL", run_hdel, 3, 0, 1, 1, 1},
    {"HGET", run_hget, 3, 3, 1, 1, 1},
    {"HGETALL", run_hgetall, 2, 2, 1, 1, 1},
    {"HLEN", run_hlen, 2, 2, 1, 1, 1},
    {"HSET", run_hset, 4, 0, 1, 1, 1},
    {"LLEN", run_llen, 2, 2, 1, 1, 1},
    {"LPOP", run_lpop, 2, 3, 1, 1, 1},
    {"LPUSH", run_lpush, 3, 0, 1, 1, 1},
    {"LRANGE", run_lrange, 4, 4, 1, 1, 1},
    {"RPOP", run_rpop, 2, 3, 1, 1, 1},
    {"RPUSH", run_rpush, 3, 0, 1, 1, 1},
    {"SADD", run_sadd, 3, 0, 1, 1, 1},
    {"SCARD", run_scard, 2, 2, 1, 1, 1},
    {"SISMEMBER", run_sismember, 3, 3, 1, 1, 1},
    {"SMEMBERS", run_smembers, 2, 2, 1, 1, 1},
    {"SPOP", run_spop, 2, 2, 1, 1, 1},
    {"SREM", run_srem, 3, 0, 1, 1, 1},
    {0},
};
