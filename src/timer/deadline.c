// SPDX-License-Identifier: BSD-3-Clause
// Goroutines that wait for a time: the deadlines of waits, and sleeping.
//
// A deadline is a timer inside the Wait, on the waiter's stack. Its function claims the wait. The
// waiter disarms it before the Wait goes away, which also waits out a function that is running.
// Someone who only sleeps needs no claim: the timer alone can wake him, and it is let go
// before it does.
#include "timer/timer_impl.h"

typedef struct DeadlineTimer {
	Timer timer;
	G *gp; // set before publication
} DeadlineTimer;
static_assert(sizeof(DeadlineTimer) <= sizeof(Deadline), "a deadline fits into its place");

static int64_t
deadline_fire(Timer *t, Firing *f)
{
	(void)f;
	sched_claim_and_ready(container_of(t, DeadlineTimer, timer)->gp, CLAIM_DEADLINE);
	return TIMER_DONE; // not before: a claim that comes late would hit the G's next wait
}

void
up_deadline_arm(Deadline *d, G *gp, int64_t when)
{
	DeadlineTimer *dt = (DeadlineTimer *)(void *)d;
	timer_init(&dt->timer, deadline_fire);
	dt->gp = gp;
	timer_add(&dt->timer, when);
}

void
up_deadline_disarm(Deadline *d)
{
	timer_stop(&((DeadlineTimer *)(void *)d)->timer);
}

typedef struct Sleep {
	Timer timer;
	G *gp;
	int64_t until;
} Sleep;

static int64_t
sleep_fire(Timer *t, Firing *f)
{
	(void)f;
	G *gp = container_of(t, Sleep, timer)->gp;
	timer_let_go(t);
	sched_ready(gp); // and from here on the timer may be gone with its stack
	return TIMER_GONE;
}

// Off the sleeper's stack; once the timer is added, the stack may go on living.
static void
sleep_begin(void *arg)
{
	Sleep *s = arg;
	timer_add(&s->timer, s->until);
}

// Nothing but the time ends this wait.  Blocks: G.
static void
sleep_alone(G *gp, int64_t until)
{
	if (until == GO_NEVER) {
		sched_park(WAIT_sleep, NULL, NULL);
		throw("somebody woke a goroutine that sleeps for ever");
	}
	Sleep s = {.gp = gp, .until = until};
	timer_init(&s.timer, sleep_fire);
	sched_park(WAIT_sleep, sleep_begin, &s);
}

static int
sleep_until(int64_t deadline, int64_t now)
{
	if (deadline <= now)
		return 0;
	G *gp = sched_g();
	if (gp->scope == NULL && !gp->thread) {
		sleep_alone(gp, deadline);
		return 0;
	}
	Wait w;
	int err = sched_wait_begin(&w, deadline);
	if (err == 0)
		err = sched_claim_error(sched_wait_park(&w, WAIT_sleep, NULL, NULL));
	return err == GO_ECANCELED ? err : 0;
}

int
timer_sleep(int64_t ns)
{
	if (ns <= 0)
		return 0;
	int64_t now = os_nanotime();
	int64_t until = base_deadline(now, ns);
	return sleep_until(until != GO_NEVER ? until : GO_NEVER - 1, now); // a time it does have
}

int
timer_sleep_until(int64_t deadline)
{
	return sleep_until(deadline, os_nanotime());
}
