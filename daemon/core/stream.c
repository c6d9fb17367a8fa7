#include "daemon/core/stream.h"

#include <stdlib.h>

struct stream *
stream_new(uint64_t id, struct budget *out, struct budget *in)
{
	struct stream *st = calloc(1, sizeof(*st));

	if (st == NULL)
		return NULL;
	list_init(&st->by_id);
	list_init(&st->turn);
	list_init(&st->talk);
	list_init(&st->told);
	list_init(&st->hungry);
	st->id = id;
	st->window = STREAM_WINDOW_MIN;
	st->out_limit = STREAM_WINDOW_MIN;
	st->young = true;
	sendbuf_init(&st->out, out);
	reorder_init(&st->in, in, STREAM_WINDOW_MIN);
	return st;
}

void
stream_free(struct stream *st)
{
	if (st == NULL)
		return;
	list_remove(&st->by_id);
	list_remove(&st->turn);
	list_remove(&st->talk);
	list_remove(&st->told);
	list_remove(&st->hungry);
	sendbuf_done(&st->out);
	reorder_done(&st->in);
	free(st->request);
	free(st);
}

bool
stream_has_data(const struct stream *st, uint64_t credit)
{
	struct chunk c;
	uint64_t limit = min_u64(st->out_limit, st->out.sent + credit);

	return sendbuf_next(&st->out, 1, limit, &c);
}

uint64_t
stream_lost(const struct stream *st)
{
	uint64_t lost = 0;

	for (uint32_t i = 0; i < st->out.lost.n; i++)
		lost += st->out.lost.at[i].end - st->out.lost.at[i].start;
	return lost;
}

uint64_t
stream_backlog(const struct stream *st)
{
	return stream_lost(st) + st->out.end - st->out.sent;
}

bool
stream_consumed(struct stream *st, size_t len, ns_t srtt, ns_t now)
{
	uint64_t left;

	reorder_consume(&st->in, len);
	if (st->in.fin != UINT64_MAX)
		return false;
	left = st->in.limit - st->in.read;
	if (left > st->window / 2)
		return false;
	if (st->granted_at != 0 && now - st->granted_at < 2 * srtt)
		st->window = min_u64(st->window * 2, STREAM_WINDOW_MAX);
	st->granted_at = now;
	st->in.limit = max_u64(st->in.limit, st->in.read + st->window);
	return true;
}

bool
stream_is_over(const struct stream *st)
{
	if (!st->released)
		return false;
	/* Until its end is known, what still comes has to be counted. */
	if (st->reset)
		return (st->spoken & STREAM_RESET) != 0 &&
		       ((st->heard & STREAM_RESET) != 0 || st->in.fin != UINT64_MAX);
	if ((st->heard & STREAM_OPEN) != 0 && (st->spoken & STREAM_OPENED) == 0)
		return false;
	return sendbuf_is_done(&st->out) && reorder_is_done(&st->in) &&
	       (st->words & ~STREAM_MAX) == 0 && st->request == NULL;
}
