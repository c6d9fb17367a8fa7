#include "tests/unit/unit.h"

#include "tests/unit/clients.h"

#include "common/bytes.h"
#include "common/keytext.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void
write_key(const char *file, const uint8_t key[CRYPTO_KEY_LEN])
{
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	assert_true(fprintf(f, "%s\n", keytext_format(key).s) > 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(file, 0600), 0);
}

void
clients_init(struct clients *c, unsigned seed)
{
	uint8_t seed_bytes[CRYPTO_KEY_LEN] = {0}, server_priv[CRYPTO_KEY_LEN];
	struct errmsg why = {""};

	memset(c, 0, sizeof(*c));
	put_be32(seed_bytes, seed);
	assert_int_equal(prng_init(&c->prng, seed_bytes), 0);
	strcpy(c->dir, "/tmp/mpp-clients-XXXXXX");
	assert_non_null(mkdtemp(c->dir));

	c->config.role = ROLE_SERVER;
	c->config.max_streams = 4096;
	snprintf(c->config.private_key_file, sizeof(c->config.private_key_file),
		 "%s/key", c->dir);
	assert_int_equal(prng_bytes(&c->prng, server_priv, sizeof(server_priv)), 0);
	assert_int_equal(crypto_x25519_public(c->server_pub, server_priv), 0);
	write_key(c->config.private_key_file, server_priv);

	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		assert_int_equal(prng_bytes(&c->prng, c->priv[i], CRYPTO_KEY_LEN), 0);
	for (unsigned i = 0; i < CLIENTS_STRANGER; i++) {
		struct config_peer *p = &c->peers[i];

		snprintf(p->name, sizeof(p->name), "client%u", i);
		p->max_streams = 100;
		assert_int_equal(crypto_x25519_public(p->public_key, c->priv[i]), 0);
	}
	c->config.peers = c->peers;
	c->config.n_peers = CLIENTS_STRANGER;
	if (identity_init(&c->server, &c->config, &why) < 0 ||
	    peers_init(&c->known, &c->server, &why) < 0)
		fail_msg("%s", why.text);
}

void
clients_done(struct clients *c)
{
	peers_done(&c->known);
	identity_done(&c->server);
	unlink(c->config.private_key_file);
	rmdir(c->dir);
	prng_done(&c->prng);
}

void
clients_initiate(struct clients *c, unsigned who, enum handshake_transport over,
		 struct client_try *ret_try)
{
	static const uint8_t no_psk[CRYPTO_KEY_LEN];
	const struct handshake_secrets secrets = {c->priv[who], c->server_pub, no_psk};
	const struct handshake_offer offer = {
		.version = HANDSHAKE_VERSION,
		.aead_mask = aead_fast_mask(),
	};

	assert_int_equal(handshake_start(&ret_try->handshake, over, &c->prng, &secrets,
					 &offer, ret_try->initiation),
			 0);
}
