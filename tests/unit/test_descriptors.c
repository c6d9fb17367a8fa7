#include "tests/unit/unit.h"

#include "daemon/descriptors.h"
#include "daemon/udp_carriers.h"

#include <stdio.h>
#include <string.h>

static const size_t peers[] = {0, 1, 7, CONFIG_PEERS_MAX};

static int
check(uint32_t max_streams, size_t n_peers, unsigned limit, struct errmsg *why)
{
	const struct config c = {.max_streams = max_streams, .n_peers = n_peers};

	return descriptors_check(&c, limit, why);
}

/* The number that it says fits, and no higher one does. */
static void
what_it_advises_is_the_most_that_fits(void **state)
{
	struct errmsg why;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(peers); i++) {
		unsigned all = DESCRIPTORS_RESERVED +
			       UDP_CARRIERS_OF_SESSION * (unsigned)peers[i];

		for (unsigned limit = all + 2; limit < all + 40; limit++) {
			const char *at;
			unsigned n;

			assert_int_equal(check(1000, peers[i], limit, &why), -EMFILE);
			at = strstr(why.text, "lower it to ");
			assert_non_null(at);
			assert_int_equal(sscanf(at, "lower it to %u,", &n), 1);
			assert_int_equal(2 * n + all, limit & ~1U);
			assert_int_equal(check(n, peers[i], limit, &why), 0);
			assert_int_equal(check(n + 1, peers[i], limit, &why), -EMFILE);
		}
	}
}

/* Where not even one stream fits, a lower number is no advice. */
static void
a_limit_that_carries_nothing_is_to_be_raised(void **state)
{
	static const unsigned limits[] = {0, 1, DESCRIPTORS_RESERVED,
					  DESCRIPTORS_RESERVED + 1};
	struct errmsg why;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		assert_int_equal(check(1, 0, limits[i], &why), -EMFILE);
		assert_null(strstr(why.text, "lower it"));
		assert_non_null(strstr(why.text, ": raise LimitNOFILE"));
	}
}

static void
the_largest_numbers_do_not_wrap(void **state)
{
	struct errmsg why;

	(void)state;
	assert_int_equal(check(UINT32_MAX, CONFIG_PEERS_MAX, 1024, &why), -EMFILE);
	assert_non_null(strstr(why.text, "max_streams = 4294967295 needs 8589938942 "
					 "descriptors and the limit is 1024"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_it_advises_is_the_most_that_fits),
		cmocka_unit_test(a_limit_that_carries_nothing_is_to_be_raised),
		cmocka_unit_test(the_largest_numbers_do_not_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
