// SPDX-License-Identifier: BSD-3-Clause
// The C side of main.go.
#include <pthread.h>
#include <setjmp.h>
#include <stddef.h>

void _cgo_panic(const char *text);
void goCatch(void);
void goDown(int depth);
void goGrow(int times);
void goMark(void);
void goNest(int depth);
int go_on(int depth);
int jumps(int times, int depth);
int nested_on_thread(int depth);
int raise_here(void);
int raises_on_thread(void);
int threads_end_deep(int threads, int depth);
int threads_grow(int threads, int times);

enum { STACK_BYTES = 128 << 10, MOST = 16 };

static void
start(pthread_t *t, void *(*fn)(void *), void *arg)
{
	pthread_attr_t attr;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	pthread_create(t, &attr, fn, arg);
}

// --- threads that end ----------------------------------------------------------------------------

__attribute__((noinline)) static int
end_below(int depth)
{
	volatile char row[512];
	row[depth % sizeof row] = 1;
	if (depth == 0)
		pthread_exit(NULL);
	return end_below(depth - 1) + row[depth % sizeof row];
}

static void *
call_and_end(void *depth)
{
	goMark();
	end_below(*(int *)depth);
	return NULL;
}

int
threads_end_deep(int threads, int depth)
{
	pthread_t t;
	int n = 0;
	for (; n < threads; n++) {
		start(&t, call_and_end, &depth);
		pthread_join(t, NULL);
	}
	return n;
}

// --- calls within calls --------------------------------------------------------------------------

int
go_on(int depth)
{
	goNest(depth);
	return depth;
}

static void *
nest(void *depth)
{
	goNest(*(int *)depth);
	return NULL;
}

int
nested_on_thread(int depth)
{
	pthread_t t;
	start(&t, nest, &depth);
	return pthread_join(t, NULL);
}

// --- panics --------------------------------------------------------------------------------------

int
raise_here(void)
{
	_cgo_panic("from C");
	return 0;
}

static void *
catch(void *unused)
{
	(void)unused;
	goCatch();
	return NULL;
}

int
raises_on_thread(void)
{
	pthread_t t;
	start(&t, catch, NULL);
	return pthread_join(t, NULL);
}

// --- jumps ---------------------------------------------------------------------------------------

static _Thread_local jmp_buf back;

__attribute__((noinline)) static int
jump_below(int depth)
{
	volatile char row[1024];
	row[depth % sizeof row] = 1;
	if (depth == 0)
		longjmp(back, 1);
	return jump_below(depth - 1) + row[depth % sizeof row];
}

int
jumps(int times, int depth)
{
	volatile int n = 0;
	while (n < times) {
		if (setjmp(back) == 0)
			jump_below(depth);
		goDown(depth);
		n++;
	}
	return n;
}

// --- stacks that come and go ---------------------------------------------------------------------

static void *
grow(void *times)
{
	goGrow(*(int *)times);
	return NULL;
}

int
threads_grow(int threads, int times)
{
	pthread_t t[MOST];
	for (int i = 0; i < threads && i < MOST; i++)
		start(&t[i], grow, &times);
	for (int i = 0; i < threads && i < MOST; i++)
		pthread_join(t[i], NULL);
	return threads;
}
