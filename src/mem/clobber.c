// SPDX-License-Identifier: BSD-3-Clause
// GODEBUG=clobberfree=1: free memory is overwritten, and looked at before it is used again.
//
// What reads a freed object then finds words that point nowhere; what writes into one is found out
// when the memory is used the next time. With the value 2, which the stress build has unless it is
// told otherwise, caches keep slots in hand, and nobody looks at those again.
//
// Invariants, in this mode:
//   X1  A free slot is filled with the pattern, and so is what is left over at the end of a span of
//       small objects.
//   X2  A free page is filled with it, or reads as zero: it has never been used, or was given back.
#include "mem/clobber.h"

#include "mem/heap_impl.h"

#define CLOBBER_WORD UINT64_C(0xdeadbeefdeadbeef)

// What was found written. Of a page outside of spans: size is a page's, kind NULL.
typedef struct Written {
	uintptr_t at;   // the first byte
	size_t words;   // how many are not as they were left
	uint64_t value; // the first of them now
	uintptr_t base;
	size_t size;
	const char *kind;
} Written;

ANY_MEMORY void
clobber_fill(void *p, size_t bytes)
{
	volatile uint64_t *w = p; // not by memset, which the sanitizers watch
	for (size_t i = 0; i < bytes / 8; i++)
		w[i] = CLOBBER_WORD;
}

static void
tell(const void *v)
{
	const Written *w = v;
	print_str("runtime: ");
	print_u64(w->words);
	print_str(w->words == 1 ? " word" : " words");
	print_str(" written from ");
	print_hex(w->at);
	print_str(" on in free memory, the first is now ");
	print_hex(w->value);
	print_str("\nruntime: ");
	print_str(w->kind != NULL ? w->kind : "page");
	print_str(" at ");
	print_hex(w->base);
	print_str(", size ");
	print_u64(w->size);
	print_str(", offset ");
	print_u64(w->at - w->base);
	print_str("\n");
}

// [p, p + bytes) reads `want` in each word, or the process dies.
ANY_MEMORY static void
check_words(const void *p, size_t bytes, uint64_t want, const char *kind)
{
	const uint64_t *w = p;
	Written found = {.base = (uintptr_t)p, .size = bytes, .kind = kind};
	for (size_t i = 0; i < bytes / 8; i++) {
		if (w[i] == want)
			continue;
		if (found.words++ != 0)
			continue;
		unsigned first = (unsigned)__builtin_ctzll(w[i] ^ want) / 8;
		found.at = (uintptr_t)&w[i] + first;
		found.value = w[i];
	}
	if (found.words != 0)
		fatal_after(tell, &found, "free memory was written to");
}

void
clobber_check_slot(const void *p, size_t bytes, Kind kind)
{
	check_words(p, bytes, CLOBBER_WORD, heap_kind_name(kind));
}

// X2. One written word of a page of zeros makes it a page that has been used, so the majority of
// the first three decides.
ANY_MEMORY void
clobber_check_pages(size_t page, size_t npages)
{
	for (size_t i = 0; i < npages; i++) {
		const uint64_t *w = (const void *)heap_page_addr(page + i);
		int zeros = (w[0] == 0) + (w[1] == 0) + (w[2] == 0);
		check_words(w, HEAP_PAGE, zeros >= 2 ? 0 : CLOBBER_WORD, NULL);
	}
}
