// SPDX-License-Identifier: BSD-3-Clause
// Profiles of Go programs, the part in C: the samples of the CPU profile, the heap's, what
// goroutines do, threads. The part in Go is go/profile.go; blocking.c has the profiles of waits.
//
// A CPU profile is begun and ended by SetCPUProfileRate and read by one goroutine of package
// runtime/pprof, which asks ten times a second, until it is told that there will be no more.
#include "gccgo/profile.h"

#include "gc/profile.h"
#include "gccgo/callers.h"
#include "gccgo/gccgo.h"
#include "panic/panic.h"
#include "panic/sample.h"
#include "undergo/runtime.h"

enum { MEM_PROFILE_RATE = 512 << 10 };

GODATA("runtime.MemProfileRate", ATOMIC_I64, mem_profile_rate) = ATOMIC_INIT(MEM_PROFILE_RATE);

typedef struct Records {
	Int n;
	bool ok;
} Records;

// --- labels --------------------------------------------------------------------------------------

GOFUNC("runtime_1pprof.runtime__setProfLabel", void, rt_setproflabel, (void *labels))
{
	goface()->labels = labels;
}

GOFUNC("runtime_1pprof.runtime__getProfLabel", void *, rt_getproflabel, (void))
{
	return goface()->labels;
}

GOFUNC("runtime_1pprof.runtime__expandFinalInlineFrame", Slice, rt_expandframe, (Slice pcs))
{
	return pcs;
}

// Of what runs on this thread.  Stack: signal.
static void *
labels_here(void)
{
	const M *mp = sched_m();
	const G *gp = mp != NULL ? mp->curg : NULL;
	return gp != NULL && gp->face != NULL ? ((const GoFace *)gp->face)->labels : NULL;
}

// --- the CPU profile -----------------------------------------------------------------------------

// IDLE -> BEGINS -> RUNS -> ENDS -> IDLE, the last when the reader has been told the end.
enum { CPU_IDLE, CPU_BEGINS, CPU_RUNS, CPU_ENDS };
static ATOMIC_U32 cpu_state;
static ATOMIC(Int) cpu_hz;

static void
begin_profile(Int hz)
{
	enum { MOST_HZ = 1000000 };
	uint32_t is = CPU_IDLE;
	if (!cas_acq(&cpu_state, &is, CPU_BEGINS)) { // order: claim
		print_str("runtime: cannot set CPU profile rate until previous profile has "
			  "finished.\n");
		return;
	}
	store_rlx(&cpu_hz, hz < MOST_HZ ? hz : MOST_HZ); // order: with cpu_state
	(void)sample_start((int)load_rlx(&cpu_hz), labels_here); // order: own
	store_rel(&cpu_state, CPU_RUNS); // order: publish -> rt_profilestate
}

// The process is about to become another, which would get the signals; or has not become one.
void
profile_execs(bool begins)
{
	Int hz = load_rlx(&cpu_hz); // order: with cpu_state
	if (load_acq(&cpu_state) == CPU_RUNS) // order: observe <- begin_profile
		(void)os_profile_every(begins ? 0 : GO_SEC / hz);
}

static void
end_profile(void)
{
	uint32_t is = CPU_RUNS;
	if (load_rlx(&cpu_state) != CPU_RUNS) // order: hint
		return;
	sample_stop();
	(void)cas_ar(&cpu_state, &is, CPU_ENDS); // order: publish -> rt_profilestate
}

GOFUNC("runtime.SetCPUProfileRate", void, rt_setcpuprofilerate, (Int hz))
{
	if (hz > 0)
		begin_profile(hz);
	else
		end_profile();
}
GOVALUE("runtime.SetCPUProfileRate", rt_setcpuprofilerate);

typedef struct ProfileState {
	Int hz;
	bool ended; // no more samples will come
} ProfileState;

GOFUNC("runtime.profilestate", ProfileState, rt_profilestate, (void))
{
	bool ended = load_acq(&cpu_state) != CPU_RUNS; // order: observe <- end_profile
	return (ProfileState){load_rlx(&cpu_hz), ended}; // order: with cpu_state
}

GOFUNC("runtime.profileended", void, rt_profileended, (void))
{
	uint32_t is = CPU_ENDS;
	(void)cas_ar(&cpu_state, &is, CPU_IDLE); // order: release -> begin_profile
}

typedef struct Taken {
	Int n;
	void *labels;
} Taken;

// n 0: there is none.
GOFUNC("runtime.takesample", Taken, rt_takesample, (Slice pcs))
{
	Sample s;
	if (!sample_take(&s))
		return (Taken){0, NULL};
	size_t n = callers_running(s.pcs, s.n);
	if ((Int)n > pcs.len)
		n = (size_t)pcs.len;
	memcpy(pcs.p, s.pcs, n * sizeof(s.pcs[0]));
	return (Taken){(Int)n, s.tag};
}

GOFUNC("runtime.lostsamples", uint64_t, rt_lostsamples, (void))
{
	return sample_lost();
}

// --- the heap profile ----------------------------------------------------------------------------

typedef struct MemRecord {
	int64_t alloc_bytes, free_bytes, alloc_objects, free_objects;
	uintptr_t stack[SITE_FRAMES];
} MemRecord;
static_assert(sizeof(MemRecord) == 288, "what programs were compiled with");

// False: nothing to tell.
static bool
record_of(const Site *s, bool all, MemRecord *r)
{
	uint64_t frees = load_rlx(&s->frees), allocs = load_rlx(&s->allocs); // order: count
	if (allocs == 0 || (!all && allocs == frees))
		return false;
	*r = (MemRecord){
		.alloc_bytes = (int64_t)(allocs * s->bytes),
		.free_bytes = (int64_t)(frees * s->bytes),
		.alloc_objects = (int64_t)allocs,
		.free_objects = (int64_t)frees,
	};
	memcpy(r->stack, s->pcs, s->n_pcs * sizeof(s->pcs[0]));
	size_t n = callers_shown(r->stack, s->n_pcs);
	memset(&r->stack[n], 0, (SITE_FRAMES - n) * sizeof(r->stack[0]));
	return true;
}

GOFUNC("runtime.MemProfile", Records, rt_memprofile, (Slice records, bool all))
{
	MemRecord *to = records.p, r;
	Int n = 0;
	for (uint32_t i = 1, sites = sites_count(); i <= sites; i++) {
		if (!record_of(site_of(i), all, &r))
			continue;
		if (n < records.len)
			to[n] = r;
		n++;
	}
	return (Records){n, n <= records.len};
}
GOVALUE("runtime.MemProfile", rt_memprofile);

// Programs without package runtime/pprof have no use for samples, unless they set the rate.
GO_VISIBLE extern void pprof_import(void) __asm__("runtime_1pprof..import") __attribute__((weak));

void
profile_init(void)
{
	panic_callers = callers_unnamed;
	if (pprof_import == NULL)
		store_rlx(&mem_profile_rate, 0); // order: own
	heap_sample_rate = &mem_profile_rate;
}

// What the allocator has in hand is no sample, whatever the rate becomes; so nothing is in hand
// when main begins, which may set it first of all.
void
profile_main_begins(void)
{
	sched_enter();
	P *pp = sched_m()->p;
	if (pp != NULL && pp->mcache != NULL)
		mcache_flush(pp->mcache);
	sched_leave();
}

// --- threads -------------------------------------------------------------------------------------

typedef struct StackRecord {
	uintptr_t pcs[SITE_FRAMES];
} StackRecord;

// Nobody knows where they were made.
GOFUNC("runtime.ThreadCreateProfile", Records, rt_threadcreateprofile, (Slice records))
{
	go_stats st;
	sched_enter();
	sched_stats(&st);
	sched_leave();
	Int n = st.threads + st.threads_foreign;
	if (n <= records.len)
		memset(records.p, 0, (size_t)n * sizeof(StackRecord));
	return (Records){n, n <= records.len};
}
GOVALUE("runtime.ThreadCreateProfile", rt_threadcreateprofile);

// --- goroutines ----------------------------------------------------------------------------------

GOFUNC("runtime.allgs", Int, rt_allgs, (Slice gs))
{
	Int n = 0;
	for (G *gp = sched_all_first(); gp != NULL; gp = gp->all_next) {
		uint32_t status = load_rlx(&gp->status); // order: hint
		if (status == Gidle || status == Gdead || gp == sched_g() || gp->face == NULL)
			continue;
		if (n < gs.len)
			((G **)gs.p)[n] = gp;
		n++;
	}
	return n;
}

GOFUNC("runtime.creatorof", uintptr_t, rt_creatorof, (void))
{
	return sched_g()->spawn_pc;
}

GOFUNC("runtime.idof", uint64_t, rt_idof, (const G *gp))
{
	return gp->id;
}

typedef struct Seen {
	String header;
	uintptr_t creator; // an address in the function that started it, 0 none
	void *labels;
	Int n;
	Int elided; // after so many addresses some are left out; 0: none are
	bool ok;    // it is a goroutine of the program
} Seen;

// How many addresses are left; *half: after how many of them some were elided, 0 none. One that has
// not run yet shows what it will run.
static size_t
shown_of(Look *l, size_t *half)
{
	const GoFace *f = l->face;
	size_t before = l->elided ? LOOK_FRAMES / 2 : 0;
	*half = callers_shown(l->pcs, before);
	size_t rest = callers_shown(l->pcs + before, l->n - before);
	memmove(l->pcs + *half, l->pcs + before, rest * sizeof(l->pcs[0]));
	size_t n = *half + rest;
	if (l->n == 1 && callers_begins(l->pcs[0]) && f->fn != NULL)
		l->pcs[0] = (uintptr_t)f->fn + 1;
	return n;
}

// Goroutines of the runtime's own are in no function of Go.
GOFUNC("runtime.lookat", Seen, rt_lookat, (G *gp, Slice pcs))
{
	Look l;
	if (!panic_look(gp, &l) || l.face == NULL)
		return (Seen){.ok = false};
	bool unknown = l.n == 0;
	size_t half, n = shown_of(&l, &half);
	bool idle = n == 0 || (n == 1 && callers_begins(l.pcs[0]));
	if ((idle && !unknown) || (Int)n > pcs.len)
		return (Seen){.ok = false};
	memcpy(pcs.p, l.pcs, n * sizeof(l.pcs[0]));
	return (Seen){string_c(l.header), l.creator_pc, ((const GoFace *)l.face)->labels,
		      (Int)n, (Int)half, true};
}
