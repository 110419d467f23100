// SPDX-License-Identifier: BSD-3-Clause
// A program traces itself. The library's own parser for traces takes what it has written, which
// says that all is consistent and in order; and here it is looked whether it has what the program
// has done: goroutines, waits for a channel and who ended them, sleep, tasks, regions, logs,
// collections, the heap, processors, stacks. With one processor and with four, several traces of
// one process; traces that begin and end while another process sends to this one, timers fire and
// the collector is at work; one that has no room for all.

package main

import (
	_ "bufio"
	"bytes"
	_ "container/heap"
	"context"
	"fmt"
	"io"
	_ "math/rand"
	"net"
	"os"
	"os/exec"
	_ "path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/trace"
	_ "sort"
	_ "strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
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

// tracedTo has only those collections that f asks for; and the parser makes much.
func tracedTo(w io.Writer, b *bytes.Buffer, f func()) (p parsed, err error) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	if err := trace.Start(w); err != nil {
		return p, err
	}
	f()
	trace.Stop()
	return parse(b, "")
}

func traced(f func()) (p parsed, err error) {
	var b bytes.Buffer
	return tracedTo(&b, &b, f)
}

// slow takes so much, and no more until it is told to.
type slow struct {
	bytes.Buffer
	goOn chan bool
	left int
}

func (s *slow) Write(b []byte) (int, error) {
	if s.left--; s.left < 0 {
		<-s.goOn
	}
	return s.Buffer.Write(b)
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
	l.need(n[gcStart] == cycles && n[gcStart] == n[stopped], "collections")
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
	var procs []uint64
	for _, e := range p.events {
		if e.kind == gomaxprocs {
			procs = append(procs, e.args[0])
		}
	}
	fmt.Println(err, len(p.events) > 2000, len(p.events) < 20000, procs)
}

// --- a busy program ------------------------------------------------------------------------------

// switches: two goroutines that are told of some hundred times a millisecond.
func switches(until *int32, done *sync.WaitGroup) {
	for i := 0; atomic.LoadInt32(until) == 0; i++ {
		runtime.Gosched()
		if i%300 == 0 {
			time.Sleep(time.Millisecond) // the parser shall not have too much
		}
	}
	done.Done()
}

// flood: the reader, late as it is, always finds a full buffer. What is not of the scheduler comes
// nonetheless, ten times a second; and all collections.
func flood() {
	const collections, turns, turn = 12, 6, 100 * time.Millisecond
	var ends int32
	var done sync.WaitGroup
	s := &slow{goOn: make(chan bool)}
	p, err := tracedTo(s, &s.Buffer, func() {
		for i := 0; i < 4; i++ {
			done.Add(1)
			go switches(&ends, &done)
		}
		for i := 0; i < turns; i++ {
			for n := 0; n < collections/turns; n++ {
				runtime.GC()
			}
			time.Sleep(turn) // is how long it takes
			if i == 0 {
				close(s.goOn)
			}
		}
		atomic.StoreInt32(&ends, 1)
		done.Wait()
	})
	n := map[byte]int{}
	for _, e := range p.events {
		n[e.kind]++
	}
	fmt.Println(err, n[gcStart] == collections, n[heapAlloc] >= turns-1)
}

// send is what the other process does, which is not stopped with the world of this one: so there is
// always something to be found by who polls.
func send(addr string) {
	var all []net.Conn
	for i := 0; i < 8; i++ {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		all = append(all, c)
	}
	for i := 0; ; i++ {
		if _, err := all[i%len(all)].Write([]byte("a few bytes")); err != nil {
			return
		}
		if i%16 == 0 {
			time.Sleep(20 * time.Microsecond) // the other one shall wait at times
		}
	}
}

func serve(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go io.Copy(io.Discard, c)
	}
}

// tick fires again and again, and each time a goroutine is made.
func tick(until *int32) {
	if atomic.LoadInt32(until) == 0 {
		time.AfterFunc(50*time.Microsecond, func() { tick(until) })
	}
}

func collect(until *int32) {
	for atomic.LoadInt32(until) == 0 {
		runtime.SetFinalizer(new([16]int), func(*[16]int) {})
		runtime.GC()
		time.Sleep(time.Millisecond) // not all of the time
	}
}

// again begins and ends traces, the latter twice at once.
func again() {
	var ends int32
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	go serve(l)
	sender := exec.Command(os.Args[0], "send", l.Addr().String())
	if err := sender.Start(); err != nil {
		fmt.Println(err)
		return
	}
	for i := 0; i < 4; i++ {
		tick(&ends)
	}
	go collect(&ends)
	for i := 0; i < 30 && err == nil; i++ {
		var done sync.WaitGroup
		done.Add(1)
		_, err = traced(func() {
			time.Sleep(time.Duration(i%5) * time.Millisecond) // is in the trace
			go func() {
				trace.Stop()
				done.Done()
			}()
		})
		done.Wait()
	}
	fmt.Println(err)
	atomic.StoreInt32(&ends, 1)
	sender.Process.Kill()
	sender.Wait()
	l.Close()
}

// --- no room -------------------------------------------------------------------------------------

// addressSpace lets there be so much more of it; all there is when it is 0.
func addressSpace(more uint64) {
	var limit syscall.Rlimit
	syscall.Getrlimit(syscall.RLIMIT_AS, &limit)
	limit.Cur = limit.Max
	if more != 0 {
		var pages uint64
		b, _ := os.ReadFile("/proc/self/statm")
		fmt.Sscan(string(b), &pages)
		limit.Cur = pages*uint64(os.Getpagesize()) + more
	}
	syscall.Setrlimit(syscall.RLIMIT_AS, &limit)
}

// yield has more to tell than there is room for.
func yield(done *sync.WaitGroup) {
	for i := 0; i < 100000; i++ {
		runtime.Gosched()
	}
	done.Done()
}

// cut: this process has room for four mebibytes of events and one or two of what they name; sizes
// are halved until they fit. When a thread began meanwhile its stack has taken that.
func cut() {
	s := &slow{goOn: make(chan bool), left: 20}
	var p parsed
	err := fmt.Errorf("not tried")
	for i := 0; i < 20 && err != nil && s.Len() == 0; i++ {
		addressSpace(13 << 19)
		p, err = tracedTo(s, &s.Buffer, func() {
			addressSpace(0)
			for i := 0; i < 1000; i++ {
				key := fmt.Sprint(i, strings.Repeat(" of many", 500))
				trace.Log(context.Background(), key, "")
			}
			var done sync.WaitGroup
			for i := 0; i < 8; i++ {
				done.Add(1)
				go yield(&done)
			}
			done.Wait()
			close(s.goOn)
		})
		addressSpace(0)
	}
	fmt.Println(err, len(p.events) > 10000, len(p.events) < 1400000)
}

func cutApart() {
	out, err := exec.Command(os.Args[0], "cut").CombinedOutput()
	fmt.Print(string(out), err, "\n")
}

func main() {
	initParser()
	if len(os.Args) > 2 {
		send(os.Args[2])
		return
	}
	if len(os.Args) > 1 {
		cut()
		return
	}
	try(1)
	try(4)
	crowd()
	flood()
	again()
	cutApart()
	try(4)
	_, err := traced(func() { fmt.Println(trace.Start(new(bytes.Buffer)), trace.IsEnabled()) })
	fmt.Println(trace.IsEnabled(), err)
	annotate()
}

// Output:
// 1 []
// 4 []
// <nil> true true [4 2 4]
// <nil> true true
// <nil>
// runtime: a trace has no room for its events, and ends early
// runtime: a trace has no room for more stacks and texts
// <nil> true true
// <nil>
// 4 []
// runtime error: tracing is already enabled true
// false <nil>
