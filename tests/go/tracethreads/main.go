// SPDX-License-Identifier: BSD-3-Clause
// Traces begin and end while threads of C come, start goroutines, wake others, and end: none of
// that stands still while a trace begins. The library's own parser finds each trace consistent.

package main

/*
int threads_begin(int n);
void threads_end(int n);
*/
import "C"

import (
	_ "bufio"
	"bytes"
	_ "container/heap"
	"fmt"
	"io"
	_ "math/rand"
	_ "os/exec"
	_ "path/filepath"
	"runtime/debug"
	"runtime/trace"
	_ "sort"
	_ "strconv"
	_ "strings"
	"sync/atomic"
	"time"
	"unsafe"
)

// As package internal/trace has it.
type parsed struct {
	events []unsafe.Pointer
	stacks map[uint64][]unsafe.Pointer
}

//go:linkname parse internal_1trace.Parse
func parse(r io.Reader, bin string) (parsed, error)

//go:linkname initParser internal_1trace..import
func initParser()

var given = make(chan int, 1)
var taken, begun int64

//export goOnThread
func goOnThread() {
	go func() { atomic.AddInt64(&begun, 1) }()
	select {
	case given <- 1:
	default:
	}
}

func taker() {
	for range given {
		atomic.AddInt64(&taken, 1)
	}
}

func traced(pause time.Duration) error {
	var b bytes.Buffer
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // the parser makes much
	if err := trace.Start(&b); err != nil {
		return err
	}
	time.Sleep(pause) // is in the trace
	trace.Stop()
	_, err := parse(&b, "")
	return err
}

func main() {
	const threads = 3
	initParser()
	for i := 0; i < 4; i++ {
		go taker()
	}
	n := C.threads_begin(threads)
	var err error
	for i := 0; i < 100 && err == nil; i++ {
		err = traced(time.Duration(i%5) * 200 * time.Microsecond)
	}
	C.threads_end(n)
	fmt.Println(err, n, atomic.LoadInt64(&taken) > 100, atomic.LoadInt64(&begun) > 100)
}

// Output:
// <nil> 3 true true
