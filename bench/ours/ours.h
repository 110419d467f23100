// SPDX-License-Identifier: BSD-3-Clause
// What the files of our own contender share. They use the public headers of the library only;
// switch.c alone looks inside.
//
// A row is a function that runs as the main goroutine. It begins with one_p or all_ps, as the
// row is defined in docs/bench.md, and prints its line itself.

#ifndef UNDERGO_BENCH_OURS_H
#define UNDERGO_BENCH_OURS_H

#include "../bench.h"
#include "undergo.h"

// One goroutine at a time from here on, as with GOMAXPROCS=1.
static inline void
one_p(void)
{
	go_gomaxprocs(1);
}

static inline void
all_ps(void)
{
	go_gomaxprocs(go_num_cpu());
}

static inline void
spawn(void (*fn)(void *), void *arg)
{
	bench_check(go_spawn(fn, arg) == 0, "go_spawn failed");
}

// sched.c
void row_yield(void);
void row_spawn(void);
void row_wg(void);
void row_spawn_par(void);

// chan.c
void row_chan_unbuf(void);
void row_chan_buf(void);
void row_chan_prodcons(void);
void row_select2(void);
void row_select_many(void);

// sync.c
void row_mutex(void);
void row_mutex_cont(void);

// panic.c
void row_defer(void);
void row_protect(void);
void row_panic(void);
void row_panic_deep(void);

// timer.c
void row_afterfunc(void);
void row_timer_reset(void);
void row_sleep50us(void);

// thread.c
void row_locked_pair(void);
void row_reentry(void);
void row_attach(void);

// net.c
void row_echo100(void);
void row_echo1000(void);
void row_net_idle(void);

// file.c
void row_file4k(void);
void row_file_disk(void);

// load.c; not a goroutine: another process, for all contenders
int load_main(char **argv);

// memory.c
void row_parked(void);
void row_million(void);
void row_idle(void);

// heap.c
extern const struct bench_entry *const heap_rows;
extern const int heap_row_count;

// map.c
extern const struct bench_entry *const our_map_rows;
extern const int our_map_row_count;

// switch.c; the only one that is not a goroutine.
void row_switch(void);

#endif
