#include "tests/unit/unit.h"

#include "tests/unit/udpserver.h"

#include "common/bytes.h"

#include <stdlib.h>
#include <string.h>

static const struct handshake_offer offer = {
	.version = HANDSHAKE_VERSION,
	.aead_mask = AEAD_CHACHA20_POLY1305 | AEAD_AES_128_GCM,
	.session_index = 0xc11e47,
};

static void
draw(struct prng *rng, void *ret, size_t len)
{
	assert_int_equal(prng_bytes(rng, ret, len), 0);
}

struct udpserver *
udpserver_new(unsigned seed)
{
	struct udpserver *s = calloc(1, sizeof(*s));
	uint8_t bytes[CRYPTO_KEY_LEN] = {0};

	assert_non_null(s);
	put_be32(bytes, seed);
	assert_int_equal(prng_init(&s->rng, bytes), 0);
	draw(&s->rng, s->priv, sizeof(s->priv));
	assert_int_equal(crypto_x25519_public(s->pub, s->priv), 0);
	for (unsigned i = 0; i <= UDPSERVER_CLIENTS; i++) {
		draw(&s->rng, s->clients[i].priv, CRYPTO_KEY_LEN);
		draw(&s->rng, s->clients[i].psk, CRYPTO_KEY_LEN);
		assert_int_equal(
			crypto_x25519_public(s->clients[i].pub, s->clients[i].priv), 0);
		responder_peer_init(&s->clients[i].peer);
	}
	draw(&s->rng, bytes, sizeof(bytes));
	assert_int_equal(
		responder_init(&s->responder, HANDSHAKE_UDP, s->priv, bytes, 0), 0);
	return s;
}

void
udpserver_free(struct udpserver *s)
{
	for (unsigned i = 0; i <= UDPSERVER_CLIENTS; i++)
		responder_peer_done(&s->responder, &s->clients[i].peer);
	assert_int_equal(s->responder.n_pending, 0);
	responder_done(&s->responder);
	free(s);
}

struct handshake_secrets
udpserver_secrets(const struct udpserver *s, unsigned who)
{
	return (struct handshake_secrets){s->clients[who].priv, s->pub,
					  s->clients[who].psk};
}

void
udpserver_initiate(struct udpserver *s, unsigned who, struct handshake *ret_h,
		   uint8_t ret_msg[HANDSHAKE_LEN])
{
	struct handshake_secrets secrets = udpserver_secrets(s, who);

	assert_int_equal(handshake_start(ret_h, HANDSHAKE_UDP, &s->rng, &secrets,
					 &offer, ret_msg),
			 0);
}

void
udpserver_initiator(struct udpserver *s, unsigned who, ns_t now,
		    struct initiator *ret_i)
{
	struct handshake_secrets secrets = udpserver_secrets(s, who);
	uint8_t seed[CRYPTO_KEY_LEN];

	draw(&s->rng, seed, sizeof(seed));
	assert_int_equal(initiator_init(ret_i, &secrets, &offer, seed, now), 0);
}

/* What the daemon does with a question. */
static int
answer(struct udpserver *s, struct responder_question *q, ns_t now)
{
	struct handshake_answer a = {
		.aead = (uint8_t)aead_choose(q->offer.aead_mask, AEAD_AES_128_GCM),
		.max_streams = UDPSERVER_STREAMS,
		.boot_id = {1, 2, 3, 4, 5, 6, 7, 8},
	};

	for (unsigned i = 0; i < UDPSERVER_CLIENTS; i++) {
		if (memcmp(s->clients[i].pub, q->handshake.peer_public,
			   CRYPTO_KEY_LEN) != 0)
			continue;
		if (responder_draw_index(&s->responder, &a.session_index) < 0) {
			responder_refuse(q);
			return -ENOMEM;
		}
		return responder_answer(&s->responder, q, &s->clients[i].peer,
					s->clients[i].psk, &a, now);
	}
	responder_refuse(q);
	return -ENOENT;
}

size_t
udpserver_take(struct udpserver *s, const struct addr *source, const void *data,
	       size_t len, ns_t now, uint8_t ret_reply[HANDSHAKE_LEN])
{
	struct responder_question q;

	switch (responder_input(&s->responder, source, data, len, now, &q)) {
	case RESPONDER_SILENT: q.reply_len = 0; break;
	case RESPONDER_SEND: assert_true(q.reply_len > 0); break;
	case RESPONDER_ASK:
		s->answered = answer(s, &q, now);
		if (s->answered < 0 && s->answered != -EPROTONOSUPPORT)
			q.reply_len = 0;
	}
	assert_true(q.reply_len <= len);
	memcpy(ret_reply, q.reply, q.reply_len);
	return q.reply_len;
}

void
udpserver_load(struct udpserver *s, ns_t now)
{
	const struct addr nobody = {.family = AF_INET};
	uint8_t msg[HANDSHAKE_LEN] = {HANDSHAKE_INITIATION}, reply[HANDSHAKE_LEN];

	udpserver_mac1(msg, s->pub);
	for (unsigned i = 0; i <= RATELIMIT_LOAD; i++)
		(void)udpserver_take(s, &nobody, msg, sizeof(msg), now, reply);
}

struct addr
udpserver_source(unsigned n, uint16_t port)
{
	struct addr a = {.family = AF_INET, .ip = {192, 0}, .port = port};

	put_be16(a.ip + 2, (uint16_t)n);
	return a;
}

void
udpserver_mac1(uint8_t msg[HANDSHAKE_LEN], const uint8_t pub[CRYPTO_KEY_LEN])
{
	uint8_t in[14 + CRYPTO_KEY_LEN] = "mpproxy/1 mac1";
	uint8_t key[CRYPTO_HASH_LEN], mac[CRYPTO_HASH_LEN];

	memcpy(in + 14, pub, CRYPTO_KEY_LEN);
	assert_int_equal(crypto_sha256(key, in, sizeof(in)), 0);
	assert_int_equal(crypto_hmac(mac, key, sizeof(key), msg, HANDSHAKE_MAC1_AT), 0);
	memcpy(msg + HANDSHAKE_MAC1_AT, mac, HANDSHAKE_MAC_LEN);
}
