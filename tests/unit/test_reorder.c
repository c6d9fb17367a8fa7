/*
 * The bytes of a stream in any order against one flag per byte.
 */
#include "tests/unit/unit.h"

#include "daemon/core/reorder.h"
#include "tests/unit/heap.h"
#include "tests/unit/seed.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCKS = 16, BYTES = BLOCKS * STORE_BLOCK, RUNS = 12, STEPS = 600 };

static unsigned seed;

static size_t
draw(size_t below)
{
	return ((size_t)rand_r(&seed) << 15 ^ (size_t)rand_r(&seed)) % below;
}

/* What the stream says at each offset. */
static uint8_t
byte_at(uint64_t off)
{
	return (uint8_t)(off * 31 ^ off >> 9);
}

/* Everything from the stream's start; `base` is what has gone before. */
struct model {
	uint64_t base;
	bool has[BYTES];
	bool held[BLOCKS]; /* a block is there */
	size_t read, top, limit;
	bool fin_known;
	size_t fin;
	size_t others; /* what others hold of the budget */
};

static size_t
edge_of(const struct model *m)
{
	size_t i = m->read;

	while (i < BYTES && m->has[i])
		i++;
	return i;
}

static uint32_t
count_islands(const struct model *m)
{
	uint32_t n = 0;

	for (size_t i = edge_of(m) + 1; i < BYTES; i++)
		n += m->has[i] && !m->has[i - 1];
	return n;
}

static size_t
count_used(const struct model *m)
{
	size_t used = m->others + (size_t)count_islands(m) * REORDER_ISLAND_COST;

	for (size_t i = 0; i < BLOCKS; i++)
		used += m->held[i] ? STORE_BLOCK : 0;
	return used;
}

static void
assert_same(const struct reorder *r, const struct model *m)
{
	size_t edge = edge_of(m), len;
	const uint8_t *at = reorder_readable(r, &len);

	assert_int_equal(r->read, m->base + m->read);
	assert_int_equal(r->edge, m->base + edge);
	assert_int_equal(r->top, m->base + m->top);
	assert_int_equal(r->fin, m->fin_known ? m->base + m->fin : UINT64_MAX);
	assert_int_equal(r->islands.n, count_islands(m));
	for (uint32_t i = 0; i < r->islands.n; i++) {
		struct range island = r->islands.at[i];

		assert_true(island.start > r->edge && island.end - m->base <= BYTES);
		for (uint64_t j = island.start; j < island.end; j++)
			assert_true(m->has[j - m->base]);
	}
	assert_int_equal(r->store.budget->used, count_used(m));
	assert_int_equal(reorder_is_done(r), m->fin_known && m->read == m->fin);

	assert_int_equal(at == NULL, len == 0);
	assert_int_equal(len == 0, m->read == edge);
	assert_true(len <= edge - m->read);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(at[i], byte_at(r->read + i));
}

static bool
is_foul(const struct model *m, size_t end, bool fin)
{
	if (end > m->limit || (m->fin_known && end > m->fin))
		return true;
	return fin && (end < m->top || (m->fin_known && end != m->fin));
}

/* Whether [off, end) has bytes that are not here, and there is no room for them. */
static bool
is_too_much(const struct model *m, const struct budget *budget, size_t off, size_t end)
{
	size_t used = count_used(m), edge = edge_of(m), missing = 0;
	bool is_new = false;

	for (size_t i = off; i < end; i++)
		is_new |= i >= edge && !m->has[i];
	if (!is_new)
		return false;
	for (size_t b = max_size(off, edge) / STORE_BLOCK; b <= (end - 1) / STORE_BLOCK;
	     b++)
		missing += !m->held[b];
	if (off > edge) {
		used += REORDER_ISLAND_COST;
		if (used > budget->max - budget->max / 8)
			return true;
	}
	return used + missing * STORE_BLOCK > budget->max;
}

static void
model_insert(struct model *m, size_t off, size_t end, bool fin)
{
	if (fin) {
		m->fin_known = true;
		m->fin = end;
	}
	for (size_t i = max_size(off, edge_of(m)); i < end; i++) {
		m->has[i] = true;
		m->held[i / STORE_BLOCK] = true;
		m->top = max_size(m->top, end);
	}
}

static void
insert(struct reorder *r, struct model *m)
{
	static uint8_t data[BYTES];
	size_t near = min_size(m->limit + 10, BYTES) - m->read + 1;
	size_t off = draw(3) == 0 ? edge_of(m) : m->read + draw(near);
	size_t len = draw(draw(5) == 0 ? 3 * STORE_BLOCK : 1500);
	bool fin = draw(60) == 0, is_free = draw(4) != 0;
	int expected = 0, err;

	if (draw(10) == 0)
		off -= min_size(off, draw(3000));
	if (draw(4) == 0 && m->fin_known)
		fin = (len = m->fin - min_size(off, m->fin)) < STORE_BLOCK;
	len = min_size(len, BYTES - off);
	/* What is here already may differ: it is skipped. */
	for (size_t i = 0; i < len; i++)
		data[i] = byte_at(m->base + off + i) + (m->has[off + i] ? 1 : 0);

	if (is_foul(m, off + len, fin))
		expected = -EPROTO;
	else if (is_too_much(m, r->store.budget, off, off + len))
		expected = -ENOBUFS;
	heap_fail((unsigned)draw(3), is_free ? 0 : 1);
	err = reorder_insert(r, m->base + off, data, len, fin);
	if (heap_heal() && err == -ENOMEM)
		return;
	assert_int_equal(err, expected);
	if (err == 0)
		model_insert(m, off, off + len, fin);
}

static void
consume(struct reorder *r, struct model *m)
{
	size_t len, edge = edge_of(m);
	bool is_idle;

	reorder_readable(r, &len);
	len = draw(2) == 0 ? len : draw(len + 1);
	reorder_consume(r, len);
	m->read += len;
	is_idle = m->read == edge && count_islands(m) == 0;
	for (size_t b = 0; b < BLOCKS; b++) {
		if (is_idle || b < m->read / STORE_BLOCK)
			m->held[b] = false;
	}
	if (is_idle) {
		assert_null(r->store.blocks);
		assert_int_equal(r->islands.n, 0);
	}
}

static void
step(struct reorder *r, struct model *m)
{
	struct budget *budget = r->store.budget;

	switch (draw(12)) {
	case 0:
	case 1:
	case 2: consume(r, m); break;
	case 3:
		m->limit = max_size(m->limit, min_size(m->read + 60000, BYTES));
		r->limit = m->base + m->limit;
		break;
	case 4:
		budget->used -= m->others;
		m->others = draw(3) == 0 ? draw(budget->max - budget->used + 1) : 0;
		budget->used += m->others;
		break;
	default: insert(r, m); break;
	}
	assert_same(r, m);
}

static void
order_is_the_flags(void **state)
{
	static struct model m;

	(void)state;
	for (int run = 0; run < RUNS; run++) {
		struct budget budget = {.max = 8 * STORE_BLOCK + 1000};
		struct reorder r;

		memset(&m, 0, sizeof(m));
		m.limit = 30000;
		reorder_init(&r, &budget, m.limit);
		if (run % 2 != 0) {
			/* As if so much had come and gone. */
			m.base = (UINT64_C(1) << 40) + (uint64_t)run * STORE_BLOCK;
			r.read = r.edge = r.top = m.base;
			r.limit += m.base;
			store_drop_below(&r.store, m.base);
		}
		for (int s = 0; s < STEPS; s++)
			step(&r, &m);
		reorder_done(&r);
		assert_int_equal(budget.used, m.others);
	}
}

static void
more_islands_than_may_be(void **state)
{
	static const uint8_t data[3] = {1, 2, 3};
	struct budget budget = {.max = 1024 * 1024};
	struct reorder r;
	size_t used, len;

	(void)state;
	reorder_init(&r, &budget, 100000);
	for (uint64_t i = 0; i < REORDER_ISLANDS_MAX; i++)
		assert_int_equal(reorder_insert(&r, 4 * i + 2, data, 1, false), 0);
	used = budget.used;
	assert_int_equal(
		used,
		STORE_BLOCK + (size_t)REORDER_ISLANDS_MAX * REORDER_ISLAND_COST +
			(4 * REORDER_ISLANDS_MAX > STORE_BLOCK ? STORE_BLOCK : 0));
	assert_int_equal(
		reorder_insert(&r, 4 * REORDER_ISLANDS_MAX + 2, data, 1, false),
		-ENOBUFS);
	assert_int_equal(reorder_insert(&r, 50000, data, 3, true), -ENOBUFS);
	assert_int_equal(budget.used, used);
	assert_int_equal(r.fin, UINT64_MAX);
	assert_int_equal(r.top, 4 * (REORDER_ISLANDS_MAX - 1) + 3);

	/* Again, or beside one, or in order: that takes no island. */
	assert_int_equal(reorder_insert(&r, 4 * 7 + 2, data, 1, false), 0);
	assert_int_equal(reorder_insert(&r, 4 * 7 + 3, data, 1, false), 0);
	assert_int_equal(reorder_insert(&r, 0, data, 2, false), 0);
	assert_int_equal(r.islands.n, REORDER_ISLANDS_MAX - 1);
	assert_non_null(reorder_readable(&r, &len));
	assert_int_equal(len, 3);
	assert_int_equal(reorder_insert(&r, 50000, data, 3, true), 0);
	assert_int_equal(r.fin, 50003);
	reorder_done(&r);
	assert_int_equal(budget.used, 0);
}

/* Whatever others may hold out of order, the next byte finds its place. */
static void
holes_can_be_filled(void **state)
{
	static uint8_t data[STORE_BLOCK];
	enum { STREAMS = 40 };
	struct budget budget = {.max = 20 * STORE_BLOCK};
	struct reorder streams[STREAMS];
	size_t len, n_refused = 0;

	(void)state;
	for (size_t i = 0; i < STREAMS; i++) {
		reorder_init(&streams[i], &budget, 10 * STORE_BLOCK);
		n_refused += reorder_insert(&streams[i], 5 * STORE_BLOCK, data, 1,
					    false) == -ENOBUFS;
	}
	assert_int_equal(n_refused, STREAMS - 18);
	for (size_t i = 0; i < STREAMS; i++) {
		assert_int_equal(
			reorder_insert(&streams[i], 0, data, STORE_BLOCK, false), 0);
		reorder_readable(&streams[i], &len);
		assert_int_equal(len, STORE_BLOCK);
		reorder_consume(&streams[i], len);
	}
	for (size_t i = 0; i < STREAMS; i++)
		reorder_done(&streams[i]);
	assert_int_equal(budget.used, 0);
}

static void
an_end_holds(void **state)
{
	static const uint8_t data[100];
	struct budget budget = {.max = 1024 * 1024};
	struct reorder r;
	size_t len;

	(void)state;
	reorder_init(&r, &budget, 100);
	assert_int_equal(reorder_insert(&r, 50, data, 10, false), 0);
	assert_int_equal(reorder_insert(&r, 0, data, 59, true), -EPROTO);
	assert_int_equal(reorder_insert(&r, 101, data, 0, true), -EPROTO);
	assert_int_equal(reorder_insert(&r, UINT64_MAX, data, 100, true), -EPROTO);
	/* By itself, before its bytes, at the limit. */
	assert_int_equal(reorder_insert(&r, 100, data, 0, true), 0);
	assert_int_equal(r.fin, 100);
	assert_int_equal(r.top, 60);
	assert_int_equal(reorder_insert(&r, 100, data, 0, true), 0);
	assert_int_equal(reorder_insert(&r, 0, data, 99, true), -EPROTO);
	r.limit = 200;
	assert_int_equal(reorder_insert(&r, 60, data, 41, false), -EPROTO);
	assert_int_equal(reorder_insert(&r, 101, data, 0, false), -EPROTO);
	assert_int_equal(reorder_insert(&r, 60, data, 41, true), -EPROTO);
	assert_int_equal(r.top, 60);
	assert_int_equal(reorder_insert(&r, 60, data, 40, true), 0);
	assert_int_equal(reorder_insert(&r, 0, data, 50, false), 0);
	assert_false(reorder_is_done(&r));
	reorder_readable(&r, &len);
	assert_int_equal(len, 100);
	reorder_consume(&r, 99);
	assert_false(reorder_is_done(&r));
	reorder_consume(&r, 1);
	assert_true(reorder_is_done(&r));
	assert_int_equal(budget.used, 0);
	/* Late ones. */
	assert_int_equal(reorder_insert(&r, 60, data, 40, true), 0);
	assert_int_equal(reorder_insert(&r, 100, data, 0, true), 0);
	assert_int_equal(budget.used, 0);
	reorder_done(&r);
}

static void
a_stream_without_bytes_ends(void **state)
{
	static const uint8_t data[1];
	struct budget budget = {.max = 0};
	struct reorder r;

	(void)state;
	reorder_init(&r, &budget, 0);
	assert_false(reorder_is_done(&r));
	assert_int_equal(reorder_insert(&r, 0, data, 0, false), 0);
	assert_int_equal(reorder_insert(&r, 0, data, 1, true), -EPROTO);
	assert_int_equal(reorder_insert(&r, 0, data, 0, true), 0);
	assert_true(reorder_is_done(&r));
	reorder_done(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(order_is_the_flags),
		cmocka_unit_test(more_islands_than_may_be),
		cmocka_unit_test(holes_can_be_filled),
		cmocka_unit_test(an_end_holds),
		cmocka_unit_test(a_stream_without_bytes_ends),
	};

	seed = seed_choose();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
