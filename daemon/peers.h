/*
 * peers - the clients that a server knows, over whichever transport they come.
 *
 * Model:   a peer per [peer NAME]: how its handshakes are answered, and what it
 *          uses, counted over the transports together.
 * Bounds:  max_streams of the peer, and of the configuration for all of them.
 * Owner:   proxy, for longer than the transports. A transport owns what it has
 *          pending in .handshakes, and takes it along when it ends.
 */
#ifndef DAEMON_PEERS_H
#define DAEMON_PEERS_H

#include "daemon/core/responder.h"
#include "daemon/egress.h"
#include "daemon/identity.h"

struct peer {
	struct peers *peers;
	const struct config_peer *config;
	uint8_t psk[CRYPTO_KEY_LEN];
	struct responder_peer handshakes[2]; /* by enum handshake_transport */
	ns_t version_told_at;                /* 0: never */
	unsigned n_streams;
	struct egress_load load;
};

struct peers {
	const struct identity *me;
	struct peer *all;
	size_t n;
	unsigned n_streams; /* of all peers */
};

/* -errno and why: a key that cannot be read, no memory. */
int
peers_init(struct peers *ps, const struct identity *me, struct errmsg *why) MUST_CHECK;
void peers_done(struct peers *ps);

/* A responder for one of the transports. -errno: no memory, no random bytes. */
int peers_init_responder(const struct peers *ps, enum handshake_transport transport,
			 struct responder *ret_responder, ns_t now) MUST_CHECK;
/* What the peers have pending there is gone, and so is the responder. */
void peers_done_responder(struct peers *ps, enum handshake_transport transport,
			  struct responder *r);

/*
 * Answers with a session of this index. The question is over, whatever comes.
 * As responder_answer(); -EBADMSG also where nobody knows who asks.
 */
int peers_answer(struct peers *ps, struct responder *r, struct responder_question *q,
		 uint32_t index, ns_t now) MUST_CHECK;

/* The peer whose initiation is pending. */
struct peer *peers_of_pending(const struct responder *r, const struct pending *p);

/* For new keys of its sessions; they live as long as `p`. */
struct handshake_secrets peers_secrets(const struct peer *p);

/* One more stream, until peers_stream_ends(). False: it is over a limit, and does not
 * count: those of others must not be fewer for it. */
bool peers_stream_begins(struct peer *p) MUST_CHECK;
void peers_stream_ends(struct peer *p);

#endif
