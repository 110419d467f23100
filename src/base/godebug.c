// SPDX-License-Identifier: BSD-3-Clause
// Reading GODEBUG.
#include "base/godebug.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

Godebug godebug = {
#define WORD(name, value) .name = (value),
#include "base/godebug.def"
#undef WORD
};

// Where the number of a word goes; NULL: there is no such word.
static int64_t *
find_word(const char *name, size_t n)
{
	static const struct {
		const char *name;
		int64_t *at;
	} words[] = {
#define WORD(name, value) {#name, &godebug.name},
#include "base/godebug.def"
#undef WORD
	};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strlen(words[i].name) == n && memcmp(words[i].name, name, n) == 0)
			return words[i].at;
	return NULL;
}

// All of [s, end) is a decimal number that fits.
static bool
read_number(const char *s, const char *end, int64_t *out)
{
	bool minus = s < end && *s == '-';
	int64_t v = 0;
	s += minus;
	if (s == end)
		return false;
	for (; s < end; s++) {
		if (*s < '0' || *s > '9' || __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, *s - '0', &v))
			return false;
	}
	*out = minus ? -v : v;
	return true;
}

void
godebug_parse(const char *text)
{
	while (text != NULL && *text != '\0') {
		size_t n = strcspn(text, ",");
		const char *is = memchr(text, '=', n);
		int64_t v;
		int64_t *at = is != NULL ? find_word(text, (size_t)(is - text)) : NULL;
		if (at != NULL && read_number(is + 1, text + n, &v))
			*at = v;
		text += n + (text[n] == ',');
	}
}
