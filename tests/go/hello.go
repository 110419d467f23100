// SPDX-License-Identifier: BSD-3-Clause
// Arguments, environment, fmt, order of initialisation, exit status.

package main

import (
	"fmt"
	"os"
)

var a = after("a", b)
var b = after("b", "")

func after(name, what string) string {
	fmt.Println("init", name, what+"-")
	return name
}

func init() { fmt.Println("init function", a, b) }

func main() {
	fmt.Println("hello", os.Args[1:], os.Getenv("HELLO"))
	defer fmt.Println("never: os.Exit runs no deferred functions")
	os.Exit(3)
}

// Args: one two
// Env: HELLO=world
// Status: 3
// Output:
// init b -
// init a b-
// init function a b
// hello [one two] world
