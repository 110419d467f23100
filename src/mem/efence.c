// SPDX-License-Identifier: BSD-3-Clause
// GODEBUG=efence=1: a touch of freed memory, or beyond an object's end, is a fault.
//
// Each object is a span of its own, as large ones are: it ends where the last of its pages ends, as
// far as its alignment allows, and behind it lies a page that nobody may touch. When it is freed
// its pages lose their memory and may not be touched either. They are nobody's from then on, so an
// address tells for ever whose it was.
//
// Each object costs two pages and more of address space for ever, some hundred bytes of what is
// known about them, and a mapping or two of the kernel's as long as it lives. When the kernel
// grants no more of those (vm.max_map_count) a line says so, and missing fences catch nothing.
#include "mem/efence.h"

#include "mem/heap_impl.h"

static ATOMIC_BOOL complained;

COLD static void
complain(void)
{
	if (xchg_rlx(&complained, true)) // order: hint
		return;
	print_str("runtime: efence: the kernel protects no more memory, see vm.max_map_count\n");
}

static void
protect(char *p, size_t bytes)
{
	if (os_guard(p, bytes) != 0 && os_protect_none(p, bytes) != 0)
		complain();
}

void
efence_place(Mspan *s, size_t align)
{
	size_t inside = (size_t)(s->npages - 1) * HEAP_PAGE;
	size_t bytes = (s->bytes + align - 1) & ~(align - 1);
	s->lead = bytes <= inside ? (uint32_t)(inside - bytes) : 0;
	protect(heap_page_addr(span_page(s)) + inside, HEAP_PAGE);
}

void
efence_close(const Mspan *s)
{
	size_t inside = (size_t)(s->npages - 1) * HEAP_PAGE;
	char *p = heap_page_addr(span_page(s));
	(void)os_decommit(p, inside);
	protect(p, inside);
}

// What is known about a span outlives it.
void
efence_tell(uintptr_t addr)
{
	if (!fenced() || !heap_ready() || !heap_contains(addr))
		return;
	size_t page = heap_page(addr);
	const PageInfo *pi = &heap.info[page];
	const Mspan *s = &heap.spans[page - pi->back];
	if (pi->nelems == 0 || s->npages <= pi->back)
		return;
	uintptr_t base = (uintptr_t)heap_page_addr(page - pi->back) + s->lead;
	print_str("runtime: ");
	print_hex(addr);
	print_str(addr < base ? " is before " : addr < base + s->bytes ? " is in " : " is behind ");
	bool freed = load_rlx(&pi->state) == SPAN_NONE; // order: hint
	print_str(freed ? "a freed " : "a ");
	print_str(heap_kind_name((Kind)pi->kind));
	print_str(" object at ");
	print_hex(base);
	print_str(", size ");
	print_u64(s->bytes);
	print_str("\n");
}
