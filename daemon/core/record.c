#include "daemon/core/record.h"
#include "common/bytes.h"

#include <string.h>

enum { LENGTH_LEN = 2, TYPE_LEN = 1 };

/* `a` is initialised anew; `secret` is that of these 2^20 records. */
static int
init_aead(struct aead *a, enum aead_alg alg, bool seals,
	  const uint8_t secret[CRYPTO_KEY_LEN])
{
	uint8_t key[CRYPTO_KEY_LEN], iv[CRYPTO_IV_LEN];
	int err;

	err = crypto_hkdf_expand(key, sizeof(key), secret, "mpproxy/1 key", NULL, 0);
	if (err == 0)
		err = crypto_hkdf_expand(iv, sizeof(iv), secret, "mpproxy/1 iv", NULL,
					 0);
	if (err == 0)
		err = aead_init(a, alg, seals, key, iv);
	crypto_wipe(key, sizeof(key));
	return err;
}

int
record_key_init(struct record_key *k, enum aead_alg alg, bool seals,
		const uint8_t stream_secret[CRYPTO_KEY_LEN], uint64_t number,
		enum record_direction dir)
{
	struct record_key fresh = {.rekey_at = RECORD_REKEY_EVERY};
	uint8_t context[8];
	int err;

	put_be64(context, number);
	err = crypto_hkdf_expand(fresh.secret, sizeof(fresh.secret), stream_secret,
				 dir == RECORD_UP ? "mpproxy/1 stream up"
						  : "mpproxy/1 stream down",
				 context, sizeof(context));
	if (err == 0)
		err = init_aead(&fresh.aead, alg, seals, fresh.secret);
	if (err == 0)
		*k = fresh;
	crypto_wipe(&fresh, sizeof(fresh));
	return err;
}

void
record_key_done(struct record_key *k)
{
	aead_done(&k->aead);
	crypto_wipe(k, sizeof(*k));
}

/* The key that the next record needs. On error the old one is still there. */
static int
turn_key(struct record_key *k)
{
	uint8_t next[CRYPTO_KEY_LEN];
	struct aead aead;
	int err;

	if (k->counter < k->rekey_at)
		return 0;

	err = crypto_hkdf_expand(next, sizeof(next), k->secret, "mpproxy/1 next", NULL,
				 0);
	if (err == 0)
		err = init_aead(&aead, k->aead.alg, k->aead.seals, next);
	if (err == 0) {
		aead_done(&k->aead);
		k->aead = aead;
		memcpy(k->secret, next, sizeof(next));
		k->rekey_at += RECORD_REKEY_EVERY;
	}
	crypto_wipe(next, sizeof(next));
	return err;
}

static struct aead_nonce
nonce_of(const struct record_key *k)
{
	return (struct aead_nonce){.counter = k->counter};
}

int
record_seal(struct record_key *k, enum record_type type, uint8_t *rec, size_t len,
	    size_t *ret_len)
{
	const size_t sealed_len = TYPE_LEN + len + CRYPTO_TAG_LEN;
	int err;

	assert(len <= RECORD_PAYLOAD_MAX);

	err = turn_key(k);
	if (err < 0)
		return err;
	put_be16(rec, (uint16_t)sealed_len);
	rec[LENGTH_LEN] = (uint8_t)type;
	err = aead_seal(&k->aead, nonce_of(k), rec, LENGTH_LEN, rec + LENGTH_LEN,
			TYPE_LEN + len);
	if (err < 0)
		return err;

	k->counter++;
	*ret_len = LENGTH_LEN + sealed_len;
	return 0;
}

int
record_open(struct record_key *k, uint8_t *buf, size_t have, size_t payload_max,
	    struct record *ret_rec, size_t *ret_used)
{
	uint8_t *sealed = buf + LENGTH_LEN;
	size_t len;
	int err;

	assert(payload_max <= RECORD_PAYLOAD_MAX);

	if (have < LENGTH_LEN)
		return -EAGAIN;
	len = get_be16(buf);
	if (len < TYPE_LEN + CRYPTO_TAG_LEN ||
	    len > TYPE_LEN + payload_max + CRYPTO_TAG_LEN)
		return -EMSGSIZE;
	if (have - LENGTH_LEN < len)
		return -EAGAIN;

	err = turn_key(k);
	if (err == 0)
		err = aead_open(&k->aead, nonce_of(k), buf, LENGTH_LEN, sealed, len);
	if (err < 0)
		return err;
	if (sealed[0] == 0 || sealed[0] >= RECORD_TYPE_COUNT)
		return -EBADMSG;

	k->counter++;
	ret_rec->type = sealed[0];
	ret_rec->payload = sealed + TYPE_LEN;
	ret_rec->len = len - TYPE_LEN - CRYPTO_TAG_LEN;
	*ret_used = LENGTH_LEN + len;
	return 0;
}
