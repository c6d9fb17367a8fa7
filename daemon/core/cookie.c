#include "daemon/core/cookie.h"

#include "common/bytes.h"

#include <string.h>

static const uint8_t reply_start[4] = {HANDSHAKE_COOKIE};

enum {
	RANDOM_AT = sizeof(reply_start),
	SEALED_AT = RANDOM_AT + COOKIE_RANDOM_LEN,
	SEALED_LEN = COOKIE_LEN + CRYPTO_TAG_LEN,
};
_Static_assert((int)COOKIE_REPLY_LEN < (int)HANDSHAKE_LEN, "a reply amplifies nothing");
_Static_assert((int)COOKIE_LEN <= (int)CRYPTO_HASH_LEN, "a cookie is half an HMAC");

static int
label_key(const uint8_t pub[CRYPTO_KEY_LEN], uint8_t ret_key[CRYPTO_HASH_LEN])
{
	return handshake_label_key("mpproxy/1 cookie", pub, ret_key);
}

int
cookie_maker_init(struct cookie_maker *m, const uint8_t pub[CRYPTO_KEY_LEN],
		  struct prng *rng, ns_t now)
{
	struct cookie_maker work = {.renewed_at = now};
	int err;

	err = label_key(pub, work.reply_key);
	if (err == 0)
		err = prng_bytes(rng, work.secrets, sizeof(work.secrets));
	if (err == 0)
		*m = work;
	cookie_maker_done(&work);
	return err;
}

void
cookie_maker_done(struct cookie_maker *m)
{
	crypto_wipe(m, sizeof(*m));
}

int
cookie_maker_renew(struct cookie_maker *m, struct prng *rng, ns_t now)
{
	const ns_t age = now - m->renewed_at;
	uint8_t fresh[2][CRYPTO_KEY_LEN];
	int err;

	if (age < COOKIE_LIFE)
		return 0;
	err = prng_bytes(rng, fresh, sizeof(fresh));
	if (err == 0) {
		/* After a long silence neither of the two may count any more. */
		if (age < 2 * COOKIE_LIFE)
			memcpy(fresh[1], m->secrets[0], CRYPTO_KEY_LEN);
		memcpy(m->secrets, fresh, sizeof(fresh));
		m->renewed_at = now - age % COOKIE_LIFE;
	}
	crypto_wipe(fresh, sizeof(fresh));
	return err;
}

static int
make_cookie(const uint8_t secret[CRYPTO_KEY_LEN], const struct addr *source,
	    uint8_t ret_cookie[COOKIE_LEN])
{
	struct addr a = *source;
	uint8_t in[1 + sizeof(a.ip) + 2], mac[CRYPTO_HASH_LEN];
	int err;

	addr_unmap(&a);
	in[0] = a.family;
	memcpy(in + 1, a.ip, sizeof(a.ip));
	put_be16(in + 1 + sizeof(a.ip), a.port);
	err = crypto_hmac(mac, secret, CRYPTO_KEY_LEN, in, sizeof(in));
	if (err == 0)
		memcpy(ret_cookie, mac, COOKIE_LEN);
	return err;
}

static int
mac2(const uint8_t cookie[COOKIE_LEN], const uint8_t msg[HANDSHAKE_LEN],
     uint8_t ret_mac[HANDSHAKE_MAC_LEN])
{
	uint8_t mac[CRYPTO_HASH_LEN];
	int err;

	err = crypto_hmac(mac, cookie, COOKIE_LEN, msg, HANDSHAKE_MAC2_AT);
	if (err == 0)
		memcpy(ret_mac, mac, HANDSHAKE_MAC_LEN);
	return err;
}

static bool
is_by_secret(const uint8_t secret[CRYPTO_KEY_LEN], const struct addr *source,
	     const uint8_t msg[HANDSHAKE_LEN])
{
	uint8_t cookie[COOKIE_LEN], mac[HANDSHAKE_MAC_LEN];

	return make_cookie(secret, source, cookie) == 0 &&
	       mac2(cookie, msg, mac) == 0 &&
	       crypto_equal(mac, msg + HANDSHAKE_MAC2_AT, sizeof(mac));
}

bool
cookie_mac2_ok(const struct cookie_maker *m, const struct addr *source,
	       const uint8_t msg[HANDSHAKE_LEN])
{
	static const uint8_t none[HANDSHAKE_MAC_LEN];

	/* Most have no cookie yet: that is seen without an HMAC. */
	if (memcmp(msg + HANDSHAKE_MAC2_AT, none, sizeof(none)) == 0)
		return false;
	return is_by_secret(m->secrets[0], source, msg) ||
	       is_by_secret(m->secrets[1], source, msg);
}

/* The AEAD of the reply with this random part; its key seals once. */
static int
init_cipher(struct aead *ret_aead, bool seals, const uint8_t reply_key[CRYPTO_HASH_LEN],
	    const uint8_t random[COOKIE_RANDOM_LEN])
{
	static const uint8_t iv[CRYPTO_IV_LEN];
	uint8_t key[CRYPTO_HASH_LEN];
	int err;

	err = crypto_hmac(key, reply_key, CRYPTO_HASH_LEN, random, COOKIE_RANDOM_LEN);
	if (err == 0)
		err = aead_init(ret_aead, AEAD_CHACHA20_POLY1305, seals, key, iv);
	crypto_wipe(key, sizeof(key));
	return err;
}

static const struct aead_nonce first;

int
cookie_reply(const struct cookie_maker *m, struct prng *rng, const struct addr *source,
	     const uint8_t msg[HANDSHAKE_LEN], uint8_t ret_reply[COOKIE_REPLY_LEN])
{
	uint8_t reply[COOKIE_REPLY_LEN];
	struct aead a;
	int err;

	memcpy(reply, reply_start, sizeof(reply_start));
	err = prng_bytes(rng, reply + RANDOM_AT, COOKIE_RANDOM_LEN);
	if (err == 0)
		err = make_cookie(m->secrets[0], source, reply + SEALED_AT);
	if (err == 0)
		err = init_cipher(&a, true, m->reply_key, reply + RANDOM_AT);
	if (err < 0)
		return err;
	err = aead_seal(&a, first, msg + HANDSHAKE_MAC1_AT, HANDSHAKE_MAC_LEN,
			reply + SEALED_AT, COOKIE_LEN);
	aead_done(&a);
	if (err == 0)
		memcpy(ret_reply, reply, sizeof(reply));
	return err;
}

int
cookie_open(const uint8_t server_pub[CRYPTO_KEY_LEN], const uint8_t msg[HANDSHAKE_LEN],
	    const uint8_t reply[COOKIE_REPLY_LEN], uint8_t ret_cookie[COOKIE_LEN])
{
	uint8_t reply_key[CRYPTO_HASH_LEN], sealed[SEALED_LEN];
	struct aead a;
	int err;

	if (memcmp(reply, reply_start, sizeof(reply_start)) != 0)
		return -EBADMSG;
	memcpy(sealed, reply + SEALED_AT, sizeof(sealed));
	err = label_key(server_pub, reply_key);
	if (err == 0)
		err = init_cipher(&a, false, reply_key, reply + RANDOM_AT);
	if (err < 0)
		return err;
	err = aead_open(&a, first, msg + HANDSHAKE_MAC1_AT, HANDSHAKE_MAC_LEN, sealed,
			sizeof(sealed));
	aead_done(&a);
	if (err == 0)
		memcpy(ret_cookie, sealed, COOKIE_LEN);
	return err;
}

int
cookie_put_mac2(const uint8_t cookie[COOKIE_LEN], uint8_t msg[HANDSHAKE_LEN])
{
	return mac2(cookie, msg, msg + HANDSHAKE_MAC2_AT);
}
