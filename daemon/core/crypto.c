#include "daemon/core/crypto.h"
#include "common/bytes.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <string.h>

#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

enum {
	HKDF_INFO_MAX = 128, /* label and context */
	CHACHA20_IV_LEN = 16,
};

/* The processor is asked, not libcrypto: it has no call for it on every machine. */
static bool
has_fast_aes(void)
{
#if defined(__x86_64__) || defined(__i386__)
	return __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul");
#elif defined(__aarch64__)
	unsigned long caps = getauxval(AT_HWCAP);

	return (caps & HWCAP_AES) != 0 && (caps & HWCAP_PMULL) != 0;
#else
	return false;
#endif
}

uint8_t
aead_fast_mask(void)
{
	return AEAD_CHACHA20_POLY1305 | (has_fast_aes() ? AEAD_AES_128_GCM : 0);
}

enum aead_alg
aead_choose(uint8_t mask_a, uint8_t mask_b)
{
	return (mask_a & mask_b & AEAD_AES_128_GCM) != 0 ? AEAD_AES_128_GCM
							 : AEAD_CHACHA20_POLY1305;
}

const char *
aead_name(enum aead_alg alg)
{
	return alg == AEAD_AES_128_GCM ? "AES-128-GCM" : "ChaCha20-Poly1305";
}

static const EVP_CIPHER *
cipher_of(enum aead_alg alg)
{
	return alg == AEAD_AES_128_GCM ? EVP_aes_128_gcm() : EVP_chacha20_poly1305();
}

int
aead_init(struct aead *a, enum aead_alg alg, bool seals,
	  const uint8_t key[CRYPTO_KEY_LEN], const uint8_t iv[CRYPTO_IV_LEN])
{
	EVP_CIPHER_CTX *ctx;

	assert(alg == AEAD_CHACHA20_POLY1305 || alg == AEAD_AES_128_GCM);

	ctx = EVP_CIPHER_CTX_new();
	if (ctx == NULL)
		return -ENOMEM;
	if (EVP_CipherInit_ex(ctx, cipher_of(alg), NULL, key, iv, seals) != 1) {
		EVP_CIPHER_CTX_free(ctx);
		return -ENOMEM;
	}
	a->ctx = ctx;
	memcpy(a->iv, iv, CRYPTO_IV_LEN);
	a->alg = alg;
	a->seals = seals;
	return 0;
}

void
aead_done(struct aead *a)
{
	EVP_CIPHER_CTX_free(a->ctx);
	crypto_wipe(a, sizeof(*a));
}

/* Only the nonce changes from packet to packet; the key's schedule stays. */
static bool
begin(struct aead *a, struct aead_nonce nonce, const uint8_t *aad, size_t aad_len)
{
	uint8_t iv[CRYPTO_IV_LEN];
	int n;

	put_be32(iv, nonce.prefix);
	put_be64(iv + 4, nonce.counter);
	for (size_t i = 0; i < CRYPTO_IV_LEN; i++)
		iv[i] ^= a->iv[i];

	return EVP_CipherInit_ex(a->ctx, NULL, NULL, NULL, iv, -1) == 1 &&
	       (aad_len == 0 ||
		EVP_CipherUpdate(a->ctx, NULL, &n, aad, (int)aad_len) == 1);
}

static bool
transform(struct aead *a, uint8_t *buf, size_t len)
{
	int n;

	return len == 0 || EVP_CipherUpdate(a->ctx, buf, &n, buf, (int)len) == 1;
}

int
aead_seal(struct aead *a, struct aead_nonce nonce, const uint8_t *aad, size_t aad_len,
	  uint8_t *buf, size_t len)
{
	uint8_t *tag = buf + len;
	int n;

	assert(a->seals && aad_len <= INT32_MAX && len <= INT32_MAX - CRYPTO_TAG_LEN);

	if (!begin(a, nonce, aad, aad_len) || !transform(a, buf, len) ||
	    EVP_CipherFinal_ex(a->ctx, tag, &n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(a->ctx, EVP_CTRL_AEAD_GET_TAG, CRYPTO_TAG_LEN, tag) !=
		    1)
		return -ENOMEM;
	return 0;
}

int
aead_open(struct aead *a, struct aead_nonce nonce, const uint8_t *aad, size_t aad_len,
	  uint8_t *buf, size_t len)
{
	uint8_t *tag;
	int n;

	assert(!a->seals && aad_len <= INT32_MAX && len <= INT32_MAX);

	if (len < CRYPTO_TAG_LEN)
		return -EBADMSG;
	len -= CRYPTO_TAG_LEN;
	tag = buf + len;

	if (!begin(a, nonce, aad, aad_len) ||
	    EVP_CIPHER_CTX_ctrl(a->ctx, EVP_CTRL_AEAD_SET_TAG, CRYPTO_TAG_LEN, tag) !=
		    1 ||
	    !transform(a, buf, len))
		return -ENOMEM;
	if (EVP_CipherFinal_ex(a->ctx, tag, &n) != 1) {
		/* Nobody may come to use bytes that nobody vouches for. */
		crypto_wipe(buf, len);
		return -EBADMSG;
	}
	return 0;
}

static EVP_PKEY *
private_key(const uint8_t priv[CRYPTO_KEY_LEN])
{
	return EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, priv,
					    CRYPTO_KEY_LEN);
}

int
crypto_x25519(uint8_t ret_shared[CRYPTO_KEY_LEN], const uint8_t priv[CRYPTO_KEY_LEN],
	      const uint8_t pub[CRYPTO_KEY_LEN])
{
	EVP_PKEY *ours = private_key(priv);
	EVP_PKEY *theirs =
		EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, pub, CRYPTO_KEY_LEN);
	EVP_PKEY_CTX *ctx = ours != NULL ? EVP_PKEY_CTX_new(ours, NULL) : NULL;
	uint8_t shared[CRYPTO_KEY_LEN];
	size_t len = sizeof(shared);
	int err = 0;

	if (theirs == NULL || ctx == NULL || EVP_PKEY_derive_init(ctx) != 1 ||
	    EVP_PKEY_derive_set_peer(ctx, theirs) != 1)
		err = -ENOMEM;
	/* libcrypto refuses to derive an all-zero secret. */
	else if (EVP_PKEY_derive(ctx, shared, &len) != 1)
		err = -EBADMSG;
	else
		memcpy(ret_shared, shared, CRYPTO_KEY_LEN);

	crypto_wipe(shared, sizeof(shared));
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(theirs);
	EVP_PKEY_free(ours);
	return err;
}

int
crypto_x25519_public(uint8_t ret_pub[CRYPTO_KEY_LEN],
		     const uint8_t priv[CRYPTO_KEY_LEN])
{
	EVP_PKEY *ours = private_key(priv);
	size_t len = CRYPTO_KEY_LEN;
	int err = 0;

	if (ours == NULL || EVP_PKEY_get_raw_public_key(ours, ret_pub, &len) != 1)
		err = -ENOMEM;
	EVP_PKEY_free(ours);
	return err;
}

int
crypto_sha256(uint8_t ret_hash[CRYPTO_HASH_LEN], const void *data, size_t len)
{
	return SHA256(data, len, ret_hash) != NULL ? 0 : -ENOMEM;
}

int
crypto_hmac(uint8_t ret_mac[CRYPTO_HASH_LEN], const uint8_t *key, size_t key_len,
	    const void *data, size_t len)
{
	assert(key_len <= INT32_MAX);

	return HMAC(EVP_sha256(), key, (int)key_len, data, len, ret_mac, NULL) != NULL
		       ? 0
		       : -ENOMEM;
}

int
crypto_hkdf_extract(uint8_t ret_prk[CRYPTO_HASH_LEN], const uint8_t *salt,
		    size_t salt_len, const uint8_t *ikm, size_t ikm_len)
{
	return crypto_hmac(ret_prk, salt, salt_len, ikm, ikm_len);
}

int
crypto_hkdf_expand(uint8_t *ret_out, size_t out_len, const uint8_t prk[CRYPTO_HASH_LEN],
		   const char *label, const uint8_t *context, size_t context_len)
{
	/* T(i - 1), label, context, i */
	uint8_t in[CRYPTO_HASH_LEN + HKDF_INFO_MAX + 1];
	uint8_t *info = in + CRYPTO_HASH_LEN;
	const size_t label_len = strlen(label);
	const size_t info_len = label_len + context_len;
	const uint8_t *from = info; /* the first block has no T before it */
	int err = 0;

	assert(info_len <= HKDF_INFO_MAX && out_len <= 255 * CRYPTO_HASH_LEN);

	memcpy(info, label, label_len);
	if (context_len > 0)
		memcpy(info + label_len, context, context_len);
	info[info_len] = 0;
	while (out_len > 0 && err == 0) {
		uint8_t block[CRYPTO_HASH_LEN];
		size_t n = min_size(out_len, sizeof(block));

		info[info_len]++;
		err = crypto_hmac(block, prk, CRYPTO_HASH_LEN, from,
				  (size_t)(info + info_len + 1 - from));
		memcpy(in, block, sizeof(block));
		memcpy(ret_out, block, n);
		crypto_wipe(block, sizeof(block));
		from = in;
		ret_out += n;
		out_len -= n;
	}
	crypto_wipe(in, sizeof(in));
	return err;
}

bool
crypto_equal(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}

void
crypto_wipe(void *p, size_t len)
{
	OPENSSL_cleanse(p, len);
}

/* Fills the pool under the key; the pool's first bytes become the next key. */
static int
refill(struct prng *r)
{
	static const uint8_t iv[CHACHA20_IV_LEN];
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n, err = 0;

	memset(r->pool, 0, sizeof(r->pool));
	if (ctx == NULL ||
	    EVP_EncryptInit_ex(ctx, EVP_chacha20(), NULL, r->key, iv) != 1 ||
	    EVP_EncryptUpdate(ctx, r->pool, &n, r->pool, sizeof(r->pool)) != 1)
		err = -ENOMEM;
	EVP_CIPHER_CTX_free(ctx);
	if (err < 0)
		return err;

	memcpy(r->key, r->pool, CRYPTO_KEY_LEN);
	crypto_wipe(r->pool, CRYPTO_KEY_LEN);
	r->left = sizeof(r->pool) - CRYPTO_KEY_LEN;
	return 0;
}

int
prng_init(struct prng *r, const uint8_t seed[CRYPTO_KEY_LEN])
{
	memcpy(r->key, seed, CRYPTO_KEY_LEN);
	r->left = 0;
	return refill(r);
}

int
prng_bytes(struct prng *r, void *ret_buf, size_t len)
{
	uint8_t *out = ret_buf;

	while (len > 0) {
		size_t n = min_size(len, r->left);
		uint8_t *from = r->pool + sizeof(r->pool) - r->left;
		int err;

		if (n == 0) {
			err = refill(r);
			if (err < 0)
				return err;
			continue;
		}
		memcpy(out, from, n);
		crypto_wipe(from, n);
		out += n;
		len -= n;
		r->left -= n;
	}
	return 0;
}

void
prng_done(struct prng *r)
{
	crypto_wipe(r, sizeof(*r));
}
