#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Maps in a program under clang's MemorySanitizer: keys with bytes that were never set are reported
# where the map is given them, and a right program is not accused of what the library writes.
set -uo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
echo 'int main(void){return 0;}' >"$dir/none.c"
clang -fsanitize=memory "$dir/none.c" -o "$dir/none" 2>/dev/null && "$dir/none" || exit 77
passed=0 failed=0

cat >"$dir/maps.c" <<'END_C'
#include <stdio.h>
#include <sanitizer/msan_interface.h>
#include <stdlib.h>
#include <undergo.h>
#include <undergo/map.h>

struct padded {
	char c;
	int x;
};

typedef GO_MAP(uint32_t, uint32_t) Halves;
typedef GO_MAP(uint64_t, struct padded) Words;
typedef GO_MAP(const char *, int) Texts;
typedef GO_MAP(go_bytes, int) Bytes;
typedef GO_MAP(struct padded, int) Structs;
typedef GO_MAP(long double, int) Longs;

static Halves halves;
static Words words;
static Texts texts;
static Bytes bytes;
static Structs structs;
static Longs longs;

static struct padded
whole(int i)
{
	struct padded p;
	memset(&p, 0, sizeof(p));
	p.x = i;
	return p;
}

// Elements have padding that is never set; where they lay others come to lie.
static void
fill(int from, int to)
{
	for (int i = from; i < to; i++) {
		struct padded p = {.c = 1, .x = i};
		char *text = malloc(16);
		snprintf(text, 16, "%d", i);
		go_map_put(words, (uint64_t)i, p);
		go_map_put(halves, (uint32_t)i, (uint32_t)i);
		go_map_put(texts, text, i);
		go_map_put(structs, whole(i), i);
		go_map_put(longs, i / 10.0L, i);
	}
}

static int
right(void)
{
	long n = 0;
	fill(0, 3000);
	for (uint64_t i = 0; i < 2990; i++)
		go_map_del(words, i);
	for (uint32_t i = 0; i < 2990; i++)
		go_map_del(halves, i);
	uint32_t *unset = malloc(sizeof(*unset)); // where it was there is 0 later
	Halves few;
	go_map_init(few, 0);
	*go_map_at(few, 7) = *unset;
	go_map_del(few, 7);
	if (__msan_test_shadow(go_map_at(few, 7), sizeof(uint32_t)) >= 0)
		return 1;
	go_gc();
	fill(3000, 6000);
	go_map_each (words, it)
		n += it.elem->x > 0 && *it.key > 5;
	go_map_each (halves, it)
		n += *it.elem == *it.key;
	go_map_each (texts, it)
		n += (*it.key)[0] == '5';
	go_map_each (structs, it)
		n += it.key->x == *it.elem;
	go_map_each (longs, it)
		n += *it.key * 10 >= 0;
	for (uint32_t i = 10000; i < 20000; i++) // new ones are zero
		n += (*go_map_at(halves, i) += 1) == 1;
	n += go_map_get(texts, "77") == 77;
	n += go_map_has(bytes, ((go_bytes){"abc", 3}));
	return n > 0 ? 0 : 1;
}

static int
body(void *name)
{
	const char *use = name;
	struct padded *unset = malloc(64), half;
	half.c = 1;
	half.x = 1;
	go_map_init(halves, 0);
	go_map_init(words, 0);
	go_map_init(texts, 0);
	go_map_init(bytes, 0);
	go_map_init(structs, 0);
	go_map_init(longs, 0);
	if (strcmp(use, "right") == 0)
		return right();
	if (strcmp(use, "get_32") == 0)
		(void)go_map_has(halves, *(uint32_t *)unset);
	else if (strcmp(use, "put_32") == 0)
		go_map_put(halves, *(uint32_t *)unset, 1);
	else if (strcmp(use, "del_32") == 0)
		go_map_del(halves, *(uint32_t *)unset);
	else if (strcmp(use, "get_64") == 0)
		(void)go_map_has(words, *(uint64_t *)unset);
	else if (strcmp(use, "put_64") == 0)
		(void)go_map_at(words, *(uint64_t *)unset);
	else if (strcmp(use, "del_64") == 0)
		go_map_del(words, *(uint64_t *)unset);
	else if (strcmp(use, "bytes") == 0)
		(void)go_map_has(bytes, ((go_bytes){unset, 5}));
	else if (strcmp(use, "long") == 0)
		(void)go_map_has(longs, *(long double *)unset);
	else if (strcmp(use, "get_padding") == 0)
		(void)go_map_has(structs, half);
	else if (strcmp(use, "put_padding") == 0)
		go_map_put(structs, half, 1);
	else if (strcmp(use, "raw") == 0)
		(void)go_map_raw_get(GO_MAP_TYPE_OF(structs), structs.map, unset);
	else
		return 1;
	return 0;
}

int
main(int argc, char **argv)
{
	return argc == 2 ? go_run(body, argv[1]) : 1;
}
END_C
clang -g -O1 -fsanitize=memory -Iinclude "$dir/maps.c" "$UNDERGO_BUILD/libundergo.a" \
	-o "$dir/maps" -pthread -ldl -lm || exit 1

judge()
{
	if [ "$2" = "$3" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAIL $1: exit status $2, not $3"
		tail -n 15 "$dir/out"
	fi
}

"$dir/maps" right >"$dir/out" 2>&1
judge right $? 0
for use in get_32 put_32 del_32 get_64 put_64 del_64 bytes long get_padding put_padding raw; do
	MSAN_OPTIONS=exit_code=77,symbolize=0 "$dir/maps" "$use" >"$dir/out" 2>&1
	judge "$use" $? 77
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
