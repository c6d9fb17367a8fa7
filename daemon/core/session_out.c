#include "daemon/core/session_packet.h"

#include <string.h>

#define COPY_SOON (5 * NS_PER_MS) /* beside bulk a copy that leaves later is late */

/* Streams */

static void
put_words(struct session *s, struct outbound *p)
{
	list_for_each_safe (it, &s->talk) {
		struct stream *st = list_entry(it, struct stream, talk);

		for (unsigned word = STREAM_OPEN; word <= STREAM_MAX; word <<= 1) {
			if ((st->words & word) == 0)
				continue;
			if (!packet_put_word(p, st, (uint8_t)word, ITEM_WORD))
				return;
			st->words &= (uint8_t)~word;
		}
		list_remove(&st->talk);
	}
	if (s->tell_session_max && packet_has_items(p) &&
	    packet_put(p, &(struct frame){.type = FRAME_SESSION_MAX,
					  .max.max = s->in_limit})) {
		packet_note(p, (struct item){.kind = ITEM_SESSION_MAX});
		s->tell_session_max = false;
	}
}

static struct stream *
next_stream(struct session *s)
{
	struct list *from = list_empty(&s->young) ? &s->bulk : &s->young;

	return list_empty(from) ? NULL : list_entry(from->next, struct stream, turn);
}

/* Bytes of the next stream that go out again. */
static uint64_t
lost_next(struct session *s)
{
	const struct stream *st = next_stream(s);

	return st != NULL ? stream_lost(st) : 0;
}

/* It has had its turn: the next one of its list is served. */
static void
rotate(struct session *s, struct stream *st, size_t len)
{
	st->burst += len;
	if (s->turn_left <= len) {
		struct list *list = st->young ? &s->young : &s->bulk;

		s->turn_left = TURN_BYTES;
		if (!list_empty(&st->turn)) {
			list_remove(&st->turn);
			list_append(list, &st->turn);
		}
	} else {
		s->turn_left -= len;
	}
	session_turn(s, st);
}

static bool
put_chunk(struct session *s, struct outbound *p, struct stream *st)
{
	uint64_t limit = min_u64(st->out_limit, st->out.sent + session_credit(s));
	struct chunk c;
	bool more;

	if (!sendbuf_next(&st->out, p->max - p->len, limit, &c))
		return false;
	more = packet_put_chunk(p, st, &c);
	if (c.len == 0 && !c.fin)
		return false;
	packet_note(p, (struct item){st->id, c.off, c.len, ITEM_CHUNK, c.fin,
				     c.off + c.len <= st->out.sent});
	if (c.off + c.len > st->out.sent) {
		s->out_total += c.off + c.len - st->out.sent;
		s->stats.stream_bytes_out += c.off + c.len - st->out.sent;
	} else {
		s->stats.resent += c.len;
	}
	sendbuf_sent(&st->out, &c);
	if (st->young && st->out.sent == st->out.end)
		s->fresh_until = s->now + COPY_SOON;
	rotate(s, st, c.len);
	return more;
}

static void
put_streams(struct session *s, struct outbound *p)
{
	struct stream *st;

	put_words(s, p);
	while (packet_has_items(p) && p->max - p->len >= FRAME_ROOM_MIN &&
	       (st = next_stream(s)) != NULL) {
		if (!stream_has_data(st, session_credit(s)))
			session_turn(s, st);
		else if (!put_chunk(s, p, st))
			return;
	}
}

/* News on a probe of a dead one would have to be told again and again. */
static bool
is_heard(const struct session *s, const struct subflow *sf)
{
	if (sf->state == SUBFLOW_JOINING || sf->state == SUBFLOW_ENDED)
		return false;
	return sf->state == SUBFLOW_ACTIVE || !session_has_active(s, NULL);
}

static size_t
one_packet(struct session *s, struct subflow *sf, uint8_t *buf, size_t size, bool data)
{
	struct outbound p;

	packet_begin(&p, buf, size);
	packet_put_subflow_words(s, &p, sf);
	if (is_heard(s, sf))
		packet_put_news(s, &p);
	packet_put_acks(s, &p, sf);
	if (data)
		put_streams(s, &p);
	return packet_finish(s, sf, &p);
}

/* Choosing a subflow */

static bool
may_carry(const struct subflow *sf, bool any_active)
{
	if (sf->state == SUBFLOW_ACTIVE)
		return true;
	/* Nobody is left: a probe may as well carry something. */
	return !any_active && sf->probe_credit > 0;
}

/* A window is of use where something is answered; elsewhere only probes go out. */
static bool
may_send(const struct subflow *sf)
{
	return sf->probe_credit > 0 ||
	       (sf->state == SUBFLOW_ACTIVE && subflow_has_room(sf));
}

static void
describe(const struct session *s, struct subflow *sf, struct candidate *c)
{
	uint32_t mss = mtu_payload(&sf->mtu);
	ns_t next = pacer_next(&sf->pacer, sf->cc.pacing_rate, mss, s->now);
	uint64_t over = sf->loss.in_flight + mss;

	c->tier = subflow_tier(sf);
	c->room = may_send(sf) && subflow_packet_max(sf) >= mss;
	c->ready = c->room && (next <= s->now || sf->probe_credit > 0);
	c->bandwidth = subflow_bandwidth(sf);
	c->delay = rtt_minimum(&sf->rtt) / 2;
	c->queueing = subflow_queueing(sf, s->now);
	c->sigma = sf->rtt.rttvar;
	c->wait = max_ns(next - s->now, 0);
	if (over > sf->cc.cwnd)
		c->wait = max_ns(c->wait, (ns_t)((over - sf->cc.cwnd) * NS_PER_SEC /
						 c->bandwidth));
}

/* Bytes: as good as without end; streams. */
enum { BACKLOG_LONG = 1 << 30, STREAMS_WEIGHED = 16 };

static uint64_t
window_left(const struct stream *st)
{
	return st->out_limit - min_u64(st->out.sent, st->out_limit);
}

/*
 * What goes before this stream is through, and what may go before its window is
 * full: of streams that take turns, all of it, as each has but a part of the rate.
 */
static void
weigh(const struct session *s, const struct stream *st, struct question *q)
{
	unsigned n = 0;

	q->window_left = STREAM_WINDOW_MIN;
	if (st == NULL)
		return;
	if (st->young) {
		q->backlog = stream_backlog(st);
		q->window_left = min_u64(window_left(st), session_credit(s));
		return;
	}
	q->window_left = 0;
	list_for_each (it, &s->bulk) {
		const struct stream *other = list_entry(it, struct stream, turn);

		/* Of one that is starved there is more where this came from. */
		q->backlog += other->starved && !other->out.fin ? BACKLOG_LONG
								: stream_backlog(other);
		q->window_left += window_left(other);
		if (++n == STREAMS_WEIGHED)
			break;
	}
	q->backlog = min_u64(q->backlog, BACKLOG_LONG);
	q->window_left = min_u64(q->window_left, session_credit(s));
}

/* The subflow for the next burst of data; NULL: none now, and wake_at is set. */
static struct subflow *
choose(struct session *s)
{
	struct candidate c[SESSION_SUBFLOWS_MAX];
	struct subflow *of[SESSION_SUBFLOWS_MAX];
	bool active = session_has_active(s, NULL);
	const struct stream *st = next_stream(s);
	struct question q = {.at = c, .waited = s->waited};
	uint64_t lost = lost_next(s);
	int pick;

	session_for_each (sf, s) {
		if (!may_carry(sf, active))
			continue;
		describe(s, sf, &c[q.n]);
		of[q.n++] = sf;
	}
	if (q.n == 0)
		return NULL;
	q.bytes = mtu_payload(&of[0]->mtu);
	weigh(s, st, &q);
	/* All that follows waits for what was lost, which takes no window. */
	if (lost > 0) {
		q.backlog = lost;
		q.window_left = BACKLOG_LONG;
	}
	pick = scheduler_pick(s->cfg.scheduler, &q);
	s->waited = pick < 0;
	if (pick >= 0)
		return of[pick];
	for (size_t i = 0; i < q.n; i++) {
		if (c[i].room && !c[i].ready)
			s->wake_at = min_ns(s->wake_at, s->now + max_ns(c[i].wait, 1));
	}
	return NULL;
}

/* Output */

static bool
has_data(const struct session *s)
{
	return !list_empty(&s->young) || !list_empty(&s->bulk) ||
	       !list_empty(&s->talk) || s->tell_session_max || s->tell_subflows ||
	       s->addrs.talks;
}

static size_t
burst_of(struct session *s, struct subflow *sf, uint8_t *buf, size_t cap,
	 struct burst *ret)
{
	uint32_t size = subflow_packet_max(sf);
	uint64_t allowed =
		pacer_allowance(&sf->pacer, sf->cc.pacing_rate, size, s->now);
	size_t total = 0;

	if (sf->probe_credit > 0)
		allowed = max_u64(allowed, size);
	while (total + size <= cap && total < allowed && has_data(s) && may_send(sf)) {
		size_t n = one_packet(s, sf, buf + total, size, true);

		total += n;
		if (ret->packet == 0)
			ret->packet = n;
		/* Its window for this address, and the ring, end as well. */
		if (n < size || subflow_packet_max(sf) < size)
			break;
	}
	return total;
}

/* What came over a subflow that the peer does not hear from. */
static bool
speaks_for_others(const struct session *s, const struct subflow *sf)
{
	if (sf->state != SUBFLOW_ACTIVE)
		return false;
	session_for_each (other, s) {
		if (other != sf && other->acks_elsewhere)
			return true;
	}
	return false;
}

static size_t
speak(struct session *s, struct subflow *sf, uint8_t *buf, bool acks)
{
	uint32_t size = subflow_packet_max(sf);
	uint16_t probe;

	if (size < SUBFLOW_SPEAKS)
		return 0;
	if (acks)
		return sf->acks.due_at <= s->now || speaks_for_others(s, sf)
			       ? one_packet(s, sf, buf, size, false)
			       : 0;
	if (sf->state == SUBFLOW_ENDED)
		return sf->end.says && !session_has_active(s, NULL)
			       ? packet_send_reset(s, sf, buf, size)
			       : 0;
	if ((sf->words & (uint8_t) ~(SUBFLOW_PRIO | SUBFLOW_JOIN_CONFIRM)) != 0)
		return one_packet(s, sf, buf, size, false);
	probe = sf->state == SUBFLOW_ACTIVE && sf->proven ? mtu_probe(&sf->mtu, s->now)
							  : 0;
	return probe > 0 ? packet_send_mtu_probe(s, sf, buf, probe) : 0;
}

static void
address(const struct subflow *sf, struct burst *ret)
{
	ret->local = sf->local;
	ret->remote = sf->remote;
	ret->via = sf->via;
}

static size_t
one_for(const struct subflow *sf, size_t len, struct burst *ret)
{
	address(sf, ret);
	ret->len = len;
	ret->packet = len;
	return len;
}

static size_t
speak_any(struct session *s, uint8_t *buf, size_t cap, struct burst *ret, bool acks)
{
	for (size_t k = 0; k < SESSION_SUBFLOWS_MAX; k++) {
		struct subflow *sf = s->subflows[(s->turn + k) % SESSION_SUBFLOWS_MAX];

		if (sf == NULL || cap < MTU_MAX)
			continue;
		if (one_for(sf, speak(s, sf, buf, acks), ret) == 0)
			continue;
		s->turn = sf->id;
		return ret->len;
	}
	return 0;
}

static bool
is_ready(const struct session *s, const struct subflow *sf)
{
	return sf->state == SUBFLOW_ACTIVE && subflow_has_room(sf) &&
	       subflow_packet_max(sf) >= mtu_payload(&sf->mtu) &&
	       pacer_next(&sf->pacer, sf->cc.pacing_rate, mtu_payload(&sf->mtu),
			  s->now) <= s->now;
}

/* A backup that is not needed carries no copies either. */
static bool
is_spared(const struct session *s, const struct subflow *sf)
{
	if (subflow_tier(sf) != TIER_BACKUP)
		return false;
	session_for_each (other, s) {
		if (other->state == SUBFLOW_ACTIVE &&
		    subflow_tier(other) != TIER_BACKUP)
			return true;
	}
	return false;
}

static size_t
copy_any(struct session *s, uint8_t *buf, struct burst *ret)
{
	session_for_each (sf, s) {
		if (is_ready(s, sf) && !is_spared(s, sf) &&
		    one_for(sf, session_copy(s, sf, buf), ret) > 0)
			return ret->len;
	}
	return 0;
}

static void
note_idle(struct session *s)
{
	session_for_each (sf, s) {
		if (is_ready(s, sf))
			loss_app_limited(&sf->loss);
	}
}

size_t
session_output(struct session *s, uint8_t *buf, size_t cap, struct burst *ret, ns_t now)
{
	struct subflow *sf;

	memset(ret, 0, sizeof(*ret));
	ret->data = buf;
	s->now = now;
	s->wake_at = NS_NEVER;
	if (session_is_over(s) || speak_any(s, buf, cap, ret, false) > 0)
		return ret->len;
	if (s->cfg.scheduler == SCHEDULER_REDUNDANT && copy_any(s, buf, ret) > 0)
		return ret->len;
	/* A short answer goes by two, whatever others queue on one of them. */
	if (now < s->fresh_until && list_empty(&s->young) && copy_any(s, buf, ret) > 0)
		return ret->len;
	if (has_data(s) && (sf = choose(s)) != NULL) {
		address(sf, ret);
		ret->len = burst_of(s, sf, buf, cap, ret);
		if (ret->len > 0)
			return ret->len;
	}
	if (speak_any(s, buf, cap, ret, true) > 0)
		return ret->len;
	if (!has_data(s) && copy_any(s, buf, ret) > 0)
		return ret->len;
	/* A way that is too slow for what was lost does not lack data. */
	if (lost_next(s) == 0)
		note_idle(s);
	return 0;
}

size_t
session_farewell(struct session *s, uint8_t subflow, uint8_t *buf, size_t cap,
		 struct burst *ret, ns_t now)
{
	struct subflow *sf = s->subflows[subflow];
	struct frame f = {.type = FRAME_FASTCLOSE};
	struct outbound p;

	memset(ret, 0, sizeof(*ret));
	if (sf == NULL || sf->state == SUBFLOW_ENDED || cap < MTU_MAX ||
	    subflow_packet_max(sf) < SUBFLOW_SPEAKS)
		return 0;
	s->now = now;
	ret->data = buf;
	memcpy(f.key, s->cfg.role == SESSION_CLIENT ? s->key_b : s->key_a,
	       sizeof(f.key));
	packet_begin(&p, buf, subflow_packet_max(sf));
	if (!packet_put(&p, &f))
		return 0;
	return one_for(sf, packet_finish(s, sf, &p), ret);
}
