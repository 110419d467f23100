// SPDX-License-Identifier: BSD-3-Clause
// Scopes: ask three mirrors for the same thing, take what comes in time, leave nobody behind.
//
// Children of a scope end before go_scope_wait returns, so they may use its caller's variables. A
// child's error, the deadline or go_scope_cancel ends the waits of all the others: nothing in
// `fetch` speaks of cancellation but the handing on of an error.
#include <stdio.h>

#include <undergo.h>

typedef struct Mirror {
	const char *name;
	int64_t delay_ns; // stands for a network
	int error;        // what it answers in the end
	int result;
	go_chan *first; // the names of those that answered, room for all
} Mirror;

static int
fetch(void *arg)
{
	Mirror *m = arg;
	m->result = go_sleep(m->delay_ns);
	if (m->result == 0)
		m->result = m->error;
	if (m->result == 0)
		m->result = go_chan_send(m->first, &m->name, GO_NEVER);
	return m->result;
}

// A child too, beside the fetchers. When one has answered the others are not needed any more.
typedef struct Watch {
	go_scope *scope;
	go_chan *first;
	const char *winner;
} Watch;

static int
watch(void *arg)
{
	Watch *w = arg;
	int err = go_chan_recv(w->first, &w->winner, GO_NEVER);
	if (err == 0)
		go_scope_cancel(w->scope);
	return err;
}

// Returns the scope's result.
static int
ask(const char *title, Mirror *mirror, int n, int64_t patience_ns)
{
	go_scope s;
	Watch w = {&s, go_chan_new(sizeof(char *), (size_t)n), NULL};
	int err = 0;
	go_scope_open(&s, go_in(patience_ns));
	err = go_scope_spawn(&s, watch, &w);
	for (int i = 0; i < n && err == 0; i++) {
		mirror[i].first = w.first;
		err = go_scope_spawn(&s, fetch, &mirror[i]);
	}
	if (err != 0)
		go_scope_cancel(&s);
	err = go_scope_wait(&s);

	printf("%s: %s, %s\n", title, w.winner != NULL ? w.winner : "nobody answered",
	       go_strerror(err));
	for (int i = 0; i < n; i++)
		printf("    %-8s %s\n", mirror[i].name, go_strerror(mirror[i].result));
	go_chan_free(w.first);
	return err;
}

static int
start(void *arg)
{
	Mirror quick[] = {
	    {.name = "near", .delay_ns = 20 * GO_MSEC},
	    {.name = "far", .delay_ns = 10 * GO_SEC},
	    {.name = "farther", .delay_ns = 20 * GO_SEC},
	};
	Mirror slow[] = {
	    {.name = "slow", .delay_ns = 10 * GO_SEC},
	    {.name = "slower", .delay_ns = 20 * GO_SEC},
	};
	Mirror broken[] = {
	    {.name = "broken", .delay_ns = 20 * GO_MSEC, .error = GO_ENOSYS},
	    {.name = "far", .delay_ns = 10 * GO_SEC},
	};
	(void)arg;
	int64_t begin = go_now();
	bool right = ask("the first answer wins", quick, 3, GO_SEC) == GO_ECANCELED &&
		     ask("patience runs out", slow, 2, 50 * GO_MSEC) == GO_ETIMEDOUT &&
		     ask("an error ends it", broken, 2, GO_SEC) == GO_ENOSYS;
	return right && go_now() - begin < 5 * GO_SEC ? 0 : 1;
}

int
main(void)
{
	return go_run(start, NULL);
}
