// SPDX-License-Identifier: BSD-3-Clause

// Rows of timers: afterfunc, timer_reset, sleep50us.
package main

import (
	"fmt"
	"sort"
	"time"
)

const napTime = 50 * time.Microsecond

func fired() {
	check(false, "a timer of an hour fired")
}

func afterFuncBody(n int64) {
	for i := int64(0); i < n; i++ {
		check(time.AfterFunc(time.Hour, fired).Stop(), "afterfunc: was not active")
	}
}

// Resets one started timer again and again.
func timerReset(name string) {
	t := time.AfterFunc(time.Hour, fired)
	per(1, func(n int64) {
		for i := int64(0); i < n; i++ {
			check(t.Reset(time.Hour), "timer_reset: was not active")
		}
	})(name)
}

func sleep50us(name string) {
	over := make([]float64, sleeps)
	time.Sleep(napTime)
	cpu, wall := cpuNow(), time.Now()
	for i := range over {
		t := time.Now()
		time.Sleep(napTime)
		over[i] = float64(time.Since(t)-napTime) / 1e3
	}
	cpu = cpuNow() - cpu
	total := int64(time.Since(wall))
	sort.Float64s(over)
	check(over[0] >= 0, "woke too early")
	print(name, cpu, total, sleeps,
		fmt.Sprintf("over=%.1f p99=%.1f", over[sleeps/2], over[sleeps*99/100]))
}
