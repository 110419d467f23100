// SPDX-License-Identifier: BSD-3-Clause

// Proves that Goexit of a call from a thread of C, which is no goroutine's to end, is told.

package main

/*
#include <pthread.h>

void goExit(void);

static void *call(void *arg) { goExit(); return arg; }

static void run(void)
{
	pthread_t t;
	pthread_create(&t, NULL, call, NULL);
	pthread_join(t, NULL);
}
*/
import "C"

import "runtime"

//export goExit
func goExit() {
	runtime.Goexit()
}

func main() {
	C.run()
}

// Stderr:
// fatal error: runtime.Goexit called in a thread that was not created by the Go runtime
// Status: 2
