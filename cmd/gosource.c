// SPDX-License-Identifier: BSD-3-Clause
// Reads as much of Go's grammar as tells declarations apart: names, brackets, and what is a comment
// or a text. Everything is taken as it comes, right or wrong: the compiler says what is wrong.
#include "gosource.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "path.h"

enum { NAME = 'a', NUMBER = '0', TEXT = '"' }; // tokens that are not one character

typedef struct Reader {
	FILE *f;
	int line;
	int token;      // the present one; EOF
	int token_line; // where it is
	bool ends;      // a statement may end with it
	int before;     // the one before; 0 at the beginning
	int before_line;
	bool before_ends;
	int depth; // of brackets
	char name[64];
} Reader;

// --- tokens --------------------------------------------------------------------------------------

static int
get(Reader *r)
{
	int c = getc(r->f);
	r->line += c == '\n';
	return c;
}

static void
unget(Reader *r, int c)
{
	r->line -= c == '\n';
	(void)ungetc(c, r->f);
}

// A file may begin with a byte order mark.
static void
skip_mark(Reader *r)
{
	if (getc(r->f) != 0xef || getc(r->f) != 0xbb || getc(r->f) != 0xbf)
		rewind(r->f);
}

// The rest of a comment of which the two first characters are read.
static void
skip_comment(Reader *r, bool whole_line)
{
	int c, last = 0;
	while ((c = get(r)) != EOF) {
		if (whole_line ? c == '\n' : last == '*' && c == '/')
			break;
		last = c;
	}
}

static void
skip_text(Reader *r, int quote)
{
	int c;
	while ((c = get(r)) != EOF && c != quote && (quote == '`' || c != '\n'))
		if (c == '\\' && quote != '`')
			(void)get(r);
}

// The first character that is neither space nor of a comment.
static int
get_visible(Reader *r)
{
	for (;;) {
		int c = get(r);
		if (c != EOF && isspace(c))
			continue;
		if (c != '/')
			return c;
		int next = get(r);
		if (next != '/' && next != '*') {
			unget(r, next);
			return c;
		}
		skip_comment(r, next == '/');
	}
}

static bool
in_name(int c)
{
	return c != EOF && (isalnum(c) || c == '_' || c >= 0x80);
}

static void
read_name(Reader *r, int c)
{
	size_t n = 0;
	for (; in_name(c); c = get(r))
		if (n < sizeof r->name - 1)
			r->name[n++] = (char)c;
	r->name[n] = '\0';
	unget(r, c);
}

// Whether Go puts a semicolon behind the present token where a line ends. Behind a number's dot,
// too; behind another one there is no declaration.
static bool
ends_statement(const Reader *r)
{
	static const char ends[] = {NAME, NUMBER, TEXT, ')', ']', '}', '.'};
	static const char *const open[] = {"chan", "go",   "defer", "case",  "range",
					   "else", "func", "map",   "struct", "interface"};
	for (size_t i = 0; r->token == NAME && i < sizeof open / sizeof open[0]; i++)
		if (strcmp(r->name, open[i]) == 0)
			return false;
	return memchr(ends, r->token, sizeof ends) != NULL;
}

static int
next(Reader *r)
{
	r->before = r->token;
	r->before_line = r->token_line;
	r->before_ends = r->ends;
	int c = get_visible(r);
	r->token_line = r->line;
	if (in_name(c)) {
		read_name(r, c);
		c = isdigit(c) ? NUMBER : NAME;
	} else if (c == '"' || c == '`' || c == '\'') {
		skip_text(r, c);
		c = TEXT;
	} else if (c == '(' || c == '[' || c == '{') {
		r->depth++;
	} else if (c == ')' || c == ']' || c == '}') {
		r->depth--;
	}
	r->token = c;
	r->ends = ends_statement(r);
	return c;
}

// --- declarations --------------------------------------------------------------------------------

// Whether a declaration may begin with the present token: Go has put a semicolon before it.
static bool
begins(const Reader *r)
{
	if (r->before == 0 || r->before == ';')
		return true;
	return r->before_line != r->token_line && r->before_ends;
}

static void
note_generic(const Reader *r, GoSource *s)
{
	if (s->generic == 0)
		s->generic = r->token_line;
}

// Behind `func`: a method's receiver has brackets only when its type has parameters.
static void
read_func(Reader *r, GoSource *s)
{
	bool method = next(r) == '(';
	if (method) {
		while (r->depth > 0 && next(r) != EOF)
			if (r->token == '[')
				note_generic(r, s);
		(void)next(r);
	}
	bool is_main = !method && r->token == NAME && strcmp(r->name, "main") == 0;
	if (r->token != NAME)
		return;
	if (next(r) == '[')
		note_generic(r, s);
	s->has_main |= is_main && r->token == '(';
}

// Behind `type`: of an array there is its length, which is no name with another one behind it.
static void
read_type(Reader *r, GoSource *s)
{
	if (next(r) != NAME || next(r) != '[' || next(r) != NAME)
		return;
	int behind = next(r);
	if (behind == NAME || behind == ',' || behind == '~')
		note_generic(r, s);
}

static void
read_declaration(Reader *r, GoSource *s)
{
	if (strcmp(r->name, "func") == 0) {
		read_func(r, s);
	} else if (strcmp(r->name, "type") == 0) {
		read_type(r, s);
	} else if (strcmp(r->name, "package") == 0 && next(r) == NAME) {
		memcpy(s->package, r->name, sizeof s->package);
	}
}

bool
gosource_is(const char *path)
{
	return path_ends_with(path, ".go");
}

bool
gosource_read(const char *path, GoSource *s)
{
	Reader r = {.f = fopen(path, "re"), .line = 1};
	*s = (GoSource){0};
	if (r.f == NULL)
		return false;
	skip_mark(&r);
	while (next(&r) != EOF)
		if (r.token == NAME && r.depth == 0 && begins(&r))
			read_declaration(&r, s);
	fclose(r.f);
	return true;
}
