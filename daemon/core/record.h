/*
 * record - sealed records over one leg of the mptcp transport.
 *
 * Model:   each direction of a leg is a row of records
 *
 *	| length 2 | type 1, payload 0..16384 (sealed) | tag 16 |
 *
 *          `length` counts type, payload and tag, stands in clear and is the
 *          additional data; nonce = IV xor record counter; after every 2^20
 *          records key and IV are HKDF(secret, "next"), unsignalled.
 * Owner:   struct record_key belongs to the caller; record_key_done() wipes it.
 * Errors:  0 or -errno.
 * Source:  docs/protocol.md, "Records".
 */
#ifndef DAEMON_CORE_RECORD_H
#define DAEMON_CORE_RECORD_H

#include "common/base.h"
#include "daemon/core/crypto.h"
#include "daemon/core/limits.h"
#include "daemon/core/numbers.h"

enum {
	RECORD_HEADER_LEN = 3, /* length and type: what goes before the payload */
	RECORD_OVERHEAD = RECORD_HEADER_LEN + CRYPTO_TAG_LEN,
	RECORD_LEN_MAX = RECORD_OVERHEAD + RECORD_PAYLOAD_MAX,
	RECORD_REKEY_EVERY = 1 << 20,
};

enum record_type {
	RECORD_HELLO = 1, /* first of each direction: what this leg is for */
	RECORD_OPEN,      /* client: connect to this destination */
	RECORD_OPENED,    /* server: what came of it */
	RECORD_DATA,
	RECORD_FIN,   /* the end of this direction */
	RECORD_PLAIN, /* what follows in this direction is not sealed */
	RECORD_PING,  /* client, heartbeat leg: liveness */
	RECORD_PONG,  /* server: the answer to it */
	RECORD_LOST,  /* server, heartbeat leg: a subflow that it sends on is dead */
	RECORD_TYPE_COUNT,
};

enum record_direction { RECORD_UP, RECORD_DOWN }; /* client to server, back */

struct record_key {
	struct aead aead;
	uint64_t counter;  /* records sealed or opened so far */
	uint64_t rekey_at; /* the counter that takes the next key */
	uint8_t secret[CRYPTO_KEY_LEN];
};

/* The key of one direction of leg `number` under a session's stream secret. */
int record_key_init(struct record_key *k, enum aead_alg alg, bool seals,
		    const uint8_t stream_secret[CRYPTO_KEY_LEN], uint64_t number,
		    enum record_direction dir) MUST_CHECK;
void record_key_done(struct record_key *k);

/*
 * Seals in place. `rec` has RECORD_HEADER_LEN bytes of room, then `len` bytes
 * of payload, at most RECORD_PAYLOAD_MAX, then CRYPTO_TAG_LEN bytes of room.
 * ret_len: bytes of the record.
 */
int record_seal(struct record_key *k, enum record_type type, uint8_t *rec, size_t len,
		size_t *ret_len) MUST_CHECK;

struct record {
	enum record_type type;
	uint8_t *payload; /* inside the caller's buffer */
	size_t len;
};

/*
 * Opens the record at the start of `buf` in place; ret_used bytes of `buf`
 * belonged to it. `payload_max`: RECORD_FIRST_MAX until the peer is known.
 *
 * -EAGAIN    `have` bytes are not a whole record yet; read more
 * -EBADMSG   not sealed by the peer, or out of order, or of an unknown type
 * -EMSGSIZE  the length in the header is impossible
 * After -EBADMSG and -EMSGSIZE the leg must be reset.
 */
int record_open(struct record_key *k, uint8_t *buf, size_t have, size_t payload_max,
		struct record *ret_rec, size_t *ret_used) MUST_CHECK;

#endif
