// SPDX-License-Identifier: BSD-3-Clause
// Proves that what a parent has ignored is ignored only where Go says so: children can be waited
// for, SIGQUIT dumps, SIGTERM ends; SIGHUP stays ignored, as for nohup. Signals that end C programs
// do not end this one. And where the parent has blocked all, a nil pointer is still a panic, and
// who asks for a signal gets it.

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"unsafe"
)

func blockAll() {
	runtime.LockOSThread()
	all := ^uint64(0)
	p := uintptr(unsafe.Pointer(&all))
	syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, 0, p, 0, 8, 0, 0)
	args := []string{os.Args[0], "blocked"}
	fmt.Println(syscall.Exec("/proc/self/exe", args, os.Environ()))
}

func fault() {
	defer func() { fmt.Println(recover()) }()
	var p *[10]int
	p[3] = 1
}

func blocked() {
	done := make(chan bool)
	fault()
	go func() {
		fault()
		close(done)
	}()
	<-done
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGUSR1)
	syscall.Kill(os.Getpid(), syscall.SIGUSR1)
	fmt.Println(<-c)
}

func child(what string) {
	switch what {
	case "wait":
		out, err := exec.Command("echo", "waited").Output()
		fmt.Printf("%s%v\n", out, err)
	case "ignored":
		fmt.Println(signal.Ignored(syscall.SIGHUP), signal.Ignored(syscall.SIGTERM))
	case "realtime":
		for sig := syscall.Signal(35); sig <= 64; sig++ {
			syscall.Kill(os.Getpid(), sig)
		}
		fmt.Println("alive")
	case "block":
		blockAll()
	case "blocked":
		blocked()
	default:
		var sig syscall.Signal
		fmt.Sscan(what, &sig)
		syscall.Kill(os.Getpid(), sig)
		select {}
	}
}

func run(what string) {
	const script = `trap "" HUP QUIT PIPE TERM CHLD; exec "$0" "$1"`
	cmd := exec.Command("sh", "-c", script, os.Args[0], what)
	var stderr strings.Builder
	cmd.Stdout, cmd.Stderr = os.Stdout, &stderr
	err := cmd.Run()
	first, _, _ := strings.Cut(stderr.String(), "\n")
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		fmt.Printf("%s: %v, %q\n", what, exit, first)
	}
}

func main() {
	if len(os.Args) > 1 {
		child(os.Args[1])
		return
	}
	for _, what := range []string{"wait", "ignored", "realtime", "3", "15", "16", "block"} {
		run(what)
	}
}

// Output:
// waited
// <nil>
// true false
// alive
// 3: exit status 2, "SIGQUIT: quit"
// 15: signal: terminated, ""
// 16: exit status 2, "SIGSTKFLT: stack fault"
// runtime error: invalid memory address or nil pointer dereference
// runtime error: invalid memory address or nil pointer dereference
// user defined signal 1
