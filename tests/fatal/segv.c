// SPDX-License-Identifier: BSD-3-Clause Faults: a goroutine's bad pointer ends the process with the
// signal, the address, its traceback and status 2; handlers of the program's own, threads that
// never called us, and sent signals come first.
#include <pthread.h>
#include <signal.h>

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

void
test_fault_is_fatal(void)
{
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

DEATH(segv_ignored_in_vain)
{
	signal(SIGSEGV, SIG_IGN);
	go_run(spawn_beside_others, (void *)write_badly);
}

void
test_fault_that_is_ignored(void)
{
	expect_death(segv_ignored, .status = 7, .err = "", .err_lacks = {"error"});
	expect_death(segv_ignored_in_vain, .status = 2,
		     .err = "fatal error: unexpected signal\n[signal SIGSEGV");
}

void
test_fault_of_a_stranger(void)
{
	expect_death(segv_of_a_stranger, .signal = SIGSEGV, .err_lacks = {"fatal error"});
	expect_death(segv_sent, .signal = SIGSEGV, .err_lacks = {"fatal error"});
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
