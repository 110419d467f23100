// SPDX-License-Identifier: BSD-3-Clause

// The side of C: threads that call exchange, which is in main.go.
package main

// #cgo CFLAGS: -O2 -I${SRCDIR}/../..
// #cgo LDFLAGS: -pthread
// #include <pthread.h>
// #include "bench.h"
//
// extern long long exchange(long long v);
//
// static void *
// exchange_once(void *unused)
// {
// 	bench_check(exchange(1) == 1, "lost an element");
// 	return unused;
// }
//
// static void
// reentry_body(int64_t n)
// {
// 	int64_t sum = 0;
//
// 	for (int64_t i = 0; i < n; i++)
// 		sum += exchange(1);
// 	bench_check(sum == n, "reentry: lost an element");
// }
//
// static void *
// reentry_thread(void *unused)
// {
// 	bench_row("reentry", reentry_body, 1);
// 	return unused;
// }
//
// static void
// run_thread(void *(*fn)(void *))
// {
// 	pthread_t t;
//
// 	bench_check(pthread_create(&t, NULL, fn, NULL) == 0, "no thread");
// 	bench_check(pthread_join(t, NULL) == 0, "no end of a thread");
// }
//
// static void
// attach_body(int64_t n)
// {
// 	for (int64_t i = 0; i < n; i++)
// 		run_thread(exchange_once);
// }
//
// void
// run_reentry(void)
// {
// 	run_thread(reentry_thread);
// }
//
// void
// run_attach(void)
// {
// 	bench_row("attach", attach_body, 1);
// }
import "C"
