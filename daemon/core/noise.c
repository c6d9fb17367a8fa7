#include "daemon/core/noise.h"

#include <string.h>

static const char protocol_name[] = "Noise_IKpsk2_25519_ChaChaPoly_SHA256";

enum { PUBLIC_SEALED_LEN = CRYPTO_KEY_LEN + CRYPTO_TAG_LEN };

/*
 * MixHash, MixKey, EncryptAndHash, DecryptAndHash: revision 34, 5.2. These
 * change `ns` even when they fail; the functions for whole messages work on a
 * copy of the state.
 */
static int
mix_hash(struct noise *ns, const void *data, size_t len)
{
	uint8_t in[CRYPTO_HASH_LEN + NOISE_PAYLOAD_MAX + CRYPTO_TAG_LEN];

	assert(len <= sizeof(in) - CRYPTO_HASH_LEN);

	memcpy(in, ns->hash, CRYPTO_HASH_LEN);
	if (len > 0)
		memcpy(in + CRYPTO_HASH_LEN, data, len);
	return crypto_sha256(ns->hash, in, CRYPTO_HASH_LEN + len);
}

/* Noise's HKDF is RFC 5869's with the chaining key as salt and no info. */
static int
chain_hkdf(const uint8_t chain[CRYPTO_HASH_LEN], const uint8_t *input, size_t input_len,
	   uint8_t *ret_out, size_t out_len)
{
	uint8_t prk[CRYPTO_HASH_LEN];
	int err;

	err = crypto_hkdf_extract(prk, chain, CRYPTO_HASH_LEN, input, input_len);
	if (err == 0)
		err = crypto_hkdf_expand(ret_out, out_len, prk, "", NULL, 0);
	crypto_wipe(prk, sizeof(prk));
	return err;
}

static int
mix_key(struct noise *ns, const uint8_t input[CRYPTO_KEY_LEN])
{
	uint8_t out[2 * CRYPTO_HASH_LEN];
	int err;

	err = chain_hkdf(ns->chain, input, CRYPTO_KEY_LEN, out, sizeof(out));
	if (err == 0) {
		memcpy(ns->chain, out, CRYPTO_HASH_LEN);
		memcpy(ns->key, out + CRYPTO_HASH_LEN, CRYPTO_KEY_LEN);
	}
	crypto_wipe(out, sizeof(out));
	return err;
}

static int
mix_key_and_hash(struct noise *ns, const uint8_t psk[CRYPTO_KEY_LEN])
{
	uint8_t out[3 * CRYPTO_HASH_LEN];
	int err;

	err = chain_hkdf(ns->chain, psk, CRYPTO_KEY_LEN, out, sizeof(out));
	if (err == 0) {
		memcpy(ns->chain, out, CRYPTO_HASH_LEN);
		err = mix_hash(ns, out + CRYPTO_HASH_LEN, CRYPTO_HASH_LEN);
		memcpy(ns->key, out + 2 * CRYPTO_HASH_LEN, CRYPTO_KEY_LEN);
	}
	crypto_wipe(out, sizeof(out));
	return err;
}

static int
mix_dh(struct noise *ns, const uint8_t priv[CRYPTO_KEY_LEN],
       const uint8_t pub[CRYPTO_KEY_LEN])
{
	uint8_t shared[CRYPTO_KEY_LEN];
	int err;

	err = crypto_x25519(shared, priv, pub);
	if (err == 0)
		err = mix_key(ns, shared);
	crypto_wipe(shared, sizeof(shared));
	return err;
}

/* In this pattern each key seals one thing only, so that n is always 0. */
static const struct aead_nonce first;

static int
init_cipher(const struct noise *ns, bool seals, struct aead *ret_aead)
{
	static const uint8_t iv[CRYPTO_IV_LEN];

	return aead_init(ret_aead, AEAD_CHACHA20_POLY1305, seals, ns->key, iv);
}

static int
encrypt_and_hash(struct noise *ns, const uint8_t *plain, size_t len,
		 uint8_t *ret_sealed)
{
	struct aead a;
	int err;

	err = init_cipher(ns, true, &a);
	if (err < 0)
		return err;
	if (len > 0)
		memcpy(ret_sealed, plain, len);
	err = aead_seal(&a, first, ns->hash, CRYPTO_HASH_LEN, ret_sealed, len);
	aead_done(&a);
	if (err == 0)
		err = mix_hash(ns, ret_sealed, len + CRYPTO_TAG_LEN);
	return err;
}

/* `sealed` has `len` bytes and the tag. */
static int
decrypt_and_hash(struct noise *ns, const uint8_t *sealed, size_t len,
		 uint8_t *ret_plain)
{
	uint8_t buf[NOISE_PAYLOAD_MAX + CRYPTO_TAG_LEN];
	struct aead a;
	int err;

	assert(len <= NOISE_PAYLOAD_MAX);

	err = init_cipher(ns, false, &a);
	if (err < 0)
		return err;
	memcpy(buf, sealed, len + CRYPTO_TAG_LEN);
	err = aead_open(&a, first, ns->hash, CRYPTO_HASH_LEN, buf,
			len + CRYPTO_TAG_LEN);
	aead_done(&a);
	if (err == 0)
		err = mix_hash(ns, sealed, len + CRYPTO_TAG_LEN);
	if (err == 0 && len > 0)
		memcpy(ret_plain, buf, len);
	crypto_wipe(buf, sizeof(buf));
	return err;
}

/* Token e; with a psk in the pattern it is mixed into the key too (9.2). */
static int
write_e(struct noise *ns, const uint8_t ephemeral[CRYPTO_KEY_LEN],
	uint8_t ret_pub[CRYPTO_KEY_LEN])
{
	int err;

	memcpy(ns->ephemeral_priv, ephemeral, CRYPTO_KEY_LEN);
	err = crypto_x25519_public(ret_pub, ephemeral);
	if (err == 0)
		err = mix_hash(ns, ret_pub, CRYPTO_KEY_LEN);
	if (err == 0)
		err = mix_key(ns, ret_pub);
	return err;
}

static int
read_e(struct noise *ns, const uint8_t pub[CRYPTO_KEY_LEN])
{
	int err;

	memcpy(ns->peer_ephemeral, pub, CRYPTO_KEY_LEN);
	err = mix_hash(ns, pub, CRYPTO_KEY_LEN);
	if (err == 0)
		err = mix_key(ns, pub);
	return err;
}

/* The new state takes effect when all went well, else it is forgotten. */
static int
commit(struct noise *ns, struct noise *work, enum noise_step next, int err)
{
	if (err == 0) {
		work->step = next;
		*ns = *work;
	}
	crypto_wipe(work, sizeof(*work));
	return err;
}

/* Initialize(): the name is longer than a hash, so that its hash stands for it. */
static int
init(struct noise *ns, const void *prologue, size_t prologue_len,
     const uint8_t priv[CRYPTO_KEY_LEN])
{
	int err;

	assert(prologue_len <= NOISE_PAYLOAD_MAX);

	memcpy(ns->static_priv, priv, CRYPTO_KEY_LEN);
	err = crypto_sha256(ns->hash, protocol_name, sizeof(protocol_name) - 1);
	memcpy(ns->chain, ns->hash, CRYPTO_HASH_LEN);
	if (err == 0)
		err = mix_hash(ns, prologue, prologue_len);
	if (err == 0)
		err = crypto_x25519_public(ns->static_pub, priv);
	return err;
}

int
noise_init_initiator(struct noise *ns, const void *prologue, size_t prologue_len,
		     const uint8_t priv[CRYPTO_KEY_LEN],
		     const uint8_t responder_pub[CRYPTO_KEY_LEN])
{
	struct noise work = {0};
	int err;

	err = init(&work, prologue, prologue_len, priv);
	memcpy(work.peer_static, responder_pub, CRYPTO_KEY_LEN);
	if (err == 0)
		err = mix_hash(&work, responder_pub, CRYPTO_KEY_LEN);
	return commit(ns, &work, NOISE_WRITE_1, err);
}

int
noise_init_responder(struct noise *ns, const void *prologue, size_t prologue_len,
		     const uint8_t priv[CRYPTO_KEY_LEN])
{
	struct noise work = {0};
	int err;

	err = init(&work, prologue, prologue_len, priv);
	if (err == 0)
		err = mix_hash(&work, work.static_pub, CRYPTO_KEY_LEN);
	return commit(ns, &work, NOISE_READ_1, err);
}

/* e, es, s, ss */
int
noise_write_1(struct noise *ns, const uint8_t ephemeral[CRYPTO_KEY_LEN],
	      const uint8_t *payload, size_t len, uint8_t *ret_msg)
{
	uint8_t msg[NOISE_OVERHEAD_1 + NOISE_PAYLOAD_MAX];
	uint8_t *sealed_s = msg + CRYPTO_KEY_LEN;
	struct noise work = *ns;
	int err;

	assert(ns->step == NOISE_WRITE_1 && len <= NOISE_PAYLOAD_MAX);

	err = write_e(&work, ephemeral, msg);
	if (err == 0)
		err = mix_dh(&work, work.ephemeral_priv, work.peer_static);
	if (err == 0)
		err = encrypt_and_hash(&work, work.static_pub, CRYPTO_KEY_LEN,
				       sealed_s);
	if (err == 0)
		err = mix_dh(&work, work.static_priv, work.peer_static);
	if (err == 0)
		err = encrypt_and_hash(&work, payload, len,
				       sealed_s + PUBLIC_SEALED_LEN);
	if (err == 0)
		memcpy(ret_msg, msg, NOISE_OVERHEAD_1 + len);
	return commit(ns, &work, NOISE_READ_2, err);
}

int
noise_read_1(struct noise *ns, const uint8_t *msg, size_t len, uint8_t *ret_payload)
{
	const uint8_t *sealed_s = msg + CRYPTO_KEY_LEN;
	struct noise work = *ns;
	int err;

	assert(ns->step == NOISE_READ_1);

	if (len < NOISE_OVERHEAD_1 || len > NOISE_OVERHEAD_1 + NOISE_PAYLOAD_MAX)
		return -EBADMSG;
	err = read_e(&work, msg);
	if (err == 0)
		err = mix_dh(&work, work.static_priv, work.peer_ephemeral);
	if (err == 0)
		err = decrypt_and_hash(&work, sealed_s, CRYPTO_KEY_LEN,
				       work.peer_static);
	if (err == 0)
		err = mix_dh(&work, work.static_priv, work.peer_static);
	if (err == 0)
		err = decrypt_and_hash(&work, sealed_s + PUBLIC_SEALED_LEN,
				       len - NOISE_OVERHEAD_1, ret_payload);
	return commit(ns, &work, NOISE_WRITE_2, err);
}

/* e, ee, se, psk */
int
noise_write_2(struct noise *ns, const uint8_t ephemeral[CRYPTO_KEY_LEN],
	      const uint8_t psk[CRYPTO_KEY_LEN], const uint8_t *payload, size_t len,
	      uint8_t *ret_msg)
{
	uint8_t msg[NOISE_OVERHEAD_2 + NOISE_PAYLOAD_MAX];
	struct noise work = *ns;
	int err;

	assert(ns->step == NOISE_WRITE_2 && len <= NOISE_PAYLOAD_MAX);

	err = write_e(&work, ephemeral, msg);
	if (err == 0)
		err = mix_dh(&work, work.ephemeral_priv, work.peer_ephemeral);
	if (err == 0)
		err = mix_dh(&work, work.ephemeral_priv, work.peer_static);
	if (err == 0)
		err = mix_key_and_hash(&work, psk);
	if (err == 0)
		err = encrypt_and_hash(&work, payload, len, msg + CRYPTO_KEY_LEN);
	if (err == 0)
		memcpy(ret_msg, msg, NOISE_OVERHEAD_2 + len);
	return commit(ns, &work, NOISE_SPLIT, err);
}

int
noise_read_2(struct noise *ns, const uint8_t psk[CRYPTO_KEY_LEN], const uint8_t *msg,
	     size_t len, uint8_t *ret_payload)
{
	struct noise work = *ns;
	int err;

	assert(ns->step == NOISE_READ_2);

	if (len < NOISE_OVERHEAD_2 || len > NOISE_OVERHEAD_2 + NOISE_PAYLOAD_MAX)
		return -EBADMSG;
	err = read_e(&work, msg);
	if (err == 0)
		err = mix_dh(&work, work.ephemeral_priv, work.peer_ephemeral);
	if (err == 0)
		err = mix_dh(&work, work.static_priv, work.peer_ephemeral);
	if (err == 0)
		err = mix_key_and_hash(&work, psk);
	if (err == 0)
		err = decrypt_and_hash(&work, msg + CRYPTO_KEY_LEN,
				       len - NOISE_OVERHEAD_2, ret_payload);
	return commit(ns, &work, NOISE_SPLIT, err);
}

int
noise_split(const struct noise *ns, uint8_t ret_k1[CRYPTO_KEY_LEN],
	    uint8_t ret_k2[CRYPTO_KEY_LEN])
{
	uint8_t out[2 * CRYPTO_KEY_LEN];
	int err;

	assert(ns->step == NOISE_SPLIT);

	err = chain_hkdf(ns->chain, NULL, 0, out, sizeof(out));
	if (err == 0) {
		memcpy(ret_k1, out, CRYPTO_KEY_LEN);
		memcpy(ret_k2, out + CRYPTO_KEY_LEN, CRYPTO_KEY_LEN);
	}
	crypto_wipe(out, sizeof(out));
	return err;
}

void
noise_done(struct noise *ns)
{
	crypto_wipe(ns, sizeof(*ns));
}
