// SPDX-License-Identifier: BSD-3-Clause
// What the files of src/net share among themselves.
#ifndef UNDERGO_NET_IMPL_H
#define UNDERGO_NET_IMPL_H

#include "net/net.h"

typedef struct go_netfd Netfd;

// How a call on a descriptor is made.
typedef enum FdManner {
	FD_TRY,  // it says when it would wait, or it never does
	FD_ASK,  // in blocking mode: the poller is asked before, whether it would
	FD_FILE, // file.c
} FdManner;

// What reads tell of what is left; io.c, I3.
typedef enum ReadsKind {
	READS_UNKNOWN,
	READS_SHORT_ONCE,
	READS_TELL_NOTHING,
	READS_UNCOUNTED, // those that return less than they could have taken all
	READS_DRAIN,     // the same, and the kernel has not been asked yet to say
	READS_COUNTED,   // so of those that return what they could: now it has been
} ReadsKind;

// A descriptor of the program's; see fd.c.
struct go_netfd {
	PollDesc pd;
	ATOMIC_U64 state; // fd.c: generation, references, locks
	WaitQ locked[2];  // pd.lock: who waits to read, to write, behind another one
	G *closer;        // pd.lock: who waits for the end
	ATOMIC_U32 file;    // FD_FILE: hints of file.c
	uint8_t kind;       // set before publication: OsFdKind
	uint8_t manner;     // set before publication: FdManner
	uint8_t reads;      // lock of reading: ReadsKind
	bool drained;       // lock of reading: the last read took all there was; io.c, I3
	bool filled;        // lock of reading: the last read returned all that it could
	uint8_t vain;       // lock of reading: how often one of those was followed by a vain one
	bool unlinks;       // set before publication: a listener that has made a name in the files
	ATOMIC_BOOL told;   // set once: the program has its number, and may change what is below us
};

// slots.c. NULL: no memory. The generation is new.
Netfd *slot_get(void);
void slot_put(Netfd *nf);
// NULL: there never was one.
Netfd *slot_at(uint32_t index);

#endif
