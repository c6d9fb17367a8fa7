/*
 * socks5 - the server's side of SOCKS version 5, as bytes.
 *
 *	           no login asked
 *	GREETING -----------------------> REQUEST --> open, or refused
 *	    |                                ^
 *	    +-- login asked --> LOGIN -------+  right user and password
 *
 * Model:   CONNECT only. With a login nothing but user/password is accepted,
 *          without one nothing but no authentication.
 * Source:  RFC 1928, RFC 1929.
 */
#ifndef DAEMON_SOCKS5_H
#define DAEMON_SOCKS5_H

#include "daemon/login.h"
#include "daemon/request.h"
#include "daemon/tunnel.h"

enum socks5_stage { SOCKS5_GREETING, SOCKS5_LOGIN, SOCKS5_REQUEST };

struct socks5 {
	const struct login *login; /* NULL: none asked */
	enum socks5_stage stage;
};

/* `s` begins with its login and the rest zero. See request.h. */
enum request_step
socks5_parse(struct socks5 *s, const uint8_t *in, size_t len, struct request *ret);

/* Writes the reply to the request; returns its length. */
size_t socks5_answer(enum open_status status, uint8_t out[REQUEST_ANSWER_MAX]);

#endif
