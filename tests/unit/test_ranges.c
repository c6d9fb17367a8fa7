/*
 * Sets of ranges against one flag per number.
 */
#include "tests/unit/unit.h"

#include "daemon/core/ranges.h"
#include "tests/unit/heap.h"
#include "tests/unit/seed.h"

#include <stdlib.h>
#include <string.h>

enum { NUMBERS = 250, STEPS = 20000 };

static unsigned seed;

struct model {
	bool has[NUMBERS];
	uint64_t base; /* number i of the model is base + i */
};

static uint32_t
count_runs(const struct model *m)
{
	uint32_t n = 0;

	for (size_t i = 0; i < NUMBERS; i++)
		n += m->has[i] && (i == 0 || !m->has[i - 1]);
	return n;
}

static void
assert_same(const struct ranges *r, const struct model *m)
{
	struct model seen = {.base = m->base};

	assert_int_equal(r->n, count_runs(m));
	assert_true(r->n <= r->max);
	for (uint32_t i = 0; i < r->n; i++) {
		assert_true(r->at[i].start >= m->base);
		assert_true(r->at[i].start < r->at[i].end);
		assert_true(r->at[i].end - m->base <= NUMBERS);
		if (i > 0)
			assert_true(r->at[i - 1].end < r->at[i].start);
		memset(&seen.has[r->at[i].start - m->base], 1,
		       r->at[i].end - r->at[i].start);
	}
	assert_memory_equal(seen.has, m->has, sizeof(seen.has));
}

static void
assert_answers(const struct ranges *r, const struct model *m, size_t from, size_t to)
{
	struct range gap = ranges_gap(r, m->base + from, m->base + to);
	size_t start = from, end, present = from;

	while (start < to && m->has[start])
		start++;
	if (start >= to)
		start = to;
	end = start;
	while (end < to && !m->has[end])
		end++;
	assert_int_equal(gap.start - m->base, start);
	assert_int_equal(gap.end - m->base, end);

	while (present < to && m->has[present])
		present++;
	assert_int_equal(ranges_contains(r, m->base + from, m->base + to),
			 present >= to);
}

/* What should come of adding or removing, into `m` if it can be done. */
static int
model_set(struct model *m, uint32_t max, size_t from, size_t to, bool value)
{
	struct model after = *m;

	if (from < to)
		memset(&after.has[from], value, to - from);
	if (count_runs(&after) > max)
		return -ENOBUFS;
	*m = after;
	return 0;
}

static int
set(struct ranges *r, const struct model *m, size_t from, size_t to, bool value)
{
	return value ? ranges_add(r, m->base + from, m->base + to)
		     : ranges_remove(r, m->base + from, m->base + to);
}

static void
change(struct ranges *r, struct model *m, size_t from, size_t to)
{
	bool value = rand_r(&seed) % 2 != 0;
	int expected, err;

	heap_fail(0, rand_r(&seed) % 4 == 0);
	err = set(r, m, from, to, value);
	if (err == -ENOMEM) {
		/* Where it did not fit anyway, that is what is said. */
		assert_true(heap_heal());
		assert_same(r, m);
		err = set(r, m, from, to, value);
		assert_int_equal(err, 0);
	}
	heap_heal();
	expected = model_set(m, r->max, from, to, value);
	assert_int_equal(err, expected);
}

static void
prepare_and_add(struct ranges *r, struct model *m, size_t from, size_t to)
{
	int expected, err;

	err = ranges_prepare(r, m->base + from, m->base + to);
	assert_same(r, m);
	expected = model_set(m, r->max, from, to, true);
	assert_int_equal(err, expected);
	if (err == 0) {
		heap_fail(0, 1);
		assert_int_equal(ranges_add(r, m->base + from, m->base + to), 0);
		heap_heal();
	}
}

static void
step(struct ranges *r, struct model *m)
{
	size_t from = (size_t)rand_r(&seed) % NUMBERS;
	size_t len = (size_t)rand_r(&seed) % (rand_r(&seed) % 4 == 0 ? 60 : 4);
	size_t to = min_size(from + len, NUMBERS);

	switch (rand_r(&seed) % 100) {
	case 0:
		ranges_remove_below(r, m->base + from);
		memset(m->has, 0, from);
		break;
	case 1:
	case 2:
	case 3: prepare_and_add(r, m, from, to); break;
	case 4: /* the wrong way round: as empty as [from, from) */
		assert_int_equal(ranges_add(r, m->base + to, m->base + from), 0);
		assert_int_equal(ranges_remove(r, m->base + to, m->base + from), 0);
		break;
	default: change(r, m, from, to); break;
	}
	assert_same(r, m);
	assert_answers(r, m, from, to);
	assert_answers(r, m, (size_t)rand_r(&seed) % NUMBERS, NUMBERS);
}

static void
ranges_are_the_flags(void **state)
{
	static const uint64_t bases[] = {0, UINT64_C(1) << 40, UINT64_MAX - NUMBERS};
	static const uint32_t maxima[] = {1, 2, 7, 40, RANGES_MAX};

	(void)state;
	for (size_t b = 0; b < ARRAY_LEN(bases); b++) {
		for (size_t i = 0; i < ARRAY_LEN(maxima); i++) {
			struct model m = {.base = bases[b]};
			struct ranges r;

			ranges_init(&r, maxima[i]);
			for (int s = 0; s < STEPS; s++)
				step(&r, &m);
			ranges_done(&r);
			assert_null(r.at);
		}
	}
}

/* As acknowledgements come: new at the end, old out at the front. */
static void
a_moving_window_stays_small(void **state)
{
	struct ranges r;

	(void)state;
	ranges_init(&r, RANGES_MAX);
	for (uint64_t i = 0; i < 100000; i++) {
		assert_int_equal(ranges_add(&r, 2 * i, 2 * i + 1), 0);
		if (i >= 100)
			ranges_remove_below(&r, 2 * (i - 100));
		assert_true(r.n <= 101);
		assert_true(r.cap <= 256);
	}
	ranges_done(&r);
}

static void
memory_goes_with_the_ranges(void **state)
{
	struct ranges r = {.max = RANGES_MAX};
	uint32_t full;

	(void)state;
	for (uint64_t i = 0; i < RANGES_MAX; i++)
		assert_int_equal(ranges_add(&r, 2 * i, 2 * i + 1), 0);
	assert_int_equal(ranges_add(&r, 2 * RANGES_MAX, 2 * RANGES_MAX + 1), -ENOBUFS);
	full = r.cap;
	ranges_remove_below(&r, 2 * (RANGES_MAX - 10));
	assert_int_equal(r.n, 10);
	assert_true(r.cap <= full / 50);
	assert_int_equal(ranges_remove(&r, 0, UINT64_MAX), 0);
	assert_int_equal(r.n, 0);
	assert_int_equal(r.cap, 0);
	assert_null(r.at);
}

/* Where there is no memory for a larger array, places at the front serve. */
static void
free_places_serve_without_memory(void **state)
{
	struct ranges r;

	(void)state;
	ranges_init(&r, RANGES_MAX);
	for (uint64_t i = 0; i < 32; i++)
		assert_int_equal(ranges_add(&r, 2 * i, 2 * i + 1), 0);
	assert_int_equal(r.cap, 32);
	ranges_remove_below(&r, 10);
	heap_fail(0, 100);
	for (uint64_t i = 32; i < 37; i++)
		assert_int_equal(ranges_add(&r, 2 * i, 2 * i + 1), 0);
	assert_int_equal(ranges_add(&r, 2 * 37, 2 * 37 + 1), -ENOMEM);
	assert_true(heap_heal());
	assert_int_equal(r.n, 32);
	for (uint64_t i = 5; i < 37; i++)
		assert_true(ranges_contains(&r, 2 * i, 2 * i + 1));
	ranges_done(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_are_the_flags),
		cmocka_unit_test(a_moving_window_stays_small),
		cmocka_unit_test(memory_goes_with_the_ranges),
		cmocka_unit_test(free_places_serve_without_memory),
	};

	seed = seed_choose();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
