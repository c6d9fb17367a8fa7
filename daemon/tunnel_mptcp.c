#include "daemon/tunnel_mptcp.h"

#include "common/log.h"
#include "daemon/io/tcp.h"
#include "daemon/mptcp_client.h"
#include "daemon/mptcp_server.h"

#include <stdlib.h>
#include <string.h>

int
tunnel_mptcp_init(struct tunnel_mptcp *t, struct loop *l, const struct config *c,
		  struct subflows *s)
{
	memset(t, 0, sizeof(*t));
	transport_init(&t->base, l);
	t->config = c;
	t->subflows = s;
	t->congestion = tunnel_mptcp_congestion(c->congestion);
	pump_shared_init(&t->shared);
	return 0;
}

void
tunnel_mptcp_done(struct tunnel_mptcp *t)
{
	transport_done(&t->base);
	pump_shared_done(&t->shared);
}

const char *
tunnel_mptcp_congestion(const char *name)
{
	int err;

	if (name[0] == '\0')
		return NULL;
	err = tcp_try_congestion(name);
	if (err == 0)
		return name;
	log_warn("congestion control \"%s\" is not available (%s): using the system's; "
		 "try modprobe tcp_%s",
		 name, strerror(-err), name);
	return NULL;
}

size_t
tunnel_mptcp_receive_buffer(const struct tunnel_mptcp *t)
{
	size_t share = RECEIVE_BUDGET / (t->base.n_streams + 1);

	return max_size(min_size(share, RECEIVE_MAX), RECEIVE_MIN);
}

static const char *
state_text(const struct mptcp_stream *s)
{
	if (s->state != STREAM_OPEN)
		return "opening";
	if (s->pump.up == PUMP_ENDED || s->pump.down == PUMP_ENDED)
		return "half-closed";
	return "open";
}

void
tunnel_mptcp_subflow_dead(void *arg, struct leg_subflows *ls, const struct subflow *sf)
{
	struct mptcp_stream *s = container_of(ls, struct mptcp_stream, subflows);

	(void)arg;
	log_debug("subflow dead: stream=%llu local=%s remote=%s",
		  (unsigned long long)s->id, addr_format(&sf->local).s,
		  addr_format(&sf->remote).s);
	if (s->mptcp->server != NULL)
		mptcp_server_lost(s->mptcp->server, s, sf);
	else
		mptcp_client_lost(s->mptcp->client, sf);
}

void
tunnel_mptcp_each(struct transport *base, tunnel_each_fn fn, void *arg)
{
	struct tunnel_mptcp *t = container_of(base, struct tunnel_mptcp, base);
	bool client = t->client != NULL;
	ns_t now = loop_now(t->base.loop);

	list_for_each (it, &t->base.streams) {
		struct mptcp_stream *s = list_entry(it, struct mptcp_stream, base.node);
		struct tunnel_stream_info info = {
			.id = s->id,
			.peer = client ? t->config->server.name
				       : mptcp_server_peer_name(s->peer),
			.listener = s->from != NULL ? s->from->name : "",
			.transport = "mptcp",
			.chosen = client ? choice_reason_text(s->base.chosen) : NULL,
			.dest = &s->dest,
			.state = state_text(s),
			.fallback = s->fallback ? "MPTCP options did not get through"
						: NULL,
			.plain = s->pump.up == PUMP_PLAIN || s->pump.down == PUMP_PLAIN,
			.bytes_up = client ? s->pump.bytes_up : s->pump.bytes_down,
			.bytes_down = client ? s->pump.bytes_down : s->pump.bytes_up,
			.age = now - s->created_at,
			.subflows = &s->subflows,
			.fd = s->leg.fd,
		};

		if (s->id != 0)
			fn(arg, &info);
	}
}

void
tunnel_mptcp_counters(const struct transport *base,
		      struct tunnel_counters *ret_counters)
{
	const struct tunnel_mptcp *t = container_of(base, struct tunnel_mptcp, base);
	struct tunnel_counters c = t->base.counters;

	list_for_each (it, &t->base.streams) {
		const struct mptcp_stream *s =
			list_entry(it, struct mptcp_stream, base.node);

		if (s->id != 0)
			c.streams++;
		else
			c.legs_waiting++;
	}
	if (t->server != NULL)
		c.half_open = mptcp_server_half_open(t->server);
	*ret_counters = c;
}
