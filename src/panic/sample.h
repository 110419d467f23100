// SPDX-License-Identifier: BSD-3-Clause
// Stacks of what runs, taken by a signal: samples for a CPU profile, and the stack of one goroutine
// that somebody asks for. See sample.c.
#ifndef UNDERGO_PANIC_SAMPLE_H
#define UNDERGO_PANIC_SAMPLE_H

#include "sched/sched.h"

struct Walk; // panic_impl.h

enum { SAMPLE_FRAMES = 64 };

typedef struct Sample {
	void *tag;
	size_t n;
	uintptr_t pcs[SAMPLE_FRAMES]; // from the inside; all as return addresses are
} Sample;

// From now on hz samples are taken of each second that the process computes. What tag() returns on
// the thread at hand goes with each.  Stack of tag: signal.
// One caller at a time starts, stops, takes. 0 or GO_E...
int sample_start(int hz, void *(*tag)(void));
void sample_stop(void);
// Takes a sample; false: there is none now.
bool sample_take(Sample *s);
// How many found no room since this was last asked.
uint64_t sample_lost(void);

// Asks the thread of a G that runs elsewhere for its stack.
typedef struct Question {
	const G *gp;
	uint64_t id;   // its number; the stack of another that has its record now is no answer
	int64_t until; // os_nanotime's clock; the question is over when it is answered, or by then
	bool dying;    // the caller, of the process's one death
} Question;
typedef enum Answer {
	ANSWER_NONE,  // its thread is deaf, has too little time, or may not be asked
	ANSWER_LEFT,  // it is not there any more, or not yet: look at it anew
	ANSWER_STACK, // w has it
} Answer;
// While the process lives nobody is asked when SIGPROF has a handler of the program's, or is
// ignored; and when somebody dies, only by him. The caller is outside of the runtime, or dies.
// Blocks: M, until q.until at most and some milliseconds.  Stack: any; signal, when dying.
Answer sample_ask(const Question *q, struct Walk *w);

#endif
