// SPDX-License-Identifier: BSD-3-Clause

// Rival: Go, one program for every Go compiler. Go 1.19, Go 1.23 and gccgo build the same files, so
// no generics and nothing newer than Go 1.18.
//
// It is called and prints as the C programs do, see bench.h: `program ROW` prints
// `ROW cpu_ns wall_ns [key=value ...]`. This file has the clocks, the measuring loop and the list
// of rows; the others have one group of rows each.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

const (
	targetNs   = 100 * 1000 * 1000 // a timed stretch is at least so long
	fanout     = 100               // goroutines of one round of row wg
	parkedN    = 100000            // goroutines of row parked
	idleTasks  = 1000              // parked goroutines of row idle
	sleeps     = 300               // sleeps of row sleep50us
	treeLeaves = 100000            // leaves of row spawn_par
	treeNodes  = 111111            // its goroutines
	producers  = 4                 // row chan_prodcons, as many consumers
	lockers    = 4                 // row mutex_cont
)

type row struct {
	name string
	oneP bool
	run  func(name string)
}

var rows = []row{
	{"yield", true, per(2, yieldBody)},
	{"spawn", true, per(1, spawnBody)},
	{"wg", true, per(fanout, wgBody)},
	{"spawn_par", false, spawnPar},
	{"chan_unbuf", true, per(1, chanUnbufBody)},
	{"chan_buf", true, per(1, chanBufBody)},
	{"chan_prodcons", false, per(producers, chanProdconsBody)},
	{"select2", true, select2},
	{"select_many", true, selectMany},
	{"mutex", true, per(1, mutexBody)},
	{"mutex_cont", false, per(lockers, mutexContBody)},
	{"defer", true, per(1, deferBody)},
	{"protect", true, per(1, protectBody)},
	{"panic", true, per(1, panicBody)},
	{"panic_deep", true, per(1, panicDeepBody)},
	{"afterfunc", true, per(1, afterFuncBody)},
	{"timer_reset", true, timerReset},
	{"sleep50us", true, sleep50us},
	{"locked_pair", true, per(1, lockedPairBody)},
	{"echo100", false, echoRow(100)},
	{"echo1000", false, echoRow(1000)},
	{"net_idle", false, netIdle},
	{"http_json", false, httpJSON},
	{"lib_words", true, per(1, libWordsBody)},
	{"lib_runes", true, per(1, libRunesBody)},
	{"lib_strings", true, per(1, libStringsBody)},
	{"lib_template", true, per(1, libTemplateBody)},
	{"lib_json", true, per(1, libJSONBody)},
	{"lib_gzip", true, per(1, libGzipBody)},
	{"lib_base64", true, per(1, libBase64Body)},
	{"file4k", true, file4k},
	{"file_disk", false, fileDisk},
	{"parked", true, func(name string) { parked(name, parkedN) }},
	{"million", true, func(name string) { parked(name, 1000000) }},
	{"idle", false, idle},
	{"alloc16", false, per(1, alloc16Body)},
	{"alloc32p", false, per(1, alloc32pBody)},
	{"alloc1k", false, per(1, alloc1kBody)},
	{"alloc64k", false, per(1, alloc64kBody)},
	{"churn32", false, churn(1, false)},
	{"churn32_2", false, churn(2, false)},
	{"churn_mixed", false, churn(1, true)},
	{"churn_mixed_2", false, churn(2, true)},
	{"binary_trees_20", false, trees(1)},
	{"binary_trees_20_2", false, trees(2)},
	{"mark_shuffled", false, mark(true)},
	{"mark_ordered", false, mark(false)},
	{"live_latency", false, liveLatency},
	{"gc_parked", false, gcParked},
	{"finalizers", false, finalizers},
	{"rss_return", false, rss(false)},
	{"rss_scattered", false, rss(true)},
	{"map_get_8", false, mapLookup(mapSmall, mapGetBody)},
	{"map_get_1k", false, mapLookup(map1k, mapGetBody)},
	{"map_get_10k", false, mapLookup(map10k, mapGetBody)},
	{"map_get_100k", false, mapLookup(map100k, mapGetBody)},
	{"map_get_1m", false, mapLookup(map1m, mapGetBody)},
	{"map_get_10m", false, mapLookup(map10m, mapGetBody)},
	{"map_miss_8", false, mapLookup(mapSmall, mapMissBody)},
	{"map_miss_1k", false, mapLookup(map1k, mapMissBody)},
	{"map_miss_1m", false, mapLookup(map1m, mapMissBody)},
	{"map_each_1k", false, mapEachRow(map1k)},
	{"map_each_1m", false, mapEachRow(map1m)},
	{"map_fill_8", false, mapFill(mapSmall, 0)},
	{"map_fill_1k", false, mapFill(map1k, 0)},
	{"map_fill_1m", false, mapFill(map1m, 0)},
	{"map_fill_10m", false, mapFill(map10m, 0)},
	{"map_room_1k", false, mapFill(map1k, map1k)},
	{"map_room_1m", false, mapFill(map1m, map1m)},
	{"map_worst_10m", false, mapWorst},
	{"map_worst_gc_10m", false, mapWorstGC},
	{"map_del_1m", false, mapDel},
	{"map_mixed_1k", false, mapMixed(map1k)},
	{"map_mixed_1m", false, mapMixed(map1m)},
	{"map_text_1k", false, mapText(map1k, mapShort)},
	{"map_text_1m", false, mapText(map1m, mapShort)},
	{"map_long_1k", false, mapText(map1k, mapLong)},
}

// Processor time of the whole process. The number is CLOCK_PROCESS_CPUTIME_ID of Linux.
func cpuNow() int64 {
	var ts syscall.Timespec
	_, _, e := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, 2, uintptr(unsafe.Pointer(&ts)), 0)
	check(e == 0, "no clock of processor time")
	return ts.Nano()
}

// Ends the program when a row did not do what it claims to have timed.
func check(ok bool, what string) {
	if !ok {
		fmt.Fprintln(os.Stderr, "bench:", what)
		os.Exit(1)
	}
}

// The result line. Times are totals over ops operations.
func print(name string, cpu, wall, ops int64, extra string) {
	line := fmt.Sprintf("%s %.3f %.3f %s", name,
		float64(cpu)/float64(ops), float64(wall)/float64(ops), extra)
	fmt.Println(strings.TrimSpace(line))
}

// Calls body with a growing n until one call lasts targetNs; that call counts.
// Returns its processor and wall time in ns for one n.
func timeBody(body func(n int64)) (cpu, wall float64) {
	for n := int64(8); ; {
		c, w := cpuNow(), time.Now()
		body(n)
		ns := int64(time.Since(w))
		c = cpuNow() - c
		if ns >= targetNs {
			return float64(c) / float64(n), float64(ns) / float64(n)
		}
		grow := int64(targetNs)*6/5/(ns+1) + 1
		if grow < 2 {
			grow = 2
		} else if grow > 100 {
			grow = 100
		}
		n *= grow
	}
}

// A row that is one body timed, opsPerN operations for each n.
func per(opsPerN int, body func(n int64)) func(name string) {
	return func(name string) {
		cpu, wall := timeBody(body)
		fmt.Printf("%s %.3f %.3f\n", name, cpu/float64(opsPerN), wall/float64(opsPerN))
	}
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "--list" {
		for _, r := range rows {
			fmt.Println(r.name)
		}
		return
	}
	for _, r := range rows {
		if len(os.Args) == 2 && os.Args[1] == r.name {
			if r.oneP {
				runtime.GOMAXPROCS(1)
			} else {
				runtime.GOMAXPROCS(runtime.NumCPU())
			}
			r.run(r.name)
			return
		}
	}
	fmt.Fprintln(os.Stderr, "usage: bench --list | ROW")
	os.Exit(2)
}
