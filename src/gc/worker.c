// SPDX-License-Identifier: BSD-3-Clause
// The threads that collect.
//
// They are threads of the system without a P, asleep between cycles, started by the first one.
// Whoever began the cycle takes part as number 0. A job is published by counting `job` up; each
// worker does it once and counts `busy` down.
//
// Invariants:
//   W1  busy is the number of workers that have not done the current job. fn and count do not
//       change while it is not 0.
// Order:  O1  publish fn, busy, then job -> worker_main.
//         O2  publish what a worker did, busy - 1 -> workers_wait.
#include "gc/worker.h"

#include "gc/collect.h"

#include "arch/arch.h"
#include "gc/shrink.h"
#include "sched/sched.h"

enum {
	WORKERS_MAX = 32,
	WORKER_BYTES = 8 << 20, // of heap for each after the first: for less, waking it costs more
};

static struct {
	ATOMIC_U32 job;    // futex: jobs so far; O1
	ATOMIC_U32 busy;   // futex: W1
	ATOMIC_U32 sweeping; // who has not done the current job, when that is sweeping
	WorkerFn *fn;      // who holds gc.busy, while busy is 0; NULL: sweep
	uint32_t threads;  // the same: started, numbers 1 to threads
	uint32_t count;    // the same: who marks, the caller included
	Marker *markers[WORKERS_MAX]; // the same
	ATOMIC_I64 cpu_ns; // of the threads, up to their last job
} workers;

// --- the threads ---------------------------------------------------------------------------------

static void
job_done(void)
{
	if (sub_rel(&workers.busy, 1) == 1) // order: publish -> workers_wait, O2
		os_futex_wake(&workers.busy, 1);
}

// The last one says that nothing more will come of it.
static void
sweep(void)
{
	while (heap_sweep_one()) {
	}
	specials_wake();
	if (sub_ar(&workers.sweeping, 1) == 1) { // order: publish -> the last one
		gc_swept();
		sched_helpers_idle();
	}
	shrink_run();
}

static void
do_job(uint32_t number)
{
	if (workers.fn == NULL)
		sweep();
	else if (number < workers.count)
		workers.fn(workers.markers[number]);
}

static void
worker_main(void *v)
{
	uint32_t number = (uint32_t)(uintptr_t)v;
	os_thread_name("undergo-gc");
	threads_exempt(os_thread_id());
	uint32_t done = load_rlx(&workers.job); // order: start_thread waits, so none is published
	int64_t cpu = 0;
	job_done();
	for (;;) {
		os_futex_wait(&workers.job, done, INT64_MAX);
		if (load_acq(&workers.job) == done) // order: observe <- publish_job, O1
			continue;
		done++;
		do_job(number);
		int64_t now = os_thread_cpu_ns(os_thread_id());
		add_rlx(&workers.cpu_ns, now - cpu); // order: count
		cpu = now;
		job_done();
	}
}

static bool
start_thread(void)
{
	uint32_t number = workers.threads + 1;
	if (workers.markers[number] == NULL)
		workers.markers[number] = marker_new();
	if (workers.markers[number] == NULL)
		return false;
	store_rlx(&workers.busy, 1); // order: published by the start
	if (sched_thread_start(worker_main, (void *)(uintptr_t)number) != 0) {
		store_rlx(&workers.busy, 0); // order: nobody waits
		return false;
	}
	workers_wait();
	workers.threads = number;
	sched_helper_made();
	return true;
}

static uint32_t
workers_wanted(int64_t heap_bytes)
{
	uint64_t want = 1 + (uint64_t)heap_bytes / WORKER_BYTES;
	uint32_t procs = sched_procs().n, most = procs < WORKERS_MAX ? procs : WORKERS_MAX;
	return os_simulated ? 1 : want < most ? (uint32_t)want : most;
}

bool
workers_start(int64_t heap_bytes)
{
	workers_wait();
	uint32_t want = workers_wanted(heap_bytes);
	if (workers.markers[0] == NULL && (workers.markers[0] = marker_new()) == NULL)
		return false;
	while (workers.threads + 1 < want && start_thread()) {
	}
	workers.count = workers.threads + 1 < want ? workers.threads + 1 : want;
	if (workers.threads == 0 && !os_simulated)
		(void)start_thread(); // one that sweeps
	return true;
}

// --- jobs ----------------------------------------------------------------------------------------

static void
publish_job(WorkerFn *fn)
{
	workers.fn = fn;
	store_rlx(&workers.busy, workers.threads); // order: published by job
	add_rel(&workers.job, 1);                  // order: publish -> worker_main, O1
	if (workers.threads != 0)
		os_futex_wake(&workers.job, INT32_MAX);
}

void
workers_wait(void)
{
	for (;;) {
		uint32_t busy = load_acq(&workers.busy); // order: observe <- job_done, O2
		if (busy == 0)
			return;
		for (int i = 0; i < 1000 && load_rlx(&workers.busy) == busy; i++) // order: hint
			arch_pause();
		os_futex_wait(&workers.busy, busy, os_nanotime() + 1000 * 1000);
	}
}

// Nobody is woken for what one does by himself: they would have nothing to do.
void
workers_run(WorkerFn *fn)
{
	assert(load_rlx(&workers.busy) == 0); // order: own, W1
	bool alone = workers.count <= 1;
	if (!alone)
		publish_job(fn);
	fn(workers.markers[0]);
	if (!alone)
		workers_wait();
}

bool
workers_sweep(void)
{
	if (workers.threads == 0)
		return false;
	store_rlx(&workers.sweeping, workers.threads); // order: published by job
	sched_helpers_busy();
	publish_job(NULL);
	return true;
}

uint32_t
workers_count(void)
{
	return workers.count;
}

Marker *
workers_marker(uint32_t i)
{
	return workers.markers[i];
}

void
workers_reset(void)
{
	for (uint32_t i = 0; i < workers.count; i++)
		marker_begin(workers.markers[i], workers.count > 1);
}

MarkCounts
workers_counts(void)
{
	MarkCounts sum = {0, 0};
	for (uint32_t i = 0; i < workers.count; i++) {
		MarkCounts c = marker_counts(workers.markers[i]);
		sum.objects += c.objects;
		sum.bytes += c.bytes;
	}
	return sum;
}

int64_t
workers_cpu_ns(void)
{
	return load_rlx(&workers.cpu_ns); // order: count
}
