// SPDX-License-Identifier: BSD-3-Clause

// Proves what is left when C and Go part in unusual ways: threads of C that end deep down, and what
// the next ones find; calls back within calls back, counted once; panics that C raises, which lock
// nothing; jumps of C from one stack to an older one; collections while threads change stacks.

package main

/*
int go_on(int depth);
int raise_here(void);
int jumps(int times, int depth);
int nested_on_thread(int depth);
int raises_on_thread(void);
int threads_end_deep(int threads, int depth);
int threads_grow(int threads, int times);
*/
import "C"

import (
	"fmt"
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

//go:linkname setLabels runtime_1pprof.runtime__setProfLabel
func setLabels(labels unsafe.Pointer)

//go:linkname labels runtime_1pprof.runtime__getProfLabel
func labels() unsafe.Pointer

var marked, before, within int

//export goMark
func goMark() {
	if labels() != nil {
		marked++
	}
	setLabels(unsafe.Pointer(&marked))
}

//export goNest
func goNest(depth C.int) {
	if depth > 0 {
		C.go_on(depth - 1)
		return
	}
	within = runtime.NumGoroutine() - before
}

//export goCatch
func goCatch() {
	defer func() { recover() }()
	C.raise_here()
}

func down(n int) byte {
	var row [512]byte
	if n == 0 {
		return 0
	}
	row[n%len(row)] = byte(n)
	return down(n-1) + row[(n+1)%len(row)]
}

//export goDown
func goDown(depth C.int) {
	down(int(depth))
}

//export goGrow
func goGrow(times C.int) {
	for i := 0; i < int(times); i++ {
		down(200)
	}
}

func raised() (v interface{}) {
	defer func() { v = recover() }()
	C.raise_here()
	return nil
}

// Whether another goroutine gets to run on this one's thread.
func sharesThread() bool {
	c := make(chan int)
	for i := 0; i < 1000; i++ {
		here := syscall.Gettid()
		go func() { c <- syscall.Gettid() }()
		if there := <-c; there == here {
			return true
		}
	}
	return false
}

func main() {
	fmt.Println(C.threads_end_deep(8, 2000))
	runtime.GC()
	fmt.Println(C.threads_end_deep(8, 2000), marked)

	before = runtime.NumGoroutine()
	C.nested_on_thread(5)
	fmt.Println(within, runtime.NumGoroutine()-before)

	s, isString := raised().(string)
	fmt.Println(s, isString, sharesThread())
	C.raises_on_thread()
	for i := 0; i < 1000 && runtime.NumGoroutine() > before; i++ {
		time.Sleep(time.Millisecond) // the last one of sharesThread has sent, and is to end
	}
	fmt.Println(runtime.NumGoroutine() - before)

	fmt.Println(C.jumps(100, 1000))
	over := make(chan bool)
	go func() { // this one on a stack that is younger
		down(5000)
		fmt.Println(C.jumps(100, 1000))
		over <- true
	}()
	<-over

	go func() {
		C.threads_grow(3, 2000)
		over <- true
	}()
	for {
		select {
		case <-over:
			fmt.Println("grown")
			return
		case <-time.After(10 * time.Microsecond):
			runtime.GC()
		}
	}
}

// Output:
// 8
// 8 0
// 1 0
// from C true true
// 0
// 100
// 100
// grown
