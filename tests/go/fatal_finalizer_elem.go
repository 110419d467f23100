// SPDX-License-Identifier: BSD-3-Clause
// A finalizer for a nil pointer.

package main

import "runtime"

func main() {
	runtime.SetFinalizer((*int)(nil), func(*int) {})
}

// Status: 2
// Stderr:
// fatal error: nil elem type!
