#include "daemon/beats.h"

#include "common/bytes.h"

#include <stdlib.h>
#include <string.h>

struct beat {
	struct list node;
	struct deferred grave;
	struct mptcp_server *server;
	struct mptcp_peer *peer;
	struct leg leg;
	ns_t heard_at;
};

static void
bury(struct deferred *d)
{
	free(container_of(d, struct beat, grave));
}

static void
beat_end(struct beat *b)
{
	leg_done(&b->leg, true);
	list_remove(&b->node);
	b->peer->n_beats--;
	loop_defer(b->server->loop, &b->grave, bury);
}

/* The list is kept in the order of who was heard last. */
static void
heard(struct beat *b)
{
	b->heard_at = loop_now(b->server->loop);
	list_remove(&b->node);
	list_prepend(&b->peer->beats, &b->node);
}

/* Who does not read its answers is not asked for more questions. */
static void
settle(struct beat *b)
{
	watch_want(&b->leg.watch, leg_is_flushed(&b->leg) ? LOOP_READ : LOOP_WRITE);
}

static int
take_records(struct beat *b, struct scratch *sc)
{
	struct record r;
	int err;

	while ((err = leg_next(&b->leg, sc, &r)) == 0) {
		if (r.type != RECORD_PING || r.len > LEG_SEND_MAX)
			return -EPROTO;
		heard(b);
		err = leg_send(&b->leg, RECORD_PONG, r.payload, r.len);
		if (err < 0)
			return err;
	}
	return err == -EAGAIN ? leg_keep(&b->leg, sc) : err;
}

static void
on_ready(void *arg, int what)
{
	struct beat *b = arg;
	struct scratch *sc = &b->server->mptcp.shared.scratch;
	int err = 0;

	if (what & LOOP_WRITE)
		err = leg_flush(&b->leg);
	if (err == 0 && (what & LOOP_READ)) {
		err = leg_fill(&b->leg, sc, PUMP_READ_MIN);
		if (err == 0)
			err = take_records(b, sc);
		sc->in_off = sc->in_len;
	}
	if (err < 0 && err != -EAGAIN) {
		beat_end(b);
		return;
	}
	settle(b);
}

/* HELLO, and answers to what came with the client's. */
static int
greet(struct beat *b)
{
	struct scratch *sc = &b->server->mptcp.shared.scratch;
	int err = leg_send(&b->leg, RECORD_HELLO, NULL, 0);

	if (err < 0 || b->leg.in_len == 0)
		return err;
	leg_unkeep(&b->leg, sc);
	err = take_records(b, sc);
	sc->in_off = sc->in_len;
	return err;
}

void
beats_take(struct mptcp_server *sv, struct mptcp_peer *p, struct leg *leg)
{
	struct beat *b = calloc(1, sizeof(*b));

	if (b == NULL) {
		leg_done(leg, true);
		return;
	}
	if (p->n_beats >= BEATS_MAX)
		beat_end(list_entry(p->beats.prev, struct beat, node));
	b->server = sv;
	b->peer = p;
	b->leg = *leg;
	leg_init(leg);
	list_append(&p->beats, &b->node);
	p->n_beats++;
	heard(b);
	if (leg_start(&b->leg, sv->loop, b->leg.fd, on_ready, b) < 0 || greet(b) < 0) {
		beat_end(b);
		return;
	}
	settle(b);
}

void
beats_expire(struct mptcp_peer *p, ns_t now)
{
	while (!list_empty(&p->beats)) {
		struct beat *b = list_entry(p->beats.prev, struct beat, node);

		if (now - b->heard_at < BEAT_LIFE)
			return;
		beat_end(b);
	}
}

void
beats_end_all(struct mptcp_peer *p)
{
	while (!list_empty(&p->beats))
		beat_end(list_entry(p->beats.next, struct beat, node));
}

void
beats_tell_lost(struct mptcp_peer *p, uint64_t number, uint8_t address_id)
{
	uint8_t lost[9];
	struct beat *b;

	if (list_empty(&p->beats))
		return;
	b = list_entry(p->beats.next, struct beat, node);
	/* Who does not read is not told: what waits must not grow. */
	if (!leg_is_flushed(&b->leg))
		return;
	put_be64(lost, number);
	lost[8] = address_id;
	if (leg_send(&b->leg, RECORD_LOST, lost, sizeof(lost)) < 0)
		beat_end(b);
	else
		settle(b);
}
