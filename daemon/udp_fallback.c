#include "daemon/udp_fallback.h"

#include "common/log.h"
#include "daemon/core/subflow.h"
#include "daemon/udp_status.h"

/* Notes whether it serves now, and tells. */
static bool
serves(struct udp_port *p, const struct session *core, ns_t now)
{
	bool whole = udp_port_is_whole(p, core);

	if (whole)
		p->served_at = now;
	else
		p->failed_at = now;
	return whole;
}

/* For how long it has not served. Before a session any answer will do. */
static ns_t
useless_for(const struct udp_port *p, ns_t now)
{
	ns_t since = max_ns(p->tried_at, p->served_at);

	return now - (p->subflow == 0 ? max_ns(since, p->heard_at) : since);
}

/* Where the port over UDP beside it is a new one, as if for the first time. */
static void
try_tcp(struct udp_port *p, const struct udp_port *udp, ns_t rarely, ns_t now)
{
	if (udp->tried_at > p->tried_at)
		p->gap = 0;
	if (now < p->tried_at + min_ns(p->gap, rarely))
		return;
	p->gap = p->gap == 0 ? UDP_FALLBACK_GAP
			     : min_ns(2 * p->gap, UDP_FALLBACK_RARELY);
	udp_port_open(p);
}

static void
end_tcp(struct udp_port *p)
{
	udp_port_close(p);
	p->all->handler.on_lost(p->all->handler.arg, p);
}

static struct udp_port *
twin_of(const struct udp_port *p)
{
	for (size_t i = 0; i < UDP_PORTS_MAX; i++) {
		struct udp_port *it = &p->all->at[i];

		if (it->uplink == p->uplink && it->over_tcp != p->over_tcp &&
		    addr_equal(&it->remote, &p->remote))
			return it;
	}
	return NULL;
}

/* A connection is of no use for ever: not one that is never made, nor a dead one. */
static void
check_tcp(struct udp_port *p, const struct session *core, ns_t now)
{
	const struct udp_port *udp = twin_of(p);

	if (!udp_port_is_there(p))
		return;
	if (!serves(p, core, now)) {
		if (useless_for(p, now) > UDP_FALLBACK_PATIENCE)
			end_tcp(p);
		return;
	}
	if (p->gap != 0)
		log_info("uplink over TCP: name=%s reason=\"%s\"", p->uplink->name,
			 udp != NULL && udp_port_is_active(udp, core)
				 ? "UDP gets through in part only"
				 : "UDP does not get through");
	p->gap = 0;
}

/* Whether `it`, over the same uplink, carries what `p` could. */
static bool
is_before(const struct udp_port *it, const struct udp_port *p,
	  const struct session *core)
{
	if (it->over_tcp == p->over_tcp ? it >= p : it->over_tcp)
		return false;
	return udp_port_is_whole(it, core);
}

/* Nothing else over this uplink serves, or is about to. */
static bool
needs_tcp(const struct udp_port *p, const struct session *core)
{
	for (size_t i = 0; i < UDP_PORTS_MAX; i++) {
		const struct udp_port *it = &p->all->at[i];

		if (it->uplink != p->uplink)
			continue;
		if (it->over_tcp ? udp_port_is_there(it) : udp_port_is_whole(it, core))
			return false;
	}
	return true;
}

static void
end_all_tcp(const struct udp_port *udp)
{
	for (size_t i = 0; i < UDP_PORTS_MAX; i++) {
		struct udp_port *p = &udp->all->at[i];

		if (p->uplink != udp->uplink || !p->over_tcp || !udp_port_is_there(p))
			continue;
		log_info("uplink over UDP again: name=%s", p->uplink->name);
		end_tcp(p);
		p->gap = 0;
	}
}

static void
check_udp(struct udp_port *p, const struct session *core, ns_t now)
{
	bool is_whole = serves(p, core, now);
	bool alone = udp_status_active(core) == 0;
	struct udp_port *tcp;

	if (is_whole && now - p->failed_at >= UDP_FALLBACK_LINGER)
		end_all_tcp(p);
	if (is_whole || useless_for(p, now) < UDP_FALLBACK_AFTER || !needs_tcp(p, core))
		return;
	tcp = udp_ports_find(p->all, p->uplink, &p->remote, true);
	if (tcp != NULL)
		try_tcp(tcp, p, alone ? UDP_FALLBACK_ALONE : UDP_FALLBACK_RARELY, now);
}

void
udp_fallback_check(struct udp_ports *ps, const struct session *core, ns_t now)
{
	for (size_t i = 0; i < UDP_PORTS_MAX; i++) {
		struct udp_port *p = &ps->at[i];

		if (p->uplink == NULL)
			continue;
		if (p->over_tcp)
			check_tcp(p, core, now);
		else if (p->open)
			check_udp(p, core, now);
	}
}

bool
udp_fallback_is_spare(const struct udp_port *p, const struct session *core)
{
	for (size_t i = 0; i < UDP_PORTS_MAX; i++) {
		const struct udp_port *it = &p->all->at[i];

		if (it->uplink == p->uplink && is_before(it, p, core))
			return true;
	}
	return !p->over_tcp && mtu_is_blocked(&session_subflow(core, p->subflow)->mtu);
}
