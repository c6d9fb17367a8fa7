/*
 * mptcp_peers - what the server's peers have over MPTCP: sessions, heartbeats.
 *
 * Model:   an initiation is answered and pending (see responder); the first
 *          record under its keys makes a session, which is CURRENT; the one
 *          before stays as PREVIOUS for legs that are on their way.
 *
 *	pending --a record opens--> CURRENT --the next--> PREVIOUS --> gone
 *
 *          A session whose first record comes after that of a later one is
 *          PREVIOUS at once, and its boot id says nothing.
 *
 * Owner:   mptcp_server; sessions belong to their peer.
 */
#ifndef DAEMON_MPTCP_PEERS_H
#define DAEMON_MPTCP_PEERS_H

#include "common/list.h"
#include "daemon/core/record.h"
#include "daemon/peers.h"

enum session_state { SESSION_CURRENT, SESSION_PREVIOUS };

struct server_session {
	struct list node; /* of its peer */
	struct mptcp_peer *peer;
	enum session_state state;
	uint32_t index;
	enum aead_alg alg;
	uint64_t serial; /* pending.serial */
	uint8_t stream_secret[CRYPTO_KEY_LEN];
	struct numbers numbers;
};

struct mptcp_peer {
	struct peer *known;
	struct list sessions;
	struct list beats; /* heartbeat legs, the one heard last first */
	uint8_t boot_id[8];
	bool seen; /* boot_id is set */
	unsigned n_idle, n_beats;
	unsigned n_leaving; /* of its streams: refused, the answer is on its way */
};

struct mptcp_peers {
	struct peers *known;
	struct responder responder;
	struct mptcp_peer *all; /* as known->all */
	size_t n;
};

/* `known` outlives it. -errno. */
int mptcp_peers_init(struct mptcp_peers *ps, struct peers *known) MUST_CHECK;
void mptcp_peers_done(struct mptcp_peers *ps);

/* -EBADMSG: say nothing. -EPROTONOSUPPORT: answered, no session. */
int mptcp_peers_answer(struct mptcp_peers *ps, const struct addr *source,
		       const uint8_t *msg, size_t len, ns_t now,
		       uint8_t ret_answer[HANDSHAKE_LEN]) MUST_CHECK;

/* Keys by the index in a leg's header: of a session, or of a pending one. */
struct mptcp_peers_keys {
	enum aead_alg alg;
	const uint8_t *stream_secret;
	struct server_session *session; /* one of the two is NULL */
	struct pending *pending;
};

/* -EBADMSG: there are none, or the leg's number is used. */
int mptcp_peers_find_keys(struct mptcp_peers *ps, uint32_t index, uint64_t number,
			  struct mptcp_peers_keys *ret_keys) MUST_CHECK;

/*
 * A record has opened: makes a session of what is pending. 1: the client was
 * restarted, whatever it had before is dead. -ENOMEM.
 */
int mptcp_peers_confirm(struct mptcp_peers *ps, struct pending *pending,
			const uint8_t boot_id[8],
			struct server_session **ret_session) MUST_CHECK;

#endif
