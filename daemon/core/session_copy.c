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
	TAIL_LOOK = 16,    /* the same, from the newest one back: more than COPY_TAIL */
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

/* What one window update says the next one says better. */
static bool
is_word_missed(const struct stream *st, uint8_t word)
{
	return word != STREAM_MAX && (word == STREAM_RESET || !st->reset) &&
	       ((st->spoken | st->words) & word) == 0;
}

/* The stream of a chunk or word that is still missed, and what is missed of it. */
static struct stream *
missed(const struct session *s, const struct item *it, struct chunk *ret_chunk)
{
	struct stream *st;

	if (it->kind != ITEM_CHUNK && it->kind != ITEM_WORD)
		return NULL;
	st = session_find_stream(s, it->stream);
	if (st != NULL && it->kind == ITEM_WORD)
		return is_word_missed(st, (uint8_t)it->off) ? st : NULL;
	if (st == NULL || st->reset ||
	    !sendbuf_in_flight(&st->out, it->off, it->len, ret_chunk) ||
	    ret_chunk->off < it->off ||
	    ret_chunk->off + ret_chunk->len > it->off + it->len)
		return NULL;
	return st;
}

/* Nobody knew whether `sf` lives when this went out. */
static bool
was_quiet(const struct subflow *sf, const struct sent *p)
{
	return p->sent_at - sf->acked_at > rtt_pto(&sf->rtt, ACKS_DELAY_MAX);
}

/* What a packet brings that is still missed: each says more than the one before. */
enum worth {
	WORTH_NOTHING,
	WORTH_BYTES,
	WORTH_MUCH, /* against loss, as long as that costs nobody */
	WORTH_ALL,  /* words over a quiet subflow: it may be dead */
};

static enum worth
worth_of(const struct session *s, const struct subflow *sf, const struct sent *p)
{
	enum worth worth = WORTH_NOTHING;

	for (unsigned i = 0; i < p->n_items && worth < WORTH_ALL; i++) {
		const struct item *it = &p->items[i];
		struct chunk c;
		const struct stream *st = missed(s, it, &c);

		if (st == NULL)
			continue;
		if (it->kind == ITEM_WORD && was_quiet(sf, p))
			worth = WORTH_ALL;
		else if (it->kind == ITEM_WORD || it->again || is_precious(st, &c))
			worth = WORTH_MUCH;
		else if (worth < WORTH_BYTES)
			worth = WORTH_BYTES;
	}
	return worth;
}

/* Of a packet of `sf` whose copy by `by` would come `eta` from now. */
static bool
pays(const struct session *s, const struct subflow *sf, const struct sent *p,
     const struct subflow *by, ns_t eta, enum worth worth)
{
	ns_t gain = arrival(s, sf, p->sent_at) - s->now - eta;

	if (worth == WORTH_ALL || s->cfg.scheduler == SCHEDULER_REDUNDANT)
		return true;
	if (gain >= COPY_GAIN && may_spend(s, COPY_PERCENT))
		return true;
	return worth == WORTH_MUCH &&
	       may_spend(s, is_idle(by) ? COPY_PERCENT_MAX : COPY_PERCENT) &&
	       gain + rtt_smoothed(&sf->rtt) > 0;
}

/*
 * The packet of `sf` that is to be repeated now: the oldest one that is missed, or
 * what is worth it among the newest: behind a long flight a tail would wait for it.
 * Beside bulk streams only the latter, or the copies would be theirs.
 */
static const struct sent *
candidate_of(const struct session *s, struct subflow *sf, const struct subflow *by,
	     ns_t eta)
{
	const struct sent *p = loss_oldest(&sf->loss), *tail = NULL;
	bool beside = !list_empty(&s->bulk) && s->cfg.scheduler != SCHEDULER_REDUNDANT;

	for (int i = 0; !beside && p != NULL && i < COPY_LOOK;
	     i++, p = loss_after(&sf->loss, p)) {
		enum worth worth = p->copied ? WORTH_NOTHING : worth_of(s, sf, p);

		if (worth != WORTH_NOTHING && pays(s, sf, p, by, eta, worth))
			return p;
		if (worth != WORTH_NOTHING)
			break;
		loss_copied(&sf->loss, p);
	}
	p = loss_newest(&sf->loss);
	for (int i = 0; p != NULL && i < TAIL_LOOK;
	     i++, p = loss_before(&sf->loss, p)) {
		enum worth worth = p->copied ? WORTH_NOTHING : worth_of(s, sf, p);

		if (worth >= WORTH_MUCH && pays(s, sf, p, by, eta, worth))
			tail = p;
	}
	return tail;
}

static void
put_copy(struct session *s, struct outbound *p, const struct stream *st,
	 struct chunk *c)
{
	(void)packet_put_chunk(p, st, c);
	packet_note(p, (struct item){st->id, c->off, c->len, ITEM_COPY, c->fin, false});
	s->stats.resent += c->len;
}

static size_t
copy_packet(struct session *s, struct subflow *by, const struct sent *sent,
	    uint8_t *buf)
{
	struct outbound p;
	size_t len;

	packet_begin(&p, buf, subflow_packet_max(by));
	for (unsigned i = 0; i < sent->n_items; i++) {
		const struct item *it = &sent->items[i];
		struct chunk c;
		const struct stream *st = missed(s, it, &c);

		if (st == NULL || p.max - p.len < FRAME_ROOM_MIN)
			continue;
		if (it->kind == ITEM_WORD)
			(void)packet_put_word(&p, st, (uint8_t)it->off, ITEM_WORD_COPY);
		else
			put_copy(s, &p, st, &c);
	}
	len = packet_finish(s, by, &p);
	s->copied += len;
	return len;
}

size_t
session_copy(struct session *s, struct subflow *by, uint8_t *buf)
{
	session_for_each (sf, s) {
		const struct sent *p;
		size_t len;

		if (sf == by || sf->state == SUBFLOW_JOINING)
			continue;
		p = candidate_of(
			s, sf, by,
			rtt_minimum(&by->rtt) / 2 + subflow_queueing(by, s->now));
		if (p == NULL)
			continue;
		loss_copied(&sf->loss, p);
		len = copy_packet(s, by, p, buf);
		if (len > 0)
			return len;
	}
	return 0;
}
