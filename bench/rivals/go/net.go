// SPDX-License-Identifier: BSD-3-Clause

// Rows of sockets: echo100, echo1000, net_idle. The load is a program, BENCH_LOAD; see bench/net.h.
package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const (
	message  = 128
	netIdleN = 10000
)

var accepted int64

func serveOne(c net.Conn) {
	defer c.Close()
	buf := make([]byte, message)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if _, err := c.Write(buf[:n]); err != nil {
			return
		}
	}
}

func serve() int {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	check(err == nil, "no listener")
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serveOne(c)
			atomic.AddInt64(&accepted, 1)
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

type load struct {
	cmd  *exec.Cmd
	hold io.WriteCloser
	says *bufio.Reader
}

func startLoad(port int, what string, n int) load {
	cmd := exec.Command(os.Getenv("BENCH_LOAD"), "load", strconv.Itoa(port), what,
		strconv.Itoa(n))
	in, err := cmd.StdinPipe()
	check(err == nil, "no pipe")
	out, err := cmd.StdoutPipe()
	check(err == nil, "no pipe")
	check(cmd.Start() == nil, "no load")
	return load{cmd, in, bufio.NewReader(out)}
}

func (l load) line() int64 {
	s, err := l.says.ReadString('\n')
	check(err == nil, "the load has ended")
	n, _ := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	return n
}

func (l load) end() {
	l.hold.Close()
	l.cmd.Wait()
}

func echoRow(n int) func(string) {
	return func(name string) {
		l := startLoad(serve(), "echo", n)
		l.line()
		cpu, begun := cpuNow(), time.Now()
		ops := l.line()
		print(name, cpuNow()-cpu, int64(time.Since(begun)), ops, "")
		l.end()
	}
}

func netIdle(name string) {
	port := serve()
	before := resident()
	l := startLoad(port, "idle", netIdleN)
	l.line()
	for atomic.LoadInt64(&accepted) < netIdleN {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(200 * time.Millisecond)
	fmt.Printf("%s 0 0 rss=%d\n", name, (resident()-before)/netIdleN)
	l.end()
}
