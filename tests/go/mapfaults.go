// SPDX-License-Identifier: BSD-3-Clause

// A fault in the middle of what a map does is a panic, and the map can be used afterwards, by
// others, too.

package main

import (
	"fmt"
	"runtime/debug"
	"syscall"
	"unsafe"
)

const (
	none     = syscall.PROT_NONE
	writable = syscall.PROT_READ | syscall.PROT_WRITE
)

var page []byte

func text(n int) string {
	b := page[:n:n]
	return *(*string)(unsafe.Pointer(&b))
}

func protect(how int) {
	if err := syscall.Mprotect(page, how); err != nil {
		panic(err)
	}
}

func try(fn func()) (caught bool) {
	defer func() { caught = recover() != nil }()
	debug.SetPanicOnFault(true)
	fn()
	return
}

type wide [200]byte

// As others use it: those that are inlined, and the rest.
func use(m map[string]int) {
	m["one"] = 1
	delete(m, "two")
	if m["one"] != 1 {
		fmt.Println("an entry is lost")
	}
	for range m {
	}
	m["two"] = 2
}

func elsewhere(m map[string]int) {
	done := make(chan bool)
	go func() {
		use(m)
		close(done)
	}()
	<-done
}

func given(n int) {
	m := map[string]int{"one": 1, "two": 2}
	protect(none)
	key := text(n)
	fmt.Print("given ", n, ":")
	fmt.Print(" ", try(func() { m[key] = 3 }))
	elsewhere(m)
	fmt.Print(" ", try(func() { m[key]++ }))
	use(m)
	fmt.Print(" ", try(func() { delete(m, key) }))
	elsewhere(m)
	fmt.Println("", len(m))
	protect(writable)
}

// Keys of the map that have the bytes of one that is given, but elsewhere.
func kept(n int) {
	m := map[string]int{"one": 1, "two": 2, text(n): 3}
	key := string(make([]byte, n))
	protect(none)
	fmt.Print("kept ", n, ":")
	fmt.Print(" ", try(func() { m[key] = 3 }))
	elsewhere(m)
	fmt.Print(" ", try(func() { delete(m, key) }))
	use(m)
	protect(writable)
	fmt.Println("", len(m), m[key])
}

func arrays() {
	m := map[wide]int{{}: 1}
	p := (*wide)(unsafe.Pointer(&page[0]))
	protect(none)
	fmt.Print("arrays: ", try(func() { m[*p] = 2 }))
	m[wide{1}] = 3
	fmt.Println("", len(m))
	protect(writable)
}

// Tables that become one while a key of theirs cannot be read: no entry comes twice or comes back.
func merged() {
	const near, far = 20000, 50
	m := map[string]int{}
	for i := 0; i < near; i++ {
		m[fmt.Sprint(i)] = i
	}
	for i := 0; i < far; i++ {
		b := page[64*i : 64*i+9 : 64*i+9]
		copy(b, fmt.Sprintf("far%06d", i))
		m[*(*string)(unsafe.Pointer(&b))] = i
	}
	protect(none)
	gone := map[string]bool{}
	for i := 0; i < near-far; i++ {
		key := fmt.Sprint(i)
		if !try(func() { delete(m, key) }) {
			gone[key] = true
		}
	}
	protect(writable)
	seen := map[string]bool{}
	wrong := 0
	for key := range m {
		if seen[key] || gone[key] {
			wrong++
		}
		seen[key] = true
	}
	fmt.Println("merged:", wrong, len(seen) == len(m))
}

func main() {
	var err error
	page, err = syscall.Mmap(-1, 0, 4096, writable, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		panic(err)
	}
	given(9)
	given(100)
	kept(9)
	kept(100)
	arrays()
	merged()
}

// Output:
// given 9: true true true 2
// given 100: true true true 2
// kept 9: true true 3 3
// kept 100: true true 3 3
// arrays: true 2
// merged: 0 true
