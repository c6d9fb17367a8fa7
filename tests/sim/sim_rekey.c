/*
 * New keys while streams go on, and what may happen to the messages about them.
 */
#include "tests/unit/unit.h"

#include "daemon/core/session_parts.h"
#include "tests/sim/world.h"

#include <string.h>

#define MS  NS_PER_MS
#define SEC NS_PER_SEC
#define MB  UINT64_C(1000000)
#define DAY (86400 * SEC)

enum { PACKETS = 1000 };

static struct world_options
every(ns_t after)
{
	return (struct world_options){
		.cc = CC_BBR,
		.scheduler = SCHEDULER_EARLIEST,
		.rekey = {{.after_ns = after}, {.after_ns = after}},
	};
}

/* 90 Mbit/s in all, or 18. */
static struct world *
two_links(const struct world_options *opt, bool fast)
{
	const struct sim_lane l[] = {world_lane(fast ? 50 : 10, 15),
				     world_lane(fast ? 40 : 8, 30)};
	struct world *w = world_new(opt);

	for (size_t i = 0; i < ARRAY_LEN(l); i++)
		world_add_link(w, &l[i], &l[i]);
	return w;
}

static uint64_t
rekeys(struct world *w, enum sim_side side)
{
	struct session_stats st;

	session_stats_get(world_session(w, side), &st);
	return st.rekeys;
}

static void
set_silent(struct world *w, enum sim_side from, bool silent)
{
	net_lane(world_net(w), 0, from)->silent = silent;
	net_lane(world_net(w), 1, from)->silent = silent;
}

static void
finishes(struct world *w, const struct transfer *t, ns_t patience)
{
	assert_true(world_finish(w, t, patience));
	world_run(w, 5 * SEC);
	assert_int_equal(rekeys(w, SIM_CLIENT), rekeys(w, SIM_SERVER));
	world_free(w);
}

/* The longest wait for a byte in a download of some seconds. */
static ns_t
longest_gap(ns_t after, uint64_t *ret_rekeys)
{
	struct world_options opt = every(after);
	struct world *w = two_links(&opt, true);
	struct transfer *t = world_transfer(w, 100, 500 * MB);
	ns_t gap;

	world_finish(w, t, 3 * SEC);
	t->gap = 0;
	world_finish(w, t, 8 * SEC);
	*ret_rekeys = rekeys(w, SIM_CLIENT);
	gap = t->gap;
	world_free(w);
	return gap;
}

static void
no_stall(void **state)
{
	uint64_t with, without;
	ns_t usual = longest_gap(0, &without), gap = longest_gap(2 * SEC, &with);

	(void)state;
	print_message("longest gap %.1f ms with %u new keys, %.1f ms without\n",
		      (double)gap / 1e6, (unsigned)with, (double)usual / 1e6);
	assert_int_equal(without, 0);
	assert_in_range(with, 4, 5);
	assert_true(gap <= 30 * MS);
}

static void
lossy_links(void **state)
{
	struct sim_lane l[] = {world_lane(50, 15), world_lane(40, 30)};
	struct world_options opt = every(SEC);
	struct world *w = world_new(&opt);
	struct transfer *t;

	(void)state;
	for (int i = 0; i < 2; i++) {
		l[i].loss_ppm = 200000;
		l[i].reorder_ppm = 50000;
		l[i].reorder_delay = 200 * MS;
		l[i].dup_ppm = 500000;
		world_add_link(w, &l[i], &l[i]);
	}
	t = world_transfer(w, 10 * MB, 10 * MB);
	assert_true(world_finish(w, t, 60 * SEC));
	print_message("%u new keys\n", (unsigned)rekeys(w, SIM_CLIENT));
	assert_true(rekeys(w, SIM_CLIENT) >= 3);
	finishes(w, t, SEC);
}

/* Whichever message it hits: as soon as there is an answer again, it goes on. */
static void
one_direction_is_silent(void **state)
{
	(void)state;
	for (int from = 0; from < 2; from++) {
		for (ns_t at = 0; at < 60 * MS; at += 10 * MS) {
			struct world_options opt = every(2 * SEC);
			struct world *w = two_links(&opt, false);
			struct transfer *t = world_transfer(w, 100, 10 * MB);
			uint64_t before;

			world_finish(w, t, 2 * SEC + at);
			set_silent(w, (enum sim_side)from, true);
			before = t->read[SIM_CLIENT];
			world_finish(w, t, 5 * SEC);
			assert_true(t->read[SIM_CLIENT] - before < 1 * MB);
			set_silent(w, (enum sim_side)from, false);
			before = rekeys(w, SIM_SERVER);
			world_finish(w, t, 5 * SEC);
			assert_true(rekeys(w, SIM_SERVER) > before);
			finishes(w, t, 30 * SEC);
		}
	}
}

static void
everything_is_silent(void **state)
{
	(void)state;
	for (ns_t at = 0; at < 60 * MS; at += 10 * MS) {
		struct world_options opt = every(2 * SEC);
		struct world *w = two_links(&opt, false);
		struct transfer *t = world_transfer(w, 100, 10 * MB);

		world_finish(w, t, 2 * SEC + at);
		set_silent(w, SIM_CLIENT, true);
		set_silent(w, SIM_SERVER, true);
		world_finish(w, t, 300 * SEC);
		set_silent(w, SIM_CLIENT, false);
		set_silent(w, SIM_SERVER, false);
		finishes(w, t, 20 * SEC);
	}
}

static void
clock_jumps_a_day(void **state)
{
	struct world_options opt = every(0);
	struct world *w = two_links(&opt, false);
	struct transfer *t = world_transfer(w, 100, 10 * MB);
	uint64_t before;

	(void)state;
	world_finish(w, t, 2 * SEC);
	before = t->read[SIM_CLIENT];
	world_jump(w, DAY);
	world_finish(w, t, SEC);
	assert_int_equal(rekeys(w, SIM_CLIENT), 1);
	assert_int_equal(rekeys(w, SIM_SERVER), 1);
	assert_true(t->read[SIM_CLIENT] > before + 1 * MB);
	finishes(w, t, 20 * SEC);
}

/* The clock of the client stands nowhere near, and it has sent next to nothing. */
static void
server_asks(void **state)
{
	struct world_options opt = every(0);
	struct transfer *t;
	struct world *w;

	(void)state;
	opt.rekey[SIM_SERVER].packets = PACKETS;
	w = two_links(&opt, false);
	t = world_transfer(w, 100, 10 * MB);
	world_finish(w, t, 20 * SEC);
	print_message("%u new keys\n", (unsigned)rekeys(w, SIM_CLIENT));
	assert_true(rekeys(w, SIM_CLIENT) >= 2);
	finishes(w, t, 20 * SEC);
}

static void
counts_both_directions(void **state)
{
	(void)state;
	for (int up = 0; up < 2; up++) {
		struct world_options opt = every(0);
		struct transfer *t;
		struct world *w;

		opt.rekey[SIM_CLIENT].packets = PACKETS;
		w = two_links(&opt, false);
		t = world_transfer(w, up ? 10 * MB : 100, up ? 100 : 10 * MB);
		world_finish(w, t, 3 * SEC);
		assert_true(rekeys(w, SIM_CLIENT) >= 2);
		finishes(w, t, 20 * SEC);
	}
}

/* A limit for each key: a session of many keys goes beyond it. */
static void
keys_wear_out(void **state)
{
	struct world_options opt = every(0);
	struct session_stats st;
	struct world *w;

	(void)state;
	opt.may_end = true;
	for (int side = 0; side < 2; side++)
		opt.rekey[side].packets_max = 5 * PACKETS;
	w = two_links(&opt, false);
	assert_false(world_finish(w, world_transfer(w, 100, 10 * MB), 20 * SEC));
	assert_true(session_is_over(world_session(w, SIM_SERVER)));
	session_stats_get(world_session(w, SIM_SERVER), &st);
	assert_int_equal(st.packets_out, 5 * PACKETS);
	world_free(w);

	opt.rekey[SIM_CLIENT].packets = PACKETS;
	w = two_links(&opt, false);
	finishes(w, world_transfer(w, 100, 10 * MB), 20 * SEC);
}

/* Without traffic, too: the server's pings are enough to settle it. */
static void
idle_session(void **state)
{
	struct world_options opt = every(0);
	struct world *w = two_links(&opt, false);

	(void)state;
	world_run(w, 119 * SEC);
	assert_int_equal(rekeys(w, SIM_SERVER), 0);
	world_run(w, 482 * SEC);
	assert_int_equal(rekeys(w, SIM_CLIENT), 5);
	assert_int_equal(rekeys(w, SIM_SERVER), 5);
	assert_int_equal(world_session(w, SIM_CLIENT)->rekey.generation, 5 % 4);
	world_free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_stall),
		cmocka_unit_test(lossy_links),
		cmocka_unit_test(one_direction_is_silent),
		cmocka_unit_test(everything_is_silent),
		cmocka_unit_test(clock_jumps_a_day),
		cmocka_unit_test(server_asks),
		cmocka_unit_test(counts_both_directions),
		cmocka_unit_test(keys_wear_out),
		cmocka_unit_test(idle_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
