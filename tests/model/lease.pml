/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The lease of a P: entry and exit of its M against those who want it (src/sched/lease.c).
 *
 * Modelled: one M that goes in and out of the runtime, now and then announcing that it will block
 * (LOOSE), and two grabbers: a thief who freezes the P, uses it and gives it back, and the monitor
 * who asks for it (ASKED) and takes it away. The M's stores to inrt go through a store buffer of one place: they reach memory
 * at any later moment, or when the M makes a locked instruction, or when a grabber's heavy fence
 * (membarrier) interrupts the M. Everything else is sequentially consistent, which for the M's
 * loads and for the locked instructions of all is what x86 does; weaker processors are the schedule
 * explorer's (tests/explore/x_lease.c).
 *
 * M enters:  inrt = 1; light fence; read the state; HELD: inside. Else: REVOKING, LOOSE, ASKED: CAS to HELD;
 *            FROZEN: wait; REVOKED: the P is lost, get another one, state = HELD.
 * M leaves:  inrt = 0, or state = LOOSE and then inrt = 0.
 * Ask:       CAS HELD -> ASKED.
 * Grab:      CAS LOOSE -> FROZEN; else CAS HELD or ASKED -> REVOKING, which bears the grabber's name; heavy fence;
 *            read inrt; CAS REVOKING (of that name) -> FROZEN if it was 0, else -> what it was.
 *
 * Invariant: never two at once that use the P: the M inside with its lease held, a grabber that has it
 * frozen. Nobody waits for ever: the M and both grabbers end.
 *
 * Broken: NO_HEAVY   the grabber does not make the M's store visible
 * Broken: NO_CAS     the grabber stores FROZEN instead of claiming it from REVOKING
 * Broken: UNNAMED    REVOKING is one value for all: a grabber that was slow claims another's
 * Broken: NO_RECHECK the grabber does not look at inrt
 * Broken: NO_THAW    a freezer forgets to give the lease back
 */
#define HELD 0
#define FROZEN 1
#define LOOSE 2
#define REVOKED 3
#define ASKED 4
#ifdef UNNAMED
#define REVOKING(who) 5
#else
#define REVOKING(who) (5 + (who))
#endif
#define IS_REVOKING(s) ((s) >= 5)

byte state = HELD;
bit inrt;          /* in memory */
bool buffered;     /* a store of inrt is in the M's buffer */
bit buffer;
byte users;        /* of the P, at this moment */

inline flush()
{
	if
	:: atomic { buffered -> inrt = buffer; buffered = false }
	:: !buffered
	fi
}

inline store_inrt(v)
{
	atomic { !buffered -> buffer = v; buffered = true }
}

inline use()
{
	users++;
	assert(users == 1);
	users--
}

active proctype memory()
{
end:	do
	:: atomic { buffered -> inrt = buffer; buffered = false }
	od
}

active proctype M()
{
	byte visits, s;
	do
	:: visits < 3 ->
		visits++;
		store_inrt(1);
		/* light fence */
		s = state;
		do
		:: s == HELD -> use(); break
		:: s == REVOKED ->
			/* another P, which nobody else knows of yet */
			state = HELD;
			break
		:: s == FROZEN -> atomic { state != FROZEN -> s = state }
		:: s == LOOSE || s == ASKED || IS_REVOKING(s) ->
			flush();
			atomic {
				if
				:: state == s -> state = HELD; s = HELD
				:: else -> s = state
				fi
			}
		od;
		if
		:: true
		:: state = LOOSE
		fi;
		store_inrt(0)
	:: else -> break
	od
}

inline grab(who, got)
{
	got = false;
	if
	:: atomic { state == LOOSE -> state = FROZEN; got = true }
	:: atomic { state == HELD || state == ASKED -> was = state; state = REVOKING(who) };
#ifndef NO_HEAVY
		flush();
#endif
#ifdef NO_RECHECK
		outside = true;
#else
		outside = (inrt == 0);
#endif
#ifdef NO_CAS
		if
		:: outside -> state = FROZEN; got = true
		:: else -> state = was
		fi;
#else
		atomic {
			if
			:: state == REVOKING(who) && outside -> state = FROZEN; got = true
			:: state == REVOKING(who) && !outside -> state = was
			:: else
			fi
		};
#endif
		outside = false;
		was = 0
	:: state != LOOSE && state != HELD && state != ASKED
	fi
}

active proctype thief()
{
	bool got, outside;
	byte n, was;
	do
	:: n < 2 -> n++;
		grab(1, got);
		if
		:: got -> use();
#ifndef NO_THAW
			state = HELD
#endif
		:: else
		fi
	:: else -> break
	od
}

active proctype monitor()
{
	bool got, outside;
	byte was;
	atomic {
		if
		:: state == HELD -> state = ASKED
		:: else
		fi
	};
	grab(2, got);
	if
	:: got -> use(); state = REVOKED
	:: else
	fi
}
