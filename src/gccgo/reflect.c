// SPDX-License-Identifier: BSD-3-Clause
// Calls whose types are known at run time only: reflect's Call and MakeFunc, finalizers.
//
// Arguments go where the C ABI of x86-64 says: a value of at most 16 bytes into up to two
// registers, by what each of its eight bytes holds, if enough are left; else onto the stack.
// Several results are one struct of them.
#include "gccgo/gccgo.h"

enum { WORD = 8, INTS = 6, FLOATS = 8, IN_REGS_MAX = 16, STACK_ALIGN = 16 };

// Known to: arch/x86_64/gocall.S
typedef struct Regs {
	uint64_t ints[INTS];
	uint64_t floats[FLOATS][2];
	uint64_t returns[2];
} Regs;

void gccgo_call(Regs *r, const void *stack, size_t bytes, void (*fn)(void), const void *chain);

// What the eight bytes of a value hold.
typedef enum Class { CLASS_NONE, CLASS_FLOAT, CLASS_INT } Class;

typedef struct Where {
	Class class[2];
	bool memory; // not in registers, ever
} Where;

// --- classes -------------------------------------------------------------------------------------

static void
mark(Where *w, uintptr_t offset, uintptr_t bytes, Class c)
{
	for (uintptr_t i = offset / WORD; i <= (offset + bytes - 1) / WORD; i++)
		if (w->class[i] < c)
			w->class[i] = c;
}

static void
classify(Where *w, const Type *t, uintptr_t offset)
{
	if (t->size == 0)
		return;
	switch (type_kind(t)) {
	case KIND_FLOAT32:
	case KIND_FLOAT64:
	case KIND_COMPLEX64:
	case KIND_COMPLEX128:
		mark(w, offset, t->size, CLASS_FLOAT);
		return;
	case KIND_ARRAY: {
		const ArrayType *a = (const ArrayType *)t;
		for (uintptr_t i = 0; i < a->len; i++)
			classify(w, a->elem, offset + i * a->elem->size);
		return;
	}
	case KIND_STRUCT: {
		const StructType *s = (const StructType *)t;
		for (Int i = 0; i < s->n_fields; i++)
			classify(w, s->fields[i].typ,
				 offset + (s->fields[i].offset_embedded >> 1));
		return;
	}
	default:
		mark(w, offset, t->size, CLASS_INT);
	}
}

static Where
where(const Type *t)
{
	Where w = {.memory = t->size > IN_REGS_MAX};
	if (!w.memory)
		classify(&w, t, 0);
	return w;
}

static const Where a_pointer = {.class = {CLASS_INT}};

// --- the results ---------------------------------------------------------------------------------

typedef struct Results {
	Where where;
	size_t bytes; // of all of them; 0: there are none
} Results;

static size_t
aligned(size_t n, size_t align)
{
	return (n + align - 1) & ~(align - 1);
}

static size_t
result_offset(const FuncType *ft, Int n)
{
	size_t at = 0;
	for (Int i = 0;; i++) {
		at = aligned(at, ft->out[i]->align);
		if (i == n)
			return at;
		at += ft->out[i]->size;
	}
}

static Results
results_of(const FuncType *ft)
{
	Results r = {.bytes = 0};
	size_t align = 1;
	for (Int i = 0; i < ft->n_out; i++) {
		r.bytes = result_offset(ft, i) + ft->out[i]->size;
		if (ft->out[i]->align > align)
			align = ft->out[i]->align;
	}
	r.bytes = aligned(r.bytes, align);
	r.where.memory = r.bytes > IN_REGS_MAX;
	for (Int i = 0; i < ft->n_out && !r.where.memory; i++)
		classify(&r.where, ft->out[i], result_offset(ft, i));
	return r;
}

// --- placing arguments ---------------------------------------------------------------------------

// A walk over arguments in order.
typedef struct Walk {
	Regs *regs;
	char *stack; // NULL: only count
	size_t ints, floats, stack_bytes;
} Walk;

static bool
fits(const Walk *w, const Where *at)
{
	size_t ints = 0, floats = 0;
	for (int i = 0; i < 2; i++) {
		ints += at->class[i] == CLASS_INT;
		floats += at->class[i] == CLASS_FLOAT;
	}
	return !at->memory && w->ints + ints <= INTS && w->floats + floats <= FLOATS;
}

// The place of the next eight bytes of a value that goes into registers.
static uint64_t *
next_reg(Walk *w, Class c)
{
	return c == CLASS_INT ? &w->regs->ints[w->ints++] : &w->regs->floats[w->floats++][0];
}

// Where the next argument's bytes lie on the stack, or NULL: it is in registers, which `visit` is
// told one by one.
static void
argument(Walk *w, const Where *at, size_t bytes, char *value, bool to_regs)
{
	if (bytes == 0)
		return;
	if (!fits(w, at)) {
		char *place = w->stack + w->stack_bytes;
		if (w->stack != NULL)
			memcpy(to_regs ? place : value, to_regs ? value : place, bytes);
		w->stack_bytes += aligned(bytes, WORD);
		return;
	}
	for (size_t i = 0; i * WORD < bytes; i++) {
		size_t n = bytes - i * WORD < WORD ? bytes - i * WORD : WORD;
		uint64_t *reg = next_reg(w, at->class[i]);
		if (to_regs) {
			*reg = 0;
			memcpy(reg, value + i * WORD, n);
		} else {
			memcpy(value + i * WORD, reg, n);
		}
	}
}

// --- calling -------------------------------------------------------------------------------------

typedef struct CallOf {
	const FuncType *ft;
	bool is_interface; // a receiver before the arguments, a pointer
	bool is_method;    // the first argument is a receiver: passed as a pointer
	void **params;
} CallOf;

static void
place_all(Walk *w, const CallOf *c, const Results *r, void *result)
{
	void **p = c->params;
	if (r->where.memory)
		argument(w, &a_pointer, sizeof(void *), (char *)&result, true);
	if (c->is_interface)
		argument(w, &a_pointer, sizeof(void *), *p++, true);
	for (Int i = 0; i < c->ft->n_in; i++, p++) {
		const Type *t = c->ft->in[i];
		Where at = where(t);
		bool receiver = i == 0 && c->is_method;
		argument(w, receiver ? &a_pointer : &at, receiver ? sizeof(void *) : t->size, *p,
			 true);
	}
}

// What was returned, in one piece.
static void
fetch(const Regs *regs, const Results *r, char *to)
{
	size_t ints = 0, floats = 0;
	for (size_t i = 0; i * WORD < r->bytes; i++) {
		uint64_t v = r->where.class[i] == CLASS_FLOAT ? regs->floats[floats++][0]
							      : regs->returns[ints++];
		memcpy(to + i * WORD, &v, WORD);
	}
}

// Memory of managed objects, each word of which may be a pointer.
static void *
scanned(size_t bytes)
{
	sched_enter();
	void *p = gc_alloc(bytes, KIND_SCAN);
	if (p == NULL)
		gc_out_of_memory(bytes);
	sched_leave();
	return p;
}

GOFUNC("runtime.reflectcall", void, rt_reflectcall,
       (const FuncType *ft, const FuncVal *fn, bool is_interface, bool is_method, void **params,
	void **results))
{
	CallOf c = {ft, is_interface, is_method, params};
	Results r = results_of(ft);
	Regs regs = {0};
	uint64_t small[2];
	char *result = r.where.memory ? scanned(r.bytes) : (char *)small;
	Walk count = {.regs = &regs};
	place_all(&count, &c, &r, result);
	size_t bytes = aligned(count.stack_bytes, STACK_ALIGN);
	enum { FEW = 128 };
	char few[FEW] __attribute__((aligned(16)));
	char *stack = bytes <= FEW ? few : scanned(bytes);
	Walk w = {.regs = &regs, .stack = stack};
	place_all(&w, &c, &r, result);
	gccgo_call(&regs, stack, bytes, fn->fn, fn);
	if (!r.where.memory)
		fetch(&regs, &r, result);
	for (Int i = 0; results != NULL && i < ft->n_out; i++)
		memmove(results[i], result + result_offset(ft, i), ft->out[i]->size);
}

// reflect keeps what it gets, and gives it to makeFuncFFI, which does not need it.
GOFUNC("reflect.makeCIF", void *, rt_makecif, (const Type *t))
{
	return (void *)(uintptr_t)t;
}

// --- being called --------------------------------------------------------------------------------

// Known to: package reflect, which calls it makeFuncImpl.
typedef struct MadeFunc {
	void (*code)(void);
	void *unused[2];
	const FuncType *ft;
} MadeFunc;

GOEXTERN("reflect.ffiCallbackGo", void, go_callback,
	 (void *result, void **args, void *impl, int32_t word_bytes, bool big_endian));

GOFUNC("reflect.makeFuncFFI", void, rt_makefuncffi, (void *cif, MadeFunc *impl))
{
	(void)cif;
	impl->code = gccgo_made_func;
}

// The results go back where the caller looks for them.
static void
give_back(Regs *regs, const Results *r, const char *from)
{
	size_t ints = 0, floats = 0;
	for (size_t i = 0; i * WORD < r->bytes; i++) {
		uint64_t v;
		memcpy(&v, from + i * WORD, WORD);
		if (r->where.class[i] == CLASS_FLOAT)
			regs->floats[floats++][0] = v;
		else
			regs->returns[ints++] = v;
	}
}

// The arguments of one call, copied to where pointers to them can be given away.
typedef struct Arguments {
	Int n;
	void *at[];
} Arguments;

static Arguments *
take_all(const FuncType *ft, Walk *w)
{
	size_t bytes = 0;
	for (Int i = 0; i < ft->n_in; i++)
		bytes += aligned(ft->in[i]->size, WORD);
	size_t list = sizeof(Arguments) + (size_t)ft->n_in * sizeof(void *);
	Arguments *a = scanned(list + bytes);
	char *value = (char *)a + list;
	for (Int i = 0; i < ft->n_in; i++) {
		Where at = where(ft->in[i]);
		argument(w, &at, ft->in[i]->size, value, false);
		a->at[i] = value;
		value += aligned(ft->in[i]->size, WORD);
	}
	return a;
}

void gccgo_called(Regs *regs, char *stack, MadeFunc *impl);
void
gccgo_called(Regs *regs, char *stack, MadeFunc *impl)
{
	const FuncType *ft = impl->ft;
	Results r = results_of(ft);
	Walk w = {.regs = regs, .stack = stack};
	void *result = NULL;
	if (r.where.memory)
		argument(&w, &a_pointer, sizeof(void *), (char *)&result, false);
	Arguments *a = take_all(ft, &w);
	char *to = result != NULL ? result : scanned(2 * WORD);
	go_callback(to, a->at, impl, WORD, false);
	if (result == NULL)
		give_back(regs, &r, to);
	else
		regs->returns[0] = (uintptr_t)result;
}
