// SPDX-License-Identifier: BSD-3-Clause
// Modelled memory: locations, the messages that are their histories, fences, and futexes, which are
// slept on. What the model allows, and I1 to I5: explore.c.
#include "explore_engine.h"

enum {
	TS_GAP = 64, // between neighbours, so that a store may come in between
	TS_DENSE = 16000,
};

bool explore_membarrier;

// --- locations --------------------------------------------------------------------------------

static uint64_t
raw_read(const void *p, int size)
{
	uint64_t v = 0;
	switch (size) {
	case 1:
		return *(const uint8_t *)p;
	case 2:
		return *(const uint16_t *)p;
	case 4:
		return *(const uint32_t *)p;
	default:
		memcpy(&v, p, 8);
		return v;
	}
}

static void
raw_write(void *p, int size, uint64_t v)
{
	switch (size) {
	case 1:
		*(uint8_t *)p = (uint8_t)v;
		break;
	case 2:
		*(uint16_t *)p = (uint16_t)v;
		break;
	case 4:
		*(uint32_t *)p = (uint32_t)v;
		break;
	default:
		memcpy(p, &v, 8);
	}
}

static inline uint64_t
trim(uint64_t v, int size)
{
	return size >= 8 ? v : v & ((UINT64_C(1) << (8 * size)) - 1);
}

static inline uint16_t *
index_of(void *p, int size) // A3
{
	return (uint16_t *)(void *)((char *)p + (size < 2 ? 2 : size));
}

static __attribute__((noinline)) int
register_location(void *p, int size, const char *text)
{
	if (S.nlocs == LOCATIONS)
		explore_fail("more than %d locations", (int)LOCATIONS);
	int l = ++S.nlocs;
	Location *c = &S.loc[l];
	c->addr = p;
	c->size = size;
	c->name = explore_tracing ? explore_name_of_text(text) : text;
	c->n = 1;
	c->m[0].v = raw_read(p, size);
	c->m[0].ts = 0;
	c->m[0].rmw = 0;
	c->m[0].nv = 0;
	c->m[0].by = 255;
	c->any_kept = false;
	for (int i = 0; i < S.threads; i++)
		c->last[i].ts = c->kept[i].ts = -1;
	S.nvec = (entry(l) + LANES) / LANES;
	*index_of(p, size) = (uint16_t)l;
	return l;
}

static inline int
locate(void *p, int size, const char *text)
{
	unsigned l = *index_of(p, size);
	if (l != 0 && l <= (unsigned)S.nlocs && S.loc[l].addr == p)
		return (int)l;
	return register_location(p, size, text);
}

void
explore_name(const void *p, const char *name)
{
	if (explore_tracing)
		for (int l = 1; l <= S.nlocs; l++)
			if (S.loc[l].addr == p)
				S.loc[l].name = name;
}

// --- messages ---------------------------------------------------------------------------------

// The message a load of l reads: any that is not older than what the thread has seen.
static inline int
choose_message(Thread *t, int l)
{
	Location *c = &S.loc[l];
	int newest = c->n - 1;
	int seen = t->cur.t[entry(l)];
	if (c->m[newest].ts <= seen || S.staleness == FRESH || t->stale_left <= 0)
		return newest;
	int oldest = newest;
	while (oldest > 0 && c->m[oldest - 1].ts >= seen)
		oldest--;
	int k = oldest;
	if (S.staleness == ANY || below(4) == 0)
		k += (int)below((uint32_t)(newest - oldest + 1));
	if (k != newest)
		t->stale_left--;
	return k;
}

static inline void
observe(Thread *t, int l, const Message *m, unsigned order)
{
	int e = entry(l);
	if (t->cur.t[e] < m->ts)
		t->cur.t[e] = m->ts;
	if (t->acq.t[e] < m->ts)
		t->acq.t[e] = m->ts;
	join(&t->acq, &m->view, m->nv);
	if (order & EXPLORE_ACQ)
		join(&t->cur, &m->view, m->nv);
}

// Room for one more message; the oldest half can no longer be read.
static void
forget_half(Location *c)
{
	int keep = HISTORY / 2;
	memmove(&c->m[0], &c->m[c->n - keep], (size_t)keep * sizeof(c->m[0]));
	c->n = keep;
}

// Where in modification order a store goes: last, or now and then earlier, as far as the thread has
// not seen what follows.
static int
choose_place(Thread *t, int l)
{
	Location *c = &S.loc[l];
	int place = c->n;
	if (!S.inserts || c->m[place - 1].ts <= t->cur.t[entry(l)] || below(3) != 0)
		return place;
	for (int k = c->n - 1; k > 0 && c->m[k - 1].ts >= t->cur.t[entry(l)]; k--)
		if (!c->m[k].rmw && c->m[k].ts - c->m[k - 1].ts >= 2) { // I2
			place = k;
			if (below(2))
				break;
		}
	return place;
}

static Message *
insert_message(Location *c, int place)
{
	int16_t before = c->m[place - 1].ts;
	if (place == c->n) {
		c->m[place].ts = (int16_t)(before + (before < TS_DENSE ? TS_GAP : 1));
	} else {
		int16_t after = c->m[place].ts;
		memmove(&c->m[place + 1], &c->m[place], (size_t)(c->n - place) * sizeof(c->m[0]));
		c->m[place].ts = (int16_t)(before + (after - before) / 2);
	}
	c->n++;
	return &c->m[place];
}

static void
check_kept(int l, int by, const Message *m)
{
	const Load *load = &S.loc[l].kept[by];
	if (m->ts > load->ts && m->clocks[by] < load->clock)
		explore_fail("T%d overwrites %s, and nothing orders T%d's load before", m->by,
			     explore_location_name(l), by);
}

void
explore_kept(const void *p, size_t bytes, uint64_t v)
{
	if (!S.running)
		return;
	int found = 0;
	for (int l = 1; l <= S.nlocs; l++) {
		Location *c = &S.loc[l];
		Load *load = &c->last[S.cur];
		if ((const char *)c->addr < (const char *)p ||
		    (const char *)c->addr >= (const char *)p + bytes || load->ts < 0 ||
		    load->v != v)
			continue;
		c->any_kept = true;
		c->kept[S.cur] = *load;
		found++;
		for (int k = c->n - 1; k >= 0 && c->m[k].ts > load->ts; k--)
			check_kept(l, S.cur, &c->m[k]);
	}
	if (found != 1)
		explore_fail("explore_kept: %d such loads", found);
}

// Stores v; rmw: next to the newest message, which was read.
static void
write_message(Thread *t, int l, uint64_t v, unsigned order, bool rmw)
{
	Location *c = &S.loc[l];
	if (c->n == HISTORY)
		forget_half(c);
	int place = rmw ? c->n : choose_place(t, l);
	Message *m = insert_message(c, place);
	int e = entry(l);
	int nv = S.nvec;
	m->v = v;
	m->rmw = rmw;
	m->nv = (uint8_t)nv;
	m->by = (uint8_t)S.cur;
	m->clocks = t->cur.v[0];
	t->cur.t[e] = m->ts;
	if (t->acq.t[e] < m->ts)
		t->acq.t[e] = m->ts;
	copy(&m->view, order & EXPLORE_REL ? &t->cur : &t->rel, nv);
	m->view.t[e] = m->ts;
	if (rmw)
		join(&m->view, &m[-1].view, m[-1].nv);
	if (order & EXPLORE_REL)
		t->cur.t[S.cur]++;
	if (place == c->n - 1)
		raw_write(c->addr, c->size, v);
	if (__builtin_expect(c->any_kept, 0))
		for (int i = 0; i < S.threads; i++)
			if (c->kept[i].ts >= 0 && i != S.cur)
				check_kept(l, i, m);
}

static inline unsigned
order_of(struct ExploreSite *site)
{
	site->reached = 1;
	return site->order & ~(unsigned)site->drop;
}

uint64_t
explore_load(struct ExploreSite *site, void *p)
{
	if (!S.running)
		return raw_read(p, site->size);
	unsigned order = order_of(site);
	explore_point();
	int l = locate(p, site->size, site->text);
	Thread *t = &S.thread[S.cur];
	int k = choose_message(t, l);
	Message *m = &S.loc[l].m[k];
	observe(t, l, m, order);
	S.loc[l].last[S.cur] = (Load){.ts = m->ts, .clock = t->cur.t[S.cur], .v = m->v};
	if (explore_tracing)
		explore_trace(site, l, "= %lld%s", (long long)m->v,
			      k < S.loc[l].n - 1 ? " (stale)" : "");
	return m->v;
}

void
explore_store(struct ExploreSite *site, void *p, uint64_t v)
{
	v = trim(v, site->size);
	if (!S.running) {
		raw_write(p, site->size, v);
		return;
	}
	unsigned order = order_of(site);
	explore_point();
	int l = locate(p, site->size, site->text);
	write_message(&S.thread[S.cur], l, v, order, false);
	if (explore_tracing)
		explore_trace(site, l, ":= %lld", (long long)v);
}

bool
explore_cas(struct ExploreSite *site, void *p, void *old, uint64_t v)
{
	int size = site->size;
	uint64_t want = raw_read(old, size);
	v = trim(v, size);
	if (!S.running) {
		uint64_t was = raw_read(p, size);
		if (was == want)
			raw_write(p, size, v);
		else
			raw_write(old, size, was);
		return was == want;
	}
	unsigned order = order_of(site);
	explore_point();
	int l = locate(p, size, site->text);
	Location *c = &S.loc[l];
	Thread *t = &S.thread[S.cur];
	int k = choose_message(t, l);
	if (c->m[k].v == want)
		k = c->n - 1; // a success reads the newest
	Message *m = &c->m[k];
	uint64_t was = m->v;
	// What fails is a load: acquire when the name says so or says acquire and release.
	observe(t, l, m, order);
	if (was == want)
		write_message(t, l, v, order, true);
	else
		raw_write(old, size, was);
	if (explore_tracing)
		explore_trace(site, l, was == want ? "%lld -> %lld" : "= %lld, not %lld",
			      (long long)was, was == want ? (long long)v : (long long)want);
	return was == want;
}

static uint64_t
rmw_result(enum ExploreRmw op, uint64_t old, uint64_t v)
{
	switch (op) {
	case EXPLORE_XCHG:
		return v;
	case EXPLORE_ADD:
		return old + v;
	case EXPLORE_SUB:
		return old - v;
	case EXPLORE_OR:
		return old | v;
	case EXPLORE_AND:
		return old & v;
	}
	return 0;
}

uint64_t
explore_rmw(struct ExploreSite *site, void *p, enum ExploreRmw op, uint64_t v)
{
	int size = site->size;
	if (!S.running) {
		uint64_t was = raw_read(p, size);
		raw_write(p, size, rmw_result(op, was, v));
		return was;
	}
	unsigned order = order_of(site);
	explore_point();
	int l = locate(p, size, site->text);
	Thread *t = &S.thread[S.cur];
	Message *m = &S.loc[l].m[S.loc[l].n - 1];
	uint64_t was = m->v;
	uint64_t now = trim(rmw_result(op, was, v), size);
	observe(t, l, m, order);
	write_message(t, l, now, order, true);
	if (explore_tracing)
		explore_trace(site, l, "%lld -> %lld", (long long)was, (long long)now);
	return was;
}

// One thread writes at a time, so what it reads is the newest, or there are two writers.
void
explore_own_add(struct ExploreSite *site, void *p, uint64_t v)
{
	int size = site->size;
	if (!S.running) {
		raw_write(p, size, raw_read(p, size) + v);
		return;
	}
	(void)order_of(site);
	explore_point();
	int l = locate(p, size, site->text);
	Thread *t = &S.thread[S.cur];
	Message *m = &S.loc[l].m[S.loc[l].n - 1];
	if (m->ts > t->cur.t[entry(l)])
		explore_fail("%s at %s:%d: another thread's write is not ordered before",
			     site->text, site->file, site->line);
	uint64_t now = trim(m->v + v, size);
	write_message(t, l, now, 0, false);
	if (explore_tracing)
		explore_trace(site, l, ":= %lld", (long long)now);
}

// Before anyone else can see the object: no step, a relaxed store.
void
explore_init(struct ExploreSite *site, void *p, uint64_t v)
{
	v = trim(v, site->size);
	if (!S.running) {
		raw_write(p, site->size, v);
		return;
	}
	site->reached = 1;
	int l = locate(p, site->size, site->text);
	write_message(&S.thread[S.cur], l, v, 0, false);
	if (explore_tracing)
		explore_trace(site, l, ":= %lld", (long long)v);
}

// --- fences -----------------------------------------------------------------------------------

static void
fence_of(Thread *t, int i, unsigned order)
{
	int nv = S.nvec;
	if (order & EXPLORE_ACQ)
		join(&t->cur, &t->acq, nv);
	if (order & EXPLORE_SEQ) {
		join_locations(&t->cur, &S.seq, nv);
		join_locations(&S.seq, &t->cur, nv);
	}
	if (order & EXPLORE_LIGHT) { // no acquire: only the heavy side ever makes it a fence
		join_locations(&t->cur, &S.heavy, nv);
		join_locations(&S.light, &t->cur, nv);
		join_locations(&S.light, &t->acq, nv);
	}
	if (order & EXPLORE_HEAVY) {
		join_locations(&t->cur, &S.light, nv);
		join_locations(&S.heavy, &t->cur, nv);
		join_locations(&S.seq, &t->cur, nv);
	}
	join_locations(&t->acq, &t->cur, nv); // I3
	if (order & EXPLORE_REL) {
		copy(&t->rel, &t->cur, nv);
		t->cur.t[i]++;
	}
}

void
explore_fence(struct ExploreSite *site)
{
	if (!S.running)
		return;
	unsigned order = order_of(site);
	explore_point();
	if (explore_tracing)
		explore_trace(site, 0, "");
	if (!explore_membarrier) {
		fence_of(&S.thread[S.cur], S.cur, order);
		return;
	}
	if (order & EXPLORE_HEAVY)
		for (int round = 0; round < 2;
		     round++) // the second tells the first what the last saw
			for (int i = 0; i < S.threads; i++)
				fence_of(&S.thread[i], i, EXPLORE_ACQ | EXPLORE_REL | EXPLORE_SEQ);
	else
		fence_of(&S.thread[S.cur], S.cur, order & ~(unsigned)EXPLORE_LIGHT);
}

// --- futexes -----------------------------------------------------------------------------------

enum ExploreWoken
explore_futex_wait(void *word, uint32_t seen, bool deadline)
{
	if (!S.running)
		explore_fail("futex wait outside of threads");
	explore_point();
	int l = locate(word, 4, "futex");
	Thread *t = &S.thread[S.cur];
	int e = entry(l);
	if (t->cur.t[e] < S.futex[e])
		t->cur.t[e] = S.futex[e];
	Message *m = &S.loc[l].m[choose_message(t, l)];
	observe(t, l, m, 0);
	if (explore_tracing)
		explore_say("futex wait %s while %u: %s", explore_location_name(l), seen,
			    m->v != seen ? "differs" : "sleeps");
	if (m->v != seen)
		return EXPLORE_DIFFERS;
	t->state = SLEEPS;
	t->waits_for = l;
	t->deadline = deadline;
	S.runnable &= ~(UINT32_C(1) << S.cur);
	S.asleep |= UINT32_C(1) << S.cur;
	explore_give_up();
	if (explore_tracing)
		explore_say("wakes%s", t->woken == EXPLORE_TIMED_OUT ? " at its deadline" : "");
	return t->woken;
}

void
explore_futex_wake(void *word, int n)
{
	if (!S.running)
		return;
	explore_point();
	int l = locate(word, 4, "futex");
	int e = entry(l);
	if (S.futex[e] < S.thread[S.cur].cur.t[e])
		S.futex[e] = S.thread[S.cur].cur.t[e];
	if (explore_tracing)
		explore_say("futex wake %s, %d", explore_location_name(l), n);
	for (; n > 0; n--) {
		uint32_t here = 0;
		for (uint32_t b = S.asleep; b != 0; b &= b - 1)
			if (S.thread[__builtin_ctz(b)].waits_for == l)
				here |= b & -b;
		if (here == 0)
			return;
		explore_wake_thread(explore_random_bit(here), EXPLORE_WOKEN);
	}
}
