// SPDX-License-Identifier: BSD-3-Clause
// A heap dump can be read by its format's description, and has what the program knows to be there:
// objects with their contents and what they point to, what holds them, goroutines with their frames
// and why they wait, finalizers, numbers.

package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
	"unsafe"
)

type node struct {
	mark [16]byte
	next *node
	text string
}

type bare struct{ mark [48]byte }

type resource struct {
	mark [16]byte
	n    *node
}

var held *node // a root

func fill(to []byte, s string) { copy(to, s) }

func build() *node {
	a, b := new(node), new(node)
	fill(a.mark[:], "first node here")
	fill(b.mark[:], "second one here")
	a.next = b
	return a
}

var kept *bare

//go:noinline
func waitsOn(c chan int, n *node) {
	v := <-c
	n.next.text = fmt.Sprint(v)
}

// --- the reader ----------------------------------------------------------------------------------

type object struct {
	data   []byte
	fields []uint64
}

type goroutine struct {
	id     uint64
	status uint64
	why    string
	system bool
	frames []string
}

type dump struct {
	objects    map[uint64]object
	roots      map[uint64]string
	segments   []object
	addrs      []uint64
	types      map[uint64]string
	finalizers map[uint64]uint64 // by object: the type
	goroutines []*goroutine
	threads    int
	params     []uint64
	arch       string
	stats      []uint64
}

type reader struct{ *bufio.Reader }

func (r reader) num() uint64 {
	v, err := binary.ReadUvarint(r)
	if err != nil {
		panic(err)
	}
	return v
}

func (r reader) bytes() []byte {
	b := make([]byte, r.num())
	if _, err := io.ReadFull(r, b); err != nil {
		panic(err)
	}
	return b
}

func (r reader) text() string { return string(r.bytes()) }

func (r reader) fields() (at []uint64) {
	for {
		switch kind := r.num(); kind {
		case 0:
			return at
		case 1:
			at = append(at, r.num())
		default:
			panic(fmt.Sprint("a field of kind ", kind))
		}
	}
}

func (d *dump) one(r reader, tag uint64) {
	switch tag {
	case 1:
		a := r.num()
		d.objects[a] = object{r.bytes(), r.fields()}
	case 2:
		what := r.text()
		d.roots[r.num()] = what
	case 3:
		a := r.num()
		r.num()
		d.types[a] = r.text()
		r.num()
	case 4:
		g := new(goroutine)
		r.num()
		r.num()
		g.id = r.num()
		r.num()
		g.status = r.num()
		g.system = r.num() != 0
		r.num()
		r.num()
		g.why = r.text()
		for i := 0; i < 4; i++ {
			r.num()
		}
		d.goroutines = append(d.goroutines, g)
	case 5:
		g := d.goroutines[len(d.goroutines)-1]
		r.num()
		if depth := r.num(); depth != uint64(len(g.frames)) {
			panic("frames in disorder")
		}
		r.num()
		r.bytes()
		r.num()
		r.num()
		r.num()
		g.frames = append(g.frames, r.text())
		r.fields()
	case 6:
		for i := 0; i < 4; i++ {
			d.params = append(d.params, r.num())
		}
		d.arch = r.text()
		r.text()
		r.num()
	case 7, 11:
		a := r.num()
		r.num()
		r.num()
		r.num()
		d.finalizers[a] = r.num()
	case 9:
		r.num()
		r.num()
		r.num()
		d.threads++
	case 10:
		for i := 0; i < 24+256+1; i++ {
			d.stats = append(d.stats, r.num())
		}
	case 12, 13:
		d.addrs = append(d.addrs, r.num())
		d.segments = append(d.segments, object{r.bytes(), r.fields()})
	case 8, 14, 15, 17: // of which Go has some
		for i := 0; i < map[uint64]int{8: 2, 14: 7, 15: 6, 17: 2}[tag]; i++ {
			r.num()
		}
	case 16:
		r.num()
		r.num()
		for n := r.num(); n > 0; n-- {
			r.text()
			r.text()
			r.num()
		}
		r.num()
		r.num()
	default:
		panic(fmt.Sprint("a record of kind ", tag))
	}
}

func read(f *os.File) *dump {
	d := &dump{objects: map[uint64]object{}, roots: map[uint64]string{},
		types: map[uint64]string{}, finalizers: map[uint64]uint64{}}
	r := reader{bufio.NewReader(f)}
	if line, _ := r.ReadString('\n'); line != "go1.7 heap dump\n" {
		panic(line)
	}
	for tag := r.num(); tag != 0; tag = r.num() {
		d.one(r, tag)
	}
	if _, err := r.ReadByte(); err != io.EOF {
		panic("more behind the end")
	}
	return d
}

// --- what must be there --------------------------------------------------------------------------

func check(ok bool, what string) {
	if !ok {
		fmt.Println("wrong:", what)
	}
}

func (o object) pointsTo(a uint64) bool {
	for _, at := range o.fields {
		if binary.LittleEndian.Uint64(o.data[at:]) == a {
			return true
		}
	}
	return false
}

func (d *dump) rooted(a uint64) bool {
	for _, s := range d.segments {
		if s.pointsTo(a) {
			return true
		}
	}
	return false
}

func address(p unsafe.Pointer) uint64 { return uint64(uintptr(p)) }

func (d *dump) checkObjects() {
	a, b, k := address(unsafe.Pointer(held)), address(unsafe.Pointer(held.next)),
		address(unsafe.Pointer(kept))
	first, second := d.objects[a], d.objects[b]
	check(bytes.HasPrefix(first.data, []byte("first node here")), "the first object")
	check(bytes.HasPrefix(second.data, []byte("second one here")), "the second object")
	check(first.pointsTo(b), "what the first points to")
	check(!second.pointsTo(a), "what the second does not point to")
	check(d.rooted(a) && !d.rooted(b), "what holds them")
	plain := d.objects[k]
	check(bytes.HasPrefix(plain.data, []byte("without pointers")), "one without pointers")
	check(len(plain.fields) == 0, "its fields")
	check(d.params[1] == 8 && d.params[0] == 0, "how numbers lie")
	check(d.params[2] <= a && a < d.params[3], "bounds of the heap")
	check(d.arch == "amd64", "architecture")
	check(d.threads > 0 && len(d.stats) > 0 && d.stats[0] > 0 && d.stats[280] > 0, "statistics")
}

func (d *dump) checkGoroutines() {
	waiting, calling := 0, 0
	for _, g := range d.goroutines {
		switch {
		case g.why == "chan receive" && !g.system:
			all := strings.Join(g.frames, " ")
			if g.status == 4 && strings.Contains(all, "main.waitsOn") {
				waiting++
			}
		case g.why == "dumping heap":
			calling++
		}
	}
	check(waiting == 3, fmt.Sprint("goroutines that wait: ", waiting))
	check(calling == 1, fmt.Sprint("goroutines that dump: ", calling))
}

func (d *dump) checkFinalizer(r *resource) {
	t, ok := d.finalizers[address(unsafe.Pointer(r))]
	check(ok, "a finalizer")
	check(strings.Contains(d.types[t], "main.resource"), "its type "+d.types[t])
	check(strings.HasPrefix(string(d.objects[address(unsafe.Pointer(r))].data), "a resource"),
		"its object")
}

func main() {
	held = build()
	kept = new(bare)
	fill(kept.mark[:], "without pointers")
	r := &resource{n: held}
	fill(r.mark[:], "a resource")
	runtime.SetFinalizer(r, func(*resource) {})
	c := make(chan int)
	for i := 0; i < 3; i++ {
		go waitsOn(c, held)
	}
	time.Sleep(20 * time.Millisecond)
	f, err := os.CreateTemp("", "heapdump")
	if err != nil {
		panic(err)
	}
	defer os.Remove(f.Name())
	for i := 0; i < 2; i++ {
		f.Truncate(0)
		f.Seek(0, 0)
		debug.WriteHeapDump(f.Fd())
		f.Seek(0, 0)
		d := read(f)
		d.checkObjects()
		d.checkGoroutines()
		d.checkFinalizer(r)
		fmt.Println(len(d.objects) > 100)
	}
	runtime.KeepAlive(r)
}

// Output:
// true
// true
