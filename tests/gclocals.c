// SPDX-License-Identifier: BSD-3-Clause
// A program whose threads collect, and look whether what a thread-local variable points to is still
// there. It is linked statically, with no loader and thread-locals at the program's break; and with
// thread-locals AROUND that one which take more than a small stack of a thread has.
#include <pthread.h>
#include <undergo.h>

static __thread struct {
	char before[AROUND];
	long *kept;
	char after[AROUND];
} mine;

static void
garbage(void *unused)
{
	(void)unused;
	for (int i = 0; i < 3000; i++)
		*(long *)go_alloc(sizeof(long)) = -1;
}

// Returns NULL when all is well.
static void *
keep(void *wrong)
{
	mine.kept = go_alloc(sizeof(long));
	*mine.kept = 42;
	for (int i = 0; i < 2; i++) {
		go_gc();
		garbage(NULL);
	}
	return *mine.kept == 42 ? NULL : wrong;
}

static int
start(void *wrong)
{
	pthread_t t;
	void *result = wrong;
	go_spawn(garbage, NULL);
	if (pthread_create(&t, NULL, keep, wrong) == 0)
		pthread_join(t, &result);
	return result != NULL;
}

int
main(void)
{
	int wrong = 1;
	return keep(&wrong) != NULL || go_run(start, &wrong) != 0;
}
