// SPDX-License-Identifier: BSD-3-Clause
// runtime/debug.WriteHeapDump: all that is in the heap, and what holds it, in Go's format
// "go1.7 heap dump".
//
// A dump is a header and then records, each a number that tells its kind and then numbers (of
// variable length) and texts. What objects hold and where globals lie is written while the world
// stands still at the end of a mark: straight to the descriptor, with no memory but a buffer. What
// needs names (goroutines, their frames, types) is copied then, and written afterwards.
//
// What is told is what this heap knows. Fields are all words that point into the heap, but for
// memory without pointers, which has none. Frames are told of goroutines that wait; of the one that
// calls, and of others on threads, only that they are there. There are no records of types but
// those of finalizers, none of interfaces' tables, deferred calls and panics, and none of the
// profile.
//
// Invariants:
//   D1  One dump at a time: busy. Everything in `dump` is its writer's, and while the world stands
//       still that of whoever collects.
#include "gc/gc.h"
#include "gc/live.h"
#include "gc/special.h"
#include "gccgo/callers.h"
#include "gccgo/final.h"
#include "gccgo/gccgo.h"
#include "os/os.h"
#include "panic/step.h"
#include "sched/sched.h"

#include "arch/unwind.h"

GOEXTERN("runtime.ReadMemStats", void, rt_readmemstats, (MemStats *m));
GOEXTERN("time.Sleep", void, rt_sleep, (int64_t ns));

extern const char data_begin[] __asm__("__data_start") __attribute__((visibility("hidden")));
extern const char data_end[] __asm__("edata") __attribute__((visibility("hidden")));
extern const char bss_begin[] __asm__("__bss_start") __attribute__((visibility("hidden")));
extern const char bss_end[] __asm__("end") __attribute__((visibility("hidden")));

enum {
	TAG_END,
	TAG_OBJECT,
	TAG_ROOT,
	TAG_TYPE,
	TAG_GOROUTINE,
	TAG_FRAME,
	TAG_PARAMS,
	TAG_FINALIZER,
	TAG_THREAD = 9,
	TAG_MEMSTATS,
	TAG_QUEUED_FINALIZER,
	TAG_DATA,
	TAG_BSS,
	FIELD_END = 0,
	FIELD_POINTER = 1,
	STATUS_IDLE = 0,
	STATUS_RUNNABLE = 1,
	STATUS_SYSCALL = 3,
	STATUS_WAITING = 4,
	WORD = 8,
	FINALIZERS_MAX = 1 << 16,
};

// A stretch of a goroutine's stack, in a copy: what is in use of one of its segments.
typedef struct Stretch {
	uintptr_t pc; // 0: it is not known, nor are the frames
	uintptr_t fp; // the frame pointer there
	uintptr_t lo;
	const char *copy;
	size_t bytes;
} Stretch;

typedef struct Goroutine {
	const G *gp;
	const M *m;
	uint64_t id;
	uintptr_t creator;
	int64_t since;
	uint32_t status;
	WaitReason why;
	bool system;
	size_t n; // of stretches, which follow
} Goroutine;

typedef struct Finalizer {
	void *p;
	Final *f;
	bool queued; // or will be by the sweep
} Finalizer;

static ATOMIC_BOOL busy; // D1
static struct {
	int fd;
	bool failed;
	size_t n;              // in buf
	char *room, *at, *end; // for copies
	bool room_failed;
	size_t goroutines;
	Finalizer *finals;
	size_t n_finals;
	uint8_t buf[16 << 10];
} dump;

// --- writing -------------------------------------------------------------------------------------

static void
flush(void)
{
	size_t at = 0;
	while (at < dump.n && !dump.failed) {
		int64_t n = os_write(dump.fd, dump.buf + at, dump.n - at);
		dump.failed = n <= 0;
		at += n > 0 ? (size_t)n : 0;
	}
	dump.n = 0;
}

static void
put(uint64_t v)
{
	enum { MOST = 10 };
	if (dump.n + MOST > sizeof(dump.buf))
		flush();
	for (; v >= 0x80; v >>= 7)
		dump.buf[dump.n++] = (uint8_t)(v | 0x80);
	dump.buf[dump.n++] = (uint8_t)v;
}

static void
put_bytes(const void *p, size_t n)
{
	const char *from = p;
	put(n);
	while (n > 0) {
		size_t part = sizeof(dump.buf) - dump.n;
		part = part < n ? part : n;
		memmove(dump.buf + dump.n, from, part); // our own buffer is among the globals
		dump.n += part;
		from += part;
		n -= part;
		if (dump.n == sizeof(dump.buf))
			flush();
	}
}

static void
put_text(const char *s)
{
	put_bytes(s, strlen(s));
}

static void
put_string(String s)
{
	put_bytes(s.p, (size_t)s.n);
}

// Words of what lies at p that point to objects.
static void
put_fields(const char *p, size_t bytes)
{
	for (size_t at = 0; at + WORD <= bytes; at += WORD) {
		uintptr_t w;
		memcpy(&w, p + at, sizeof(w));
		if (heap_slot(w).info != NULL) {
			put(FIELD_POINTER);
			put(at);
		}
	}
	put(FIELD_END);
}

// --- while the world stands still ----------------------------------------------------------------

static void
put_object(void *unused, Slot s, bool alive)
{
	(void)unused;
	(void)alive; // what is not may be held by a finalizer; readers see what nothing points to
	const char *p = slot_addr(s);
	size_t n = slot_bytes(s);
	put(TAG_OBJECT);
	put((uintptr_t)p);
	put_bytes(p, n);
	if (s.info->kind == KIND_NOSCAN)
		put(FIELD_END);
	else
		put_fields(p, n);
}

static void
put_segment(unsigned tag, const char *lo, const char *hi)
{
	lo += -(uintptr_t)lo % WORD;
	put(tag);
	put((uintptr_t)lo);
	put_bytes(lo, (size_t)(hi - lo));
	put_fields(lo, (size_t)(hi - lo));
}

static void
put_roots(const char *what, const RootRange *r, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (const char *p = r[i].lo; p + WORD <= r[i].hi; p += WORD) {
			uintptr_t w;
			memcpy(&w, p, sizeof(w));
			if (heap_slot(w).info == NULL)
				continue;
			put(TAG_ROOT);
			put_text(what);
			put(w);
		}
}

static void
keep_finalizer(void *unused, Slot s, void *p, FinalizerFn *fn, void *arg)
{
	(void)unused;
	if (fn != final_call || dump.n_finals == FINALIZERS_MAX)
		return;
	dump.finals[dump.n_finals++] = (Finalizer){p, arg, !slot_marked(s)};
}

static size_t
round_up(size_t n)
{
	return (n + WORD - 1) & ~(size_t)(WORD - 1);
}

// n bytes of the room, zeroed; NULL: there is no more.
static void *
take(size_t n)
{
	n = round_up(n);
	if (dump.room_failed || (size_t)(dump.end - dump.at) < n) {
		dump.room_failed = true;
		return NULL;
	}
	void *p = dump.at;
	dump.at += n;
	return p;
}

static void
keep_stretch(Goroutine *g, uintptr_t pc, uintptr_t fp, uintptr_t lo, uintptr_t hi)
{
	Stretch *st = take(sizeof(*st));
	char *copy = st != NULL ? take(hi - lo) : NULL;
	if (copy == NULL)
		return;
	memcpy(copy, (const void *)lo, hi - lo);
	*st = (Stretch){pc, fp, lo, copy, hi - lo};
	g->n++;
}

// known to: arch/x86_64/switch.S, where a suspended context has the frame pointer.
enum { CONTEXT_RBP = 48 };

// Where its frames end is found out later, in the copy: that may take libgcc's lock, or the
// loader's, which somebody may have who stands still.
static void
keep_stack(Goroutine *g, const G *gp)
{
	Stack st = gp->stack;
	uintptr_t fp;
	memcpy(&fp, (const char *)gp->sp + CONTEXT_RBP, sizeof(fp));
	keep_stretch(g, arch_parked_pc(gp->sp), fp, (uintptr_t)gp->sp + ARCH_CONTEXT_BYTES,
		     (uintptr_t)st.hi);
	for (bool chained = gp->chained; chained;) {
		const StackBelow *b = stack_below(st);
		keep_stretch(g, 0, 0, (uintptr_t)b->sp, (uintptr_t)b->stack.hi);
		st = b->stack;
		chained = b->chained;
	}
}

static uint32_t
status_of(uint32_t status)
{
	switch (status) {
	case Grunnable:
		return STATUS_RUNNABLE;
	case Grunning:
		return STATUS_SYSCALL;
	case Gwaiting:
		return STATUS_WAITING;
	default:
		return STATUS_IDLE;
	}
}

static void
keep_goroutine(const G *gp)
{
	uint32_t status = load_rlx(&gp->status); // order: STW
	if (status == Gdead || (status == Gidle && gp->fn == NULL))
		return;
	Goroutine *g = take(sizeof(*g));
	if (g == NULL)
		return;
	*g = (Goroutine){
		.gp = gp,
		.m = load_rlx(&gp->m), // order: STW
		.id = gp->id,
		.creator = gp->spawn_pc,
		.since = load_rlx(&gp->wait_since), // order: count
		.status = status_of(status),
		.why = status == Gwaiting ? load_rlx(&gp->wait) : WAIT_none, // order: count
		.system = gp->face == NULL,
	};
	dump.goroutines++;
	if (gp->sp != NULL && !gp->thread && (status == Gwaiting || status == Grunnable))
		keep_stack(g, gp);
}

// Room for all that is copied: the stacks, and for each frame, which is a word at least, a record.
static bool
make_room(const RootSet *roots)
{
	size_t n = 0, page = os_page_bytes();
	for (const G *gp = sched_all_first(); gp != NULL; gp = gp->all_next)
		n += sizeof(Goroutine) + sizeof(Stretch);
	n += roots->stack_bytes * (1 + sizeof(Stretch) / WORD) + page;
	n = (n + page - 1) & ~(page - 1);
	dump.room = dump.at = os_map(n, page);
	dump.end = dump.room != NULL ? dump.room + n : NULL;
	return dump.room != NULL;
}

static void
visit(void *unused, const RootSet *roots)
{
	(void)unused;
	dump.failed |= !make_room(roots);
	live_each(put_object, NULL);
	put_segment(TAG_DATA, data_begin, data_end);
	put_segment(TAG_BSS, bss_begin, bss_end);
	put_roots("thread", roots->ranges + roots->threads, roots->goroutines - roots->threads);
	put_roots("named by the program", roots->ranges + roots->named, roots->n - roots->named);
	specials_each_finalizer(keep_finalizer, NULL);
	for (const G *gp = sched_all_first(); gp != NULL && dump.room != NULL; gp = gp->all_next)
		keep_goroutine(gp);
	flush();
}

// --- what has names ------------------------------------------------------------------------------

static void
put_params(void)
{
	put(TAG_PARAMS);
	put(false); // little endian
	put(sizeof(void *));
	put(heap.base);
	put(heap.base + heap.limit);
	put_text("amd64");
	put_text("");
	put((uint64_t)os_cpu_count());
}

static void
put_memstats(void)
{
	static MemStats m; // D1
	rt_readmemstats(&m);
	const uint64_t first[] = {
	    m.alloc, m.total_alloc, m.sys, m.lookups, m.mallocs, m.frees, m.heap_alloc, m.heap_sys,
	    m.heap_idle, m.heap_inuse, m.heap_released, m.heap_objects, m.stack_inuse, m.stack_sys,
	    m.mspan_inuse, m.mspan_sys, m.mcache_inuse, m.mcache_sys, m.buckhash_sys, m.gc_sys,
	    m.other_sys, m.next_gc, m.last_gc, m.pause_total_ns,
	};
	put(TAG_MEMSTATS);
	for (size_t i = 0; i < countof(first); i++)
		put(first[i]);
	for (size_t i = 0; i < countof(m.pause_ns); i++)
		put(m.pause_ns[i]);
	put(m.num_gc);
}

static void
put_thread(const M *m)
{
	put(TAG_THREAD);
	put((uintptr_t)m);
	put(m->id);
	put((uint64_t)load_rlx(&m->tid)); // order: hint
}

// The frames that lie on top of it.
typedef struct Inner {
	size_t n;
	uintptr_t last; // 0: there is none
} Inner;

static void
put_frame(const Stretch *st, uintptr_t pc, uintptr_t lo, uintptr_t hi, Inner *in)
{
	const char *copy = st->copy + (lo - st->lo);
	FrameAt f = {0};
	if (pc != 0)
		f = rt_frameat(pc, 0);
	put(TAG_FRAME);
	put(lo);
	put(in->n++);
	put(in->last);
	put_bytes(copy, hi - lo);
	put(f.entry);
	put(pc);
	put(0);
	put_string(f.function);
	put_fields(copy, hi - lo);
	in->last = lo;
}

// Frame by frame, and what could not be told apart.
static void
put_stretch(const Stretch *st, Inner *in)
{
	uintptr_t lo = st->lo, hi = lo + st->bytes;
	Steps s = {st->pc, lo, st->fp, hi, (uintptr_t)st->copy - lo};
	while (lo < hi) {
		uintptr_t pc = s.pc;
		Step step = step_out(&s);
		bool told = step != STEP_UNKNOWN && step != STEP_END;
		put_frame(st, pc, lo, told ? s.sp : hi, in);
		lo = told ? s.sp : hi;
	}
}

// Returns where the next one lies.
static const char *
put_goroutine(const Goroutine *g)
{
	const Stretch *st = (const Stretch *)(const void *)(g + 1);
	bool caller = g->gp == sched_g();
	put(TAG_GOROUTINE);
	put((uintptr_t)g->gp);
	put(g->n != 0 ? st->lo : 0);
	put(g->id);
	put(g->creator);
	put(caller ? STATUS_WAITING : g->status);
	put(g->system);
	put(false);
	put((uint64_t)g->since);
	put_text(caller ? "dumping heap" : g->why != WAIT_none ? sched_wait_text(g->why) : "");
	put(0);
	put((uintptr_t)g->m);
	put(0);
	put(0);
	if (g->m != NULL)
		put_thread(g->m);
	Inner in = {0, 0};
	for (size_t i = 0; i < g->n; i++) {
		put_stretch(st, &in);
		st = (const Stretch *)(const void *)(st->copy + round_up(st->bytes));
	}
	return (const char *)st;
}

static void
put_type(const Type *t)
{
	put(TAG_TYPE);
	put((uintptr_t)t);
	put(t->size);
	put_string(type_text(t));
	put(!type_direct(t));
}

static void
put_finalizer(const Finalizer *f)
{
	put_type(f->f->ft->in[0]);
	put_type(f->f->t);
	put(f->queued ? TAG_QUEUED_FINALIZER : TAG_FINALIZER);
	put((uintptr_t)f->p);
	put((uintptr_t)f->f->fn);
	put((uintptr_t)f->f->fn->fn);
	put((uintptr_t)f->f->ft->in[0]);
	put((uintptr_t)f->f->t);
}

// --- the face ------------------------------------------------------------------------------------

// Room for the finalizers, which may run before they are told of: it keeps what they need alive.
static bool
finals_open(size_t bytes)
{
	dump.finals = os_map(bytes, os_page_bytes());
	if (dump.finals == NULL)
		return false;
	sched_enter();
	int err = root_add(dump.finals, bytes);
	sched_leave();
	if (err != 0)
		os_unmap(dump.finals, bytes);
	return err == 0;
}

static void
finals_close(size_t bytes)
{
	sched_enter();
	(void)root_remove(dump.finals);
	sched_leave();
	os_unmap(dump.finals, bytes);
}

static void
write_dump(void)
{
	static const char header[] = "go1.7 heap dump\n";
	static const LiveVisit visitor = {visit, NULL};
	size_t finals = FINALIZERS_MAX * sizeof(Finalizer);
	if (!finals_open(finals))
		return;
	memcpy(dump.buf, header, sizeof(header) - 1);
	dump.n = sizeof(header) - 1;
	put_params();
	sched_enter();
	bool done = live_visit(&visitor);
	sched_leave();
	const char *at = dump.room;
	for (size_t i = 0; done && i < dump.goroutines; i++)
		at = put_goroutine((const Goroutine *)(const void *)at);
	for (size_t i = 0; done && i < dump.n_finals; i++)
		put_finalizer(&dump.finals[i]);
	put_memstats();
	put(TAG_END);
	flush();
	if (dump.room != NULL)
		os_unmap(dump.room, (size_t)(dump.end - dump.room));
	finals_close(finals);
}

GOFUNC("runtime_1debug.WriteHeapDump", void, rt_writeheapdump, (uintptr_t fd))
{
	while (xchg_acq(&busy, true)) // order: claim
		rt_sleep(GO_MSEC); // one dump at a time; who writes the other wakes nobody
	dump.fd = (int)fd;
	dump.failed = dump.room_failed = false;
	dump.n = dump.goroutines = dump.n_finals = 0;
	dump.room = dump.at = dump.end = NULL;
	write_dump();
	store_rel(&busy, false); // order: release
}
