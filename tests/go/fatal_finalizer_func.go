// SPDX-License-Identifier: BSD-3-Clause
// A finalizer that is no function.

package main

import "runtime"

func main() {
	runtime.SetFinalizer(new(*int), 1)
}

// Status: 2
// Stderr:
// fatal error: runtime.SetFinalizer: second argument is not a function
