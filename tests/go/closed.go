// SPDX-License-Identifier: BSD-3-Clause

// A program that is started without its standard descriptors has /dev/null there, and a socket is
// not one of them. It starts itself so, with a pipe to tell what it finds.

package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
)

const closed = ^uintptr(0)

func find(to *os.File) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	for fd := 0; fd < 3; fd++ {
		name, _ := os.Readlink(fmt.Sprint("/proc/self/fd/", fd))
		fmt.Fprint(to, name, " ")
	}
	n, err := fmt.Println("lost")
	fmt.Fprintln(to, n, err)
}

func start(files ...uintptr) {
	r, w, err := os.Pipe()
	if err != nil {
		panic(err)
	}
	pid, err := syscall.ForkExec("/proc/self/exe", []string{"closed", "again"},
		&syscall.ProcAttr{Files: append(files, w.Fd())})
	if err != nil {
		panic(err)
	}
	w.Close()
	text, _ := io.ReadAll(r)
	fmt.Print(string(text))
	syscall.Wait4(pid, nil, 0, nil)
	r.Close()
}

func main() {
	if len(os.Args) > 1 {
		find(os.NewFile(3, "pipe"))
		return
	}
	zero, err := os.Open("/dev/zero")
	if err != nil {
		panic(err)
	}
	start(closed, closed, closed)
	start(zero.Fd(), closed, zero.Fd())
}

// Output:
// /dev/null /dev/null /dev/null 5 <nil>
// /dev/zero /dev/null /dev/zero 5 <nil>
