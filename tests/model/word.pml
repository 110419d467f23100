/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The word of one side of a descriptor (src/net/word.c) and the claim of the goroutine that waits on it
 * (src/sched/wait.c): events, interruptions and cancellations against announcing, parking, leaving.
 *
 * Modelled: a goroutine that reads N pieces of data and waits when there is none; between two waits it
 * waits elsewhere for a moment. Two pollers that bring data, an edge each. Somebody who says that waits
 * are over, and interrupts. A canceller, which claims what wait it finds. One step is one atomic
 * operation; the compare of an exchange that fails is its load.
 *
 * Invariant: nobody is made ready twice or before he is off his stack, a claim does not hit a wait
 * elsewhere, and the goroutine ends: it gets its N pieces, or sees that waits are over.
 *
 * Broken: NO_TAKEN     a waiter leaves though somebody has taken it out and not claimed it yet
 * Broken: NO_LOOK      a waiter does not look whether waits are over after it has announced itself
 * Broken: EARLY_READY  who claims a waiter that is not off its stack makes it ready all the same
 * Broken: LATE_ANNOUNCE it looks first and announces itself then
 * Broken: NO_READY     an event that finds nobody is not kept
 */
#define NIL 0
#define READY 1
#define TAKEN 2
#define WAITER 3

#define CLOSED 0
#define PREPARED 1
#define OPEN 2
#define PEER 3
#define CANCEL 4

#define N 2

byte word = NIL;
byte claim = CLOSED;
byte data;       /* in the kernel */
bool over;
bool off_stack;  /* the goroutine is parked */
bool ready;      /* and may go on */
byte got;
byte done;       /* pollers */
bool missing;    /* a piece does not come */

/* How a claim by `who` ends: 0 lost, 1 make it ready, 2 the M that parks it does. */
inline try_claim(who, how)
{
	atomic {
		if
		:: claim == OPEN -> claim = who; how = 1
		:: claim == PREPARED -> claim = who; how = 2
		:: else -> how = 0
		fi
	}
}

inline make_ready()
{
	atomic { assert(!ready && off_stack); ready = true }
}

inline post(event)
{
	seen = word;
	do
	:: seen == READY || seen == TAKEN || (seen == NIL && !event) -> break
	:: seen == NIL && event ->
		atomic {
			if
#ifdef NO_READY
			:: word == NIL -> break
#else
			:: word == NIL -> word = READY; break
#endif
			:: else -> seen = word
			fi
		}
	:: seen == WAITER ->
		atomic {
			if
			:: word == WAITER -> word = TAKEN; won = true
			:: else -> seen = word
			fi
		};
		if
		:: won ->
			try_claim(PEER, how);
			word = NIL;
			if
#ifdef EARLY_READY
			:: how != 0 -> make_ready()
#else
			:: how == 1 -> make_ready()
#endif
			:: else
			fi;
			break
		:: else
		fi
	od;
	seen = NIL;
	how = 0;
	won = false
}

/* From PREPARED to off the stack: the M opens the claim, or finds that it has been taken. */
inline park()
{
	off_stack = true;
	atomic {
		if
		:: claim == PREPARED -> claim = OPEN
		:: else -> assert(!ready); ready = true
		fi
	};
	atomic { ready -> ready = false; off_stack = false }
}

inline leave()
{
	do
#ifdef NO_TAKEN
	:: atomic { word == WAITER -> word = NIL }; break
	:: word != WAITER -> break
#else
	:: atomic { word == WAITER -> word = NIL }; break
	:: word == NIL || word == READY -> break
#endif
	od
}

inline wait()
{
	claim = PREPARED;
#ifdef LATE_ANNOUNCE
	stop = over;
#endif
	atomic {
		if
		:: word == NIL -> word = WAITER; announced = true
		:: else -> assert(word != WAITER && word != TAKEN); announced = false
		fi
	};
	if
	:: announced ->
#ifndef LATE_ANNOUNCE
#ifndef NO_LOOK
		stop = over;
#endif
#endif
		if
		:: stop -> leave(); claim = CLOSED
		:: else ->
			park();
			claim = CLOSED;
			leave()
		fi;
		stop = false
	:: else ->
		atomic { word == READY -> word = NIL };
		claim = CLOSED
	fi;
	announced = false
}

/* A wait for something else, that only a cancellation ends, and then time. */
inline elsewhere()
{
	atomic { claim = OPEN; off_stack = true };
	if
	:: atomic { claim == OPEN -> claim = CLOSED; off_stack = false }
	:: atomic { ready -> ready = false; off_stack = false; assert(claim != PEER); claim = CLOSED }
	fi
}

active proctype goroutine()
{
	bool announced, stop;
	do
	:: got == N || over -> break
	:: else ->
		atomic {
			if
			:: word == READY -> word = NIL
			:: else
			fi
		};
		atomic {
			if
			:: data != 0 -> data--; got++; announced = true
			:: else -> announced = false
			fi
		};
		if
		:: announced -> announced = false
		:: else ->
			wait();
			elsewhere()
		fi
	od
}

active [2] proctype poller()
{
	byte seen, how;
	bool won;
	if
	:: data++;
		post(true)
	:: missing = true
	fi;
	done++
}

active proctype ends_waits()
{
	byte seen, how;
	bool won;
	if
	:: over = true;
		post(false)
	:: done == 2 && !missing
	fi
}

active proctype canceller()
{
	byte how, times;
	do
	:: times < 2 ->
		times++;
		try_claim(CANCEL, how);
		if
		:: how == 1 -> how = 0; make_ready()
		:: else -> how = 0
		fi
	:: true -> break
	od
}
