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

int
join_hmac(const struct join_side *speaker, const struct join_side *other,
	  size_t nonce_len, uint8_t ret_mac[CRYPTO_HASH_LEN])
{
	uint8_t key[2 * JOIN_KEY_LEN], nonces[2 * JOIN_NONCE_MAX];
	int err;

	assert(nonce_len <= JOIN_NONCE_MAX);
	memcpy(key, speaker->key, JOIN_KEY_LEN);
	memcpy(key + JOIN_KEY_LEN, other->key, JOIN_KEY_LEN);
	memcpy(nonces, speaker->nonce, nonce_len);
	memcpy(nonces + nonce_len, other->nonce, nonce_len);
	err = crypto_hmac(ret_mac, key, sizeof(key), nonces, 2 * nonce_len);
	crypto_wipe(key, sizeof(key));
	return err;
}
