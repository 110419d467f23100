// SPDX-License-Identifier: BSD-3-Clause
// The texts of goroutines' stacks.

package runtime

import "unsafe"

func goid() uint64

// allgs fills gs with the goroutines that Go code runs on, but for the caller's; how many there
// are.
func allgs(gs []uintptr) int

func idof(g uintptr) uint64

// lookat tells of a goroutine what it is doing: the first line of its text, an address in the
// function that started it, its labels, the addresses of its stack, after how many of them some are
// left out, if any.
func lookat(g uintptr, pcs []uintptr) (header string, creator uintptr, labels unsafe.Pointer,
	n, elided int, ok bool)

// lookFrames is how many addresses lookat has at most.
const lookFrames = 100

// others are all goroutines but the caller's, the oldest first.
func others() []uintptr {
	var gs []uintptr
	for n := allgs(nil); ; {
		gs = make([]uintptr, n+8)
		if n = allgs(gs); n <= len(gs) {
			gs = gs[:n]
			break
		}
	}
	for gap := len(gs) / 2; gap > 0; gap /= 2 {
		for i := gap; i < len(gs); i++ {
			for j := i - gap; j >= 0 && idof(gs[j]) > idof(gs[j+gap]); j -= gap {
				gs[j], gs[j+gap] = gs[j+gap], gs[j]
			}
		}
	}
	return gs
}

// A text is as long as the buffer that it is for.
type text struct {
	buf []byte
	n   int
}

func (t *text) add(s string) {
	t.n += copy(t.buf[t.n:], s)
}

func (t *text) full() bool {
	return t.n == len(t.buf)
}

// addPlace adds the line below a function's.
func (t *text) addPlace(file string, line int, pc, entry uintptr) {
	t.add("\n\t" + file + ":" + digits(uint64(line), false) + " +0x" +
		hexdigits(uint64(pc-entry)) + "\n")
}

// addFrames adds what is at an address: a function, and those it is inlined into.
func (t *text) addFrames(pc uintptr) {
	for i := 0; !t.full(); i++ {
		function, file, line, entry, more := frameat(pc, i)
		if function == "runtime.main" || function == "runtime.goexit" {
			return
		}
		if function == "main.main" {
			t.add(function + "()") // as it has no arguments
		} else {
			t.add(function + "(...)")
		}
		t.addPlace(file, line, pc, entry)
		if !more {
			return
		}
	}
}

func (t *text) addCreator(pc uintptr) {
	if pc == 0 {
		return
	}
	function, file, line, entry, _ := frameat(pc, 0)
	t.add("created by " + function)
	t.addPlace(file, line, pc, entry)
}

// isInternal: what the program has not called by itself.
func isInternal(pc uintptr) bool {
	const own = "runtime."
	function, _, _, _, _ := frameat(pc, 0)
	return len(function) > len(own) && function[:len(own)] == own && function[len(own)] >= 'a'
}

func (t *text) addOther(g uintptr) {
	var pcs [lookFrames]uintptr
	header, creator, _, n, elided, ok := lookat(g, pcs[:])
	if !ok {
		return
	}
	t.add("\n" + header + "\n")
	if n == 0 {
		t.add("\tgoroutine running on other thread; stack unavailable\n")
	}
	inside := 0
	for inside < n && isInternal(pcs[inside]) {
		inside++
	}
	for i := inside; i < n; i++ {
		if elided != 0 && i == elided {
			t.add("...additional frames elided...\n")
		}
		t.addFrames(pcs[i])
	}
	t.addCreator(creator)
}

// creatorof is an address in the function that started the calling goroutine; 0: nobody did.
func creatorof() uintptr

// Stack writes the calling goroutine's stack as far as it fits, and then all others', if wanted.
func Stack(buf []byte, all bool) int {
	var pcs [lookFrames]uintptr
	n := returns(2, pcs[:])
	t := text{buf: buf}
	t.add("goroutine " + digits(goid(), false) + " [running]:\n")
	for _, pc := range pcs[:n] {
		t.addFrames(pc)
	}
	t.addCreator(creatorof())
	if all {
		for _, g := range others() {
			if t.full() {
				break
			}
			t.addOther(g)
		}
	}
	return t.n
}

func hexdigits(v uint64) string {
	var buf [16]byte
	i := len(buf)
	for {
		i--
		buf[i] = "0123456789abcdef"[v%16]
		v /= 16
		if v == 0 {
			return string(buf[i:])
		}
	}
}
