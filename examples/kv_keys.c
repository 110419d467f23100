// SPDX-License-Identifier: BSD-3-Clause
// The key-value server, part keys: the commands for keys, texts and numbers, and those for the
// server as a whole.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kv.h"

// --- texts --------------------------------------------------------------------------------------

typedef struct SetOptions {
	bool if_new, if_there, keep, get;
	int64_t expires;
} SetOptions;

static bool
take_time(Client *c, int i, bool seconds, int64_t *when)
{
	int64_t n, unit = seconds ? GO_SEC : GO_MSEC;
	if (i >= c->n_args) {
		reply_error(c, "syntax error");
		return false;
	}
	if (!bytes_number(c->args[i], &n)) {
		reply_error(c, "value is not an integer or out of range");
		return false;
	}
	if (n <= 0 || n > INT64_MAX / unit) {
		reply_error(c, "invalid expire time in 'set' command");
		return false;
	}
	*when = go_in(n * unit);
	return true;
}

static bool
take_set_options(Client *c, SetOptions *o)
{
	for (int i = 3; i < c->n_args; i++) {
		go_bytes word = c->args[i];
		if (bytes_are(word, "NX"))
			o->if_new = true;
		else if (bytes_are(word, "XX"))
			o->if_there = true;
		else if (bytes_are(word, "KEEPTTL"))
			o->keep = true;
		else if (bytes_are(word, "GET"))
			o->get = true;
		else if (bytes_are(word, "EX") || bytes_are(word, "PX")) {
			if (!take_time(c, ++i, bytes_are(word, "EX"), &o->expires))
				return false;
		} else {
			reply_error(c, "syntax error");
			return false;
		}
	}
	if (o->if_new && o->if_there) {
		reply_error(c, "syntax error");
		return false;
	}
	return true;
}

static void
put_text(go_bytes key, go_bytes value, int64_t expires, bool keep)
{
	Value *v = store_make(key);
	if (v->kind != KIND_TEXT) {
		memset(&v->list, 0, sizeof(v->list)); // the largest of the union
		v->kind = KIND_TEXT;
	}
	if (!keep && v->expires != expires)
		store_expire(v, key, expires);
	text_set(&v->text, value);
}

static void
reply_value(Client *c, const Value *v)
{
	if (v == NULL)
		reply_null(c);
	else if (v->kind != KIND_TEXT)
		reply_wrong_kind(c);
	else
		reply_bulk(c, v->text.p, v->text.n);
}

static void
run_set(Client *c)
{
	SetOptions o = {.expires = GO_NEVER};
	if (c->n_args > 3) {
		if (!take_set_options(c, &o))
			return;
		const Value *v = store_find(c->args[1]);
		if (o.get)
			reply_value(c, v);
		if (o.get && v != NULL && v->kind != KIND_TEXT)
			return;
		if ((v != NULL && o.if_new) || (v == NULL && o.if_there)) {
			if (!o.get)
				reply_null(c);
			return;
		}
	}
	put_text(c->args[1], c->args[2], o.expires, o.keep);
	if (!o.get)
		reply_text(c, "+OK");
}

static void
run_get(Client *c)
{
	reply_value(c, store_find(c->args[1]));
}

static void
run_mset(Client *c)
{
	if (c->n_args % 2 == 0) {
		reply_error(c, "wrong number of arguments for 'mset' command");
		return;
	}
	for (int i = 1; i < c->n_args; i += 2)
		put_text(c->args[i], c->args[i + 1], GO_NEVER, false);
	reply_text(c, "+OK");
}

static void
run_mget(Client *c)
{
	reply_array(c, (size_t)c->n_args - 1);
	for (int i = 1; i < c->n_args; i++) {
		const Value *v = store_find(c->args[i]);
		reply_value(c, v != NULL && v->kind == KIND_TEXT ? v : NULL);
	}
}

// The value of a key that is to be a text; a new one is empty. NULL: it is none, and was told.
static Value *
text_of(Client *c, go_bytes key)
{
	Value *v = store_make(key);
	if (v->kind == KIND_NONE)
		v->kind = KIND_TEXT;
	if (v->kind == KIND_TEXT)
		return v;
	reply_wrong_kind(c);
	return NULL;
}

static void
run_append(Client *c)
{
	Value *v = text_of(c, c->args[1]);
	if (v == NULL)
		return;
	text_append(&v->text, c->args[2]);
	reply_int(c, (int64_t)v->text.n);
}

static void
run_strlen(Client *c)
{
	const Value *v = store_find(c->args[1]);
	if (v != NULL && v->kind != KIND_TEXT)
		reply_wrong_kind(c);
	else
		reply_int(c, v != NULL ? (int64_t)v->text.n : 0);
}

static void
add(Client *c, int64_t by)
{
	char text[24];
	int64_t n = 0;
	Value *v = store_find(c->args[1]);
	if (v != NULL && v->kind != KIND_TEXT) {
		reply_wrong_kind(c);
	} else if (v != NULL && !bytes_number((go_bytes){v->text.p, v->text.n}, &n)) {
		reply_error(c, "value is not an integer or out of range");
	} else if (__builtin_add_overflow(n, by, &n)) {
		reply_error(c, "increment or decrement would overflow");
	} else {
		v = text_of(c, c->args[1]);
		text_set(&v->text, (go_bytes){text, number_text(n, text)});
		reply_int(c, n);
	}
}

static void
run_incr(Client *c)
{
	add(c, 1);
}

static void
run_decr(Client *c)
{
	add(c, -1);
}

static void
add_by(Client *c, int sign)
{
	int64_t n;
	if (!bytes_number(c->args[2], &n) || (sign < 0 && n == INT64_MIN))
		reply_error(c, "value is not an integer or out of range");
	else
		add(c, sign * n);
}

static void
run_incrby(Client *c)
{
	add_by(c, 1);
}

static void
run_decrby(Client *c)
{
	add_by(c, -1);
}

// --- keys ---------------------------------------------------------------------------------------

static void
run_del(Client *c)
{
	int n = 0;
	for (int i = 1; i < c->n_args; i++)
		n += store_delete(c->args[i]);
	reply_int(c, n);
}

static void
run_exists(Client *c)
{
	int n = 0;
	for (int i = 1; i < c->n_args; i++)
		n += store_find(c->args[i]) != NULL;
	reply_int(c, n);
}

static void
run_type(Client *c)
{
	static const char *const names[] = {"+none", "+string", "+list", "+hash", "+set"};
	const Value *v = store_find(c->args[1]);
	reply_text(c, names[v != NULL ? v->kind : KIND_NONE]);
}

static void
expire(Client *c, int64_t unit)
{
	int64_t n;
	Value *v = store_find(c->args[1]);
	if (!bytes_number(c->args[2], &n) || n > INT64_MAX / unit || n < INT64_MIN / unit)
		reply_error(c, "value is not an integer or out of range");
	else if (v != NULL && n <= 0)
		reply_int(c, store_delete(c->args[1]));
	else if (v != NULL)
		store_expire(v, c->args[1], go_in(n * unit));
	if (v == NULL || n > 0)
		reply_int(c, v != NULL);
}

static void
run_expire(Client *c)
{
	expire(c, GO_SEC);
}

static void
run_pexpire(Client *c)
{
	expire(c, GO_MSEC);
}

static void
run_persist(Client *c)
{
	Value *v = store_find(c->args[1]);
	bool did = v != NULL && v->expires != GO_NEVER;
	if (did)
		store_expire(v, c->args[1], GO_NEVER);
	reply_int(c, did);
}

static void
time_left(Client *c, int64_t unit)
{
	const Value *v = store_find(c->args[1]);
	if (v == NULL || v->expires == GO_NEVER)
		reply_int(c, v == NULL ? -2 : -1);
	else
		reply_int(c, (v->expires - go_now() + unit / 2) / unit);
}

static void
run_ttl(Client *c)
{
	time_left(c, GO_SEC);
}

static void
run_pttl(Client *c)
{
	time_left(c, GO_MSEC);
}

// A set of characters, from behind its [ on: whether ch is one of them. *p moves behind the ].
static bool
in_brackets(const char **p, const char *end, char ch)
{
	bool not = *p < end && **p == '^', found = false;
	const char *at = *p + not;
	while (at < end && *at != ']') {
		if (*at == '\\' && at + 1 < end)
			at++;
		if (end - at > 2 && at[1] == '-' && at[2] != ']') {
			found |= ch >= at[0] && ch <= at[2];
			at += 2;
		} else {
			found |= ch == *at;
		}
		at++;
	}
	*p = at < end ? at + 1 : end;
	return found != not;
}

// Whether a name is as the pattern says: * ? [a-z] [^x] \x. No recursion: only the last * can have
// to take more.
static bool
like(const char *p, const char *p_end, const char *s, const char *s_end)
{
	const char *star = NULL, *taken = NULL;
	while (s < s_end || p < p_end) {
		const char *next = p;
		bool fits = false;
		if (p < p_end && *p == '*') {
			star = ++p;
			taken = s;
			continue;
		}
		if (p < p_end && s < s_end) {
			next = p + 1;
			if (*p == '[')
				fits = in_brackets(&next, p_end, *s);
			else if (*p == '\\' && next < p_end)
				fits = *next++ == *s;
			else
				fits = *p == '?' || *p == *s;
		}
		if (fits) {
			p = next;
			s++;
		} else if (star != NULL && taken < s_end) {
			p = star;
			s = ++taken;
		} else {
			return false;
		}
	}
	return true;
}

// The names of one shard's keys that are like a pattern, as bulk strings behind each other.
static size_t
put_names(Client *c, Shard *s, go_bytes pattern)
{
	size_t n = 0;
	int64_t now = go_now();
	const char *p = pattern.p;
	go_mutex_lock(&s->lock);
	go_map_each (s->keys, it) {
		const char *name = it.key->p;
		if (it.elem->expires > now && like(p, p + pattern.n, name, name + it.key->n)) {
			reply_bulk(c, name, it.key->n);
			n++;
		}
	}
	go_mutex_unlock(&s->lock);
	return n;
}

// How many there are stands before them, and is known behind them: the head is moved to its place.
static void
finish_names(Client *c, size_t start, size_t n)
{
	size_t names = c->out_n - start;
	reply_array(c, n);
	size_t head = c->out_n - start - names;
	char text[32];
	memcpy(text, c->out + start + names, head);
	memmove(c->out + start + head, c->out + start, names);
	memcpy(c->out + start, text, head);
}

static void
run_keys(Client *c)
{
	size_t start = c->out_n, n = 0;
	for (unsigned i = 0; i < n_shards; i++)
		n += put_names(c, &shards[i], c->args[1]);
	finish_names(c, start, n);
}

// A shard at a time: the cursor is its number. So whatever was there all the time is met once.
static void
run_scan(Client *c)
{
	char text[24];
	int64_t cursor, count;
	go_bytes pattern = {"*", 1};
	if (!bytes_number(c->args[1], &cursor) || cursor < 0 || cursor >= (int64_t)n_shards) {
		reply_error(c, "invalid cursor");
		return;
	}
	for (int i = 2; i < c->n_args; i += 2) {
		if (i + 1 < c->n_args && bytes_are(c->args[i], "MATCH")) {
			pattern = c->args[i + 1];
		} else if (i + 1 == c->n_args || !bytes_are(c->args[i], "COUNT") ||
			   !bytes_number(c->args[i + 1], &count) || count <= 0) {
			reply_error(c, "syntax error");
			return;
		}
	}
	reply_array(c, 2);
	reply_bulk(c, text, number_text((cursor + 1) % (int64_t)n_shards, text));
	size_t start = c->out_n;
	finish_names(c, start, put_names(c, &shards[cursor], pattern));
}

static void
run_dbsize(Client *c)
{
	size_t n = 0;
	for (unsigned i = 0; i < n_shards; i++) {
		go_mutex_lock(&shards[i].lock);
		n += go_map_len(shards[i].keys);
		go_mutex_unlock(&shards[i].lock);
	}
	reply_int(c, (int64_t)n);
}

static void
run_flush(Client *c)
{
	for (unsigned i = 0; i < n_shards; i++) {
		Keys empty;
		if (go_map_init(empty, 0) != 0)
			exit(1);
		go_mutex_lock(&shards[i].lock);
		shards[i].keys = empty;
		shards[i].expiring = 0;
		go_mutex_unlock(&shards[i].lock);
	}
	reply_text(c, "+OK");
}

// --- the server ---------------------------------------------------------------------------------

static void
run_ping(Client *c)
{
	if (c->n_args > 1)
		reply_bulk(c, c->args[1].p, c->args[1].n);
	else
		reply_text(c, "+PONG");
}

static void
run_echo(Client *c)
{
	reply_bulk(c, c->args[1].p, c->args[1].n);
}

static void
run_quit(Client *c)
{
	reply_text(c, "+OK");
	c->quits = true;
}

static void
run_select(Client *c)
{
	int64_t n;
	if (bytes_number(c->args[1], &n) && n == 0)
		reply_text(c, "+OK");
	else
		reply_error(c, "DB index is out of range");
}

// For clients that ask first: nothing is kept on disk, and that is all there is to configure.
static void
run_config(Client *c)
{
	if (!bytes_are(c->args[1], "GET") || c->n_args != 3) {
		reply_error(c, "only CONFIG GET of one parameter is known");
		return;
	}
	bool save = bytes_are(c->args[2], "save"), append = bytes_are(c->args[2], "appendonly");
	reply_array(c, save || append ? 2 : 0);
	if (save || append) {
		reply_bulk(c, c->args[2].p, c->args[2].n);
		reply_bulk(c, "no", append ? 2 : 0);
	}
}

static void
run_command(Client *c)
{
	reply_array(c, 0);
}

static void
run_client(Client *c)
{
	reply_text(c, "+OK");
}

static void
run_info(Client *c)
{
	char text[400];
	go_stats st;
	go_heap_stats heap;
	go_stats_read(&st);
	go_heap_stats_read(&heap);
	int n = snprintf(text, sizeof(text),
			 "# Server\r\nredis_version:7.0.0\r\nserver_name:undergo kv\r\n"
			 "process_id:%d\r\nshards:%u\r\n\r\n# Runtime\r\ngoroutines:%llu\r\n"
			 "heap_bytes:%llu\r\ncollections:%llu\r\n",
			 (int)getpid(), n_shards, (unsigned long long)st.goroutines,
			 (unsigned long long)heap.live_bytes, (unsigned long long)heap.collections);
	reply_bulk(c, text, (size_t)n);
}

const Command key_commands[] = {
    {"APPEND", run_append, 3, 3, 1, 1, 1},
    {"CLIENT", run_client, 2, 0, 0, 0, 0},
    {"COMMAND", run_command, 1, 0, 0, 0, 0},
    {"CONFIG", run_config, 2, 0, 0, 0, 0},
    {"DBSIZE", run_dbsize, 1, 1, 0, 0, 0},
    {"DECR", run_decr, 2, 2, 1, 1, 1},
    {"DECRBY", run_decrby, 3, 3, 1, 1, 1},
    {"DEL", run_del, 2, 0, 1, -1, 1},
    {"ECHO", run_echo, 2, 2, 0, 0, 0},
    {"EXISTS", run_exists, 2, 0, 1, -1, 1},
    {"EXPIRE", run_expire, 3, 3, 1, 1, 1},
    {"FLUSHALL", run_flush, 1, 2, 0, 0, 0},
    {"FLUSHDB", run_flush, 1, 2, 0, 0, 0},
    {"GET", run_get, 2, 2, 1, 1, 1},
    {"INCR", run_incr, 2, 2, 1, 1, 1},
    {"INCRBY", run_incrby, 3, 3, 1, 1, 1},
    {"INFO", run_info, 1, 0, 0, 0, 0},
    {"KEYS", run_keys, 2, 2, 0, 0, 0},
    {"MGET", run_mget, 2, 0, 1, -1, 1},
    {"MSET", run_mset, 3, 0, 1, -1, 2},
    {"PERSIST", run_persist, 2, 2, 1, 1, 1},
    {"PEXPIRE", run_pexpire, 3, 3, 1, 1, 1},
    {"PING", run_ping, 1, 2, 0, 0, 0},
    {"PTTL", run_pttl, 2, 2, 1, 1, 1},
    {"QUIT", run_quit, 1, 0, 0, 0, 0},
    {"SCAN", run_scan, 2, 0, 0, 0, 0},
    {"SELECT", run_select, 2, 2, 0, 0, 0},
    {"SET", run_set, 3, 0, 1, 1, 1},
    {"STRLEN", run_strlen, 2, 2, 1, 1, 1},
    {"TTL", run_ttl, 2, 2, 1, 1, 1},
    {"TYPE", run_type, 2, 2, 1, 1, 1},
    {0},
};
