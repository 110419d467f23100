// SPDX-License-Identifier: BSD-3-Clause
// Profiles as pprof reads them, and that of the heap: a message of protocol buffers, not
// compressed.
//
// A profile is a list of samples, each a stack of locations and some numbers; of the heap four:
// objects and bytes allocated, objects and bytes alive. Locations name functions; both, and all
// text, stand in tables of their own and are referred to by number. Functions are named here, so
// the profile can be read without the program; the files that code was loaded from are named too.
//
// Each part is put together in a buffer of its own, and all are written at the end. Tables are open
// hash tables; what finds no room in one is left out. Memory comes from the system.
//
// Samples of the heap were taken with a probability that depends on their size (gc/profile.c):
// numbers are multiplied by its reciprocal.
#include <errno.h>
#include <link.h>
#include <string.h>

#include "gc/profile.h"
#include "panic/panic_impl.h"
#include "panic/pprof.h"
#include "undergo/base.h"

enum {
	BUFFER_MIN = 64 << 10,
	TABLE = 1 << 17, // entries of a table
	TABLE_FULL = TABLE * 3 / 4,
	MAPPINGS_MAX = 256,
	HIDDEN = UINT32_MAX, // a location that is not shown
};

// Field numbers of profile.proto.
enum {
	PROFILE_SAMPLE_TYPE = 1,
	PROFILE_SAMPLE,
	PROFILE_MAPPING,
	PROFILE_LOCATION,
	PROFILE_FUNCTION,
	PROFILE_STRING,
	PROFILE_PERIOD_TYPE = 11,
	PROFILE_PERIOD,
	PROFILE_DEFAULT_TYPE = 14,
	VALUE_TYPE = 1,
	VALUE_UNIT,
	SAMPLE_LOCATION = 1,
	SAMPLE_VALUE,
	SAMPLE_LABEL,
	LABEL_KEY = 1,
	LABEL_TEXT,
	LABEL_NUMBER,
	MAPPING_ID = 1,
	MAPPING_START,
	MAPPING_LIMIT,
	MAPPING_OFFSET,
	MAPPING_FILE,
	MAPPING_HAS_FUNCTIONS = 7,
	LOCATION_ID = 1,
	LOCATION_MAPPING,
	LOCATION_ADDRESS,
	LOCATION_LINE,
	LINE_FUNCTION = 1,
	LINE_NUMBER,
	FUNCTION_ID = 1,
	FUNCTION_NAME,
	FUNCTION_SYSTEM_NAME,
	FUNCTION_FILE,
};

typedef struct Buffer {
	char *at;
	size_t n, cap;
	bool failed; // no memory: what did not fit is lost
} Buffer;

// Numbers by key, which is never 0.
typedef struct Table {
	struct {
		uint64_t key;
		uint32_t number;
	} *entries;
	uint32_t n;
} Table;

typedef struct Mapping {
	uintptr_t lo, hi;
	uint64_t offset;
	uint32_t file; // text
} Mapping;

typedef struct Profile {
	Buffer samples, locations, functions, strings;
	Buffer message, inner; // being put together
	Table of_strings, of_locations, of_functions;
	Mapping mappings[MAPPINGS_MAX];
	uint32_t n_mappings;
	uint32_t n_strings;
	const PprofKind *kind;
	int64_t period; // of the heap: the rate
	int fd;
	int err;
} Profile;

static Turn profile_turn;
static Profile prof; // who has profile_turn

// --- buffers ------------------------------------------------------------------------------------

static bool
grow(Buffer *b, size_t more)
{
	size_t cap = b->cap != 0 ? b->cap : BUFFER_MIN;
	while (cap - b->n < more)
		cap *= 2;
	if (cap == b->cap)
		return true;
	char *fresh = os_map(cap, os_page_bytes());
	if (fresh == NULL) {
		b->failed = true;
		return false;
	}
	if (b->at != NULL) {
		memcpy(fresh, b->at, b->n);
		os_unmap(b->at, b->cap);
	}
	b->at = fresh;
	b->cap = cap;
	return true;
}

static void
put(Buffer *b, const void *p, size_t n)
{
	if (!grow(b, n))
		return;
	memcpy(b->at + b->n, p, n);
	b->n += n;
}

static void
put_varint(Buffer *b, uint64_t v)
{
	unsigned char bytes[10];
	size_t n = 0;
	for (; v >= 0x80; v >>= 7)
		bytes[n++] = (unsigned char)(v | 0x80);
	bytes[n++] = (unsigned char)v;
	put(b, bytes, n);
}

static void
put_number(Buffer *b, uint32_t field, uint64_t v)
{
	put_varint(b, (uint64_t)field << 3);
	put_varint(b, v);
}

static void
put_bytes(Buffer *b, uint32_t field, const void *p, size_t n)
{
	put_varint(b, (uint64_t)field << 3 | 2);
	put_varint(b, n);
	put(b, p, n);
}

// What has been put together becomes a field of b.
static void
put_message(Buffer *b, uint32_t field, Buffer *message)
{
	put_bytes(b, field, message->at, message->n);
	b->failed |= message->failed;
	message->n = 0;
}

static void
drop(Buffer *b)
{
	if (b->at != NULL)
		os_unmap(b->at, b->cap);
	*b = (Buffer){.at = NULL};
}

// --- tables -------------------------------------------------------------------------------------

static size_t
table_bytes(const Table *t)
{
	return TABLE * sizeof(t->entries[0]);
}

static bool
table_make(Table *t)
{
	t->n = 0;
	t->entries = os_map(table_bytes(t), os_page_bytes());
	return t->entries != NULL;
}

static void
table_drop(Table *t)
{
	if (t->entries != NULL)
		os_unmap(t->entries, table_bytes(t));
	t->entries = NULL;
}

// The number that belongs to key, to be set when it is 0. NULL: no room.
static uint32_t *
table_find(Table *t, uint64_t key)
{
	size_t i = base_mix(key) % TABLE;
	while (t->entries[i].key != 0 && t->entries[i].key != key)
		i = (i + 1) % TABLE;
	if (t->entries[i].key == 0) {
		if (t->n == TABLE_FULL)
			return NULL;
		t->n++;
		t->entries[i].key = key;
	}
	return &t->entries[i].number;
}

// --- text ---------------------------------------------------------------------------------------

static uint64_t
hash_text(const char *s)
{
	uint64_t h = 1;
	for (; *s != '\0'; s++)
		h = base_mix(h ^ (unsigned char)*s);
	return h;
}

// The number of a text. Texts with the same hash would be taken for one; 64 bits are many.
static uint32_t
text(const char *s)
{
	if (s == NULL || *s == '\0')
		return 0;
	uint32_t *number = table_find(&prof.of_strings, hash_text(s));
	if (number == NULL)
		return 0;
	if (*number == 0) {
		*number = ++prof.n_strings;
		put_bytes(&prof.strings, PROFILE_STRING, s, strlen(s));
	}
	return *number;
}

// --- functions and locations --------------------------------------------------------------------

static uint32_t
function(const char *name, const char *file)
{
	uint32_t name_text = text(name), file_text = text(file);
	uint32_t *number =
		table_find(&prof.of_functions, (uint64_t)(name_text + 1) << 32 | file_text);
	if (number == NULL || *number != 0)
		return number != NULL ? *number : 0;
	*number = prof.of_functions.n;
	Buffer *m = &prof.message;
	put_number(m, FUNCTION_ID, *number);
	put_number(m, FUNCTION_NAME, name_text);
	put_number(m, FUNCTION_SYSTEM_NAME, name_text);
	put_number(m, FUNCTION_FILE, file_text);
	put_message(&prof.functions, PROFILE_FUNCTION, m);
	return *number;
}

// A line of the location that is being put together, whose lines are in `inner`.
static void
add_line(void *v, const char *name, const char *file, int line)
{
	bool *some = v;
	uint32_t f = function(name != NULL ? name : "?", file);
	Buffer *m = &prof.message;
	*some = true;
	put_number(m, LINE_FUNCTION, f);
	put_number(m, LINE_NUMBER, line > 0 ? (uint64_t)line : 0);
	put_message(&prof.inner, LOCATION_LINE, m);
}

static uint32_t
mapping_of(uintptr_t pc)
{
	for (uint32_t i = 0; i < prof.n_mappings; i++)
		if (pc >= prof.mappings[i].lo && pc < prof.mappings[i].hi)
			return i + 1;
	return 0;
}

// The number of the location of a return address; HIDDEN when it is the runtime's own.
static uint32_t
location(uintptr_t pc)
{
	uint32_t *number = table_find(&prof.of_locations, pc);
	bool some = false;
	if (number == NULL || *number != 0)
		return number != NULL ? *number : HIDDEN;
	trace_name(pc, prof.kind->system, add_line, &some);
	*number = some ? prof.of_locations.n : HIDDEN;
	if (some) {
		Buffer *m = &prof.message;
		put_number(m, LOCATION_ID, *number);
		put_number(m, LOCATION_MAPPING, mapping_of(pc));
		put_number(m, LOCATION_ADDRESS, pc - 1);
		put(m, prof.inner.at, prof.inner.n);
		put_message(&prof.locations, PROFILE_LOCATION, m);
	}
	prof.inner.n = 0;
	return *number;
}

// --- samples ------------------------------------------------------------------------------------

// 1 - exp(-x), for x > 0. From x / 2^k, where the series is short and exact, by doubling.
static double
chance_of(double x)
{
	if (x > 40)
		return 1;
	int k = 0;
	for (; x > 0.25; x /= 2)
		k++;
	double y = 0;
	for (int i = 10; i > 0; i--)
		y = -x / i * (1 + y);
	for (; k > 0; k--)
		y *= y + 2; // exp(2t) - 1 = (exp(t) - 1) * (exp(t) + 1)
	return -y;
}

// How many objects a number of samples stands for.
static uint64_t
scaled(uint64_t samples, size_t bytes)
{
	if (prof.period <= 1)
		return samples;
	double chance = chance_of((double)bytes / (double)prof.period);
	return (uint64_t)((double)samples / chance + 0.5);
}

static void
add_label(const char *key, uint32_t field, uint64_t v)
{
	Buffer *m = &prof.inner;
	put_number(m, LABEL_KEY, text(key));
	put_number(m, field, v);
	put_message(&prof.message, SAMPLE_LABEL, m);
}

// Locations first: their parts use the same buffers.
void
pprof_stack(const uintptr_t *pcs, size_t n)
{
	uint32_t at[PPROF_FRAMES];
	n = n < PPROF_FRAMES ? n : PPROF_FRAMES;
	for (size_t i = 0; i < n; i++)
		at[i] = location(pcs[i]);
	for (size_t i = 0; i < n; i++)
		if (at[i] != HIDDEN)
			put_number(&prof.message, SAMPLE_LOCATION, at[i]);
}

void
pprof_value(uint64_t v)
{
	put_number(&prof.message, SAMPLE_VALUE, v);
}

void
pprof_sample(void)
{
	put_message(&prof.samples, PROFILE_SAMPLE, &prof.message);
}

static void
add_sample(const Site *site)
{
	uint64_t frees = load_rlx(&site->frees), allocs = load_rlx(&site->allocs); // order: count
	if (allocs == 0)
		return;
	pprof_stack(site->pcs, site->n_pcs);
	uint64_t made = scaled(allocs, site->bytes);
	uint64_t alive = scaled(allocs > frees ? allocs - frees : 0, site->bytes);
	pprof_value(made);
	pprof_value(made * site->bytes);
	pprof_value(alive);
	pprof_value(alive * site->bytes);
	add_label("bytes", LABEL_NUMBER, site->bytes);
	if (site->type != NULL && site->type->name != NULL)
		add_label("type", LABEL_TEXT, text(site->type->name));
	pprof_sample();
}

static void
add_samples(void *unused)
{
	(void)unused;
	for (uint32_t i = 1, n = sites_count(); i <= n; i++)
		add_sample(site_of(i));
}

static_assert((int)SITE_FRAMES <= (int)PPROF_FRAMES, "a stack of the heap profile");

static const PprofKind of_heap = {
	.types = {{"alloc_objects", "count"}, {"alloc_space", "bytes"},
		  {"inuse_objects", "count"}, {"inuse_space", "bytes"}},
	.period = {"space", "bytes"},
	.shown_first = "inuse_space",
	.samples = add_samples,
};

// --- what was loaded ----------------------------------------------------------------------------

// The name is copied: when the walk is over the module may be unloaded.
static int
add_module(struct dl_phdr_info *info, size_t size, void *unused)
{
	bool program = info->dlpi_name == NULL || *info->dlpi_name == '\0';
	(void)size;
	(void)unused;
	for (uint16_t i = 0; i < info->dlpi_phnum && prof.n_mappings < MAPPINGS_MAX; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		if (ph->p_type != PT_LOAD || (ph->p_flags & PF_X) == 0)
			continue;
		Mapping *map = &prof.mappings[prof.n_mappings++];
		map->lo = info->dlpi_addr + ph->p_vaddr;
		map->hi = map->lo + ph->p_memsz;
		map->offset = ph->p_offset;
		map->file = text(program ? program_invocation_name : info->dlpi_name);
	}
	return 0;
}

static void
put_mapping(Buffer *out, uint32_t id, const Mapping *map)
{
	Buffer *m = &prof.message;
	put_number(m, MAPPING_ID, id);
	put_number(m, MAPPING_START, map->lo);
	put_number(m, MAPPING_LIMIT, map->hi);
	put_number(m, MAPPING_OFFSET, map->offset);
	put_number(m, MAPPING_FILE, map->file);
	put_number(m, MAPPING_HAS_FUNCTIONS, 1);
	put_message(out, PROFILE_MAPPING, m);
}

// --- all of it ----------------------------------------------------------------------------------

static void
put_value_type(Buffer *out, uint32_t field, const PprofType *type)
{
	Buffer *m = &prof.message;
	put_number(m, VALUE_TYPE, text(type->name));
	put_number(m, VALUE_UNIT, text(type->unit));
	put_message(out, field, m);
}

// False: not all was written.
static bool
write_buffer(const Buffer *b)
{
	return b->n == 0 || os_write(prof.fd, b->at, b->n) == (int64_t)b->n;
}

// Stack: go_dump's.
static void
make_profile(void *v)
{
	Buffer head = {.at = NULL};
	const PprofKind *k = prof.kind;
	for (size_t i = 0; i < PPROF_TYPES && k->types[i].name != NULL; i++)
		put_value_type(&head, PROFILE_SAMPLE_TYPE, &k->types[i]);
	put_value_type(&head, PROFILE_PERIOD_TYPE, &k->period);
	put_number(&head, PROFILE_PERIOD, (uint64_t)prof.period);
	put_number(&head, PROFILE_DEFAULT_TYPE, text(k->shown_first));
	for (uint32_t i = 0; i < prof.n_mappings; i++)
		put_mapping(&head, i + 1, &prof.mappings[i]);
	k->samples(v);
	if (head.failed || prof.samples.failed || prof.locations.failed || prof.functions.failed ||
	    prof.strings.failed)
		prof.err = GO_ENOMEM;
	else if (!write_buffer(&head) || !write_buffer(&prof.samples) ||
		 !write_buffer(&prof.locations) || !write_buffer(&prof.functions) ||
		 !write_buffer(&prof.strings))
		prof.err = GO_EIO;
	drop(&head);
}

static void
drop_all(void)
{
	Buffer *buffers[] = {&prof.samples, &prof.locations, &prof.functions,
			     &prof.strings, &prof.message,   &prof.inner};
	for (size_t i = 0; i < countof(buffers); i++)
		drop(buffers[i]);
	table_drop(&prof.of_strings);
	table_drop(&prof.of_locations);
	table_drop(&prof.of_functions);
}

int
pprof_write(int fd, const PprofKind *kind, int64_t period, void *arg)
{
	turn_take(&profile_turn);
	sched_enter(); // the runtime has begun
	sched_leave();
	bool ok = table_make(&prof.of_strings) && table_make(&prof.of_locations) &&
		  table_make(&prof.of_functions);
	prof.fd = fd;
	prof.kind = kind;
	prof.period = period;
	prof.err = GO_ENOMEM;
	prof.n_strings = 0;
	prof.n_mappings = 0;
	put_bytes(&prof.strings, PROFILE_STRING, "", 0); // number 0
	if (ok) {
		(void)dl_iterate_phdr(add_module, NULL);
		prof.err = 0;
		(void)dump_stack_run(fd, make_profile, arg); // which prints nothing
	}
	drop_all();
	int err = prof.err;
	turn_give(&profile_turn);
	return err;
}

int
panic_heap_profile(int fd)
{
	return pprof_write(fd, &of_heap, profile_rate(), NULL);
}
