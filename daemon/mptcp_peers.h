/*
 * mptcp_peers - who may speak to the server, and the sessions they have.
 *
 * Model:   a peer per [peer NAME]. An initiation makes a PENDING session and
 *          is answered; the first record under its keys makes it CURRENT, the
 *          one before stays as PREVIOUS for legs that are on their way. A
 *          copy of an initiation gets the same answer while its session is
 *          pending, and none later.
 *
 *	initiation -> PENDING --a record opens--> CURRENT --the next--> PREVIOUS
 *	                 '-- SESSION_PENDING_LIFE --> gone <---------------'
 *
 *          A session whose first record comes after that of a later one is
 *          PREVIOUS at once, and its boot id says nothing.
 *
 * Bounds:  SESSIONS_PENDING_MAX a peer, SESSIONS_PENDING_ALL in all; the
 *          oldest goes first. HANDSHAKES_REFUSED hashes a peer.
 * Owner:   mptcp_server; sessions belong to their peer.
 */
#ifndef DAEMON_MPTCP_PEERS_H
#define DAEMON_MPTCP_PEERS_H

#include "common/errmsg.h"
#include "common/list.h"
#include "daemon/config.h"
#include "daemon/core/handshake.h"
#include "daemon/core/record.h"
#include "daemon/egress.h"

enum session_state { SESSION_PENDING, SESSION_CURRENT, SESSION_PREVIOUS };

struct server_session {
	struct list node; /* of its peer, oldest first */
	struct peer *peer;
	enum session_state state;
	uint32_t index;
	enum aead_alg alg;
	ns_t made_at;
	uint8_t stream_secret[CRYPTO_KEY_LEN];
	uint8_t hash[CRYPTO_HASH_LEN]; /* of the initiation */
	uint8_t answer[HANDSHAKE_LEN];
	struct numbers numbers;
};

struct peer {
	const struct config_peer *config;
	uint8_t psk[CRYPTO_KEY_LEN];
	struct list sessions;
	struct list beats; /* heartbeat legs, the one heard last first */
	uint8_t boot_id[8];
	bool seen;            /* boot_id is set */
	ns_t version_told_at; /* 0: never */
	uint8_t refused[HANDSHAKES_REFUSED][CRYPTO_HASH_LEN];
	unsigned n_refused; /* counted without end */
	unsigned n_streams, n_idle, n_beats;
	unsigned n_leaving; /* of n_streams: refused, the answer is on its way */
	struct egress_load load;
};

struct peers {
	const struct config *config;
	struct prng prng;
	uint8_t private_key[CRYPTO_KEY_LEN], public_key[CRYPTO_KEY_LEN];
	uint8_t boot_id[8];
	struct peer *all;
	size_t n;
	unsigned n_pending;
};

int peers_init(struct peers *ps, const struct config *c, struct errmsg *why) MUST_CHECK;
void peers_done(struct peers *ps);

/* Cheap: whether whoever wrote this knows the server's public key. */
bool peers_mac1_ok(const struct peers *ps, const uint8_t msg[HANDSHAKE_LEN]);
/* -EBADMSG: say nothing. -EPROTONOSUPPORT: answered, no session. */
int peers_answer(struct peers *ps, const uint8_t msg[HANDSHAKE_LEN], ns_t now,
		 uint8_t ret_answer[HANDSHAKE_LEN]) MUST_CHECK;
struct server_session *peers_session(struct peers *ps, uint32_t index); /* or NULL */
/*
 * A record of `s` has opened; `s` may be freed by the next call here. True
 * where the client was restarted: whatever it had before is dead.
 */
bool
peers_confirm(struct peers *ps, struct server_session *s, const uint8_t boot_id[8]);
void peers_expire(struct peers *ps, ns_t now);

#endif
