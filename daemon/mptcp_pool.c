#include "daemon/mptcp_pool.h"

#include "common/log.h"
#include "daemon/io/tcp.h"

#include <string.h>
#include <unistd.h>

#define CONNECT_LEAST (250 * NS_PER_MS)
#define CONNECT_MOST  (3 * NS_PER_SEC)
#define GREETING_LIFE (5 * NS_PER_SEC)
#define KEEPALIVE     (60 * NS_PER_SEC)

static ns_t
srtt_of(const struct uplink *u)
{
	return u->hearing.by[TRANSPORT_MPTCP].srtt;
}

/* The better of two uplinks for a first subflow; NULL is worse than any. */
static const struct uplink *
better(const struct uplink *a, const struct uplink *b)
{
	if (a == NULL || b == NULL)
		return a != NULL ? a : b;
	if (a->priority != b->priority)
		return a->priority < b->priority ? a : b;
	return srtt_of(a) <= srtt_of(b) ? a : b;
}

static bool
has_room(const struct mptcp_client *c, const struct uplink *u)
{
	return c->fresh[u->id - 1] < POOL_FRESH;
}

static void
set_fresh(struct mptcp_client *c, struct mptcp_stream *s, bool fresh)
{
	if (fresh && !s->fresh)
		c->fresh[s->uplink->id - 1]++;
	else if (!fresh && s->fresh)
		c->fresh[s->uplink->id - 1]--;
	s->fresh = fresh;
}

static const struct uplink *
best_uplink(const struct mptcp_client *c, const struct uplink *not_this, bool with_room)
{
	const struct uplink *best = NULL;

	for (size_t i = 0; i < uplinks_count(c->uplinks); i++) {
		const struct uplink *u = uplinks_at(c->uplinks, i);

		if (u != not_this && uplink_is_heard(u, TRANSPORT_MPTCP) &&
		    endpoints_for(&c->endpoints, u) != NULL &&
		    (!with_room || has_room(c, u)))
			best = better(best, u);
	}
	return best;
}

/* A leg whose connect failed: its stream waits for another one, or ends. */
static void
connect_failed(struct mptcp_client *c, struct mptcp_stream *s)
{
	leg_done(&s->leg, true);
	set_fresh(c, s, false);
	if (s->base.user.on_closed == NULL) {
		mptcp_stream_end(s, true);
		return;
	}
	s->state = STREAM_CONNECTING;
	list_remove(&s->pool);
	list_append(&c->waiting, &s->pool);
	timer_set(&s->timer, CONNECT_LEAST);
}

static int
open_socket(struct mptcp_client *c, const struct uplink *u)
{
	struct tcp_connect tc = {
		.kind = TCP_MPTCP,
		.remote = *endpoints_for(&c->endpoints, u),
		.device = u->interface,
		.congestion = c->mptcp.congestion,
		.receive_buffer = tunnel_mptcp_receive_buffer(&c->mptcp),
	};
	int fd = tcp_connect_start(&tc);

	if (fd != -ENOPROTOOPT && fd != -EPROTONOSUPPORT)
		return fd;
	tc.kind = TCP_PLAIN;
	return tcp_connect_start(&tc);
}

static void
connect_leg(struct mptcp_client *c, struct mptcp_stream *s, const struct uplink *u)
{
	ns_t srtt = srtt_of(u);
	ns_t patience = srtt == 0 ? NS_PER_SEC : 3 * srtt + CONNECT_LEAST;
	int fd = open_socket(c, u);

	s->uplink = u;
	list_remove(&s->pool);
	if (fd < 0 || mptcp_stream_set_leg(s, fd) < 0) {
		log_debug("leg not connected: uplink=%s error=\"%s\"", u->name,
			  strerror(fd < 0 ? -fd : ENOMEM));
		if (fd >= 0)
			close(fd);
		connect_failed(c, s);
		return;
	}
	set_fresh(c, s, true);
	watch_want(&s->leg.watch, LOOP_WRITE);
	timer_set(&s->timer, min_ns(patience, CONNECT_MOST));
}

void
mptcp_client_stream_timeout(struct mptcp_client *c, struct mptcp_stream *s)
{
	ns_t age = loop_now(c->loop) - s->created_at;
	const struct uplink *u;

	if (s->state == STREAM_GREETING || age >= CONNECT_DEADLINE) {
		if (s->base.user.on_closed != NULL)
			transport_refuse(&s->base, OPEN_NO_TUNNEL);
		else
			mptcp_stream_end(s, true);
		return;
	}
	if (s->leg.fd >= 0)
		connect_failed(c, s);
	if (s->state == STREAM_CLOSED)
		return;
	u = best_uplink(c, s->uplink, true);
	if (u == NULL)
		u = best_uplink(c, NULL, true);
	if (c->session.up && u != NULL)
		connect_leg(c, s, u);
	if (!timer_is_set(&s->timer))
		timer_set(&s->timer, CONNECT_LEAST);
}

static bool
wants_plain(const struct mptcp_client *c, const struct mptcp_stream *s)
{
	return s->from != NULL && s->from->protect == PROTECT_AUTH &&
	       c->session.answer.allow_auth_only;
}

void
mptcp_client_stream_connected(struct mptcp_client *c, struct mptcp_stream *s)
{
	struct leg_hello hello = {.kind = LEG_STREAM, .uplink = s->uplink->id};
	struct leg_header header;
	int err = tcp_connect_result(s->leg.fd);

	if (err == -EINPROGRESS)
		return;
	if (err < 0 || !c->session.up) {
		connect_failed(c, s);
		return;
	}
	header = mptcp_client_next_header(c);
	memcpy(hello.boot_id, c->me->boot_id, sizeof(hello.boot_id));
	tcp_set_nodelay(s->leg.fd, true);
	tcp_set_keepalive(s->leg.fd, KEEPALIVE);
	s->may_be_plain = wants_plain(c, s);
	timer_set(&s->timer, GREETING_LIFE);
	err = leg_set_keys(&s->leg, (enum aead_alg)c->session.answer.aead,
			   c->session.stream_secret, header.number, true);
	if (err == 0)
		err = mptcp_stream_greet(s, &header, &hello);
	if (err < 0)
		mptcp_stream_end(s, true);
}

void
mptcp_client_stream_is_idle(struct mptcp_client *c, struct mptcp_stream *s)
{
	timer_stop(&s->timer);
	list_append(&c->idle, &s->pool);
	mptcp_pool_refill(c);
}

void
mptcp_client_stream_greeted(struct mptcp_client *c, struct mptcp_stream *s)
{
	set_fresh(c, s, false);
	if (!list_empty(&c->waiting))
		mptcp_pool_refill(c);
}

void
mptcp_client_stream_ends(struct mptcp_client *c, struct mptcp_stream *s)
{
	set_fresh(c, s, false);
	if (s->id != 0)
		c->n_open--;
	else
		c->ready[s->uplink->id - 1]--;
}

static struct mptcp_stream *
take_idle(struct mptcp_client *c)
{
	struct mptcp_stream *best = NULL;

	list_for_each (it, &c->idle) {
		struct mptcp_stream *s = list_entry(it, struct mptcp_stream, pool);

		if (best == NULL)
			best = s;
		else if (!uplink_is_heard(s->uplink, TRANSPORT_MPTCP))
			continue;
		else if (!uplink_is_heard(best->uplink, TRANSPORT_MPTCP) ||
			 better(best->uplink, s->uplink) == s->uplink)
			best = s;
	}
	if (best != NULL) {
		list_remove(&best->pool);
		c->ready[best->uplink->id - 1]--;
	}
	return best;
}

static void
give_leg(struct mptcp_client *c, struct mptcp_stream *s)
{
	const struct uplink *u = best_uplink(c, NULL, true);

	if (c->session.up && u != NULL) {
		connect_leg(c, s, u);
	} else {
		list_remove(&s->pool);
		list_append(&c->waiting, &s->pool);
	}
	if (!timer_is_set(&s->timer))
		timer_set(&s->timer, CONNECT_LEAST);
}

struct tunnel_stream *
mptcp_pool_open(struct transport *base, const struct config_host *dest,
		const struct config_listener *from, const struct tunnel_user *user)
{
	struct mptcp_client *c = container_of(base, struct mptcp_client, mptcp.base);
	struct mptcp_stream *s;

	s = take_idle(c);
	if (s == NULL)
		s = mptcp_stream_new(&c->mptcp, STREAM_CONNECTING);
	if (s == NULL)
		return NULL;
	c->n_open++;
	c->taken++;
	s->id = transport_next_id(base);
	s->base.user = *user;
	s->dest = *dest;
	s->from = from;
	s->may_be_plain = wants_plain(c, s);
	s->created_at = loop_now(c->loop);
	if (s->state == STREAM_CONNECTING)
		give_leg(c, s);
	else if (mptcp_stream_send_open(s) < 0)
		mptcp_stream_end(s, true);
	mptcp_pool_refill(c);
	return &s->base;
}

static void
refill_uplink(struct mptcp_client *c, const struct uplink *u, unsigned want)
{
	while (c->ready[u->id - 1] < want) {
		struct mptcp_stream *s;

		if (c->started >= POOL_BURST || !has_room(c, u))
			return;
		s = mptcp_stream_new(&c->mptcp, STREAM_CONNECTING);
		if (s == NULL)
			return;
		c->started++;
		c->ready[u->id - 1]++;
		connect_leg(c, s, u);
	}
}

/* Each stream once: who gets none waits at the end of the same list again. */
static void
give_legs(struct mptcp_client *c)
{
	struct list now;

	list_init(&now);
	list_splice(&now, &c->waiting);
	while (!list_empty(&now))
		give_leg(c, list_entry(now.next, struct mptcp_stream, pool));
}

void
mptcp_pool_refill(struct mptcp_client *c)
{
	const struct uplink *best = best_uplink(c, NULL, false);

	if (!c->session.up || best == NULL)
		return;
	give_legs(c);
	for (size_t i = 0; i < uplinks_count(c->uplinks); i++) {
		const struct uplink *u = uplinks_at(c->uplinks, i);

		if (u == best)
			refill_uplink(c, u, c->target);
		else if (uplink_is_heard(u, TRANSPORT_MPTCP) &&
			 u->priority == best->priority &&
			 endpoints_for(&c->endpoints, u) != NULL)
			refill_uplink(c, u, 1);
	}
}

void
mptcp_pool_tick(struct mptcp_client *c)
{
	unsigned ready = 0;

	c->target = c->taken > c->target ? c->taken : c->target - c->target / 8;
	c->target = c->target < POOL_MIN ? POOL_MIN : c->target;
	c->target = c->target > POOL_MAX ? POOL_MAX : c->target;
	c->taken = 0;
	c->started = 0;
	list_for_each (it, &c->idle)
		ready++;
	/* One a second is let go, the oldest, when there are far too many. */
	if (ready > c->target + UPLINKS_MAX)
		mptcp_stream_end(list_entry(c->idle.next, struct mptcp_stream, pool),
				 false);
	mptcp_pool_refill(c);
}

/* What still connects over `u` goes to another uplink, as after its patience. */
static void
hurry_connecting(struct mptcp_client *c, const struct uplink *u)
{
	list_for_each (it, &c->mptcp.base.streams) {
		struct mptcp_stream *s = list_entry(it, struct mptcp_stream, base.node);

		if (s->state == STREAM_CONNECTING && s->uplink == u && s->leg.fd >= 0)
			timer_set(&s->timer, 0);
	}
}

void
mptcp_pool_uplink_gone(struct mptcp_client *c, const struct uplink *u)
{
	list_for_each_safe (it, &c->idle) {
		struct mptcp_stream *s = list_entry(it, struct mptcp_stream, pool);
		bool other = false;

		for (size_t i = 0; s->watched && i < s->subflows.n; i++) {
			const struct subflow *sf = &s->subflows.sf[i];

			other |= sf->state == SUBFLOW_UP && sf->uplink != u->id;
		}
		if (!other)
			mptcp_stream_end(s, true);
	}
	hurry_connecting(c, u);
}
