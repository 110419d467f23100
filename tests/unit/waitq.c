// SPDX-License-Identifier: BSD-3-Clause
// Queues of waiting goroutines agree with a list, whatever is put in and taken out where.
#include <string.h>

#include "harness.h"
#include "sched/sched.h"

enum { N = 12 };

static void
agree(const WaitQ *q, Sudog *const *list, int n)
{
	const Sudog *sg = q->first, *before = NULL;
	for (int i = 0; i < n; i++, before = sg, sg = sg->next) {
		expect(sg == list[i]);
		expect(sg->prev == before);
	}
	expect(sg == NULL);
	expect(q->last == before);
}

void
test_waitq_agrees_with_list(void)
{
	static Sudog sg[N];
	Sudog *list[N], *out[N];
	WaitQ q = {0};
	int n = 0, n_out = N;
	uint64_t r = test_seed();
	for (int i = 0; i < N; i++)
		out[i] = &sg[i];
	for (int step = 0; step < 20000; step++) {
		uint64_t x = test_rand(&r);
		if (x % 4 < 2 && n_out > 0) {
			Sudog *s = out[--n_out];
			bool front = x % 4 == 1;
			memmove(&list[front], list, sizeof(list[0]) * (size_t)(front ? n : 0));
			list[front ? 0 : n] = s;
			n++;
			(front ? waitq_push_front : waitq_push)(&q, s);
		} else if (x % 4 == 2) {
			Sudog *s = waitq_pop(&q);
			expect(s == (n > 0 ? list[0] : NULL));
			if (s != NULL) {
				memmove(list, &list[1], sizeof(list[0]) * (size_t)--n);
				out[n_out++] = s;
			}
		} else {
			Sudog *s = &sg[(x >> 8) % N];
			waitq_unlink(&q, s); // nothing when it is out already
			for (int i = 0; i < n; i++)
				if (list[i] == s) {
					memmove(&list[i], &list[i + 1],
						sizeof(list[0]) * (size_t)(--n - i));
					out[n_out++] = s;
				}
		}
		agree(&q, list, n);
	}
}
