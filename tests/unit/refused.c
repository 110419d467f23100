// SPDX-License-Identifier: BSD-3-Clause
// While the system refuses threads nobody who wakes a goroutine asks for one: the monitor does, at
// growing distances.
#include "goroutines.h"
#include "os/os.h"

enum { ROUNDS = 300 };

static go_chan *to, *fro;

static void
echo(void *unused)
{
	(void)unused;
	for (int v, i = 0; i < ROUNDS; i++) {
		expect_eq(go_chan_recv(to, &v, GO_NEVER), 0);
		expect_eq(go_chan_send(fro, &v, GO_NEVER), 0);
	}
}

static int
ping_main(void *unused)
{
	(void)unused;
	go_stats st;
	int64_t start = test_now_ns();
	to = go_chan_new(sizeof(int), 0);
	fro = go_chan_new(sizeof(int), 0);
	expect_eq(go_spawn(echo, NULL), 0);
	for (int v, i = 0; i < ROUNDS; i++) {
		expect_eq(go_chan_send(to, &i, GO_NEVER), 0);
		expect_eq(go_chan_recv(fro, &v, GO_NEVER), 0);
	}
	for (int i = 0; i < 20; i++)
		expect_eq(go_sleep(100 * GO_USEC), 0);
	// One by a waker and one by the monitor for each of the monitor's distances.
	int64_t most = 40 + 2 * (test_now_ns() - start) / (128 * GO_MSEC);
	expect((int64_t)os_fault_count("thread_try") <= most);
	do // one that is just being refused counts till then
		go_stats_read(&st);
	while (st.threads_made == 3);
	expect_eq((int)st.threads_made, 2); // the monitor and one worker; refused ones do not count
	return 0;
}

void
test_sched_refused_threads(void)
{
	expect_eq(setenv("UNDERGO_FAULT", "thread_try:3+:EAGAIN", 1), 0);
	go_gomaxprocs(4);
	expect_eq(go_run(ping_main, NULL), 0);
}
