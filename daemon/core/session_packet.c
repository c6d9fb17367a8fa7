#include "daemon/core/session_packet.h"

#include <string.h>

bool
packet_put(struct outbound *p, const struct frame *f)
{
	size_t n = frame_put(p->buf + p->len, p->max - p->len, f);

	p->len += n;
	return n > 0;
}

bool
packet_has_items(const struct outbound *p)
{
	return p->sent.n_items < LOSS_ITEMS_MAX;
}

void
packet_note(struct outbound *p, struct item it)
{
	p->sent.items[p->sent.n_items++] = it;
	p->sent.wants_ack = true;
}

/* Acknowledgements */

static void
put_ack(struct outbound *p, struct subflow *of, size_t ranges, ns_t now)
{
	struct frame f = {.type = FRAME_ACK};

	if (!acks_frame(&of->acks, of->id, ranges, now, &f.ack))
		return;
	while (!packet_put(p, &f)) {
		if (f.ack.n_ranges == 1)
			return;
		f.ack.n_ranges = 1;
	}
}

/* Its own in full, and of each of the others what came last: a dead subflow's
 * acknowledgements are heard elsewhere. */
void
packet_put_acks(struct session *s, struct outbound *p, struct subflow *sf)
{
	if (sf->acks.unsaid > 0) {
		put_ack(p, sf, FRAME_ACK_RANGES_MAX, s->now);
		acks_said(&sf->acks, s->now);
	}
	session_for_each (other, s) {
		if (other == sf || !other->acks_elsewhere)
			continue;
		put_ack(p, other, 2, s->now);
		other->acks_elsewhere = false;
	}
}

/* Words of subflows */

static void
put_subflow_word(struct outbound *p, struct subflow *sf, uint8_t word,
		 const struct frame *f, uint32_t detail)
{
	if (!packet_has_items(p) || !packet_put(p, f))
		return;
	packet_note(p, (struct item){.kind = ITEM_SUBFLOW_WORD,
				     .stream = sf->id,
				     .off = word,
				     .len = detail});
	/* MP_JOIN's third message goes along until it is acknowledged. */
	if (word != SUBFLOW_JOIN_CONFIRM)
		sf->words &= (uint8_t)~word;
}

static void
put_join(struct session *s, struct outbound *p, struct subflow *sf)
{
	struct frame f = {.type = FRAME_JOIN};
	uint8_t mac[CRYPTO_HASH_LEN];

	f.join.addr_id = sf->uplink;
	f.join.tier = sf->tier;
	memcpy(f.join.nonce, sf->nonce, sizeof(f.join.nonce));
	if ((sf->words & SUBFLOW_JOIN) != 0) {
		f.join.token = s->token_peer;
		put_subflow_word(p, sf, SUBFLOW_JOIN, &f, sf->end.rejoins);
	}
	if ((sf->words & SUBFLOW_JOIN_REPLY) != 0 &&
	    session_join_hmac(s, sf, false, mac) == 0) {
		f.type = FRAME_JOIN_REPLY;
		memcpy(f.join.hmac, mac, 8);
		put_subflow_word(p, sf, SUBFLOW_JOIN_REPLY, &f, sf->end.rejoins);
	}
	if ((sf->words & SUBFLOW_JOIN_CONFIRM) != 0 &&
	    session_join_hmac(s, sf, true, mac) == 0) {
		f.type = FRAME_JOIN_CONFIRM;
		memcpy(f.join.hmac, mac, 20);
		put_subflow_word(p, sf, SUBFLOW_JOIN_CONFIRM, &f, sf->end.rejoins);
	}
}

void
packet_put_subflow_words(struct session *s, struct outbound *p, struct subflow *sf)
{
	struct frame f;

	if (sf->words == 0 || sf->state == SUBFLOW_ENDED)
		return;
	put_join(s, p, sf);
	if ((sf->words & SUBFLOW_CHALLENGE) != 0) {
		f.type = FRAME_CHALLENGE;
		memcpy(f.data, sf->challenge, sizeof(f.data));
		put_subflow_word(p, sf, SUBFLOW_CHALLENGE, &f, 0);
	}
	if ((sf->words & SUBFLOW_RESPONSE) != 0) {
		f.type = FRAME_RESPONSE;
		memcpy(f.data, sf->response, sizeof(f.data));
		put_subflow_word(p, sf, SUBFLOW_RESPONSE, &f, 0);
	}
	if ((sf->words & SUBFLOW_REKEY) != 0) {
		if (rekey_says(&s->rekey, &f))
			put_subflow_word(p, sf, SUBFLOW_REKEY, &f, 0);
		else
			sf->words &= (uint8_t)~SUBFLOW_REKEY;
	}
	if ((sf->words & SUBFLOW_PING) != 0 &&
	    packet_put(p, &(struct frame){.type = FRAME_PING})) {
		p->sent.wants_ack = true;
		sf->words &= (uint8_t)~SUBFLOW_PING;
	}
}

static void
put_prio(struct outbound *p, struct subflow *sf)
{
	struct frame f = {.type = FRAME_PRIO};

	f.prio.seq = sf->prio_seq;
	f.prio.subflow = sf->id;
	f.prio.tier = sf->tier;
	put_subflow_word(p, sf, SUBFLOW_PRIO, &f, (uint32_t)sf->prio_seq);
}

static void
put_reset(struct outbound *p, struct subflow *sf)
{
	struct frame f = {.type = FRAME_SUBFLOW_RESET};

	f.end.subflow = sf->id;
	f.end.code = sf->end.code;
	if (!packet_has_items(p) || !packet_put(p, &f))
		return;
	packet_note(p, (struct item){.kind = ITEM_SUBFLOW_END, .stream = sf->id});
	sf->end.says = false;
}

static void
put_subflow_news(struct session *s, struct outbound *p)
{
	session_for_each (sf, s) {
		if ((sf->words & SUBFLOW_PRIO) != 0)
			put_prio(p, sf);
		if (sf->end.says)
			put_reset(p, sf);
		if ((sf->words & SUBFLOW_PRIO) != 0 || sf->end.says)
			return;
	}
	s->tell_subflows = false;
}

/* They go by whichever subflow is asked first: their own may be dead. */
void
packet_put_news(struct session *s, struct outbound *p)
{
	if (s->tell_subflows)
		put_subflow_news(s, p);
	if (s->addrs.talks)
		packet_put_addrs(s, p);
}

/* Streams */

bool
packet_put_word(struct outbound *p, const struct stream *st, uint8_t word,
		enum item_kind kind)
{
	struct frame f = {0};

	if (!packet_has_items(p))
		return false;
	switch ((enum stream_word)word) {
	case STREAM_OPEN:
		f.type = FRAME_OPEN;
		f.open = (struct frame_open){st->id, st->request, st->request_len};
		break;
	case STREAM_OPENED:
		f.type = FRAME_OPENED;
		f.opened.stream = st->id;
		f.opened.status = st->status;
		break;
	case STREAM_RESET:
		f.type = FRAME_RESET;
		f.reset.stream = st->id;
		f.reset.code = st->reset_code;
		f.reset.final = st->out.sent;
		break;
	case STREAM_MAX:
		f.type = FRAME_STREAM_MAX;
		f.max.stream = st->id;
		f.max.max = st->in.limit;
		break;
	}
	if (!packet_put(p, &f))
		return false;
	packet_note(
		p, (struct item){.kind = (uint8_t)kind, .stream = st->id, .off = word});
	return true;
}

/* The bytes are written once, where they are sealed. */
bool
packet_put_chunk(struct outbound *p, const struct stream *st, struct chunk *c)
{
	size_t room = p->max - p->len;
	size_t head = frame_stream_overhead(st->id, c->off, true);
	struct frame_stream f = {.stream = st->id, .off = c->off};

	f.to_end = head + c->len >= room;
	if (!f.to_end)
		head = frame_stream_overhead(st->id, c->off, false);
	if (head + c->len > room) {
		c->len = (uint32_t)(room > head ? room - head : 0);
		c->fin = false;
		if (c->len == 0)
			return false;
	}
	f.len = c->len;
	f.fin = c->fin;
	p->len += frame_put_stream_head(p->buf + p->len, &f);
	sendbuf_read(&st->out, c, p->buf + p->len);
	p->len += c->len;
	return !f.to_end;
}

/* Packets */

static bool
seal(struct session *s, struct subflow *sf, struct outbound *p)
{
	uint64_t counter = sf->loss.next;
	struct packet_header h = {s->cfg.index_peer, sf->id, s->rekey.generation, false,
				  (uint32_t)counter};

	h.ack_now = p->sent.wants_ack &&
		    (sf->probe_credit > 0 || sf->state == SUBFLOW_SUSPECT ||
		     sf->state == SUBFLOW_DEAD);
	packet_header_put(p->buf, &h);
	return rekey_seal(&s->rekey, (struct aead_nonce){sf->id, counter}, p->buf,
			  p->len) == 0;
}

/* Seals and remembers it. Returns its bytes, 0 when it came to nothing. */
size_t
packet_finish(struct session *s, struct subflow *sf, struct outbound *p)
{
	uint64_t in_flight = sf->loss.in_flight;

	if (p->len == WIRE_HEADER_LEN)
		return 0;
	if (!seal(s, sf, p)) {
		s->closed = true;
		return 0;
	}
	p->sent.size = (uint32_t)(p->len + CRYPTO_TAG_LEN);
	if (loss_sent(&sf->loss, &p->sent, s->now) < 0) {
		s->broken = true;
		return 0;
	}
	if (p->sent.wants_ack) {
		cc_sent(&sf->cc, in_flight, p->sent.size, s->now);
		pacer_sent(&sf->pacer, p->sent.size);
		if (in_flight == 0)
			sf->detour_at = 0; /* there was nothing to answer */
		if (sf->probe_credit > 0)
			sf->probe_credit--;
	}
	sf->bytes_out += p->sent.size;
	sf->sent += p->sent.size;
	s->stats.packets_out++;
	s->stats.bytes_out += p->sent.size;
	return p->sent.size;
}

void
packet_begin(struct outbound *p, uint8_t *buf, size_t size)
{
	p->buf = buf;
	p->len = WIRE_HEADER_LEN;
	p->max = size - CRYPTO_TAG_LEN;
	p->sent.size = 0;
	p->sent.n_items = 0;
	p->sent.wants_ack = false;
	p->sent.mtu_probe = false;
}

size_t
packet_send_reset(struct session *s, struct subflow *sf, uint8_t *buf, size_t size)
{
	struct outbound p;

	packet_begin(&p, buf, size);
	put_reset(&p, sf);
	return packet_finish(s, sf, &p);
}

/* PING and padding; the frames' bytes after the first are zero. */
size_t
packet_send_mtu_probe(struct session *s, struct subflow *sf, uint8_t *buf, size_t size)
{
	struct outbound p;

	packet_begin(&p, buf, size);
	if (!packet_put(&p, &(struct frame){.type = FRAME_PING}))
		return 0;
	memset(p.buf + p.len, FRAME_PADDING, p.max - p.len);
	p.len = p.max;
	p.sent.wants_ack = true;
	p.sent.mtu_probe = true;
	mtu_probe_sent(&sf->mtu, (uint16_t)size, s->now);
	return packet_finish(s, sf, &p);
}
