// SPDX-License-Identifier: BSD-3-Clause
// The run queue of a P. Invariants, overlaps and order: runq.h.
#include "sched/runq.h"

bool
runq_put(RunQ *q, G *gp)
{
	uint32_t head = load_acq(&q->head); // order: observe <- claims: their slot reads are over
	uint32_t tail = load_rlx(&q->tail); // order: own
	if (unlikely(tail - head >= RUNQ_SIZE))
		return false;
	store_rlx(&q->ring[tail % RUNQ_SIZE], gp); // order: published by tail
	store_rel(&q->tail, tail + 1);             // order: publish -> runq_take, runq_steal_half
	return true;
}

G *
runq_take(RunQ *q)
{
	uint32_t head = load_acq(&q->head); // order: observe <- claims
	for (;;) {
		if (head == load_rlx(&q->tail)) // order: own
			return NULL;
		G *gp = load_rlx(&q->ring[head % RUNQ_SIZE]); // order: own, it wrote the slot
		if (likely(cas_rel(&q->head, &head, head + 1))) // order: claim, the read is over
			return gp;
	}
}

uint32_t
runq_shed(RunQ *q, G **batch)
{
	uint32_t head = load_acq(&q->head); // order: observe <- claims
	uint32_t tail = load_rlx(&q->tail); // order: own
	uint32_t n = (tail - head) / 2;
	if (tail - head != RUNQ_SIZE)
		return 0;
	for (uint32_t i = 0; i < n; i++)
		batch[i] = load_rlx(&q->ring[(head + i) % RUNQ_SIZE]); // order: own
	return cas_rel(&q->head, &head, head + n) ? n : 0;             // order: claim, reads are over
}

uint32_t
runq_steal_half(RunQ *victim, RunQ *mine)
{
	uint32_t tail = load_rlx(&mine->tail); // order: own
	for (;;) {
		uint32_t head = load_acq(&victim->head);     // order: observe <- claims
		uint32_t vtail = load_acq(&victim->tail);    // order: observe <- runq_put
		uint32_t n = vtail - head;
		n -= n / 2;
		if (n == 0)
			return 0;
		if (n > RUNQ_SIZE / 2) // head and tail are of different moments
			continue;
		for (uint32_t i = 0; i < n; i++) {
			// order: a slot reused meanwhile is read wrongly; then head moved and the claim fails
			G *gp = load_rlx(&victim->ring[(head + i) % RUNQ_SIZE]);
			store_rlx(&mine->ring[(tail + i) % RUNQ_SIZE], gp); // order: published below
		}
		if (cas_ar(&victim->head, &head, head + n)) { // order: claim, reads are over
			store_rel(&mine->tail, tail + n);     // order: publish -> consumers
			return n;
		}
	}
}

bool
runq_empty(RunQ *q)
{
	return runq_len(q) == 0;
}

uint32_t
runq_len(RunQ *q)
{
	for (;;) {
		uint32_t head = load_acq(&q->head); // order: hint; acquire keeps the next load behind
		uint32_t tail = load_acq(&q->tail); // order: hint, observe <- runq_put
		if (load_rlx(&q->head) == head)     // order: hint, both of one moment
			return tail - head;
	}
}
