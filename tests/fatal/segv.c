// SPDX-License-Identifier: BSD-3-Clause Faults: a goroutine's bad pointer ends the process with the
// signal, the address, its traceback and status 2; handlers of the program's own, threads that
// never called us, and sent signals come first.
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "goroutines.h"

static int *volatile bad_pointer = (int *)16;
static void (*volatile bad_function)(void);

static void
wait_beside(void *c)
{
	int v;
	go_chan_recv(c, &v, GO_NEVER);
}

static int
spawn_beside_others(void *fn)
{
	go_spawn(wait_beside, go_chan_new(sizeof(int), 0));
	go_sleep(10 * GO_MSEC);
	go_spawn((void (*)(void *))fn, NULL);
	go_sleep(20 * GO_SEC);
	return 0;
}

static void
write_badly(void *unused)
{
	(void)unused;
	*bad_pointer = 1;
	__asm__ volatile("");
}

DEATH(segv_write)
{
	go_run(spawn_beside_others, (void *)write_badly);
}

static void
call_badly(void *unused)
{
	(void)unused;
	bad_function();
	__asm__ volatile("");
}

DEATH(segv_call)
{
	go_run(spawn_beside_others, (void *)call_badly);
}

static void
run_badly(void *unused)
{
	(void)unused;
	__builtin_trap();
}

DEATH(sigill)
{
	go_run(spawn_beside_others, (void *)run_badly);
}

#define BESIDE " [chan receive]:\n", "wait_beside(...)\n"

// The kernel kills who faults with the signal blocked. Threads of the runtime do not.
DEATH(segv_blocked)
{
	sigset_t all;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	go_run(spawn_beside_others, (void *)write_badly);
}

void
test_fault_is_fatal(void)
{
	expect_death(segv_blocked, .status = 2,
		     .err = "fatal error: unexpected signal\n[signal SIGSEGV",
		     .err_has = {" [running]:\nwrite_badly(...)\n\t"});
	expect_death(segv_write, .status = 2,
		     .err = "fatal error: unexpected signal\n"
			    "[signal SIGSEGV: segmentation violation code=0x1 addr=0x10 pc=0x",
		     .err_has = {"]\n\ngoroutine ", " [running]:\nwrite_badly(...)\n\t",
				 "segv.c:", BESIDE});
	expect_death(segv_call, .status = 2,
		     .err = "fatal error: unexpected signal\n"
			    "[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x0]\n\n",
		     .err_has = {" [running]:\ncall_badly(...)\n\t", "segv.c:", BESIDE});
}

void
test_fault_of_an_instruction(void)
{
#ifdef __x86_64__
	expect_death(sigill, .status = 2, .err = "fatal error: unexpected signal\n[signal SIGILL",
		     .err_has = {" [running]:\nrun_badly(...)\n", BESIDE});
#else
	skip("__builtin_trap raises another signal here");
#endif
}

// A stack that cannot be walked is told so, and the others are still shown.
static __attribute__((noinline)) void
break_the_stack(void)
{
	void **frame = __builtin_frame_address(0);
	for (int i = 0; i < 24; i++)
		frame[i] = (void *)0x4141414141414141;
	*bad_pointer = 1;
	__asm__ volatile("");
}

static void
run_broken(void *unused)
{
	char room[512];
	__asm__ volatile("" ::"r"(room) : "memory");
	(void)unused;
	break_the_stack();
	__asm__ volatile("" ::"r"(room) : "memory");
}

DEATH(segv_broken_stack)
{
	go_run(spawn_beside_others, (void *)run_broken);
}

void
test_fault_on_a_broken_stack(void)
{
	expect_death(segv_broken_stack, .status = 2, .err_has = {"break_the_stack(...)\n", BESIDE});
}

// --- others come first --------------------------------------------------------------------------

static void
own_segv(int sig)
{
	(void)sig;
	_exit(8);
}

DEATH(segv_of_its_own)
{
	signal(SIGSEGV, own_segv);
	go_run(spawn_beside_others, (void *)write_badly);
}

static void
own_segv_info(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	_exit(info->si_addr == (void *)16 && context != NULL ? 9 : 10);
}

DEATH(segv_of_its_own_info)
{
	struct sigaction sa = {.sa_sigaction = own_segv_info, .sa_flags = SA_SIGINFO};
	sigaction(SIGSEGV, &sa, NULL);
	go_run(spawn_beside_others, (void *)write_badly);
}

static void
tell_segv(int sig)
{
	static int calls;
	(void)sig;
	if (calls++ > 0 || write(STDERR_FILENO, "handled\n", 8) != 8)
		_exit(3);
}

// Gets one signal, and the next is the end.
DEATH(segv_of_its_own_once)
{
	struct sigaction sa = {.sa_flags = (int)SA_RESETHAND};
	sa.sa_handler = tell_segv;
	sigaction(SIGSEGV, &sa, NULL);
	go_run(spawn_beside_others, (void *)write_badly);
}

// The kernel knows the two by their value, whatever else is asked for.
static void
default_with_flags(void (*handler)(int))
{
	struct sigaction sa = {.sa_flags = SA_SIGINFO};
	sa.sa_handler = handler;
	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
	sigaction(SIGFPE, &sa, NULL);
}

DEATH(segv_default_with_flags)
{
	default_with_flags(SIG_DFL);
	go_run(spawn_beside_others, (void *)write_badly);
}

DEATH(segv_notified_default_with_flags)
{
	default_with_flags(SIG_DFL);
	go_signal_notify(go_chan_new(sizeof(int), 1), SIGSEGV);
	go_run(spawn_beside_others, (void *)write_badly);
}

void
test_fault_without_handler_but_flags(void)
{
	const char *fault = "fatal error: unexpected signal\n[signal SIGSEGV";
	expect_death(segv_of_its_own_once, .status = 2,
		     .err = "handled\nfatal error: unexpected signal\n[signal SIGSEGV");
	expect_death(segv_default_with_flags, .status = 2, .err = fault);
	expect_death(segv_notified_default_with_flags, .status = 2, .err = fault);
}

void
test_fault_handler_of_the_program(void)
{
	expect_death(segv_of_its_own, .status = 8, .err_lacks = {"fatal error"});
	expect_death(segv_of_its_own_info, .status = 9, .err_lacks = {"fatal error"});
}

static void *
stranger(void *unused)
{
	(void)unused;
	*bad_pointer = 1;
	return NULL;
}

static int
start_a_stranger(void *unused)
{
	pthread_t t;
	(void)unused;
	pthread_create(&t, NULL, stranger, NULL);
	go_sleep(20 * GO_SEC);
	return 0;
}

DEATH(segv_of_a_stranger)
{
	go_run(start_a_stranger, NULL);
}

DEATH(segv_sent)
{
	go_id();
	raise(SIGSEGV);
	__asm__ volatile("");
}

// What is ignored before the runtime starts may be sent, and is no license for faults.
static int
send_ignored(void *unused)
{
	(void)unused;
	raise(SIGSEGV);
	raise(SIGBUS);
	kill(getpid(), SIGSEGV);
	go_sleep(10 * GO_MSEC);
	return 7;
}

DEATH(segv_ignored)
{
	signal(SIGSEGV, SIG_IGN);
	signal(SIGBUS, SIG_IGN);
	_exit(go_run(send_ignored, NULL));
}

DEATH(segv_ignored_with_flags)
{
	default_with_flags(SIG_IGN);
	_exit(go_run(send_ignored, NULL));
}

DEATH(segv_ignored_in_vain)
{
	signal(SIGSEGV, SIG_IGN);
	go_run(spawn_beside_others, (void *)write_badly);
}

void
test_fault_that_is_ignored(void)
{
	expect_death(segv_ignored, .status = 7, .err = "", .err_lacks = {"error"});
	expect_death(segv_ignored_with_flags, .status = 7, .err = "", .err_lacks = {"error"});
	expect_death(segv_ignored_in_vain, .status = 2,
		     .err = "fatal error: unexpected signal\n[signal SIGSEGV");
}

void
test_fault_of_a_stranger(void)
{
	expect_death(segv_of_a_stranger, .signal = SIGSEGV,
		     .err = "SIGSEGV: segmentation violation\nPC=0x",
		     .err_has = {" m=0 sigcode=1 addr=0x10\nsignal arrived on a thread that the "
				 "runtime does not know\n\nthread stack:\nstranger(...)\n",
				 " [sleep]:\ngo_sleep(...)\n", "start_a_stranger(...)\n"},
		     .err_lacks = {"fatal error"});
	expect_death(segv_sent, .signal = SIGSEGV,
		     .err = "SIGSEGV: segmentation violation\nPC=0x",
		     .err_has = {" sigcode=18446744073709551610 addr=0x", " [running, thread]:\n",
				 "death_segv_sent(...)\n"},
		     .err_lacks = {"fatal error"});
}

// The thread's own goroutine.
DEATH(segv_in_main)
{
	go_id();
	write_badly(NULL);
}

void
test_fault_in_main(void)
{
	expect_death(segv_in_main, .status = 2,
		     .err_has = {"[signal SIGSEGV", " [running, thread]:\nwrite_badly(...)\n"});
}

// --- others than SIGSEGV ------------------------------------------------------------------------

static volatile int zero;

static WRONG_ON_PURPOSE void
divide(void *unused)
{
	(void)unused;
	zero = 100 / zero;
	__asm__ volatile("");
}

DEATH(sigfpe)
{
	go_run(spawn_beside_others, (void *)divide);
}

static void
call_abort(void *unused)
{
	(void)unused;
	abort();
}

DEATH(sigabrt)
{
	go_run(spawn_beside_others, (void *)call_abort);
}

static void
trap(void *unused)
{
	(void)unused;
	raise(SIGTRAP);
	__asm__ volatile("");
}

DEATH(sigtrap)
{
	go_run(spawn_beside_others, (void *)trap);
}

static void
own_abrt(int sig)
{
	(void)sig;
	_exit(8);
}

DEATH(sigabrt_of_its_own)
{
	signal(SIGABRT, own_abrt);
	go_run(spawn_beside_others, (void *)call_abort);
}

// abort ends the process as ever, after the story; a handler of the program's comes first.
void
test_fault_abort(void)
{
	expect_death(sigabrt, .signal = SIGABRT, .err = "SIGABRT: abort\nPC=0x",
		     .err_has = {" m=", " sigcode=18446744073709551610\n\ngoroutine ",
				 " [running]:\n", "call_abort(...)\n\t", "segv.c:", BESIDE});
	expect_death(sigtrap, .signal = SIGTRAP, .err = "SIGTRAP: trace trap\nPC=0x",
		     .err_has = {"trap(...)\n\t", BESIDE});
	expect_death(sigabrt_of_its_own, .status = 8, .err = "");
}

static void
fault_in_handler(int sig)
{
	(void)sig;
	*bad_pointer = 1;
}

// The handler runs as soon as the first signal's lets others through, in the middle of that death.
static int
raise_two(void *sig)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	signal(SIGUSR1, fault_in_handler);
	go_lock_os_thread();
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR1);
	raise(*(int *)sig);
	return 0;
}

DEATH(segv_in_sigquit)
{
	static int sig = SIGQUIT;
	go_run(raise_two, &sig);
}

DEATH(segv_in_sigabrt)
{
	static int sig = SIGABRT;
	go_run(raise_two, &sig);
}

// Nobody waits for a death that is one's own.
void
test_fault_while_a_signal_is_told(void)
{
	expect_death(segv_in_sigquit, .status = 3, .err = "fatal error: unexpected signal\n[signal",
		     .err_has = {"]\npanic during panic\n"});
	expect_death(segv_in_sigabrt, .status = 3, .err = "fatal error: unexpected signal\n[signal",
		     .err_has = {"]\npanic during panic\n"});
}

void
test_fault_division(void)
{
#ifdef __x86_64__
	expect_death(sigfpe, .status = 2,
		     .err = "fatal error: unexpected signal\n"
			    "[signal SIGFPE: floating-point exception code=0x1 addr=0x",
		     .err_has = {" [running]:\ndivide(...)\n", BESIDE, "\n\nrax    0x64\n",
				 "\nrip    0x", "\nrflags 0x"});
#else
	skip("a division by zero is no fault here");
#endif
}
