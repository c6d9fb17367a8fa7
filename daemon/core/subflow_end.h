/*
 * subflow_end - when and why a subflow ends, and when it may come back.
 *
 * Source:  docs/protocol.md, "Subflows"; RFC 8684, 3.6.
 */
#ifndef DAEMON_CORE_SUBFLOW_END_H
#define DAEMON_CORE_SUBFLOW_END_H

#include "common/base.h"

#define SUBFLOW_RETRY_MIN NS_PER_SEC /* after an end; doubles with each reset */
#define SUBFLOW_RETRY_MAX (60 * NS_PER_SEC)
#define SUBFLOW_END_AGAIN \
	NS_PER_SEC /* between two resets, and the slowest round trip */

/* Why it ended: RFC 8684, 3.6. Any other counts as SUBFLOW_END_UNSPECIFIED. */
enum subflow_end {
	SUBFLOW_END_UNSPECIFIED = 0,
	SUBFLOW_END_PROTOCOL = 1, /* final, as PROHIBITED and MIDDLEBOX */
	SUBFLOW_END_RESOURCES = 2,
	SUBFLOW_END_PROHIBITED = 3,
	SUBFLOW_END_OUTSTANDING = 4,
	SUBFLOW_END_PERFORMANCE = 5,
	SUBFLOW_END_MIDDLEBOX = 6,
};

/* For the state SUBFLOW_ENDED, and what was learnt in it. */
struct subflow_ended {
	uint8_t code;     /* of the last end: enum subflow_end, or unknown */
	bool barred;      /* the server lets it in no more */
	bool says;        /* the peer is to be told */
	unsigned retries; /* ends in a row that were not for good */
	uint32_t rejoins;
	ns_t rest_until; /* it joins no sooner */
	ns_t retry_at;   /* it joins again; NS_NEVER: not by itself */
	ns_t said_at;
	/* Its address was taken back: from then on silence ends it; else NS_NEVER. */
	ns_t leave_at;
};

#endif
