/*
 * request - what a parser of SOCKS5 or HTTP CONNECT makes of some bytes.
 *
 * Model:   a parser looks at the bytes that have not been used yet, says how
 *          many it has used and what is to be done; it is called again with
 *          the rest and whatever came since. How the bytes were cut into
 *          pieces makes no difference.
 * Bounds:  INGRESS_HEADER_MAX bytes used in all.
 */
#ifndef DAEMON_REQUEST_H
#define DAEMON_REQUEST_H

#include "daemon/config.h"

enum { REQUEST_ANSWER_MAX = 512 };

enum request_step {
	REQUEST_MORE,    /* nothing to do before more bytes are here */
	REQUEST_ANSWER,  /* send the answer, then call again */
	REQUEST_OPEN,    /* `dest` is set; its answer waits for the stream */
	REQUEST_REFUSED, /* send the answer, then close */
};

struct request {
	size_t used;             /* bytes of this call */
	struct config_host dest; /* printable ASCII without spaces */
	uint8_t answer[REQUEST_ANSWER_MAX];
	size_t answer_len;
};

/* -EINVAL: no host, too long, port 0, or a byte that no name or address has. */
int request_set_dest(struct request *r, const uint8_t *host, size_t len,
		     uint16_t port) MUST_CHECK;

#endif
