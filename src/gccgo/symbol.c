// SPDX-License-Identifier: BSD-3-Clause
// Go's names of the compiler's symbols.
//
// The compiler's symbols are encoded, see its go_encode_id: _1 stands for a slash and so on, _xHH
// for another character of ASCII, _uHHHH and _UHHHHHHHH for one beyond.
#include "gccgo/symbol.h"

#include "gccgo/gccgo.h"
#include "panic/panic.h"

// Whether at is the dot of what gcc adds to the name of a copy or a piece of a function.
static bool
is_added(const char *at)
{
	static const char *const added[] = {".cold", ".part.", ".constprop.", ".isra.",
					    ".lto_priv."};
	for (size_t i = 0; i < countof(added); i++)
		if (strncmp(at, added[i], strlen(added[i])) == 0)
			return true;
	return false;
}

bool
symbol_may_be_piece(const char *symbol)
{
	const char *dot = strchr(symbol, '.');
	return dot != NULL && is_added(dot);
}

// Whether end is the last of a symbol but for what gcc has added.
static bool
own_end_is(const char *symbol, const char *end)
{
	for (const char *at = symbol; (at = strstr(at, end)) != NULL; at++)
		if (at[strlen(end)] == '\0' || is_added(at + strlen(end)))
			return true;
	return false;
}

bool
symbol_is_made(const char *symbol)
{
	return strstr(symbol, "..thunk") != NULL || own_end_is(symbol, "..stub") ||
	       own_end_is(symbol, "..r");
}

// What n digits say; -1: they are none.
static int64_t
number(const char *s, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	int64_t v = 0;
	for (size_t i = 0; i < n; i++) {
		const char *at = s[i] != '\0' ? strchr(digits, s[i]) : NULL;
		if (at == NULL)
			return -1;
		v = v << 4 | (at - digits);
	}
	return v;
}

// The character that begins behind an underscore, and how long its code is; 0: it is none.
static size_t
unescaped(const char *s, int64_t *rune)
{
	static const char from[] = "_0123456789abc", to[] = "_./*,{}[]()\" ;";
	const char *at = *s != '\0' ? strchr(from, *s) : NULL;
	if (at != NULL) {
		*rune = to[at - from];
		return 1;
	}
	size_t digits = *s == 'x' ? 2 : *s == 'u' ? 4 : *s == 'U' ? 8 : 0;
	*rune = digits != 0 ? number(s + 1, digits) : -1;
	return *rune >= 0 ? 1 + digits : 0;
}

// Writes what the first character of an encoded symbol, or its first code, stands for.
static size_t
put_first(char *to, const char **symbol)
{
	const char *s = *symbol;
	int64_t rune;
	size_t code = *s == '_' ? unescaped(s + 1, &rune) : 0;
	*symbol += 1 + code;
	if (code != 0)
		return string_put_rune(to, rune);
	*to = *s;
	return 1;
}

// Whether at is what gcc adds to the name of a function by which its own file calls it.
static bool
is_alias(const char *at)
{
	return strcmp(at, ".localalias") == 0;
}

size_t
symbol_to_go(char *to, const char *symbol)
{
	size_t n = 0;
	bool c = strchr(symbol, '.') == NULL || symbol_may_be_piece(symbol);
	for (const char *s = symbol; *s != '\0';)
		if (c)
			to[n++] = *s++;
		else if (is_alias(s))
			break;
		else
			n += put_first(to + n, &s);
	to[n] = '\0';
	return n;
}

// Whether Go's name of a symbol begins with this.
static bool
begins_in_go(const char *symbol, const char *name)
{
	while (*name != '\0') {
		char put[RUNE_BYTES];
		size_t n = *symbol != '\0' ? put_first(put, &symbol) : 0;
		if (n == 0 || strncmp(name, put, n) != 0)
			return false;
		name += n;
	}
	return true;
}

// Whether each underscore begins a code, of what names have in Go: letters and underscores; in the
// path of a package, which ends at the first dot, other characters of ASCII, too.
static bool
may_be_encoded(const char *name)
{
	const char *dot = strchr(name, '.');
	if (dot == NULL || strchr(name, '/') != NULL)
		return false;
	for (const char *s = name; (s = strchr(s, '_')) != NULL;) {
		int64_t rune;
		size_t code = unescaped(s + 1, &rune);
		if (code == 0 || strchr(s < dot ? "_01xuU" : "_uU", s[1]) == NULL)
			return false;
		s += 1 + code;
	}
	return true;
}

// Others cannot call a function within another, which two dots say: it has Go's name.
bool
symbol_is_encoded(const char *symbol, const char *function)
{
	if (symbol != NULL && begins_in_go(symbol, function))
		return false;
	if (symbol != NULL && strncmp(symbol, function, strlen(function)) == 0)
		return true;
	return strstr(function, "..") == NULL && may_be_encoded(function);
}

const char *
symbol_own(const char *symbol)
{
	size_t n = strlen(GOREST_PREFIX);
	return strncmp(symbol, GOREST_PREFIX, n) == 0 ? symbol + n : symbol;
}

// What packages other than runtime ask their runtime for.
static const char *
shown(const char *symbol)
{
	symbol = symbol_own(symbol);
	bool hidden = strchr(symbol, '.') == NULL || symbol_may_be_piece(symbol) ||
		      strncmp(symbol, "runtime.", strlen("runtime.")) == 0;
	return hidden ? NULL : symbol;
}

static const char *
name_in_go(char *to, size_t room, const char *symbol, const char *function)
{
	function = symbol_own(function);
	const char *added = strrchr(function, '.');
	bool alias = added != NULL && is_alias(added);
	if (strlen(function) >= room || (!alias && !symbol_is_encoded(symbol, function)))
		return function;
	symbol_to_go(to, function);
	return to;
}

void
symbol_init(void)
{
	panic_name = name_in_go;
	panic_shown = shown;
}
