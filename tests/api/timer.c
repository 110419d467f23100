// SPDX-License-Identifier: BSD-3-Clause
// undergo/timer.h: timers and tickers. Each promise of the header has a test here; the rest are
// races between firing, stopping, setting anew, freeing and resizing.
#include <undergo.h>

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "harness.h"

static atomic_int count;

static void
add_one(void *arg)
{
	(void)arg;
	atomic_fetch_add(&count, 1);
}

static void
wait_for_count(int n)
{
	while (atomic_load(&count) < n)
		go_sleep(GO_MSEC / 4);
	expect_eq(atomic_load(&count), n);
}

static bool
has_value(go_timer *t)
{
	int64_t value;
	return go_chan_recv(go_timer_chan(t), &value, GO_POLL) == 0;
}

// --- functions --------------------------------------------------------------------------------

typedef struct Chain {
	int left;
	int64_t due;
	go_timer *timer;
	go_chan *done;
} Chain;

static void
next_link(void *arg)
{
	Chain *c = arg;
	expect(go_now() >= c->due);
	if (--c->left == 0) {
		go_chan_close(c->done);
		return;
	}
	c->due = go_now() + c->left % 3 * 100 * GO_USEC;
	expect(!go_timer_reset(c->timer, c->left % 3 * 100 * GO_USEC));
}

static int
after_func(void *arg)
{
	(void)arg;
	Chain c = {.left = 50, .done = go_chan_new(1, 0)};
	c.timer = go_after_func(3600 * GO_SEC, next_link, &c); // which looks at c.timer
	expect(c.timer != NULL && go_timer_chan(c.timer) == NULL);
	c.due = go_now() + GO_MSEC;
	expect(go_timer_reset(c.timer, GO_MSEC));
	expect_eq(go_chan_recv(c.done, NULL, go_in(20 * GO_SEC)), GO_ECLOSED);
	go_timer_free(c.timer);
	go_chan_free(c.done);
	return 0;
}

// A function runs no earlier than its time, on a goroutine of its own, and may set its own timer
// anew.
void
test_timer_after_func(void)
{
	expect_eq(go_run(after_func, NULL), 0);
}

static int
stop_tells(void *arg)
{
	(void)arg;
	go_timer *t = go_after_func(3600 * GO_SEC, add_one, NULL);
	expect(go_timer_stop(t));
	expect(!go_timer_stop(t));
	expect(!go_timer_reset(t, 0));
	wait_for_count(1);
	expect(!go_timer_stop(t));
	expect(!go_timer_reset(t, 3600 * GO_SEC));
	expect(go_timer_reset(t, GO_MSEC));
	wait_for_count(2);
	go_timer_free(t);
	go_timer_free(NULL);
	return 0;
}

void
test_timer_stop_tells_the_truth(void)
{
	expect_eq(go_run(stop_tells, NULL), 0);
}

enum { STOPPERS = 50, STOPS_EACH = 40 };

static void
stop_in_time(void *arg)
{
	go_waitgroup *wg = arg;
	for (int i = 0; i < STOPS_EACH; i++) {
		go_timer *t = go_after_func(20 * GO_USEC, add_one, NULL);
		if (i % 3 != 0)
			go_yield();
		if (go_timer_stop(t))
			atomic_fetch_add(&count, 1); // instead of the function
		go_timer_free(t);
	}
	go_wg_done(wg);
}

static int
stop_stress(void *arg)
{
	(void)arg;
	go_waitgroup wg = {0};
	go_wg_add(&wg, STOPPERS);
	for (int i = 0; i < STOPPERS; i++)
		expect_eq(go_spawn(stop_in_time, &wg), 0);
	go_wg_wait(&wg, GO_NEVER);
	wait_for_count(STOPPERS * STOPS_EACH);
	go_sleep(2 * GO_MSEC);
	wait_for_count(STOPPERS * STOPS_EACH);
	return 0;
}

// Either the function runs or stop says true, never both and never neither; freed right away.
void
test_timer_stop_stress(void)
{
	expect_eq(go_run(stop_stress, NULL), 0);
}

// --- channels ---------------------------------------------------------------------------------

static int
sends_time(void *arg)
{
	(void)arg;
	int64_t before = go_now(), value = 0;
	go_timer *t = go_timer_new(2 * GO_MSEC);
	expect_eq(go_chan_cap(go_timer_chan(t)), 1);
	expect_eq(go_chan_recv(go_timer_chan(t), &value, GO_NEVER), 0);
	expect(value >= before + 2 * GO_MSEC && value <= go_now());
	go_sleep(3 * GO_MSEC);
	expect(!has_value(t));
	go_timer_free(t);
	return 0;
}

void
test_timer_sends_the_time_once(void)
{
	expect_eq(go_run(sends_time, NULL), 0);
}

static int
after_stop(void *arg)
{
	(void)arg;
	go_timer *fires = go_after_func(5 * GO_MSEC, add_one, NULL);
	go_timer *stopped = go_after_func(4 * GO_MSEC, add_one, NULL);
	go_timer *c = go_timer_new(4 * GO_MSEC);
	bool in_time = go_timer_stop(stopped);
	(void)go_timer_stop(c);
	wait_for_count(in_time ? 1 : 2);
	go_sleep(3 * GO_MSEC);
	expect_eq(atomic_load(&count), in_time ? 1 : 2);
	expect(!has_value(c));
	go_timer_free(stopped);
	go_timer_free(c);
	go_timer_free(fires);
	return 0;
}

// What was stopped stays quiet while others fire.
void
test_timer_after_stop(void)
{
	expect_eq(go_run(after_stop, NULL), 0);
}

static int
no_stale_value(void *arg)
{
	(void)arg;
	go_timer *t = go_timer_new(0);
	for (long i = 0, n = test_scale(20000); i < n; i++) {
		if (i % 4 == 0)
			go_yield();
		if (i % 2 == 0) {
			go_timer_stop(t);
			expect(!has_value(t));
			expect(!go_timer_reset(t, i % 3 * 500));
			continue;
		}
		go_timer_reset(t, 3600 * GO_SEC);
		expect(!has_value(t));
		expect(go_timer_reset(t, i % 5 * 300));
	}
	go_timer_free(t);
	return 0;
}

// However stop and reset race with firing, a value of the earlier setting is never seen.
void
test_timer_leaves_no_stale_value(void)
{
	expect_eq(go_run(no_stale_value, NULL), 0);
}

static int
reset_postpones(void *arg)
{
	(void)arg;
	int64_t from = go_now(), value;
	go_timer *t = go_timer_new(5 * GO_MSEC);
	for (int i = 0; i < 5; i++) {
		go_sleep(GO_MSEC);
		if (go_now() - from > 4 * GO_MSEC)
			break; // a busy machine: too late to say anything
		expect(go_timer_reset(t, 5 * GO_MSEC));
		from = go_now();
	}
	expect_eq(go_chan_recv(go_timer_chan(t), &value, GO_NEVER), 0);
	expect(value >= from + 4 * GO_MSEC);
	expect(!go_timer_reset(t, GO_MSEC));
	from = go_now();
	expect_eq(go_chan_recv(go_timer_chan(t), &value, GO_NEVER), 0);
	go_timer_free(t);
	return 0;
}

void
test_timer_reset_postpones(void)
{
	expect_eq(go_run(reset_postpones, NULL), 0);
}

static int
modified_earlier(void *arg)
{
	(void)arg;
	int64_t from = go_now(), value;
	go_timer *far[8];
	for (int i = 0; i < 8; i++) {
		far[i] = go_timer_new((100 + i) * GO_SEC);
		expect(go_timer_reset(far[i], GO_MSEC * (8 - i)));
	}
	for (int i = 0; i < 8; i++) {
		expect_eq(go_chan_recv(go_timer_chan(far[i]), &value, go_in(30 * GO_SEC)), 0);
		expect(value >= from + GO_MSEC * (8 - i));
		go_timer_free(far[i]);
	}
	return 0;
}

// A timer set to an earlier time fires then, though everyone sleeps with the later one in mind.
void
test_timer_modified_earlier(void)
{
	expect_eq(go_run(modified_earlier, NULL), 0);
}

enum { ADJUSTERS = 20 };

static void
adjust(void *arg)
{
	go_waitgroup *wg = arg;
	uint64_t rand = go_id();
	for (int i = 0; i < 50; i++) {
		int64_t delay = (int64_t)(test_rand(&rand) % 200) * GO_USEC, value;
		go_timer *t = go_timer_new(test_rand(&rand) % 2 != 0 ? delay : 1000 * GO_SEC);
		for (uint64_t k = test_rand(&rand) % 4; k > 0; k--) {
			if (test_rand(&rand) % 2 != 0)
				go_timer_stop(t);
			else
				go_timer_reset(t, (int64_t)(test_rand(&rand) % 200) * GO_USEC);
		}
		go_timer_reset(t, delay);
		expect_eq(go_chan_recv(go_timer_chan(t), &value, go_in(30 * GO_SEC)), 0);
		go_timer_free(t);
	}
	go_wg_done(wg);
}

static int
adjust_all(void *arg)
{
	(void)arg;
	go_waitgroup wg = {0};
	go_wg_add(&wg, ADJUSTERS);
	for (int i = 0; i < ADJUSTERS; i++)
		expect_eq(go_spawn(adjust, &wg), 0);
	go_wg_wait(&wg, GO_NEVER);
	return 0;
}

// Timers that many goroutines move about at random all fire in the end.
void
test_timer_adjusted_fires(void)
{
	expect_eq(go_run(adjust_all, NULL), 0);
}

static int
overflow(void *arg)
{
	(void)arg;
	go_timer *never = go_after_func(INT64_MAX, add_one, NULL);
	go_timer *late = go_after_func(INT64_MAX - 1000, add_one, NULL);
	go_timer *ticker = go_ticker_new(INT64_MAX);
	go_timer *past = go_timer_new(INT64_MIN);
	int64_t value;
	expect_eq(go_chan_recv(go_timer_chan(past), &value, go_in(20 * GO_SEC)), 0);
	expect(!go_timer_reset(past, -1));
	expect_eq(go_chan_recv(go_timer_chan(past), &value, go_in(20 * GO_SEC)), 0);
	go_sleep(2 * GO_MSEC);
	expect_eq(atomic_load(&count), 0);
	expect(!has_value(ticker));
	expect(go_timer_stop(never));
	expect(go_timer_reset(late, GO_NEVER));
	expect(go_timer_stop(late));
	expect(go_timer_stop(ticker));
	go_timer_free(never);
	go_timer_free(late);
	go_timer_free(ticker);
	go_timer_free(past);
	return 0;
}

// Huge delays saturate and do not wrap into the past; negative ones are due at once.
void
test_timer_delay_saturates(void)
{
	expect_eq(go_run(overflow, NULL), 0);
}

// --- tickers ----------------------------------------------------------------------------------

static int
no_drift(void *arg)
{
	(void)arg;
	enum { TICKS = 40, PERIOD = 500000 };
	int64_t from = go_now(), value = 0;
	go_timer *t = go_ticker_new(PERIOD);
	int64_t made = go_now();
	for (int i = 1; i <= TICKS; i++) {
		expect_eq(go_chan_recv(go_timer_chan(t), &value, GO_NEVER), 0);
		expect(value >= from + (int64_t)i * PERIOD); // none comes early
	}
	// None was late for long: ticks lie on the grid, so lateness does not add up.
	int64_t n = (value - from) / PERIOD;
	expect(n >= TICKS);
	expect(go_timer_stop(t));
	go_sleep(2 * PERIOD);
	expect(!has_value(t));
	expect(made >= from);
	go_timer_free(t);
	return 0;
}

void
test_ticker_never_early(void)
{
	expect_eq(go_run(no_drift, NULL), 0);
}

static int
drops(void *arg)
{
	(void)arg;
	int64_t period = 4 * GO_MSEC, value;
	int64_t from = go_now();
	go_timer *t = go_ticker_new(period);
	int64_t made = go_now();
	go_sleep(5 * period);
	expect_eq(go_chan_len(go_timer_chan(t)), 1);
	expect_eq(go_chan_recv(go_timer_chan(t), &value, GO_POLL), 0);
	expect(value >= from + period);
	// The next tick lies on the grid of the first one, not a period after the reading.
	expect_eq(go_chan_recv(go_timer_chan(t), &value, GO_NEVER), 0);
	int64_t grid = (value - made) / period;
	expect(grid >= 4);
	while (go_chan_len(go_timer_chan(t)) == 0)
		go_sleep(period);
	expect(go_timer_stop(t)); // and with it goes the unread tick
	expect(!has_value(t));
	go_timer_free(t);
	return 0;
}

void
test_ticker_drops_ticks(void)
{
	expect_eq(go_run(drops, NULL), 0);
}

static int
ticker_reset(void *arg)
{
	(void)arg;
	int64_t value;
	go_timer *t = go_ticker_new(3600 * GO_SEC);
	int64_t from = go_now();
	expect(go_timer_reset(t, GO_MSEC));
	for (int i = 0; i < 5; i++)
		expect_eq(go_chan_recv(go_timer_chan(t), &value, go_in(30 * GO_SEC)), 0);
	expect(value >= from + 5 * GO_MSEC);
	expect(go_timer_stop(t));
	expect(!go_timer_stop(t));
	expect(!go_timer_reset(t, 2 * GO_MSEC));
	for (int i = 0; i < 3; i++)
		expect_eq(go_chan_recv(go_timer_chan(t), &value, go_in(30 * GO_SEC)), 0);
	go_timer_free(t);
	return 0;
}

void
test_ticker_reset(void)
{
	expect_eq(go_run(ticker_reset, NULL), 0);
}

// --- many at once -----------------------------------------------------------------------------

enum { SHARED = 4, SHARERS = 8 };
static go_timer *shared[SHARED];
static atomic_bool over;

static void
share(void *arg)
{
	go_waitgroup *wg = arg;
	uint64_t rand = go_id() * 77;
	int64_t value;
	while (!atomic_load(&over)) {
		go_timer *t = shared[test_rand(&rand) % SHARED];
		go_chan *c = go_timer_chan(t);
		switch (test_rand(&rand) % 5) {
		case 0:
			go_timer_stop(t);
			break;
		case 1:
		case 2:
			go_timer_reset(t, 1 + (int64_t)(test_rand(&rand) % 30) * GO_USEC);
			break;
		case 3:
			if (c != NULL)
				go_chan_recv(c, &value, GO_POLL);
			break;
		default:
			go_yield();
		}
	}
	go_wg_done(wg);
}

static int
share_all(void *arg)
{
	(void)arg;
	go_waitgroup wg = {0};
	shared[0] = go_timer_new(GO_MSEC);
	shared[1] = go_ticker_new(10 * GO_USEC);
	shared[2] = go_after_func(GO_MSEC, add_one, NULL);
	shared[3] = go_timer_new(0);
	go_wg_add(&wg, SHARERS);
	for (int i = 0; i < SHARERS; i++)
		expect_eq(go_spawn(share, &wg), 0);
	for (int i = 0; i < 20; i++) {
		go_sleep(5 * GO_MSEC);
		go_gomaxprocs(1 + i % 4);
	}
	atomic_store(&over, true);
	go_wg_wait(&wg, GO_NEVER);
	for (int i = 0; i < SHARED; i++) {
		go_timer_reset(shared[i], GO_USEC);
		if (go_timer_chan(shared[i]) != NULL)
			expect_eq(go_chan_recv(go_timer_chan(shared[i]), NULL, go_in(30 * GO_SEC)),
				  0);
		go_timer_free(shared[i]);
	}
	return 0;
}

// The same few timers, stopped, set and received from by all, while processors come and go.
void
test_timer_shared_by_many(void)
{
	expect_eq(go_run(share_all, NULL), 0);
}

enum { MOVERS = 16, MOVED_EACH = 50 };
static go_timer *moved[MOVERS * MOVED_EACH];
static atomic_int n_moved;

static void
make_timers(void *arg)
{
	go_waitgroup *wg = arg;
	for (int i = 0; i < MOVED_EACH; i++) {
		go_timer *t = go_after_func(2 * GO_MSEC + i * 100 * GO_USEC, add_one, NULL);
		moved[atomic_fetch_add(&n_moved, 1)] = t;
		if (i % 8 == 0)
			go_yield();
	}
	go_wg_done(wg);
}

static int
resize(void *arg)
{
	(void)arg;
	go_waitgroup wg = {0};
	go_gomaxprocs(8);
	go_wg_add(&wg, MOVERS);
	for (int i = 0; i < MOVERS; i++)
		expect_eq(go_spawn(make_timers, &wg), 0);
	go_wg_wait(&wg, GO_NEVER);
	for (int n = 7; n >= 1; n--) {
		go_gomaxprocs(n);
		go_sleep(200 * GO_USEC);
	}
	wait_for_count(MOVERS * MOVED_EACH);
	go_stats st;
	go_stats_read(&st);
	expect(st.timers_fired >= MOVERS * MOVED_EACH);
	for (int i = 0; i < MOVERS * MOVED_EACH; i++) {
		expect(!go_timer_stop(moved[i]));
		go_timer_free(moved[i]);
	}
	return 0;
}

// Pending timers survive the processors they were on.
void
test_timer_moves_when_processors_go(void)
{
	expect_eq(go_run(resize, NULL), 0);
}

typedef struct Race {
	go_chan *c;
	go_waitgroup wg;
	atomic_int sent;
	atomic_int received;
} Race;

static void
send_late(void *arg)
{
	Race *r = arg;
	uint64_t rand = go_id();
	for (int i = 0; i < 200; i++) {
		int64_t deadline = go_in((int64_t)(test_rand(&rand) % 20000));
		if (go_chan_send(r->c, &i, deadline) == 0)
			atomic_fetch_add(&r->sent, 1);
	}
	go_wg_done(&r->wg);
}

static void
receive_late(void *arg)
{
	Race *r = arg;
	uint64_t rand = go_id();
	int value;
	for (int i = 0; i < 200; i++) {
		int64_t deadline = go_in((int64_t)(test_rand(&rand) % 20000));
		int err = go_chan_recv(r->c, &value, deadline);
		expect(err == 0 || err == GO_ETIMEDOUT);
		expect(err == 0 || go_now() >= deadline);
		if (err == 0)
			atomic_fetch_add(&r->received, 1);
	}
	go_wg_done(&r->wg);
}

static int
deadline_race(void *arg)
{
	(void)arg;
	Race r = {.c = go_chan_new(sizeof(int), 0)};
	go_wg_add(&r.wg, 20);
	for (int i = 0; i < 10; i++) {
		expect_eq(go_spawn(send_late, &r), 0);
		expect_eq(go_spawn(receive_late, &r), 0);
	}
	go_wg_wait(&r.wg, GO_NEVER);
	expect_eq(atomic_load(&r.sent), atomic_load(&r.received));
	go_chan_free(r.c);
	return 0;
}

// Deadlines against peers: each value sent is received, though both sides keep giving up.
void
test_timer_deadlines_race(void)
{
	expect_eq(go_run(deadline_race, NULL), 0);
}

// --- threads ----------------------------------------------------------------------------------

static void *
on_thread(void *arg)
{
	(void)arg;
	int64_t value, from = go_now();
	expect_eq(go_sleep(2 * GO_MSEC), 0);
	expect(go_now() >= from + 2 * GO_MSEC);
	go_timer *f = go_after_func(GO_MSEC, add_one, NULL);
	go_timer *t = go_timer_new(GO_MSEC);
	go_timer *far = go_timer_new(3600 * GO_SEC);
	expect_eq(go_chan_recv(go_timer_chan(t), &value, GO_NEVER), 0);
	expect_eq(go_chan_recv(go_timer_chan(t), &value, go_in(GO_MSEC)), GO_ETIMEDOUT);
	nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL); // all our threads sleep by now
	expect(go_timer_reset(far, GO_MSEC));
	expect_eq(go_chan_recv(go_timer_chan(far), &value, go_in(8 * GO_SEC)), 0);
	go_timer_free(far);
	go_timer_free(t);
	while (atomic_load(&count) < 1)
		go_sleep(GO_MSEC);
	go_timer_free(f);
	return NULL;
}

// A thread of the program may do all of it, also as the first that uses the library.
void
test_timer_on_a_thread(void)
{
	pthread_t other;
	expect_eq(pthread_create(&other, NULL, on_thread, NULL), 0);
	pthread_join(other, NULL);
	on_thread(NULL);
}
