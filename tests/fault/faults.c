// SPDX-License-Identifier: BSD-3-Clause
// The system refuses something, once or for a while or for good. A program of goroutines, channels
// and timers then comes to its end, or is told by an error code, or dies with one clean line. It
// never hangs, never crashes, and nothing that was accepted is lost.
#include "child.h"
#include "goroutines.h"

enum {
	EXIT_TOLD = 3, // an error code was returned to the program
	WORKERS = 100,
	LIMIT_MS = 10000,
};

// --- the program --------------------------------------------------------------------------------

static Count finished, fired;

static void
told(const char *what)
{
	printf("told: %s\n", what);
	fflush(stdout);
	_exit(EXIT_TOLD);
}

static void
count_fired(void *unused)
{
	(void)unused;
	count_add(&fired);
}

static void
work(void *arg)
{
	go_chan *c = arg;
	long id = (long)go_id();
	expect_eq(go_sleep(100 * GO_USEC), 0);
	for (int i = 0; i < 3; i++) {
		expect_eq(go_chan_send(c, &id, GO_NEVER), 0);
		go_yield();
	}
	count_add(&finished);
}

static int
program_main(void *unused)
{
	(void)unused;
	go_timer *timers[10];
	long started = 0, set = 0, v;
	go_chan *c = go_chan_new(sizeof(long), 2);
	if (c == NULL)
		told("go_chan_new");
	for (int i = 0; i < 10; i++) {
		timers[i] = go_after_func(i * 200 * GO_USEC, count_fired, NULL);
		set += timers[i] != NULL;
	}
	for (int i = 0; i < WORKERS; i++) {
		go_attr attr = {.stack_bytes = i % 10 == 0 ? 1 << 20 : 0, .name = "worker"};
		int err = go_spawn_with(&attr, work, c);
		expect(err == 0 || err == GO_ENOMEM);
		started += err == 0;
		if (i % 30 == 0)
			go_gomaxprocs(1 + i / 10);
	}
	for (long i = 0; i < 3 * started; i++)
		expect_eq(go_chan_recv(c, &v, GO_NEVER), 0);
	until(count_of(&finished) == started);
	until(count_of(&fired) == set);
	expect_eq(go_chan_recv(c, &v, go_in(GO_MSEC)), GO_ETIMEDOUT);
	for (int i = 0; i < 10; i++)
		go_timer_free(timers[i]);
	go_gomaxprocs(2);
	return 0;
}

DEATH(fault_program)
{
	int err = go_run(program_main, NULL);
	if (err == GO_ENOMEM)
		told("go_run");
	expect_eq(err, 0);
	printf("done\n");
}

// The thread's first call is one that can report an error, and then does.
DEATH(fault_first_call)
{
	expect_eq(go_spawn(NULL, NULL), GO_EINVAL);
	if (go_spawn(count_fired, NULL) != 0)
		told("go_spawn");
	until(count_of(&fired) == 1);
	printf("done\n");
}

DEATH(fault_first_chan)
{
	go_chan *c = go_chan_new(1, 1);
	if (c == NULL)
		told("go_chan_new");
	go_chan_free(c);
	printf("done\n");
}

DEATH(fault_first_timer)
{
	go_timer *t = go_timer_new(GO_SEC);
	if (t == NULL)
		told("go_timer_new");
	go_timer_free(t);
	printf("done\n");
}

DEATH(fault_first_ctx)
{
	go_ctx *c = go_ctx_new(NULL, GO_NEVER);
	if (c == NULL)
		told("go_ctx_new");
	go_ctx_unref(c);
	printf("done\n");
}

DEATH(fault_first_local)
{
	go_local_key key;
	int value;
	if (go_local_key_new(&key, NULL) != 0 || go_local_set(key, &value) != 0)
		told("go_local_set");
	printf("done\n");
}

DEATH(fault_first_select)
{
	go_case cases[20] = {{0}};
	if (go_select(cases, 20, GO_POLL) == GO_ENOMEM)
		told("go_select");
	printf("done\n");
}

// A table's description for the collector is refused: the map is as it was, and good later.
DEATH(fault_first_map)
{
	GO_MAP(long, const char *) m;
	const char **elem = NULL;
	if (go_map_init(m, 0) != 0)
		told("go_map_init");
	for (long i = 0; i < 100; i++) {
		elem = go_map_try_at(m, i);
		if (elem == NULL) {
			printf("refused %ld\n", i);
			expect(!go_map_has(m, i));
			elem = go_map_try_at(m, i);
		}
		expect(elem != NULL && *elem == NULL);
		*elem = "there";
		expect_eq(go_map_len(m), i + 1);
	}
	for (long i = 0; i < 100; i++)
		expect(strcmp(go_map_get(m, i), "there") == 0);
	printf("done\n");
}

DEATH(fault_first_yield)
{
	go_yield();
	printf("done\n");
}

// --- judging ------------------------------------------------------------------------------------

static ChildEnd end;

static const char *
run_with(const char *program, const char *plan)
{
	static char text[512];
	snprintf(text, sizeof(text), "UNDERGO_FAULT=%s", plan);
	char *env[] = {text, NULL};
	child_run(&end, program, env, LIMIT_MS);
	return plan;
}

static void
judge(const char *plan, bool must_succeed)
{
	bool fine = end.status == 0 && child_lines(&end, "done") == 1;
	if (!must_succeed) {
		fine = fine || (end.status == EXIT_TOLD && child_lines(&end, "told: ") == 1);
		// out of memory or threads: said once, and what the runtime checks never fails
		fine = fine || (end.status == 2 && child_lines(&end, "fatal error: ") == 1);
	}
	if (fine)
		return;
	printf("UNDERGO_FAULT=%s: ended with %d\n%s\n", plan, end.status, end.text);
	fflush(stdout);
	expect(false);
}

typedef enum Forms { NOT_FOR_GOOD, FOR_GOOD_TOO } Forms;

// That failure at the first, second, ... call, at many, and for good.
static void
each_call(const char *kind, const char *error, bool must_succeed, Forms forms)
{
	long step = test_scale(40) >= 40 ? 1 : 40 / test_scale(40);
	for (long n = 1; n <= 40; n += step) {
		char plan[64];
		snprintf(plan, sizeof(plan), "%s:%ld:%s", kind, n, error);
		judge(run_with("fault_program", plan), must_succeed);
	}
	static const char *const when[] = {"%2", "%3", "~3", "~10", "5+", "20+", "*"};
	size_t n_when = forms == FOR_GOOD_TOO ? 7 : 4, stride = step > 4 ? 3 : 1;
	for (size_t i = 0; i < n_when; i += stride) {
		char plan[64];
		snprintf(plan, sizeof(plan), "%s:%s:%s", kind, when[i], error);
		judge(run_with("fault_program", plan), must_succeed);
	}
}

void
test_fault_none(void)
{
	judge(run_with("fault_program", ""), true);
	judge(run_with("fault_program", "map:1000000:ENOMEM"), true);
}

void
test_fault_map(void)
{
	each_call("map", "ENOMEM", false, FOR_GOOD_TOO);
}

void
test_fault_alloc(void)
{
	each_call("alloc", "ENOMEM", false, FOR_GOOD_TOO);
}

void
test_fault_first_calls(void)
{
	static const char *const programs[] = {"fault_first_call", "fault_first_chan",
					       "fault_first_timer", "fault_first_ctx",
					       "fault_first_local", "fault_first_select"};
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		for (int n = 1; n <= 16; n++) {
			char plan[64];
			snprintf(plan, sizeof(plan), "alloc:%d:ENOMEM", n);
			run_with(programs[i], plan);
			if (end.status != 0)
				expect_eq(child_lines(&end, "told: "), 1);
		}
}

// The calls before are those of starting up.
void
test_fault_map_layout(void)
{
	int refused = 0;
	for (int n = 1; n <= 40; n++) {
		char plan[64];
		snprintf(plan, sizeof(plan), "alloc:%d:ENOMEM", n);
		run_with("fault_first_map", plan);
		if (child_lines(&end, "told: ") == 1)
			continue;
		expect_eq(end.status, 0);
		expect_eq(child_lines(&end, "done"), 1);
		refused += (int)child_lines(&end, "refused ");
	}
	expect(refused >= 3);
}

// One that cannot report it says so and ends.
void
test_fault_first_call_dies(void)
{
	run_with("fault_first_yield", "alloc:*:ENOMEM");
	expect_eq(end.status, 2);
	expect_eq(child_lines(&end, "fatal error: no memory or no thread to start with"), 1);
}

void
test_fault_thread(void)
{
	each_call("thread", "EAGAIN", false, FOR_GOOD_TOO);
}

// What the runtime can do without.
void
test_fault_harmless(void)
{
	each_call("unmap", "ENOMEM", true, FOR_GOOD_TOO);
	each_call("decommit", "ENOMEM", true, FOR_GOOD_TOO);
	each_call("no_huge_pages", "EINVAL", true, FOR_GOOD_TOO);
	each_call("read_file", "ENOENT", true, FOR_GOOD_TOO);
	each_call("membarrier", "ENOSYS", true, FOR_GOOD_TOO);
}

// Guards: another kind is tried, and then none.
void
test_fault_guards(void)
{
	each_call("guard", "EINVAL", true, FOR_GOOD_TOO);
	each_call("protect_none", "ENOMEM", true, FOR_GOOD_TOO);
	judge(run_with("fault_program", "guard:*:EINVAL,protect_none:*:ENOMEM"), true);
	judge(run_with("fault_program", "guard:*:EINVAL,protect_none:%2:ENOMEM"), true);
}

// Wakes for no reason, wakes that come late, sleeps that are short, clocks that cannot be read.
void
test_fault_futex(void)
{
	each_call("futex_wait", "EINTR", true, NOT_FOR_GOOD); // it would never see its deadline
	each_call("futex_wake", "EINTR", true, FOR_GOOD_TOO);
}

void
test_fault_monitor(void)
{
	each_call("sleep", "EINTR", true, FOR_GOOD_TOO);
	each_call("thread_cpu", "ESRCH", true, FOR_GOOD_TOO);
	each_call("thread_count", "EIO", true, FOR_GOOD_TOO);
	each_call("thread_try", "EAGAIN", false, FOR_GOOD_TOO);
}

static atomic_int yields;

static void
yield_locked(void *unused)
{
	(void)unused;
	go_lock_os_thread();
	while (atomic_fetch_add(&yields, 1) < 100)
		go_yield();
}

static int
yield_locked_both(void *unused)
{
	go_spawn(yield_locked, NULL);
	yield_locked(unused);
	return 0;
}

// One P, a thread for each of two goroutines that are locked to theirs, and none beside.
DEATH(fault_all_locked)
{
	go_gomaxprocs(1);
	expect_eq(go_run(yield_locked_both, NULL), 0);
}

void
test_fault_threads_all_locked(void)
{
	expect_death(fault_all_locked, .status = 0, .limit_ms = 20000,
		     .env = "UNDERGO_FAULT=thread_try:4+:EAGAIN");
}

// The same, with nobody but them to mind timers.
static void
sleep_locked(void *done)
{
	go_lock_os_thread();
	for (int i = 0; i < 20; i++)
		go_sleep(GO_MSEC);
	count_add(done);
}

static int
sleep_locked_all(void *unused)
{
	enum { SLEEPERS = 8 };
	static Count done;
	(void)unused;
	go_lock_os_thread();
	for (int i = 0; i < SLEEPERS; i++)
		expect_eq(go_spawn(sleep_locked, &done), 0);
	until(count_of(&done) != 0);
	return 0;
}

DEATH(fault_sleeping_locked)
{
	go_gomaxprocs(2);
	expect_eq(go_run(sleep_locked_all, NULL), 0);
}

void
test_fault_threads_sleeping_locked(void)
{
	expect_death(fault_sleeping_locked, .status = 0, .limit_ms = 20000,
		     .env = "UNDERGO_FAULT=thread_try:4+:EAGAIN");
}

void
test_fault_signals(void)
{
	each_call("signal_stack", "ENOMEM", false, FOR_GOOD_TOO);
	each_call("signal_handle", "EINVAL", false, FOR_GOOD_TOO);
}

static int
notify_refused(void *unused)
{
	(void)unused;
	const int sigs[] = {SIGUSR1, SIGUSR2, SIGHUP, SIGALRM};
	go_chan *c = go_chan_new(sizeof(int), 4);
	for (int i = 0; i < 4; i++)
		expect_eq(go_signal_ignore(sigs[i]), 0);
	int err = go_signal_notify(c, 0);
	if (err != 0)
		printf("refused\n");
	for (int i = 0; i < 4; i++) {
		expect_eq(go_signal_ignored(sigs[i]), err != 0);
		raise(sigs[i]);
	}
	for (int sig; err == 0 && go_chan_recv(c, &sig, GO_NEVER) == 0 && sig != SIGALRM;)
		;
	printf("done\n");
	return 0;
}

DEATH(fault_notify)
{
	if (go_run(notify_refused, NULL) == GO_ENOMEM)
		told("go_run");
}

// What cannot be had as a whole is as it was.
void
test_fault_signal_notify(void)
{
	long refused = 0;
	for (int n = 1; n <= 40; n++) {
		char plan[64];
		snprintf(plan, sizeof(plan), "signal_handle:%d:EINVAL", n);
		judge(run_with("fault_notify", plan), false);
		refused += child_lines(&end, "refused");
	}
	expect(refused >= 20);
}

// All at once.
void
test_fault_mixed(void)
{
	long step = test_scale(40) >= 40 ? 1 : 40 / test_scale(40);
	for (long n = 2; n <= 40; n += step) {
		char plan[256];
		snprintf(plan, sizeof(plan),
			 "map:~%ld:ENOMEM,alloc:~%ld:ENOMEM,thread:~%ld:EAGAIN,futex_wait:~2:EINTR,"
			 "futex_wake:~5:EINTR,sleep:~2:EINTR,guard:~%ld:EINVAL,thread_cpu:~3:ESRCH",
			 40 * n, 10 * n, n, n);
		judge(run_with("fault_program", plan), false);
	}
}

// --- recovering ---------------------------------------------------------------------------------

static int
recovering_main(void *unused)
{
	return program_main(unused);
}

// Tries again until there is a thread to start with.
DEATH(fault_recovering)
{
	int err, tries = 0;
	while ((err = go_run(recovering_main, NULL)) == GO_ENOMEM)
		expect(++tries < 20);
	expect_eq(err, 0);
	printf("done\n");
}

// Threads are refused at first, or for a while; when they can be had again all goes on.
void
test_fault_threads_come_back(void)
{
	static const char *const plans[] = {
	    "thread:1:EAGAIN",
	    "thread:1:EAGAIN,thread:2:EAGAIN,thread:3:EAGAIN",
	    "thread:2:EAGAIN,thread:3:EAGAIN,thread:4:EAGAIN",
	    "thread:3:EAGAIN,thread:4:EAGAIN,thread:5:EAGAIN,thread:6:EAGAIN,thread:7:EAGAIN",
	};
	for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++)
		judge(run_with("fault_recovering", plans[i]), true);
}

// With one worker and the monitor, and never a further thread, everything still ends.
void
test_fault_one_worker_is_enough(void)
{
	judge(run_with("fault_program", "thread:3+:EAGAIN"), true);
}

static int pipe_fd[2];
static Count readers;

static void
read_one(void *unused)
{
	(void)unused;
	char byte;
	expect_eq(read(pipe_fd[0], &byte, 1), 1);
	count_add(&readers);
}

static _Noreturn void
spin_for_ever(void *unused)
{
	(void)unused;
	for (volatile long n = 0;;)
		n++;
}

static int
blocked_main(void *unused)
{
	(void)unused;
	expect_eq(pipe(pipe_fd), 0);
	for (int i = 0; i < 5; i++)
		expect_eq(go_spawn(read_one, NULL), 0);
	expect_eq(go_spawn(spin_for_ever, NULL), 0);
	program_main(NULL);
	expect_eq(write(pipe_fd[1], "12345", 5), 5);
	until(count_of(&readers) == 5);
	return 0;
}

DEATH(fault_blocked)
{
	go_gomaxprocs(1);
	expect_eq(go_run(blocked_main, NULL), 0);
	printf("done\n");
}

// Goroutines block and compute, and the threads that would take their Ps are refused for a while.
void
test_fault_blocked_without_threads(void)
{
	judge(run_with("fault_blocked", ""), true);
	for (int from = 3; from <= 8; from++) {
		char plan[512] = "";
		for (int n = from; n < from + 12; n++) {
			char rule[32];
			snprintf(rule, sizeof(rule), "%sthread:%d:EAGAIN", n > from ? "," : "", n);
			strcat(plan, rule);
		}
		judge(run_with("fault_blocked", plan), true);
	}
}
