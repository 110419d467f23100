// SPDX-License-Identifier: BSD-3-Clause
// Size classes: what they hold, and how much of a span is lost.
#include "mem/heap_impl.h"

#include "goroutines.h"

GO_TEST(size_of_classes, 1)
{
	expect(go_alloc(1) != NULL); // the tables are filled with the first object
	for (size_t n = 1; n <= SMALL_MAX; n++) {
		uint32_t class = size_class(n);
		expect(class_size[class] >= n);
		uint32_t go = size_class_go(n);
		expect(go < GO_SIZE_CLASSES && class_size[go] >= n);
		expect(go == 2 || class_size[go - 1] < n);
		bool table = n <= CLASS_TABLE_BYTES && class_size[go] > CLASS_TABLE_BYTES;
		expect_eq(class, table ? CLASS_TABLE : go);
	}
}

// What no slot has of a span is little, of a table's nothing.
GO_TEST(size_of_spans, 1)
{
	expect(go_alloc(1) != NULL);
	for (uint32_t class = CLASS_TINY; class < SIZE_CLASSES; class++) {
		size_t bytes = (size_t)class_pages[class] * HEAP_PAGE, size = class_size[class];
		expect(bytes >= size);
		expect(bytes % size <= bytes / 19);
	}
	expect_eq((size_t)class_pages[CLASS_TABLE] * HEAP_PAGE % CLASS_TABLE_BYTES, 0);
}
