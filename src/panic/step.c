// SPDX-License-Identifier: BSD-3-Clause
// Steps from frame to frame, by unwind tables that are read once for each return address.
//
// libgcc reads the tables of a function anew for each frame it passes, and follows all registers.
// To find out whether a function has cleanups, where its caller's frame begins and where it
// returns to, less will do: the CFA by the stack or frame pointer, and where that register and
// the return address are saved. That is one word, a Row, and a table of the process keeps it for
// each return address.
//
// What is out of the ordinary (expressions, other registers, signal frames, signed return
// addresses, code that no loader knows) is STEP_UNKNOWN, and libgcc is asked.
//
// Invariants:
//   W1  An entry is two words, key and row, written and read without order. key is a mixture of the
//       row, the return address and where the module's tables are; an entry that does not fit,
//       or is half of one and half of another, counts as none. A module that comes where another
//       one was has other tables, but for one in 2^64.
#include "panic/step.h"

#include <link.h>
#include <dlfcn.h>

#include "arch/arch.h"
#include "base/base.h"
#include "os/os.h"
#include "panic/tables.h"

// --- rows ------------------------------------------------------------------------------------

// Offsets are in words, from the CFA down; all but cfa.
typedef union Row {
	uint64_t word;
	struct {
		uint32_t cfa;      // from the register up
		uint16_t fp_at;    // 0: the register is as it was
		uint16_t ra_at : 11;
		uint16_t by_fp : 1; // the CFA
		uint16_t cleanups : 1;
		uint16_t outermost : 1;
		uint16_t known : 1;
		uint16_t set : 1; // 0: no row
	};
} Row;
static_assert(sizeof(Row) == sizeof(uint64_t), "a row is a word");

enum { WORD = 8, RA_MAX = (1 << 11) - 1 };

// In words below the CFA; 0 when that cannot be said.
static uint64_t
words_below(int64_t at, uint64_t most)
{
	uint64_t n = at < 0 ? (uint64_t)-at / WORD : 0;
	return at % WORD == 0 && n <= most ? n : 0;
}

static Row
row_of(const Rules *rules, bool lsda)
{
	Rule fp = rules->saved[ARCH_DWARF_FP], ra = rules->ra;
	Row row = {.set = 1, .cleanups = lsda, .outermost = ra.how == HOW_NONE};
	bool by_fp = rules->cfa_register == ARCH_DWARF_FP;
	row.by_fp = by_fp;
	row.cfa = (uint32_t)(rules->cfa_offset / WORD);
	row.fp_at = (uint16_t)words_below(fp.at, UINT16_MAX);
	row.ra_at = (uint16_t)(words_below(ra.at, RA_MAX) & RA_MAX);
	row.known = !rules->cfa_else && (by_fp || rules->cfa_register == ARCH_DWARF_SP) &&
		    rules->cfa_offset >= 0 && rules->cfa_offset % WORD == 0 &&
		    rules->cfa_offset / WORD <= UINT32_MAX &&
		    (fp.how == HOW_SAME || row.fp_at != 0) && fp.how <= HOW_SAVED &&
		    ra.how == HOW_SAVED && row.ra_at != 0;
	return row;
}

// The row for a return address.
static COLD Row
make_row(uintptr_t pc)
{
	Tables t;
	Rules rules;
	if (!tables_at(pc, &t) || !tables_run(&t, pc, &rules))
		return (Row){.set = 1};
	return row_of(&rules, t.lsda != 0);
}

// --- the table -------------------------------------------------------------------------------

enum { ENTRIES = 2048 };

typedef struct Entry {
	ATOMIC_U64 key; // W1
	ATOMIC_U64 row;
} Entry;

static Entry entries[ENTRIES];

void
step_init(void)
{
	os_modules_leave_out(entries, sizeof(entries));
}

static bool
find_row(uintptr_t pc, Row *row)
{
	uint64_t who = tables_identity(pc);
	if (who == 0)
		return false;
	Entry *e = &entries[who % ENTRIES];
	row->word = load_rlx(&e->row);                // order: hint, W1
	uint64_t key = load_rlx(&e->key);             // order: hint, W1
	if (likely((key ^ row->word) == who && row->set))
		return true;
	*row = make_row(pc);
	store_rlx(&e->row, row->word);       // order: hint, W1
	store_rlx(&e->key, who ^ row->word); // order: hint, W1
	return true;
}

static inline uintptr_t
word_at(uintptr_t p)
{
	return *(const uintptr_t *)p;
}

// Whether the copy has what is read of this frame.
static COLD bool
copied(const Steps *s, uintptr_t cfa, Row row)
{
	uintptr_t most = (uintptr_t)(row.fp_at > row.ra_at ? row.fp_at : row.ra_at) * WORD;
	return cfa <= s->copied_to && cfa - s->sp >= most;
}

__attribute__((no_sanitize("address", "thread"))) Step
step_out(Steps *s)
{
	Row row;
	if (s->pc == 0)
		return STEP_END;
	if (!find_row(s->pc, &row))
		return STEP_UNKNOWN;
	if (row.outermost)
		return STEP_END;
	if (!row.known)
		return STEP_UNKNOWN;
	uintptr_t cfa = (row.by_fp ? s->fp : s->sp) + (uintptr_t)row.cfa * WORD;
	if (cfa <= s->sp || (s->copied_to != 0 && !copied(s, cfa, row)))
		return STEP_UNKNOWN;
	uintptr_t words = cfa + s->copy_beyond;
	s->pc = word_at(words - (uintptr_t)row.ra_at * WORD);
	if (row.fp_at != 0)
		s->fp = word_at(words - (uintptr_t)row.fp_at * WORD);
	s->sp = cfa;
	return row.cleanups ? STEP_CLEANUPS : STEP_PLAIN;
}
