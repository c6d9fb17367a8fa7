#include "daemon/core/handshake.h"
#include "common/bytes.h"

#include <string.h>

enum {
	NOISE_AT = HANDSHAKE_NOISE_AT,
	MAC1_AT = HANDSHAKE_MAC1_AT,
	MAC2_AT = HANDSHAKE_MAC2_AT,
	LABEL_MAX = 32,
};
_Static_assert(HANDSHAKE_NOISE_LEN == NOISE_OVERHEAD_2 + HANDSHAKE_ANSWER_LEN,
	       "both messages have one size, so that they look alike");

enum { INDEX_MASK = 0xffffff, FLAG_AUTH_ONLY = 1 };

int
handshake_label_key(const char *label, const uint8_t pub[CRYPTO_KEY_LEN],
		    uint8_t ret_key[CRYPTO_HASH_LEN])
{
	uint8_t in[LABEL_MAX + CRYPTO_KEY_LEN];
	const size_t len = strlen(label);

	assert(len <= LABEL_MAX);

	memcpy(in, label, len);
	memcpy(in + len, pub, CRYPTO_KEY_LEN);
	return crypto_sha256(ret_key, in, len + CRYPTO_KEY_LEN);
}

static int
mac1(const uint8_t msg[HANDSHAKE_LEN], const uint8_t receiver_pub[CRYPTO_KEY_LEN],
     uint8_t ret_mac[HANDSHAKE_MAC_LEN])
{
	uint8_t key[CRYPTO_HASH_LEN], mac[CRYPTO_HASH_LEN];
	int err;

	err = handshake_label_key("mpproxy/1 mac1", receiver_pub, key);
	if (err == 0)
		err = crypto_hmac(mac, key, sizeof(key), msg, MAC1_AT);
	if (err == 0)
		memcpy(ret_mac, mac, HANDSHAKE_MAC_LEN);
	return err;
}

/* Puts type, MAC1 and MAC2 around the Noise message that is there. */
static int
frame(uint8_t msg[HANDSHAKE_LEN], uint8_t type,
      const uint8_t receiver_pub[CRYPTO_KEY_LEN])
{
	memset(msg, 0, NOISE_AT);
	msg[0] = type;
	memset(msg + MAC2_AT, 0, HANDSHAKE_MAC_LEN);
	return mac1(msg, receiver_pub, msg + MAC1_AT);
}

static bool
is_framed(const uint8_t msg[HANDSHAKE_LEN], uint8_t type,
	  const uint8_t receiver_pub[CRYPTO_KEY_LEN])
{
	const uint8_t start[NOISE_AT] = {type};
	uint8_t mac[HANDSHAKE_MAC_LEN];

	return memcmp(msg, start, sizeof(start)) == 0 &&
	       mac1(msg, receiver_pub, mac) == 0 &&
	       crypto_equal(mac, msg + MAC1_AT, sizeof(mac));
}

static bool
is_mac2_zero(const uint8_t msg[HANDSHAKE_LEN])
{
	static const uint8_t zero[HANDSHAKE_MAC_LEN];

	return memcmp(msg + MAC2_AT, zero, sizeof(zero)) == 0;
}

static void
put_offer(uint8_t p[HANDSHAKE_OFFER_LEN], const struct handshake_offer *offer)
{
	memset(p, 0, HANDSHAKE_OFFER_LEN);
	p[0] = offer->version;
	p[1] = offer->aead_mask;
	put_be16(p + 2, offer->features);
	put_be32(p + 4, offer->session_index);
}

static struct handshake_offer
get_offer(const uint8_t p[HANDSHAKE_OFFER_LEN])
{
	struct handshake_offer offer = {.version = p[0]};

	if (offer.version != HANDSHAKE_VERSION)
		return offer;
	offer.aead_mask = p[1];
	offer.features = get_be16(p + 2);
	offer.session_index = get_be32(p + 4) & INDEX_MASK;
	return offer;
}

static void
put_answer(uint8_t p[HANDSHAKE_ANSWER_LEN], const struct handshake_answer *answer)
{
	memset(p, 0, HANDSHAKE_ANSWER_LEN);
	p[0] = answer->version;
	p[1] = answer->aead;
	put_be16(p + 2, answer->features);
	put_be32(p + 4, answer->session_index);
	put_be32(p + 8, answer->max_streams);
	p[12] = answer->allow_auth_only ? FLAG_AUTH_ONLY : 0;
	memcpy(p + 16, answer->boot_id, sizeof(answer->boot_id));
}

static struct handshake_answer
get_answer(const uint8_t p[HANDSHAKE_ANSWER_LEN])
{
	struct handshake_answer answer = {.version = p[0]};

	if (answer.version != HANDSHAKE_VERSION)
		return answer;
	answer.aead = p[1];
	answer.features = get_be16(p + 2);
	answer.session_index = get_be32(p + 4) & INDEX_MASK;
	answer.max_streams = get_be32(p + 8);
	answer.allow_auth_only = (p[12] & FLAG_AUTH_ONLY) != 0;
	memcpy(answer.boot_id, p + 16, sizeof(answer.boot_id));
	return answer;
}

struct prologue {
	uint8_t bytes[LABEL_MAX + CRYPTO_HASH_LEN];
	size_t len;
};

static struct prologue
prologue_of(enum handshake_transport transport)
{
	const char *text =
		transport == HANDSHAKE_UDP ? "mpproxy/1 udp" : "mpproxy/1 mptcp";
	struct prologue p = {.len = strlen(text)};

	memcpy(p.bytes, text, p.len);
	return p;
}

static struct prologue
prologue_of_rekey(const uint8_t in_use[CRYPTO_HASH_LEN])
{
	static const char text[] = "mpproxy/1 udp rekey";
	struct prologue p = {.len = strlen(text)};

	memcpy(p.bytes, text, p.len);
	memcpy(p.bytes + p.len, in_use, CRYPTO_HASH_LEN);
	p.len += CRYPTO_HASH_LEN;
	return p;
}

static int
expand_all(const uint8_t prk[CRYPTO_HASH_LEN], struct handshake_keys *k)
{
	const struct {
		const char *label;
		uint8_t *out;
		size_t len;
	} rows[] = {
		{"mpproxy/1 key up", k->key_up, sizeof(k->key_up)},
		{"mpproxy/1 iv up", k->iv_up, sizeof(k->iv_up)},
		{"mpproxy/1 key down", k->key_down, sizeof(k->key_down)},
		{"mpproxy/1 iv down", k->iv_down, sizeof(k->iv_down)},
		{"mpproxy/1 key a", k->key_a, sizeof(k->key_a)},
		{"mpproxy/1 key b", k->key_b, sizeof(k->key_b)},
		{"mpproxy/1 stream secret", k->stream_secret, sizeof(k->stream_secret)},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int err = crypto_hkdf_expand(rows[i].out, rows[i].len, prk,
					     rows[i].label, NULL, 0);

		if (err < 0)
			return err;
	}
	return 0;
}

static int
derive_keys(const struct noise *ns, struct handshake_keys *ret_keys)
{
	uint8_t split[2 * CRYPTO_KEY_LEN], prk[CRYPTO_HASH_LEN];
	struct handshake_keys keys;
	int err;

	err = noise_split(ns, split, split + CRYPTO_KEY_LEN);
	if (err == 0)
		err = crypto_hkdf_extract(prk, ns->hash, sizeof(ns->hash), split,
					  sizeof(split));
	if (err == 0)
		err = expand_all(prk, &keys);
	if (err == 0) {
		memcpy(keys.hash, ns->hash, sizeof(keys.hash));
		*ret_keys = keys;
	}
	crypto_wipe(split, sizeof(split));
	crypto_wipe(prk, sizeof(prk));
	crypto_wipe(&keys, sizeof(keys));
	return err;
}

static int
start(struct handshake *h, const struct prologue *prologue, struct prng *rng,
      const struct handshake_secrets *secrets, const struct handshake_offer *offer,
      uint8_t ret_msg[HANDSHAKE_LEN])
{
	struct handshake work = {.aead_mask = offer->aead_mask};
	uint8_t ephemeral[CRYPTO_KEY_LEN], payload[HANDSHAKE_OFFER_LEN];
	uint8_t msg[HANDSHAKE_LEN];
	int err;

	assert((offer->aead_mask & AEAD_CHACHA20_POLY1305) != 0);
	assert(offer->session_index <= INDEX_MASK);

	memcpy(work.peer_public, secrets->peer_pub, CRYPTO_KEY_LEN);
	memcpy(work.psk, secrets->psk, CRYPTO_KEY_LEN);
	put_offer(payload, offer);
	err = noise_init_initiator(&work.noise, prologue->bytes, prologue->len,
				   secrets->priv, secrets->peer_pub);
	if (err == 0)
		err = prng_bytes(rng, ephemeral, sizeof(ephemeral));
	if (err == 0)
		err = noise_write_1(&work.noise, ephemeral, payload, sizeof(payload),
				    msg + NOISE_AT);
	if (err == 0)
		err = frame(msg, HANDSHAKE_INITIATION, secrets->peer_pub);
	if (err == 0) {
		*h = work;
		memcpy(ret_msg, msg, sizeof(msg));
	}
	crypto_wipe(ephemeral, sizeof(ephemeral));
	handshake_done(&work);
	return err;
}

int
handshake_start(struct handshake *h, enum handshake_transport transport,
		struct prng *rng, const struct handshake_secrets *secrets,
		const struct handshake_offer *offer, uint8_t ret_msg[HANDSHAKE_LEN])
{
	const struct prologue prologue = prologue_of(transport);

	return start(h, &prologue, rng, secrets, offer, ret_msg);
}

int
handshake_start_rekey(struct handshake *h, const uint8_t in_use[CRYPTO_HASH_LEN],
		      struct prng *rng, const struct handshake_secrets *secrets,
		      const struct handshake_offer *offer,
		      uint8_t ret_msg[HANDSHAKE_LEN])
{
	const struct prologue prologue = prologue_of_rekey(in_use);

	return start(h, &prologue, rng, secrets, offer, ret_msg);
}

/* Whether the server that wrote `answer` can be worked with. */
static int
judge_answer(const struct handshake_answer *answer, uint8_t aead_mask)
{
	if (answer->version != HANDSHAKE_VERSION || answer->aead == 0)
		return -EPROTONOSUPPORT;
	if (answer->aead != AEAD_CHACHA20_POLY1305 &&
	    answer->aead != (aead_mask & AEAD_AES_128_GCM))
		return -EPROTO;
	return 0;
}

int
handshake_finish(struct handshake *h, const uint8_t msg[HANDSHAKE_LEN],
		 struct handshake_answer *ret_answer, struct handshake_keys *ret_keys)
{
	struct noise work = h->noise;
	struct handshake_answer answer;
	uint8_t payload[HANDSHAKE_ANSWER_LEN];
	int err;

	if (!is_framed(msg, HANDSHAKE_RESPONSE, work.static_pub) || !is_mac2_zero(msg))
		err = -EBADMSG;
	else
		err = noise_read_2(&work, h->psk, msg + NOISE_AT, HANDSHAKE_NOISE_LEN,
				   payload);
	if (err < 0)
		goto out;

	answer = get_answer(payload);
	err = judge_answer(&answer, h->aead_mask);
	if (err == 0)
		err = derive_keys(&work, ret_keys);
	if (err == 0)
		h->noise = work;
	if (err == 0 || err == -EPROTONOSUPPORT)
		*ret_answer = answer;
out:
	noise_done(&work);
	return err;
}

bool
handshake_mac1_ok(const uint8_t msg[HANDSHAKE_LEN], const uint8_t pub[CRYPTO_KEY_LEN])
{
	return is_framed(msg, HANDSHAKE_INITIATION, pub);
}

static int
receive(struct handshake *h, const struct prologue *prologue,
	const uint8_t priv[CRYPTO_KEY_LEN], const uint8_t msg[HANDSHAKE_LEN],
	struct handshake_offer *ret_offer)
{
	struct handshake work = {0};
	uint8_t payload[HANDSHAKE_OFFER_LEN];
	int err;

	err = noise_init_responder(&work.noise, prologue->bytes, prologue->len, priv);
	if (err == 0)
		err = noise_read_1(&work.noise, msg + NOISE_AT, HANDSHAKE_NOISE_LEN,
				   payload);
	if (err == 0) {
		memcpy(work.peer_public, work.noise.peer_static, CRYPTO_KEY_LEN);
		*h = work;
		*ret_offer = get_offer(payload);
	}
	handshake_done(&work);
	return err;
}

int
handshake_receive(struct handshake *h, enum handshake_transport transport,
		  const uint8_t priv[CRYPTO_KEY_LEN], const uint8_t msg[HANDSHAKE_LEN],
		  struct handshake_offer *ret_offer)
{
	const struct prologue prologue = prologue_of(transport);

	if (transport == HANDSHAKE_MPTCP && !is_mac2_zero(msg))
		return -EBADMSG;
	return receive(h, &prologue, priv, msg, ret_offer);
}

int
handshake_receive_rekey(struct handshake *h, const uint8_t in_use[CRYPTO_HASH_LEN],
			const struct handshake_secrets *secrets,
			const uint8_t msg[HANDSHAKE_LEN])
{
	const struct prologue prologue = prologue_of_rekey(in_use);
	uint8_t pub[CRYPTO_KEY_LEN];
	struct handshake_offer offer;
	struct handshake work;
	int err = crypto_x25519_public(pub, secrets->priv);

	if (err == 0 && (!handshake_mac1_ok(msg, pub) || !is_mac2_zero(msg)))
		err = -EBADMSG;
	if (err == 0)
		err = receive(&work, &prologue, secrets->priv, msg, &offer);
	if (err < 0)
		return err;
	if (offer.version == HANDSHAKE_VERSION &&
	    crypto_equal(work.peer_public, secrets->peer_pub, CRYPTO_KEY_LEN))
		*h = work;
	else
		err = -EBADMSG;
	handshake_done(&work);
	return err;
}

int
handshake_respond(struct handshake *h, struct prng *rng,
		  const uint8_t psk[CRYPTO_KEY_LEN],
		  const struct handshake_answer *answer, uint8_t ret_msg[HANDSHAKE_LEN],
		  struct handshake_keys *ret_keys)
{
	struct noise work = h->noise;
	uint8_t ephemeral[CRYPTO_KEY_LEN], payload[HANDSHAKE_ANSWER_LEN];
	uint8_t msg[HANDSHAKE_LEN];
	int err;

	assert(answer->session_index <= INDEX_MASK);

	put_answer(payload, answer);
	err = prng_bytes(rng, ephemeral, sizeof(ephemeral));
	if (err == 0)
		err = noise_write_2(&work, ephemeral, psk, payload, sizeof(payload),
				    msg + NOISE_AT);
	if (err == 0)
		err = frame(msg, HANDSHAKE_RESPONSE, h->peer_public);
	if (err == 0 && answer->aead != 0)
		err = derive_keys(&work, ret_keys);
	if (err == 0) {
		h->noise = work;
		memcpy(ret_msg, msg, sizeof(msg));
	}
	crypto_wipe(ephemeral, sizeof(ephemeral));
	noise_done(&work);
	return err;
}

void
handshake_done(struct handshake *h)
{
	crypto_wipe(h, sizeof(*h));
}
