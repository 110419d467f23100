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

int
main(int argc, char **argv)
{
	static const struct bench_entry plain[] = {{"switch", row_switch}};
	static struct bench_entry rows[] = {
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
	    {"afterfunc", row_afterfunc},
	    {"timer_reset", row_timer_reset},
	    {"sleep50us", row_sleep50us},
	    {"parked", row_parked},
	    {"million", row_million},
	    {"idle", row_idle},
	};
	const int nrows = sizeof rows / sizeof rows[0];

	for (int i = 0; argc == 2 && i < nrows; i++)
		if (strcmp(argv[1], rows[i].row) == 0)
			return go_run(run_row, &rows[i]);
	if (argc == 2 && strcmp(argv[1], "--list") == 0)
		for (int i = 0; i < nrows; i++)
			puts(rows[i].row);
	return bench_main(argc, argv, plain, 1);
}
