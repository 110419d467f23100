// SPDX-License-Identifier: BSD-3-Clause

// Rows of panics: defer, protect, panic, panic_deep.
package main

const panicDepth = 20

//go:noinline
func nothing() {}

//go:noinline
func deferOnce() {
	defer nothing()
	nothing()
}

func deferBody(n int64) {
	for i := int64(0); i < n; i++ {
		deferOnce()
	}
}

// What go_protect does, written in Go.
//
//go:noinline
func protect(fn func()) (v any) {
	defer func() {
		v = recover()
	}()
	fn()
	return nil
}

func protectBody(n int64) {
	for i := int64(0); i < n; i++ {
		protect(nothing)
	}
}

func fail() {
	panic(1)
}

func panicBody(n int64) {
	for i := int64(0); i < n; i++ {
		check(protect(fail) != nil, "panic: not caught")
	}
}

//go:noinline
func failDeep(depth int) {
	if depth == 0 {
		fail()
	}
	failDeep(depth - 1)
	nothing()
}

func startDeep() {
	failDeep(panicDepth)
}

func panicDeepBody(n int64) {
	for i := int64(0); i < n; i++ {
		check(protect(startDeep) != nil, "panic_deep: not caught")
	}
}
