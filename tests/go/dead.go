// SPDX-License-Identifier: BSD-3-Clause
// A dead pointer that a function has left on the stack keeps nothing alive while a loop does
// nothing but allocate: the runtime has no frame there with gaps in which it could stay.
//
// Every allocation collects. The object's finalizer says that it was found dead; where it is not
// found within so many rounds, it never is. Each loop is a function of its own, without calls of
// others of Go, which would have gaps.

package main

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"unsafe"
)

const rounds = 20000

type object struct {
	number uint32
	words  [7]uintptr
}

type node struct {
	next *node
	n    int
}

var (
	root   *object
	hidden uintptr // the object's address, inverted
	number uint32
	died   uint32

	text  = "a text of more than thirty-two bytes, which no buffer holds"
	bytes = []byte(text)
	runes = []rune(text)
	six   = 6

	someBytes  []byte
	someNodes  []*node
	someRunes  []rune
	someNode   *node
	someNumber *int
	someText   string
	someValue  interface{}
)

//go:noinline
func use(a *[512]uintptr) {}

// Fills the stack below the caller with the object's address.
//
//go:noinline
func litter() {
	var a [512]uintptr
	for i := range a {
		a[i] = ^hidden
	}
	use(&a)
}

// Makes an object, elsewhere, of which only root knows.
//
//go:noinline
func begin() {
	number++
	made := make(chan bool)
	go func() {
		root = &object{number: number}
		runtime.SetFinalizer(root, func(o *object) { atomic.StoreUint32(&died, o.number) })
		hidden = ^uintptr(unsafe.Pointer(root))
		made <- true
	}()
	<-made
}

func lives() bool { return atomic.LoadUint32(&died) != number }

//go:noinline
func end(what string) {
	if lives() {
		fmt.Println("kept during", what)
	}
}

func tiny() {
	begin()
	litter()
	root = nil
	for i := 0; i < rounds && lives(); i++ {
		someNumber = new(int)
	}
	end("new(int)")
}

func typed() {
	begin()
	litter()
	root = nil
	for i := 0; i < rounds && lives(); i++ {
		someNode = new(node)
	}
	end("new(node)")
}

func boxed() {
	begin()
	litter()
	root = nil
	for i := 0; i < rounds && lives(); i++ {
		someValue = text
	}
	end("interface{}(text)")
}

func plainSlice() {
	begin()
	litter()
	root = nil
	for i := 0; i < rounds && lives(); i++ {
		someBytes = make([]byte, 100*six)
	}
	end("make([]byte, n)")
}

func typedSlice() {
	begin()
	litter()
	root = nil
	for i := 0; i < rounds && lives(); i++ {
		someNodes = make([]*node, six)
	}
	end("make([]*node, n)")
}

func growBytes() {
	begin()
	litter()
	root = nil
	for i := 0; i < rounds && lives(); i++ {
		someBytes = append(bytes[:len(bytes):len(bytes)], 'a')
	}
	end("append of bytes")
}

func growNodes() {
	begin()
	litter()
	root = nil
	for i := 0; i < rounds && lives(); i++ {
		someNodes = append([]*node(nil), someNode)
	}
	end("append of pointers")
}

func concat() {
	begin()
	litter()
	root = nil
	for i := 0; i < rounds && lives(); i++ {
		someText = text + text
	}
	end("text + text")
}

func textOfBytes() {
	begin()
	litter()
	root = nil
	for i := 0; i < rounds && lives(); i++ {
		someText = string(bytes)
	}
	end("string(bytes)")
}

func bytesOfText() {
	begin()
	litter()
	root = nil
	for i := 0; i < rounds && lives(); i++ {
		someBytes = []byte(text)
	}
	end("[]byte(text)")
}

func textOfRunes() {
	begin()
	litter()
	root = nil
	for i := 0; i < rounds && lives(); i++ {
		someText = string(runes)
	}
	end("string(runes)")
}

func runesOfText() {
	begin()
	litter()
	root = nil
	for i := 0; i < rounds && lives(); i++ {
		someRunes = []rune(text)
	}
	end("[]rune(text)")
}

func textOfRune() {
	begin()
	litter()
	root = nil
	for i := 0; i < rounds && lives(); i++ {
		someText = string(rune(1000 + six))
	}
	end("string(rune)")
}

func collect() {
	begin()
	litter()
	root = nil
	for i := 0; i < rounds && lives(); i++ {
		runtime.GC()
	}
	end("runtime.GC()")
}

func main() {
	tiny()
	typed()
	boxed()
	plainSlice()
	typedSlice()
	growBytes()
	growNodes()
	concat()
	textOfBytes()
	bytesOfText()
	textOfRunes()
	runesOfText()
	textOfRune()
	collect()
	// What was made is what it should be.
	fmt.Println(*someNumber, someNode.n, someValue, len(someNodes), string(someBytes[:6]))
	fmt.Println(len(text), len(someRunes), someText, string(growth()))
}

func growth() []byte {
	b := append(bytes[:7:7], "grows"...)
	return append(b, string(runes[6:6+six])...)
}

// Env: GODEBUG=gcevery=1
// Output:
// 0 0 a text of more than thirty-two bytes, which no buffer holds 1 a text
// 59 59 Ϯ a text grows of mo
