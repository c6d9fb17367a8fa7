#include "tests/unit/unit.h"

#include "tests/sim/probe.h"
#include "tests/unit/addrs.h"

const struct sim_lane probe_ideal;

struct addr
probe_server(int family)
{
	return addrs_of(family == AF_INET6 ? "[2001:db8::1]:4433" : "192.0.2.1:4433");
}

struct addr
probe_client(unsigned link, int family, uint16_t port)
{
	struct addr a = net_client_addr(link, family);

	a.port = port;
	return a;
}

struct sim_net *
probe_net(uint64_t seed, unsigned n, const struct sim_lane *up,
	  const struct sim_lane *down)
{
	struct sim_net *net = net_new(seed);
	const struct addr a4 = probe_server(AF_INET), a6 = probe_server(AF_INET6);

	assert_non_null(net);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(net_add_link(net, up, down), i);
	assert_int_equal(net_listen(net, &a4), 0);
	assert_int_equal(net_listen(net, &a6), 0);
	return net;
}

struct sim_dgram
probe_up(unsigned link, int family, void *data, size_t len)
{
	return (struct sim_dgram){.src = probe_client(link, family, PROBE_PORT),
				  .dst = probe_server(family),
				  .data = data,
				  .len = len,
				  .link = (uint8_t)link,
				  .to = SIM_SERVER};
}

struct sim_dgram
probe_down(const struct addr *dst, void *data, size_t len)
{
	return (struct sim_dgram){.src = probe_server(dst->family),
				  .dst = *dst,
				  .data = data,
				  .len = len,
				  .to = SIM_CLIENT};
}

bool
probe_next(struct sim_net *net, ns_t *ret_at, struct sim_dgram *ret_d)
{
	while (net_deadline(net) != NS_NEVER) {
		*ret_at = net_deadline(net);
		if (net_receive(net, *ret_at, ret_d))
			return true;
	}
	return false;
}

bool
probe_arrives(struct sim_net *net)
{
	struct sim_dgram d;
	ns_t at;

	return probe_next(net, &at, &d);
}

void
probe_adds_up(struct sim_net *net, unsigned link, enum sim_side from)
{
	const struct sim_counters *c = net_counters(net, link, from);

	assert_int_equal(net_deadline(net), NS_NEVER);
	assert_int_equal(c->sent + c->duplicated + c->injected,
			 c->delivered + c->lost + c->dropped + c->oversize +
				 c->silenced + c->strays);
}
