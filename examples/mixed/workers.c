// SPDX-License-Identifier: BSD-3-Clause
// The goroutines of mixed.go that are written in C.
#include <undergo.h>

typedef struct Tally {
	go_mutex mutex;
	int64_t sum;
} Tally;

typedef struct Parcel {
	int64_t worker, round;
	struct Parcel *next;
} Parcel;

typedef struct Worker {
	go_chan *parcels;
	Tally *tally;
	int64_t id;
	int rounds;
} Worker;

void goNote(int64_t worker); // in Go
void start_workers(void *chan, Tally *tally, int workers, int rounds);

static void
work(void *arg)
{
	const Worker *w = arg;
	Parcel *before = NULL;
	for (int i = 0; i < w->rounds; i++) {
		Parcel *p = go_alloc(sizeof *p);
		*p = (Parcel){w->id, i, before};
		before = p;
		go_mutex_lock(&w->tally->mutex);
		w->tally->sum += i;
		go_mutex_unlock(&w->tally->mutex);
		go_chan_send(w->parcels, &p, GO_NEVER);
	}
	goNote(w->id);
}

void
start_workers(void *chan, Tally *tally, int workers, int rounds)
{
	for (int i = 0; i < workers; i++) {
		Worker *w = go_alloc(sizeof *w);
		*w = (Worker){chan, tally, i, rounds};
		go_spawn(work, w);
	}
}
