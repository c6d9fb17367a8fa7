/*
 * mptcp_client - the client's end of the mptcp transport: its session with the
 * server, and a pool of legs that are ready to carry a stream.
 *
 * Model:   the handshake is raced on every uplink (mptcp_race); the session it
 *          gives feeds a heartbeat per uplink, which tells which uplinks live,
 *          and the pool: legs connected, authenticated and joined before
 *          anybody asks, most of them over the fastest live uplink. A stream
 *          without a ready leg gets one of its own. Without a session streams
 *          wait, CONNECT_DEADLINE at most.
 *          A new session, made every SESSION_LIFE, changes nothing for legs
 *          that are there: each keeps the keys it was authenticated with.
 * Owner:   the tunnel that it is added to.
 */
#ifndef DAEMON_MPTCP_CLIENT_H
#define DAEMON_MPTCP_CLIENT_H

#include "common/errmsg.h"
#include "daemon/core/handshake.h"
#include "daemon/endpoints.h"
#include "daemon/identity.h"
#include "daemon/tunnel_mptcp.h"
#include "daemon/uplinks.h"

#define SESSION_LIFE (120 * NS_PER_SEC)

struct mptcp_race;
struct heartbeat;

struct mptcp_session {
	bool up;
	struct handshake_answer answer;
	uint8_t stream_secret[CRYPTO_KEY_LEN];
	uint64_t next_number; /* runs on in the next session: names one leg */
	ns_t since;
};

struct mptcp_client {
	struct tunnel_mptcp mptcp;
	struct loop *loop;
	const struct identity *me;
	const struct config *config;
	struct uplinks *uplinks;
	struct prng prng;
	struct endpoints endpoints;
	struct mptcp_session session;
	struct mptcp_race *race;
	struct heartbeat *heartbeats; /* one per uplink, by id - 1 */
	struct list idle;             /* streams of the pool, ready */
	struct list waiting;          /* streams with a user, without a leg */
	struct timer tick;
	unsigned lost_ticks;             /* in a row, without a session */
	unsigned n_open;                 /* streams with a user */
	unsigned ready[UPLINKS_MAX];     /* legs without a user, by uplink id - 1 */
	unsigned fresh[UPLINKS_MAX];     /* legs the server has not greeted yet */
	unsigned taken, started, target; /* legs, in this second; to keep ready */
	char state_text[160];
};

/* NULL and why: no memory, no random bytes. `me` outlives it. */
struct transport *
mptcp_client_new(struct loop *l, const struct identity *me, struct uplinks *u,
		 struct subflows *s, struct resolver *r, struct errmsg *why);

/* What the parts of the client tell it. */
void
mptcp_client_session_made(struct mptcp_client *c, const struct handshake_answer *answer,
			  const struct handshake_keys *keys);
/* The server does not know the session any more, as it seems: make another. */
void mptcp_client_session_doubtful(struct mptcp_client *c, const char *why);
/* Our own sending end found `sf` dead: ask its uplink's heartbeat. */
void mptcp_client_lost(struct mptcp_client *c, const struct subflow *sf);
/* The server's sending end found a subflow dead. */
void
mptcp_client_peer_lost(struct mptcp_client *c, uint64_t number, uint8_t address_id);

/* The next stream number and its header. */
struct leg_header mptcp_client_next_header(struct mptcp_client *c);
/* Any stream is open: heartbeats come more often. */
bool mptcp_client_is_busy(const struct mptcp_client *c);

/* Called by mptcp_stream. */
/* No leg, or no answer to its HELLO, in time. */
void mptcp_client_stream_timeout(struct mptcp_client *c, struct mptcp_stream *s);
void mptcp_client_stream_connected(struct mptcp_client *c, struct mptcp_stream *s);
/* The server's HELLO is here: its leg is no stranger there any more. */
void mptcp_client_stream_greeted(struct mptcp_client *c, struct mptcp_stream *s);
void mptcp_client_stream_is_idle(struct mptcp_client *c, struct mptcp_stream *s);
void mptcp_client_stream_ends(struct mptcp_client *c, struct mptcp_stream *s);

#endif
