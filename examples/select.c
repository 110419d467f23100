// SPDX-License-Identifier: BSD-3-Clause
// select: one goroutine listens to three things at once, a producer, a clock and the end.
//
// The producer makes a number whenever it likes. The ticker says when to sum up. Closing `quit`
// tells everybody to stop, because a closed channel is always ready: it is a broadcast.
#include <stdio.h>

#include <undergo.h>

typedef struct Source {
	go_chan *numbers;
	go_chan *quit;
	go_waitgroup stopped;
} Source;

// Offers one number after the other; each offer is given up when the end comes.
static void
produce(void *arg)
{
	Source *s = arg;
	int n = 0;
	go_case cases[] = {GO_CASE_SEND(s->numbers, &n), GO_CASE_RECV(s->quit, NULL)};
	while (go_select(cases, 2, GO_NEVER) == 0) {
		n++;
		go_sleep(3 * GO_MSEC);
	}
	go_wg_done(&s->stopped);
}

// Returns how many numbers came out of order.
static int
consume(Source *s)
{
	enum { NUMBER, TICK, TICKS = 5 };
	go_timer *ticker = go_ticker_new(20 * GO_MSEC);
	int n = 0, expected = 0, since = 0, wrong = 0;
	go_case cases[] = {
	    [NUMBER] = GO_CASE_RECV(s->numbers, &n),
	    [TICK] = GO_CASE_RECV(go_timer_chan(ticker), NULL),
	};
	for (int ticks = 0; ticks < TICKS;) {
		switch (go_select(cases, 2, go_in(2 * GO_SEC))) {
		case NUMBER:
			wrong += n != expected++;
			since++;
			break;
		case TICK:
			printf("tick %d: %d numbers, the last is %d\n", ++ticks, since, n);
			since = 0;
			break;
		default: // a deadline: neither came for two seconds
			wrong++;
			ticks = TICKS;
		}
	}
	go_timer_free(ticker);
	return wrong;
}

static int
start(void *arg)
{
	Source s = {.numbers = go_chan_new(sizeof(int), 0), .quit = go_chan_new(0, 0)};
	(void)arg;
	go_wg_add(&s.stopped, 1);
	if (go_spawn(produce, &s) != 0)
		return 1;
	int wrong = consume(&s);
	go_chan_close(s.quit);
	go_wg_wait(&s.stopped, GO_NEVER);
	go_chan_free(s.numbers);
	go_chan_free(s.quit);
	return wrong != 0;
}

int
main(void)
{
	return go_run(start, NULL);
}
