/*
 * subflows_watch - judges which subflow of a leg is dead, by evidence only.
 *
 * Model:   at each look the kernel's figures are taken over; a subflow that has
 *          bytes in flight and none acknowledged for max(3 srtt, 200 ms) has
 *          stalled. One with less than WATCH_BULK that may still arrive waits
 *          for its retransmission timeout, and gets rto + srtt, at most
 *          500 ms. It is dead when another one of the leg has not stalled, and
 *          no leg had progress between the same two addresses in that time:
 *          such a one is only slow, and dead after five times as long.
 * Bounds:  WATCH_PAIRS_MAX pairs of addresses, the later takes the place.
 */
#ifndef DAEMON_SUBFLOWS_WATCH_H
#define DAEMON_SUBFLOWS_WATCH_H

#include "daemon/io/mptcp_info.h"
#include "daemon/subflows.h"

enum {
	WATCH_PAIRS_MAX = 1024,
	WATCH_BULK = 16, /* packets: silence about so many is no lost tail */
};
#define WATCH_STALL_MIN (200 * NS_PER_MS)
#define WATCH_STALL_RTO (500 * NS_PER_MS) /* the most that rto + srtt counts */

struct watch_pair {
	struct addr local, remote; /* without ports */
	ns_t progress_at;
};

struct subflows_watch {
	struct watch_pair pairs[WATCH_PAIRS_MAX];
};

/* Takes over the figures. False: nothing is in flight, no need to look again. */
bool subflows_watch_take(struct subflows_watch *w, struct leg_subflows *ls,
			 const struct mptcp_info_all *info, ns_t now);

/* The first dead one, or NULL. `info` as taken over last. */
struct subflow *
subflows_watch_dead(const struct subflows_watch *w, struct leg_subflows *ls,
		    const struct mptcp_info_all *info, ns_t now);

/* The kernel's figures of `sf`, or NULL: it has gone. */
const struct mptcp_subflow_info *
subflows_watch_find(const struct mptcp_info_all *info, const struct subflow *sf);

#endif
