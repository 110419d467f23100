// SPDX-License-Identifier: BSD-3-Clause

// What of the runtime may be inlined into programs: objects of every size with pointers in every
// place, while collections run; maps, interfaces and channels, at their usual ends and at the
// others.

// Flags: -O2 -g

package main

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
)

type leaf struct{ n, a, b int } // shares no block with another

type (
	one  struct{ p *leaf }
	two  struct{ n int; p *leaf }
	six  struct{ p, q *leaf; a, b int; r *leaf; c int }
	wide struct{ a [12]int; p *leaf; b [3]int; q *leaf }
	long struct{ a [31]int; p *leaf }
)

var litter [8]interface{}

// What is thrown away leaves its words behind.
func throwAway(i int) {
	x := &leaf{i, i, i}
	litter[0], litter[1] = x, &one{x}
	litter[2], litter[3] = &two{i, x}, &six{x, x, i, i, x, i}
	w := &wide{p: x, b: [3]int{i, i, i}, q: x}
	a, b, c, d := make([]*leaf, 7), make([]pair, 3), make([]three, 4), make([]byte, 33)
	for j := range a {
		a[j], b[j%3], c[j%4], d[j+26] = x, pair{x, i}, three{i, x, i}, 1
	}
	litter[4], litter[5], litter[6], litter[7] = w, a, b, c
	litter[i%8] = d
}

// Each keeps alive what it made, and sees whether it still is.
func objects(n int) {
	var ones []*one
	var twos []*two
	var sixes []*six
	var wides []*wide
	var longs []*long
	for i := 0; i < n; i++ {
		ones = append(ones, &one{&leaf{n: i}})
		twos = append(twos, &two{-1, &leaf{n: i}})
		sixes = append(sixes, &six{&leaf{n: i}, &leaf{n: i}, -1, -1, &leaf{n: i}, -1})
		w := new(wide)
		w.p, w.q = &leaf{n: i}, &leaf{n: i}
		wides = append(wides, w)
		l := new(long)
		l.p = &leaf{n: i}
		longs = append(longs, l)
		throwAway(i + 1)
		if i%1000 == 0 {
			runtime.GC()
		}
	}
	for i := 0; i < n; i++ {
		s, w, l := sixes[i], wides[i], longs[i]
		if s.a != -1 || s.b != -1 || s.c != -1 || twos[i].n != -1 || w.a != [12]int{} {
			panic("a field is broken")
		}
		if ones[i].p.n != i || twos[i].p.n != i || s.p.n != i || s.q.n != i || s.r.n != i ||
			w.p.n != i || w.q.n != i || w.b != [3]int{} || l.p.n != i || l.a[30] != 0 {
			panic("an object is broken")
		}
	}
}

type pair struct {
	p *leaf
	n int
}

type three struct {
	m int
	p *leaf
	n int
}

//go:noinline
func arrays(i int) ([]*leaf, []string, []pair, []three, []byte) {
	a, b, c := make([]*leaf, 7), make([]string, 5), make([]pair, 3)
	d, e := make([]three, 4), make([]byte, 33)
	a[6], b[4], c[2].p, d[3].p, e[32] = &leaf{n: i}, fmt.Sprint(i), &leaf{n: i}, &leaf{n: i}, 1
	return a, b, c, d, e
}

func slices(n int) {
	var as [][]*leaf
	var bs [][]string
	var cs [][]pair
	var ds [][]three
	for i := 0; i < n; i++ {
		a, b, c, d, e := arrays(i)
		if a[0] != nil || b[0] != "" || c[0].p != nil || d[0].p != nil || e[31] != 0 {
			panic("a slice is not zero")
		}
		as, bs, cs, ds = append(as, a), append(bs, b), append(cs, c), append(ds, d)
		throwAway(i + 1)
		if i%1000 == 0 {
			runtime.GC()
		}
	}
	for i := range as {
		if as[i][6].n != i || bs[i][4] != fmt.Sprint(i) || cs[i][2].p.n != i ||
			ds[i][3].p.n != i {
			panic("a slice is broken")
		}
	}
}

// Between two of these a goroutine may have come to another thread.
func wander(n int) {
	var wait sync.WaitGroup
	ping, pong := make(chan *leaf), make(chan *leaf, 1)
	for g := 0; g < 8; g++ {
		wait.Add(2)
		go func() {
			for i := 0; i < n; i++ {
				ping <- &leaf{n: i}
				kept := &two{i, &leaf{n: i}}
				<-pong
				if kept.p.n != i {
					panic("another one's object")
				}
			}
			wait.Done()
		}()
		go func() {
			for i := 0; i < n; i++ {
				x := <-ping
				y := &leaf{n: x.n}
				runtime.Gosched()
				pong <- &leaf{n: y.n}
			}
			wait.Done()
		}()
	}
	wait.Wait()
}

func maps() {
	words, texts, half := map[int]int{}, map[string]string{}, map[int32]*leaf{}
	var none map[int]int
	for i := 0; i < 3000; i++ {
		words[i*i]++
		words[i*i] += i
		key := fmt.Sprint("k", i)
		texts[key] += "a"
		texts[key] += "b"
		half[int32(i)] = &leaf{n: i}
		half[int32(i)].n++
	}
	sum := 0
	for k, v := range words {
		if k%3 == 0 {
			delete(words, k)
		}
		sum += v
	}
	_, in := words[3]
	_, out := words[4]
	v, ok := texts["k17"]
	fmt.Println(sum, len(words), none[1], in, out, v, ok)
	fmt.Println(texts["a text of more than sixteen bytes"] == "", half[2999].n, half[-1])
	defer func() { fmt.Println(recover()) }()
	none[1] = 2
}

const letters = "abcdefghijklmnopqrstuvwxyz"

// Small maps that keys come into and go from, beside one whose keys no front knows.
func assignments(rounds int) {
	bad, rnd := 0, uint64(1)
	for round := 0; round < rounds; round++ {
		words, halves, texts := map[uint64]int{}, map[int32]int{}, map[string]*leaf{}
		all := map[interface{}]int{}
		for i := 0; i < 80; i++ {
			rnd = rnd*6364136223846793005 + 1442695040888963407
			k := (rnd >> 33) % uint64(3+round%60)
			text := letters[:k%27]
			words[k], halves[int32(k)], texts[text] = i, i, &leaf{n: i}
			all[k], all[int32(k)], all[text] = i, i, i
			if rnd>>60 < 5 {
				delete(words, k)
				delete(halves, int32(k))
				delete(texts, text)
				delete(all, k)
				delete(all, int32(k))
				delete(all, text)
			}
		}
		for k, v := range all {
			switch k := k.(type) {
			case uint64:
				if words[k] != v {
					bad++
				}
			case int32:
				if halves[k] != v {
					bad++
				}
			case string:
				if texts[k] == nil || texts[k].n != v {
					bad++
				}
			}
		}
		if len(all) != len(words)+len(halves)+len(texts) {
			bad++
		}
	}
	fmt.Println("assigned wrongly:", bad)
}

type speaker interface{ speak() string }
type dog struct{ name string }

func (d *dog) speak() string { return d.name }

//go:noinline
func same(a, b interface{}) (r string) {
	defer func() {
		if e := recover(); e != nil {
			r = fmt.Sprint(e)
		}
	}()
	return fmt.Sprint(a == b)
}

//go:noinline
func says(x interface{}) string {
	if s, ok := x.(speaker); ok {
		return s.speak()
	}
	return "nothing"
}

func interfaces() {
	d, e := &dog{"wuff"}, errors.New("e")
	fmt.Println(says(d), says(d), says(1), says(nil), same(d, d), same(d, &dog{}), same(1, 1))
	fmt.Println(same(nil, nil), same(1, "1"), e == errors.New("e"), e == e)
	fmt.Println(same([]int{}, []int{}))
	defer func() { fmt.Println(recover()) }()
	fmt.Println(interface{}(e).(speaker))
}

func channels() {
	empty, bytes := make(chan struct{}, 2), make(chan byte, 2)
	wide, full := make(chan [5]int, 2), make(chan *leaf, 1)
	empty <- struct{}{}
	bytes <- 7
	wide <- [5]int{1, 2, 3, 4, 5}
	<-empty
	fmt.Println(<-bytes, <-wide)
	full <- &leaf{n: 9}
	for i := 0; i < 3; i++ {
		select {
		case full <- &leaf{n: 10}:
			fmt.Print("sent ")
		default:
			fmt.Print("full ")
		}
		select {
		case x := <-full:
			fmt.Print(x.n, " ")
		default:
			fmt.Print("empty ")
		}
		if i == 1 {
			close(full)
			break
		}
	}
	x, ok := <-full
	fmt.Println(x, ok)
	defer func() { fmt.Println(recover()) }()
	full <- nil
}

func main() {
	objects(5000)
	slices(5000)
	wander(300)
	assignments(600)
	maps()
	interfaces()
	channels()
}

// Env: GODEBUG=clobberfree=2
// Env: GOMAXPROCS=4
// Output:
// assigned wrongly: 0
// 4501500 2000 0 false true ab true
// true 3000 <nil>
// assignment to entry in nil map
// wuff wuff nothing nothing true false true
// true false false true
// runtime error: comparing uncomparable type []int
// interface conversion: *errors.errorString is not main.speaker: missing method speak
// 7 [1 2 3 4 5]
// full 9 sent 10 <nil> false
// send on closed channel
