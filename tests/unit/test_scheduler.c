/*
 * Which subflow carries the next packet: one question at a time.
 */
#include "tests/unit/unit.h"

#include "daemon/core/scheduler.h"

#define MS NS_PER_MS

enum { PACKET = 1472, BULK = 1 << 30, WINDOW = 16 * 1024 * 1024 };

static struct candidate
way(uint64_t mbit, ns_t delay, bool ready)
{
	return (struct candidate){
		.ready = ready,
		.room = true,
		.bandwidth = mbit * 125000,
		.delay = delay,
		.sigma = MS,
		.wait = ready ? 0 : MS,
	};
}

static int
pick(enum scheduler_kind kind, const struct candidate *c, size_t n, uint64_t backlog)
{
	const struct question q = {
		.at = c,
		.n = n,
		.bytes = PACKET,
		.backlog = backlog,
		.window_left = WINDOW,
	};

	return scheduler_pick(kind, &q);
}

static void
nobody_is_there(void **state)
{
	const struct candidate busy = way(50, 10 * MS, false);

	(void)state;
	for (int k = SCHEDULER_EARLIEST; k <= SCHEDULER_REDUNDANT; k++) {
		assert_int_equal(pick((enum scheduler_kind)k, NULL, 0, BULK),
				 SCHEDULER_WAIT);
		assert_int_equal(pick((enum scheduler_kind)k, &busy, 1, BULK),
				 SCHEDULER_WAIT);
	}
}

static void
the_earliest_arrival_wins(void **state)
{
	struct candidate c[2] = {way(50, 10 * MS, true), way(50, 60 * MS, true)};

	(void)state;
	assert_int_equal(pick(SCHEDULER_EARLIEST, c, 2, BULK), 0);
	c[0].queueing = 100 * MS;
	assert_int_equal(pick(SCHEDULER_EARLIEST, c, 2, BULK), 1);
	c[0] = way(1, 10 * MS, true); /* 12 ms for a packet, no more */
	assert_int_equal(pick(SCHEDULER_EARLIEST, c, 2, BULK), 0);
}

/* ECF: a slow one is worth it only while the fast ones have enough to do. */
static void
a_slow_one_helps_with_bulk_only(void **state)
{
	const struct candidate c[2] = {way(50, 10 * MS, false), way(50, 60 * MS, true)};

	(void)state;
	assert_int_equal(pick(SCHEDULER_EARLIEST, c, 2, BULK), 1);
	assert_int_equal(pick(SCHEDULER_EARLIEST, c, 2, 10000), SCHEDULER_WAIT);
	/* 50 ms of the fast one's rate is what decides. */
	assert_int_equal(pick(SCHEDULER_EARLIEST, c, 2, 250000), SCHEDULER_WAIT);
	assert_int_equal(pick(SCHEDULER_EARLIEST, c, 2, 450000), 1);
}

/* BLEST: nor when what the fast one brings meanwhile does not fit the window. */
static void
a_slow_one_must_not_fill_the_window(void **state)
{
	const struct candidate c[2] = {way(50, 10 * MS, false), way(50, 60 * MS, true)};
	struct question q = {.at = c, .n = 2, .bytes = PACKET, .backlog = BULK};

	(void)state;
	q.window_left = 100000;
	assert_int_equal(scheduler_pick(SCHEDULER_EARLIEST, &q), SCHEDULER_WAIT);
	q.window_left = 500000;
	assert_int_equal(scheduler_pick(SCHEDULER_EARLIEST, &q), 1);
}

static void
whoever_waited_waits_on_more_easily(void **state)
{
	const struct candidate c[2] = {way(50, 10 * MS, false), way(50, 60 * MS, true)};
	struct question q = {
		.at = c,
		.n = 2,
		.bytes = PACKET,
		.backlog = 360000,
		.window_left = WINDOW,
	};

	(void)state;
	assert_int_equal(scheduler_pick(SCHEDULER_EARLIEST, &q), 1);
	q.waited = true;
	assert_int_equal(scheduler_pick(SCHEDULER_EARLIEST, &q), SCHEDULER_WAIT);
}

static void
tiers_overflow_and_stand_by(void **state)
{
	struct candidate c[3] = {way(50, 10 * MS, true), way(50, 5 * MS, true),
				 way(50, 1 * MS, true)};

	(void)state;
	c[1].tier = TIER_SECONDARY;
	c[2].tier = TIER_BACKUP;
	for (int k = SCHEDULER_EARLIEST; k <= SCHEDULER_MINRTT; k++)
		assert_int_equal(pick((enum scheduler_kind)k, c, 3, BULK), 0);
	/* The first tier is full: the second helps, the backup does not. */
	c[0].ready = false;
	assert_int_equal(pick(SCHEDULER_MINRTT, c, 3, BULK), 1);
	c[1].ready = false;
	assert_int_equal(pick(SCHEDULER_MINRTT, c, 3, BULK), SCHEDULER_WAIT);
	/* Nobody else is left. */
	assert_int_equal(pick(SCHEDULER_EARLIEST, c + 2, 1, BULK), 0);
}

static void
others_choose_their_way(void **state)
{
	const struct candidate c[2] = {way(50, 10 * MS, false), way(50, 60 * MS, true)};

	(void)state;
	assert_int_equal(pick(SCHEDULER_MINRTT, c, 2, 100), 1);
	assert_int_equal(pick(SCHEDULER_LOWEST_LATENCY, c, 2, BULK), SCHEDULER_WAIT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_is_there),
		cmocka_unit_test(the_earliest_arrival_wins),
		cmocka_unit_test(a_slow_one_helps_with_bulk_only),
		cmocka_unit_test(a_slow_one_must_not_fill_the_window),
		cmocka_unit_test(whoever_waited_waits_on_more_easily),
		cmocka_unit_test(tiers_overflow_and_stand_by),
		cmocka_unit_test(others_choose_their_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
