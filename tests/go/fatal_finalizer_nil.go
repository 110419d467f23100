// SPDX-License-Identifier: BSD-3-Clause
// A finalizer for nothing.

package main

import "runtime"

func main() {
	runtime.SetFinalizer(nil, nil)
}

// Status: 2
// Stderr:
// fatal error: runtime.SetFinalizer: first argument is nil
