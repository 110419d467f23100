// SPDX-License-Identifier: BSD-3-Clause
// The run queue of a P. Invariants, overlaps and order: runq.h.
#include "sched/runq.h"

// The owner claims the n oldest. It wrote the slots itself, so no order is needed to read them.
static bool
claim_oldest(RunQ *q, uint32_t head, uint32_t n, G **out)
{
	for (uint32_t i = 0; i < n; i++)
		out[i] = load_rlx(&q->ring[(head + i) % RUNQ_SIZE]); // order: own
	return cas_rel(&q->head, &head, head + n);                   // order: claim, reads are over
}

uint32_t
runq_take_some(RunQ *q, G **out, uint32_t max)
{
	for (;;) {
		uint32_t head = load_acq(&q->head);         // order: observe <- claims
		uint32_t n = load_rlx(&q->tail) - head;     // order: own
		if (n > max)
			n = max;
		if (n == 0 || likely(claim_oldest(q, head, n, out)))
			return n;
	}
}

uint32_t
runq_shed(RunQ *q, G **out)
{
	uint32_t head = load_acq(&q->head); // order: observe <- claims
	if (load_rlx(&q->tail) - head != RUNQ_SIZE) // order: own
		return 0;
	return claim_oldest(q, head, RUNQ_SIZE / 2, out) ? RUNQ_SIZE / 2 : 0;
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
			// order: a slot reused meanwhile is read wrongly; then head moved and the
			// claim fails
			G *gp = load_rlx(&victim->ring[(head + i) % RUNQ_SIZE]);
			store_rlx(&mine->ring[(tail + i) % RUNQ_SIZE], gp); // order: publish below
		}
		if (cas_ar(&victim->head, &head, head + n)) { // order: claim, reads are over
			store_rel(&mine->tail, tail + n);     // order: publish -> consumers
			return n;
		}
	}
}

uint32_t
runq_len(RunQ *q)
{
	for (;;) {
		uint32_t head = load_acq(&q->head); // order: hint; keeps the next load behind
		uint32_t tail = load_acq(&q->tail); // order: hint, observe <- runq_put
		if (load_rlx(&q->head) == head)     // order: hint, both of one moment
			return tail - head;
	}
}
