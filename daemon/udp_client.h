/*
 * udp_client - the client's end of the udp transport: a socket per uplink, and
 * one session with the server over all of them.
 *
 * Model:   the handshake is raced on every uplink whose socket is open; what it
 *          gives begins the session, with a subflow per uplink. While none of
 *          them is heard for RACE_AFTER the race runs again: a server that was
 *          restarted answers with another boot id, and then the old session and
 *          its streams are over.
 * Owner:   the tunnel, as a transport.
 */
#ifndef DAEMON_UDP_CLIENT_H
#define DAEMON_UDP_CLIENT_H

#include "common/errmsg.h"
#include "daemon/identity.h"
#include "daemon/io/resolver.h"
#include "daemon/transport.h"
#include "daemon/uplinks.h"

/* NULL and why: no memory. `me` outlives it. */
struct transport *
udp_client_new(struct loop *l, const struct identity *me, struct uplinks *u,
	       struct resolver *r, struct errmsg *why);

#endif
