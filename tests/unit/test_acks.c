/*
 * What came and when to say so, against a map of all counters and the rules as written.
 */
#include "tests/unit/unit.h"

#include "daemon/core/acks.h"
#include "tests/unit/seed.h"

#include <stdlib.h>
#include <string.h>

enum { MAP = 3 * ACKS_WINDOW, PACKETS = 3000 };

static unsigned seed;

static uint64_t
draw(uint64_t below)
{
	return ((uint64_t)rand_r(&seed) << 31 ^ (uint64_t)rand_r(&seed)) % below;
}

struct naive {
	uint64_t base;
	bool came[MAP], told[MAP];
	uint64_t n;   /* one above the highest, from base; 0: nothing came */
	uint64_t low; /* of what no frame told of; UINT64_MAX: none */
};

static bool
naive_is_new(const struct naive *v, uint64_t i)
{
	if (v->n > i && v->n - i > ACKS_WINDOW)
		return false;
	return !v->came[i];
}

/* The ranges of what is told, highest first; returns how many, at most one too many. */
static uint32_t
naive_ranges(const struct naive *v, struct range ranges[ACKS_RANGES_MAX + 1])
{
	uint32_t n = 0;

	for (uint64_t i = v->n; i > 0; i--) {
		if (!v->told[i - 1])
			continue;
		if (i == v->n || !v->told[i])
			ranges[n++].end = v->base + i;
		ranges[n - 1].start = v->base + i - 1;
	}
	return n;
}

static void
naive_received(struct naive *v, uint64_t i, bool wants_ack)
{
	struct range ranges[ACKS_RANGES_MAX + 1];

	v->came[i] = v->told[i] = true;
	if (wants_ack)
		v->low = min_u64(v->low, v->base + i);
	if (i >= v->n)
		v->n = i + 1;
	if (naive_ranges(v, ranges) <= ACKS_RANGES_MAX)
		return;
	for (uint64_t c = ranges[ACKS_RANGES_MAX].start;
	     c < ranges[ACKS_RANGES_MAX].end; c++)
		v->told[c - v->base] = false;
}

/* What a frame of `n` tells: those highest, or the highest and the lowest that is new. */
static void
naive_choose(const struct naive *v, const struct range *all, uint32_t n_all,
	     struct range *chosen, uint32_t n)
{
	uint32_t lowest = 0;

	while (lowest + 1 < n_all && all[lowest + 1].end >= v->low)
		lowest++;
	if (v->low != UINT64_MAX)
		lowest += n / 4;
	if (lowest >= n_all)
		lowest = n_all - 1;
	chosen[0] = all[0];
	for (uint32_t i = 1; i < n; i++)
		chosen[i] = all[lowest < n ? i : lowest - (n - 1 - i)];
}

/* Near the edges, in order, seen before, or far. */
static uint64_t
interesting(const struct naive *v)
{
	uint64_t i;

	switch (draw(8)) {
	case 0: i = v->n - ACKS_WINDOW + draw(5) - 2; break;
	case 1: i = v->n + draw(200); break;
	case 2: i = v->n - draw(300); break;
	case 3: i = v->n - draw(ACKS_WINDOW + 100); break;
	case 4: i = draw(60) == 0 ? v->n + draw(ACKS_WINDOW + 10) : v->n + 1; break;
	default: i = v->n; break;
	}
	return i < MAP ? i : draw(MAP);
}

static void
same_frame(const struct acks *a, const struct naive *v, size_t max_ranges)
{
	struct range all[ACKS_RANGES_MAX + 1], chosen[FRAME_ACK_RANGES_MAX];
	uint32_t n_all = naive_ranges(v, all);
	uint32_t n = (uint32_t)min_size(n_all, max_ranges);
	struct frame_ack f = {.n_ranges = 99};

	assert_int_equal(acks_frame(a, 7, max_ranges, a->highest_at, &f), n > 0);
	if (n == 0) {
		assert_int_equal(f.n_ranges, 99);
		return;
	}
	naive_choose(v, all, n_all, chosen, n);
	assert_int_equal(f.subflow, 7);
	assert_int_equal(f.n_ranges, n);
	assert_memory_equal(f.ranges, chosen, n * sizeof(*chosen));
}

static void
window_and_ranges_are_the_maps(void **state)
{
	static const uint64_t bases[] = {0, 12345, UINT64_C(1) << 40,
					 WIRE_NUMBER_MAX - MAP + 1};
	static const struct acks_pace pace = {0};
	static struct naive v;

	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(bases); k++) {
		struct acks a;

		memset(&v, 0, sizeof(v));
		v.base = bases[k];
		v.low = UINT64_MAX;
		assert_int_equal(acks_init(&a), 0);
		assert_int_equal(a.due_at, NS_NEVER);
		same_frame(&a, &v, FRAME_ACK_RANGES_MAX);
		/* The first one is far above 0. */
		assert_true(acks_is_new(&a, v.base));
		acks_received(&a, v.base, true, false, &pace, 0);
		naive_received(&v, 0, true);
		for (int n = 0; n < PACKETS; n++) {
			uint64_t i = interesting(&v);

			assert_int_equal(acks_is_new(&a, v.base + i),
					 naive_is_new(&v, i));
			if (naive_is_new(&v, i)) {
				bool wants_ack = draw(2);

				acks_received(&a, v.base + i, wants_ack, false, &pace,
					      n);
				naive_received(&v, i, wants_ack);
				assert_false(acks_is_new(&a, v.base + i));
			}
			if (n % 4 == 0)
				same_frame(&a, &v, FRAME_ACK_RANGES_MAX);
			if (n % 16 == 0)
				same_frame(&a, &v, draw(FRAME_ACK_RANGES_MAX));
			if (draw(8) == 0) {
				acks_said(&a, 0);
				v.low = UINT64_MAX;
			}
		}
		for (uint64_t i = 0; i < MAP; i++)
			assert_int_equal(acks_is_new(&a, v.base + i),
					 naive_is_new(&v, i));
		assert_false(acks_is_new(&a, WIRE_NUMBER_MAX + 1));
		assert_false(acks_is_new(&a, UINT64_MAX));
		acks_done(&a);
	}
}

/* What is skipped is new and what stays in the window is not, bit by bit. */
static void
jumps_clear_what_they_skip(void **state)
{
	static const struct acks_pace pace = {0};

	(void)state;
	for (int n = 0; n < 400; n++) {
		const uint64_t some = 300;
		const uint64_t between = ACKS_WINDOW - 200 + draw(100);
		const bool is_far = n % 8 == 0;
		const uint64_t to = ACKS_WINDOW * (is_far ? 2 : 1) + draw(some - 10);
		struct acks a;

		assert_int_equal(acks_init(&a), 0);
		for (uint64_t i = 0; i < some; i++)
			acks_received(&a, i, true, false, &pace, 0);
		if (!is_far)
			acks_received(&a, between, true, false, &pace, 0);
		acks_received(&a, to, true, false, &pace, 0);
		for (uint64_t i = 0; i <= to + 1; i++) {
			bool came = i < some || i == to || (!is_far && i == between);

			assert_int_equal(acks_is_new(&a, i),
					 !came && i + ACKS_WINDOW > to);
		}
		acks_done(&a);
	}
}

/* Every second counter, more than are remembered: the newest are. */
static void
the_lowest_ranges_are_forgotten(void **state)
{
	static const struct acks_pace pace = {0};
	const uint64_t many = ACKS_RANGES_MAX + 200;
	struct frame_ack f;
	struct acks a;

	(void)state;
	assert_int_equal(acks_init(&a), 0);
	for (uint64_t i = 0; i < many; i++)
		acks_received(&a, 2 * i, true, false, &pace, 0);
	/* One below all that is told does not push any of them out. */
	acks_received(&a, 1, true, false, &pace, 0);
	assert_int_equal(a.ranges.n, ACKS_RANGES_MAX);
	assert_int_equal(a.ranges.at[0].start, 2 * 200);
	acks_said(&a, 0);
	assert_true(acks_frame(&a, 0, 1000, 0, &f));
	assert_int_equal(f.n_ranges, FRAME_ACK_RANGES_MAX);
	for (uint64_t i = 0; i < FRAME_ACK_RANGES_MAX; i++) {
		assert_int_equal(f.ranges[i].start, 2 * (many - 1 - i));
		assert_int_equal(f.ranges[i].end, 2 * (many - 1 - i) + 1);
	}
	acks_done(&a);
}

static void
the_refused_come_once_and_are_not_told(void **state)
{
	static const struct acks_pace pace = {0};
	struct frame_ack f;
	struct acks a;

	(void)state;
	assert_int_equal(acks_init(&a), 0);
	acks_received(&a, 0, true, false, &pace, 0);
	acks_refused(&a, 2);
	acks_refused(&a, 1);
	for (uint64_t c = 0; c < 3; c++)
		assert_false(acks_is_new(&a, c));
	assert_true(acks_is_new(&a, 3));
	assert_true(acks_frame(&a, 0, FRAME_ACK_RANGES_MAX, 0, &f));
	assert_int_equal(f.n_ranges, 1);
	assert_int_equal(f.ranges[0].end, 1);
	acks_done(&a);
}

enum { SHUFFLED = 1000, MANY = 20 * SHUFFLED };

/* The frame that tells of `c` and what else came. */
static void
tell(struct acks *a, uint64_t c, bool told[MANY])
{
	static const struct acks_pace pace = {0};
	const bool is_lost = draw(20) == 0;
	struct frame_ack f;

	acks_received(a, c, true, false, &pace, 0);
	assert_true(acks_frame(a, 0, FRAME_ACK_RANGES_MAX, 0, &f));
	assert_int_equal(f.ranges[0].end, a->next);
	acks_said(a, 0);
	for (uint32_t i = 0; !is_lost && i < f.n_ranges; i++)
		memset(&told[f.ranges[i].start], true,
		       f.ranges[i].end - f.ranges[i].start);
}

/*
 * A packet a tick; each takes up to SHUFFLED ticks, one of a hundred is lost, and so
 * is every twentieth frame. What came is told of before it is overdue.
 */
static void
what_is_late_is_told_wherever_it_is(void **state)
{
	static uint64_t comes_at[MANY];
	static bool told[MANY];
	uint32_t most = 0;
	struct acks a;

	(void)state;
	memset(told, 0, sizeof(told));
	assert_int_equal(acks_init(&a), 0);
	for (uint64_t c = 0; c < MANY; c++)
		comes_at[c] = draw(100) == 0 ? 0 : c + 1 + draw(SHUFFLED);
	for (uint64_t now = 2 * SHUFFLED; now < MANY; now++) {
		for (uint64_t c = now - SHUFFLED; c < now; c++) {
			if (comes_at[c] == now)
				tell(&a, c, told);
		}
		most = a.ranges.n > most ? a.ranges.n : most;
		if (now >= 4 * SHUFFLED)
			assert_true(told[now - 2 * SHUFFLED] ||
				    comes_at[now - 2 * SHUFFLED] == 0);
	}
	assert_true(most > 2 * FRAME_ACK_RANGES_MAX);
	acks_done(&a);
}

/* The rules of docs/protocol.md; `gap`: since the last one that wanted it. */
static bool
is_soon(const struct acks_pace *pace, unsigned unsaid, bool in_order)
{
	unsigned many = pace->packets / 8;

	many = many > 16 ? 16 : many;
	many = many < 2 ? 2 : many;
	return unsaid >= many || !in_order;
}

static bool
is_after_silence(const struct acks_pace *pace, ns_t gap)
{
	return gap > (pace->srtt > 5 * NS_PER_MS ? pace->srtt : 5 * NS_PER_MS);
}

static void
acknowledgements_come_when_they_should(void **state)
{
	static const struct acks_pace paces[] = {
		{0, 0},
		{30 * NS_PER_MS, 10},
		{30 * NS_PER_MS, 40},
		{200 * NS_PER_MS, 1000},
		{NS_PER_MS, 100},
	};

	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(paces); k++) {
		const struct acks_pace *pace = &paces[k];
		const ns_t delay = pace->srtt == 0 || pace->srtt > 40 * NS_PER_MS
					   ? 5 * NS_PER_MS
					   : pace->srtt / 8;
		const ns_t least =
			pace->srtt > 32 * NS_PER_MS ? NS_PER_MS : pace->srtt / 32;
		ns_t now = 0, last_at = -NS_PER_SEC, due_at = NS_NEVER;
		ns_t said_at = -NS_PER_SEC;
		unsigned unsaid = 0, by_time = 0, by_count = 0;
		uint64_t next = 0;
		struct acks a;

		assert_int_equal(acks_init(&a), 0);
		for (int n = 0; n < 20000; n++) {
			bool wants = draw(4) != 0, asks = draw(100) == 0;
			bool in_order = draw(50) != 0;
			uint64_t counter = in_order ? next : next + 1 + draw(3);

			now += (ns_t)draw(draw(20) == 0 ? (uint64_t)10 * NS_PER_MS
							: NS_PER_MS);
			now += draw(300) == 0 ? 300 * NS_PER_MS : 0;
			if (a.due_at <= now) {
				by_time += unsaid == 1;
				acks_said(&a, now);
				said_at = now;
				assert_int_equal(a.due_at, NS_NEVER);
				unsaid = 0;
				due_at = NS_NEVER;
			}
			acks_received(&a, counter, wants, asks, pace, now);
			next = counter + 1;
			if (wants) {
				bool soon = is_soon(pace, ++unsaid, in_order);

				by_count += soon && unsaid > 1;
				if (asks || is_after_silence(pace, now - last_at))
					due_at = min_ns(due_at, now);
				else if (soon)
					due_at = min_ns(due_at,
							max_ns(now, said_at + least));
				else
					due_at = min_ns(due_at, now + delay);
				last_at = now;
			}
			assert_int_equal(a.due_at, due_at);
			assert_int_equal(a.unsaid, unsaid);
		}
		assert_true(by_time > 10 && by_count > 10);
		acks_done(&a);
	}
}

/* One that comes late may still save its sender from taking it for lost. */
static void
late_ones_are_told_at_once(void **state)
{
	static const struct acks_pace pace = {30 * NS_PER_MS, 1000};
	struct acks a;

	(void)state;
	assert_int_equal(acks_init(&a), 0);
	acks_received(&a, 0, true, false, &pace, 0);
	acks_said(&a, 0);
	acks_received(&a, 2, true, false, &pace, NS_PER_MS);
	assert_int_equal(a.due_at, NS_PER_MS);
	acks_said(&a, NS_PER_MS);
	/* but not more than a thousand a second */
	acks_received(&a, 1, true, false, &pace, NS_PER_MS + 1);
	assert_int_equal(a.due_at, NS_PER_MS + 30 * NS_PER_MS / 32);
	acks_said(&a, 3 * NS_PER_MS);
	acks_received(&a, 3, true, false, &pace, 3 * NS_PER_MS + 1);
	assert_int_equal(a.due_at, 3 * NS_PER_MS + 1 + 30 * NS_PER_MS / 8);
	acks_done(&a);
}

static void
frames_tell_the_time_of_the_highest(void **state)
{
	static const struct acks_pace pace = {0};
	const ns_t at = INT64_C(5000000) * NS_PER_SEC + 123456789;
	struct frame_ack f;
	struct acks a;

	(void)state;
	assert_int_equal(acks_init(&a), 0);
	assert_false(acks_frame(&a, 1, 64, at, &f));
	acks_received(&a, 9, false, false, &pace, at);
	assert_int_equal(a.due_at, NS_NEVER);
	acks_received(&a, 8, true, false, &pace, at + NS_PER_SEC);
	assert_false(acks_frame(&a, 1, 0, at, &f));
	assert_true(acks_frame(&a, 1, 64, at + 3 * NS_PER_SEC + 999, &f));
	assert_int_equal(f.received_at, (uint32_t)(at / NS_PER_US));
	assert_int_equal(f.delay, 3000000);
	assert_int_equal(f.n_ranges, 1);
	assert_int_equal(f.ranges[0].start, 8);
	assert_int_equal(f.ranges[0].end, 10);
	assert_true(acks_frame(&a, 1, 64, at + 9999 * NS_PER_SEC, &f));
	assert_int_equal(f.delay, UINT32_MAX);
	acks_done(&a);
}

/* One packet a millisecond, every twentieth is lost: old holes are told no more. */
static void
old_holes_are_forgotten(void **state)
{
	const struct acks_pace pace = {20 * NS_PER_MS, 0};
	struct frame_ack f;
	struct acks a;

	(void)state;
	assert_int_equal(acks_init(&a), 0);
	for (uint64_t c = 0; c < 5000; c++) {
		ns_t now = NS_PER_SEC + (ns_t)c * NS_PER_MS;

		if (c % 20 != 19)
			acks_received(&a, c, true, false, &pace, now);
	}
	assert_true(acks_frame(&a, 1, FRAME_ACK_RANGES_MAX, 6 * NS_PER_SEC, &f));
	assert_in_range(f.n_ranges, 12, 40);
	assert_int_equal(f.ranges[0].end, 4999);
	assert_false(acks_is_new(&a, 4000));
	acks_done(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(window_and_ranges_are_the_maps),
		cmocka_unit_test(jumps_clear_what_they_skip),
		cmocka_unit_test(the_lowest_ranges_are_forgotten),
		cmocka_unit_test(the_refused_come_once_and_are_not_told),
		cmocka_unit_test(what_is_late_is_told_wherever_it_is),
		cmocka_unit_test(acknowledgements_come_when_they_should),
		cmocka_unit_test(late_ones_are_told_at_once),
		cmocka_unit_test(old_holes_are_forgotten),
		cmocka_unit_test(frames_tell_the_time_of_the_highest),
	};

	seed = seed_choose();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
