// SPDX-License-Identifier: BSD-3-Clause
// Failing and saying: how a schedule ends that failed, and what -v prints of each step.
#include "explore_engine.h"

#include <stdarg.h>
#include <stdio.h>

struct ExploreResult explore_result;
bool explore_tracing;

const char *
explore_location_name(int l)
{
	static char buf[4][96];
	static int turn;
	const char *s = S.loc[l].name;
	char *b = buf[turn = (turn + 1) & 3];
	snprintf(b, sizeof(buf[0]), "%s#%d", s != NULL ? s : "?", l);
	return b;
}

// "load_acq(&q->head)" is called q->head.
const char *
explore_name_of_text(const char *text)
{
	static char names[LOCATIONS + 1][64];
	const char *p = strchr(text, '(');
	p = p != NULL ? p + 1 : text;
	while (*p == '&' || *p == '(')
		p++;
	char *b = names[S.nlocs];
	snprintf(b, sizeof(names[0]), "%s", p);
	size_t n = strlen(b);
	if (n > 0 && b[n - 1] == ')')
		b[n - 1] = 0;
	return b;
}

void
explore_say(const char *fmt, ...)
{
	if (!explore_tracing)
		return;
	va_list ap;
	printf("%5d  %*sT%d  ", S.steps, S.running ? 4 * S.cur : 0, "", S.running ? S.cur : -1);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

void
explore_trace(const struct ExploreSite *site, int l, const char *fmt, ...)
{
	va_list ap;
	char what[160];
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	const char *base = strrchr(site->file, '/');
	explore_say("%-28s %s%s%s%s   %s:%d %s", site->text, l != 0 ? explore_location_name(l) : "",
		    l != 0 ? " " : "", what, site->drop != 0 ? " (weakened)" : "",
		    base != NULL ? base + 1 : site->file, site->line, site->func);
}

void
explore_fail(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	if (!S.failed)
		vsnprintf(explore_result.text, sizeof(explore_result.text), fmt, ap);
	va_end(ap);
	S.failed = true;
	if (explore_tracing)
		explore_say("FAILURE: %s", explore_result.text);
	if (!S.running)
		longjmp(S.alone, 1);
	explore_switch_to_main(&S.thread[S.cur]);
	__builtin_unreachable();
}

void
explore_outcome(unsigned n)
{
	S.outcome_bit |= UINT64_C(1) << n;
	if (explore_tracing)
		explore_say("outcome %u", n);
	if (((S.test->must | S.test->may) >> n & 1) == 0)
		explore_fail("outcome %u is forbidden", n);
}

// assert of the code under test.
__attribute__((noreturn)) void __assert_fail(const char *expr, const char *file, unsigned line,
					     const char *func);
__attribute__((noreturn)) void
__assert_fail(const char *expr, const char *file, unsigned line, const char *func)
{
	explore_fail("assert(%s) %s:%u %s", expr, file, line, func);
}
