// SPDX-License-Identifier: BSD-3-Clause
// Go's names of the compiler's symbols.
#ifndef UNDERGO_GCCGO_SYMBOL_H
#define UNDERGO_GCCGO_SYMBOL_H

#include <stdbool.h>
#include <stddef.h>

// A piece of a function of C, by what gcc adds to its name; or one of Go that is called so.
bool symbol_may_be_piece(const char *symbol);
// The same symbol, or what a symbol of GOREST stands for.
const char *symbol_own(const char *symbol);
// A function that the compiler has made: a thunk or a stub, or the body of one that recovers.
bool symbol_is_made(const char *symbol);
// Writes Go's name of a symbol, C's as they are, with NUL behind it; how long it is. It is never
// longer than the symbol.
size_t symbol_to_go(char *to, const char *symbol);
// Whether what the debug information calls a function is encoded, as in a symbol. So it is for
// functions that others can call; of the rest it has Go's names, which look alike. symbol: of the
// code that the function is, or is inlined into; NULL: not known.
bool symbol_is_encoded(const char *symbol, const char *function);
// Tracebacks of who dies have Go's names, too.
void symbol_init(void);

#endif
