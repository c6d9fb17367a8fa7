/*
 * cc - congestion control of one subflow, behind one interface.
 *
 * Model:   the subflow tells what it sent, what came of it and what it lacked;
 *          the controller answers with a window and a pacing rate.
 * Units:   bytes of datagrams (UDP payload), bytes a second, ns.
 * Bounds:  cwnd from 2 * mss to CC_WINDOW_MAX; pacing_rate at least CC_RATE_MIN.
 * Owner:   the caller owns the struct; nothing in it needs freeing.
 * Source:  draft-ietf-ccwg-bbr, RFC 9438 (CUBIC), RFC 9406 (HyStart++),
 *          RFC 9002, 7.
 */
#ifndef DAEMON_CORE_CC_H
#define DAEMON_CORE_CC_H

#include "common/base.h"
#include "daemon/core/cc_bbr.h"
#include "daemon/core/cc_cubic.h"
#include "daemon/core/loss.h"

enum {
	CC_WINDOW_INITIAL = 10, /* packets; RFC 6928 */
	CC_WINDOW_MAX = 256 * 1024 * 1024,
	CC_RATE_MIN = 8 * 1024, /* bytes a second */
};
#define CC_RATE_MAX  UINT64_C(4000000000) /* so that rate * time fits in 64 bits */
#define CC_TIME_MAX  (4 * NS_PER_SEC)
#define CC_RTT_START (50 * NS_PER_MS) /* to pace by before the first sample */

enum cc_kind { CC_BBR, CC_CUBIC, CC_FIXED };

struct cc {
	enum cc_kind kind;
	uint64_t cwnd;        /* bytes that may be in flight */
	uint64_t pacing_rate; /* bytes a second */
	uint64_t max_rate;    /* bytes a second, configured; 0: none */
	uint64_t rate; /* bytes a second to begin with, or to keep to; 0: unknown */
	uint32_t mss;  /* bytes of a full datagram */
	union {
		struct cc_bbr bbr;
		struct cc_cubic cubic;
	};
};

/*
 * `rate`: bytes a second to begin with, 0: not known. CC_FIXED keeps to it.
 * `phase`: 0 to 255, different for each subflow of a session, so that not all
 * of them look for their least RTT at once.
 */
void cc_init(struct cc *c, enum cc_kind kind, uint32_t mss, uint64_t rate,
	     uint8_t phase, ns_t now);

/* -EINVAL: no controller has this name. */
int cc_parse(const char *name, enum cc_kind *ret_kind) MUST_CHECK;
const char *cc_name(enum cc_kind kind);

/* The path takes larger or smaller packets now. */
void cc_set_mss(struct cc *c, uint32_t mss);
/* A cap from the configuration, bytes a second; 0: none. */
void cc_set_max_rate(struct cc *c, uint64_t rate);

/* `in_flight`: bytes before this packet. */
void cc_sent(struct cc *c, uint64_t in_flight, uint32_t size, ns_t now);
void cc_sample(struct cc *c, const struct loss_sample *s, const struct rtt *r);
/* The subflow returns from the dead: begin anew, at half of what it once had. */
void cc_restart(struct cc *c, ns_t now);

/* Delivery rate that the subflow can be counted on for, bytes a second; 0: unknown. */
uint64_t cc_bandwidth(const struct cc *c, const struct rtt *r);

/* Bytes that `rate` is in `span`, and the rate of so many; both saturate. */
uint64_t cc_bytes(uint64_t rate, ns_t span);
uint64_t cc_rate(uint64_t bytes, ns_t span);

#endif
