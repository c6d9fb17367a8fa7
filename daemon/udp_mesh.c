#include "daemon/udp_mesh.h"

#include "daemon/core/session_addr.h"

#define TRY_AGAIN (10 * NS_PER_SEC) /* where a socket could not be had */

enum { BESIDE_MAX = UDP_PORTS_MAX - UPLINKS_MAX };

/* What the server says may be anything. */
static bool
is_somebodys(const struct addr *a)
{
	if (a->port == 0 || addr_is_wildcard(a))
		return false;
	return a->family == AF_INET ? a->ip[0] > 0 && a->ip[0] < 224 : a->ip[0] != 0xff;
}

bool
udp_mesh_has(const struct udp_mesh *m, const struct addr *a)
{
	for (size_t i = 0; i < m->n; i++) {
		if (addr_equal(&m->addrs[i], a))
			return true;
	}
	return false;
}

static void
add(struct udp_mesh *m, const struct uplink *u, const struct addr *a)
{
	if (m->n < UDP_MESH_MAX && uplink_addr(u, a->family) != NULL &&
	    is_somebodys(a) && !udp_mesh_has(m, a))
		m->addrs[m->n++] = *a;
}

void
udp_mesh_of(const struct endpoints *e, const struct session *core,
	    const struct uplink *u, struct udp_mesh *ret_mesh)
{
	const struct addr *first = endpoints_for(e, u);
	struct session_addr told[SESSION_ADDRS_MAX];
	size_t n_told;

	ret_mesh->n = 0;
	if (first != NULL)
		add(ret_mesh, u, first);
	if (core == NULL)
		return;
	n_told = session_addrs(core, told);
	for (size_t i = 0; i < n_told; i++) {
		if (told[i].at.port == 0 && e->n > 0)
			told[i].at.port = e->addrs[0].port;
		add(ret_mesh, u, &told[i].at);
	}
	for (size_t i = 0; i < e->n; i++)
		add(ret_mesh, u, &e->addrs[i]);
}

bool
udp_mesh_may_open(const struct udp_port *p, ns_t now)
{
	unsigned used = 0;

	for (size_t i = 0; i < UDP_PORTS_MAX; i++)
		used += udp_port_is_used(&p->all->at[i]);
	return (udp_port_is_used(p) || used < BESIDE_MAX) &&
	       (p->tried_at == 0 || now - p->tried_at >= TRY_AGAIN);
}
