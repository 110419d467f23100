// SPDX-License-Identifier: BSD-3-Clause
// The core of signals, with the test as its receiver.
#include "harness.h"
#include "signal/signal.h"

// A ring that comes while the receiver is awake keeps it from sleeping: what it has looked at
// meanwhile may be older. A ring that is lost would let it sleep for ever.
void
test_signal_rings_are_heard(void)
{
	signal_ring();
	expect_eq(signal_recv(), 0);
	signal_ring();
	signal_ring();
	expect_eq(signal_recv(), 0);
}
