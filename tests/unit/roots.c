// SPDX-License-Identifier: BSD-3-Clause
// gc/roots.c and gc/stop.c: a word that is in one place only is in some range, whatever the place.
// Each secret is put together in its place, so that no other copy of it exists.
#include "gcstop.h"

#include <pthread.h>
#include <sys/mman.h>

#include "arch/arch.h"
#include "gc/collect.h"
#include "gc/gc_impl.h"
#include "sched/sched.h"

volatile uintptr_t secret_mask = 0x00a5a50012345678u;

__attribute__((no_sanitize("address", "thread"))) static void
count_words(Secrets *s, const RootSet *set)
{
	uintptr_t mask = secret_mask;
	for (size_t i = 0; i < set->n; i++) {
		const RootRange *r = &set->ranges[i];
		expect(r->lo < r->hi && r->hi - r->lo <= ROOT_RANGE_MAX);
		expect((uintptr_t)r->lo % 8 == 0 && (uintptr_t)r->hi % 8 == 0);
		for (const char *p = r->lo; p < r->hi; p += 8) {
			uintptr_t w = *(const uintptr_t *)(const void *)p ^ mask;
			for (int k = 0; k < s->n; k++)
				s->found[k] += w == s->masked[k];
		}
	}
}

// As a cycle does it.
static __attribute__((noinline)) void
look(Secrets *s)
{
	RootSet set;
	bool ok;
	__builtin_unwind_init();
	do {
		expect(roots_prepare());
		sched_stop_world();
		foreign_lock();
		Halt halt = threads_stop();
		expect(halt != HALT_REFUSED);
		bool stopped = halt == HALTED;
		ok = stopped && roots_gather(&set, arch_sp());
		if (ok && s != NULL)
			count_words(s, &set);
		if (stopped)
			threads_resume();
		foreign_unlock();
		sched_start_world();
		if (!stopped)
			expect(threads_failed());
		if (!stopped)
			os_sleep(threads_again_at() - os_nanotime());
	} while (!ok);
}

void
secrets_look(Secrets *s)
{
	memset(s->found, 0, sizeof(s->found));
	sched_enter();
	look(s);
	sched_leave();
}

void
stop_and_gather(void)
{
	sched_enter();
	look(NULL);
	sched_leave();
}

// --- places -------------------------------------------------------------------------------------

static Count ready;
static atomic_bool stop;

__attribute__((noinline)) void
secret_put(uintptr_t *where, uintptr_t masked)
{
	*(volatile uintptr_t *)where = masked ^ secret_mask;
}

// In a callee-saved register alone, until told to stop.
static __attribute__((noinline)) void
hold_in_register(uintptr_t masked)
{
	count_add(&ready);
#if defined(__x86_64__)
	__asm__ volatile("movq %0, %%r14\n\t"
			 "xorq %1, %%r14\n"
			 "1:\tpause\n\t"
			 "cmpb $0, %2\n\t"
			 "je 1b\n\t"
			 "xorl %%r14d, %%r14d"
			 :
			 : "r"(masked), "r"(secret_mask), "m"(stop)
			 : "r14", "memory");
#elif defined(__aarch64__)
	__asm__ volatile("eor x24, %0, %1\n"
			 "1:\tldrb w25, [%2]\n\t"
			 "cbz w25, 1b\n\t"
			 "mov x24, #0"
			 :
			 : "r"(masked), "r"(secret_mask), "r"(&stop)
			 : "x24", "x25", "memory");
#endif
}

// In the upper half of a vector register alone.
static __attribute__((noinline)) void
hold_in_vector(uintptr_t masked)
{
	count_add(&ready);
#if defined(__x86_64__)
	__asm__ volatile("movq %0, %%xmm7\n\t"
			 "movq %1, %%xmm6\n\t"
			 "pxor %%xmm6, %%xmm7\n\t"
			 "pslldq $8, %%xmm7\n"
			 "1:\tpause\n\t"
			 "cmpb $0, %2\n\t"
			 "je 1b\n\t"
			 "pxor %%xmm7, %%xmm7"
			 :
			 : "r"(masked), "r"(secret_mask), "m"(stop)
			 : "xmm6", "xmm7", "memory");
#elif defined(__aarch64__)
	__asm__ volatile("fmov d7, %0\n\t"
			 "fmov d6, %1\n\t"
			 "eor v7.16b, v7.16b, v6.16b\n"
			 "1:\tldrb w25, [%2]\n\t"
			 "cbz w25, 1b\n\t"
			 "movi v7.2d, #0"
			 :
			 : "r"(masked), "r"(secret_mask), "r"(&stop)
			 : "v6", "v7", "x25", "memory");
#endif
}

static __attribute__((noinline)) void
hold_in_wide_vector(uintptr_t masked)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx2")) {
		count_add(&ready);
		__asm__ volatile("vmovq %0, %%xmm7\n\t"
				 "vmovq %1, %%xmm6\n\t"
				 "vpxor %%xmm6, %%xmm7, %%xmm7\n\t"
				 "vpermq $0x4f, %%ymm7, %%ymm7\n\t" // low lane to the high one
				 "vpxor %%xmm6, %%xmm6, %%xmm6\n\t"
				 "vinserti128 $0, %%xmm6, %%ymm7, %%ymm7\n"
				 "1:\tpause\n\t"
				 "cmpb $0, %2\n\t"
				 "je 1b\n\t"
				 "vzeroall"
				 :
				 : "r"(masked), "r"(secret_mask), "m"(stop)
				 : "xmm6", "xmm7", "memory");
		return;
	}
#endif
	hold_in_vector(masked);
}

typedef struct Hold {
	void (*fn)(uintptr_t);
	uintptr_t masked;
} Hold;

static void *
hold_on_thread(void *v)
{
	Hold *h = v;
	h->fn(h->masked);
	return NULL;
}

static void *
hold_on_attached_thread(void *v)
{
	go_yield();
	return hold_on_thread(v);
}

static void
hold_in_goroutine(void *v)
{
	Hold *h = v;
	h->fn(h->masked);
	count_add(&ready);
}

// Alone in registers of threads we have never heard of, of attached ones, of goroutines.
GO_TEST(roots_registers, 4)
{
	static void (*const holders[])(uintptr_t) = {
		hold_in_register, hold_in_vector, hold_in_wide_vector,
	};
	static Hold holds[9];
	pthread_t t[6];
	Secrets s = {.n = 0};
	for (int i = 0; i < 9; i++)
		holds[i] = (Hold){holders[i % 3], secret_new(&s)};
	for (int i = 0; i < 3; i++) {
		expect_eq(go_spawn(hold_in_goroutine, &holds[i]), 0);
		expect_eq(pthread_create(&t[i], NULL, hold_on_thread, &holds[3 + i]), 0);
		expect_eq(pthread_create(&t[3 + i], NULL, hold_on_attached_thread,
					 &holds[6 + i]),
			  0);
	}
	until(count_of(&ready) == 9);
	go_sleep(GO_MSEC);
	for (long round = test_scale(20); round > 0; round--) {
		secrets_look(&s);
		for (int i = 0; i < 9; i++)
			expect(s.found[i] >= 1);
	}
	atomic_store(&stop, true);
	for (int i = 0; i < 6; i++)
		pthread_join(t[i], NULL);
	until(count_of(&ready) == 9 + 3);
}

#if defined(__x86_64__)
// In a register that the call leaves alone.
static __attribute__((noinline)) void
look_with_register(Secrets *s, uintptr_t masked)
{
	__asm__ volatile("movq %0, %%r15\n\t"
			 "xorq %1, %%r15\n\t"
			 "movq %%rsp, %%rbx\n\t"
			 "subq $256, %%rsp\n\t"
			 "andq $-16, %%rsp\n\t"
			 "call *%3\n\t"
			 "movq %%rbx, %%rsp\n\t"
			 "xorl %%r15d, %%r15d"
			 :
			 : "r"(masked), "r"(secret_mask), "D"(s), "r"(secrets_look)
			 : "rax", "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "r15",
			   "memory", "cc");
}
#else
static void
look_with_register(Secrets *s, uintptr_t masked)
{
	uintptr_t word;
	secret_put(&word, masked);
	secrets_look(s);
	__asm__ volatile("" : : "r"(&word) : "memory");
}
#endif

// The one who looks: his stack, registers he has to keep.
GO_TEST(roots_caller, 2)
{
	Secrets s = {.n = 0};
	uintptr_t on_stack;
	secret_put(&on_stack, secret_new(&s));
	look_with_register(&s, secret_new(&s));
	expect(s.found[0] >= 1);
	expect(s.found[1] >= 1);
	secret_put(&on_stack, 0);
}

// --- thread-locals, globals ---------------------------------------------------------------------

static struct {
	uintptr_t before, first, between[64], last, after;
} globals;

// What of the globals the runtime has said holds nothing: two neighbours, and what comes second is
// named first. Nothing else collects here, so it is not too late to say so.
GO_TEST(roots_left_out, 1)
{
	Secrets s = {.n = 0};
	secret_put(&globals.before, secret_new(&s));
	secret_put(&globals.after, secret_new(&s));
	secret_put(&globals.first, secret_new(&s));
	secret_put(&globals.between[7], secret_new(&s));
	secret_put(&globals.last, secret_new(&s));
	secrets_look(&s);
	for (int i = 0; i < s.n; i++)
		expect_eq(s.found[i], 1);
	os_modules_leave_out(&globals.between, sizeof(globals.between) + sizeof(globals.last));
	os_modules_leave_out(&globals.first, sizeof(globals.first));
	os_modules_leave_out((const void *)1, (uintptr_t)&globals.before); // in no segment
	secrets_look(&s);
	for (int i = 0; i < s.n; i++)
		expect_eq(s.found[i], i < 2);
}

static __thread uintptr_t thread_local_word;

static void
hold_in_local_of_m(void *masked)
{
	secret_put(&thread_local_word, *(uintptr_t *)masked);
	count_add(&ready);
	while (!atomic_load(&stop))
		;
	secret_put(&thread_local_word, 0);
}

// Of a thread of the runtime's, where no stack reaches so far up that is looked at.
GO_TEST(roots_thread_locals_of_an_m, 2)
{
	Secrets s = {.n = 0};
	static uintptr_t masked;
	masked = secret_new(&s);
	expect_eq(go_spawn(hold_in_local_of_m, &masked), 0);
	until(count_of(&ready) == 1);
	secrets_look(&s);
	expect(s.found[0] >= 1);
	atomic_store(&stop, true);
}

static uintptr_t global_word;
static pthread_key_t key, far_key;

typedef struct Locals {
	uintptr_t masked_static, masked_dynamic, masked_near, masked_key, masked_far_key;
	ModuleWord *word, *near_word;
} Locals;

static void *
hold_in_locals(void *v)
{
	Locals *l = v;
	secret_put(&thread_local_word, l->masked_static);
	secret_put(l->word(), l->masked_dynamic);
	secret_put(l->near_word(), l->masked_near);
	pthread_setspecific(key, (void *)(l->masked_key ^ secret_mask));
	pthread_setspecific(far_key, (void *)(l->masked_far_key ^ secret_mask));
	count_add(&ready);
	while (!atomic_load(&stop))
		usleep(1000);
	return NULL;
}

static void *
hold_in_locals_attached(void *v)
{
	go_yield();
	return hold_in_locals(v);
}

// Static ones, those of a module that was loaded later and of one that insists on a place among the
// static ones, pthread keys; of threads known and not.
GO_TEST(roots_thread_locals, 2)
{
	void *module = module_open(), *near = module_open_as("libgcmodule_near.so");
	expect(module != NULL && near != NULL);
	pthread_key_create(&key, NULL);
	for (int i = 0; i < 100; i++)
		pthread_key_create(&far_key, NULL);
	Secrets s = {.n = 0};
	static Locals l[2];
	pthread_t t[2];
	for (int i = 0; i < 2; i++) {
		l[i].masked_static = secret_new(&s);
		l[i].masked_dynamic = secret_new(&s);
		l[i].masked_near = secret_new(&s);
		l[i].masked_key = secret_new(&s);
		l[i].masked_far_key = secret_new(&s);
		l[i].word = module_word(module, "module_thread_local");
		l[i].near_word = module_word(near, "module_thread_local");
		expect_eq(pthread_create(&t[i], NULL,
					 i == 0 ? hold_in_locals : hold_in_locals_attached, &l[i]),
			  0);
	}
	secret_put(&global_word, secret_new(&s));
	secret_put(module_word(module, "module_global")(), secret_new(&s));
	until(count_of(&ready) == 2);
	go_sleep(GO_MSEC);
	secrets_look(&s);
	for (int i = 0; i < s.n; i++)
		expect(s.found[i] >= 1);
	// The same where the thread that looks uses those of the modules, too.
	go_lock_os_thread();
	secret_put(module_word(module, "module_thread_local")(), secret_new(&s));
	secret_put(module_word(near, "module_thread_local")(), secret_new(&s));
	secrets_look(&s);
	for (int i = 0; i < s.n; i++)
		expect(s.found[i] >= 1);
	secret_put(module_word(near, "module_thread_local")(), 0);
	go_unlock_os_thread();
	atomic_store(&stop, true);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	secret_put(&global_word, 0);
	dlclose(module);
	secrets_look(&s);
	for (int i = 7; i < s.n; i++)
		expect_eq(s.found[i], 0);
}

// The first thread's, whose thread-locals and stack lie elsewhere than others'; it is parked.
static Secrets main_secrets;

static int
look_at_main(void *unused)
{
	(void)unused;
	secrets_look(&main_secrets);
	for (int i = 0; i < main_secrets.n; i++)
		expect(main_secrets.found[i] >= 1);
	return 0;
}

void
test_roots_first_thread(void)
{
	void *module = module_open();
	expect(module != NULL);
	uintptr_t on_stack;
	secret_put(&on_stack, secret_new(&main_secrets));
	secret_put(&thread_local_word, secret_new(&main_secrets));
	secret_put(module_word(module, "module_thread_local")(), secret_new(&main_secrets));
	expect_eq(go_run(look_at_main, NULL), 0);
	__asm__ volatile("" : : "r"(&on_stack) : "memory");
}

// --- goroutines, channels, records of the runtime ------------------------------------------------

static void
hold_parked(void *v)
{
	uintptr_t word;
	secret_put(&word, (uintptr_t)v);
	count_add(&ready);
	until(atomic_load(&stop));
	__asm__ volatile("" : : "r"(&word) : "memory");
	count_add(&ready);
}

static void
nothing(void *unused)
{
	(void)unused;
	count_add(&ready);
}

// Not to be inlined: the argument would stay on our stack.
static __attribute__((noinline)) void
spawn_secret(uintptr_t masked)
{
	expect_eq(go_spawn(nothing, (void *)(masked ^ secret_mask)), 0);
}

static __attribute__((noinline)) void
send_secret(go_chan *c, uintptr_t masked)
{
	uintptr_t word;
	secret_put(&word, masked);
	expect_eq(go_chan_send(c, &word, GO_NEVER), 0);
	secret_put(&word, 0);
}

static __attribute__((noinline)) void
set_local_secret(go_local_key k, uintptr_t masked)
{
	expect_eq(go_local_set(k, (void *)(masked ^ secret_mask)), 0);
}

static __attribute__((noinline)) go_ctx *
ctx_secret(uintptr_t masked)
{
	return go_ctx_with_value(NULL, &key, (void *)(masked ^ secret_mask));
}

static __attribute__((noinline)) go_timer *
timer_secret(uintptr_t masked)
{
	return go_after_func(3600 * GO_SEC, nothing, (void *)(masked ^ secret_mask));
}

// What calls have left below us.
static __attribute__((noinline)) void
wipe_stack(void)
{
	volatile char below[16384];
	for (size_t i = 0; i < sizeof(below); i++)
		below[i] = 0;
}

typedef struct Pinned {
	uintptr_t masked;
	int n;
} Pinned;

__attribute__((no_sanitize("address", "thread"))) static void
count_pinned(void *v, Mspan *sp)
{
	Pinned *p = v;
	const PageInfo *pi = &heap.info[span_page(sp)];
	const uintptr_t *w = (const uintptr_t *)(void *)heap_page_addr(span_page(sp));
	if (pi->kind != KIND_PINNED)
		return;
	for (size_t i = 0; i < sp->npages * (HEAP_PAGE / 8); i++)
		p->n += (w[i] ^ secret_mask) == p->masked;
}

static int
pinned_words(const Secrets *s, int k)
{
	Pinned p = {s->masked[k], 0};
	for (size_t chunk = 0; chunk < heap_chunks(); chunk++)
		chunk_each_span(chunk, count_pinned, &p);
	return p.n;
}

// On a parked goroutine's stack; the argument of one that has not begun; channels small and large,
// local values, contexts and timers, which are pinned memory.
GO_TEST(roots_of_the_runtime, 1)
{
	Secrets s = {.n = 0};
	uintptr_t parked = secret_new(&s);
	expect_eq(go_spawn(hold_parked, (void *)parked), 0);
	until(count_of(&ready) == 1);
	go_chan *small = go_chan_new(sizeof(uintptr_t), 4);
	go_chan *large = go_chan_new(sizeof(uintptr_t), 100000);
	go_local_key k;
	expect_eq(go_local_key_new(&k, NULL), 0);
	uintptr_t begins = secret_new(&s);
	spawn_secret(begins);
	send_secret(small, secret_new(&s));
	send_secret(large, secret_new(&s));
	set_local_secret(k, secret_new(&s));
	go_ctx *ctx = ctx_secret(secret_new(&s));
	go_timer *timer = timer_secret(secret_new(&s));
	wipe_stack();
	secrets_look(&s);
	expect(s.found[0] >= 1);
	expect(s.found[1] >= 1 || count_of(&ready) != 1); // it may have begun
	for (int i = 2; i < s.n; i++)
		expect_eq(pinned_words(&s, i), 1);
	atomic_store(&stop, true);
	until(count_of(&ready) == 3);
	go_chan_free(small);
	go_chan_free(large);
	go_local_set(k, NULL);
	go_ctx_unref(ctx);
	go_timer_free(timer);
}

// --- explicit roots -----------------------------------------------------------------------------

enum { EXPLICIT = 1000 };

GO_TEST(roots_explicit, 1)
{
	Secrets s = {.n = 0};
	uintptr_t *apart = mmap(NULL, EXPLICIT * 64, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	expect(apart != MAP_FAILED);
	secret_put(&apart[8 * 700 + 1], secret_new(&s));
	secrets_look(&s);
	expect_eq(s.found[0], 0);
	for (int i = 0; i < EXPLICIT; i++)
		expect_eq(go_root_add(&apart[8 * i], 16), 0);
	expect_eq(go_root_add(&apart[8], 16), GO_EINVAL);
	secrets_look(&s);
	expect_eq(s.found[0], 1);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < EXPLICIT; i++)
			expect_eq(go_root_remove(&apart[8 * i]), 0);
		expect_eq(go_root_remove(&apart[8]), GO_EINVAL);
		secrets_look(&s);
		expect_eq(s.found[0], 0);
		for (int i = 0; i < EXPLICIT; i++)
			expect_eq(go_root_add(&apart[8 * i], 16), 0);
		secrets_look(&s);
		expect_eq(s.found[0], 1);
	}
	for (int i = 0; i < EXPLICIT; i++)
		expect_eq(go_root_remove(&apart[8 * i]), 0);
	munmap(apart, EXPLICIT * 64);
	stop_and_gather();
}
