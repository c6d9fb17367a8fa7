/*
 * One story each: what happens to the links, when everything has to be there, and
 * how much memory that took. The world looks at every byte.
 */
#include "tests/unit/unit.h"

#include "daemon/core/session_parts.h"
#include "tests/sim/world.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MS  NS_PER_MS
#define SEC NS_PER_SEC
#define MB  UINT64_C(1000000)

enum { KBYTE = 1000 };

static struct world_options options = {.cc = CC_BBR, .scheduler = SCHEDULER_EARLIEST};

static struct world *
world_of(const struct sim_lane *lanes, size_t n)
{
	struct world *w = world_new(&options);

	for (size_t i = 0; i < n; i++)
		world_add_link(w, &lanes[i], &lanes[i]);
	return w;
}

static struct world *
two_links(void)
{
	const struct sim_lane lanes[] = {world_lane(50, 15), world_lane(40, 30)};

	return world_of(lanes, 2);
}

static double
mbit(uint64_t bytes, ns_t span)
{
	return (double)bytes * 8e3 / (double)span;
}

/* Everything arrived, and nothing of it is held any more. */
static void
finishes(struct world *w, const struct transfer *t, ns_t patience)
{
	struct session_stats st;

	assert_true(world_finish(w, t, patience));
	world_run(w, 2 * SEC);
	for (int side = 0; side < 2; side++) {
		session_stats_get(world_session(w, (enum sim_side)side), &st);
		assert_int_equal(st.held_in, 0);
		assert_int_equal(st.held_out, 0);
	}
}

static void
rate_of(const struct sim_lane *lanes, size_t n, double at_least)
{
	struct world *w = world_of(lanes, n);
	struct transfer *t = world_transfer(w, 100, 500 * MB);
	double got;

	world_during(w, t, 3 * SEC);
	got = mbit(world_during(w, t, 9 * SEC), 9 * SEC);
	print_message("%.1f Mbit/s, at least %.1f\n", got, at_least);
	assert_true(got >= at_least);
	world_free(w);
}

static void
balanced(void **state)
{
	const struct sim_lane l[] = {world_lane(50, 20), world_lane(50, 20)};

	(void)state;
	rate_of(l, 2, 94);
}

static void
unbalanced(void **state)
{
	const struct sim_lane l[] = {world_lane(100, 20), world_lane(10, 20)};

	(void)state;
	rate_of(l, 2, 102);
}

static void
unlike_delays(void **state)
{
	const struct sim_lane l[] = {world_lane(50, 20), world_lane(50, 70)};

	(void)state;
	rate_of(l, 2, 90);
}

static void
losses(void **state)
{
	struct sim_lane l[] = {world_lane(50, 20), world_lane(50, 20)};

	(void)state;
	l[0].loss_ppm = l[1].loss_ppm = 20000;
	rate_of(l, 2, 90);
}

/* One round trip there, half of one more until the server knows. */
static void
joins_at_once(void **state)
{
	const struct sim_lane l[] = {world_lane(50, 15), world_lane(50, 70)};
	struct world *w = world_of(l, 2);
	struct session_stats st;

	(void)state;
	world_run(w, 145 * MS);
	session_stats_get(world_session(w, SIM_CLIENT), &st);
	assert_int_equal(st.subflows_active, 2);
	world_run(w, 70 * MS);
	session_stats_get(world_session(w, SIM_SERVER), &st);
	assert_int_equal(st.subflows_active, 2);
	world_free(w);
}

/* The satellite must not make it worse than the fibre alone. */
static void
satellite_and_fibre(void **state)
{
	const struct sim_lane l[] = {world_lane(40, 35), world_lane(20, 320)};

	(void)state;
	rate_of(l, 2, 40 * 0.97 * 0.95);
}

/* Packets of the slow one are a second and a half late: late, and no replays. */
static void
far_and_near(void **state)
{
	const struct sim_lane l[] = {world_lane(50, 10), world_lane(20, 750)};
	struct world *w = world_of(l, 2);
	struct transfer *t = world_transfer(w, 20 * MB, 500 * MB);
	struct session_stats st;
	double got;

	(void)state;
	world_during(w, t, 5 * SEC);
	got = mbit(world_during(w, t, 15 * SEC), 15 * SEC);
	print_message("%.1f Mbit/s beside 50\n", got);
	assert_true(got >= 50 * 0.95 * 0.95);
	for (int side = 0; side < 2; side++) {
		session_stats_get(world_session(w, (enum sim_side)side), &st);
		assert_int_equal(st.refused, 0);
	}
	world_free(w);
}

static void
uploads_as_downloads(void **state)
{
	struct world *w = two_links();
	struct transfer *t = world_transfer(w, 60 * MB, 100);

	(void)state;
	finishes(w, t, 8 * SEC);
	world_free(w);
}

static void
silent_death(void **state)
{
	struct world *w = two_links();
	struct transfer *t = world_transfer(w, 100, 100 * MB);
	double got;

	(void)state;
	world_during(w, t, 4 * SEC);
	t->gap = 0;
	world_set_silent(w, 0, true, true);
	world_during(w, t, 2 * SEC);
	print_message("longest gap %.0f ms\n", (double)t->gap / 1e6);
	assert_true(t->gap <= 250 * MS);
	got = mbit(world_during(w, t, 3 * SEC), 3 * SEC);
	print_message("%.1f of 40 Mbit/s\n", got);
	assert_true(got >= 40 * 0.9);
	world_set_silent(w, 0, false, false);
	world_during(w, t, 1500 * MS);
	got = mbit(world_during(w, t, 2 * SEC), 2 * SEC);
	print_message("%.1f of 90 Mbit/s\n", got);
	assert_true(got >= 90 * 0.9);
	finishes(w, t, 20 * SEC);
	world_free(w);
}

static void
one_direction_dies(void **state)
{
	(void)state;
	for (int up = 0; up < 2; up++) {
		struct world *w = two_links();
		struct transfer *t = world_transfer(w, 100, 80 * MB);
		uint64_t before;
		double got;

		world_during(w, t, 3 * SEC);
		t->gap = 0;
		world_set_silent(w, 0, up == 1, up == 0);
		before = t->read[SIM_CLIENT];
		world_during(w, t, 3 * SEC);
		got = mbit(t->read[SIM_CLIENT] - before, 3 * SEC);
		print_message("%s: longest gap %.0f ms, %.1f Mbit/s\n",
			      up ? "up" : "down", (double)t->gap / 1e6, got);
		assert_true(t->gap <= 300 * MS);
		/* What the dead way acknowledges is said on the other one. */
		if (up)
			assert_true(got >= 90 * 0.8);
		finishes(w, t, 30 * SEC);
		world_free(w);
	}
}

/* The client knows at once, and does not wait for a timeout. */
static void
an_uplink_goes(void **state)
{
	struct world *w = two_links();
	struct transfer *t = world_transfer(w, 60 * MB, 100);
	uint64_t before;

	(void)state;
	world_during(w, t, 3 * SEC);
	world_set_uplink(w, 0, false);
	world_during(w, t, 50 * MS);
	before = t->read[SIM_SERVER];
	world_during(w, t, 100 * MS);
	print_message("%.1f of 40 Mbit/s\n",
		      mbit(t->read[SIM_SERVER] - before, 100 * MS));
	assert_true(mbit(t->read[SIM_SERVER] - before, 100 * MS) >= 40 * 0.5);
	finishes(w, t, 20 * SEC);
	world_free(w);
}

/* Nobody sends anything; whichever direction dies, the client knows soon. */
static void
an_idle_uplink_dies(void **state)
{
	(void)state;
	for (int which = 1; which < 4; which++) {
		struct world *w = two_links();
		ns_t from;

		world_run(w, 10 * SEC);
		world_set_silent(w, 0, (which & 1) != 0, (which & 2) != 0);
		from = world_now(w);
		while (session_subflow(world_session(w, SIM_CLIENT), 1)->state ==
			       SUBFLOW_ACTIVE &&
		       world_now(w) - from < 5 * SEC)
			world_run(w, 10 * MS);
		print_message("known after %.0f ms\n",
			      (double)(world_now(w) - from) / 1e6);
		assert_true(world_now(w) - from <= 1200 * MS);
		world_free(w);
	}
}

/*
 * A session that was idle does not know yet: the request and its answer go by
 * both, so that nothing waits for a timeout, whichever way is dead.
 */
static void
a_new_stream_beside_a_silent_uplink(void **state)
{
	const ns_t rtt[] = {30 * MS, 60 * MS};

	(void)state;
	for (unsigned i = 0; i < 18; i++) {
		unsigned dead = i % 2, which = 1 + i / 2 % 3;
		struct world *w = two_links();
		struct transfer *t = world_transfer(w, 100, 5 * MB);

		assert_true(world_finish(w, t, 5 * SEC));
		world_run(w, 3 * SEC + (ns_t)i * 53 * MS);
		world_set_silent(w, dead, (which & 1) != 0, (which & 2) != 0);
		t = world_transfer(w, 100, 100);
		assert_true(world_finish(w, t, SEC));
		print_message("%.1f ms\n", (double)(t->first_at - t->opened_at) / 1e6);
		assert_true(t->first_at - t->opened_at <= rtt[1 - dead] + 5 * MS);
		world_free(w);
	}
}

/* What a burst left in a queue is gone when it was quiet for as long. */
static void
queues_drain_while_it_is_quiet(void **state)
{
	struct world *w = two_links();
	struct transfer *t = world_transfer(w, 100, 500 * MB);
	const struct subflow *sf;

	(void)state;
	world_during(w, t, 500 * MS);
	sf = session_subflow(world_session(w, SIM_SERVER), 2);
	assert_true(rtt_queueing(&sf->rtt) > 0);
	assert_true(subflow_queueing(sf, sf->loss.last_sent_at) ==
		    rtt_queueing(&sf->rtt));
	assert_true(subflow_queueing(sf, sf->loss.last_sent_at + NS_PER_US) <
		    rtt_queueing(&sf->rtt));
	assert_true(subflow_queueing(sf, sf->loss.last_sent_at + SEC) == 0);
	world_free(w);
}

static void
all_die_for_half_a_minute(void **state)
{
	struct world *w = two_links();
	struct transfer *t = world_transfer(w, 100, 60 * MB);
	uint64_t got;

	(void)state;
	world_during(w, t, 3 * SEC);
	world_set_silent(w, 0, true, true);
	world_set_silent(w, 1, true, true);
	world_during(w, t, SEC);
	assert_int_equal(world_during(w, t, 29 * SEC), 0);
	world_set_silent(w, 0, false, false);
	world_set_silent(w, 1, false, false);
	got = world_during(w, t, SEC);
	print_message("%.1f MB in the first second again\n", (double)got / 1e6);
	assert_true(got > 0);
	finishes(w, t, 20 * SEC);
	world_free(w);
}

static void
flapping(void **state)
{
	struct world *w = two_links();
	struct transfer *t = world_transfer(w, 100, 500 * MB);
	uint64_t got = 0;

	(void)state;
	world_during(w, t, 3 * SEC);
	for (int i = 0; i < 60; i++) {
		world_set_silent(w, 0, i % 2 == 0, i % 2 == 0);
		got += world_during(w, t, SEC / 2);
	}
	print_message("%.1f Mbit/s beside a steady 40\n", mbit(got, 30 * SEC));
	assert_true(mbit(got, 30 * SEC) >= 40 * 0.95 * 0.95);
	world_free(w);
}

static void
nat_rebinding(void **state)
{
	struct world *w = two_links();
	struct transfer *t = world_transfer(w, 100, 60 * MB);

	(void)state;
	for (int i = 0; i < 5; i++) {
		world_during(w, t, SEC);
		t->gap = 0;
		net_rebind(world_net(w), i % 2, i > 2);
	}
	finishes(w, t, 10 * SEC);
	world_free(w);
}

static void
mtu_falls(void **state)
{
	const struct sim_lane l[] = {world_lane(50, 15)};
	struct world *w = world_of(l, 1);
	struct transfer *t = world_transfer(w, 100, 50 * MB);

	(void)state;
	world_during(w, t, 3 * SEC);
	assert_int_equal(session_subflow(world_session(w, SIM_SERVER), 1)->mtu.current,
			 1500);
	t->gap = 0;
	net_lane(world_net(w), 0, SIM_SERVER)->mtu = 1280;
	net_lane(world_net(w), 0, SIM_CLIENT)->mtu = 1280;
	world_during(w, t, 5 * SEC);
	print_message("longest gap %.0f ms\n", (double)t->gap / 1e6);
	assert_true(t->gap <= 3 * SEC);
	finishes(w, t, 20 * SEC);
	world_free(w);
}

static void
late_join(void **state)
{
	const struct sim_lane first = world_lane(40, 30), second = world_lane(50, 15);
	struct world *w = world_of(&first, 1);
	struct transfer *t = world_transfer(w, 100, 300 * MB);

	(void)state;
	world_during(w, t, 4 * SEC);
	world_add_link(w, &second, &second);
	world_during(w, t, 1 * SEC);
	assert_true(mbit(world_during(w, t, 3 * SEC), 3 * SEC) >= 90 * 0.93);
	world_free(w);
}

static void
slow_reader(void **state)
{
	struct world *w = two_links();
	struct transfer *slow = world_transfer(w, 100, 20 * MB);
	struct transfer *t = world_transfer(w, 100, 60 * MB);
	struct session_stats st;

	(void)state;
	slow->read_rate[SIM_CLIENT] = 100 * KBYTE;
	assert_true(world_finish(w, t, 7 * SEC));
	session_stats_get(world_session(w, SIM_CLIENT), &st);
	print_message("%.1f MB held for it\n", (double)st.held_in / 1e6);
	assert_true(st.held_in <= 1 * MB);
	world_free(w);
}

/* How long 99 streams take, the hundredth of which is read slowly, or not there. */
static ns_t
ninety_nine(bool with_slow)
{
	struct world *w = two_links();
	struct transfer *t[99], *slow;
	ns_t took;

	if (with_slow) {
		slow = world_transfer(w, 100, 20 * MB);
		slow->read_rate[SIM_CLIENT] = 10 * KBYTE;
	}
	for (int i = 0; i < 99; i++)
		t[i] = world_transfer(w, 100, 250 * KBYTE);
	for (int i = 0; i < 99; i++)
		assert_true(world_finish(w, t[i], 20 * SEC));
	took = world_now(w);
	world_free(w);
	return took;
}

static void
slow_one_of_hundred(void **state)
{
	ns_t alone = ninety_nine(false), beside = ninety_nine(true);

	(void)state;
	print_message("%.2f s, without the slow one %.2f s\n", (double)beside / 1e9,
		      (double)alone / 1e9);
	assert_true(beside <= alone + alone / 20);
}

static void
half_close(void **state)
{
	struct world *w = two_links();
	struct transfer *t = world_transfer(w, 0, 5 * MB);

	(void)state;
	assert_true(world_finish(w, t, 2 * SEC));
	t = world_transfer(w, 5 * MB, 0);
	finishes(w, t, 2 * SEC);
	world_free(w);
}

/* A program is not asked for more than can soon be sent. */
static void
slow_link(void **state)
{
	const struct sim_lane l[] = {world_lane(5, 20)};
	struct world *w = world_of(l, 1);
	struct transfer *t = world_transfer(w, 10 * MB, 100);
	struct session_stats st;

	(void)state;
	world_during(w, t, 3 * SEC);
	session_stats_get(world_session(w, SIM_CLIENT), &st);
	print_message("%.0f kB held for it\n", (double)st.held_out / 1e3);
	assert_true(st.held_out <= 400 * KBYTE);
	world_free(w);
}

static void
streams_take_turns(void **state)
{
	struct world *w = two_links();
	struct transfer *t[4];
	uint64_t least = UINT64_MAX, most = 0;

	(void)state;
	for (int i = 0; i < 4; i++)
		t[i] = world_transfer(w, 100, 100 * MB);
	world_during(w, t[0], 5 * SEC);
	for (int i = 0; i < 4; i++) {
		least = min_u64(least, t[i]->read[SIM_CLIENT]);
		most = max_u64(most, t[i]->read[SIM_CLIENT]);
	}
	print_message("from %.1f to %.1f MB\n", (double)least / 1e6,
		      (double)most / 1e6);
	assert_true(least >= most * 3 / 4);
	world_free(w);
}

/* Short streams are copied as far as that is paid for. */
static void
copies_are_limited(void **state)
{
	enum { STREAMS = 400 };
	struct world *w = two_links();
	struct session_stats st;

	(void)state;
	for (int i = 0; i < STREAMS; i++)
		world_finish(w, world_transfer(w, 100, 15 * KBYTE), SEC);
	session_stats_get(world_session(w, SIM_SERVER), &st);
	print_message("%.2f of the bytes twice\n",
		      (double)st.resent / (double)st.stream_bytes_out);
	assert_true(st.stream_bytes_out >= STREAMS * 15 * KBYTE);
	assert_true(st.resent > st.stream_bytes_out / 4);
	assert_true(st.resent <= st.stream_bytes_out * 6 / 10);
	world_free(w);
}

static void
hundred_streams(void **state)
{
	struct world *w = two_links();
	struct transfer *t[100];

	(void)state;
	for (int i = 0; i < 100; i++)
		t[i] = world_transfer(w, 10 * KBYTE, 500 * KBYTE);
	for (int i = 0; i < 100; i++)
		assert_true(world_finish(w, t[i], 10 * SEC));
	finishes(w, t[0], SEC);
	world_free(w);
}

/* Each has a small window and a sixteenth of the rate: both uplinks are used. */
static void
sixteen_streams(void **state)
{
	const struct sim_lane l[] = {world_lane(50, 15), world_lane(40, 30)};
	struct world *w = world_of(l, 2);
	struct transfer *t[16];
	uint64_t before = 0, after = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		t[i] = world_transfer(w, 100, UINT64_MAX);
	world_run(w, 3 * SEC);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		before += t[i]->read[SIM_CLIENT];
	world_run(w, 5 * SEC);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		after += t[i]->read[SIM_CLIENT];
	print_message("%.1f Mbit/s\n", (double)(after - before) * 8e-6 / 5);
	assert_true((after - before) * 8 / 5 >= 83 * MB);
	world_free(w);
}

static void
short_streams(void **state)
{
	static const struct {
		uint64_t size;
		ns_t within;
	} sizes[] = {{10 * KBYTE, 40 * MS}, {100 * KBYTE, 80 * MS}, {1 * MB, 190 * MS}};
	const struct sim_lane l[] = {world_lane(50, 15), world_lane(50, 15)};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct world *w = world_of(l, 2);
		struct transfer *t = world_transfer(w, 100, 40 * MB);
		ns_t began;

		assert_true(world_finish(w, t, 10 * SEC));
		world_run(w, 5 * SEC);
		began = world_now(w);
		t = world_transfer(w, 100, sizes[i].size);
		assert_true(world_finish(w, t, 10 * SEC));
		print_message("%llu bytes in %.1f ms\n",
			      (unsigned long long)sizes[i].size,
			      (double)(t->done_at - began) / 1e6);
		assert_true(t->done_at - began <= sizes[i].within);
		world_free(w);
	}
}

/* Two queues are seldom long at once: what is short goes by both, and bulk does not. */
static void
short_answers_beside_bulk(void **state)
{
	enum { ANSWERS = 100, SIZE = 1000 };
	const struct sim_lane l[] = {world_lane(50, 15), world_lane(50, 15)};
	struct world *w = world_of(l, 2);
	struct session_stats before, after;

	(void)state;
	for (int i = 0; i < 8; i++)
		world_transfer(w, 100, UINT64_MAX);
	world_run(w, 3 * SEC);
	session_stats_get(world_session(w, SIM_SERVER), &before);
	for (int i = 0; i < ANSWERS; i++) {
		struct transfer *t = world_transfer(w, SIZE, SIZE);

		assert_true(world_finish(w, t, SEC));
		world_run(w, 20 * MS);
	}
	session_stats_get(world_session(w, SIM_SERVER), &after);
	print_message("%.2f of the answers twice\n",
		      (double)(after.resent - before.resent) / (ANSWERS * SIZE));
	assert_true(after.resent - before.resent >= ANSWERS * SIZE / 2);
	assert_true(after.resent - before.resent <= ANSWERS * SIZE * 2);
	world_free(w);
}

static int
by_length(const void *a, const void *b)
{
	const ns_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The tail, and what was lost once, go by both: no second loss is waited for. */
static void
short_streams_with_losses(void **state)
{
	enum { WORLDS = 10, STREAMS = 60 };
	struct world_options saved = options;
	struct sim_lane l[] = {world_lane(50, 15), world_lane(50, 15)};
	ns_t took[WORLDS * STREAMS];
	size_t n = 0;

	(void)state;
	l[0].loss_ppm = l[1].loss_ppm = 20000;
	for (options.seed = 1; options.seed <= WORLDS; options.seed++) {
		struct world *w = world_of(l, 2);

		assert_true(world_finish(w, world_transfer(w, 100, MB), 5 * SEC));
		for (int i = 0; i < STREAMS; i++) {
			struct transfer *t = world_transfer(w, 100, 100 * KBYTE);

			assert_true(world_finish(w, t, 5 * SEC));
			took[n++] = t->done_at - t->opened_at;
			world_run(w, 50 * MS);
		}
		world_free(w);
	}
	options = saved;
	qsort(took, n, sizeof(took[0]), by_length);
	print_message("median %.1f ms, 99 %% within %.1f\n", (double)took[n / 2] / 1e6,
		      (double)took[n * 99 / 100] / 1e6);
	assert_true(took[n * 99 / 100] <= 85 * MS);
}

/* Forged ICMP, ten times a second: nothing dies of it. */
static void
lies_about_an_uplink(void **state)
{
	struct world *w = two_links();
	struct transfer *t = world_transfer(w, 30 * MB, 100);

	(void)state;
	for (int i = 0; i < 30; i++) {
		world_finish(w, t, SEC / 10);
		session_subflow_doubt(world_session(w, SIM_CLIENT), 1, world_now(w));
		assert_int_not_equal(
			session_subflow(world_session(w, SIM_CLIENT), 1)->state,
			SUBFLOW_DEAD);
	}
	finishes(w, t, 10 * SEC);
	world_free(w);
}

/* Everything goes twice, so that hardly any loss is felt. */
static void
redundant_copies_everything(void **state)
{
	struct sim_lane l[] = {world_lane(50, 15), world_lane(50, 15)};
	struct world_options twice = options;
	struct session_stats st;
	struct transfer *t;
	struct world *w;

	(void)state;
	l[0].loss_ppm = l[1].loss_ppm = 50000;
	twice.scheduler = SCHEDULER_REDUNDANT;
	w = world_new(&twice);
	world_add_link(w, &l[0], &l[0]);
	world_add_link(w, &l[1], &l[1]);
	t = world_transfer(w, 100, 10 * MB);
	finishes(w, t, 5 * SEC);
	session_stats_get(world_session(w, SIM_SERVER), &st);
	print_message("%.2f of the bytes twice\n",
		      (double)st.resent / (double)st.stream_bytes_out);
	assert_true(st.resent >= st.stream_bytes_out * 9 / 10);
	world_free(w);
}

static void
everything_goes_wrong(void **state)
{
	struct sim_lane l[] = {world_lane(50, 15), world_lane(40, 30)};
	struct world *w;
	struct transfer *t;

	(void)state;
	for (int i = 0; i < 2; i++) {
		l[i].loss_ppm = 20000;
		l[i].burst = 3;
		l[i].corrupt_ppm = 20000;
		l[i].reorder_ppm = 20000;
		l[i].reorder_delay = 100 * MS;
		l[i].dup_ppm = 500000;
	}
	w = world_of(l, 2);
	t = world_transfer(w, 5 * MB, 20 * MB);
	finishes(w, t, 60 * SEC);
	world_free(w);
}

/* A thousand packets out of order: more holes than an acknowledgement has room for. */
static void
fast_and_shuffled(void **state)
{
	struct sim_lane l = world_lane(300, 30);
	struct session_stats st;
	struct transfer *t;
	struct world *w;
	uint64_t got;

	(void)state;
	l.jitter = 20 * MS;
	w = world_of(&l, 1);
	t = world_transfer(w, 100, 2000 * MB);
	world_during(w, t, 3 * SEC);
	got = world_during(w, t, 4 * SEC);
	session_stats_get(world_session(w, SIM_SERVER), &st);
	print_message("%.1f of 300 Mbit/s, %.2f %% sent again\n", mbit(got, 4 * SEC),
		      100 * (double)st.resent / (double)st.stream_bytes_out);
	assert_true(mbit(got, 4 * SEC) >= 240);
	assert_true(st.resent < st.stream_bytes_out / 30);
	world_free(w);
}

/* Packets overtake each other by half a round trip, or by many, both ways. */
static void
delays_vary(void **state)
{
	struct world_options saved = options;
	struct sim_lane l[] = {world_lane(10, 300), world_lane(300, 20)};
	const ns_t warm[] = {15 * SEC, 2 * SEC};
	const double least[] = {0.5, 0.85};

	(void)state;
	l[0].jitter = 150 * MS;
	l[1].jitter = 20 * MS;
	for (size_t i = 0; i < 6; i++) {
		struct transfer *t;
		struct world *w;
		double share;

		options.seed = 2 + i / 2;
		w = world_of(&l[i % 2], 1);
		t = world_transfer(w, 100, 2000 * MB);
		world_during(w, t, warm[i % 2]);
		share = mbit(world_during(w, t, 3 * SEC), 3 * SEC) * 1e6 /
			(double)l[i % 2].rate;
		print_message("%.2f of %.0f Mbit/s\n", share,
			      (double)l[i % 2].rate / 1e6);
		assert_true(share >= least[i % 2]);
		world_free(w);
	}
	options = saved;
}

/* A start over a satellite does not fill a short queue for round trips. */
static void
starts_far_away(void **state)
{
	const struct sim_lane l = world_lane(50, 320);
	struct world *w = world_of(&l, 1);
	struct transfer *t = world_transfer(w, 100, 2000 * MB);
	struct session_stats st;
	uint64_t got;

	(void)state;
	got = world_during(w, t, 20 * SEC);
	session_stats_get(world_session(w, SIM_SERVER), &st);
	print_message("%.1f of 50 Mbit/s, %.1f %% sent again\n", mbit(got, 20 * SEC),
		      100 * (double)st.resent / (double)st.stream_bytes_out);
	assert_true(st.resent < st.stream_bytes_out / 4);
	world_free(w);
}

/* Of the world itself: it would go on in steps of a microsecond, beside traffic. */
static void
stands_still(FILE *out)
{
	struct world *w = two_links();

	session_set_tier(world_session(w, SIM_CLIENT), 2, TIER_BACKUP);
	world_transfer(w, 100, 500 * MB);
	world_run(w, SEC);
	world_session(w, SIM_CLIENT)->subflows[2]->acks.due_at = 1;
	dup2(fileno(out), STDERR_FILENO);
	world_run(w, SEC);
	_exit(0);
}

static void
a_deadline_that_stays_fails_at_once(void **state)
{
	FILE *out = tmpfile();
	char line[200] = "";
	int status = 0;
	pid_t pid;

	(void)state;
	assert_non_null(out);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		stands_still(out);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	rewind(out);
	assert_non_null(fgets(line, sizeof(line), out));
	fclose(out);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_non_null(strstr(line, "a deadline stays"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(balanced),
		cmocka_unit_test(unbalanced),
		cmocka_unit_test(unlike_delays),
		cmocka_unit_test(losses),
		cmocka_unit_test(joins_at_once),
		cmocka_unit_test(satellite_and_fibre),
		cmocka_unit_test(far_and_near),
		cmocka_unit_test(uploads_as_downloads),
		cmocka_unit_test(silent_death),
		cmocka_unit_test(one_direction_dies),
		cmocka_unit_test(an_uplink_goes),
		cmocka_unit_test(an_idle_uplink_dies),
		cmocka_unit_test(a_new_stream_beside_a_silent_uplink),
		cmocka_unit_test(queues_drain_while_it_is_quiet),
		cmocka_unit_test(all_die_for_half_a_minute),
		cmocka_unit_test(flapping),
		cmocka_unit_test(nat_rebinding),
		cmocka_unit_test(mtu_falls),
		cmocka_unit_test(late_join),
		cmocka_unit_test(slow_reader),
		cmocka_unit_test(slow_one_of_hundred),
		cmocka_unit_test(half_close),
		cmocka_unit_test(slow_link),
		cmocka_unit_test(streams_take_turns),
		cmocka_unit_test(copies_are_limited),
		cmocka_unit_test(hundred_streams),
		cmocka_unit_test(sixteen_streams),
		cmocka_unit_test(short_streams),
		cmocka_unit_test(short_answers_beside_bulk),
		cmocka_unit_test(short_streams_with_losses),
		cmocka_unit_test(lies_about_an_uplink),
		cmocka_unit_test(redundant_copies_everything),
		cmocka_unit_test(fast_and_shuffled),
		cmocka_unit_test(delays_vary),
		cmocka_unit_test(starts_far_away),
		cmocka_unit_test(everything_goes_wrong),
		cmocka_unit_test(a_deadline_that_stays_fails_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
