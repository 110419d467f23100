// SPDX-License-Identifier: BSD-3-Clause
// A program traces itself. The library's own parser for traces takes what it has written, which
// says that all is consistent and in order; and here it is looked whether it has what the program
// has done: goroutines, waits for a channel and who ended them, sleep, tasks, regions, logs,
// collections, the heap, processors, stacks. With one processor and with four, several traces of
// one process.

package main

import (
	_ "bufio"
	"bytes"
	_ "container/heap"
	"context"
	"fmt"
	"io"
	_ "math/rand"
	_ "os/exec"
	_ "path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/trace"
	_ "sort"
	_ "strconv"
	"strings"
	"sync"
	"time"
	_ "unsafe" // linkname
)

// As package internal/trace has them.
type event struct {
	off   int
	kind  byte
	seq   int64
	ts    int64
	p     int
	g     uint64
	stkID uint64
	stk   []*frame
	args  [3]uint64
	sargs []string
	link  *event
}

type frame struct {
	pc   uint64
	fn   string
	file string
	line int
}

type parsed struct {
	events []*event
	stacks map[uint64][]*frame
}

//go:linkname parse internal_1trace.Parse
func parse(r io.Reader, bin string) (parsed, error)

//go:linkname initParser internal_1trace..import
func initParser()

const (
	gomaxprocs  = 4
	procStart   = 5
	procStop    = 6
	gcStart     = 7
	stopped     = 9
	goCreate    = 13
	goWaiting   = 31
	goStart     = 14
	goEnd       = 15
	goSched     = 17
	goSleep     = 19
	goUnblock   = 21
	goBlockSend = 22
	goBlockRecv = 23
	goSelect    = 24
	goBlockSync = 25
	goBlockCond = 26
	goSysCall   = 28
	heapAlloc   = 33
	taskCreate  = 45
	taskEnd     = 46
	region      = 47
	userLog     = 48
)

const cycles = 3

func traced(f func()) (p parsed, err error) {
	var b bytes.Buffer
	if err := trace.Start(&b); err != nil {
		return p, err
	}
	f()
	trace.Stop()
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // the parser makes much
	return parse(&b, "")
}

// --- what the program does -----------------------------------------------------------------------

var release, late = make(chan bool), make(chan bool)
var ping, pong = make(chan int), make(chan int)

// waits returns when a goroutine waits in that function, and for that.
func waits(function, reason string) {
	buf := make([]byte, 1<<16)
	for {
		all := string(buf[:runtime.Stack(buf, true)])
		for _, one := range strings.Split(all, "\n\n") {
			if strings.Contains(one, function) && strings.Contains(one, " ["+reason) {
				return
			}
		}
		time.Sleep(time.Millisecond) // each look is in the trace
	}
}

func receiver(done *sync.WaitGroup) {
	for i := range ping {
		pong <- i
	}
	done.Done()
}

func sender(c chan int, done *sync.WaitGroup) {
	c <- 1
	done.Done()
}

// longWaiting has been waiting since before the trace began.
func longWaiting(done *sync.WaitGroup) {
	<-release
	done.Done()
}

func selecting(c chan int, done *sync.WaitGroup) {
	select {
	case <-c:
	case <-release:
	}
	<-late
	done.Done()
}

func condition(done *sync.WaitGroup) {
	var mu sync.Mutex
	cond := sync.NewCond(&mu)
	woken := false
	go func() {
		waits("main.condition", "sync.Cond.Wait")
		mu.Lock()
		woken = true
		cond.Signal()
		mu.Unlock()
	}()
	mu.Lock()
	for !woken {
		cond.Wait()
	}
	mu.Unlock()
	done.Done()
}

func annotate() {
	ctx, task := trace.NewTask(context.Background(), "a task")
	trace.WithRegion(ctx, "a region", func() {
		trace.Log(ctx, "a key", "a text")
		runtime.Gosched()
	})
	_, inner := trace.NewTask(ctx, "a task within")
	inner.End()
	task.End()
}

func work(done *sync.WaitGroup) {
	done.Add(4)
	full := make(chan int)
	go receiver(done)
	go sender(full, done)
	go selecting(make(chan int), done)
	go condition(done)
	for i := 0; i < 20; i++ {
		ping <- i
		<-pong
	}
	close(ping)
	annotate()
	time.Sleep(2 * time.Millisecond) // is in the trace
	for i := 0; i < cycles; i++ {
		runtime.GC()
	}
	waits("main.sender", "chan send")
	<-full
	waits("main.selecting", "select")
	close(release)
	waits("main.selecting", "chan receive")
	close(late)
	done.Wait()
}

// --- what the trace has of it --------------------------------------------------------------------

type look struct {
	parsed
	wrong []string
}

func (l *look) need(ok bool, what string) {
	if !ok {
		l.wrong = append(l.wrong, what)
	}
}

func (l *look) find(kind byte, where func(e *event) bool) *event {
	for _, e := range l.events {
		if e.kind == kind && (where == nil || where(e)) {
			return e
		}
	}
	return nil
}

func has(stack []*frame, function string) bool {
	for _, f := range stack {
		if strings.HasSuffix(f.fn, function) && strings.HasSuffix(f.file, "trace.go") {
			return true
		}
	}
	return false
}

// within is an event of this kind with that function in its stack.
func (l *look) within(kind byte, function string) *event {
	return l.find(kind, func(e *event) bool { return has(e.stk, function) })
}

func (l *look) named(kind byte, name string) *event {
	return l.find(kind, func(e *event) bool { return e.sargs[0] == name })
}

// blocks: a goroutine waits there, is let go from there, and begins to run again.
func (l *look) blocks(kind byte, there, from string) {
	e := l.find(kind, func(e *event) bool {
		u := e.link
		if u == nil || u.kind != goUnblock || u.args[0] != e.g || u.link == nil {
			return false
		}
		s := u.link
		return has(e.stk, there) && (from == "" || has(u.stk, from)) &&
			s.kind == goStart && s.g == e.g && e.ts <= u.ts && u.ts <= s.ts
	})
	l.need(e != nil, fmt.Sprint("event ", kind, " in ", there))
}

func (l *look) goroutines() {
	e := l.within(goCreate, "main.work")
	l.need(e != nil && e.link != nil && e.link.kind == goStart, "goroutine")
	l.need(l.find(goEnd, nil) != nil, "end of a goroutine")
	l.blocks(goBlockSend, "main.sender", "main.work")
	l.blocks(goBlockRecv, "main.selecting", "main.work")
	e = l.find(goWaiting, func(e *event) bool {
		return e.link != nil && has(e.link.stk, "main.work")
	})
	l.need(e != nil && e.link.link != nil && e.link.link.kind == goStart, "old waiter")
	l.blocks(goSelect, "main.selecting", "main.work")
	l.blocks(goBlockCond, "main.condition", "")
	l.blocks(goSleep, "main.work", "")
	l.need(l.within(goSched, "main.annotate") != nil, "yield")
}

func (l *look) annotations() {
	task := l.named(taskCreate, "a task")
	if task == nil {
		l.need(false, "task")
		return
	}
	id := task.args[0]
	l.need(has(task.stk, "main.annotate"), "stack of a task")
	end := task.link
	l.need(end != nil && end.kind == taskEnd && end.args[0] == id, "end of a task")
	inner := l.named(taskCreate, "a task within")
	l.need(inner != nil && inner.args[1] == id, "parent of a task")
	r := l.named(region, "a region")
	l.need(r != nil && r.args[0] == id && r.args[1] == 0 && r.g == task.g, "region")
	if r != nil && r.link != nil {
		r = r.link
		l.need(r.kind == region && r.args[1] == 1, "its end")
	}
	e := l.named(userLog, "a key")
	l.need(e != nil && e.args[0] == id && e.sargs[1] == "a text", "log")
}

func (l *look) machine(procs int) {
	n := map[byte]int{}
	for _, e := range l.events {
		n[e.kind]++
		if e.kind == procStart {
			l.need(e.p >= 0 && e.p < procs && e.args[0] != 0, "number of a processor")
		}
		if e.kind == goCreate {
			l.need(len(l.stacks[e.args[1]]) > 0, "where a goroutine begins")
		}
	}
	p := l.find(gomaxprocs, nil)
	l.need(p != nil && p.args[0] == uint64(procs), "how many processors")
	l.need(n[procStart] > 0 && n[procStop] > 0, "processors")
	l.need(n[gcStart] >= cycles-1 && n[gcStart] == n[stopped], "collections")
	l.need(n[heapAlloc] > 0, "heap")
	l.need(n[goSysCall] == 0 || l.find(goSysCall, nil).g != 0, "call")
}

func try(procs int) {
	runtime.GOMAXPROCS(procs)
	release, late = make(chan bool), make(chan bool)
	ping, pong = make(chan int), make(chan int)
	var done sync.WaitGroup
	done.Add(1)
	go longWaiting(&done)
	waits("main.longWaiting", "chan receive")
	p, err := traced(func() { work(&done) })
	if err != nil {
		fmt.Println(procs, err)
		return
	}
	l := look{parsed: p}
	l.goroutines()
	l.annotations()
	l.machine(procs)
	fmt.Println(procs, l.wrong)
}

// crowd: many goroutines, and processors that come and go.
func crowd() {
	p, err := traced(func() {
		var done sync.WaitGroup
		for i := 0; i < 40; i++ {
			done.Add(1)
			c := make(chan int)
			go func() {
				for range c {
					runtime.Gosched()
				}
				done.Done()
			}()
			go func() {
				for i := 0; i < 20; i++ {
					c <- i
				}
				close(c)
			}()
		}
		runtime.GOMAXPROCS(2)
		runtime.GOMAXPROCS(4)
		done.Wait()
	})
	fmt.Println(err, len(p.events) > 2000, len(p.events) < 20000)
}

func main() {
	initParser()
	try(1)
	try(4)
	crowd()
	try(4)
	_, err := traced(func() { fmt.Println(trace.Start(new(bytes.Buffer)), trace.IsEnabled()) })
	fmt.Println(trace.IsEnabled(), err)
	annotate()
}

// Output:
// 1 []
// 4 []
// <nil> true true
// 4 []
// runtime error: tracing is already enabled true
// false <nil>
