// SPDX-License-Identifier: BSD-3-Clause
// The mutators of stress/heap.c, for tests that run them beside something else.
#ifndef UNDERGO_TESTS_MUTATORS_H
#define UNDERGO_TESTS_MUTATORS_H

// How many thousand steps each of them makes, before test_scale; set before test_heap_mutators.
extern long mutator_rounds;
// How many trees each goroutine sends that does so meanwhile, at most; set likewise.
extern long mutator_parcels;

#endif
