#include "daemon/mptcp_client.h"

#include "common/log.h"
#include "daemon/heartbeat.h"
#include "daemon/io/tcp.h"
#include "daemon/mptcp_pool.h"
#include "daemon/mptcp_race.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define TICK            (1 * NS_PER_SEC)
#define LOOKUP_DEADLINE (5 * NS_PER_SEC)

enum { LOOKUP_EVERY = 30 }; /* ticks without a session */

static void on_tick(void *arg);

static int
init_prng(struct mptcp_client *c)
{
	uint8_t seed[CRYPTO_KEY_LEN];
	int err;

	if (getrandom(seed, sizeof(seed), 0) != sizeof(seed))
		return -EIO;
	err = prng_init(&c->prng, seed);
	crypto_wipe(seed, sizeof(seed));
	return err;
}

static void
on_found(void *arg)
{
	struct mptcp_client *c = arg;

	mptcp_race_hurry(c->race);
}

static int
init_parts(struct mptcp_client *c, struct subflows *s)
{
	int err = tunnel_mptcp_init(&c->mptcp, c->loop, c->config, s);

	if (err < 0)
		return err;
	c->mptcp.client = c;
	c->heartbeats = calloc(UPLINKS_MAX, sizeof(*c->heartbeats));
	c->race = mptcp_race_new(c);
	if (c->heartbeats == NULL || c->race == NULL)
		return -ENOMEM;
	for (size_t i = 0; err == 0 && i < UPLINKS_MAX; i++)
		err = heartbeat_init(&c->heartbeats[i], c);
	if (err == 0)
		err = timer_init(&c->tick, c->loop, on_tick, c);
	if (err == 0)
		err = init_prng(c);
	return err;
}

struct leg_header
mptcp_client_next_header(struct mptcp_client *c)
{
	return (struct leg_header){
		.session_index = c->session.answer.session_index,
		.number = c->session.next_number++,
	};
}

bool
mptcp_client_is_busy(const struct mptcp_client *c)
{
	return c->n_open > 0;
}

static void
refresh_heartbeats(struct mptcp_client *c, bool anew)
{
	for (size_t i = 0; i < uplinks_count(c->uplinks); i++) {
		struct uplink *u = uplinks_at(c->uplinks, i);

		heartbeat_refresh(&c->heartbeats[u->id - 1], u, anew);
	}
}

static void
reset_streams(struct mptcp_client *c)
{
	list_for_each_safe (it, &c->mptcp.base.streams) {
		struct mptcp_stream *s = list_entry(it, struct mptcp_stream, base.node);

		if (s->state != STREAM_CONNECTING)
			mptcp_stream_end(s, true);
	}
}

void
mptcp_client_session_made(struct mptcp_client *c, const struct handshake_answer *answer,
			  const struct handshake_keys *keys)
{
	struct mptcp_session *s = &c->session;
	bool was_up = s->up;
	bool restarted =
		s->since != 0 && !crypto_equal(s->answer.boot_id, answer->boot_id,
					       sizeof(answer->boot_id));

	s->answer = *answer;
	memcpy(s->stream_secret, keys->stream_secret, sizeof(s->stream_secret));
	s->since = loop_now(c->loop);
	s->up = true;
	c->mptcp.base.counters.handshakes++;
	snprintf(c->state_text, sizeof(c->state_text), "connected to %s with %s",
		 c->config->server.name, aead_name((enum aead_alg)answer->aead));
	if (restarted) {
		log_warn("the server was restarted: its streams are gone");
		reset_streams(c);
	}
	if (!was_up || restarted) {
		log_info("session up: server=%s aead=%s", c->config->server.name,
			 aead_name((enum aead_alg)answer->aead));
	}
	/* The server forgets a session that nothing uses at once; and a heartbeat
	 * under old keys would not tell that it has forgotten this one. */
	refresh_heartbeats(c, true);
	mptcp_pool_refill(c);
}

void
mptcp_client_session_doubtful(struct mptcp_client *c, const char *why)
{
	if (!c->session.up)
		return;
	for (size_t i = 0; i < UPLINKS_MAX; i++) {
		if (c->heartbeats[i].state == HEARTBEAT_BEATING)
			return;
	}
	c->session.up = false;
	snprintf(c->state_text, sizeof(c->state_text), "connecting: %s", why);
	log_warn("session lost: server=%s reason=\"%s\"", c->config->server.name, why);
	mptcp_race_start(c->race);
}

void
mptcp_client_lost(struct mptcp_client *c, const struct subflow *sf)
{
	/* 0: its address is no uplink's any more. */
	if (sf->uplink != 0)
		heartbeat_hurry(&c->heartbeats[sf->uplink - 1]);
}

void
mptcp_client_peer_lost(struct mptcp_client *c, uint64_t number, uint8_t address_id)
{
	list_for_each (it, &c->mptcp.base.streams) {
		struct mptcp_stream *s = list_entry(it, struct mptcp_stream, base.node);
		struct leg_subflows *ls = &s->subflows;

		for (size_t i = 0; s->watched && s->number == number && i < ls->n;
		     i++) {
			const struct subflow *sf = &ls->sf[i];

			if (sf->local_id != address_id || sf->state != SUBFLOW_UP)
				continue;
			mptcp_client_lost(c, sf);
			subflows_peer_lost(c->mptcp.subflows, ls, &sf->local);
			return;
		}
	}
}

static void
on_tick(void *arg)
{
	struct mptcp_client *c = arg;
	ns_t age = loop_now(c->loop) - c->session.since;

	if (c->session.up)
		c->lost_ticks = 0;
	else if (c->endpoints.n == 0 || ++c->lost_ticks % LOOKUP_EVERY == 0)
		endpoints_look_up(&c->endpoints);
	if (c->session.up && age >= SESSION_LIFE)
		mptcp_race_start(c->race);
	mptcp_pool_tick(c);
	timer_set(&c->tick, TICK);
}

static void
uplink_changed(struct transport *base, struct uplink *u)
{
	struct mptcp_client *c = container_of(base, struct mptcp_client, mptcp.base);
	struct heartbeat *h = &c->heartbeats[u->id - 1];
	bool anew = u->state < UPLINK_PROBING || u->state == UPLINK_OFF ||
		    u->ifindex != h->ifindex;

	h->ifindex = u->ifindex;
	heartbeat_refresh(h, u, anew);
	if (u->state == UPLINK_SUSPECT)
		heartbeat_hurry(h);
	if (!uplink_is_heard(u, TRANSPORT_MPTCP))
		mptcp_pool_uplink_gone(c, u);
	mptcp_race_hurry(c->race);
	mptcp_pool_refill(c);
}

static struct transport_health
health(const struct transport *base)
{
	const struct mptcp_client *c =
		container_of(base, struct mptcp_client, mptcp.base);
	struct transport_health h = {0};

	for (size_t i = 0; i < uplinks_count(c->uplinks) && c->session.up; i++)
		h.works |= uplink_is_heard(uplinks_at(c->uplinks, i), TRANSPORT_MPTCP);
	if (!h.works)
		h.handicap = "mptcp: there is no session with the server";
	else if (c->mptcp.stripped)
		h.handicap = "MPTCP's options do not get through";
	return h;
}

static const char *
state_text(const struct transport *base)
{
	return container_of(base, struct mptcp_client, mptcp.base)->state_text;
}

static void
free_client(struct transport *base)
{
	struct mptcp_client *c = container_of(base, struct mptcp_client, mptcp.base);

	if (c->mptcp.client != NULL)
		tunnel_mptcp_done(&c->mptcp);
	timer_done(&c->tick);
	for (size_t i = 0; c->heartbeats != NULL && i < UPLINKS_MAX; i++)
		heartbeat_done(&c->heartbeats[i]);
	endpoints_done(&c->endpoints);
	mptcp_race_free(c->race);
	prng_done(&c->prng);
	free(c->heartbeats);
	crypto_wipe(c, sizeof(*c));
	free(c);
}

static const struct transport_ops ops = {
	.open = mptcp_pool_open,
	.uplink_changed = uplink_changed,
	.health = health,
	.each = tunnel_mptcp_each,
	.counters = tunnel_mptcp_counters,
	.state_text = state_text,
	.free = free_client,
};

struct transport *
mptcp_client_new(struct loop *l, const struct identity *me, struct uplinks *u,
		 struct subflows *s, struct resolver *r, struct errmsg *why)
{
	struct mptcp_client *c = calloc(1, sizeof(*c));
	int err;

	if (c == NULL) {
		errmsg_set(why, -ENOMEM, "no memory");
		return NULL;
	}
	c->loop = l;
	c->me = me;
	c->config = me->config;
	c->uplinks = u;
	endpoints_init(&c->endpoints, r, &c->config->server, on_found, c);
	list_init(&c->idle);
	list_init(&c->waiting);
	c->target = POOL_MIN;
	err = init_parts(c, s);
	if (err < 0) {
		errmsg_set(why, err, "%s", strerror(-err));
		free_client(&c->mptcp.base);
		return NULL;
	}
	snprintf(c->state_text, sizeof(c->state_text), "connecting");
	endpoints_look_up(&c->endpoints);
	mptcp_race_start(c->race);
	timer_set(&c->tick, TICK);
	c->mptcp.base.ops = &ops;
	return &c->mptcp.base;
}
