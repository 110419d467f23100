// SPDX-License-Identifier: BSD-3-Clause
// Traces: the size of the heap and its goal ten times a second, collections and their pauses; what
// goroutines do is not in them.
//
// A trace is a header, then batches of events of a processor, here always the same. An event is a
// byte that tells its type and how many numbers follow, the first of these the time since the last
// event. Events of a batch are in the order of time, and so are batches; so a pause that began
// before the last batch ended begins with this one.

package runtime

import _ "unsafe" // linkname

// tracing has one of these; begun by StartTrace, then StopTrace, and the reader.
const (
	traceOff = iota
	traceOn
	traceEnds
)

func tracing() uint32
func settracing(from, to uint32) bool
func pauseof(nth uint64) (begin, end int64)
func nanotime() int64

//go:linkname sleep time.Sleep
func sleep(ns int64)

const millisecond = 1000000

// Types of events.
const (
	eventBatch      = 1
	eventFrequency  = 2
	eventGomaxprocs = 4
	eventGCStart    = 7
	eventGCDone     = 8
	eventStopped    = 9
	eventGoes       = 10
	eventHeap       = 33
	eventGoal       = 34
)

// The reader's own.
var reading struct {
	begun  bool
	ended  bool
	last   int64  // time of the last event
	cycles uint64 // that are told
	seq    uint64 // of these, since the beginning
}

// StartTrace begins a trace.
func StartTrace() error {
	if !settracing(traceOff, traceOn) {
		return errorString("tracing is already enabled")
	}
	return nil
}

// StopTrace ends it, and returns when all of it has been read.
func StopTrace() {
	settracing(traceOn, traceEnds)
	for tracing() == traceEnds {
		sleep(millisecond) // its reader is in no hurry, and nothing wakes us
	}
}

// ReadTrace returns what there is next, nil after the end. It waits for it.
func ReadTrace() []byte {
	r := &reading
	for tracing() == traceOff {
		sleep(millisecond) // the same: until a trace begins
	}
	if r.ended {
		r.begun, r.ended = false, false
		settracing(traceEnds, traceOff)
		return nil
	}
	if !r.begun {
		r.begun = true
		r.last = 0
		return []byte("go 1.11 trace\x00\x00\x00")
	}
	for i := 0; i < 100 && r.last != 0 && tracing() == traceOn; i++ {
		sleep(millisecond) // so that a batch is worth its reading
	}
	r.ended = tracing() == traceEnds
	return batch()
}

type events struct {
	buf []byte
}

func (e *events) number(v uint64) {
	for ; v >= 0x80; v >>= 7 {
		e.buf = append(e.buf, byte(v)|0x80)
	}
	e.buf = append(e.buf, byte(v))
}

// event of at most three numbers, the time included.
func (e *events) event(kind byte, numbers ...uint64) {
	e.buf = append(e.buf, kind|byte(len(numbers)-1)<<6)
	for _, v := range numbers {
		e.number(v)
	}
}

// at tells the time since the last event, and goes on from there.
func at(t int64) uint64 {
	if t < reading.last {
		t = reading.last
	}
	since := t - reading.last
	reading.last = t
	return uint64(since)
}

func batch() []byte {
	const secondsTicks, kept = 1000000000, 256
	r := &reading
	var m MemStats
	var e events
	ReadMemStats(&m)
	first := r.last == 0
	if first {
		r.last = nanotime()
	}
	e.event(eventBatch, 0, uint64(r.last))
	if first {
		r.cycles, r.seq = uint64(m.NumGC), 0
		e.event(eventFrequency, secondsTicks)
		e.event(eventGomaxprocs, 0, uint64(gomaxprocs(0)), 0)
	}
	if r.cycles+kept < uint64(m.NumGC) {
		r.cycles = uint64(m.NumGC) - kept
	}
	for ; r.cycles < uint64(m.NumGC); r.cycles++ {
		begin, end := pauseof(r.cycles + 1)
		e.event(eventGCStart, at(begin), r.seq, 0)
		e.event(eventStopped, 0, 0)
		e.event(eventGoes, at(end))
		e.event(eventGCDone, 0)
		r.seq++
	}
	e.event(eventHeap, at(nanotime()), m.HeapAlloc)
	e.event(eventGoal, 0, m.NextGC)
	return e.buf
}

//go:linkname gomaxprocs runtime.GOMAXPROCS
func gomaxprocs(n int) int
