/*
 * handshake - the two messages that make a session, for both transports.
 *
 * Model:   Noise_IKpsk2_25519_ChaChaPoly_SHA256 between known static keys.
 *
 *	client                                             server
 *	handshake_start()   -- initiation, HANDSHAKE_LEN -->  handshake_receive()
 *	                                                      (look the peer up)
 *	handshake_finish()  <-- response, HANDSHAKE_LEN ----  handshake_respond()
 *
 *          A message is: type (1), 3 zero bytes, Noise message (128), MAC1
 *          (16), MAC2 (16). MAC1 is keyed by the receiver's public key:
 *          whoever does not know it gets silence. MAC2 is zero, but in an
 *          initiation over udp, where it is the cookies' (cookie.h).
 * Bounds:  both messages are HANDSHAKE_LEN bytes.
 * Owner:   the caller owns every struct; handshake_done() wipes.
 * Errors:  0 or -errno; after an error the handshake state is as it was before.
 * Source:  docs/protocol.md, "Handshake"; Noise revision 34; WireGuard, 5.4.
 */
#ifndef DAEMON_CORE_HANDSHAKE_H
#define DAEMON_CORE_HANDSHAKE_H

#include "common/base.h"
#include "daemon/core/crypto.h"
#include "daemon/core/noise.h"

enum {
	HANDSHAKE_VERSION = 1,
	HANDSHAKE_INITIATION = 1, /* type bytes */
	HANDSHAKE_RESPONSE = 2,
	HANDSHAKE_COOKIE = 3, /* cookie.h */
	HANDSHAKE_MAC_LEN = 16,
	HANDSHAKE_OFFER_LEN = 32,  /* message 1's payload, zero padded */
	HANDSHAKE_ANSWER_LEN = 80, /* message 2's payload, zero padded */
	/* The payloads' sizes are chosen so that both Noise messages have one. */
	HANDSHAKE_NOISE_LEN = NOISE_OVERHEAD_1 + HANDSHAKE_OFFER_LEN,
	/* Where things stand in a message. */
	HANDSHAKE_NOISE_AT = 4,
	HANDSHAKE_MAC1_AT = HANDSHAKE_NOISE_AT + HANDSHAKE_NOISE_LEN,
	HANDSHAKE_MAC2_AT = HANDSHAKE_MAC1_AT + HANDSHAKE_MAC_LEN,
	HANDSHAKE_LEN = HANDSHAKE_MAC2_AT + HANDSHAKE_MAC_LEN,
};

enum handshake_transport { HANDSHAKE_MPTCP, HANDSHAKE_UDP };

/* Message 1's payload. Not forward secret, so nothing else is in it. */
struct handshake_offer {
	uint8_t version;
	uint8_t aead_mask;      /* with AEAD_CHACHA20_POLY1305 */
	uint16_t features;      /* none yet: 0, ignored by the receiver */
	uint32_t session_index; /* 24 bits, chosen by the client */
};

/* Message 2's payload. */
struct handshake_answer {
	uint8_t version; /* the server's, also when it refuses the client's */
	uint8_t aead;    /* enum aead_alg; 0: version refused, no session */
	uint16_t features;
	uint32_t session_index; /* 24 bits, chosen by the server */
	uint32_t max_streams;   /* per client */
	bool allow_auth_only;
	uint8_t boot_id[8]; /* random at each start of the server */
};

/* What both ends hold afterwards. Directions share no key. */
struct handshake_keys {
	uint8_t key_up[CRYPTO_KEY_LEN], iv_up[CRYPTO_IV_LEN]; /* client to server */
	uint8_t key_down[CRYPTO_KEY_LEN], iv_down[CRYPTO_IV_LEN];
	uint8_t key_a[8], key_b[8]; /* RFC 8684's keys: client's, server's */
	uint8_t stream_secret[CRYPTO_KEY_LEN];
	uint8_t hash[CRYPTO_HASH_LEN]; /* the handshake hash */
};

struct handshake {
	struct noise noise;
	uint8_t peer_public[CRYPTO_KEY_LEN];
	uint8_t psk[CRYPTO_KEY_LEN]; /* client only, and the AEADs that it offered */
	uint8_t aead_mask;
};

/* What a side knows beforehand, CRYPTO_KEY_LEN bytes each; the caller's. */
struct handshake_secrets {
	const uint8_t *priv;
	const uint8_t *peer_pub;
	const uint8_t *psk; /* all zero where there is none */
};

/* Client: writes the initiation. */
int handshake_start(struct handshake *h, enum handshake_transport transport,
		    struct prng *rng, const struct handshake_secrets *secrets,
		    const struct handshake_offer *offer,
		    uint8_t ret_msg[HANDSHAKE_LEN]) MUST_CHECK;
/* The same for new keys of a udp session; `in_use`: the hash of those it has. */
int handshake_start_rekey(struct handshake *h, const uint8_t in_use[CRYPTO_HASH_LEN],
			  struct prng *rng, const struct handshake_secrets *secrets,
			  const struct handshake_offer *offer,
			  uint8_t ret_msg[HANDSHAKE_LEN]) MUST_CHECK;

/*
 * Client: reads the response.
 *
 * -EBADMSG          not an answer to this initiation; wait for the real one
 * -EPROTONOSUPPORT  the server authenticated itself and refused our version;
 *                   ret_answer is set all the same and says which it speaks
 * -EPROTO           the server authenticated itself and chose an AEAD that we
 *                   did not offer; it has no other answer
 */
int handshake_finish(struct handshake *h, const uint8_t msg[HANDSHAKE_LEN],
		     struct handshake_answer *ret_answer,
		     struct handshake_keys *ret_keys) MUST_CHECK;

/* Server, whose key `pub` is: whether this is an initiation with a good MAC1. */
bool
handshake_mac1_ok(const uint8_t msg[HANDSHAKE_LEN], const uint8_t pub[CRYPTO_KEY_LEN]);

/*
 * Server: reads an initiation whose MAC1 is good; h->peer_public is then who claims
 * to speak. Over udp, MAC2 is the caller's to look at. An offer of another version
 * holds nothing but that; answer it with aead 0. -EBADMSG: nobody who knows the
 * protocol wrote this. Of a replay the keys are new ones, which its sender cannot have.
 */
int
handshake_receive(struct handshake *h, enum handshake_transport transport,
		  const uint8_t priv[CRYPTO_KEY_LEN], const uint8_t msg[HANDSHAKE_LEN],
		  struct handshake_offer *ret_offer) MUST_CHECK;
/* The same for new keys, looks at everything. -EBADMSG: not of this peer and session. */
int handshake_receive_rekey(struct handshake *h, const uint8_t in_use[CRYPTO_HASH_LEN],
			    const struct handshake_secrets *secrets,
			    const uint8_t msg[HANDSHAKE_LEN]) MUST_CHECK;

/*
 * Server: writes the response to a peer it knows, with that peer's `psk`.
 * There are no keys where answer->aead is 0.
 */
int
handshake_respond(struct handshake *h, struct prng *rng,
		  const uint8_t psk[CRYPTO_KEY_LEN],
		  const struct handshake_answer *answer, uint8_t ret_msg[HANDSHAKE_LEN],
		  struct handshake_keys *ret_keys) MUST_CHECK;

void handshake_done(struct handshake *h);

/* What whoever knows the public key `pub` can make: SHA-256(label || pub). */
int handshake_label_key(const char *label, const uint8_t pub[CRYPTO_KEY_LEN],
			uint8_t ret_key[CRYPTO_HASH_LEN]) MUST_CHECK;

#endif
