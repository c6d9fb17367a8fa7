/*
 * heartbeat - one quiet plain TCP leg per uplink that tells whether the server
 * is heard over it.
 *
 * Model:   idle MPTCP connections prove nothing, so every uplink has a leg of
 *          its own with PING and PONG: every HEARTBEAT_BUSY while streams are
 *          open, every HEARTBEAT_IDLE otherwise. It is plain TCP, so that it
 *          can only use this one uplink.
 *
 *	REST -> CONNECTING -> GREETING -> BEATING
 *	  ^---------'------------'-----------' failed, silent, closed
 *
 * Bounds:  silent after max(1 s, 3 srtt + 500 ms) without the PONG.
 * Owner:   mptcp_client has an array of them, by uplink id.
 */
#ifndef DAEMON_HEARTBEAT_H
#define DAEMON_HEARTBEAT_H

#include "daemon/leg.h"
#include "daemon/uplinks.h"

#define HEARTBEAT_BUSY (200 * NS_PER_MS)
#define HEARTBEAT_IDLE (1 * NS_PER_SEC)

struct mptcp_client;

enum heartbeat_state {
	HEARTBEAT_REST,
	HEARTBEAT_CONNECTING,
	HEARTBEAT_GREETING,
	HEARTBEAT_BEATING,
};

struct heartbeat {
	struct mptcp_client *client;
	struct uplink *uplink;
	enum heartbeat_state state;
	struct leg leg;
	struct timer timer;
	int ifindex; /* that it was made with */
	ns_t state_at;
	ns_t pinged_at; /* of the PING without an answer; 0: all are answered */
	ns_t srtt;
	uint32_t seq;
	unsigned failures; /* since it last beat */
};

int heartbeat_init(struct heartbeat *h, struct mptcp_client *c) MUST_CHECK;
/* Idempotent on a zeroed struct. */
void heartbeat_done(struct heartbeat *h);
/* The uplink or the session changed: begins anew where it must. */
void heartbeat_refresh(struct heartbeat *h, struct uplink *u, bool anew);
/* Asks now, not at the next beat. */
void heartbeat_hurry(struct heartbeat *h);

#endif
