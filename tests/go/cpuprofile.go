// SPDX-License-Identifier: BSD-3-Clause
// The CPU profile: most samples are of the function that computes, at its lines, called by whom it
// is called, with the labels of its goroutine; on several threads; a second one after the first. It
// is decoded here.

package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"syscall"
)

// --- decoding ------------------------------------------------------------------------------------

func varint(b []byte) (v uint64, rest []byte) {
	for i, c := range b {
		v |= uint64(c&0x7f) << uint(7*i)
		if c < 0x80 {
			return v, b[i+1:]
		}
	}
	panic("varint")
}

// A message of protocol buffers: calls number or bytes for each field.
func fields(b []byte, number func(f int, v uint64), sub func(f int, b []byte)) {
	var key, v uint64
	for len(b) > 0 {
		key, b = varint(b)
		v, b = varint(b)
		switch key & 7 {
		case 0:
			number(int(key>>3), v)
		case 2:
			sub(int(key>>3), b[:v])
			b = b[v:]
		default:
			panic("wire type")
		}
	}
}

func numbers(b []byte) (vs []uint64) {
	for len(b) > 0 {
		var v uint64
		v, b = varint(b)
		vs = append(vs, v)
	}
	return vs
}

type line struct {
	function uint64
	line     uint64
}

type sample struct {
	locations, values []uint64
	labels            [][2]uint64
}

type profile struct {
	samples   []sample
	locations map[uint64][]line
	functions map[uint64]uint64
	texts     []string
	period    uint64
}

func ignoreBytes(int, []byte) {}

func decode(z []byte) *profile {
	r, err := gzip.NewReader(bytes.NewReader(z))
	if err != nil {
		panic(err)
	}
	raw, err := io.ReadAll(r)
	if err != nil {
		panic(err)
	}
	p := &profile{locations: map[uint64][]line{}, functions: map[uint64]uint64{}}
	fields(raw, func(f int, v uint64) {
		if f == 12 {
			p.period = v
		}
	}, func(f int, b []byte) {
		switch f {
		case 2:
			p.samples = append(p.samples, decodeSample(b))
		case 4:
			p.addLocation(b)
		case 5:
			var id, name uint64
			fields(b, func(f int, v uint64) {
				if f == 1 {
					id = v
				} else if f == 2 {
					name = v
				}
			}, ignoreBytes)
			p.functions[id] = name
		case 6:
			p.texts = append(p.texts, string(b))
		}
	})
	return p
}

func decodeSample(b []byte) (s sample) {
	fields(b, func(f int, v uint64) {
		if f == 1 {
			s.locations = append(s.locations, v)
		} else {
			s.values = append(s.values, v)
		}
	}, func(f int, b []byte) {
		switch f {
		case 1:
			s.locations = numbers(b)
		case 2:
			s.values = numbers(b)
		case 3:
			var l [2]uint64
			fields(b, func(f int, v uint64) { l[f-1] = v }, ignoreBytes)
			s.labels = append(s.labels, l)
		}
	})
	return s
}

func (p *profile) addLocation(b []byte) {
	var id uint64
	var lines []line
	fields(b, func(f int, v uint64) {
		if f == 1 {
			id = v
		}
	}, func(f int, b []byte) {
		var l line
		fields(b, func(f int, v uint64) {
			if f == 1 {
				l.function = v
			} else if f == 2 {
				l.line = v
			}
		}, ignoreBytes)
		lines = append(lines, l)
	})
	p.locations[id] = lines
}

// Where of a sample the function is, -1 nowhere, and at which line.
func (p *profile) find(s sample, function string) (at int, line uint64) {
	for i, id := range s.locations {
		for _, l := range p.locations[id] {
			if p.texts[p.functions[l.function]] == function {
				return i, l.line
			}
		}
	}
	return -1, 0
}

// --- what is profiled ----------------------------------------------------------------------------

func cpu() int64 {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return u.Utime.Nano() + u.Stime.Nano()
}

func here() uint64 {
	_, _, l, _ := runtime.Caller(1)
	return uint64(l)
}

var firstLine, lastLine uint64
var sink int

//go:noinline
func busy(n int) (s int) {
	for i := 0; i < n; i++ {
		s += i*i ^ s
	}
	return s
}

// Computes until the process has used so much CPU. What it seems to have used at a single blow it
// has not: a virtual machine stood still, and no clock ticked.
//
//go:noinline
func outer(ns int64) {
	for before := cpu(); ns > 0; {
		sink += busy(1<<20 + sink&1) // else it would be computed once
		now := cpu()
		if now-before < 20000000 {
			ns -= now - before
		}
		before = now
	}
}

func work(ms int64) {
	outer(ms * 1000000)
}

func profiled(f func()) *profile {
	var b bytes.Buffer
	if err := pprof.StartCPUProfile(&b); err != nil {
		panic(err)
	}
	f()
	pprof.StopCPUProfile()
	return decode(b.Bytes())
}

func check(name string, p *profile, label string) {
	var all, busy, below, outside, labelled uint64
	for _, s := range p.samples {
		all += s.values[0]
		at, line := p.find(s, "main.busy")
		if at < 0 {
			continue
		}
		busy += s.values[0]
		if line < firstLine || line > lastLine {
			outside++
		}
		if by, _ := p.find(s, "main.outer"); by > at {
			below += s.values[0]
		}
		for _, l := range s.labels {
			if p.texts[l[0]] == "who" && p.texts[l[1]] == label {
				labelled += s.values[0]
			}
		}
	}
	ok := all > 0 && busy*2 > all && below == busy && outside == 0 &&
		(label == "" || labelled == busy) && p.period == 10000000
	fmt.Println(name, ok)
	if !ok {
		fmt.Println("samples", all, "busy", busy, "below outer", below,
			"elsewhere", outside, "labelled", labelled, "period", p.period)
		fmt.Println(strings.Join(p.texts, "\n"))
	}
}

func main() {
	firstLine = here() - 68
	lastLine = firstLine + 5
	p := profiled(func() { work(300) })
	check("one", p, "")

	p = profiled(func() {
		var wg sync.WaitGroup
		for i := 0; i < 4; i++ {
			wg.Add(1)
			go pprof.Do(context.Background(), pprof.Labels("who", "worker"),
				func(context.Context) {
					work(300)
					wg.Done()
				})
		}
		wg.Wait()
	})
	check("many", p, "worker")

	runtime.SetCPUProfileRate(0)
	fmt.Println(pprof.StartCPUProfile(io.Discard), pprof.StartCPUProfile(io.Discard))
	pprof.StopCPUProfile()
	fmt.Println(len(profiled(func() {}).texts) > 0)
}

// Output:
// one true
// many true
// <nil> cpu profiling already in use
// true
