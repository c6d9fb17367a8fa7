/*
 * identity - who this daemon is to the other side, for all of its transports.
 *
 * Model:   its private key, and its boot id, which is another one in the next
 *          run. A client has the key that it shares with its server, too.
 * Owner:   proxy, for longer than the transports; identity_done() wipes it.
 */
#ifndef DAEMON_IDENTITY_H
#define DAEMON_IDENTITY_H

#include "daemon/config.h"
#include "daemon/core/handshake.h"

struct identity {
	const struct config *config;
	uint8_t private_key[CRYPTO_KEY_LEN];
	uint8_t psk[CRYPTO_KEY_LEN]; /* zero: there is none */
	uint8_t boot_id[8];
};

/* -errno and why: a key that cannot be read, no random bytes. */
int identity_init(struct identity *me, const struct config *c,
		  struct errmsg *why) MUST_CHECK;
/* A client's, for handshakes with its server; they live as long as `me`. */
struct handshake_secrets identity_secrets(const struct identity *me);
void identity_done(struct identity *me);

#endif
