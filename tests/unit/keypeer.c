#include "tests/unit/keypeer.h"

#include <stdlib.h>
#include <string.h>

enum { SESSION, PEER };

static void
must(int err)
{
	if (err < 0)
		abort();
}

void
keypeer_init(struct keypeer *p, bool is_client, const struct handshake_keys *keys,
	     ns_t now, struct handshake_secrets *ret_session)
{
	static const uint8_t seed[CRYPTO_KEY_LEN] = "of the peer, in every run";
	static const uint8_t psk[CRYPTO_KEY_LEN] = "what only these two know";
	static uint8_t pub[2][CRYPTO_KEY_LEN];
	struct rekey_settings cfg = {0};

	memset(p, 0, sizeof(*p));
	must(prng_init(&p->rng, seed));
	for (int i = 0; i < 2; i++) {
		memset(p->priv[i], 'p' + i, CRYPTO_KEY_LEN);
		/* Always the same, and costs more than many an input. */
		if (pub[i][0] == 0)
			must(crypto_x25519_public(pub[i], p->priv[i]));
		memcpy(p->pub[i], pub[i], CRYPTO_KEY_LEN);
	}
	cfg.secrets = (struct handshake_secrets){p->priv[PEER], p->pub[SESSION], psk};
	must(rekey_init(&p->keys, &cfg, is_client, AEAD_AES_128_GCM, keys, now));
	*ret_session = (struct handshake_secrets){p->priv[SESSION], p->pub[PEER], psk};
}

void
keypeer_done(struct keypeer *p)
{
	rekey_done(&p->keys);
}

static struct epoch *
at(const struct keypeer *p, unsigned shift)
{
	return (struct epoch *)&p->keys
		.epochs[(p->keys.generation + shift) % REKEY_GENERATIONS];
}

uint8_t
keypeer_generation(const struct keypeer *p)
{
	unsigned shift = at(p, p->shift)->used ? p->shift : 0;

	return (uint8_t)((p->keys.generation + shift) % REKEY_GENERATIONS);
}

void
keypeer_seal(struct keypeer *p, struct aead_nonce nonce, uint8_t *packet, size_t len)
{
	must(aead_seal(&p->keys.epochs[keypeer_generation(p)].seal, nonce, packet,
		       WIRE_HEADER_LEN, packet + WIRE_HEADER_LEN,
		       len - WIRE_HEADER_LEN));
}

bool
keypeer_open(struct keypeer *p, uint8_t generation, struct aead_nonce nonce,
	     uint8_t *packet, size_t len, ns_t now)
{
	if (rekey_open(&p->keys, generation, nonce, packet, len, now) < 0)
		return false;
	if (rekey_opened(&p->keys, generation, now))
		rekey_settle(&p->keys, 0, now);
	else if (p->keys.unsettled)
		at(p, REKEY_GENERATIONS - 1)->until = NS_NEVER;
	return true;
}

void
keypeer_heard(struct keypeer *p, const uint8_t msg[HANDSHAKE_LEN], uint8_t generation)
{
	memcpy(p->heard, msg, HANDSHAKE_LEN);
	p->heard_in = generation;
}

bool
keypeer_act(struct keypeer *p, uint8_t how, ns_t now, struct frame *ret_frame)
{
	if ((how & KEYPEER_HEAR) != 0)
		(void)!rekey_on_message(&p->keys, &p->rng, p->heard, p->heard_in, now);
	if (p->keys.unsettled)
		at(p, REKEY_GENERATIONS - 1)->until = NS_NEVER;
	if ((how & KEYPEER_BEGIN) != 0)
		rekey_on_ask(&p->keys, p->keys.generation);
	if ((how & KEYPEER_FORGET) != 0)
		(void)!rekey_expire(&p->keys, &p->rng, now);
	p->shift = (how & KEYPEER_OLD) != 0    ? REKEY_GENERATIONS - 1
		   : (how & KEYPEER_NEXT) != 0 ? 1
					       : 0;
	if ((how & KEYPEER_SAY) == 0 || !rekey_says(&p->keys, ret_frame))
		return false;
	if (ret_frame->type != FRAME_REKEY)
		return true;
	memcpy(p->says, ret_frame->message, HANDSHAKE_LEN);
	if ((how & KEYPEER_DAMAGE) != 0)
		p->says[now % HANDSHAKE_LEN] ^= 1;
	ret_frame->message = p->says;
	return true;
}
