// SPDX-License-Identifier: BSD-3-Clause
// Sleeping and waking, waiting for descriptors, the clock; and how the simulation begins.
#include <errno.h>
#include <stdlib.h>

#include "os/sim/sim_impl.h"

static const int64_t FAR_FUTURE = INT64_MAX / 2; // 146 years

// --- sleeping and waking ------------------------------------------------------------------------

// True when woken, false when the deadline came.
static bool
sleep_until(ATOMIC_U32 *word, int64_t deadline)
{
	Fiber *self = sim.current;
	if (deadline >= FAR_FUTURE)
		deadline = INT64_MAX; // there time would overflow
	self->state = FIBER_SLEEPING;
	self->word = word;
	self->deadline = deadline;
	if (deadline < sim.due)
		sim.due = deadline;
	sim_wait_for_turn();
	return self->woken;
}

// Where no thread can be switched there is nobody who could wake us.
void
sim_sleep(int64_t ns)
{
	if (!sim_enter())
		return;
	sim_time_passes();
	sleep_until(NULL, base_deadline(sim.now, ns > 0 ? ns : 0));
	sim_leave();
}

int
sim_futex_wait(ATOMIC_U32 *word, uint32_t seen, int64_t deadline)
{
	if (!sim_enter())
		sim_dies("a lock is held that a dying or stuck thread needs");
	int err = 0;
	sim_point();
	if (load_rlx(word) != seen) // order: own, one thread
		err = -EAGAIN;
	else if (deadline <= sim.now || !sleep_until(word, deadline))
		err = -ETIMEDOUT;
	sim_leave();
	return err;
}

// In no particular order: the kernel promises none.
void
sim_wake_sleepers(ATOMIC_U32 *word, int n)
{
	for (; n > 0; n--) {
		uint32_t seen = 0;
		Fiber *chosen = NULL;
		for (int i = 0; i < sim.live_count; i++) {
			Fiber *f = sim.live[i];
			if (f->state == FIBER_SLEEPING && f->word == word && sim_chance(++seen))
				chosen = f;
		}
		if (chosen == NULL)
			return;
		sim_make_runnable(chosen, true);
		sim_digest((uint64_t)chosen->id << 16);
	}
}

void
sim_futex_wake(ATOMIC_U32 *word, int n)
{
	if (sim.stuck) {
		sim_wake_sleepers(word, n);
		return;
	}
	if (!sim_enter()) {
		if (sim_on_signal_stack())
			sim_wake_from_signal(word);
		return;
	}
	sim_point();
	sim_wake_sleepers(word, n);
	sim_point();
	sim_leave();
}

// --- waiting for descriptors --------------------------------------------------------------------

// The poller is the system's. What it knows becomes ready at calls of the program, mostly, and thus
// at the same point in each run.
int
sim_poller_wait(int poller, OsReady *ready, int max, int64_t deadline)
{
	if (!sim_enter())
		return sys_poller_wait(poller, ready, max, 0);
	sim_point();
	int n;
	while ((n = sys_poller_wait(poller, ready, max, 0)) == 0 && deadline > sim.now) {
		sim.current->poller = poller;
		sim.polling++;
		sleep_until(NULL, deadline);
	}
	sim_leave();
	return n == -EINTR ? 0 : n;
}

void
sim_bell_ring(int bell)
{
	sys_bell_ring(bell);
	if (!sim_enter())
		return;
	sim_look_outside(0);
	sim_point();
	sim_leave();
}

// --- time, chance, processors -------------------------------------------------------------------

int64_t
sim_nanotime(void)
{
	os_sim_point_slow();
	return sim.now;
}

int
sim_cpu_count(void)
{
	return sim.cpus;
}

// --- start --------------------------------------------------------------------------------------

void
os_sim_thread_local(void *object, size_t bytes)
{
	if (!os_simulated)
		return;
	check(sim.local_count < LOCALS_MAX && bytes <= LOCAL_BYTES - sim.local_bytes,
	      "os_sim_thread_local: too much");
	sim.locals[sim.local_count++] = (Local){object, bytes, sim.local_bytes};
	sim.local_bytes += bytes;
}

static int
environment_int(const char *name, int otherwise)
{
	const char *text = getenv(name);
	int v = text != NULL ? atoi(text) : 0;
	return v > 0 ? v : otherwise;
}

void
sim_absent(void)
{
	os_modules_leave_out(&sim, sizeof(sim));
}

void
sim_init(uint64_t seed)
{
	sim.inside = true;
	sim_claim_thread();
	sim.seed = seed;
	sim.rand = base_mix(seed);
	sim.digest = seed;
	sim.now = START_NS;
	sim.due = INT64_MAX;
	sim.trace_fd = environment_int("UNDERGO_SIM_TRACE", -1);
	sim.cpus = environment_int("UNDERGO_SIM_CPUS", DEFAULT_CPUS);
	sim_draw_strategy();
	sim.current = &sim.main;
	sim_add_fiber(&sim.main);
	sim.inside = false;
}
