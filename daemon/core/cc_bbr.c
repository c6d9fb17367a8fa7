#include "daemon/core/cc_bbr.h"

#include "daemon/core/cc.h"

#include <string.h>

/* Gains in 1/256. */
enum {
	GAIN_ONE = 256,
	GAIN_STARTUP = 709, /* 2.77 */
	GAIN_DRAIN = 92,    /* 1 / 2.77 */
	GAIN_UP = 320,      /* 1.25 */
	GAIN_UP_FAST = 384, /* 1.5, while there is ever more */
	GAIN_DOWN = 192,    /* 0.75 */
	GAIN_CRUISE = 253,  /* 0.99: what little is queued drains */
};

/* In round trips, but for WINDOW_MIN. */
enum {
	WINDOW_MIN = 4,   /* packets */
	FULL_ROUNDS = 3,  /* without growth: STARTUP is over */
	UP_ROUNDS = 2,    /* until an answer to UP is here */
	DOWN_ROUNDS = 4,  /* of DRAIN and DOWN, at most */
	FAST_GROWTH = 2,  /* of growth until UP goes faster */
	CRUISE_UNITS = 5, /* of CRUISE, and up to CRUISE_RANDOM more */
	CRUISE_RANDOM = 3,
	QUEUED_SLOW =
		3, /* with a queue until something is done, at a lower rate, ... */
	QUEUED_LONG = 8, /* ... when the rate holds */
};

#define UNIT_MIN        (5 * NS_PER_MS)   /* of a round trip, for UP and CRUISE */
#define UNIT_MAX        (140 * NS_PER_MS) /* the same, for CRUISE */
#define QUEUED_UNIT_MIN (20 * NS_PER_MS)  /* the same, with a queue */
#define PROBE_RTT_EVERY (5 * NS_PER_SEC)
#define PROBE_RTT_TIME  (200 * NS_PER_MS)
#define PROBE_RTT_APART (2 * NS_PER_SEC) /* when a queue asks for it */

static uint64_t
gained(uint64_t v, unsigned gain)
{
	return v * gain / GAIN_ONE;
}

static void
set_bw(struct cc_bbr *b, uint64_t bw)
{
	cc_model_set_bw(&b->model, bw);
	b->state_bw = bw;
}

/* Some round trips, never the same: flows that share a link drift apart. */
static ns_t
cruise_time(struct cc_bbr *b)
{
	ns_t unit = max_ns(cc_model_base_rtt(&b->model), UNIT_MIN);

	b->random = b->random * 1664525 + 1013904223;
	unit = min_ns(unit, UNIT_MAX);
	return unit * CRUISE_UNITS + unit * CRUISE_RANDOM * (b->random >> 24) / 256;
}

static void
enter(struct cc_bbr *b, enum bbr_state next, ns_t now)
{
	b->state = next;
	b->state_at = now;
	b->rounds = 0;
	b->growth = 0;
	switch (next) {
	case BBR_STARTUP:
	case BBR_DRAIN:
	case BBR_DOWN: break;
	case BBR_CRUISE: b->cruise_ns = cruise_time(b); break;
	case BBR_UP:
		/* A cycle without the data to try for more says nothing against the old. */
		if (b->has_probed)
			cc_model_begin_cycle(&b->model);
		b->has_probed = false;
		break;
	case BBR_PROBE_RTT:
		b->probe_rtt = NS_NEVER;
		b->low_at = 0;
		break;
	}
	b->state_bw = cc_model_bw(&b->model);
}

void
cc_bbr_init(struct cc *c, uint8_t phase, ns_t now)
{
	struct cc_bbr *b = &c->bbr;

	memset(b, 0, sizeof(*b));
	cc_model_init(&b->model, now);
	b->phase = phase;
	b->random = phase * 2654435761u;
	b->inflight_hi = UINT64_MAX;
	b->drained_at = b->sampled_at = now;
	b->probe_rtt_at = now + PROBE_RTT_EVERY + PROBE_RTT_EVERY * phase / 256;
	b->model.bw[0] = c->rate;
	enter(b, BBR_STARTUP, now);
	c->cwnd = CC_WINDOW_INITIAL * (uint64_t)c->mss;
	c->cwnd = max_u64(c->cwnd, cc_bytes(c->rate, CC_RTT_START));
	c->pacing_rate = c->rate;
	if (c->rate == 0)
		c->pacing_rate = gained(cc_rate(c->cwnd, CC_RTT_START), GAIN_STARTUP);
}

void
cc_bbr_restart(struct cc *c, ns_t now)
{
	const struct cc_model *m = &c->bbr.model;
	uint64_t half = max_u64(cc_model_bw(m), c->rate) / 2;
	uint64_t window = cc_bytes(half, m->min_rtt);

	c->rate = half;
	cc_bbr_init(c, c->bbr.phase, now);
	c->cwnd = max_u64(c->cwnd, window);
}

void
cc_bbr_sent(struct cc *c, uint64_t in_flight, ns_t now)
{
	struct cc_bbr *b = &c->bbr;

	if (in_flight > 0)
		return;
	cc_model_idle(&b->model, b->sampled_at, now);
	b->sampled_at = now;
	b->queued_at = 0;
	/* What DRAIN and DOWN are for is done. */
	if (b->state == BBR_DRAIN || b->state == BBR_DOWN) {
		enter(b, BBR_CRUISE, now);
		c->pacing_rate = gained(cc_model_bw(&b->model), GAIN_CRUISE);
	}
}

/* ---- at the end of a round trip ---- */

static void
judge_startup(struct cc *c)
{
	struct cc_bbr *b = &c->bbr;
	struct cc_model *m = &b->model;
	uint64_t bw = cc_model_bw(m);
	bool knows_jitter = m->is_guessed || c->rate > 0;
	bool is_queued = knows_jitter && cc_model_queue(m) > cc_model_q(m);
	bool is_lossy = cc_model_has_losses(m, c->mss) && cc_model_is_lossy(m, c->mss);
	bool is_flooded = cc_model_is_flooded(m, c->mss);

	m->loss.lost = m->loss.acked = 0;
	/* Where losses hold the streams up, there is never a round of data alone. */
	if (m->round.app_limited && !is_flooded)
		return;
	if (bw >= b->full_bw + b->full_bw / 4) {
		b->full_bw = bw;
		b->full_rounds = 0;
		return;
	}
	b->full_rounds++;
	b->is_filled =
		is_queued || is_lossy || is_flooded || b->full_rounds >= FULL_ROUNDS;
}

/*
 * Losses lower the rate only when they go on for longer than a round trip, or when
 * less is delivered after them: a handover or a fade is no congestion.
 */
static void
judge_loss(struct cc *c)
{
	struct cc_bbr *b = &c->bbr;
	struct cc_model *m = &b->model;
	struct cc_losses *l = &m->loss;
	uint64_t bw = cc_model_bw(m);
	bool is_congestion = cc_model_is_lossy(m, c->mss);
	bool is_long = l->last_at - l->first_at > cc_model_base_rtt(m);
	bool is_slow = b->state == BBR_CRUISE && !m->round.app_limited &&
		       m->round.rate < bw - bw / 10;

	if (!cc_model_has_losses(m, c->mss))
		return;
	if (b->state == BBR_CRUISE || b->state == BBR_DOWN)
		cc_model_learn_losses(m);
	if (l->is_suspect && (is_congestion ? is_long : is_slow)) {
		set_bw(b, max_u64(m->round.rate, bw - bw * 3 / 10));
		b->is_cut_for_loss = true;
	} else if (b->is_cut_for_loss && !is_congestion) {
		b->cruise_ns = 0;
		b->is_cut_for_loss = false;
	}
	l->is_suspect = is_congestion;
	l->lost = l->acked = 0;
}

static void
judge_round(struct cc *c)
{
	struct cc_bbr *b = &c->bbr;

	b->rounds++;
	if (!b->is_filled) {
		/* Who begins at a rate may begin with a queue, which is no jitter. */
		if (c->rate == 0)
			cc_model_guess_jitter(&b->model);
		judge_startup(c);
		return;
	}
	/* What has come since UP began was sent in CRUISE, with no queue of our own. */
	if (b->state == BBR_UP && b->rounds == 1 && b->queued_at == 0)
		cc_model_judge_jitter(&b->model);
	judge_loss(c);
	if (cc_model_queue(&b->model) < cc_model_q(&b->model))
		b->has_rivals = false;
}

/* ---- with every sample ---- */

/* Whether the RTT shows a queue that the bound on what is in flight rules out. */
static bool
is_queued(const struct cc_bbr *b, const struct loss_sample *s)
{
	const struct cc_model *m = &b->model;
	ns_t base = cc_model_base_rtt(m);

	return !s->app_limited && b->state != BBR_PROBE_RTT &&
	       s->rtt >= base + base / 8 + 2 * cc_model_q(m);
}

/*
 * When a queue stands that ought not to, the rate has fallen, or the least RTT has
 * risen, or others fill it. Round trips get long meanwhile: time is counted in
 * those without queue.
 */
static void
judge_queue(struct cc_bbr *b, const struct loss_sample *s)
{
	struct cc_model *m = &b->model;
	ns_t unit = max_ns(cc_model_base_rtt(m), QUEUED_UNIT_MIN), span;
	uint64_t bw = cc_model_bw(m), rate;
	bool is_drained = s->now - b->drained_at < PROBE_RTT_APART, is_slow;

	if (s->rtt <= 0)
		return;
	if (!is_queued(b, s)) {
		b->queued_at = 0;
		return;
	}
	if (b->queued_at == 0) {
		b->queued_at = s->now;
		b->queued_delivered = s->delivered;
	}
	span = s->now - b->queued_at;
	rate = cc_rate(s->delivered - b->queued_delivered, span);
	is_slow = rate < bw - bw / 10;
	if (b->has_rivals || span < (is_slow ? QUEUED_SLOW : QUEUED_LONG) * unit)
		return;

	b->queued_at = 0;
	if (is_drained && (b->is_cut_for_queue || !is_slow)) {
		b->has_rivals = true;
		return;
	}
	if (is_slow) {
		b->is_cut_for_queue = true;
		m->bw_from = b->queued_delivered;
		set_bw(b, rate);
	}
	if (!is_drained)
		enter(b, BBR_PROBE_RTT, s->now);
}

/* Whether UP has had its answer: there is no more, or not now. */
static bool
is_up_over(struct cc *c, const struct loss_sample *s, bool is_round)
{
	struct cc_bbr *b = &c->bbr;
	const struct cc_model *m = &b->model;
	uint64_t bw = cc_model_bw(m);
	bool has_queue;

	if (s->lost > 0 && cc_model_is_lossy(m, c->mss)) {
		b->inflight_hi = max_u64(s->prior_in_flight, cc_model_pipe(m));
		return true;
	}
	if (b->growth > 0 && is_queued(b, s))
		return true;
	if (!is_round || s->now - b->state_at < UNIT_MIN)
		return false;
	has_queue = cc_model_queue(m) >= cc_model_q(m) * 3 / 4;
	if (b->rounds < UP_ROUNDS && !has_queue)
		return false;
	b->has_probed = b->has_probed || m->round.rate > 0;
	if (!has_queue && bw > b->state_bw + b->state_bw / 32) {
		b->state_bw = bw;
		b->growth++;
		return false;
	}
	if (b->inflight_hi != UINT64_MAX)
		b->inflight_hi += b->inflight_hi / 4;
	return true;
}

static uint64_t
probe_rtt_window(const struct cc *c)
{
	const struct cc_model *m = &c->bbr.model;

	return max_u64(cc_bytes(cc_model_bw(m), m->min_rtt) / 2,
		       WINDOW_MIN * (uint64_t)c->mss);
}

/* Until the least RTT is met, or for so long that what is left is no queue. */
static void
probe_rtt(struct cc *c, const struct loss_sample *s)
{
	struct cc_bbr *b = &c->bbr;
	struct cc_model *m = &b->model;
	bool is_met;

	if (s->rtt > 0)
		b->probe_rtt = min_ns(b->probe_rtt, s->rtt);
	if (b->low_at == 0) {
		if (s->in_flight > probe_rtt_window(c))
			return;
		b->low_at = s->now;
		b->rounds = 0;
		cc_model_begin_round(m, s->delivered, s->now);
		return;
	}
	is_met = cc_model_is_least(m, b->probe_rtt);
	if (b->rounds == 0 || b->probe_rtt == NS_NEVER ||
	    (!is_met && s->now - b->low_at < PROBE_RTT_TIME))
		return;
	if (!is_met)
		m->min_rtt = b->probe_rtt;
	m->met_at = b->drained_at = s->now;
	b->is_cut_for_queue = b->has_rivals = false;
	enter(b, BBR_UP, s->now);
}

/* All was lost for so long that little of the model may still hold. */
static void
start_again(struct cc *c, ns_t now)
{
	struct cc_bbr *b = &c->bbr;

	set_bw(b, cc_model_bw(&b->model) / 2);
	b->model.loss.lost = b->model.loss.acked = 0;
	b->is_filled = false;
	b->full_bw = 0;
	b->full_rounds = 0;
	enter(b, BBR_STARTUP, now);
	c->pacing_rate = cc_model_bw(&b->model);
	c->cwnd = max_u64(cc_model_pipe(&b->model), WINDOW_MIN * (uint64_t)c->mss);
}

/*
 * The least RTT is looked for when it was not met for long, unless there is so
 * little in flight that it is seen anyway. False: the round trip must end first.
 */
static bool
refresh_rtt(struct cc *c, const struct loss_sample *s, bool is_round)
{
	struct cc_model *m = &c->bbr.model;

	if (m->met_at >= c->bbr.probe_rtt_at - PROBE_RTT_EVERY)
		return true;
	if (!s->app_limited || s->in_flight > probe_rtt_window(c)) {
		enter(&c->bbr, BBR_PROBE_RTT, s->now);
		return true;
	}
	if (!is_round || m->round.rtt == NS_NEVER)
		return false;
	m->min_rtt = m->round.rtt;
	m->met_at = s->now;
	return true;
}

static void
run(struct cc *c, const struct loss_sample *s, bool is_round)
{
	struct cc_bbr *b = &c->bbr;

	if (s->persistent && b->state != BBR_STARTUP)
		start_again(c, s->now);
	/* The period does not depend on phase: flows that share a link fare alike. */
	if (b->is_filled && b->state != BBR_PROBE_RTT && s->now >= b->probe_rtt_at &&
	    refresh_rtt(c, s, is_round))
		b->probe_rtt_at = s->now + PROBE_RTT_EVERY -
				  (s->now - b->probe_rtt_at) % PROBE_RTT_EVERY;

	switch (b->state) {
	case BBR_STARTUP:
		if (b->is_filled)
			enter(b, BBR_DRAIN, s->now);
		break;
	case BBR_DRAIN:
	case BBR_DOWN:
		/* It never gets so low where flows that share a link have all too high a bw. */
		if (s->in_flight <= cc_model_pipe(&b->model) ||
		    b->rounds >= DOWN_ROUNDS)
			enter(b, BBR_CRUISE, s->now);
		break;
	case BBR_CRUISE:
		if (s->now - b->state_at < b->cruise_ns)
			break;
		enter(b, BBR_UP, s->now);
		/* From here on, or the answer would be taken for one too early. */
		cc_model_begin_round(&b->model, s->delivered, s->now);
		break;
	case BBR_UP:
		if (is_up_over(c, s, is_round))
			enter(b, BBR_DOWN, s->now);
		break;
	case BBR_PROBE_RTT: probe_rtt(c, s); break;
	}
}

/* ---- what comes of it ---- */

static unsigned
gain(const struct cc_bbr *b)
{
	switch (b->state) {
	case BBR_STARTUP: return GAIN_STARTUP;
	case BBR_DRAIN: return GAIN_DRAIN;
	case BBR_CRUISE: return GAIN_CRUISE;
	case BBR_UP: return b->growth < FAST_GROWTH ? GAIN_UP : GAIN_UP_FAST;
	case BBR_DOWN: return GAIN_DOWN;
	case BBR_PROBE_RTT: break;
	}
	return GAIN_ONE;
}

/* Bytes that may be in flight when the rate has been found. */
static uint64_t
window(const struct cc *c)
{
	const struct cc_bbr *b = &c->bbr;
	const struct cc_model *m = &b->model;
	uint64_t pipe = cc_model_pipe(m), most = pipe, hi = b->inflight_hi;
	uint64_t q = cc_bytes(cc_model_bw(m), cc_model_q(m));

	if (b->state == BBR_PROBE_RTT)
		return probe_rtt_window(c);
	if (b->growth > 0)
		most = gained(pipe, gain(b));
	/* The half that is left makes UP felt where flows share a link. */
	most += b->state == BBR_UP ? q : q / 2;
	if (b->has_rivals)
		most = max_u64(most, 2 * pipe);
	most += cc_model_extra(m);
	if (b->state != BBR_UP && hi != UINT64_MAX)
		hi -= hi / 8; /* room for others, and for UP */
	most = min_u64(most, max_u64(hi, pipe));
	return max_u64(most, WINDOW_MIN * (uint64_t)c->mss);
}

static void
set_startup(struct cc *c, const struct loss_sample *s, const struct rtt *r)
{
	const struct cc_model *m = &c->bbr.model;
	uint64_t initial = CC_WINDOW_INITIAL * (uint64_t)c->mss;
	uint64_t bw = max_u64(cc_model_bw(m), cc_rate(initial, rtt_smoothed(r)));
	ns_t base = cc_model_base_rtt(m);

	/* The jitter is not known yet: where RTTs vary, most are longer than the least. */
	base = max_ns(base, min_ns(rtt_smoothed(r), base + 1 * r->rttvar));
	if (c->cwnd < 2 * cc_bytes(bw, base) + initial)
		c->cwnd += s->acked;
	c->pacing_rate = max_u64(c->pacing_rate, gained(bw, GAIN_STARTUP));
}

void
cc_bbr_sample(struct cc *c, const struct loss_sample *s, const struct rtt *r)
{
	struct cc_bbr *b = &c->bbr;
	struct cc_model *m = &b->model;
	bool is_round;

	is_round = cc_model_take(m, s, c->max_rate > 0 ? c->max_rate : CC_RATE_MAX);
	if (b->is_filled) {
		cc_model_take_extra(m, s);
		judge_queue(b, s);
	}
	if (is_round)
		judge_round(c);
	/* A queue runs over: until the round trip ends much more would be lost. */
	if (b->state == BBR_STARTUP && cc_model_is_flooded(m, c->mss) &&
	    s->rtt > cc_model_base_rtt(m) + cc_model_q(m))
		b->is_filled = true;
	run(c, s, is_round);
	if (is_round)
		cc_model_begin_round(m, s->delivered, s->now);
	b->sampled_at = s->now;

	if (b->state == BBR_STARTUP) {
		set_startup(c, s, r);
		return;
	}
	c->pacing_rate = gained(cc_model_bw(m), gain(b));
	c->cwnd = window(c);
}

uint64_t
cc_bbr_bandwidth(const struct cc *c, const struct rtt *r)
{
	uint64_t bw = cc_model_bw(&c->bbr.model);

	if (!c->bbr.is_filled && r->srtt > 0)
		bw = max_u64(bw,
			     cc_rate(CC_WINDOW_INITIAL * (uint64_t)c->mss, r->srtt));
	return bw;
}
