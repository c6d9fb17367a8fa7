/*
 * fuzz_handshake - no message opens but the true one; any payload is safe.
 *
 * The first byte says what the rest is: changes to a true message, by somebody
 * who can make MAC1; or the payload of a peer who knows all keys.
 */
#include "daemon/core/handshake.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NOISE_AT = 4, MAC1_AT = NOISE_AT + HANDSHAKE_NOISE_LEN };

/* One true exchange, made once: nothing may change it. */
struct world {
	struct prng rng;
	uint8_t client_priv[32], client_pub[32], server_priv[32], server_pub[32];
	uint8_t psk[32];
	struct handshake client, server; /* after sending; after receiving */
	uint8_t init[HANDSHAKE_LEN], resp[HANDSHAKE_LEN];
	bool made;
};

static void
must(int err)
{
	if (err < 0)
		abort();
}

static void
make_world(struct world *w)
{
	static const uint8_t seed[CRYPTO_KEY_LEN] = "the same in every run";
	const struct handshake_offer offer = {HANDSHAKE_VERSION, 3, 0, 0x111111};
	const struct handshake_answer answer = {
		.version = HANDSHAKE_VERSION, .aead = 2, .session_index = 0x222222};
	struct handshake_offer got;
	struct handshake_keys keys;
	struct handshake server;

	must(prng_init(&w->rng, seed));
	must(prng_bytes(&w->rng, w->client_priv, 32));
	must(prng_bytes(&w->rng, w->server_priv, 32));
	must(crypto_x25519_public(w->client_pub, w->client_priv));
	must(crypto_x25519_public(w->server_pub, w->server_priv));
	must(handshake_start(
		&w->client, HANDSHAKE_MPTCP, &w->rng,
		&(struct handshake_secrets){w->client_priv, w->server_pub, w->psk},
		&offer, w->init));
	must(handshake_receive(&w->server, HANDSHAKE_MPTCP, w->server_priv, w->init,
			       &got));
	server = w->server;
	must(handshake_respond(&server, &w->rng, w->psk, &answer, w->resp, &keys));
	w->made = true;
}

static void
mac_again(uint8_t msg[HANDSHAKE_LEN], const uint8_t receiver_pub[32])
{
	uint8_t in[14 + 32] = "mpproxy/1 mac1", key[32], mac[32];

	memcpy(in + 14, receiver_pub, 32);
	must(crypto_sha256(key, in, sizeof(in)));
	must(crypto_hmac(mac, key, 32, msg, MAC1_AT));
	memcpy(msg + MAC1_AT, mac, 16);
}

static void
change(uint8_t msg[HANDSHAKE_LEN], const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < min_size(size, HANDSHAKE_LEN); i++)
		msg[i] ^= data[i];
}

static void
to_server(struct world *w, const uint8_t *data, size_t size, bool mac)
{
	struct handshake h = {0}, before = h;
	struct handshake_offer offer;
	uint8_t msg[HANDSHAKE_LEN];
	bool is_true, opened;

	memcpy(msg, w->init, sizeof(msg));
	change(msg, data, size);
	if (mac)
		mac_again(msg, w->server_pub);
	is_true = memcmp(msg, w->init, sizeof(msg)) == 0;
	opened = handshake_mac1_ok(msg, w->server_pub) &&
		 handshake_receive(&h, HANDSHAKE_MPTCP, w->server_priv, msg, &offer) ==
			 0;
	assert(opened == is_true);
	if (!opened)
		assert(memcmp(&h, &before, sizeof(h)) == 0);
}

static void
to_client(struct world *w, const uint8_t *data, size_t size, bool mac)
{
	struct handshake h = w->client;
	struct handshake_answer answer;
	struct handshake_keys keys;
	uint8_t msg[HANDSHAKE_LEN];
	int err;

	memcpy(msg, w->resp, sizeof(msg));
	change(msg, data, size);
	if (mac)
		mac_again(msg, w->client_pub);
	err = handshake_finish(&h, msg, &answer, &keys);
	if (memcmp(msg, w->resp, sizeof(msg)) == 0) {
		assert(err == 0);
	} else {
		assert(err == -EBADMSG);
		assert(memcmp(&h, &w->client, sizeof(h)) == 0);
	}
}

static void
offer_any_payload(struct world *w, const uint8_t payload[HANDSHAKE_OFFER_LEN])
{
	struct handshake_offer offer;
	struct handshake h;
	struct noise ns;
	uint8_t msg[HANDSHAKE_LEN] = {HANDSHAKE_INITIATION};

	must(noise_init_initiator(&ns, "mpproxy/1 mptcp", 15, w->client_priv,
				  w->server_pub));
	must(noise_write_1(&ns, w->psk, payload, HANDSHAKE_OFFER_LEN, msg + NOISE_AT));
	mac_again(msg, w->server_pub);
	assert(handshake_mac1_ok(msg, w->server_pub));
	must(handshake_receive(&h, HANDSHAKE_MPTCP, w->server_priv, msg, &offer));
	assert(offer.version == payload[0]);
	assert(offer.session_index <= 0xffffff);
}

static void
answer_any_payload(struct world *w, const uint8_t payload[HANDSHAKE_ANSWER_LEN])
{
	struct handshake_answer answer = {0};
	struct handshake_keys keys;
	struct handshake h = w->client;
	struct noise ns = w->server.noise;
	uint8_t msg[HANDSHAKE_LEN] = {HANDSHAKE_RESPONSE};
	int err;

	must(noise_write_2(&ns, w->server_priv, w->psk, payload, HANDSHAKE_ANSWER_LEN,
			   msg + NOISE_AT));
	mac_again(msg, w->client_pub);
	err = handshake_finish(&h, msg, &answer, &keys);
	if (payload[0] != HANDSHAKE_VERSION || payload[1] == 0)
		assert(err == -EPROTONOSUPPORT && answer.version == payload[0]);
	else if (payload[1] > 2)
		assert(err == -EPROTO);
	else
		assert(err == 0 && answer.session_index <= 0xffffff);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;
	uint8_t payload[HANDSHAKE_ANSWER_LEN] = {0};

	if (!w.made)
		make_world(&w);
	if (size == 0)
		return 0;
	memcpy(payload, data + 1, min_size(size - 1, sizeof(payload)));
	switch (data[0] % 6) {
	case 0:
	case 1: to_server(&w, data + 1, size - 1, data[0] % 2 != 0); break;
	case 2:
	case 3: to_client(&w, data + 1, size - 1, data[0] % 2 != 0); break;
	case 4: offer_any_payload(&w, payload); break;
	default: answer_any_payload(&w, payload);
	}
	return 0;
}
