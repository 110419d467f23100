// SPDX-License-Identifier: BSD-3-Clause
// A trace begins, has collections and the heap in the order of time, and ends; a second one too.
// It is decoded here. What the program tells of itself is not in it, and does no harm.

package main

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"runtime/trace"
	"time"
)

const cycles = 5

type counts struct {
	events, frequencies, started, done, stopped, goes, heaps, goals int
	last                                                           uint64
	wrong                                                          string
}

func decode(b []byte) (c counts) {
	number := func() (v uint64) {
		for shift := uint(0); ; shift += 7 {
			x := b[0]
			b = b[1:]
			v |= uint64(x&0x7f) << shift
			if x < 0x80 {
				return v
			}
		}
	}
	const header = "go 1.11 trace\x00\x00\x00"
	if !bytes.HasPrefix(b, []byte(header)) {
		c.wrong = "header"
		return
	}
	b = b[len(header):]
	now := uint64(0)
	for len(b) > 0 {
		kind, n := b[0]&0x3f, int(b[0]>>6)+1
		b = b[1:]
		var v [4]uint64
		if n == 4 {
			c.wrong = "long event"
			return
		}
		for i := range v[:n] {
			v[i] = number()
		}
		switch kind {
		case 1:
			if v[1] < now {
				c.wrong = "batches overlap"
			}
			now = v[1]
			continue
		case 2:
			c.frequencies++
			if v[0] != 1000000000 {
				c.wrong = "frequency"
			}
			continue
		case 7:
			if v[1] != uint64(c.started) {
				c.wrong = "number of a collection"
			}
			c.started++
		case 8:
			c.done++
		case 9:
			c.stopped++
		case 10:
			c.goes++
		case 33:
			c.heaps++
			if v[1] == 0 {
				c.wrong = "no heap"
			}
		case 34:
			c.goals++
		case 4:
			if v[1] != uint64(runtime.GOMAXPROCS(0)) {
				c.wrong = "processors"
			}
		default:
			c.wrong = fmt.Sprint("event ", kind)
		}
		c.events++
		now += v[0]
	}
	c.last = now
	return c
}

func run(f func()) counts {
	var b bytes.Buffer
	if err := trace.Start(&b); err != nil {
		fmt.Println(err)
	}
	f()
	trace.Stop()
	return decode(b.Bytes())
}

func main() {
	begun := time.Now()
	c := run(func() {
		fmt.Println(trace.Start(new(bytes.Buffer)), trace.IsEnabled())
		time.Sleep(time.Millisecond) // the first batch is written, or comes at the end
		for i := 0; i < cycles; i++ {
			runtime.GC()
			time.Sleep(30 * time.Millisecond)
		}
		ctx, task := trace.NewTask(context.Background(), "task")
		trace.WithRegion(ctx, "region", func() { trace.Log(ctx, "key", "text") })
		task.End()
	})
	fmt.Println(trace.IsEnabled(), c.wrong == "", c.frequencies, c.started == c.done,
		c.stopped == c.goes && c.started == c.stopped, c.started >= cycles-1, c.heaps >= 2,
		c.heaps == c.goals)
	if c.wrong != "" || time.Since(begun) < 0 {
		fmt.Println(c)
	}
	c = run(func() {})
	fmt.Println(c.wrong == "", c.frequencies, c.heaps >= 1)
}

// Output:
// runtime error: tracing is already enabled true
// false true 1 true true true true true
// true 1 true
