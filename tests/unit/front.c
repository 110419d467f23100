// SPDX-License-Identifier: BSD-3-Clause
// The size classes that the fronts of the Go face work out by themselves are those of the heap.
#include "gccgo/front/size.h"

#include "goroutines.h"
#include "mem/heap.h"

GO_TEST(front_sizes, 1)
{
	expect(go_alloc(1) != NULL); // the tables are filled with the first object
	for (size_t n = SLOT_MIN; n <= FRONT_MADE_MOST; n++) {
		expect_eq(front_class(n), size_class(n));
		expect_eq(front_slot(n), class_size[front_class(n)]);
	}
}
