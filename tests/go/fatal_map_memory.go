// SPDX-License-Identifier: BSD-3-Clause

// The same, of a map, of which nobody knows how large the piece is that it wants.

package main

func main() {
	m := map[int]int{}
	for i := 0; ; i++ {
		m[i] = i
	}
}

// Env: UNDERGO_MEMORY_MAX=24MiB
// Status: 2
// Stderr:
// ~runtime: out of memory: cannot allocate memory for a map \([0-9]+ in use, of at most 25165824\)
// fatal error: out of memory
//
// goroutine 1 [running]:
