#include "daemon/core/session_packet.h"

#include <stdlib.h>

enum { JOIN_WORDS = SUBFLOW_JOIN | SUBFLOW_JOIN_REPLY | SUBFLOW_JOIN_CONFIRM };

static void
chunk_fate(struct session *s, const struct item *it, bool arrived)
{
	struct stream *st = session_find_stream(s, it->stream);
	const struct chunk c = {it->off, it->len, it->fin};

	if (st == NULL)
		return;
	if (arrived) {
		sendbuf_acked(&st->out, &c);
		if (st->starved)
			session_tell(s, st, STREAM_NEWS_WRITABLE);
		if (sendbuf_is_done(&st->out))
			session_tell(s, st, STREAM_NEWS_DONE);
		session_reap(s, st);
		return;
	}
	sendbuf_lost(&st->out, &c);
	session_turn(s, st);
}

static void
word_fate(struct session *s, const struct item *it, bool arrived)
{
	struct stream *st = session_find_stream(s, it->stream);
	uint8_t word = (uint8_t)it->off;

	if (st == NULL)
		return;
	if (!arrived) {
		if ((st->spoken & word) == 0 && (!st->reset || word == STREAM_RESET))
			session_say(s, st, word);
		return;
	}
	if (word == STREAM_MAX)
		return;
	st->spoken |= word;
	st->words &= (uint8_t)~word;
	if (word == STREAM_OPEN) {
		free(st->request);
		st->request = NULL;
	}
	session_reap(s, st);
}

static void
subflow_word_fate(struct session *s, const struct item *it, bool arrived)
{
	struct subflow *sf = s->subflows[it->stream];
	uint8_t word = (uint8_t)it->off;

	if (sf == NULL)
		return;
	/* Of a join before this one. */
	if ((word & JOIN_WORDS) != 0 && it->len != sf->end.rejoins)
		return;
	if (word == SUBFLOW_PRIO && !arrived && it->len == (uint32_t)sf->prio_seq) {
		sf->words |= SUBFLOW_PRIO;
		s->tell_subflows = true;
	} else if (word == SUBFLOW_JOIN_CONFIRM && arrived) {
		sf->words &= (uint8_t)~SUBFLOW_JOIN_CONFIRM;
	} else if (word == SUBFLOW_JOIN_CONFIRM) {
		sf->words |= SUBFLOW_PING;
	} else if (!arrived && word != SUBFLOW_PRIO &&
		   (word != SUBFLOW_JOIN || !sf->joined)) {
		sf->words |= word;
	}
}

static void
subflow_end_fate(struct session *s, const struct item *it, bool arrived)
{
	struct subflow *sf = s->subflows[it->stream];

	if (!arrived && sf->state == SUBFLOW_ENDED)
		session_say_end(s, sf, s->now);
}

void
session_settle(struct session *s, struct subflow *sf)
{
	const struct sent *p;

	while ((p = loss_take(&sf->loss)) != NULL) {
		bool arrived = p->state == SENT_ACKED;
		/* Given up, perhaps before its time: that small ones get lost too is
		 * not known. */
		bool says_nothing = p->lost_by == LOST_BY_DEATH && !p->mtu_probe &&
				    p->size + sf->mtu.headers <= MTU_BASE;

		if (!arrived && !says_nothing)
			mtu_lost(&sf->mtu, (uint16_t)p->size, p->mtu_probe, s->now);
		if (arrived &&
		    mtu_acked(&sf->mtu, (uint16_t)p->size, p->mtu_probe, s->now))
			cc_set_mss(&sf->cc, mtu_payload(&sf->mtu));
		for (unsigned i = 0; i < p->n_items; i++) {
			const struct item *it = &p->items[i];

			switch ((enum item_kind)it->kind) {
			case ITEM_CHUNK:
			case ITEM_COPY: chunk_fate(s, it, arrived); break;
			case ITEM_WORD:
			case ITEM_WORD_COPY: word_fate(s, it, arrived); break;
			case ITEM_SESSION_MAX: s->tell_session_max |= !arrived; break;
			case ITEM_SUBFLOW_WORD:
				subflow_word_fate(s, it, arrived);
				break;
			case ITEM_SUBFLOW_END: subflow_end_fate(s, it, arrived); break;
			case ITEM_REMOVE_ADDR:
				session_addr_fate(s, (uint8_t)it->stream, arrived);
				break;
			}
		}
	}
	session_feed(s);
}

void
session_sampled(struct session *s, struct subflow *sf, struct loss_sample *sample,
		ns_t now)
{
	sample->now = now;
	s->now = now;
	if (sample->acked > 0 || sample->lost > 0 || sample->spurious)
		cc_sample(&sf->cc, sample, &sf->rtt);
	session_settle(s, sf);
}
