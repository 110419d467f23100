// SPDX-License-Identifier: BSD-3-Clause
// runtime.Stack of all goroutines: each once, the oldest first, with why it waits, where, and who
// started it; on grown stacks, and before it has run; no more than the buffer holds. Meanwhile
// others begin, wait, run and end.

package main

import (
	"fmt"
	"net"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"
)

func stacks() string {
	buf := make([]byte, 1<<20)
	return string(buf[:runtime.Stack(buf, true)])
}

//go:noinline
func receives(c chan int) { <-c }

//go:noinline
func sends(c chan int) { c <- 1 }

//go:noinline
func receivesNil() {
	var c chan int
	<-c
}

//go:noinline
func selects(a, b chan int) {
	select {
	case <-a:
	case <-b:
	}
}

//go:noinline
func selectsNone() { select {} }

//go:noinline
func sleeps() { time.Sleep(time.Hour) }

//go:noinline
func locks(mu *sync.Mutex) { mu.Lock() }

//go:noinline
func cond(c *sync.Cond) {
	c.L.Lock()
	c.Wait()
	c.L.Unlock()
}

//go:noinline
func reads(c net.Conn) { c.Read(make([]byte, 1)) }

// With 300 bytes to a frame it goes over several stacks.
//go:noinline
func deep(n int, c chan int) int {
	var pad [300]byte
	pad[n%300] = byte(n)
	if n == 0 {
		<-c
		return 0
	}
	return deep(n-1, c) + int(pad[(n+1)%300])
}

func start() (done func()) {
	c := make(chan int)
	var mu sync.Mutex
	mu.Lock()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		panic(err)
	}
	go receives(c)
	go sends(make(chan int))
	go receivesNil()
	go selects(c, make(chan int))
	go selectsNone()
	go sleeps()
	go locks(&mu)
	go cond(sync.NewCond(new(sync.Mutex)))
	go reads(conn)
	go deep(1000, c)
	return func() { close(c) }
}

var wanted = []string{
	`chan receive\]:\nmain\.receives\(\.\.\.\)\n\t\S+/allstacks\.go:25 \+0x`,
	`chan send\]:\nmain\.sends\(`,
	`chan receive \(nil chan\)\]:\nmain\.receivesNil\(`,
	`select\]:\nmain\.selects\(`,
	`select \(no cases\)\]:\nmain\.selectsNone\(`,
	`sleep\]:\ntime\.Sleep\(\.\.\.\)\n.*\nmain\.sleeps\(`,
	`semacquire\]:\nsync\.Mutex\.Lock\(\.\.\.\)\n.*\nmain\.locks\(`,
	`sync\.Cond\.Wait\]:\nsync\.(.*\n)*?main\.cond\(`,
	`IO wait\]:\ninternal/poll\.(.*\n)*?main\.reads\(`,
	`chan receive\]:\nmain\.deep\((.*\n)+?\.\.\.additional frames elided\.\.\.\n`,
}

func missing(t string) string {
	for _, w := range wanted {
		re := regexp.MustCompile(`(?m)^goroutine \d+ \[` + w)
		if n := len(re.FindAllString(t, -1)); n != 1 {
			return fmt.Sprint(n, " of ", w)
		}
	}
	return ""
}

func storm(stop chan bool, wg *sync.WaitGroup) {
	defer wg.Done()
	for {
		select {
		case <-stop:
			return
		default:
			c := make(chan int)
			go func() { c <- 1 }()
			<-c
		}
	}
}

func main() {
	done := start()
	for missing(stacks()) != "" {
		time.Sleep(time.Millisecond)
		if why := missing(stacks()); why != "" && time.Since(begun) > 20*time.Second {
			fmt.Println(stacks(), "\n", why)
			return
		}
	}
	t := stacks()
	fmt.Println(strings.HasPrefix(t, "goroutine 1 [running]:\nmain.stacks(...)\n"),
		strings.Count(t, "\ncreated by main.start\n\t"), strings.Count(t, "goroutine "))
	last, sorted := 0, true
	for _, m := range regexp.MustCompile(`(?m)^goroutine (\d+) `).FindAllStringSubmatch(t, -1) {
		var id int
		fmt.Sscan(m[1], &id)
		sorted = sorted && id > last
		last = id
	}
	small := make([]byte, 100)
	fmt.Println(sorted, runtime.Stack(small, true), runtime.Stack(nil, true))
	debug.SetTraceback("all")

	stop, wg := make(chan bool), new(sync.WaitGroup)
	for i := 0; i < 4; i++ {
		wg.Add(1)
		go storm(stop, wg)
	}
	for i := 0; i < 50; i++ {
		if why := missing(stacks()); why != "" {
			fmt.Println(why)
		}
	}
	close(stop)
	wg.Wait()
	done()
	func() {
		defer func() {
			fmt.Println(strings.Contains(recover().(string), "main.main..func"))
		}()
		defer func() { recover(); panic(stacks()) }()
		panic(1)
	}()
}

var begun = time.Now()

// Output:
// true 10 11
// true 100 0
// true
