#include "daemon/udp_ports.h"

#include "daemon/core/scheduler.h"
#include "daemon/core/subflow.h"
#include "daemon/core/wire.h"
#include "daemon/io/sock.h"

#include <string.h>

static void
lose(struct udp_port *p)
{
	const struct udp_ports_handler *h = &p->all->handler;

	udp_port_close(p);
	h->on_lost(h->arg, p);
}

static void
hear(struct udp_port *p, uint8_t *data, size_t len, size_t packet)
{
	const struct udp_ports_handler *h = &p->all->handler;
	const struct burst b = {
		.local = p->local,
		.remote = p->remote,
		.via = (uint32_t)(p - p->all->at),
		.data = data,
		.len = len,
		.packet = packet,
	};

	p->heard_at = loop_now(p->all->loop);
	h->on_burst(h->arg, p, &b);
}

/* Over UDP */

static void
on_ready(void *arg, int what)
{
	struct udp_port *p = arg;
	const struct udp_ports_handler *h = &p->all->handler;
	struct udp_turn turn = {0};
	struct udp_burst b;
	int n = 0;

	(void)what;
	/* What it hears may close it. */
	while (p->open && (n = udp_take(&turn, &p->sock, p->all->inbox, &b)) > 0)
		hear(p, b.data, b.len, b.packet);
	if (n < 0) {
		lose(p);
		return;
	}
	/* ICMP can be forged: it is a reason to ask, no more. */
	if (p->open && udp_take_soft(&p->sock) < 0)
		h->on_doubt(h->arg, p);
}

static int
open_udp(struct udp_port *p)
{
	const struct addr *local = uplink_addr(p->uplink, p->remote.family);
	int err = udp_open_client(p->uplink->interface, local, &p->remote, &p->sock);

	if (err < 0)
		return err;
	err = watch_init(&p->watch, p->all->loop, p->sock.fd, on_ready, p);
	if (err < 0) {
		udp_close(&p->sock);
		return err;
	}
	watch_want(&p->watch, LOOP_READ);
	p->local = p->sock.local;
	p->open = true;
	p->all->handler.on_open(p->all->handler.arg, p);
	return 0;
}

/* Over TCP */

static void
on_up(void *arg)
{
	struct udp_port *p = arg;

	if (sock_local(p->carrier.fd, &p->local) < 0) {
		lose(p);
		return;
	}
	p->open = true;
	p->all->handler.on_open(p->all->handler.arg, p);
}

static void
on_datagram(void *arg, uint8_t *data, size_t len)
{
	hear(arg, data, len, len);
}

static void
on_end(void *arg, int err)
{
	(void)err;
	lose(arg);
}

static int
open_tcp(struct udp_port *p)
{
	const struct carrier_handler h = {on_up, on_datagram, on_end, p};
	const struct tcp_connect to = {
		.kind = TCP_PLAIN,
		.remote = p->remote,
		.device = p->uplink->interface,
		.local = uplink_addr(p->uplink, p->remote.family),
		.congestion = p->all->congestion,
	};

	return carrier_connect(&p->carrier, p->all->loop, &to, WIRE_OVER_TCP, &h);
}

/* Both */

void
udp_port_open(struct udp_port *p)
{
	assert(!udp_port_is_there(p));
	p->tried_at = loop_now(p->all->loop);
	if ((p->over_tcp ? open_tcp(p) : open_udp(p)) < 0)
		lose(p);
}

void
udp_port_close(struct udp_port *p)
{
	p->open = false;
	carrier_done(&p->carrier);
	watch_done(&p->watch);
	udp_close(&p->sock);
}

bool
udp_port_is_opening(const struct udp_port *p)
{
	return p->carrier.in != NULL && !p->carrier.up;
}

bool
udp_port_is_there(const struct udp_port *p)
{
	return p->open || udp_port_is_opening(p);
}

bool
udp_port_is_active(const struct udp_port *p, const struct session *core)
{
	return p->open && p->subflow != 0 && core != NULL &&
	       session_subflow(core, p->subflow)->state == SUBFLOW_ACTIVE;
}

bool
udp_port_is_whole(const struct udp_port *p, const struct session *core)
{
	const struct subflow *sf;

	if (!udp_port_is_active(p, core))
		return false;
	sf = session_subflow(core, p->subflow);
	/* That the server hears us here may have been told elsewhere. And what it cannot
	 * fill it asks to be used last. */
	return sf->heard_at >= sf->state_at &&
	       loop_now(p->all->loop) - sf->heard_at < UDP_PORT_DEAF &&
	       !mtu_is_blocked(&sf->mtu) && sf->tier_peer == TIER_ALWAYS;
}

void
udp_port_send(struct udp_port *p, const uint8_t *data, size_t len, size_t packet)
{
	const struct udp_burst b = {
		.data = (uint8_t *)data, .len = len, .packet = packet};
	ssize_t n;

	if (!p->open)
		return;
	if (p->over_tcp) {
		carrier_send(&p->carrier, data, len, packet);
		return;
	}
	n = udp_send(&p->sock, &b);
	if (n < 0 && udp_is_gone((int)n))
		lose(p);
}

bool
udp_port_is_used(const struct udp_port *p)
{
	return p->uplink != NULL && (p->subflow != 0 || udp_port_is_there(p));
}

struct udp_port *
udp_ports_find(struct udp_ports *ps, const struct uplink *u, const struct addr *remote,
	       bool over_tcp)
{
	struct udp_port *p = NULL;

	for (size_t i = 0; i < UDP_PORTS_MAX; i++) {
		struct udp_port *it = &ps->at[i];

		if (it->uplink == u && it->over_tcp == over_tcp &&
		    addr_equal(&it->remote, remote))
			return it;
		if (p == NULL && !udp_port_is_used(it))
			p = it;
	}
	if (p == NULL)
		return NULL;
	memset(p, 0, sizeof(*p));
	p->all = ps;
	p->sock.fd = -1;
	p->uplink = u;
	p->remote = *remote;
	p->over_tcp = over_tcp;
	return p;
}

int
udp_ports_init(struct udp_ports *ps, struct loop *l,
	       const struct udp_ports_handler *handler)
{
	memset(ps, 0, sizeof(*ps));
	ps->loop = l;
	ps->handler = *handler;
	for (size_t i = 0; i < UDP_PORTS_MAX; i++)
		ps->at[i].sock.fd = -1;
	ps->inbox = udp_inbox_new();
	return ps->inbox == NULL ? -ENOMEM : 0;
}

void
udp_ports_done(struct udp_ports *ps)
{
	for (size_t i = 0; i < UDP_PORTS_MAX; i++)
		udp_port_close(&ps->at[i]);
	udp_inbox_free(ps->inbox);
}
