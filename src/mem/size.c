// SPDX-License-Identifier: BSD-3-Clause
// Size classes: Go's, so that what Go rounds up to is the same here (size_class_go); and behind
// them one more, between two of these, of the size that tables of maps have.
//
// Class 1, of 8 bytes, has slots of 16, as the bits of a page are laid out for those: it is
// CLASS_TINY, and no size leads to it.
#include "mem/heap_impl.h"

const uint16_t class_size[SIZE_CLASSES] = {
	0,     16,    16,    24,    32,    48,    64,    80,    96,    112,   128,   144,
	160,   176,   192,   208,   224,   240,   256,   288,   320,   352,   384,   416,
	448,   480,   512,   576,   640,   704,   768,   896,   1024,  1152,  1280,  1408,
	1536,  1792,  2048,  2304,  2688,  3072,  3200,  3456,  4096,  4864,  5376,  6144,
	6528,  6784,  6912,  8192,  9472,  9728,  10240, 10880, 12288, 13568, 14336, 16384,
	18432, 19072, 20480, 21760, 24576, 27264, 28672, 32768, CLASS_TABLE_BYTES,
};

uint8_t class_of_8[SMALL_STEP_MAX / SMALL_STEP + 1];
uint8_t class_of_128[SMALL_MAX / LARGE_STEP + 1];
uint8_t class_pages[SIZE_CLASSES];

enum {
	SPAN_SLOTS = 16, // so many at least in a span, unless it becomes
	SPAN_PAGES = 8,  // so long, or as follows where that wastes less
	SPAN_PAGES_LEAST = 6,
	SPAN_PAGES_MOST = 15,
};
// Parts of a span: see waste_of.
enum { WASTE_MOST = 65536 / 8, WASTE_MATTERS = 65536 / 64 };

// Of so many pages: what part of them no slot has, in so many parts of 65536.
static uint32_t
waste_of(uint32_t size, uint32_t pages)
{
	uint64_t bytes = (uint64_t)pages * HEAP_PAGE;
	return (uint32_t)((bytes % size << 16) / bytes);
}

// How many pages a span of this class has: few, but enough that refilling is rare. Of large slots
// there are few in a span, and by a page more or less it may have a slot more, or waste none.
static uint32_t
pages_for(uint32_t size)
{
	for (uint32_t n = 1; n < SPAN_PAGES; n++)
		if (n * HEAP_PAGE / size >= SPAN_SLOTS && waste_of(size, n) <= WASTE_MOST)
			return n;
	uint32_t best = SPAN_PAGES;
	for (uint32_t n = SPAN_PAGES_LEAST; n <= SPAN_PAGES_MOST; n++)
		if (waste_of(size, n) + WASTE_MATTERS < waste_of(size, best))
			best = n;
	return best;
}

// The lowest class from `c` on that holds bytes.
static uint32_t
class_from(uint32_t c, size_t bytes)
{
	while (class_size[c] < bytes)
		c++;
	return c;
}

void
sizes_init(void)
{
	enum { FIRST = 2 };
	for (uint32_t i = 0, c = FIRST; i <= SMALL_STEP_MAX / SMALL_STEP; i++) {
		c = class_from(c, (size_t)i * SMALL_STEP);
		class_of_8[i] = (uint8_t)c;
	}
	for (uint32_t i = 0, c = FIRST; i <= SMALL_MAX / LARGE_STEP; i++) {
		size_t bytes = (size_t)i * LARGE_STEP;
		c = class_from(c, bytes);
		bool table = bytes <= CLASS_TABLE_BYTES && class_size[c] > CLASS_TABLE_BYTES;
		class_of_128[i] = table ? CLASS_TABLE : (uint8_t)c;
	}
	for (uint32_t c = CLASS_TINY; c < SIZE_CLASSES; c++)
		class_pages[c] = (uint8_t)pages_for(class_size[c]);
}
