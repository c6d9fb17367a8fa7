/*
 * Stores that share a budget, against flat arrays of bytes.
 */
#include "tests/unit/unit.h"

#include "daemon/core/store.h"
#include "tests/unit/heap.h"
#include "tests/unit/seed.h"

#include <stdlib.h>
#include <string.h>

enum { STORES = 3, BLOCKS = 40, BYTES = BLOCKS * STORE_BLOCK, STEPS = 30000 };

static unsigned seed;

struct model {
	uint64_t base; /* offset of its first byte, where a block begins */
	bool has[BLOCKS];
	size_t low; /* nothing below is asked for; from base */
	uint8_t bytes[BYTES];
	bool written[BLOCKS];
};

static struct model models[STORES];
static struct store stores[STORES];

static size_t
draw(size_t below)
{
	return ((size_t)rand_r(&seed) << 15 ^ (size_t)rand_r(&seed)) % below;
}

static size_t
count_blocks(const struct model *m)
{
	size_t n = 0;

	for (size_t i = 0; i < BLOCKS; i++)
		n += m->has[i];
	return n;
}

static size_t
count_missing(const struct model *m, size_t off, size_t len)
{
	size_t n = 0;

	for (size_t i = off / STORE_BLOCK;
	     len > 0 && i <= (off + len - 1) / STORE_BLOCK; i++)
		n += !m->has[i];
	return n;
}

/* All that is there and was written reads as the model. */
static void
assert_same(const struct store *s, const struct model *m)
{
	static uint8_t read[STORE_BLOCK];

	for (size_t i = 0; i < BLOCKS; i++) {
		if (!m->has[i] || !m->written[i])
			continue;
		store_read(s, m->base + i * STORE_BLOCK, read, STORE_BLOCK);
		assert_memory_equal(read, &m->bytes[i * STORE_BLOCK], STORE_BLOCK);
	}
	if (count_blocks(m) > 0)
		assert_true(s->n_slots > 0 && (s->n_slots & (s->n_slots - 1)) == 0);
}

static void
assert_budget(const struct budget *budget)
{
	size_t n = 0;

	for (size_t i = 0; i < STORES; i++)
		n += count_blocks(&models[i]);
	assert_int_equal(budget->used, n * STORE_BLOCK);
	assert_true(budget->used <= budget->max);
	assert_true(budget->n_spare <= budget->spare_max);
}

/* Bytes of a block that nobody wrote are not looked at: write the whole block first. */
static void
fill_new(struct store *s, struct model *m, size_t off, size_t len)
{
	for (size_t i = off / STORE_BLOCK; i <= (off + len - 1) / STORE_BLOCK; i++) {
		if (m->has[i])
			continue;
		m->has[i] = true;
		m->written[i] = true;
		memset(&m->bytes[i * STORE_BLOCK], (int)draw(256), STORE_BLOCK);
		store_write(s, m->base + i * STORE_BLOCK, &m->bytes[i * STORE_BLOCK],
			    STORE_BLOCK);
	}
}

static void
reserve_and_write(struct store *s, struct model *m)
{
	size_t off = m->low + draw(BYTES - m->low);
	size_t len = min_size(draw(draw(4) == 0 ? 5 * STORE_BLOCK : 2000), BYTES - off);
	size_t missing = count_missing(m, off, len);
	bool fits = missing * STORE_BLOCK <= s->budget->max - s->budget->used;
	int err;

	heap_fail((unsigned)draw(4), draw(4) == 0);
	err = store_reserve(s, m->base + off, len);
	if (heap_heal()) {
		assert_int_equal(err, -ENOMEM);
		return;
	}
	assert_int_equal(err, fits ? 0 : -ENOBUFS);
	if (err < 0 || len == 0)
		return;
	fill_new(s, m, off, len);
	for (size_t i = 0; i < len; i++)
		m->bytes[off + i] = (uint8_t)(off + i + draw(3));
	store_write(s, m->base + off, &m->bytes[off], len);
}

static void
look(const struct store *s, const struct model *m)
{
	static uint8_t read[2 * STORE_BLOCK];
	size_t off = m->low + draw(BYTES - m->low), len = draw(sizeof(read)), piece;
	const uint8_t *at;

	len = min_size(len, BYTES - off);
	if (len == 0 || count_missing(m, off, len) > 0)
		return;
	store_read(s, m->base + off, read, len);
	assert_memory_equal(read, &m->bytes[off], len);
	at = store_at(s, m->base + off, &piece);
	assert_int_equal(piece, STORE_BLOCK - off % STORE_BLOCK);
	assert_memory_equal(at, &m->bytes[off], piece);
}

static void
drop(struct store *s, struct model *m)
{
	/* It may be said again of less; it changes nothing then. */
	size_t below = draw(min_size(m->low + 6 * STORE_BLOCK, BYTES));

	store_drop_below(s, m->base + below);
	for (size_t i = 0; i < below / STORE_BLOCK; i++)
		m->has[i] = false;
	m->low = max_size(m->low, below / STORE_BLOCK * STORE_BLOCK);
}

static void
clear(struct store *s, struct model *m)
{
	size_t off = m->low + draw(BYTES - m->low);

	store_clear(s, m->base + off);
	memset(m->has, 0, sizeof(m->has));
	m->low = off / STORE_BLOCK * STORE_BLOCK;
	assert_null(s->blocks);
	assert_int_equal(s->n_slots, 0);
}

/* The model goes on elsewhere when it comes to its end. */
static void
move_on(struct store *s, struct model *m, const struct budget *budget)
{
	size_t others = 0;

	store_done(s);
	assert_null(s->blocks);
	for (size_t i = 0; i < STORES; i++)
		others += &models[i] == m ? 0 : count_blocks(&models[i]);
	assert_int_equal(budget->used, others * STORE_BLOCK);
	memset(m, 0, sizeof(*m));
	m->base = (uint64_t)draw(1 << 30) * STORE_BLOCK;
	store_init(s, s->budget);
	store_drop_below(s, m->base);
}

static void
stores_are_the_arrays(void **state)
{
	struct budget budget = {.max = 30 * STORE_BLOCK + 77,
				.spare_max = (unsigned)draw(8)};

	(void)state;
	for (size_t i = 0; i < STORES; i++)
		store_init(&stores[i], &budget);
	for (size_t step = 0; step < STEPS; step++) {
		size_t i = draw(STORES), what = draw(200);
		struct store *s = &stores[i];
		struct model *m = &models[i];

		if (what < 100)
			reserve_and_write(s, m);
		else if (what < 170)
			look(s, m);
		else if (what < 198)
			drop(s, m);
		else
			clear(s, m);
		if (m->low >= BYTES - 2 * STORE_BLOCK)
			move_on(s, m, &budget);
		assert_budget(&budget);
		if (step % 10 == 0)
			assert_same(s, m);
	}
	for (size_t i = 0; i < STORES; i++)
		store_done(&stores[i]);
	assert_int_equal(budget.used, 0);
	budget_done(&budget);
	assert_int_equal(budget.n_spare, 0);
}

/* Each allocation of a large reserve fails in turn; then it works. */
static void
a_failed_reserve_changed_nothing(void **state)
{
	struct budget budget = {.max = 100 * STORE_BLOCK};
	static const uint8_t word[] = "here before";
	uint8_t read[sizeof(word)];
	struct store s;

	(void)state;
	store_init(&s, &budget);
	assert_int_equal(store_reserve(&s, 3 * STORE_BLOCK + 5, sizeof(word)), 0);
	store_write(&s, 3 * STORE_BLOCK + 5, word, sizeof(word));
	for (unsigned i = 0;; i++) {
		int err;

		heap_fail(i, 1);
		err = store_reserve(&s, 0, 10 * STORE_BLOCK);
		if (!heap_heal()) {
			assert_int_equal(err, 0);
			assert_true(i > 5);
			break;
		}
		assert_int_equal(err, -ENOMEM);
		assert_int_equal(budget.used, STORE_BLOCK);
		assert_int_equal(s.low, 0);
		assert_int_equal(s.high, 4);
	}
	assert_int_equal(budget.used, 10 * STORE_BLOCK);
	store_read(&s, 3 * STORE_BLOCK + 5, read, sizeof(read));
	assert_memory_equal(read, word, sizeof(word));
	store_done(&s);
	assert_int_equal(budget.used, 0);
}

static void
far_is_too_far(void **state)
{
	struct budget budget = {.max = SIZE_MAX};
	struct store s;

	(void)state;
	store_init(&s, &budget);
	assert_int_equal(store_reserve(&s, UINT64_MAX - 1, 1), -ENOBUFS);
	assert_int_equal(store_reserve(&s, (uint64_t)STORE_BLOCKS_MAX * STORE_BLOCK, 1),
			 -ENOBUFS);
	assert_int_equal(budget.used, 0);
	assert_int_equal(
		store_reserve(&s, (uint64_t)STORE_BLOCKS_MAX * STORE_BLOCK - 1, 1), 0);
	store_clear(&s, UINT64_MAX - 1);
	assert_int_equal(budget.used, 0);
	assert_int_equal(store_reserve(&s, UINT64_MAX - 1, 1), 0);
	store_done(&s);
	assert_int_equal(budget.used, 0);
}

/* The operator made it smaller than what is held. */
static void
a_budget_may_shrink(void **state)
{
	struct budget budget = {.max = 4 * STORE_BLOCK};
	struct store s;

	(void)state;
	store_init(&s, &budget);
	assert_int_equal(store_reserve(&s, 0, 4 * STORE_BLOCK), 0);
	assert_int_equal(store_reserve(&s, 4 * STORE_BLOCK, 1), -ENOBUFS);
	budget.max = STORE_BLOCK;
	assert_int_equal(store_reserve(&s, 4 * STORE_BLOCK, 1), -ENOBUFS);
	assert_int_equal(store_reserve(&s, 0, 4 * STORE_BLOCK), 0);
	store_drop_below(&s, 4 * STORE_BLOCK);
	assert_int_equal(store_reserve(&s, 4 * STORE_BLOCK, 1), 0);
	store_done(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stores_are_the_arrays),
		cmocka_unit_test(a_failed_reserve_changed_nothing),
		cmocka_unit_test(far_is_too_far),
		cmocka_unit_test(a_budget_may_shrink),
	};

	seed = seed_choose();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
