// SPDX-License-Identifier: BSD-3-Clause

// Proves what cgo promises in both directions: values and errors of calls, calls back on goroutines
// and on threads of C, deep ones as well, panics through C, faults, a goroutine that finds its
// thread as it was when a call back has waited, and the numbers of goroutines and calls.

package main

/*
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

typedef struct Point { int x; double y; char name[8]; } Point;

static int add(int a, int b) { return a + b; }
static int fail(int how) { errno = how; return -1; }
static Point moved(Point p) { p.x++; p.y *= 2; return p; }

int there_and_back(int depth);
int on_threads(int threads, int depth);
int keeps_thread(void);
int through(int depth);
*/
import "C"

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

var kept sync.Map

//export goDeep
func goDeep(n C.int) C.int {
	var row [32]int
	if n == 0 {
		runtime.GC()
		return 0
	}
	for i := range row {
		row[i] = int(n)
	}
	under := goDeep(n - 1)
	for i := range row {
		if row[i] != int(n) {
			panic("a frame has changed")
		}
	}
	return under + 1
}

//export goKeep
func goKeep(key C.int) {
	kept.Store(int(key), strings.Repeat("x", int(key)))
	defer func() { recover() }()
	var nothing *int
	*nothing = 1
}

//export goWait
func goWait() {
	c := make(chan bool)
	go func() {
		time.Sleep(time.Millisecond)
		c <- true
	}()
	<-c
}

//export goBack
func goBack(depth C.int) C.int {
	if depth == 0 {
		return 0
	}
	return C.there_and_back(depth-1) + 1
}

//export goPanic
func goPanic(depth C.int) {
	if depth == 0 {
		panic("from below")
	}
	C.through(depth - 1)
}

func panics() {
	defer func() { fmt.Println("recovered:", recover()) }()
	C.through(5)
	fmt.Println("not reached")
}

func values() {
	p := C.Point{x: 1, y: 1.5}
	q := C.moved(p)
	r, err := C.fail(C.EAGAIN)
	s := C.CString("text")
	defer C.free(unsafe.Pointer(s))
	fmt.Println(C.add(2, 3), q.x, q.y, r, err == syscall.EAGAIN, C.GoString(s))
	b := C.GoBytes(unsafe.Pointer(s), 2)
	fmt.Println(string(b), runtime.NumCgoCall() > 2)
}

func manyAtOnce() {
	var wg sync.WaitGroup
	moved := 0
	var mu sync.Mutex
	for i := 0; i < 20; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for j := 0; j < 10; j++ {
				if C.keeps_thread() == 0 {
					mu.Lock()
					moved++
					mu.Unlock()
				}
			}
		}()
	}
	wg.Wait()
	fmt.Println("moved while C waited:", moved)
}

func main() {
	values()
	fmt.Println(C.there_and_back(20))
	panics()
	before := runtime.NumGoroutine()
	fmt.Println(C.on_threads(10, 3000))
	fmt.Println(runtime.NumGoroutine() - before)
	n := 0
	kept.Range(func(k, v interface{}) bool {
		if k.(int) == len(v.(string)) {
			n++
		}
		return true
	})
	fmt.Println("kept", n)
	manyAtOnce()
}

// Output:
// 5 2 3 -1 true text
// te true
// 20
// recovered: from below
// 30000
// 0
// kept 10
// moved while C waited: 0
