// SPDX-License-Identifier: BSD-3-Clause
// The C side of main.go.
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

void goOnThread(void);
int threads_begin(int n);
void threads_end(int n);

enum { MOST = 8, CALLS = 3 };

static pthread_t makers[MOST];
static atomic_int stop;

static void *
calls_and_ends(void *unused)
{
	for (int i = 0; i < CALLS; i++)
		goOnThread();
	return unused;
}

static void *
makes_threads(void *unused)
{
	while (!atomic_load(&stop)) {
		pthread_t t;
		if (pthread_create(&t, NULL, calls_and_ends, NULL) == 0)
			pthread_join(t, NULL);
	}
	return unused;
}

int
threads_begin(int n)
{
	int begun = 0;
	while (begun < n && pthread_create(&makers[begun], NULL, makes_threads, NULL) == 0)
		begun++;
	return begun;
}

void
threads_end(int n)
{
	atomic_store(&stop, 1);
	for (int i = 0; i < n; i++)
		pthread_join(makers[i], NULL);
}
