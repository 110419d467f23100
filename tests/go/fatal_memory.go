// SPDX-License-Identifier: BSD-3-Clause

// Without memory a program ends with Go's two lines.

package main

var kept [][]byte

func main() {
	for {
		kept = append(kept, make([]byte, 100000))
	}
}

// Env: UNDERGO_MEMORY_MAX=24MiB
// Status: 2
// Stderr:
// ~runtime: out of memory: cannot allocate 100000-byte block \([0-9]+ in use, of at most 25165824\)
// fatal error: out of memory
//
// goroutine 1 [running]:
