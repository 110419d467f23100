// SPDX-License-Identifier: BSD-3-Clause
// Queues of waiting goroutines against a model, and who may end a wait.
#include "harness.h"
#include "sched/sched.h"

enum { SUDOGS = 40 };

static Sudog sudogs[SUDOGS];
static G waiters[SUDOGS];
static int order[SUDOGS], queued; // the model: indices, oldest first

static int
place_of(int i)
{
	for (int k = 0; k < queued; k++)
		if (order[k] == i)
			return k;
	return -1;
}

static void
model_remove(int k)
{
	queued--;
	for (; k < queued; k++)
		order[k] = order[k + 1];
}

static void
expect_same(const WaitQ *q)
{
	const Sudog *sg = q->first, *prev = NULL;
	for (int k = 0; k < queued; k++, prev = sg, sg = sg->next) {
		expect(sg == &sudogs[order[k]]);
		expect(sg->prev == prev);
	}
	expect(sg == NULL);
	expect(q->last == prev);
}

// The first in the model whose wait is open; those before it are dropped.
static Sudog *
model_pop(void)
{
	while (queued > 0) {
		Sudog *sg = &sudogs[order[0]];
		model_remove(0);
		if (!sg->claimed || load_rlx(&sg->g->claim) == CLAIM_OPEN)
			return sg;
	}
	return NULL;
}

// Pushes at both ends, pops and unlinks, of waits that others have ended too.
void
test_waitq_matches_model(void)
{
	static const Claim claims[] = {CLAIM_OPEN, CLAIM_OPEN, CLAIM_DEADLINE, CLAIM_CANCEL,
				       CLAIM_PEER};
	WaitQ q = {0};
	uint64_t rand = test_seed();
	for (long step = 0; step < test_scale(300000); step++) {
		int i = (int)(test_rand(&rand) % SUDOGS);
		switch (test_rand(&rand) % 5) {
		case 0:
		case 1:
		case 2:
			if (place_of(i) >= 0)
				break;
			sudogs[i] = (Sudog){.g = &waiters[i], .claimed = test_rand(&rand) % 2 == 0};
			store_rlx(&waiters[i].claim, claims[test_rand(&rand) % 5]);
			if (test_rand(&rand) % 4 == 0) {
				waitq_push_front(&q, &sudogs[i]);
				for (int k = queued++; k > 0; k--)
					order[k] = order[k - 1];
				order[0] = i;
			} else {
				waitq_push(&q, &sudogs[i]);
				order[queued++] = i;
			}
			break;
		case 3: {
			Sudog *want = model_pop();
			expect(waitq_pop(&q) == want);
			if (want != NULL && want->claimed)
				expect_eq(load_rlx(&want->g->claim), CLAIM_PEER);
			break;
		}
		default: // also of one that is not queued
			waitq_unlink(&q, &sudogs[i]);
			if (place_of(i) >= 0)
				model_remove(place_of(i));
		}
		expect_same(&q);
	}
}
