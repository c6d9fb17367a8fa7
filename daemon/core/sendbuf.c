#include "daemon/core/sendbuf.h"

#include <string.h>

void
sendbuf_init(struct sendbuf *b, struct budget *budget)
{
	memset(b, 0, sizeof(*b));
	store_init(&b->store, budget);
	ranges_init(&b->acked, SENDBUF_RANGES_MAX);
	ranges_init(&b->lost, SENDBUF_RANGES_MAX);
}

void
sendbuf_done(struct sendbuf *b)
{
	ranges_done(&b->acked);
	ranges_done(&b->lost);
	store_done(&b->store);
}

static bool
is_empty(struct range r)
{
	return r.start >= r.end;
}

/* Blocks below una go; all of them when nothing is left to send again. */
static void
drop_acked(struct sendbuf *b)
{
	if (b->una == b->end)
		store_clear(&b->store, b->una);
	else
		store_drop_below(&b->store, b->una);
}

int
sendbuf_room(struct sendbuf *b, uint8_t **ret_at, size_t *ret_len)
{
	int err;

	assert(!b->fin);

	err = store_reserve(&b->store, b->end, 1);
	if (err < 0)
		return err;
	*ret_at = store_at(&b->store, b->end, ret_len);
	return 0;
}

void
sendbuf_commit(struct sendbuf *b, size_t len)
{
	assert(!b->fin && len <= STORE_BLOCK - b->end % STORE_BLOCK);

	b->end += len;
	if (len == 0)
		drop_acked(b);
}

void
sendbuf_end(struct sendbuf *b)
{
	b->fin = true;
	drop_acked(b);
}

/* The first at most `max` bytes of `r`, with the FIN if that wants to go along. */
static struct chunk
cut(const struct sendbuf *b, struct range r, size_t max, bool with_fin)
{
	uint64_t len = min_u64(min_u64(r.end - r.start, max), UINT32_MAX);

	return (struct chunk){
		.off = r.start,
		.len = (uint32_t)len,
		.fin = with_fin && r.start + len == b->end,
	};
}

bool
sendbuf_next(const struct sendbuf *b, size_t max, uint64_t limit,
	     struct chunk *ret_chunk)
{
	bool with_fin = b->fin && !b->fin_sent && !b->fin_acked;
	struct range r;

	if (!is_empty(b->unlisted))
		r = b->unlisted;
	else if (b->lost.n > 0)
		r = b->lost.at[0];
	else
		r = (struct range){b->sent, min_u64(b->end, limit)};

	if (is_empty(r)) {
		if (!with_fin || b->sent < b->end)
			return false;
		r = (struct range){b->end, b->end};
	} else if (max == 0) {
		return false;
	}
	*ret_chunk = cut(b, r, max, with_fin);
	return true;
}

void
sendbuf_read(const struct sendbuf *b, const struct chunk *c, uint8_t *ret_data)
{
	assert(c->len == 0 || (c->off >= b->una && c->len <= b->end - c->off));

	store_read(&b->store, c->off, ret_data, c->len);
}

static void
set_sent_again(struct sendbuf *b, uint64_t start, uint64_t end)
{
	/* A piece out of the middle may not fit: then it goes out once more. */
	if (ranges_remove(&b->lost, start, end) < 0)
		return;
	if (start <= b->unlisted.start)
		b->unlisted.start = max_u64(b->unlisted.start, end);
}

void
sendbuf_sent(struct sendbuf *b, const struct chunk *c)
{
	uint64_t end = c->off + c->len;

	assert(c->off <= b->sent && end <= b->end);
	assert(!c->fin || (b->fin && end == b->end));

	b->fin_sent |= c->fin;
	if (c->off < b->sent)
		set_sent_again(b, c->off, end);
	b->sent = max_u64(b->sent, end);
}

bool
sendbuf_in_flight(const struct sendbuf *b, uint64_t from, size_t max,
		  struct chunk *ret_chunk)
{
	bool with_fin = b->fin_sent && !b->fin_acked;
	uint64_t at = max_u64(from, b->una);
	struct range r = {b->end, b->end};

	while (at < b->sent) {
		struct range hole = ranges_gap(&b->acked, at, b->sent);

		r = ranges_gap(&b->lost, hole.start, hole.end);
		if (!is_empty(r))
			break;
		at = hole.end;
	}
	if (is_empty(r)) {
		if (!with_fin)
			return false;
		r = (struct range){b->end, b->end};
	} else if (max == 0) {
		return false;
	}
	*ret_chunk = cut(b, r, max, with_fin);
	return true;
}

static void
move_una(struct sendbuf *b, uint64_t una)
{
	ranges_remove_below(&b->acked, una);
	if (b->acked.n > 0 && b->acked.at[0].start == una) {
		una = b->acked.at[0].end;
		ranges_remove_below(&b->acked, una);
	}
	ranges_remove_below(&b->lost, una);
	b->unlisted.start = max_u64(b->unlisted.start, una);
	b->una = una;
	drop_acked(b);
}

/* Cannot fail: what does not fit goes out again together with its neighbours. */
static void
add_lost(struct sendbuf *b, uint64_t start, uint64_t end)
{
	struct ranges *lost = &b->lost;
	int err = ranges_add(lost, start, end);

	if (err == 0)
		return;
	if (lost->n == 0) {
		if (is_empty(b->unlisted))
			b->unlisted = (struct range){start, end};
		b->unlisted.start = min_u64(b->unlisted.start, start);
		b->unlisted.end = max_u64(b->unlisted.end, end);
		return;
	}
	/* A range that touches another one takes no place. */
	if (start > lost->at[lost->n - 1].end)
		start = lost->at[lost->n - 1].end;
	else
		end = ranges_gap(lost, start, UINT64_MAX).end;
	err = ranges_add(lost, start, end);
	assert(err == 0);
}

void
sendbuf_acked(struct sendbuf *b, const struct chunk *c)
{
	uint64_t end = c->off + c->len;

	assert(end <= b->sent);
	assert(!c->fin || (b->fin && end == b->end));

	b->fin_acked |= c->fin;
	if (end <= b->una)
		return;
	if (c->off <= b->una) {
		move_una(b, end);
		return;
	}
	/* No event will come for these bytes any more: they must go out again. */
	if (ranges_add(&b->acked, c->off, end) < 0)
		add_lost(b, c->off, end);
	else
		set_sent_again(b, c->off, end);
}

void
sendbuf_lost(struct sendbuf *b, const struct chunk *c)
{
	uint64_t end = c->off + c->len;
	struct range r = ranges_gap(&b->acked, max_u64(c->off, b->una), end);

	assert(end <= b->sent);

	if (c->fin)
		b->fin_sent = false;
	while (!is_empty(r)) {
		add_lost(b, r.start, r.end);
		r = ranges_gap(&b->acked, r.end, end);
	}
}

bool
sendbuf_is_done(const struct sendbuf *b)
{
	return b->fin_acked && b->una == b->end;
}
