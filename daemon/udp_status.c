#include "daemon/udp_status.h"

#include "daemon/core/subflow.h"

static const char *
state_name(enum subflow_state s)
{
	switch (s) {
	case SUBFLOW_JOINING: return "joining";
	case SUBFLOW_ACTIVE: return "active";
	case SUBFLOW_SUSPECT: return "suspect";
	case SUBFLOW_DEAD: return "dead";
	case SUBFLOW_ENDED: return "ended";
	}
	return "dead";
}

/* The worse of what we want and what the peer asks for. */
static const char *
priority_name(const struct subflow *sf)
{
	static const char *const names[TIER_COUNT] = {
		[TIER_ALWAYS] = "always",
		[TIER_SECONDARY] = "secondary",
		[TIER_BACKUP] = "backup",
	};
	uint8_t tier = subflow_tier(sf);

	return names[tier < TIER_COUNT ? tier : TIER_BACKUP];
}

static void
describe(const struct subflow *sf, ns_t now, struct subflow_info *info)
{
	bool measured = sf->rtt.srtt != 0;

	info->state = state_name(sf->state);
	info->priority = priority_name(sf);
	info->local = sf->local;
	info->remote = sf->remote;
	info->id = sf->id;
	info->uplink = sf->uplink;
	info->active = sf->state == SUBFLOW_ACTIVE;
	info->state_for = now - sf->state_at;
	info->srtt = sf->rtt.srtt;
	info->rttvar = sf->rtt.rttvar;
	info->min_rtt = measured ? rtt_minimum(&sf->rtt) : 0;
	info->queueing = measured ? rtt_queueing(&sf->rtt) : 0;
	info->cwnd = sf->cc.cwnd;
	info->in_flight = sf->loss.in_flight;
	info->bytes_tx = sf->sent;
	info->bytes_rx = sf->received;
	info->packets_tx = sf->loss.next;
	info->packets_rx = sf->packets_in;
	info->packets_lost = sf->loss.lost_packets;
	info->packets_spurious = sf->loss.spurious_packets;
	info->rate_tx = 8 * cc_bandwidth(&sf->cc, &sf->rtt);
	info->suspected = sf->suspected;
	info->mtu = sf->mtu.current;
}

static bool
is_tcp(const struct udp_status_names *names, const struct subflow *sf)
{
	return names->is_tcp != NULL && names->is_tcp(names->owner, sf->via);
}

void
udp_status_each(const struct session *s, const struct udp_status_names *names, ns_t now,
		subflow_info_fn fn, void *arg)
{
	for (unsigned id = 0; s != NULL && id < SESSION_SUBFLOWS_MAX; id++) {
		const struct subflow *sf = session_subflow(s, (uint8_t)id);
		struct subflow_info info = {.peer = names->peer, .carrier = "udp"};

		if (sf == NULL)
			continue;
		if (is_tcp(names, sf))
			info.carrier = "tcp";
		describe(sf, now, &info);
		fn(arg, &info);
	}
}

/* What tells most about its uplink: who is heard, without TCP if possible. */
static unsigned
rank(const struct subflow *sf, bool over_tcp)
{
	switch (sf->state) {
	case SUBFLOW_ENDED:
	case SUBFLOW_JOINING: return 0;
	case SUBFLOW_DEAD: return 1;
	case SUBFLOW_SUSPECT: return 2;
	case SUBFLOW_ACTIVE: return over_tcp ? 3 : 4;
	}
	return 0;
}

/* The best of an uplink's subflows. */
struct ear {
	const struct subflow *sf; /* NULL: none */
	bool over_tcp;
};

static void
tell(struct uplinks *us, struct uplink *u, const struct ear *e)
{
	const struct subflow *sf = e->sf;
	const struct hearing_answer a = {
		.at = max_ns(sf->heard_at, sf->acked_at),
		.srtt = sf->rtt.srtt,
		.over_tcp = e->over_tcp,
	};

	switch (sf->state) {
	case SUBFLOW_ENDED: /* on purpose, and not by silence */
	case SUBFLOW_JOINING: return;
	case SUBFLOW_ACTIVE: uplinks_heard(us, u, TRANSPORT_UDP, &a); return;
	case SUBFLOW_SUSPECT:
		uplinks_doubted(us, u, TRANSPORT_UDP, sf->state_at);
		return;
	case SUBFLOW_DEAD:
		uplinks_silent(us, u, TRANSPORT_UDP, sf->state_at, NULL);
		return;
	}
}

void
udp_status_tell(const struct session *s, const struct udp_status_names *names,
		struct uplinks *us)
{
	struct ear best[UPLINKS_MAX + 1] = {0};

	for (unsigned id = 0; id < SESSION_SUBFLOWS_MAX; id++) {
		const struct subflow *sf = session_subflow(s, (uint8_t)id);
		struct ear e = {.sf = sf}, *b;

		if (sf == NULL || sf->uplink > UPLINKS_MAX)
			continue;
		e.over_tcp = is_tcp(names, sf);
		b = &best[sf->uplink];
		if (b->sf == NULL || rank(sf, e.over_tcp) > rank(b->sf, b->over_tcp))
			*b = e;
	}
	for (size_t i = 0; i < uplinks_count(us); i++) {
		struct uplink *u = uplinks_at(us, i);

		if (best[u->id].sf != NULL)
			tell(us, u, &best[u->id]);
	}
}

void
udp_status_lost(struct uplinks *us, ns_t now)
{
	for (size_t i = 0; i < uplinks_count(us); i++)
		uplinks_silent(us, uplinks_at(us, i), TRANSPORT_UDP, now,
			       "no session with the server");
}

void
udp_status_add(const struct session *s, bool is_over, struct tunnel_counters *c)
{
	struct session_stats st;

	if (s == NULL)
		return;
	session_stats_get(s, &st);
	c->sent_bytes += st.stream_bytes_out;
	c->resent_bytes += st.resent;
	c->refused_packets += st.refused;
	c->rekeys += st.rekeys;
	if (is_over)
		return;
	c->sessions++;
	c->subflows_active += st.subflows_active;
	c->held_bytes += st.held_in + st.held_out;
}

unsigned
udp_status_active(const struct session *s)
{
	struct session_stats st = {0};

	if (s != NULL)
		session_stats_get(s, &st);
	return st.subflows_active;
}
