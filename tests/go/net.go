// SPDX-License-Identifier: BSD-3-Clause
// Sockets on the poller: echo, deadlines, closing under a reader, pipes of package os, HTTP.

package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func listen() net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	return l
}

func serveEcho(l net.Listener) {
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		check(err)
		go func() {
			io.Copy(c, c)
			c.Close()
		}()
	}
}

// Clients that talk at once; how many bytes came back right.
func echo(l net.Listener) (sum int) {
	var wg sync.WaitGroup
	var m sync.Mutex
	for i := 0; i < 50; i++ {
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			c, err := net.Dial("tcp", l.Addr().String())
			check(err)
			defer c.Close()
			sent := strings.Repeat(fmt.Sprint("word ", i, " "), 10+i*100)
			go func() {
				_, err := io.WriteString(c, sent)
				check(err)
				c.(*net.TCPConn).CloseWrite()
			}()
			got, err := io.ReadAll(c)
			check(err)
			if string(got) == sent {
				m.Lock()
				sum += i
				m.Unlock()
			}
		}(i)
	}
	wg.Wait()
	return
}

// Nobody writes: a read ends at its deadline, again at once, and goes on without one.
func deadlines(l net.Listener) {
	c, err := net.Dial("tcp", l.Addr().String())
	check(err)
	defer c.Close()
	var b [4]byte
	for _, d := range []time.Duration{5 * time.Millisecond, -time.Second} {
		begin := time.Now()
		check(c.SetReadDeadline(begin.Add(d)))
		_, err = c.Read(b[:])
		e, ok := err.(net.Error)
		fmt.Println("timeout:", ok && e.Timeout(), errors.Is(err, os.ErrDeadlineExceeded),
			time.Since(begin) >= d)
	}
	// A later one is set while a reader waits, and then one that has passed.
	check(c.SetReadDeadline(time.Now().Add(time.Hour)))
	ended := make(chan error)
	go func() {
		_, err := c.Read(b[:])
		ended <- err
	}()
	time.Sleep(time.Millisecond)
	check(c.SetReadDeadline(time.Now()))
	fmt.Println("moved:", errors.Is(<-ended, os.ErrDeadlineExceeded))

	check(c.SetDeadline(time.Time{}))
	_, err = c.Write([]byte("four"))
	check(err)
	_, err = io.ReadFull(c, b[:])
	fmt.Println(string(b[:]), err)

	// Nobody reads: a write ends, too.
	quiet := listen()
	defer quiet.Close()
	w, err := net.Dial("tcp", quiet.Addr().String())
	check(err)
	defer w.Close()
	check(w.SetWriteDeadline(time.Now().Add(20 * time.Millisecond)))
	for err == nil {
		_, err = w.Write(make([]byte, 1<<16))
	}
	fmt.Println("full:", errors.Is(err, os.ErrDeadlineExceeded))
}

// Readers, a writer and an accepting goroutine are woken by Close, whoever comes first.
func closing() {
	l := listen()
	for i := 0; i < 200; i++ {
		c, err := net.Dial("tcp", l.Addr().String())
		check(err)
		ended := make(chan error)
		for j := 0; j < 2; j++ {
			go func() {
				var b [1]byte
				_, err := c.Read(b[:])
				ended <- err
			}()
		}
		go func() {
			soon := time.Duration(i%7) * time.Microsecond
			ended <- c.SetReadDeadline(time.Now().Add(soon))
		}()
		if i%3 == 0 {
			time.Sleep(time.Duration(i) * time.Microsecond)
		}
		check(c.Close())
		for j := 0; j < 3; j++ {
			err := <-ended
			if err != nil && !errors.Is(err, net.ErrClosed) &&
				!errors.Is(err, os.ErrDeadlineExceeded) {
				fmt.Println("closed:", err)
			}
		}
	}
	ended := make(chan error)
	go func() {
		for {
			if _, err := l.Accept(); err != nil {
				ended <- err
				return
			}
		}
	}()
	time.Sleep(time.Millisecond)
	check(l.Close())
	fmt.Println("accept:", errors.Is(<-ended, net.ErrClosed))
}

func pipes() {
	r, w, err := os.Pipe()
	check(err)
	check(r.SetReadDeadline(time.Now().Add(time.Millisecond)))
	var b [8]byte
	_, err = r.Read(b[:])
	fmt.Println("pipe:", errors.Is(err, os.ErrDeadlineExceeded))
	check(r.SetReadDeadline(time.Time{}))
	go w.Write([]byte("late"))
	n, err := r.Read(b[:])
	fmt.Println(string(b[:n]), err)
	go r.Close()
	_, err = r.Read(b[:])
	fmt.Println("pipe:", errors.Is(err, os.ErrClosed))
	w.Close()
	f, err := os.Open("/dev/zero")
	check(err)
	_, err = f.Read(b[:])
	fmt.Println("file:", err)
	f.Close()
}

func packets() {
	a, err := net.ListenPacket("udp", "127.0.0.1:0")
	check(err)
	defer a.Close()
	b, err := net.Dial("udp", a.LocalAddr().String())
	check(err)
	defer b.Close()
	go b.Write([]byte("packet"))
	var buf [16]byte
	n, _, err := a.ReadFrom(buf[:])
	fmt.Println(string(buf[:n]), err)
}

func web() {
	l := listen()
	server := &http.Server{Handler: http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			fmt.Fprint(w, "hello, ", r.URL.Path[1:], string(body))
		})}
	served := make(chan error)
	go func() { served <- server.Serve(l) }()
	var wg sync.WaitGroup
	answers := make([]string, 20)
	for i := range answers {
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			url := fmt.Sprint("http://", l.Addr(), "/net", i)
			r, err := http.Post(url, "text/plain", strings.NewReader("!"))
			check(err)
			body, err := io.ReadAll(r.Body)
			check(err)
			r.Body.Close()
			answers[i] = string(body)
		}(i)
	}
	wg.Wait()
	fmt.Println(answers[0], answers[19])
	client := http.Client{Timeout: 5 * time.Millisecond}
	quiet := listen()
	defer quiet.Close()
	_, err := client.Get("http://" + quiet.Addr().String())
	e, ok := err.(net.Error)
	fmt.Println("timeout:", ok && e.Timeout())
	check(server.Close())
	fmt.Println(<-served)
}

func main() {
	l := listen()
	go serveEcho(l)
	fmt.Println("echo:", echo(l))
	deadlines(l)
	check(l.Close())
	closing()
	pipes()
	packets()
	web()
	_, err := net.DialTimeout("tcp", l.Addr().String(), time.Second)
	fmt.Println(strings.HasSuffix(err.Error(), "connection refused"))
}

// Output:
// echo: 1225
// timeout: true true true
// timeout: true true true
// moved: true
// four <nil>
// full: true
// accept: true
// pipe: true
// late <nil>
// pipe: true
// file: <nil>
// packet <nil>
// hello, net0! hello, net19!
// timeout: true
// http: Server closed
// true
