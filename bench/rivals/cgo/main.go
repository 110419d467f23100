// SPDX-License-Identifier: BSD-3-Clause

// Rival: Go called by threads of C, rows reentry and attach. A program of its own, as the other one
// is built without cgo.
package main

// void run_reentry(void);
// void run_attach(void);
import "C"

import (
	"fmt"
	"os"
)

var buffered = make(chan int64, 16)

//export exchange
func exchange(v int64) int64 {
	buffered <- v
	return <-buffered
}

func main() {
	row := ""
	if len(os.Args) == 2 {
		row = os.Args[1]
	}
	switch row {
	case "reentry":
		C.run_reentry()
	case "attach":
		C.run_attach()
	case "--list":
		fmt.Println("reentry\nattach")
	default:
		fmt.Fprintln(os.Stderr, "usage: cgo --list | ROW")
		os.Exit(2)
	}
}
