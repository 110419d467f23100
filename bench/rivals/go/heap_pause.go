// SPDX-License-Identifier: BSD-3-Clause

// Rows about what a collector does to a program: live_latency, gc_parked, finalizers, rss_*.
package main

import (
	"fmt"
	"runtime"
	"sort"
	"sync/atomic"
	"time"
	"unsafe"
)

// --- live_latency

func latencyBatch(recent []*heapNode, seed *heapRand) {
	for i := 0; i < heapBatch; i++ {
		p := new(heapNode)
		at := seed.below(heapRecent)
		p.left = heapAll[seed.below(uint64(len(heapAll)))]
		recent[at] = p
		heapAll[seed.below(uint64(len(heapAll)))].left = p.left
	}
}

// Times are taken from the end of one batch to the end of the next, so that no stop falls between.
func liveLatency(name string) {
	seed := heapRand(heapSeed)
	graphMake(true)
	recent := make([]*heapNode, heapRecent)
	took := make([]uint32, heapSamples)
	for i := range took {
		took[i] = 1
	}
	for i := 0; i < 1000; i++ {
		latencyBatch(recent, &seed)
	}
	n, longest := 0, time.Duration(0)
	cpu, start := cpuNow(), time.Now()
	last := start
	for n < heapSamples && last.Sub(start) < heapLatency {
		latencyBatch(recent, &seed)
		now := time.Now()
		ns := now.Sub(last)
		if ns > longest {
			longest = ns
		}
		if ns > 1<<32-1 {
			ns = 1<<32 - 1
		}
		took[n] = uint32(ns)
		n++
		last = now
	}
	cpu = cpuNow() - cpu
	ns := int64(last.Sub(start))
	took = took[:n]
	sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
	extra := fmt.Sprintf("max_ms=%.3f p50_us=%.2f p999_us=%.1f stop_us=%.1f per_s=%.0f",
		float64(longest)/1e6, float64(took[n/2])/1e3, float64(took[n*999/1000])/1e3,
		longestStop()/1e3, float64(n)*1e9/float64(ns))
	print(name, cpu, ns, int64(n), extra)
	runtime.KeepAlive(recent)
	graphCheck()
}

// --- gc_parked

func gcParked(name string) {
	var pauses []float64
	var ready int64
	gate, done := make(chan bool), make(chan bool)
	for i := 0; i < heapParked; i++ {
		go func() {
			atomic.AddInt64(&ready, 1)
			park(gate, done)
		}()
	}
	for atomic.LoadInt64(&ready) < heapParked {
		runtime.Gosched()
	}
	runtime.GC()
	cpu, wall := cpuNow(), time.Now()
	for i := 0; i < heapCollections; i++ {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		pauses = append(pauses, float64(m.PauseNs[(m.NumGC+255)%256]))
	}
	cpu = cpuNow() - cpu
	ns := int64(time.Since(wall))
	sort.Float64s(pauses)
	close(gate)
	for i := 0; i < heapParked; i++ {
		<-done
	}
	print(name, cpu, ns, heapCollections, fmt.Sprintf("pause_us=%.1f most_us=%.1f gc_us=%.1f",
		pauses[heapCollections/2]/1e3, pauses[heapCollections-1]/1e3,
		float64(cpu)/1e3/heapCollections))
}

// --- finalizers

var finalized int64
var heapDoomed []*heapLink

func countFinalized(*heapLink) {
	atomic.AddInt64(&finalized, 1)
}

// All but one in a thousand have to be found, as in the programs in C; Go finds them all.
func runFinalizers() {
	const enough = heapFinalizers - heapFinalizers/1000
	for idle, before := 1000, int64(0); before < enough; {
		if idle >= 1000 {
			runtime.GC()
			idle = 0
		}
		now := atomic.LoadInt64(&finalized)
		if now == before {
			idle++
			time.Sleep(time.Millisecond)
		} else {
			idle = 0
			runtime.Gosched()
		}
		before = now
	}
}

func finalizers(name string) {
	heapDoomed = make([]*heapLink, heapFinalizers)
	for i := range heapDoomed {
		heapDoomed[i] = new(heapLink)
	}
	runtime.GC()
	start, wall := cpuNow(), time.Now()
	for i, p := range heapDoomed {
		runtime.SetFinalizer(p, countFinalized)
		heapDoomed[i] = nil
	}
	set := cpuNow()
	runFinalizers()
	end := cpuNow()
	print(name, end-start, int64(time.Since(wall)), heapFinalizers,
		fmt.Sprintf("set=%.1f run=%.1f", float64(set-start)/heapFinalizers,
			float64(end-set)/heapFinalizers))
}

// --- rss_*

var heapGroups [][]unsafe.Pointer

// Groups of objects of 64 to 1024 bytes without pointers, until there are about so many bytes.
func rssGrow(n int64, sizes []uint16) (grown int64) {
	var filled [1024]byte
	for i := range filled {
		filled[i] = 1
	}
	seed := heapRand(heapSeed)
	heapGroups = make([][]unsafe.Pointer, n)
	for i := range heapGroups {
		group := make([]unsafe.Pointer, heapGroup)
		for k := range group {
			size := 64 + 16*seed.below(61)
			sizes[i*heapGroup+k] = uint16(size)
			b := make([]byte, size)
			copy(b, filled[:size])
			group[k] = unsafe.Pointer(&b[0])
			grown += int64(size)
		}
		heapGroups[i] = group
	}
	return grown
}

// Drops nine of ten groups, or nine of ten objects in each. Returns the bytes that stay.
func rssFree(scattered bool, sizes []uint16) (live int64) {
	seed := heapRand(2463534242)
	for i, group := range heapGroups {
		stays := scattered || seed.below(10) == 0
		for k := range group {
			if stays && (!scattered || seed.below(10) == 0) {
				live += int64(sizes[i*heapGroup+k])
			} else {
				group[k] = nil
			}
		}
		if stays {
			live += heapGroup * 8
		} else {
			heapGroups[i] = nil
		}
	}
	return live
}

var rssSink []byte

// A second in the life of a program that goes on, a little.
func rssGoOn() {
	seed := heapRand(heapSeed)
	for i := 0; i < heapGoesOn; i++ {
		rssSink = make([]byte, 64+16*seed.below(61))
	}
	runtime.GC()
	time.Sleep(time.Second)
}

func rss(scattered bool) func(name string) {
	return func(name string) {
		n := heapMib(heapGrownMib) << 20 / (heapGroup * 552)
		sizes := make([]uint16, n*heapGroup)
		cpu, wall := cpuNow(), time.Now()
		grown := rssGrow(n, sizes)
		full := resident()
		live := rssFree(scattered, sizes)
		sizes = nil
		for i := 0; i < heapRestS; i++ {
			rssGoOn()
		}
		rss := resident()
		print(name, cpuNow()-cpu, int64(time.Since(wall)), 1,
			fmt.Sprintf("ratio=%.3f rss_mib=%.1f live_mib=%.1f full_mib=%.1f n=%d",
				float64(rss)/float64(live), float64(rss)/(1<<20),
				float64(live)/(1<<20), float64(full)/(1<<20), grown>>20))
	}
}
