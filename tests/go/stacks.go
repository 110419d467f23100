// SPDX-License-Identifier: BSD-3-Clause
// Stacks that grow and shrink: deep recursion in many goroutines, large frames, arguments and
// results on the stack, collections meanwhile.

package main

import (
	"fmt"
	"runtime"
	"sync"
)

type big struct{ a [40]int }

func down(n int, b big, p *int) (r big) {
	var pad [64]int
	if n == 0 {
		runtime.GC()
		r = b
		r.a[0] = *p
		return
	}
	q := new(int)
	*q = *p + 1
	pad[n%64] = n
	r = down(n-1, b, q)
	r.a[1] += *q
	r.a[2] += pad[n%64]
	return
}

func large(n int) int {
	var a [20000]int
	for i := range a {
		a[i] = i + n
	}
	if n > 0 {
		return large(n-1) + a[n]
	}
	return a[19999]
}

func floats(n int, x, y float64) (float64, float64) {
	if n == 0 {
		return x, y
	}
	x, y = floats(n-1, x+1, y*1.0001)
	return x, y
}

func main() {
	var wg sync.WaitGroup
	sums := make([]int, 20)
	for i := range sums {
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			x := i
			var b big
			b.a[39] = i
			r := down(1000+i*20, b, &x)
			sums[i] = r.a[0] + r.a[39] + large(3)
		}(i)
	}
	wg.Wait()
	fmt.Println(sums[:10])
	fmt.Println(sums[10:])
	x, y := floats(20000, 1, 0)
	fmt.Println(x, y)
	for i := 0; i < 3; i++ {
		var b big
		n := 0
		r := down(20000, b, &n)
		fmt.Println(r.a[0], r.a[1], r.a[2])
	}
}

// Output:
// [21011 21033 21055 21077 21099 21121 21143 21165 21187 21209]
// [21231 21253 21275 21297 21319 21341 21363 21385 21407 21429]
// 20001 0
// 20000 200010000 200010000
// 20000 200010000 200010000
// 20000 200010000 200010000
