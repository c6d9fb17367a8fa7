/*
 * mptcp_server - the server's end of the mptcp transport.
 *
 * Model:   whoever connects is a stranger until a record under a session's
 *          keys has opened; then the leg is a stream's, or a heartbeat. Nobody
 *          is told what was wrong: the bytes of a stranger are read and
 *          dropped until its time is over.
 *
 *	accepted -> STRANGER --initiation--> answered, then dropped
 *	                '------stream header, HELLO--> stream or heartbeat
 *
 * Bounds:  HALF_OPEN_PER_SOURCE strangers an address, a quarter of the
 *          descriptors in all, HALF_OPEN_LIFE each; the oldest goes first.
 *          Handshakes are limited per source when there are many (responder).
 *          IDLE_LEGS_MAX legs without a stream and BEATS_MAX heartbeats a peer;
 *          LEAVING_MAX streams a peer that wait for their refusal to arrive,
 *          then those over a limit are reset without an answer.
 * Owner:   the tunnel that it is added to.
 */
#ifndef DAEMON_MPTCP_SERVER_H
#define DAEMON_MPTCP_SERVER_H

#include "common/errmsg.h"
#include "daemon/door.h"
#include "daemon/egress.h"
#include "daemon/io/tcp.h"
#include "daemon/mptcp_peers.h"
#include "daemon/tunnel_mptcp.h"

enum {
	IDLE_LEGS_MAX = 256,
	BEATS_MAX = 2 * UPLINKS_MAX,
	LEAVING_MAX = 256,
	SOURCE_BUCKETS = 1024,
};

struct listener {
	struct mptcp_server *server;
	struct addr address;
	struct watch watch;
	int fd;
	bool plain;            /* no MPTCP in this kernel, or it is switched off */
	size_t receive_buffer; /* what its next leg gets; 0: the system's */
};

struct mptcp_server {
	struct tunnel_mptcp mptcp;
	struct loop *loop;
	const struct config *config;
	struct egress *egress;
	struct mptcp_peers peers;
	struct listener listeners[CONFIG_LISTEN_MAX];
	size_t n_listeners;
	struct tcp_spare spare;
	const struct door *door; /* NULL: nobody carries datagrams */
	struct list strangers;   /* oldest first */
	struct list buckets[SOURCE_BUCKETS];
	struct list strangers_gone;
	struct deferred bury;
	unsigned n_strangers, strangers_max;
	struct timer tick;
};

/* NULL and why. `descriptors`: how many the process may have. */
struct transport *
mptcp_server_new(struct loop *l, struct peers *known, struct subflows *s,
		 struct egress *e, unsigned descriptors, struct errmsg *why);

/* Who gets connections that carry datagrams of another transport. */
void mptcp_server_set_door(struct transport *t, const struct door *door);

/* The client was restarted: what it had before is dead. */
void mptcp_server_peer_restarted(struct mptcp_server *sv, struct mptcp_peer *p);
/* A leg's first record has opened, and was HELLO. Takes `leg` over. */
void mptcp_server_admit(struct mptcp_server *sv, struct mptcp_peer *p, struct leg *leg,
			const struct leg_hello *hello, uint64_t number);
/* Our sending end found a subflow of `s` dead: the client is told. */
void mptcp_server_lost(struct mptcp_server *sv, struct mptcp_stream *s,
		       const struct subflow *sf);

/* Called by mptcp_stream and for the report. */
void mptcp_server_stream_opens(struct mptcp_server *sv, struct mptcp_stream *s);
void mptcp_server_stream_leaves(struct mptcp_stream *s); /* refused just now */
void mptcp_server_stream_ends(struct mptcp_stream *s);
bool mptcp_server_allows_plain(const struct mptcp_peer *p);
const char *mptcp_server_peer_name(const struct mptcp_peer *p);
unsigned mptcp_server_half_open(const struct mptcp_server *sv);

#endif
