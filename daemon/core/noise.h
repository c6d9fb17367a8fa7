/*
 * noise - Noise_IKpsk2_25519_ChaChaPoly_SHA256.
 *
 * Model:   two messages between an initiator, who knows the responder's
 *          static key beforehand, and a responder, who learns the initiator's.
 *
 *	initiator                       responder
 *	noise_init_initiator()          noise_init_responder()
 *	noise_write_1()  -- e, es, s, ss, payload -->  noise_read_1()
 *	noise_read_2()   <-- e, ee, se, psk, payload --  noise_write_2()
 *	noise_split()                   noise_split()
 *
 * Bounds:  a payload or prologue has at most NOISE_PAYLOAD_MAX bytes.
 * Owner:   the caller owns the struct, which holds secrets until noise_done().
 * Errors:  0 or -errno; after an error the state is as it was before, so that
 *          a forged message costs nothing but time. -EBADMSG: the message does
 *          not open, or a Diffie-Hellman result is all zero.
 * Source:  The Noise Protocol Framework, revision 34, unmodified: 5 (objects),
 *          7.5 (IK), 9 (pre-shared keys), 12 (functions).
 */
#ifndef DAEMON_CORE_NOISE_H
#define DAEMON_CORE_NOISE_H

#include "common/base.h"
#include "daemon/core/crypto.h"

enum {
	NOISE_PAYLOAD_MAX = 256,
	NOISE_OVERHEAD_1 = CRYPTO_KEY_LEN + CRYPTO_KEY_LEN + 2 * CRYPTO_TAG_LEN,
	NOISE_OVERHEAD_2 = CRYPTO_KEY_LEN + CRYPTO_TAG_LEN,
};

struct noise {
	uint8_t hash[CRYPTO_HASH_LEN];  /* h: of all that was said so far */
	uint8_t chain[CRYPTO_HASH_LEN]; /* ck */
	uint8_t key[CRYPTO_KEY_LEN];    /* k */
	uint8_t static_priv[CRYPTO_KEY_LEN], static_pub[CRYPTO_KEY_LEN]; /* s */
	uint8_t ephemeral_priv[CRYPTO_KEY_LEN];                          /* e */
	uint8_t peer_static[CRYPTO_KEY_LEN];                             /* rs */
	uint8_t peer_ephemeral[CRYPTO_KEY_LEN];                          /* re */
	enum noise_step {
		NOISE_WRITE_1 = 1,
		NOISE_READ_1,
		NOISE_WRITE_2,
		NOISE_READ_2,
		NOISE_SPLIT,
	} step; /* what comes next */
};

int noise_init_initiator(struct noise *ns, const void *prologue, size_t prologue_len,
			 const uint8_t priv[CRYPTO_KEY_LEN],
			 const uint8_t responder_pub[CRYPTO_KEY_LEN]) MUST_CHECK;
int noise_init_responder(struct noise *ns, const void *prologue, size_t prologue_len,
			 const uint8_t priv[CRYPTO_KEY_LEN]) MUST_CHECK;

/*
 * `ephemeral`: a private key, random and used once. Writes `len` bytes and
 * the message's overhead.
 */
int noise_write_1(struct noise *ns, const uint8_t ephemeral[CRYPTO_KEY_LEN],
		  const uint8_t *payload, size_t len, uint8_t *ret_msg) MUST_CHECK;
int noise_write_2(struct noise *ns, const uint8_t ephemeral[CRYPTO_KEY_LEN],
		  const uint8_t psk[CRYPTO_KEY_LEN], const uint8_t *payload, size_t len,
		  uint8_t *ret_msg) MUST_CHECK;

/* `len`: of the message. The payload is what is left without the overhead. */
int noise_read_1(struct noise *ns, const uint8_t *msg, size_t len,
		 uint8_t *ret_payload) MUST_CHECK;
int noise_read_2(struct noise *ns, const uint8_t psk[CRYPTO_KEY_LEN],
		 const uint8_t *msg, size_t len, uint8_t *ret_payload) MUST_CHECK;

/* k1 is for what the initiator sends, k2 for what the responder sends. */
int noise_split(const struct noise *ns, uint8_t ret_k1[CRYPTO_KEY_LEN],
		uint8_t ret_k2[CRYPTO_KEY_LEN]) MUST_CHECK;

void noise_done(struct noise *ns);

#endif
