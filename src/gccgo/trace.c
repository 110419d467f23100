// SPDX-License-Identifier: BSD-3-Clause
// What package runtime/trace asks for, the part in C; the rest is go/trace.go. What the program
// tells of itself is not kept: in a trace it belongs to goroutines that run, and these are not
// followed.
#include "gc/pace.h"
#include "gccgo/gccgo.h"

static ATOMIC_U32 tracing; // go/trace.go has the states

GOFUNC("runtime.tracing", uint32_t, rt_tracing, (void))
{
	return load_acq(&tracing); // order: observe <- rt_settracing
}

GOFUNC("runtime.settracing", bool, rt_settracing, (uint32_t from, uint32_t to))
{
	return cas_ar(&tracing, &from, to); // order: publish -> rt_tracing, claim
}

typedef struct Pause {
	int64_t begin, end;
} Pause;

// Of the nth cycle, from 1 on, which is one of the last.
GOFUNC("runtime.pauseof", Pause, rt_pauseof, (uint64_t nth))
{
	Pauses p;
	pace_pauses(&p);
	uint64_t at = (nth - 1) % PAUSES_KEPT;
	return (Pause){p.ended_at[at] - p.ns[at], p.ended_at[at]};
}

// --- of the program's own ------------------------------------------------------------------------

GOFUNC("runtime_1trace.userTaskCreate", void, rt_usertaskcreate,
       (uint64_t id, uint64_t parent, String type))
{
	(void)id;
	(void)parent;
	(void)type;
}

GOFUNC("runtime_1trace.userTaskEnd", void, rt_usertaskend, (uint64_t id))
{
	(void)id;
}

GOFUNC("runtime_1trace.userRegion", void, rt_userregion, (uint64_t id, uint64_t mode, String name))
{
	(void)id;
	(void)mode;
	(void)name;
}

GOFUNC("runtime_1trace.userLog", void, rt_userlog, (uint64_t id, String key, String text))
{
	(void)id;
	(void)key;
	(void)text;
}
