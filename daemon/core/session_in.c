#include "daemon/core/session_parts.h"

#include <stdlib.h>
#include <string.h>

/* The packet whose frames are read. */
struct inbound {
	struct subflow *sf;
	uint64_t counter;
	uint8_t generation; /* of its keys */
	bool wants_ack;
	bool says_end; /* it knows that a subflow ended */
	ns_t now;
};

/* Frames about a stream */

/* The stream that a frame names; the server's may be new. NULL: it is over. */
static struct stream *
named(struct session *s, uint64_t id)
{
	struct stream *st = session_find_stream(s, id);

	return st != NULL ? st : session_new_stream(s, id);
}

/* A client's ids begin at 1 and count up; what it never opened is a lie. */
static bool
is_possible(const struct session *s, uint64_t id)
{
	return id != 0 && (s->cfg.role == SESSION_SERVER || id < s->next_stream);
}

static void
count(struct session *s, struct stream *st, uint64_t top)
{
	s->in_total += top - st->counted;
	st->counted = top;
}

static int
on_stream(struct session *s, const struct frame_stream *f)
{
	struct stream *st;
	uint64_t top;
	size_t before, after;
	int err;

	if (!is_possible(s, f->stream))
		return -EPROTO;
	st = named(s, f->stream);
	if (st == NULL)
		return session_is_past(s, f->stream) ? 0 : -ENOBUFS;
	top = max_u64(st->counted, f->off + f->len);
	if (top - st->counted > s->in_limit - s->in_total)
		return -EPROTO;
	if (st->reset) {
		count(s, st, top);
		if (f->fin && st->in.fin == UINT64_MAX)
			st->in.fin = f->off + f->len;
		session_reap(s, st);
		return 0;
	}
	(void)reorder_readable(&st->in, &before);
	err = reorder_insert(&st->in, f->off, f->data, f->len, f->fin);
	if (err < 0)
		return err == -EPROTO ? -EPROTO : -ENOBUFS;
	count(s, st, top);
	(void)reorder_readable(&st->in, &after);
	if (after > before || st->in.edge == st->in.fin)
		session_tell(s, st, STREAM_NEWS_READABLE);
	return 0;
}

static int
on_open(struct session *s, const struct frame_open *f)
{
	struct stream *st;

	if (s->cfg.role != SESSION_SERVER || f->stream == 0)
		return -EPROTO;
	st = named(s, f->stream);
	if (st == NULL)
		return session_is_past(s, f->stream) ? 0 : -ENOBUFS;
	if ((st->heard & (STREAM_OPEN | STREAM_RESET)) != 0)
		return 0;
	st->request = malloc(f->len);
	if (st->request == NULL)
		return -ENOBUFS;
	memcpy(st->request, f->request, f->len);
	st->request_len = (uint16_t)f->len;
	st->heard |= STREAM_OPEN;
	session_tell(s, st, STREAM_NEWS_OPEN);
	return 0;
}

static int
on_opened(struct session *s, uint64_t id, uint8_t status)
{
	struct stream *st;

	if (s->cfg.role != SESSION_CLIENT || !is_possible(s, id))
		return -EPROTO;
	st = session_find_stream(s, id);
	if (st == NULL || (st->heard & STREAM_OPENED) != 0)
		return 0;
	st->heard |= STREAM_OPENED;
	st->status = status;
	session_tell(s, st, STREAM_NEWS_ANSWER);
	return 0;
}

/* `final`: the bytes that the peer has counted against the session's window. */
static int
on_reset(struct session *s, uint64_t id, uint8_t code, uint64_t final)
{
	struct stream *st;

	if (!is_possible(s, id))
		return -EPROTO;
	st = named(s, id);
	if (st == NULL)
		return session_is_past(s, id) ? 0 : -ENOBUFS;
	if ((st->heard & STREAM_RESET) != 0)
		return 0;
	if (final < st->counted || final - st->counted > s->in_limit - s->in_total)
		return -EPROTO;
	count(s, st, final);
	st->heard |= STREAM_RESET;
	session_tell(s, st, STREAM_NEWS_RESET);
	session_reset(s, st, code);
	session_reap(s, st);
	return 0;
}

static int
on_stream_max(struct session *s, uint64_t id, uint64_t max)
{
	struct stream *st;

	if (!is_possible(s, id))
		return -EPROTO;
	st = session_find_stream(s, id);
	if (st == NULL)
		return 0;
	st->out_limit = max_u64(st->out_limit, max);
	session_turn(s, st);
	return 0;
}

static void
on_session_max(struct session *s, uint64_t max)
{
	if (max <= s->out_limit)
		return;
	s->credit_back |= session_credit(s) == 0;
	s->out_limit = max;
}

/* Frames about subflows, and keys */

/*
 * Whether an answer that came by `via` makes a round trip. By way of another subflow
 * it is a mixture of both, which counts when nothing else comes any more.
 */
static bool
is_round_trip(struct subflow *sf, const struct subflow *via, ns_t now)
{
	if (sf == via)
		sf->detour_at = 0;
	else if (sf->detour_at == 0)
		sf->detour_at = now;
	return sf == via || now - sf->detour_at > SUBFLOW_DEAF + rtt_smoothed(&sf->rtt);
}

static int
on_ack(struct session *s, const struct inbound *in, const struct frame_ack *ack)
{
	struct subflow *sf =
		ack->subflow < SESSION_SUBFLOWS_MAX ? s->subflows[ack->subflow] : NULL;
	struct loss_sample sample = {0};
	const struct sent *newest;
	bool is_whole;

	if (sf == NULL || loss_acked(&sf->loss, ack, in->now, &newest, &sample) < 0)
		return -EBADMSG;
	is_whole = is_round_trip(sf, in->sf, in->now);
	if (!is_whole) {
		sample.rtt = sample.acked_ns = 0;
		sample.acked_packets = 0;
	}
	if (newest != NULL) {
		rtt_one_way(&sf->rtt, newest->sent_at, ack->received_at, in->now);
		if (newest->wants_ack && is_whole)
			rtt_sample(&sf->rtt, in->now - newest->sent_at,
				   min_ns((ns_t)ack->delay * NS_PER_US, ACKS_DELAY_MAX),
				   in->now);
		subflow_alive(sf, in->now);
	}
	loss_detect(&sf->loss, &sf->rtt, in->now, &sample);
	session_sampled(s, sf, &sample, in->now);
	return 0;
}

static int
on_prio(struct session *s, uint64_t seq, uint8_t id, uint8_t tier)
{
	struct subflow *sf = id < SESSION_SUBFLOWS_MAX ? s->subflows[id] : NULL;

	if (sf == NULL)
		return 0;
	if (seq <= sf->prio_seen)
		return 0;
	sf->prio_seen = seq;
	sf->tier_peer = tier;
	return 0;
}

static int
on_rekey_frame(struct session *s, const struct inbound *in, const struct frame *f)
{
	if (f->type == FRAME_REKEY_ASK)
		rekey_on_ask(&s->rekey, in->generation);
	else if (rekey_on_message(&s->rekey, &s->rng, f->message, in->generation,
				  in->now))
		session_say_rekey(s);
	return 0;
}

static int
on_subflow_frame(struct session *s, struct inbound *in, const struct frame *f)
{
	struct subflow *sf = in->sf;

	switch (f->type) {
	case FRAME_JOIN:
	case FRAME_JOIN_REPLY:
	case FRAME_JOIN_CONFIRM:
		session_on_join(s, sf, f, in->counter, in->now);
		return 0;
	case FRAME_PRIO: return on_prio(s, f->prio.seq, f->prio.subflow, f->prio.tier);
	case FRAME_ADD_ADDR:
	case FRAME_ADD_ADDR_ECHO:
	case FRAME_REMOVE_ADDR: session_on_addr(s, f, in->now); return 0;
	case FRAME_SUBFLOW_RESET:
		in->says_end = true;
		session_on_reset(s, f->end.subflow, f->end.code, in->now);
		return 0;
	case FRAME_CHALLENGE:
		memcpy(sf->response, f->data, sizeof(sf->response));
		sf->words |= SUBFLOW_RESPONSE;
		return 0;
	case FRAME_RESPONSE:
		if ((sf->words & SUBFLOW_CHALLENGE) != 0 || !sf->proven)
			session_on_response(sf, f->data, in->now);
		return 0;
	case FRAME_FASTCLOSE:
		if (!crypto_equal(f->key,
				  s->cfg.role == SESSION_CLIENT ? s->key_a : s->key_b,
				  8))
			return 0;
		s->closed = true;
		return 0;
	case FRAME_CLOSE: s->closed = true; return 0;
	default: return 0;
	}
}

static int
on_frame(struct session *s, struct inbound *in, const struct frame *f)
{
	if (f->type != FRAME_ACK && f->type != FRAME_PADDING)
		in->wants_ack = true;
	switch (f->type) {
	case FRAME_PADDING:
	case FRAME_PING: return 0;
	case FRAME_ACK: return on_ack(s, in, &f->ack);
	case FRAME_STREAM: return on_stream(s, &f->stream);
	case FRAME_OPEN: return on_open(s, &f->open);
	case FRAME_OPENED: return on_opened(s, f->opened.stream, f->opened.status);
	case FRAME_RESET:
		return on_reset(s, f->reset.stream, f->reset.code, f->reset.final);
	case FRAME_STREAM_MAX: return on_stream_max(s, f->max.stream, f->max.max);
	case FRAME_SESSION_MAX: on_session_max(s, f->max.max); return 0;
	case FRAME_REKEY:
	case FRAME_REKEY_ASK: return on_rekey_frame(s, in, f);
	default: return on_subflow_frame(s, in, f);
	}
}

/* Packets */

/* -ENOBUFS: it must not be acknowledged; -EBADMSG: nor may its subflow go on. */
static int
read_frames(struct session *s, struct inbound *in, const uint8_t *at,
	    const uint8_t *end)
{
	struct frame f;
	int ret = 0;

	while (at < end) {
		int err = frame_get(&at, end, &f);

		if (err == 0)
			err = on_frame(s, in, &f);
		if (err == -ENOBUFS)
			ret = err;
		else if (err < 0)
			return err;
	}
	return ret;
}

/* A subflow follows its peer to a new address, which has to prove itself. */
static void
follow(struct session *s, struct subflow *sf, const struct burst *b, size_t len)
{
	if (s->cfg.role == SESSION_SERVER &&
	    (!addr_equal(&sf->remote, &b->remote) || sf->via != b->via)) {
		sf->remote = b->remote;
		sf->via = b->via;
		sf->proven = false;
		sf->moved = true;
		sf->bytes_in = len;
		sf->bytes_out = 0;
		sf->words |= SUBFLOW_CHALLENGE;
		if (prng_bytes(&s->rng, sf->challenge, sizeof(sf->challenge)) < 0)
			memset(sf->challenge, 0, sizeof(sf->challenge));
	}
	/* By another uplink came what the server sent to a borrowed address. */
	if (s->cfg.role == SESSION_SERVER || b->via == sf->via)
		sf->local = b->local;
}

static int
take_opened(struct session *s, struct inbound *in, const struct burst *b,
	    const struct packet_header *h, const uint8_t *data, size_t len)
{
	struct subflow *sf = in->sf;
	bool newest = in->counter >= sf->acks.next;
	struct acks_pace pace = {sf->rtt.srtt, 0};
	int err;

	/* What others send lends no credit to the address that is answered. */
	if (addr_equal(&sf->remote, &b->remote))
		sf->bytes_in += len;
	err = read_frames(s, in, data + WIRE_HEADER_LEN, data + len - CRYPTO_TAG_LEN);
	if (err == -ENOBUFS || err == -EBADMSG)
		acks_refused(&sf->acks, in->counter);
	if (err == -EBADMSG)
		session_end_subflow(s, sf, SUBFLOW_END_PROTOCOL, in->now);
	if (err < 0)
		return err == -EPROTO ? err : 0;
	sf->heard_at = in->now;
	if (sf->state == SUBFLOW_ENDED && in->wants_ack && !in->says_end)
		session_heard_ended(s, sf, in->now);
	if (newest)
		follow(s, sf, b, len);
	/* Who asks for it at once may not have heard what we said here. */
	if (h->ack_now && in->wants_ack)
		sf->elsewhere_until = in->now + SUBFLOW_ELSEWHERE;
	sf->acks_elsewhere |= in->wants_ack && in->now < sf->elsewhere_until;
	acks_received(&sf->acks, in->counter, in->wants_ack, h->ack_now, &pace,
		      in->now);
	return 0;
}

/* 1: it was not a packet of this session. */
static int
take_packet(struct session *s, const struct burst *b, uint8_t *data, size_t len,
	    ns_t now)
{
	struct inbound in = {.now = now};
	struct packet_header h;

	if (packet_header_get(data, len, &h) < 0 || h.session != s->cfg.index ||
	    h.subflow >= SESSION_SUBFLOWS_MAX || h.subflow == 0)
		return 1;
	in.generation = h.generation;
	in.sf = s->subflows[h.subflow];
	in.counter = packet_counter(h.counter, in.sf != NULL ? in.sf->acks.next : 0);
	if (in.sf != NULL && !acks_is_new(&in.sf->acks, in.counter))
		return 1;
	if (rekey_open(&s->rekey, h.generation,
		       (struct aead_nonce){h.subflow, in.counter}, data, len, now) < 0)
		return 1;
	if (in.sf == NULL)
		in.sf = session_accept_subflow(s, h.subflow, b, now);
	if (in.sf == NULL)
		return 1;
	s->stats.packets_in++;
	s->stats.bytes_in += len;
	in.sf->packets_in++;
	in.sf->received += len;
	if (rekey_opened(&s->rekey, h.generation, now))
		rekey_settle(&s->rekey, 3 * session_slowest_pto(s), now);
	return take_opened(s, &in, b, &h, data, len);
}

int
session_input(struct session *s, const struct burst *b, ns_t now)
{
	int opened = 0;

	for (size_t at = 0; at < b->len && !session_is_over(s); at += b->packet) {
		size_t len = min_size(b->packet, b->len - at);
		int err = take_packet(s, b, b->data + at, len, now);

		if (err < 0)
			s->broken = true;
		else if (err > 0)
			s->stats.refused++;
		else
			opened++;
	}
	if (s->credit_back)
		session_turn_all(s);
	s->credit_back = false;
	return session_is_over(s) ? -ECONNRESET : opened;
}
