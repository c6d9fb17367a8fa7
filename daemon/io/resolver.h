/*
 * resolver - names to addresses, by c-ares, without blocking.
 *
 * Bounds:  RESOLVER_ADDRS_MAX addresses an answer; the caller limits how many
 *          look-ups are under way. Answers come within `deadline`.
 * Owner:   a look-up belongs to the resolver until on_done has run or
 *          resolver_cancel() was called; on_done never runs inside of
 *          resolver_start() or after resolver_cancel().
 */
#ifndef DAEMON_IO_RESOLVER_H
#define DAEMON_IO_RESOLVER_H

#include "common/addr.h"
#include "common/base.h"
#include "daemon/io/loop.h"

enum { RESOLVER_ADDRS_MAX = 16 };

struct resolver;
struct lookup;

/* `device`: send queries out of this interface only; NULL: as routed. */
struct resolver *resolver_new(struct loop *l, const char *device);
void resolver_free(struct resolver *r); /* cancels what is under way */

/*
 * err: 0, -ENOENT no such name, -ENODATA no address of it, -ETIMEDOUT nobody
 * answered, else -errno. The addresses have port 0, in the order of RFC 6724.
 */
typedef void (*lookup_done_fn)(void *arg, int err, const struct addr *addrs, size_t n);

int resolver_start(struct resolver *r, const char *host, ns_t deadline,
		   lookup_done_fn on_done, void *arg,
		   struct lookup **ret_lookup) MUST_CHECK;
void resolver_cancel(struct lookup *lk);

#endif
