// SPDX-License-Identifier: BSD-3-Clause
// Addresses of functions that are inlined.
//
// Where calls were inlined, several functions are at one address. Who asks for his callers wants an
// address of each, and may ask later what one of them is. The innermost function has the true
// one. Each other has a stand-in: the address of an entry of a table, where there is no code, and
// which says what it stands for. Programs have as many as there are inlined calls that some stack
// was asked for in; should the table be full, the true address is given once more.
//
// Invariants:
//   I1  An entry is set once, and means the same for ever.
//   I2  An address and the addresses beside it are of one entry: programs look up where a call
//       returns to, and the byte before.
#include "gccgo/inlined.h"

#include "gccgo/gccgo.h"

enum {
	ENTRIES = 1 << 16,
	TRIES = 64,
	NTH_BITS = 8,
};

typedef ATOMIC(uint64_t) Entry;

// pc and nth; 0: free. Mapped at first use, so that no mark looks at it.
static ATOMIC(Entry *) table;

static Entry *
make_table(void)
{
	Entry *none = NULL, *fresh = os_map(ENTRIES * sizeof(Entry), os_page_bytes());
	if (fresh == NULL || cas_ar(&table, &none, fresh)) // order: publish -> inlined_address
		return fresh;
	os_unmap(fresh, ENTRIES * sizeof(Entry));
	return none;
}

uintptr_t
inlined_address(uintptr_t pc, unsigned nth)
{
	if (nth == 0 || nth >= 1U << NTH_BITS)
		return pc;
	Entry *entry = load_acq(&table); // order: observe <- make_table
	if (entry == NULL && (entry = make_table()) == NULL)
		return pc;
	uint64_t what = (uint64_t)pc << NTH_BITS | nth;
	size_t first = what * UINT64_C(0x9E3779B97F4A7C15) >> 48;
	for (size_t i = 0; i < TRIES; i++) {
		Entry *e = &entry[(first + i) % ENTRIES];
		uint64_t has = load_rlx(e); // order: hint, the word says all
		if (has == 0 && cas_rlx(e, &has, what)) // order: claim, the word says all; I1
			has = what;
		if (has == what)
			return (uintptr_t)e + sizeof(*e) / 2; // I2
	}
	return pc;
}

bool
inlined_means(uintptr_t address, uintptr_t *pc, unsigned *nth)
{
	const Entry *entry = load_acq(&table); // order: observe <- make_table
	uintptr_t offset = address - (uintptr_t)entry;
	if (entry == NULL || offset >= ENTRIES * sizeof(Entry))
		return false;
	const Entry *e = &entry[offset / sizeof(Entry)];
	uint64_t what = load_rlx(e); // order: hint, the word says all
	*pc = (uintptr_t)(what >> NTH_BITS);
	*nth = (unsigned)(what & ((1U << NTH_BITS) - 1));
	return what != 0;
}
