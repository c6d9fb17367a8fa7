/*
 * mptcp_stream - a stream over kernel MPTCP: one leg each.
 *
 * Model:   what both roles share: the life of a stream. Legs are made by
 *          mptcp_client, taken in by mptcp_server.
 *
 *	client  CONNECTING -> GREETING -> IDLE -> OPENING -> OPEN -> CLOSED
 *	        (a stream with a user goes from GREETING to OPENING at once)
 *	server                            IDLE -> OPENING -> OPEN -> CLOSED
 *	                                              '-> LEAVING -^
 *
 * Owner:   tunnel_mptcp; a CLOSED one is freed when the turn of the event loop
 *          is over.
 */
#ifndef DAEMON_MPTCP_STREAM_H
#define DAEMON_MPTCP_STREAM_H

#include "common/list.h"
#include "daemon/egress.h"
#include "daemon/leg.h"
#include "daemon/pump.h"
#include "daemon/subflows.h"
#include "daemon/transport.h"

struct mptcp_peer;
struct tunnel_mptcp;

enum stream_state {
	STREAM_CONNECTING,
	STREAM_GREETING,
	STREAM_IDLE,
	STREAM_OPENING,
	STREAM_OPEN,
	STREAM_LEAVING, /* server: refused, the answer is on its way */
	STREAM_CLOSED,
};

struct mptcp_stream {
	struct tunnel_stream base;
	struct list pool; /* client: of the idle or the waiting ones */
	struct tunnel_mptcp *mptcp;
	enum stream_state state;
	struct leg leg;
	struct leg_subflows subflows;
	struct pump pump;
	struct timer timer;
	const struct config_listener *from; /* client */
	const struct uplink *uplink;        /* client: of the first subflow */
	struct mptcp_peer *peer;            /* server */
	struct config_host dest;
	uint64_t id;
	uint64_t number;      /* of the leg, in its session */
	uint64_t bytes_seen;  /* at the last look of the half-close timer */
	unsigned quiet_looks; /* since then */
	ns_t created_at;
	bool may_be_plain;
	bool fresh;   /* client: counts in mptcp_client.fresh */
	bool watched; /* subflows_add() was done */
	bool fallback;
};

/* NULL: no memory. The stream is linked in, without a leg. */
struct mptcp_stream *mptcp_stream_new(struct tunnel_mptcp *t, enum stream_state state);
/* Starts the stream's leg on `fd`. */
int mptcp_stream_set_leg(struct mptcp_stream *s, int fd) MUST_CHECK;
/* Client: the leg's header and HELLO are sent; OPEN too where a user waits. */
int mptcp_stream_greet(struct mptcp_stream *s, const struct leg_header *header,
		       const struct leg_hello *hello) MUST_CHECK;
/* Client: gives an idle stream its user and destination, and sends OPEN. */
int mptcp_stream_send_open(struct mptcp_stream *s) MUST_CHECK;
/* Server: HELLO has opened; `leg` is taken over with what was read already. */
void mptcp_stream_take_leg(struct mptcp_stream *s, struct leg *leg);
/* Closes; on_closed is told at the end of the turn. With RST where `reset`. */
void mptcp_stream_end(struct mptcp_stream *s, bool reset);

#endif
