// SPDX-License-Identifier: BSD-3-Clause
// Web: an HTTP server and its clients in one program, on loopback, with package net/http as it is.
//
//	undergo run web.go [-clients N] [-for DURATION]
//
// Each client asks again as soon as it has its answer, and looks whether it is the right one. At
// the end the program tells how it went, a word and a value in each line; the showcase reads that.
package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"sort"
	"strings"
	"sync"
	"time"
)

var (
	clients = flag.Int("clients", 100, "how many ask at once")
	length  = flag.Duration("for", time.Second, "for how long")
)

func fail(why interface{}) {
	fmt.Println("failed", why)
	os.Exit(1)
}

// Says what it was asked for, the other way round.
func answer(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client is gone
	}
	for i, j := 0, len(body)-1; i < j; i, j = i+1, j-1 {
		body[i], body[j] = body[j], body[i]
	}
	w.Write(body)
}

// One client until the end: how long each answer took.
func ask(web *http.Client, url string, number int, end time.Time) (took []time.Duration) {
	for n := 0; n == 0 || time.Now().Before(end); n++ {
		begin := time.Now()
		r, err := web.Post(url, "text/plain", strings.NewReader(fmt.Sprint(number, "/", n)))
		if err != nil {
			fail(err)
		}
		body, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil {
			fail(err)
		}
		for i, j := 0, len(body)-1; i < j; i, j = i+1, j-1 {
			body[i], body[j] = body[j], body[i]
		}
		if string(body) != fmt.Sprint(number, "/", n) {
			fail("an answer is not what was asked for")
		}
		took = append(took, time.Since(begin))
	}
	return
}

func resident() (kb int) {
	text, _ := os.ReadFile("/proc/self/status")
	if at := strings.Index(string(text), "VmRSS:"); at >= 0 {
		fmt.Sscan(string(text)[at+6:], &kb)
	}
	return
}

func main() {
	flag.Parse()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fail(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(answer), ReadTimeout: time.Minute}
	go server.Serve(listener)

	web := &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: *clients},
		Timeout:   time.Minute,
	}
	url := fmt.Sprint("http://", listener.Addr(), "/")
	begin := time.Now()
	each := make([][]time.Duration, *clients)
	var wg sync.WaitGroup
	for i := range each {
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			each[i] = ask(web, url, i, begin.Add(*length))
		}(i)
	}
	wg.Wait()
	ns := time.Since(begin)
	goroutines := runtime.NumGoroutine()
	server.Close()

	var all []time.Duration
	for _, took := range each {
		all = append(all, took...)
	}
	sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fmt.Println("operations", len(all))
	fmt.Println("ns", ns.Nanoseconds())
	fmt.Println("resident", resident()*1024)
	fmt.Println("note requests to net/http from", *clients, "clients in the same Go program,",
		goroutines, "goroutines;", m.NumGC, "collections")
	fmt.Println("note latency p50", all[len(all)/2].Round(time.Microsecond), "p99",
		all[len(all)*99/100].Round(time.Microsecond), "max",
		all[len(all)-1].Round(time.Microsecond))
}
