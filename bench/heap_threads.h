// SPDX-License-Identifier: BSD-3-Clause
// Threads and sleep for the heap programs whose threads are the system's. Include <pthread.h>, or
// what redirects its functions, before this file.
#ifndef UNDERGO_BENCH_HEAP_THREADS_H
#define UNDERGO_BENCH_HEAP_THREADS_H

#include "heap.h"

struct heap_thread {
	pthread_t id;
	void (*fn)(void *);
	void *arg;
};

static void *
heap_thread_run(void *arg)
{
	struct heap_thread *t = arg;

	t->fn(t->arg);
	return NULL;
}

// One thread is the caller itself: a program with one thread makes none.
static void
heap_parallel(int n, void (*fn)(void *), void *args, size_t each)
{
	struct heap_thread t[8];

	bench_check(n >= 1 && n <= 8, "too many threads");
	if (n == 1) {
		fn(args);
		return;
	}
	for (int i = 0; i < n; i++) {
		t[i] = (struct heap_thread){.fn = fn, .arg = (char *)args + (size_t)i * each};
		bench_check(pthread_create(&t[i].id, NULL, heap_thread_run, &t[i]) == 0,
		    "pthread_create failed");
	}
	for (int i = 0; i < n; i++)
		pthread_join(t[i].id, NULL);
}

static void
heap_sleep(int64_t ns)
{
	struct timespec ts = {ns / bench_second_ns, ns % bench_second_ns};

	while (nanosleep(&ts, &ts) != 0)
		continue;
}

#endif
