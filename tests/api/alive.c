// SPDX-License-Identifier: BSD-3-Clause
// undergo/heap.h: what keeps an object alive, holder by holder.
//
// Each test makes objects that only the holder has, and others that nobody has. Collections follow
// until nearly all of the others have died; none of the first has. Then the holder gives up what it
// had, and nearly all of that dies: nothing but the holder has kept it.
//
// A goroutine of its own makes the objects, so that its stack is gone when the test looks.
#include "goroutines.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <undergo/heap.h>

enum { MANY = 200, NEARLY = MANY * 8 / 10, MAGIC = 0xa11fe };

typedef struct Node {
	long magic;
	long number;
	long may_die; // let go before the others
	void *spare[4];
} Node;

static Count lost;         // died though held
static Count died;         // of those that nobody had
static atomic_bool let_go; // held objects may die now
static Count let_go_died;

static void
held_died(void *p, void *arg)
{
	Node *n = p;
	(void)arg;
	expect_eq(n->magic, MAGIC);
	count_add(atomic_load(&let_go) || n->may_die ? &let_go_died : &lost);
}

static void
other_died(void *p, void *arg)
{
	(void)p;
	(void)arg;
	count_add(&died);
}

static void
check_node(const Node *n, long number)
{
	expect(n != NULL);
	expect_eq(n->magic, MAGIC);
	expect_eq(n->number, number);
}

static Node *
node_new(long number)
{
	Node *n = go_new(Node);
	expect_eq(go_set_finalizer(n, held_died, NULL), 0);
	n->magic = MAGIC;
	n->number = number;
	return n;
}

static void
collect_until(Count *c, long n)
{
	for (int i = 0; i < 100 && count_of(c) < n; i++) {
		go_gc();
		go_sleep(GO_MSEC);
	}
	expect(count_of(c) >= n);
}

static void
make_others(void *unused)
{
	(void)unused;
	for (int i = 0; i < MANY; i++)
		expect_eq(go_set_finalizer(go_new(Node), other_died, NULL), 0);
}

static void
may_die(void)
{
	atomic_store(&let_go, true);
}

// The holder has all of them; from here on they may die.
static void
expect_held(void)
{
	run_aside(make_others, NULL);
	collect_until(&died, NEARLY);
	for (int i = 0; i < 3; i++)
		go_gc();
	go_sleep(GO_MSEC);
	expect_eq(count_of(&lost), 0);
	may_die(); // what gives up the objects may be in the midst of it at the next collection
}

// The holder has given up what it had.
static void
expect_let_go(void)
{
	may_die();
	collect_until(&let_go_died, NEARLY);
	expect_eq(count_of(&lost), 0);
}

// --- channels ------------------------------------------------------------------------------------

static void
fill(void *v)
{
	for (long i = 0; i < MANY; i++) {
		Node *n = node_new(i);
		expect_eq(go_chan_send(v, &n, GO_NEVER), 0);
	}
}

static void
drain(void *v)
{
	for (long i = 0; i < MANY; i++) {
		Node *n;
		expect_eq(go_chan_recv(v, &n, GO_NEVER), 0);
		check_node(n, i);
	}
}

static void
held_in_channel(size_t cap)
{
	go_chan *c = go_chan_new(sizeof(Node *), cap);
	run_aside(fill, c);
	expect_held();
	run_aside(drain, c);
	expect_let_go();
	go_chan_free(c);
}

GO_TEST(alive_in_a_channel, 2)
{
	held_in_channel(MANY);
}

GO_TEST(alive_in_a_large_channel, 2)
{
	held_in_channel(100000);
}

// A channel that is freed keeps nothing, though its memory waits for the next one.
GO_TEST(alive_not_in_a_freed_channel, 2)
{
	go_chan *c = go_chan_new(sizeof(Node *), MANY);
	may_die();
	run_aside(fill, c);
	go_chan_free(c);
	expect_let_go();
}

static void
send_one(void *v)
{
	static Count number;
	Node *n = node_new(atomic_fetch_add(&number, 1));
	expect_eq(go_chan_send(v, &n, GO_NEVER), 0);
}

static void
receive_any(void *v)
{
	for (int i = 0; i < MANY; i++) {
		Node *n;
		expect_eq(go_chan_recv(v, &n, GO_NEVER), 0);
		expect_eq(n->magic, MAGIC);
	}
}

// What a parked sender is about to send lies on its stack.
GO_TEST(alive_with_a_parked_sender, 2)
{
	go_chan *c = go_chan_new(sizeof(Node *), 0);
	for (int i = 0; i < MANY; i++)
		expect_eq(go_spawn(send_one, c), 0);
	expect_held();
	run_aside(receive_any, c);
	expect_let_go();
}

static void
select_one(void *v)
{
	static Count number;
	go_chan **c = v;
	Node *n = node_new(atomic_fetch_add(&number, 1));
	go_case cases[] = {GO_CASE_SEND(c[0], &n), GO_CASE_SEND(c[1], &n)};
	go_select(cases, 2, GO_NEVER);
}

GO_TEST(alive_with_a_parked_select, 2)
{
	static go_chan *c[2];
	c[0] = go_chan_new(sizeof(Node *), 0);
	c[1] = go_chan_new(sizeof(Node *), 0);
	for (int i = 0; i < MANY; i++)
		expect_eq(go_spawn(select_one, c), 0);
	expect_held();
	run_aside(receive_any, c[1]);
	expect_let_go();
}

// --- arguments -----------------------------------------------------------------------------------

static Count began;

static void
begin_with_node(void *v)
{
	Node *n = v;
	expect_eq(n->magic, MAGIC);
	n->may_die = true;
	count_add(&began);
}

static void
spawn_many(void *unused)
{
	(void)unused;
	for (long i = 0; i < MANY; i++)
		expect_eq(go_spawn(begin_with_node, node_new(i)), 0);
	go_gc(); // one P, and it is here: nearly none has begun
	expect_eq(count_of(&lost), 0);
}

GO_TEST(alive_as_an_argument, 1)
{
	run_aside(spawn_many, NULL);
	until(count_of(&began) == MANY);
	expect_let_go();
}

static void *
spawn_from_thread(void *unused)
{
	spawn_many(unused);
	return NULL;
}

GO_TEST(alive_as_an_argument_from_a_thread, 1)
{
	pthread_t t;
	expect_eq(pthread_create(&t, NULL, spawn_from_thread, NULL), 0);
	until(count_of(&began) == MANY);
	pthread_join(t, NULL);
	expect_let_go();
}

static int
child_with_node(void *v)
{
	begin_with_node(v);
	return 0;
}

static void
spawn_in_scope(void *unused)
{
	(void)unused;
	go_scope s;
	go_scope_open(&s, GO_NEVER);
	for (long i = 0; i < MANY; i++)
		expect_eq(go_scope_spawn(&s, child_with_node, node_new(i)), 0);
	go_gc();
	expect_eq(go_scope_wait(&s), 0);
}

GO_TEST(alive_as_an_argument_in_a_scope, 1)
{
	run_aside(spawn_in_scope, NULL);
	expect_eq(count_of(&began), MANY);
	expect_eq(count_of(&lost), 0);
	expect_let_go();
}

// --- timers, contexts, local values --------------------------------------------------------------

static go_timer *timers[MANY];

static void
set_timers(void *delay)
{
	for (long i = 0; i < MANY; i++) {
		timers[i] = go_after_func(*(int64_t *)delay, begin_with_node, node_new(i));
		expect(timers[i] != NULL);
	}
}

static void
stop_timers(void)
{
	for (int i = 0; i < MANY; i++) {
		go_timer_stop(timers[i]);
		go_timer_free(timers[i]);
	}
}

GO_TEST(alive_with_a_timer, 2)
{
	static int64_t hour = 3600 * GO_SEC;
	run_aside(set_timers, &hour);
	expect_held();
	stop_timers();
	expect_eq(count_of(&began), 0);
	expect_let_go();
}

GO_TEST(alive_until_a_timer_fires, 2)
{
	static int64_t soon = 30 * GO_MSEC;
	run_aside(set_timers, &soon);
	for (int i = 0; i < 20; i++) {
		go_gc();
		expect_eq(count_of(&lost), 0);
		go_sleep(GO_MSEC);
	}
	until(count_of(&began) == MANY);
	stop_timers();
	expect_let_go();
}

static go_ctx *contexts[MANY];

static void
make_contexts(void *key)
{
	for (long i = 0; i < MANY; i++) {
		contexts[i] = go_ctx_with_value(i != 0 ? contexts[i - 1] : NULL, key, node_new(i));
		expect(contexts[i] != NULL);
	}
}

static void
check_contexts(void *key)
{
	for (long i = 0; i < MANY; i++)
		check_node(go_ctx_value(contexts[i], key), i);
}

GO_TEST(alive_in_a_context, 2)
{
	static int key;
	run_aside(make_contexts, &key);
	expect_held();
	run_aside(check_contexts, &key);
	for (int i = MANY; i-- > 0;)
		go_ctx_unref(contexts[i]);
	expect_let_go();
}

static go_local_key local_keys[3];
static atomic_bool leave;
static Count in_place;

static void
hold_locally(void *unused)
{
	(void)unused;
	static Count number;
	long i = atomic_fetch_add(&number, 1);
	go_local_key k = local_keys[i % 3];
	expect_eq(go_local_set(k, node_new(i)), 0);
	count_add(&in_place);
	until(atomic_load(&leave));
	check_node(go_local_get(k), i);
	count_add(&in_place);
}

GO_TEST(alive_in_a_local_value, 2)
{
	for (int i = 0; i < 3; i++)
		expect_eq(go_local_key_new(&local_keys[i], NULL), 0);
	for (int i = 0; i < MANY; i++)
		expect_eq(go_spawn(hold_locally, NULL), 0);
	until(count_of(&in_place) == MANY);
	expect_held();
	atomic_store(&leave, true);
	until(count_of(&in_place) == 2 * MANY);
	expect_let_go();
}

// --- memory --------------------------------------------------------------------------------------

static Node *globals[MANY];
static Node **heap_array, **plain_array, **added_array;

static void
put_nodes(void *array)
{
	Node **where = array;
	for (long i = 0; i < MANY; i++)
		where[i] = node_new(i);
}

static void
check_nodes(void *array)
{
	Node **where = array;
	for (long i = 0; i < MANY; i++)
		check_node(where[i], i);
	memset(where, 0, MANY * sizeof(Node *));
}

GO_TEST(alive_in_a_global, 2)
{
	run_aside(put_nodes, globals);
	expect_held();
	run_aside(check_nodes, globals);
	expect_let_go();
}

static void
in_heap_array(Node **array)
{
	heap_array = array;
	run_aside(put_nodes, heap_array);
	expect_held();
	run_aside(check_nodes, heap_array);
	heap_array = NULL;
	expect_let_go();
}

GO_TEST(alive_in_an_object, 2)
{
	in_heap_array(go_alloc(MANY * sizeof(Node *)));
}

GO_TEST(alive_in_a_large_object, 2)
{
	enum { LARGE = 1 << 20 };
	Node **array = go_alloc(LARGE);
	globals[0] = (Node *)array;
	in_heap_array(array + LARGE / sizeof(Node *) - MANY);
}

GO_TEST(alive_in_a_pinned_object, 2)
{
	static uintptr_t hidden;
	hidden = ~(uintptr_t)go_try_alloc(MANY * sizeof(Node *), 0, GO_ALLOC_PINNED);
	run_aside(put_nodes, (void *)~hidden);
	expect_held();
	run_aside(check_nodes, (void *)~hidden);
	expect_let_go();
	go_free((void *)~hidden);
}

GO_TEST(alive_in_what_was_added, 2)
{
	added_array = calloc(MANY, sizeof(Node *));
	expect_eq(go_root_add(added_array, MANY * sizeof(Node *)), 0);
	run_aside(put_nodes, added_array);
	expect_held();
	run_aside(check_nodes, added_array);
	expect_let_go();
	run_aside(put_nodes, added_array);
	expect_eq(go_root_remove(added_array), 0);
	collect_until(&let_go_died, MANY + NEARLY);
}

// The three that must not keep anything.
GO_TEST(alive_not_in_plain_memory, 2)
{
	plain_array = calloc(MANY, sizeof(Node *));
	may_die();
	run_aside(put_nodes, plain_array);
	expect_let_go();
	free(plain_array);
}

GO_TEST(alive_not_in_data, 2)
{
	heap_array = go_alloc_data(MANY * sizeof(Node *));
	may_die();
	run_aside(put_nodes, heap_array);
	expect_let_go();
	go_keep_alive(heap_array);
}

typedef struct Typed {
	Node *seen;
	uintptr_t not_seen;
} Typed;

static const go_type typed_type = GO_TYPE(Typed, seen);

static void
put_typed(void *v)
{
	Typed *t = v;
	for (long i = 0; i < MANY; i++) {
		t[i].seen = node_new(i);
		t[i].not_seen = (uintptr_t)go_new(Node);
		go_set_finalizer((void *)t[i].not_seen, other_died, NULL);
	}
}

// Precise where the type says so, whatever the array's length: a mask, a type word, a large object.
static Typed *typed_array;

static void
make_typed(void *n)
{
	typed_array = go_alloc_typed(&typed_type, *(size_t *)n);
	put_typed(typed_array + *(size_t *)n - MANY);
}

static void
check_typed(void *n)
{
	const Typed *t = typed_array + *(size_t *)n - MANY;
	for (long i = 0; i < MANY; i++)
		check_node(t[i].seen, i);
	typed_array = NULL;
}

static void
in_typed(size_t n)
{
	run_aside(make_typed, &n);
	collect_until(&died, NEARLY);
	expect_held();
	run_aside(check_typed, &n);
	expect_let_go();
}

GO_TEST(alive_in_typed_objects, 2)
{
	in_typed(MANY);
}

GO_TEST(alive_in_large_typed_objects, 2)
{
	in_typed(100000);
}

static Typed *singles[MANY];

static void
put_one_each(void *unused)
{
	(void)unused;
	for (long i = 0; i < MANY; i++) {
		singles[i] = go_new_typed(Typed, &typed_type);
		singles[i]->seen = node_new(i);
		singles[i]->not_seen = (uintptr_t)go_new(Node);
		go_set_finalizer((void *)singles[i]->not_seen, other_died, NULL);
	}
}

GO_TEST(alive_in_small_typed_objects, 2)
{
	run_aside(put_one_each, NULL);
	collect_until(&died, NEARLY);
	expect_held();
	memset(singles, 0, sizeof(singles));
	expect_let_go();
}

// --- pointers ------------------------------------------------------------------------------------

enum { WAYS = 4, SLOT = 64 };
_Static_assert(SLOT >= sizeof(Node), "a Node fits");

// Its first byte, one inside, its last, one past it; half of them fill a slot of their own size.
static void
put_ways(void *v)
{
	char **where = v;
	for (long i = 0; i < MANY; i++) {
		size_t bytes = SLOT + (size_t)(i % 8 < 4 ? 0 : i * 37 % 3000);
		Node *n = go_alloc(bytes);
		expect_eq(go_set_finalizer(n, held_died, NULL), 0);
		n->magic = MAGIC;
		size_t at[WAYS] = {0, bytes / 2, bytes - 1, bytes};
		where[i] = (char *)n + at[i % WAYS];
	}
}

GO_TEST(alive_by_inner_pointers, 2)
{
	run_aside(put_ways, globals);
	expect_held();
	memset(globals, 0, sizeof(globals));
	expect_let_go();
}

static void
put_chain(void *v)
{
	Node **where = v;
	for (long i = 0; i < MANY; i++) {
		Node *n = node_new(i);
		n->spare[i % 4] = *where;
		*where = n;
	}
}

GO_TEST(alive_in_a_chain, 2)
{
	run_aside(put_chain, &globals[0]);
	expect_held();
	globals[0] = NULL;
	// The last one made is finalized first; the next is found by the next collection.
	until((go_gc(), count_of(&let_go_died) >= NEARLY));
}

// --- threads and signals -------------------------------------------------------------------------

enum { HOLDERS = 6 };

static __thread Node *thread_local_node;
static pthread_key_t key;

static __attribute__((noinline)) void
hold_by_key(long number)
{
	pthread_setspecific(key, node_new(number));
}

static __attribute__((noinline)) void
hold_in_thread_local(long number)
{
	thread_local_node = node_new(number);
}

static void *
hold_on_thread(void *how)
{
	Node *volatile on_stack = NULL;
	long number = (long)how;
	switch (number % 3) {
	case 0:
		on_stack = node_new(number);
		break;
	case 1:
		hold_in_thread_local(number);
		break;
	default:
		hold_by_key(number);
	}
	count_add(&in_place);
	while (!atomic_load(&leave)) {
		if (number % 2 == 0)
			block_thread_for(GO_MSEC);
	}
	check_node(number % 3 == 0   ? on_stack
		   : number % 3 == 1 ? thread_local_node
				     : pthread_getspecific(key),
		   number);
	return NULL;
}

GO_TEST(alive_with_a_thread, 2)
{
	pthread_t t[HOLDERS];
	pthread_key_create(&key, NULL);
	for (long i = 0; i < HOLDERS; i++)
		expect_eq(pthread_create(&t[i], NULL, hold_on_thread, (void *)i), 0);
	until(count_of(&in_place) == HOLDERS);
	expect_held();
	atomic_store(&leave, true);
	for (int i = 0; i < HOLDERS; i++)
		pthread_join(t[i], NULL);
}

// Stays in the handler, so that what it has interrupted is in its frame alone.
static void
stay(int sig)
{
	(void)sig;
	count_add(&in_place);
	while (!atomic_load(&leave))
		block_thread_for(GO_MSEC);
}

static void
hold_below_a_handler(void *how)
{
	long number = (long)how;
	Node *n = node_new(number);
	raise(number % 2 == 0 ? SIGUSR1 : SIGUSR2);
	check_node(n, number);
	count_add(&in_place);
}

static void *
hold_below_a_handler_on_thread(void *how)
{
	hold_below_a_handler(how);
	return NULL;
}

// On the stack it interrupts, or on the thread's signal stack.
GO_TEST(alive_below_a_signal_handler, 2)
{
	pthread_t t[HOLDERS];
	struct sigaction sa = {.sa_handler = stay};
	sigaction(SIGUSR1, &sa, NULL);
	sa.sa_flags = SA_ONSTACK;
	sigaction(SIGUSR2, &sa, NULL);
	for (long i = 0; i < HOLDERS; i++) {
		expect_eq(pthread_create(&t[i], NULL, hold_below_a_handler_on_thread, (void *)i),
			  0);
		expect_eq(go_spawn(hold_below_a_handler, (void *)(HOLDERS + i)), 0);
	}
	until(count_of(&in_place) == 2 * HOLDERS);
	expect_held();
	atomic_store(&leave, true);
	until(count_of(&in_place) == 4 * HOLDERS);
	for (int i = 0; i < HOLDERS; i++)
		pthread_join(t[i], NULL);
}

static __thread long my_number;

// Takes the node away from the global, so that the frame of the handler alone has it.
static void
stay_with_node(int sig)
{
	(void)sig;
	Node *volatile n = globals[my_number];
	count_add(&in_place);
	while (!atomic_load(&leave))
		block_thread_for(GO_MSEC);
	check_node(n, my_number);
	count_add(&in_place);
}

static void *
raise_on_thread(void *number)
{
	stack_t st = {.ss_size = 64 << 10};
	st.ss_sp = mmap(NULL, st.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			0);
	expect(st.ss_sp != MAP_FAILED);
	expect_eq(sigaltstack(&st, NULL), 0);
	my_number = (long)number;
	raise(SIGUSR2);
	expect_eq(sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL), 0);
	munmap(st.ss_sp, st.ss_size);
	return NULL;
}

static void
raise_on_goroutine(void *number)
{
	my_number = (long)number;
	raise(SIGUSR2);
}

GO_TEST(alive_on_a_signal_stack, 2)
{
	pthread_t t[HOLDERS];
	struct sigaction sa = {.sa_handler = stay_with_node, .sa_flags = SA_ONSTACK};
	sigaction(SIGUSR2, &sa, NULL);
	run_aside(put_nodes, globals);
	for (long i = 0; i < HOLDERS; i++) {
		expect_eq(pthread_create(&t[i], NULL, raise_on_thread, (void *)i), 0);
		expect_eq(go_spawn(raise_on_goroutine, (void *)(HOLDERS + i)), 0);
	}
	until(count_of(&in_place) == 2 * HOLDERS);
	for (int i = 2 * HOLDERS; i < MANY; i++)
		globals[i]->may_die = true;
	memset(globals, 0, sizeof(globals));
	expect_held();
	atomic_store(&leave, true);
	until(count_of(&in_place) == 4 * HOLDERS);
	for (int i = 0; i < HOLDERS; i++)
		pthread_join(t[i], NULL);
}
