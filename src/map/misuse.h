// SPDX-License-Identifier: BSD-3-Clause
// Finding out that goroutines use one map at the same time, and one of them changes it.
//
// Who changes a map leaves its G in Map.writer while it does. Whoever comes and finds one there, or
// goes and does not find its own, has met another: the process dies with Go's text. Nothing is
// locked and no order is kept: the accesses race anyway, and the mark is in the line of the count,
// which each of them reads or writes. A program whose accesses are ordered, by whatever means, has
// the last writer's NULL in sight each time, so it is never accused.
//
// Two writers whose changes overlap are found in whatever order their steps come to memory. Who
// sets its mark after the other's last look for its own has it taken away by the other's end, and
// finds that at its own end; or it has ended before, and changed nothing until the other was
// through. What is still in a processor's store buffer nobody sees: two that begin within some tens
// of nanoseconds may both go on.
//
// No mark is set while functions of the key's type run, which may leave for ever: they are called
// by who only reads so far. What they do to the map, or others meanwhile, shows in Map.changes.
//
// A fault that becomes a panic does leave for ever: where a text lies in memory that is gone, of a
// key that is given or of one in the map. Then the map is whole, as tables whose keys lead
// elsewhere are made apart (grow.c), and the mark stays. Marks of a G that has had such a fault
// (G.faulted) prove nothing, so who meets one takes it away. Had the G really been writing it does
// not find its mark in the end, and the process dies then.
//
// With GODEBUG=mapcheck=1 a writer now and then lets others run while its mark is set, and a reader
// looks for a while whether somebody comes to write (misuse.c).
#ifndef UNDERGO_MAP_MISUSE_H
#define UNDERGO_MAP_MISUSE_H

#include "map/map_impl.h"

typedef enum Misuse {
	MISUSE_WRITES,    // both write
	MISUSE_READ,      // one reads
	MISUSE_ITERATION, // one iterates
	MISUSE_CLONE,     // one clones
} Misuse;

// Dies, of what the caller did while gp wrote; NULL: who did is not known, but with mapcheck.
COLD NORETURN void misuse_fatal(const Map *m, Misuse what, G *gp);
// The same, of a mark that was found. Returns when a fault has left it there; it is gone then.
COLD void misuse_met(const Map *m, Misuse what, G *gp);
COLD void misuse_linger(Map *m);                       // GODEBUG=mapcheck: while the mark is set
COLD void misuse_look_long(const Map *m, Misuse what); // and while somebody reads

// ThreadSanitizer is told of each operation as of one access to the map's count, as Go's race
// detector is: it shall see those, too, that happen to touch different parts of the map.
#if SANITIZE_THREAD
void __tsan_read8(void *p);
void __tsan_write8(void *p);

static inline void
show_use(const Map *m, bool writes)
{
	void *p = (void *)(uintptr_t)&m->count;
	if (writes)
		__tsan_write8(p);
	else
		__tsan_read8(p);
}
#else
static inline void
show_use(const Map *m, bool writes)
{
	(void)m;
	(void)writes;
}
#endif

// One of both is to be called before the map's entries are looked at; the first where every
// instruction counts, and the second if it says so.
static inline bool
is_marked(const Map *m, Misuse what)
{
	show_use(m, what == MISUSE_WRITES);
	return load_rlx(&m->writer) != NULL; // order: hint
}

static inline void
reading(const Map *m, Misuse what)
{
	show_use(m, what == MISUSE_WRITES);
	G *gp = load_rlx(&m->writer); // order: hint
	if (unlikely(gp != NULL))
		misuse_met(m, what, gp);
	if (unlikely((m->flags & MAP_CHECKED) != 0))
		misuse_look_long(m, what);
}

// To be called after functions of the key's type, before anything else is made of the map. changes:
// Map.changes before.
static inline void
unchanged(const Map *m, uint32_t changes, Misuse what)
{
	if (unlikely(m->changes != changes))
		misuse_fatal(m, what, load_rlx(&m->writer)); // order: hint
}

// To be called with a table that is to be written, or copied; or with what of an entry lies apart.
// The map had it when that began: that there is none now, or the table that all maps share, is what
// another one has done, who took it away.
static inline void
still_own(const Map *m, const char *p, Misuse what)
{
	if (unlikely(p == dir_empty[0]) || unlikely(p == NULL))
		misuse_fatal(m, what, load_rlx(&m->writer)); // order: hint
}

static inline G *
writing_begin(Map *m)
{
	show_use(m, true);
	G *gp = load_rlx(&m->writer); // order: hint
	if (unlikely(gp != NULL))
		misuse_met(m, MISUSE_WRITES, gp);
	G *self = sched_g();
	store_rlx(&m->writer, self); // order: hint
	if (unlikely((m->flags & MAP_CHECKED) != 0))
		misuse_linger(m);
	return self;
}

static inline void
writing_end(Map *m, const G *self)
{
	G *gp = load_rlx(&m->writer); // order: hint
	if (unlikely(gp != self))
		misuse_fatal(m, MISUSE_WRITES, gp);
	store_rlx(&m->writer, NULL); // order: hint
}

#endif
