/*
 * mptcp_peers - who may speak to the server, and the sessions they have.
 *
 * Model:   a peer per [peer NAME]. An initiation is answered and pending (see
 *          responder); the first record under its keys makes a session, which
 *          is CURRENT; the one before stays as PREVIOUS for legs that are on
 *          their way.
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

#include "common/errmsg.h"
#include "common/list.h"
#include "daemon/config.h"
#include "daemon/core/handshake.h"
#include "daemon/core/record.h"
#include "daemon/core/responder.h"
#include "daemon/egress.h"

enum session_state { SESSION_CURRENT, SESSION_PREVIOUS };

struct server_session {
	struct list node; /* of its peer */
	struct peer *peer;
	enum session_state state;
	uint32_t index;
	enum aead_alg alg;
	uint64_t serial; /* pending.serial */
	uint8_t stream_secret[CRYPTO_KEY_LEN];
	struct numbers numbers;
};

struct peer {
	const struct config_peer *config;
	uint8_t psk[CRYPTO_KEY_LEN];
	struct responder_peer handshakes;
	struct list sessions;
	struct list beats; /* heartbeat legs, the one heard last first */
	uint8_t boot_id[8];
	bool seen;            /* boot_id is set */
	ns_t version_told_at; /* 0: never */
	unsigned n_streams, n_idle, n_beats;
	unsigned n_leaving; /* of n_streams: refused, the answer is on its way */
	struct egress_load load;
};

struct peers {
	const struct config *config;
	struct responder responder;
	uint8_t boot_id[8];
	struct peer *all;
	size_t n;
};

int peers_init(struct peers *ps, const struct config *c, struct errmsg *why) MUST_CHECK;
void peers_done(struct peers *ps);

/* -EBADMSG: say nothing. -EPROTONOSUPPORT: answered, no session. */
int peers_answer(struct peers *ps, const struct addr *source, const uint8_t *msg,
		 size_t len, ns_t now, uint8_t ret_answer[HANDSHAKE_LEN]) MUST_CHECK;

/* Keys by the index in a leg's header: of a session, or of a pending one. */
struct peers_keys {
	enum aead_alg alg;
	const uint8_t *stream_secret;
	struct server_session *session; /* one of the two is NULL */
	struct pending *pending;
};

/* -EBADMSG: there are none, or the leg's number is used. */
int peers_find_keys(struct peers *ps, uint32_t index, uint64_t number,
		    struct peers_keys *ret_keys) MUST_CHECK;

/*
 * A record has opened: makes a session of what is pending. 1: the client was
 * restarted, whatever it had before is dead. -ENOMEM.
 */
int peers_confirm(struct peers *ps, struct pending *pending, const uint8_t boot_id[8],
		  struct server_session **ret_session) MUST_CHECK;

#endif
