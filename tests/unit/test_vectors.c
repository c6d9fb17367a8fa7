/*
 * The vectors of docs/protocol.md, which another program computed: what is
 * written there is what goes over the wire.
 */
#include "tests/unit/unit.h"

#include "daemon/core/handshake.h"
#include "daemon/core/record.h"

#include <stdio.h>
#include <string.h>

#define DOCUMENT "docs/protocol.md"

enum { BYTES_MAX = 256 };

struct bytes {
	uint8_t b[BYTES_MAX];
	size_t len;
};

/* The lines of digits that stand under "name:". */
static struct bytes
from_document(const char *name)
{
	FILE *f = fopen(DOCUMENT, "r");
	struct bytes r = {.len = 0};
	char line[1024];
	bool found = false;

	if (f == NULL)
		fail_msg("%s is not there", DOCUMENT);
	while (fgets(line, sizeof(line), f) != NULL) {
		if (found && line[0] != ' ')
			break;
		for (char *p = line + 2; found && *p != '\n'; p += 2) {
			assert_true(r.len < BYTES_MAX);
			assert_int_equal(sscanf(p, "%2hhx", &r.b[r.len++]), 1);
		}
		if (strncmp(line, name, strlen(name)) == 0 &&
		    strcmp(line + strlen(name), ":\n") == 0)
			found = true;
	}
	fclose(f);
	if (r.len == 0)
		fail_msg("%s has no vector \"%s\"", DOCUMENT, name);
	return r;
}

static void
assert_document(const char *name, const uint8_t *got, size_t len)
{
	struct bytes want = from_document(name);

	assert_int_equal(len, want.len);
	assert_memory_equal(got, want.b, len);
}

/* Gives the ephemeral key that the document names, and then no more. */
static struct prng
prng_with(const char *name)
{
	struct bytes key = from_document(name);
	struct prng r = {.left = CRYPTO_KEY_LEN};

	memcpy(r.pool + sizeof(r.pool) - CRYPTO_KEY_LEN, key.b, CRYPTO_KEY_LEN);
	return r;
}

static const struct handshake_offer offer = {.version = 1, .aead_mask = 3};
static const struct handshake_answer answer = {
	.version = 1,
	.aead = AEAD_AES_128_GCM,
	.session_index = 0x123456,
	.max_streams = 2000,
	.allow_auth_only = true,
	.boot_id = {1, 2, 3, 4, 5, 6, 7, 8},
};

static void
exchange(uint8_t ret_init[HANDSHAKE_LEN], uint8_t ret_resp[HANDSHAKE_LEN],
	 struct handshake_keys *ret_keys)
{
	struct bytes client_priv = from_document("client private");
	struct bytes server_priv = from_document("server private");
	struct bytes server_pub = from_document("server public");
	struct bytes psk = from_document("pre-shared key");
	struct handshake_secrets secrets = {client_priv.b, server_pub.b, psk.b};
	struct prng client_rng = prng_with("client ephemeral");
	struct prng server_rng = prng_with("server ephemeral");
	struct handshake_answer got_answer;
	struct handshake_offer got_offer;
	struct handshake client, server;
	struct handshake_keys keys;

	assert_int_equal(handshake_start(&client, HANDSHAKE_MPTCP, &client_rng,
					 &secrets, &offer, ret_init),
			 0);
	assert_int_equal(handshake_receive(&server, HANDSHAKE_MPTCP, server_priv.b,
					   ret_init, &got_offer),
			 0);
	assert_document("client public", server.peer_public, CRYPTO_KEY_LEN);
	assert_int_equal(handshake_respond(&server, &server_rng, psk.b, &answer,
					   ret_resp, ret_keys),
			 0);
	assert_int_equal(handshake_finish(&client, ret_resp, &got_answer, &keys), 0);
	assert_memory_equal(&keys, ret_keys, sizeof(keys));
}

static void
handshake_vector(void **state)
{
	uint8_t init[HANDSHAKE_LEN], resp[HANDSHAKE_LEN];
	struct handshake_keys k;

	(void)state;
	exchange(init, resp, &k);
	assert_document("initiation", init, sizeof(init));
	assert_document("response", resp, sizeof(resp));
	assert_document("handshake hash", k.hash, sizeof(k.hash));
	assert_document("key up", k.key_up, sizeof(k.key_up));
	assert_document("iv up", k.iv_up, sizeof(k.iv_up));
	assert_document("key down", k.key_down, sizeof(k.key_down));
	assert_document("iv down", k.iv_down, sizeof(k.iv_down));
	assert_document("key a", k.key_a, sizeof(k.key_a));
	assert_document("key b", k.key_b, sizeof(k.key_b));
	assert_document("stream secret", k.stream_secret, sizeof(k.stream_secret));
}

static void
record_vectors(void **state)
{
	struct bytes secret = from_document("stream secret");
	uint8_t rec[RECORD_OVERHEAD + 5];
	struct record_key k;
	size_t len;

	(void)state;
	assert_int_equal(
		record_key_init(&k, AEAD_AES_128_GCM, true, secret.b, 5, RECORD_UP), 0);
	memcpy(rec + RECORD_HEADER_LEN, "hello", 5);
	assert_int_equal(record_seal(&k, RECORD_DATA, rec, 5, &len), 0);
	assert_document("leg 5, up, record 0, DATA \"hello\"", rec, len);

	k.counter = RECORD_REKEY_EVERY;
	memcpy(rec + RECORD_HEADER_LEN, "hello", 5);
	assert_int_equal(record_seal(&k, RECORD_DATA, rec, 5, &len), 0);
	assert_document("leg 5, up, record 2^20, DATA \"hello\"", rec, len);
	record_key_done(&k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(handshake_vector),
		cmocka_unit_test(record_vectors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
