/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef UNDERGO_MAP_H
#define UNDERGO_MAP_H

#include "heap.h"

typedef struct go_map go_map;
typedef struct go_map_type go_map_type;

/* How keys are compared and hashed. */
typedef enum go_map_key {
	GO_MAP_KEY_BYTES,  /* by all their bytes; no padding, no floating point */
	GO_MAP_KEY_32,     /* the same, of 4 bytes */
	GO_MAP_KEY_64,     /* the same, of 8 bytes */
	GO_MAP_KEY_STRING, /* a go_bytes, by what it points to */
	GO_MAP_KEY_FLOAT,  /* float: 0 and -0 are one key, a NaN is none but itself */
	GO_MAP_KEY_DOUBLE, /* double, the same */
	GO_MAP_KEY_CALLS   /* by the functions hash and equal */
} go_map_key;

enum {
	GO_MAP_KEY_RENEWED = 1,   /* assigning to an entry replaces its key, too */
	GO_MAP_KEY_UNEQUAL = 2,   /* a key may be unequal to itself */
	GO_MAP_HASH_PANICS = 4    /* hash must be called for empty maps, too */
};

struct go_map_type {
	uint32_t key_bytes;
	uint32_t elem_bytes;
	uint8_t key_align;
	uint8_t elem_align;
	uint8_t key_kind; /* go_map_key */
	uint8_t flags;    /* GO_MAP_KEY_RENEWED and so on */
	uint16_t key_mask;  /* bit i: word i of a key is a pointer */
	uint16_t elem_mask;
	const go_type *key_type;  /* of keys of more than 128 bytes; NULL: all words may be pointers */
	const go_type *elem_type;
	uint64_t (*hash)(const void *key, uint64_t seed, const go_map_type *t);
	bool (*equal)(const void *a, const void *b, const go_map_type *t);
};

typedef struct go_bytes {
	const void *p;
	size_t n;
} go_bytes;

typedef struct go_map_iter {
	const void *key;
	void *elem;
	uint64_t opaque[10];
} go_map_iter;

#endif
