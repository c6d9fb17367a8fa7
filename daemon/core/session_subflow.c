#include "daemon/core/join.h"
#include "daemon/core/session_parts.h"

#include <string.h>

/* Joins */

int
session_join_hmac(const struct session *s, const struct subflow *sf, bool by_client,
		  uint8_t ret_mac[CRYPTO_HASH_LEN])
{
	bool ours = by_client == (s->cfg.role == SESSION_CLIENT);
	const struct join_side speaker = {by_client ? s->key_a : s->key_b,
					  ours ? sf->nonce : sf->nonce_peer};
	const struct join_side other = {by_client ? s->key_b : s->key_a,
					ours ? sf->nonce_peer : sf->nonce};

	return join_hmac(&speaker, &other, sizeof(sf->nonce), ret_mac);
}

static struct subflow *
make(struct session *s, uint8_t id, const struct subflow_way *way, ns_t now)
{
	struct subflow *sf = subflow_new(id, &way->local, &way->remote, s->cfg.cc, now);

	if (sf == NULL)
		return NULL;
	if (prng_bytes(&s->rng, sf->nonce, sizeof(sf->nonce)) < 0 ||
	    prng_bytes(&s->rng, sf->challenge, sizeof(sf->challenge)) < 0) {
		subflow_free(sf);
		return NULL;
	}
	sf->uplink = way->uplink;
	sf->via = way->via;
	sf->heard_at = now;
	s->subflows[id] = sf;
	return sf;
}

int
session_add_subflow(struct session *s, const struct subflow_way *way, bool known,
		    ns_t now)
{
	struct subflow *sf;

	assert(s->cfg.role == SESSION_CLIENT);
	if (s->next_subflow >= SESSION_SUBFLOWS_MAX)
		return -ENOSPC;
	sf = make(s, s->next_subflow, way, now);
	if (sf == NULL)
		return -ENOMEM;
	s->next_subflow++;
	sf->proven = true;
	sf->asks = true;
	sf->words = SUBFLOW_JOIN;
	sf->probe_at = now + RTT_INITIAL;
	if (known)
		subflow_enter(sf, SUBFLOW_ACTIVE, now);
	return sf->id;
}

struct subflow *
session_accept_subflow(struct session *s, uint8_t id, const struct burst *b, ns_t now)
{
	const struct subflow_way way = {b->local, b->remote, b->via, 0};
	struct subflow *sf;

	if (s->cfg.role != SESSION_SERVER)
		return NULL;
	sf = make(s, id, &way, now);
	/* Until it is proven nothing else may tell that an answer got lost. */
	if (sf != NULL)
		sf->probe_at = now + RTT_INITIAL;
	return sf;
}

static void
on_join(struct session *s, struct subflow *sf, const struct frame_join *j,
	uint64_t counter, ns_t now)
{
	bool ended = sf->state == SUBFLOW_ENDED;
	bool is_new = !crypto_equal(j->nonce, sf->nonce_peer, sizeof(sf->nonce_peer));

	if (s->cfg.role != SESSION_SERVER || j->token != s->token_local)
		return;
	/* A late one, of what has ended or begun anew since. */
	if (is_new ? counter < sf->join_counter : ended)
		return;
	if (is_new && (sf->joined || ended) && !session_accept_rejoin(s, sf, now))
		return;
	if (is_new)
		sf->join_counter = counter;
	memcpy(sf->nonce_peer, j->nonce, sizeof(sf->nonce_peer));
	sf->uplink = j->addr_id;
	if (sf->prio_seen == 0)
		sf->tier_peer = j->tier;
	sf->joined = true;
	sf->words |= SUBFLOW_JOIN_REPLY;
}

static void
on_reply(struct session *s, struct subflow *sf, const struct frame_join *j, ns_t now)
{
	uint8_t mac[CRYPTO_HASH_LEN];

	if (s->cfg.role != SESSION_CLIENT || sf->joined)
		return;
	memcpy(sf->nonce_peer, j->nonce, sizeof(sf->nonce_peer));
	if (session_join_hmac(s, sf, false, mac) < 0 || !crypto_equal(mac, j->hmac, 8))
		return;
	sf->joined = true;
	sf->words &= (uint8_t)~SUBFLOW_JOIN;
	sf->words |= SUBFLOW_JOIN_CONFIRM | SUBFLOW_PING;
	if (sf->state == SUBFLOW_JOINING)
		subflow_enter(sf, SUBFLOW_ACTIVE, now);
}

static void
prove(struct subflow *sf, ns_t now)
{
	sf->proven = true;
	sf->words &= (uint8_t)~SUBFLOW_CHALLENGE;
	if (sf->state == SUBFLOW_JOINING)
		subflow_enter(sf, SUBFLOW_ACTIVE, now);
}

static void
on_confirm(struct session *s, struct subflow *sf, const struct frame_join *j, ns_t now)
{
	uint8_t mac[CRYPTO_HASH_LEN];

	if (s->cfg.role != SESSION_SERVER || !sf->joined)
		return;
	/* An address that was proven still is, when its subflow joins again. */
	if (sf->proven ? sf->state != SUBFLOW_JOINING : sf->moved)
		return;
	if (session_join_hmac(s, sf, true, mac) == 0 && crypto_equal(mac, j->hmac, 20))
		prove(sf, now);
}

void
session_on_join(struct session *s, struct subflow *sf, const struct frame *f,
		uint64_t counter, ns_t now)
{
	if (f->type == FRAME_JOIN)
		on_join(s, sf, &f->join, counter, now);
	else if (sf->state == SUBFLOW_ENDED)
		return;
	else if (f->type == FRAME_JOIN_REPLY)
		on_reply(s, sf, &f->join, now);
	else
		on_confirm(s, sf, &f->join, now);
}

void
session_on_response(struct subflow *sf, const uint8_t data[8], ns_t now)
{
	if (crypto_equal(data, sf->challenge, sizeof(sf->challenge)))
		prove(sf, now);
}

/* Health */

struct subflow *
session_next_subflow(const struct session *s, const struct subflow *sf)
{
	size_t id = sf == NULL ? 0 : sf->id + 1u;

	while (id < SESSION_SUBFLOWS_MAX && s->subflows[id] == NULL)
		id++;
	return id < SESSION_SUBFLOWS_MAX ? s->subflows[id] : NULL;
}

bool
session_has_active(const struct session *s, const struct subflow *except)
{
	session_for_each (sf, s) {
		if (sf != except && sf->state == SUBFLOW_ACTIVE)
			return true;
	}
	return false;
}

ns_t
session_slowest_rtt(const struct session *s)
{
	ns_t slowest = 0;

	session_for_each (sf, s) {
		if (sf->state == SUBFLOW_ACTIVE && sf->rtt.srtt > slowest)
			slowest = sf->rtt.srtt;
	}
	return slowest > 0 ? slowest : RTT_INITIAL;
}

ns_t
session_slowest_pto(const struct session *s)
{
	ns_t slowest = 0;

	session_for_each (sf, s) {
		if (sf->state == SUBFLOW_ACTIVE)
			slowest = max_ns(slowest, rtt_pto(&sf->rtt, ACKS_DELAY_MAX));
	}
	return slowest;
}

static bool
is_better(const struct subflow *sf, const struct subflow *than)
{
	if (than == NULL || subflow_tier(sf) != subflow_tier(than))
		return than == NULL || subflow_tier(sf) < subflow_tier(than);
	return rtt_smoothed(&sf->rtt) < rtt_smoothed(&than->rtt);
}

/* Lost ones are said again by themselves; when none is active, there is a next time. */
void
session_say_rekey(struct session *s)
{
	struct subflow *best = NULL, *second = NULL;

	session_for_each (sf, s) {
		if (sf->state != SUBFLOW_ACTIVE)
			continue;
		if (is_better(sf, best)) {
			second = best;
			best = sf;
		} else if (is_better(sf, second)) {
			second = sf;
		}
	}
	if (best != NULL)
		best->words |= SUBFLOW_REKEY;
	if (second != NULL)
		second->words |= SUBFLOW_REKEY;
}

void
session_give_up_flight(struct session *s, struct subflow *sf, ns_t now)
{
	struct loss_sample sample = {.now = now};

	loss_all(&sf->loss, &sample);
	s->now = now;
	session_settle(s, sf);
}

static void
suspect(struct session *s, struct subflow *sf, ns_t now)
{
	subflow_enter(sf, SUBFLOW_SUSPECT, now);
	sf->suspected++;
	sf->probes = 0;
	subflow_probe(sf, now);
	session_give_up_flight(s, sf, now);
}

void
session_check_health(struct session *s, struct subflow *sf, ns_t now)
{
	bool doubt = subflow_doubt_at(sf) <= now;

	if (sf->end.retry_at <= now)
		(void)session_rejoin(s, sf, now);
	if (doubt && sf->state == SUBFLOW_ACTIVE) {
		suspect(s, sf, now);
	} else if (doubt && sf->state == SUBFLOW_SUSPECT && session_has_active(s, sf)) {
		session_give_up_flight(s, sf, now);
		subflow_enter(sf, SUBFLOW_DEAD, now);
	} else if (doubt && sf->state == SUBFLOW_SUSPECT) {
		sf->doubted_at = now;
	}
	if (sf->end.leave_at <= now && session_has_active(s, sf) &&
	    (sf->state == SUBFLOW_DEAD || sf->state == SUBFLOW_JOINING))
		session_end_subflow(s, sf, SUBFLOW_END_UNSPECIFIED, now);
	if (sf->probe_at <= now) {
		subflow_probe(sf, now);
		session_give_up_flight(s, sf, now);
		if (!sf->joined && s->cfg.role == SESSION_CLIENT)
			sf->words |= SUBFLOW_JOIN;
	}
	if (sf->state == SUBFLOW_ACTIVE && loss_oldest(&sf->loss) == NULL &&
	    subflow_ping_at(sf) <= now)
		sf->words |= SUBFLOW_PING;
}

void
session_subflow_down(struct session *s, uint8_t id, ns_t now)
{
	struct subflow *sf = s->subflows[id];

	sf->end.retry_at = NS_NEVER;
	if (sf->state == SUBFLOW_DEAD || sf->state == SUBFLOW_JOINING ||
	    sf->state == SUBFLOW_ENDED)
		return;
	session_give_up_flight(s, sf, now);
	subflow_enter(sf, SUBFLOW_DEAD, now);
	sf->probe_at = NS_NEVER;
}

void
session_subflow_doubt(struct session *s, uint8_t id, ns_t now)
{
	struct subflow *sf = s->subflows[id];

	if (sf->state == SUBFLOW_ACTIVE && session_has_active(s, sf))
		suspect(s, sf, now);
}

void
session_subflow_up(struct session *s, uint8_t id, const struct addr *local, ns_t now)
{
	struct subflow *sf = s->subflows[id];

	sf->local = *local;
	if (sf->state == SUBFLOW_DEAD)
		subflow_probe(sf, now);
	else if (sf->state == SUBFLOW_ENDED && !sf->end.barred)
		sf->end.retry_at = max_ns(sf->end.rest_until, now);
}

void
session_set_tier(struct session *s, uint8_t id, uint8_t tier)
{
	struct subflow *sf = s->subflows[id];

	if (sf->tier == tier)
		return;
	sf->tier = tier;
	sf->prio_seq++;
	sf->words |= SUBFLOW_PRIO;
	s->tell_subflows = true;
}
