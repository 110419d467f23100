// SPDX-License-Identifier: BSD-3-Clause
// Dialling: one address after the other, each a moment after the one before (RFC 8305).
//
// A name may have addresses of both kinds, of which some lead nowhere without a word. They are
// tried in turns of kind, in the resolver's order otherwise. When one has not answered for
// NEXT_NS, or failed, the next is begun beside it. The first connection wins; the others are
// closed, which ends their goroutines' waits.
//
// Invariants:
//   I1  An attempt's handle is made, and closed if it does not win, by the dialler. Its goroutine
//       only connects it, and reports.
//   I2  The last of them frees the race: goroutines may report after it is over.
#include <errno.h>
#include <string.h>

#include "chan/chan.h"
#include "net/fd_impl.h"
#include "net/socket.h"
#include "undergo/base.h"

enum { NEXT_NS = 250 * 1000 * 1000, UNIX_FULL_NS = 1000 * 1000 };

// --- one connection -----------------------------------------------------------------------------

// Whether the connection has been made: 0, -EINPROGRESS not yet, or why not.
static int
outcome(int fd)
{
	struct sockaddr_storage peer;
	socklen_t bytes = sizeof(peer);
	int err = os_fd_option_get(fd, SOL_SOCKET, SO_ERROR);
	if (err > 0)
		return err == EALREADY || err == EINTR ? -EINPROGRESS : -err;
	if (err == 0 && os_fd_peer(fd, (struct sockaddr *)&peer, &bytes) != 0)
		return -EINPROGRESS; // the wait has ended for no reason
	return err;
}

static int
connect_locked(Netfd *nf, const Address *a, int64_t deadline)
{
	const struct sockaddr *to = (const struct sockaddr *)&a->at;
	int err = os_fd_connect(nf->pd.fd, to, a->bytes);
	while (err == -EINPROGRESS || err == -EAGAIN) {
		int64_t now = os_nanotime(), when = deadline;
		bool again = err == -EAGAIN; // a Unix socket's listener is full, and tells nobody
		if (deadline <= now)
			return GO_ETIMEDOUT;
		if (again && deadline - now > UNIX_FULL_NS)
			when = now + UNIX_FULL_NS;
		int ended = fd_wait(nf, POLL_WRITE, when);
		if (ended != 0)
			return ended;
		err = again ? os_fd_connect(nf->pd.fd, to, a->bytes) : outcome(nf->pd.fd);
	}
	return fd_error(err);
}

static int
connect_to(Handle h, const Address *a, int64_t deadline)
{
	Netfd *nf;
	int err = fd_lock(h, POLL_WRITE, &nf);
	if (err != 0)
		return err;
	err = connect_locked(nf, a, deadline);
	fd_unlock(nf, POLL_WRITE);
	return err;
}

static Handle
dial_one(const Network *n, const Address *a, int64_t deadline)
{
	int fd = socket_make(n, a->at.ss_family);
	Handle h = fd < 0 ? fd_error(fd) : socket_own(fd, OS_FD_SOCKET);
	if (h < 0)
		return h;
	int err = connect_to(h, a, deadline);
	if (err == 0)
		return h;
	(void)fd_close(h);
	return err;
}

// --- several ------------------------------------------------------------------------------------

typedef struct Report {
	int i;
	int err;
} Report;

typedef struct Race Race;

typedef struct Attempt {
	Race *race;
	Handle h; // the dialler's; 0 none. Set before publication to the goroutine
} Attempt;

struct Race {
	ATOMIC_U32 refs; // the dialler's, and one for each goroutine
	Network n;       // set before publication
	int count;       // set before publication
	int64_t deadline; // set before publication
	Hchan *reports;  // of Report, with room for all
	Address at[ADDRESSES_MAX]; // set before publication
	Attempt attempt[ADDRESSES_MAX];
};

// Inside the runtime.
static void
race_let_go(Race *r)
{
	if (sub_ar(&r->refs, 1) != 1) // order: release, and claim of the last
		return;
	chan_free(r->reports);
	os_free(r);
}

static void
attempt_main(void *v)
{
	Attempt *a = v;
	Race *r = a->race;
	Report report = {.i = (int)(a - r->attempt)};
	report.err = connect_to(a->h, &r->at[report.i], r->deadline);
	sched_enter();
	(void)chan_send(r->reports, &report, GO_NEVER); // it has room
	race_let_go(r);
	sched_leave();
}

// 0 or a code.
static int
attempt_start(Race *r, int i)
{
	Attempt *a = &r->attempt[i];
	int fd = socket_make(&r->n, r->at[i].at.ss_family);
	Handle h = fd < 0 ? fd_error(fd) : socket_own(fd, OS_FD_SOCKET);
	if (h < 0)
		return (int)h;
	a->race = r;
	a->h = h;
	add_rlx(&r->refs, 1); // order: own, the goroutine is not there yet
	sched_enter();
	bool started = sched_spawn(attempt_main, a, 0, "dial") != NULL;
	sched_leave();
	if (started)
		return 0;
	sub_rlx(&r->refs, 1); // order: own
	(void)fd_close(h);
	a->h = 0;
	return GO_ENOMEM;
}

static int
next_report(Race *r, Report *report, int64_t when)
{
	sched_enter();
	int err = chan_recv(r->reports, report, when);
	sched_leave();
	return err;
}

// The winner's handle, taken out of its attempt, or a code.
static Handle
run_race(Race *r)
{
	int started = 0, live = 0, first_err = 0;
	int64_t next = os_nanotime();
	for (;;) {
		if (started < r->count && (live == 0 || next <= os_nanotime())) {
			int err = attempt_start(r, started++);
			live += err == 0;
			first_err = first_err != 0 ? first_err : err;
			next = base_deadline(os_nanotime(), NEXT_NS);
			if (err != 0)
				continue;
		}
		if (live == 0)
			return first_err;
		Report report;
		int64_t when = started < r->count && next < r->deadline ? next : r->deadline;
		int err = next_report(r, &report, when);
		if (err == GO_ETIMEDOUT && when != r->deadline)
			continue;
		if (err != 0)
			return err;
		Attempt *a = &r->attempt[report.i];
		if (report.err == 0) {
			Handle h = a->h;
			a->h = 0;
			return h;
		}
		live--;
		first_err = first_err != 0 ? first_err : report.err;
		next = os_nanotime();
	}
}

// The kinds in turns, the first one's first; within a kind as they are.
static void
take_turns(Race *r, const Address *all, int n)
{
	int family = all[0].at.ss_family, i = 0, j = 0;
	r->count = 0;
	while (r->count < n) {
		for (; i < n && all[i].at.ss_family != family; i++)
			;
		if (i < n)
			r->at[r->count++] = all[i++];
		for (; j < n && all[j].at.ss_family == family; j++)
			;
		if (j < n)
			r->at[r->count++] = all[j++];
	}
}

static Handle
dial_several(const Network *n, const Address *all, int count, int64_t deadline)
{
	sched_enter();
	Race *r = os_alloc(sizeof(*r));
	Hchan *reports = r != NULL ? chan_new(sizeof(Report), ADDRESSES_MAX) : NULL;
	sched_leave();
	if (reports == NULL) {
		os_free(r);
		return GO_ENOMEM;
	}
	init_plain(&r->refs, 1);
	r->n = *n;
	r->deadline = deadline;
	r->reports = reports;
	take_turns(r, all, count);
	Handle h = run_race(r);
	for (int i = 0; i < r->count; i++)
		if (r->attempt[i].h > 0)
			(void)fd_close(r->attempt[i].h); // I1
	sched_enter();
	race_let_go(r);
	sched_leave();
	return h;
}

Handle
socket_dial(const char *network, const char *address, int64_t deadline)
{
	Network n;
	Address all[ADDRESSES_MAX];
	int err = addr_network(network, &n);
	if (err != 0)
		return err;
	int found = addr_find(&n, address, TO_DIAL, all, deadline);
	if (found <= 0)
		return found;
	return found == 1 ? dial_one(&n, &all[0], deadline)
			  : dial_several(&n, all, found, deadline);
}
