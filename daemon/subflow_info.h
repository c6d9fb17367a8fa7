/*
 * subflow_info - what is known of one subflow of a udp session, for the report.
 *
 * Units:   bytes of UDP payload, packets, bit/s, ns. 0: not known, where it
 *          says so.
 * Owner:   whoever calls; the pointers live during the call only.
 */
#ifndef DAEMON_SUBFLOW_INFO_H
#define DAEMON_SUBFLOW_INFO_H

#include "common/addr.h"
#include "common/base.h"

struct subflow_info {
	const char *peer;     /* the other side's name */
	const char *carrier;  /* "udp", "tcp" */
	const char *state;    /* "joining", "active", "suspect", "dead", "ended" */
	const char *priority; /* of what this side sends: "always", "backup" */
	struct addr local, remote;
	uint8_t id;
	uint8_t uplink; /* id on the client */
	bool active;
	ns_t state_for;
	ns_t srtt, min_rtt, rttvar; /* 0: not known */
	ns_t queueing; /* how much longer the way to the peer takes than its least */
	uint64_t cwnd, in_flight;                            /* bytes */
	uint64_t bytes_tx, bytes_rx, packets_tx, packets_rx; /* since its start */
	uint64_t packets_lost,
		packets_spurious; /* taken for lost; of these, that came */
	uint64_t rate_tx;         /* bit/s that can be counted on; 0: not known */
	unsigned suspected;       /* times */
	uint16_t mtu;             /* bytes of a whole IP packet */
};

typedef void (*subflow_info_fn)(void *arg, const struct subflow_info *info);

#endif
