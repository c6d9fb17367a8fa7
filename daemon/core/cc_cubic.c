#include "daemon/core/cc_cubic.h"

#include "daemon/core/cc.h"

#include <string.h>

/* RFC 9438, 4.6: beta is 0.7; 4.2: C is 0.4. */
#define BETA(w) ((w)*7 / 10)
/* 4.3: of Reno until it has what it lost, 3 (1 - beta) / (1 + beta) of it. */
enum { ALPHA_NUM = 9, ALPHA_DEN = 17 };

/* RFC 9406, 4.3 */
#define RTT_THRESH_MIN (4 * NS_PER_MS)
#define RTT_THRESH_MAX (16 * NS_PER_MS)
enum { RTT_DIVISOR = 8, RTT_SAMPLES = 8, CSS_DIVISOR = 4, CSS_ROUNDS = 5 };

/* Where the cubic is cut off: its terms fit in 64 bits. */
enum { CUBIC_MS_MAX = 100000 };

#define SSTHRESH_NONE UINT64_MAX

/* How long after a cut a spurious loss is taken for its cause. */
enum { UNDO_RTTS = 4 };

void
cc_cubic_init(struct cc *c)
{
	struct cc_cubic *q = &c->cubic;

	memset(q, 0, sizeof(*q));
	q->w.ssthresh = SSTHRESH_NONE;
	q->cut_at = -1;
	q->round_rtt = q->last_rtt = q->css_rtt = NS_NEVER;
	c->cwnd = CC_WINDOW_INITIAL * (uint64_t)c->mss;
	c->cwnd = max_u64(c->cwnd, cc_bytes(c->rate, CC_RTT_START));
	c->pacing_rate = 2 * cc_rate(c->cwnd, CC_RTT_START);
}

void
cc_cubic_restart(struct cc *c)
{
	uint64_t half = c->cwnd / 2;

	c->rate = 0;
	cc_cubic_init(c);
	c->cwnd = max_u64(c->cwnd, half);
	c->cubic.w.ssthresh = max_u64(2 * half, c->cwnd);
}

/* RFC 9406, 4.2: a round ends when what was sent at its beginning has come. */
static void
hystart_round(struct cc *c, const struct loss_sample *s)
{
	struct cc_cubic *q = &c->cubic;

	if (s->acked == 0 || s->prior_delivered < q->round_end)
		return;
	q->round_end = s->delivered;
	q->last_rtt = q->round_rtt;
	q->round_rtt = NS_NEVER;
	q->samples = 0;
	if (q->is_css && ++q->css_rounds >= CSS_ROUNDS)
		q->w.ssthresh = c->cwnd;
}

/* Whether the RTT of this round says that a queue is growing. */
static void
hystart_rtt(struct cc_cubic *q, ns_t rtt)
{
	ns_t thresh;

	q->round_rtt = min_ns(q->round_rtt, rtt);
	if (++q->samples < RTT_SAMPLES)
		return;
	if (q->is_css) {
		q->is_css = q->round_rtt >= q->css_rtt;
		return;
	}
	if (q->last_rtt == NS_NEVER)
		return;
	thresh = min_ns(max_ns(q->last_rtt / RTT_DIVISOR, RTT_THRESH_MIN),
			RTT_THRESH_MAX);
	if (q->round_rtt < q->last_rtt + thresh)
		return;
	q->is_css = true;
	q->css_rounds = 0;
	q->css_rtt = q->round_rtt;
}

static uint64_t
cube_root(uint64_t v)
{
	uint64_t root = 0;

	for (uint64_t bit = UINT64_C(1) << 20; bit > 0; bit >>= 1) {
		uint64_t r = root | bit;

		if (r * r * r <= v)
			root = r;
	}
	return root;
}

static void
begin_epoch(struct cc *c, ns_t now)
{
	struct cubic_window *w = &c->cubic.w;

	w->epoch_at = now;
	w->cwnd_epoch = w->w_est = c->cwnd;
	w->w_max = max_u64(w->w_max, c->cwnd);
	/* (w_max - cwnd_epoch) / C seconds^3, of windows in packets */
	w->k_ms = cube_root((w->w_max - c->cwnd) * 5 / 2 * NS_PER_SEC / c->mss);
	c->cubic.credit = c->cubic.credit_est = 0;
}

/* W_cubic(t) in bytes; RFC 9438, 4.2. */
static uint64_t
w_cubic(const struct cc *c, ns_t t)
{
	const struct cubic_window *w = &c->cubic.w;
	int64_t ms = t / NS_PER_MS - (int64_t)w->k_ms;
	uint64_t d = min_u64((uint64_t)(ms < 0 ? -ms : ms), CUBIC_MS_MAX);
	uint64_t bytes = d * d * d / 1000 * 2 * c->mss / 5 / 1000000;

	if (ms >= 0)
		return w->w_max + bytes;
	return w->w_max - min_u64(bytes, w->w_max);
}

/* RFC 9438, 4.3 to 4.5. */
static void
avoid_congestion(struct cc *c, const struct loss_sample *s, const struct rtt *r)
{
	struct cc_cubic *q = &c->cubic;
	struct cubic_window *w = &q->w;
	uint64_t target, reno;
	ns_t t;

	if (w->epoch_at == 0)
		begin_epoch(c, s->now);
	t = s->now - w->epoch_at;

	reno = s->acked * c->mss;
	if (w->w_est < w->cwnd_prior)
		reno = reno * ALPHA_NUM / ALPHA_DEN;
	q->credit_est += reno;
	w->w_est += q->credit_est / c->cwnd;
	q->credit_est %= c->cwnd;
	if (w_cubic(c, t) < w->w_est) {
		c->cwnd = max_u64(c->cwnd, w->w_est);
		return;
	}

	target = w_cubic(c, t + rtt_smoothed(r));
	target = min_u64(max_u64(target, c->cwnd), c->cwnd + c->cwnd / 2);
	q->credit += (target - c->cwnd) * s->acked;
	target = q->credit / c->cwnd;
	q->credit %= c->cwnd;
	c->cwnd += target;
}

static void
grow(struct cc *c, const struct loss_sample *s, const struct rtt *r)
{
	struct cc_cubic *q = &c->cubic;
	bool is_first = q->w.ssthresh == SSTHRESH_NONE;

	if (c->cwnd >= q->w.ssthresh) {
		avoid_congestion(c, s, r);
		return;
	}
	if (is_first)
		hystart_round(c, s);
	if (is_first && s->rtt > 0)
		hystart_rtt(q, s->rtt);
	c->cwnd += q->is_css ? s->acked / CSS_DIVISOR : s->acked;
	c->cwnd = min_u64(c->cwnd, q->w.ssthresh);
}

/* RFC 9438, 4.6 and 4.7. */
static void
cut(struct cc *c, const struct loss_sample *s)
{
	struct cc_cubic *q = &c->cubic;
	struct cubic_window *w = &q->w;

	w->cwnd = c->cwnd;
	q->undo = *w;
	q->can_undo = true;
	q->cut_at = s->now;
	q->cut_delivered = s->delivered;
	q->is_css = false;
	w->cwnd_prior = c->cwnd;
	/* Fast convergence: leave room for whoever comes. */
	w->w_max = c->cwnd < w->w_max ? c->cwnd * 17 / 20 : c->cwnd;
	c->cwnd = max_u64(BETA(c->cwnd), 2 * (uint64_t)c->mss);
	w->ssthresh = c->cwnd;
	w->epoch_at = 0;
}

/* RFC 9438, 4.9. */
static void
undo(struct cc *c, ns_t now, ns_t srtt)
{
	struct cc_cubic *q = &c->cubic;

	if (!q->can_undo || now - q->cut_at > UNDO_RTTS * srtt)
		return;
	q->can_undo = false;
	q->w = q->undo;
	q->cut_delivered = 0;
	c->cwnd = max_u64(c->cwnd, q->w.cwnd);
}

void
cc_cubic_sample(struct cc *c, const struct loss_sample *s, const struct rtt *r)
{
	struct cc_cubic *q = &c->cubic;
	bool is_slow_start;

	if (s->spurious)
		undo(c, s->now, rtt_smoothed(r));
	if (s->lost > 0 && s->lost_sent_at > q->cut_at)
		cut(c, s);
	if (s->persistent) {
		c->cwnd = 2 * (uint64_t)c->mss;
		q->w.epoch_at = 0;
	} else if (!s->app_limited && s->acked > 0) {
		/* RFC 9002, 7.3.2: not for what was sent before the cut. */
		if (s->prior_delivered >= q->cut_delivered)
			grow(c, s, r);
	} else if (s->app_limited && q->w.epoch_at != 0) {
		/* What is not used does not grow, nor does time count. */
		q->w.epoch_at += s->now - q->sampled_at;
	}
	q->sampled_at = s->now;
	c->cwnd = min_u64(c->cwnd, CC_WINDOW_MAX);
	is_slow_start = c->cwnd < q->w.ssthresh;
	if (r->srtt > 0)
		c->pacing_rate =
			cc_rate(c->cwnd * (is_slow_start ? 8 : 5) / 4, r->srtt);
}

uint64_t
cc_cubic_bandwidth(const struct cc *c, const struct rtt *r)
{
	return r->srtt > 0 ? cc_rate(c->cwnd, r->srtt) : c->rate;
}
