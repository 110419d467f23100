// SPDX-License-Identifier: BSD-3-Clause

// Proves that collections and waits for descriptors do not disturb each other: pairs of goroutines
// send each other bytes through sockets, each time from deep down a stack that grows and shrinks,
// while the main goroutine collects without an end. Some pairs are busy all the time, others idle.

package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"time"
)

const (
	pairs   = 100
	rounds  = 10 // of each pair, at least
	message = 100
)

func check(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// Both ends of a connection through the loopback device.
func connect() (net.Conn, net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	defer l.Close()
	dialed := make(chan net.Conn)
	go func() {
		c, err := net.Dial("tcp", l.Addr().String())
		check(err)
		dialed <- c
	}()
	a, err := l.Accept()
	check(err)
	return a, <-dialed
}

// Calls itself with something on the stack that must survive.
func deep(n int, f func()) int {
	var row [8]int
	for i := range row {
		row[i] = n + i
	}
	if n == 0 {
		f()
	} else {
		deep(n-1, f)
	}
	sum := 0
	for i := range row {
		sum += row[i] - i - n
	}
	if sum != 0 {
		panic("a frame has changed")
	}
	return sum
}

type pair struct {
	done int64
	idle time.Duration
}

func (p *pair) side(c net.Conn, begins bool) {
	buf := make([]byte, message)
	for {
		deep(1000, func() {
			if begins {
				_, err := c.Write(buf)
				check(err)
			}
			_, err := io.ReadFull(c, buf)
			check(err)
			if !begins {
				_, err := c.Write(buf)
				check(err)
			}
		})
		if begins {
			atomic.AddInt64(&p.done, 1)
			time.Sleep(p.idle)
		}
	}
}

func main() {
	all := make([]*pair, pairs)
	for i := range all {
		all[i] = &pair{}
		if i%4 != 0 {
			all[i].idle = time.Duration(i) * 100 * time.Microsecond
		}
		a, b := connect()
		go all[i].side(a, true)
		go all[i].side(b, false)
	}
	for ready := 0; ready < pairs; {
		runtime.GC()
		ready = 0
		for _, p := range all {
			if atomic.LoadInt64(&p.done) >= rounds {
				ready++
			}
		}
	}
	fmt.Println("all have had their rounds")
}

// Output:
// all have had their rounds
