#include "daemon/mptcp_client.h"
#include "daemon/mptcp_server.h"
#include "daemon/tunnel_mptcp.h"

static const char *
state_text(const struct tunnel_stream *s)
{
	if (s->state != STREAM_OPEN)
		return "opening";
	if (s->pump.up == PUMP_ENDED || s->pump.down == PUMP_ENDED)
		return "half-closed";
	return "open";
}

void
tunnel_each_stream(struct tunnel *t, tunnel_each_fn fn, void *arg)
{
	bool client = t->client != NULL;
	ns_t now = loop_now(t->loop);

	list_for_each (it, &t->streams) {
		struct tunnel_stream *s = list_entry(it, struct tunnel_stream, node);
		struct tunnel_stream_info info = {
			.id = s->id,
			.peer = client ? t->config->server.name
				       : mptcp_server_peer_name(s->peer),
			.listener = s->from != NULL ? s->from->name : "",
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
tunnel_counters_get(const struct tunnel *t, struct tunnel_counters *ret_counters)
{
	struct tunnel_counters c = t->counters;

	list_for_each (it, &t->streams) {
		const struct tunnel_stream *s =
			list_entry(it, struct tunnel_stream, node);

		if (s->id != 0)
			c.streams++;
		else
			c.legs_waiting++;
	}
	if (t->server != NULL)
		c.half_open = mptcp_server_half_open(t->server);
	*ret_counters = c;
}

const char *
tunnel_state_text(const struct tunnel *t)
{
	return t->client != NULL ? t->client->state_text : "listening";
}
