/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Walking the Ps without a P while GOMAXPROCS changes (src/sched/procs.c).
 *
 * Modelled: a resizer, alone at a time because it has stopped the world, that changes the number of
 * Ps up and down; and a reader without a P, whom no stop of the world waits for. The reader loads the
 * count, then the array, and walks slots [0, count). Arrays grow by doubling: the resizer copies the
 * old array into a new one, publishes it, fills the new slots, and publishes the count last. Old
 * arrays are never freed, slots of Ps that go away stay filled.
 *
 * Invariant: the reader never touches a slot beyond the array it holds, nor one that is not filled,
 * nor a freed array.
 *
 * Broken: COUNT_FIRST  the count is published before the array
 * Broken: FREE_OLD     the old array is freed when the new one is published
 * Broken: CLEAR_SLOTS  slots of Ps that go away are emptied
 * Broken: ARRAY_FIRST  the reader loads the array before the count
 * Broken: FILL_LATE    the count is published before the new slots are filled
 */
#define ARRAYS 3
#define MAX 4

byte capacity[ARRAYS];      /* 1, 2, 4 */
bool filled[12];            /* slot i of array a is a * MAX + i */
bool freed[ARRAYS];
byte n = 1, arr;

inline look(a, i)
{
	assert(!freed[a]);
	assert(i < capacity[a]);
	assert(filled[a * MAX + i])
}

proctype resizer()
{
	byte to, fresh, i, turns;
	do
	:: turns < 3 ->
		turns++;
		select(to : 1 .. MAX);
		fresh = arr;
		do
		:: capacity[fresh] < to -> fresh++; capacity[fresh] = 2 * capacity[fresh - 1]
		:: else -> break
		od;
#ifdef COUNT_FIRST
		n = to;
#endif
		if
		:: fresh != arr ->
			i = 0;
			do
			:: i < capacity[arr] -> filled[fresh * MAX + i] = filled[arr * MAX + i]; i++
			:: else -> break
			od;
#ifdef FREE_OLD
			freed[arr] = true;
#endif
			arr = fresh
		:: else
		fi;
#ifdef FILL_LATE
		n = to;
#endif
#ifdef CLEAR_SLOTS
		i = to;
		do
		:: i < capacity[arr] -> filled[arr * MAX + i] = false; i++
		:: else -> break
		od;
#endif
		i = 0;
		do
		:: i < to -> filled[arr * MAX + i] = true; i++
		:: else -> break
		od;
		i = 0;
		n = to
	:: else -> break
	od
}

proctype reader()
{
	byte count, a, i, turns;
	do
	:: turns < 2 ->
		turns++;
#ifdef ARRAY_FIRST
		a = arr;
		count = n;
#else
		count = n;
		a = arr;
#endif
		i = 0;
		do
		:: i < count -> look(a, i); i++
		:: else -> break
		od
	:: else -> break
	od
}

init
{
	atomic {
		capacity[0] = 1;
		filled[0] = true;
		run resizer();
		run reader()
	}
}
