#include "daemon/mptcp_server.h"

#include "common/bytes.h"
#include "common/log.h"
#include "daemon/beats.h"
#include "daemon/strangers.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TICK      (1 * NS_PER_SEC)
#define KEEPALIVE (60 * NS_PER_SEC)

enum { BACKLOG = 1024, ACCEPTS_MAX = 64 };

static void on_tick(void *arg);

static void
on_listener_ready(void *arg, int what)
{
	struct listener *ln = arg;
	struct addr remote;
	int fd;

	(void)what;
	for (int i = 0; i < ACCEPTS_MAX; i++) {
		fd = tcp_accept(ln->fd, &remote);
		if (fd >= 0)
			strangers_take(ln->server, fd, &remote);
		else if ((fd != -EMFILE && fd != -ENFILE) ||
			 !tcp_spare_shed(&ln->server->spare, ln->fd))
			return;
	}
}

/* A leg has the buffer of its listener, so that one follows how many there are. */
static void
listener_size_buffer(struct listener *ln)
{
	size_t bytes = tunnel_mptcp_receive_buffer(&ln->server->mptcp);

	if (bytes != ln->receive_buffer && tcp_force_receive_buffer(ln->fd, bytes) == 0)
		ln->receive_buffer = bytes;
}

static int
listener_open(struct listener *ln)
{
	int fd = tcp_listen(TCP_MPTCP, &ln->address, BACKLOG);
	int err;

	ln->plain = fd == -ENOPROTOOPT || fd == -EPROTONOSUPPORT;
	if (ln->plain)
		fd = tcp_listen(TCP_PLAIN, &ln->address, BACKLOG);
	if (fd < 0)
		return fd;
	err = ln->server->mptcp.congestion == NULL
		      ? 0
		      : tcp_set_congestion(fd, ln->server->mptcp.congestion);
	if (err == 0)
		err = watch_init(&ln->watch, ln->server->loop, fd, on_listener_ready,
				 ln);
	if (err < 0) {
		close(fd);
		return err;
	}
	ln->fd = fd;
	ln->receive_buffer = 0;
	listener_size_buffer(ln);
	watch_want(&ln->watch, LOOP_READ);
	log_info("listening: address=%s mptcp=%s", addr_format(&ln->address).s,
		 ln->plain ? "no" : "yes");
	return 0;
}

static void
listener_close(struct listener *ln)
{
	watch_done(&ln->watch);
	if (ln->fd >= 0)
		close(ln->fd);
	ln->fd = -1;
}

static int
open_listeners(struct mptcp_server *sv, struct errmsg *why)
{
	for (size_t i = 0; i < sv->config->n_listen; i++) {
		struct listener *ln = &sv->listeners[i];
		int err;

		ln->server = sv;
		ln->address = sv->config->listen[i];
		ln->fd = -1;
		sv->n_listeners++;
		err = listener_open(ln);
		if (err < 0)
			return errmsg_set(why, err, "listen = %s: %s",
					  addr_format(&ln->address).s, strerror(-err));
	}
	return 0;
}

static int
init_parts(struct mptcp_server *sv, struct peers *known, struct subflows *s,
	   struct errmsg *why)
{
	int err = tunnel_mptcp_init(&sv->mptcp, sv->loop, sv->config, s);

	sv->mptcp.server = sv;
	if (err == 0)
		err = timer_init(&sv->tick, sv->loop, on_tick, sv);
	if (err == 0)
		err = tcp_spare_init(&sv->spare);
	if (err == 0)
		err = mptcp_peers_init(&sv->peers, known);
	if (err < 0)
		return errmsg_set(why, err, "%s", strerror(-err));
	return open_listeners(sv, why);
}

/* A listener that is plain gets MPTCP once the kernel has it, and the other way. */
static void
check_listeners(struct mptcp_server *sv)
{
	bool off = !tcp_mptcp_is_enabled();

	for (size_t i = 0; i < sv->n_listeners; i++) {
		struct listener *ln = &sv->listeners[i];

		if (ln->fd >= 0 && ln->plain == off) {
			listener_size_buffer(ln);
			continue;
		}
		listener_close(ln);
		if (listener_open(ln) < 0)
			log_warn("not listening: address=%s",
				 addr_format(&ln->address).s);
	}
}

static void
on_tick(void *arg)
{
	struct mptcp_server *sv = arg;
	ns_t now = loop_now(sv->loop);

	strangers_expire(sv);
	responder_expire(&sv->peers.responder, now);
	for (size_t i = 0; i < sv->peers.n; i++)
		beats_expire(&sv->peers.all[i], now);
	check_listeners(sv);
	timer_set(&sv->tick, TICK);
}

void
mptcp_server_peer_restarted(struct mptcp_server *sv, struct mptcp_peer *p)
{
	unsigned n = 0;

	beats_end_all(p);
	list_for_each_safe (it, &sv->mptcp.base.streams) {
		struct mptcp_stream *s = list_entry(it, struct mptcp_stream, base.node);

		if (s->peer != p)
			continue;
		n += s->id != 0;
		mptcp_stream_end(s, true);
	}
	log_info("client restarted: name=%s streams_ended=%u", p->known->config->name,
		 n);
}

void
mptcp_server_admit(struct mptcp_server *sv, struct mptcp_peer *p, struct leg *leg,
		   const struct leg_hello *hello, uint64_t number)
{
	struct mptcp_stream *s;

	tcp_set_nodelay(leg->fd, true);
	tcp_set_keepalive(leg->fd, KEEPALIVE);
	if (hello->kind == LEG_HEARTBEAT) {
		beats_take(sv, p, leg);
		return;
	}
	s = p->n_idle < IDLE_LEGS_MAX ? mptcp_stream_new(&sv->mptcp, STREAM_IDLE)
				      : NULL;
	if (s == NULL) {
		leg_done(leg, true);
		return;
	}
	s->peer = p;
	s->number = number;
	p->n_idle++;
	mptcp_stream_take_leg(s, leg);
}

void
mptcp_server_lost(struct mptcp_server *sv, struct mptcp_stream *s,
		  const struct subflow *sf)
{
	(void)sv;
	beats_tell_lost(s->peer, s->number, sf->remote_id);
}

/* A refused stream stays a while for its answer's sake: not any number of them. */
static void
refuse_by_limit(struct mptcp_peer *p, struct mptcp_stream *s)
{
	if (p->n_leaving < LEAVING_MAX)
		tunnel_stream_answer(&s->base, OPEN_LIMIT);
	else
		mptcp_stream_end(s, true);
}

void
mptcp_server_stream_opens(struct mptcp_server *sv, struct mptcp_stream *s)
{
	struct mptcp_peer *p = s->peer;

	p->n_idle--;
	if (transport_admit(&s->base, p->known))
		transport_connect(&s->base, sv->egress, &s->dest);
	else
		refuse_by_limit(p, s);
}

void
mptcp_server_stream_leaves(struct mptcp_stream *s)
{
	s->peer->n_leaving++;
}

void
mptcp_server_stream_ends(struct mptcp_stream *s)
{
	if (s->id == 0)
		s->peer->n_idle--;
	else if (s->state == STREAM_LEAVING)
		s->peer->n_leaving--;
}

bool
mptcp_server_allows_plain(const struct mptcp_peer *p)
{
	return p->known->config->allow_auth_only;
}

const char *
mptcp_server_peer_name(const struct mptcp_peer *p)
{
	return p->known->config->name;
}

unsigned
mptcp_server_half_open(const struct mptcp_server *sv)
{
	return sv->n_strangers;
}

void
mptcp_server_set_door(struct transport *t, const struct door *door)
{
	container_of(t, struct mptcp_server, mptcp.base)->door = door;
}

static const char *
state_text(const struct transport *base)
{
	(void)base;
	return "listening";
}

static void
free_server(struct transport *base)
{
	struct mptcp_server *sv = container_of(base, struct mptcp_server, mptcp.base);

	for (size_t i = 0; i < sv->n_listeners; i++)
		listener_close(&sv->listeners[i]);
	strangers_end_all(sv);
	for (size_t i = 0; i < sv->peers.n; i++)
		beats_end_all(&sv->peers.all[i]);
	tunnel_mptcp_done(&sv->mptcp);
	timer_done(&sv->tick);
	tcp_spare_done(&sv->spare);
	mptcp_peers_done(&sv->peers);
	free(sv);
}

static const struct transport_ops ops = {
	.each = tunnel_mptcp_each,
	.counters = tunnel_mptcp_counters,
	.state_text = state_text,
	.free = free_server,
};

struct transport *
mptcp_server_new(struct loop *l, struct peers *known, struct subflows *s,
		 struct egress *e, unsigned descriptors, struct errmsg *why)
{
	struct mptcp_server *sv = calloc(1, sizeof(*sv));

	if (sv == NULL) {
		errmsg_set(why, -ENOMEM, "no memory");
		return NULL;
	}
	sv->loop = l;
	sv->config = known->me->config;
	sv->egress = e;
	sv->spare.fd = -1;
	sv->strangers_max = descriptors / 4 + 1;
	list_init(&sv->strangers);
	list_init(&sv->strangers_gone);
	for (size_t i = 0; i < SOURCE_BUCKETS; i++)
		list_init(&sv->buckets[i]);
	if (init_parts(sv, known, s, why) < 0) {
		free_server(&sv->mptcp.base);
		return NULL;
	}
	timer_set(&sv->tick, TICK);
	sv->mptcp.base.ops = &ops;
	return &sv->mptcp.base;
}
