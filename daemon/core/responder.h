/*
 * responder - what a server says to initiations, for both transports.
 *
 * Model:   an initiation passes these, the cheapest first; whatever does not
 *          gets no answer:
 *
 *	size -> MAC1 -> under load: MAC2, by a cookie; the source's rate
 *	     -> answered before? the same answer again
 *	     -> X25519 -> the caller: which peer is that? -> answer
 *
 *          An answer makes a pending session. It has its keys and nothing else;
 *          the first packet that opens under them is proof that the client has
 *          them too, and the caller makes a session of it.
 *
 *	responder_answer() -> PENDING -- a packet opens: responder_confirm() --> the caller's
 *	                         '-- SESSION_PENDING_LIFE, or too many --> gone
 *
 *          A copy of an initiation gets the answer again, to its own source,
 *          while it is pending; when it is confirmed, none, for a peer's last
 *          HANDSHAKES_REFUSED. Over TCP there are no cookies: a source is proven.
 * Bounds:  SESSIONS_PENDING_MAX a peer, SESSIONS_PENDING_ALL in all, the oldest
 *          go. An answer is never larger than its question.
 * Owner:   the caller owns the struct and its peers' ones; a pending session
 *          lives until the next call that is not const.
 * Errors:  0 or -errno; after an error nothing has changed.
 * Source:  docs/protocol.md, "Replays", "Cookies"; WireGuard, 5.3.
 */
#ifndef DAEMON_CORE_RESPONDER_H
#define DAEMON_CORE_RESPONDER_H

#include "common/addr.h"
#include "common/base.h"
#include "common/list.h"
#include "daemon/core/cookie.h"
#include "daemon/core/crypto.h"
#include "daemon/core/handshake.h"
#include "daemon/core/limits.h"
#include "daemon/core/ratelimit.h"

enum { RESPONDER_BUCKETS = 256 };

/* A peer, as far as handshakes go; a member of the caller's. */
struct responder_peer {
	struct list pending; /* oldest first */
	unsigned n_pending;
	unsigned n_refused; /* counted without end */
	uint8_t refused[HANDSHAKES_REFUSED][CRYPTO_HASH_LEN];
};

struct pending {
	struct list node;              /* of all, oldest first */
	struct list of_peer;           /* responder_peer.pending */
	struct list by_hash, by_index; /* of their buckets */
	struct responder_peer *peer;
	uint64_t serial; /* a later one has a higher */
	ns_t made_at;
	uint8_t hash[CRYPTO_HASH_LEN]; /* of the initiation without its MACs */
	uint8_t reply[HANDSHAKE_LEN];
	struct handshake_offer offer;
	struct handshake_answer answer;
	struct handshake_keys keys;
};

struct responder_stats {
	uint64_t foreign; /* no initiation, or MAC1 is wrong */
	uint64_t cookies; /* replies */
	uint64_t limited; /* under load, by their source */
	uint64_t copies;  /* answered before */
	uint64_t tried;   /* cost X25519 */
	uint64_t opened;  /* and were from who they say */
};

struct responder {
	enum handshake_transport transport;
	uint8_t priv[CRYPTO_KEY_LEN], pub[CRYPTO_KEY_LEN];
	struct prng rng;
	struct ratelimit limit;
	struct cookie_maker cookies;
	struct list pending;
	struct list by_hash[RESPONDER_BUCKETS], by_index[RESPONDER_BUCKETS];
	unsigned n_pending;
	uint64_t next_serial;
	struct responder_stats stats;
};

int responder_init(struct responder *r, enum handshake_transport transport,
		   const uint8_t priv[CRYPTO_KEY_LEN],
		   const uint8_t seed[CRYPTO_KEY_LEN], ns_t now) MUST_CHECK;
/* After its peers. All zero may be done, too. */
void responder_done(struct responder *r);

void responder_peer_init(struct responder_peer *peer);
/* Its pending sessions are gone; it may be freed. */
void responder_peer_done(struct responder *r, struct responder_peer *peer);

/* An initiation, from responder_input() to its answer. */
struct responder_question {
	uint8_t reply[HANDSHAKE_LEN];
	size_t reply_len;
	struct handshake handshake; /* .peer_public: who speaks */
	struct handshake_offer offer;
	uint8_t hash[CRYPTO_HASH_LEN];
};

enum responder_verdict {
	RESPONDER_SILENT,
	RESPONDER_SEND, /* `reply` to where the datagram came from */
	RESPONDER_ASK,  /* responder_answer() or responder_refuse() comes next */
};

/* Takes a datagram of a stranger. `now` never goes back. */
enum responder_verdict
responder_input(struct responder *r, const struct addr *source, const uint8_t *data,
		size_t len, ns_t now, struct responder_question *ret_question);

/*
 * Answers this peer, with its pre-shared key. The caller has filled the answer
 * in, but for its version; the index is one that no session of its own has, nor
 * a pending one. q->reply is to be sent if it is 0 or -EPROTONOSUPPORT. The
 * question is over, whatever comes.
 *
 * -EPROTONOSUPPORT  the peer speaks another version: there is no session
 * -EBADMSG          a session was made of it before: a replay
 * -ENOMEM           say nothing: a copy may come
 */
int responder_answer(struct responder *r, struct responder_question *q,
		     struct responder_peer *peer, const uint8_t psk[CRYPTO_KEY_LEN],
		     const struct handshake_answer *answer, ns_t now) MUST_CHECK;
/* Nobody knows it. */
void responder_refuse(struct responder_question *q);

/* A random index that no pending session has. */
int responder_draw_index(struct responder *r, uint32_t *ret_index) MUST_CHECK;

/* The pending session with this index, or NULL. */
struct pending *responder_find(const struct responder *r, uint32_t index);
/* Whether this packet of the udp transport opens under its keys. */
bool pending_opens(const struct pending *p, const uint8_t *packet, size_t len);
/* Something has opened: the caller has made a session of it. Frees it. */
void responder_confirm(struct responder *r, struct pending *p);

void responder_expire(struct responder *r, ns_t now);

#endif
