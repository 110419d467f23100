// SPDX-License-Identifier: BSD-3-Clause

// Rows about the heap: allocation, trees, marking. The counts, sizes and random numbers are those
// of ../../heap.h, and the rows those of ../../heap_rows.h; a change here is a change there.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"time"
	"unsafe"
)

const (
	heapRing        = 100000
	heapChurnWarm   = 500000
	heapChurn32     = 4000000
	heapChurnMixed  = 1500000
	heapTreeMin     = 4
	heapTreeMax     = 20
	heapMarks       = 2
	heapLiveMib     = 512
	heapGrownMib    = 2048
	heapGroup       = 2000
	heapRestS       = 10
	heapGoesOn      = 10000
	heapFinalizers  = 1000000
	heapBatch       = 100
	heapRecent      = 1000
	heapLatency     = 8 * time.Second
	heapSamples     = 8 << 20
	heapParked      = 100000
	heapCollections = 9
)

type heapPair struct {
	left, right *heapPair
}

type heapLink struct {
	next  *heapLink
	words [3]int64
}

type heapNode struct {
	left, right *heapNode
	value       int64
	rest        [5]int64
}

type heapRand uint64

func (s *heapRand) below(n uint64) uint64 {
	x := uint64(*s)
	x ^= x << 13
	x ^= x >> 7
	x ^= x << 17
	*s = heapRand(x)
	return (x >> 32) * n >> 32
}

const heapSeed = 88172645463325252

// Size of the heap in the rows that have a large one: BENCH_MIB in the environment, or usual.
func heapMib(usual int64) int64 {
	if n, err := strconv.ParseInt(os.Getenv("BENCH_MIB"), 10, 64); err == nil && n > 0 {
		return n
	}
	return usual
}

// --- alloc*

var sink16 *[2]int64
var sink32 *heapLink
var sink1k *[1024]byte
var sink64k *[65536]byte

func alloc16Body(n int64) {
	for i := int64(0); i < n; i++ {
		sink16 = new([2]int64)
	}
}

func alloc32pBody(n int64) {
	for i := int64(0); i < n; i++ {
		sink32 = new(heapLink)
	}
}

func alloc1kBody(n int64) {
	for i := int64(0); i < n; i++ {
		sink1k = new([1024]byte)
	}
}

func alloc64kBody(n int64) {
	for i := int64(0); i < n; i++ {
		sink64k = new([65536]byte)
	}
}

// --- churn*

type churner struct {
	n, made int64
	seed    heapRand
	ring    []*heapLink
	mixed   []unsafe.Pointer
}

var churners [2]churner

// An array of pointers of 16 to 512 bytes.
func (c *churner) object() unsafe.Pointer {
	b := make([]*heapLink, 2+c.seed.below(63))
	return unsafe.Pointer(&b[0])
}

func (c *churner) link() *heapLink {
	p := new(heapLink)
	p.words[0] = c.made
	return p
}

func (c *churner) run() {
	if c.ring == nil {
		c.ring = make([]*heapLink, heapRing)
		for i := range c.ring {
			c.ring[i] = c.link()
		}
	}
	for i := int64(0); i < c.n; i++ {
		at := c.seed.below(heapRing)
		c.ring[at] = c.link()
		c.made++
	}
}

func (c *churner) runMixed() {
	if c.mixed == nil {
		c.mixed = make([]unsafe.Pointer, heapRing)
		for i := range c.mixed {
			c.mixed[i] = c.object()
		}
	}
	for i := int64(0); i < c.n; i++ {
		at := c.seed.below(heapRing)
		c.mixed[at] = c.object()
		c.made++
	}
}

// Calls fn(0) to fn(n-1) at once, each by a goroutine; one is the caller itself.
func heapParallel(n int, fn func(i int)) {
	if n == 1 {
		fn(0)
		return
	}
	done := make(chan bool)
	for i := 0; i < n; i++ {
		go func(i int) {
			fn(i)
			done <- true
		}(i)
	}
	for i := 0; i < n; i++ {
		<-done
	}
}

func churn(threads int, mixed bool) func(name string) {
	return func(name string) {
		n := int64(heapChurn32)
		one := func(i int) { churners[i].run() }
		if mixed {
			n = heapChurnMixed
			one = func(i int) { churners[i].runMixed() }
		}
		for i := 0; i < threads; i++ {
			churners[i] = churner{n: heapChurnWarm, seed: heapRand(heapSeed + i)}
		}
		heapParallel(threads, one)
		for i := 0; i < threads; i++ {
			churners[i].n = n
		}
		cpu, wall := cpuNow(), time.Now()
		heapParallel(threads, one)
		cpu = cpuNow() - cpu
		ns := int64(time.Since(wall))
		for i := 0; i < threads; i++ {
			check(churners[i].made == n+heapChurnWarm, "churn: lost a turn")
		}
		print(name, cpu, ns, int64(threads)*n, "")
	}
}

// --- binary_trees_20*

var heapLongLived *heapPair

func treeMake(depth int) *heapPair {
	p := new(heapPair)
	if depth > 0 {
		p.left = treeMake(depth - 1)
		p.right = treeMake(depth - 1)
	}
	return p
}

func (p *heapPair) count() int64 {
	if p.left == nil {
		return 1
	}
	return 1 + p.left.count() + p.right.count()
}

func treesOfDepth(depth int) int64 {
	return 1 << uint(heapTreeMax+heapTreeMin-depth)
}

func trees(threads int) func(name string) {
	return func(name string) {
		var nodes [2]int64
		cpu, wall := cpuNow(), time.Now()
		check(treeMake(heapTreeMax+1).count() == 4<<heapTreeMax-1, "trees: stretch")
		heapLongLived = treeMake(heapTreeMax)
		heapParallel(threads, func(k int) {
			n := int64(0)
			for depth := heapTreeMin; depth <= heapTreeMax; depth += 2 {
				for i := treesOfDepth(depth) / int64(threads); i > 0; i-- {
					n += treeMake(depth).count()
				}
			}
			nodes[k] = n
		})
		expected := int64(0)
		for depth := heapTreeMin; depth <= heapTreeMax; depth += 2 {
			expected += treesOfDepth(depth) * (int64(2)<<uint(depth) - 1)
		}
		check(nodes[0]+nodes[1] == expected, "trees: lost nodes")
		check(heapLongLived.count() == 2<<heapTreeMax-1, "trees: the old one")
		cpu = cpuNow() - cpu
		ns := int64(time.Since(wall))
		print(name, cpu, ns, 1, fmt.Sprintf("cpu_s=%.3f wall_s=%.3f peak_mib=%.1f",
			float64(cpu)/1e9, float64(ns)/1e9,
			float64(procBytes("/proc/self/status", "VmHWM:"))/(1<<20)))
	}
}

// --- mark_*

var heapAll []*heapNode

// Each node points to a random earlier one and to the one before it; earlier as allocated, or in
// an order that has nothing to do with that.
func graphMake(shuffled bool) {
	seed := heapRand(heapSeed)
	n := heapMib(heapLiveMib) << 20 / int64(unsafe.Sizeof(heapNode{}))
	heapAll = make([]*heapNode, n)
	for i := range heapAll {
		heapAll[i] = new(heapNode)
	}
	if shuffled {
		for i := n - 1; i > 0; i-- {
			k := seed.below(uint64(i) + 1)
			heapAll[i], heapAll[k] = heapAll[k], heapAll[i]
		}
	}
	for i, p := range heapAll {
		p.value = int64(i)
		if i > 0 {
			p.left = heapAll[seed.below(uint64(i))]
			p.right = heapAll[i-1]
		}
	}
}

// Whether all nodes are there, by way of their second pointers.
func graphCheck() {
	i := int64(len(heapAll))
	for p := heapAll[i-1]; p != nil; p = p.right {
		i--
		check(p.value == i, "a node has changed")
	}
	check(i == 0, "nodes are missing")
}

// The longest stop of the collections noted, at most 256 of them.
func longestStop() float64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	longest := uint64(0)
	for _, ns := range m.PauseNs {
		if ns > longest {
			longest = ns
		}
	}
	return float64(longest)
}

func mark(shuffled bool) func(name string) {
	return func(name string) {
		graphMake(shuffled)
		runtime.GC()
		cpu, wall := cpuNow(), time.Now()
		for i := 0; i < heapMarks; i++ {
			runtime.GC()
		}
		cpu = cpuNow() - cpu
		ns := int64(time.Since(wall))
		extra := fmt.Sprintf("wall_ms=%.1f stop_us=%.1f",
			float64(ns)/1e6/heapMarks, longestStop()/1e3)
		graphCheck()
		print(name, cpu, ns, int64(len(heapAll))*heapMarks, extra)
	}
}
