/*
 * udp_mesh - the addresses of the server that an uplink has ports to, over UDP.
 *
 * Model:   without a session, the endpoint whose turn it is. With one, also what
 *          the server tells of, and then what else its names stand for: each
 *          (uplink, address) is a subflow, and the first that serves carries data
 *          (udp_fallback.h).
 * Bounds:  UDP_MESH_MAX addresses an uplink, the first ones. Ports beside an
 *          uplink's first leave room for those over TCP.
 */
#ifndef DAEMON_UDP_MESH_H
#define DAEMON_UDP_MESH_H

#include "daemon/endpoints.h"
#include "daemon/udp_ports.h"

enum { UDP_MESH_MAX = 4 };

struct udp_mesh {
	struct addr addrs[UDP_MESH_MAX];
	size_t n;
};

/* The first one is to be tried at once, always. `core` NULL: there is no session. */
void udp_mesh_of(const struct endpoints *e, const struct session *core,
		 const struct uplink *u, struct udp_mesh *ret_mesh);
bool udp_mesh_has(const struct udp_mesh *m, const struct addr *a);

/* Whether a port beside an uplink's first may be opened, or again. */
bool udp_mesh_may_open(const struct udp_port *p, ns_t now);

#endif
