/* SPDX-License-Identifier: BSD-3-Clause */
/* undergo/panic.h - panic, deferred functions, recovery.
 *
 * A panic runs what the goroutine has deferred, newest first, on top of the stack as it is; nothing
 * is unwound yet. It ends in the innermost go_protect around it, which returns the panic's value.
 * Where there is none the process dies: "panic: ", the value, and the goroutine's stack; status 2.
 *
 *     static void work(void *arg)
 *     {
 *             FILE *f = fopen(arg, "r");
 *             GO_DEFER(close_file, f);
 *             go_panicf("line %d makes no sense", 12);
 *     }
 *
 *     go_value v = go_protect(work, "list.txt");
 *     if (go_panicked(v))
 *             ...
 *
 * The deferred are records in a chain, on the stack, that the panic walks. So GO_DEFER does its
 * work in code compiled with and without -fexceptions; the cleanup attribute is for blocks that
 * end otherwise. Cleanups of C++ and those of C compiled with -fexceptions, in functions that a
 * recovered panic leaves, are run on the way to the go_protect, after all that is deferred. C++
 * functions that are left need to let a foreign cleanup pass: catch (...) has to throw again.
 * Each function between needs unwind tables, which compilers make unless told not to; where one
 * has none the process dies and says which.
 *
 * An exception of C++ may leave a block with GO_DEFER and a deferred function: a panic that has
 * called that is over then. A longjmp must not leave a deferred function, and leaves a block with
 * GO_DEFER only to where a go_defer of the program's own, pushed before the setjmp, is run at once:
 * that drops what was deferred later.
 */
#ifndef UNDERGO_PANIC_H
#define UNDERGO_PANIC_H

#include "base.h"

typedef enum go_value_kind {
	GO_VALUE_NONE = 0,      /* no panic */
	GO_VALUE_STRING,        /* text, n bytes */
	GO_VALUE_INT,           /* i */
	GO_VALUE_UINT,          /* u */
	GO_VALUE_DOUBLE,        /* d */
	GO_VALUE_BOOL,          /* b */
	GO_VALUE_POINTER,       /* p */
	GO_VALUE_ERROR,         /* i, a code of base.h */
	GO_VALUE_RUNTIME_ERROR, /* text, n bytes: a rule of Go was broken; p: address of a fault */
	GO_VALUE_CUSTOM         /* p and aux, which type makes sense of */
} go_value_kind;

struct go_value;

/* How values of a program's own type are told. */
typedef struct go_value_type {
	const char *name; /* "parser.error" */
	/* Writes the text of *v as snprintf does and returns its length without the zero byte.
	 * NULL: values read "(name) 0x" and p. Called by the goroutine that panics, before all
	 * ends. */
	size_t (*text)(const struct go_value *v, char *buf, size_t bytes);
} go_value_type;

/* What a panic carries. Texts and pointers inside are the caller's affair; the collector sees them
 * while the panic is under way. */
typedef struct go_value {
	go_value_kind kind;
	bool repanicked; /* go_repanic has it */
	union {
		const char *text;
		int64_t i;
		uint64_t u;
		double d;
		bool b;
	};
	size_t n;
	void *p;
	void *aux;
	const go_value_type *type;
} go_value;

/* A deferred call, for GO_DEFER and go_defer_push. Its contents are the library's. */
typedef struct go_defer {
	void *opaque[6];
} go_defer;

/* go_value_string - the value that a text makes; NULL makes none.
 *
 * Owns:      the text stays the caller's and has to outlive the value.
 * Blocks:    no.
 * Call from: anywhere.
 */
GO_API go_value go_value_string(const char *text);

/* go_value_int - the value that a number makes.
 *
 * Blocks:    no.
 * Call from: anywhere.
 */
GO_API go_value go_value_int(int64_t i);

/* go_value_error - the value that an error code of this library makes; prints as go_strerror.
 *
 * Blocks:    no.
 * Call from: anywhere.
 */
GO_API go_value go_value_error(int code);

/* go_value_custom - a value of a type of the program.
 *
 * Owns:      type has to outlive the value; p is the caller's affair.
 * Blocks:    no.
 * Call from: anywhere.
 */
GO_API go_value go_value_custom(const go_value_type *type, void *p);

/* go_value_text - writes what a value prints as, as snprintf does.
 *
 * Returns the length of the whole text without its zero byte; bytes may be 0.
 * Blocks:    no, but for what the type's function does.
 * Call from: a goroutine or a thread.
 */
GO_API size_t go_value_text(const go_value *v, char *buf, size_t bytes);

/* go_panicked - whether go_protect, or go_recover, has got a value. */
static inline bool
go_panicked(go_value v)
{
	return v.kind != GO_VALUE_NONE;
}

/* go_panic - begin a panic with this value.
 *
 * Runs the deferred functions of the goroutine from the newest on; each may panic itself, or call
 * go_recover or go_exit. A value of kind GO_VALUE_NONE becomes the runtime error "panic called
 * with nil argument".
 * Call from: a goroutine or a thread; in a signal handler it is a fatal error unless that runs on
 *            the goroutine's stack and has interrupted the program's own code.
 */
GO_API void go_panic(go_value v) __attribute__((noreturn));

/* go_panic_text - go_panic with a text, which has to stay as it is.
 *
 * Call from: as go_panic.
 */
GO_API void go_panic_text(const char *text) __attribute__((noreturn));

/* go_panicf - go_panic with a text made as printf makes it.
 *
 * The text is an object of the collector.
 * Call from: as go_panic.
 */
GO_API void go_panicf(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* go_repanic - panic once more with what go_protect has caught.
 *
 * As go_panic, but should the process die of it the value is told twice, as one that was recovered
 * and one that was not: "panic: lost [recovered]", then "panic: lost".
 * Call from: as go_panic.
 */
GO_API void go_repanic(go_value v) __attribute__((noreturn));

/* go_protect - call fn(arg) and catch its panic.
 *
 * Returns a value of kind GO_VALUE_NONE when fn has returned, else the panic's. It does not catch
 * go_exit. The floating-point modes are then as the panicking function had them. A C++ exception
 * passes through.
 * Blocks:    as fn does.
 * Call from: a goroutine or a thread.
 */
GO_API go_value go_protect(void (*fn)(void *arg), void *arg);

/* go_recover - stop the panic that runs the calling deferred function.
 *
 * Returns its value. When the deferred function returns, the others up to the innermost go_protect
 * around it are run, and that returns with no value, as if its function had returned. A goroutine
 * without one ends, as by go_exit.
 * Returns a value of kind GO_VALUE_NONE, and does nothing, unless a panic has called the deferred
 * function that calls; so in one that runs because its block has ended, in a go_protect or below
 * a GO_DEFER of the deferred function's own, or a second time. On a thread also when there is no
 * go_protect around it.
 * Blocks:    no.
 * Call from: a deferred function, or what it calls.
 */
GO_API go_value go_recover(void);

/* GO_DEFER - call fn(arg) when the block ends, by a panic or go_exit too.
 *
 * A declaration, to stand in a block. arg is evaluated now. Blocks that end by break, goto or
 * return count; the process's exit does not. What fn changes of a value that return has already
 * computed is lost.
 */
#define GO_DEFER(fn, arg) GO_DEFER_(fn, arg, __COUNTER__)
#define GO_DEFER_(fn, arg, n) GO_DEFER__(fn, arg, n)
#define GO_DEFER__(fn, arg, n)                                                     \
	__attribute__((unused, cleanup(go_defer_run))) go_defer go_deferred_##n;   \
	go_defer_push(&go_deferred_##n, fn, arg)

/* go_defer_push - put a deferred call in front of the goroutine's others.
 *
 * What GO_DEFER uses. *d has to be on the stack of the caller, and to be run before its block ends:
 * by go_defer_run, or by a panic or go_exit. The last to be pushed comes first.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API void go_defer_push(go_defer *d, void (*fn)(void *arg), void *arg);

/* go_defer_run - take the call away and make it, unless a panic or go_exit has.
 *
 * Those deferred later and not run yet are dropped.
 * Blocks:    as the function does.
 * Call from: where go_defer_push was called.
 */
GO_API void go_defer_run(go_defer *d);

/* go_set_panic_on_fault - whether a bad pointer of this goroutine is a panic instead of the end.
 *
 * The value is a runtime error with the address in p. Faults inside of this library, and of libc
 * while it holds locks, are not told from others: what they leave behind stays so. C++ functions
 * with cleanups are only left so when compiled with -fnon-call-exceptions.
 * Returns what was set before.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API bool go_set_panic_on_fault(bool on);

#endif
