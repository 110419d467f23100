// SPDX-License-Identifier: BSD-3-Clause
// A store of keys and values in memory that speaks the protocol of Redis, a goroutine for each
// connection. Nothing is written to disk.
//
//	build/examples/kv [ADDRESS] [--shards N]
//	redis-cli -p 6380
//
// ADDRESS is :6380 on this machine unless given; port 0 takes a free one. It ends with SIGINT or
// SIGTERM.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kv.h"

enum { COMMANDS_ROOM = 256, OUT_BYTES = 64 << 10 };

// --- commands by their names --------------------------------------------------------------------

static const Command *commands[COMMANDS_ROOM]; // by the hash of the name, the next free place

static unsigned
name_hash(const char *p, size_t n)
{
	unsigned h = (unsigned)n;
	for (size_t i = 0; i < n; i++)
		h = h * 31 + ((unsigned char)p[i] & 0xdfU); // capital letters
	return h % COMMANDS_ROOM;
}

static void
add_commands(const Command *from)
{
	for (; from->name != NULL; from++) {
		unsigned h = name_hash(from->name, strlen(from->name));
		while (commands[h] != NULL)
			h = (h + 1) % COMMANDS_ROOM;
		commands[h] = from;
	}
}

void
commands_open(void)
{
	add_commands(key_commands);
	add_commands(kind_commands);
}

static const Command *
command_of(go_bytes name)
{
	unsigned h = name_hash(name.p, name.n);
	while (commands[h] != NULL && !bytes_are(name, commands[h]->name))
		h = (h + 1) % COMMANDS_ROOM;
	return commands[h];
}

void
command_run(Client *c)
{
	const Command *cmd = command_of(c->args[0]);
	int text = (int)(c->args[0].n < 64 ? c->args[0].n : 64);
	if (cmd == NULL) {
		reply_error(c, "unknown command '%.*s'", text, (const char *)c->args[0].p);
	} else if (c->n_args < cmd->least || (cmd->most != 0 && c->n_args > cmd->most)) {
		reply_error(c, "wrong number of arguments for '%s' command", cmd->name);
	} else if (cmd->first == 0) {
		cmd->run(c);
	} else {
		int keys = cmd->last < 0 ? c->n_args - cmd->first : 1;
		uint64_t locked = store_lock(c->args + cmd->first, keys, cmd->step);
		cmd->run(c);
		store_unlock(locked);
	}
}

// --- connections --------------------------------------------------------------------------------

// All that has come is done before the replies go out, so those who send many commands at once get
// their replies at once.
static void
serve(Client *c)
{
	while (!c->quits) {
		switch (wire_parse(c)) {
		case PARSE_COMMAND:
			command_run(c);
			if (c->out_n >= OUT_BYTES && !wire_flush(c))
				return;
			break;
		case PARSE_NOTHING:
			break;
		case PARSE_MORE:
			if (!wire_flush(c) || !wire_read(c))
				return;
			break;
		case PARSE_NONSENSE:
			c->quits = true;
			break;
		}
	}
	(void)wire_flush(c);
}

static void
client_main(void *v)
{
	Client c = {.fd = (go_fd)(intptr_t)v};
	serve(&c);
	go_close(c.fd);
	free(c.in);
	free(c.out);
	free(c.args);
}

static void
accept_all(void *v)
{
	go_fd listener = (go_fd)(intptr_t)v, fd;
	while ((fd = go_accept(listener)) > 0)
		if (go_spawn(client_main, (void *)(intptr_t)fd) != 0)
			go_close(fd);
}

static void
clean_all(void *unused)
{
	(void)unused;
	store_clean();
}

typedef struct Options {
	const char *address;
	unsigned shards;
} Options;

static int
start(void *v)
{
	static const int ends[] = {SIGINT, SIGTERM};
	const Options *o = v;
	char address[64];
	go_ctx *until = go_signal_context(NULL, ends, 2);
	go_fd listener = go_listen("tcp", o->address);
	if (listener < 0 || until == NULL) {
		fprintf(stderr, "kv: %s: %s\n", o->address, go_strerror((int)listener));
		return 1;
	}
	go_local_text(listener, address, sizeof(address));
	commands_open();
	store_open(o->shards);
	if (go_spawn(clean_all, NULL) != 0 ||
	    go_spawn(accept_all, (void *)(intptr_t)listener) != 0)
		return 1;
	printf("kv: listening at %s\n", address);
	fflush(stdout);
	go_chan_recv(go_ctx_done(until), NULL, GO_NEVER);
	go_close(listener);
	return 0;
}

int
main(int argc, char **argv)
{
	Options o = {"127.0.0.1:6380", SHARDS_MAX};
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--shards") == 0 && i + 1 < argc)
			o.shards = (unsigned)atoi(argv[++i]);
		else if (*argv[i] != '-')
			o.address = argv[i];
		else
			o.shards = 0;
	}
	if (o.shards == 0 || o.shards > SHARDS_MAX || (o.shards & (o.shards - 1)) != 0) {
		fprintf(stderr, "usage: kv [ADDRESS] [--shards N], N a power of 2 up to %d\n",
			SHARDS_MAX);
		return 2;
	}
	return go_run(start, &o);
}
