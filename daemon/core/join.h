/*
 * join - tokens and HMACs of MP_JOIN and ADD_ADDR.
 *
 * Model:   each side has a key of JOIN_KEY_LEN bytes that never travels; a token
 *          hints at it, an HMAC over both sides' nonces proves it.
 * Owner:   everything is the caller's.
 * Errors:  -ENOMEM, of libcrypto.
 * Source:  RFC 8684, 3.1 (token, IDSN), 3.2 and 3.4.1 (HMAC), with SHA-256.
 */
#ifndef DAEMON_CORE_JOIN_H
#define DAEMON_CORE_JOIN_H

#include "common/addr.h"
#include "daemon/core/crypto.h"

enum {
	JOIN_KEY_LEN = 8,
	JOIN_NONCE_MAX = 8, /* RFC 8684 has 4; ours prove an address as well */
};

/* The first 32 bits of the key's hash. */
int join_token(const uint8_t key[JOIN_KEY_LEN], uint32_t *ret_token) MUST_CHECK;

/* Who speaks has this key, and sent this nonce. */
struct join_side {
	const uint8_t *key, *nonce;
};

/* Of what `speaker` says; whole, to be cut to its leftmost 64 or 160 bits. */
int join_hmac(const struct join_side *speaker, const struct join_side *other,
	      size_t nonce_len, uint8_t ret_mac[CRYPTO_HASH_LEN]) MUST_CHECK;

/* Of an address that the owner of `key` tells the other of: the rightmost 64 bits. */
int
join_addr_hmac(const uint8_t key[JOIN_KEY_LEN], const uint8_t key_other[JOIN_KEY_LEN],
	       uint8_t id, const struct addr *a, uint8_t ret_mac[8]) MUST_CHECK;

#endif
