// SPDX-License-Identifier: BSD-3-Clause
// The Go face: what gccgo's code and libgo's packages know of their runtime, in C.
//
// Layouts and names here are gccgo 12's and fixed; what they must agree with in the core is pinned
// in layout.c. Functions that Go code calls are defined with GOFUNC, which gives them the symbol
// that the compiler uses. They run on the goroutine's stack and are called from outside of the
// runtime; whatever of the core wants to be called inside goes between sched_enter and sched_leave.
//
// Rules:
//   - A Go panic is raised outside of the runtime only, with no lock held: it unwinds our frames.
//   - A Slice argument lies on the stack; where the compiler passes three scalars instead the
//     prototype says so.
#ifndef UNDERGO_GCCGO_GCCGO_H
#define UNDERGO_GCCGO_GCCGO_H

#include <string.h>

#include "base/base.h"
#include "gc/gc.h"
#include "panic/fault.h"
#include "sched/sched.h"

#if !defined(__x86_64__)
#error "the Go face is for x86-64"
#endif

// --- values --------------------------------------------------------------------------------------

typedef intptr_t Int;

typedef struct String {
	const char *p;
	Int n;
} String;

typedef struct Slice {
	void *p;
	Int len, cap;
} Slice;

typedef struct Type Type;
typedef struct Chan Chan; // the core's Hchan

// interface{}
typedef struct Eface {
	const Type *t;
	void *data;
} Eface;

// Other interfaces: tab[0] is the dynamic type, tab[i] the code of the i-th method by name.
typedef struct Iface {
	void **tab;
	void *data;
} Iface;

// A value of function type points to one. Called with its address in r10.
typedef struct FuncVal {
	void (*fn)(void);
} FuncVal;

static inline const Type *
iface_type(Iface i)
{
	return i.tab != NULL ? i.tab[0] : NULL;
}

#define GO_STRING(text) ((String){text, sizeof(text) - 1})

// --- type descriptors ----------------------------------------------------------------------------

enum {
	KIND_BOOL = 1,
	KIND_INT,
	KIND_FLOAT32 = 13,
	KIND_FLOAT64,
	KIND_COMPLEX64,
	KIND_COMPLEX128,
	KIND_ARRAY,
	KIND_CHAN,
	KIND_FUNC,
	KIND_INTERFACE,
	KIND_MAP,
	KIND_PTR,
	KIND_SLICE,
	KIND_STRING,
	KIND_STRUCT,
	KIND_UNSAFE_POINTER,
	KIND_MASK = 31,
	KIND_DIRECT = 32,      // an interface holds the value itself
	KIND_GC_PROGRAM = 64,  // gcdata is a program
	TFLAG_MEMORY = 8,      // compared and hashed by its bytes
};

typedef struct Method {
	const String *name;
	const String *pkg_path; // NULL: exported
	const Type *mtyp;
	const Type *typ;
	void *code;
} Method;

typedef struct Uncommon {
	const String *name;
	const String *pkg_path;
	const Method *methods; // sorted by name
	Int n_methods, cap_methods;
} Uncommon;

struct Type {
	uintptr_t size;
	uintptr_t ptrdata;
	uint32_t hash;
	uint8_t tflag;
	uint8_t align;
	uint8_t field_align;
	uint8_t kind;
	const FuncVal *equal; // NULL: not comparable
	const uint8_t *gcdata;
	const String *string; // with TAB path TAB before names
	const Uncommon *uncommon;
	const Type *ptr_to_this;
};

// Which words of a value have pointers; at most TYPE_MASK_MOST bytes, none of whose types is a
// program. Written so that the compiler folds it where it knows the type.
enum { TYPE_MASK_MOST = 256 };
static inline uint64_t
type_mask(const Type *t)
{
	enum { BITS = 8 };
	const uint8_t *g = t->gcdata;
	size_t words = t->ptrdata / sizeof(void *);
	uint64_t mask = g[0];
	if (words > BITS)
		mask |= (uint64_t)g[1] << BITS;
	if (words > 2 * BITS)
		mask |= (uint64_t)g[2] << 2 * BITS;
	if (words > 3 * BITS)
		mask |= (uint64_t)g[3] << 3 * BITS;
	return mask;
}

typedef struct ElemType { // pointers and slices
	Type type;
	const Type *elem;
} ElemType;

typedef struct ArrayType {
	Type type;
	const Type *elem;
	const Type *slice;
	uintptr_t len;
} ArrayType;

typedef struct ChanType {
	Type type;
	const Type *elem;
	uintptr_t dir;
} ChanType;

typedef struct FuncType {
	Type type;
	bool variadic;
	const Type **in;
	Int n_in, cap_in;
	const Type **out;
	Int n_out, cap_out;
} FuncType;

typedef struct IMethod {
	const String *name;
	const String *pkg_path;
	const Type *typ;
} IMethod;

typedef struct InterfaceType {
	Type type;
	const IMethod *methods; // sorted by name
	Int n_methods, cap_methods;
} InterfaceType;

typedef struct MapGoType {
	Type type;
	const Type *key;
	const Type *elem;
	const Type *bucket;
	const FuncVal *hasher;
	uint8_t key_size, elem_size;
	uint16_t bucket_size;
	uint32_t flags;
} MapGoType;

enum { MAPTYPE_KEY_RENEWED = 8, MAPTYPE_REFLEXIVE = 4, MAPTYPE_HASH_PANICS = 16 };

typedef struct Field {
	const String *name;
	const String *pkg_path;
	const Type *typ;
	const String *tag;
	uintptr_t offset_embedded;
} Field;

typedef struct StructType {
	Type type;
	const Field *fields;
	Int n_fields, cap_fields;
} StructType;

static inline uint8_t
type_kind(const Type *t)
{
	return t->kind & KIND_MASK;
}

static inline bool
type_direct(const Type *t)
{
	return (t->kind & KIND_DIRECT) != 0;
}

// runtime.MemStats
typedef struct MemStats {
	uint64_t alloc, total_alloc, sys, lookups, mallocs, frees;
	uint64_t heap_alloc, heap_sys, heap_idle, heap_inuse, heap_released, heap_objects;
	uint64_t stack_inuse, stack_sys, mspan_inuse, mspan_sys, mcache_inuse, mcache_sys;
	uint64_t buckhash_sys, gc_sys, other_sys, next_gc, last_gc, pause_total_ns;
	uint64_t pause_ns[256], pause_end[256];
	uint32_t num_gc, num_forced_gc;
	double gc_cpu_fraction;
	bool enable_gc, debug_gc;
	struct {
		uint32_t size;
		uint64_t mallocs, frees;
	} by_size[61];
} MemStats;
static_assert(sizeof(MemStats) == 5776, "what programs were compiled with");

// Results of functions that fronts stand for (gccgo/front).
typedef struct Found {
	void *elem;
	bool ok;
} Found;

typedef struct Received {
	bool selected, received;
} Received;

typedef struct IfaceOk {
	Iface i;
	bool ok;
} IfaceOk;

// --- defining what Go code calls -----------------------------------------------------------------

#define GO_VISIBLE __attribute__((visibility("default")))

// A function with the assembler name `symbol`.
#define GOFUNC(symbol, result, name, args)             \
	GO_VISIBLE result name args __asm__(symbol); \
	result name args

// The same for one that only has that name for those who look at stacks.
#define GOFUNC_LOCAL(symbol, result, name, args) \
	result name args __asm__(symbol);        \
	static result name args

// An object with the assembler name `symbol`; its initializer follows.
#define GODATA(symbol, type, name)                    \
	extern GO_VISIBLE type name __asm__(symbol); \
	type name

// The function as a value: `symbol..f`.
#define GOVALUE(symbol, name) \
	GODATA(symbol "..f", const FuncVal, name##_value) = {(void (*)(void))(name)}

// One more name for a function of the same file.
#define GOALIAS(symbol, target) __asm__(".globl " symbol "\n\t.set " symbol ", " target)

// The name by which a front, which stands for `symbol` in programs that were linked with -flto,
// calls the rest of it: gccgo/front. Who looks at stacks passes over the prefix: symbol_own.
#define GOREST_PREFIX "undergo_rest."
#define GOREST(symbol, target) GOALIAS(GOREST_PREFIX symbol, target)

// Functions of Go code, declared for C.
#define GOEXTERN(symbol, result, name, args) extern result name args __asm__(symbol)

// Calls fv, a value of a function type, as Go code does.
#define GO_CALL(type, fv, ...) \
	__builtin_call_with_static_chain(((type)(fv)->fn)(__VA_ARGS__), (void *)(uintptr_t)(fv))

// --- goroutines of Go code: goroutine.c ----------------------------------------------------------

typedef struct GoDefer GoDefer;
typedef struct GoPanic GoPanic;

// What _Unwind_RaiseException is given. Known to: libgcc.
typedef struct Exception {
	uint64_t class;
	void (*cleanup)(int, struct Exception *);
	uint64_t private_1, private_2;
} __attribute__((aligned(16))) Exception;

// What the Go face keeps of a goroutine; a pinned object, so what it points to lives. It stays with
// the record of the goroutine, of which there may be many in turn.
typedef struct GoFace {
	Exception raised;    // what is being thrown
	Exception *caught;   // which exception a landing pad has got last
	GoDefer *defers;       // the innermost first
	GoPanic *panics;       // the same
	ATOMIC_U32 panicking;  // of these, those that are no Goexit; owner, others look
	void (*fn)(void *);  // where it begins
	void *arg;
	void *labels;        // of runtime/pprof
	StackBelow *leaving; // stacks to give back at the end
	bool in_c;            // it is in a C function; a fault there is no panic
	uint32_t callbacks;   // of a thread of C: calls of Go code that are under way
	Fault fault;          // the last that became a panic; sig 0: all panics since are over
} GoFace;

static inline GoFace *
goface(void)
{
	return (GoFace *)sched_g()->face;
}

// Makes the running G one that runs Go code.
void goface_adopt(void);
// Forgets what belonged to the goroutine that ends.
void goface_clear(G *gp);
// The G ends as a goroutine of Go code, on whatever stack.
NORETURN void goface_exit(void);

// cgo.c: threads of C that are in a call of Go code.
extern ATOMIC_U32 goface_callbacks;
// All packages are initialised, others may call in.
void goface_packages_ready(void);

// --- what one file has and others use ------------------------------------------------------------

// alloc.c. Zeroed, outside of the runtime; without memory the process dies.
void *go_make(const Type *t);
void *go_make_bytes(size_t n); // no pointers inside
void *go_make_array(const Type *elem, size_t n);
extern uint64_t go_zero_base;  // what objects without bytes point to

// type.c
const HeapType *type_heap(const Type *t); // where it has pointers; dies without memory
struct go_map_type;
const struct go_map_type *type_map(const MapGoType *t);
String type_text(const Type *t); // as %T prints it
void type_lists_register(Int n, void *lists);

// string.c
String string_of(const char *text, size_t n); // a copy
String string_c(const char *text);
char *string_to_c(String s);                  // a copy that ends with NUL
enum { RUNE_BYTES = 4 };
size_t string_put_rune(char to[RUNE_BYTES], int64_t rune); // in UTF-8; how many bytes

// hash.c
uintptr_t hash_of_type(const Type *t, const void *p, uintptr_t seed);
bool equal_of_type(const Type *t, const void *a, const void *b);

// reflect.c
void gccgo_made_func(void); // the code of functions that reflect has made

// stack.c
void stack_settle(void); // after unwinding: gives up segments above the one we are on

// memstats.c: before the first goroutine.
void memstats_init(void);

// fault.c: from here on faults of Go code are panics.
void goface_faults(void);

// signal.c: the effect of signals on a Go program that has not asked for any.
void goface_signals(void);
void goface_ignores(void);

// panic.c: raising Go panics.
NORETURN void panic_plain(const char *text);   // a runtime.plainError
NORETURN void panic_error(const char *text);   // a runtime.errorString: "runtime error: text"
void panic_from_core(const char *why); // see panic_in_go
void panic_wait(void);                 // before the process ends as main has

#endif
