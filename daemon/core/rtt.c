#include "daemon/core/rtt.h"

enum { OWD_SAMPLES = 4 }; /* that the one-way delay is smoothed over */
#define MIN_PART (RTT_MIN_WINDOW / 2)

static ns_t
distance(ns_t a, ns_t b)
{
	return a > b ? a - b : b - a;
}

static void
min_restart(struct rtt_min min[3], ns_t value, ns_t now)
{
	min[0] = min[1] = min[2] = (struct rtt_min){value, now};
}

static void
min_update(struct rtt_min min[3], ns_t value, ns_t now)
{
	if (now - min[0].at >= 3 * MIN_PART) {
		min_restart(min, value, now);
		return;
	}
	while (now - min[0].at >= MIN_PART) {
		min[2] = min[1];
		min[1] = min[0];
		min[0] = (struct rtt_min){value, min[1].at + MIN_PART};
	}
	min[0].value = min_ns(min[0].value, value);
}

static ns_t
min_value(const struct rtt_min min[3])
{
	return min_ns(min[0].value, min_ns(min[1].value, min[2].value));
}

void
rtt_sample(struct rtt *r, ns_t latest, ns_t delay, ns_t now)
{
	ns_t adjusted;

	latest = max_ns(latest, 1);
	r->latest = latest;
	if (r->srtt == 0) {
		r->srtt = latest;
		r->rttvar = latest / 2;
		min_restart(r->min, latest, now);
		return;
	}
	min_update(r->min, latest, now);
	/* A peer that claims too long a wait must not make the path look shorter. */
	adjusted = latest - delay >= min_value(r->min) ? latest - delay : latest;
	r->rttvar = (3 * r->rttvar + distance(r->srtt, adjusted)) / 4;
	r->srtt = (7 * r->srtt + adjusted) / 8;
}

void
rtt_one_way(struct rtt *r, ns_t sent_at, uint32_t received_at, ns_t now)
{
	uint32_t way = received_at - (uint32_t)(sent_at / NS_PER_US);
	ns_t owd;

	if (!r->has_owd) {
		r->has_owd = true;
		r->owd_base = way;
		r->owd_now = 0;
		min_restart(r->owd_min, 0, now);
		return;
	}
	owd = (int32_t)(way - r->owd_base) * NS_PER_US;
	r->owd_now += (owd - r->owd_now) / OWD_SAMPLES;
	min_update(r->owd_min, owd, now);
}

ns_t
rtt_smoothed(const struct rtt *r)
{
	return r->srtt != 0 ? r->srtt : RTT_INITIAL;
}

ns_t
rtt_minimum(const struct rtt *r)
{
	return r->srtt != 0 ? min_value(r->min) : RTT_INITIAL;
}

ns_t
rtt_queueing(const struct rtt *r)
{
	ns_t longer = r->owd_now - min_value(r->owd_min);

	/* The peer's word, and its clock may have stood still. */
	return min_ns(max_ns(longer, 0), max_ns(rtt_smoothed(r), r->latest));
}

ns_t
rtt_pto(const struct rtt *r, ns_t max_ack_delay)
{
	ns_t rttvar = r->srtt != 0 ? r->rttvar : RTT_INITIAL / 2;

	return rtt_smoothed(r) + max_ns(4 * rttvar, RTT_GRANULARITY) + max_ack_delay;
}
