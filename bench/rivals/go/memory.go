// SPDX-License-Identifier: BSD-3-Clause

// Rows of many parked goroutines: parked, million, idle.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// The number of kilobytes behind key in a file of /proc, as bytes.
func procBytes(file, key string) int64 {
	f, err := os.Open(file)
	check(err == nil, "cannot read "+file)
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if strings.HasPrefix(s.Text(), key) {
			var kib int64
			fmt.Sscan(strings.TrimPrefix(s.Text(), key), &kib)
			return kib * 1024
		}
	}
	return 0
}

func resident() int64 {
	return procBytes("/proc/self/smaps_rollup", "Rss:")
}

func pageTables() int64 {
	return procBytes("/proc/self/status", "VmPTE:")
}

func park(gate, done chan bool) {
	<-gate
	done <- true
}

// Parks n goroutines on one channel, looks at the memory, lets them all go and waits for them.
func parked(name string, n int64) {
	gate, done := make(chan bool), make(chan bool)
	rss, pte := resident(), pageTables()
	cpu, wall := cpuNow(), time.Now()
	for i := int64(0); i < n; i++ {
		go park(gate, done)
	}
	runtime.Gosched() // one P: all of them run before main does again
	rss, pte = resident()-rss, pageTables()-pte
	close(gate)
	for i := int64(0); i < n; i++ {
		<-done
	}
	total := int64(time.Since(wall))
	extra := fmt.Sprintf("rss=%.1f pte=%.1f n=%d seconds=%.3f gib=%.3f",
		float64(rss)/float64(n), float64(pte)/float64(n), n,
		float64(total)/1e9, float64(rss)/(1<<30))
	print(name, cpuNow()-cpu, total, n, extra)
}

// Processor time and context switches of one sleep.
func idleOnce(d time.Duration) (cpu, switches int64) {
	var a, b syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &a)
	cpu = cpuNow()
	time.Sleep(d)
	cpu = cpuNow() - cpu
	syscall.Getrusage(syscall.RUSAGE_SELF, &b)
	return cpu, int64(b.Nvcsw - a.Nvcsw)
}

// The sleep itself costs a little, so a short one is measured too and taken off.
func idle(name string) {
	gate, done := make(chan bool), make(chan bool)
	for i := 0; i < idleTasks; i++ {
		go park(gate, done)
	}
	time.Sleep(time.Second / 4)
	cpu1, sw1 := idleOnce(time.Second / 4)
	cpu2, sw2 := idleOnce(time.Second/4 + 2*time.Second)
	cpu, switches := cpu2-cpu1, sw2-sw1
	if cpu < 0 {
		cpu = 0
	}
	if switches < 0 {
		switches = 0
	}
	print(name, cpu, int64(2*time.Second), 1,
		fmt.Sprintf("switches=%d cpu_us=%.1f", switches, float64(cpu)/1e3))
}
