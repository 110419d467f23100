// SPDX-License-Identifier: BSD-3-Clause
// A signal at every instruction of a switch between goroutines.
//
// A child makes goroutines switch, by yielding and through a channel. Its parent steps that thread
// one instruction at a time, and delivers a signal the first few times that it comes to a place.
// The handler walks the stack, as a death or a profiler does, and must find the function of one of
// the goroutines, unless the stack is the scheduler's; then the switch goes on as if nothing had
// been. The handler ends with a second signal, blocked until then, by which the parent knows that
// it is over.
//
// How many steps there are depends on how often the monitor finds the slow thread asleep and takes
// its P, so on the load of the machine: the test's limit alone ends a child that does not.
#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <undergo.h>
#include <unistd.h>
#include <unwind.h>

#include "base/base.h"
#include "harness.h"
#include "os/os.h"
#include "sched/sched.h"

enum {
	MARK = SIGUSR2,     // stepping begins, or ends
	SIGNAL = SIGUSR1,   // delivered at each place
	OVER = SIGWINCH,    // its handler has ended
	ROUNDS = 4,
	PLACES_MAX = 1 << 13, // a power of two
	EACH_PLACE = 6,
	IN_SWITCH_WANTED = 40, // two goroutines' ends of it, and a few more
};

// What the child tells; shared.
typedef struct Told {
	int walks;      // handlers that have run
	int in_switch;  // of these, where the switch itself was interrupted
	int on_g0_in_switch; // on the scheduler's stack
	int lost;       // in a switch, that found none
	uintptr_t lost_pc;
	int rounds; // switches that went well
} Told;

static Told *told;
static go_chan *to_pong, *to_ping;

// --- the child ----------------------------------------------------------------------------------

static void pong(void *unused);
static int ping(void *unused);

typedef struct Seen {
	bool ours;
	int frames;
} Seen;

static _Unwind_Reason_Code
see_frame(struct _Unwind_Context *context, void *v)
{
	Seen *seen = v;
	uintptr_t start = _Unwind_GetRegionStart(context);
	seen->ours |= start == (uintptr_t)ping || start == (uintptr_t)pong;
	seen->frames++;
	return _URC_NO_REASON;
}

static void
on_step(int sig, siginfo_t *info, void *context)
{
	Seen seen = {false, 0};
	uintptr_t pc, sp;
	(void)sig;
	(void)info;
	os_signal_regs(context, &pc, &sp);
	_Unwind_Backtrace(see_frame, &seen);
	M *mp = sched_m();
	bool g0 = mp != NULL && sp >= (uintptr_t)mp->stack_lo && sp < (uintptr_t)mp->stack_hi;
	bool in_switch = pc >= (uintptr_t)arch_switch && pc < (uintptr_t)arch_start;
	told->walks++;
	told->on_g0_in_switch += in_switch && g0;
	told->in_switch += in_switch;
	if (in_switch && !seen.ours && !g0) {
		told->lost++;
		told->lost_pc = pc - (uintptr_t)arch_switch;
	}
	syscall(SYS_tgkill, getpid(), gettid(), OVER);
}

static void
mark(void)
{
	syscall(SYS_tgkill, getpid(), gettid(), MARK);
}

static void
pong(void *unused)
{
	int v;
	(void)unused;
	for (int i = 0; i < ROUNDS; i++)
		go_yield();
	while (go_chan_recv(to_pong, &v, GO_NEVER) == 0)
		go_chan_send(to_ping, &v, GO_NEVER);
	__asm__ volatile("");
}

static int
ping(void *unused)
{
	(void)unused;
	go_spawn(pong, NULL);
	mark();
	for (int i = 0; i < ROUNDS; i++)
		go_yield();
	for (int i = 0, v; i < ROUNDS; i++) {
		go_chan_send(to_pong, &i, GO_NEVER);
		go_chan_recv(to_ping, &v, GO_NEVER);
		told->rounds += v == i;
	}
	mark();
	return 0;
}

static void
be_stepped(void)
{
	struct sigaction sa = {.sa_sigaction = on_step, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	sigaddset(&sa.sa_mask, OVER);
	sigaction(SIGNAL, &sa, NULL);
	setenv("UNDERGO_FAULT", "thread:3+:EAGAIN", 1); // no thread to go on elsewhere: it is slow
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	raise(SIGSTOP);
	go_gomaxprocs(1);
	to_pong = go_chan_new(sizeof(int), 0);
	to_ping = go_chan_new(sizeof(int), 0);
	_exit(go_run(ping, NULL));
}

// --- the parent ---------------------------------------------------------------------------------

static uintptr_t
pc_of(pid_t tid)
{
	struct user_regs_struct regs;
	struct iovec to = {&regs, sizeof(regs)};
	if (ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &to) != 0)
		return 0;
#ifdef __x86_64__
	return regs.rip;
#else
	return regs.pc;
#endif
}

static struct Place {
	uintptr_t pc;
	int hits;
} places[PLACES_MAX];
static int n_places;

// Whether pc has been seen a few times at most.
static bool
note_place(uintptr_t pc)
{
	size_t i = pc * UINT64_C(0x9E3779B97F4A7C15) >> 40;
	struct Place *p = &places[i % PLACES_MAX];
	while (p->pc != pc && p->pc != 0)
		p = &places[++i % PLACES_MAX];
	if (p->pc == 0)
		expect(n_places++ < PLACES_MAX / 2);
	p->pc = pc;
	return p->hits++ < EACH_PLACE;
}

typedef struct Stepper {
	pid_t child, stepped; // stepped 0: none
	pid_t monitor; // rests meanwhile: to it all takes too long, and is to be ended
	int marks;
} Stepper;

static void
go_on(const Stepper *s, pid_t tid, int sig)
{
	int how = tid == s->stepped ? PTRACE_SINGLESTEP : PTRACE_CONT;
	ptrace((enum __ptrace_request)how, tid, NULL, (void *)(intptr_t)sig);
}

// Whether the monitor was stopped where it waits, and not with the P in its hands, say, which the
// other thread would wait for then.
static bool
monitor_rests(const Stepper *s)
{
	enum { WAIT = 0, WAIT_BITSET = 9, OP = 0x7f };
	char path[64];
	long call = 0;
	unsigned long word, op = OP;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", (int)s->child, (int)s->monitor);
	FILE *f = fopen(path, "r");
	if (f == NULL)
		return false;
	int n = fscanf(f, "%ld %lx %lx", &call, &word, &op);
	fclose(f);
	return n == 3 && call == SYS_futex && ((op & OP) == WAIT || (op & OP) == WAIT_BITSET);
}

static void
stop_monitor(const Stepper *s)
{
	syscall(SYS_tgkill, s->child, s->monitor, SIGSTOP);
}

// A thread of the child has stopped with sig.
static void
stopped(Stepper *s, pid_t tid, int status)
{
	int sig = WSTOPSIG(status);
	if (status >> 16 != 0) { // it has started a thread
		unsigned long started = 0;
		ptrace(PTRACE_GETEVENTMSG, tid, NULL, &started);
		if (s->monitor == 0)
			s->monitor = (pid_t)started;
		go_on(s, tid, 0);
	} else if (sig == MARK) {
		s->stepped = s->marks++ == 0 ? tid : 0;
		if (s->stepped != 0) {
			stop_monitor(s);
		} else {
			go_on(s, s->monitor, 0);
			go_on(s, tid, 0);
		}
	} else if (sig == SIGSTOP && tid == s->monitor && s->stepped != 0) {
		if (monitor_rests(s)) { // until the next mark
			go_on(s, s->stepped, 0);
			return;
		}
		go_on(s, tid, 0);
		usleep(1000); // stopped at once it would not get any further
		stop_monitor(s);
	} else if (sig == OVER || sig == SIGSTOP) {
		go_on(s, tid, 0);
	} else if (sig == SIGTRAP && tid == s->stepped) {
		if (note_place(pc_of(tid)))
			ptrace(PTRACE_CONT, tid, NULL, (void *)SIGNAL); // until it is OVER
		else
			go_on(s, tid, 0);
	} else {
		go_on(s, tid, sig == SIGTRAP ? 0 : sig);
	}
}

static void
step_a_child(void)
{
	int status;
	Stepper s = {0};
	pid_t child = s.child = fork();
	if (child == 0)
		be_stepped();
	expect_eq(waitpid(child, &status, 0), child);
	if (!WIFSTOPPED(status) || ptrace(PTRACE_SETOPTIONS, child, NULL,
					  PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL) != 0)
		skip("no process can be traced here");
	ptrace(PTRACE_CONT, child, NULL, NULL);
	for (;;) {
		pid_t tid = waitpid(-1, &status, __WALL);
		expect(tid > 0);
		if (WIFSTOPPED(status))
			stopped(&s, tid, status);
		else if (tid == child)
			break;
	}
	expect(WIFEXITED(status));
	expect_eq(WEXITSTATUS(status), 0);
	expect_eq(s.marks, 2);
}

// Until there were enough signals within the switch of a goroutine.
void
test_switch_signal_at_each_instruction(void)
{
	told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	expect(told != MAP_FAILED);
	while (told->in_switch - told->on_g0_in_switch < IN_SWITCH_WANTED) {
		told->rounds = 0;
		n_places = 0;
		memset(places, 0, sizeof(places)); // another child lies where it will
		step_a_child();
		expect_eq(told->rounds, ROUNDS);
	}
	if (told->lost != 0)
		fprintf(stderr, "no goroutine found from arch_switch+%#lx\n", (long)told->lost_pc);
	expect_eq(told->lost, 0);
	expect(told->walks > 100);
}
