// SPDX-License-Identifier: BSD-3-Clause
// Finalizers of Go: SetFinalizer.
//
// The core calls one function with two words: the object, and a record of ours that says which Go
// function to call and how.
#include "gc/special.h"

#include "gccgo/final.h"
#include "gccgo/gccgo.h"

GOEXTERN("runtime.reflectcall", void, rt_reflectcall,
	 (const FuncType *ft, const FuncVal *fn, bool is_interface, bool is_method, void **params,
	  void **results));
GOEXTERN("runtime.requireitab", void **, rt_requireitab, (const Type *inter, const Type *t));
GOEXTERN("runtime.ifaceT2Ip", bool, rt_implements, (const Type *inter, const Type *t));

// Runs on: the goroutine for finalizers, in user code.
void
final_call(void *p, void *v)
{
	Final f = *(Final *)v;
	goface_adopt();
	const Type *want = f.ft->in[0];
	void *pointer = p;
	Eface e = {f.t, p};
	Iface i = {NULL, p};
	void *arg = &pointer;
	if (type_kind(want) == KIND_INTERFACE) {
		arg = &e;
		if (((const InterfaceType *)want)->n_methods != 0) {
			i.tab = rt_requireitab(want, f.t);
			arg = &i;
		}
	}
	rt_reflectcall(f.ft, f.fn, false, false, &arg, NULL);
}

// Whether a pointer of type t may be given to a parameter of type want.
static bool
assignable(const Type *want, const Type *t)
{
	if (want == t)
		return true;
	if (type_kind(want) == KIND_INTERFACE)
		return ((const InterfaceType *)want)->n_methods == 0 || rt_implements(want, t);
	return type_kind(want) == KIND_PTR &&
	       (want->uncommon == NULL || t->uncommon == NULL) &&
	       ((const ElemType *)want)->elem == ((const ElemType *)t)->elem;
}

// Small objects without pointers share a block, where they need not be first.
static void
set(const Type *elem, void *p, FinalizerFn *fn, void *arg)
{
	bool shares = elem->ptrdata == 0 && elem->size < SLOT_MIN;
	PointsTo to = shares ? POINTS_TO_ANYTHING : POINTS_TO_BEGINNING;
	sched_enter();
	if (fn == NULL)
		(void)special_set_finalizer(p, to, NULL, NULL);
	int err = fn != NULL ? special_set_finalizer(p, to, fn, arg) : 0;
	if (err != 0)
		gc_out_of_memory(sizeof(Final));
	sched_leave();
}

GOFUNC("runtime.SetFinalizer", void, rt_setfinalizer, (Eface obj, Eface fn))
{
	if (obj.t == NULL)
		fatal("runtime.SetFinalizer: first argument is nil");
	if (type_kind(obj.t) != KIND_PTR)
		fatal("runtime.SetFinalizer: first argument is not a pointer");
	if (obj.data == NULL)
		fatal("nil elem type!");
	const Type *elem = ((const ElemType *)obj.t)->elem;
	if (elem->size == 0 || !heap_contains((uintptr_t)obj.data))
		return; // a global
	if (fn.t == NULL) {
		set(elem, obj.data, NULL, NULL);
		return;
	}
	if (type_kind(fn.t) != KIND_FUNC)
		fatal("runtime.SetFinalizer: second argument is not a function");
	const FuncType *ft = (const FuncType *)fn.t;
	if (ft->variadic || ft->n_in != 1 || !assignable(ft->in[0], obj.t))
		fatal("runtime.SetFinalizer: cannot pass the pointer to the function");
	sched_enter();
	Final *f = gc_alloc(sizeof(*f), KIND_SCAN);
	if (f == NULL)
		gc_out_of_memory(sizeof(*f));
	sched_leave();
	*f = (Final){ft, fn.data, obj.t};
	set(elem, obj.data, final_call, f);
}
GOVALUE("runtime.SetFinalizer", rt_setfinalizer);
