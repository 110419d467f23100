// SPDX-License-Identifier: BSD-3-Clause When every goroutine waits for another the process ends
// with Go's text, each goroutine with what it waits for, and status 2. When something may still
// come, it does not.
#include "goroutines.h"

static const char deadlock_text[] =
	"fatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 ";

static go_chan *
new_chan(void)
{
	return go_chan_new(sizeof(int), 0);
}

static void
receiver(void *c)
{
	int v;
	go_chan_recv(c, &v, GO_NEVER);
}

static void
sender(void *c)
{
	int v = 1;
	go_chan_send(c, &v, GO_NEVER);
}

static void
selector(void *c)
{
	int v;
	go_case cases[2] = {
		GO_CASE_RECV(c, &v),
		GO_CASE_RECV(new_chan(), &v),
	};
	go_select(cases, 2, GO_NEVER);
}

static void
nil_receiver(void *unused)
{
	(void)unused;
	receiver(NULL);
}

static int
all_wait(void *unused)
{
	(void)unused;
	go_attr named = {.name = "poor \"one\"\n"};
	go_spawn(receiver, new_chan());
	go_spawn(sender, new_chan());
	go_spawn(selector, new_chan());
	go_spawn(nil_receiver, NULL);
	go_spawn_with(&named, receiver, new_chan());
	receiver(new_chan());
	__asm__ volatile(""); // no tail call: this frame is looked for
	return 0;
}

DEATH(deadlock)
{
	go_gomaxprocs(1);
	go_run(all_wait, NULL);
}

void
test_deadlock_is_fatal(void)
{
	expect_death(deadlock, .status = 2, .err = deadlock_text,
		     .err_has = {" [chan receive]:\n", "\nreceiver(...)\n\t", "deadlock.c:",
				 "\nall_wait(...)\n", " [go_run, thread]:\n"});
	expect_death(deadlock, .status = 2, .err_has = {" [chan send]:\n", "\nsender(...)\n"});
	expect_death(deadlock, .status = 2, .err_has = {" [select]:\n", "\nselector(...)\n"});
	expect_death(deadlock, .status = 2,
		     .err_has = {" [chan receive (nil chan)]:\n", "\nnil_receiver(...)\n",
				 "\ncreated by ", " in goroutine "});
	expect_death(deadlock, .status = 2, .err_has = {" \"poor ?one??\" [chan receive]:\n"});
}

// A deadlock shows the program's frames and no others, unless asked.
void
test_deadlock_hides_the_runtime(void)
{
	expect_death(deadlock, .status = 2, .err_lacks = {"\nsched_", "\nchan_", "\nbegin("});
	expect_death(deadlock, .status = 2, .env = "GOTRACEBACK=system",
		     .err_has = {"\nsched_park(...)\n", "\nreceiver(...)\n"});
	expect_death(deadlock, .status = 2, .env = "GOTRACEBACK=none",
		     .err = "fatal error: all goroutines are asleep - deadlock!\n",
		     .err_lacks = {"goroutine 1", "receiver"});
}

static int
waits_for_a_timer(void *unused)
{
	(void)unused;
	int v;
	go_chan *c = new_chan();
	go_chan_recv(c, &v, go_in(200 * GO_MSEC));
	go_chan_free(c);
	go_sleep(100 * GO_MSEC);
	return 7;
}

DEATH(no_deadlock)
{
	exit(go_run(waits_for_a_timer, NULL));
}

void
test_waiting_for_a_timer_is_no_deadlock(void)
{
	expect_death(no_deadlock, .status = 7);
}
