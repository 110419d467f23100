// SPDX-License-Identifier: BSD-3-Clause
// An element is found, then a function puts entries and deletes others, then the element is read:
// it is the one that was found, wherever the map keeps it by then.
package main

import "fmt"

type wide struct{ words [12]int }

func of(i int) (w wide) {
	for k := range w.words {
		w.words[k] = i
	}
	return
}

var (
	wides map[int]wide
	texts map[string]string
	last  int
)

func name(i int) string { return fmt.Sprint("the name of ", i) }

// Puts so many entries that tables are replaced, and again where they lay, and takes one away.
func change() int {
	for k := 0; k < 99; k++ {
		last++
		wides[last] = of(last)
		texts[name(last)] = name(last)
	}
	delete(wides, last-1)
	delete(texts, name(last-1))
	return 0
}

func check(ok bool, what string, i, got int) {
	if !ok {
		panic(fmt.Sprint(what, " of ", i, " is ", got))
	}
}

func round(n int) {
	wides, texts, last = map[int]wide{}, map[string]string{}, 0
	for i := 1; i < n; i++ {
		change()
		k := 99*(i/2) + 1
		got := wides[k].words[5] + change()*0 // the compiler calls before it reads
		check(got == k, "an element", k, got)
		a, b := wides[k].words[11], change()
		check(a+b == k, "the first of two", k, a)
		text := texts[name(k)] + fmt.Sprint(change())
		check(text == name(k)+"0", "a text", k, len(text))
	}
	got := wides[98].words[0] + change()
	check(got == 0, "what is not there", 98, got)
}

func main() {
	for r := 0; r < 10; r++ {
		round(50 + 7*r)
	}
	fmt.Println("ok")
}
