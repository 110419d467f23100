// SPDX-License-Identifier: BSD-3-Clause
// Traces: what goroutines do, as the scheduler tells it; the size of the heap and its goal ten
// times a second, collections and their pauses; at the end, what the stacks and texts are that the
// events name.
//
// A trace is a header, then batches of events of a processor each, the scheduler's as it has made
// them (sched/events.c says how an event is written). What is found here is of one more processor,
// which there is not: events of a processor have to be in the order of time, and a pause is told
// of after it has been. One that began before the last of these batches ended begins with this one.

package runtime

import "unsafe"

// tracing has one of these, the next by turns. StartTrace makes it traceBegins, StopTrace
// traceStops; who has done so goes on from there. The reader ends traceEnds, and looks
// at nothing before traceOn.
const (
	traceOff = iota
	traceBegins
	traceOn
	traceStops
	traceEnds
)

func tracing() uint32
func settracing(from, to uint32) bool
func pauseof(nth uint64) (begin, end int64)
func nanotime() int64

//go:linkname sleep time.Sleep
func sleep(ns int64)

// The scheduler's events: begun, ended, taken whole batches at a time (0: there are none yet), and
// whether there was no room for the last of them, or for what some of them name.
func eventsbegin() bool
func eventsend()
func takeevents(to []byte) int
func eventscut() bool
func eventslacknotes() bool
func forgetevents()

// Stacks and texts, the last first.
func eventstacks() unsafe.Pointer
func eventtexts() unsafe.Pointer
func eventstack(note unsafe.Pointer, pcs []uintptr) (older unsafe.Pointer, id uint64, n int)
func eventtext(note unsafe.Pointer) (older unsafe.Pointer, id uint64, text string)

const (
	millisecond = 1000000
	takenMost   = 32 << 10 // EVENTS_TAKEN; who is called looks whether it is enough
	framesMost  = 48       // EVENT_FRAMES, the same
)

// Types of events.
const (
	eventBatch     = 1
	eventFrequency = 2
	eventStack     = 3
	eventGCStart   = 7
	eventGCDone    = 8
	eventStopped   = 9
	eventGoes      = 10
	eventHeap      = 33
	eventGoal      = 34
	eventString    = 37
)

// collector is the processor that collections are told of.
const collector = 1000004

// The reader's own; StartTrace's while traceBegins.
var reading struct {
	begun  bool
	first  bool   // nothing of ours is told
	told   bool   // all that the scheduler has
	ended  bool
	last   int64  // time of the last event of ours
	cycles uint64 // that are told
	seq    uint64 // of these, since the beginning
}

// StartTrace begins a trace.
func StartTrace() error {
	if !settracing(traceOff, traceBegins) {
		return errorString("tracing is already enabled")
	}
	var m MemStats
	ReadMemStats(&m)
	r := &reading
	r.begun, r.first, r.told, r.ended = false, true, false, false
	r.last, r.cycles, r.seq = nanotime(), uint64(m.NumGC), 0
	if !eventsbegin() {
		settracing(traceBegins, traceOff)
		return errorString("no memory for a trace")
	}
	settracing(traceBegins, traceOn)
	return nil
}

// StopTrace ends it, and returns when all of it has been read.
func StopTrace() {
	if settracing(traceOn, traceStops) {
		eventsend()
		settracing(traceStops, traceEnds)
	}
	for tracing() >= traceStops {
		sleep(millisecond) // its reader is in no hurry, and nothing wakes us
	}
}

// ReadTrace returns what there is next, nil after the end. It waits for it.
func ReadTrace() []byte {
	r := &reading
	for tracing() < traceOn {
		sleep(millisecond) // the same: until a trace begins
	}
	if r.ended {
		forgetevents()
		settracing(traceEnds, traceOff)
		return nil
	}
	if !r.begun {
		r.begun = true
		return []byte("go 1.11 trace\x00\x00\x00")
	}
	if r.told {
		r.ended = true
		return notes()
	}
	if r.first {
		return batch()
	}
	for buf := make([]byte, takenMost); ; {
		ends := tracing() == traceEnds
		if nanotime()-r.last >= 100*millisecond {
			return batch() // however much the scheduler has to tell
		}
		if n := takeevents(buf); n != 0 {
			return buf[:n]
		}
		if ends {
			r.told = true
			return batch()
		}
		sleep(5 * millisecond) // for a batch; and for one of ours that is worth its reading
	}
}

type events struct {
	buf []byte
}

func numberTo(buf []byte, v uint64) []byte {
	for ; v >= 0x80; v >>= 7 {
		buf = append(buf, byte(v)|0x80)
	}
	return append(buf, byte(v))
}

// event of at most three numbers, the time included.
func (e *events) event(kind byte, numbers ...uint64) {
	e.buf = append(e.buf, kind|byte(len(numbers)-1)<<6)
	for _, v := range numbers {
		e.buf = numberTo(e.buf, v)
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
	e.event(eventBatch, collector, uint64(r.last))
	if r.first {
		r.first = false
		e.event(eventFrequency, secondsTicks)
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

// --- what events name ----------------------------------------------------------------------------

// A book of texts by number.
type book struct {
	events
	ids  map[string]uint64
	last uint64
}

func (b *book) text(id uint64, s string) {
	b.buf = append(b.buf, eventString)
	b.buf = numberTo(b.buf, id)
	b.buf = numberTo(b.buf, uint64(len(s)))
	b.buf = append(b.buf, s...)
	b.ids[s] = id
	if id > b.last {
		b.last = id
	}
}

// id of a text; 0 is that of none.
func (b *book) id(s string) uint64 {
	if s == "" {
		return 0
	}
	if b.ids[s] == 0 {
		b.text(b.last+1, s)
	}
	return b.ids[s]
}

func (b *book) stack(id uint64, pcs []uintptr) {
	var frames []byte
	n := uint64(0)
	for _, pc := range pcs {
		for i := 0; ; i++ {
			function, file, line, _, more := frameat(pc, i)
			frames = numberTo(numberTo(frames, uint64(pc)), b.id(function))
			frames = numberTo(numberTo(frames, b.id(file)), uint64(line))
			n++
			if !more {
				break
			}
		}
	}
	frames = append(numberTo(numberTo(nil, id), n), frames...)
	b.buf = append(b.buf, eventStack|3<<6)
	b.buf = append(numberTo(b.buf, uint64(len(frames))), frames...)
}

// notes tells what the numbers of stacks and texts stand for. A trace that lacks some says so.
func notes() []byte {
	b := book{ids: make(map[string]uint64)}
	for note := eventtexts(); note != nil; {
		older, id, s := eventtext(note)
		b.text(id, s)
		note = older
	}
	var pcs [framesMost]uintptr
	for note := eventstacks(); note != nil; {
		older, id, n := eventstack(note, pcs[:])
		b.stack(id, pcs[:n])
		note = older
	}
	if eventscut() {
		println("runtime: a trace has no room for its events, and ends early")
	}
	if eventslacknotes() {
		println("runtime: a trace has no room for more stacks and texts")
	}
	return b.buf
}
