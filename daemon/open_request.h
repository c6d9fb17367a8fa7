/*
 * open_request - what a client asks for when it opens a stream, as bytes.
 *
 *	| flags 1 | port 2 | length 1 | host, without a NUL |
 *
 * Source:  docs/protocol.md, "Open".
 */
#ifndef DAEMON_OPEN_REQUEST_H
#define DAEMON_OPEN_REQUEST_H

#include "daemon/config.h"

enum {
	OPEN_REQUEST_MAY_BE_PLAIN = 1, /* flag */
	OPEN_REQUEST_MAX = 4 + HOST_MAX,
};

/* Returns its bytes. */
size_t open_request_put(uint8_t ret_buf[OPEN_REQUEST_MAX],
			const struct config_host *dest, uint8_t flags);
/* -EBADMSG: it is not one. */
int open_request_get(const uint8_t *buf, size_t len, struct config_host *ret_dest,
		     uint8_t *ret_flags) MUST_CHECK;

#endif
