/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A thread of the program that was lent to the scheduler is given back (src/sched/lent.c).
 *
 * Modelled: the lent M; the main goroutine, which ends on another M and asks for the thread; a waker
 * with a P, who hands it to the lent M whenever that lies idle; the monitor, who takes the P from a
 * goroutine in user code once, which then has another, and goes on. The M runs one goroutine after
 * the other, each until it returns, for ever unless its P wants attention, or until it ends locked to
 * the thread, which spoils that. The M's stores to P.m go through a store buffer of one place: they
 * reach memory at any later moment, or when the M takes the lock. Everything else is sequentially
 * consistent; weaker processors are the schedule explorer's (tests/explore/x_locked.c).
 * Atomic blocks with several steps are critical sections of sched.lock, or one read-modify-write.
 *
 * lent_ends: locked: LENT_OVER; out of the idle list, or out of its sleep when spoilt, and then
 *            woken. Else attention for its P if it has one.
 * M:         stores P.m, with attention, reads lent; LENT_OVER: leaves. Attention: takes the lock,
 *            and once more. No work: locked: gives up the P; locked: lies down; reads lent, and sleeps
 *            unless LENT_OVER.
 *            A goroutine has ended locked: gives up the P; locked: reads lent, and sleeps spoilt.
 *            It is in user code, and has lost its P: locked: has another, which wants attention.
 *
 * Invariant: when nothing moves any more, the M has left, and it counts neither as idle nor as spoilt.
 * A P that was given to it is with it or has been given on: who leaves has none.
 *
 * Broken: NO_ATTENTION lent_ends leaves an M that runs to itself
 * Broken: NO_WAKE      it leaves one that sleeps to itself
 * Broken: WAKE_FIRST   it looks whether the M sleeps before it stores LENT_OVER
 * Broken: NO_REST_LOOK the M lies down without a look at lent
 * Broken: NO_OUT       a woken M stays in the idle list: a P may be handed to one that has left
 * Broken: SPOILT_BLIND a spoilt M sleeps without a look at lent
 * Broken: BLIND        the P that the M is handed wants no attention
 * Broken: REGAIN_BLIND the P that user code regains wants no attention
 * Broken: NO_LOCK      who heeds the attention takes no lock
 */
bool over;      /* lent is LENT_OVER */
bool idle;      /* the M is in the idle list: sched.lock */
bool spoilt;    /* M.lent_spoilt: sched.lock */
bool token;     /* its park note */
bool next_p;    /* a P comes with the token */
bool left;      /* the thread is the program's again */
bool attention; /* of the one P */
bool waiting;   /* the P is idle, or the waker has it */

bool pm;        /* P.m is the lent M, in memory */
bool buffered, buffer;

inline flush()
{
	if
	:: buffered -> pm = buffer; buffered = false
	:: else
	fi
}

inline store_pm(v)
{
	atomic { !buffered -> buffer = v; buffered = true }
}

active proctype memory()
{
end:	do
	:: atomic { buffered -> pm = buffer; buffered = false }
	od
}

active proctype M()
{
	bool has_p = true, revoked;
	atomic { pm = true; attention = true };

look:
	if
	:: over -> goto leave
	:: else
	fi;
	if
	:: !has_p -> goto lie_down
	:: atomic { has_p && attention -> attention = false }; goto attend
	:: has_p && !attention
	fi;
	if
	:: true -> goto runs
	:: true -> atomic { flush(); pm = false; has_p = false; waiting = true }; goto lie_down
	fi;

runs:
	if
	:: true -> goto look
	:: true ->
end_runs:	atomic { attention -> attention = false }; goto attend
	:: !revoked -> /* the P is lost, and its attention is another's */
		revoked = true;
		atomic { flush(); pm = false; attention = false };
		atomic {
			pm = true;
#ifdef REGAIN_BLIND
			attention = false
#else
			attention = true
#endif
		};
		goto runs
	:: true -> goto ends
	fi;

attend:
#ifndef NO_LOCK
	atomic { flush() };
#endif
	goto look;

lie_down:
	atomic { flush(); idle = true };
#ifndef NO_REST_LOOK
	if
	:: over -> /* a deadline that has passed */
		atomic {
			if
			:: idle -> idle = false; goto look_again
			:: else
			fi
		}
	:: else
	fi;
#endif
end_sleep:
	atomic { token -> token = false };
	if
	:: next_p -> next_p = false;
		has_p = true;
		store_pm(true);
#ifndef BLIND
		attention = true;
#endif
		goto look
	:: else
	fi;
look_again:
	goto look;

ends:
	atomic { flush(); pm = false; has_p = false; waiting = true };
	atomic {
		flush();
		token = false;
#ifdef SPOILT_BLIND
		spoilt = true
#else
		if
		:: over -> goto leave
		:: else -> spoilt = true
		fi
#endif
	};
end_spoilt:
	atomic { token -> token = false };
	goto leave;

leave:
	if
	:: has_p -> atomic { flush(); pm = false; has_p = false; waiting = true }
	:: else
	fi;
	left = true
}

active proctype lent_ends()
{
	bool sleeps;
#ifdef WAKE_FIRST
	sleeps = idle || spoilt;
#endif
	atomic {
		over = true;
#ifndef WAKE_FIRST
		sleeps = idle || spoilt;
#endif
#ifndef NO_OUT
		if
		:: sleeps -> idle = false; spoilt = false
		:: else
		fi
#endif
	};
	if
	:: sleeps ->
#ifndef NO_WAKE
		token = true
#endif
	:: else ->
#ifndef NO_ATTENTION
		if
		:: pm -> attention = true
		:: else
		fi
#endif
	fi
}

/* Who has work and an idle P. Others that have the P meanwhile heed its attention. */
active proctype waker()
{
end:	do
	:: atomic { waiting && idle -> idle = false; waiting = false; attention = false; next_p = true };
		token = true
	:: true -> break /* no more work */
	od
}

active proctype judge()
{
	timeout ->
	assert(left);
	assert(!idle && !spoilt);
	assert(!next_p)
}
