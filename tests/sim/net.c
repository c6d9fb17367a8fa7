#include "tests/sim/net.h"

#include "tests/sim/flights.h"
#include "tests/sim/nat.h"

#include <stdlib.h>

enum {
	IPV4_OVERHEAD = 20 + 8,
	IPV6_OVERHEAD = 40 + 8,
	MILLION = 1000000,
};

struct tap {
	bool on;
	uint64_t n_seen;
	struct flight *copies[NET_TAP_MAX];
};

struct lane {
	struct sim_lane model;
	struct sim_counters counters;
	uint64_t random; /* of its own, so that lanes do not disturb each other */
	ns_t free_at;    /* when the last bit of what it has accepted has left */
	bool in_burst;
	struct tap tap;
};

struct link {
	struct lane lanes[2]; /* by the side that they lead away from */
	struct nat nat;
};

struct sim_net {
	uint64_t seed;
	struct link *links[NET_LINKS_MAX];
	unsigned n_links;
	struct addr listen[NET_LISTEN_MAX];
	unsigned n_listen;
	struct flights flights;
	struct flight *received; /* what the caller is looking at */
	uint64_t unrouted;
};

/* --- random numbers ------------------------------------------------------------ */

/* splitmix64: one word of state, and any seed is a good one. */
static uint64_t
mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* Uniform below `n`, which is far below 2^64: its bias is n / 2^64. */
static uint64_t
draw(struct lane *lane, uint64_t n)
{
	lane->random += UINT64_C(0x9e3779b97f4a7c15);
	return (uint64_t)((unsigned __int128)mix(lane->random) * n >> 64);
}

static bool
happens(struct lane *lane, unsigned ppm)
{
	return ppm > 0 && draw(lane, MILLION) < ppm;
}

/* --- set up ---------------------------------------------------------------------- */

struct sim_net *
net_new(uint64_t seed)
{
	struct sim_net *net = calloc(1, sizeof(*net));

	if (net != NULL)
		net->seed = seed;
	return net;
}

void
net_free(struct sim_net *net)
{
	if (net == NULL)
		return;
	for (unsigned i = 0; i < net->n_links; i++) {
		net_tap(net, i, SIM_CLIENT, false);
		net_tap(net, i, SIM_SERVER, false);
		free(net->links[i]);
	}
	if (net->received != NULL)
		flights_put_back(&net->flights, net->received);
	flights_done(&net->flights);
	free(net);
}

int
net_add_link(struct sim_net *net, const struct sim_lane *up,
	     const struct sim_lane *down)
{
	const unsigned n = net->n_links;
	struct link *link;

	if (n == NET_LINKS_MAX)
		return -ENOSPC;
	link = calloc(1, sizeof(*link));
	if (link == NULL)
		return -ENOMEM;
	nat_init(&link->nat, n);
	link->lanes[SIM_CLIENT].model = *up;
	link->lanes[SIM_SERVER].model = *down;
	for (unsigned i = 0; i < 2; i++)
		link->lanes[i].random = mix(net->seed + mix(2 * n + i + 1));
	net->links[n] = link;
	return (int)net->n_links++;
}

int
net_listen(struct sim_net *net, const struct addr *addr)
{
	if (net->n_listen == NET_LISTEN_MAX)
		return -ENOSPC;
	net->listen[net->n_listen++] = *addr;
	return 0;
}

struct addr
net_client_addr(unsigned link, int family)
{
	return nat_local(link, family);
}

static struct lane *
lane_at(const struct sim_net *net, unsigned link, enum sim_side from)
{
	assert(link < net->n_links);
	return &net->links[link]->lanes[from];
}

/* The lane that carries, or would have carried, `d`. */
static struct lane *
lane_of(const struct sim_net *net, const struct sim_dgram *d)
{
	return lane_at(net, d->link, d->to == SIM_SERVER ? SIM_CLIENT : SIM_SERVER);
}

struct sim_lane *
net_lane(struct sim_net *net, unsigned link, enum sim_side from)
{
	return &lane_at(net, link, from)->model;
}

struct sim_counters *
net_counters(struct sim_net *net, unsigned link, enum sim_side from)
{
	return &lane_at(net, link, from)->counters;
}

uint64_t
net_unrouted(const struct sim_net *net)
{
	return net->unrouted;
}

void
net_rebind(struct sim_net *net, unsigned link, bool readdress)
{
	assert(link < net->n_links);
	nat_rebind(&net->links[link]->nat, readdress);
}

/* --- through a lane -------------------------------------------------------------- */

static size_t
ip_bytes(const struct sim_dgram *d)
{
	return d->len + (d->dst.family == AF_INET6 ? IPV6_OVERHEAD : IPV4_OVERHEAD);
}

/* Rounded up: never faster than the rate. */
static ns_t
serialise_ns(const struct sim_lane *m, size_t size)
{
	if (m->rate == 0)
		return 0;
	return (ns_t)((size * 8 * (uint64_t)NS_PER_SEC + m->rate - 1) / m->rate);
}

/*
 * Gilbert's two states: within a burst everything is lost; the chances to enter and
 * to leave make bursts of the mean length and the loss overall.
 */
static bool
is_lost(struct lane *lane)
{
	const struct sim_lane *m = &lane->model;

	if (m->burst <= 1 || m->loss_ppm >= MILLION)
		return happens(lane, m->loss_ppm);
	if (m->loss_ppm == 0)
		lane->in_burst = false;
	else if (lane->in_burst)
		lane->in_burst = draw(lane, m->burst) != 0;
	else
		lane->in_burst =
			draw(lane, (uint64_t)m->burst * (MILLION - m->loss_ppm)) <
			m->loss_ppm;
	return lane->in_burst;
}

static void
corrupt(struct lane *lane, struct sim_dgram *d)
{
	uint64_t bit;

	if (d->len == 0)
		return;
	bit = draw(lane, d->len * 8);
	d->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	lane->counters.corrupted++;
}

/* Its last bit leaves at `left_at`. */
static void
fly(struct sim_net *net, struct lane *lane, struct flight *f, ns_t left_at)
{
	const struct sim_lane *m = &lane->model;
	ns_t flight_ns = m->delay;

	if (happens(lane, m->corrupt_ppm))
		corrupt(lane, &f->dgram);
	if (m->jitter > 0)
		flight_ns += (ns_t)draw(lane, 2 * (uint64_t)m->jitter + 1) - m->jitter;
	flight_ns = max_ns(flight_ns, 0);
	if (happens(lane, m->reorder_ppm)) {
		flight_ns += m->reorder_delay;
		lane->counters.reordered++;
	}
	flights_push(&net->flights, f, left_at + flight_ns);
}

static void
leave(struct sim_net *net, struct lane *lane, struct flight *f, ns_t left_at)
{
	struct flight *copy = NULL;

	if (is_lost(lane)) {
		lane->counters.lost++;
		flights_put_back(&net->flights, f);
		return;
	}
	if (happens(lane, lane->model.dup_ppm))
		copy = flights_take(&net->flights, &f->dgram);
	fly(net, lane, f, left_at);
	if (copy != NULL) {
		lane->counters.duplicated++;
		fly(net, lane, copy, left_at);
	}
}

static void
enter(struct sim_net *net, struct lane *lane, struct flight *f, ns_t now)
{
	const struct sim_lane *m = &lane->model;
	struct sim_counters *c = &lane->counters;
	const size_t size = ip_bytes(&f->dgram);
	const ns_t wait = max_ns(lane->free_at - now, 0);
	uint64_t *end = NULL;

	c->sent++;
	c->sent_bytes += f->dgram.len;
	if (m->silent)
		end = &c->silenced;
	else if (m->mtu > 0 && size > m->mtu)
		end = &c->oversize;
	else if (wait > m->queue)
		end = &c->dropped;
	if (end != NULL) {
		++*end;
		flights_put_back(&net->flights, f);
		return;
	}
	c->queue_max = max_ns(c->queue_max, wait);
	lane->free_at = now + wait + serialise_ns(m, size);
	leave(net, lane, f, lane->free_at);
}

/* --- attackers --------------------------------------------------------------------- */

static void
tap_forget(struct sim_net *net, struct tap *tap)
{
	for (size_t i = 0; i < NET_TAP_MAX; i++) {
		if (tap->copies[i] != NULL)
			flights_put_back(&net->flights, tap->copies[i]);
		tap->copies[i] = NULL;
	}
	tap->n_seen = 0;
}

static int
tap_copy(struct sim_net *net, struct tap *tap, const struct sim_dgram *d)
{
	struct flight **slot = &tap->copies[tap->n_seen % NET_TAP_MAX];
	struct flight *copy;

	if (!tap->on)
		return 0;
	copy = flights_take(&net->flights, d);
	if (copy == NULL)
		return -ENOBUFS;
	if (*slot != NULL)
		flights_put_back(&net->flights, *slot);
	*slot = copy;
	tap->n_seen++;
	return 0;
}

void
net_tap(struct sim_net *net, unsigned link, enum sim_side from, bool on)
{
	struct tap *tap = &lane_at(net, link, from)->tap;

	tap->on = on;
	if (!on)
		tap_forget(net, tap);
}

bool
net_tapped(const struct sim_net *net, unsigned link, enum sim_side from, unsigned age,
	   struct sim_dgram *ret_d)
{
	const struct tap *tap = &lane_at(net, link, from)->tap;

	if (age >= min_u64(tap->n_seen, NET_TAP_MAX))
		return false;
	*ret_d = tap->copies[(tap->n_seen - 1 - age) % NET_TAP_MAX]->dgram;
	return true;
}

int
net_inject(struct sim_net *net, const struct sim_dgram *d, ns_t at)
{
	struct flight *f;

	if (d->len > NET_DGRAM_MAX)
		return -EMSGSIZE;
	f = flights_take(&net->flights, d);
	if (f == NULL)
		return -ENOBUFS;
	f->injected = true;
	lane_of(net, d)->counters.injected++;
	flights_push(&net->flights, f, at);
	return 0;
}

/* --- sending and receiving --------------------------------------------------------- */

static bool
is_servers(const struct sim_net *net, const struct addr *a)
{
	for (unsigned i = 0; i < net->n_listen; i++) {
		if (addr_equal(&net->listen[i], a))
			return true;
	}
	return false;
}

static int
check_sender(const struct sim_net *net, const struct sim_dgram *d)
{
	struct addr local;

	if (d->len > NET_DGRAM_MAX)
		return -EMSGSIZE;
	if (d->src.family != d->dst.family)
		return -EADDRNOTAVAIL;
	if (d->to == SIM_CLIENT)
		return is_servers(net, &d->src) ? 0 : -EADDRNOTAVAIL;
	assert(d->link < net->n_links);
	local = nat_local(d->link, d->src.family);
	return addr_same_ip(&local, &d->src) && d->src.port != 0 ? 0 : -EADDRNOTAVAIL;
}

/* The link whose public address `dst` is now; -1: none. */
static int
link_to(const struct sim_net *net, const struct addr *dst)
{
	int link = nat_link_of(dst);

	if (link < 0 || (unsigned)link >= net->n_links)
		return -1;
	return nat_has(&net->links[link]->nat, dst) ? link : -1;
}

int
net_send(struct sim_net *net, const struct sim_dgram *d, ns_t now)
{
	int err = check_sender(net, d), link = d->link;
	struct lane *lane;
	struct flight *f;

	if (err < 0)
		return err;
	if (d->to == SIM_CLIENT)
		link = link_to(net, &d->dst);
	if (link < 0) {
		net->unrouted++;
		return 0;
	}
	f = flights_take(&net->flights, d);
	if (f == NULL)
		return -ENOBUFS;
	f->dgram.link = (uint8_t)link;
	if (d->to == SIM_SERVER)
		f->dgram.src = nat_out(&net->links[link]->nat, &d->src);
	lane = lane_of(net, &f->dgram);
	err = tap_copy(net, &lane->tap, &f->dgram);
	if (err < 0) {
		flights_put_back(&net->flights, f);
		return err;
	}
	enter(net, lane, f, now);
	return 0;
}

ns_t
net_deadline(const struct sim_net *net)
{
	return flights_first_at(&net->flights);
}

/* Whether it reaches somebody; the client sees its own address. */
static bool
arrive(struct sim_net *net, struct flight *f)
{
	struct sim_dgram *d = &f->dgram;
	struct lane *lane = lane_of(net, d);
	bool is_known;

	if (lane->model.silent && !f->injected) {
		lane->counters.silenced++;
		return false;
	}
	if (d->to == SIM_CLIENT)
		is_known = nat_in(&net->links[d->link]->nat, &d->dst, &d->dst);
	else
		is_known = is_servers(net, &d->dst);
	if (!is_known) {
		lane->counters.strays++;
		return false;
	}
	lane->counters.delivered++;
	lane->counters.delivered_bytes += d->len;
	return true;
}

bool
net_receive(struct sim_net *net, ns_t now, struct sim_dgram *ret_d)
{
	if (net->received != NULL)
		flights_put_back(&net->flights, net->received);
	net->received = NULL;
	while (net->flights.n > 0 && flights_first_at(&net->flights) <= now) {
		struct flight *f = flights_pop(&net->flights);

		if (arrive(net, f)) {
			net->received = f;
			*ret_d = f->dgram;
			return true;
		}
		flights_put_back(&net->flights, f);
	}
	return false;
}
