/*
 * cc_cubic - congestion control that grows with the time since the last loss.
 *
 * Model:   slow start, which HyStart++ ends when the RTT grows; then the window
 *          follows a cubic with its flat part at `w_max`, where the last loss
 *          was. A loss that turns out to be none is undone.
 * Units:   bytes, ns; `k_ms` in milliseconds.
 * Owner:   inside a struct cc; only cc.c calls these functions.
 * Source:  RFC 9438, RFC 9406.
 */
#ifndef DAEMON_CORE_CC_CUBIC_H
#define DAEMON_CORE_CC_CUBIC_H

#include "common/base.h"

struct cc;
struct loss_sample;
struct rtt;

/* What a loss changes; names of RFC 9438, 4.1.2. */
struct cubic_window {
	uint64_t cwnd; /* kept here only to undo */
	uint64_t ssthresh;
	uint64_t w_max;
	uint64_t cwnd_prior; /* before the last loss */
	uint64_t cwnd_epoch;
	uint64_t w_est; /* what Reno would have */
	uint64_t k_ms;  /* from epoch_at until w_max is reached */
	ns_t epoch_at;  /* 0: congestion avoidance has not begun */
};

struct cc_cubic {
	struct cubic_window w;
	struct cubic_window undo; /* before the last loss */
	bool can_undo;
	ns_t cut_at; /* losses of packets sent until then are the same event */
	uint64_t cut_delivered; /* bytes delivered then */
	uint64_t credit;     /* growth of cwnd and w_est that is not a byte yet, ... */
	uint64_t credit_est; /* ... in bytes * cwnd */
	ns_t sampled_at;
	/* HyStart++: */
	uint64_t round_end;                /* bytes delivered */
	ns_t round_rtt, last_rtt, css_rtt; /* least of each; NS_NEVER: none */
	unsigned samples, css_rounds;
	bool is_css; /* conservative slow start */
};

void cc_cubic_init(struct cc *c);
void cc_cubic_sample(struct cc *c, const struct loss_sample *s, const struct rtt *r);
void cc_cubic_restart(struct cc *c);
uint64_t cc_cubic_bandwidth(const struct cc *c, const struct rtt *r);

#endif
