// SPDX-License-Identifier: BSD-3-Clause

// Rows about maps: as ../../map_rows.h.
package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

const (
	mapSmall = 8
	map1k    = 1000
	map10k   = 10000
	map100k  = 100000
	map1m    = 1000000
	map10m   = 10000000
	mapShort = 12
	mapLong  = 100
	mapAsks  = 1 << 20 // look-ups before they repeat
)

var mapKeys, mapAsked []uint64
var mapM map[uint64]uint64
var mapT map[string]uint64
var mapTexts []string
var mapSink uint64

func mapNow() int64 {
	return time.Now().UnixNano()
}

// CLOCK_THREAD_CPUTIME_ID.
func mapThreadNow() int64 {
	var ts syscall.Timespec
	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, 3, uintptr(unsafe.Pointer(&ts)), 0)
	return ts.Nano()
}

func mapMix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb
	return x ^ (x >> 31)
}

func mapShuffle(a []uint64, seed uint64) {
	for i := len(a) - 1; i > 0; i-- {
		j := int(mapMix(uint64(i)^seed) % uint64(i+1))
		a[i], a[j] = a[j], a[i]
	}
}

// From is what is asked for, in its first order.
func mapMakeAsked(from []uint64) {
	n, orders := len(from), 1
	if n < mapAsks {
		orders = mapAsks / n
	}
	mapAsked = make([]uint64, orders*n)
	for i := 0; i < orders; i++ {
		order := mapAsked[i*n : (i+1)*n]
		copy(order, from)
		mapShuffle(order, mapMix(uint64(i)))
		from = order
	}
}

func mapMakeKeys(n int) {
	mapKeys = make([]uint64, n)
	for i := range mapKeys {
		mapKeys[i] = mapMix(uint64(i)) | 1
	}
}

func mapFilled(room int) map[uint64]uint64 {
	m := make(map[uint64]uint64, room)
	for i, k := range mapKeys {
		m[k] = uint64(i)
	}
	return m
}

func mapGetBody(n int64) {
	sum := uint64(0)
	for left := n; left > 0; left -= int64(len(mapAsked)) {
		asked := mapAsked
		if left < int64(len(asked)) {
			asked = asked[:left]
		}
		for _, k := range asked {
			sum += mapM[k]
		}
	}
	mapSink = sum
}

func mapMissBody(n int64) {
	found := 0
	for left := n; left > 0; left -= int64(len(mapAsked)) {
		asked := mapAsked
		if left < int64(len(asked)) {
			asked = asked[:left]
		}
		for _, k := range asked {
			if _, ok := mapM[k^1]; ok {
				found++
			}
		}
	}
	check(found == 0, "a key that is not there")
}

func mapEach() {
	sum := uint64(0)
	for _, v := range mapM {
		sum += v
	}
	n := uint64(len(mapKeys))
	check(sum == n*(n-1)/2, "an entry that was not met")
}

func mapLookup(n int, body func(int64)) func(string) {
	return func(name string) {
		mapMakeKeys(n)
		mapMakeAsked(mapKeys)
		mapM = mapFilled(0)
		body(int64(n))
		per(1, body)(name)
	}
}

func mapEachRow(n int) func(string) {
	return func(name string) {
		mapMakeKeys(n)
		mapM = mapFilled(0)
		mapEach()
		c, w, ops := cpuNow(), mapNow(), int64(0)
		for mapNow()-w < targetNs {
			mapEach()
			ops += int64(n)
		}
		print(name, cpuNow()-c, mapNow()-w, ops, "")
	}
}

func mapRss() int64 {
	text, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		return 0
	}
	for _, line := range strings.Split(string(text), "\n") {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "Rss:" {
			kib, _ := strconv.ParseInt(f[1], 10, 64)
			return kib * 1024
		}
	}
	return 0
}

func mapFill(n, room int) func(string) {
	return func(name string) {
		mapMakeKeys(n)
		rss := int64(0)
		if n >= map1m {
			rss = mapRss()
		}
		c, w, ops := cpuNow(), mapNow(), int64(0)
		for ops == 0 || mapNow()-w < targetNs {
			for i := 0; i < map1k; i += n { // as ../../map_rows.h
				mapM = mapFilled(room)
				if ops == 0 && n >= map1m {
					rss = mapRss() - rss
				}
				ops += int64(n)
			}
		}
		extra := ""
		if n >= map1m {
			extra = fmt.Sprintf("bytes=%.1f", float64(rss)/float64(n))
		}
		print(name, cpuNow()-c, mapNow()-w, ops, extra)
	}
}

// How long single inserts took, in tenths of a microsecond. The last cell has all that are longer.
type mapTimes struct {
	cell          [500000]uint32
	n             int
	last, longest int64
}

func (t *mapTimes) start() {
	for i := range t.cell {
		t.cell[i] = 0
	}
	t.last = mapThreadNow()
}

// One reading of the clock ends this one and begins the next.
func (t *mapTimes) add() {
	now := mapThreadNow()
	took := now - t.last
	t.last = now
	cell := took / 100
	if cell >= int64(len(t.cell)) {
		cell = int64(len(t.cell)) - 1
	}
	t.cell[cell]++
	if took > t.longest {
		t.longest = took
	}
	t.n++
}

// In microseconds: all but one of so many took no longer.
func (t *mapTimes) beyond(oneOf int) float64 {
	left, i := uint32(t.n/oneOf), len(t.cell)-1
	for i > 0 && t.cell[i] <= left {
		left -= t.cell[i]
		i--
	}
	return float64(i+1) / 10
}

// How many took longer than the goal, 20 us.
func (t *mapTimes) many() (n uint32) {
	for _, k := range t.cell[200:] {
		n += k
	}
	return n
}

// What the table alone makes somebody wait for.
func mapWorst(name string) {
	debug.SetGCPercent(-1)
	mapWorstGC(name)
}

func mapWorstGC(name string) {
	mapMakeKeys(map10m)
	t, none := new(mapTimes), new(mapTimes)
	runtime.LockOSThread()
	m := make(map[uint64]uint64)
	for i, k := range mapKeys[:map10m/2] {
		m[k] = uint64(i)
	}
	none.start()
	t.start()
	begun := t.last
	for i, k := range mapKeys[map10m/2:] {
		m[k] = uint64(i)
		t.add()
	}
	mapM = m
	took := t.last - begun
	none.last = t.last
	for begun = t.last; none.last-begun < took; {
		none.add()
	}
	print(name, t.longest, t.longest, 1, fmt.Sprintf(
		"p9999_us=%.1f p999999_us=%.1f worst_us=%.1f many=%d "+
			"floor_p999999_us=%.1f floor_us=%.1f floor_many=%d",
		t.beyond(10000), t.beyond(1000000), float64(t.longest)/1000, t.many(),
		none.beyond(1000000), float64(none.longest)/1000, none.many()))
}

func mapDel(name string) {
	mapMakeKeys(map1m)
	mapMakeAsked(mapKeys)
	m := mapFilled(0)
	c, w := cpuNow(), mapNow()
	for _, k := range mapAsked {
		delete(m, k)
	}
	print(name, cpuNow()-c, mapNow()-w, map1m, "")
}

var mapState = uint64(1)

func mapMixedBody(n int64) {
	x, found := mapState, uint64(0)
	for i := int64(0); i < n; i++ {
		x = x*6364136223846793005 + 1442695040888963407
		key := mapKeys[(x>>33)%uint64(len(mapKeys))]
		switch x >> 62 {
		case 0:
			mapM[key] = x
		case 1:
			delete(mapM, key)
		default:
			if _, ok := mapM[key]; ok {
				found++
			}
		}
	}
	mapState, mapSink = x, found
}

func mapMixed(n int) func(string) {
	return func(name string) {
		mapMakeKeys(n)
		mapM = mapFilled(0)
		mapMixedBody(int64(n) * 4)
		per(1, mapMixedBody)(name)
	}
}

func mapTextBody(n int64) {
	sum := uint64(0)
	for left := n; left > 0; left -= int64(len(mapAsked)) {
		asked := mapAsked
		if left < int64(len(asked)) {
			asked = asked[:left]
		}
		for _, k := range asked {
			sum += mapT[mapTexts[k]]
		}
	}
	mapSink = sum
}

func mapText(n, bytes int) func(string) {
	return func(name string) {
		number := make([]uint64, n)
		mapT = make(map[string]uint64)
		mapTexts = make([]string, n)
		for i := range mapTexts {
			end := fmt.Sprintf("key %08d", i)
			mapTexts[i] = strings.Repeat("x", bytes-mapShort) + end
			number[i] = uint64(i)
		}
		mapMakeAsked(number)
		for i, s := range mapTexts {
			mapT[string([]byte(s))] = uint64(i) // which lies elsewhere
		}
		mapTextBody(int64(n))
		per(1, mapTextBody)(name)
	}
}
