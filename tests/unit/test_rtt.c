/*
 * Round-trip times against RFC 9002's formulas in floating point and against lists.
 */
#include "tests/unit/unit.h"

#include "daemon/core/rtt.h"
#include "tests/unit/seed.h"

#include <math.h>
#include <stdlib.h>

enum { SAMPLES = 4000 };

static unsigned seed;

static ns_t
draw(ns_t below)
{
	uint64_t v = (uint64_t)rand_r(&seed) << 31 ^ (uint64_t)rand_r(&seed);

	return (ns_t)(v % (uint64_t)below);
}

static void
nothing_is_known_at_first(void **state)
{
	struct rtt r = {0};

	(void)state;
	assert_int_equal(rtt_smoothed(&r), RTT_INITIAL);
	assert_int_equal(rtt_minimum(&r), RTT_INITIAL);
	assert_int_equal(rtt_queueing(&r), 0);
	/* RFC 9002, 6.2.2: about a second */
	assert_int_equal(rtt_pto(&r, 0) / NS_PER_MS, 999);
}

static void
assert_near(ns_t value, double wanted)
{
	if (fabs((double)value - wanted) > 100)
		fail_msg("%lld instead of %.0f", (long long)value, wanted);
}

static void
smoothing_is_the_rfcs(void **state)
{
	struct rtt r = {0};
	double srtt = 0, rttvar = 0;
	ns_t now = 0;

	(void)state;
	for (int i = 0; i < SAMPLES; i++) {
		ns_t latest = 20 * NS_PER_MS + draw(i % 500 < 250 ? 60 * NS_PER_MS : 1);
		ns_t delay = draw(3) == 0 ? draw(30 * NS_PER_MS) : 0;
		double adjusted = (double)latest;

		now += draw(20 * NS_PER_MS);
		rtt_sample(&r, latest, delay, now);
		if (i > 0 && latest >= rtt_minimum(&r) + delay)
			adjusted -= (double)delay;
		rttvar = i == 0 ? adjusted / 2
				: 0.75 * rttvar + 0.25 * fabs(srtt - adjusted);
		srtt = i == 0 ? adjusted : 0.875 * srtt + 0.125 * adjusted;
		assert_near(r.srtt, srtt);
		assert_near(r.rttvar, rttvar);
		assert_int_equal(r.latest, latest);
		assert_near(rtt_pto(&r, 7 * NS_PER_MS),
			    srtt + (rttvar > 250e3 ? 4 * rttvar : 1e6) + 7e6);
	}
}

/* Never 0, which would mean that nothing is known. */
static void
a_sample_is_at_least_1_ns(void **state)
{
	struct rtt r = {0};

	(void)state;
	for (int i = 0; i < 100; i++) {
		rtt_sample(&r, 0, 5 * NS_PER_MS, i);
		assert_int_equal(rtt_smoothed(&r), 1);
		assert_int_equal(rtt_minimum(&r), 1);
	}
	assert_int_equal(rtt_pto(&r, 0), 1 + NS_PER_MS);
}

/* The least since `from`. */
static ns_t
least(const struct rtt_min *list, int n, ns_t from)
{
	ns_t value = INT64_MAX;

	for (int i = n; i > 0 && list[i - 1].at >= from; i--)
		value = min_ns(value, list[i - 1].value);
	return value;
}

static void
minimum_is_that_of_the_window(void **state)
{
	static struct rtt_min list[SAMPLES];
	struct rtt r = {0};
	ns_t now = 0;
	bool moved = false;

	(void)state;
	for (int i = 0; i < SAMPLES; i++) {
		/* Sometimes the path becomes longer for good. */
		ns_t base = (20 + i / 500 % 2 * 30) * NS_PER_MS;
		ns_t step =
			draw(100) == 0 ? draw(2 * NS_PER_SEC) : draw(60 * NS_PER_MS);

		now += step;
		list[i] = (struct rtt_min){base + draw(20 * NS_PER_MS), now};
		rtt_sample(&r, list[i].value, 0, now);
		assert_true(rtt_minimum(&r) <=
			    least(list, i + 1, now - RTT_MIN_WINDOW));
		assert_true(rtt_minimum(&r) >=
			    least(list, i + 1, now - RTT_MIN_WINDOW * 3 / 2));
		moved |= rtt_minimum(&r) >= 50 * NS_PER_MS;
	}
	assert_true(moved);
	/* After a long silence only the new sample counts. */
	now += RTT_MIN_WINDOW * 3 / 2;
	rtt_sample(&r, 900 * NS_PER_MS, 0, now);
	assert_int_equal(rtt_minimum(&r), 900 * NS_PER_MS);
}

static void
queueing_is_what_the_way_takes_longer(void **state)
{
	static const uint32_t clocks[] = {0, 12345, UINT32_MAX - 30000, 0x80000000u};

	(void)state;
	for (size_t c = 0; c < ARRAY_LEN(clocks); c++) {
		struct rtt r = {0};
		ns_t now = draw(NS_PER_SEC * 10000);

		for (int i = 0; i < 400; i++) {
			ns_t queue = i < 200 ? 0 : 30 * NS_PER_MS;
			ns_t way = 25 * NS_PER_MS + queue;
			uint32_t at = clocks[c] + (uint32_t)((now + way) / NS_PER_US);

			rtt_sample(&r, 50 * NS_PER_MS + queue, 0, now + 2 * way);
			rtt_one_way(&r, now, at, now + 2 * way);
			if (i < 200)
				assert_true(rtt_queueing(&r) <= 2 * NS_PER_US);
			if (i > 250)
				assert_true(llabs(rtt_queueing(&r) - queue) <=
					    5 * NS_PER_US);
			now += 10 * NS_PER_MS;
		}
	}
}

/* Whatever a peer says, the queue is not longer than the round trip. */
static void
queueing_is_bounded(void **state)
{
	struct rtt r = {0};

	(void)state;
	for (int i = 0; i < SAMPLES; i++) {
		ns_t now = i * NS_PER_MS;

		rtt_sample(&r, 10 * NS_PER_MS, 0, now);
		rtt_one_way(&r, now - NS_PER_MS, (uint32_t)draw((ns_t)1 << 32), now);
		assert_true(rtt_queueing(&r) >= 0);
		assert_true(rtt_queueing(&r) <= 10 * NS_PER_MS);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_known_at_first),
		cmocka_unit_test(smoothing_is_the_rfcs),
		cmocka_unit_test(a_sample_is_at_least_1_ns),
		cmocka_unit_test(minimum_is_that_of_the_window),
		cmocka_unit_test(queueing_is_what_the_way_takes_longer),
		cmocka_unit_test(queueing_is_bounded),
	};

	seed = seed_choose();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
