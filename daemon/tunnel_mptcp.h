/*
 * tunnel_mptcp - streams over kernel MPTCP: what its two roles share.
 *
 * Owner:   mptcp_client or mptcp_server, which it is a part of; it owns its
 *          streams.
 */
#ifndef DAEMON_TUNNEL_MPTCP_H
#define DAEMON_TUNNEL_MPTCP_H

#include "common/list.h"
#include "daemon/mptcp_stream.h"
#include "daemon/pump.h"

struct mptcp_client;
struct mptcp_server;

struct tunnel {
	struct loop *loop;
	const struct config *config;
	struct subflows *subflows;
	const char *congestion; /* of the legs; NULL: as the system has it */
	struct pump_shared shared;
	struct list streams, graves;
	size_t n_streams; /* legs without a user count as well */
	struct deferred sweep;
	struct tunnel_counters counters;
	uint64_t last_id;
	struct mptcp_client *client; /* one of both */
	struct mptcp_server *server;
};

int tunnel_init(struct tunnel *t, struct loop *l, const struct config *c,
		struct subflows *s) MUST_CHECK;
void tunnel_done(struct tunnel *t); /* resets every stream */

/* The stream, CLOSED, hears on_closed and is freed at the end of the turn. */
void tunnel_mptcp_bury(struct tunnel *t, struct tunnel_stream *s);

/* What is configured, where this kernel has it and lets us use it; else NULL. */
const char *tunnel_congestion(const char *name);
/*
 * How large the next leg's receive buffer is to be, in bytes: its share of
 * RECEIVE_BUDGET. The kernel's own sizing fails legs that have waited: after
 * N seconds of idleness it holds their window at 64 KiB for N seconds more.
 */
size_t tunnel_receive_buffer(const struct tunnel *t);

#endif
