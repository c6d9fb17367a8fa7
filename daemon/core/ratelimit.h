/*
 * ratelimit - which handshakes a server looks at when there are many.
 *
 * Model:   handshakes are counted by seconds. While there are few, all pass.
 *          Under load each source has a bucket of RATELIMIT_BURST, refilled at
 *          RATELIMIT_PER_SECOND; kept as the instant when it is full again:
 *
 *	      now                  full_at            now + burst
 *	-------|------- spent -------|------- left ------|------->
 *
 *          A source is an IPv4 address or an IPv6 /64.
 * Bounds:  RATELIMIT_SLOTS sources; where there are more, the one of its set
 *          whose bucket is fullest is forgotten, which gives the least away.
 * Owner:   the caller owns the struct; all zero is ready.
 * Source:  WireGuard, 5.3. A source is proven when it is limited: by TCP, or by
 *          a cookie. Else anybody could spend another one's bucket.
 */
#ifndef DAEMON_CORE_RATELIMIT_H
#define DAEMON_CORE_RATELIMIT_H

#include "common/addr.h"
#include "common/base.h"

enum {
	RATELIMIT_LOAD = 200,      /* handshakes in a second: more is load */
	RATELIMIT_PER_SECOND = 20, /* per source, under load */
	RATELIMIT_BURST = 5,
	RATELIMIT_WAYS = 8, /* slots where a source may be */
	RATELIMIT_SLOTS = 2048,
};

struct ratelimit_slot {
	uint8_t source[8]; /* the IPv4 address, or the upper half of IPv6 */
	uint8_t family;
	ns_t full_at;
};

struct ratelimit {
	ns_t second_at; /* when the second began that is counted */
	unsigned count, count_before;
	struct ratelimit_slot slots[RATELIMIT_SLOTS];
};

/* What counts as one source: the IPv4 address or the IPv6 /64, port 0. */
struct addr ratelimit_source(const struct addr *remote);

/*
 * Counts one handshake. True: this second or the one before has too many, and
 * each must take from its source's bucket. `now` never goes back.
 */
bool ratelimit_is_load(struct ratelimit *r, ns_t now);

/* False: the source's bucket is empty; say nothing to it. */
bool ratelimit_take(struct ratelimit *r, const struct addr *remote, ns_t now);

#endif
