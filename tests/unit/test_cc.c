/*
 * The controllers on a link in virtual time, and CUBIC against its formulas.
 */
#include "tests/unit/unit.h"

#include "daemon/core/cc.h"
#include "tests/unit/bottleneck.h"
#include "tests/unit/seed.h"

#include <stdlib.h>
#include <string.h>

enum { MBIT = 125000, LOSS_TENTH = 10 /* of 10,000: a tenth of a percent */ };
#define SETTLE(rtt) (3 * NS_PER_SEC + 10 * (rtt))

static unsigned seed, dice;

static struct link *
one_flow(enum cc_kind kind, struct link_setup setup)
{
	struct link *l;

	setup.seed = seed;
	l = link_new(&setup);
	assert_int_equal(link_add(l, kind, 0), 0);
	return l;
}

static uint64_t
bytes(uint64_t rate, ns_t span)
{
	return rate * (uint64_t)(span / NS_PER_MS) / 1000;
}

/* Tenths of a percent of the link's rate, in the time that follows. */
static unsigned
share(struct link *l, uint64_t rate, ns_t span)
{
	link_mark(l);
	link_run(l, span);
	return (unsigned)(link_received(l, 0) * 1000 / bytes(rate, span));
}

static bool
is_within(uint64_t v, uint64_t of, unsigned percent)
{
	return v * 100 >= of * (100 - percent) && v * 100 <= of * (100 + percent);
}

/* ---- bbr ---- */

static const unsigned rates[] = {10, 50, 100, 300};   /* Mbit/s */
static const unsigned rtts[] = {1, 10, 40, 100, 320}; /* ms */

struct grid {
	const char *title;
	unsigned loss; /* of 10,000 */
	ns_t jitter;
	unsigned least_percent;
	ns_t most_queue; /* on average; 0: any */
	size_t n_rates, first_rtt;
};

/* A table of rate by RTT: percent of the link, mean queue in ms. */
static void
run_grid(const struct grid *g)
{
	for (size_t i = 0; i < g->n_rates; i++) {
		print_message("%-16s %3u Mbit/s:", g->title, rates[i]);
		for (size_t j = g->first_rtt; j < ARRAY_LEN(rtts); j++) {
			struct link_setup setup = {
				.rate = (uint64_t)rates[i] * MBIT,
				.rtt = rtts[j] * NS_PER_MS,
				.loss = g->loss,
				.jitter = g->jitter,
			};
			struct link *l = one_flow(CC_BBR, setup);
			unsigned tenths;
			ns_t queue;

			link_run(l, SETTLE(setup.rtt));
			tenths = share(l, setup.rate, 10 * NS_PER_SEC);
			queue = link_queue_mean(l);
			print_message("  %3u ms %3u.%u%% %2u.%u", rtts[j], tenths / 10,
				      tenths % 10, (unsigned)(queue / NS_PER_MS),
				      (unsigned)(queue / (100 * NS_PER_US) % 10));
			assert_in_range(tenths, 10 * g->least_percent, 1001);
			if (g->most_queue > 0)
				assert_in_range(queue, 0, g->most_queue);
			link_free(l);
		}
		print_message("\n");
	}
}

static void
bbr_fills_a_link_without_a_queue(void **state)
{
	const struct grid g = {.title = "clean",
			       .least_percent = 97,
			       .most_queue = 15 * NS_PER_MS,
			       .n_rates = ARRAY_LEN(rates)};

	(void)state;
	run_grid(&g);
}

static void
bbr_bears_random_loss(void **state)
{
	struct grid g = {.title = "loss 0.5 %",
			 .loss = 5 * LOSS_TENTH,
			 .least_percent = 96,
			 .most_queue = 15 * NS_PER_MS,
			 .n_rates = ARRAY_LEN(rates)};

	(void)state;
	run_grid(&g);
	g.title = "loss 2 %";
	g.loss = 20 * LOSS_TENTH;
	g.least_percent = 94;
	run_grid(&g);
}

static void
bbr_bears_jitter_and_reordering(void **state)
{
	struct grid g = {.title = "jitter 20 ms",
			 .jitter = 20 * NS_PER_MS,
			 .least_percent = 88,
			 .most_queue = 30 * NS_PER_MS,
			 .n_rates = 3,
			 .first_rtt = 2};

	(void)state;
	run_grid(&g);
	g.title = "and loss 1 %";
	g.loss = 10 * LOSS_TENTH;
	run_grid(&g);
}

/* Packets take up to three times the least: a window of the least would starve. */
static void
bbr_bears_jitter_as_long_as_the_delay(void **state)
{
	static const struct link_setup setups[] = {
		{.rate = 5 * MBIT / 2,
		 .rtt = 600 * NS_PER_MS,
		 .jitter = 250 * NS_PER_MS},
		{.rate = 5 * MBIT / 2,
		 .rtt = 600 * NS_PER_MS,
		 .jitter = 290 * NS_PER_MS},
		{.rate = 10 * MBIT, .rtt = 600 * NS_PER_MS, .jitter = 250 * NS_PER_MS},
		{.rate = 300 * MBIT, .rtt = 40 * NS_PER_MS, .jitter = 20 * NS_PER_MS},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(setups); i++) {
		struct link *l = one_flow(CC_BBR, setups[i]);
		unsigned tenths;
		ns_t queue;

		link_run(l, SETTLE(setups[i].rtt));
		tenths = share(l, setups[i].rate, 20 * NS_PER_SEC);
		queue = link_queue_mean(l);
		print_message("jitter of %u in %u ms: %u of 1000, queue %u ms\n",
			      (unsigned)(setups[i].jitter / NS_PER_MS),
			      (unsigned)(setups[i].rtt / NS_PER_MS), tenths,
			      (unsigned)(queue / NS_PER_MS));
		assert_in_range(tenths, 700, 1010);
		assert_in_range(queue, 0, setups[i].rtt / 3);
		link_free(l);
	}
}

static void
bbr_follows_the_rate(void **state)
{
	static const unsigned ms[] = {5, 20, 50, 100, 200};
	unsigned fast = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ms); i++) {
		const uint64_t high = 50 * MBIT, low = 10 * MBIT;
		const ns_t rtt = ms[i] * NS_PER_MS;
		struct link *l =
			one_flow(CC_BBR, (struct link_setup){.rate = high, .rtt = rtt});
		unsigned down, up;
		bool is_fast = false;

		link_run(l, 5 * NS_PER_SEC);
		link_set_rate(l, low);
		link_run(l, 3 * NS_PER_SEC);
		down = share(l, low, NS_PER_SEC);
		assert_in_range(link_queue_mean(l), 0, 30 * NS_PER_MS);
		link_run(l, NS_PER_SEC);
		link_set_rate(l, high);
		for (int step = 0; step < 300; step++) {
			const struct cc *c = link_cc(l, 0);

			link_run(l, 10 * NS_PER_MS);
			is_fast =
				is_fast || c->pacing_rate * 10 >
						   14 * cc_bandwidth(c, link_rtt(l, 0));
		}
		fast += is_fast;
		up = share(l, high, NS_PER_SEC);
		print_message("50-10-50 Mbit/s at %3u ms: %u, %u of 1000 after 3 s\n",
			      ms[i], down, up);
		assert_in_range(down, 950, 1010);
		assert_in_range(up, 950, 1010);
		link_free(l);
	}
	assert_true(fast >= 3); /* UP went faster */
}

/* A handover: the least RTT doubles, or halves, and stays. */
static void
bbr_follows_the_rtt(void **state)
{
	const uint64_t rate = 50 * MBIT;
	struct link *l = one_flow(
		CC_BBR, (struct link_setup){.rate = rate, .rtt = 30 * NS_PER_MS});

	(void)state;
	link_run(l, 5 * NS_PER_SEC);
	link_set_rtt(l, 60 * NS_PER_MS);
	link_run(l, NS_PER_SEC);
	assert_in_range(share(l, rate, NS_PER_SEC), 950, 1010);
	assert_in_range(link_cc(l, 0)->bbr.model.min_rtt, 60 * NS_PER_MS,
			62 * NS_PER_MS);
	link_set_rtt(l, 30 * NS_PER_MS);
	link_run(l, 3 * NS_PER_SEC);
	assert_in_range(share(l, rate, NS_PER_SEC), 950, 1010);
	assert_in_range(link_queue_mean(l), 0, 10 * NS_PER_MS);
	link_free(l);
}

static void
bbr_shares_a_link(void **state)
{
	static const unsigned ms[] = {10, 40, 100};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ms); i++) {
		struct link_setup setup = {
			.rate = 50 * MBIT, .rtt = ms[i] * NS_PER_MS, .seed = seed};
		struct link *l = link_new(&setup);
		unsigned probes = 0, both = 0;
		uint64_t a, b;

		(void)link_add(l, CC_BBR, 0);
		link_run(l, 3 * NS_PER_SEC);
		(void)link_add(l, CC_BBR, 0);
		link_run(l, 10 * NS_PER_SEC);
		link_mark(l);
		for (int step = 0; step < 3000; step++) {
			bool first, second;

			link_run(l, 10 * NS_PER_MS);
			first = link_cc(l, 0)->bbr.state == BBR_PROBE_RTT;
			second = link_cc(l, 1)->bbr.state == BBR_PROBE_RTT;
			probes += first || second;
			both += first && second;
		}
		a = link_received(l, 0);
		b = link_received(l, 1);
		print_message("two at %3u ms: %u to %u, queue %u ms, PROBE_RTT %u %%\n",
			      ms[i], (unsigned)(a * 100 / (a + b)),
			      (unsigned)(b * 100 / (a + b)),
			      (unsigned)(link_queue_mean(l) / NS_PER_MS), probes / 30);
		assert_in_range(a * 100 / (a + b), 40, 60);
		assert_in_range((a + b) * 100 / cc_bytes(50 * MBIT, NS_PER_SEC), 2850,
				3001);
		assert_in_range(link_queue_mean(l), 0, 50 * NS_PER_MS);
		/* Not both of them at once, as a rule. */
		assert_true(both <= probes / 2);
		link_free(l);
	}
}

static void
bbr_remembers_the_rate_while_it_starves(void **state)
{
	static const uint64_t offers[] = {0, 20000, 500000};
	const uint64_t rate = 50 * MBIT;
	const ns_t rtt = 50 * NS_PER_MS;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(offers); i++) {
		struct link *l =
			one_flow(CC_BBR, (struct link_setup){.rate = rate, .rtt = rtt});
		uint64_t before;

		link_run(l, 5 * NS_PER_SEC);
		before = cc_bandwidth(link_cc(l, 0), link_rtt(l, 0));
		assert_true(is_within(before, rate, 3));
		link_offer(l, 0, offers[i]);
		link_run(l, 30 * NS_PER_SEC);
		assert_true(is_within(cc_bandwidth(link_cc(l, 0), link_rtt(l, 0)),
				      before, 3));
		link_offer(l, 0, UINT64_MAX);
		link_run(l, rtt);
		assert_in_range(share(l, rate, rtt), 930, 1010);
		assert_in_range(share(l, rate, NS_PER_SEC), 970, 1010);
		link_free(l);
	}
}

/* Handovers and gaps: what passes is not answered with a lower rate. */
static void
bbr_bears_bursts_of_loss(void **state)
{
	const uint64_t rate = 100 * MBIT;
	struct link *l = one_flow(
		CC_BBR, (struct link_setup){.rate = rate, .rtt = 50 * NS_PER_MS});

	(void)state;
	link_run(l, 5 * NS_PER_SEC);
	for (int i = 0; i < 10; i++) {
		link_set_loss(l, 7000);
		link_run(l, 30 * NS_PER_MS);
		link_set_loss(l, 0);
		link_run(l, 200 * NS_PER_MS);
		assert_true(is_within(cc_bandwidth(link_cc(l, 0), link_rtt(l, 0)), rate,
				      3));
		assert_in_range(share(l, rate, NS_PER_SEC), 970, 1010);
	}
	for (int i = 0; i < 5; i++) {
		link_set_loss(l, 10000);
		link_run(l, 700 * NS_PER_MS);
		link_set_loss(l, 0);
		link_run(l, 500 * NS_PER_MS);
		assert_in_range(share(l, rate, NS_PER_SEC), 970, 1010);
	}
	link_free(l);
}

static void
bbr_bears_small_buffers(void **state)
{
	static const unsigned ms[] = {5, 40, 100};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ms); i++) {
		struct link_setup setup = {.rate = 50 * MBIT, .rtt = ms[i] * NS_PER_MS};
		struct link *l;
		unsigned tenths;

		setup.queue = cc_bytes(setup.rate, 8 * NS_PER_MS);
		l = one_flow(CC_BBR, setup);
		link_run(l, SETTLE(setup.rtt));
		tenths = share(l, setup.rate, 10 * NS_PER_SEC);
		print_message("buffer of 8 ms at %3u ms: %u, lost %u of 1000\n", ms[i],
			      tenths,
			      (unsigned)(link_lost(l, 0) * 1000 / link_received(l, 0)));
		assert_in_range(tenths, 950, 1001);
		assert_in_range(link_lost(l, 0) * 1000 / link_received(l, 0), 0, 40);
		link_free(l);
	}
}

static void
bbr_starts_at_a_known_rate(void **state)
{
	struct link_setup setup = {
		.rate = 50 * MBIT, .rtt = 50 * NS_PER_MS, .seed = seed};
	struct link *l = link_new(&setup);

	(void)state;
	(void)link_add(l, CC_BBR, 40 * MBIT);
	assert_int_equal(link_cc(l, 0)->pacing_rate, 40 * MBIT);
	link_run(l, 150 * NS_PER_MS);
	assert_in_range(share(l, setup.rate, 100 * NS_PER_MS), 900, 1010);
	link_free(l);

	/* What is known is wrong. */
	l = link_new(&setup);
	(void)link_add(l, CC_BBR, 400 * MBIT);
	link_run(l, 3 * NS_PER_SEC);
	assert_in_range(share(l, setup.rate, NS_PER_SEC), 950, 1010);
	assert_in_range(link_queue_mean(l), 0, 20 * NS_PER_MS);
	link_free(l);
}

static void
bbr_begins_anew_at_half(void **state)
{
	const uint64_t rate = 50 * MBIT;
	struct link *l = one_flow(
		CC_BBR, (struct link_setup){.rate = rate, .rtt = 50 * NS_PER_MS});
	struct cc *c = link_cc(l, 0);
	struct loss_sample s = {.persistent = true};

	(void)state;
	link_run(l, 5 * NS_PER_SEC);
	cc_restart(c, 6 * NS_PER_SEC);
	assert_int_equal(c->bbr.state, BBR_STARTUP);
	assert_true(is_within(cc_bandwidth(c, link_rtt(l, 0)), rate / 2, 3));
	assert_true(is_within(c->pacing_rate, rate / 2, 3));
	assert_true(is_within(c->cwnd, cc_bytes(rate / 2, 50 * NS_PER_MS), 5));
	link_run(l, NS_PER_SEC);
	assert_in_range(share(l, rate, NS_PER_SEC), 970, 1010);

	/* So it does when nothing came for long: once, however often that is said. */
	link_run(l, 2 * NS_PER_SEC);
	s.now = 15 * NS_PER_SEC;
	for (int i = 0; i < 5; i++) {
		cc_sample(c, &s, link_rtt(l, 0));
		assert_int_equal(c->bbr.state, BBR_STARTUP);
		assert_true(is_within(cc_bandwidth(c, link_rtt(l, 0)), rate / 2, 3));
	}
	assert_true(c->cwnd <= cc_bytes(rate / 2, 60 * NS_PER_MS));
	link_free(l);
}

/*
 * Over a long way the queue runs over for a round trip before anybody knows, and for
 * little longer, also where packets overtake each other, so that some losses were none.
 */
static void
bbr_stops_when_the_queue_runs_over(void **state)
{
	const uint64_t rate = 50 * MBIT;
	const ns_t rtt = 640 * NS_PER_MS;
	const ns_t jitter[] = {0, 20 * NS_PER_MS};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(jitter); i++) {
		struct link *l = one_flow(
			CC_BBR,
			(struct link_setup){.rate = rate,
					    .rtt = rtt,
					    .queue = bytes(rate, 50 * NS_PER_MS),
					    .jitter = jitter[i]});

		link_mark(l);
		link_run(l, 15 * NS_PER_SEC);
		print_message("lost %.2f of what is in flight\n",
			      (double)link_lost(l, 0) / (double)bytes(rate, rtt));
		assert_true(link_lost(l, 0) < bytes(rate, rtt) * 5 / 4);
		/* A PROBE_RTT takes a seventh of 5 s. */
		assert_in_range(share(l, rate, 5 * NS_PER_SEC), 820, 1010);
		link_free(l);
	}
}

/* A fade takes much, but makes no queue. */
static void
bbr_starts_in_spite_of_a_fade(void **state)
{
	const uint64_t rate = 50 * MBIT;
	struct link *l = one_flow(
		CC_BBR, (struct link_setup){.rate = rate, .rtt = 100 * NS_PER_MS});

	(void)state;
	link_run(l, 300 * NS_PER_MS);
	link_set_loss(l, 70 * 100);
	link_run(l, 50 * NS_PER_MS);
	link_set_loss(l, 0);
	link_run(l, 700 * NS_PER_MS);
	assert_in_range(share(l, rate, NS_PER_SEC), 900, 1010);
	link_free(l);
}

/* A peer may withhold what an RTT is measured by; then none is learnt. */
static void
bbr_learns_no_rtt_from_none(void **state)
{
	struct link *l = one_flow(
		CC_BBR, (struct link_setup){.rate = 50 * MBIT, .rtt = 50 * NS_PER_MS});
	struct cc *c = link_cc(l, 0);
	struct loss_sample s = {.now = 20 * NS_PER_SEC, .acked = 1000};

	(void)state;
	link_run(l, 5 * NS_PER_SEC);
	s.delivered = UINT32_MAX;
	for (int i = 0; i < 100; i++) {
		s.now += 100 * NS_PER_MS;
		s.prior_delivered = s.delivered;
		s.delivered += s.acked;
		cc_sample(c, &s, link_rtt(l, 0));
		assert_in_range(c->bbr.model.min_rtt, 50 * NS_PER_MS, 52 * NS_PER_MS);
	}
	assert_int_equal(c->bbr.state, BBR_PROBE_RTT);
	link_free(l);
}

/* As when others keep the queue up: cycles go on, and old rates are forgotten. */
static void
bbr_tries_again_whatever_is_in_flight(void **state)
{
	struct link *l = one_flow(
		CC_BBR, (struct link_setup){.rate = 50 * MBIT, .rtt = 50 * NS_PER_MS});
	struct cc *c = link_cc(l, 0);
	struct loss_sample s = {.now = 6 * NS_PER_SEC, .rtt = 52 * NS_PER_MS};

	(void)state;
	link_run(l, 5 * NS_PER_SEC);
	s.delivered = UINT32_MAX;
	s.rate = 40 * MBIT;
	s.acked = cc_bytes(s.rate, s.rtt);
	for (int i = 0; i < 60; i++) {
		s.now += s.rtt;
		s.in_flight = s.prior_in_flight = 2 * c->cwnd;
		s.prior_delivered = s.delivered;
		s.delivered += s.acked;
		cc_sample(c, &s, link_rtt(l, 0));
	}
	assert_int_equal(cc_bandwidth(c, link_rtt(l, 0)), 40 * MBIT);
	link_free(l);
}

/* ---- cubic ---- */

/* One round trip: the whole window is acknowledged. */
static struct loss_sample
round_trip(struct loss_sample *s, const struct cc *c, const struct rtt *r)
{
	s->now += r->latest;
	s->rtt = r->latest;
	s->prior_delivered = s->delivered;
	s->acked = c->cwnd;
	s->delivered += s->acked;
	s->lost = 0;
	s->spurious = s->persistent = false;
	s->rate = cc_rate(s->acked, r->latest);
	return *s;
}

static void
lose(struct cc *c, struct loss_sample *s, const struct rtt *r)
{
	s->lost = c->mss;
	s->lost_sent_at = s->now;
	s->acked = 0;
	cc_sample(c, s, r);
}

static double
cubed(double v)
{
	return v * v * v;
}

static double
cube_root(double v)
{
	double root = v > 1 ? v : 1;

	for (int i = 0; i < 200; i++)
		root -= (cubed(root) - v) / (3 * root * root);
	return root;
}

/* RFC 9438, 4: after a loss at `packets`, at round trips of `ms`. */
static void
follow_cubic(unsigned packets, unsigned ms)
{
	struct rtt r = {.srtt = ms * NS_PER_MS, .latest = ms * NS_PER_MS};
	struct loss_sample s = {.now = NS_PER_SEC};
	const double rtt = ms / 1000.0, w_max = packets,
		     k = cube_root(w_max * 0.3 / 0.4);
	double w_est = 0.7 * w_max, t;
	struct cc c;

	cc_init(&c, CC_CUBIC, 1000, 0, 0, s.now);
	rtt_sample(&r, ms * NS_PER_MS, 0, s.now);
	c.cwnd = (uint64_t)packets * 1000;
	s.delivered = 1;
	lose(&c, &s, &r);
	assert_true(is_within(c.cwnd, packets * 700, 1));

	for (t = 0; t < 2 * k; t += rtt) {
		double cwnd = (double)c.cwnd / 1000, cubic;

		(void)round_trip(&s, &c, &r);
		cc_sample(&c, &s, &r);
		/* An epoch begins with the first acknowledgement. */
		cubic = 0.4 * cubed(t + rtt - k) + w_max;
		w_est += w_est < w_max ? 0.53 : 1.0;
		cubic = cubic < cwnd ? cwnd : cubic > 1.5 * cwnd ? 1.5 * cwnd : cubic;
		cubic = 0.4 * cubed(t - k) + w_max < w_est ? w_est : cubic;
		assert_true(is_within(c.cwnd / 100, (uint64_t)(cubic * 10), 4));
	}
	assert_true(c.cwnd > packets * UINT64_C(1000) * 12 / 10);
}

static void
cubic_grows_as_its_formula(void **state)
{
	(void)state;
	follow_cubic(1000, 100);
	follow_cubic(1000, 20);
	follow_cubic(100, 50);
	follow_cubic(100000, 300);
	follow_cubic(30, 10); /* Reno is faster */
}

static void
cubic_cuts_once_and_undoes(void **state)
{
	struct rtt r = {0};
	struct loss_sample s = {.now = NS_PER_SEC, .delivered = 1};
	struct cc c;
	uint64_t cut;

	(void)state;
	cc_init(&c, CC_CUBIC, 1000, 0, 0, s.now);
	rtt_sample(&r, 100 * NS_PER_MS, 0, s.now);
	c.cwnd = 1000000;
	lose(&c, &s, &r);
	cut = c.cwnd;
	assert_int_equal(cut, 700000);
	assert_true(is_within(c.pacing_rate, 700000 * 10 * 5 / 4, 1));

	/* What was sent before is the same event, and makes nothing grow. */
	s.now += 10 * NS_PER_MS;
	s.lost = s.acked = 1000;
	cc_sample(&c, &s, &r);
	assert_int_equal(c.cwnd, cut);

	s.now += 10 * NS_PER_MS;
	s.lost = 0;
	s.spurious = true;
	cc_sample(&c, &s, &r);
	assert_in_range(c.cwnd, 1000000, 1001000);

	/* It is undone once. */
	s.spurious = false;
	lose(&c, &s, &r);
	(void)round_trip(&s, &c, &r);
	for (int i = 0; i < 5; i++) {
		(void)round_trip(&s, &c, &r);
		cc_sample(&c, &s, &r);
	}
	s.spurious = true;
	s.acked = 0;
	cc_sample(&c, &s, &r);
	assert_in_range(c.cwnd, 700000, 900000);

	s.spurious = false;
	s.persistent = true;
	cc_sample(&c, &s, &r);
	assert_int_equal(c.cwnd, 2000);
}

/* As if the loss had never been: slow start goes on. */
static void
cubic_undoes_in_slow_start(void **state)
{
	struct rtt r = {0};
	struct loss_sample s = {.now = NS_PER_SEC, .delivered = 1};
	struct cc c;

	(void)state;
	cc_init(&c, CC_CUBIC, 1000, 0, 0, s.now);
	rtt_sample(&r, 100 * NS_PER_MS, 0, s.now);
	(void)round_trip(&s, &c, &r);
	cc_sample(&c, &s, &r);
	assert_int_equal(c.cwnd, 20000);
	assert_true(is_within(c.pacing_rate, 20000 * 10 * 2, 1));
	lose(&c, &s, &r);
	assert_int_equal(c.cwnd, 14000);
	(void)round_trip(&s, &c, &r);
	s.acked = 1000;
	s.spurious = true;
	cc_sample(&c, &s, &r);
	assert_int_equal(c.cwnd, 21000);
	(void)round_trip(&s, &c, &r);
	cc_sample(&c, &s, &r);
	assert_int_equal(c.cwnd, 42000);
}

static void
cubic_does_not_grow_unused(void **state)
{
	struct rtt r = {0};
	struct loss_sample s = {.now = NS_PER_SEC, .delivered = 1};
	struct cc c;
	uint64_t before;

	(void)state;
	cc_init(&c, CC_CUBIC, 1000, 0, 0, s.now);
	rtt_sample(&r, 100 * NS_PER_MS, 0, s.now);
	c.cwnd = 1000000;
	lose(&c, &s, &r);
	for (int i = 0; i < 20; i++) {
		(void)round_trip(&s, &c, &r);
		cc_sample(&c, &s, &r);
	}
	before = c.cwnd;
	s.app_limited = true;
	for (int i = 0; i < 600; i++) {
		(void)round_trip(&s, &c, &r);
		cc_sample(&c, &s, &r);
	}
	assert_int_equal(c.cwnd, before);
	/* Nor has the time counted. */
	s.app_limited = false;
	(void)round_trip(&s, &c, &r);
	cc_sample(&c, &s, &r);
	assert_in_range(c.cwnd, before, before + before / 20);
}

static void
cubic_fills_a_link(void **state)
{
	(void)state;
	for (size_t j = 0; j < ARRAY_LEN(rtts); j++) {
		struct link_setup setup = {.rate = 50 * MBIT,
					   .rtt = rtts[j] * NS_PER_MS};
		struct link *l;

		setup.queue = cc_bytes(setup.rate, setup.rtt + 20 * NS_PER_MS);
		l = one_flow(CC_CUBIC, setup);
		link_run(l, 6 * NS_PER_SEC + 30 * setup.rtt);
		assert_in_range(share(l, setup.rate, 20 * NS_PER_SEC), 950, 1001);
		link_free(l);
	}
}

static void
cubic_leaves_slow_start_by_delay(void **state)
{
	struct link *l = one_flow(CC_CUBIC, (struct link_setup){.rate = 50 * MBIT,
								.rtt = 40 * NS_PER_MS});
	struct cc *c = link_cc(l, 0);

	(void)state;
	link_mark(l);
	while (c->cwnd < c->cubic.w.ssthresh)
		link_run(l, 10 * NS_PER_MS);
	assert_int_equal(link_lost(l, 0), 0);
	assert_in_range(link_queue_max(l), 0, 600 * NS_PER_MS);
	assert_true(c->cwnd >= cc_bytes(50 * MBIT, 40 * NS_PER_MS));
	link_free(l);
}

static void
cubic_shares_a_link(void **state)
{
	struct link_setup setup = {
		.rate = 50 * MBIT, .rtt = 40 * NS_PER_MS, .seed = seed};
	struct link *l;

	(void)state;
	setup.queue = cc_bytes(setup.rate, 60 * NS_PER_MS);
	l = link_new(&setup);
	(void)link_add(l, CC_CUBIC, 0);
	(void)link_add(l, CC_CUBIC, 0);
	link_run(l, 10 * NS_PER_SEC);
	link_mark(l);
	link_run(l, 60 * NS_PER_SEC);
	assert_in_range(
		link_received(l, 0) * 100 / (link_received(l, 0) + link_received(l, 1)),
		30, 70);
	link_free(l);
}

/* ---- all of them ---- */

static void
caps_are_kept(void **state)
{
	static const enum cc_kind kinds[] = {CC_BBR, CC_CUBIC, CC_FIXED};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct link_setup setup = {
			.rate = 50 * MBIT, .rtt = 40 * NS_PER_MS, .seed = seed};
		struct link *l = link_new(&setup);
		struct cc *c;

		(void)link_add(l, kinds[i], 30 * MBIT);
		c = link_cc(l, 0);
		cc_set_max_rate(c, 20 * MBIT);
		assert_true(c->pacing_rate <= 20 * MBIT);
		link_run(l, 3 * NS_PER_SEC);
		assert_in_range(share(l, 20 * MBIT, 5 * NS_PER_SEC), 970, 1005);
		assert_in_range(link_queue_mean(l), 0, 2 * NS_PER_MS);
		assert_true(is_within(cc_bandwidth(c, link_rtt(l, 0)), 20 * MBIT, 3));
		cc_set_max_rate(c, 0);
		link_run(l, 10 * NS_PER_SEC);
		assert_true(share(l, 50 * MBIT, NS_PER_SEC) >
			    (kinds[i] == CC_FIXED ? 590 : 950));
		link_free(l);
	}
}

static void
fixed_keeps_to_its_rate(void **state)
{
	struct link_setup setup = {
		.rate = 50 * MBIT, .rtt = 100 * NS_PER_MS, .seed = seed, .loss = 300};
	struct link *l = link_new(&setup);

	(void)state;
	(void)link_add(l, CC_FIXED, 40 * MBIT);
	link_run(l, NS_PER_SEC);
	assert_in_range(share(l, 40 * MBIT, 5 * NS_PER_SEC), 960, 980);
	cc_restart(link_cc(l, 0), 6 * NS_PER_SEC);
	assert_int_equal(link_cc(l, 0)->pacing_rate, 40 * MBIT);
	assert_int_equal(cc_bandwidth(link_cc(l, 0), link_rtt(l, 0)), 40 * MBIT);
	link_free(l);
}

static uint64_t
draw64(uint64_t below)
{
	uint64_t v = 0;

	for (int i = 0; i < 5; i++)
		v = v << 15 ^ (uint64_t)rand_r(&dice);
	return v % below;
}

static uint64_t
small_or_large(uint64_t most)
{
	return draw64(2) ? draw64(most) : draw64(1 + (most >> draw64(40)));
}

/* Whatever a peer can make of the samples, the bounds hold. */
static void
nonsense_stays_within_bounds(void **state)
{
	(void)state;
	for (int i = 0; i < 300; i++) {
		struct loss_sample s = {.now = NS_PER_SEC};
		struct rtt r = {0};
		struct cc c;
		bool is_mute = false;

		cc_init(&c, (enum cc_kind)(i % 3), 1 + (uint32_t)draw64(9000),
			small_or_large(UINT64_C(1) << 40), (uint8_t)i, s.now);
		cc_set_max_rate(&c, draw64(2) ? small_or_large(1 << 30) : 0);
		for (int step = 0; step < 2000; step++) {
			if (draw64(100) == 0)
				is_mute = draw64(3) == 0;
			s.now += (ns_t)small_or_large(10 * NS_PER_SEC);
			s.rtt = (ns_t)(draw64(8) && !is_mute
					       ? small_or_large(20 * NS_PER_SEC)
					       : 0);
			s.acked = draw64(8) ? small_or_large(CC_WINDOW_MAX) : 0;
			s.lost = draw64(4) ? 0 : small_or_large(CC_WINDOW_MAX);
			s.lost_sent_at = s.now - s.rtt;
			s.delivered += s.acked;
			s.prior_delivered = s.delivered - draw64(s.acked + 1);
			s.in_flight = small_or_large(CC_WINDOW_MAX);
			s.prior_in_flight = small_or_large(CC_WINDOW_MAX);
			s.rate = small_or_large(UINT64_C(1) << 50);
			s.app_limited = draw64(4) == 0;
			s.spurious = draw64(20) == 0;
			s.persistent = draw64(50) == 0;
			if (s.rtt > 0)
				rtt_sample(&r, s.rtt, 0, s.now);
			cc_sent(&c, draw64(2) * s.in_flight, c.mss, s.now);
			cc_sample(&c, &s, &r);
			if (draw64(200) == 0)
				cc_restart(&c, s.now);
			if (draw64(200) == 0)
				cc_set_mss(&c, 1 + (uint32_t)draw64(9000));
			assert_in_range(c.cwnd, 2 * (uint64_t)c.mss, CC_WINDOW_MAX);
			assert_true(c.pacing_rate >= CC_RATE_MIN);
			assert_true(c.max_rate == 0 ||
				    c.pacing_rate <= max_u64(c.max_rate, CC_RATE_MIN));
			assert_true(cc_bandwidth(&c, &r) <= CC_RATE_MAX);
		}
	}
}

/* 10 Gbit/s over a second: what is in flight is bounded, nothing wraps. */
static void
large_numbers_do_not_wrap(void **state)
{
	const uint64_t rate = UINT64_C(10000) * MBIT;

	(void)state;
	assert_int_equal(cc_bytes(rate, NS_PER_SEC), rate);
	assert_int_equal(cc_bytes(UINT64_MAX, INT64_MAX), CC_RATE_MAX * 4);
	assert_int_equal(cc_bytes(rate, -1), 0);
	assert_int_equal(cc_rate(rate, NS_PER_SEC), rate);
	assert_int_equal(cc_rate(UINT64_MAX, 0), CC_RATE_MAX);
	for (int kind = 0; kind < 3; kind++) {
		struct loss_sample s = {.now = NS_PER_SEC, .rtt = NS_PER_SEC};
		struct rtt r = {0};
		struct cc c;

		cc_init(&c, (enum cc_kind)kind, 9000, rate, 0, s.now);
		rtt_sample(&r, NS_PER_SEC, 0, s.now);
		for (int i = 0; i < 100; i++) {
			s.now += NS_PER_SEC;
			s.prior_delivered = s.delivered;
			s.delivered += rate;
			s.acked = s.in_flight = s.prior_in_flight = CC_WINDOW_MAX;
			s.rate = rate;
			cc_sample(&c, &s, &r);
		}
		assert_int_equal(c.cwnd, CC_WINDOW_MAX);
		if (kind != CC_CUBIC)
			assert_true(is_within(cc_bandwidth(&c, &r), rate, 1));
	}
}

static void
names_are_read_and_written(void **state)
{
	static const char *const names[] = {"bbr", "cubic", "fixed"};
	enum cc_kind kind;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		assert_int_equal(cc_parse(names[i], &kind), 0);
		assert_string_equal(cc_name(kind), names[i]);
		assert_int_equal(kind, i);
	}
	kind = CC_CUBIC;
	assert_int_equal(cc_parse("bbr2", &kind), -EINVAL);
	assert_int_equal(cc_parse("", &kind), -EINVAL);
	assert_int_equal(kind, CC_CUBIC);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_read_and_written),
		cmocka_unit_test(large_numbers_do_not_wrap),
		cmocka_unit_test(nonsense_stays_within_bounds),
		cmocka_unit_test(caps_are_kept),
		cmocka_unit_test(fixed_keeps_to_its_rate),
		cmocka_unit_test(bbr_fills_a_link_without_a_queue),
		cmocka_unit_test(bbr_bears_random_loss),
		cmocka_unit_test(bbr_bears_jitter_and_reordering),
		cmocka_unit_test(bbr_bears_jitter_as_long_as_the_delay),
		cmocka_unit_test(bbr_follows_the_rate),
		cmocka_unit_test(bbr_follows_the_rtt),
		cmocka_unit_test(bbr_shares_a_link),
		cmocka_unit_test(bbr_remembers_the_rate_while_it_starves),
		cmocka_unit_test(bbr_bears_bursts_of_loss),
		cmocka_unit_test(bbr_bears_small_buffers),
		cmocka_unit_test(bbr_starts_at_a_known_rate),
		cmocka_unit_test(bbr_begins_anew_at_half),
		cmocka_unit_test(bbr_stops_when_the_queue_runs_over),
		cmocka_unit_test(bbr_starts_in_spite_of_a_fade),
		cmocka_unit_test(bbr_learns_no_rtt_from_none),
		cmocka_unit_test(bbr_tries_again_whatever_is_in_flight),
		cmocka_unit_test(cubic_grows_as_its_formula),
		cmocka_unit_test(cubic_cuts_once_and_undoes),
		cmocka_unit_test(cubic_undoes_in_slow_start),
		cmocka_unit_test(cubic_does_not_grow_unused),
		cmocka_unit_test(cubic_fills_a_link),
		cmocka_unit_test(cubic_leaves_slow_start_by_delay),
		cmocka_unit_test(cubic_shares_a_link),
	};

	seed = dice = seed_choose();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
