// SPDX-License-Identifier: BSD-3-Clause
// base/env.c: what is accepted as a number, as a size and as a word of GODEBUG.
#include "base/env.h"
#include "base/godebug.h"

#include <stdlib.h>

#include "base/base.h"
#include "harness.h"

// The sizes of GOMEMLIMIT: those that Go takes, and no others.
void
test_env_bytes(void)
{
	static const struct {
		const char *text;
		int64_t bytes; // -1: not one
	} cases[] = {
		{"0", 0},
		{"1", 1},
		{"123B", 123},
		{"1KiB", 1024},
		{"10MiB", 10 << 20},
		{"3GiB", INT64_C(3) << 30},
		{"2TiB", INT64_C(2) << 40},
		{"007B", 7},
		{"9223372036854775807", INT64_MAX},
		{"9223372036854775807B", INT64_MAX},
		{"9223372036854775808", -1},
		{"8388607TiB", INT64_C(8388607) << 40},
		{"8388608TiB", -1},
		{"18014398509481984KiB", -1},
		{"", -1},
		{"B", -1},
		{"KiB", -1},
		{"-1", -1},
		{"+1", -1},
		{" 1", -1},
		{"1 ", -1},
		{"1 KiB", -1},
		{"1K", -1},
		{"1KB", -1},
		{"1kiB", -1},
		{"1iB", -1},
		{"1PiB", -1},
		{"1MiBB", -1},
		{"0x10", -1},
		{"1.5GiB", -1},
		{"off", -1},
	};
	for (size_t i = 0; i < countof(cases); i++) {
		int64_t bytes = -1;
		expect_eq(env_bytes(cases[i].text, &bytes), cases[i].bytes >= 0);
		expect_eq(bytes, cases[i].bytes);
	}
}

void
test_env_int32(void)
{
	static const struct {
		const char *text;
		int32_t n;
		bool ok;
	} cases[] = {
		{"0", 0, true},
		{"100", 100, true},
		{"-1", -1, true},
		{"2147483647", INT32_MAX, true},
		{"-2147483648", INT32_MIN, true},
		{"2147483648", 7, false},
		{"-2147483649", 7, false},
		{"99999999999999999999", 7, false},
		{"", 7, false},
		{"-", 7, false},
		{"--1", 7, false},
		{"+1", 7, false},
		{"1x", 7, false},
		{" 1", 7, false},
	};
	for (size_t i = 0; i < countof(cases); i++) {
		int32_t n = 7;
		expect_eq(env_int32(cases[i].text, &n), cases[i].ok);
		expect_eq(n, cases[i].n);
	}
}

// What gctrace is after GODEBUG was read, when it was 9 before.
static int64_t
gctrace_after(const char *text)
{
	godebug.gctrace = 9;
	godebug_parse(text);
	return godebug.gctrace;
}

// A word counts only whole, the last one wins, and one without a number is as if it were not there.
void
test_env_words(void)
{
	expect_eq(gctrace_after(NULL), 9);
	expect_eq(gctrace_after(""), 9);
	expect_eq(gctrace_after("gctrace=1"), 1);
	expect_eq(gctrace_after("madvdontneed=2,gctrace=3,b=4"), 3);
	expect_eq(gctrace_after("gctrace=1,gctrace=0"), 0);
	expect_eq(gctrace_after("gctrace=1,gctrace=x"), 1);
	expect_eq(gctrace_after("xgctrace=1,gctracex=2,gctrace"), 9);
	expect_eq(gctrace_after("gctrace="), 9);
	expect_eq(gctrace_after("gctrace=-1"), -1);
	expect_eq(gctrace_after("gctrace=1 "), 9);
	expect_eq(gctrace_after(",,gctrace=12345678901234567890,"), 9);
}
