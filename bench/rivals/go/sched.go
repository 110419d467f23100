// SPDX-License-Identifier: BSD-3-Clause

// Rows of the scheduler: yield, spawn, wg, spawn_par.
package main

import (
	"runtime"
	"sync"
	"time"
)

// Two goroutines yield to each other; main waits. Two yields for each n.
func yieldBody(n int64) {
	var turns int64
	done := make(chan bool, 2)
	loop := func() {
		for i := int64(0); i < n; i++ {
			turns++ // one P: no other goroutine runs here
			runtime.Gosched()
		}
		done <- true
	}
	go loop()
	go loop()
	<-done
	<-done
	check(turns == 2*n, "yield: lost a turn")
}

var ran int64

func countRun() {
	ran++ // one P: no other goroutine runs here
}

// The new goroutine runs and ends during the yield of the one that made it.
func spawnBody(n int64) {
	ran = 0
	for i := int64(0); i < n; i++ {
		go countRun()
		runtime.Gosched()
	}
	check(ran == n, "spawn: lost a goroutine")
}

func countDone(wg *sync.WaitGroup) {
	ran++
	wg.Done()
}

func wgBody(n int64) {
	var wg sync.WaitGroup
	ran = 0
	for i := int64(0); i < n; i++ {
		wg.Add(fanout)
		for k := 0; k < fanout; k++ {
			go countDone(&wg)
		}
		wg.Wait()
	}
	check(ran == n*fanout, "wg: lost a goroutine")
}

func tree(up chan int64, first, size int64) {
	if size == 1 {
		up <- first
		return
	}
	down := make(chan int64)
	for i := int64(0); i < 10; i++ {
		go tree(down, first+i*size/10, size/10)
	}
	var sum int64
	for i := 0; i < 10; i++ {
		sum += <-down
	}
	up <- sum
}

func treeOnce() {
	root := make(chan int64)
	go tree(root, 0, treeLeaves)
	check(<-root == int64(treeLeaves)*(treeLeaves-1)/2, "spawn_par: wrong sum")
}

// One tree is one measurement, after a first one to warm up.
func spawnPar(name string) {
	treeOnce()
	cpu, wall := cpuNow(), time.Now()
	treeOnce()
	print(name, cpuNow()-cpu, int64(time.Since(wall)), treeNodes, "")
}
