#include "daemon/udp_client.h"

#include "common/log.h"
#include "daemon/core/initiator.h"
#include "daemon/core/subflow.h"
#include "daemon/endpoints.h"
#include "daemon/io/udp.h"
#include "daemon/secret.h"
#include "daemon/tunnel_udp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define TICK       (NS_PER_SEC / 4)
#define RACE_AFTER NS_PER_SEC
#define ROTATE     (2 * NS_PER_SEC)
/* The server forgets a session after SESSION_HOLD, which is longer. */
#define KEPT_FOR   (30 * NS_PER_SEC)

enum { LOOKUP_EVERY = 120, /* ticks without a session */ MEMORY = 64 * 1024 * 1024 };

struct udp_client;

/* The socket of one uplink. */
struct port {
	struct udp_client *client;
	const struct uplink *uplink;
	struct udp_sock sock;
	struct watch watch;
	struct addr local; /* as it was opened */
	bool open;
	uint8_t subflow; /* id in the session; 0: none */
};

struct udp_client {
	struct tunnel_udp udp;
	struct loop *loop;
	const struct config *config;
	struct uplinks *uplinks;
	struct endpoints endpoints;
	struct udp_inbox *inbox;
	uint8_t private_key[CRYPTO_KEY_LEN], psk[CRYPTO_KEY_LEN];
	struct port ports[UPLINKS_MAX]; /* by uplink id - 1 */
	struct initiator race;
	bool racing;
	struct timer race_timer, tick;
	struct udp_session session; /* .core NULL: none */
	struct handshake_answer answer;
	ns_t heard_at;   /* any of its subflows was active */
	ns_t rotated_at; /* another address of the server got its turn */
	unsigned lost_ticks;
	char state_text[160];
};

static void on_race_timer(void *arg);
static void close_port(struct port *p);

/* The race */

static void
race(struct udp_client *c)
{
	ns_t now = loop_now(c->loop), at;
	uint8_t msg[HANDSHAKE_LEN];

	if (!c->racing)
		return;
	for (size_t i = 0; i < UPLINKS_MAX; i++) {
		struct port *p = &c->ports[i];
		const struct udp_burst b = {
			.data = msg, .len = sizeof(msg), .packet = sizeof(msg)};

		/* What cannot be sent is sent again in time. */
		if (p->open && initiator_output(&c->race, (unsigned)i + 1, now, msg) &&
		    udp_send(&p->sock, &b) < 0)
			continue;
	}
	at = initiator_deadline(&c->race);
	timer_set(&c->race_timer,
		  at == NS_NEVER ? NS_NEVER : max_ns(at - now, NS_PER_MS));
}

static void
on_race_timer(void *arg)
{
	race(arg);
}

static void
end_race(struct udp_client *c)
{
	if (c->racing)
		initiator_done(&c->race);
	c->racing = false;
	if (c->race_timer.event != NULL)
		timer_stop(&c->race_timer);
}

static void
start_race(struct udp_client *c)
{
	const struct handshake_secrets secrets = {c->private_key,
						  c->config->server.public_key, c->psk};
	struct handshake_offer offer = {
		.version = HANDSHAKE_VERSION,
		.aead_mask = aead_fast_mask(),
	};
	uint8_t seed[CRYPTO_KEY_LEN];
	ns_t now = loop_now(c->loop);

	if (c->racing || getrandom(seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		return;
	offer.session_index =
		(uint32_t)seed[0] << 16 | (uint32_t)seed[1] << 8 | seed[2];
	c->racing = initiator_init(&c->race, &secrets, &offer, seed, now) == 0;
	crypto_wipe(seed, sizeof(seed));
	for (size_t i = 0; c->racing && i < UPLINKS_MAX; i++)
		initiator_set_uplink(&c->race, (unsigned)i + 1, c->ports[i].open, now);
	race(c);
}

/* The session */

static void
on_send(void *arg, const struct burst *b)
{
	struct udp_client *c = arg;
	struct port *p = &c->ports[b->via];
	const struct udp_burst out = {
		.data = b->data, .len = b->len, .packet = b->packet};
	ssize_t n;

	if (!p->open)
		return;
	n = udp_send(&p->sock, &out);
	if (n < 0 && udp_is_gone((int)n)) {
		close_port(p);
		session_subflow_down(c->session.core, p->subflow, loop_now(c->loop));
	}
}

static void
on_news(void *arg, struct stream *st, uint8_t news)
{
	(void)arg;
	if (st->user != NULL)
		udp_stream_news(st->user, news);
}

static void
end_session(struct udp_client *c, const char *why)
{
	if (c->session.core == NULL)
		return;
	log_warn("session lost: transport=udp server=%s reason=\"%s\"",
		 c->config->server.name, why);
	tunnel_udp_reset_streams(&c->udp, &c->session);
	udp_session_done(&c->session);
	for (size_t i = 0; i < UPLINKS_MAX; i++)
		c->ports[i].subflow = 0;
	snprintf(c->state_text, sizeof(c->state_text), "connecting: %s", why);
	start_race(c);
}

static void
on_over(void *arg)
{
	end_session(arg, "the server ended it");
}

static int
add_subflow(struct udp_client *c, const struct port *p, bool known)
{
	const struct subflow_way way = {p->local, p->sock.remote,
					(uint32_t)(p - c->ports), p->uplink->id};

	return session_add_subflow(c->session.core, &way, known, loop_now(c->loop));
}

static void
use_port(struct udp_client *c, struct port *p, bool known)
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
	session_set_tier(c->session.core, p->subflow, udp_tier(p->uplink->priority));
	udp_session_touch(&c->session);
}

static void
begin_waiting(struct udp_client *c)
{
	list_for_each_safe (it, &c->udp.streams) {
		struct udp_stream *s = list_entry(it, struct udp_stream, node);

		if (s->session == NULL && udp_stream_begin(s, &c->session) < 0)
			udp_stream_refuse(s, OPEN_FAILED);
	}
}

static void
begin_session(struct udp_client *c, const struct initiator_result *r, unsigned winner)
{
	const struct session_settings cfg = {
		.role = SESSION_CLIENT,
		.aead = (enum aead_alg)r->answer.aead,
		.index = c->race.offer.session_index,
		.index_peer = r->answer.session_index,
		.cc = udp_congestion(c->config),
		.scheduler = c->config->scheduler,
		.max_streams = c->config->max_streams < r->answer.max_streams
				       ? c->config->max_streams
				       : r->answer.max_streams,
		.memory = MEMORY,
	};
	const struct udp_session_handler handler = {on_send, on_news, on_over, c};

	if (udp_session_init(&c->session, c->loop, &cfg, &r->keys, &handler) < 0) {
		log_warn("no memory for a session");
		return;
	}
	c->answer = r->answer;
	c->heard_at = loop_now(c->loop);
	c->udp.counters.handshakes++;
	snprintf(c->state_text, sizeof(c->state_text), "connected to %s with %s",
		 c->config->server.name, aead_name(cfg.aead));
	log_info("session up: transport=udp server=%s aead=%s", c->config->server.name,
		 aead_name(cfg.aead));
	use_port(c, &c->ports[winner - 1], true);
	for (size_t i = 0; i < UPLINKS_MAX; i++) {
		if (i != winner - 1)
			use_port(c, &c->ports[i], false);
	}
	begin_waiting(c);
}

/* An answer of the race. The same server as before still has the old session. */
static void
on_answer(struct udp_client *c, const struct initiator_result *r, unsigned winner)
{
	bool same = crypto_equal(r->answer.boot_id, c->answer.boot_id,
				 sizeof(r->answer.boot_id));

	if (c->session.core != NULL && same &&
	    loop_now(c->loop) - c->heard_at < KEPT_FOR) {
		end_race(c);
		return;
	}
	if (c->session.core != NULL) {
		log_warn(same ? "nothing was heard of the session: its streams are gone"
			      : "the server was restarted: its streams are gone");
		tunnel_udp_reset_streams(&c->udp, &c->session);
		udp_session_done(&c->session);
		for (size_t i = 0; i < UPLINKS_MAX; i++)
			c->ports[i].subflow = 0;
	}
	begin_session(c, r, winner);
	end_race(c);
}

/* Sockets */

static void
take(struct port *p, struct udp_burst *b)
{
	struct udp_client *c = p->client;
	struct initiator_result r;

	if ((b->data[0] & WIRE_IS_PACKET) != 0) {
		const struct burst in = {
			.local = p->local,
			.remote = b->remote,
			.via = (uint32_t)(p - c->ports),
			.data = b->data,
			.len = b->len,
			.packet = b->packet,
		};

		udp_session_input(&c->session, &in);
		return;
	}
	if (!c->racing)
		return;
	if (initiator_input(&c->race, p->uplink->id, b->data,
			    min_size(b->len, b->packet), loop_now(c->loop), &r) == 0) {
		on_answer(c, &r, p->uplink->id);
		crypto_wipe(&r, sizeof(r));
	} else {
		race(c);
	}
}

static void
close_port(struct port *p)
{
	if (!p->open)
		return;
	watch_done(&p->watch);
	udp_close(&p->sock);
	p->open = false;
	if (p->client->racing)
		initiator_set_uplink(&p->client->race, p->uplink->id, false,
				     loop_now(p->client->loop));
}

static void
lose_port(struct port *p)
{
	struct udp_client *c = p->client;

	close_port(p);
	if (c->session.core == NULL || p->subflow == 0)
		return;
	session_subflow_down(c->session.core, p->subflow, loop_now(c->loop));
	udp_session_touch(&c->session);
}

static void
on_ready(void *arg, int what)
{
	struct port *p = arg;
	struct udp_client *c = p->client;
	size_t bytes = 0;

	(void)what;
	for (int messages = 0;
	     messages < UDP_TURN_MESSAGES && bytes < UDP_TURN_BYTES;) {
		struct udp_burst b;
		int n = udp_receive(&p->sock, c->inbox);

		if (n < 0) {
			lose_port(p);
			return;
		}
		while (p->open && udp_inbox_next(c->inbox, &b)) {
			bytes += b.len;
			take(p, &b);
		}
		messages += n;
		if (!p->open || !udp_inbox_is_full(c->inbox))
			break;
	}
	/* ICMP can be forged: it is a reason to ask, no more. */
	if (p->open && udp_take_soft(&p->sock) < 0 && p->subflow != 0) {
		session_subflow_doubt(c->session.core, p->subflow, loop_now(c->loop));
		udp_session_touch(&c->session);
	}
}

static bool
is_wanted(const struct uplink *u)
{
	return u->state == UPLINK_PROBING || u->state == UPLINK_ACTIVE ||
	       u->state == UPLINK_DEAD;
}

static void
open_port(struct port *p, const struct addr *remote)
{
	struct udp_client *c = p->client;
	const struct addr *local = uplink_addr(p->uplink, remote->family);

	if (udp_open_client(p->uplink->interface, local, remote, &p->sock) < 0)
		return;
	if (watch_init(&p->watch, c->loop, p->sock.fd, on_ready, p) < 0) {
		udp_close(&p->sock);
		return;
	}
	watch_want(&p->watch, LOOP_READ);
	p->local = p->sock.local;
	p->open = true;
	if (c->racing)
		initiator_set_uplink(&c->race, p->uplink->id, true, loop_now(c->loop));
	use_port(c, p, false);
	race(c);
}

static void
refresh_port(struct udp_client *c, struct uplink *u)
{
	struct port *p = &c->ports[u->id - 1];
	const struct addr *remote = endpoints_for(&c->endpoints, u);
	const struct addr *local =
		remote != NULL ? uplink_addr(u, remote->family) : NULL;
	bool wanted = local != NULL && is_wanted(u);

	p->uplink = u;
	if (p->open && (!wanted || !addr_same_ip(&p->local, local)))
		lose_port(p);
	if (wanted && !p->open)
		open_port(p, remote);
	else if (p->open && p->subflow != 0 && c->session.core != NULL) {
		session_set_tier(c->session.core, p->subflow, udp_tier(u->priority));
		udp_session_touch(&c->session);
	}
}

static void
refresh_ports(void *arg)
{
	struct udp_client *c = arg;

	for (size_t i = 0; i < uplinks_count(c->uplinks); i++)
		refresh_port(c, uplinks_at(c->uplinks, i));
	race(c);
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
	for (size_t i = 0; i < UPLINKS_MAX; i++)
		close_port(&c->ports[i]);
}

static bool
is_heard(const struct udp_client *c)
{
	struct session_stats st;

	if (c->session.core == NULL)
		return false;
	session_stats_get(c->session.core, &st);
	return st.subflows_active > 0;
}

static void
on_tick(void *arg)
{
	struct udp_client *c = arg;
	ns_t now = loop_now(c->loop);

	if (is_heard(c)) {
		c->heard_at = now;
		c->lost_ticks = 0;
		end_race(c);
		refresh_ports(c);
	} else if (c->session.core == NULL || now - c->heard_at > RACE_AFTER) {
		if (c->endpoints.n == 0 || ++c->lost_ticks % LOOKUP_EVERY == 0)
			endpoints_look_up(&c->endpoints);
		rotate(c, now);
		refresh_ports(c);
		start_race(c);
	}
	timer_set(&c->tick, TICK);
}

/* The transport */

static struct tunnel_stream *
open_stream(struct transport *base, const struct config_host *dest,
	    const struct config_listener *from, const struct tunnel_user *user)
{
	struct udp_client *c = container_of(base, struct udp_client, udp.base);
	struct udp_stream *s;

	if (c->udp.n_streams >= c->config->max_streams)
		return NULL;
	s = udp_stream_new(&c->udp, dest);
	if (s == NULL)
		return NULL;
	s->from = from;
	if (c->session.core != NULL && udp_stream_begin(s, &c->session) < 0) {
		udp_stream_end(s, true);
		return NULL;
	}
	s->user = *user;
	return &s->base;
}

static void
uplink_changed(struct transport *base, struct uplink *u)
{
	struct udp_client *c = container_of(base, struct udp_client, udp.base);

	refresh_port(c, u);
	race(c);
}

static const char *
state_text(const struct transport *base)
{
	return container_of(base, struct udp_client, udp.base)->state_text;
}

static void
free_client(struct transport *base)
{
	struct udp_client *c = container_of(base, struct udp_client, udp.base);

	tunnel_udp_done(&c->udp);
	udp_session_done(&c->session);
	end_race(c);
	timer_done(&c->race_timer);
	timer_done(&c->tick);
	for (size_t i = 0; i < UPLINKS_MAX; i++)
		close_port(&c->ports[i]);
	endpoints_done(&c->endpoints);
	udp_inbox_free(c->inbox);
	crypto_wipe(c, sizeof(*c));
	free(c);
}

static const struct transport_ops ops = {
	.open = open_stream,
	.uplink_changed = uplink_changed,
	.each = tunnel_udp_each,
	.counters = tunnel_udp_counters,
	.state_text = state_text,
	.free = free_client,
};

static int
load_keys(struct udp_client *c, struct errmsg *why)
{
	const struct config *conf = c->config;
	int err = secret_load_key(conf->private_key_file, c->private_key, why);

	if (err == 0 && conf->server.preshared_key_file[0] != '\0')
		err = secret_load_key(conf->server.preshared_key_file, c->psk, why);
	return err;
}

static int
init_parts(struct udp_client *c, struct errmsg *why)
{
	c->inbox = udp_inbox_new();
	if (c->inbox == NULL ||
	    timer_init(&c->race_timer, c->loop, on_race_timer, c) < 0 ||
	    timer_init(&c->tick, c->loop, on_tick, c) < 0)
		return errmsg_set(why, -ENOMEM, "no memory");
	return load_keys(c, why);
}

struct transport *
udp_client_new(struct loop *l, const struct config *conf, struct uplinks *u,
	       struct resolver *r, struct errmsg *why)
{
	struct udp_client *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		errmsg_set(why, -ENOMEM, "no memory");
		return NULL;
	}
	c->loop = l;
	c->config = conf;
	c->uplinks = u;
	tunnel_udp_init(&c->udp, l, conf);
	c->udp.base.ops = &ops;
	endpoints_init(&c->endpoints, r, &conf->server, refresh_ports, c);
	snprintf(c->state_text, sizeof(c->state_text), "connecting");
	for (size_t i = 0; i < UPLINKS_MAX; i++) {
		c->ports[i].client = c;
		c->ports[i].sock.fd = -1;
	}
	if (init_parts(c, why) < 0) {
		free_client(&c->udp.base);
		return NULL;
	}
	c->rotated_at = loop_now(l);
	timer_set(&c->tick, NS_PER_MS);
	return &c->udp.base;
}
