/*
 * The search for the packet size over a virtual path that drops what is too large.
 */
#include "tests/unit/unit.h"

#include "daemon/core/mtu.h"
#include "tests/unit/seed.h"

#include <stdlib.h>

#define RTT_NS   (30 * NS_PER_MS)
#define STEP     (5 * NS_PER_MS)
#define PATIENCE (60 * NS_PER_SEC) /* a search has ended by then */

static unsigned seed;

static const uint16_t paths[] = {1500, 1492, 1480, 1460, 1440,
				 1428, 1400, 1372, 1320, 1280};

struct path {
	struct mtu m;
	ns_t now;
	uint16_t size;    /* that passes */
	unsigned percent; /* lost at random */
	uint16_t headers;
	uint16_t unlucky;  /* the probe's size that chance took */
	unsigned in_a_row; /* so many times */
	bool misled;       /* as often as counts for too large */
	unsigned probes;
};

static void
path_init(struct path *p, uint16_t size, unsigned percent, bool ipv6)
{
	*p = (struct path){.size = size, .percent = percent, .headers = ipv6 ? 48 : 28};
	mtu_init(&p->m, ipv6, 0);
	assert_int_equal(mtu_payload(&p->m) + p->headers, MTU_BASE);
}

/* Whether a packet comes through. */
static bool
passes(const struct path *p, uint16_t payload)
{
	if (payload + p->headers > p->size)
		return false;
	return (unsigned)rand_r(&seed) % 100 >= p->percent;
}

/* A probe, if there is one to be sent, and its fate a round trip later. */
static void
step(struct path *p)
{
	uint16_t payload = mtu_probe(&p->m, p->now);

	assert_true((payload != 0) == (p->now >= mtu_deadline(&p->m)));
	if (payload != 0) {
		bool ok = passes(p, payload);
		uint16_t before = mtu_payload(&p->m);
		uint16_t size = payload + p->headers;

		assert_in_range(size, MTU_BASE, MTU_MAX);
		p->probes++;
		mtu_probe_sent(&p->m, payload, p->now);
		assert_int_equal(mtu_probe(&p->m, p->now + MTU_RAISE_AFTER), 0);
		p->now += RTT_NS;
		if (ok)
			assert_int_equal(mtu_acked(&p->m, payload, true, p->now),
					 payload != before);
		else
			mtu_lost(&p->m, payload, true, p->now);
		p->in_a_row = size != p->unlucky ? 0 : p->in_a_row;
		p->unlucky = size;
		p->in_a_row = ok || size > p->size ? 0 : p->in_a_row + 1;
		p->misled |= p->in_a_row >= MTU_PROBES && size > MTU_BASE;
		assert_true(mtu_payload(&p->m) + p->headers <= p->size);
	}
	p->now += STEP;
}

static void
run_until(struct path *p, ns_t end)
{
	while (p->now < end)
		step(p);
}

static void
every_size_is_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_LEN(paths); i++) {
		struct path p;

		path_init(&p, paths[i / 2], 0, i % 2 != 0);
		run_until(&p, 4 * NS_PER_SEC);
		assert_int_equal(mtu_payload(&p.m) + p.headers, p.size);
		assert_int_equal(p.m.state, MTU_STATE_COMPLETE);
		assert_true(p.probes <= 2 + MTU_PROBES * (ARRAY_LEN(paths) - 1));
	}
}

/* Sizes between those of the list are rounded down. */
static void
other_sizes_are_rounded_down(void **state)
{
	(void)state;
	for (uint16_t size = MTU_BASE; size <= MTU_MAX; size++) {
		struct path p;
		size_t i = 0;

		while (paths[i] > size)
			i++;
		path_init(&p, size, 0, false);
		run_until(&p, 4 * NS_PER_SEC);
		assert_int_equal(mtu_payload(&p.m) + p.headers, paths[i]);
	}
}

/* Three of one size taken by chance mislead it, until it tries again. */
static void
every_size_is_found_with_loss(void **state)
{
	unsigned misled = 0;

	(void)state;
	for (size_t i = 0; i < 300; i++) {
		struct path p;

		path_init(&p, paths[i % ARRAY_LEN(paths)], 5, false);
		run_until(&p, PATIENCE);
		for (int again = 0; p.misled && again < 10; again++) {
			misled++;
			p.misled = false;
			run_until(&p, p.now + MTU_RAISE_AFTER + PATIENCE);
		}
		assert_int_equal(mtu_payload(&p.m) + p.headers, p.size);
		assert_int_equal(p.m.state, MTU_STATE_COMPLETE);
	}
	assert_true(misled < 10);
}

static void
probes_keep_their_distance(void **state)
{
	struct path p;
	ns_t last_at = -MTU_PROBE_GAP;

	(void)state;
	path_init(&p, 1280, 0, false);
	while (p.now < 30 * NS_PER_SEC) {
		unsigned before = p.probes;
		ns_t at = p.now;

		step(&p);
		if (p.probes == before)
			continue;
		/* The first answer comes sooner than the gap ends, and starts the search. */
		assert_true(p.probes == 2 || at - last_at >= MTU_PROBE_GAP);
		last_at = at;
	}
	assert_int_equal(p.probes, 1 + MTU_PROBES * (ARRAY_LEN(paths) - 1));
}

/* Nothing comes through at first: that says nothing about sizes. */
static void
a_silent_path_is_not_a_narrow_one(void **state)
{
	struct path p;

	(void)state;
	path_init(&p, 0, 0, false);
	p.size = 1279;
	while (p.now < 60 * NS_PER_SEC) {
		uint16_t payload = mtu_probe(&p.m, p.now);

		if (payload != 0) {
			assert_int_equal(payload + p.headers, MTU_BASE);
			mtu_probe_sent(&p.m, payload, p.now);
			mtu_lost(&p.m, payload, true, p.now + RTT_NS);
			p.probes++;
		}
		assert_true(mtu_is_blocked(&p.m) == (p.probes >= MTU_PROBES));
		p.now += STEP;
	}
	assert_in_range(p.probes, 8, 20);
	p.size = 1500;
	run_until(&p, p.now + 10 * NS_PER_SEC);
	assert_int_equal(mtu_payload(&p.m) + p.headers, 1500);
	assert_false(mtu_is_blocked(&p.m));
}

static void
found(struct path *p, uint16_t size)
{
	path_init(p, size, 0, false);
	run_until(p, 4 * NS_PER_SEC);
	assert_int_equal(mtu_payload(&p->m) + p->headers, size);
}

static void
a_drop_is_noticed(void **state)
{
	const uint16_t full = 1500 - 28;
	struct path p;

	(void)state;
	found(&p, 1500);
	p.size = 1280;
	for (int i = 0; i < MTU_FULL_LOST; i++) {
		/* What is smaller comes and goes meanwhile. */
		assert_false(mtu_acked(&p.m, 100, false, p.now));
		assert_int_equal(mtu_payload(&p.m), full);
		p.now += STEP;
		mtu_lost(&p.m, full, false, p.now);
	}
	assert_int_equal(mtu_payload(&p.m), full);
	p.now += STEP;
	assert_true(mtu_acked(&p.m, 100, false, p.now));
	assert_int_equal(mtu_payload(&p.m) + 28, 1280);
	run_until(&p, p.now + 4 * NS_PER_SEC);
	assert_int_equal(mtu_payload(&p.m) + 28, 1280);
	/* And when it is wide again, that is found as well. */
	p.size = 1440;
	run_until(&p, p.now + MTU_RAISE_AFTER + 4 * NS_PER_SEC);
	assert_int_equal(mtu_payload(&p.m) + 28, 1440);
}

/* A stream of full packets, pings beside it: every round loses all the full ones. */
static void
a_drop_is_noticed_while_losses_go_on(void **state)
{
	const uint16_t full = 1500 - 28;
	struct path p;
	int rounds = 0;

	(void)state;
	found(&p, 1500);
	while (mtu_payload(&p.m) == full) {
		p.now += RTT_NS;
		for (int i = 0; i < 10; i++)
			mtu_lost(&p.m, full, false, p.now);
		(void)mtu_acked(&p.m, 40, false, p.now);
		assert_true(++rounds <= 2);
	}
	assert_int_equal(mtu_payload(&p.m) + 28, MTU_BASE);
}

/* The last packet of a stream is not full, and too large all the same. */
static void
a_drop_is_noticed_by_what_is_nearly_full(void **state)
{
	struct path p;

	(void)state;
	found(&p, 1500);
	for (int i = 0; i < MTU_FULL_LOST; i++) {
		p.now += RTT_NS;
		mtu_lost(&p.m, 1400 - i, false, p.now);
		/* Smaller, but not of a size that says that these come through. */
		(void)mtu_acked(&p.m, 1300, false, p.now);
	}
	p.now += RTT_NS;
	assert_true(mtu_acked(&p.m, 100, false, p.now));
	assert_int_equal(mtu_payload(&p.m) + 28, MTU_BASE);
	/* What was sent before is lost at the new size: nothing is below it. */
	for (int i = 0; i < 2 * MTU_FULL_LOST; i++) {
		p.now += RTT_NS;
		mtu_lost(&p.m, 1500 - 28, false, p.now);
		(void)mtu_acked(&p.m, 100, false, p.now);
	}
	assert_int_equal(mtu_payload(&p.m) + 28, MTU_BASE);
}

static void
a_full_queue_is_no_drop(void **state)
{
	const uint16_t full = 1500 - 28;
	struct path p;

	(void)state;
	found(&p, 1500);
	for (int i = 0; i < 1000; i++) {
		/* A burst is lost, small ones around it, but full ones after it come. */
		p.now += RTT_NS;
		assert_false(mtu_acked(&p.m, 100, false, p.now));
		for (int n = rand_r(&seed) % 20; n > 0; n--)
			mtu_lost(&p.m, full, false, p.now);
		assert_false(mtu_acked(&p.m, 100, false, p.now));
		assert_false(mtu_acked(&p.m, full, false, p.now));
		p.now += RTT_NS;
		assert_false(mtu_acked(&p.m, 100, false, p.now));
		/* Whatever is lost with smaller ones is no matter of size. */
		p.now += RTT_NS;
		mtu_lost(&p.m, full, false, p.now);
		mtu_lost(&p.m, full, false, p.now);
		mtu_lost(&p.m, 100, false, p.now);
		mtu_lost(&p.m, full, false, p.now);
		p.now += RTT_NS;
		assert_false(mtu_acked(&p.m, 100, false, p.now));
		assert_int_equal(mtu_payload(&p.m), full);
	}
	/* Nothing is below the least size. */
	found(&p, 1280);
	for (int i = 0; i < 10; i++) {
		p.now += RTT_NS;
		mtu_lost(&p.m, mtu_payload(&p.m), false, p.now);
		assert_false(mtu_acked(&p.m, 100, false, p.now));
	}
	assert_int_equal(p.m.state, MTU_STATE_COMPLETE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_size_is_found),
		cmocka_unit_test(other_sizes_are_rounded_down),
		cmocka_unit_test(every_size_is_found_with_loss),
		cmocka_unit_test(probes_keep_their_distance),
		cmocka_unit_test(a_silent_path_is_not_a_narrow_one),
		cmocka_unit_test(a_drop_is_noticed),
		cmocka_unit_test(a_drop_is_noticed_while_losses_go_on),
		cmocka_unit_test(a_drop_is_noticed_by_what_is_nearly_full),
		cmocka_unit_test(a_full_queue_is_no_drop),
	};

	seed = seed_choose();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
