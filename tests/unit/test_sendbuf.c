/*
 * What a stream still has to send against flags for each byte, and whole transfers
 * where packets and allocations fail.
 */
#include "tests/unit/unit.h"

#include "daemon/core/sendbuf.h"
#include "tests/unit/heap.h"
#include "tests/unit/seed.h"

#include <stdlib.h>
#include <string.h>

enum { BYTES = 3 * STORE_BLOCK, RECORDS = 4096 };

static unsigned seed;

static size_t
draw(size_t below)
{
	return ((size_t)rand_r(&seed) << 15 ^ (size_t)rand_r(&seed)) % below;
}

static uint8_t
byte_at(uint64_t off)
{
	return (uint8_t)(off * 37 ^ off >> 8);
}

static void
assert_chunk(const struct chunk *c, uint64_t off, uint64_t len, bool fin)
{
	assert_int_equal(c->off, off);
	assert_int_equal(c->len, len);
	assert_int_equal(c->fin, fin);
}

static void
assert_bytes(const struct sendbuf *b, const struct chunk *c)
{
	static uint8_t data[BYTES];

	sendbuf_read(b, c, data);
	for (size_t i = 0; i < c->len; i++)
		assert_int_equal(data[i], byte_at(c->off + i));
}

/* Appends up to `len` bytes; how many there was room for. */
static size_t
append(struct sendbuf *b, size_t len)
{
	size_t room;
	uint8_t *at;

	if (sendbuf_room(b, &at, &room) < 0)
		return 0;
	assert_true(room > 0);
	len = min_size(len, room);
	for (size_t i = 0; i < len; i++)
		at[i] = byte_at(b->end + i);
	sendbuf_commit(b, len);
	return len;
}

static struct chunk
send_next(struct sendbuf *b, size_t max)
{
	struct chunk c;

	assert_true(sendbuf_next(b, max, UINT64_MAX, &c));
	assert_true(c.len <= max);
	assert_bytes(b, &c);
	sendbuf_sent(b, &c);
	return c;
}

static void
assert_nothing_to_send(const struct sendbuf *b)
{
	struct chunk c;

	assert_false(sendbuf_next(b, 1000, UINT64_MAX, &c));
}

/* Nothing is held but the struct itself. */
static void
assert_idle(const struct sendbuf *b)
{
	assert_null(b->store.blocks);
	assert_null(b->acked.at);
	assert_null(b->lost.at);
	assert_int_equal(b->store.budget->used, 0);
}

/* --- the model ------------------------------------------------------------------ */

struct model {
	bool acked[BYTES], lost[BYTES];
	size_t sent, end;
	bool fin, fin_sent, fin_acked;
};

static size_t
una_of(const struct model *m)
{
	size_t i = 0;

	while (i < m->sent && m->acked[i])
		i++;
	return i;
}

static size_t
run_of(const bool *flags, size_t from, size_t past)
{
	size_t i = from;

	while (i < past && flags[i])
		i++;
	return i - from;
}

static bool
model_next(const struct model *m, size_t max, size_t limit, struct chunk *c)
{
	bool with_fin = m->fin && !m->fin_sent && !m->fin_acked;
	size_t off = 0, len;

	while (off < m->sent && !m->lost[off])
		off++;
	len = off < m->sent ? run_of(m->lost, off, m->sent)
			    : min_size(m->end, max_size(limit, off)) - off;
	len = min_size(len, max);
	*c = (struct chunk){off, (uint32_t)len, with_fin && off + len == m->end};
	return len > 0 || (c->fin && off == m->sent);
}

static bool
model_in_flight(const struct model *m, size_t from, size_t max, struct chunk *c)
{
	bool with_fin = m->fin_sent && !m->fin_acked;
	size_t off = from, len = 0;

	while (off < m->sent && (m->acked[off] || m->lost[off]))
		off++;
	while (off + len < m->sent && len < max && !m->acked[off + len] &&
	       !m->lost[off + len])
		len++;
	if (off >= m->sent)
		off = m->end;
	*c = (struct chunk){off, (uint32_t)len, with_fin && off + len == m->end};
	return len > 0 || (c->fin && off == m->end);
}

static void
model_acked(struct model *m, const struct chunk *c)
{
	m->fin_acked |= c->fin;
	for (size_t i = c->off; i < c->off + c->len; i++) {
		m->acked[i] = true;
		m->lost[i] = false;
	}
}

static void
model_lost(struct model *m, const struct chunk *c)
{
	if (c->fin)
		m->fin_sent = false;
	for (size_t i = c->off; i < c->off + c->len; i++)
		m->lost[i] = !m->acked[i];
}

static void
assert_same(const struct sendbuf *b, const struct model *m)
{
	size_t una = una_of(m), max = draw(3000), limit = draw(2 * BYTES);
	size_t from = draw(m->end + 2), n_blocks;
	struct chunk c, expected;

	assert_int_equal(b->una, una);
	assert_int_equal(b->sent, m->sent);
	assert_int_equal(b->end, m->end);
	assert_int_equal(sendbuf_is_done(b), m->fin_acked && una == m->end);

	assert_int_equal(sendbuf_next(b, max, limit, &c),
			 model_next(m, max, limit, &expected));
	if (sendbuf_next(b, max, limit, &c))
		assert_chunk(&c, expected.off, expected.len, expected.fin);
	assert_int_equal(sendbuf_in_flight(b, from, max, &c),
			 model_in_flight(m, from, max, &expected));
	if (sendbuf_in_flight(b, from, max, &c)) {
		assert_chunk(&c, expected.off, expected.len, expected.fin);
		assert_bytes(b, &c);
	}

	n_blocks = (m->end + STORE_BLOCK - 1) / STORE_BLOCK - una / STORE_BLOCK;
	assert_int_equal(b->store.budget->used,
			 una == m->end ? 0 : n_blocks * STORE_BLOCK);
	if (una == m->end)
		assert_idle(b);
}

struct records {
	struct chunk at[RECORDS];
	size_t n;
};

static void
step_append(struct sendbuf *b, struct model *m)
{
	size_t room = STORE_BLOCK - m->end % STORE_BLOCK;
	size_t len = min_size(draw(draw(4) == 0 ? STORE_BLOCK : 1500), BYTES - m->end);
	bool fails = draw(8) == 0;
	size_t got;

	if (m->fin)
		return;
	if (len == 0 || draw(100) == 0) {
		sendbuf_end(b);
		m->fin = true;
		return;
	}
	heap_fail(0, fails);
	got = append(b, len);
	if (heap_heal())
		assert_int_equal(got, 0);
	else
		assert_int_equal(got, min_size(len, room));
	m->end += got;
	if (got == 0 || draw(10) == 0)
		sendbuf_commit(b, 0);
}

static void
step_send(struct sendbuf *b, struct model *m, struct records *r)
{
	struct chunk c;

	if (!sendbuf_next(b, 1 + draw(1500), draw(4) == 0 ? draw(BYTES) : BYTES, &c))
		return;
	if (c.len > 1 && draw(8) == 0) {
		c.len = 1 + (uint32_t)draw(c.len - 1);
		c.fin = false;
	}
	assert_bytes(b, &c);
	sendbuf_sent(b, &c);
	for (size_t i = c.off; i < c.off + c.len; i++)
		m->lost[i] = false;
	m->sent = max_size(m->sent, c.off + c.len);
	m->fin_sent |= c.fin;
	r->at[r->n++] = c;
}

static void
step_hear(struct sendbuf *b, struct model *m, struct records *r)
{
	size_t i;
	struct chunk c;

	if (r->n == 0)
		return;
	i = draw(3) == 0 ? draw(r->n) : r->n - 1 - draw(min_size(r->n, 10));
	c = r->at[i];
	if (draw(4) > 0) {
		sendbuf_acked(b, &c);
		model_acked(m, &c);
	} else {
		sendbuf_lost(b, &c);
		model_lost(m, &c);
	}
	/* What stays is heard of again. */
	if (draw(4) > 0)
		r->at[i] = r->at[--r->n];
}

static void
sending_is_the_flags(void **state)
{
	static struct model m;
	static struct records r;

	(void)state;
	for (int run = 0; run < 12; run++) {
		struct budget budget = {.max = 100 * STORE_BLOCK};
		struct sendbuf b;

		memset(&m, 0, sizeof(m));
		r.n = 0;
		sendbuf_init(&b, &budget);
		for (int s = 0; s < 600; s++) {
			size_t what = draw(10);

			if (what < 2)
				step_append(&b, &m);
			else if (what < 6)
				step_send(&b, &m, &r);
			else
				step_hear(&b, &m, &r);
			assert_same(&b, &m);
		}
		sendbuf_done(&b);
		assert_int_equal(budget.used, 0);
	}
}

/* --- transfers ------------------------------------------------------------------ */

struct transfer {
	struct sendbuf b;
	struct records out; /* sent, and nothing heard of them yet */
	bool arrived[BYTES];
	bool fin_arrived;
	size_t n_sent; /* bytes, more than once included */
};

static void
arrive(struct transfer *t, const struct chunk *c)
{
	memset(&t->arrived[c->off], 1, c->len);
	t->fin_arrived |= c->fin;
	sendbuf_acked(&t->b, c);
}

/* Events come in any order, some twice; whatever is said lost may have arrived. */
static void
hear(struct transfer *t, size_t loss_percent)
{
	size_t i = draw(t->out.n);
	struct chunk c = t->out.at[i];

	t->out.at[i] = t->out.at[--t->out.n];
	if (draw(100) < loss_percent) {
		sendbuf_lost(&t->b, &c);
		if (draw(5) == 0)
			arrive(t, &c);
	} else {
		arrive(t, &c);
		if (draw(5) == 0)
			sendbuf_lost(&t->b, &c);
	}
}

static void
assert_nothing_forgotten(const struct transfer *t)
{
	struct chunk c;

	for (size_t i = 0; i < t->b.una; i++)
		assert_true(t->arrived[i]);
	assert_true(!t->b.fin_acked || t->fin_arrived);
	if (t->out.n == 0 && t->b.fin && !sendbuf_is_done(&t->b))
		assert_true(sendbuf_next(&t->b, 1, UINT64_MAX, &c));
}

static void
run_transfer(struct transfer *t, size_t max, size_t loss_percent, size_t fail_percent)
{
	struct budget budget = {.max = 100 * STORE_BLOCK};
	struct chunk c;

	memset(t, 0, sizeof(*t));
	sendbuf_init(&t->b, &budget);
	while (!sendbuf_is_done(&t->b)) {
		if (t->b.end < BYTES)
			append(&t->b, BYTES - t->b.end);
		else
			sendbuf_end(&t->b);
		heap_fail(0, draw(100) < fail_percent ? 100 : 0);
		if (t->out.n < RECORDS && draw(3) > 0 &&
		    sendbuf_next(&t->b, 1 + draw(max), UINT64_MAX, &c)) {
			assert_bytes(&t->b, &c);
			sendbuf_sent(&t->b, &c);
			t->n_sent += c.len;
			t->out.at[t->out.n++] = c;
		} else if (t->out.n > 0) {
			hear(t, loss_percent);
		}
		heap_heal();
		if (draw(20) == 0 || t->out.n == 0)
			assert_nothing_forgotten(t);
	}
	assert_nothing_forgotten(t);
	assert_int_equal(t->b.una, BYTES);
	assert_true(t->fin_arrived);
	assert_idle(&t->b);
	assert_nothing_to_send(&t->b);
	sendbuf_done(&t->b);
}

static void
transfers_end_whatever_fails(void **state)
{
	static struct transfer t;

	(void)state;
	run_transfer(&t, 1500, 0, 0);
	assert_true(t.n_sent <= BYTES * 2);
	run_transfer(&t, 1500, 30, 0);
	run_transfer(&t, 1500, 30, 50);
	run_transfer(&t, 100, 30, 90);
	run_transfer(&t, 100, 30, 100);
	/* More holes than there may be ranges. */
	run_transfer(&t, 16, 30, 0);
	run_transfer(&t, 16, 60, 20);
}

/* Every second byte acknowledged, or lost, until no more fits. */
static void
full_sets_lose_nothing(void **state)
{
	enum { ALL = 4 * SENDBUF_RANGES_MAX };
	struct budget budget = {.max = STORE_BLOCK};
	static bool again[ALL];

	(void)state;
	for (int are_lost = 0; are_lost < 2; are_lost++) {
		struct sendbuf b;
		struct chunk c;
		size_t n = 0;

		sendbuf_init(&b, &budget);
		assert_int_equal(append(&b, ALL), ALL);
		assert_int_equal(send_next(&b, ALL).len, ALL);
		for (uint64_t i = 1; i < ALL; i += 2) {
			c = (struct chunk){.off = i, .len = 1};
			if (are_lost)
				sendbuf_lost(&b, &c);
			else
				sendbuf_acked(&b, &c);
		}
		memset(again, 0, sizeof(again));
		while (sendbuf_next(&b, 100, UINT64_MAX, &c)) {
			assert_bytes(&b, &c);
			memset(&again[c.off], 1, c.len);
			n += c.len;
			sendbuf_sent(&b, &c);
		}
		/* What fitted is known; what did not is sent with its neighbours. */
		for (size_t i = 1; i < ALL; i += 2)
			assert_int_equal(again[i],
					 are_lost || i > 2 * SENDBUF_RANGES_MAX);
		assert_true(n <= ALL);
		assert_false(again[0]);
		c = (struct chunk){.off = 0, .len = ALL};
		sendbuf_acked(&b, &c);
		assert_idle(&b);
		sendbuf_done(&b);
	}
}

/* --- the end -------------------------------------------------------------------- */

static struct budget fin_budget;

static void
begin(struct sendbuf *b, size_t len)
{
	fin_budget = (struct budget){.max = 10 * STORE_BLOCK};
	sendbuf_init(b, &fin_budget);
	if (len > 0)
		assert_int_equal(append(b, len), len);
}

static void
a_fin_alone(void **state)
{
	struct sendbuf b;
	struct chunk c;

	(void)state;
	begin(&b, 0);
	assert_nothing_to_send(&b);
	sendbuf_end(&b);
	/* It needs neither window nor room for bytes. */
	assert_true(sendbuf_next(&b, 0, 0, &c));
	assert_chunk(&c, 0, 0, true);
	assert_bytes(&b, &c);
	assert_false(sendbuf_in_flight(&b, 0, 100, &c));
	sendbuf_sent(&b, &c);
	assert_nothing_to_send(&b);
	assert_true(sendbuf_in_flight(&b, 0, 0, &c));
	assert_chunk(&c, 0, 0, true);
	sendbuf_lost(&b, &c);
	assert_false(sendbuf_in_flight(&b, 0, 100, &c));
	c = send_next(&b, 100);
	assert_chunk(&c, 0, 0, true);
	assert_false(sendbuf_is_done(&b));
	sendbuf_acked(&b, &c);
	assert_true(sendbuf_is_done(&b));
	sendbuf_acked(&b, &c);
	sendbuf_lost(&b, &c);
	assert_true(sendbuf_is_done(&b));
	assert_nothing_to_send(&b);
	assert_false(sendbuf_in_flight(&b, 0, 100, &c));
	assert_idle(&b);
	sendbuf_done(&b);
}

static void
a_fin_with_the_last_byte(void **state)
{
	struct sendbuf b;
	struct chunk head, tail, c;

	(void)state;
	begin(&b, 100);
	sendbuf_end(&b);
	head = send_next(&b, 60);
	assert_chunk(&head, 0, 60, false);
	assert_true(sendbuf_next(&b, 60, 99, &c));
	assert_chunk(&c, 60, 39, false);
	/* The window is shut: neither the byte before it nor the FIN. */
	assert_false(sendbuf_next(&b, 60, 60, &c));
	tail = send_next(&b, 60);
	assert_chunk(&tail, 60, 40, true);
	assert_true(sendbuf_in_flight(&b, 0, 99, &c));
	assert_chunk(&c, 0, 99, false);
	assert_true(sendbuf_in_flight(&b, 99, 99, &c));
	assert_chunk(&c, 99, 1, true);

	sendbuf_lost(&b, &tail);
	assert_true(sendbuf_next(&b, 39, 0, &c));
	assert_chunk(&c, 60, 39, false);
	c = send_next(&b, 40);
	assert_chunk(&c, 60, 40, true);
	sendbuf_acked(&b, &tail);
	assert_false(sendbuf_is_done(&b));
	sendbuf_lost(&b, &c);
	assert_nothing_to_send(&b);
	sendbuf_acked(&b, &head);
	assert_true(sendbuf_is_done(&b));
	assert_idle(&b);
	sendbuf_done(&b);
}

/* Late: the bytes are all acknowledged, and then they end. */
static void
a_fin_after_the_bytes(void **state)
{
	struct sendbuf b;
	struct chunk bytes, fin, c;

	(void)state;
	begin(&b, 100);
	bytes = send_next(&b, 100);
	assert_chunk(&bytes, 0, 100, false);
	sendbuf_lost(&b, &bytes);
	sendbuf_end(&b);
	/* The FIN goes with what is sent again. */
	fin = send_next(&b, 100);
	assert_chunk(&fin, 0, 100, true);
	sendbuf_lost(&b, &fin);
	/* The first one had arrived, without a FIN. */
	sendbuf_acked(&b, &bytes);
	assert_idle(&b);
	assert_false(sendbuf_is_done(&b));
	c = send_next(&b, 100);
	assert_chunk(&c, 100, 0, true);
	assert_true(sendbuf_in_flight(&b, 0, 100, &c));
	assert_chunk(&c, 100, 0, true);
	sendbuf_lost(&b, &c);
	sendbuf_acked(&b, &c);
	assert_nothing_to_send(&b);
	assert_true(sendbuf_is_done(&b));
	sendbuf_done(&b);
}

static void
an_idle_stream_holds_nothing(void **state)
{
	struct sendbuf b;
	struct chunk c;
	uint8_t *at;
	size_t len;

	(void)state;
	begin(&b, 0);
	assert_idle(&b);
	assert_int_equal(sendbuf_room(&b, &at, &len), 0);
	assert_int_equal(len, STORE_BLOCK);
	sendbuf_commit(&b, 0);
	assert_idle(&b);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(append(&b, 10000), i == 1 || i == 3 ? 6384 : 10000);
		do {
			c = send_next(&b, 1000);
			sendbuf_acked(&b, &c);
		} while (b.una < b.end);
		assert_idle(&b);
	}
	/* What was to come turns out to be the end. */
	assert_int_equal(sendbuf_room(&b, &at, &len), 0);
	sendbuf_end(&b);
	assert_idle(&b);
	sendbuf_done(&b);
}

static void
no_room_without_budget(void **state)
{
	struct budget budget = {.max = STORE_BLOCK};
	struct sendbuf b, other;
	uint8_t *at;
	size_t len;

	(void)state;
	sendbuf_init(&b, &budget);
	sendbuf_init(&other, &budget);
	assert_int_equal(append(&b, STORE_BLOCK), STORE_BLOCK);
	assert_int_equal(sendbuf_room(&b, &at, &len), -ENOBUFS);
	assert_int_equal(sendbuf_room(&other, &at, &len), -ENOBUFS);
	assert_int_equal(budget.used, STORE_BLOCK);
	send_next(&b, STORE_BLOCK);
	sendbuf_acked(&b, &(struct chunk){.off = 0, .len = STORE_BLOCK});
	heap_fail(0, 1);
	assert_int_equal(sendbuf_room(&other, &at, &len), -ENOMEM);
	assert_true(heap_heal());
	assert_int_equal(budget.used, 0);
	assert_int_equal(sendbuf_room(&other, &at, &len), 0);
	sendbuf_done(&b);
	sendbuf_done(&other);
	assert_int_equal(budget.used, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sending_is_the_flags),
		cmocka_unit_test(transfers_end_whatever_fails),
		cmocka_unit_test(full_sets_lose_nothing),
		cmocka_unit_test(a_fin_alone),
		cmocka_unit_test(a_fin_with_the_last_byte),
		cmocka_unit_test(a_fin_after_the_bytes),
		cmocka_unit_test(an_idle_stream_holds_nothing),
		cmocka_unit_test(no_room_without_budget),
	};

	seed = seed_choose();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
