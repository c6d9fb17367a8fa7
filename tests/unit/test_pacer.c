/*
 * The pacer against arithmetic: what leaves in a time, and in one go.
 */
#include "tests/unit/unit.h"

#include "daemon/core/pacer.h"
#include "tests/unit/seed.h"

#include <stdlib.h>

enum { MSS = 1400 };
#define MBIT UINT64_C(125000)

static unsigned seed;

static const uint64_t rates[] = {8 * 1024,   MBIT,        30 * MBIT,
				 499 * MBIT, 1000 * MBIT, 40000 * MBIT};

static void
quantum_is_a_millisecond_within_bounds(void **state)
{
	(void)state;
	assert_int_equal(pacer_quantum(8 * 1024, MSS), 2 * MSS);
	assert_int_equal(pacer_quantum(64 * MBIT, MSS), 8000);
	assert_int_equal(pacer_quantum(500 * MBIT, MSS), 16 * MSS);
	assert_int_equal(pacer_quantum(500 * MBIT + 1, MSS), 44 * MSS);
	assert_int_equal(pacer_quantum(UINT64_MAX, MSS), 44 * MSS);
}

static void
it_begins_full_and_an_idle_one_is_no_fuller(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rates); i++) {
		uint32_t quantum = pacer_quantum(rates[i], MSS);
		struct pacer p;

		pacer_init(&p, 77);
		assert_int_equal(pacer_next(&p, rates[i], MSS, 77), 77);
		assert_int_equal(pacer_allowance(&p, rates[i], MSS, 77), quantum);
		pacer_sent(&p, quantum);
		assert_int_equal(pacer_allowance(&p, rates[i], MSS, 77), 0);
		assert_int_equal(pacer_allowance(&p, rates[i], MSS, INT64_MAX),
				 quantum);
	}
}

/* Whoever asks when, and then sends all that is allowed, has the rate exactly. */
static void
the_rate_is_kept(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rates); i++) {
		const uint64_t rate = rates[i];
		uint64_t sent = 0, wanted = 4000 * (uint64_t)MSS;
		struct pacer p;
		ns_t now = 0;

		pacer_init(&p, now);
		while (sent < wanted) {
			uint32_t allowed = pacer_allowance(&p, rate, MSS, now);
			uint64_t most = pacer_quantum(rate, MSS) + MSS +
					(uint64_t)((double)now * (double)rate / 1e9);

			assert_true(allowed == 0 || allowed >= MSS);
			while (allowed >= MSS) {
				/* Not each of them is full. */
				uint32_t size = 1 + (uint32_t)rand_r(&seed) % MSS;

				pacer_sent(&p, size);
				sent += size;
				allowed -= size;
			}
			assert_true(sent <= most);
			now = max_ns(now, pacer_next(&p, rate, MSS, now));
		}
		/* All but what the bucket held at first. */
		assert_true((double)sent >= 0.999 * (double)now * (double)rate / 1e9);
	}
}

/* However often it is asked, nothing is lost to rounding. */
static void
asking_costs_nothing(void **state)
{
	struct pacer p;
	uint64_t sent = 0;

	(void)state;
	pacer_init(&p, 0);
	for (ns_t now = 0; now < 20 * NS_PER_SEC;
	     now += 9 * NS_PER_US + rand_r(&seed) % 999) {
		if (pacer_allowance(&p, 8 * 1024, MSS, now) > 0) {
			pacer_sent(&p, MSS);
			sent += MSS;
		}
	}
	assert_in_range(sent, 20 * 8 * 1024, 20 * 8 * 1024 + 3 * MSS);
}

static void
next_is_the_first_instant(void **state)
{
	(void)state;
	for (int i = 0; i < 5000; i++) {
		const uint64_t rate = rates[(size_t)i % ARRAY_LEN(rates)];
		struct pacer p, q;
		ns_t next, now = 1000;

		pacer_init(&p, now);
		for (int n = rand_r(&seed) % 60; n > 0; n--) {
			now += rand_r(&seed) % NS_PER_MS;
			if (pacer_allowance(&p, rate, MSS, now) > 0)
				pacer_sent(&p, MSS);
		}
		next = pacer_next(&p, rate, MSS, now);
		assert_true(next >= now);
		q = p;
		if (next > now)
			assert_int_equal(pacer_allowance(&q, rate, MSS, next - 1), 0);
		q = p;
		assert_true(pacer_allowance(&q, rate, MSS, next) >= MSS);
	}
}

/* A rate that changes, to nonsense too, leaves a pacer that works. */
static void
rates_change(void **state)
{
	struct pacer p;
	ns_t now = 0;

	(void)state;
	pacer_init(&p, now);
	for (int i = 0; i < 20000; i++) {
		uint64_t rate = (uint64_t)rand_r(&seed) << rand_r(&seed) % 34;
		uint32_t allowed;

		now += rand_r(&seed) % (1 << rand_r(&seed) % 30);
		allowed = pacer_allowance(&p, rate, MSS, now);
		assert_true(allowed <= pacer_quantum(rate, MSS));
		if (allowed > 0)
			pacer_sent(&p, allowed);
		assert_true(pacer_next(&p, rate, MSS, now) >= now);
	}
	now += 10 * NS_PER_SEC;
	assert_int_equal(pacer_allowance(&p, MBIT, MSS, now), 2 * MSS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quantum_is_a_millisecond_within_bounds),
		cmocka_unit_test(it_begins_full_and_an_idle_one_is_no_fuller),
		cmocka_unit_test(the_rate_is_kept),
		cmocka_unit_test(asking_costs_nothing),
		cmocka_unit_test(next_is_the_first_instant),
		cmocka_unit_test(rates_change),
	};

	seed = seed_choose();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
