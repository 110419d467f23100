// SPDX-License-Identifier: BSD-3-Clause
// Goroutines, channels, select, sync, time.

package main

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

func sieve(n int) int {
	c := make(chan int)
	go func(c chan int) {
		for i := 2; ; i++ {
			c <- i
		}
	}(c)
	last := 0
	for i := 0; i < n; i++ {
		last = <-c
		next := make(chan int)
		go func(in, out chan int, prime int) {
			for v := range in {
				if v%prime != 0 {
					out <- v
				}
			}
		}(c, next, last)
		c = next
	}
	return last
}

func selects() (sum int) {
	a, b, done := make(chan int), make(chan int, 3), make(chan bool)
	go func() {
		for i := 0; i < 1000; i++ {
			select {
			case a <- i:
			case b <- i:
			}
		}
		close(done)
	}()
	for {
		select {
		case v := <-a:
			sum += v
		case v := <-b:
			sum += v
		case <-done:
			for len(b) > 0 {
				sum += <-b
			}
			return
		}
	}
}

func conditions() int {
	var mu sync.Mutex
	cond := sync.NewCond(&mu)
	n, woken := 0, make(chan int, 20)
	for i := 0; i < 20; i++ {
		go func() {
			mu.Lock()
			n++
			cond.Wait()
			mu.Unlock()
			woken <- 1
		}()
	}
	for {
		mu.Lock()
		all := n == 20
		mu.Unlock()
		if all {
			break
		}
		runtime.Gosched()
	}
	cond.Signal()
	sum := <-woken
	cond.Broadcast()
	for i := 0; i < 19; i++ {
		sum += <-woken
	}
	return sum
}

func timers() (s string) {
	start := time.Now()
	fired := make(chan string, 10)
	time.AfterFunc(20*time.Millisecond, func() { fired <- "func" })
	never := time.AfterFunc(time.Hour, func() { fired <- "never" })
	t := time.NewTimer(time.Hour)
	t.Reset(5 * time.Millisecond)
	<-t.C
	s = fmt.Sprint(never.Stop(), never.Stop(), " ", <-fired)
	tick := time.NewTicker(2 * time.Millisecond)
	for i := 0; i < 5; i++ {
		<-tick.C
	}
	tick.Stop()
	if time.Since(start) < 30*time.Millisecond {
		s += " too early"
	}
	return
}

func main() {
	fmt.Println(sieve(100), selects(), conditions(), timers())
	var wg sync.WaitGroup
	var mu sync.RWMutex
	var n int64
	m := map[int]int{}
	for i := 0; i < 1000; i++ {
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			mu.Lock()
			m[i%10]++
			mu.Unlock()
			mu.RLock()
			_ = m[i%10]
			mu.RUnlock()
			atomic.AddInt64(&n, int64(i))
		}(i)
	}
	wg.Wait()
	fmt.Println(n, m)
	var once sync.Once
	p := sync.Pool{New: func() interface{} { return new([100]int) }}
	for i := 0; i < 100; i++ {
		once.Do(func() { fmt.Println("once") })
		p.Put(p.Get())
	}
	fmt.Println(runtime.GOMAXPROCS(3) > 0, runtime.GOMAXPROCS(0))
}

// Output:
// 541 499500 20 true false func
// 499500 map[0:100 1:100 2:100 3:100 4:100 5:100 6:100 7:100 8:100 9:100]
// once
// true 3
