#include "daemon/report.h"

#include "daemon/proxy.h"
#include "daemon/report_parts.h"
#include "daemon/report_usage.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

json_t *
report_text(const char *s)
{
	char escaped[512];

	return json_string(errmsg_escape(escaped, sizeof(escaped), s, strlen(s)));
}

json_t *
report_addr(const struct addr *a)
{
	return a->family == 0 ? json_null() : json_string(addr_format(a).s);
}

json_t *
report_ms(ns_t ns)
{
	return json_real((double)(ns / NS_PER_US) / 1000);
}

json_t *
report_known_ms(ns_t ns)
{
	return ns == 0 ? json_null() : report_ms(ns);
}

struct report_walk
report_walk_begin(const struct proxy *p, const struct report_page *page)
{
	return (struct report_walk){.proxy = p, .page = page, .list = json_array()};
}

bool
report_walk_next(struct report_walk *w)
{
	const uint64_t at = w->seen++;

	return at >= w->page->from && at - w->page->from < w->page->limit;
}

json_t *
report_walk_end(const struct report_walk *w, const char *list_name)
{
	return json_pack("{s:o, s:I, s:I, s:I}", list_name, w->list, "from",
			 (json_int_t)w->page->from, "limit", (json_int_t)w->page->limit,
			 "total", (json_int_t)w->seen);
}

json_int_t
report_seconds(ns_t ns)
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
	return json_pack("{s:s%, s:o}", "state", state, label, "reason",
			 report_text(reason));
}

static json_t *
report_udp(const struct proxy *p)
{
	struct tunnel_counters c = {0};
	json_t *sessions, *udp = report_transport(p, TRANSPORT_UDP);

	if (p->tunnel != NULL)
		tunnel_counters_get(p->tunnel, &c);
	sessions = json_pack(
		"{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "sessions",
		(json_int_t)c.sessions, "subflows_active",
		(json_int_t)c.subflows_active, "sent_bytes", (json_int_t)c.sent_bytes,
		"resent_bytes", (json_int_t)c.resent_bytes, "refused_packets",
		(json_int_t)c.refused_packets, "rekeys", (json_int_t)c.rekeys,
		"held_bytes", (json_int_t)c.held_bytes);
	json_object_update(udp, sessions);
	json_decref(sessions);
	return udp;
}

static json_t *
report_pm(const struct proxy *p)
{
	return json_pack("{s:s, s:o}", "in_use", p->pm == NULL ? "kernel" : "userspace",
			 "reason", report_text(p->pm_reason));
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
			 report_text(l->name), "type", config_ingress_name(l->type),
			 "address", report_addr(&l->address), "accepted",
			 (json_int_t)c.accepted, "pending", (json_int_t)c.pending,
			 "refused_header", (json_int_t)c.refused_header, "timed_out",
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

/* What `auto` does now. */
static json_t *
report_auto(const struct proxy *p)
{
	struct tunnel_choice c;

	tunnel_choice_get(p->tunnel, &c);
	return json_pack("{s:s, s:o}", "transport", c.transport, "reason",
			 report_text(c.reason));
}

json_t *
report_status(const struct proxy *p)
{
	const ns_t uptime = loop_now(p->loop) - p->started_at;
	struct report_usage u;
	json_t *status;

	report_usage_get(&u);
	status = json_pack("{s:s, s:s, s:i, s:I, s:o, s:o, s:o, s:o, s:o, s:{s:I}, "
			   "s:{s:I, s:I}}",
			   "role", role_name(p), "version", MPPROXY_VERSION, "pid",
			   (int)getpid(), "uptime_s", report_seconds(uptime), "mptcp",
			   report_transport(p, TRANSPORT_MPTCP), "udp", report_udp(p),
			   "path_manager", report_pm(p), "streams", report_tunnel(p),
			   "subflows", report_joins(p), "memory", "rss_bytes",
			   (json_int_t)u.rss_bytes, "descriptors", "used",
			   (json_int_t)u.descriptors, "max",
			   (json_int_t)u.descriptors_max);
	if (p->config->role == ROLE_CLIENT)
		json_object_set_new(status, "listeners", report_listeners(p));
	if (p->config->role == ROLE_CLIENT && p->tunnel != NULL)
		json_object_set_new(status, "auto", report_auto(p));
	return status;
}

/* How many subflows each uplink has, by its id. */
struct subflow_count {
	unsigned of[UPLINKS_MAX + 1];
};

static void
count_one(void *arg, const struct subflow_info *info)
{
	struct subflow_count *count = arg;

	if (info->active && info->uplink <= UPLINKS_MAX)
		count->of[info->uplink]++;
}

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
report_hearing(const struct proxy *p, const struct hearing_part *part)
{
	static const char *const labels[] = {
		[HEARING_NOTHING] = "probing",
		[HEARING_ANSWERS] = "active",
		[HEARING_DOUBT] = "suspect",
		[HEARING_SILENCE] = "dead",
	};
	ns_t now = loop_now(p->loop);

	return json_pack("{s:s, s:o, s:o}", "state", labels[part->state], "srtt_ms",
			 report_known_ms(part->srtt), "heard_ms_ago",
			 part->heard_at == 0 ? json_null()
					     : report_ms(now - part->heard_at));
}

static json_t *
report_uplink(const struct proxy *p, const struct uplink *u, unsigned subflows)
{
	json_t *addresses = json_array();

	if (u->v4.family != 0)
		json_array_append_new(addresses, report_addr(&u->v4));
	if (u->v6.family != 0)
		json_array_append_new(addresses, report_addr(&u->v6));
	return json_pack("{s:i, s:o, s:o, s:s, s:I, s:o, s:o, s:o, s:s, s:o, s:o, s:I}",
			 "id", u->id, "name", report_text(u->name), "ifname",
			 report_text(u->interface), "state",
			 uplink_state_name(u->state), "state_s",
			 report_seconds(loop_now(p->loop) - u->state_at), "reason",
			 report_text(uplink_reason(u, loop_now(p->loop)).s), "udp",
			 report_hearing(p, &u->hearing.by[TRANSPORT_UDP]), "mptcp",
			 report_hearing(p, &u->hearing.by[TRANSPORT_MPTCP]), "priority",
			 config_priority_name(u->priority), "addresses", addresses,
			 "srtt_ms", report_known_ms(hearing_srtt(&u->hearing)),
			 "subflows", (json_int_t)subflows);
}

json_t *
report_uplinks(const struct proxy *p)
{
	const size_t n = p->uplinks == NULL ? 0 : uplinks_count(p->uplinks);
	struct subflow_count count = {0};
	json_t *list = json_array();

	if (p->tunnel != NULL) {
		tunnel_each_stream(p->tunnel, count_subflows, &count);
		tunnel_each_subflow(p->tunnel, count_one, &count);
	}
	for (size_t i = 0; i < n; i++) {
		const struct uplink *u = uplinks_at(p->uplinks, i);

		json_array_append_new(list, report_uplink(p, u, count.of[u->id]));
	}
	return json_pack("{s:o}", "uplinks", list);
}

static json_t *
host_text(const struct config_host *h)
{
	const bool ipv6 = strchr(h->host, ':') != NULL;
	char both[HOST_MAX + 16];

	snprintf(both, sizeof(both), "%s%s%s:%u", ipv6 ? "[" : "", h->host,
		 ipv6 ? "]" : "", h->port);
	return report_text(both);
}

static void
add_stream(void *arg, const struct tunnel_stream_info *info)
{
	struct report_walk *w = arg;
	size_t up = info->n_active;
	json_t *row;

	if (!report_walk_next(w))
		return;
	for (size_t i = 0; info->subflows != NULL && i < info->subflows->n; i++)
		up += info->subflows->sf[i].state == SUBFLOW_UP;
	row = json_pack(
		"{s:I, s:o, s:o, s:s, s:o, s:s, s:s, s:o, s:o, s:I, s:I, s:I, s:I}",
		"id", (json_int_t)info->id, "peer", report_text(info->peer), "listener",
		report_text(info->listener), "transport", info->transport,
		"destination", host_text(info->dest), "state", info->state, "protect",
		info->plain ? "auth" : "full", "fallback",
		info->fallback == NULL ? json_null() : report_text(info->fallback),
		"chosen",
		info->chosen == NULL ? json_null() : report_text(info->chosen),
		"bytes_up", (json_int_t)info->bytes_up, "bytes_down",
		(json_int_t)info->bytes_down, "age_s", report_seconds(info->age),
		"subflows", (json_int_t)up);
	json_array_append_new(w->list, row);
}

json_t *
report_streams(const struct proxy *p, const struct report_page *page)
{
	struct report_walk w = report_walk_begin(p, page);

	if (p->tunnel != NULL)
		tunnel_each_stream(p->tunnel, add_stream, &w);
	return report_walk_end(&w, "streams");
}
