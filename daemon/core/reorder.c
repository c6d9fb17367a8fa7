#include "daemon/core/reorder.h"

#include <string.h>

#define FIN_UNKNOWN UINT64_MAX

void
reorder_init(struct reorder *r, struct budget *budget, uint64_t limit)
{
	memset(r, 0, sizeof(*r));
	store_init(&r->store, budget);
	ranges_init(&r->islands, REORDER_ISLANDS_MAX);
	r->limit = limit;
	r->fin = FIN_UNKNOWN;
}

/* There were `n_before` islands when the budget was last charged. */
static void
charge_islands(struct reorder *r, uint32_t n_before)
{
	struct budget *budget = r->store.budget;

	assert(budget->used >= (size_t)n_before * REORDER_ISLAND_COST);
	budget->used -= (size_t)n_before * REORDER_ISLAND_COST;
	budget->used += (size_t)r->islands.n * REORDER_ISLAND_COST;
}

void
reorder_done(struct reorder *r)
{
	uint32_t n = r->islands.n;

	ranges_done(&r->islands);
	charge_islands(r, n);
	store_done(&r->store);
}

/* Copies what is not on an island yet. */
static void
fill_holes(struct reorder *r, uint64_t off, const uint8_t *data, uint64_t end)
{
	struct range hole = ranges_gap(&r->islands, off, end);

	while (hole.start < hole.end) {
		store_write(&r->store, hole.start, data + (hole.start - off),
			    hole.end - hole.start);
		hole = ranges_gap(&r->islands, hole.end, end);
	}
}

/* Islands that the edge has reached are no longer any. */
static void
move_edge(struct reorder *r, uint64_t edge)
{
	uint32_t n = r->islands.n;

	r->edge = edge;
	if (n == 0)
		return;
	ranges_remove_below(&r->islands, edge);
	if (r->islands.n > 0 && r->islands.at[0].start == edge) {
		r->edge = r->islands.at[0].end;
		ranges_remove_below(&r->islands, r->edge);
	}
	charge_islands(r, n);
}

static int
add_at_edge(struct reorder *r, const uint8_t *data, uint64_t end)
{
	int err = store_reserve(&r->store, r->edge, end - r->edge);

	if (err < 0)
		return err;
	fill_holes(r, r->edge, data, end);
	move_edge(r, end);
	return 0;
}

/* Reserves blocks so that an island's own cost still fits. */
static int
reserve_with_cost(struct reorder *r, uint64_t off, size_t len)
{
	struct budget *budget = r->store.budget;
	int err;

	if (budget->used + REORDER_ISLAND_COST > budget->max - budget->max / 8)
		return -ENOBUFS;
	budget->used += REORDER_ISLAND_COST;
	err = store_reserve(&r->store, off, len);
	budget->used -= REORDER_ISLAND_COST;
	return err;
}

static int
add_island(struct reorder *r, uint64_t off, const uint8_t *data, uint64_t end)
{
	uint32_t n = r->islands.n;
	int err;

	if (ranges_contains(&r->islands, off, end))
		return 0;
	err = ranges_prepare(&r->islands, off, end);
	if (err < 0)
		return err;
	err = reserve_with_cost(r, off, end - off);
	if (err < 0)
		return err;
	fill_holes(r, off, data, end);
	err = ranges_add(&r->islands, off, end);
	assert(err == 0);
	charge_islands(r, n);
	return 0;
}

int
reorder_insert(struct reorder *r, uint64_t off, const uint8_t *data, size_t len,
	       bool fin)
{
	uint64_t end;
	int err;

	assert(r->limit < FIN_UNKNOWN);

	if (off > r->limit || len > r->limit - off)
		return -EPROTO;
	end = off + len;
	if (end > r->fin)
		return -EPROTO;
	if (fin && (end < r->top || (r->fin != FIN_UNKNOWN && end != r->fin)))
		return -EPROTO;

	if (len > 0 && end > r->edge) {
		if (off > r->edge)
			err = add_island(r, off, data, end);
		else
			err = add_at_edge(r, data + (r->edge - off), end);
		if (err < 0)
			return err;
		r->top = max_u64(r->top, end);
	}
	if (fin)
		r->fin = end;
	assert(r->read <= r->edge && r->edge <= r->top && r->top <= r->limit);
	return 0;
}

const uint8_t *
reorder_readable(const struct reorder *r, size_t *ret_len)
{
	const uint8_t *at;
	size_t piece;

	if (r->read == r->edge) {
		*ret_len = 0;
		return NULL;
	}
	at = store_at(&r->store, r->read, &piece);
	*ret_len = (size_t)min_u64(piece, r->edge - r->read);
	return at;
}

void
reorder_consume(struct reorder *r, size_t len)
{
	assert(len <= r->edge - r->read);

	r->read += len;
	if (r->read == r->edge && r->islands.n == 0)
		store_clear(&r->store, r->read);
	else
		store_drop_below(&r->store, r->read);
}

bool
reorder_is_done(const struct reorder *r)
{
	return r->read == r->fin;
}
