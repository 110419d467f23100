// SPDX-License-Identifier: BSD-3-Clause
// Rows of files: file4k, file_disk. The file is in the working directory.

#ifndef _GNU_SOURCE
#define _GNU_SOURCE // O_DIRECT
#endif
#include <fcntl.h>

#include "ours.h"

enum { PAGE = 4096, PAGES = 16384, READERS = 64 };

static go_fd file;

// A file of 64 MiB that has no name any more, all of it on the disk.
static void
make_file(int flags)
{
	enum { PIECE = 1 << 20 };
	char *piece = calloc(1, PIECE); // no static array: a collector would read it each time
	char name[] = "bench-file-XXXXXX";
	int made = mkstemp(name);

	bench_check(made >= 0, "cannot make a file here");
	bench_check(piece != NULL, "no memory");
	for (int i = 0; i < PAGES * PAGE / PIECE; i++)
		bench_check(write(made, piece, PIECE) == PIECE, "write failed");
	free(piece);
	bench_check(fsync(made) == 0, "fsync failed");
	file = go_open(name, O_RDONLY | flags, 0);
	bench_check(file > 0, "cannot open the file as it has to be");
	unlink(name);
	close(made);
}

static void
file4k_body(int64_t n)
{
	static char page[PAGE];

	for (int64_t i = 0; i < n; i++)
		bench_check(go_pread(file, page, PAGE, i % PAGES * PAGE) == PAGE, "file4k: short");
}

void
row_file4k(void)
{
	one_p();
	make_file(0);
	file4k_body(PAGES);
	bench_row("file4k", file4k_body, 1);
}

static go_waitgroup all;
static int64_t each;
static char (*read_to)[PAGE]; // of each reader

static void
read_disk(void *v)
{
	uint64_t at = (uint64_t)(uintptr_t)v;

	for (int64_t i = 0; i < each; i++) {
		at = at * 6364136223846793005U + 1442695040888963407U;
		bench_check(go_pread(file, read_to[(uintptr_t)v], PAGE,
				     (int64_t)((at >> 33) % PAGES * PAGE)) == PAGE,
			    "file_disk: short");
	}
	go_wg_done(&all);
}

static void
file_disk_body(int64_t n)
{
	each = n;
	go_wg_add(&all, READERS);
	for (uintptr_t i = 0; i < READERS; i++)
		spawn(read_disk, (void *)i);
	go_wg_wait(&all, GO_NEVER);
}

void
row_file_disk(void)
{
	double wall, cpu;

	read_to = aligned_alloc(PAGE, READERS * sizeof *read_to);
	bench_check(read_to != NULL, "no memory");
	all_ps();
	make_file(O_DIRECT);
	cpu = bench_time(file_disk_body, READERS, &wall);
	printf("file_disk %.3f %.3f threads=%lld\n", cpu, wall,
	       (long long)bench_status_bytes("Threads:") / 1024);
	fflush(stdout);
}
