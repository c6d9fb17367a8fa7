/*
 * descriptors - whether the process may have as many as its configuration needs.
 *
 * Model:   two for a stream; on a server UDP_CARRIERS_OF_SESSION for each client,
 *          which has one session; and DESCRIPTORS_RESERVED for all else, legs that
 *          wait for a stream included.
 */
#ifndef DAEMON_DESCRIPTORS_H
#define DAEMON_DESCRIPTORS_H

#include "common/errmsg.h"
#include "daemon/config.h"

enum { DESCRIPTORS_RESERVED = 256 };

/* -EMFILE and why: `limit` is too low. */
int descriptors_check(const struct config *c, unsigned limit,
		      struct errmsg *why) MUST_CHECK;

#endif
