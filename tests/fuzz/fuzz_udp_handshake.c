/*
 * fuzz_udp_handshake - what a stranger can send to both ends of the handshake.
 *
 * The stranger knows the server's public key, has an address of its own, has
 * captured the client's initiation and what the server replied. It does not know
 * the keys of either end. The input is a row of steps: an op, a length, and as
 * many bytes, which are a datagram or changes to one.
 */
#include "daemon/core/initiator.h"
#include "daemon/core/responder.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	OP_RAW_TO_SERVER,
	OP_CAPTURED_TO_SERVER, /* changed */
	OP_OWN_TO_SERVER,      /* a true initiation, but by nobody that is known */
	OP_RAW_TO_CLIENT,
	OP_REPLY_TO_CLIENT, /* changed */
	OP_TIME,
	OP_LOAD,
	OP_COUNT,
	OP_MAC1 = 0x40, /* flags: made anew by the stranger */
	OP_MAC2 = 0x80,
};

struct world {
	struct prng rng;
	uint8_t client_priv[32], client_pub[32], server_priv[32], server_pub[32];
	uint8_t stranger_priv[32], stranger_pub[32], psk[32];
	struct responder responder;
	struct responder_peer peer;
	struct initiator initiator;
	uint8_t captured[HANDSHAKE_LEN], own[HANDSHAKE_LEN];
	uint8_t reply[HANDSHAKE_LEN], cookie[COOKIE_LEN];
	uint8_t reply_to[HANDSHAKE_LEN];
	size_t reply_len;
	ns_t now;
};

static void
must(int err)
{
	if (err < 0)
		abort();
}

static void
new_key(struct prng *rng, uint8_t priv[32], uint8_t pub[32])
{
	must(prng_bytes(rng, priv, 32));
	must(crypto_x25519_public(pub, priv));
}

static const uint8_t seed[CRYPTO_KEY_LEN] = "the same in every run";

/* What no run changes. */
static void
world_make(struct world *w)
{
	const struct handshake_offer offer = {HANDSHAKE_VERSION, 3, 0, 1};
	struct handshake h;

	must(prng_init(&w->rng, seed));
	new_key(&w->rng, w->client_priv, w->client_pub);
	new_key(&w->rng, w->server_priv, w->server_pub);
	new_key(&w->rng, w->stranger_priv, w->stranger_pub);
	must(initiator_init(
		&w->initiator,
		&(struct handshake_secrets){w->client_priv, w->server_pub, w->psk},
		&offer, seed, 0));
	initiator_set_uplink(&w->initiator, 1, true, 0);
	if (!initiator_output(&w->initiator, 1, 0, w->captured))
		abort();
	must(handshake_start(
		&h, HANDSHAKE_UDP, &w->rng,
		&(struct handshake_secrets){w->stranger_priv, w->server_pub, w->psk},
		&offer, w->own));
}

static void
world_begin(struct world *w)
{
	static struct world made;

	if (made.initiator.n_tries == 0)
		world_make(&made);
	*w = made;
	must(responder_init(&w->responder, HANDSHAKE_UDP, w->server_priv, seed, 0));
	responder_peer_init(&w->peer);
}

static void
world_end(struct world *w)
{
	responder_peer_done(&w->responder, &w->peer);
	responder_done(&w->responder);
	initiator_done(&w->initiator);
}

static void
mac1(const uint8_t *msg, const uint8_t pub[32], uint8_t ret_mac[HANDSHAKE_MAC_LEN])
{
	uint8_t in[14 + 32] = "mpproxy/1 mac1", key[32], mac[32];

	memcpy(in + 14, pub, 32);
	must(crypto_sha256(key, in, sizeof(in)));
	must(crypto_hmac(mac, key, 32, msg, HANDSHAKE_MAC1_AT));
	memcpy(ret_mac, mac, HANDSHAKE_MAC_LEN);
}

static void
answer(struct world *w, struct responder_question *q)
{
	struct handshake_answer a = {.aead = 1};

	if (memcmp(q->handshake.peer_public, w->client_pub, 32) != 0) {
		assert(memcmp(q->handshake.peer_public, w->stranger_pub, 32) == 0);
		responder_refuse(q);
		return;
	}
	must(responder_draw_index(&w->responder, &a.session_index));
	must(responder_answer(&w->responder, q, &w->peer, w->psk, &a, w->now));
}

/* Nothing but a true initiation is ever opened; without MAC1 there is silence. */
static void
to_server(struct world *w, const uint8_t *msg, size_t len)
{
	const struct addr source = {.family = AF_INET, .ip = {192, 0, 2, 1}, .port = 9};
	struct responder_question q;
	enum responder_verdict v;
	uint8_t mac[HANDSHAKE_MAC_LEN];

	v = responder_input(&w->responder, &source, msg, len, w->now, &q);
	if (v == RESPONDER_SILENT)
		return;
	assert(len == HANDSHAKE_LEN && msg[0] == HANDSHAKE_INITIATION);
	mac1(msg, w->server_pub, mac);
	assert(memcmp(mac, msg + HANDSHAKE_MAC1_AT, sizeof(mac)) == 0);
	if (v == RESPONDER_ASK) {
		assert(memcmp(msg, w->captured, HANDSHAKE_MAC1_AT) == 0 ||
		       memcmp(msg, w->own, HANDSHAKE_MAC1_AT) == 0);
		answer(w, &q);
	}
	assert(q.reply_len <= len && w->responder.n_pending <= 1);
	if (q.reply_len == 0)
		return;
	memcpy(w->reply, q.reply, q.reply_len);
	memcpy(w->reply_to, msg, len);
	w->reply_len = q.reply_len;
	if (q.reply_len == COOKIE_REPLY_LEN)
		must(cookie_open(w->server_pub, msg, q.reply, w->cookie));
}

/* Nothing but the server's own words, to what was asked, changes the client. */
static void
to_client(struct world *w, const uint8_t *msg, size_t len)
{
	const struct initiator before = w->initiator;
	struct initiator_result result;
	int err;

	err = initiator_input(&w->initiator, 1, msg, len, w->now, &result);
	if (err == -EBADMSG) {
		assert(memcmp(&before, &w->initiator, sizeof(before)) == 0);
		return;
	}
	assert(err == -EAGAIN || err == 0);
	/* Who knows the server's public key can make a cookie's reply of its own. */
	if (err == 0) {
		assert(len == w->reply_len && memcmp(msg, w->reply, len) == 0);
		assert(memcmp(w->reply_to, w->captured, HANDSHAKE_MAC1_AT) == 0);
	}
}

static void
step(struct world *w, uint8_t op, const uint8_t *data, size_t len)
{
	uint8_t msg[HANDSHAKE_LEN];
	size_t msg_len = HANDSHAKE_LEN;
	unsigned what = op & 0x3f;

	switch (what % OP_COUNT) {
	case OP_RAW_TO_SERVER: to_server(w, data, len); return;
	case OP_RAW_TO_CLIENT: to_client(w, data, len); return;
	case OP_TIME: w->now += (ns_t)len * 100 * NS_PER_MS; return;
	case OP_LOAD:
		for (int i = 0; i <= RATELIMIT_LOAD; i++)
			(void)ratelimit_is_load(&w->responder.limit, w->now);
		return;
	case OP_CAPTURED_TO_SERVER: memcpy(msg, w->captured, sizeof(msg)); break;
	case OP_OWN_TO_SERVER: memcpy(msg, w->own, sizeof(msg)); break;
	default: memcpy(msg, w->reply, sizeof(msg)); msg_len = w->reply_len;
	}
	for (size_t i = 0; i < min_size(len, msg_len); i++)
		msg[i] ^= data[i];
	if ((op & OP_MAC1) != 0)
		mac1(msg,
		     what % OP_COUNT == OP_REPLY_TO_CLIENT ? w->client_pub
							   : w->server_pub,
		     msg + HANDSHAKE_MAC1_AT);
	if ((op & OP_MAC2) != 0)
		must(cookie_put_mac2(w->cookie, msg));
	if (what % OP_COUNT == OP_REPLY_TO_CLIENT)
		to_client(w, msg, msg_len);
	else
		to_server(w, msg, msg_len);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;

	world_begin(&w);
	for (int n = 0; n < 16 && size >= 2; n++) {
		size_t len = min_size(data[1], size - 2);

		step(&w, data[0], data + 2, len);
		data += 2 + len;
		size -= 2 + len;
	}
	world_end(&w);
	return 0;
}
