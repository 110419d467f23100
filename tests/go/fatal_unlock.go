// SPDX-License-Identifier: BSD-3-Clause
// Unlocking what is not locked cannot be recovered.

package main

import "sync"

func main() {
	defer func() { recover() }()
	var m sync.Mutex
	m.Lock()
	m.Unlock()
	m.Unlock()
}

// Status: 2
// Stderr:
// fatal error: sync: unlock of unlocked mutex
//
// goroutine 1 [running]:
// sync.Mutex.Unlock(...)
// ~	.*mutex\.c:[0-9]+ .*
// main.main(...)
// ~	.*/fatal_unlock\.go:13 .*
