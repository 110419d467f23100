// SPDX-License-Identifier: BSD-3-Clause

// Rows of channels and select: chan_unbuf, chan_buf, chan_prodcons, select2, select_many.
package main

import (
	"fmt"
	"sync/atomic"
)

// A round trip is two messages.
func chanUnbufBody(n int64) {
	ping, pong := make(chan int64), make(chan int64)
	go func() {
		for i := int64(0); i < n; i++ {
			pong <- <-ping + 1
		}
	}()
	var sum int64
	for i := int64(0); i < n; i++ {
		ping <- 0
		sum += <-pong
	}
	check(sum == n, "chan_unbuf: lost a message")
}

// One send and one receive for each n.
func chanBufBody(n int64) {
	c := make(chan int64, 16)
	var sum int64
	for i := int64(0); i < n; i++ {
		c <- 1
		sum += <-c
	}
	check(sum == n, "chan_buf: lost an element")
}

func chanProdconsBody(n int64) {
	c := make(chan int64, 100)
	done := make(chan bool)
	var consumed int64
	for i := 0; i < producers; i++ {
		go func() {
			for i := int64(0); i < n; i++ {
				c <- 1
			}
			done <- true
		}()
		go func() {
			var sum int64
			for i := int64(0); i < n; i++ {
				sum += <-c
			}
			atomic.AddInt64(&consumed, sum)
			done <- true
		}()
	}
	for i := 0; i < 2*producers; i++ {
		<-done
	}
	check(consumed == n*producers, "chan_prodcons: lost an element")
}

// One send and one receive over two channels in turn, without select: what select2 adds to.
func turnsBody(n int64) {
	var c [2]chan int64
	for i := range c {
		c[i] = make(chan int64, 1)
	}
	var sum int64
	for i := int64(0); i < n; i++ {
		c[i&1] <- 1
		sum += <-c[i&1]
	}
	check(sum == n, "select2: lost an element")
}

func select2Body(n int64) {
	var c [2]chan int64
	for i := range c {
		c[i] = make(chan int64, 1)
	}
	var sum int64
	for i := int64(0); i < n; i++ {
		c[i&1] <- 1
		select {
		case v := <-c[0]:
			sum += v
		case v := <-c[1]:
			sum += v
		}
	}
	check(sum == n, "select2: lost an element")
}

// The select alone: the whole less one send, taken as half of a send and a receive.
func select2(name string) {
	pair, _ := timeBody(turnsBody)
	cpu, wall := timeBody(select2Body)
	fmt.Printf("%s %.3f %.3f alone=%.1f\n", name, cpu, wall, cpu-pair/2)
}

// Eight channels, one ready, all eight listened to.
func selectManyBody(n int64) {
	var c [8]chan int64
	for i := range c {
		c[i] = make(chan int64, 1)
	}
	var sum int64
	for i := int64(0); i < n; i++ {
		c[i&7] <- 1
		select {
		case v := <-c[0]:
			sum += v
		case v := <-c[1]:
			sum += v
		case v := <-c[2]:
			sum += v
		case v := <-c[3]:
			sum += v
		case v := <-c[4]:
			sum += v
		case v := <-c[5]:
			sum += v
		case v := <-c[6]:
			sum += v
		case v := <-c[7]:
			sum += v
		}
	}
	check(sum == n, "select_many: lost an element")
}

func selectMany(name string) {
	pair, _ := timeBody(turnsBody)
	cpu, wall := timeBody(selectManyBody)
	fmt.Printf("%s %.3f %.3f alone=%.1f\n", name, cpu, wall, cpu-pair/2)
}
