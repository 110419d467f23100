// SPDX-License-Identifier: BSD-3-Clause
// The heap among all that a process may do: signals a thousand times a second, processes that are
// made, modules that come and go, threads that begin and end, stacks that are deep, words that
// point everywhere.
//
// Beside each load the model of stress/heap.c runs, which knows what must be alive and what must
// die; GODEBUG has the collector prove each mark and walk the heap.
#include "gcstop.h"
#include "stress/mutators.h"

#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <undergo/heap.h>

static uint64_t first_seed;
static atomic_bool stop;
static go_waitgroup loads; // goroutines that go on until stop

static bool
stopped(void)
{
	return atomic_load(&stop);
}

// --- addresses -----------------------------------------------------------------------------------

// Where objects have been, dead ones too: complements, in memory that nobody looks at anyway.
enum { ADDRESSES = 1 << 14 };
static atomic_uintptr_t addresses[ADDRESSES];

static void
note_address(const void *p, uint64_t r)
{
	atomic_store_explicit(&addresses[r % ADDRESSES], ~(uintptr_t)p, memory_order_relaxed);
}

// A word that points to where an object was, into it, close to it, to another part of the heap or
// of what is known about it, or nowhere.
static uintptr_t
some_word(uint64_t *rand)
{
	uint64_t r = test_rand(rand), far = test_rand(rand);
	uintptr_t a = ~atomic_load_explicit(&addresses[r % ADDRESSES], memory_order_relaxed);
	switch (r >> 32 & 7) {
	case 0:
		return a + far % 64;
	case 1:
		return a + far % 70000;
	case 2:
		return a - far % 70000;
	case 3:
		return a ^ (uintptr_t)1 << far % 48;
	case 4: // in the same region, most of which has never been used
		return (a & ~(((uintptr_t)1 << 40) - 1)) | far >> 24;
	case 5:
		return (a & ~(uintptr_t)8191) + (far % 3 - 1) * 8192;
	case 6:
		return (uintptr_t)far;
	default:
		return a;
	}
}

// --- threads that go on until stop ---------------------------------------------------------------

enum { THREADS_MAX = 16 };
static pthread_t threads[THREADS_MAX];
static int n_threads;

static void
load_thread(void *(*fn)(void *), size_t stack_bytes)
{
	pthread_attr_t attr;
	pthread_attr_init(&attr);
	if (stack_bytes != 0)
		expect_eq(pthread_attr_setstacksize(&attr, stack_bytes), 0);
	expect(n_threads < THREADS_MAX);
	expect_eq(pthread_create(&threads[n_threads], &attr, fn, (void *)(uintptr_t)n_threads), 0);
	n_threads++;
	pthread_attr_destroy(&attr);
}

// --- words that point everywhere -----------------------------------------------------------------

enum { WORDS = 400, WORD_THREADS = 2, WORD_GOROUTINES = 8 };

// Fills a frame with words, and waits on it: parked, computing, or in the kernel.
static __attribute__((noinline)) void
stand_on_words(uint64_t *rand, bool goroutine)
{
	volatile uintptr_t words[WORDS];
	for (int i = 0; i < WORDS; i++)
		words[i] = some_word(rand);
	uintptr_t a = words[0], b = words[1], c = words[2], d = words[3];
	for (int i = 0; i < 3; i++) {
		__asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d) : : "memory");
		switch (test_rand(rand) % 3) {
		case 0:
			compute_for(20 * GO_USEC);
			break;
		case 1:
			usleep(50);
			break;
		default:
			goroutine ? (void)go_sleep(50 * GO_USEC) : go_yield();
		}
	}
}

// Takes and gives back spans of all sizes, so that pages change what they are.
static void
recycle(uint64_t *rand)
{
	uint64_t r = test_rand(rand);
	size_t n = (size_t)16 << r % 14;
	int many = n < 4096 ? 64 : 4;
	for (int i = 0; i < many; i++) {
		char *p = r & 1 << 20 ? go_alloc_data(n) : go_alloc(n);
		p[n - 1] = 1;
		note_address(p, test_rand(rand));
		if (r & 1 << 21)
			go_free(p);
	}
}

static Count standing;

static void
words_load(uint64_t rand, bool goroutine)
{
	while (!stopped()) {
		recycle(&rand);
		stand_on_words(&rand, goroutine);
		count_add(&standing);
	}
}

static void *
words_on_thread(void *v)
{
	words_load(first_seed + (uintptr_t)v, false);
	return NULL;
}

static void
words_on_goroutine(void *v)
{
	words_load(first_seed + (uintptr_t)v, true);
	go_wg_done(&loads);
}

// Whatever is asked about, what is said to lie there does not begin behind it.
static Count asked;

static void *
ask_always(void *v)
{
	uint64_t rand = first_seed + (uintptr_t)v;
	while (!stopped()) {
		uintptr_t w = some_word(&rand);
		uintptr_t p = (uintptr_t)go_object((void *)w);
		expect(p <= w);
		(void)go_object_size((void *)w);
		count_add(&asked);
	}
	return NULL;
}

// --- signals -------------------------------------------------------------------------------------

static Count ticks;

static __attribute__((noinline)) void
spoil_stack(void)
{
	uint64_t rand = first_seed + (uint64_t)count_of(&ticks);
	volatile uintptr_t words[64];
	for (int i = 0; i < 64; i++)
		words[i] = some_word(&rand);
	__asm__ volatile("" : : "r"(words) : "memory");
}

static void
on_tick(int sig)
{
	int saved = errno;
	(void)sig;
	count_add(&ticks);
	spoil_stack();
	compute_for(50 * GO_USEC); // a collection may well begin meanwhile
	errno = saved;
}

// A process's timer strikes its first thread, mostly. Each other thread has its turn by hand, on a
// stack for signals and on its own.
static void *
tick_all(void *unused)
{
	for (unsigned n = 0; !stopped(); n++) {
		struct dirent *e;
		DIR *d = opendir("/proc/self/task");
		expect(d != NULL);
		while ((e = readdir(d)) != NULL) {
			long tid = strtol(e->d_name, NULL, 10);
			if (tid > 0 && tid != getpid())
				syscall(SYS_tgkill, getpid(), tid, n % 4 == 0 ? SIGPROF : SIGALRM);
		}
		closedir(d);
		usleep(1000);
	}
	return unused;
}

static void
tick(bool on)
{
	struct itimerval t = {{0, on ? 1000 : 0}, {0, on ? 1000 : 0}};
	struct sigaction sa = {.sa_handler = on_tick, .sa_flags = SA_RESTART | SA_ONSTACK};
	if (on) {
		expect_eq(sigaction(SIGALRM, &sa, NULL), 0);
		sa.sa_flags = SA_RESTART; // on the stack of whoever it strikes
		expect_eq(sigaction(SIGPROF, &sa, NULL), 0);
		load_thread(tick_all, 0);
	}
	expect_eq(setitimer(ITIMER_REAL, &t, NULL), 0);
	expect_eq(setitimer(ITIMER_PROF, &t, NULL), 0);
}

typedef struct Node {
	struct Node *next;
	uint64_t number;
} Node;

static Count held;

// What calls have left below the caller's frame is gone.
static __attribute__((noinline)) void
spoil_deeper(void)
{
	volatile uintptr_t words[2048];
	for (int i = 0; i < 2048; i++)
		words[i] = 0;
	__asm__ volatile("" : : "r"(words) : "memory");
}

// The only pointer is in a register, which a signal's frame may have when a collection begins.
static __attribute__((noinline)) void
hold(uint64_t number)
{
	Node *n = go_new(Node);
	n->number = number;
	for (int i = 0; i < 1000000; i++)
		__asm__ volatile("" : "+r"(n)); // no call: it need not be on the stack
	spoil_deeper();
	expect_eq(n->number, number);
	count_add(&held);
}

static void
hold_always(uint64_t number)
{
	while (!stopped())
		hold(number++);
}

static void
hold_in_goroutine(void *v)
{
	hold_always((uintptr_t)v << 32);
	go_wg_done(&loads);
}

static void *
hold_in_thread(void *v)
{
	hold_always((uintptr_t)v << 32);
	return NULL;
}

// --- processes -----------------------------------------------------------------------------------

static Node *chain; // constant once made
enum { CHAIN = 500 };
static Count forks, loads_of_module;

static void
make_chain(void)
{
	for (uint64_t i = 0; i < CHAIN; i++) {
		Node *n = go_new(Node);
		*n = (Node){chain, i};
		chain = n;
	}
}

static bool
chain_is_whole(void)
{
	uint64_t i = CHAIN;
	for (const Node *n = chain; n != NULL; n = n->next)
		if (n->number != --i)
			return false;
	return i == 0;
}

// A child sees the heap as it was, and does what children may.
static void *
make_processes(void *unused)
{
	while (!stopped()) {
		int status;
		bool executes = count_of(&forks) % 2 != 0;
		pid_t pid = fork();
		if (pid == 0) {
			if (executes)
				execl("/bin/true", "true", (char *)NULL);
			_exit(chain_is_whole() ? 7 : 8);
		}
		expect(pid > 0);
		while (waitpid(pid, &status, 0) < 0)
			expect_eq(errno, EINTR);
		expect(WIFEXITED(status));
		expect_eq(WEXITSTATUS(status), executes ? 0 : 7);
		count_add(&forks);
		usleep(2000);
	}
	return unused;
}

// --- modules -------------------------------------------------------------------------------------

// What only a module's variables point to lives until it is unloaded.
static void *
load_modules(void *v)
{
	uint64_t rand = first_seed + (uintptr_t)v;
	while (!stopped()) {
		void *module = module_open();
		expect(module != NULL);
		uintptr_t *global = module_word(module, "module_global")();
		uintptr_t *local = module_word(module, "module_thread_local")();
		for (uint64_t i = 0; i < 2; i++) {
			uint64_t *p = go_alloc_data(64);
			*p = 0xfade + i;
			*(i == 0 ? global : local) = (uintptr_t)p;
		}
		for (int i = 0; i < 20; i++)
			recycle(&rand);
		expect_eq(*(uint64_t *)*global, 0xfade);
		expect_eq(*(uint64_t *)*local, 0xfade + 1);
		*global = *local = 0;
		expect_eq(dlclose(module), 0);
		count_add(&loads_of_module);
	}
	return NULL;
}

// --- threads -------------------------------------------------------------------------------------

static Count threads_ended;

static void *
short_thread(void *v)
{
	uint64_t rand = (uintptr_t)v;
	Node *n = NULL;
	void *plain = malloc(10000);
	for (uint64_t i = 0; i < 50; i++) {
		Node *next = n;
		n = go_new(Node);
		*n = (Node){next, i};
	}
	recycle(&rand);
	for (uint64_t i = 50; i-- > 0; n = n->next)
		expect_eq(n->number, i);
	free(plain);
	count_add(&threads_ended);
	return NULL;
}

static void *
make_threads(void *v)
{
	uint64_t rand = first_seed + (uintptr_t)v;
	while (!stopped()) {
		pthread_t t[3];
		for (int i = 0; i < 3; i++)
			expect_eq(pthread_create(&t[i], NULL, short_thread,
						 (void *)(uintptr_t)test_rand(&rand)), 0);
		for (int i = 0; i < 3; i++)
			pthread_join(t[i], NULL);
		free(malloc(test_rand(&rand) % 300000)); // some straight from the kernel
	}
	return NULL;
}

// --- deep stacks ---------------------------------------------------------------------------------

enum { FRAMES = 4000, FRAME_BYTES = 4096, DEEP_BYTES = 64 << 20, DEEP = 2 };
static Count dives;

// Each frame has the only pointer to an object, which must be there on the way back.
static __attribute__((noinline)) uint64_t
dive(int depth, uint64_t salt)
{
	volatile char frame[FRAME_BYTES];
	Node *n = go_new(Node);
	n->number = salt + (uint64_t)depth;
	frame[0] = frame[FRAME_BYTES - 1] = (char)depth;
	uint64_t below = depth > 0 ? dive(depth - 1, salt) : 0;
	expect_eq(frame[0], (char)depth);
	expect_eq(frame[FRAME_BYTES - 1], (char)depth);
	expect_eq(n->number, salt + (uint64_t)depth);
	return below + 1;
}

static void
deep_load(uint64_t rand)
{
	while (!stopped()) {
		int depth = (int)(test_rand(&rand) % (uint64_t)(test_scale(FRAMES) + 1));
		expect_eq(dive(depth, rand), depth + 1);
		count_add(&dives);
		go_sleep(GO_MSEC); // waits high up, and the stack below goes back
	}
}

static void
deep_goroutine(void *v)
{
	deep_load(first_seed + (uintptr_t)v);
	go_wg_done(&loads);
}

static void *
deep_thread(void *v)
{
	deep_load(first_seed + (uintptr_t)v);
	return NULL;
}

// --- starting and stopping -----------------------------------------------------------------------

static void
load_goroutine(void (*fn)(void *), size_t stack_bytes)
{
	static uintptr_t number = 100;
	go_attr attr = {.stack_bytes = stack_bytes};
	go_wg_add(&loads, 1);
	expect_eq(go_spawn_with(&attr, fn, (void *)number++), 0);
}

static void
loads_begin(const char *verify, long rounds)
{
	setenv("GODEBUG", verify, 1);
	mutator_rounds = rounds;
	first_seed = test_seed();
	go_set_gc_percent(20);
	make_chain();
	uint64_t rand = first_seed;
	for (int i = 0; i < 50; i++)
		recycle(&rand);
}

static void
loads_end(void)
{
	atomic_store(&stop, true);
	for (int i = 0; i < n_threads; i++)
		pthread_join(threads[i], NULL);
	expect_eq(go_wg_wait(&loads, GO_NEVER), 0);
	expect(chain_is_whole());
}

static void
start_words(void)
{
	for (int i = 0; i < WORD_THREADS; i++)
		load_thread(words_on_thread, 0);
	for (int i = 0; i < WORD_GOROUTINES; i++)
		load_goroutine(words_on_goroutine, 0);
}

static void
start_deep(void)
{
	load_thread(deep_thread, DEEP_BYTES);
	for (int i = 0; i < DEEP; i++)
		load_goroutine(deep_goroutine, DEEP_BYTES);
}

// --- the tests -----------------------------------------------------------------------------------

#define PROVE "gccheckmark=1,gcwalk=1"

void
test_heap_among_words(void)
{
	loads_begin(PROVE ",clobberfree=1", 60);
	start_words();
	test_heap_mutators();
	loads_end();
	expect(count_of(&standing) > 10);
}

// The same, and questions about such words while spans change; what is asked about nobody holds.
void
test_heap_among_questions(void)
{
	loads_begin("gcwalk=1", 60);
	start_words();
	for (int i = 0; i < 2; i++)
		load_thread(ask_always, 0);
	test_heap_mutators();
	loads_end();
	expect(count_of(&asked) > 1000);
}

void
test_heap_among_signals(void)
{
	loads_begin(PROVE ",clobberfree=1", 20);
	for (int i = 0; i < 2; i++) {
		load_thread(hold_in_thread, 0);
		load_goroutine(hold_in_goroutine, 0);
	}
	tick(true);
	test_heap_mutators();
	tick(false);
	loads_end();
	expect(count_of(&ticks) > 20 && count_of(&held) > 10);
}

void
test_heap_among_processes(void)
{
	loads_begin(PROVE, 30);
	load_thread(make_processes, 0);
	load_thread(load_modules, 0);
	load_thread(make_threads, 0);
	test_heap_mutators();
	until(count_of(&forks) > 1 && count_of(&loads_of_module) > 0 &&
	      count_of(&threads_ended) > 0);
	loads_end();
}

void
test_heap_on_deep_stacks(void)
{
	loads_begin(PROVE, 60);
	start_deep();
	test_heap_mutators();
	loads_end();
	expect(count_of(&dives) > 3);
}

void
test_heap_among_all(void)
{
	loads_begin(PROVE ",clobberfree=1,stackpoison=1", 6);
	start_words();
	start_deep();
	load_thread(make_processes, 0);
	load_thread(load_modules, 0);
	load_thread(make_threads, 0);
	tick(true);
	test_heap_mutators();
	tick(false);
	loads_end();
}
