#include "daemon/udp_fallback.h"

#include "common/log.h"
#include "daemon/core/subflow.h"

static const struct subflow *
subflow_of(const struct udp_port *p, const struct session *core)
{
	return core == NULL || p->subflow == 0 ? NULL
					       : session_subflow(core, p->subflow);
}

/* How long nothing has been heard by it. */
static ns_t
silence(const struct udp_port *p, const struct session *core, ns_t now)
{
	const struct subflow *sf = subflow_of(p, core);

	if (udp_port_is_active(p, core))
		return 0;
	return now - max_ns(p->tried_at, sf != NULL ? sf->state_at : p->heard_at);
}

static void
try_tcp(struct udp_port *p, ns_t now)
{
	if (p->open || udp_port_is_opening(p) || now < p->tried_at + p->gap)
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

/* A connection is of no use for ever: not one that is never made, nor a dead one. */
static void
check_tcp(struct udp_port *p, const struct session *core, ns_t now)
{
	bool active = udp_port_is_active(p, core);

	if ((p->open || udp_port_is_opening(p)) &&
	    silence(p, core, now) > UDP_FALLBACK_PATIENCE) {
		end_tcp(p);
		return;
	}
	if (active && p->gap != 0)
		log_info("uplink over TCP: name=%s reason=\"UDP does not get through\"",
			 p->uplink->name);
	if (active)
		p->gap = 0;
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

static void
check_udp(struct udp_port *p, const struct session *core, ns_t now)
{
	struct udp_port *tcp = twin_of(p);
	const struct subflow *sf = subflow_of(p, core);

	if (silence(p, core, now) >= UDP_FALLBACK_AFTER) {
		if (tcp == NULL)
			tcp = udp_ports_find(p->all, p->uplink, &p->remote, true);
		if (tcp != NULL)
			try_tcp(tcp, now);
	} else if (tcp != NULL && udp_port_is_active(p, core) &&
		   now - sf->state_at >= UDP_FALLBACK_LINGER &&
		   (tcp->open || udp_port_is_opening(tcp))) {
		log_info("uplink over UDP again: name=%s", p->uplink->name);
		end_tcp(tcp);
		tcp->gap = 0;
	}
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
	const struct udp_port *twin = twin_of(p);

	return p->over_tcp && twin != NULL && udp_port_is_active(twin, core);
}
