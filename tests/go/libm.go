// SPDX-License-Identifier: BSD-3-Clause
// libm is loaded when a function of it is called, and no earlier; its functions are its own.

package main

import (
	"fmt"
	"math"
	"os"
	"strings"
	"sync"
)

func loaded() bool {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		panic(err)
	}
	return strings.Contains(string(maps), "/libm.so")
}

// Of several goroutines at once the first calls.
func sines() (sum float64) {
	var wg sync.WaitGroup
	var each [8]float64
	for i := range each {
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			each[i] = math.Sin(float64(i))
		}(i)
	}
	wg.Wait()
	for _, x := range each {
		sum += x
	}
	return sum
}

func main() {
	fmt.Println(loaded())
	fmt.Printf("%.6f\n", sines())
	fmt.Println(loaded())
	x := 0.5
	for _, f := range []func(float64) float64{
		math.Acos, math.Acosh, math.Asin, math.Asinh, math.Atan, math.Atanh,
		math.Cbrt, math.Cos, math.Erf, math.Erfc, math.Exp, math.Expm1,
		math.Log, math.Log10, math.Log1p, math.Tan,
	} {
		fmt.Printf("%.6f\n", f(x))
	}
	fmt.Printf("%.6f %.6f %.6f %v\n",
		math.Atan2(x, 2), math.Mod(7, 2.5), math.Pow(2, x), math.Ldexp(x, 10))
}

// Output:
// false
// 0.553733
// true
// 1.047198
// NaN
// 0.523599
// 0.481212
// 0.463648
// 0.549306
// 0.793701
// 0.877583
// 0.520500
// 0.479500
// 1.648721
// 0.648721
// -0.693147
// -0.301030
// 0.405465
// 0.546302
// 0.244979 2.000000 1.414214 512
