// SPDX-License-Identifier: BSD-3-Clause
// bench/start: says hello, and what that has cost. Resident memory is the kernel's sum over pages.

package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

func main() {
	fmt.Println("hello")
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err)
	}
	text, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		panic(err)
	}
	rss := strings.Fields(string(text)[strings.Index(string(text), "Rss:"):])[1]
	fmt.Fprintln(os.Stderr, rss, (used.Utime.Nano()+used.Stime.Nano())/1000)
}
