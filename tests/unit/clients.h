/*
 * clients - a server's configuration and the clients it knows, for tests.
 *
 * Model:   CLIENTS_MAX peers with key pairs of their own, client number
 *          CLIENTS_MAX - 1 without a place in the configuration; the server's
 *          private key lies in a file of a directory of its own, and is loaded.
 */
#ifndef TESTS_UNIT_CLIENTS_H
#define TESTS_UNIT_CLIENTS_H

#include "daemon/core/handshake.h"
#include "daemon/peers.h"

enum { CLIENTS_MAX = 4, CLIENTS_STRANGER = CLIENTS_MAX - 1 };

struct clients {
	char dir[32];
	struct config config;
	struct config_peer peers[CLIENTS_MAX - 1];
	uint8_t server_pub[CRYPTO_KEY_LEN];
	uint8_t priv[CLIENTS_MAX][CRYPTO_KEY_LEN];
	struct prng prng;
	struct identity server;
	struct peers known;
};

/* What a client holds between its two messages. */
struct client_try {
	struct handshake handshake;
	uint8_t initiation[HANDSHAKE_LEN];
};

void clients_init(struct clients *c, unsigned seed);
void clients_done(struct clients *c);
/* A new initiation of client `who`. */
void clients_initiate(struct clients *c, unsigned who, enum handshake_transport over,
		      struct client_try *ret_try);

#endif
