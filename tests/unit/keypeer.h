/*
 * keypeer - the other end of a session's keys, in the hands of a hostile peer.
 *
 * Model:   it has the keys and plays by the rules, but only when it is told to;
 *          it seals with any keys that it has, and says its messages as they are
 *          or damaged. Its memory of old keys lasts until the session has turned.
 * Owner:   the caller owns the struct, from keypeer_init() to keypeer_done(); the
 *          secrets that the session gets are the peer's and live as long.
 */
#ifndef TESTS_UNIT_KEYPEER_H
#define TESTS_UNIT_KEYPEER_H

#include "daemon/core/rekey.h"

enum keypeer_how {
	KEYPEER_HEAR = 1,   /* what the session said last, */
	KEYPEER_BEGIN = 2,  /* client: asks for new keys, */
	KEYPEER_FORGET = 4, /* drops what is old, */
	KEYPEER_SAY = 8,    /* and says what there is to say */
	KEYPEER_DAMAGE = 16,
	KEYPEER_OLD = 32,  /* from now on it seals with the keys before, */
	KEYPEER_NEXT = 64, /* or with the next ones, where there are some */
};

struct keypeer {
	struct rekey keys;
	struct prng rng;
	uint8_t priv[2][CRYPTO_KEY_LEN],
		pub[2][CRYPTO_KEY_LEN]; /* the session's is 0 */
	uint8_t heard[HANDSHAKE_LEN], says[HANDSHAKE_LEN];
	uint8_t heard_in; /* generation */
	uint8_t shift;    /* what it seals with, from the keys in use on */
};

/* Writes what the session is to be made with. */
void keypeer_init(struct keypeer *p, bool is_client, const struct handshake_keys *keys,
		  ns_t now, struct handshake_secrets *ret_session);
void keypeer_done(struct keypeer *p);

/* The header is put by the caller, with this generation. */
uint8_t keypeer_generation(const struct keypeer *p);
void
keypeer_seal(struct keypeer *p, struct aead_nonce nonce, uint8_t *packet, size_t len);
/* Whether the session sealed it with keys that it may have. */
bool keypeer_open(struct keypeer *p, uint8_t generation, struct aead_nonce nonce,
		  uint8_t *packet, size_t len, ns_t now);
/* The session said this, in a packet of this generation. */
void
keypeer_heard(struct keypeer *p, const uint8_t msg[HANDSHAKE_LEN], uint8_t generation);

/* Does what it is told (enum keypeer_how). True: there is a frame to be sent. */
bool keypeer_act(struct keypeer *p, uint8_t how, ns_t now, struct frame *ret_frame);

#endif
