/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Calls that dead objects have left behind: queued, marked, run, once each (src/gc/final.c,
 * src/gc/special.c).
 *
 * Modelled: objects that have a finalizer each and are dead from the start; a collector that marks
 * what lies in the blocks and then sweeps: an object that is not marked and has a finalizer is queued
 * and kept, one that has none any more is freed. A runner takes the blocks that are queued and runs
 * their entries from the last to the first; one that is through is filled again. Another runner begins
 * where the first ended in a call. The marker goes on while the runner does, step by step, and a
 * reader looks while others sweep: more than a world that stands still may show. One step stands for
 * one store: an order of two steps is what a release and an acquire give.
 *
 * Invariant: an object is not freed before its call has returned; each call is made once; none is
 * forgotten; entries at or above a count are zero; what is below the count a marker has read was
 * complete.
 *
 * Broken: COUNT_FIRST   an entry is counted before it is complete
 * Broken: CLEAR_LATE    the count falls before the entry is cleared
 * Broken: CLEAR_EARLY   an entry is cleared before its call
 * Broken: NO_CLEAR      an entry is not cleared
 * Broken: KEEPS_FN      an entry does not say that its call has begun
 * Broken: NO_LAST_LOOK  the runner parks without looking at the queue once more
 * Broken: NO_BELL       who queues does not wake the runner
 * Broken: WAKES_TWICE   who wakes the runner does not say that it has been woken
 * Broken: NO_KEEP       an object is queued and freed all the same
 * Broken: MARKS_QUEUE   the marker does not look at the blocks that the runner has taken
 */
#define OBJECTS 3
#define BLOCKS 3
#define ENTRIES 2
#define NONE 255
#define AT(b, i) (ENTRIES * (b) + (i))

bool marked[OBJECTS], freed[OBJECTS], armed[OBJECTS] = true; /* armed: has a finalizer */
byte begun[OBJECTS];      /* calls */
bool returned[OBJECTS];

byte fn[6], obj[6];       /* of an entry: the object's number + 1; 0 */
byte count[BLOCKS];
byte owner[BLOCKS];       /* 0 spare, 1 queue, 2 running */
bool lock, parked, woken;
byte runners;             /* how many have ended */
byte all_over;            /* calls that are through or will never be */

inline acquire() { atomic { !lock -> lock = true } }
inline release() { lock = false }

inline complete_entry(at, o)
{
	fn[at] = o + 1;
	obj[at] = o + 1
}

/* Lock held: o into a block of the queue that has room, or a spare one. */
inline enqueue(o)
{
	d_step {
		b = 0;
		do
		:: b < BLOCKS && owner[b] == 1 && count[b] < ENTRIES -> break
		:: b < BLOCKS && !(owner[b] == 1 && count[b] < ENTRIES) -> b++
		:: else -> break
		od;
		if
		:: b == BLOCKS ->
			b = 0;
			do
			:: b < BLOCKS && owner[b] != 0 -> b++
			:: else -> break
			od;
			assert(b < BLOCKS);
			owner[b] = 1
		:: else
		fi
	};
#ifdef COUNT_FIRST
	count[b]++;
	complete_entry(AT(b, count[b] - 1), o)
#else
	complete_entry(AT(b, count[b]), o);
	count[b]++
#endif
}

inline found(o)
{
	if
	:: marks -> marked[o] = true
	:: else
	fi
}

inline mark_entry(b, i)
{
	if
	:: n > i ->
		d_step {
			if
			:: obj[AT(b, i)] != 0 -> found(obj[AT(b, i)] - 1)
			:: else ->
				/* Its call has returned, or it is no longer below the count. */
				assert(count[b] <= i || (owner[b] == 2 && fn[AT(b, i)] == 0))
			fi
		}
	:: else
	fi
}

inline mark_block(b)
{
	n = count[b];
#ifdef MARKS_QUEUE
	if
	:: owner[b] == 2 -> n = 0
	:: else
	fi;
#endif
	mark_entry(b, 0);
	mark_entry(b, 1)
}

/* Objects are found dead one after the other, so that queueing meets the runner at its work. */
inline sweep(o)
{
	if
	:: !marked[o] && armed[o] && !freed[o] && o < cycle ->
		acquire();
		armed[o] = false;
		enqueue(o);
#ifdef NO_KEEP
		freed[o] = true;
#endif
		release()
	:: !marked[o] && !armed[o] && !freed[o] ->
		assert(returned[o]);
		freed[o] = true
	:: else
	fi
}

inline wake()
{
#ifndef NO_BELL
	acquire();
	if
	:: parked ->
#ifndef WAKES_TWICE
		parked = false;
#endif
		assert(!woken);
		woken = true
	:: else
	fi;
	release();
#endif
	skip
}

proctype collector()
{
	byte b, n, cycle = 1;
	bool marks = true;
	do
	:: cycle <= OBJECTS ->
		d_step { marked[0] = false; marked[1] = false; marked[2] = false };
		mark_block(0);
		mark_block(1);
		mark_block(2);
		sweep(0);
		sweep(1);
		sweep(2);
		wake();
		cycle++
	:: else -> break
	od;
	/* What was queued is run in the end: or this never ends. */
	all_over == OBJECTS;
	assert(begun[0] == 1 && begun[1] == 1 && begun[2] == 1)
}

/* Looks at all that is queued while the other sweeps and queues: what a concurrent mark may do. */
proctype reader()
{
	byte n;
	bool marks = false;
	mark_block(0);
	mark_block(1);
	mark_block(2);
	mark_block(0)
}

/* A call of the object in the entry; the first runner may never come back from object 1's. */
inline call(o)
{
	assert(!freed[o]);
	begun[o]++;
	assert(begun[o] == 1);
	if
	:: o == 1 && runners == 0 -> runners++; all_over++; returned[o] = true; goto ended
	:: else -> assert(!freed[o]); returned[o] = true; all_over++
	fi
}

inline clear(at)
{
#ifndef NO_CLEAR
	obj[at] = 0;
#endif
	skip
}

/* The last of the block. */
inline run_entry()
{
	at = AT(mine, count[mine] - 1);
	o = fn[at];
	assert(o != 0 || obj[at] != 0);
#ifndef KEEPS_FN
	fn[at] = 0;
#endif
#ifdef CLEAR_EARLY
	clear(at);
#endif
	if
	:: o != 0 -> call(o - 1)
	:: else
	fi;
#ifdef KEEPS_FN
	fn[at] = 0;
#endif
#ifdef CLEAR_LATE
	count[mine]--;
	assert(obj[at] == 0);
	clear(at)
#else
	clear(at);
	count[mine]--;
	assert(obj[at] == 0)
#endif
}

inline runner_body()
{
	do
	:: mine != NONE && count[mine] > 0 -> run_entry()
	:: mine != NONE && count[mine] == 0 ->
		acquire();
		owner[mine] = 0;
		mine = NONE;
		release()
	:: mine == NONE ->
		acquire();
		d_step {
			/* What an earlier runner had taken first. */
			mine = (owner[0] == 2 -> 0 : (owner[1] == 2 -> 1 : (owner[2] == 2 -> 2 :
				(owner[0] == 1 -> 0 : (owner[1] == 1 -> 1 : (owner[2] == 1 -> 2 : NONE))))));
			if
			:: mine != NONE -> owner[mine] = 2
			:: else
			fi
		};
		release();
		if
		:: mine == NONE ->
			acquire();
#ifdef NO_LAST_LOOK
			parked = true;
#else
			parked = owner[0] != 1 && owner[1] != 1 && owner[2] != 1;
#endif
			if
			:: parked ->
				release();
end_parked:			woken;
				woken = false
			:: else -> release()
			fi
		:: else
		fi
	od
}

proctype second_runner()
{
	byte mine = NONE, o, at;
	runner_body();
ended:	skip
}

proctype runner()
{
	byte mine = NONE, o, at;
	runner_body();
ended:	run second_runner()
}

init
{
	atomic {
		run runner();
		run collector();
		run reader()
	}
}
