// SPDX-License-Identifier: BSD-3-Clause

// A copy of a timer is another one, which is not set: stopping it stops nothing, and it can be set.
package main

import (
	"fmt"
	"runtime"
	"time"
)

func copied() {
	original := time.NewTimer(time.Hour)
	t := *original
	fmt.Println(t.Stop(), original.Stop())
	t.Reset(time.Millisecond)
	<-t.C
}

func stoppedTwice() {
	original := time.NewTicker(time.Hour)
	k := *original
	k.Stop()
	original.Stop()
	fired := make(chan bool, 200)
	for i := 0; i < cap(fired); i++ {
		time.AfterFunc(time.Millisecond, func() { fired <- true })
	}
	k.Stop()
	for i := 0; i < cap(fired); i++ {
		<-fired
	}
	k.Reset(time.Millisecond)
	<-k.C
	k.Stop()
}

func replaced() {
	t := time.NewTimer(time.Hour)
	*t = *time.NewTimer(time.Hour)
	t.Reset(time.Millisecond)
	<-t.C
}

// What a stopped timer would have called is not kept by a record that waits for the next.
func released() {
	gone := make(chan bool, 1)
	func() {
		held := new([1000]int)
		runtime.SetFinalizer(held, func(*[1000]int) { gone <- true })
		t := time.AfterFunc(time.Hour, func() { held[0]++ })
		t.Stop()
	}()
	for i := 0; i < 100; i++ {
		runtime.GC()
		select {
		case <-gone:
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
	fmt.Println("kept")
}

func main() {
	copied()
	stoppedTwice()
	replaced()
	func() { released() }()
	fmt.Println("over")
}

// Output:
// false true
// over
