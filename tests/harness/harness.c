// SPDX-License-Identifier: BSD-3-Clause
// The harness itself: a failed expectation fails, a DEATH is held to what was wanted, a seed that
// is given is the one used. Without this a broken harness would pass everything.
#include "harness.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

DEATH(harness_false)
{
	expect(1 + 1 == 3);
}

DEATH(harness_unequal)
{
	expect_eq(7, 8);
}

DEATH(harness_text)
{
	expect_str("a", NULL);
}

DEATH(harness_skips)
{
	skip("no reason");
}

DEATH(harness_prints)
{
	printf("%s\n", getenv("HARNESS_A") != NULL ? getenv("HARNESS_A") : "none");
	fprintf(stderr, "one two three\n");
	exit(3);
}

DEATH(harness_aborts)
{
	abort();
}

DEATH(harness_waits)
{
	for (;;)
		pause();
}

// Wants the wrong thing of a child that behaves, and must fail for it.
DEATH(harness_wrong_status)
{
	expect_death(harness_prints, .status = 4);
}

DEATH(harness_wrong_text)
{
	expect_death(harness_prints, .status = 3, .err_has = {"two", "one"});
}

DEATH(harness_too_long)
{
	expect_death(harness_waits, .limit_ms = 1, .status = 0);
}

DEATH(harness_seed)
{
	printf("%llu\n", (unsigned long long)test_seed());
}

void
test_harness_expects(void)
{
	int calls = 0;

	expect(++calls == 1);
	expect_eq(++calls, 2);
	expect_str("a", "a");
	expect_str(NULL, NULL);
	expect_eq(calls, 2);
	expect(test_scale(1) == 1);
	expect(test_slowness() >= 1);
	expect_death(harness_false, .status = 1, .err_has = {"harness.c", "1 + 1 == 3"});
	expect_death(harness_unequal, .status = 1, .err_has = {"7 == 8", "7\n", "8\n"});
	expect_death(harness_text, .status = 1, .err_has = {"(NULL)"});
	expect_death(harness_skips, .status = 77, .err = "skip: no reason\n");
}

void
test_harness_deaths(void)
{
	expect_death(harness_prints, .status = 3, .env = "HARNESS_A=1 HARNESS_B", .out = "1\n",
		     .err = "one", .err_has = {"two", "three"}, .err_lacks = {"four"});
	expect_death(harness_aborts, .signal = SIGABRT);
	expect_death(harness_waits, .signal = SIGTERM, .send = SIGTERM, .send_after_ms = 30);
	expect_death(harness_wrong_status, .status = 1, .err_has = {"exit status 3", ".status"});
	expect_death(harness_wrong_text, .status = 1, .err_has = {".err_has one"});
	expect_death(harness_too_long, .status = 1, .err_has = {".limit_ms"});
}

void
test_harness_seed_comes_back(void)
{
	uint64_t a = 5, b = 5;

	expect_death(harness_seed, .env = "UNDERGO_TEST_SEED=12345", .out = "12345\n",
		     .err = "seed: 12345\n");
	expect(test_rand(&a) == test_rand(&b));
	expect(a == b && test_rand(&a) != test_rand(&b) + 1);
}
