/*
 * limits - every bound of the protocol and the daemon, with unit and reason.
 */
#ifndef DAEMON_CORE_LIMITS_H
#define DAEMON_CORE_LIMITS_H

#include "common/base.h"

enum {
	/* Records of the mptcp transport (docs/protocol.md, "Records"). */
	RECORD_PAYLOAD_MAX = 16 * 1024, /* bytes: small enough to open at once */
	RECORD_FIRST_MAX = 4 * 1024,    /* bytes: the most a stranger makes us hold */

	/* Sessions and stream numbers (design: "Kernel MPTCP leg"). */
	NUMBER_WINDOW = 65536,    /* stream numbers that may arrive out of order */
	SESSIONS_PENDING_MAX = 8, /* per peer: answered, nothing opened yet */
	SESSIONS_PENDING_ALL = 1024,
	HANDSHAKES_REFUSED = 64, /* per peer: completed handshakes remembered */

	/* Strangers at the server's listener. */
	HALF_OPEN_PER_SOURCE = 64, /* unauthenticated, per IPv4 address or IPv6 /64 */

	/* Uplinks and subflows. */
	UPLINKS_MAX = 16, /* per client: ids 1 to 16 travel as MPTCP address ids */
	SUBFLOWS_MAX = 8, /* per leg: the kernel's MPTCP_PM_ADDR_MAX */

	/* Receive buffers of legs, bytes: 4 MB is 300 Mbit/s at 100 ms. A reader that
	 * is slower for a moment stalls a full one (ARCHITECTURE.md, "A full window"). */
	RECEIVE_BUDGET = 256 * 1024 * 1024, /* of all legs, as long as each has */
	RECEIVE_MAX = 16 * 1024 * 1024,
	RECEIVE_MIN = 256 * 1024,

	/* Names (RFC 1035, 2.3.4, without the trailing dot, and the NUL). */
	HOST_MAX = 254,

	/* Names of uplinks, peers, servers and listeners, with the NUL. */
	NAME_MAX_LEN = 32,
};

#define HALF_OPEN_LIFE       (5 * NS_PER_SEC) /* a stranger's whole stay */
#define SESSION_PENDING_LIFE (10 * NS_PER_SEC)
#define CONNECT_DEADLINE     (10 * NS_PER_SEC)  /* egress: name, then connect */
#define HEADER_DEADLINE      (5 * NS_PER_SEC)   /* ingress: SOCKS or HTTP header */
#define HALF_CLOSED_LIFE     (600 * NS_PER_SEC) /* one direction ended, other silent */

#endif
