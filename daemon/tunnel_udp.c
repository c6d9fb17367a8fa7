#include "daemon/tunnel_udp.h"

#include "daemon/peers.h"
#include "daemon/udp_status.h"

#include <string.h>

void
tunnel_udp_init(struct tunnel_udp *t, struct loop *l, const struct config *c)
{
	memset(t, 0, sizeof(*t));
	transport_init(&t->base, l);
	t->config = c;
	t->is_client = c->role == ROLE_CLIENT;
}

void
tunnel_udp_reset_streams(struct tunnel_udp *t, const struct udp_session *us)
{
	list_for_each_safe (it, &t->base.streams) {
		struct udp_stream *s = list_entry(it, struct udp_stream, base.node);

		if (s->session != us)
			continue;
		if (t->is_client && s->state == UDP_STREAM_OPENING)
			transport_refuse(&s->base, OPEN_NO_TUNNEL);
		else
			udp_stream_end(s, true);
	}
}

enum cc_kind
udp_congestion(const struct config *c)
{
	enum cc_kind kind;

	if (cc_parse(c->congestion, &kind) < 0 || kind == CC_FIXED)
		return CC_BBR;
	return kind;
}

uint8_t
udp_tier(enum config_priority p)
{
	switch (p) {
	case PRIORITY_ALWAYS: return TIER_ALWAYS;
	case PRIORITY_BACKUP:
	case PRIORITY_NEVER: return TIER_BACKUP;
	}
	return TIER_BACKUP;
}

static const char *
state_of(const struct udp_stream *s)
{
	if (s->state == UDP_STREAM_OPENING)
		return "opening";
	return s->read_ended || s->write_ended ? "half-closed" : "open";
}

void
tunnel_udp_each(struct transport *base, tunnel_each_fn fn, void *arg)
{
	struct tunnel_udp *t = container_of(base, struct tunnel_udp, base);

	list_for_each (it, &t->base.streams) {
		const struct udp_stream *s =
			list_entry(it, struct udp_stream, base.node);
		const struct tunnel_stream_info info = {
			.id = s->id,
			.peer = t->is_client ? t->config->server.name
					     : s->base.peer->config->name,
			.listener = s->from != NULL ? s->from->name : "",
			.transport = "udp",
			.chosen = t->is_client ? choice_reason_text(s->base.chosen)
					       : NULL,
			.dest = &s->dest,
			.state = state_of(s),
			.bytes_up = t->is_client ? s->bytes_in : s->bytes_out,
			.bytes_down = t->is_client ? s->bytes_out : s->bytes_in,
			.age = loop_now(t->base.loop) - s->created_at,
			.n_active = s->session == NULL
					    ? 0
					    : udp_status_active(s->session->core),
			.fd = -1,
		};

		fn(arg, &info);
	}
}

void
tunnel_udp_counters(const struct tunnel_udp *t, struct tunnel_counters *ret_counters)
{
	*ret_counters = t->base.counters;
	ret_counters->streams = t->base.n_streams;
}
