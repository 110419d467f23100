// SPDX-License-Identifier: BSD-3-Clause
// What the unwind tables say of a frame at a return address, without libgcc's unwinder.
#ifndef UNDERGO_PANIC_TABLES_H
#define UNDERGO_PANIC_TABLES_H

#include <stdbool.h>
#include <stdint.h>

#include "arch/arch.h"

typedef struct Reader {
	const uint8_t *at;
	const uint8_t *end;
	bool bad;
} Reader;

// What a CIE and an FDE say of a function.
typedef struct Tables {
	uintptr_t func;        // where it begins
	uintptr_t lsda;        // its table of cleanups; 0: it has none
	uintptr_t personality; // who reads that; 0: nobody
	Reader common;         // instructions
	Reader own;
	uint64_t code_align;
	int64_t data_align;
	uint64_t ra; // the column of the return address
} Tables;

typedef enum How { HOW_SAME, HOW_SAVED, HOW_NONE, HOW_ELSE } How;

typedef struct Rule {
	How how;
	int32_t at; // from the CFA
} Rule;

// Rules at one address. `saved` has the general registers by their columns.
typedef struct Rules {
	uint64_t cfa_register;
	int64_t cfa_offset;
	uint64_t args_bytes; // pushed for the call, and not to be there when it is left by a pad
	bool cfa_else;
	Rule saved[ARCH_DWARF_COLUMNS];
	Rule ra;
} Rules;

// The function that the code before pc is in. False: there is none, its tables are out of the
// ordinary, or it is a signal's frame.  Locks: none.  Allocates: no.
bool tables_at(uintptr_t pc, Tables *t);
// The rules for the code before pc. False: they are out of the ordinary.
bool tables_run(const Tables *t, uintptr_t pc, Rules *rules);

// A number for what is at pc now: another one, but for one case in 2^64, for another address, and
// for another module that has come to where one has gone. 0: no code, or the loader cannot tell
// without a lock.
uint64_t tables_identity(uintptr_t pc);

#endif
