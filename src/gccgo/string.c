// SPDX-License-Identifier: BSD-3-Clause
// Strings: joining, comparing, and converting to and from slices of bytes and runes.
//
// Buffers that the compiler gives are on the stack, for results that do not leave the function.
#include "gccgo/gccgo.h"
#include "gccgo/kept.h"

enum {
	BUF_BYTES = 32,
	BUF_RUNES = 32,
	RUNE_ERROR = 0xfffd,
	RUNE_MAX = 0x10ffff,
	SURROGATE_MIN = 0xd800,
	SURROGATE_MAX = 0xdfff,
};

// --- for C ---------------------------------------------------------------------------------------

String
string_of(const char *text, size_t n)
{
	char *p = go_make_bytes(n);
	memcpy(p, text, n);
	return (String){p, (Int)n};
}

String
string_c(const char *text)
{
	return string_of(text, strlen(text));
}

char *
string_to_c(String s)
{
	char *p = go_make_bytes((size_t)s.n + 1);
	memcpy(p, s.p, (size_t)s.n);
	return p;
}

// --- joining and comparing -----------------------------------------------------------------------

static String
join(char *p, size_t sum, const String *a, Int n)
{
	char *at = p;
	for (Int i = 0; i < n; i++) {
		memcpy(at, a[i].p, (size_t)a[i].n);
		at += a[i].n;
	}
	return (String){p, (Int)sum};
}

typedef String Join(size_t sum, const String *a, Int n);

static String
rest_join(const Kept *k)
{
	size_t sum = k->arg[0];
	return join(go_bytes_from(sum, k), sum, (const String *)k->arg[1], (Int)k->arg[2]);
}

// Always a copy, even of one string alone: the compiler hands over the bytes of a slice, uncopied,
// where the program says string(b) within a sum.
GOFUNC("runtime.concatstrings", String, rt_concatstrings, (char *buf, const String *a, Int n))
{
	size_t sum = 0;
	for (Int i = 0; i < n; i++)
		if (__builtin_add_overflow(sum, (size_t)a[i].n, &sum))
			fatal("string concatenation too long");
	if (sum == 0)
		return (String){NULL, 0};
	char *p = buf != NULL && sum <= BUF_BYTES ? buf : go_try_bytes(sum);
	if (unlikely(p == NULL))
		return GO_KEPT(Join, rest_join, sum, a, n);
	return join(p, sum, a, n);
}

GOFUNC("runtime.cmpstring", Int, rt_cmpstring, (String a, String b))
{
	Int n = a.n < b.n ? a.n : b.n;
	int by = n > 0 ? memcmp(a.p, b.p, (size_t)n) : 0;
	if (by != 0)
		return by < 0 ? -1 : 1;
	return a.n < b.n ? -1 : a.n > b.n;
}

// --- bytes ---------------------------------------------------------------------------------------

typedef String CopyText(const char *p, Int n);
typedef Slice *CopyBytes(Slice *out, const char *p, Int n);

static String
rest_text(const Kept *k)
{
	char *to = go_bytes_from(k->arg[1], k);
	memcpy(to, (const char *)k->arg[0], k->arg[1]);
	return (String){to, (Int)k->arg[1]};
}

GOFUNC("runtime.slicebytetostring", String, rt_slicebytetostring, (char *buf, const char *p, Int n))
{
	if (n == 0)
		return (String){NULL, 0};
	char *to = buf != NULL && n <= BUF_BYTES ? buf : go_try_bytes((size_t)n);
	if (unlikely(to == NULL))
		return GO_KEPT(CopyText, rest_text, p, n);
	memcpy(to, p, (size_t)n);
	return (String){to, n};
}

static Slice *
rest_copy(const Kept *k)
{
	Slice *out = (Slice *)k->arg[0];
	Int n = (Int)k->arg[2];
	*out = (Slice){go_bytes_from((size_t)n, k), n, n};
	memcpy(out->p, (const char *)k->arg[1], (size_t)n);
	return out;
}

// In Go it returns the Slice.
GOFUNC("runtime.stringtoslicebyte", Slice *, rt_stringtoslicebyte,
       (Slice *out, char *buf, String s))
{
	char *to = buf;
	Int cap = BUF_BYTES;
	if (buf != NULL && s.n <= BUF_BYTES) {
		memset(buf + s.n, 0, (size_t)(BUF_BYTES - s.n));
	} else {
		cap = s.n;
		to = go_try_bytes((size_t)s.n);
		if (unlikely(to == NULL))
			return GO_KEPT(CopyBytes, rest_copy, out, s.p, s.n);
	}
	memcpy(to, s.p, (size_t)s.n);
	*out = (Slice){to, s.n, cap};
	return out;
}

// --- runes ---------------------------------------------------------------------------------------

size_t
string_put_rune(char to[RUNE_BYTES], int64_t rune)
{
	uint32_t r = (uint32_t)rune;
	if (rune < 0 || rune > RUNE_MAX || (rune >= SURROGATE_MIN && rune <= SURROGATE_MAX))
		r = RUNE_ERROR;
	if (r < 0x80) {
		to[0] = (char)r;
		return 1;
	}
	if (r < 0x800) {
		to[0] = (char)(0xc0 | r >> 6);
		to[1] = (char)(0x80 | (r & 0x3f));
		return 2;
	}
	if (r < 0x10000) {
		to[0] = (char)(0xe0 | r >> 12);
		to[1] = (char)(0x80 | (r >> 6 & 0x3f));
		to[2] = (char)(0x80 | (r & 0x3f));
		return 3;
	}
	to[0] = (char)(0xf0 | r >> 18);
	to[1] = (char)(0x80 | (r >> 12 & 0x3f));
	to[2] = (char)(0x80 | (r >> 6 & 0x3f));
	to[3] = (char)(0x80 | (r & 0x3f));
	return 4;
}

// The rune at p, of n bytes, n > 0; its length in *len. What is none is RUNE_ERROR, of one byte.
static int32_t
decode(const uint8_t *p, Int n, Int *len)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	uint8_t b = p[0];
	*len = 1;
	if (b < 0x80)
		return b;
	Int want = b >= 0xf0 ? 4 : b >= 0xe0 ? 3 : 2;
	if (b < 0xc2 || b > 0xf4 || n < want)
		return RUNE_ERROR;
	uint32_t r = b & (0x7fu >> want);
	for (Int i = 1; i < want; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return RUNE_ERROR;
		r = r << 6 | (p[i] & 0x3fu);
	}
	if (r < least[want] || r > RUNE_MAX || (r >= SURROGATE_MIN && r <= SURROGATE_MAX))
		return RUNE_ERROR;
	*len = want;
	return (int32_t)r;
}

typedef struct RuneAt {
	int32_t rune;
	Int next;
} RuneAt;

GOFUNC("runtime.decoderune", RuneAt, rt_decoderune, (String s, Int k))
{
	Int len;
	int32_t r = decode((const uint8_t *)s.p + k, s.n - k, &len);
	return (RuneAt){r, k + len};
}

typedef String RuneText(int64_t rune);

static String
rest_rune(const Kept *k)
{
	char text[RUNE_BYTES];
	size_t n = string_put_rune(text, (int64_t)k->arg[0]);
	char *to = go_bytes_from(n, k);
	memcpy(to, text, n);
	return (String){to, (Int)n};
}

GOFUNC("runtime.intstring", String, rt_intstring, (char *buf, int64_t rune))
{
	char text[RUNE_BYTES];
	size_t n = string_put_rune(text, rune);
	char *to = buf != NULL ? buf : go_try_bytes(n);
	if (unlikely(to == NULL))
		return GO_KEPT(RuneText, rest_rune, rune);
	memcpy(to, text, n);
	return (String){to, (Int)n};
}

static void
decode_all(int32_t *to, String s)
{
	Int at = 0, len;
	for (Int i = 0; i < s.n; i += len)
		to[at++] = decode((const uint8_t *)s.p + i, s.n - i, &len);
}

typedef Slice *DecodeAll(Slice *out, const char *p, Int bytes, Int runes);

static Slice *
rest_decode(const Kept *k)
{
	Slice *out = (Slice *)k->arg[0];
	Int n = (Int)k->arg[3];
	*out = (Slice){go_bytes_from((size_t)n * sizeof(int32_t), k), n, n};
	decode_all(out->p, (String){(const char *)k->arg[1], (Int)k->arg[2]});
	return out;
}

// In Go it returns the Slice.
GOFUNC("runtime.stringtoslicerune", Slice *, rt_stringtoslicerune,
       (Slice *out, int32_t *buf, String s))
{
	Int n = 0, len;
	for (Int i = 0; i < s.n; i += len, n++)
		(void)decode((const uint8_t *)s.p + i, s.n - i, &len);
	int32_t *to = buf;
	Int cap = BUF_RUNES;
	if (buf != NULL && n <= BUF_RUNES) {
		memset(buf, 0, BUF_RUNES * sizeof(*buf));
	} else {
		cap = n;
		to = go_try_bytes((size_t)n * sizeof(*to));
		if (unlikely(to == NULL))
			return GO_KEPT(DecodeAll, rest_decode, out, s.p, s.n, n);
	}
	decode_all(to, s);
	*out = (Slice){to, n, cap};
	return out;
}

static String
encode_all(char *to, size_t bytes, const int32_t *r, Int n)
{
	char text[RUNE_BYTES];
	char *at = to;
	for (Int i = 0; i < n; i++) {
		size_t len = string_put_rune(text, r[i]);
		memcpy(at, text, len);
		at += len;
	}
	return (String){to, (Int)bytes};
}

typedef String EncodeAll(size_t bytes, const int32_t *r, Int n);

static String
rest_encode(const Kept *k)
{
	char *to = go_bytes_from(k->arg[0], k);
	return encode_all(to, k->arg[0], (const int32_t *)k->arg[1], (Int)k->arg[2]);
}

GOFUNC("runtime.slicerunetostring", String, rt_slicerunetostring, (char *buf, Slice runes))
{
	const int32_t *r = runes.p;
	char text[RUNE_BYTES];
	size_t n = 0;
	for (Int i = 0; i < runes.len; i++)
		n += string_put_rune(text, r[i]);
	char *to = buf != NULL && n <= BUF_BYTES ? buf : go_try_bytes(n);
	if (unlikely(to == NULL))
		return GO_KEPT(EncodeAll, rest_encode, n, r, runes.len);
	return encode_all(to, n, r, runes.len);
}
