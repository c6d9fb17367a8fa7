#include "daemon/udp_client.h"

#include "common/log.h"
#include "daemon/core/subflow.h"
#include "daemon/endpoints.h"
#include "daemon/tunnel_udp.h"
#include "daemon/udp_fallback.h"
#include "daemon/udp_mesh.h"
#include "daemon/udp_race.h"
#include "daemon/udp_status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICK       (NS_PER_SEC / 4)
#define RACE_AFTER NS_PER_SEC
#define ROTATE     (2 * NS_PER_SEC)
/* The server forgets a session after SESSION_HOLD, which is longer. */
#define KEPT_FOR   (50 * NS_PER_SEC)
/* Of an uplink that is switched off: more than a round trip and a queue. */
#define LEAVE_FOR  (NS_PER_SEC / 2)

enum { LOOKUP_EVERY = 120, /* ticks without a session */ MEMORY = 64 * 1024 * 1024 };

struct udp_client {
	struct tunnel_udp udp;
	struct loop *loop;
	const struct config *config;
	struct uplinks *uplinks;
	struct endpoints endpoints;
	struct udp_ports ports;
	struct udp_race race;
	struct timer tick;
	struct udp_session session; /* .core NULL: none */
	struct handshake_answer answer;
	ns_t heard_at;   /* any of its subflows was active */
	ns_t rotated_at; /* another address of the server got its turn */
	unsigned lost_ticks;
	char state_text[160];
};

/* The session */

/* The others are not held up where one uplink's socket is full. */
static size_t
on_send(void *arg, const struct burst *b)
{
	struct udp_client *c = arg;

	udp_port_send(&c->ports.at[b->via], b->data, b->len, b->packet);
	return b->len;
}

static void
on_news(void *arg, struct stream *st, uint8_t news)
{
	(void)arg;
	if (st->user != NULL)
		udp_stream_news(st->user, news);
}

static bool
is_tcp(const void *owner, uint32_t via)
{
	const struct udp_client *c = owner;

	return c->ports.at[via].over_tcp;
}

static void
on_work(void *arg)
{
	struct udp_client *c = arg;
	const struct udp_status_names names = {c->config->server.name, is_tcp, c};

	udp_status_tell(c->session.core, &names, c->uplinks);
}

/* The session and its streams are over. */
static void
drop_session(struct udp_client *c)
{
	tunnel_udp_reset_streams(&c->udp, &c->session);
	udp_status_add(c->session.core, true, &c->udp.base.counters);
	udp_status_lost(c->uplinks, loop_now(c->loop));
	udp_session_done(&c->session);
	for (size_t i = 0; i < UDP_PORTS_MAX; i++)
		c->ports.at[i].subflow = 0;
}

static void
end_session(struct udp_client *c, const char *why)
{
	if (c->session.core == NULL)
		return;
	log_warn("session lost: transport=udp server=%s reason=\"%s\"",
		 c->config->server.name, why);
	drop_session(c);
	snprintf(c->state_text, sizeof(c->state_text), "connecting: %s", why);
	udp_race_start(&c->race);
}

static void
on_over(void *arg)
{
	end_session(arg, "the server ended it");
}

static int
add_subflow(struct udp_client *c, const struct udp_port *p, bool known)
{
	const struct subflow_way way = {p->local, p->remote,
					(uint32_t)(p - c->ports.at), p->uplink->id};

	return session_add_subflow(c->session.core, &way, known, loop_now(c->loop));
}

/* Both directions; what UDP can carry stays away from the same uplink's TCP. */
static void
set_tier(struct udp_client *c, const struct udp_port *p)
{
	bool spare = udp_fallback_is_spare(p, c->session.core);

	session_set_tier(c->session.core, p->subflow,
			 udp_tier(spare ? PRIORITY_BACKUP : p->uplink->priority));
}

static void
use_port(struct udp_client *c, struct udp_port *p, bool known)
{
	int id;

	if (c->session.core == NULL || !p->open)
		return;
	if (p->subflow != 0) {
		session_subflow_up(c->session.core, p->subflow, &p->local,
				   loop_now(c->loop));
	} else {
		id = add_subflow(c, p, known);
		if (id < 0)
			return;
		p->subflow = (uint8_t)id;
	}
	set_tier(c, p);
	udp_session_touch(&c->session);
}

static void
begin_waiting(struct udp_client *c)
{
	list_for_each_safe (it, &c->udp.base.streams) {
		struct udp_stream *s = list_entry(it, struct udp_stream, base.node);

		if (s->session == NULL && udp_stream_begin(s, &c->session) < 0)
			transport_refuse(&s->base, OPEN_LIMIT);
	}
}

static void
begin_session(struct udp_client *c, const struct initiator_result *r,
	      struct udp_port *winner)
{
	const struct session_settings cfg = {
		.role = SESSION_CLIENT,
		.aead = (enum aead_alg)r->answer.aead,
		.index = c->race.initiator.offer.session_index,
		.index_peer = r->answer.session_index,
		.cc = udp_congestion(c->config),
		.scheduler = c->config->scheduler,
		.max_streams = c->config->max_streams < r->answer.max_streams
				       ? c->config->max_streams
				       : r->answer.max_streams,
		.memory = MEMORY,
		.rekey.secrets = identity_secrets(c->race.me),
	};
	const struct udp_session_handler handler = {on_send, on_news, on_work, on_over,
						    c};

	if (udp_session_init(&c->session, c->loop, &cfg, &r->keys, &handler) < 0) {
		log_warn("no memory for a session");
		return;
	}
	c->answer = r->answer;
	c->heard_at = loop_now(c->loop);
	c->udp.base.counters.handshakes++;
	snprintf(c->state_text, sizeof(c->state_text), "connected to %s with %s",
		 c->config->server.name, aead_name(cfg.aead));
	log_info("session up: transport=udp server=%s aead=%s", c->config->server.name,
		 aead_name(cfg.aead));
	use_port(c, winner, true);
	for (size_t i = 0; i < UDP_PORTS_MAX; i++) {
		if (&c->ports.at[i] != winner)
			use_port(c, &c->ports.at[i], false);
	}
	begin_waiting(c);
	transport_works(&c->udp.base);
}

/* An answer of the race. The same server as before still has the old session. */
static void
on_answer(struct udp_client *c, const struct initiator_result *r,
	  struct udp_port *winner)
{
	bool same = crypto_equal(r->answer.boot_id, c->answer.boot_id,
				 sizeof(r->answer.boot_id));

	if (c->session.core != NULL && same &&
	    loop_now(c->loop) - c->heard_at < KEPT_FOR) {
		udp_race_end(&c->race);
		return;
	}
	if (c->session.core != NULL) {
		log_warn(same ? "nothing was heard of the session: its streams are gone"
			      : "the server was restarted: its streams are gone");
		drop_session(c);
	}
	begin_session(c, r, winner);
	udp_race_end(&c->race);
}

/* Ports */

static void
on_burst(void *arg, struct udp_port *p, const struct burst *b)
{
	struct udp_client *c = arg;
	struct initiator_result r;

	if ((b->data[0] & WIRE_IS_PACKET) != 0) {
		(void)udp_session_input(&c->session, b);
		return;
	}
	if (udp_race_input(&c->race, p, b, &r)) {
		on_answer(c, &r, p);
		crypto_wipe(&r, sizeof(r));
	}
}

static void
on_open(void *arg, struct udp_port *p)
{
	struct udp_client *c = arg;

	udp_race_uplink(&c->race, p->uplink);
	use_port(c, p, false);
	udp_race_run(&c->race);
}

static void
on_lost(void *arg, struct udp_port *p)
{
	struct udp_client *c = arg;

	udp_race_uplink(&c->race, p->uplink);
	if (p->subflow == 0)
		return;
	session_subflow_down(c->session.core, p->subflow, loop_now(c->loop));
	udp_session_touch(&c->session);
}

static void
on_doubt(void *arg, struct udp_port *p)
{
	struct udp_client *c = arg;

	if (p->subflow == 0)
		return;
	session_subflow_doubt(c->session.core, p->subflow, loop_now(c->loop));
	udp_session_touch(&c->session);
}

static void
close_port(struct udp_client *c, struct udp_port *p)
{
	udp_port_close(p);
	on_lost(c, p);
}

/* Switched off: what was on its way when the server was told still comes. */
static bool
is_leaving(const struct udp_client *c, const struct uplink *u)
{
	return u->state == UPLINK_OFF && loop_now(c->loop) - u->state_at < LEAVE_FOR;
}

/* The uplink may have it no more; where it could have, the server is told so. */
static void
give_up_port(struct udp_client *c, struct udp_port *p)
{
	if (p->subflow != 0 && p->uplink->state == UPLINK_OFF)
		session_reset_subflow(c->session.core, p->subflow,
				      SUBFLOW_END_UNSPECIFIED, loop_now(c->loop));
	close_port(c, p);
}

/* Its subflow ended, and the server has that address no more. */
static bool
has_ended(const struct udp_client *c, const struct udp_port *p,
	  const struct udp_mesh *m)
{
	return p->subflow != 0 && !udp_mesh_has(m, &p->remote) &&
	       session_subflow(c->session.core, p->subflow)->state == SUBFLOW_ENDED;
}

/* Closes what this uplink cannot have any more. Returns whether one is left. */
static bool
keep_ports(struct udp_client *c, const struct uplink *u, const struct udp_mesh *m)
{
	bool any = false;

	for (size_t i = 0; i < UDP_PORTS_MAX; i++) {
		struct udp_port *p = &c->ports.at[i];
		const struct addr *local;

		if (p->uplink != u || !udp_port_is_there(p))
			continue;
		local = uplink_addr(u, p->remote.family);
		if ((!uplink_is_judged(u) && !is_leaving(c, u)) || local == NULL ||
		    (p->open && !addr_same_ip(&p->local, local)) ||
		    has_ended(c, p, m)) {
			give_up_port(c, p);
			continue;
		}
		any |= !p->over_tcp;
		if (p->subflow != 0)
			set_tier(c, p);
	}
	return any;
}

static void
refresh_uplink(struct udp_client *c, const struct uplink *u)
{
	struct udp_mesh m;
	bool any;

	udp_mesh_of(&c->endpoints, c->session.core, u, &m);
	any = keep_ports(c, u, &m);
	if (!uplink_is_judged(u) || (any && c->session.core == NULL))
		return;
	for (size_t i = 0; i < m.n; i++) {
		struct udp_port *p = udp_ports_find(&c->ports, u, &m.addrs[i], false);

		if (p != NULL && !p->open &&
		    (i == 0 || udp_mesh_may_open(p, loop_now(c->loop))))
			udp_port_open(p);
	}
}

static void
refresh_ports(void *arg)
{
	struct udp_client *c = arg;

	for (size_t i = 0; i < uplinks_count(c->uplinks); i++)
		refresh_uplink(c, uplinks_at(c->uplinks, i));
	if (c->session.core != NULL)
		udp_session_touch(&c->session);
	udp_race_run(&c->race);
}

/* Nobody answers at the address in use: the next one's turn. */
static void
rotate(struct udp_client *c, ns_t now)
{
	if (c->session.core != NULL || c->endpoints.n < 2 ||
	    now - c->rotated_at < ROTATE)
		return;
	c->rotated_at = now;
	endpoints_next(&c->endpoints);
	for (size_t i = 0; i < UDP_PORTS_MAX; i++)
		udp_port_close(&c->ports.at[i]);
}

static bool
is_heard(const struct udp_client *c)
{
	return udp_status_active(c->session.core) > 0;
}

static void
on_tick(void *arg)
{
	struct udp_client *c = arg;
	ns_t now = loop_now(c->loop);

	if (is_heard(c)) {
		c->heard_at = now;
		c->lost_ticks = 0;
		udp_race_end(&c->race);
		refresh_ports(c);
		transport_works(&c->udp.base);
	} else if (c->session.core == NULL || now - c->heard_at > RACE_AFTER) {
		if (c->endpoints.n == 0 || ++c->lost_ticks % LOOKUP_EVERY == 0)
			endpoints_look_up(&c->endpoints);
		rotate(c, now);
		refresh_ports(c);
		udp_race_start(&c->race);
	}
	udp_fallback_check(&c->ports, c->session.core, now);
	timer_set(&c->tick, TICK);
}

/* The transport */

static struct tunnel_stream *
open_stream(struct transport *base, const struct config_host *dest,
	    const struct config_listener *from, const struct tunnel_user *user)
{
	struct udp_client *c = container_of(base, struct udp_client, udp.base);
	struct udp_stream *s;

	s = udp_stream_new(&c->udp, dest);
	if (s == NULL)
		return NULL;
	s->from = from;
	if (c->session.core != NULL && udp_stream_begin(s, &c->session) < 0) {
		udp_stream_end(s, true);
		return NULL;
	}
	s->base.user = *user;
	return &s->base;
}

static void
uplink_changed(struct transport *base, struct uplink *u)
{
	struct udp_client *c = container_of(base, struct udp_client, udp.base);

	(void)u;
	refresh_ports(c);
}

static struct transport_health
health(const struct transport *base)
{
	const struct udp_client *c = container_of(base, struct udp_client, udp.base);
	struct transport_health h = {
		.handicap = c->session.core != NULL
				    ? "UDP does not get through"
				    : "udp: there is no session with the server",
	};

	for (size_t i = 0; i < UDP_PORTS_MAX && c->session.core != NULL; i++) {
		const struct udp_port *p = &c->ports.at[i];

		if (!udp_port_is_active(p, c->session.core))
			continue;
		h.works = true;
		if (!p->over_tcp && udp_port_is_whole(p, c->session.core))
			h.handicap = NULL;
	}
	return h;
}

static const char *
state_text(const struct transport *base)
{
	return container_of(base, struct udp_client, udp.base)->state_text;
}

static void
each_subflow(struct transport *base, subflow_info_fn fn, void *arg)
{
	struct udp_client *c = container_of(base, struct udp_client, udp.base);
	const struct udp_status_names names = {c->config->server.name, is_tcp, c};

	udp_status_each(c->session.core, &names, loop_now(c->loop), fn, arg);
}

static void
counters(const struct transport *base, struct tunnel_counters *ret_counters)
{
	const struct udp_client *c =
		container_of(base, const struct udp_client, udp.base);

	tunnel_udp_counters(&c->udp, ret_counters);
	udp_status_add(c->session.core, false, ret_counters);
}

static void
free_client(struct transport *base)
{
	struct udp_client *c = container_of(base, struct udp_client, udp.base);

	transport_done(&c->udp.base);
	udp_session_done(&c->session);
	udp_race_done(&c->race);
	timer_done(&c->tick);
	udp_ports_done(&c->ports);
	endpoints_done(&c->endpoints);
	crypto_wipe(c, sizeof(*c));
	free(c);
}

static const struct transport_ops ops = {
	.open = open_stream,
	.uplink_changed = uplink_changed,
	.health = health,
	.each = tunnel_udp_each,
	.each_subflow = each_subflow,
	.counters = counters,
	.state_text = state_text,
	.free = free_client,
};

static int
init_parts(struct udp_client *c, const struct identity *me, struct errmsg *why)
{
	const struct udp_ports_handler h = {on_burst, on_open, on_lost, on_doubt, c};

	if (udp_ports_init(&c->ports, c->loop, &h) < 0 ||
	    udp_race_init(&c->race, c->loop, me, &c->ports) < 0 ||
	    timer_init(&c->tick, c->loop, on_tick, c) < 0)
		return errmsg_set(why, -ENOMEM, "no memory");
	/* Loss that means nothing must not slow TCP down either; the server's end has
	 * it from the listener. mptcp has said so, where there is none. */
	if (tcp_try_congestion(c->config->congestion) == 0)
		c->ports.congestion = c->config->congestion;
	return 0;
}

struct transport *
udp_client_new(struct loop *l, const struct identity *me, struct uplinks *u,
	       struct resolver *r, struct errmsg *why)
{
	struct udp_client *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		errmsg_set(why, -ENOMEM, "no memory");
		return NULL;
	}
	c->loop = l;
	c->config = me->config;
	c->uplinks = u;
	tunnel_udp_init(&c->udp, l, c->config);
	c->udp.base.ops = &ops;
	endpoints_init(&c->endpoints, r, &c->config->server, refresh_ports, c);
	snprintf(c->state_text, sizeof(c->state_text), "connecting");
	if (init_parts(c, me, why) < 0) {
		free_client(&c->udp.base);
		return NULL;
	}
	c->rotated_at = loop_now(l);
	timer_set(&c->tick, NS_PER_MS);
	return &c->udp.base;
}
