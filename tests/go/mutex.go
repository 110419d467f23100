// SPDX-License-Identifier: BSD-3-Clause
// sync.Mutex, whose methods are the runtime's own, beside those of package sync into which the
// compiler has inlined libgo's: RWMutex, Pool, Once, Cond, Map.

package main

import (
	"fmt"
	"runtime"
	"sync"
	"time"
)

const (
	workers = 8
	rounds  = 4000
)

// Runs f in each of the workers, with so many processors, and waits.
func together(procs int, f func(worker int)) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
	var wg sync.WaitGroup
	for w := 0; w < workers; w++ {
		wg.Add(1)
		go func(w int) {
			defer wg.Done()
			f(w)
		}(w)
	}
	wg.Wait()
}

// --- the mutex itself ----------------------------------------------------------------------------

type counter struct {
	sync.Mutex
	n      int
	inside bool
}

func (c *counter) add() {
	if c.inside {
		panic("two are inside")
	}
	c.inside = true
	c.n++
	if c.n%64 == 0 {
		runtime.Gosched() // so that others find it held, and wait
	}
	c.inside = false
}

func lockAndUnlock(procs int) int {
	var c counter
	together(procs, func(w int) {
		for i := 0; i < rounds; i++ {
			for i%workers == w && !c.TryLock() {
				runtime.Gosched()
			}
			if i%workers != w {
				c.Lock()
			}
			c.add()
			c.Unlock()
		}
	})
	return c.n
}

// By an interface, by values of methods, by what is deferred.
func lockOtherwise(procs int) int {
	var c counter
	var l sync.Locker = &c
	lock, unlock := c.Lock, c.Unlock
	together(procs, func(w int) {
		for i := 0; i < rounds; i++ {
			func() {
				if i%2 == 0 {
					l.Lock()
					defer l.Unlock()
				} else {
					lock()
					defer unlock()
				}
				c.add()
			}()
		}
	})
	return c.n
}

// Whether one that others have waited for is as it was in the beginning.
func restsAsNew() bool {
	var c counter
	c.Lock()
	var wg sync.WaitGroup
	for w := 0; w < workers; w++ {
		wg.Add(1)
		go func() {
			c.Lock()
			c.add()
			c.Unlock()
			wg.Done()
		}()
	}
	time.Sleep(10 * time.Millisecond) // mostly they wait then; it rests as new if not, too
	c.Unlock()
	wg.Wait()
	return c == counter{n: workers}
}

// A mutex is garbage as soon as it was given up for the last time.
func lockAndForget(procs int) int {
	n := 0
	for i := 0; i < 200; i++ {
		c := new(counter)
		together(procs, func(int) {
			c.Lock()
			c.add()
			c.Unlock()
		})
		n += c.n
		if i%20 == 0 {
			runtime.GC()
		}
	}
	return n
}

// --- others of package sync ----------------------------------------------------------------------

func readAndWrite(procs int) int {
	var rw sync.RWMutex
	var c counter
	sum := 0
	together(procs, func(w int) {
		for i := 0; i < rounds; i++ {
			switch {
			case i%16 == 0:
				rw.RLock()
				if c.inside {
					panic("a reader beside a writer")
				}
				rw.RUnlock()
				continue
			case i%5 == w%5 && rw.TryLock():
			default:
				rw.Lock()
			}
			c.add()
			sum++
			rw.Unlock()
		}
	})
	return sum
}

// The first use of a pool locks what all pools share, and unlocks it pinned to its processor.
func newPools(procs int) int {
	var made [workers]int
	together(procs, func(w int) {
		for i := 0; i < rounds/8; i++ {
			p := sync.Pool{New: func() interface{} { return new(int) }}
			p.Put(p.Get())
			made[w]++
		}
	})
	sum := 0
	for _, n := range made {
		sum += n
	}
	return sum
}

func onces(procs int) int {
	var c counter
	many := make([]sync.Once, rounds)
	together(procs, func(int) {
		for i := range many {
			many[i].Do(c.add)
		}
	})
	return c.n
}

func conds(procs int) int {
	var c counter
	turn := sync.NewCond(&c)
	together(procs, func(w int) {
		for i := 0; i < rounds/8; i++ {
			c.Lock()
			for c.n%workers != w {
				turn.Wait()
			}
			c.n++
			c.Unlock()
			turn.Broadcast()
		}
	})
	return c.n
}

func maps(procs int) int {
	var m sync.Map
	together(procs, func(w int) {
		for i := 0; i < rounds; i++ {
			m.Store(i, w)
			m.LoadAndDelete(i - 100)
		}
	})
	n := 0
	m.Range(func(key, value interface{}) bool {
		if key.(int) >= rounds-100 {
			n++
		}
		return true
	})
	return n
}

// --- no mutex ------------------------------------------------------------------------------------

func panics(f func()) (text string) {
	defer func() { text = recover().(error).Error() }()
	f()
	return
}

func main() {
	for _, procs := range []int{1, 2, 4} {
		fmt.Println(lockAndUnlock(procs), lockOtherwise(procs), lockAndForget(procs),
			readAndWrite(procs), newPools(procs), onces(procs), conds(procs),
			maps(procs))
	}
	var none *sync.Mutex
	fmt.Println(panics(none.Lock))
	fmt.Println(panics(none.Unlock))
	fmt.Println(panics(func() { none.TryLock() }))
	var held sync.Mutex
	fmt.Println(held.TryLock(), held.TryLock())
	held.Unlock()
	fmt.Printf("%v %v\n", held, restsAsNew())
}

// Output:
// 32000 32000 1600 30000 4000 4000 4000 100
// 32000 32000 1600 30000 4000 4000 4000 100
// 32000 32000 1600 30000 4000 4000 4000 100
// runtime error: invalid memory address or nil pointer dereference
// runtime error: invalid memory address or nil pointer dereference
// runtime error: invalid memory address or nil pointer dereference
// true false
// {0 0} true
