/*
 * ingress_visitor - a local socket that still has to say where it wants to go.
 *
 *	                      stream is open           stream ends
 *	HEADER ----> OPENING ---------------> ATTACHED -----------> (gone)
 *	   |            | refused
 *	   +------------+----> LINGERING --> (gone)
 *	     header refused         the reply is read, or LINGER_LIFE is over
 *
 * Model:   socks5 and http only; forward needs none of it. Bytes behind the
 *          header are kept and go to the tunnel with the socket. A socket that
 *          closes in HEADER or OPENING is gone at once, and so is its stream.
 * Bounds:  INGRESS_PENDING_MAX in HEADER and as many in LINGERING, of each
 *          host; the oldest goes. INGRESS_HEADER_MAX bytes each.
 * Owner:   a visitor owns itself; a host outlives its visitors, which end with
 *          visitor_end_all() at the latest.
 */
#ifndef DAEMON_INGRESS_VISITOR_H
#define DAEMON_INGRESS_VISITOR_H

#include "common/list.h"
#include "daemon/ingress.h"
#include "daemon/login.h"

enum visitor_state {
	VISITOR_HEADER,
	VISITOR_OPENING,
	VISITOR_ATTACHED,
	VISITOR_LINGERING,
	VISITOR_STATES,
};

/* What the visitors of one listener share. */
struct visitor_host {
	struct loop *loop;
	struct tunnel *tunnel;
	const struct config_listener *from;
	const struct login *login;            /* NULL: none asked */
	struct list visitors[VISITOR_STATES]; /* the oldest in that state first */
	unsigned n[VISITOR_STATES];
	struct ingress_counters counters; /* without `pending` */
};

void visitor_host_init(struct visitor_host *h);

/* The descriptor is the visitor's; without memory it is reset. */
void visitor_start(struct visitor_host *h, int fd);

/* Resets the one that has been in HEADER for longest; false: there is none. */
bool visitor_shed(struct visitor_host *h);

void visitor_end_all(struct visitor_host *h);

#endif
