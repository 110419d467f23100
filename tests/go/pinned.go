// SPDX-License-Identifier: BSD-3-Clause

// Proves that a goroutine that is pinned to its processor, as in sync.Pool, keeps it to itself
// though it allocates and calls deeply while others collect, and though it unlocks a mutex that
// others wait for, as sync.Pool does when it is used for the first time.

package main

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	_ "unsafe"
)

//go:linkname procPin sync.runtime__procPin
func procPin() int

//go:linkname procUnpin sync.runtime__procUnpin
func procUnpin()

const most = 4

// Each processor's own.
var pinned [most]struct {
	n      int
	unused [15]int
}

var over, moved int32
var lock sync.Mutex
var sink [8]*[9]int

func work(id int) {
	for atomic.LoadInt32(&over) == 0 {
		lock.Lock()
		p := procPin()
		pinned[p].n++
		lock.Unlock()
		for i := 0; i < 20; i++ {
			sink[id] = new([9]int)
		}
		alone := pinned[p].n == 1
		pinned[p].n--
		procUnpin()
		if !alone {
			atomic.StoreInt32(&moved, 1)
			return
		}
	}
}

func main() {
	runtime.GOMAXPROCS(most)
	var wg sync.WaitGroup
	for id := range sink {
		wg.Add(1)
		go func(id int) {
			defer wg.Done()
			work(id)
		}(id)
	}
	for i := 0; i < 300 && atomic.LoadInt32(&moved) == 0; i++ {
		runtime.GC()
	}
	atomic.StoreInt32(&over, 1)
	wg.Wait()
	fmt.Println("moved:", moved)
}

// Output:
// moved: 0
