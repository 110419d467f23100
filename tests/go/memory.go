// SPDX-License-Identifier: BSD-3-Clause
// The collector under Go code: a tree that lives, garbage that dies, finalizers, statistics.

package main

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"time"
)

type node struct {
	left, right *node
	n           int
}

func build(depth int) *node {
	if depth == 0 {
		return &node{n: 1}
	}
	return &node{build(depth - 1), build(depth - 1), 1}
}

func (t *node) count() int {
	if t == nil {
		return 0
	}
	return t.n + t.left.count() + t.right.count()
}

var finalized int32

func garbage() {
	for i := 0; i < 100; i++ {
		p := &node{n: i}
		runtime.SetFinalizer(p, func(p *node) { atomic.AddInt32(&finalized, 1) })
	}
}

var global = map[string][]*node{}

func main() {
	keep := build(14)
	global["a"] = append(global["a"], build(10))
	c := make(chan *node, 10)
	c <- build(8)
	for i := 0; i < 30; i++ {
		build(12)
		s := make([][]byte, 0)
		for j := 0; j < 1000; j++ {
			s = append(s, make([]byte, j))
		}
	}
	done := make(chan bool)
	go func() { garbage(); close(done) }()
	<-done
	for i := 0; i < 100 && atomic.LoadInt32(&finalized) < 80; i++ {
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
	var st runtime.MemStats
	runtime.ReadMemStats(&st)
	fmt.Println(keep.count(), global["a"][0].count(), (<-c).count(), finalized >= 80)
	fmt.Println(st.NumGC > 0, st.HeapAlloc < 64<<20, st.Mallocs > st.Frees)
}

// Output:
// 32767 2047 511 true
// true true true
