// SPDX-License-Identifier: BSD-3-Clause
// What package runtime/metrics reads.

package runtime

import "unsafe"

// --- what the package knows ----------------------------------------------------------------------

const (
	metricBad = iota
	metricUint64
	metricFloat64
	metricHistogram
)

type metricSample struct {
	name    string
	kind    int
	scalar  uint64
	pointer unsafe.Pointer
}

type histogram struct {
	counts  []uint64
	buckets []float64
}

// --- where the numbers come from -----------------------------------------------------------------

// pausecounts: how many pauses took from 2^i nanoseconds on.
func pausecounts(counts []uint64)

// latencycounts: how many waits of runnable goroutines did, of those that are samples.
func latencycounts(counts []uint64)

// sizeclass tells of objects of the i-th size, from 1 on; size 0: there is none.
func sizeclass(i int) (size uintptr, allocated, dead uint64)

func tinyallocs() uint64

func sub(a, b uint64) uint64 {
	if b > a {
		return 0
	}
	return a - b
}

var metricNumbers = map[string]func(m *MemStats) uint64{
	"/gc/cycles/automatic:gc-cycles": func(m *MemStats) uint64 {
		return sub(uint64(m.NumGC), uint64(m.NumForcedGC))
	},
	"/gc/cycles/forced:gc-cycles": func(m *MemStats) uint64 { return uint64(m.NumForcedGC) },
	"/gc/cycles/total:gc-cycles":  func(m *MemStats) uint64 { return uint64(m.NumGC) },
	"/gc/heap/allocs:bytes":       func(m *MemStats) uint64 { return m.TotalAlloc },
	"/gc/heap/allocs:objects": func(m *MemStats) uint64 {
		return sub(m.Mallocs, tinyallocs())
	},
	"/gc/heap/frees:bytes": func(m *MemStats) uint64 {
		return sub(m.TotalAlloc, m.HeapAlloc)
	},
	"/gc/heap/frees:objects": func(m *MemStats) uint64 {
		return sub(m.Frees, tinyallocs())
	},
	"/gc/heap/goal:bytes":      func(m *MemStats) uint64 { return m.NextGC },
	"/gc/heap/objects:objects": func(m *MemStats) uint64 { return m.HeapObjects },
	"/gc/heap/tiny/allocs:objects": func(m *MemStats) uint64 {
		return tinyallocs()
	},
	"/memory/classes/heap/free:bytes": func(m *MemStats) uint64 {
		return sub(m.HeapIdle, m.HeapReleased)
	},
	"/memory/classes/heap/objects:bytes":  heapObjects,
	"/memory/classes/heap/released:bytes": func(m *MemStats) uint64 { return m.HeapReleased },
	"/memory/classes/heap/stacks:bytes":   func(m *MemStats) uint64 { return m.StackInuse },
	"/memory/classes/heap/unused:bytes": func(m *MemStats) uint64 {
		return m.HeapInuse - heapObjects(m)
	},
	"/memory/classes/metadata/mcache/free:bytes":  none,
	"/memory/classes/metadata/mcache/inuse:bytes": none,
	"/memory/classes/metadata/mspan/free:bytes":   none,
	"/memory/classes/metadata/mspan/inuse:bytes":  none,
	"/memory/classes/metadata/other:bytes":        func(m *MemStats) uint64 { return m.GCSys },
	"/memory/classes/os-stacks:bytes":             none,
	"/memory/classes/other:bytes": func(m *MemStats) uint64 {
		return m.OtherSys
	},
	"/memory/classes/profiling/buckets:bytes": func(m *MemStats) uint64 {
		return m.BuckHashSys
	},
	"/memory/classes/total:bytes": func(m *MemStats) uint64 { return m.Sys },
	"/sched/goroutines:goroutines": func(m *MemStats) uint64 {
		return uint64(gcount())
	},
}

// none: it is in what is called other.
func none(m *MemStats) uint64 { return 0 }

// heapObjects: what is taken in hand may count before its pages do.
func heapObjects(m *MemStats) uint64 {
	if m.HeapAlloc > m.HeapInuse {
		return m.HeapInuse
	}
	return m.HeapAlloc
}

// --- histograms ----------------------------------------------------------------------------------

const pauseBuckets = 44

func infinity() float64 {
	var zero float64
	return 1 / zero
}

// times is a histogram of times by powers of two, in seconds.
func times() *histogram {
	h := &histogram{make([]uint64, pauseBuckets+1), make([]float64, pauseBuckets+2)}
	for i := 0; i < pauseBuckets; i++ {
		h.buckets[i+1] = float64(uint64(1)<<uint(i)) / 1e9
	}
	h.buckets[pauseBuckets+1] = infinity()
	return h
}

func pauses() *histogram {
	h := times()
	pausecounts(h.counts[1:])
	return h
}

func latencies() *histogram {
	h := times()
	latencycounts(h.counts[1:])
	return h
}

// bySize counts objects of each size; of large ones those that were found dead have no number.
func bySize(dead bool) *histogram {
	h := &histogram{buckets: []float64{1}}
	for i := 1; ; i++ {
		size, allocated, freed := sizeclass(i)
		if size == 0 {
			break
		}
		n := allocated
		if dead && freed < n {
			n = freed
		}
		h.buckets = append(h.buckets, float64(size)+1)
		h.counts = append(h.counts, n)
	}
	h.buckets = append(h.buckets, infinity())
	h.counts = append(h.counts, 0)
	return h
}

var metricHistograms = map[string]func() *histogram{
	"/gc/heap/allocs-by-size:bytes": func() *histogram { return bySize(false) },
	"/gc/heap/frees-by-size:bytes":  func() *histogram { return bySize(true) },
	"/gc/pauses:seconds":            pauses,
	"/sched/latencies:seconds":      latencies,
}

// --- reading -------------------------------------------------------------------------------------

func (s *metricSample) read(m *MemStats) {
	s.kind, s.scalar = metricBad, 0
	if f := metricNumbers[s.name]; f != nil {
		s.kind, s.scalar = metricUint64, f(m)
	} else if f := metricHistograms[s.name]; f != nil {
		s.kind, s.pointer = metricHistogram, unsafe.Pointer(f())
	}
}

//go:linkname readMetrics runtime_1metrics.runtime__readMetrics
func readMetrics(samples *metricSample, n, c int) {
	var m MemStats
	ReadMemStats(&m)
	for i := 0; i < n; i++ {
		at := unsafe.Pointer(uintptr(unsafe.Pointer(samples)) +
			uintptr(i)*unsafe.Sizeof(*samples))
		(*metricSample)(at).read(&m)
	}
}
