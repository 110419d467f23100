/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The scan bit: trimming the stacks of goroutines that wait, while they are woken and run
 * (src/gc/shrink.c, src/sched/switch.c).
 *
 * Modelled: two goroutines on one M, which switches from one straight to the other: the lock that a
 * goroutine parks with is given up when it is off its stack, which is after the M has begun to wait
 * for the next one's scan bit. A poller, which no stop of the world stops, makes runnable whoever
 * waits, at any time. A collector stops the world and starts it again, and then trims whoever does
 * not run. A second holder of scan bits, a dump, reads stacks all the time.
 *
 * Invariant: a stack is touched by one party at a time, the goroutine that runs or who holds its bit;
 * the stack pointer is saved when a holder reads it; and nobody waits for ever.
 *
 * Broken: WAITS_FOR_STATUS  the trimmer, in the stop, waits for a goroutine that is runnable by now
 *                           to wait again: it cannot before the world goes on
 * Broken: NO_LOOK           the M does not look at the scan bit
 * Broken: LOOK_FIRST        the M looks at the scan bit before it says that the goroutine runs
 * Broken: STATUS_FIRST      the trimmer looks at the status before it takes the bit
 * Broken: NO_STATUS         the trimmer does not look at the status
 * Broken: WAITING_EARLY     a goroutine says that it waits before it is off its stack
 * Broken: LOCKS             the trimmer takes the lock of what the goroutine waits on, with its bit
 * Broken: KEEPS_BIT         the bit of one that runs is not given up
 * Broken: NO_CLAIM          the bit is taken without looking whether somebody has it
 */
#define TURNS 4
#define PASSES 2

mtype = { Waiting, Runnable, Running };

mtype status[2] = Runnable;
bool scan[2];
bool saved[2] = true;    /* off its stack, sp is right */
byte users[2];           /* parties on the stack */
bool queued[2] = true;
bool waits[2];           /* lock: it can be woken */
bool lock;
bool stopping, stopped, done;

inline acquire() { atomic { !lock -> lock = true } }
inline release() { lock = false }

inline claim_scan(g)
{
#ifdef NO_CLAIM
	scan[g] = true
#else
	atomic { !scan[g] -> scan[g] = true }
#endif
}

/* The M is about to run g; see prepare in switch.c. */
inline prepare(g)
{
	queued[g] = false;
#ifdef NO_LOOK
	status[g] = Running;
#else
#ifdef LOOK_FIRST
	!scan[g];
	status[g] = Running;
#else
	status[g] = Running;
	!scan[g];
#endif
#endif
	assert(users[g] == 0)
}

inline arrive(g)
{
	users[g]++;
	assert(users[g] == 1);
	saved[g] = false
}

/* Off its stack, with its status told and the lock given up. */
inline leave(g)
{
#ifdef WAITING_EARLY
	status[g] = Waiting;
#endif
	users[g]--;
	saved[g] = true
}

inline left(g)
{
	status[g] = Waiting;
	waits[g] = true;
	release()
}

proctype machine()
{
	byte cur, turns;
	bool chosen;
	do
	:: turns == TURNS -> break
	:: turns < TURNS ->
		/* The scheduler: here the world stops, and a goroutine is taken from the queue. */
		do
		:: stopping -> stopped = true; !stopping; stopped = false
		:: !stopping && queued[0] -> cur = 0; break
		:: !stopping && queued[1] -> cur = 1; break
		od;
		prepare(cur);
		arrive(cur);
		do
		:: turns < TURNS ->
			turns++;
			acquire(); /* the running goroutine is about to park */
			chosen = queued[1 - cur] && !stopping;
			if
			:: chosen ->
				prepare(1 - cur); /* with the lock held */
				leave(cur);
				left(cur);
				cur = 1 - cur;
				arrive(cur)
			:: else ->
				leave(cur);
				left(cur);
				break
			fi
		:: else -> /* it ends */
			users[cur]--;
			break
		od
	od;
	done = true;
	stopped = true
}

/* Also when the world is stopped. */
proctype poller()
{
	byte g;
	do
	:: waits[0] || waits[1] ->
		acquire();
		g = (waits[0] -> 0 : 1);
		if
		:: waits[g] -> waits[g] = false; release(); status[g] = Runnable; queued[g] = true
		:: else -> release()
		fi
	:: done -> break
	od
}

/* One holder of the bit; see sched_scan_begin. */
inline hold_and_use(g, use)
{
	mtype seen;
#ifdef STATUS_FIRST
	seen = status[g];
	claim_scan(g);
#else
	claim_scan(g);
	seen = status[g];
#endif
#ifdef NO_STATUS
	seen = Waiting;
#endif
	if
	:: seen != Running ->
#ifdef LOCKS
		acquire();
		release();
#endif
		users[g]++;
		assert(users[g] == 1 && saved[g]);
		use;
		users[g]--;
		scan[g] = false
	:: else ->
#ifndef KEEPS_BIT
		scan[g] = false
#else
		skip
#endif
	fi
}

/* As it must not be: with the world stopped, and sure that the goroutine will wait again. */
inline wait_for_status(g)
{
	mtype old;
	old = status[g];
	if
	:: old != Running -> status[g] == old
	:: else
	fi
}

proctype collector()
{
	byte n;
	do
	:: n < PASSES ->
		stopping = true;
		stopped;
#ifdef WAITS_FOR_STATUS
		wait_for_status(0);
		wait_for_status(1);
#endif
		stopping = false;
		hold_and_use(0, skip);
		hold_and_use(1, skip);
		n++
	:: else -> break
	od
}

proctype dump()
{
	hold_and_use(0, skip);
	hold_and_use(1, skip)
}

init
{
	atomic {
		run machine();
		run poller();
		run collector();
		run dump()
	}
}
