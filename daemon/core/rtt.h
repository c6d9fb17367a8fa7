/*
 * rtt - round-trip time of one subflow, and the one-way delay's changes.
 *
 * Model:   srtt and rttvar as ever; the least is that of RTT_MIN_WINDOW, kept by
 *          halves: two whole ones and the one that goes on, so up to 1.5 of it.
 * Units:   ns. One-way delay is known only relative to the least one seen: the
 *          clocks of both ends are apart by an unknown, constant amount.
 * Owner:   the caller owns the struct; all zero has no sample yet.
 * Source:  RFC 9002, 5 (smoothing, ack delay) and 6.2.1 (PTO).
 */
#ifndef DAEMON_CORE_RTT_H
#define DAEMON_CORE_RTT_H

#include "common/base.h"

#define RTT_INITIAL     (333 * NS_PER_MS) /* RFC 9002, 6.2.2 */
#define RTT_GRANULARITY NS_PER_MS         /* RFC 9002, 6.1.2 */
#define RTT_MIN_WINDOW  (10 * NS_PER_SEC)

struct rtt_min {
	ns_t value, at; /* the least of the half window that began then */
};

struct rtt {
	ns_t srtt, rttvar; /* srtt 0: no sample yet */
	ns_t latest;
	struct rtt_min min[3]; /* newest first */
	bool has_owd;
	uint32_t owd_base; /* microseconds, modulo 2^32: the first one seen */
	ns_t owd_now;      /* relative to it, smoothed over a few samples */
	struct rtt_min owd_min[3];
};

/* `delay`: what the peer says it waited; the caller has bounded it. */
void rtt_sample(struct rtt *r, ns_t latest, ns_t delay, ns_t now);
/* A packet sent at `sent_at` of our clock came at `received_at` (us) of the peer's. */
void rtt_one_way(struct rtt *r, ns_t sent_at, uint32_t received_at, ns_t now);

ns_t rtt_smoothed(const struct rtt *r); /* RTT_INITIAL before the first sample */
ns_t rtt_minimum(const struct rtt *r);  /* the same */
/* How much longer than its least the way to the peer takes; at most a round trip. */
ns_t rtt_queueing(const struct rtt *r);
/* Probe timeout: srtt + max(4 rttvar, 1 ms) + max_ack_delay. */
ns_t rtt_pto(const struct rtt *r, ns_t max_ack_delay);

#endif
