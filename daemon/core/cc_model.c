#include "daemon/core/cc_model.h"

#include "daemon/core/cc.h"

#include <string.h>

enum {
	LOSS_PACKETS = 32, /* losses are judged over so many packets at least */
	LOSS_SPARE = 3,    /* packets: chance may lose so many more */
	LOSS_POINTS = 65536 * 2 / 100, /* beyond the usual share: congestion */
	DEAF_ROUNDS = 8,               /* after a spurious loss */
	GUESS_PACKETS = 8,             /* of a round trip, or it tells too little */
	FEW_PACKETS = 32,
	SMOOTHING = 8,     /* of jitter and of the usual loss */
	EXTRA_ROUNDS = 10, /* of a window, or EXTRA_TIME */
};

#define Q_MIN            (5 * NS_PER_MS)
#define Q_MAX            (25 * NS_PER_MS)
#define LEAST_MARGIN_MAX (2 * NS_PER_MS)
#define JITTER_MAX       (100 * NS_PER_MS) /* or min_rtt: +- half of the delay, both ways */
#define EXTRA_MAX        (100 * NS_PER_MS)
#define EXTRA_TIME       (500 * NS_PER_MS)

void
cc_model_init(struct cc_model *m, ns_t now)
{
	memset(m, 0, sizeof(*m));
	m->met_at = m->extra.window_at = m->extra.epoch_at = now;
	cc_model_begin_round(m, 0, now);
}

void
cc_model_idle(struct cc_model *m, ns_t since, ns_t now)
{
	m->met_at += now - since;
	m->extra.epoch_at = now;
	m->extra.acked = 0;
	cc_model_begin_round(m, m->round.end, now);
}

void
cc_model_begin_round(struct cc_model *m, uint64_t delivered, ns_t now)
{
	m->round = (struct cc_round){
		.at = now,
		.end = delivered,
		.rtt = NS_NEVER,
	};
}

/* ---- what is known ---- */

/* That packets took in this round trip. */
static ns_t
mean_time(const struct cc_round *r)
{
	return r->packets > 0 ? r->packets_ns / r->packets : 0;
}

uint64_t
cc_model_bw(const struct cc_model *m)
{
	return max_u64(m->bw[0], m->bw[1]);
}

void
cc_model_set_bw(struct cc_model *m, uint64_t bw)
{
	m->bw[0] = m->bw[1] = bw;
}

void
cc_model_begin_cycle(struct cc_model *m)
{
	m->bw[1] = m->bw[0];
	m->bw[0] = 0;
}

ns_t
cc_model_q(const struct cc_model *m)
{
	return max_ns(min_ns(max_ns(m->min_rtt / 4, Q_MIN), Q_MAX), m->jitter / 4);
}

ns_t
cc_model_base_rtt(const struct cc_model *m)
{
	return m->min_rtt + m->jitter;
}

/* With jitter even the least of few packets may be far above the least of all: a
 * queue delays the mean as well. */
ns_t
cc_model_queue(const struct cc_model *m)
{
	ns_t mean = max_ns(mean_time(&m->round) - cc_model_base_rtt(m), 0);

	if (m->round.rtt == NS_NEVER)
		return 0;
	return min_ns(m->round.rtt - m->min_rtt, m->round.packets > 0 ? mean : 0);
}

bool
cc_model_is_least(const struct cc_model *m, ns_t rtt)
{
	return rtt <= m->min_rtt + min_ns(m->min_rtt / 16, LEAST_MARGIN_MAX);
}

uint64_t
cc_model_pipe(const struct cc_model *m)
{
	return cc_bytes(cc_model_bw(m), cc_model_base_rtt(m));
}

uint64_t
cc_model_extra(const struct cc_model *m)
{
	uint64_t extra = max_u64(m->extra.most[0], m->extra.most[1]);
	uint64_t jitter = cc_bytes(cc_model_bw(m), m->jitter);

	return extra - min_u64(jitter, extra);
}

/* ---- samples ---- */

static void
take_rtt(struct cc_model *m, ns_t rtt, ns_t now)
{
	m->round.rtt = min_ns(m->round.rtt, rtt);
	if (m->min_rtt == 0 || rtt < m->min_rtt)
		m->min_rtt = rtt;
	if (cc_model_is_least(m, rtt))
		m->met_at = now;
}

static void
take_rate(struct cc_model *m, const struct loss_sample *s, uint64_t max_rate)
{
	uint64_t rate = min_u64(s->rate, max_rate);

	/* What the application limits shows only that there is at least as much. */
	if (!s->app_limited)
		m->round.rate = max_u64(m->round.rate, rate);
	m->bw[0] = max_u64(m->bw[0], rate);
}

static void
take_losses(struct cc_losses *l, const struct loss_sample *s)
{
	if (s->lost > 0) {
		if (l->lost == 0 && !l->is_suspect)
			l->first_at = s->lost_sent_at;
		l->last_at = s->lost_sent_at;
	}
	l->lost += s->lost;
	l->acked += s->acked;
	if (s->spurious)
		l->deaf = DEAF_ROUNDS;
}

bool
cc_model_take(struct cc_model *m, const struct loss_sample *s, uint64_t max_rate)
{
	take_losses(&m->loss, s);
	if (s->rtt > 0)
		take_rtt(m, s->rtt, s->now);
	if (s->rate > 0 && s->prior_delivered >= m->bw_from)
		take_rate(m, s, max_rate);
	m->round.packets_ns += s->acked_ns;
	m->round.packets += s->acked_packets;
	m->round.app_limited = m->round.app_limited || s->app_limited;
	if (s->acked == 0 || s->prior_delivered < m->round.end)
		return false;
	/* Where packets overtake each other, the first answer comes too soon. */
	if (s->now - m->round.at < mean_time(&m->round))
		return false;
	if (m->loss.deaf > 0)
		m->loss.deaf--;
	return true;
}

void
cc_model_take_extra(struct cc_model *m, const struct loss_sample *s)
{
	struct cc_extra *e = &m->extra;
	uint64_t bw = cc_model_bw(m);
	uint64_t expected = cc_bytes(bw, s->now - e->epoch_at);

	if (s->now - e->window_at >
	    max_ns(EXTRA_TIME, EXTRA_ROUNDS * cc_model_base_rtt(m))) {
		e->most[1] = e->most[0];
		e->most[0] = 0;
		e->window_at = s->now;
	}
	if (e->acked <= expected || s->now - e->epoch_at > CC_TIME_MAX) {
		e->epoch_at = s->now;
		e->acked = 0;
		expected = 0;
	}
	e->acked += s->acked;
	if (e->acked > expected) {
		expected = min_u64(e->acked - expected, cc_bytes(bw, EXTRA_MAX));
		e->most[0] = max_u64(e->most[0], expected);
	}
}

static ns_t
bounded_jitter(const struct cc_model *m, ns_t jitter)
{
	return min_ns(max_ns(jitter, 0), max_ns(JITTER_MAX, m->min_rtt));
}

/*
 * The queue that STARTUP makes comes with its last round trips; the least of all
 * of them shows what the way does by itself.
 */
void
cc_model_guess_jitter(struct cc_model *m)
{
	ns_t jitter = bounded_jitter(m, mean_time(&m->round) - m->min_rtt);

	if (m->round.packets < GUESS_PACKETS || m->jitter_rounds > 0)
		return;
	if (!m->is_guessed || jitter < m->jitter)
		m->jitter = jitter;
	m->is_guessed = true;
}

void
cc_model_judge_jitter(struct cc_model *m)
{
	const struct cc_round *r = &m->round;
	ns_t jitter;

	if (r->app_limited || r->rtt == NS_NEVER || r->packets == 0)
		return;
	/* The least of few is far above the least of all. */
	jitter = mean_time(r) - (r->packets < FEW_PACKETS ? m->min_rtt : r->rtt);
	jitter = bounded_jitter(m, jitter);
	/* A handover, or a queue that grows, is not seen again. */
	if (m->jitter_rounds > 0)
		m->jitter +=
			(min_ns(jitter, m->jitter_last) - m->jitter) / m->jitter_rounds;
	if (m->jitter_rounds < SMOOTHING)
		m->jitter_rounds++;
	m->jitter_last = jitter;
}

/* ---- losses ---- */

bool
cc_model_is_lossy(const struct cc_model *m, uint32_t mss)
{
	const struct cc_losses *l = &m->loss;
	uint64_t share = l->usual;

	if (cc_model_queue(m) <= cc_model_q(m))
		share += LOSS_POINTS;
	return l->deaf == 0 && l->lost > (l->lost + l->acked) * share / 65536 +
						 LOSS_SPARE * (uint64_t)mss;
}

bool
cc_model_is_flooded(const struct cc_model *m, uint32_t mss)
{
	const struct cc_losses *l = &m->loss;

	return cc_model_has_losses(m, mss) && l->lost > l->acked / 4;
}

bool
cc_model_has_losses(const struct cc_model *m, uint32_t mss)
{
	return m->loss.lost + m->loss.acked >= LOSS_PACKETS * (uint64_t)mss;
}

void
cc_model_learn_losses(struct cc_model *m)
{
	struct cc_losses *l = &m->loss;
	int64_t share = (int64_t)(l->lost * 65536 / (l->lost + l->acked));

	if (l->deaf == 0)
		l->usual = (uint32_t)(l->usual + (share - l->usual) / SMOOTHING);
}
