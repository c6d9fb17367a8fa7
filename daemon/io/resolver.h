/*
 * resolver - names to addresses, by c-ares, without blocking.
 *
 * Model:   a channel of c-ares with the settings of resolv.conf. When that file
 *          has changed, the next look-up gets a new channel, and the old one
 *          goes when its last look-up has ended.
 * Bounds:  RESOLVER_ADDRS_MAX addresses an answer, RESOLVER_PENDING_MAX
 *          look-ups that c-ares works on, which it does for some seconds
 *          after one was cancelled or late.
 * Owner:   a look-up belongs to the resolver. Its pointer is valid until
 *          on_done begins or resolver_cancel() returns; on_done never runs
 *          inside of resolver_start() or after resolver_cancel().
 */
#ifndef DAEMON_IO_RESOLVER_H
#define DAEMON_IO_RESOLVER_H

#include "common/addr.h"
#include "common/base.h"
#include "daemon/io/loop.h"

enum {
	RESOLVER_ADDRS_MAX = 16,
	RESOLVER_PENDING_MAX = 1024,
	RESOLVER_CHANNELS_MAX = 4, /* with those that wait for their last look-up */
	RESOLVER_SERVERS_MAX = 8,
};

struct resolver;
struct lookup;

/*
 * `device`: send queries out of this interface only; NULL: as routed.
 * NULL: no memory, or the name is longer than a device's.
 */
struct resolver *resolver_new(struct loop *l, const char *device);
void resolver_free(struct resolver *r); /* cancels what is under way */

/*
 * From the next look-up on asks these name servers, "192.0.2.1,[2001:db8::1]:5353",
 * instead of those of resolv.conf; NULL: those again.
 *
 * -EINVAL  it is not such a list, of 1 to RESOLVER_SERVERS_MAX
 * -EBUSY   too many earlier changes have look-ups under way: try again
 */
int resolver_set_servers(struct resolver *r, const char *servers) MUST_CHECK;

/*
 * err: 0, -ENOENT no such name, -ENODATA no address of it, -ETIMEDOUT nobody
 * answered, -ECONNREFUSED no name server could or would, else -errno. The
 * addresses have port 0, in the order of RFC 6724.
 */
typedef void (*lookup_done_fn)(void *arg, int err, const struct addr *addrs, size_t n);

/*
 * Answers within `deadline` from now.
 *
 * -EINVAL   `host` is not a name of letters, digits, "-", "_" and dots
 * -ENOBUFS  RESOLVER_PENDING_MAX look-ups are under way
 */
int resolver_start(struct resolver *r, const char *host, ns_t deadline,
		   lookup_done_fn on_done, void *arg,
		   struct lookup **ret_lookup) MUST_CHECK;
void resolver_cancel(struct lookup *lk);

#endif
