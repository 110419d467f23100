// SPDX-License-Identifier: BSD-3-Clause
// A finalizer for pointers of another type.

package main

import "runtime"

func main() {
	runtime.SetFinalizer(new(*int), func(*string) {})
}

// Status: 2
// Stderr:
// fatal error: runtime.SetFinalizer: cannot pass the pointer to the function
