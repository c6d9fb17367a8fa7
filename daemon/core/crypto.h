/*
 * crypto - the only file that knows libcrypto.
 *
 * Owner:   aead objects own a cipher context from aead_init() to aead_done(),
 *          which wipes the key. Everything else is bytes of the caller.
 * Errors:  0 or -errno. -ENOMEM where libcrypto cannot allocate.
 * Source:  RFC 7748 (X25519), 8439 (ChaCha20-Poly1305), 5116 (AES-128-GCM),
 *          5869 (HKDF), 2104 (HMAC).
 */
#ifndef DAEMON_CORE_CRYPTO_H
#define DAEMON_CORE_CRYPTO_H

#include "common/base.h"

enum {
	CRYPTO_KEY_LEN = 32,
	CRYPTO_HASH_LEN = 32,
	CRYPTO_TAG_LEN = 16,
	CRYPTO_IV_LEN = 12,
};

/* The numbers are the bits of the handshake's offer and stay as they are. */
enum aead_alg { AEAD_CHACHA20_POLY1305 = 1, AEAD_AES_128_GCM = 2 };

/* The AEADs this machine runs fast, as a mask; ChaCha20-Poly1305 is always in it. */
uint8_t aead_fast_mask(void);
/* The one both like: AES-128-GCM where both masks have it. */
enum aead_alg aead_choose(uint8_t mask_a, uint8_t mask_b);
const char *aead_name(enum aead_alg alg);

struct aead {
	void *ctx; /* EVP_CIPHER_CTX */
	uint8_t iv[CRYPTO_IV_LEN];
	enum aead_alg alg;
	bool seals;
};

/* `key` has CRYPTO_KEY_LEN bytes; AES-128-GCM uses the first 16. */
int aead_init(struct aead *a, enum aead_alg alg, bool seals,
	      const uint8_t key[CRYPTO_KEY_LEN],
	      const uint8_t iv[CRYPTO_IV_LEN]) MUST_CHECK;
void aead_done(struct aead *a);

/* On the wire's side: IV xor (prefix, counter), big endian, 12 bytes in all. */
struct aead_nonce {
	uint32_t prefix;
	uint64_t counter;
};

/*
 * `buf` holds `len` bytes and room for the tag behind them; sealed and opened
 * in place. The caller never seals twice with one nonce.
 */
int aead_seal(struct aead *a, struct aead_nonce nonce, const uint8_t *aad,
	      size_t aad_len, uint8_t *buf, size_t len) MUST_CHECK;
/*
 * `len` counts the tag. -EBADMSG: not sealed with this key, nonce and data;
 * what stood in `buf` is wiped.
 */
int aead_open(struct aead *a, struct aead_nonce nonce, const uint8_t *aad,
	      size_t aad_len, uint8_t *buf, size_t len) MUST_CHECK;

/* -EBADMSG: the result is all zero (RFC 7748, 6.1). */
int
crypto_x25519(uint8_t ret_shared[CRYPTO_KEY_LEN], const uint8_t priv[CRYPTO_KEY_LEN],
	      const uint8_t pub[CRYPTO_KEY_LEN]) MUST_CHECK;
int crypto_x25519_public(uint8_t ret_pub[CRYPTO_KEY_LEN],
			 const uint8_t priv[CRYPTO_KEY_LEN]) MUST_CHECK;

int crypto_sha256(uint8_t ret_hash[CRYPTO_HASH_LEN], const void *data,
		  size_t len) MUST_CHECK;
int crypto_hmac(uint8_t ret_mac[CRYPTO_HASH_LEN], const uint8_t *key, size_t key_len,
		const void *data, size_t len) MUST_CHECK;
/* RFC 5869; `label` is the whole info; at most 255 * 32 bytes of output. */
int crypto_hkdf_extract(uint8_t ret_prk[CRYPTO_HASH_LEN], const uint8_t *salt,
			size_t salt_len, const uint8_t *ikm, size_t ikm_len) MUST_CHECK;
int crypto_hkdf_expand(uint8_t *ret_out, size_t out_len,
		       const uint8_t prk[CRYPTO_HASH_LEN], const char *label,
		       const uint8_t *context, size_t context_len) MUST_CHECK;

bool crypto_equal(const void *a, const void *b, size_t len); /* in constant time */
void crypto_wipe(void *p, size_t len);

/*
 * prng - random bytes from a seed: ChaCha20 with key erasure.
 * In the daemon the seed is always from getrandom(2); only tests choose it.
 */
struct prng {
	uint8_t key[CRYPTO_KEY_LEN];
	uint8_t pool[512];
	size_t left;
};

int prng_init(struct prng *r, const uint8_t seed[CRYPTO_KEY_LEN]) MUST_CHECK;
int prng_bytes(struct prng *r, void *ret_buf, size_t len) MUST_CHECK;
void prng_done(struct prng *r);

#endif
