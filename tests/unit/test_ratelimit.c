/*
 * The handshake limit against a naive list of when each source last passed.
 */
#include "tests/unit/unit.h"

#include "daemon/core/ratelimit.h"
#include "tests/unit/addrs.h"
#include "tests/unit/seed.h"

#include <stdlib.h>
#include <string.h>

static unsigned seed;
static struct ratelimit limit;

static int
set_up(void **state)
{
	(void)state;
	memset(&limit, 0, sizeof(limit));
	return 0;
}

static struct addr
ip4(unsigned n)
{
	struct addr a = {.family = AF_INET, .port = (uint16_t)(n * 7 + 1)};

	a.ip[0] = 192;
	a.ip[1] = 0;
	a.ip[2] = (uint8_t)(n >> 8);
	a.ip[3] = (uint8_t)n;
	return a;
}

/* What a handshake meets: counted, and under load limited by its source. */
static bool
pass(const struct addr *a, ns_t now)
{
	return !ratelimit_is_load(&limit, now) || ratelimit_take(&limit, a, now);
}

/* Sends so many from somewhere else that what follows at `now` is under load. */
static void
make_load(ns_t now)
{
	for (int i = 0; i <= RATELIMIT_LOAD; i++)
		(void)pass(&(struct addr){.family = AF_INET}, now);
}

static void
few_handshakes_all_pass(void **state)
{
	struct addr a = ip4(1);

	(void)state;
	for (ns_t s = 1; s < 5; s++) {
		for (int i = 0; i < RATELIMIT_LOAD; i++)
			assert_true(pass(&a, s * NS_PER_SEC + i * NS_PER_MS));
	}
}

static void
under_load_each_source_has_a_burst_and_a_rate(void **state)
{
	struct addr a = ip4(1), b = ip4(2);
	ns_t t = 10 * NS_PER_SEC;

	(void)state;
	make_load(t);
	for (int i = 0; i < RATELIMIT_BURST; i++)
		assert_true(pass(&a, t));
	assert_false(pass(&a, t));
	assert_true(pass(&b, t));
	t += NS_PER_SEC / RATELIMIT_PER_SECOND - 1;
	assert_false(pass(&a, t));
	t += 1;
	assert_true(pass(&a, t));
	assert_false(pass(&a, t));
}

static void
load_is_over_a_second_after_the_last_busy_one(void **state)
{
	struct addr a = ip4(1);
	ns_t t = 10 * NS_PER_SEC;

	(void)state;
	make_load(t);
	t += NS_PER_SEC;
	for (int i = 0; i < RATELIMIT_BURST; i++)
		assert_true(pass(&a, t));
	assert_false(pass(&a, t));
	t += NS_PER_SEC;
	for (int i = 0; i < 2 * RATELIMIT_BURST; i++)
		assert_true(pass(&a, t));
}

static void
a_source_is_an_ipv4_address_or_an_ipv6_64(void **state)
{
	const char *const same[] = {"2001:db8:1:2::1", "2001:db8:1:2:ffff::9"};
	const char *const mapped[] = {"192.0.2.1", "::ffff:192.0.2.1"};
	struct addr a, b, other;

	(void)state;
	a = addrs_ip(same[0], 0);
	b = addrs_ip(same[1], 0);
	other = addrs_ip("2001:db8:1:3::1", 0);
	a.port = 1;
	b.port = 2;
	a = ratelimit_source(&a);
	b = ratelimit_source(&b);
	other = ratelimit_source(&other);
	assert_true(addr_equal(&a, &b));
	assert_false(addr_same_ip(&a, &other));
	a = addrs_ip(mapped[0], 0);
	b = addrs_ip(mapped[1], 0);
	b = ratelimit_source(&b);
	assert_true(addr_equal(&a, &b));

	make_load(NS_PER_SEC);
	a = addrs_ip(same[0], 0);
	b = addrs_ip(same[1], 0);
	for (int i = 0; i < RATELIMIT_BURST; i++)
		assert_true(pass(i % 2 ? &a : &b, NS_PER_SEC));
	assert_false(pass(&a, NS_PER_SEC));
	assert_false(pass(&b, NS_PER_SEC));
}

/* A bucket per source that is refilled step by step, as one would by hand. */
static void
random_handshakes_agree_with_plain_buckets(void **state)
{
	enum { SOURCES = 20, STEPS = 20000 };
	double tokens[SOURCES];
	ns_t last[SOURCES] = {0};
	ns_t now = NS_PER_SEC;
	unsigned passed = 0, refused = 0;

	(void)state;
	for (int i = 0; i < SOURCES; i++)
		tokens[i] = RATELIMIT_BURST;
	make_load(now);
	for (int i = 0; i < STEPS; i++) {
		unsigned n = (unsigned)rand_r(&seed) % SOURCES;
		struct addr a = ip4(n);
		bool model;

		/* Never a second with too few; and no instant on a token's edge. */
		now += rand_r(&seed) % (4 * NS_PER_MS) / 1000 * 1000 + 7;
		if (i % RATELIMIT_LOAD == 0)
			make_load(now);
		tokens[n] += (double)(now - last[n]) / 1e9 * RATELIMIT_PER_SECOND;
		tokens[n] = tokens[n] > RATELIMIT_BURST ? RATELIMIT_BURST : tokens[n];
		last[n] = now;
		if (tokens[n] > 1 - 1e-6 && tokens[n] < 1 + 1e-6)
			continue;
		model = tokens[n] >= 1;
		tokens[n] -= model ? 1 : 0;
		assert_int_equal(pass(&a, now), model);
		passed += model;
		refused += !model;
	}
	assert_true(passed > 0);
	assert_true(refused > 0);
}

static void
many_sources_do_not_hinder_a_new_one(void **state)
{
	ns_t t = NS_PER_SEC;
	struct addr a = {.family = AF_INET, .ip = {203, 0, 113, 9}};

	(void)state;
	for (unsigned i = 0; i < 4 * RATELIMIT_SLOTS; i++) {
		struct addr other = ip4(i);

		(void)pass(&other, t);
	}
	for (int i = 0; i < RATELIMIT_BURST; i++)
		assert_true(pass(&a, t));
	assert_false(pass(&a, t));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(few_handshakes_all_pass, set_up),
		cmocka_unit_test_setup(under_load_each_source_has_a_burst_and_a_rate,
				       set_up),
		cmocka_unit_test_setup(load_is_over_a_second_after_the_last_busy_one,
				       set_up),
		cmocka_unit_test_setup(a_source_is_an_ipv4_address_or_an_ipv6_64,
				       set_up),
		cmocka_unit_test_setup(random_handshakes_agree_with_plain_buckets,
				       set_up),
		cmocka_unit_test_setup(many_sources_do_not_hinder_a_new_one, set_up),
	};

	seed = seed_choose();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
