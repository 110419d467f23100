/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Work published against the last spinner leaving (src/sched/find.c, idle.c).
 *
 * Modelled: one producer that runs on a P of its own and never looks for work; NP idle Ps; NM Ms,
 * all asleep at first, which look for work while they hold a P. Work lies in the producer's ring, so
 * only Ms that spin can find it. An M that runs work may return from it or run it for ever. Memory
 * is sequentially consistent: the fences of the protocol stand between its steps, and the schedule
 * explorer (tests/explore/x_idle.c) shows that they are needed. Where the runtime makes a new M
 * because none is idle, the model waits for one that is on its way to sleep. Atomic blocks with
 * several steps are critical sections of sched.lock, or one read-modify-write.
 *
 * Wake:      after work is queued, and fenced: if there is an idle P and nobody spins, become the one
 *            who wakes (n_spinning 0 -> 1). An M is resigning: recall it, which passes the count on.
 *            Else, locked: take an idle P and an M for it, spinning; no P left: take the count back.
 * M:         spins unless enough others do. Found work: leaves spinning, wakes another, runs.
 *            No work: locked: gives up the P, and perhaps resigns, unless another one does. Leaves
 *            spinning, fences, and looks at all queues once more, and whether it was recalled; if so:
 *            takes a P again and spins, or without a P takes back the count of who recalled it; else
 *            sleeps.
 *
 * Why an M that did not spin looks again as well: a producer wakes nobody while no P is idle, so the P
 * that such an M gives up may be the one the work needed, and no spinner need be about.
 *
 * Invariant: when nothing moves any more, there is no queued work beside an idle P, nobody is
 * counted as spinning, and every P is either idle or runs work.
 *
 * Broken: NO_RECHECK       Ms go to sleep without another look
 * Broken: RECHECK_FIRST    they look again before they give up the P and leave spinning
 * Broken: SPINNERS_RECHECK only Ms that leave spinning look again
 * Broken: NO_HANDOVER      an M that found work does not wake another one
 * Broken: WAKE_FIRST       the producer looks for an idle P before it queues the work
 * Broken: COUNT_LAST       a waker that finds no P takes its count back after it unlocks, while only
 *                          the spinner that brings the count to 0 looks again
 * Broken: RECALL_IGNORED   who is recalled takes the count back and goes to sleep
 * Broken: RECALL_UNCOUNTED who is recalled, and finds no P, leaves the count as it is
 */
#define NP 2
#define NM 3
#define ITEMS 3

byte resigning; /* 1: an M may be recalled, 2: it is */
byte work, npidle = NP, nspinning, nmidle = NM, busy;
bool idle[NM] = true; /* in the idle list of Ms */
bool token[NM];       /* its park note */

/* sched_wake_after_put */
inline wake_one(i)
{
	if
	:: npidle > 0 ->
		if
		:: atomic { nspinning == 0 -> nspinning = 1 };
			if
			:: atomic { resigning == 1 -> resigning = 2 }
#ifdef COUNT_LAST
			:: npidle == 0 -> nspinning--
#else
			:: atomic { npidle == 0 -> nspinning-- }
#endif
			:: atomic {
				npidle > 0 && nmidle > 0 ->
				npidle--;
				nmidle--;
				i = 0;
				do
				:: idle[i] -> break
				:: else -> i++
				od;
				idle[i] = false;
				token[i] = true;
				i = 0
			}
			fi
		:: nspinning > 0
		fi
	:: npidle == 0
	fi
}

active proctype producer()
{
	byte n, i;
#ifdef WAKE_FIRST
	bool wake;
#endif
	do
	:: n < ITEMS ->
#ifdef WAKE_FIRST
		atomic { wake = npidle > 0 && nspinning == 0 };
		work++;
		if
		:: wake -> wake_one(i)
		:: else
		fi;
#else
		work++;
		/* light fence */
		wake_one(i);
#endif
		n++
	:: else -> break
	od
}

active [NM] proctype M()
{
	byte me = _pid - 1;
	byte i;
	bool last, again, spinning, resigns, recalled;

asleep:
end_asleep:
	atomic { token[me] -> token[me] = false; spinning = true };
look:
	/* holds a P; may_spin: fewer than half of the busy Ps' Ms spin already */
	if
	:: spinning
	:: atomic { !spinning && 2 * nspinning < NP + 1 - npidle -> nspinning++; spinning = true }
	:: !spinning && 2 * nspinning >= NP + 1 - npidle
	fi;
	if
	:: atomic { spinning && work > 0 -> work--; busy++ };
		atomic { nspinning--; spinning = false };
#ifndef NO_HANDOVER
		/* light fence */
		wake_one(i);
#endif
		if
		:: true ->
end_runs:		false
		:: true -> busy--
		fi;
		goto look
	:: !spinning || work == 0
	fi;
#ifdef RECHECK_FIRST
	again = work > 0;
#endif
	atomic {
		if
		:: resigning == 0 -> resigning = 1; resigns = true
		:: true
		fi;
		npidle++
	};
	if
	:: spinning -> atomic { nspinning--; last = (nspinning == 0); spinning = false }
	:: else ->
#ifndef SPINNERS_RECHECK
		last = true
#endif
	fi;
	/* heavy fence */
#if !defined(NO_RECHECK) && !defined(RECHECK_FIRST)
	if
	:: last -> again = work > 0
	:: else
	fi;
#endif
	last = false;
	atomic {
		recalled = resigns && resigning == 2;
		if
		:: resigns -> resigning = 0; resigns = false
		:: else
		fi
	};
#ifdef RECALL_IGNORED
	if
	:: recalled -> atomic { recalled = false; nspinning-- }
	:: else
	fi;
#endif
	if
	:: again || recalled -> again = false;
		if
		:: atomic {
			npidle > 0 ->
			npidle--;
			if
			:: !recalled -> nspinning++
			:: else
			fi;
			recalled = false;
			spinning = true
		}; goto look
		:: atomic {
			npidle == 0 ->
			if
#ifndef RECALL_UNCOUNTED
			:: recalled -> nspinning--
#endif
			:: else
			fi;
			recalled = false
		}
		fi
	:: else
	fi;
	atomic { idle[me] = true; nmidle++ };
	goto asleep
}

active proctype judge()
{
	timeout ->
	assert(work == 0 || npidle == 0);
	assert(nspinning == 0);
	assert(npidle + busy == NP)
}
