// SPDX-License-Identifier: BSD-3-Clause
// Blocking: C code that blocks its thread, or computes without end, does not stop the others.
//
// GOMAXPROCS is set to 1, so one goroutine at a time may run. Yet while one sits in an ordinary
// read from an empty pipe and another one computes without calling anything, a third keeps its
// beat. The runtime lends a processor; whoever does not come back with it loses it to others.
#include <stdio.h>
#include <unistd.h>

#include <undergo.h>

typedef struct Shared {
	int pipe[2];
	go_chan *answer; // what came through the pipe
	go_waitgroup alive;
} Shared;

static void
reader(void *arg)
{
	Shared *s = arg;
	char byte = 0;
	if (read(s->pipe[0], &byte, 1) == 1) // no wrapper, no hint: libc's read
		printf("reader: got '%c'\n", byte);
	go_chan_send(s->answer, &byte, GO_NEVER);
	go_wg_done(&s->alive);
}

// A third of a second or so of nothing but arithmetic.
static void
computer(void *arg)
{
	Shared *s = arg;
	volatile unsigned x = 1;
	for (int i = 0; i < 100 * 1000 * 1000; i++)
		x = x * 1664525 + 1013904223;
	printf("computer: done\n");
	go_wg_done(&s->alive);
}

// Returns how many beats came on this side of their patience.
static int
beat(int beats)
{
	int in_time = 0;
	for (int i = 0; i < beats; i++) {
		int64_t planned = go_in(20 * GO_MSEC);
		go_sleep_until(planned);
		int64_t late = go_now() - planned;
		printf("beat %d, late by %.1f ms\n", i + 1, (double)late / 1e6);
		in_time += late < 500 * GO_MSEC;
	}
	return in_time;
}

static int
start(void *arg)
{
	enum { BEATS = 10 };
	Shared s = {.answer = go_chan_new(1, 1)};
	char byte = 0;
	(void)arg;
	go_gomaxprocs(1);
	if (pipe(s.pipe) != 0)
		return 1;
	go_wg_add(&s.alive, 2);
	if (go_spawn(reader, &s) != 0 || go_spawn(computer, &s) != 0)
		return 1;

	int in_time = beat(BEATS);
	bool waited = go_chan_recv(s.answer, &byte, GO_POLL) == GO_EAGAIN; // it still sits there
	if (write(s.pipe[1], "!", 1) != 1)
		return 1;
	go_chan_recv(s.answer, &byte, GO_NEVER);
	go_wg_wait(&s.alive, GO_NEVER);
	go_chan_free(s.answer);

	go_stats st;
	go_stats_read(&st);
	printf("%llu times the processor was taken back\n", (unsigned long long)st.retakes);
	return in_time == BEATS && waited && byte == '!' && st.retakes > 0 ? 0 : 1;
}

int
main(void)
{
	return go_run(start, NULL);
}
