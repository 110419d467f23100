// SPDX-License-Identifier: BSD-3-Clause
// The stack of Go code: Callers, and the names of functions.
//
// The compiler's symbols are encoded (symbol.c). The debug information has Go's names, except for
// what the compiler has made and what others can call.
#include "gccgo/callers.h"

#include <backtrace.h>
#include <unwind.h>

#include "gccgo/gccgo.h"
#include "gccgo/inlined.h"
#include "gccgo/symbol.h"
#include "panic/panic.h"

extern const char morestack_returns[] __asm__("gccgo_morestack_returns");

// --- what the compiler and we have made ----------------------------------------------------------

static void
no_name(void *data, const char *text, int error)
{
	(void)data;
	(void)text;
	(void)error;
}

static bool
ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);
	return n >= m && memcmp(s + n - m, end, m) == 0;
}

static void
see_name(void *data, uintptr_t pc, const char *name, uintptr_t value, uintptr_t bytes)
{
	(void)pc;
	(void)value;
	(void)bytes;
	*(const char **)data = name != NULL ? symbol_own(name) : NULL;
}

// The symbol that pc is in; NULL: there is none.
static NOINLINE const char *
symbol_of(uintptr_t pc)
{
	const char *name = NULL;
	if (panic_symbols() != NULL)
		backtrace_syminfo(panic_symbols(), pc, see_name, no_name, &name);
	return name;
}

static bool
is_c(const char *file)
{
	return !ends_with(file, ".go");
}

typedef struct Innermost {
	bool go;   // its source is in Go
	bool made; // and the compiler has made it
} Innermost;

static int
see_innermost(void *data, uintptr_t pc, const char *file, int line, const char *function)
{
	Innermost *in = data;
	(void)pc;
	(void)line;
	in->go = file != NULL && !is_c(file);
	in->made = function == NULL || symbol_is_made(function);
	return in->go;
}

// What the debug information says of the code at pc, which may have been inlined into what the
// symbol says; and a front of ours (gccgo/front) into that.
static Innermost
innermost_at(uintptr_t pc)
{
	Innermost in = {false, true};
	backtrace_pcinfo(panic_symbols(), pc, see_innermost, no_name, &in);
	return in;
}

// Go's names have a dot. Functions of C between the program and where its goroutines begin are
// ours, but for those that the program has called through cgo, which nobody shows either.
static bool
is_hidden(const char *symbol, uintptr_t pc)
{
	if (symbol == NULL)
		return false;
	if (strchr(symbol, '.') == NULL || strcmp(symbol, "runtime.deferreturn") == 0)
		return true;
	if (symbol_is_made(symbol))
		return innermost_at(pc).made;
	return symbol_may_be_piece(symbol) && !innermost_at(pc).go;
}

// --- how many functions are at an address --------------------------------------------------------

typedef struct Depth {
	unsigned n;
	bool go; // the symbol is a name of Go
} Depth;

// Beside a name of Go, functions of C are none: ours, what gcc has inlined into them, and what of
// them it has inlined into Go. No more is what the compiler has made.
static int
count_function(void *data, uintptr_t pc, const char *file, int line, const char *function)
{
	Depth *d = data;
	(void)pc;
	(void)line;
	bool made = function != NULL && symbol_is_made(function);
	if (file != NULL && !(d->go && is_c(file)) && !made)
		d->n++;
	return 0;
}

// How many functions Go code sees at a return address; 0: none.
static NOINLINE unsigned
count_at(uintptr_t pc)
{
	const char *symbol = symbol_of(pc - 1);
	if (is_hidden(symbol, pc - 1))
		return 0;
	Depth d = {0, symbol != NULL && strchr(symbol, '.') != NULL};
	if (panic_symbols() != NULL)
		backtrace_pcinfo(panic_symbols(), pc - 1, count_function, no_name, &d);
	return d.n != 0 ? d.n : 1;
}

typedef ATOMIC(uint64_t) Kept; // an address and how many functions are there

enum { KEPT = 4096 };
static Kept kept[KEPT];

void
callers_init(void)
{
	os_modules_leave_out(kept, sizeof(kept));
}

// The same, from a table of what was counted before.
static unsigned
functions_at(uintptr_t pc)
{
	enum { BITS = 8, MOST = (1 << BITS) - 1 };
	Kept *k = &kept[pc * UINT64_C(0x9E3779B97F4A7C15) >> 32 & (KEPT - 1)];
	uint64_t w = load_rlx(k); // order: hint, the word says all
	if (w >> BITS != pc) {
		unsigned n = count_at(pc);
		w = (uint64_t)pc << BITS | (n < MOST ? n : MOST);
		store_rlx(k, w); // order: hint
	}
	return w & MOST;
}

// --- walking -------------------------------------------------------------------------------------

typedef struct Walk {
	uintptr_t *pcs;
	size_t n, max, skip;
	bool again; // the frame above __morestack's is the function's once more
} Walk;

// Whether the frame at pc is __morestack's, or the second one of a function that called it.
static bool
is_twice(Walk *w, uintptr_t pc)
{
	bool second = w->again;
	w->again = !second && pc == (uintptr_t)morestack_returns;
	return second || w->again;
}

// Whether a frame is one that Go code sees.
static bool
is_shown(Walk *w, uintptr_t pc)
{
	return !is_twice(w, pc) && !is_hidden(symbol_of(pc - 1), pc - 1);
}

static _Unwind_Reason_Code
step(struct _Unwind_Context *context, void *v)
{
	Walk *w = v;
	int exact = 0;
	uintptr_t pc = _Unwind_GetIPInfo(context, &exact) + (exact != 0);
	if (pc <= 1)
		return _URC_END_OF_STACK;
	if (!is_shown(w, pc))
		return _URC_NO_REASON;
	if (w->skip > 0) {
		w->skip--;
		return _URC_NO_REASON;
	}
	if (w->n == w->max)
		return _URC_END_OF_STACK;
	w->pcs[w->n++] = pc;
	return _URC_NO_REASON;
}

static _Unwind_Reason_Code
take(struct _Unwind_Context *context, void *v)
{
	Walk *w = v;
	uintptr_t pc = _Unwind_GetIP(context);
	if (pc <= 1 || w->n == w->max)
		return _URC_END_OF_STACK;
	w->pcs[w->n++] = pc;
	return _URC_NO_REASON;
}

size_t
callers_unnamed(uintptr_t *pcs, size_t max)
{
	Walk w = {.pcs = pcs, .max = max};
	_Unwind_Backtrace(take, &w);
	return w.n;
}

// What package sync calls of ours.
static bool
is_of_sync(uintptr_t pc)
{
	const char *symbol = symbol_of(pc - 1);
	return symbol != NULL && (strncmp(symbol, "sync.runtime__", 14) == 0 ||
				  strncmp(symbol, "internal_1poll.runtime__", 24) == 0 ||
				  strcmp(symbol, "sync.Mutex.lockSlow") == 0 ||
				  strcmp(symbol, "sync.Mutex.unlockSlow") == 0);
}

void
callers_prepare(void)
{
	if (panic_symbols() != NULL)
		(void)innermost_at((uintptr_t)callers_prepare);
}

size_t
callers_of_go(uintptr_t *pcs, size_t max)
{
	Walk w = {.pcs = pcs, .max = max};
	_Unwind_Backtrace(step, &w);
	if (w.n > 0 && is_of_sync(pcs[0]))
		memmove(pcs, pcs + 1, --w.n * sizeof(*pcs));
	return w.n;
}

// Of an address with more functions than are to go, all stay.
size_t
callers_beyond(uintptr_t *pcs, size_t n, size_t skip)
{
	size_t first = 0;
	for (size_t at; first < n && (at = functions_at(pcs[first])) <= skip; first++)
		skip -= at;
	memmove(pcs, pcs + first, (n - first) * sizeof(*pcs));
	return n - first;
}

size_t
callers_shown(uintptr_t *pcs, size_t n)
{
	Walk w = {.pcs = pcs};
	for (size_t i = 0; i < n && pcs[i] > 1; i++)
		if (is_shown(&w, pcs[i]))
			pcs[w.n++] = pcs[i];
	return w.n;
}

// Where a goroutine begins. What is further out calls nothing of the program.
static bool
is_outermost(const char *symbol)
{
	return symbol != NULL &&
	       (strcmp(symbol, "runtime.goexit") == 0 || strcmp(symbol, "runtime.main") == 0);
}

bool
callers_begins(uintptr_t pc)
{
	return is_outermost(symbol_of(pc - 1));
}

size_t
callers_running(uintptr_t *pcs, size_t n)
{
	Walk w = {.pcs = pcs};
	for (size_t i = 0; i < n && pcs[i] > 1; i++) {
		const char *symbol = symbol_of(pcs[i] - 1);
		bool made = symbol != NULL && symbol_is_made(symbol) &&
			    innermost_at(pcs[i] - 1).made;
		if (!is_twice(&w, pcs[i]) && !made)
			pcs[w.n++] = pcs[i];
		if (is_outermost(symbol))
			break;
	}
	return w.n;
}

static _Unwind_Reason_Code
step_each(struct _Unwind_Context *context, void *v)
{
	Walk *w = v;
	int exact = 0;
	uintptr_t pc = _Unwind_GetIPInfo(context, &exact) + (exact != 0);
	if (pc <= 1 || w->n == w->max)
		return _URC_END_OF_STACK;
	unsigned n = is_twice(w, pc) ? 0 : functions_at(pc);
	for (unsigned i = 0; i < n && w->n < w->max; i++) {
		if (w->skip > 0)
			w->skip--;
		else
			w->pcs[w->n++] = inlined_address(pc, i);
	}
	return _URC_NO_REASON;
}

static Walk
walk_into(Slice pcs, Int skip)
{
	return (Walk){.pcs = pcs.p, .max = (size_t)pcs.len, .skip = skip > 0 ? (size_t)skip : 0};
}

// An address of each function, whether inlined or not.
GOFUNC("runtime.Callers", Int, rt_callers, (Int skip, Slice pcs))
{
	Walk w = walk_into(pcs, skip);
	_Unwind_Backtrace(step_each, &w);
	return (Int)w.n;
}

// Where calls return to. What is inlined there, frameat tells.
GOFUNC("runtime.returns", Int, rt_returns, (Int skip, Slice pcs))
{
	Walk w = walk_into(pcs, skip);
	_Unwind_Backtrace(step, &w);
	return (Int)w.n;
}

// --- names ---------------------------------------------------------------------------------------

typedef struct Naming {
	FrameAt f;
	Int nth; // of those at the address; counted down, below 0 behind the one that is wanted
	const char *symbol; // NULL: none
	bool go; // the symbol is a name of Go; what is inlined there and is C, is a front
} Naming;

// Go's name of what the linker knows by this one. C's stay as they are.
static String
decoded(const char *name)
{
	char *to = go_make_bytes(strlen(name) + 1);
	return (String){to, (Int)symbol_to_go(to, name)};
}

static String
name_of(const char *symbol, const char *function)
{
	return symbol_is_encoded(symbol, function) ? decoded(function) : string_c(function);
}

static void
see_symbol(void *data, uintptr_t pc, const char *name, uintptr_t value, uintptr_t bytes)
{
	Naming *nm = data;
	(void)pc;
	(void)bytes;
	if (name != NULL) {
		name = symbol_own(name);
		nm->f.function = decoded(name);
		nm->f.entry = value;
		nm->symbol = name;
		nm->go = strchr(name, '.') != NULL;
	}
}

// Called for each function at the address, those inlined there first. What count_function does not
// count is told of only when there is nothing else.
static int
see_line(void *data, uintptr_t pc, const char *file, int line, const char *function)
{
	Naming *nm = data;
	FrameAt *f = &nm->f;
	(void)pc;
	if (file == NULL)
		return 0;
	bool ours = nm->go && is_c(file);
	bool quiet = ours || (function != NULL && symbol_is_made(function));
	if (nm->nth < 0) {
		f->more = !quiet;
		return f->more;
	}
	if (!quiet && nm->nth-- > 0)
		return 0;
	f->file = string_c(file);
	f->line = line;
	if (!ours && function != NULL)
		f->function = name_of(nm->symbol, function);
	return 0;
}

// pc is a return address; nth counts functions that are inlined there, from the inside. Or it
// stands for one of them.
GOFUNC("runtime.frameat", FrameAt, rt_frameat, (uintptr_t pc, Int nth))
{
	unsigned which = 0;
	bool one = inlined_means(pc, &pc, &which);
	Naming nm = {.nth = one ? (Int)which : nth};
	struct backtrace_state *symbols = panic_symbols();
	if (symbols == NULL)
		return nm.f;
	backtrace_syminfo(symbols, pc - 1, see_symbol, no_name, &nm);
	backtrace_pcinfo(symbols, pc - 1, see_line, no_name, &nm);
	nm.f.more = nm.f.more && !one;
	return nm.f;
}

// The return address that a stand-in is at, 0 if it is none.
GOFUNC("runtime.standsat", uintptr_t, rt_standsat, (uintptr_t address))
{
	uintptr_t pc = 0;
	unsigned nth = 0;
	return inlined_means(address, &pc, &nth) ? pc : 0;
}

// --- who may recover -----------------------------------------------------------------------------

// Between the function that asks and who calls deferred functions there may be what the compiler
// has made; or reflect, if a function that it has made was deferred. A call that the program itself
// defers, or makes, of reflect does not count.
typedef struct Search {
	const DeferredBy *by;
	bool asked;    // our own frames are behind us
	bool function; // and the function that asks is
	bool reflects; // we are within reflect, before a function that it has made
	bool found;
} Search;

static _Unwind_Reason_Code
look_beyond(Search *s, uintptr_t start, const char *name)
{
	if (start == s->by->runner[0] || start == s->by->runner[1]) {
		s->found = !s->reflects;
		return _URC_END_OF_STACK;
	}
	if (start == s->by->made_func)
		s->reflects = false;
	else if (strncmp(name, "reflect.", 8) == 0 || strcmp(name, "runtime.reflectcall") == 0)
		s->reflects = true;
	else if (!symbol_is_made(name) && strchr(name, '.') != NULL)
		return _URC_END_OF_STACK;
	return _URC_NO_REASON;
}

static _Unwind_Reason_Code
look(struct _Unwind_Context *context, void *v)
{
	Search *s = v;
	uintptr_t start = _Unwind_GetRegionStart(context);
	if (!s->asked) {
		s->asked = start == s->by->asker;
		return _URC_NO_REASON;
	}
	const char *name = symbol_of(_Unwind_GetIP(context) - 1);
	if (name == NULL)
		return _URC_END_OF_STACK;
	if (s->function)
		return look_beyond(s, start, name);
	s->function = !symbol_is_made(name);
	return _URC_NO_REASON;
}

bool
callers_deferred(const DeferredBy *by)
{
	Search s = {.by = by};
	_Unwind_Backtrace(look, &s);
	return s.found;
}
