#include "daemon/io/mptcp_info.h"
#include "daemon/proxy.h"
#include "daemon/report.h"
#include "daemon/report_parts.h"

#include <string.h>

static const char *
subflow_state(const struct subflow *sf)
{
	switch (sf->state) {
	case SUBFLOW_NONE: return "waiting";
	case SUBFLOW_JOINING: return "joining";
	case SUBFLOW_UP: return "up";
	}
	return "waiting";
}

/* NULL on the server, and for what belongs to none. */
static const struct uplink *
uplink_of(const struct proxy *p, uint8_t id)
{
	return p->uplinks == NULL ? NULL : uplinks_by_id(p->uplinks, id);
}

/* What we asked for: addresses, uplink, state and flag. */
static json_t *
subflow_row(const struct proxy *p, uint64_t stream, const struct subflow *sf)
{
	const struct uplink *u = uplink_of(p, sf->uplink);

	return json_pack("{s:s, s:I, s:o, s:o, s:o, s:o, s:s, s:b}", "transport",
			 "mptcp", "stream", (json_int_t)stream, "uplink",
			 u == NULL ? json_null() : report_text(u->name), "ifname",
			 u == NULL ? json_null() : report_text(u->interface), "local",
			 report_addr(&sf->local), "remote", report_addr(&sf->remote),
			 "state", subflow_state(sf), "backup", sf->backup);
}

/* What the kernel measures. */
static void
add_figures(json_t *row, const struct mptcp_subflow_info *k)
{
	json_t *figures = json_pack(
		"{s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "srtt_ms",
		report_ms(k->srtt), "cwnd", (json_int_t)k->cwnd, "in_flight",
		(json_int_t)k->unacked, "lost", (json_int_t)k->lost, "retransmits",
		(json_int_t)k->retransmits, "bytes_tx", (json_int_t)k->bytes_acked,
		"bytes_rx", (json_int_t)k->bytes_received, "rate_tx",
		(json_int_t)k->delivery_rate);

	json_object_update(row, figures);
	json_decref(figures);
}

static const struct mptcp_subflow_info *
find_figures(const struct mptcp_info_all *all, const struct subflow *sf, bool *taken)
{
	for (size_t i = 0; i < all->n_subflows; i++) {
		const struct mptcp_subflow_info *k = &all->subflows[i];

		if (!taken[i] && addr_equal(&k->local, &sf->local) &&
		    addr_equal(&k->remote, &sf->remote)) {
			taken[i] = true;
			return k;
		}
	}
	return NULL;
}

/* A slot that nothing was ever tried in says nothing. */
static bool
is_worth_a_row(const struct subflow *sf)
{
	return sf->state != SUBFLOW_NONE || sf->failures > 0;
}

/* Those of one leg; a stream of the udp transport has none of its own. */
static void
add_leg(void *arg, const struct tunnel_stream_info *info)
{
	struct report_walk *w = arg;
	const struct leg_subflows *ls = info->subflows;
	bool taken[MPTCP_INFO_SUBFLOWS_MAX] = {false};
	struct mptcp_info_all all;

	if (ls == NULL || !report_walk_next(w))
		return;
	if (mptcp_info_get(info->fd, &all) < 0)
		all.n_subflows = 0;
	for (size_t i = 0; i < ls->n; i++) {
		const struct subflow *sf = &ls->sf[i];
		const struct mptcp_subflow_info *k;
		json_t *row;

		if (!is_worth_a_row(sf))
			continue;
		k = find_figures(&all, sf, taken);
		row = subflow_row(w->proxy, info->id, sf);
		if (k != NULL)
			add_figures(row, k);
		json_array_append_new(w->list, row);
	}
	for (size_t i = 0; i < all.n_subflows; i++) {
		const struct mptcp_subflow_info *k = &all.subflows[i];
		const struct subflow unasked = {
			.state = SUBFLOW_UP, .local = k->local, .remote = k->remote};
		json_t *row;

		if (taken[i])
			continue;
		row = subflow_row(w->proxy, info->id, &unasked);
		add_figures(row, k);
		json_array_append_new(w->list, row);
	}
}

/* One of a session's: whose it is and where it leads. */
static json_t *
session_row(const struct proxy *p, const struct subflow_info *sf)
{
	const struct uplink *u = uplink_of(p, sf->uplink);

	return json_pack("{s:s, s:o, s:I, s:I, s:o, s:o, s:s, s:o, s:o, s:s, s:I, s:s, "
			 "s:b}",
			 "transport", "udp", "peer", report_text(sf->peer), "id",
			 (json_int_t)sf->id, "uplink_id", (json_int_t)sf->uplink,
			 "uplink", u == NULL ? json_null() : report_text(u->name),
			 "ifname", u == NULL ? json_null() : report_text(u->interface),
			 "carrier", sf->carrier, "local", report_addr(&sf->local),
			 "remote", report_addr(&sf->remote), "state", sf->state,
			 "state_s", report_seconds(sf->state_for), "priority",
			 sf->priority, "backup", strcmp(sf->priority, "backup") == 0);
}

/* What the core measures. */
static json_t *
session_figures(const struct subflow_info *sf)
{
	return json_pack(
		"{s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, "
		"s:I, "
		"s:i}",
		"srtt_ms", report_known_ms(sf->srtt), "min_rtt_ms",
		report_known_ms(sf->min_rtt), "rttvar_ms", report_known_ms(sf->rttvar),
		"queueing_ms", sf->srtt == 0 ? json_null() : report_ms(sf->queueing),
		"cwnd_bytes", (json_int_t)sf->cwnd, "in_flight_bytes",
		(json_int_t)sf->in_flight, "bytes_tx", (json_int_t)sf->bytes_tx,
		"bytes_rx", (json_int_t)sf->bytes_rx, "pkt_sent",
		(json_int_t)sf->packets_tx, "pkt_received", (json_int_t)sf->packets_rx,
		"pkt_lost", (json_int_t)sf->packets_lost, "pkt_spurious",
		(json_int_t)sf->packets_spurious, "rate_tx",
		sf->rate_tx == 0 ? json_null() : json_integer((json_int_t)sf->rate_tx),
		"suspected", (json_int_t)sf->suspected, "mtu", (int)sf->mtu);
}

static void
add_one(void *arg, const struct subflow_info *sf)
{
	struct report_walk *w = arg;
	json_t *row, *figures;

	if (!report_walk_next(w))
		return;
	row = session_row(w->proxy, sf);
	figures = session_figures(sf);
	json_object_update(row, figures);
	json_decref(figures);
	json_array_append_new(w->list, row);
}

json_t *
report_subflows(const struct proxy *p, const struct report_page *page)
{
	struct report_walk w = report_walk_begin(p, page);

	if (p->tunnel != NULL) {
		tunnel_each_subflow(p->tunnel, add_one, &w);
		tunnel_each_stream(p->tunnel, add_leg, &w);
	}
	return report_walk_end(&w, "subflows");
}
