/*
 * Lanes do what was asked for within 1 percent, and queues drop exactly what a list
 * of waiting datagrams says.
 */
#include "tests/unit/unit.h"

#include "tests/sim/probe.h"
#include "tests/unit/seed.h"

#include <stdlib.h>
#include <string.h>

enum {
	MANY = 1000000, /* enough for 1 percent of 20 percent to be 4 sigma or more */
	PPM_20 = 200000,
	IPV4_OVERHEAD = 28,
	IPV6_OVERHEAD = 48,
};

static unsigned seed;

static uint64_t
draw(uint64_t n)
{
	return ((uint64_t)rand_r(&seed) << 31 ^ (uint64_t)rand_r(&seed)) % n;
}

/* Within 1 percent of `wanted`. */
static void
assert_about(double measured, double wanted)
{
	if (measured < wanted * 0.99 || measured > wanted * 1.01)
		fail_msg("measured %.6g, wanted %.6g", measured, wanted);
}

/* --- statistics: one link, numbered datagrams --------------------------------------- */

struct tally {
	uint8_t *seen; /* times that number i arrived */
	uint64_t n_arrived, n_turned;
	ns_t first_at, last_at;
	double delay_sum;
	ns_t delay_min, delay_max;
	uint64_t n_behind; /* came after a younger one */
	uint64_t n_late;   /* by more than `late_ns` */
};

struct load {
	size_t n;
	ns_t gap;
	size_t len;
	int family;
	ns_t late_ns;
};

enum { NUMBER_LEN = 8 };

static void
tally_one(struct tally *t, const struct load *load, const struct sim_dgram *d, ns_t at)
{
	uint64_t number, copy;
	ns_t delay;

	if (t->n_arrived++ == 0)
		t->first_at = at;
	t->last_at = at;
	memcpy(&number, d->data, NUMBER_LEN);
	memcpy(&copy, d->data + NUMBER_LEN, NUMBER_LEN);
	if (number != copy) {
		assert_int_equal(__builtin_popcountll(number ^ copy), 1);
		t->n_turned++;
		return;
	}
	t->seen[number]++;
	delay = at - (ns_t)number * load->gap;
	t->delay_sum += (double)delay;
	t->delay_min = min_ns(t->delay_min, delay);
	t->delay_max = max_ns(t->delay_max, delay);
	t->n_late += delay > load->late_ns;
	if (number + 1 < load->n && t->seen[number + 1] > 0)
		t->n_behind++;
}

static void
drain(struct sim_net *net, ns_t until, const struct load *load, struct tally *t)
{
	struct sim_dgram d;

	while (net_deadline(net) <= until && net_deadline(net) != NS_NEVER) {
		ns_t at = net_deadline(net);

		if (net_receive(net, at, &d)) {
			assert_int_equal(d.len, load->len);
			tally_one(t, load, &d, at);
		}
	}
}

/* Sends `load` up a link such as `lane`, one datagram every `gap`. */
static struct sim_counters
run(const struct sim_lane *lane, const struct load *load, struct tally *t)
{
	struct sim_net *net = probe_net(draw(UINT64_MAX), 1, lane, &probe_ideal);
	struct sim_counters c;
	uint8_t data[2048] = {0};
	struct sim_dgram d = probe_up(0, load->family, data, load->len);

	*t = (struct tally){.seen = calloc(load->n, 1), .delay_min = NS_NEVER};
	assert_non_null(t->seen);
	assert_true(load->len >= 2 * NUMBER_LEN && load->len <= sizeof(data));
	for (uint64_t i = 0; i < load->n; i++) {
		ns_t now = (ns_t)i * load->gap;

		drain(net, now, load, t);
		memcpy(data, &i, NUMBER_LEN);
		memcpy(data + NUMBER_LEN, &i, NUMBER_LEN);
		assert_int_equal(net_send(net, &d, now), 0);
	}
	drain(net, NS_NEVER, load, t);
	probe_adds_up(net, 0, SIM_CLIENT);
	c = *net_counters(net, 0, SIM_CLIENT);
	assert_int_equal(c.sent, load->n);
	assert_int_equal(c.sent_bytes, load->n * load->len);
	assert_int_equal(c.delivered, t->n_arrived);
	assert_int_equal(c.delivered_bytes, t->n_arrived * load->len);
	net_free(net);
	return c;
}

static void
rate_counts_ip_bytes(void **state)
{
	static const uint64_t rates[] = {1000000, 7654321, 300000000, 1000000000};

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_LEN(rates); i++) {
		const int family = i % 2 == 0 ? AF_INET : AF_INET6;
		const size_t overhead = i % 2 == 0 ? IPV4_OVERHEAD : IPV6_OVERHEAD;
		const struct sim_lane lane = {.rate = rates[i / 2],
					      .queue = 50 * NS_PER_MS,
					      .delay = NS_PER_MS};
		struct load load = {.n = 20000, .len = 1200, .family = family};
		double bits = (double)(load.len + overhead) * 8;
		struct sim_counters c;
		struct tally t;
		ns_t out;

		load.gap = (ns_t)(bits * 1e9 / (double)lane.rate / 2);
		c = run(&lane, &load, &t);
		assert_about((double)(t.n_arrived - 1) * bits * 1e9 /
				     (double)(t.last_at - t.first_at),
			     (double)lane.rate);
		assert_true(c.dropped > 0);
		/* The last to be accepted had to wait nearly as long as it might. */
		out = (ns_t)(bits * 1e9 / (double)lane.rate);
		assert_in_range(c.queue_max, lane.queue - out, lane.queue);
		assert_in_range(t.delay_max, lane.queue + lane.delay,
				lane.queue + lane.delay + out + 1);
		free(t.seen);
	}
}

static void
delay_is_constant(void **state)
{
	const struct sim_lane lane = {.delay = 35 * NS_PER_MS};
	const struct load load = {.n = 1000, .gap = 777, .len = 16, .family = AF_INET};
	struct tally t;

	(void)state;
	run(&lane, &load, &t);
	assert_int_equal(t.n_arrived, load.n);
	assert_int_equal(t.delay_min, lane.delay);
	assert_int_equal(t.delay_max, lane.delay);
	assert_int_equal(t.n_behind, 0);
	free(t.seen);
}

static void
jitter_is_uniform(void **state)
{
	const struct sim_lane lane = {.delay = 40 * NS_PER_MS,
				      .jitter = 10 * NS_PER_MS};
	const struct load load = {.n = MANY,
				  .gap = NS_PER_MS,
				  .len = 16,
				  .family = AF_INET,
				  .late_ns = 46 * NS_PER_MS};
	struct tally t;

	(void)state;
	run(&lane, &load, &t);
	assert_int_equal(t.n_arrived, load.n);
	assert_about(t.delay_sum / (double)load.n, (double)lane.delay);
	assert_in_range(t.delay_min, lane.delay - lane.jitter,
			lane.delay - lane.jitter * 99 / 100);
	assert_in_range(t.delay_max, lane.delay + lane.jitter * 99 / 100,
			lane.delay + lane.jitter);
	assert_about((double)t.n_late, 0.2 * MANY);
	/* It comes after its follower if it flies 1 of 20 ms longer: 0.95^2 / 2. */
	assert_about((double)t.n_behind, 0.95 * 0.95 / 2 * MANY);
	free(t.seen);
}

/* Jitter beyond the delay does not make anything arrive before it was sent. */
static void
jitter_stops_at_the_sender(void **state)
{
	const struct sim_lane lane = {.delay = NS_PER_MS, .jitter = 3 * NS_PER_MS};
	const struct load load = {.n = 1000, .gap = 1000, .len = 16, .family = AF_INET};
	struct tally t;

	(void)state;
	run(&lane, &load, &t);
	assert_int_equal(t.n_arrived, load.n);
	assert_int_equal(t.delay_min, 0);
	free(t.seen);
}

/* Bursts of losses, those of length 1, and those that are lost, among `n`. */
static void
count_bursts(const uint8_t *seen, size_t n, double ret[3])
{
	size_t len = 0;

	ret[0] = ret[1] = ret[2] = 0;
	for (size_t i = 0; i < n; i++) {
		ret[2] += seen[i] == 0;
		if (seen[i] == 0) {
			len++;
			continue;
		}
		ret[0] += len > 0;
		ret[1] += len == 1;
		len = 0;
	}
}

static void
loss_is_as_asked(void **state)
{
	/* Mean length of a burst by the model, or by chance: 1 / (1 - loss). */
	static const struct {
		unsigned ppm, burst;
		double mean;
	} cases[] = {
		{400000, 0, 1 / 0.6}, {400000, 1, 1 / 0.6}, {PPM_20, 0, 1 / 0.8},
		{400000, 2, 2},       {400000, 3, 3},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct sim_lane lane = {.loss_ppm = cases[i].ppm,
					      .burst = cases[i].burst};
		const struct load load = {
			.n = 3 * MANY, .gap = 1000, .len = 16, .family = AF_INET};
		struct sim_counters c;
		struct tally t;
		double bursts[3];

		c = run(&lane, &load, &t);
		count_bursts(t.seen, load.n, bursts);
		assert_int_equal(c.lost, bursts[2]);
		assert_about(bursts[2], cases[i].ppm * 3.0);
		assert_about(bursts[2] / bursts[0], cases[i].mean);
		assert_about(bursts[1] / bursts[0], 1 / cases[i].mean);
		free(t.seen);
	}
}

/* Seldom, so that 1 percent would take too many: 5 sigma. */
static void
rare_loss_is_rare(void **state)
{
	const struct sim_lane one = {.loss_ppm = 1000};
	const struct sim_lane burst = {.loss_ppm = 20000, .burst = 20};
	const struct load load = {.n = MANY, .gap = 1000, .len = 16, .family = AF_INET};
	struct tally t;
	double bursts[3];

	(void)state;
	assert_in_range(run(&one, &load, &t).lost, 842, 1158);
	free(t.seen);
	run(&burst, &load, &t);
	count_bursts(t.seen, load.n, bursts);
	assert_in_range((uint64_t)bursts[0], 840, 1160);
	assert_in_range((uint64_t)(1000 * bursts[2] / bursts[0]), 16800, 23200);
	free(t.seen);
}

static void
all_or_nothing_is_lost(void **state)
{
	const struct load load = {.n = 10000, .gap = 1, .len = 16, .family = AF_INET};
	struct tally t;

	(void)state;
	for (unsigned burst = 0; burst < 5; burst++) {
		const struct sim_lane all = {.loss_ppm = 1000000, .burst = burst};
		const struct sim_lane none = {.burst = burst};

		assert_int_equal(run(&all, &load, &t).lost, load.n);
		free(t.seen);
		assert_int_equal(run(&none, &load, &t).lost, 0);
		free(t.seen);
	}
}

static void
doubled_turned_and_late(void **state)
{
	const struct sim_lane dup = {.dup_ppm = PPM_20};
	const struct sim_lane turn = {.corrupt_ppm = PPM_20};
	const struct sim_lane late = {.delay = 10 * NS_PER_MS,
				      .reorder_ppm = PPM_20,
				      .reorder_delay = 5 * NS_PER_MS};
	const struct load load = {.n = MANY,
				  .gap = NS_PER_MS,
				  .len = 16,
				  .family = AF_INET,
				  .late_ns = 10 * NS_PER_MS};
	struct sim_counters c;
	struct tally t;
	size_t twice = 0;

	(void)state;
	c = run(&dup, &load, &t);
	for (size_t i = 0; i < load.n; i++)
		twice += t.seen[i] == 2;
	assert_int_equal(c.duplicated, twice);
	assert_about((double)twice, 0.2 * MANY);
	assert_int_equal(t.delay_max, 0);
	free(t.seen);

	c = run(&turn, &load, &t);
	assert_int_equal(c.corrupted, t.n_turned);
	assert_about((double)t.n_turned, 0.2 * MANY);
	free(t.seen);

	c = run(&late, &load, &t);
	assert_int_equal(c.reordered, t.n_late);
	assert_about((double)t.n_late, 0.2 * MANY);
	assert_int_equal(t.delay_min, late.delay);
	assert_int_equal(t.delay_max, late.delay + late.reorder_delay);
	assert_about((double)t.n_behind, 0.2 * 0.8 * MANY);
	free(t.seen);
}

/* --- queues ---------------------------------------------------------------------- */

/* The queue as a list; the first is on its way out. */
struct naive {
	ns_t out_ns[4096]; /* what each takes on its way out */
	ns_t due_at[4096];
	ns_t began_at; /* the first */
	size_t head, tail;
};

static ns_t
naive_wait(struct naive *q, ns_t now)
{
	ns_t wait = 0;

	while (q->head < q->tail && q->began_at + q->out_ns[q->head] <= now)
		q->began_at += q->out_ns[q->head++];
	if (q->head == q->tail)
		q->began_at = now;
	for (size_t i = q->head; i < q->tail; i++)
		wait += q->out_ns[i];
	return q->began_at + wait - now;
}

static void
naive_put(struct naive *q, const struct sim_lane *lane, size_t len, ns_t left_at)
{
	uint64_t bits = (len + IPV4_OVERHEAD) * 8;

	q->out_ns[q->tail] = (ns_t)((bits * 1000000000 + lane->rate - 1) / lane->rate);
	q->due_at[q->tail] = left_at + q->out_ns[q->tail] + lane->delay;
	q->tail++;
}

/* Bursts of random sizes and rests, as much as fits; the rate changes now and then. */
static void
queue_drops_what_the_list_says(void **state)
{
	enum { BURST_BITS = 40 * 750 * 8 };
	static struct naive q;
	uint8_t data[1500] = {0};
	uint64_t dropped_ever = 0;

	(void)state;
	for (int round = 0; round < 50; round++) {
		struct sim_lane lane = {.rate = 1000000 + draw(100000000),
					.queue = (ns_t)draw(30 * NS_PER_MS),
					.delay = (ns_t)draw(20 * NS_PER_MS)};
		struct sim_net *net =
			probe_net(draw(UINT64_MAX), 1, &lane, &probe_ideal);
		const struct sim_counters *c = net_counters(net, 0, SIM_CLIENT);
		ns_t now = 0, longest = 0;
		uint64_t dropped = 0;

		memset(&q, 0, sizeof(q));
		while (q.tail < ARRAY_LEN(q.due_at)) {
			size_t len = draw(sizeof(data));
			struct sim_dgram d = probe_up(0, AF_INET, data, len);
			ns_t wait = naive_wait(&q, now);

			assert_int_equal(net_send(net, &d, now), 0);
			if (wait > lane.queue) {
				dropped++;
			} else {
				longest = max_ns(longest, wait);
				naive_put(&q, &lane, len, now + wait);
			}
			assert_int_equal(c->dropped, dropped);
			assert_int_equal(c->queue_max, longest);
			if (draw(40) == 0)
				now += (ns_t)draw(BURST_BITS * 2 * NS_PER_SEC /
						  lane.rate);
			if (draw(500) == 0) {
				lane.rate = 1000000 + draw(100000000);
				net_lane(net, 0, SIM_CLIENT)->rate = lane.rate;
			}
		}
		dropped_ever += dropped;
		now = 0;
		for (size_t i = 0; i < q.tail; i++) {
			struct sim_dgram d;

			assert_true(probe_next(net, &now, &d));
			assert_int_equal(now, q.due_at[i]);
		}
		assert_false(probe_arrives(net));
		probe_adds_up(net, 0, SIM_CLIENT);
		net_free(net);
	}
	assert_true(dropped_ever > 0);
}

static void
mtu_is_exact(void **state)
{
	const struct sim_lane lane = {.mtu = 1500};
	struct sim_net *net = probe_net(draw(UINT64_MAX), 1, &lane, &probe_ideal);
	uint8_t data[1500] = {0};

	(void)state;
	for (size_t len = 1400; len <= sizeof(data); len++) {
		struct sim_dgram d4 = probe_up(0, AF_INET, data, len);
		struct sim_dgram d6 = probe_up(0, AF_INET6, data, len);

		assert_int_equal(net_send(net, &d4, 0), 0);
		assert_int_equal(probe_arrives(net), len <= 1472);
		assert_int_equal(net_send(net, &d6, 0), 0);
		assert_int_equal(probe_arrives(net), len <= 1452);
	}
	assert_int_equal(net_counters(net, 0, SIM_CLIENT)->oversize, 28 + 48);
	probe_adds_up(net, 0, SIM_CLIENT);
	net_free(net);
}

static void
silence_takes_what_is_sent_or_due(void **state)
{
	const struct sim_lane lane = {.delay = 10};
	struct sim_net *net = probe_net(draw(UINT64_MAX), 2, &lane, &lane);
	struct sim_lane *up = net_lane(net, 0, SIM_CLIENT);
	struct sim_dgram d = probe_up(0, AF_INET, NULL, 0);
	struct sim_dgram other = probe_up(1, AF_INET, NULL, 0), got;

	(void)state;
	assert_int_equal(net_send(net, &d, 0), 0); /* due in the silence */
	assert_int_equal(net_send(net, &d, 5), 0); /* due after it */
	up->silent = true;
	assert_int_equal(net_send(net, &d, 6), 0); /* sent in it */
	assert_int_equal(net_send(net, &other, 6), 0);
	assert_false(net_receive(net, 14, &got));
	up->silent = false;
	assert_true(net_receive(net, 15, &got));
	assert_int_equal(got.link, 0);
	assert_true(net_receive(net, 16, &got));
	assert_int_equal(got.link, 1);
	assert_int_equal(net_counters(net, 0, SIM_CLIENT)->silenced, 2);
	probe_adds_up(net, 0, SIM_CLIENT);
	net_free(net);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rate_counts_ip_bytes),
		cmocka_unit_test(delay_is_constant),
		cmocka_unit_test(jitter_is_uniform),
		cmocka_unit_test(jitter_stops_at_the_sender),
		cmocka_unit_test(loss_is_as_asked),
		cmocka_unit_test(rare_loss_is_rare),
		cmocka_unit_test(all_or_nothing_is_lost),
		cmocka_unit_test(doubled_turned_and_late),
		cmocka_unit_test(queue_drops_what_the_list_says),
		cmocka_unit_test(mtu_is_exact),
		cmocka_unit_test(silence_takes_what_is_sent_or_due),
	};

	seed = seed_choose();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
