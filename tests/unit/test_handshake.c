/*
 * The whole exchange, byte for byte, and a table of what strangers may try.
 */
#include "tests/unit/unit.h"

#include "common/bytes.h"
#include "daemon/core/handshake.h"

#include <string.h>

enum { NOISE_AT = 4, MAC1_AT = 4 + 128, MAC2_AT = MAC1_AT + 16 };

static const uint8_t psk[CRYPTO_KEY_LEN] = "what only these two know, 32 b.";
static const uint8_t no_psk[CRYPTO_KEY_LEN];

static const struct handshake_offer offer_1 = {
	.version = HANDSHAKE_VERSION,
	.aead_mask = AEAD_CHACHA20_POLY1305 | AEAD_AES_128_GCM,
	.features = 0x0102,
	.session_index = 0xabcdef,
};
static const struct handshake_answer answer_1 = {
	.version = HANDSHAKE_VERSION,
	.aead = AEAD_AES_128_GCM,
	.features = 0x0304,
	.session_index = 0x123456,
	.max_streams = 2000,
	.allow_auth_only = true,
	.boot_id = {1, 2, 3, 4, 5, 6, 7, 8},
};

/* Both ends of one exchange; `client` has sent `init`. */
struct pair {
	struct prng rng;
	uint8_t client_priv[32], client_pub[32], server_priv[32], server_pub[32];
	struct handshake client, server;
	uint8_t init[HANDSHAKE_LEN], resp[HANDSHAKE_LEN];
	struct handshake_keys client_keys, server_keys;
};

static void
new_key(struct prng *rng, uint8_t priv[32], uint8_t pub[32])
{
	assert_int_equal(prng_bytes(rng, priv, 32), 0);
	assert_int_equal(crypto_x25519_public(pub, priv), 0);
}

static int
start_with(struct pair *p, const uint8_t server_pub[32],
	   const struct handshake_offer *offer)
{
	struct handshake_secrets secrets = {p->client_priv, server_pub, psk};

	return handshake_start(&p->client, HANDSHAKE_MPTCP, &p->rng, &secrets, offer,
			       p->init);
}

static int
start(struct pair *p, const uint8_t server_pub[32])
{
	return start_with(p, server_pub, &offer_1);
}

static int
receive(struct pair *p, struct handshake_offer *ret_offer)
{
	return handshake_receive(&p->server, HANDSHAKE_MPTCP, p->server_priv, p->init,
				 ret_offer);
}

static int
respond(struct pair *p, const uint8_t with_psk[32],
	const struct handshake_answer *answer)
{
	return handshake_respond(&p->server, &p->rng, with_psk, answer, p->resp,
				 &p->server_keys);
}

static void
pair_start(struct pair *p)
{
	static const uint8_t seed[CRYPTO_KEY_LEN] = "a seed that only a test has";

	memset(p, 0, sizeof(*p));
	assert_int_equal(prng_init(&p->rng, seed), 0);
	new_key(&p->rng, p->client_priv, p->client_pub);
	new_key(&p->rng, p->server_priv, p->server_pub);
	assert_int_equal(start(p, p->server_pub), 0);
}

/* Up to a response that stands in p->resp. */
static void
pair_answer(struct pair *p)
{
	struct handshake_offer offer;

	pair_start(p);
	assert_int_equal(receive(p, &offer), 0);
	assert_int_equal(respond(p, psk, &answer_1), 0);
}

/* What somebody who knows the receiver's public key can do to any message. */
static void
mac_again(uint8_t msg[HANDSHAKE_LEN], const uint8_t receiver_pub[32])
{
	uint8_t in[14 + 32] = "mpproxy/1 mac1", key[32], mac[32];

	memcpy(in + 14, receiver_pub, 32);
	assert_int_equal(crypto_sha256(key, in, sizeof(in)), 0);
	assert_int_equal(crypto_hmac(mac, key, 32, msg, MAC1_AT), 0);
	memcpy(msg + MAC1_AT, mac, 16);
}

/* The server's two steps; the handshake is untouched when it says no. */
static bool
server_takes(struct pair *p, const uint8_t msg[HANDSHAKE_LEN])
{
	struct handshake before = p->server;
	struct handshake_offer offer = {.version = 99};
	int err;

	if (!handshake_mac1_ok(msg, p->server_pub))
		return false;
	err = handshake_receive(&p->server, HANDSHAKE_MPTCP, p->server_priv, msg,
				&offer);
	if (err == 0)
		return true;
	assert_int_equal(err, -EBADMSG);
	assert_int_equal(offer.version, 99);
	assert_memory_equal(&before, &p->server, sizeof(before));
	return false;
}

static void
assert_client_refuses(struct pair *p, const uint8_t msg[HANDSHAKE_LEN])
{
	struct handshake before = p->client;
	struct handshake_answer answer = {.version = 99};
	struct handshake_keys keys = {.key_up = {99}}, keys_before = keys;

	assert_int_equal(handshake_finish(&p->client, msg, &answer, &keys), -EBADMSG);
	assert_int_equal(answer.version, 99);
	assert_memory_equal(&keys, &keys_before, sizeof(keys));
	assert_memory_equal(&before, &p->client, sizeof(before));
}

/* After whatever was tried, the true response is still welcome. */
static void
assert_client_finishes(struct pair *p)
{
	struct handshake_answer answer;

	assert_int_equal(
		handshake_finish(&p->client, p->resp, &answer, &p->client_keys), 0);
	assert_memory_equal(&p->client_keys, &p->server_keys, sizeof(p->client_keys));
	assert_int_equal(answer.session_index, answer_1.session_index);
}

static void
full_exchange(void **state)
{
	static const uint8_t zero[16];
	struct handshake_offer offer;
	struct handshake_answer answer;
	struct pair p;

	(void)state;
	pair_start(&p);
	assert_int_equal(HANDSHAKE_LEN, 164);
	assert_memory_equal(p.init, "\1\0\0\0", 4);
	assert_memory_equal(p.init + MAC2_AT, zero, 16);
	assert_true(handshake_mac1_ok(p.init, p.server_pub));
	assert_int_equal(receive(&p, &offer), 0);
	assert_memory_equal(p.server.peer_public, p.client_pub, 32);
	assert_int_equal(offer.version, 1);
	assert_int_equal(offer.aead_mask, 3);
	assert_int_equal(offer.features, 0x0102);
	assert_int_equal(offer.session_index, 0xabcdef);

	assert_int_equal(respond(&p, psk, &answer_1), 0);
	assert_memory_equal(p.resp, "\2\0\0\0", 4);
	assert_memory_equal(p.resp + MAC2_AT, zero, 16);
	assert_int_equal(handshake_finish(&p.client, p.resp, &answer, &p.client_keys),
			 0);
	assert_int_equal(answer.version, 1);
	assert_int_equal(answer.aead, AEAD_AES_128_GCM);
	assert_int_equal(answer.features, 0x0304);
	assert_int_equal(answer.session_index, 0x123456);
	assert_int_equal(answer.max_streams, 2000);
	assert_true(answer.allow_auth_only);
	assert_memory_equal(answer.boot_id, answer_1.boot_id, 8);
	assert_memory_equal(&p.client_keys, &p.server_keys, sizeof(p.client_keys));

	handshake_done(&p.client);
	for (size_t i = 0; i < sizeof(p.client); i++)
		assert_int_equal(((uint8_t *)&p.client)[i], 0);
}

/* Offsets as docs/protocol.md has them, seen through nothing but Noise. */
static void
payloads_byte_by_byte(void **state)
{
	static const uint8_t want_offer[32] = {1, 3, 1, 2, 0, 0xab, 0xcd, 0xef};
	static const uint8_t want_answer[80] = {1, 2, 3,    4,    0, 0x12, 0x34, 0x56,
						0, 0, 0x07, 0xd0, 1, 0,    0,    0,
						1, 2, 3,    4,    5, 6,    7,    8};
	struct noise ns;
	uint8_t payload[80];
	struct pair p;

	(void)state;
	pair_start(&p);
	assert_int_equal(
		noise_init_responder(&ns, "mpproxy/1 mptcp", 15, p.server_priv), 0);
	assert_int_equal(noise_read_1(&ns, p.init + NOISE_AT, 128, payload), 0);
	assert_memory_equal(payload, want_offer, sizeof(want_offer));

	pair_answer(&p);
	ns = p.client.noise;
	assert_int_equal(noise_read_2(&ns, psk, p.resp + NOISE_AT, 128, payload), 0);
	assert_memory_equal(payload, want_answer, sizeof(want_answer));
}

static void
keys_are_derived_as_written(void **state)
{
	struct pair p;
	uint8_t split[64], prk[32], out[32];

	(void)state;
	pair_answer(&p);
	assert_client_finishes(&p);
	assert_int_equal(noise_split(&p.client.noise, split, split + 32), 0);
	assert_memory_equal(p.client_keys.hash, p.client.noise.hash, 32);
	assert_int_equal(crypto_hkdf_extract(prk, p.client.noise.hash, 32, split, 64),
			 0);

	const struct {
		const char *label;
		const uint8_t *key;
		size_t len;
	} rows[] = {
		{"mpproxy/1 key up", p.client_keys.key_up, 32},
		{"mpproxy/1 key down", p.client_keys.key_down, 32},
		{"mpproxy/1 iv up", p.client_keys.iv_up, 12},
		{"mpproxy/1 iv down", p.client_keys.iv_down, 12},
		{"mpproxy/1 key a", p.client_keys.key_a, 8},
		{"mpproxy/1 key b", p.client_keys.key_b, 8},
		{"mpproxy/1 stream secret", p.client_keys.stream_secret, 32},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(crypto_hkdf_expand(out, rows[i].len, prk,
						    rows[i].label, NULL, 0),
				 0);
		assert_memory_equal(out, rows[i].key, rows[i].len);
	}
}

static void
works_without_psk(void **state)
{
	struct handshake_offer offer;
	struct handshake_answer answer;
	struct pair p;

	(void)state;
	pair_start(&p);

	struct handshake_secrets secrets = {p.client_priv, p.server_pub, no_psk};

	assert_int_equal(handshake_start(&p.client, HANDSHAKE_UDP, &p.rng, &secrets,
					 &offer_1, p.init),
			 0);
	assert_int_equal(handshake_receive(&p.server, HANDSHAKE_UDP, p.server_priv,
					   p.init, &offer),
			 0);
	assert_int_equal(respond(&p, no_psk, &answer_1), 0);
	assert_int_equal(handshake_finish(&p.client, p.resp, &answer, &p.client_keys),
			 0);
}

static void
transports_do_not_mix(void **state)
{
	struct handshake_offer offer;
	struct pair p;

	(void)state;
	pair_start(&p);
	assert_int_equal(handshake_receive(&p.server, HANDSHAKE_UDP, p.server_priv,
					   p.init, &offer),
			 -EBADMSG);
}

static void
wrong_server_key(void **state)
{
	uint8_t other_priv[32], other_pub[32];
	struct pair p;

	(void)state;
	pair_start(&p);
	new_key(&p.rng, other_priv, other_pub);
	assert_int_equal(start(&p, other_pub), 0);
	assert_false(handshake_mac1_ok(p.init, p.server_pub));
	mac_again(p.init, p.server_pub);
	assert_true(handshake_mac1_ok(p.init, p.server_pub));
	assert_false(server_takes(&p, p.init));
}

static void
wrong_psk(void **state)
{
	uint8_t other[32];
	struct handshake_offer offer;
	struct pair p;

	(void)state;
	memcpy(other, psk, 32);
	other[31] ^= 1;
	pair_start(&p);
	assert_int_equal(receive(&p, &offer), 0);
	assert_int_equal(respond(&p, other, &answer_1), 0);
	assert_client_refuses(&p, p.resp);

	assert_int_equal(receive(&p, &offer), 0);
	assert_int_equal(respond(&p, psk, &answer_1), 0);
	assert_client_finishes(&p);
}

/* Each bit, and each byte once more by somebody who can make MAC1. */
static void
flipped_initiations(void **state)
{
	uint8_t msg[HANDSHAKE_LEN];
	struct pair p;

	(void)state;
	pair_start(&p);
	for (size_t bit = 0; bit < HANDSHAKE_LEN * 8; bit++) {
		memcpy(msg, p.init, sizeof(msg));
		msg[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(server_takes(&p, msg));
	}
	for (size_t i = 0; i < MAC1_AT; i++) {
		memcpy(msg, p.init, sizeof(msg));
		msg[i] ^= 0x80;
		mac_again(msg, p.server_pub);
		assert_false(server_takes(&p, msg));
	}
	assert_true(server_takes(&p, p.init));
}

static void
flipped_responses(void **state)
{
	uint8_t msg[HANDSHAKE_LEN];
	struct pair p;

	(void)state;
	pair_answer(&p);
	for (size_t bit = 0; bit < HANDSHAKE_LEN * 8; bit++) {
		memcpy(msg, p.resp, sizeof(msg));
		msg[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_client_refuses(&p, msg);
	}
	for (size_t i = 0; i < MAC1_AT; i++) {
		memcpy(msg, p.resp, sizeof(msg));
		msg[i] ^= 0x80;
		mac_again(msg, p.client_pub);
		assert_client_refuses(&p, msg);
	}
	assert_client_finishes(&p);
}

/* A message that ends early, and what a buffer holds after its end. */
static void
truncated_messages(void **state)
{
	uint8_t msg[HANDSHAKE_LEN];
	struct pair p;

	(void)state;
	pair_answer(&p);
	/* From MAC2 on a true message is zero as well. */
	for (size_t len = 0; len < MAC2_AT; len++) {
		memset(msg, 0, sizeof(msg));
		memcpy(msg, p.init, len);
		assert_false(server_takes(&p, msg));
		memset(msg, 0, sizeof(msg));
		memcpy(msg, p.resp, len);
		assert_client_refuses(&p, msg);
		memset(msg, 0xff, sizeof(msg));
		memcpy(msg, p.resp, len);
		assert_client_refuses(&p, msg);
	}
	assert_client_finishes(&p);
}

/* It opens again, but the replayer gets keys that nobody can have. */
static void
replayed_initiation(void **state)
{
	struct handshake_keys first;
	uint8_t first_resp[HANDSHAKE_LEN];
	struct handshake_offer offer;
	struct pair p;

	(void)state;
	pair_answer(&p);
	first = p.server_keys;
	memcpy(first_resp, p.resp, sizeof(first_resp));

	assert_int_equal(receive(&p, &offer), 0);
	assert_memory_equal(p.server.peer_public, p.client_pub, 32);
	assert_int_equal(respond(&p, psk, &answer_1), 0);
	assert_memory_not_equal(p.resp, first_resp, sizeof(first_resp));
	assert_memory_not_equal(p.server_keys.key_up, first.key_up, 32);
	assert_memory_not_equal(p.server_keys.key_down, first.key_down, 32);
	assert_memory_not_equal(p.server_keys.stream_secret, first.stream_secret, 32);
	assert_memory_not_equal(p.server_keys.hash, first.hash, 32);

	/* The client's next handshake does not take the replay's response. */
	assert_int_equal(start(&p, p.server_pub), 0);
	assert_client_refuses(&p, p.resp);
	assert_client_refuses(&p, first_resp);
}

/* Its own initiation, also with the type and the MAC that a response has. */
static void
reflected_initiation(void **state)
{
	uint8_t msg[HANDSHAKE_LEN];
	struct pair p;

	(void)state;
	pair_answer(&p);
	memcpy(msg, p.init, sizeof(msg));
	assert_client_refuses(&p, msg);
	mac_again(msg, p.client_pub);
	assert_client_refuses(&p, msg);
	msg[0] = HANDSHAKE_RESPONSE;
	mac_again(msg, p.client_pub);
	assert_client_refuses(&p, msg);

	memcpy(msg, p.resp, sizeof(msg));
	assert_false(server_takes(&p, msg));
	msg[0] = HANDSHAKE_INITIATION;
	mac_again(msg, p.server_pub);
	assert_false(server_takes(&p, msg));
	assert_client_finishes(&p);
}

/* Nothing to sign with: points that make every shared secret zero. */
static void
ephemeral_of_small_order(void **state)
{
	struct pair p;

	(void)state;
	pair_answer(&p);
	memset(p.init + NOISE_AT, 0, 32);
	mac_again(p.init, p.server_pub);
	assert_true(handshake_mac1_ok(p.init, p.server_pub));
	assert_false(server_takes(&p, p.init));
}

static void
server_says_that_versions_differ(void **state)
{
	const struct handshake_answer refusal = {.version = 7};
	struct handshake_offer newer = offer_1, offer;
	struct handshake_answer answer;
	struct handshake_keys none = {.key_up = {99}}, before = none;
	struct pair p;

	(void)state;
	pair_start(&p);
	newer.version = 2;
	assert_int_equal(start_with(&p, p.server_pub, &newer), 0);
	assert_int_equal(receive(&p, &offer), 0);
	assert_int_equal(offer.version, 2);
	assert_int_equal(offer.session_index, 0);

	p.server_keys = none;
	assert_int_equal(respond(&p, psk, &refusal), 0);
	assert_memory_equal(&p.server_keys, &before, sizeof(before));
	assert_int_equal(handshake_finish(&p.client, p.resp, &answer, &none),
			 -EPROTONOSUPPORT);
	assert_int_equal(answer.version, 7);
	assert_int_equal(answer.aead, 0);
	assert_memory_equal(&none, &before, sizeof(before));
}

static void
server_refuses_in_our_own_version(void **state)
{
	struct handshake_answer refusal = answer_1, answer;
	struct handshake_offer offer;
	struct pair p;

	(void)state;
	refusal.aead = 0;
	pair_start(&p);
	assert_int_equal(receive(&p, &offer), 0);
	assert_int_equal(respond(&p, psk, &refusal), 0);
	assert_int_equal(handshake_finish(&p.client, p.resp, &answer, &p.client_keys),
			 -EPROTONOSUPPORT);
	assert_int_equal(answer.version, 1);
}

static void
server_chooses_what_was_not_offered(void **state)
{
	static const struct {
		uint8_t mask, chosen;
		int err;
	} rows[] = {
		{1, 1, 0},       {3, 1, 0},          {3, 2, 0},
		{1, 2, -EPROTO}, {3, 3, -EPROTO},    {3, 4, -EPROTO},
		{0xff, 2, 0},    {0xff, 4, -EPROTO}, {0xff, 255, -EPROTO},
	};
	struct handshake_offer offer = offer_1, got;
	struct handshake_answer answer = answer_1, seen;
	struct pair p;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		pair_start(&p);
		offer.aead_mask = rows[i].mask;
		answer.aead = rows[i].chosen;
		assert_int_equal(start_with(&p, p.server_pub, &offer), 0);
		assert_int_equal(receive(&p, &got), 0);
		assert_int_equal(respond(&p, psk, &answer), 0);
		assert_int_equal(
			handshake_finish(&p.client, p.resp, &seen, &p.client_keys),
			rows[i].err);
	}
}

/* Both ends of new keys under the hash that each believes to be in use. */
static bool
rekey_opens(struct pair *p, const uint8_t client_hash[32],
	    const uint8_t server_hash[32], const uint8_t expected_client[32])
{
	const struct handshake_secrets secrets = {p->server_priv, expected_client, psk};
	const struct handshake_secrets client = {p->client_priv, p->server_pub, psk};
	struct handshake before = p->server;
	int err;

	assert_int_equal(handshake_start_rekey(&p->client, client_hash, &p->rng,
					       &client, &offer_1, p->init),
			 0);
	err = handshake_receive_rekey(&p->server, server_hash, &secrets, p->init);
	if (err == 0)
		return true;
	assert_int_equal(err, -EBADMSG);
	assert_memory_equal(&before, &p->server, sizeof(before));
	return false;
}

static void
rekey_is_bound_to_the_keys_in_use(void **state)
{
	struct handshake_keys first;
	uint8_t other[32];
	struct pair p;

	(void)state;
	pair_answer(&p);
	assert_client_finishes(&p);
	first = p.client_keys;
	memcpy(other, first.hash, sizeof(other));
	other[31] ^= 1;
	assert_false(rekey_opens(&p, other, first.hash, p.client_pub));
	assert_false(rekey_opens(&p, first.hash, other, p.client_pub));
	assert_true(rekey_opens(&p, first.hash, first.hash, p.client_pub));
	assert_int_equal(respond(&p, psk, &answer_1), 0);
	assert_client_finishes(&p);
	assert_memory_not_equal(first.hash, p.client_keys.hash, sizeof(other));
	assert_memory_not_equal(first.key_up, p.client_keys.key_up, sizeof(other));
	assert_memory_not_equal(first.key_down, p.client_keys.key_down, sizeof(other));
}

static void
rekey_is_of_this_peer(void **state)
{
	static const uint8_t hash[32] = "of the keys in use";
	struct handshake_offer offer;
	struct pair p;

	(void)state;
	pair_start(&p);
	assert_true(rekey_opens(&p, hash, hash, p.client_pub));
	assert_false(rekey_opens(&p, hash, hash, p.server_pub));
	/* What begins a session is no rekey, nor the other way round. */
	assert_false(server_takes(&p, p.init));
	assert_int_equal(handshake_receive(&p.server, HANDSHAKE_UDP, p.server_priv,
					   p.init, &offer),
			 -EBADMSG);
}

/* Inside a session there is nobody to show a cookie to. */
static void
rekey_has_its_macs(void **state)
{
	static const uint8_t hash[32] = "of the keys in use";
	struct pair p;

	(void)state;
	pair_start(&p);
	assert_true(rekey_opens(&p, hash, hash, p.client_pub));
	for (size_t i = MAC1_AT; i < HANDSHAKE_LEN; i++) {
		const struct handshake_secrets secrets = {p.server_priv, p.client_pub,
							  psk};

		p.init[i] ^= 1;
		assert_int_equal(
			handshake_receive_rekey(&p.server, hash, &secrets, p.init),
			-EBADMSG);
		p.init[i] ^= 1;
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(full_exchange),
		cmocka_unit_test(payloads_byte_by_byte),
		cmocka_unit_test(keys_are_derived_as_written),
		cmocka_unit_test(works_without_psk),
		cmocka_unit_test(transports_do_not_mix),
		cmocka_unit_test(wrong_server_key),
		cmocka_unit_test(wrong_psk),
		cmocka_unit_test(flipped_initiations),
		cmocka_unit_test(flipped_responses),
		cmocka_unit_test(truncated_messages),
		cmocka_unit_test(replayed_initiation),
		cmocka_unit_test(reflected_initiation),
		cmocka_unit_test(ephemeral_of_small_order),
		cmocka_unit_test(server_says_that_versions_differ),
		cmocka_unit_test(server_refuses_in_our_own_version),
		cmocka_unit_test(server_chooses_what_was_not_offered),
		cmocka_unit_test(rekey_is_bound_to_the_keys_in_use),
		cmocka_unit_test(rekey_is_of_this_peer),
		cmocka_unit_test(rekey_has_its_macs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
