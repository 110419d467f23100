// SPDX-License-Identifier: BSD-3-Clause
// The poller, on pairs of sockets: events, deadlines, cancellations and closings end waits, whoever
// is idle meanwhile; an event for a descriptor that is gone says nothing to the next.
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>

#include "goroutines.h"
#include "net/net_impl.h"
#include "sched/sched_impl.h"

typedef struct End {
	Netfd *nf;
	int fd;
} End;

static End
open_end(int fd)
{
	sched_enter();
	Netfd *nf = slot_get();
	expect(nf != NULL);
	expect_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	expect_eq(poll_open(&nf->pd, fd), 0);
	sched_leave();
	return (End){nf, fd};
}

static void
open_pair(End *a, End *b)
{
	int fds[2];
	expect_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	*a = open_end(fds[0]);
	*b = open_end(fds[1]);
}

static void
close_end(End *e)
{
	sched_enter();
	poll_close(&e->nf->pd);
	expect_eq(os_close(e->fd), 0);
	slot_put(e->nf);
	sched_leave();
}

// 1 when a byte came, 0 at the end, or a code.
static int
get(End *e, char *byte)
{
	int err = 0;
	while (err == 0) {
		sched_enter();
		err = poll_prepare(&e->nf->pd, POLL_READ);
		sched_leave();
		if (err != 0)
			break;
		ssize_t n = read(e->fd, byte, 1);
		if (n >= 0)
			return (int)n;
		expect_eq(errno, EAGAIN);
		sched_enter();
		err = poll_wait(&e->nf->pd, POLL_READ);
		sched_leave();
	}
	return err;
}

static void
put(End *e, char byte)
{
	expect_eq(write(e->fd, &byte, 1), 1);
}

static void
set_deadline(End *e, PollSide side, int64_t when)
{
	sched_enter();
	poll_deadline(&e->nf->pd, side, when);
	sched_leave();
}

// --- talking ------------------------------------------------------------------------------------

enum { ROUNDS = 200, PAIRS = 8 };
static Count ended;

static void
echo(void *v)
{
	End *e = v;
	char c;
	while (get(e, &c) == 1)
		put(e, c);
	count_add(&ended);
}

static void
ask(void *v)
{
	End *e = v;
	char c;
	for (int i = 0; i < ROUNDS; i++) {
		put(e, (char)i);
		expect_eq(get(e, &c), 1);
		expect_eq(c, (char)i);
	}
	shutdown(e->fd, SHUT_WR);
	count_add(&ended);
}

static void
talk(void)
{
	static End a[PAIRS], b[PAIRS];
	for (int i = 0; i < PAIRS; i++) {
		open_pair(&a[i], &b[i]);
		expect_eq(go_spawn(echo, &a[i]), 0);
		expect_eq(go_spawn(ask, &b[i]), 0);
	}
	until(count_of(&ended) == 2 * PAIRS);
	for (int i = 0; i < PAIRS; i++) {
		close_end(&a[i]);
		close_end(&b[i]);
	}
}

GO_TEST(poll_talk, 1)
{
	talk();
}

GO_TEST(poll_talk_on_many_ps, 8)
{
	talk();
}

// One goroutine never gives its P away, and another one waits: the monitor polls for it, or an idle
// M does.
static End left, right;
static atomic_bool stop;

static void
get_one(void *unused)
{
	char c;
	(void)unused;
	expect_eq(get(&left, &c), 1);
	atomic_store(&stop, true);
}

static void
be_busy(void *unused)
{
	(void)unused;
	while (!atomic_load(&stop))
		go_yield();
}

static void *
put_later(void *unused)
{
	(void)unused;
	usleep(20000);
	put(&right, 'x');
	return NULL;
}

static void
wait_beside_busy(void)
{
	pthread_t t;
	open_pair(&left, &right);
	expect_eq(go_spawn(get_one, NULL), 0);
	go_yield();
	expect_eq(go_spawn(be_busy, NULL), 0);
	expect_eq(pthread_create(&t, NULL, put_later, NULL), 0);
	until(atomic_load(&stop));
	pthread_join(t, NULL);
	close_end(&left);
	close_end(&right);
}

GO_TEST(poll_beside_busy, 1)
{
	wait_beside_busy();
}

GO_TEST(poll_beside_busy_and_idle, 4)
{
	wait_beside_busy();
}

// All is idle but for the poller, and what comes from outside is noticed.
GO_TEST(poll_while_idle, 2)
{
	pthread_t t;
	open_pair(&left, &right);
	expect_eq(pthread_create(&t, NULL, put_later, NULL), 0);
	get_one(NULL);
	pthread_join(t, NULL);
}

// A thread of the program waits as a goroutine does.
void
test_poll_by_thread(void)
{
	pthread_t t;
	go_gomaxprocs(2);
	open_pair(&left, &right);
	expect_eq(pthread_create(&t, NULL, put_later, NULL), 0);
	get_one(NULL);
	pthread_join(t, NULL);
	close_end(&left);
	close_end(&right);
}

// --- ends of waits ------------------------------------------------------------------------------

GO_TEST(poll_deadlines, 2)
{
	char c;
	open_pair(&left, &right);
	int64_t when = go_in(5 * GO_MSEC);
	set_deadline(&left, POLL_READ, when);
	expect_eq(get(&left, &c), GO_ETIMEDOUT);
	expect(go_now() >= when);
	put(&right, 'a');
	expect_eq(get(&left, &c), GO_ETIMEDOUT); // as in Go: it does not even look
	set_deadline(&left, POLL_READ, GO_NEVER);
	expect_eq(get(&left, &c), 1);
	set_deadline(&left, POLL_WRITE, 1); // the other side has nothing to do with it
	set_deadline(&left, POLL_READ, GO_POLL);
	expect_eq(get(&left, &c), GO_EAGAIN);
	put(&right, 'b');
	expect_eq(get(&left, &c), 1);
	expect_eq(c, 'b');
	set_deadline(&left, POLL_READ, go_in(GO_SEC * 1000));
	put(&right, 'c');
	expect_eq(get(&left, &c), 1);
	close_end(&left); // with a deadline that is still to come
	close_end(&right);
}

static ATOMIC_U32 result; // of get, negated

static void
get_result(void *unused)
{
	char c;
	(void)unused;
	store_rel(&result, (uint32_t)-get(&left, &c)); // order: publish -> the test
}

// Whether a goroutine waits now whose deadline was taken away before it had come.
static bool
deadline_taken_away(int64_t deadline)
{
	store_rel(&result, 0); // order: publish -> get_result
	set_deadline(&left, POLL_READ, deadline);
	expect_eq(go_spawn(get_result, NULL), 0);
	go_sleep(5 * GO_MSEC);
	set_deadline(&left, POLL_READ, GO_NEVER);
	if (os_nanotime() < deadline)
		return true;
	set_deadline(&left, POLL_READ, go_in(0)); // this machine is busy
	until(load_acq(&result) != 0); // order: observe <- get_result
	return false;
}

// Set while somebody waits: sooner, later, not at all, and in the past.
GO_TEST(poll_deadline_moves, 2)
{
	open_pair(&left, &right);
	while (!deadline_taken_away(go_in(20 * GO_MSEC)))
		;
	go_sleep(40 * GO_MSEC);
	expect_eq(load_acq(&result), 0); // order: observe <- get_result
	set_deadline(&left, POLL_READ, go_in(5 * GO_MSEC));
	until(load_acq(&result) == (uint32_t)-GO_ETIMEDOUT); // order: observe <- get_result
}

GO_TEST(poll_evicted, 2)
{
	char c;
	open_pair(&left, &right);
	expect_eq(go_spawn(get_result, NULL), 0);
	go_sleep(5 * GO_MSEC);
	sched_enter();
	poll_evict(&left.nf->pd);
	sched_leave();
	until(load_acq(&result) == (uint32_t)-GO_ECLOSED); // order: observe <- get_result
	expect_eq(get(&left, &c), GO_ECLOSED);
}

static int
get_in_scope(void *unused)
{
	char c;
	(void)unused;
	int err = get(&left, &c);
	return err == 1 ? 0 : err;
}

// A cancelled wait loses no event.
GO_TEST(poll_canceled, 2)
{
	char c;
	open_pair(&left, &right);
	for (int i = 0; i < 200; i++) {
		go_scope s;
		go_scope_open(&s, GO_NEVER);
		expect_eq(go_scope_spawn(&s, get_in_scope, NULL), 0);
		if (i % 3 == 0)
			go_yield();
		if (i % 2 == 0)
			put(&right, 'x');
		go_scope_cancel(&s);
		int err = go_scope_wait(&s);
		expect(err == 0 || err == GO_ECANCELED);
		set_deadline(&left, POLL_READ, GO_POLL);
		while (get(&left, &c) == 1)
			;
		set_deadline(&left, POLL_READ, GO_NEVER);
	}
}

// --- reads that wait without asking --------------------------------------------------------------

typedef enum Ended { BY_DEADLINE, BY_CANCEL } Ended;

static go_fd reader;

static int
read_in_scope(void *unused)
{
	char buf[16];
	(void)unused;
	int64_t n = go_read(reader, buf, sizeof(buf));
	return n < 0 ? (int)n : 0;
}

static PollWord *
begin_waiting(go_scope *s)
{
	PollWord *w = &slot_at((uint32_t)reader)->pd.word[POLL_READ];
	go_scope_open(s, GO_NEVER);
	expect_eq(go_scope_spawn(s, read_in_scope, NULL), 0);
	until(load_rlx(w) > POLL_TAKEN);
	return w;
}

// The reader waits. An event comes and ends that, or comes when a cancellation has; and the reader
// has not gone on yet.
static int
event_and_end(go_fd writer, Ended how)
{
	go_scope s;
	PollWord *w = begin_waiting(&s);
	if (how == BY_CANCEL)
		go_scope_cancel(&s);
	expect_eq(write(go_fd_number(writer), "abc", 3), 3);
	for (int64_t end = go_in(GO_SEC); load_rlx(w) > POLL_TAKEN && go_now() < end;) {
		sched_enter();
		(void)poll_now();
		sched_leave();
	}
	go_set_read_deadline(reader, how == BY_DEADLINE ? go_now() : GO_NEVER);
	return go_scope_wait(&s);
}

static void
read_after(Ended how)
{
	char at[64], buf[16];
	int ended_so = 0;
	go_fd listener = go_listen("tcp", "127.0.0.1:0");
	expect(go_local_text(listener, at, sizeof(at)) > 0);
	go_fd writer = go_dial("tcp", at, GO_NEVER);
	reader = go_accept(listener);
	expect(writer > 0 && reader > 0);
	for (int i = 0; i < 20; i++) {
		for (int j = 0; j < 3; j++) {
			go_scope s;
			(void)begin_waiting(&s);
			expect_eq(go_write(writer, "abc", 3), 3);
			expect_eq(go_scope_wait(&s), 0);
		}
		if (event_and_end(writer, how) != 0) {
			ended_so++;
			go_set_read_deadline(reader, go_in(2 * GO_SEC));
			expect_eq(go_read(reader, buf, sizeof(buf)), 3);
		}
		go_set_read_deadline(reader, GO_NEVER);
	}
	expect(ended_so != 0);
	go_close(listener);
	go_close(writer);
	go_close(reader);
}

// An event ends the wait of one who then returns without having read: it must not be lost on who
// reads next.
GO_TEST(poll_event_then_deadline, 1)
{
	read_after(BY_DEADLINE);
}

GO_TEST(poll_event_then_cancel, 1)
{
	read_after(BY_CANCEL);
}

// A socket that is not TCP is asked once what it is, however many of its reads are followed by one
// in vain.
GO_TEST(poll_vain_not_tcp, 1)
{
	int fds[2];
	char buf[8] = {0};
	expect_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	go_fd fd = go_adopt(fds[0]);
	expect(fd > 0);
	go_set_read_deadline(fd, GO_POLL);
	for (int i = 0; i < 41; i++) {
		expect_eq(write(fds[1], buf, sizeof(buf)), sizeof(buf));
		expect_eq(go_read(fd, buf, sizeof(buf)), sizeof(buf));
		expect_eq(go_read(fd, buf, sizeof(buf)), GO_EAGAIN);
	}
	const Netfd *nf = slot_at((uint32_t)fd);
	expect_eq(nf->reads, READS_TELL_NOTHING);
	expect_eq(nf->vain, 0); // it does not even count any more
}

static void
full_and_vain(go_fd from, go_fd to)
{
	char buf[64] = {0};
	expect_eq(go_write(from, buf, sizeof(buf)), sizeof(buf));
	until(go_read(to, buf, sizeof(buf)) == sizeof(buf));
	expect_eq(go_read(to, buf, sizeof(buf)), GO_EAGAIN);
}

// Full reads are told to count, until the program has the number of the connection: it may have put
// something over it that counts otherwise. Nothing else changes.
GO_TEST(poll_number_told, 1)
{
	char at[64], buf[64];
	go_fd listener = go_listen("tcp", "127.0.0.1:0");
	expect(go_local_text(listener, at, sizeof(at)) > 0);
	go_fd writer = go_dial("tcp", at, GO_NEVER), fd = go_accept(listener);
	expect(writer > 0 && fd > 0);
	const Netfd *nf = slot_at((uint32_t)fd);
	go_set_read_deadline(fd, GO_POLL);
	for (int i = 0; i < 20; i++)
		full_and_vain(writer, fd);
	expect_eq(nf->reads, READS_COUNTED);
	expect(go_fd_number(fd) >= 0);
	for (int i = 0; i < 20; i++)
		full_and_vain(writer, fd);
	expect_eq(nf->reads, READS_UNCOUNTED);
	expect_eq(go_write(writer, "abc", 3), 3);
	until(go_read(fd, buf, sizeof(buf)) == 3);
	expect(nf->drained);
	expect_eq(go_close(writer), 0);
	go_set_read_deadline(fd, GO_NEVER);
	expect_eq(go_read(fd, buf, sizeof(buf)), 0);
	expect_eq(go_close(fd), 0);
	expect_eq(go_close(listener), 0);
}

// --- standard descriptors -----------------------------------------------------------------------

// Whether fd is no file, but something of the kernel's that has none. (What the monitor reads has
// any number for as long as that takes.)
static bool
is_without_file(int fd)
{
	enum { PREFIX = 11 };
	char path[32], to[PREFIX];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return readlink(path, to, PREFIX) == PREFIX && memcmp(to, "anon_inode:", PREFIX) == 0;
}

// What the runtime opens for itself is none of them, in a program that has closed these: poller,
// bell and ring.
GO_TEST(poll_not_standard, 1)
{
	int kept[3], fds[2], taken = 0;
	char byte;
	for (int i = 0; i < 3; i++)
		kept[i] = fcntl(i, F_DUPFD_CLOEXEC, 10);
	expect_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	for (int i = 0; i < 3; i++)
		close(i);
	left = open_end(fds[0]);
	right = open_end(fds[1]);
	put(&left, 'x');
	int got = get(&right, &byte);
	go_fd file = go_open("/proc/self/exe", O_RDONLY, 0);
	int64_t n = go_read(file, &byte, 1);
	go_close(file);
	for (int i = 0; i < 3; i++)
		taken += is_without_file(i);
	for (int i = 0; i < 3; i++)
		dup2(kept[i], i);
	expect_eq(got, 1);
	expect_eq(n, 1);
	expect_eq(taken, 0);
}

// --- generations --------------------------------------------------------------------------------

// What the poller says of a descriptor after it was closed is not taken for the next one's, which
// has the same record.
GO_TEST(poll_late_event, 1)
{
	open_pair(&left, &right);
	PollDesc *pd = &left.nf->pd;
	OsReady late = {(uint64_t)load_rlx(&pd->gen) << 32 | pd->index, OS_READABLE | OS_WRITABLE};
	close_end(&left);
	close_end(&right);
	open_pair(&right, &left);
	expect(&left.nf->pd == pd || &right.nf->pd == pd);
	for (int side = 0; side < 2; side++) {
		GList l = {0};
		sched_enter();
		word_reset(&pd->word[side]);
		up_poll_take(&late, 1, &l);
		expect(load_rlx(&pd->word[side]) == POLL_NIL);
		late.tag += UINT64_C(1) << 32; // which is its own now
		up_poll_take(&late, 1, &l);
		expect(load_rlx(&pd->word[side]) == POLL_READY);
		late.tag -= UINT64_C(1) << 32;
		sched_leave();
		expect(l.first == NULL);
	}
}

// --- what it costs others -----------------------------------------------------------------------

// Sleeping is as exact as without the poller: its wait has the next timer's time.
GO_TEST(poll_keeps_time, 2)
{
	open_pair(&left, &right);
	expect_eq(go_spawn(get_result, NULL), 0);
	for (int i = 0; i < 50; i++) {
		int64_t until_then = go_in(200 * GO_USEC);
		expect_eq(go_sleep_until(until_then), 0);
		expect(go_now() >= until_then);
	}
	put(&right, 'x');
	until(load_acq(&result) != 0); // order: observe <- get_result
}

// A file is always ready, and known to nobody.
GO_TEST(poll_not_a_file, 1)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	sched_enter();
	Netfd *nf = slot_get();
	expect_eq(poll_open(&nf->pd, fd), -EPERM);
	poll_close(&nf->pd);
	slot_put(nf);
	sched_leave();
}

// Records by number: as many as are asked for, each found again.
GO_TEST(poll_slots, 1)
{
	enum { MANY = 5000 };
	static Netfd *all[MANY];
	for (int i = 0; i < MANY; i++) {
		all[i] = slot_get();
		expect(all[i] != NULL);
		expect_eq(all[i]->pd.index, i);
		expect(slot_at((uint32_t)i) == all[i]);
	}
	expect(slot_at(1 << 20) == NULL);
	expect(slot_at(UINT32_MAX) == NULL);
	uint32_t gen = load_rlx(&all[7]->pd.gen);
	slot_put(all[7]);
	expect(slot_get() == all[7]);
	expect_eq(load_rlx(&all[7]->pd.gen), gen + 1);
}
