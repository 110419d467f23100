// SPDX-License-Identifier: BSD-3-Clause
// Hello: the smallest whole program. Three goroutines greet, and the main goroutine waits for them.
//
//	cc hello.c $(pkg-config --cflags --libs undergo) && ./a.out
//
// Which one greets first is up to the scheduler.
#include <stdio.h>

#include <undergo.h>

static go_waitgroup greeting; // a zero value is ready for use

static void
greet(void *arg)
{
	printf("goroutine %llu says %s\n", (unsigned long long)go_id(), (const char *)arg);
	go_wg_done(&greeting);
}

static int
start(void *arg)
{
	char *const *word = arg;
	for (; *word != NULL; word++) {
		go_wg_add(&greeting, 1);
		if (go_spawn(greet, *word) != 0)
			return 1;
	}
	go_wg_wait(&greeting, GO_NEVER);
	return 0;
}

int
main(void)
{
	char *words[] = {"hello", "hallo", "salut", NULL};
	return go_run(start, words);
}
