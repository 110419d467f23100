// SPDX-License-Identifier: BSD-3-Clause
// The key-value server, what its files share: kv.c serves connections, kv_wire.c reads commands and
// writes replies, kv_store.c keeps the keys, kv_keys.c and kv_kinds.c are the commands.
//
// Values are managed memory: nothing here frees any. What comes from and goes to a client is in
// malloc's memory, which has no pointers to them.
#ifndef UNDERGO_EXAMPLES_KV_H
#define UNDERGO_EXAMPLES_KV_H

#include <undergo.h>

// --- the store ----------------------------------------------------------------------------------

typedef struct Text {
	char *p;
	size_t n, room;
} Text;

typedef struct List {
	Text *ring; // n of them, from first on, around the end of the ring
	size_t first, n, room;
} List;

typedef GO_MAP(go_bytes, Text) Fields;
typedef GO_MAP(go_bytes, bool) Members;

typedef enum Kind { KIND_NONE, KIND_TEXT, KIND_LIST, KIND_HASH, KIND_SET } Kind;

typedef struct Value {
	Kind kind;
	int64_t expires; // a point on go_now's clock, or GO_NEVER
	union {
		Text text;
		List list;
		Fields hash;
		Members set;
	};
} Value;

typedef GO_MAP(go_bytes, Value) Keys;

enum { SHARDS_MAX = 64 };

// A part of the keys, with a lock of its own.
typedef struct Shard {
	_Alignas(64) go_mutex lock;
	Keys keys;
	size_t expiring; // about so many of them expire
} Shard;

extern Shard shards[SHARDS_MAX];
extern unsigned n_shards; // a power of 2. Constant while connections are served

void store_open(unsigned n);
unsigned shard_of(go_bytes key);

// The rest wants the locks of the keys' shards.
uint64_t store_lock(const go_bytes *keys, int n, int step); // of all shards these keys are in
void store_unlock(uint64_t locked);
Value *store_find(go_bytes key); // NULL: there is none, or it has expired
Value *store_make(go_bytes key); // of KIND_NONE when it is new
bool store_delete(go_bytes key);
void store_expire(Value *v, go_bytes key, int64_t when);
void store_clean(void); // drops what has expired, for ever

void text_set(Text *t, go_bytes b);
void text_append(Text *t, go_bytes b);
go_bytes bytes_kept(go_bytes b); // a copy in managed memory

// --- connections --------------------------------------------------------------------------------

typedef struct Client {
	go_fd fd;
	bool quits;
	char *in;                    // commands: in[at] to in[n]
	size_t at, n, room;
	char *out;                   // replies
	size_t out_n, out_room;
	go_bytes *args;              // the command at hand
	int n_args, args_room;
	int args_want, args_have;    // a command that has not come completely yet
	size_t scanned;              // where its next argument begins
} Client;

typedef enum Parse { PARSE_COMMAND, PARSE_MORE, PARSE_NONSENSE, PARSE_NOTHING } Parse;

// The next command, in args; they are good until the next read. PARSE_NOTHING: an empty line.
// PARSE_NONSENSE: it has been told, and nothing that comes behind makes sense.
Parse wire_parse(Client *c);
bool wire_read(Client *c); // false: the stream has ended, or failed
bool wire_flush(Client *c);

void reply_text(Client *c, const char *line); // "+OK", "-ERR ..."
void reply_int(Client *c, int64_t n);
void reply_bulk(Client *c, const void *p, size_t n);
void reply_null(Client *c);
void reply_array(Client *c, size_t n);
void reply_wrong_kind(Client *c);
void reply_error(Client *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

bool bytes_are(go_bytes b, const char *word); // in any case
bool bytes_number(go_bytes b, int64_t *n);
size_t number_text(int64_t n, char text[24]);

// --- commands -----------------------------------------------------------------------------------

typedef struct Command {
	const char *name;
	void (*run)(Client *c);
	int least, most;            // arguments, with the name; most 0: any number
	int first, last, step;      // which are keys, whose shards are locked; last -1: to the end
} Command;

extern const Command key_commands[], kind_commands[]; // up to one without a name
void commands_open(void);
void command_run(Client *c);

#endif
