/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The park token and the idle list: wake before sleep, sleep, a deadline, clear (src/sync/note.c,
 * and who is woken: src/sched/thread.c).
 *
 * Modelled: one sleeper that goes through rounds, one waker, the futex. The sleeper clears its note,
 * enters the idle list, and sleeps with a deadline. Whoever takes it out of the list owes it a wake,
 * so a sleeper that finds itself out of the list at its deadline sleeps on, without one. The futex
 * compares and queues in one step; it may wake for no reason.
 *
 * Sleep:  CAS cleared -> sleeping (else woken already); while the key is sleeping: futex wait; at the
 *         deadline CAS sleeping -> cleared, or the waker was faster.
 * Wake:   exchange the key for woken; it was sleeping: futex wake.
 *
 * Invariant: a wake ends the sleep of its own round: nobody sleeps for ever once the waker is done,
 * each wake is consumed by one sleep, none is left over for a later round, and a sleep without a
 * deadline never returns unwoken.
 *
 * Broken: NO_COMPARE   the futex queues without comparing the word
 * Broken: NO_LOOP      a wake for no reason counts as a wake
 * Broken: PLAIN_CLEAR  the deadline stores cleared instead of claiming it from sleeping
 * Broken: NO_SLEEP_ON  a sleeper found out of the list does not wait for the wake it is owed
 * Broken: SILENT_WAKE  the waker calls the system only if it saw the sleeper queued before it
 */
#define CLEARED 0
#define WOKEN 1
#define SLEEPING 2
#define ROUNDS 3

byte key = CLEARED;
bool queued;    /* in the kernel's queue of the futex */
bool rung;      /* taken out of it by a wake */
bool listed;    /* in the idle list; one step is one critical section of its lock */
bool owed;      /* taken out of the list by the waker */
byte sent, received;
bool over;

/* Blocks unless the key differs; timed: may also end at the deadline, then late is true. */
inline futex_wait(timed, late)
{
	late = false;
	if
#ifdef NO_COMPARE
	:: queued = true;
#else
	:: atomic { key == SLEEPING -> queued = true };
#endif
		if
		:: atomic { rung -> rung = false }
		:: atomic { queued && !over -> queued = false } /* for no reason, while others run */
		:: atomic { timed && queued -> queued = false; late = true }
		fi
#ifndef NO_COMPARE
	:: key != SLEEPING
#endif
	fi
}

inline sleep(timed, woken)
{
	woken = true;
	if
	:: atomic { key == CLEARED -> key = SLEEPING };
		do
		:: key == SLEEPING ->
			futex_wait(timed, late);
#ifdef NO_LOOP
			break
#else
			if
#ifdef PLAIN_CLEAR
			:: late -> key = CLEARED; woken = false; break
#else
			:: atomic { late && key == SLEEPING -> key = CLEARED; woken = false }; break
			:: late && key != SLEEPING
#endif
			:: !late
			fi
#endif
		:: key != SLEEPING -> break
		od
	:: key == WOKEN
	fi
}

active proctype sleeper()
{
	byte round;
	bool woken, late, mine;
	do
	:: round < ROUNDS ->
		round++;
		key = CLEARED;
		listed = true;
		sleep(true, woken);
		if
		:: !woken ->
			atomic { mine = listed; listed = false };
			if
			:: !mine ->
#ifndef NO_SLEEP_ON
				sleep(false, woken);
				assert(woken);
				received++
#endif
				skip
			:: else
			fi
		:: else -> received++
		fi;
		mine = false;
		woken = false;
		assert(!listed) /* a sleep that ended by a wake was owed one */
	:: else -> break
	od;
	assert(received <= sent)
}

active proctype waker()
{
	byte before;
	bool saw;
	do
	:: atomic { listed -> listed = false; owed = true };
		assert(sent == received);
#ifdef SILENT_WAKE
		saw = queued;
#endif
		atomic { before = key; key = WOKEN; sent++ };
		assert(before != WOKEN);
#ifdef SILENT_WAKE
		if
		:: saw && before == SLEEPING -> atomic {
#else
		if
		:: before == SLEEPING -> atomic {
#endif
			if
			:: queued -> queued = false; rung = true
			:: else
			fi }
		:: else
		fi;
		before = 0
	:: over = true; break
	od
}
