// SPDX-License-Identifier: BSD-3-Clause

// One program in two languages: goroutines of C and of Go share a channel, a mutex, a map and
// objects of the heap.
//
//	undergo run mixed.go workers.c
package main

/*
#include <stdint.h>
#include <undergo.h>

typedef struct Tally {
	go_mutex mutex; // of C, and a sync.Mutex for Go: they are the same
	int64_t sum;    // mutex
} Tally;

void start_workers(void *chan, Tally *tally, int workers, int rounds);
*/
import "C"

import (
	"fmt"
	"runtime"
	"sort"
	"sync"
	"unsafe"
)

const (
	workers = 4
	rounds  = 1000
)

// What workers send: made in C, of the heap that Go collects.
type parcel struct {
	worker, round int64
	next          *parcel // the worker's one before
}

// A channel of Go is one of C.
func address(c chan *parcel) unsafe.Pointer {
	return *(*unsafe.Pointer)(unsafe.Pointer(&c))
}

var byWorker = map[int64]int{}

//export goNote
func goNote(worker C.int64_t) {
	results <- int64(worker)
}

var results = make(chan int64, workers)

func main() {
	parcels := make(chan *parcel, 10)
	tally := new(C.Tally)
	mutex := (*sync.Mutex)(unsafe.Pointer(&tally.mutex))
	C.start_workers(address(parcels), tally, workers, rounds)

	var last *parcel
	for i := 0; i < workers*rounds; i++ {
		p := <-parcels
		byWorker[p.worker]++
		if p.worker == 0 {
			last = p
		}
		mutex.Lock()
		tally.sum -= C.int64_t(p.round)
		mutex.Unlock()
	}
	runtime.GC()
	chain := 0
	for p := last; p != nil; p = p.next {
		chain++
	}
	ended := []int{}
	for i := 0; i < workers; i++ {
		ended = append(ended, int(<-results))
	}
	sort.Ints(ended)
	fmt.Println("sum", tally.sum, "chain", chain, "ended", ended)
	for w := int64(0); w < workers; w++ {
		fmt.Println("worker", w, "sent", byWorker[w])
	}
}

// Output:
// sum 0 chain 1000 ended [0 1 2 3]
// worker 0 sent 1000
// worker 1 sent 1000
// worker 2 sent 1000
// worker 3 sent 1000
