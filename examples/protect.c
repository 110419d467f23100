// SPDX-License-Identifier: BSD-3-Clause
// Panics: a server whose handlers may fail without taking it along.
//
// `handle` panics on what it cannot do; its file is closed all the same. `serve` calls it through
// go_protect and goes on with the next request.
#include <stdio.h>

#include <undergo.h>

static void
close_file(void *file)
{
	puts("  the file is closed");
	fclose(file);
}

static void
handle(void *arg)
{
	const int *request = arg;
	FILE *file = tmpfile();
	if (file == NULL)
		go_panic_text("no temporary file");
	GO_DEFER(close_file, file);
	if (*request % 2 != 0)
		go_panicf("request %d is odd", *request);
	fprintf(file, "%d\n", *request);
	printf("  request %d is done\n", *request);
}

static int
serve(void *arg)
{
	(void)arg;
	for (int request = 1; request <= 4; request++) {
		printf("request %d\n", request);
		go_value v = go_protect(handle, &request);
		if (go_panicked(v)) {
			char text[100];
			go_value_text(&v, text, sizeof(text));
			printf("  failed: %s\n", text);
		}
	}
	return 0;
}

int
main(void)
{
	return go_run(serve, NULL);
}
