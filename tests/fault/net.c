// SPDX-License-Identifier: BSD-3-Clause
// What the system may refuse or do oddly when goroutines use descriptors: each program has to come
// to its end all the same, or to say why not.
#include "goroutines.h"

static Count ended;

static void
echo(void *v)
{
	go_fd fd = (go_fd)(intptr_t)v;
	char buf[100];
	int64_t n;
	while ((n = go_read(fd, buf, sizeof(buf))) > 0)
		expect_eq(go_write(fd, buf, (size_t)n), n);
	expect_eq(n, 0);
	expect_eq(go_close(fd), 0);
	count_add(&ended);
}

static int
talk(void *unused)
{
	char at[64], buf[100];
	(void)unused;
	go_fd l = go_listen("tcp", "127.0.0.1:0");
	expect(l > 0);
	expect(go_local_text(l, at, sizeof(at)) > 0);
	for (int i = 0; i < 10; i++) {
		go_fd a = go_dial("tcp", at, go_in(30 * GO_SEC)), b = go_accept(l);
		expect(a > 0 && b > 0);
		expect_eq(go_spawn(echo, (void *)(intptr_t)b), 0);
		for (int j = 0; j < 10; j++) {
			expect_eq(go_write(a, buf, sizeof(buf)), sizeof(buf));
			expect_eq(go_read_full(a, buf, sizeof(buf)), sizeof(buf));
			go_sleep(10 * GO_USEC);
		}
		expect_eq(go_close(a), 0);
	}
	expect_eq(go_close(l), 0);
	until(count_of(&ended) == 10);
	return 0;
}

DEATH(fault_net_talk)
{
	expect_eq(go_run(talk, NULL), 0);
}

// Calls that end early, would wait for no reason, wake for none; bells that come late.
void
test_fault_net_goes_on(void)
{
	expect_death(fault_net_talk, .status = 0, .env = "UNDERGO_FAULT=poller_wait:~3:EINTR");
	expect_death(fault_net_talk, .status = 0, .env = "UNDERGO_FAULT=fd_accept:~2:ECONNABORTED");
	expect_death(fault_net_talk, .status = 0, .env = "UNDERGO_FAULT=fd_accept:%5:EMFILE");
	expect_death(fault_net_talk, .status = 0, .env = "UNDERGO_FAULT=fd_accept:%4:ENOBUFS");
	expect_death(fault_net_talk, .status = 0, .env = "UNDERGO_FAULT=bell_ring:*:EIO");
	expect_death(fault_net_talk, .status = 0, .env = "UNDERGO_FAULT=epoll_pwait2:1:ENOSYS");
}

static int
refused(void *unused)
{
	(void)unused;
	go_fd l = go_listen("tcp", "127.0.0.1:0");
	expect_eq(l, GO_ENOMEM);
	expect(go_listen("tcp", "127.0.0.1:0") > 0); // only the first was refused
	return 0;
}

DEATH(fault_net_refused)
{
	expect_eq(go_run(refused, NULL), 0);
}

void
test_fault_net_refused(void)
{
	expect_death(fault_net_refused, .status = 0, .env = "UNDERGO_FAULT=poller_make:1:EMFILE");
	expect_death(fault_net_refused, .status = 0, .env = "UNDERGO_FAULT=poller_add:1:ENOMEM");
	expect_death(fault_net_refused, .status = 0, .env = "UNDERGO_FAULT=poller_add:2:ENOSPC");
	expect_death(fault_net_refused, .status = 0, .env = "UNDERGO_FAULT=fd_open:1:ENFILE");
}

static int
fails(void *unused)
{
	char c;
	go_fd ends[2];
	(void)unused;
	expect_eq(go_pipe(ends), 0);
	expect_eq(go_write(ends[1], "x", 1), GO_ERRNO(EIO));
	expect_eq(go_write(ends[1], "x", 1), 1);
	expect_eq(go_read(ends[0], &c, 1), GO_ERRNO(EIO));
	expect_eq(go_read(ends[0], &c, 1), 1);
	return 0;
}

DEATH(fault_net_fails)
{
	expect_eq(go_run(fails, NULL), 0);
}

// What the system says comes through, and the descriptor is as good as before.
void
test_fault_net_fails(void)
{
	expect_death(fault_net_fails, .status = 0,
		     .env = "UNDERGO_FAULT=fd_read:1:EIO,fd_write:1:EIO");
}
