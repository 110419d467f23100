// SPDX-License-Identifier: BSD-3-Clause
// Numbers, sizes and words as they are written in the environment. What is accepted is what Go
// accepts: no blanks, no plus sign, decimal, nothing behind it.
#include "base/env.h"

#include <stddef.h>
#include <string.h>

int64_t
env_number(const char **at)
{
	int64_t v = 0;
	const char *s = *at;
	if (*s < '0' || *s > '9')
		return -1;
	for (; *s >= '0' && *s <= '9'; s++)
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *s - '0', &v))
			return -1;
	*at = s;
	return v;
}

bool
env_int32(const char *s, int32_t *n)
{
	bool minus = *s == '-';
	s += minus;
	int64_t v = env_number(&s);
	if (v < 0 || *s != '\0' || v > (int64_t)INT32_MAX + minus)
		return false;
	*n = (int32_t)(minus ? -v : v);
	return true;
}

// How far to shift for a unit; -1 when it is none.
static int
unit_shift(const char *s)
{
	static const struct {
		const char *name;
		int shift;
	} units[] = {{"", 0}, {"B", 0}, {"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}};
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(s, units[i].name) == 0)
			return units[i].shift;
	return -1;
}

bool
env_bytes(const char *s, int64_t *bytes)
{
	int64_t v = env_number(&s);
	int shift = unit_shift(s);
	if (v < 0 || shift < 0 || v > INT64_MAX >> shift)
		return false;
	*bytes = v << shift;
	return true;
}
