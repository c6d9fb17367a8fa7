#include "daemon/core/join.h"

#include "common/bytes.h"

#include <string.h>

int
join_token(const uint8_t key[JOIN_KEY_LEN], uint32_t *ret_token)
{
	uint8_t hash[CRYPTO_HASH_LEN];
	int err = crypto_sha256(hash, key, JOIN_KEY_LEN);

	if (err == 0)
		*ret_token = get_be32(hash);
	return err;
}

/* HMAC-SHA256 with both keys, the speaker's first. */
static int
hmac_of_both(const uint8_t *key, const uint8_t *key_other, const uint8_t *msg,
	     size_t len, uint8_t ret_mac[CRYPTO_HASH_LEN])
{
	uint8_t both[2 * JOIN_KEY_LEN];
	int err;

	memcpy(both, key, JOIN_KEY_LEN);
	memcpy(both + JOIN_KEY_LEN, key_other, JOIN_KEY_LEN);
	err = crypto_hmac(ret_mac, both, sizeof(both), msg, len);
	crypto_wipe(both, sizeof(both));
	return err;
}

int
join_hmac(const struct join_side *speaker, const struct join_side *other,
	  size_t nonce_len, uint8_t ret_mac[CRYPTO_HASH_LEN])
{
	uint8_t nonces[2 * JOIN_NONCE_MAX];

	assert(nonce_len <= JOIN_NONCE_MAX);
	memcpy(nonces, speaker->nonce, nonce_len);
	memcpy(nonces + nonce_len, other->nonce, nonce_len);
	return hmac_of_both(speaker->key, other->key, nonces, 2 * nonce_len, ret_mac);
}

int
join_addr_hmac(const uint8_t key[JOIN_KEY_LEN], const uint8_t key_other[JOIN_KEY_LEN],
	       uint8_t id, const struct addr *a, uint8_t ret_mac[8])
{
	size_t ip_len = a->family == AF_INET ? 4 : 16;
	uint8_t msg[1 + sizeof(a->ip) + 2], mac[CRYPTO_HASH_LEN];
	int err;

	msg[0] = id;
	memcpy(msg + 1, a->ip, ip_len);
	put_be16(msg + 1 + ip_len, a->port);
	err = hmac_of_both(key, key_other, msg, 1 + ip_len + 2, mac);
	if (err == 0)
		memcpy(ret_mac, mac + CRYPTO_HASH_LEN - 8, 8);
	return err;
}
