// SPDX-License-Identifier: BSD-3-Clause
// The C side of main.go.
#include <pthread.h>
#include <stddef.h>
#include <unistd.h>
#include <sys/syscall.h>

int goBack(int depth);
int goDeep(int n);
void goKeep(int key);
void goPanic(int depth);
void goWait(void);
int keeps_thread(void);
int on_threads(int threads, int depth);
int there_and_back(int depth);
int through(int depth);

int
there_and_back(int depth)
{
	return goBack(depth);
}

int
through(int depth)
{
	goPanic(depth);
	return depth;
}

static _Thread_local int mark;

// 1 when the thread is the same behind the call, and what it has of its own.
int
keeps_thread(void)
{
	pthread_mutex_t mutex;
	pthread_mutexattr_t kind;
	pthread_mutexattr_init(&kind);
	pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutex_init(&mutex, &kind);
	long before = syscall(SYS_gettid);
	pthread_mutex_lock(&mutex);
	mark = (int)before;
	goWait();
	return syscall(SYS_gettid) == before && mark == (int)before &&
	       pthread_mutex_unlock(&mutex) == 0;
}

typedef struct Call {
	pthread_t thread;
	int key, depth, result;
} Call;

static void *
call(void *arg)
{
	Call *c = arg;
	c->result = goDeep(c->depth);
	goKeep(c->key);
	return NULL;
}

// On as many threads at once, with little stack.
int
on_threads(int threads, int depth)
{
	enum { MOST = 16, STACK_BYTES = 128 << 10 };
	Call calls[MOST];
	pthread_attr_t attr;
	int sum = 0;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	for (int i = 0; i < threads && i < MOST; i++) {
		calls[i] = (Call){.key = i + 1, .depth = depth};
		pthread_create(&calls[i].thread, &attr, call, &calls[i]);
	}
	for (int i = 0; i < threads && i < MOST; i++) {
		pthread_join(calls[i].thread, NULL);
		sum += calls[i].result;
	}
	return sum;
}
