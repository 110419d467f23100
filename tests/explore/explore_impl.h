// SPDX-License-Identifier: BSD-3-Clause
// What the engine (explore_engine.h) and the command around it (explore_main.c) share.
#ifndef UNDERGO_TESTS_EXPLORE_IMPL_H
#define UNDERGO_TESTS_EXPLORE_IMPL_H

#include "explore.h"

// Of the schedule played last.
extern struct ExploreResult {
	int steps;
	uint64_t outcomes;
	char text[512]; // why it failed
} explore_result;

extern bool explore_tracing;    // print each step
extern bool explore_membarrier; // a heavy fence does just what membarrier does

// Once, before the first schedule: stacks, signals, the watch.
void explore_set_up(void);
// Watches over this process, too: timers are not inherited by a child.
void explore_watch(void);

// Plays one schedule; false when it failed. k: steps an average schedule of the test has, for the
// change points of PCT.
bool explore_play(const struct ExploreTest *test, int test_index, uint64_t seed, uint64_t number,
		  int k);

#endif
