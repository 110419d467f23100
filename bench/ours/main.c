// SPDX-License-Identifier: BSD-3-Clause
// Our own contender: the list of rows and main.

#include "ours.h"

static int
run_row(void *arg)
{
	const struct bench_entry *e = arg;

	e->run();
	return 0;
}

// The entry of row, or NULL.
static const struct bench_entry *
find(const struct bench_entry *rows, int nrows, const char *row)
{
	for (int i = 0; i < nrows; i++)
		if (strcmp(row, rows[i].row) == 0)
			return &rows[i];
	return NULL;
}

static void
list(const struct bench_entry *rows, int nrows)
{
	for (int i = 0; i < nrows; i++)
		puts(rows[i].row);
}

int
main(int argc, char **argv)
{
	static const struct bench_entry plain[] = {{"switch", row_switch}};
	static const struct bench_entry rows[] = {
	    {"yield", row_yield},
	    {"spawn", row_spawn},
	    {"wg", row_wg},
	    {"spawn_par", row_spawn_par},
	    {"chan_unbuf", row_chan_unbuf},
	    {"chan_buf", row_chan_buf},
	    {"chan_prodcons", row_chan_prodcons},
	    {"select2", row_select2},
	    {"select_many", row_select_many},
	    {"mutex", row_mutex},
	    {"mutex_cont", row_mutex_cont},
	    {"defer", row_defer},
	    {"protect", row_protect},
	    {"panic", row_panic},
	    {"panic_deep", row_panic_deep},
	    {"afterfunc", row_afterfunc},
	    {"timer_reset", row_timer_reset},
	    {"sleep50us", row_sleep50us},
	    {"locked_pair", row_locked_pair},
	    {"reentry", row_reentry},
	    {"attach", row_attach},
	    {"echo100", row_echo100},
	    {"echo1000", row_echo1000},
	    {"net_idle", row_net_idle},
	    {"file4k", row_file4k},
	    {"file_disk", row_file_disk},
	    {"parked", row_parked},
	    {"million", row_million},
	    {"idle", row_idle},
	};
	const int nrows = sizeof rows / sizeof rows[0];

	if (argc == 5 && strcmp(argv[1], "load") == 0)
		return load_main(argv);
	const struct bench_entry *e = argc == 2 ? find(rows, nrows, argv[1]) : NULL;

	if (argc == 2 && e == NULL)
		e = find(heap_rows, heap_row_count, argv[1]);
	if (argc == 2 && e == NULL)
		e = find(our_map_rows, our_map_row_count, argv[1]);
	if (e != NULL)
		return go_run(run_row, (void *)e);
	if (argc == 2 && strcmp(argv[1], "--list") == 0) {
		list(rows, nrows);
		list(heap_rows, heap_row_count);
		list(our_map_rows, our_map_row_count);
	}
	return bench_main(argc, argv, plain, 1);
}
