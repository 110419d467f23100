// SPDX-License-Identifier: BSD-3-Clause

// Proves that timers that many set and stop at once fire as often as they were set and not stopped
// or set anew before, while memory is collected and processors come and go.

package main

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	timers  = 20
	setters = 6
	turns   = 4000
)

var set, undone, fired [timers]int64

func delay(i int) time.Duration {
	switch i % 5 {
	case 0:
		return time.Microsecond
	case 1:
		return 100 * time.Microsecond
	default:
		return time.Hour
	}
}

func count(of *int64, ok bool) {
	if ok {
		atomic.AddInt64(of, 1)
	}
}

// Each timer is replaced now and then, so that its memory is another one's.
func play(k int, shared []*time.Timer, own time.Duration) {
	for i := 0; i < turns; i++ {
		n := (i*7 + k) % timers
		atomic.AddInt64(&set[n], 1)
		count(&undone[n], shared[n].Reset(delay(i+k)))
		if i%3 == k%3 {
			count(&undone[n], shared[n].Stop())
		}
		if i%50 == 0 {
			t := time.AfterFunc(own, func() { panic("fired after an hour") })
			if !t.Reset(own) || !t.Stop() || t.Reset(own) || !t.Stop() {
				panic("a timer of one's own was lost")
			}
		}
	}
}

func disturb(over *int32) {
	for n := 0; atomic.LoadInt32(over) == 0; n++ {
		runtime.GC()
		runtime.GOMAXPROCS(1 + n%4)
		time.Sleep(time.Millisecond)
	}
}

// Whether each function that was started has run.
func counted() bool {
	for i := range set {
		if set[i] != undone[i]+atomic.LoadInt64(&fired[i]) {
			return false
		}
	}
	return true
}

func await(holds func() bool) {
	for end := time.Now().Add(20 * time.Second); !holds() && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}

func main() {
	var shared [timers]*time.Timer
	for i := range shared {
		i := i
		set[i] = 1
		shared[i] = time.AfterFunc(time.Hour, func() { atomic.AddInt64(&fired[i], 1) })
	}
	var over int32
	go disturb(&over)
	var wg sync.WaitGroup
	for k := 0; k < setters; k++ {
		wg.Add(1)
		go func(k int) {
			defer wg.Done()
			play(k, shared[:], time.Hour)
		}(k)
	}
	wg.Wait()
	atomic.StoreInt32(&over, 1)
	for i, t := range shared {
		count(&undone[i], t.Stop())
	}
	await(counted)
	time.Sleep(50 * time.Millisecond) // for one that fires once too often
	for i := range shared {
		if set[i] != undone[i]+fired[i] {
			fmt.Println(i, "set", set[i], "undone", undone[i], "fired", fired[i])
		}
	}
	fmt.Println("counted")
}

// Output:
// counted
