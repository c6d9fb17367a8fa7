/*
 * udp_server - the server's end of the udp transport: a socket per listening
 * address, and a session for each client.
 *
 * Model:   handshakes go to the responder; packets to the session with their
 *          index, or to a pending one, which the first that opens makes real.
 *          A new session of a client ends its older ones: it was restarted. A
 *          session that nobody is heard from for SESSION_HOLD is over.
 * Owner:   the tunnel, as a transport.
 */
#ifndef DAEMON_UDP_SERVER_H
#define DAEMON_UDP_SERVER_H

#include "common/errmsg.h"
#include "daemon/door.h"
#include "daemon/peers.h"
#include "daemon/transport.h"

/* NULL and why: an address that cannot be listened on, no memory. */
struct transport *udp_server_new(struct loop *l, struct peers *known, struct egress *e,
				 struct errmsg *why);
/* Who the mptcp transport shows connections that carry datagrams to. */
const struct door *udp_server_door(struct transport *base);

#endif
