/*
 * ingress - where local TCP comes in on the client.
 *
 * Model:   a listener per [listen NAME]; each accepted socket says where it
 *          wants to go (or the listener knows), a stream is opened, the
 *          answer waits for the real one, then the tunnel pumps.
 *
 *	accepted -> header (socks5, http) -> opening -> attached to the tunnel
 *	        \-> (forward) opening and attached at once
 * Bounds:  INGRESS_HEADER_MAX bytes of header, HEADER_DEADLINE for it,
 *          INGRESS_PENDING_MAX sockets without a complete header per
 *          listener: the oldest one goes first.
 * Owner:   ingress owns a socket until it is attached.
 */
#ifndef DAEMON_INGRESS_H
#define DAEMON_INGRESS_H

#include "common/errmsg.h"
#include "daemon/config.h"
#include "daemon/io/loop.h"
#include "daemon/tunnel.h"

enum { INGRESS_HEADER_MAX = 8192, INGRESS_PENDING_MAX = 1024 };

struct ingress;

/* NULL and why: an address that is taken, a password file that is unfit. */
struct ingress *ingress_new(struct loop *l, const struct config *c, struct tunnel *t,
			    struct errmsg *why);
void ingress_free(struct ingress *in);

struct ingress_counters {
	uint64_t accepted, refused_header, timed_out, shed;
	unsigned pending; /* without a complete header now */
};
/* Of listener i of the configuration. */
void ingress_counters_get(const struct ingress *in, size_t i,
			  struct ingress_counters *ret_counters);

#endif
