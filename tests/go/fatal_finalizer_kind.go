// SPDX-License-Identifier: BSD-3-Clause
// A finalizer for what is no pointer.

package main

import "runtime"

func main() {
	runtime.SetFinalizer(1, nil)
}

// Status: 2
// Stderr:
// fatal error: runtime.SetFinalizer: first argument is not a pointer
