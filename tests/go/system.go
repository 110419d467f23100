// SPDX-License-Identifier: BSD-3-Clause
// The runtime's own goroutines are neither counted nor shown, in stacks, dumps and deaths; but
// GOTRACEBACK=system shows them. One of them that runs a function of the program is shown.

package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

var own = []string{`"finalizers"`, `"timers"`, `"gc"`, "go_run"}

type resource struct{ room [8]int }

//go:noinline
func drop(f func(*resource)) {
	runtime.SetFinalizer(new(resource), f)
}

//go:noinline
func clearStack(n int) int {
	var room [64]int
	if n == 0 {
		return 0
	}
	room[n%64] = n
	return clearStack(n-1) + room[n%64]
}

// Returns when f has begun, as a finalizer.
func finalize(f func()) {
	began := make(chan bool)
	for i := 0; ; i++ {
		drop(func(*resource) {
			select {
			case began <- true:
				f()
			case <-time.After(time.Second):
			}
		})
		clearStack(50)
		runtime.GC()
		select {
		case <-began:
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// All of the runtime's own have run, and rest again: then they are not counted.
func wakeAll() {
	finalize(func() {})
	fired := make(chan bool)
	time.AfterFunc(time.Millisecond, func() { close(fired) })
	<-fired
	for runtime.NumGoroutine() > 1 {
		time.Sleep(time.Millisecond)
	}
}

func stacks() string {
	buf := make([]byte, 1<<20)
	return string(buf[:runtime.Stack(buf, true)])
}

//go:noinline
func blocksInFinalizer(c chan bool) { <-c }

func dies(how string) {
	wakeAll()
	switch how {
	case "quit":
		syscall.Kill(os.Getpid(), syscall.SIGQUIT)
		select {}
	case "deadlock":
		select {}
	case "finalizer":
		finalize(func() { blocksInFinalizer(nil) })
		select {}
	}
	panic(how)
}

func death(how string, env ...string) string {
	c := exec.Command(os.Args[0], how)
	c.Env = append(os.Environ(), env...)
	said, _ := c.CombinedOutput()
	return string(said)
}

func count(text string) (n int) {
	for _, name := range own {
		if strings.Contains(text, name) {
			n++
		}
	}
	return n
}

func main() {
	if len(os.Args) > 1 {
		dies(os.Args[1])
	}
	fmt.Println(runtime.NumGoroutine())
	wakeAll()
	go func() { select {} }()
	fmt.Println(runtime.NumGoroutine(), count(stacks()))
	for _, how := range []string{"quit", "deadlock", "panic"} {
		said := death(how, "GOTRACEBACK=all")
		if count(said) != 0 || !strings.Contains(said, "goroutine 1 [") {
			fmt.Println(how, said)
		}
	}
	if n := count(death("quit", "GOTRACEBACK=system")); n < 3 {
		fmt.Println("with system", n)
	}
	if s := death("finalizer"); !strings.Contains(s, "main.blocksInFinalizer") {
		fmt.Println("a finalizer that waits is not shown", s)
	}
}

// Output:
// 1
// 2 0
