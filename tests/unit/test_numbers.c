/*
 * The window of stream numbers against a list of all numbers ever used.
 */
#include "tests/unit/unit.h"

#include "daemon/core/numbers.h"
#include "tests/unit/seed.h"

#include <stdlib.h>
#include <string.h>

enum { MARKS = 3000 };

static unsigned seed;

static uint64_t
draw64(void)
{
	uint64_t v = 0;

	for (int i = 0; i < 5; i++)
		v = v << 15 ^ (uint64_t)rand_r(&seed);
	return v;
}

struct naive {
	uint64_t used[MARKS];
	size_t n;
	uint64_t highest; /* of n > 0 */
};

static bool
naive_is_free(const struct naive *v, uint64_t number)
{
	if (number == UINT64_MAX)
		return false;
	if (v->n > 0 && number < v->highest && v->highest - number >= NUMBER_WINDOW)
		return false;
	for (size_t i = 0; i < v->n; i++) {
		if (v->used[i] == number)
			return false;
	}
	return true;
}

static void
naive_mark(struct naive *v, uint64_t number)
{
	if (v->n == 0 || number > v->highest)
		v->highest = number;
	v->used[v->n++] = number;
}

/* Numbers that are likely to meet a mistake: near the edges, seen before, far. */
static uint64_t
interesting(const struct naive *v)
{
	uint64_t near = draw64() % 5 - 2;

	switch (draw64() % 10) {
	case 0: return v->highest + near;
	case 1: return v->highest - NUMBER_WINDOW + near;
	case 2: return v->highest + NUMBER_WINDOW + near;
	case 3: return v->n > 0 ? v->used[draw64() % v->n] : 0;
	case 4: return v->highest + draw64() % (3 * NUMBER_WINDOW);
	case 5: return v->highest + 1 + draw64() % 64;
	case 6: return near;
	default: return v->highest - draw64() % (NUMBER_WINDOW + 100);
	}
}

static void
window_is_the_lists(void **state)
{
	static struct naive v;
	static struct numbers n;
	static const uint64_t starts[] = {
		0, 1000, 65535, 65536, UINT64_C(1) << 40, UINT64_MAX - 500000};

	(void)state;
	for (size_t s = 0; s < ARRAY_LEN(starts); s++) {
		memset(&v, 0, sizeof(v));
		memset(&n, 0, sizeof(n));
		naive_mark(&v, starts[s]);
		assert_true(numbers_mark(&n, starts[s]));
		while (v.n < MARKS) {
			uint64_t number = interesting(&v);
			bool is_free = naive_is_free(&v, number);

			/* Not to the end at once: nothing is free there for long. */
			if (number > UINT64_MAX - NUMBER_WINDOW && number > v.highest &&
			    v.n < MARKS - 100)
				continue;
			assert_int_equal(numbers_is_free(&n, number), is_free);
			assert_int_equal(numbers_mark(&n, number), is_free);
			assert_false(numbers_is_free(&n, number));
			if (is_free)
				naive_mark(&v, number);
		}
	}
}

static void
first_and_last_numbers(void **state)
{
	static struct numbers n;

	(void)state;
	assert_true(numbers_is_free(&n, 0));
	assert_false(numbers_mark(&n, UINT64_MAX));
	assert_true(numbers_mark(&n, 0));
	assert_false(numbers_mark(&n, 0));
	assert_true(numbers_mark(&n, UINT64_MAX - 1));
	assert_false(numbers_mark(&n, UINT64_MAX));
	assert_false(numbers_is_free(&n, 0));
	assert_false(numbers_is_free(&n, 1));
	assert_true(numbers_mark(&n, UINT64_MAX - NUMBER_WINDOW));
	assert_false(numbers_is_free(&n, UINT64_MAX - NUMBER_WINDOW - 1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(window_is_the_lists),
		cmocka_unit_test(first_and_last_numbers),
	};

	seed = seed_choose();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
