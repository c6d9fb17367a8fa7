#include "daemon/report.h"

#include "daemon/io/mptcp_info.h"
#include "daemon/proxy.h"
#include "daemon/report_usage.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Names come from files, interfaces and peers: what is not plain is escaped. */
static json_t *
text(const char *s)
{
	char escaped[512];

	return json_string(errmsg_escape(escaped, sizeof(escaped), s, strlen(s)));
}

static json_t *
addr_text(const struct addr *a)
{
	return a->family == 0 ? json_null() : json_string(addr_format(a).s);
}

static json_t *
span_ms(ns_t ns)
{
	return json_real((double)(ns / NS_PER_US) / 1000);
}

static json_int_t
whole_seconds(ns_t ns)
{
	return ns / NS_PER_SEC;
}

static const char *
role_name(const struct proxy *p)
{
	return p->config->role == ROLE_CLIENT ? "client" : "server";
}

json_t *
report_version(const struct proxy *p)
{
	return json_pack("{s:s, s:s}", "version", MPPROXY_VERSION, "role",
			 role_name(p));
}

/* The text is a label, or a label, a colon and the reason. */
static json_t *
report_transport(const struct proxy *p, enum config_transport kind)
{
	const char *state =
		p->tunnel == NULL ? "down" : tunnel_state_text(p->tunnel, kind);
	size_t label = strcspn(state, ":");
	const char *reason = state + label;

	reason += strspn(reason, ": ");
	return json_pack("{s:s%, s:o}", "state", state, label, "reason", text(reason));
}

static json_t *
report_pm(const struct proxy *p)
{
	return json_pack("{s:s, s:o}", "in_use", p->pm == NULL ? "kernel" : "userspace",
			 "reason", text(p->pm_reason));
}

static json_t *
report_tunnel(const struct proxy *p)
{
	struct tunnel_counters c = {0};

	if (p->tunnel != NULL)
		tunnel_counters_get(p->tunnel, &c);
	return json_pack(
		"{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "open",
		(json_int_t)c.streams, "opened", (json_int_t)c.streams_opened,
		"refused", (json_int_t)c.streams_refused, "reset",
		(json_int_t)c.streams_reset, "ended_bytes_up", (json_int_t)c.bytes_up,
		"ended_bytes_down", (json_int_t)c.bytes_down, "fallbacks",
		(json_int_t)c.fallbacks, "legs_waiting", (json_int_t)c.legs_waiting,
		"handshakes", (json_int_t)c.handshakes, "strangers",
		(json_int_t)c.strangers, "half_open", (json_int_t)c.half_open);
}

static json_t *
report_joins(const struct proxy *p)
{
	static const struct subflows_counters none;
	const struct subflows_counters *c =
		p->subflows == NULL ? &none : subflows_counters(p->subflows);

	return json_pack("{s:I, s:I, s:I, s:I, s:I}", "joined", (json_int_t)c->joined,
			 "join_failed", (json_int_t)c->join_failed, "found_dead",
			 (json_int_t)c->found_dead, "peer_said_dead",
			 (json_int_t)c->peer_said_dead, "priority_set",
			 (json_int_t)c->priority_set);
}

static json_t *
report_listener(const struct proxy *p, size_t i)
{
	const struct config_listener *l = &p->config->listeners[i];
	struct ingress_counters c = {0};

	if (p->ingress != NULL)
		ingress_counters_get(p->ingress, i, &c);
	return json_pack("{s:o, s:s, s:o, s:I, s:I, s:I, s:I, s:I}", "name",
			 text(l->name), "type", config_ingress_name(l->type), "address",
			 addr_text(&l->address), "accepted", (json_int_t)c.accepted,
			 "pending", (json_int_t)c.pending, "refused_header",
			 (json_int_t)c.refused_header, "timed_out",
			 (json_int_t)c.timed_out, "shed", (json_int_t)c.shed);
}

static json_t *
report_listeners(const struct proxy *p)
{
	json_t *list = json_array();

	for (size_t i = 0; i < p->config->n_listeners; i++)
		json_array_append_new(list, report_listener(p, i));
	return list;
}

json_t *
report_status(const struct proxy *p)
{
	const ns_t uptime = loop_now(p->loop) - p->started_at;
	struct report_usage u;
	json_t *status;

	report_usage_get(&u);
	status = json_pack(
		"{s:s, s:s, s:i, s:I, s:o, s:o, s:o, s:o, s:o, s:{s:I}, "
		"s:{s:I, s:I}}",
		"role", role_name(p), "version", MPPROXY_VERSION, "pid", (int)getpid(),
		"uptime_s", whole_seconds(uptime), "mptcp",
		report_transport(p, TRANSPORT_MPTCP), "udp",
		report_transport(p, TRANSPORT_UDP), "path_manager", report_pm(p),
		"streams", report_tunnel(p), "subflows", report_joins(p), "memory",
		"rss_bytes", (json_int_t)u.rss_bytes, "descriptors", "used",
		(json_int_t)u.descriptors, "max", (json_int_t)u.descriptors_max);
	if (p->config->role == ROLE_CLIENT)
		json_object_set_new(status, "listeners", report_listeners(p));
	return status;
}

/* How many subflows of open streams each uplink has, by its id. */
struct subflow_count {
	unsigned of[UPLINKS_MAX + 1];
};

static void
count_subflows(void *arg, const struct tunnel_stream_info *info)
{
	struct subflow_count *count = arg;

	for (size_t i = 0; info->subflows != NULL && i < info->subflows->n; i++) {
		const struct subflow *sf = &info->subflows->sf[i];

		if (sf->state == SUBFLOW_UP && sf->uplink <= UPLINKS_MAX)
			count->of[sf->uplink]++;
	}
}

static json_t *
report_uplink(const struct proxy *p, const struct uplink *u, unsigned subflows)
{
	json_t *addresses = json_array();

	if (u->v4.family != 0)
		json_array_append_new(addresses, addr_text(&u->v4));
	if (u->v6.family != 0)
		json_array_append_new(addresses, addr_text(&u->v6));
	return json_pack("{s:i, s:o, s:o, s:s, s:I, s:o, s:s, s:o, s:o, s:I}", "id",
			 u->id, "name", text(u->name), "ifname", text(u->interface),
			 "state", uplink_state_name(u->state), "state_s",
			 whole_seconds(loop_now(p->loop) - u->state_at), "reason",
			 text(u->reason), "priority", config_priority_name(u->priority),
			 "addresses", addresses, "srtt_ms",
			 u->srtt == 0 ? json_null() : span_ms(u->srtt), "subflows",
			 (json_int_t)subflows);
}

json_t *
report_uplinks(const struct proxy *p)
{
	const size_t n = p->uplinks == NULL ? 0 : uplinks_count(p->uplinks);
	struct subflow_count count = {0};
	json_t *list = json_array();

	if (p->tunnel != NULL)
		tunnel_each_stream(p->tunnel, count_subflows, &count);
	for (size_t i = 0; i < n; i++) {
		const struct uplink *u = uplinks_at(p->uplinks, i);

		json_array_append_new(list, report_uplink(p, u, count.of[u->id]));
	}
	return json_pack("{s:o}", "uplinks", list);
}

/* Goes over all streams, and lists those of the page. */
struct walk {
	const struct proxy *proxy;
	const struct report_page *page;
	void (*add)(struct walk *w, const struct tunnel_stream_info *info);
	json_t *list;
	uint64_t seen;
};

static void
visit(void *arg, const struct tunnel_stream_info *info)
{
	struct walk *w = arg;
	const uint64_t at = w->seen++;

	if (at >= w->page->from && at - w->page->from < w->page->limit)
		w->add(w, info);
}

static json_t *
run_walk(struct walk *w, const char *list_name)
{
	w->list = json_array();
	if (w->proxy->tunnel != NULL)
		tunnel_each_stream(w->proxy->tunnel, visit, w);
	return json_pack("{s:o, s:I, s:I, s:I}", list_name, w->list, "from",
			 (json_int_t)w->page->from, "limit", (json_int_t)w->page->limit,
			 "total", (json_int_t)w->seen);
}

static json_t *
host_text(const struct config_host *h)
{
	const bool ipv6 = strchr(h->host, ':') != NULL;
	char both[HOST_MAX + 16];

	snprintf(both, sizeof(both), "%s%s%s:%u", ipv6 ? "[" : "", h->host,
		 ipv6 ? "]" : "", h->port);
	return text(both);
}

static void
add_stream(struct walk *w, const struct tunnel_stream_info *info)
{
	json_t *row;
	size_t up = 0;

	for (size_t i = 0; info->subflows != NULL && i < info->subflows->n; i++)
		up += info->subflows->sf[i].state == SUBFLOW_UP;
	row = json_pack("{s:I, s:o, s:o, s:s, s:o, s:s, s:s, s:o, s:I, s:I, s:I, s:I}",
			"id", (json_int_t)info->id, "peer", text(info->peer),
			"listener", text(info->listener), "transport", info->transport,
			"destination", host_text(info->dest), "state", info->state,
			"protect", info->plain ? "auth" : "full", "fallback",
			info->fallback == NULL ? json_null() : text(info->fallback),
			"bytes_up", (json_int_t)info->bytes_up, "bytes_down",
			(json_int_t)info->bytes_down, "age_s", whole_seconds(info->age),
			"subflows", (json_int_t)up);
	json_array_append_new(w->list, row);
}

json_t *
report_streams(const struct proxy *p, const struct report_page *page)
{
	struct walk w = {.proxy = p, .page = page, .add = add_stream};

	return run_walk(&w, "streams");
}

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

/* What we asked for: addresses, uplink, state and flag. */
static json_t *
subflow_row(const struct proxy *p, uint64_t stream, const struct subflow *sf)
{
	const struct uplink *u = NULL;

	if (p->uplinks != NULL && sf->uplink != 0)
		u = uplinks_by_id(p->uplinks, sf->uplink);
	return json_pack("{s:I, s:o, s:o, s:o, s:o, s:s, s:b}", "stream",
			 (json_int_t)stream, "uplink",
			 u == NULL ? json_null() : text(u->name), "ifname",
			 u == NULL ? json_null() : text(u->interface), "local",
			 addr_text(&sf->local), "remote", addr_text(&sf->remote),
			 "state", subflow_state(sf), "backup", sf->backup);
}

/* What the kernel measures. */
static void
add_figures(json_t *row, const struct mptcp_subflow_info *k)
{
	json_t *figures = json_pack(
		"{s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "srtt_ms", span_ms(k->srtt),
		"cwnd", (json_int_t)k->cwnd, "in_flight", (json_int_t)k->unacked,
		"lost", (json_int_t)k->lost, "retransmits", (json_int_t)k->retransmits,
		"bytes_tx", (json_int_t)k->bytes_acked, "bytes_rx",
		(json_int_t)k->bytes_received, "rate_tx", (json_int_t)k->delivery_rate);

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

static void
add_subflows(struct walk *w, const struct tunnel_stream_info *info)
{
	static const struct leg_subflows none;
	const struct leg_subflows *ls = info->subflows == NULL ? &none : info->subflows;
	bool taken[MPTCP_INFO_SUBFLOWS_MAX] = {false};
	struct mptcp_info_all all;

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

json_t *
report_subflows(const struct proxy *p, const struct report_page *page)
{
	struct walk w = {.proxy = p, .page = page, .add = add_subflows};

	return run_walk(&w, "subflows");
}
