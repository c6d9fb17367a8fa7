/*
 * probe - datagrams by hand, for tests of the network itself.
 *
 * Model:   alike links, one server at 192.0.2.1:4433 and [2001:db8::1]:4433, and a
 *          client that sends from port 5000 unless told.
 * Errors:  what fails fails the test.
 */
#ifndef TESTS_SIM_PROBE_H
#define TESTS_SIM_PROBE_H

#include "tests/sim/net.h"

enum { PROBE_PORT = 5000 };

/* Carries everything at once. */
extern const struct sim_lane probe_ideal;

struct sim_net *probe_net(uint64_t seed, unsigned n_links, const struct sim_lane *up,
			  const struct sim_lane *down);

struct addr probe_server(int family);
struct addr probe_client(unsigned link, int family, uint16_t port);

struct sim_dgram probe_up(unsigned link, int family, void *data, size_t len);
struct sim_dgram probe_down(const struct addr *dst, void *data, size_t len);

/* The next to arrive, whenever that is. */
bool probe_next(struct sim_net *net, ns_t *ret_at, struct sim_dgram *ret_d);
/* Takes it, and does not look. */
bool probe_arrives(struct sim_net *net);

/* Nothing is on its way, and the lane's counters account for everything. */
void probe_adds_up(struct sim_net *net, unsigned link, enum sim_side from);

#endif
