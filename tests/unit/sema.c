// SPDX-License-Identifier: BSD-3-Clause
// Inside the table of waiters by address, and the semaphore of compiled Go code.
#include <stdlib.h>
#include <string.h>

#include "chan/chan_impl.h"
#include "harness.h"
#include "undergo.h"

enum { ADDRS = 300, PER_ADDR = 8 };

// What the table should say: for each address, its waiters in order.
typedef struct Model {
	Waiter *w[PER_ADDR];
	int n;
} Model;

static void
model_remove(Model *m, int at)
{
	memmove(&m->w[at], &m->w[at + 1], sizeof(m->w[0]) * (size_t)(--m->n - at));
}

static void
push_random(Model *m, const void *addr, uint64_t *r)
{
	if (m->n == PER_ADDR)
		return;
	bool front = test_rand(r) % 4 == 0;
	Waiter *w = calloc(1, sizeof(*w));
	w->addr = addr;
	w->kind = WAITER_SEM;
	sema_push(sema_root(addr), w, front);
	if (front) {
		memmove(&m->w[1], &m->w[0], sizeof(m->w[0]) * (size_t)m->n);
		m->w[0] = w;
	} else {
		m->w[m->n] = w;
	}
	m->n++;
}

static void
pop_first(Model *m, const void *addr)
{
	expect(sema_pop(sema_root(addr), addr, WAITER_MUTEX) == NULL); // of another kind
	Waiter *w = sema_pop(sema_root(addr), addr, WAITER_SEM);
	expect(w == (m->n > 0 ? m->w[0] : NULL));
	if (w == NULL)
		return;
	expect(!sema_unlink(sema_root(addr), w));
	model_remove(m, 0);
	memset(w, 0xee, sizeof(*w)); // its frame is used for something else now
	free(w);
}

static void
unlink_random(Model *m, const void *addr, uint64_t *r)
{
	if (m->n == 0)
		return;
	int at = (int)(test_rand(r) % (uint64_t)m->n);
	Waiter *w = m->w[at];
	expect(sema_unlink(sema_root(addr), w));
	model_remove(m, at);
	memset(w, 0xee, sizeof(*w));
	free(w);
}

// Random pushes, pops and removals for many addresses agree with lists.
void
test_sema_table(void)
{
	static Model models[ADDRS];
	static char base[ADDRS * 16];
	uint64_t r = test_seed();
	for (long i = test_scale(200000); i > 0; i--) {
		size_t k = (size_t)(test_rand(&r) % ADDRS);
		const void *addr = &base[k * 16];
		SemaRoot *root = sema_root(addr);
		mutex_lock(&root->lock);
		switch (test_rand(&r) % 5) {
		case 0:
		case 1:
			push_random(&models[k], addr, &r);
			break;
		case 2:
			pop_first(&models[k], addr);
			break;
		case 3:
			unlink_random(&models[k], addr, &r);
			break;
		default:
			expect_eq(sema_waits(root, addr, WAITER_SEM), models[k].n > 0);
			expect(!sema_waits(root, addr, WAITER_WG));
		}
		mutex_unlock(&root->lock);
	}
	for (size_t k = 0; k < ADDRS; k++) {
		SemaRoot *root = sema_root(&base[k * 16]);
		mutex_lock(&root->lock);
		while (models[k].n > 0)
			pop_first(&models[k], &base[k * 16]);
		mutex_unlock(&root->lock);
	}
}

typedef struct Permits {
	uint32_t word;
	long plain; // whoever has the permit
	long each;
	go_waitgroup wg;
} Permits;

static void
use_permit(void *arg)
{
	Permits *p = arg;
	for (long i = 0; i < p->each; i++) {
		sched_enter();
		sema_acquire(&p->word, WAIT_semacquire, i % 4 == 0);
		sched_leave();
		p->plain++;
		if (i % 16 == 0)
			go_yield();
		sched_enter();
		sema_release(&p->word, i % 3 == 0);
		sched_leave();
	}
	go_wg_done(&p->wg);
}

// One permit is a lock, with waiters in front and at the end, with and without hand-off.
static int
one_permit(void *arg)
{
	(void)arg;
	Permits p = {.each = test_scale(10000)};
	go_wg_add(&p.wg, 5);
	for (int i = 0; i < 5; i++)
		expect_eq(go_spawn(use_permit, &p), 0);
	sched_enter();
	sema_release(&p.word, false);
	sched_leave();
	go_wg_wait(&p.wg, GO_NEVER);
	expect_eq(p.plain, 5 * p.each);
	expect_eq(p.word, 1);
	return 0;
}

void
test_sema_one_permit(void)
{
	expect_eq(go_run(one_permit, NULL), 0);
}

typedef struct Handoff {
	uint32_t word;
	ATOMIC_U32 ran;
} Handoff;

static void
handoff_waiter(void *arg)
{
	Handoff *h = arg;
	sched_enter();
	sema_acquire(&h->word, WAIT_semacquire, false);
	sched_leave();
	store_rel(&h->ran, 1); // order: publish -> handoff
}

// With hand-off the waiter runs before the releaser goes on, on one processor; nearly always, since
// the monitor may take the processor from the waiter.
static int
handoff(void *arg)
{
	(void)arg;
	enum { ROUNDS = 1000 };
	int at_once = 0;
	go_gomaxprocs(1);
	for (int i = 0; i < ROUNDS; i++) {
		Handoff h = {0};
		expect_eq(go_spawn(handoff_waiter, &h), 0);
		go_yield();
		sched_enter();
		sema_release(&h.word, true);
		sched_leave();
		at_once += load_acq(&h.ran) == 1; // order: observe <- handoff_waiter
		while (load_acq(&h.ran) == 0)     // order: observe <- handoff_waiter
			go_yield();
	}
	expect(at_once > ROUNDS / 2);
	return 0;
}

void
test_sema_handoff(void)
{
	expect_eq(go_run(handoff, NULL), 0);
}
