// SPDX-License-Identifier: BSD-3-Clause
// Numbers: runtime.MemStats, debug.GCStats, all of runtime/metrics; and the settings of
// runtime/debug, each of which returns what it was before.

package main

import (
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

var kept []*[100]int
var sink interface{}

const cycles, objects = 300, 400

func collect() {
	for i := 0; i < cycles; i++ {
		runtime.GC()
	}
}

func memStats() {
	var before, after runtime.MemStats
	start := time.Now()
	collect()
	runtime.ReadMemStats(&before)
	for i := 0; i < objects; i++ {
		kept = append(kept, new([100]int))
	}
	runtime.ReadMemStats(&after)
	grown := after.Mallocs - before.Mallocs
	fmt.Println(grown >= objects && grown < objects+50, after.HeapObjects > before.HeapObjects,
		after.Alloc-before.Alloc >= objects*800, after.TotalAlloc >= after.Alloc,
		after.Alloc == after.HeapAlloc, after.Mallocs-after.Frees == after.HeapObjects)
	fmt.Println(after.NumGC >= cycles, after.NumForcedGC == cycles, after.EnableGC,
		after.Sys >= after.HeapSys+after.StackSys+after.GCSys,
		after.HeapSys == after.HeapInuse+after.HeapIdle,
		after.HeapIdle >= after.HeapReleased,
		after.GCCPUFraction > 0 && after.GCCPUFraction < 1)
	last := after.PauseEnd[(after.NumGC+255)%256]
	full, sum := true, uint64(0)
	for i := range after.PauseNs {
		full = full && after.PauseNs[i] > 0 && after.PauseEnd[i] >= uint64(start.UnixNano())
		sum += after.PauseNs[i]
	}
	fmt.Println(full, sum <= after.PauseTotalNs, after.LastGC-last < 1000,
		after.LastGC <= uint64(time.Now().UnixNano()), after.NextGC > 0)
	for i, c := range after.BySize {
		if c.Size >= 800 {
			n := c.Mallocs - before.BySize[i].Mallocs
			fmt.Println(n >= objects && n < objects+20, c.Frees <= c.Mallocs)
			break
		}
	}
	fmt.Println(testing.AllocsPerRun(100, func() { sink = new([10]int) }))
}

func gcStats() {
	var st debug.GCStats
	st.PauseQuantiles = make([]time.Duration, 3)
	debug.ReadGCStats(&st)
	ordered := true
	for i := 1; i < len(st.PauseEnd); i++ {
		ordered = ordered && !st.PauseEnd[i].After(st.PauseEnd[i-1])
	}
	fmt.Println(st.NumGC >= cycles, len(st.Pause), len(st.PauseEnd), ordered,
		st.LastGC.Sub(st.PauseEnd[0]) < time.Microsecond, st.PauseTotal > st.Pause[0],
		st.PauseQuantiles[0] <= st.PauseQuantiles[2])
}

func read(name string) metrics.Value {
	s := []metrics.Sample{{Name: name}}
	metrics.Read(s)
	return s[0].Value
}

func all() {
	var s []metrics.Sample
	for _, d := range metrics.All() {
		s = append(s, metrics.Sample{Name: d.Name})
	}
	metrics.Read(s)
	var sum, total uint64
	for i, d := range metrics.All() {
		v := s[i].Value
		if v.Kind() != d.Kind {
			fmt.Println(d.Name, v.Kind())
		}
		switch {
		case d.Name == "/memory/classes/total:bytes":
			total = v.Uint64()
		case len(d.Name) > 16 && d.Name[:16] == "/memory/classes/":
			sum += v.Uint64()
		case v.Kind() == metrics.KindFloat64Histogram:
			h := v.Float64Histogram()
			rising := len(h.Buckets) == len(h.Counts)+1
			for i := 1; i < len(h.Buckets); i++ {
				rising = rising && h.Buckets[i] > h.Buckets[i-1]
			}
			if !rising || !math.IsInf(h.Buckets[len(h.Buckets)-1], 1) {
				fmt.Println(d.Name, h.Buckets)
			}
		}
	}
	fmt.Println(sum == total, read("/no/such:thing").Kind() == metrics.KindBad)
	fmt.Println(read("/gc/cycles/forced:gc-cycles").Uint64(),
		read("/sched/goroutines:goroutines").Uint64() > 0,
		read("/gc/heap/objects:objects").Uint64() > objects)
	count := func(name string) (n uint64) {
		for _, c := range read(name).Float64Histogram().Counts {
			n += c
		}
		return n
	}
	fmt.Println(count("/gc/pauses:seconds") >= cycles,
		count("/gc/heap/allocs-by-size:bytes") > count("/gc/heap/frees-by-size:bytes"))
}

// latencies: on one processor ten goroutines compute for a while in turns, so each waits nine times
// as long for its next turn. One wait in eight is a sample.
func latencies() {
	const goroutines, turns, slice = 10, 80, 100 * time.Microsecond
	longer := func() (n, all uint64) {
		h := read("/sched/latencies:seconds").Float64Histogram()
		for i, c := range h.Counts {
			all += c
			if h.Buckets[i] >= slice.Seconds() {
				n += c
			}
		}
		return n, all
	}
	procs := runtime.GOMAXPROCS(1)
	long, all := longer()
	done := make(chan bool)
	for i := 0; i < goroutines; i++ {
		go func() {
			for j := 0; j < turns; j++ {
				for begun := time.Now(); time.Since(begun) < slice; {
				}
				runtime.Gosched()
			}
			done <- true
		}()
	}
	for i := 0; i < goroutines; i++ {
		<-done
	}
	longNow, allNow := longer()
	long, all = longNow-long, allNow-all
	fmt.Println(all > goroutines*turns/8/2, all < goroutines*turns/8*2, long > all*3/4)
	_, before := longer()
	for i := 0; i < 10000; i++ {
		runtime.Gosched() // alone, so it waits for nobody
	}
	_, after := longer()
	fmt.Println(after-before < 200)
	runtime.GOMAXPROCS(procs)
}

func settings() {
	fmt.Println(debug.SetGCPercent(50), debug.SetGCPercent(100))
	fmt.Println(debug.SetMaxStack(1<<20), debug.SetMaxStack(1e9))
	fmt.Println(debug.SetMaxThreads(5000), debug.SetMaxThreads(10000))
	var before, after runtime.MemStats
	sink = make([]byte, 32<<20)
	sink = nil
	runtime.GC()
	runtime.ReadMemStats(&before)
	debug.FreeOSMemory()
	runtime.ReadMemStats(&after)
	fmt.Println(after.HeapReleased >= before.HeapReleased,
		after.HeapIdle-after.HeapReleased < 4<<20)
	fmt.Println(runtime.NumCgoCall())
}

func main() {
	memStats()
	gcStats()
	all()
	latencies()
	settings()
}

// Output:
// true true true true true true
// true true true true true true true
// true true true true true
// true true
// 1
// true 256 256 true true true true
// true true
// 300 true true
// true true
// true true true
// true
// 100 50
// 1000000000 1048576
// 10000 5000
// true true
// 0
