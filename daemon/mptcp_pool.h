/*
 * mptcp_pool - legs that are ready before a stream asks for one.
 *
 * Model:   most are kept over the fastest live uplink, one over each other, so
 *          that there is one whatever dies; how many grows and shrinks with
 *          the streams opened per second. A stream takes a ready leg, or gets
 *          a new one; a connect that takes too long is given up for the next
 *          uplink, as long as OPEN has not left.
 * Bounds:  POOL_MIN to POOL_MAX ready, POOL_BURST new ones a second. POOL_FRESH
 *          an uplink that the server does not know yet, or it would take them
 *          for too many strangers; streams wait for their turn then.
 */
#ifndef DAEMON_MPTCP_POOL_H
#define DAEMON_MPTCP_POOL_H

#include "daemon/mptcp_client.h"

enum { POOL_MIN = 4, POOL_MAX = 64, POOL_BURST = 32 };
/* Two uplinks may share one public address. */
enum { POOL_FRESH = HALF_OPEN_PER_SOURCE / 2 };

/* transport_ops.open: with a ready leg, or one that is made for it. */
struct tunnel_stream *
mptcp_pool_open(struct transport *base, const struct config_host *dest,
		const struct config_listener *from, const struct tunnel_user *user);
/* Makes what is missing; gives legs to streams that wait. */
void mptcp_pool_refill(struct mptcp_client *c);
/* Once a second: adapts, retries, and lets surplus legs go. */
void mptcp_pool_tick(struct mptcp_client *c);
/* Ready legs that have no other uplink than `u` are closed, connects given up. */
void mptcp_pool_uplink_gone(struct mptcp_client *c, const struct uplink *u);

#endif
