// SPDX-License-Identifier: BSD-3-Clause
// A pipeline: ranges of numbers, as many workers as processors, one place where results meet.
//
//     ranges --> worker, worker, ... --> results
//
// The question: which start below a million makes the longest Collatz chain? Nobody counts the
// workers' work: ranges end when their channel is closed, and results when the last worker has
// closed them.
#include <stdio.h>

#include <undergo.h>

enum { LIMIT = 1000000, STEP = 10000 };

typedef struct Chain {
	int64_t start;
	int length;
} Chain;

typedef struct Pipeline {
	go_chan *ranges;  // the first number of each
	go_chan *results; // the longest chain of a range
	go_waitgroup workers;
} Pipeline;

static int
chain_length(int64_t n)
{
	int length = 1;
	for (; n != 1; length++)
		n = n % 2 == 0 ? n / 2 : 3 * n + 1;
	return length;
}

static void
cut_ranges(void *arg)
{
	Pipeline *p = arg;
	for (int64_t first = 1; first < LIMIT; first += STEP)
		go_chan_send(p->ranges, &first, GO_NEVER);
	go_chan_close(p->ranges);
}

static void
work(void *arg)
{
	Pipeline *p = arg;
	int64_t first;
	while (go_chan_recv(p->ranges, &first, GO_NEVER) == 0) {
		Chain best = {0, 0};
		for (int64_t n = first; n < first + STEP && n < LIMIT; n++) {
			int length = chain_length(n);
			if (length > best.length)
				best = (Chain){n, length};
		}
		go_chan_send(p->results, &best, GO_NEVER);
	}
	go_wg_done(&p->workers);
}

static void
close_results(void *arg)
{
	Pipeline *p = arg;
	go_wg_wait(&p->workers, GO_NEVER);
	go_chan_close(p->results);
}

static int
start(void *arg)
{
	int workers = go_gomaxprocs(0), ranges = 0;
	Pipeline p = {
	    .ranges = go_chan_new(sizeof(int64_t), 0),
	    .results = go_chan_new(sizeof(Chain), 8),
	};
	(void)arg;
	int64_t begin = go_now();
	int err = go_spawn(cut_ranges, &p);
	go_wg_add(&p.workers, workers);
	for (int i = 0; i < workers && err == 0; i++)
		err = go_spawn(work, &p);
	if (err != 0 || go_spawn(close_results, &p) != 0)
		return 1;

	Chain best = {0, 0}, c;
	for (; go_chan_recv(p.results, &c, GO_NEVER) == 0; ranges++)
		if (c.length > best.length)
			best = c;
	printf("%d workers, %d ranges, %.0f ms: %lld makes a chain of %d\n", workers, ranges,
	       (double)(go_now() - begin) / 1e6, (long long)best.start, best.length);
	go_chan_free(p.ranges);
	go_chan_free(p.results);
	return best.start == 837799 && best.length == 525 ? 0 : 1;
}

int
main(void)
{
	return go_run(start, NULL);
}
