/*
 * cc_bbr - congestion control by a model of the subflow.
 *
 *	STARTUP --> DRAIN --> CRUISE --> UP --> DOWN --+
 *	   ^                    ^  ^     ^             |
 *	   |                    |  +-----|-------------+
 *	   |    any after STARTUP --> PROBE_RTT
 *	   +--- any, when nothing came for several probe timeouts
 *
 * Model:   paced at the model's rate. Bytes in flight are at most
 *          rate * (least RTT + jitter + q), q as in cc_model.h. UP begins a
 *          cycle and tries for more. PROBE_RTT empties the queue when the least
 *          RTT was not met for 5 s, or when a queue stands that ought not to.
 * Owner:   inside a struct cc; only cc.c calls these functions.
 * Source:  draft-ietf-ccwg-bbr; Cardwell et al., "BBR", ACM Queue 2016.
 */
#ifndef DAEMON_CORE_CC_BBR_H
#define DAEMON_CORE_CC_BBR_H

#include "common/base.h"
#include "daemon/core/cc_model.h"

struct cc;
struct rtt;

enum bbr_state {
	BBR_STARTUP,
	BBR_DRAIN,
	BBR_CRUISE,
	BBR_UP,
	BBR_DOWN,
	BBR_PROBE_RTT,
};

struct cc_bbr {
	struct cc_model model;
	enum bbr_state state;
	ns_t state_at;
	unsigned rounds;   /* that ended in this state */
	uint64_t state_bw; /* bw at its begin, or when it grew last */
	uint8_t phase;     /* of 256: where in its period PROBE_RTT is due */
	ns_t probe_rtt_at; /* due next, if the least RTT was not met for a period */
	uint32_t random;
	ns_t sampled_at;

	bool is_filled;   /* STARTUP has found the rate */
	uint64_t full_bw; /* what STARTUP must outgrow */
	unsigned full_rounds;

	ns_t cruise_ns;       /* how long this CRUISE lasts */
	unsigned growth;      /* round trips of UP in which bw grew */
	bool has_probed;      /* UP had the data to try for more, in this cycle */
	bool is_cut_for_loss; /* bw was; it is to be tried again soon */
	uint64_t inflight_hi; /* where UP met loss; UINT64_MAX: nowhere */

	ns_t probe_rtt;  /* least RTT in PROBE_RTT; NS_NEVER: none */
	ns_t low_at;     /* since when little is in flight there; 0: not yet */
	ns_t drained_at; /* when PROBE_RTT ended last */
	ns_t queued_at;  /* since when a queue stands that ought not to; 0: none */
	uint64_t queued_delivered; /* bytes, then */
	bool is_cut_for_queue;     /* since drained_at */
	bool has_rivals;           /* the queue is made by others */
};

void cc_bbr_init(struct cc *c, uint8_t phase, ns_t now);
void cc_bbr_sent(struct cc *c, uint64_t in_flight, ns_t now);
void cc_bbr_sample(struct cc *c, const struct loss_sample *s, const struct rtt *r);
void cc_bbr_restart(struct cc *c, ns_t now);
uint64_t cc_bbr_bandwidth(const struct cc *c, const struct rtt *r);

#endif
