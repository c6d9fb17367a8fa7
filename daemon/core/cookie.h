/*
 * cookie - proof of a source's address, before a server computes for it.
 *
 * Model:   a server under load keeps nothing about who asks: it gives away a
 *          cookie, made from the source's address, port and a secret, and works
 *          for whoever shows it.
 *
 *	client                                              server
 *	initiation, MAC2 zero           ---------------->   cookie_mac2_ok(): no
 *	cookie_open()        <-- reply, COOKIE_REPLY_LEN --  cookie_reply()
 *	cookie_put_mac2()
 *	initiation, MAC2 by the cookie  ---------------->   cookie_mac2_ok(): yes
 *
 *          A reply is: type (1), 3 zero bytes, random (24), cookie (16), tag
 *          (16). Only who knows the server's public key can read or write it,
 *          and only for a question that it has seen.
 * Bounds:  a secret makes cookies for COOKIE_LIFE and counts for as long again:
 *          a cookie is good for one to two of these.
 * Owner:   the caller owns the struct; cookie_maker_done() wipes.
 * Errors:  0 or -errno; after an error all is as it was before.
 * Source:  docs/protocol.md, "Cookies"; WireGuard, 5.4.7.
 */
#ifndef DAEMON_CORE_COOKIE_H
#define DAEMON_CORE_COOKIE_H

#include "common/addr.h"
#include "common/base.h"
#include "daemon/core/crypto.h"
#include "daemon/core/handshake.h"

enum {
	COOKIE_LEN = 16,
	COOKIE_RANDOM_LEN = 24,
	COOKIE_REPLY_LEN = 4 + COOKIE_RANDOM_LEN + COOKIE_LEN + CRYPTO_TAG_LEN,
};
#define COOKIE_LIFE (120 * NS_PER_SEC)

/* The server's. */
struct cookie_maker {
	uint8_t reply_key
		[CRYPTO_HASH_LEN]; /* what the key of each reply is made from */
	uint8_t secrets[2][CRYPTO_KEY_LEN]; /* now's, and the one before */
	ns_t renewed_at;
};

int cookie_maker_init(struct cookie_maker *m, const uint8_t pub[CRYPTO_KEY_LEN],
		      struct prng *rng, ns_t now) MUST_CHECK;
void cookie_maker_done(struct cookie_maker *m);

/* Makes a new secret when it is time; to be called before the next two. */
int cookie_maker_renew(struct cookie_maker *m, struct prng *rng, ns_t now) MUST_CHECK;

/* Whether the message's MAC2 was made with a cookie that `source` was given. */
bool cookie_mac2_ok(const struct cookie_maker *m, const struct addr *source,
		    const uint8_t msg[HANDSHAKE_LEN]);

/* Answers an initiation whose MAC1 is good; smaller than that. */
int cookie_reply(const struct cookie_maker *m, struct prng *rng,
		 const struct addr *source, const uint8_t msg[HANDSHAKE_LEN],
		 uint8_t ret_reply[COOKIE_REPLY_LEN]) MUST_CHECK;

/*
 * Client: reads the reply to its initiation `msg`. -EBADMSG: it is none, or not
 * to this one.
 */
int cookie_open(const uint8_t server_pub[CRYPTO_KEY_LEN],
		const uint8_t msg[HANDSHAKE_LEN], const uint8_t reply[COOKIE_REPLY_LEN],
		uint8_t ret_cookie[COOKIE_LEN]) MUST_CHECK;

/* Client: writes MAC2 into the message, over all before it. */
int cookie_put_mac2(const uint8_t cookie[COOKIE_LEN],
		    uint8_t msg[HANDSHAKE_LEN]) MUST_CHECK;

#endif
