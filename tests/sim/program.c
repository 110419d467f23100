// SPDX-License-Identifier: BSD-3-Clause
// Whole programs in the deterministic mode: a seed makes a random program and decides every switch
// of its run, an oracle checks what it does, and the same seed has to give the same run once more.
//
// The program, sim_program below, is built so that it ends whatever the scheduler does: senders
// send a fixed number of values, channels are closed when all have been sent, receivers go on until
// their channels are closed, and beside them run sleepers, lockers, scopes, timers, and changes of
// GOMAXPROCS.
// The oracle:
//   - every value sent is received once, and those of one sender over one channel arrive in order
//     at each receiver;
//   - locks exclude, semaphores limit, once happens once, a condition that was signalled is seen;
//   - no sleep is short, no timer fires early, each fires as often as it was set and not stopped;
//   - a cancelled scope ends its children's waits, with the right results;
//   - all ends: a lost wake-up is a deadlock, which the simulation reports.
// Beside Go's promises a run keeps one more: its digest is the same when it is repeated.
#include "child.h"
#include "goroutines.h"
#include "os/os.h"

enum {
	CHANS_MAX = 6,
	SENDERS_MAX = 10,
	RECEIVERS_MAX = 6,
	SENDS_MAX = 24,
	LIMIT_MS = 20000, // of one run
};

// --- the program's plan ------------------------------------------------------------------------

typedef struct Value {
	int sender;
	int chan;
	int nth; // over this channel, of this sender
} Value;

static struct {
	int procs;
	int chans, senders, receivers, sends;
	int lockers, sleepers, resizes, scopes, timers, spawners;
	size_t cap[CHANS_MAX];
} plan;

static go_chan *chan[CHANS_MAX];
static go_waitgroup all, senders;
static int sent[SENDERS_MAX][CHANS_MAX];     // each by its sender
static int received[SENDERS_MAX][CHANS_MAX]; // under its lock
static go_mutex received_lock;
static uint64_t program_seed;
static uint64_t next_stream;

static uint64_t
stream(void)
{
	return program_seed ^ (++next_stream * UINT64_C(0x9e3779b97f4a7c15));
}

static int
below(uint64_t *rand, int n)
{
	return (int)(test_rand(rand) % (uint64_t)n);
}

static void
make_plan(void)
{
	uint64_t rand = program_seed;
	plan.procs = 1 + below(&rand, 8);
	plan.chans = 1 + below(&rand, CHANS_MAX);
	plan.senders = 1 + below(&rand, SENDERS_MAX);
	plan.receivers = 1 + below(&rand, RECEIVERS_MAX);
	plan.sends = 1 + below(&rand, SENDS_MAX);
	plan.lockers = below(&rand, 5);
	plan.sleepers = below(&rand, 4);
	plan.resizes = below(&rand, 8);
	plan.scopes = below(&rand, 3);
	plan.timers = below(&rand, 4);
	plan.spawners = below(&rand, 3);
	for (int i = 0; i < plan.chans; i++)
		plan.cap[i] = below(&rand, 2) == 0 ? 0 : (size_t)below(&rand, 5);
}

// A little of something else.
static void
pass_time(uint64_t *rand)
{
	switch (below(rand, 6)) {
	case 0: {
		int64_t ns = below(rand, 50) * GO_USEC, before = go_now();
		expect_eq(go_sleep(ns), 0);
		expect(go_now() - before >= ns);
		break;
	}
	case 1:
		go_yield();
		break;
	case 2:
		go_block_begin();
		go_block_end();
		break;
	default:
		break;
	}
}

static void
start(void (*fn)(void *), void *arg)
{
	go_wg_add(&all, 1);
	expect_eq(go_spawn(fn, arg), 0);
}

// --- values -----------------------------------------------------------------------------------

static void
send_one(uint64_t *rand, int me)
{
	int a = below(rand, plan.chans), b = below(rand, plan.chans);
	Value v = {me, a, sent[me][a]}, w = {me, b, sent[me][b]};
	go_case cases[] = {GO_CASE_SEND(chan[a], &v), GO_CASE_SEND(chan[b], &w)};
	int err, done = a;
	switch (below(rand, 4)) {
	case 0:
		while ((err = go_chan_send(chan[a], &v, GO_POLL)) == GO_EAGAIN)
			go_sleep(5 * GO_USEC);
		break;
	case 1:
		while ((err = go_chan_send(chan[a], &v, go_in(3 * GO_USEC))) == GO_ETIMEDOUT)
			go_yield();
		break;
	case 2:
		while ((err = go_select(cases, 2,
					below(rand, 2) == 0 ? GO_NEVER : go_in(4 * GO_USEC))) ==
		       GO_ETIMEDOUT)
			;
		if (err == 1)
			done = b;
		err = err > 0 ? 0 : err;
		break;
	default:
		err = go_chan_send(chan[a], &v, GO_NEVER);
	}
	expect_eq(err, 0);
	sent[me][done]++;
}

static void
sender(void *arg)
{
	int me = (int)(intptr_t)arg;
	uint64_t rand = stream();
	for (int i = 0; i < plan.sends; i++) {
		send_one(&rand, me);
		pass_time(&rand);
	}
	go_wg_done(&senders);
	go_wg_done(&all);
}

static void
closer(void *unused)
{
	(void)unused;
	expect_eq(go_wg_wait(&senders, GO_NEVER), 0);
	for (int i = 0; i < plan.chans; i++)
		go_chan_close(chan[i]);
	go_wg_done(&all);
}

typedef struct Receiver {
	go_case cases[CHANS_MAX];
	int index[CHANS_MAX]; // of the channel of each case
	int n, open;
	int last[SENDERS_MAX][CHANS_MAX]; // one more than the last nth seen
	Value v;
} Receiver;

static void
take(Receiver *r, int k)
{
	Value v = r->v;
	expect_eq(v.chan, r->index[k]);
	expect(v.nth >= r->last[v.sender][v.chan]);
	r->last[v.sender][v.chan] = v.nth + 1;
	go_mutex_lock(&received_lock);
	received[v.sender][v.chan]++;
	go_mutex_unlock(&received_lock);
}

static void
receive_one(Receiver *r, uint64_t *rand)
{
	int64_t deadline = below(rand, 4) == 0 ? go_in(below(rand, 10) * GO_USEC) : GO_NEVER;
	int k = 0, err;
	if (r->n == 1 || below(rand, 4) == 0) {
		k = below(rand, r->n);
		if (r->cases[k].chan == NULL)
			return;
		err = go_chan_recv(r->cases[k].chan, &r->v, r->n == 1 ? deadline : GO_POLL);
	} else {
		err = go_select(r->cases, r->n, deadline);
		if (err >= 0) {
			k = err;
			err = r->cases[k].ok ? 0 : GO_ECLOSED;
		}
	}
	if (err == 0) {
		take(r, k);
	} else if (err == GO_ECLOSED) {
		r->cases[k].chan = NULL;
		r->open--;
	} else {
		expect(err == GO_ETIMEDOUT || err == GO_EAGAIN);
		go_yield();
	}
}

// Receiver i serves channel i, i + receivers, ... and some others too.
static void
receiver(void *arg)
{
	int me = (int)(intptr_t)arg;
	uint64_t rand = stream();
	Receiver r = {0};
	for (int i = 0; i < plan.chans; i++)
		if (i % plan.receivers == me || below(&rand, 3) == 0) {
			r.cases[r.n] = (go_case)GO_CASE_RECV(chan[i], &r.v);
			r.index[r.n++] = i;
		}
	r.open = r.n;
	while (r.open > 0) {
		receive_one(&r, &rand);
		pass_time(&rand);
	}
	go_wg_done(&all);
}

// --- locks ------------------------------------------------------------------------------------

static go_mutex mutex;
static go_rwmutex rwmutex;
static go_cond cond;
static go_sem sem;
static go_once once;
static int inside, readers, writers, permits_out, once_done, waiting, tickets;

static void
do_once(void *unused)
{
	(void)unused;
	go_yield();
	once_done++;
}

static void
lock_somehow(uint64_t *rand)
{
	switch (below(rand, 5)) {
	case 0:
		go_mutex_lock(&mutex);
		expect_eq(inside++, 0);
		pass_time(rand);
		expect_eq(--inside, 0);
		go_mutex_unlock(&mutex);
		break;
	case 1:
		go_rwmutex_lock(&rwmutex);
		expect_eq(readers, 0);
		expect_eq(writers++, 0);
		pass_time(rand);
		writers--;
		go_rwmutex_unlock(&rwmutex);
		break;
	case 2:
		go_rwmutex_rlock(&rwmutex);
		readers++; // one thread of the system plays all
		expect_eq(writers, 0);
		pass_time(rand);
		expect_eq(writers, 0);
		readers--;
		go_rwmutex_runlock(&rwmutex);
		break;
	case 3:
		if (go_sem_acquire(&sem, below(rand, 2) == 0 ? GO_NEVER : go_in(5 * GO_USEC)) != 0)
			break;
		expect(++permits_out <= 2);
		pass_time(rand);
		permits_out--;
		go_sem_release(&sem, 1);
		break;
	default:
		go_once_do(&once, do_once, NULL);
		expect_eq(once_done, 1);
	}
}

// Each waits for a ticket, and before that hands one to somebody: there is always one more to come.
static void
trade_tickets(uint64_t *rand)
{
	go_mutex_lock(&mutex);
	tickets++;
	waiting++;
	if (below(rand, 2) == 0)
		go_cond_signal(&cond);
	else
		go_cond_broadcast(&cond);
	while (tickets == 0)
		expect_eq(go_cond_wait(&cond, &mutex, GO_NEVER), 0);
	tickets--;
	waiting--;
	go_mutex_unlock(&mutex);
}

static void
locker(void *unused)
{
	(void)unused;
	uint64_t rand = stream();
	for (int i = 0; i < 15; i++) {
		lock_somehow(&rand);
		pass_time(&rand);
		if (i % 5 == 0)
			trade_tickets(&rand);
	}
	go_wg_done(&all);
}

// --- time -------------------------------------------------------------------------------------

static void
sleeper(void *unused)
{
	(void)unused;
	uint64_t rand = stream();
	for (int i = 0; i < 6; i++) {
		int64_t ns = below(&rand, 5000) * GO_USEC, before = go_now();
		expect_eq(go_sleep(ns), 0);
		expect(go_now() - before >= ns);
	}
	go_wg_done(&all);
}

typedef struct Alarm {
	int64_t due;
	int fired;
	go_waitgroup pending;
} Alarm;

static void
alarm_fires(void *arg)
{
	Alarm *a = arg;
	expect(go_now() >= a->due);
	a->fired++;
	go_wg_done(&a->pending);
}

static void
use_alarm(uint64_t *rand)
{
	Alarm a = {0};
	int set = 1, stopped = 0;
	int64_t delay = below(rand, 100) * GO_USEC;
	go_wg_add(&a.pending, 1);
	a.due = go_now() + delay;
	go_timer *t = go_after_func(delay, alarm_fires, &a);
	expect(t != NULL);
	pass_time(rand);
	if (below(rand, 2) == 0 && go_timer_stop(t)) {
		stopped++;
		go_wg_done(&a.pending);
	}
	expect_eq(go_wg_wait(&a.pending, GO_NEVER), 0);
	if (below(rand, 2) == 0) {
		go_wg_add(&a.pending, 1);
		a.due = go_now() + delay;
		expect(!go_timer_reset(t, delay));
		set++;
		expect_eq(go_wg_wait(&a.pending, GO_NEVER), 0);
	}
	go_timer_free(t);
	expect_eq(a.fired, set - stopped);
}

static void
use_ticker(uint64_t *rand)
{
	int64_t period = (1 + below(rand, 50)) * GO_USEC, begin = go_now(), when, last = 0;
	go_timer *t = go_ticker_new(period);
	expect(t != NULL);
	for (int i = 1; i <= 5; i++) {
		expect_eq(go_chan_recv(go_timer_chan(t), &when, GO_NEVER), 0);
		expect(when - begin >= i * period);
		expect(when > last);
		last = when;
		pass_time(rand);
	}
	go_timer_free(t);
}

static void
timer_user(void *unused)
{
	(void)unused;
	uint64_t rand = stream();
	for (int i = 0; i < 4; i++) {
		use_alarm(&rand);
		use_ticker(&rand);
	}
	go_wg_done(&all);
}

// --- scopes, spawning, GOMAXPROCS --------------------------------------------------------------

static int
wait_for_cancel(void *arg)
{
	uint64_t rand = (uint64_t)(uintptr_t)arg;
	switch (below(&rand, 3)) {
	case 0:
		expect_eq(go_sleep(3600 * GO_SEC), GO_ECANCELED);
		break;
	case 1:
		expect_eq(go_chan_recv(NULL, NULL, GO_NEVER), GO_ECANCELED);
		break;
	default:
		while (!go_canceled())
			go_yield();
	}
	return 0;
}

static int
fail_soon(void *arg)
{
	(void)arg;
	int err = go_sleep(10 * GO_USEC);
	return err != 0 ? 0 : -1000;
}

static void
scope_user(void *unused)
{
	(void)unused;
	uint64_t rand = stream();
	for (int i = 0; i < 3; i++) {
		go_scope s;
		int want = GO_ECANCELED, children = 1 + below(&rand, 4), how = below(&rand, 3);
		go_scope_open(&s, how == 0 ? go_in(30 * GO_USEC) : GO_NEVER);
		for (int k = 0; k < children; k++) {
			int err = go_scope_spawn(&s, wait_for_cancel,
						 (void *)(uintptr_t)test_rand(&rand));
			expect(err == 0 || (how == 0 && err == GO_ECANCELED));
		}
		if (how == 0) {
			want = GO_ETIMEDOUT;
		} else if (how == 1) {
			expect_eq(go_scope_spawn(&s, fail_soon, NULL), 0);
			want = -1000;
		} else {
			pass_time(&rand);
			go_scope_cancel(&s);
		}
		expect_eq(go_scope_wait(&s), want);
		expect(!go_canceled());
	}
	go_wg_done(&all);
}

static void
brief(void *arg)
{
	go_wg_done(arg);
}

static void
spawner(void *unused)
{
	(void)unused;
	uint64_t rand = stream();
	for (int i = 0; i < 4; i++) {
		go_waitgroup wg = {0};
		int n = 1 + below(&rand, 20);
		go_wg_add(&wg, n);
		for (int k = 0; k < n; k++)
			expect_eq(go_spawn(brief, &wg), 0);
		int err;
		while ((err = go_wg_wait(&wg, go_in(10 * GO_USEC))) == GO_ETIMEDOUT)
			;
		expect_eq(err, 0);
	}
	go_wg_done(&all);
}

static void
resizer(void *unused)
{
	(void)unused;
	uint64_t rand = stream();
	for (int i = 0; i < plan.resizes; i++) {
		go_gomaxprocs(1 + below(&rand, 9));
		pass_time(&rand);
	}
	go_wg_done(&all);
}

// --- one run ------------------------------------------------------------------------------------

static void
start_some(int n, void (*fn)(void *))
{
	for (intptr_t i = 0; i < n; i++)
		start(fn, (void *)i);
}

static int
program_main(void *unused)
{
	(void)unused;
	for (int i = 0; i < plan.chans; i++)
		chan[i] = go_chan_new(sizeof(Value), plan.cap[i]);
	go_sem_init(&sem, 2);
	go_wg_add(&senders, plan.senders);
	start_some(plan.receivers, receiver);
	start_some(plan.lockers, locker);
	start_some(1, resizer);
	start_some(plan.senders, sender);
	start_some(plan.sleepers, sleeper);
	start_some(plan.timers, timer_user);
	start_some(plan.scopes, scope_user);
	start_some(plan.spawners, spawner);
	start_some(1, closer);
	expect_eq(go_wg_wait(&all, GO_NEVER), 0);
	for (int s = 0; s < plan.senders; s++)
		for (int c = 0; c < plan.chans; c++)
			expect_eq(received[s][c], sent[s][c]);
	for (int i = 0; i < plan.chans; i++)
		go_chan_free(chan[i]);
	return 0;
}

DEATH(sim_program)
{
	const char *seed = getenv("UNDERGO_SEED");
	program_seed = seed != NULL ? strtoull(seed, NULL, 0) : 1;
	make_plan();
	go_gomaxprocs(plan.procs);
	expect_eq(go_run(program_main, NULL), 0);
	printf("digest %016llx at %lld\n", (unsigned long long)os_sim_hash(), (long long)go_now());
}

// --- a thread alone -----------------------------------------------------------------------------
//
// A thread of the program, in no go_run, starts goroutines and waits for them. Between, all is
// idle, now and then for so long that the runtime's threads end. Whoever hands over work here finds
// nobody awake, and somebody about to sleep.

typedef struct Errand {
	go_chan *answer;
	uint64_t rand;
	int value;
} Errand;

static void
run_errand(void *arg)
{
	Errand *e = arg;
	for (int i = below(&e->rand, 3); i > 0; i--)
		pass_time(&e->rand);
	expect_eq(go_chan_send(e->answer, &e->value, GO_NEVER), 0);
}

static void
send_out(uint64_t *rand, go_chan *answer)
{
	Errand errands[6];
	int n = 1 + below(rand, 6), sum = 0, v;
	for (int i = 0; i < n; i++) {
		errands[i] = (Errand){answer, test_rand(rand), i + 1};
		expect_eq(go_spawn(run_errand, &errands[i]), 0);
		if (below(rand, 3) == 0)
			pass_time(rand);
	}
	for (int got = 0; got < n;) {
		int err = go_chan_recv(answer, &v,
				       below(rand, 3) == 0 ? go_in(9 * GO_USEC) : GO_NEVER);
		expect(err == 0 || err == GO_ETIMEDOUT);
		if (err != 0)
			continue;
		sum += v;
		got++;
	}
	expect_eq(sum, n * (n + 1) / 2);
}

DEATH(sim_thread_program)
{
	const char *seed = getenv("UNDERGO_SEED");
	uint64_t rand = seed != NULL ? strtoull(seed, NULL, 0) : 1;
	go_chan *answer = go_chan_new(sizeof(int), (size_t)below(&rand, 3));
	go_gomaxprocs(1 + below(&rand, 6));
	for (int i = 0; i < 12; i++) {
		send_out(&rand, answer);
		if (below(&rand, 3) == 0)
			go_sleep(4990 * GO_MSEC + below(&rand, 30) * GO_MSEC); // threads end now
		else
			pass_time(&rand);
		if (below(&rand, 6) == 0)
			go_gomaxprocs(1 + below(&rand, 6));
	}
	printf("digest %016llx at %lld\n", (unsigned long long)os_sim_hash(), (long long)go_now());
}

// --- many runs ---------------------------------------------------------------------------------

static ChildEnd end;

static void
show_and_fail(const char *what, const char *program, uint64_t seed)
{
	const char *argv[HARNESS_ARGV];
	harness_argv(argv, "--child", program);
	printf("%s. To see it again: UNDERGO_SEED=%llu", what, (unsigned long long)seed);
	for (int i = 0; argv[i] != NULL; i++)
		printf(" %s", argv[i]);
	printf("\n%s\n", end.text);
	fflush(stdout);
	expect(false);
}

// The line with the digest of a run that was right.
static void
run_seed(const char *program, uint64_t seed, char line[80])
{
	char text[64];
	snprintf(text, sizeof(text), "UNDERGO_SEED=%llu", (unsigned long long)seed);
	char *env[] = {text, NULL};
	child_run(&end, program, env, LIMIT_MS);
	if (end.status == CHILD_HUNG)
		show_and_fail("It hangs", program, seed);
	if (end.status != 0 || strncmp(end.text, "digest ", 7) != 0)
		show_and_fail("It went wrong", program, seed);
	snprintf(line, 80, "%.79s", end.text);
}

static int
compare_lines(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void
run_seeds(const char *program, uint64_t first, long n)
{
	char(*lines)[80] = calloc((size_t)n, sizeof(*lines)), again[80];
	expect(lines != NULL);
	for (long i = 0; i < n; i++) {
		run_seed(program, first + (uint64_t)i, lines[i]);
		run_seed(program, first + (uint64_t)i, again);
		if (strcmp(lines[i], again) != 0) {
			printf("%s", lines[i]);
			show_and_fail("The second run differs from the first", program,
				      first + (uint64_t)i);
		}
	}
	qsort(lines, (size_t)n, sizeof(*lines), compare_lines);
	for (long i = 1; i < n; i++)
		expect(strcmp(lines[i - 1], lines[i]) != 0); // another seed is another run
	free(lines);
}

// The same seeds every time.
void
test_sim_first_seeds(void)
{
	run_seeds("sim_program", 1, test_scale(1000));
}

// And others each time.
void
test_sim_fresh_seeds(void)
{
	run_seeds("sim_program", test_seed() >> 16, test_scale(1000));
}

void
test_sim_thread_first_seeds(void)
{
	run_seeds("sim_thread_program", 1, test_scale(1000));
}

void
test_sim_thread_fresh_seeds(void)
{
	run_seeds("sim_thread_program", test_seed() >> 16, test_scale(1000));
}
