// SPDX-License-Identifier: BSD-3-Clause
// The profiles of goroutines, of blocking, of mutexes, of the heap and of threads: that they name
// the functions which wait, block, hold and allocate, and count them.

package main

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

func text(name string, debug int) string {
	var b bytes.Buffer
	if err := pprof.Lookup(name).WriteTo(&b, debug); err != nil {
		return err.Error()
	}
	return b.String()
}

// Of a profile's text, the numbers at the head of the stack that names all of these functions.
func head(text string, functions ...string) string {
next:
	for _, stack := range strings.Split(text, "\n\n") {
		for _, f := range functions {
			if !strings.Contains(stack, "\t"+f+"+0x") {
				continue next
			}
		}
		for _, l := range strings.Split(stack, "\n") {
			if at := strings.Index(l, " @ "); at > 0 && l[0] != 'h' && l[0] != 'g' {
				return l[:at]
			}
		}
	}
	return "none"
}

func waitFor(f func() bool) {
	for !f() {
		runtime.Gosched()
		time.Sleep(time.Millisecond)
	}
}

// --- goroutines ----------------------------------------------------------------------------------

//go:noinline
func receives(c chan int) { <-c }

//go:noinline
func waits(wg *sync.WaitGroup) { wg.Wait() }

var stop int32
var spun int

//go:noinline
func spins(p *int32) {
	for atomic.LoadInt32(p) == 0 {
		spun++
	}
}

func goroutines() {
	c := make(chan int)
	var wg sync.WaitGroup
	wg.Add(1)
	for i := 0; i < 7; i++ {
		go receives(c)
	}
	for i := 0; i < 3; i++ {
		go pprof.Do(context.Background(), pprof.Labels("kind", "waiter"),
			func(context.Context) { waits(&wg) })
	}
	waitFor(func() bool { return strings.Count(text("goroutine", 2), "main.waits(") == 3 })
	waitFor(func() bool { return strings.Count(text("goroutine", 2), "main.receives(") == 7 })
	t := text("goroutine", 1)
	fmt.Println(head(t, "main.receives"), head(t, "main.waits"), head(t, "main.main"),
		strings.Contains(t, `# labels: {"kind":"waiter"}`),
		strings.HasPrefix(t, "goroutine profile: total 11\n"),
		pprof.Lookup("goroutine").Count() >= 11)
	t = text("goroutine", 2)
	fmt.Println(strings.Count(t, "[chan receive]:\nmain.receives("),
		strings.Count(t, " [semacquire]:\nsync.WaitGroup.Wait("),
		strings.Count(t, "goroutine 1 [running]:\n"),
		strings.Count(t, "created by main.goroutines\n"))

	records := make([]runtime.StackRecord, 3)
	n, ok := runtime.GoroutineProfile(records)
	fmt.Println(n, ok)
	close(c)
	wg.Done()
	waitFor(func() bool { return runtime.NumGoroutine() == 1 })
	n, ok = runtime.GoroutineProfile(records)
	frames, named := runtime.CallersFrames(records[0].Stack()), ""
	for f, more := frames.Next(); more; f, more = frames.Next() {
		named += f.Function + " "
	}
	fmt.Println(n, ok, strings.Contains(named, "main.goroutines "))
}

// One that computes on another thread is asked for its stack.
func running() {
	if runtime.GOMAXPROCS(0) < 2 {
		runtime.GOMAXPROCS(2)
	}
	go spins(&stop)
	waitFor(func() bool { return strings.Contains(text("goroutine", 1), "main.spins") })
	buf := make([]byte, 1<<16)
	waitFor(func() bool {
		return strings.Contains(string(buf[:runtime.Stack(buf, true)]), "]:\nmain.spins(")
	})
	atomic.StoreInt32(&stop, 1)
	waitFor(func() bool { return runtime.NumGoroutine() == 1 })
}

// --- blocking ------------------------------------------------------------------------------------

//go:noinline
func gives(c chan int) {
	time.Sleep(3 * time.Millisecond)
	c <- 1
}

//go:noinline
func chooses(a, b chan int) {
	select {
	case <-a:
	case <-b:
	}
}

//go:noinline
func locks(mu *sync.Mutex) {
	mu.Lock()
	mu.Unlock()
}

//go:noinline
func holds(mu *sync.Mutex, locker chan bool) {
	mu.Lock()
	locker <- true
	for !strings.Contains(text("goroutine", 2), "main.locks(") {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(3 * time.Millisecond)
	mu.Unlock()
}

func block() {
	const rounds = 5
	runtime.SetBlockProfileRate(1)
	old := runtime.SetMutexProfileFraction(1)
	a, b := make(chan int), make(chan int)
	for i := 0; i < rounds; i++ {
		go gives(a)
		chooses(a, b)
	}
	var mu sync.Mutex
	locker, done := make(chan bool), make(chan bool)
	for i := 0; i < rounds; i++ {
		go func() {
			<-locker
			locks(&mu)
			done <- true
		}()
		holds(&mu, locker)
		<-done
	}
	runtime.SetBlockProfileRate(0)
	fmt.Println(old, runtime.SetMutexProfileFraction(0), runtime.SetMutexProfileFraction(-1))

	t := text("block", 1)
	enough := func(numbers string, times int) bool {
		var ns, n int
		fmt.Sscan(numbers, &ns, &n)
		return n == times && ns >= times*2000000
	}
	fmt.Println(strings.HasPrefix(t, "--- contention:\ncycles/second=1000000000\n"),
		enough(head(t, "main.chooses", "main.block"), rounds),
		enough(head(t, "sync.Mutex.Lock", "main.locks"), rounds))
	t = text("mutex", 1)
	fmt.Println(enough(head(t, "sync.Mutex.Unlock", "main.holds", "main.block"), rounds),
		head(t, "main.locks"))
	held := regexp.MustCompile(`main\.holds\+0x\w+\s+\S+/profiles\.go:155\n`)
	fmt.Println(held.MatchString(t))
	locks(&mu)
	fmt.Println(text("mutex", 1) == t)
}

// --- the heap ------------------------------------------------------------------------------------

type big [1000]int

var kept []*big

//go:noinline
func keeps(n int) {
	for i := 0; i < n; i++ {
		kept = append(kept, new(big))
	}
}

//go:noinline
func drops(n int) {
	for i := 0; i < n; i++ {
		dropped = new(big)
		sink = make([]byte, 5000)
	}
	sink, dropped = nil, nil
}

var sink []byte
var dropped *big

func heap() {
	const n = 200
	runtime.MemProfileRate = 1
	keeps(n)
	drops(n)
	runtime.MemProfileRate = 0
	runtime.GC()
	runtime.GC()
	var live, bytesLive, total int
	sum := func(t, function string) {
		live, bytesLive, total = 0, 0, 0
		for _, x := range strings.Split(t, "\n\n") {
			if !strings.Contains(x, "\tmain."+function+"+0x") {
				continue
			}
			var v [3]int
			counts := regexp.MustCompile(`(?m)^(\d+): (\d+) \[(\d+): .* @ `)
			for i, s := range counts.FindStringSubmatch(x)[1:] {
				v[i], _ = strconv.Atoi(s)
			}
			live, bytesLive, total = live+v[0], bytesLive+v[1], total+v[2]
		}
	}
	// Those that the allocator had in hand when the rate was set are no samples.
	in := func(v, times int) bool { return v >= (n-64)*times && v <= (n+20)*times }
	sum(text("heap", 1), "keeps")
	fmt.Println("kept", in(live, 1), in(bytesLive, 8192), in(total, 1))
	sum(text("allocs", 1), "drops")
	fmt.Println("dropped", live <= 1, in(total, 2))
	records := make([]runtime.MemProfileRecord, 1)
	all, ok := runtime.MemProfile(nil, true)
	used, _ := runtime.MemProfile(records, false)
	fmt.Println(all > used, used > 1, ok)
	var z bytes.Buffer
	fmt.Println(pprof.WriteHeapProfile(&z), z.Len() > 100)
}

func main() {
	goroutines()
	running()
	block()
	heap()
	n, ok := runtime.ThreadCreateProfile(nil)
	fmt.Println(n > 0, ok,
		strings.HasPrefix(text("threadcreate", 1), "threadcreate profile: total"))
}

// Output:
// 7 3 1 true true true
// 7 3 1 10
// 11 false
// 1 true true
// 0 1 0
// true true true
// true none
// true
// true
// kept true true true
// dropped true true
// true true false
// <nil> true
// true false true
