// SPDX-License-Identifier: BSD-3-Clause
// gc/roots.c and gc/stop.c: threads upon stacks that are not theirs or unknown to us, and threads
// that are hard to stop. As in roots.c each secret is in one place only.
#include "gcstop.h"

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include "gc/gc_impl.h"
#include "sched/sched.h"

static Count ready;
static atomic_bool stop;

// --- other stacks -------------------------------------------------------------------------------

static ucontext_t back, there;
static uintptr_t other_masked;

static void
hold_there(void)
{
	uintptr_t word;
	secret_put(&word, other_masked);
	count_add(&ready);
	while (!atomic_load(&stop))
		;
	__asm__ volatile("" : : "r"(&word) : "memory");
}

// Switches to a stack that the program has made itself, keeping a word on the first.
static void
go_elsewhere(void *v)
{
	uintptr_t word;
	secret_put(&word, *(uintptr_t *)v);
	getcontext(&there);
	there.uc_stack.ss_sp = mmap(NULL, 65536, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	there.uc_stack.ss_size = 65536;
	there.uc_link = &back;
	makecontext(&there, hold_there, 0);
	swapcontext(&back, &there);
	__asm__ volatile("" : : "r"(&word) : "memory");
	count_add(&ready);
}

static void *
go_elsewhere_on_thread(void *v)
{
	go_elsewhere(v);
	return NULL;
}

static void *
go_elsewhere_attached(void *v)
{
	go_yield();
	go_elsewhere(v);
	return NULL;
}

static void
elsewhere(int how)
{
	Secrets s = {.n = 0};
	static uintptr_t first;
	pthread_t t;
	first = secret_new(&s);
	other_masked = secret_new(&s);
	if (how == 0)
		expect_eq(go_spawn(go_elsewhere, &first), 0);
	else
		expect_eq(pthread_create(&t, NULL,
					 how == 1 ? go_elsewhere_on_thread : go_elsewhere_attached,
					 &first),
			  0);
	until(count_of(&ready) == 1);
	secrets_look(&s);
	expect(s.found[0] >= 1);
	expect(s.found[1] >= 1);
	atomic_store(&stop, true);
	until(count_of(&ready) == 2);
	if (how != 0)
		pthread_join(t, NULL);
}

GO_TEST(roots_goroutine_elsewhere, 2)
{
	elsewhere(0);
}

GO_TEST(roots_thread_elsewhere, 2)
{
	elsewhere(1);
}

GO_TEST(roots_attached_thread_elsewhere, 2)
{
	elsewhere(2);
}

// In a handler on a signal stack that lies among the thread-locals, as programs have it that report
// crashes: what it has interrupted counts.
static __thread char signal_stack_local[1 << 16];

static void
stay_in_handler(int sig)
{
	(void)sig;
	count_add(&ready);
	while (!atomic_load(&stop))
		;
}

static void *
interrupt_itself(void *v)
{
	stack_t own = {.ss_sp = signal_stack_local, .ss_size = sizeof(signal_stack_local)}, before;
	volatile char room[8192]; // for what is looked at beside the thread-locals
	uintptr_t word;
	room[0] = 0;
	secret_put(&word, *(uintptr_t *)v);
	expect_eq(sigaltstack(&own, &before), 0);
	raise(SIGUSR2);
	__asm__ volatile("" : : "r"(&word), "r"(room) : "memory");
	expect_eq(sigaltstack(&before, NULL), 0);
	return NULL;
}

static void *
interrupt_itself_attached(void *v)
{
	go_yield();
	return interrupt_itself(v);
}

GO_TEST(roots_below_a_signal_stack, 2)
{
	struct sigaction act = {.sa_handler = stay_in_handler, .sa_flags = SA_ONSTACK}, before;
	Secrets s = {.n = 0};
	uintptr_t masked[2];
	pthread_t t[2];
	expect_eq(sigaction(SIGUSR2, &act, &before), 0);
	for (int i = 0; i < 2; i++) {
		masked[i] = secret_new(&s);
		expect_eq(pthread_create(&t[i], NULL,
					 i == 0 ? interrupt_itself : interrupt_itself_attached,
					 &masked[i]),
			  0);
	}
	until(count_of(&ready) == 2);
	secrets_look(&s);
	for (int i = 0; i < 2; i++)
		expect(s.found[i] >= 1);
	atomic_store(&stop, true);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	expect_eq(sigaction(SIGUSR2, &before, NULL), 0);
}

// --- threads that do not come -------------------------------------------------------------------

static atomic_int blocked_ms;

// Without libc, whose masks would leave the signal out.
static void *
block_everything(void *unused)
{
	uint64_t all = UINT64_MAX, before;
	(void)unused;
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, 8);
	count_add(&ready);
	usleep((useconds_t)atomic_load(&blocked_ms) * 1000);
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, 8);
	return NULL;
}

// It is waited for; meanwhile the others get on.
GO_TEST(roots_wait_for_a_thread_that_blocks, 2)
{
	pthread_t t;
	atomic_store(&blocked_ms, 200);
	expect_eq(pthread_create(&t, NULL, block_everything, NULL), 0);
	until(count_of(&ready) == 1);
	int64_t begun = test_now_ns();
	stop_and_gather();
	expect(test_now_ns() - begun >= 100 * GO_MSEC);
	pthread_join(t, NULL);
}

// Neither threads nor their stacks can be missed because descriptors have run out.
static void *
hold_on_stack(void *v)
{
	uintptr_t word;
	secret_put(&word, *(uintptr_t *)v);
	count_add(&ready);
	while (!atomic_load(&stop))
		usleep(1000);
	__asm__ volatile("" : : "r"(&word) : "memory");
	return NULL;
}

GO_TEST(roots_without_descriptors, 2)
{
	pthread_t t;
	Secrets s = {.n = 0};
	static uintptr_t masked;
	struct rlimit none, before;
	expect_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	masked = secret_new(&s);
	expect(go_alloc(8) != NULL);
	expect_eq(pthread_create(&t, NULL, hold_on_stack, &masked), 0);
	until(count_of(&ready) == 1);
	expect_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	for (int i = 0; i < 3; i++) {
		secrets_look(&s);
		expect(s.found[0] >= 1); // twice when it lies next to the thread-locals
	}
	expect_eq(setrlimit(RLIMIT_NOFILE, &before), 0); // LeakSanitizer looks for threads at exit
	atomic_store(&stop, true);
	pthread_join(t, NULL);
}

static Halt
try_once(void)
{
	sched_enter();
	sched_stop_world();
	foreign_lock();
	Halt halt = threads_stop();
	if (halt == HALTED)
		threads_resume();
	foreign_unlock();
	sched_start_world();
	if (halt != HALTED)
		(void)threads_failed();
	sched_leave();
	return halt;
}

// Where threads are not listed, or told in the numbers of another namespace: those that have called
// us are stopped, and others are noticed, as the kernel counts them.
GO_TEST(roots_without_a_list, 2)
{
	pthread_t t;
	static uintptr_t masked = 0;
	expect(go_alloc(8) != NULL);
	expect_eq(pthread_create(&t, NULL, hold_on_stack, &masked), 0);
	until(count_of(&ready) == 1);
	expect(os_fault_plan("thread_list:*:EIO"));
	expect(try_once() != HALTED);
	atomic_store(&stop, true);
	pthread_join(t, NULL);
	atomic_store(&stop, false);
	atomic_store(&ready, 0);
	elsewhere(0);
}

// Made by the kernel alone, with another thread pointer, or none.
static uintptr_t masked_by_kernel;

static int
hold_without_libc(void *unused)
{
	uintptr_t word = masked_by_kernel ^ secret_mask;
	(void)unused;
	count_add(&ready);
	while (!atomic_load(&stop))
		__asm__ volatile("" : : "r"(&word) : "memory");
	count_add(&ready);
	syscall(SYS_exit, 0);
	return 0;
}

GO_TEST(roots_of_a_thread_without_libc, 2)
{
	enum { STACK = 64 << 10, PAGE = 4096 };
	char *page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	expect(page != MAP_FAILED && mprotect(page + PAGE, PAGE, PROT_NONE) == 0);
	expect(syscall(SYS_getpid) > 0); // the loader finds that function by thread-locals
	void *pointers[] = {NULL, page + PAGE - 64, (void *)0x1234560000};
	for (size_t i = 0; i < countof(pointers); i++) {
		Secrets s = {.n = 0};
		char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				   -1, 0);
		expect(stack != MAP_FAILED);
		masked_by_kernel = secret_new(&s);
		atomic_store(&stop, false);
		atomic_store(&ready, 0);
		int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
			    CLONE_SYSVSEM | CLONE_SETTLS;
		expect(clone(hold_without_libc, stack + STACK, flags, NULL, NULL, pointers[i],
			     NULL) > 0);
		until(count_of(&ready) == 1);
		secrets_look(&s);
		expect(s.found[0] >= 1);
		atomic_store(&stop, true);
		until(count_of(&ready) == 2);
	}
}

// Masks made with libc do not hold the signal.
static void *
block_all_that_libc_lets(void *unused)
{
	sigset_t all;
	(void)unused;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	count_add(&ready);
	while (!atomic_load(&stop))
		usleep(1000);
	return NULL;
}

GO_TEST(roots_masks_of_libc, 2)
{
	pthread_t t;
	expect_eq(pthread_create(&t, NULL, block_all_that_libc_lets, NULL), 0);
	until(count_of(&ready) == 1);
	for (int i = 0; i < 10; i++)
		stop_and_gather();
	atomic_store(&stop, true);
	pthread_join(t, NULL);
}

// The first thread has ended and is listed for ever.
static void *
after_the_first(void *first)
{
	pthread_join(*(pthread_t *)first, NULL);
	for (int i = 0; i < 3; i++)
		stop_and_gather();
	_exit(0);
}

void
test_roots_first_thread_ends(void)
{
	static pthread_t first;
	pthread_t t;
	first = pthread_self();
	expect_eq(pthread_create(&t, NULL, after_the_first, &first), 0);
	pthread_exit(NULL);
}
