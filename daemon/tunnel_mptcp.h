/*
 * tunnel_mptcp - streams over kernel MPTCP: what its two roles share.
 *
 * Owner:   mptcp_client or mptcp_server, which it is a part of; it owns its
 *          streams.
 */
#ifndef DAEMON_TUNNEL_MPTCP_H
#define DAEMON_TUNNEL_MPTCP_H

#include "daemon/mptcp_stream.h"
#include "daemon/pump.h"

struct mptcp_client;
struct mptcp_server;

struct tunnel_mptcp {
	struct transport base; /* legs without a user count as streams */
	const struct config *config;
	struct subflows *subflows;
	const char *congestion; /* of the legs; NULL: as the system has it */
	struct pump_shared shared;
	bool stripped;               /* the latest leg came up as plain TCP */
	struct mptcp_client *client; /* one of both */
	struct mptcp_server *server;
};

int tunnel_mptcp_init(struct tunnel_mptcp *t, struct loop *l, const struct config *c,
		      struct subflows *s) MUST_CHECK;
void tunnel_mptcp_done(struct tunnel_mptcp *t); /* resets every stream */

/* What is configured, where this kernel has it and lets us use it; else NULL. */
const char *tunnel_mptcp_congestion(const char *name);
/*
 * How large the next leg's receive buffer is to be, in bytes: its share of
 * RECEIVE_BUDGET. The kernel's own sizing fails legs that have waited: after
 * N seconds of idleness it holds their window at 64 KiB for N seconds more.
 */
size_t tunnel_mptcp_receive_buffer(const struct tunnel_mptcp *t);

/* The handler of subflows; `arg` is not looked at. */
void
tunnel_mptcp_subflow_dead(void *arg, struct leg_subflows *ls, const struct subflow *sf);

/* Of struct transport_ops, for both roles. */
void tunnel_mptcp_each(struct transport *base, tunnel_each_fn fn, void *arg);
void tunnel_mptcp_counters(const struct transport *base,
			   struct tunnel_counters *ret_counters);

#endif
