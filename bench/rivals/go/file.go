// SPDX-License-Identifier: BSD-3-Clause

// Rows of files: file4k, file_disk; see bench/ours/file.c.
package main

import (
	"fmt"
	"io/ioutil"
	"os"
	"strings"
	"sync"
	"syscall"
	"unsafe"
)

const (
	filePage    = 4096
	filePages   = 16384
	fileReaders = 64
)

var file *os.File
var filePiece [filePage]byte

func makeFile(flags int) {
	made, err := os.CreateTemp(".", "bench-file-")
	check(err == nil, "cannot make a file here")
	piece := make([]byte, 1<<20)
	for i := 0; i < filePages*filePage/len(piece); i++ {
		_, err = made.Write(piece)
		check(err == nil, "write failed")
	}
	check(made.Sync() == nil, "fsync failed")
	file, err = os.OpenFile(made.Name(), os.O_RDONLY|flags, 0)
	check(err == nil, "cannot open the file as it has to be")
	os.Remove(made.Name())
	made.Close()
}

func file4kBody(n int64) {
	for i := int64(0); i < n; i++ {
		got, _ := file.ReadAt(filePiece[:], i%filePages*filePage)
		check(got == filePage, "file4k: short")
	}
}

func file4k(name string) {
	makeFile(0)
	file4kBody(filePages)
	per(1, file4kBody)(name)
}

func alignedPage() []byte {
	b := make([]byte, 2*filePage)
	off := int(-uintptr(unsafe.Pointer(&b[0])) & (filePage - 1))
	return b[off : off+filePage]
}

func threads() string {
	text, _ := ioutil.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(line, "Threads:") {
			return strings.TrimSpace(line[len("Threads:"):])
		}
	}
	return "0"
}

func fileDiskBody(n int64) {
	var all sync.WaitGroup
	all.Add(fileReaders)
	for k := 0; k < fileReaders; k++ {
		go func(at uint64) {
			page := alignedPage()
			for i := int64(0); i < n; i++ {
				at = at*6364136223846793005 + 1442695040888963407
				got, _ := file.ReadAt(page, int64((at>>33)%filePages*filePage))
				check(got == filePage, "file_disk: short")
			}
			all.Done()
		}(uint64(k))
	}
	all.Wait()
}

func fileDisk(name string) {
	makeFile(syscall.O_DIRECT)
	cpu, wall := timeBody(fileDiskBody)
	fmt.Printf("%s %.3f %.3f threads=%s\n", name, cpu/fileReaders, wall/fileReaders, threads())
}
