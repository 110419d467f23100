// SPDX-License-Identifier: BSD-3-Clause

// Hashes of values that are made of many: what each of them adds stays to be seen in the end.

package main

import (
	"fmt"
	"reflect"
	"unsafe"
)

//extern runtime.f64hash
func f64hash(p unsafe.Pointer, seed uintptr) uintptr

//extern runtime.c128hash
func c128hash(p unsafe.Pointer, seed uintptr) uintptr

//extern reflect.typehash
func typehash(t unsafe.Pointer, p unsafe.Pointer, seed uintptr) uintptr

const (
	values = 2000
	long   = 128
	seed   = 12345
)

// How many different numbers the lowest and the highest 32 bits are.
func spread(hashes []uintptr) (int, int) {
	low, high := map[uint32]bool{}, map[uint32]bool{}
	for _, h := range hashes {
		low[uint32(h)] = true
		high[uint32(uint64(h)>>32)] = true
	}
	return len(low), len(high)
}

// Of 2000 random numbers of 32 bits two are alike once in 2000 programs, and six never.
func tell(what string, hashes []uintptr) {
	low, high := spread(hashes)
	fmt.Println(what, low > values-6, high > values-6)
}

// As compiled code does it.
func chain(a *[long]float64) uintptr {
	h := uintptr(seed)
	for i := range a {
		h = f64hash(unsafe.Pointer(&a[i]), h)
	}
	return h
}

func main() {
	var chained, complexes, typed [values]uintptr
	keys := map[[long]float64]int{}
	for i := range chained {
		var a [long]float64
		var c [long / 2]complex128
		a[0], c[0] = float64(i), complex(float64(i), 0)
		chained[i] = chain(&a)
		complexes[i] = seed
		for j := range c {
			complexes[i] = c128hash(unsafe.Pointer(&c[j]), complexes[i])
		}
		t := reflect.TypeOf(a)
		words := (*[2]unsafe.Pointer)(unsafe.Pointer(&t))
		typed[i] = typehash(words[1], unsafe.Pointer(&a), seed)
		keys[a] = i
	}
	tell("floats", chained[:])
	tell("complex", complexes[:])
	tell("by type", typed[:])
	right := 0
	for a, i := range keys {
		if a[0] == float64(i) && keys[a] == i {
			right++
		}
	}
	fmt.Println(len(keys), right)
}

// Output:
// floats true true
// complex true true
// by type true true
// 2000 2000
