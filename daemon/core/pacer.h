/*
 * pacer - spreads the packets of one subflow over time.
 *
 * Model:   a bucket of bytes, filled at the pacing rate and emptied by sending;
 *          while there is anything in it, one packet may go, into debt if need be.
 * Units:   bytes, bytes a second, ns.
 * Bounds:  the bucket holds one quantum: 1 ms of the rate, at least 2 packets,
 *          at most 16, 44 above 500 Mbit/s.
 * Owner:   the caller owns the struct.
 * Source:  RFC 9002, 7.7; protocol.md, "Pacing".
 */
#ifndef DAEMON_CORE_PACER_H
#define DAEMON_CORE_PACER_H

#include "common/base.h"

struct pacer {
	int64_t tokens; /* bytes times NS_PER_SEC: nothing is lost to rounding */
	ns_t filled_at;
};

/* Begins with a full bucket. */
void pacer_init(struct pacer *p, ns_t now);

/* What may be sent in one go, given rate and packet size. */
uint32_t pacer_quantum(uint64_t rate, uint32_t mss);

/* Bytes that may be sent now: at least one packet, or 0: not yet. */
uint32_t pacer_allowance(struct pacer *p, uint64_t rate, uint32_t mss, ns_t now);
void pacer_sent(struct pacer *p, uint32_t bytes);

/* When a packet may be sent, at the earliest; not before `now`. */
ns_t pacer_next(const struct pacer *p, uint64_t rate, uint32_t mss, ns_t now);

#endif
