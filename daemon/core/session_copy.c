#include "daemon/core/session_packet.h"

/* A copy that wins less is not worth its bytes. */
#define COPY_GAIN (5 * NS_PER_MS)

enum {
	COPY_PERCENT = 3,       /* of what streams have sent */
	COPY_PERCENT_MAX = 50,  /* the same, of what is precious: many short streams */
	COPY_FREE = 256 * 1024, /* bytes before that counts */
	COPY_TAIL =
		16 * 1024, /* of a stream, whose loss nothing that follows would show */
	COPY_LOOK = 64,    /* packets that are looked at, of each subflow */
};

/* When a packet of `sf` that was sent at `sent_at` comes: overdue, it was lost. */
static ns_t
arrival(const struct session *s, const struct subflow *sf, ns_t sent_at)
{
	ns_t heard = sent_at + rtt_smoothed(&sf->rtt) + 2 * sf->rtt.rttvar;

	return heard < s->now
		       ? s->now + rtt_smoothed(&sf->rtt)
		       : sent_at + rtt_minimum(&sf->rtt) / 2 + rtt_queueing(&sf->rtt);
}

/* Young streams and tails are copied against loss, as long as that costs nobody. */
static bool
is_precious(const struct stream *st, const struct chunk *c)
{
	bool is_tail = st->out.sent == st->out.end &&
		       st->out.end - c->off <= COPY_TAIL &&
		       (st->out.fin || !st->starved);

	return c->off < COPY_TAIL || is_tail;
}

static bool
is_idle(const struct subflow *sf)
{
	return sf->loss.in_flight < sf->cc.cwnd / 2;
}

static bool
may_spend(const struct session *s, unsigned percent)
{
	return s->copied <= COPY_FREE + s->stats.stream_bytes_out * percent / 100;
}

/* What is still missed of a chunk. */
static struct stream *
missed(const struct session *s, const struct item *it, struct chunk *ret_chunk)
{
	struct stream *st;

	if (it->kind != ITEM_CHUNK)
		return NULL;
	st = session_find_stream(s, it->stream);
	if (st == NULL || st->reset ||
	    !sendbuf_in_flight(&st->out, it->off, it->len, ret_chunk) ||
	    ret_chunk->off < it->off ||
	    ret_chunk->off + ret_chunk->len > it->off + it->len)
		return NULL;
	return st;
}

/* The first packet of `sf` that is worth a copy which comes `eta` from now. */
static const struct sent *
candidate_of(const struct session *s, struct subflow *sf, const struct subflow *by,
	     ns_t eta)
{
	const struct sent *p = loss_oldest(&sf->loss);
	struct chunk c;

	for (int i = 0; p != NULL && i < COPY_LOOK; i++, p = loss_after(&sf->loss, p)) {
		const struct stream *st;
		ns_t gain;

		if (p->counter < sf->copied_to)
			continue;
		st = p->n_items > 0 ? missed(s, &p->items[0], &c) : NULL;
		if (st == NULL) {
			sf->copied_to = p->counter + 1;
			continue;
		}
		if (s->cfg.scheduler == SCHEDULER_REDUNDANT)
			return p;
		gain = arrival(s, sf, p->sent_at) - s->now - eta;
		if (gain >= COPY_GAIN && may_spend(s, COPY_PERCENT))
			return p;
		if (is_precious(st, &c) && is_idle(by) &&
		    may_spend(s, COPY_PERCENT_MAX) && gain + rtt_smoothed(&sf->rtt) > 0)
			return p;
		return NULL;
	}
	return NULL;
}

static size_t
copy_packet(struct session *s, struct subflow *by, const struct sent *sent,
	    uint8_t *buf)
{
	struct outbound p;

	packet_begin(&p, buf, subflow_packet_max(by));
	for (unsigned i = 0; i < sent->n_items; i++) {
		struct chunk c;
		struct stream *st = missed(s, &sent->items[i], &c);

		if (st == NULL || !packet_has_items(&p) ||
		    p.max - p.len < FRAME_ROOM_MIN)
			continue;
		(void)packet_put_chunk(&p, st, &c);
		packet_note(&p, (struct item){st->id, c.off, c.len, ITEM_COPY, c.fin});
		s->copied += c.len;
		s->stats.resent += c.len;
	}
	return packet_finish(s, by, &p);
}

size_t
session_copy(struct session *s, struct subflow *by, uint8_t *buf)
{
	for (size_t i = 0; i < SESSION_SUBFLOWS_MAX; i++) {
		struct subflow *sf = s->subflows[i];
		const struct sent *p;
		size_t len;

		if (sf == NULL || sf == by || sf->state == SUBFLOW_JOINING)
			continue;
		p = candidate_of(
			s, sf, by,
			rtt_minimum(&by->rtt) / 2 + subflow_queueing(by, s->now));
		if (p == NULL)
			continue;
		sf->copied_to = p->counter + 1;
		len = copy_packet(s, by, p, buf);
		if (len > 0)
			return len;
	}
	return 0;
}
