// SPDX-License-Identifier: BSD-3-Clause
// defer, panic, recover, Goexit; panics of the runtime and their texts.

package main

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"
)

type T struct {
	a [10]int
}

type I interface{ M() int }

func (t *T) M() int { return t.a[3] }

type E struct{ I }

func try(name string, f func()) {
	defer func() {
		r := recover()
		_, ok := r.(runtime.Error)
		fmt.Println(name+":", r, ok)
	}()
	f()
	fmt.Println(name, "returns")
}

func results() (n int, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("was %v, then %v", n, r)
		}
	}()
	n = 5
	var t *T
	n = t.M()
	return
}

func nested() (s string) {
	defer func() { s += fmt.Sprint(" outer ", recover()) }()
	defer func() {
		defer func() { s += fmt.Sprint("inner ", recover()) }()
		panic("second")
	}()
	panic("first")
}

func replaced() (r interface{}) {
	defer func() { r = recover() }()
	defer func() { panic("second") }()
	panic("first")
}

func deep(n int) int {
	var a [500]byte
	if n == 0 {
		panic(errors.New("deep"))
	}
	defer func() { a[0]++ }()
	return deep(n-1) + int(a[n%500])
}

type R struct{ n int }

func (r *R) Rec() { fmt.Println("method recovers", recover(), r.n) }

type Emb struct{ *R }

func method() {
	e := Emb{&R{7}}
	defer e.Rec()
	panic("of method")
}

func exits() {
	c := make(chan string, 3)
	go func() {
		defer close(c)
		defer func() { c <- fmt.Sprint("recovered ", recover()) }()
		defer func() { c <- "exiting" }()
		runtime.Goexit()
	}()
	for s := range c {
		fmt.Println(s)
	}
	d := make(chan bool)
	go func() {
		defer close(d)
		defer func() { recover() }()
		defer func() { panic("in Goexit") }()
		runtime.Goexit()
	}()
	<-d
}

func main() {
	var (
		s  = []int{1, 2, 3}
		m  map[string]int
		c  chan int
		x  interface{} = "text"
		i  I
		e  interface{}
		f  func()
		z  = 0
		n  = 5
		uc interface{} = []int{1}
	)
	try("index", func() { _ = s[n] })
	try("slice", func() { _ = s[n:] })
	try("slice3", func() { _ = s[1:n:2] })
	try("nil map", func() { m["a"] = 1 })
	try("close nil", func() { close(c) })
	c = make(chan int)
	close(c)
	try("close closed", func() { close(c) })
	try("send closed", func() { c <- 1 })
	try("select closed", func() {
		select {
		case c <- 1:
		default:
		}
	})
	try("assertion", func() { _ = x.(int) })
	try("no method", func() { _ = x.(I) })
	try("nil interface", func() { fmt.Println(e.(I)) })
	try("nil call", func() { i.M() })
	try("nil func", func() { f() })
	try("divide", func() { n /= z })
	try("makeslice", func() { _ = make([]int, z-1) })
	try("makechan", func() { _ = make(chan int, z-1) })
	try("uncomparable", func() { fmt.Println(uc == uc) })
	try("unhashable", func() { _ = map[interface{}]int{uc: 1} })
	try("value", func() { panic(42) })
	try("nothing", func() {})
	fmt.Println(results())
	fmt.Println(nested(), replaced())
	try("deep", func() { deep(5000) })
	try("method", method)
	exits()
	var ofC interface{}
	runtime.NewErrorCString(uintptr(unsafe.Pointer(&[]byte("of C\x00")[0])), &ofC)
	fmt.Println(ofC.(runtime.Error))
	for i := 0; i < 1000; i++ {
		func() {
			defer func() { recover() }()
			panic(i)
		}()
	}
}

// Output:
// index: runtime error: index out of range [5] with length 3 true
// slice: runtime error: slice bounds out of range [5:3] true
// slice3: runtime error: slice bounds out of range [:5:2] true
// nil map: assignment to entry in nil map true
// close nil: close of nil channel true
// close closed: close of closed channel true
// send closed: send on closed channel true
// select closed: send on closed channel true
// assertion: interface conversion: interface {} is string, not int true
// no method: interface conversion: string is not main.I: missing method M true
// nil interface: interface conversion: interface is nil, not main.I true
// nil call: runtime error: invalid memory address or nil pointer dereference true
// nil func: runtime error: invalid memory address or nil pointer dereference true
// divide: runtime error: integer divide by zero true
// makeslice: runtime error: makeslice: len out of range true
// makechan: makechan: size out of range true
// uncomparable: runtime error: comparing uncomparable type []int true
// unhashable: runtime error: hash of unhashable type []int true
// value: 42 false
// nothing returns
// nothing: <nil> false
// 5 was 5, then runtime error: invalid memory address or nil pointer dereference
// inner second outer first second
// deep: deep false
// method recovers of method 7
// method returns
// method: <nil> false
// exiting
// recovered <nil>
// runtime error: of C
