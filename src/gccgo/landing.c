// SPDX-License-Identifier: BSD-3-Clause
// Leaving frames after a recovered panic.
//
// libgcc's unwinder passes each frame twice and reads its tables anew each time, and it visits the
// landing pads of functions that deferred on the way, which have nothing left to do and throw on.
// Most ways are plain: functions of Go and of ours whose tables are ordinary. For these what has to
// be known of a frame is two words, a Way, and a table of the process keeps it for each return
// address. They are walked once, and then there is a jump.
//
// The function to land in is the one in whose frame the bool lies that its records name. Where one
// with a deferred call was inlined into it the pad may be that one's, which finds that it is not
// meant, and throws on.
//
// Not plain are: a table of cleanups that is not Go's, so that destructors of C++ run; stacks that
// have grown on the way, since __morestack's tables are out of the ordinary; faults; modules whose
// loader cannot tell without a lock. Then nothing has been changed.
//
// Invariants:
//   L1  An entry is three words, written and read without order. key is a mixture of the others and
//       of the return address and its module; what does not fit, or is of several, counts as none.
#include "gccgo/landing.h"

#include "base/base.h"
#include "gccgo/gccgo.h"
#include "panic/tables.h"

enum { WORD = 8, KEPT = 6, ENTRIES = 512 };

// What is kept over calls, and where control is. Known to: arch/x86_64/goland.S.
typedef struct Context {
	uintptr_t pc, sp;
	uintptr_t kept[KEPT]; // rbx rbp r12 r13 r14 r15
} Context;
enum { KEPT_RBP = 1 };

void gccgo_context(Context *c);                          // of the caller, behind the call
NORETURN void gccgo_land(const Context *c, void *exception);

// Offsets are in words, from the CFA down; but cfa, and pad, which is in bytes.
typedef union Way {
	uint64_t word[2];
	struct {
		uint32_t cfa;     // from the register up
		int32_t pad;      // from the return address; 0: there is none
		uint8_t at[KEPT]; // 0: the register is as it was
		uint8_t by_rbp;   // the CFA
		uint8_t kind;
	};
} Way;
static_assert(sizeof(Way) == 2 * sizeof(uint64_t), "a way is two words");
enum { WAY_NONE, WAY_PLAIN, WAY_ELSE };

// --- making ways ---------------------------------------------------------------------------------

static bool
is_plain(const Rules *r)
{
	static const Rule caller = {HOW_SAVED, -WORD};
	bool known = r->cfa_register == ARCH_DWARF_SP || r->cfa_register == ARCH_DWARF_FP;
	return known && !r->cfa_else && r->args_bytes == 0 && r->cfa_offset > 0 &&
	       r->cfa_offset % WORD == 0 && r->cfa_offset / WORD <= INT32_MAX &&
	       r->ra.how == caller.how && r->ra.at == caller.at;
}

static bool
find_kept(const Rules *r, Way *w)
{
	static const uint8_t columns[KEPT] = {3, ARCH_DWARF_FP, 12, 13, 14, 15};
	for (int i = 0; i < KEPT; i++) {
		Rule rule = r->saved[columns[i]];
		int words = -rule.at / WORD;
		if (rule.how == HOW_SAME)
			continue;
		if (rule.how != HOW_SAVED || words <= 0 || words > UINT8_MAX)
			return false;
		w->at[i] = (uint8_t)words;
	}
	return true;
}

static COLD Way
make_way(uintptr_t pc)
{
	const Way otherwise = {.kind = WAY_ELSE};
	Way w = {.kind = WAY_PLAIN};
	Tables t;
	Rules r;
	if (!tables_at(pc, &t) || !tables_run(&t, pc, &r) || !is_plain(&r) || !find_kept(&r, &w))
		return otherwise;
	w.cfa = (uint32_t)(r.cfa_offset / WORD);
	w.by_rbp = r.cfa_register == ARCH_DWARF_FP;
	if (t.lsda == 0)
		return w;
	if (!personality_is_ours(t.personality))
		return otherwise;
	uintptr_t pad = personality_pad(t.lsda, t.func, pc);
	w.pad = pad != 0 ? (int32_t)(pad - pc) : 0;
	return w;
}

// --- the table -----------------------------------------------------------------------------------

typedef struct Entry {
	ATOMIC_U64 key; // L1
	ATOMIC_U64 word[2];
} Entry;

static Entry entries[ENTRIES];

void
landing_init(void)
{
	os_modules_leave_out(entries, sizeof(entries));
}

static inline uint64_t
key_of(uint64_t who, const Way *w)
{
	return who ^ base_mix(w->word[0] ^ base_mix(w->word[1]));
}

static bool
find_way(uintptr_t pc, Way *w)
{
	uint64_t who = tables_identity(pc);
	if (who == 0)
		return false;
	Entry *e = &entries[who % ENTRIES];
	for (int i = 0; i < 2; i++)
		w->word[i] = load_rlx(&e->word[i]); // order: hint, L1
	uint64_t key = load_rlx(&e->key); // order: hint, L1
	if (unlikely(key != key_of(who, w) || w->kind == WAY_NONE)) {
		*w = make_way(pc);
		for (int i = 0; i < 2; i++)
			store_rlx(&e->word[i], w->word[i]); // order: hint, L1
		store_rlx(&e->key, key_of(who, w));         // order: hint, L1
	}
	return w->kind == WAY_PLAIN;
}

// --- the jump ------------------------------------------------------------------------------------

static inline uintptr_t
word_at(uintptr_t p)
{
	return *(const uintptr_t *)p;
}

__attribute__((no_sanitize("address", "thread"))) void
landing_jump(const bool *frame, void *exception)
{
	Context c;
	Way w;
	gccgo_context(&c);
	while (find_way(c.pc, &w)) {
		uintptr_t cfa = (w.by_rbp ? c.kept[KEPT_RBP] : c.sp) + (uintptr_t)w.cfa * WORD;
		if (cfa <= c.sp)
			return;
		if ((uintptr_t)frame - c.sp < cfa - c.sp) {
			if (w.pad == 0)
				return;
			c.pc += (uintptr_t)(intptr_t)w.pad;
			gccgo_land(&c, exception);
		}
		for (int i = 0; i < KEPT; i++)
			if (w.at[i] != 0)
				c.kept[i] = word_at(cfa - (uintptr_t)w.at[i] * WORD);
		c.pc = word_at(cfa - WORD);
		c.sp = cfa;
	}
}
