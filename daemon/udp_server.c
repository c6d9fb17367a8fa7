#include "daemon/udp_server.h"

#include "common/log.h"
#include "daemon/core/scheduler.h"
#include "daemon/core/session_addr.h"
#include "daemon/core/subflow.h"
#include "daemon/io/sock.h"
#include "daemon/open_request.h"
#include "daemon/tunnel_udp.h"
#include "daemon/udp_carriers.h"
#include "daemon/udp_listeners.h"
#include "daemon/udp_status.h"

#include <stdlib.h>
#include <string.h>

#define TICK         NS_PER_SEC
#define SESSION_HOLD (60 * NS_PER_SEC)

enum {
	SESSION_BUCKETS = 256,
	MEMORY = 64 * 1024 * 1024, /* bytes, of each direction of a session */
	REFUSED_MAX = 256,         /* streams beyond max_streams: they get an answer */
};

_Static_assert((int)CONFIG_ADVERTISE_MAX <= (int)SESSION_ADDRS_MAX, "advertise");

struct udp_server;

struct server_session {
	struct list by_index; /* of its bucket */
	struct list over;     /* of those to be freed at the end of the turn */
	struct udp_server *server;
	struct peer *peer;
	uint32_t index;
	struct udp_session us;
	ns_t heard_at;
};

struct udp_server {
	struct tunnel_udp udp;
	struct loop *loop;
	const struct config *config;
	struct egress *egress;
	struct peers *peers;
	struct responder responder;
	struct udp_listeners listeners;
	struct udp_carriers carriers;
	struct door door;
	struct list sessions[SESSION_BUCKETS], over;
	unsigned n_sessions;
	struct deferred sweep;
	struct timer tick;
};

/* Sessions */

static struct server_session *
find_session(struct udp_server *sv, uint32_t index)
{
	list_for_each (it, &sv->sessions[index % SESSION_BUCKETS]) {
		struct server_session *ss =
			list_entry(it, struct server_session, by_index);

		if (ss->index == index)
			return ss;
	}
	return NULL;
}

static void
free_session(struct server_session *ss)
{
	tunnel_udp_reset_streams(&ss->server->udp, &ss->us);
	udp_status_add(ss->us.core, true, &ss->server->udp.base.counters);
	udp_session_done(&ss->us);
	udp_carriers_end(&ss->server->carriers, ss->index);
	list_remove(&ss->by_index);
	list_remove(&ss->over);
	ss->server->n_sessions--;
	free(ss);
}

static void
sweep(struct deferred *d)
{
	struct udp_server *sv = container_of(d, struct udp_server, sweep);

	list_for_each_safe (it, &sv->over)
		free_session(list_entry(it, struct server_session, over));
}

static void
end_session(struct server_session *ss, const char *why)
{
	if (!list_empty(&ss->over))
		return;
	log_info("session over: transport=udp client=%s reason=\"%s\"",
		 ss->peer->config->name, why);
	list_append(&ss->server->over, &ss->over);
	loop_defer(ss->server->loop, &ss->server->sweep, sweep);
}

static size_t
on_send(void *arg, const struct burst *b)
{
	struct server_session *ss = arg;

	if (b->via == 0)
		return udp_listeners_send(&ss->server->listeners, b);
	udp_carriers_send(&ss->server->carriers, b);
	return b->len;
}

static void
on_over(void *arg)
{
	end_session(arg, "the client broke the protocol or closed it");
}

static void
open_stream(struct server_session *ss, struct stream *st)
{
	struct udp_server *sv = ss->server;
	struct config_host dest;
	struct udp_stream *s;
	uint8_t flags;

	if (open_request_get(st->request, st->request_len, &dest, &flags) < 0 ||
	    (s = udp_stream_new(&sv->udp, &dest)) == NULL) {
		session_reset(ss->us.core, st, OPEN_FAILED);
		session_release(ss->us.core, st);
		return;
	}
	udp_stream_take(s, &ss->us, st);
	if (transport_admit(&s->base, ss->peer))
		transport_connect(&s->base, sv->egress, &dest);
	else
		tunnel_stream_answer(&s->base, OPEN_LIMIT);
}

static void
on_news(void *arg, struct stream *st, uint8_t news)
{
	struct server_session *ss = arg;

	if (st->user != NULL)
		udp_stream_news(st->user, news);
	else if ((news & STREAM_NEWS_RESET) != 0)
		session_release(ss->us.core, st);
	else if ((news & STREAM_NEWS_OPEN) != 0)
		open_stream(ss, st);
}

/* A client that begins anew has nothing to do with its older sessions any more. */
static void
end_older(struct udp_server *sv, const struct server_session *newest)
{
	for (size_t i = 0; i < SESSION_BUCKETS; i++) {
		list_for_each (it, &sv->sessions[i]) {
			struct server_session *ss =
				list_entry(it, struct server_session, by_index);

			if (ss != newest && ss->peer == newest->peer)
				end_session(ss, "the client began a new one");
		}
	}
}

static void
advertise(struct server_session *ss)
{
	const struct config *conf = ss->server->config;

	for (size_t i = 0; i < conf->n_advertise; i++) {
		int err = session_advertise(ss->us.core, (uint8_t)(i + 1),
					    &conf->advertise[i]);

		assert(err == 0);
		(void)err;
	}
}

static struct server_session *
make_session(struct udp_server *sv, struct pending *p)
{
	struct peer *peer = peers_of_pending(&sv->responder, p);
	const struct session_settings cfg = {
		.role = SESSION_SERVER,
		.aead = (enum aead_alg)p->answer.aead,
		.index = p->answer.session_index,
		.index_peer = p->offer.session_index,
		.cc = udp_congestion(sv->config),
		.scheduler = sv->config->scheduler,
		.max_streams = sv->config->max_streams + REFUSED_MAX,
		.memory = MEMORY,
		.rekey.secrets = peers_secrets(peer),
	};
	struct server_session *ss = calloc(1, sizeof(*ss));
	struct udp_session_handler handler = {on_send, on_news, NULL, on_over, ss};

	if (ss == NULL ||
	    udp_session_init(&ss->us, sv->loop, &cfg, &p->keys, &handler) < 0) {
		free(ss);
		return NULL;
	}
	ss->server = sv;
	ss->peer = peer;
	ss->index = cfg.index;
	list_init(&ss->over);
	list_append(&sv->sessions[ss->index % SESSION_BUCKETS], &ss->by_index);
	sv->n_sessions++;
	sv->udp.base.counters.handshakes++;
	log_info("session up: transport=udp client=%s aead=%s", ss->peer->config->name,
		 aead_name(cfg.aead));
	advertise(ss);
	responder_confirm(&sv->responder, p);
	end_older(sv, ss);
	return ss;
}

/* Strangers */

static bool
answer(struct udp_server *sv, struct responder_question *q)
{
	uint32_t index;
	int err;

	do {
		err = responder_draw_index(&sv->responder, &index);
	} while (err == 0 && find_session(sv, index) != NULL);
	if (err < 0) {
		responder_refuse(q);
		return false;
	}
	err = peers_answer(sv->peers, &sv->responder, q, index, loop_now(sv->loop));
	return err == 0 || err == -EPROTONOSUPPORT;
}

/* Whether q->reply is to be sent. */
static bool
respond(struct udp_server *sv, const struct addr *remote, const uint8_t *data,
	size_t len, struct responder_question *q)
{
	enum responder_verdict v = responder_input(&sv->responder, remote, data, len,
						   loop_now(sv->loop), q);

	return v == RESPONDER_SEND || (v == RESPONDER_ASK && answer(sv, q));
}

/* The session of these packets; NULL: none of them opened. */
static struct server_session *
take_packets(struct udp_server *sv, const struct burst *b)
{
	struct packet_header h;
	struct server_session *ss;
	struct pending *p;

	if (packet_header_get(b->data, min_size(b->len, b->packet), &h) < 0)
		return NULL;
	ss = find_session(sv, h.session);
	if (ss == NULL) {
		p = responder_find(&sv->responder, h.session);
		if (p == NULL ||
		    !pending_opens(p, b->data, min_size(b->len, b->packet)))
			return NULL;
		ss = make_session(sv, p);
	}
	return ss != NULL && udp_session_input(&ss->us, b) ? ss : NULL;
}

static void
on_carried(void *arg, const struct burst *b)
{
	(void)take_packets(arg, b);
}

static enum door_verdict
knock_with_packet(struct udp_server *sv, struct door_knock *k)
{
	struct burst b = {
		.remote = k->remote,
		.via = udp_carriers_next(&sv->carriers),
		.data = k->data,
		.len = k->len,
		.packet = k->len,
	};
	struct server_session *ss;

	if (sock_local(k->fd, &b.local) < 0)
		return DOOR_SILENT;
	ss = take_packets(sv, &b);
	if (ss == NULL || udp_carriers_take(&sv->carriers, ss->index, k, &b.local) < 0)
		return DOOR_SILENT;
	log_info("subflow over TCP: client=%s", ss->peer->config->name);
	return DOOR_TAKEN;
}

static enum door_verdict
knock(void *arg, struct door_knock *k)
{
	struct responder_question q;

	if ((k->data[0] & WIRE_IS_PACKET) != 0)
		return knock_with_packet(arg, k);
	if (!respond(arg, &k->remote, k->data, k->len, &q))
		return DOOR_SILENT;
	memcpy(k->reply, q.reply, q.reply_len);
	k->reply_len = q.reply_len;
	return DOOR_REPLY;
}

const struct door *
udp_server_door(struct transport *base)
{
	return &container_of(base, struct udp_server, udp.base)->door;
}

static void
take_handshake(struct udp_server *sv, struct udp_sock *by, const struct udp_burst *b)
{
	struct responder_question q;
	struct udp_burst out = *b;

	if (!respond(sv, &b->remote, b->data, min_size(b->len, b->packet), &q))
		return;
	out.data = q.reply;
	out.len = q.reply_len;
	out.packet = q.reply_len;
	/* A copy may come: there is nobody to tell. */
	if (udp_send(by, &out) < 0)
		return;
}

static void
on_burst(void *arg, struct udp_sock *by, const struct udp_burst *b)
{
	const struct burst in = {
		.local = b->local,
		.remote = b->remote,
		.data = b->data,
		.len = b->len,
		.packet = b->packet,
	};

	if ((b->data[0] & WIRE_IS_PACKET) != 0)
		(void)take_packets(arg, &in);
	else
		take_handshake(arg, by, b);
}

/* What UDP brings in small packets only is used last; its client may have TCP. */
static void
shun_narrow(struct server_session *ss)
{
	for (unsigned id = 1; id < SESSION_SUBFLOWS_MAX; id++) {
		const struct subflow *sf = session_subflow(ss->us.core, (uint8_t)id);
		uint8_t tier;

		if (sf == NULL || sf->via != 0)
			continue;
		tier = mtu_is_blocked(&sf->mtu) ? TIER_BACKUP : TIER_ALWAYS;
		if (tier == sf->tier)
			continue;
		session_set_tier(ss->us.core, sf->id, tier);
		udp_session_touch(&ss->us);
	}
}

static void
on_tick(void *arg)
{
	struct udp_server *sv = arg;
	ns_t now = loop_now(sv->loop);

	responder_expire(&sv->responder, now);
	udp_carriers_expire(&sv->carriers, now);
	for (size_t i = 0; i < SESSION_BUCKETS; i++) {
		list_for_each (it, &sv->sessions[i]) {
			struct server_session *ss =
				list_entry(it, struct server_session, by_index);

			shun_narrow(ss);
			if (udp_status_active(ss->us.core) > 0 || ss->heard_at == 0)
				ss->heard_at = now;
			else if (now - ss->heard_at > SESSION_HOLD)
				end_session(ss, "nothing was heard of it");
		}
	}
	timer_set(&sv->tick, TICK);
}

/* Life */

static const char *
state_text(const struct transport *base)
{
	(void)base;
	return "listening";
}

static bool
is_tcp(const void *owner, uint32_t via)
{
	(void)owner;
	return via != 0;
}

static void
each_subflow(struct transport *base, subflow_info_fn fn, void *arg)
{
	struct udp_server *sv = container_of(base, struct udp_server, udp.base);

	for (size_t i = 0; i < SESSION_BUCKETS; i++) {
		list_for_each (it, &sv->sessions[i]) {
			const struct server_session *ss =
				list_entry(it, struct server_session, by_index);
			const struct udp_status_names names = {
				.peer = ss->peer->config->name, .is_tcp = is_tcp};

			udp_status_each(ss->us.core, &names, loop_now(sv->loop), fn,
					arg);
		}
	}
}

static void
counters(const struct transport *base, struct tunnel_counters *ret_counters)
{
	const struct udp_server *sv =
		container_of(base, const struct udp_server, udp.base);

	tunnel_udp_counters(&sv->udp, ret_counters);
	for (size_t i = 0; i < SESSION_BUCKETS; i++) {
		list_for_each (it, &sv->sessions[i]) {
			const struct server_session *ss =
				list_entry(it, struct server_session, by_index);

			udp_status_add(ss->us.core, false, ret_counters);
		}
	}
}

static void
free_server(struct transport *base)
{
	struct udp_server *sv = container_of(base, struct udp_server, udp.base);

	transport_done(&sv->udp.base);
	for (size_t i = 0; i < SESSION_BUCKETS; i++) {
		list_for_each_safe (it, &sv->sessions[i])
			free_session(list_entry(it, struct server_session, by_index));
	}
	udp_carriers_done(&sv->carriers);
	loop_undefer(&sv->sweep);
	timer_done(&sv->tick);
	udp_listeners_close(&sv->listeners);
	peers_done_responder(sv->peers, HANDSHAKE_UDP, &sv->responder);
	free(sv);
}

static const struct transport_ops ops = {
	.each = tunnel_udp_each,
	.each_subflow = each_subflow,
	.counters = counters,
	.state_text = state_text,
	.free = free_server,
};

static int
init_parts(struct udp_server *sv, struct errmsg *why)
{
	int err = peers_init_responder(sv->peers, HANDSHAKE_UDP, &sv->responder,
				       loop_now(sv->loop));

	if (err < 0)
		return errmsg_set(why, err, "%s", strerror(-err));
	if (timer_init(&sv->tick, sv->loop, on_tick, sv) < 0)
		return errmsg_set(why, -ENOMEM, "no memory");
	return udp_listeners_open(&sv->listeners, sv->loop, sv->config, why);
}

struct transport *
udp_server_new(struct loop *l, struct peers *known, struct egress *e,
	       struct errmsg *why)
{
	struct udp_server *sv = calloc(1, sizeof(*sv));

	if (sv == NULL) {
		errmsg_set(why, -ENOMEM, "no memory");
		return NULL;
	}
	sv->loop = l;
	sv->config = known->me->config;
	sv->peers = known;
	sv->egress = e;
	tunnel_udp_init(&sv->udp, l, sv->config);
	sv->udp.base.ops = &ops;
	sv->door = (struct door){knock, sv};
	sv->listeners.on_burst = on_burst;
	sv->listeners.arg = sv;
	udp_carriers_init(&sv->carriers, l, on_carried, sv);
	list_init(&sv->over);
	for (size_t i = 0; i < SESSION_BUCKETS; i++)
		list_init(&sv->sessions[i]);
	if (init_parts(sv, why) < 0) {
		free_server(&sv->udp.base);
		return NULL;
	}
	timer_set(&sv->tick, TICK);
	return &sv->udp.base;
}
