// SPDX-License-Identifier: BSD-3-Clause
// undergo/heap.h, the end of objects: finalizers, cleanups, weak pointers.
//
// The collector is conservative: a stale word somewhere may keep an object. So objects are made in
// numbers, on a goroutine that is gone when the test looks, and nearly all have to die. What must
// not happen must not happen to any.
#include "goroutines.h"

#include <pthread.h>
#include <undergo/heap.h>

enum { MANY = 1000, NEARLY = MANY * 9 / 10, MAGIC = 0x5afe };

typedef struct Node {
	struct Node *next;
	long number;
	long magic;
	long spare;
} Node;

static Count ran, cleaned, wrong;
static atomic_uchar times[MANY]; // how often the finalizer of number i has run

static Node *
node_new(long number)
{
	Node *n = go_new(Node);
	n->number = number;
	n->magic = MAGIC;
	return n;
}

static void
check_node(const Node *n)
{
	if (n->magic != MAGIC)
		count_add(&wrong);
}

static void
count_run(void *p, void *arg)
{
	Node *n = p;
	check_node(n);
	if (arg != &ran || atomic_fetch_add(&times[n->number], 1) != 0)
		count_add(&wrong);
	count_add(&ran);
}

static void
count_cleanup(void *arg)
{
	(void)arg;
	count_add(&cleaned);
}

// --- making and collecting -----------------------------------------------------------------------

typedef struct Maker {
	void (*fn)(void);
} Maker;

static void
maker(void *m)
{
	((Maker *)m)->fn();
}

// Runs fn in a goroutine of its own, whose stack nobody looks at afterwards.
static void
make_with(void (*fn)(void))
{
	Maker m = {fn};
	run_aside(maker, &m);
}

static void
collect_until(Count *c, long n)
{
	for (int i = 0; i < 50 && count_of(c) < n; i++) {
		go_gc();
		go_sleep(GO_MSEC); // what the collection queued runs
	}
	expect(count_of(c) >= n);
}

static void
collect_some(void)
{
	for (int i = 0; i < 4; i++) {
		go_gc();
		go_sleep(GO_MSEC); // the same
	}
}

// --- finalizers ----------------------------------------------------------------------------------

static void
make_finalized(void)
{
	for (long i = 0; i < MANY; i++)
		expect_eq(go_set_finalizer(node_new(i), count_run, &ran), 0);
}

GO_TEST(final_runs_once, 0)
{
	make_with(make_finalized);
	collect_until(&ran, NEARLY);
	collect_some();
	expect_eq(count_of(&wrong), 0);
}

// Nobody calls go_gc, and when the heap has grown enough for one collection nobody allocates.
GO_TEST(final_of_what_the_goal_collects, 0)
{
	go_heap_stats before, now;
	make_with(make_finalized);
	go_heap_stats_read(&before);
	do {
		go_alloc_data(10000);
		go_heap_stats_read(&now);
	} while (now.collections < before.collections + 2);
	until(count_of(&ran) >= NEARLY);
	expect_eq(count_of(&wrong), 0);
}

static Node *kept[MANY];

static void
make_kept(void)
{
	for (long i = 0; i < MANY; i++) {
		kept[i] = node_new(i);
		expect_eq(go_set_finalizer(kept[i], count_run, &ran), 0);
	}
}

GO_TEST(final_not_of_live, 0)
{
	make_with(make_kept);
	collect_some();
	expect_eq(count_of(&ran), 0);
	memset(kept, 0, sizeof(kept));
	collect_until(&ran, NEARLY);
	expect_eq(count_of(&wrong), 0);
}

static void
make_removed(void)
{
	for (long i = 0; i < MANY; i++) {
		Node *n = node_new(i);
		expect_eq(go_set_finalizer(n, count_run, &ran), 0);
		expect_eq(go_set_finalizer(n, NULL, NULL), 0);
		expect_eq(go_set_finalizer(n, NULL, NULL), 0); // there is none
		if (i % 2 == 0) // not "already set"
			expect_eq(go_set_finalizer(n, count_run, &ran), 0);
	}
}

GO_TEST(final_removed, 0)
{
	make_with(make_removed);
	collect_until(&ran, NEARLY / 2);
	collect_some();
	expect(count_of(&ran) <= MANY / 2);
	for (int i = 1; i < MANY; i += 2)
		expect_eq(atomic_load(&times[i]), 0);
	expect_eq(count_of(&wrong), 0);
}

enum { DEPTH = 3 };
static atomic_uchar chain_at[MANY]; // how many of chain i's finalizers have run

static void
run_link(void *p, void *arg)
{
	Node *n = p;
	check_node(n);
	for (Node *below = n->next; below != NULL; below = below->next)
		check_node(below);
	long chain = n->number / DEPTH, depth = n->number % DEPTH;
	if (atomic_fetch_add(&chain_at[chain], 1) != depth)
		count_add(&wrong);
	count_add(arg);
}

static void
make_chains(void)
{
	for (long i = 0; i < MANY; i++) {
		Node *below = NULL;
		for (long depth = DEPTH; depth-- > 0;) {
			Node *n = node_new(i * DEPTH + depth);
			n->next = below;
			below = n;
			expect_eq(go_set_finalizer(n, run_link, &ran), 0);
		}
	}
}

// Of objects that point to each other the outermost is finalized first.
GO_TEST(final_outside_in, 0)
{
	make_with(make_chains);
	collect_until(&ran, (long)NEARLY * DEPTH);
	expect_eq(count_of(&wrong), 0);
}

static void
make_cycles(void)
{
	for (long i = 0; i + 1 < MANY; i += 2) {
		Node *a = node_new(i), *b = node_new(i + 1);
		a->next = b;
		b->next = a;
		expect_eq(go_set_finalizer(a, count_run, &ran), 0);
		if (i % 4 == 0)
			expect_eq(go_set_finalizer(b, count_run, &ran), 0);
	}
}

GO_TEST(final_not_of_cycles, 0)
{
	make_with(make_cycles);
	collect_some();
	expect_eq(count_of(&ran), 0);
}

static Node *revived[MANY];
static Count again;

static void
run_again(void *p, void *arg)
{
	check_node(p);
	count_add(arg);
}

static void
revive(void *p, void *arg)
{
	Node *n = p;
	check_node(n);
	check_node(n->next); // what it points to is alive, too
	expect_eq(go_set_finalizer(n, run_again, &again), 0);
	revived[n->number] = n;
	count_add(arg);
}

static void
make_reviving(void)
{
	for (long i = 0; i < MANY; i++) {
		Node *n = node_new(i);
		n->next = node_new(i);
		expect_eq(go_set_finalizer(n, revive, &ran), 0);
	}
}

static void
overwrite(void)
{
	for (long i = 0; i < 4L * MANY; i++)
		memset(go_alloc(sizeof(Node)), 0xff, sizeof(Node));
}

GO_TEST(final_revives, 0)
{
	make_with(make_reviving);
	collect_until(&ran, NEARLY);
	make_with(overwrite);
	collect_some();
	make_with(overwrite);
	expect_eq(count_of(&again), 0);
	long n = 0;
	for (int i = 0; i < MANY; i++) {
		if (revived[i] == NULL)
			continue;
		check_node(revived[i]);
		check_node(revived[i]->next);
		n++;
	}
	expect_eq(n, count_of(&ran));
	memset(revived, 0, sizeof(revived));
	collect_until(&again, NEARLY * 9 / 10);
	expect_eq(count_of(&wrong), 0);
}

static void
run_with_arg(void *p, void *arg)
{
	check_node(p);
	check_node(arg);
	check_node(((Node *)arg)->next);
	count_add(&ran);
}

static void
cleanup_with_arg(void *arg)
{
	check_node(arg);
	check_node(((Node *)arg)->next);
	count_add(&cleaned);
}

static void
make_with_args(void)
{
	for (long i = 0; i < MANY; i++) {
		Node *arg = node_new(i);
		arg->next = node_new(i);
		expect_eq(go_set_finalizer(node_new(i), run_with_arg, arg), 0);
		expect(go_add_cleanup(node_new(i), cleanup_with_arg, arg) != 0);
	}
}

GO_TEST(final_keeps_arg, 0)
{
	make_with(make_with_args);
	for (int i = 0; i < 50 && count_of(&ran) + count_of(&cleaned) < 2L * NEARLY; i++) {
		go_gc();
		make_with(overwrite);
	}
	expect(count_of(&ran) >= NEARLY && count_of(&cleaned) >= NEARLY);
	expect_eq(count_of(&wrong), 0);
}

// What is queued lives until it is run, however many collections pass meanwhile.
static go_sem gate;

static void
wait_at_gate(void *p, void *arg)
{
	(void)p;
	(void)arg;
	expect_eq(go_sem_acquire(&gate, GO_NEVER), 0);
}

static void
make_waiting(void)
{
	for (int i = 0; i < 10; i++) // of which some die
		expect_eq(go_set_finalizer(node_new(i), wait_at_gate, NULL), 0);
}

GO_TEST(final_queued_is_kept, 0)
{
	go_sem_init(&gate, 0);
	make_with(make_waiting);
	go_gc();
	go_sleep(GO_MSEC); // the first call waits at the gate, most likely
	make_with(make_with_args);
	for (int i = 0; i < 5; i++) {
		go_gc();
		make_with(overwrite);
	}
	go_sem_release(&gate, 10);
	collect_until(&ran, NEARLY);
	collect_until(&cleaned, NEARLY);
	expect_eq(count_of(&wrong), 0);
}

static void
run_and_exit(void *p, void *arg)
{
	check_node(p);
	expect_str(go_name(), "finalizers");
	go_name_set("of one call");
	count_add(arg);
	go_exit();
}

static void
make_exiting(void)
{
	for (long i = 0; i < 10; i++)
		expect_eq(go_set_finalizer(node_new(i), run_and_exit, &again), 0);
}

static void
make_exiting_among_others(void)
{
	for (long i = 0; i < MANY; i++) {
		if (i % 100 == 0)
			make_exiting();
		expect(go_add_cleanup(node_new(i), count_cleanup, NULL) != 0);
	}
}

// A finalizer that ends its goroutine ends nothing else: without a further collection all others
// run, before it and after it.
GO_TEST(final_exit, 0)
{
	make_with(make_exiting_among_others);
	go_gc();
	until(count_of(&again) >= 90 && count_of(&cleaned) >= NEARLY);
	expect(count_of(&again) <= 100);
	expect_eq(count_of(&wrong), 0);
}

// Whatever the shape of the object.
static void
run_any(void *p, void *arg)
{
	(void)p;
	count_add(arg);
}

static void
make_shapes(void)
{
	for (int i = 0; i < MANY; i++) {
		size_t n = (size_t)i * 97 % 80000;
		char *p = i % 2 == 0 ? go_alloc(n) : go_alloc_data(n);
		expect_eq(go_set_finalizer(p, run_any, &ran), 0);
		if (i % 2 != 0 && n <= 8)
			expect_eq(go_set_finalizer(p + 8, run_any, &again), 0);
	}
}

GO_TEST(final_of_all_sizes, 0)
{
	make_with(make_shapes);
	collect_until(&ran, NEARLY);
}

static void *
make_on_thread(void *unused)
{
	(void)unused;
	make_finalized();
	for (long i = 0; i < MANY; i++)
		expect(go_add_cleanup(node_new(i), count_cleanup, NULL) != 0);
	return NULL;
}

void
test_final_from_a_thread(void)
{
	pthread_t t;
	expect_eq(pthread_create(&t, NULL, make_on_thread, NULL), 0);
	expect_eq(pthread_join(t, NULL), 0);
	collect_until(&ran, NEARLY);
	collect_until(&cleaned, NEARLY);
	expect_eq(count_of(&wrong), 0);
}

// The goroutine that runs finalizers is none of the program's while it waits.
GO_TEST(final_goroutine_is_not_counted, 0)
{
	go_stats before, after;
	go_stats_read(&before);
	make_with(make_finalized);
	collect_until(&ran, NEARLY);
	do {
		go_sleep(GO_MSEC); // it is about to park
		go_stats_read(&after);
	} while (after.goroutines != before.goroutines);
}

// --- floods --------------------------------------------------------------------------------------

static void
run_flood(void *p, void *arg)
{
	check_node(p);
	((Node *)p)->magic = 0; // once
	count_add(arg);
}

static void
flood(void *wg)
{
	for (long i = 0, n = test_scale(100000); i < n; i++) {
		Node *p = node_new(i);
		expect_eq(go_set_finalizer(p, run_flood, &ran), 0);
		if (i % 8 == 0)
			expect(go_add_cleanup(p, count_cleanup, p->next) != 0);
		if (i % 16 == 0)
			expect_eq(go_set_finalizer(p, NULL, NULL), 0);
	}
	go_wg_done(wg);
}

GO_TEST(final_flood, 0)
{
	enum { FLOODS = 4 };
	go_waitgroup wg = {0};
	long all = FLOODS * test_scale(100000);
	go_wg_add(&wg, FLOODS);
	for (int i = 0; i < FLOODS; i++)
		expect_eq(go_spawn(flood, &wg), 0);
	while (go_wg_wait(&wg, go_in(GO_MSEC)) != 0)
		go_gc();
	collect_until(&ran, all * 15 / 16 * 9 / 10);
	collect_until(&cleaned, all / 8 * 9 / 10);
	collect_some();
	expect(count_of(&ran) <= all && count_of(&cleaned) <= (all + 7) / 8 + FLOODS);
	expect_eq(count_of(&wrong), 0);
}

// A million that die together, again and again: nobody has to wait long meanwhile, and what was
// needed for the first is enough for the others.
static Node *all_of_them;

static void
make_million(void)
{
	for (long i = 0, n = test_scale(1000000); i < n; i++) {
		Node *p = node_new(i);
		expect_eq(go_set_finalizer(p, run_flood, &ran), 0);
		p->next = all_of_them;
		all_of_them = p;
	}
	while (all_of_them != NULL) { // all of them are outermost now
		Node *p = all_of_them;
		all_of_them = p->next;
		p->next = NULL;
	}
}

static void
echo_pings(void *v)
{
	go_chan *c = v;
	int64_t sent;
	while (go_chan_recv(c, &sent, GO_NEVER) == 0)
		(void)go_alloc(100);
}

// Collects until n have run. Returns the longest time that a ping took to go over.
static int64_t
ping_until(go_chan *c, long n)
{
	int64_t worst = 0;
	for (int i = 0; i < 20000 && count_of(&ran) < n; i++) {
		int64_t sent = test_now_ns();
		expect_eq(go_chan_send(c, &sent, GO_NEVER), 0);
		if (i % 100 == 0)
			go_gc();
		int64_t took = test_now_ns() - sent;
		worst = took > worst ? took : worst;
		go_sleep(GO_MSEC / 4); // the pace of the messages that are timed
	}
	expect(count_of(&ran) >= n);
	return worst;
}

GO_TEST(final_million, 2)
{
	long n = test_scale(1000000), rss[4];
	go_chan *c = go_chan_new(sizeof(int64_t), 0);
	expect_eq(go_spawn(echo_pings, c), 0);
	for (int i = 0; i < 4; i++) {
		long before = count_of(&ran);
		make_with(make_million);
		int64_t worst = ping_until(c, before + n * 99 / 100);
		expect(worst < 2 * GO_SEC * test_slowness());
		go_gc();
		rss[i] = proc_field("/proc/self/status", "VmRSS");
	}
	go_chan_close(c);
	expect_eq(count_of(&wrong), 0);
	expect(count_of(&ran) <= 4 * n);
	expect(rss[3] <= rss[1] + rss[1] / 4 + 16 * 1024);
}

// --- cleanups ------------------------------------------------------------------------------------

enum { EACH = 5 };

static void
make_cleaned(void)
{
	for (long i = 0; i < MANY; i++) {
		Node *n = node_new(i);
		n->next = n; // a cycle is no obstacle
		for (int j = 0; j < EACH; j++)
			expect(go_add_cleanup(n, count_cleanup, NULL) != 0);
	}
}

GO_TEST(cleanup_any_number, 0)
{
	make_with(make_cleaned);
	collect_until(&cleaned, (long)NEARLY * EACH);
	collect_some();
	expect(count_of(&cleaned) <= (long)MANY * EACH);
}

static void
make_heaped(void)
{
	Node *few = go_alloc(10 * sizeof(Node)); // some may be kept by a stale word
	(void)few;
	for (int i = 0; i < 10; i++) {
		Node *n = node_new(i);
		for (long j = 0; j < test_scale(10000); j++)
			expect(go_add_cleanup(n, count_cleanup, NULL) != 0);
	}
}

GO_TEST(cleanup_very_many_on_one, 0)
{
	make_with(make_heaped);
	collect_until(&cleaned, 5 * test_scale(10000));
	collect_some();
	expect_eq(count_of(&cleaned) % test_scale(10000), 0); // all of an object or none
}

// A finalizer comes first, and what it revives is not cleaned up.
static Count kept_first;

static void
keep_first(void *p, void *arg)
{
	Node *n = p;
	revived[n->number] = n;
	count_add(arg);
}

static void
make_both(void)
{
	for (long i = 0; i < MANY; i++) {
		Node *n = node_new(i);
		expect(go_add_cleanup(n, count_cleanup, NULL) != 0);
		expect_eq(go_set_finalizer(n, keep_first, &kept_first), 0);
		expect(go_add_cleanup(n, count_cleanup, NULL) != 0);
	}
}

GO_TEST(cleanup_after_finalizer, 0)
{
	make_with(make_both);
	collect_until(&kept_first, NEARLY);
	collect_some();
	expect_eq(count_of(&cleaned), 0);
	memset(revived, 0, sizeof(revived));
	collect_until(&cleaned, 2L * NEARLY * 9 / 10);
	expect(count_of(&kept_first) <= MANY);
}

static void
never(void *arg)
{
	(void)arg;
	count_add(&wrong);
}

static void
make_stopped(void)
{
	static go_cleanup ids[3 * MANY];
	for (long i = 0; i < MANY; i++) {
		Node *n = node_new(i);
		go_cleanup a = go_add_cleanup(n, never, NULL);
		go_cleanup b = go_add_cleanup(n, count_cleanup, NULL);
		go_cleanup c = go_add_cleanup(n, never, NULL);
		expect(go_cleanup_stop(n, a) && go_cleanup_stop(n, c));
		expect(!go_cleanup_stop(n, a) && !go_cleanup_stop(n, c));
		expect(!go_cleanup_stop(n, 0) && !go_cleanup_stop(&n, b));
		ids[3 * i] = a;
		ids[3 * i + 1] = b;
		ids[3 * i + 2] = c;
	}
	for (long i = 1; i < 3L * MANY; i++)
		expect(ids[i] > ids[i - 1]); // no number is used twice
}

GO_TEST(cleanup_stopped, 0)
{
	make_with(make_stopped);
	collect_until(&cleaned, NEARLY);
	collect_some();
	expect_eq(count_of(&wrong), 0);
	expect(count_of(&cleaned) <= MANY);
}

// Stopping races with dying: a cleanup is run or stopped, never both, never neither.
static Count stopped;
static atomic_uchar hands[MANY];

static void
hand_run(void *arg)
{
	atomic_fetch_add((atomic_uchar *)arg, 1);
	count_add(&cleaned);
}

static void
make_racing(void)
{
	for (long i = 0; i < MANY; i++) {
		Node *n = node_new(i);
		go_cleanup c = go_add_cleanup(n, hand_run, &hands[i]);
		uintptr_t hidden = ~(uintptr_t)n;
		n = NULL;
		if (i % 64 == 0)
			go_gc();
		// Misuse, as n may be gone; but a number is never that of another cleanup.
		if (go_cleanup_stop((void *)~hidden, c)) {
			atomic_fetch_add(&hands[i], 1);
			count_add(&stopped);
		}
	}
}

GO_TEST(cleanup_stop_races, 0)
{
	make_with(make_racing);
	collect_some();
	expect(count_of(&stopped) + count_of(&cleaned) >= NEARLY);
	for (int i = 0; i < MANY; i++)
		expect(atomic_load(&hands[i]) <= 1);
}

static go_weak *weaks[MANY];

static void
make_freed(void)
{
	for (long i = 0; i < MANY; i++) {
		Node *n = node_new(i);
		expect_eq(go_set_finalizer(n, count_run, &ran), 0);
		expect(go_add_cleanup(n, never, NULL) != 0);
		weaks[i] = go_weak_new(n);
		expect(go_weak_get(weaks[i]) == n);
		go_free(n);
		expect(go_weak_get(weaks[i]) == NULL);
	}
}

GO_TEST(final_free_drops_all, 0)
{
	make_with(make_freed);
	make_with(overwrite);
	collect_some();
	expect_eq(count_of(&ran), 0);
	expect_eq(count_of(&wrong), 0);
	for (int i = 0; i < MANY; i++) {
		expect(go_weak_get(weaks[i]) == NULL);
		go_weak_free(weaks[i]);
	}
}

// --- weak pointers -------------------------------------------------------------------------------

static void
make_weak(void)
{
	for (long i = 0; i < MANY; i++) {
		kept[i] = node_new(i);
		weaks[i] = go_weak_new(kept[i]);
		expect(weaks[i] != NULL && go_weak_new(kept[i]) == weaks[i]); // the same, counted
		go_weak *inside = go_weak_new(&kept[i]->magic);
		expect(inside != weaks[i] && go_weak_get(inside) == &kept[i]->magic);
		go_weak_free(inside);
	}
}

static long
weak_dead(void)
{
	long dead = 0;
	for (int i = 0; i < MANY; i++) {
		Node *n = go_weak_get(weaks[i]);
		if (n == NULL)
			dead++;
		else if (n->number != i)
			count_add(&wrong);
	}
	return dead;
}

static long dead_seen;

static void
look_weak(void)
{
	dead_seen = weak_dead();
}

GO_TEST(weak_does_not_keep, 0)
{
	make_with(make_weak);
	collect_some();
	make_with(look_weak);
	expect_eq(dead_seen, 0);
	memset(kept, 0, sizeof(kept));
	for (int i = 0; i < 50 && dead_seen < NEARLY; i++) {
		go_gc();
		make_with(look_weak);
	}
	expect(dead_seen >= NEARLY);
	for (int i = 0; i < MANY; i++) {
		go_weak_free(weaks[i]);
		expect(go_weak_get(weaks[i]) == NULL || dead_seen < MANY); // the other count
		go_weak_free(weaks[i]);
	}
	expect_eq(count_of(&wrong), 0);
	expect(go_weak_new(NULL) == NULL && go_weak_get(NULL) == NULL);
	go_weak_free(NULL);
}

// NULL when the finalizer runs, although that revives the object.
static void
run_seeing_weak(void *p, void *arg)
{
	Node *n = p;
	check_node(n);
	if (go_weak_get(weaks[n->number]) != NULL)
		count_add(&wrong);
	go_weak *anew = go_weak_new(n); // of the object as it lives again
	if (anew == weaks[n->number] || go_weak_get(anew) != n)
		count_add(&wrong);
	go_weak_free(anew);
	revived[n->number] = n;
	count_add(arg);
}

static void
make_weak_finalized(void)
{
	for (long i = 0; i < MANY; i++) {
		Node *n = node_new(i);
		weaks[i] = go_weak_new(n);
		expect_eq(go_set_finalizer(n, run_seeing_weak, &ran), 0);
	}
}

GO_TEST(weak_ends_before_finalizer, 0)
{
	make_with(make_weak_finalized);
	collect_until(&ran, NEARLY);
	for (int i = 0; i < MANY; i++)
		expect(revived[i] == NULL || go_weak_get(weaks[i]) == NULL);
	expect_eq(count_of(&wrong), 0);
}

// A weak pointer is got while its object dies: what comes is the object, whole, or nothing. Memory
// of the dead is overwritten at once.
static _Atomic(go_weak *) shared_weak[64];
static atomic_bool stop_all;

static void
weak_maker(void *wg)
{
	uint64_t rand = test_seed() + 1;
	while (!atomic_load(&stop_all)) {
		uint64_t r = test_rand(&rand);
		Node *n = node_new((long)(r % 64));
		atomic_store(&shared_weak[r % 64], go_weak_new(n)); // the old one may be in use
		go_keep_alive(n);
		memset(go_alloc(sizeof(Node)), 0xff, sizeof(Node));
	}
	go_wg_done(wg);
}

static void
weak_getter(void *wg)
{
	uint64_t rand = test_seed() + 2;
	Node *held = NULL;
	while (!atomic_load(&stop_all)) {
		uint64_t r = test_rand(&rand);
		go_weak *w = atomic_load(&shared_weak[r % 64]);
		Node *n = w != NULL ? go_weak_get(w) : NULL;
		if (n == NULL)
			continue;
		check_node(n);
		if (held != NULL)
			check_node(held);
		held = n;
		count_add(&ran);
	}
	go_wg_done(wg);
}

GO_TEST(weak_get_races, 0)
{
	enum { PAIRS = 2 };
	go_waitgroup wg = {0};
	go_wg_add(&wg, 2 * PAIRS);
	for (int i = 0; i < PAIRS; i++) {
		expect_eq(go_spawn(weak_maker, &wg), 0);
		expect_eq(go_spawn(weak_getter, &wg), 0);
	}
	int64_t end = test_now_ns() + 300 * GO_MSEC;
	while (test_now_ns() < end) {
		go_gc();
		go_sleep(GO_MSEC); // leaves the Ps to the others
	}
	atomic_store(&stop_all, true);
	expect_eq(go_wg_wait(&wg, GO_NEVER), 0);
	expect_eq(count_of(&wrong), 0);
	expect(count_of(&ran) > 0);
}
