// SPDX-License-Identifier: BSD-3-Clause
// The fault plan: makes chosen calls of os.h fail.
//
// UNDERGO_FAULT is a list of rules, kind:calls:error, separated by commas:
//
//   kind    a name of fault.def, or * for all
//   calls   3    the third call of that kind
//           3+   the third and all later ones
//           %3   every third
//           ~3   each with probability one in three, by base_seed
//           *    every one
//   error   a name of errno.h: ENOMEM, EAGAIN, ...
//
// The first rule that hits decides. An empty plan hits nothing, but calls are counted from then on
// (os_fault_count). How a call fails that has no way to: see the comments in fault.def.
//
// While no plan is set a call costs one predicted branch, in os_impl.h.
#include <errno.h>
#include <string.h>

#include "os/os_impl.h"

enum { RULES_MAX = 64 };

typedef enum When { WHEN_AT, WHEN_FROM, WHEN_EACH, WHEN_CHANCE } When;

typedef struct Rule {
	int kind; // FaultKind, or FAULT_COUNT for all
	When when;
	uint64_t n;
	int err; // negative
} Rule;

// The plan and the switch are written by os_init and tests only, while one thread runs.
bool os_fault_on;
static Rule rules[RULES_MAX];
static int rule_count;
static ATOMIC_U64 calls[FAULT_COUNT]; // count

static const char *const kind_names[] = {
#define FAULT(name) #name,
#include "os/fault.def"
#undef FAULT
};

static const struct {
	const char *name;
	int value;
} errors[] = {
#define E(name) {#name, name}
	E(E2BIG), E(EACCES), E(EAGAIN), E(EBADF), E(EBUSY), E(EEXIST), E(EFAULT), E(EFBIG),
	E(EINTR), E(EINVAL), E(EIO), E(EMFILE), E(ENFILE), E(ENOENT), E(ENOMEM), E(ENOSPC),
	E(ENOSYS), E(EPERM), E(EPIPE), E(ESRCH), E(ETIMEDOUT), E(ECONNABORTED),
	E(ECONNREFUSED), E(ECONNRESET), E(EHOSTUNREACH), E(EINPROGRESS), E(ENOBUFS),
	E(ECANCELED), E(EOPNOTSUPP),
#undef E
};

// --- calls --------------------------------------------------------------------------------------

static bool
hits(const Rule *r, FaultKind kind, uint64_t nth)
{
	if (r->kind != FAULT_COUNT && r->kind != (int)kind)
		return false;
	switch (r->when) {
	case WHEN_AT:
		return nth == r->n;
	case WHEN_FROM:
		return nth >= r->n;
	case WHEN_EACH:
		return nth % r->n == 0;
	case WHEN_CHANCE: // by the call's number: a replay of the calls replays the faults
		return base_mix(base_seed ^ base_mix(nth * FAULT_COUNT + kind)) % r->n == 0;
	}
	return false;
}

int
os_fault_slow(FaultKind kind)
{
	uint64_t nth = add_rlx(&calls[kind], 1) + 1; // order: count
	for (int i = 0; i < rule_count; i++)
		if (hits(&rules[i], kind, nth))
			return rules[i].err;
	return 0;
}

// FAULT_COUNT when there is none of that name.
static int
find_kind(const char *name, size_t n)
{
	int k = 0;
	while (k < FAULT_COUNT
	       && (strlen(kind_names[k]) != n || memcmp(kind_names[k], name, n) != 0))
		k++;
	return k;
}

uint64_t
os_fault_count(const char *kind)
{
	int k = find_kind(kind, strlen(kind));
	check(k < FAULT_COUNT, "os_fault_count: no such kind");
	return load_rlx(&calls[k]); // order: count
}

// --- the plan as text ---------------------------------------------------------------------------

// Each of these reads one part of a rule, [at, end), and is false when it makes no sense.
static bool
read_kind(const char *at, const char *end, Rule *r)
{
	size_t n = (size_t)(end - at);
	r->kind = find_kind(at, n);
	return r->kind < FAULT_COUNT || (n == 1 && *at == '*');
}

static bool
read_calls(const char *at, const char *end, Rule *r)
{
	r->when = WHEN_AT;
	r->n = 1;
	if (end - at == 1 && *at == '*') {
		r->when = WHEN_EACH;
		return true;
	}
	if (at < end && *at == '%') {
		r->when = WHEN_EACH;
		at++;
	} else if (at < end && *at == '~') {
		r->when = WHEN_CHANCE;
		at++;
	} else if (at < end && end[-1] == '+') {
		r->when = WHEN_FROM;
		end--;
	}
	if (at == end || end - at > 18)
		return false;
	for (r->n = 0; at < end; at++) {
		if (*at < '0' || *at > '9')
			return false;
		r->n = r->n * 10 + (uint64_t)(*at - '0');
	}
	return r->n > 0;
}

static bool
read_error(const char *at, const char *end, Rule *r)
{
	size_t n = (size_t)(end - at);
	for (size_t i = 0; i < countof(errors); i++)
		if (strlen(errors[i].name) == n && memcmp(errors[i].name, at, n) == 0) {
			r->err = -errors[i].value;
			return true;
		}
	return false;
}

static bool
read_rule(const char *at, const char *end, Rule *r)
{
	const char *first = memchr(at, ':', (size_t)(end - at));
	if (first == NULL)
		return false;
	const char *second = memchr(first + 1, ':', (size_t)(end - first - 1));
	return second != NULL && read_kind(at, first, r) && read_calls(first + 1, second, r)
	       && read_error(second + 1, end, r);
}

bool
os_fault_plan(const char *plan)
{
	Rule fresh[RULES_MAX];
	int n = 0;
	for (const char *at = plan; at != NULL && *at != '\0'; n++) {
		const char *end = at + strcspn(at, ",");
		if (n == RULES_MAX || !read_rule(at, end, &fresh[n]))
			return false;
		at = *end == ',' ? end + 1 : end;
	}
	memcpy(rules, fresh, (size_t)n * sizeof(rules[0]));
	rule_count = n;
	for (int k = 0; k < FAULT_COUNT; k++)
		store_rlx(&calls[k], 0); // order: count
	os_fault_on = plan != NULL;
	return true;
}
