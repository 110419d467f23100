// SPDX-License-Identifier: BSD-3-Clause

// A function that recovers is one function of the stack, in whatever pieces the compiler has it.

// Flags: -O2 -g

package main

import (
	"fmt"
	"runtime"
	"strings"
)

// Called with one n only: of what is inlined at the link, gcc makes a copy that knows it.
func catch(n int) {
	fmt.Println(recover(), n)
	pcs := make([]uintptr, 20)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(0, pcs)])
	for more := true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		if strings.HasPrefix(f.Function, "main.") {
			fmt.Println(f.Function)
		}
	}
}

func main() {
	var p *int
	defer catch(1)
	*p = 1
}

// Output:
// runtime error: invalid memory address or nil pointer dereference 1
// main.catch
// main.main
