// SPDX-License-Identifier: BSD-3-Clause
// Where a recovered panic goes on: what the function and those around it had in registers is as it
// was, whatever lay between, and however the panic came about.
package main

import (
	"fmt"
	"runtime"
)

//go:noinline
func same(x int) int { return x }

//go:noinline
func fail(how int) {
	switch how {
	case 0:
		panic(how)
	case 1:
		var p *int
		*p = 1
	case 2:
		var a []int
		_ = a[same(3)]
	case 3:
		var m map[string]int
		m["x"] = 1
	}
}

// Uses registers of its own, and more the deeper it is.
//
//go:noinline
func deeper(depth, how, a, b, c, d int) int {
	if depth == 0 {
		fail(how)
		return a
	}
	e, f := same(a+b), same(c+d)
	n := deeper(depth-1, how, e, f, same(a), same(b))
	return n + e + f + a*b + c*d
}

// A frame between, whose deferred function has run by the time that its panic is recovered.
//
//go:noinline
func between(depth, how int, ran *int) {
	defer func() { *ran++ }()
	if depth > 3 {
		between(depth-4, how, ran)
	}
	deeper(depth, how, 1, 2, 3, 4)
}

// One so large that its caller's frame is far away, and that has a frame pointer.
//
//go:noinline
func large(n, how int, ran *int) {
	var room [4000]int
	for i := range room {
		room[i] = same(i)
	}
	between(n, how, ran)
	for i := range room {
		*ran += room[i]
	}
}

//go:noinline
func protect(n, how int, ran *int) (text string, left int) {
	left = same(n) + 1
	defer func() {
		text = fmt.Sprint(recover())
		left += n
	}()
	large(n, how, ran)
	return "not reached", -1
}

// Keeps a value in every register that calls keep, over the call.
//
//go:noinline
func around(n, how int) int {
	a, b, c, d, e, f := same(n), same(n+1), same(n+2), same(n+3), same(n+4), same(n+5)
	ran := 0
	text, left := protect(n, how, &ran)
	if a != n || b != n+1 || c != n+2 || d != n+3 || e != n+4 || f != n+5 {
		fmt.Println("lost a register", n, how, a, b, c, d, e, f)
	}
	if left != 2*n+1 || text == "not reached" || ran != n/4+1 {
		fmt.Println("wrong", n, how, left, text, ran)
	}
	return len(text) + a + b + c + d + e + f
}

//go:noinline
func caught(n, how int) {
	defer func() { recover() }()
	ran := 0
	large(n, how, &ran)
}

// Values that change from call to call, and are best kept in registers. With how 4 nothing fails.
//
//go:noinline
func kept(n, how int) int {
	a, b, c, d, e := same(1), same(2), same(3), same(4), same(5)
	for i := 0; i < n; i++ {
		caught(i, how)
		a, b, c, d, e = b+i, c^d, d-a, e+b, a*3
	}
	return a ^ b<<1 ^ c<<2 ^ d<<3 ^ e<<4
}

//go:noinline
func keptFew(n, how int) int {
	a, b := same(1), same(2)
	for i := 0; i < n; i++ {
		caught(i, how)
		a, b = b+i, a*3
	}
	return a ^ b<<1
}

// A panic within a deferred function replaces another, and both are gone after it is recovered.
func replaced() (got any) {
	defer func() { got = recover() }()
	defer func() { panic("second") }()
	panic("first")
}

// Recovers within the deferred function of an outer function that goes on panicking.
func inner() (seen string) {
	defer func() { seen += fmt.Sprint(" ", recover()) }()
	defer func() {
		defer func() { seen += fmt.Sprint(recover()) }()
		panic("within")
	}()
	panic("outside")
}

// Goexit passes functions that recover nothing.
func exits(done chan<- string) {
	defer func() { done <- fmt.Sprint("exits ", recover()) }()
	defer func() { recover() }()
	func() {
		defer func() { recover() }()
		panic("not this one")
	}()
	runtime.Goexit()
}

// Small enough to be inlined, each where it is called, with the landing pads of both.
type counter struct{ done int }

func (c *counter) end() { c.done++ }

func step(c *counter, a []int, i int) int {
	defer c.end()
	return a[i]
}

func try(c *counter, a []int, i int) (e interface{}) {
	defer func() { e = recover() }()
	step(c, a, i)
	return nil
}

func nested() string {
	var c counter
	a := []int{1, 2}
	return fmt.Sprint(try(&c, a, same(1)) == nil, try(&c, a, same(2)) != nil, c.done)
}

func main() {
	fmt.Println(nested())
	sum := 0
	for round := 0; round < 3; round++ {
		for how := 0; how < 4; how++ {
			for n := 0; n < 40; n++ {
				sum += around(n, how)
			}
		}
	}
	fmt.Println(sum)
	for how := 0; how < 4; how++ {
		if kept(20, how) != kept(20, 4) || keptFew(20, how) != keptFew(20, 4) {
			fmt.Println("lost a register that is kept over calls", how)
		}
	}
	// Upon stacks that have grown on the way.
	for _, n := range []int{1000, 20000} {
		fmt.Println(around(n, 0), around(n, 1))
	}
	fmt.Println(replaced(), inner())
	done := make(chan string)
	go exits(done)
	fmt.Println(<-done)
	many := make(chan int)
	for k := 0; k < 8; k++ {
		go func(k int) {
			s := 0
			for i := 0; i < 500; i++ {
				s += around(k, i%4)
			}
			many <- s
		}(k)
	}
	all := 0
	for k := 0; k < 8; k++ {
		all += <-many
	}
	fmt.Println(all)
}

// Output:
// true true 2
// 80880
// 6016 6079
// 120016 120079
// second within outside
// exits <nil>
// 290000
