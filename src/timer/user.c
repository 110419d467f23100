// SPDX-License-Identifier: BSD-3-Clause
// Timers of the program: those that run a function, send the time, or tick.
//
// Invariants:
//   U1  A value in the channel belongs to the present setting: whoever ends a setting empties the
//       channel before anyone can make the next one count. That is why it is done under the heap's
//       lock, and why the firing function sends before the timer is let go.
//   U2  The function of timer_after_func is started once per time the timer fires. It gets its
//       goroutine while the timer is still set; without memory for one the timer fires later.
//   U3  A tick comes at a whole number of periods after the first one.
// Locks:  the channel's, under that of the heap.
#include "gc/gc.h"
#include "timer/timer_impl.h"

enum { RETRY_NS = 1000000 };

// Timers that a P keeps for the next one. AddressSanitizer shall see each come and go.
#if SANITIZE_ADDRESS
enum { UNUSED_MAX = 0 };
#else
enum { UNUSED_MAX = 32 };
#endif

struct go_timer {
	Timer timer;
	Hchan *chan;        // set before publication; NULL: runs a function
	void (*fn)(void *); // set before publication
	void *arg;          // set before publication
	int64_t period;     // of a ticker; Timers.lock while set
	bool ticks;         // set before publication
	bool freed;         // by timer_user_free
};

// --- memory -----------------------------------------------------------------------------------

// What the P under us keeps; NULL on a thread without one.
static Timers *
kept_here(void)
{
	P *pp = sched_m()->p;
	return pp != NULL ? pp->timers : NULL;
}

static UserTimer *
user_alloc(void)
{
	Timers *ts = kept_here();
	if (ts == NULL || ts->unused == NULL)
		return gc_alloc_pinned(sizeof(UserTimer)); // arg is the program's
	Timer *t = ts->unused;
	ts->unused = t->next;
	ts->n_unused--;
	UserTimer *u = container_of(t, UserTimer, timer);
	*u = (UserTimer){0};
	return u;
}

static void
user_free(UserTimer *u)
{
	Timers *ts = kept_here();
	if (ts == NULL || ts->n_unused >= UNUSED_MAX) {
		gc_free_pinned(u);
		return;
	}
	u->arg = NULL; // or it would live on
	u->timer.next = ts->unused;
	ts->unused = &u->timer;
	ts->n_unused++;
}

// --- firing -----------------------------------------------------------------------------------

static void
make_ready(void *gp)
{
	sched_ready(gp);
}

// U2. Stop and free need not wait for the goroutine: it knows nothing of the timer.
static int64_t
fire_func(Timer *t, Firing *f)
{
	UserTimer *u = container_of(t, UserTimer, timer);
	G *gp = f->spare;
	if (gp == NULL)
		return f->no_memory ? base_deadline(f->now, RETRY_NS) : TIMER_WANTS_G;
	f->spare = NULL;
	gp->fn = u->fn;
	gp->arg = u->arg;
	timer_post(f, make_ready, gp);
	return TIMER_DONE;
}

static int64_t
fire_chan(Timer *t, Firing *f)
{
	UserTimer *u = container_of(t, UserTimer, timer);
	(void)chan_try_send(u->chan, &f->now); // full: the tick is dropped
	if (!u->ticks)
		return TIMER_DONE;
	int64_t missed = (f->now - f->when) / u->period;
	return base_deadline(f->when, u->period * (missed + 1)); // U3
}

// U1.
static void
drop_value(Timer *t, int64_t arg)
{
	(void)arg;
	UserTimer *u = container_of(t, UserTimer, timer);
	int64_t value;
	if (u->chan != NULL)
		(void)chan_try_recv(u->chan, &value);
}

// Under the lock, when the old setting is over.
static void
renew(Timer *t, int64_t delay_ns)
{
	UserTimer *u = container_of(t, UserTimer, timer);
	drop_value(t, 0);
	u->period = delay_ns;
}

// --- what programs call -------------------------------------------------------------------------

static int64_t
after(int64_t delay_ns)
{
	return base_deadline(os_nanotime(), delay_ns > 0 ? delay_ns : 0);
}

UserTimer *
timer_after_func(int64_t delay_ns, void (*fn)(void *), void *arg)
{
	UserTimer *u = user_alloc();
	if (u == NULL)
		return NULL;
	timer_init(&u->timer, fire_func);
	u->fn = fn;
	u->arg = arg;
	timer_add(&u->timer, after(delay_ns));
	return u;
}

static UserTimer *
new_chan_timer(int64_t delay_ns, bool ticks)
{
	UserTimer *u = user_alloc();
	if (u == NULL)
		return NULL;
	u->chan = chan_new(sizeof(int64_t), 1);
	if (u->chan == NULL) {
		user_free(u);
		return NULL;
	}
	timer_init(&u->timer, fire_chan);
	u->period = delay_ns;
	u->ticks = ticks;
	timer_add(&u->timer, after(delay_ns));
	return u;
}

UserTimer *
timer_new(int64_t delay_ns)
{
	return new_chan_timer(delay_ns, false);
}

UserTimer *
timer_ticker_new(int64_t period_ns)
{
	if (period_ns <= 0)
		panic("non-positive interval for NewTicker");
	return new_chan_timer(period_ns, true);
}

Hchan *
timer_chan(UserTimer *u)
{
	return u->chan;
}

bool
timer_user_stop(UserTimer *u)
{
	return u->chan != NULL ? timer_stop_with(&u->timer, drop_value) : timer_stop(&u->timer);
}

bool
timer_user_reset(UserTimer *u, int64_t delay_ns)
{
	if (u->ticks && delay_ns <= 0)
		panic("non-positive interval for Ticker.Reset");
	return timer_set(&u->timer, after(delay_ns), renew, delay_ns);
}

// A timer that was freed before is told as long as its memory is as it was left.
void
timer_user_free(UserTimer *u)
{
	if (unlikely(u->freed))
		fatal("timer: free of a freed timer");
	u->freed = true;
	timer_stop(&u->timer);
	if (u->chan != NULL)
		chan_free(u->chan);
	user_free(u);
}
