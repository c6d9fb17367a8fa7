/*
 * rekey - the keys of a udp session, and how new ones take their place.
 *
 * Model:   a whole handshake inside the session, whose prologue holds the hash of
 *          the keys in use. Keys have a generation, which every packet names.
 *
 *	client                                          server
 *	due, or asked to               <-- REKEY_ASK --   due
 *	ASKING: initiation, again      -- REKEY ------>   ANSWERED: opens with the
 *	and again                                         new keys too; to each copy
 *	seals with the new keys        <------ REKEY --   the same response
 *	                               -- a packet --->   seals with the new keys
 *	                                <-- a packet --
 *
 *          Either side opens with the old keys for a while after the other was
 *          heard under the new ones. Nothing begins before they are gone.
 * Units:   packets, ns of a monotonic clock.
 * Bounds:  three generations at once; one message is looked at in REKEY_AGAIN.
 * Owner:   the caller owns the struct from rekey_init() to rekey_done(), and the
 *          static keys, which must live as long. What ends is wiped.
 * Errors:  0 or -errno; a message that does not open changes nothing.
 * Source:  docs/protocol.md, "New keys"; RFC 9001, 6 (limits of the AEADs).
 */
#ifndef DAEMON_CORE_REKEY_H
#define DAEMON_CORE_REKEY_H

#include "common/base.h"
#include "daemon/core/crypto.h"
#include "daemon/core/handshake.h"
#include "daemon/core/wire.h"

enum { REKEY_GENERATIONS = 4 }; /* of two bits */

#define REKEY_AFTER        (120 * NS_PER_SEC) /* of use; the server waits a quarter longer */
#define REKEY_PACKETS      (UINT64_C(1) << 22) /* of one direction */
#define REKEY_PACKETS_MAX  (UINT64_C(1) << 24) /* sealed; AES-GCM bears 2^28 and more */
/* Packets that did not open: what ChaCha20-Poly1305 bears (RFC 9001, 6.6). */
#define REKEY_FAILURES_MAX (UINT64_C(1) << 36)
#define REKEY_AGAIN        NS_PER_SEC /* a question, or a look at one */
#define REKEY_OLD_MIN      NS_PER_SEC /* old keys still open so long at least */
#define REKEY_AGE_MAX      (180 * NS_PER_SEC)

struct rekey_settings {
	struct handshake_secrets secrets; /* priv NULL: there are no new keys */
	ns_t after_ns;                    /* 0: REKEY_AFTER */
	uint64_t packets;                 /* 0: REKEY_PACKETS */
	uint64_t packets_max;             /* 0: REKEY_PACKETS_MAX */
};

struct epoch {
	bool used;
	struct aead seal, open;
	uint8_t hash[CRYPTO_HASH_LEN]; /* of their handshake */
	uint64_t sealed, opened, failed;
	ns_t since; /* they are used to seal */
	ns_t until; /* old ones: they open no more */
};

struct rekey {
	struct rekey_settings cfg;
	bool is_client;
	enum aead_alg aead;
	struct epoch epochs[REKEY_GENERATIONS];
	uint8_t generation; /* of what is sealed */
	bool under_way;     /* client: ASKING, server: ANSWERED */
	bool asked;         /* by the server */
	bool unsettled;     /* the peer was not heard under the keys in use yet */
	uint64_t turns;     /* how often there were new keys */
	struct handshake handshake;      /* client, while it asks */
	uint8_t question[HANDSHAKE_LEN]; /* under way: what the client says, */
	uint8_t answer[HANDSHAKE_LEN];   /* and the server */
	ns_t say_at;                     /* not before: question, or REKEY_ASK */
	ns_t look_at;                    /* not before: at a message */
};

int
rekey_init(struct rekey *r, const struct rekey_settings *cfg, bool is_client,
	   enum aead_alg aead, const struct handshake_keys *keys, ns_t now) MUST_CHECK;
void rekey_done(struct rekey *r); /* all zero may be done, too */

/*
 * Seals the frames of a packet whose header stands there, with r->generation;
 * `len` is without tag. -EKEYEXPIRED: nothing is sealed with these keys any more.
 */
int rekey_seal(struct rekey *r, struct aead_nonce nonce, uint8_t *packet,
	       size_t len) MUST_CHECK;
/* Opens a packet. -EBADMSG: it was not sealed with keys of this generation. */
int rekey_open(struct rekey *r, uint8_t generation, struct aead_nonce nonce,
	       uint8_t *packet, size_t len, ns_t now) MUST_CHECK;

/*
 * A packet of this generation was opened. True: it is the first that tells that
 * the peer has the keys in use, and rekey_settle() comes next.
 */
bool rekey_opened(struct rekey *r, uint8_t generation, ns_t now) MUST_CHECK;
/* What is on its way under the old keys takes `grace` at most. */
void rekey_settle(struct rekey *r, ns_t grace, ns_t now);

/* A frame of a packet of this generation; true: rekey_says() has something to say. */
bool
rekey_on_message(struct rekey *r, struct prng *rng, const uint8_t msg[HANDSHAKE_LEN],
		 uint8_t generation, ns_t now) MUST_CHECK;
void rekey_on_ask(struct rekey *r, uint8_t generation);

/* What is to be said now; the message lives as long as `r` stays as it is. */
bool rekey_says(const struct rekey *r, struct frame *ret_frame) MUST_CHECK;

ns_t rekey_deadline(const struct rekey *r);
/* True: rekey_says() has something to say. */
bool rekey_expire(struct rekey *r, struct prng *rng, ns_t now) MUST_CHECK;

#endif
