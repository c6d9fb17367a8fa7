/*
 * egress - where streams leave the server for their destination.
 *
 * Model:   name (c-ares) -> every address vetted by acl -> connect to vetted
 *          addresses in turn (RFC 8305 order, 250 ms apart) -> descriptor.
 *          A name with any address that is refused uses only the others; with
 *          none left the answer is OPEN_DENIED.
 * Bounds:  per peer EGRESS_LOOKUPS_MAX look-ups and EGRESS_CONNECTS_MAX
 *          connects under way, CONNECT_DEADLINE each in all.
 * Owner:   a request belongs to egress until on_done or egress_cancel().
 */
#ifndef DAEMON_EGRESS_H
#define DAEMON_EGRESS_H

#include "daemon/acl.h"
#include "daemon/config.h"
#include "daemon/io/loop.h"
#include "daemon/io/resolver.h"
#include "daemon/tunnel.h"

enum { EGRESS_LOOKUPS_MAX = 64, EGRESS_CONNECTS_MAX = 256 };

struct egress;
struct egress_request;

/* Per peer, embedded by the caller, zeroed at first. */
struct egress_load {
	unsigned lookups, connects;
};

struct egress *
egress_new(struct loop *l, struct resolver *r, const struct acl_machine *machine);
void egress_free(struct egress *e); /* cancels what is under way */

/* `fd` is the receiver's, -1 unless OPEN_OK. Never runs inside egress_start(). */
typedef void (*egress_done_fn)(void *arg, enum open_status status, int fd);

/* NULL: no memory. A refusal by limit or acl comes through on_done as well. */
struct egress_request *
egress_start(struct egress *e, const struct config_host *dest,
	     const struct config_peer *peer, struct egress_load *load,
	     egress_done_fn on_done, void *arg);
void egress_cancel(struct egress_request *r);

#endif
