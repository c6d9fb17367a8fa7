/*
 * The sixteen profiles of two links that tunnels of this kind are measured on: what one
 * stream reaches over both, warm, beside each link alone.
 */
#include "tests/unit/unit.h"

#include "tests/sim/world.h"

#include <stdio.h>

#define SEC NS_PER_SEC

struct profile {
	const char *name;
	struct sim_lane lanes[2];
	double gate, goal; /* Mbit/s of stream payload; gate 0: the better link alone */
	int span;          /* seconds that are measured, the first 3 left out */
};

#define LANE(mbit, ms) .rate = (mbit)*1000000ull, .delay = (ms)*NS_PER_MS

static const struct profile profiles[] = {
	{"baseline", {{LANE(50, 20)}, {LANE(50, 20)}}, 90, 94, 9},
	{"rtt_40", {{LANE(50, 20)}, {LANE(50, 40)}}, 88, 93, 9},
	{"rtt_70", {{LANE(50, 20)}, {LANE(50, 70)}}, 84, 90, 9},
	{"rtt_120", {{LANE(50, 20)}, {LANE(50, 120)}}, 80, 86, 9},
	{"rtt_320", {{LANE(50, 20)}, {LANE(50, 320)}}, 0, 60, 17},
	{"jit_5",
	 {{LANE(50, 20), .jitter = 5 * NS_PER_MS},
	  {LANE(50, 20), .jitter = 5 * NS_PER_MS}},
	 86,
	 92,
	 9},
	{"jit_20",
	 {{LANE(50, 20), .jitter = 20 * NS_PER_MS},
	  {LANE(50, 20), .jitter = 20 * NS_PER_MS}},
	 75,
	 88,
	 9},
	{"loss_05",
	 {{LANE(50, 20), .loss_ppm = 5000}, {LANE(50, 20), .loss_ppm = 5000}},
	 88,
	 93,
	 9},
	{"loss_2",
	 {{LANE(50, 20), .loss_ppm = 20000}, {LANE(50, 20), .loss_ppm = 20000}},
	 80,
	 90,
	 9},
	{"bw_4to1", {{LANE(50, 20)}, {LANE(12, 20)}}, 56, 58, 9},
	{"bw_10to1", {{LANE(100, 20)}, {LANE(10, 20)}}, 99, 102, 9},
	{"dual_lte",
	 {{LANE(40, 30), .jitter = 5 * NS_PER_MS, .loss_ppm = 5000},
	  {LANE(25, 45), .jitter = 8 * NS_PER_MS, .loss_ppm = 5000}},
	 54,
	 58,
	 9},
	{"fiber_lte",
	 {{LANE(300, 8)}, {LANE(30, 40), .jitter = 8 * NS_PER_MS, .loss_ppm = 5000}},
	 285,
	 300,
	 9},
	{"lte_starlink",
	 {{LANE(40, 35), .jitter = 8 * NS_PER_MS},
	  {LANE(100, 50), .jitter = 25 * NS_PER_MS, .loss_ppm = 10000}},
	 90,
	 110,
	 9},
	{"lte_geo",
	 {{LANE(40, 35)}, {LANE(20, 320), .jitter = 20 * NS_PER_MS, .loss_ppm = 5000}},
	 0,
	 48,
	 17},
	{"congested",
	 {{LANE(20, 50), .jitter = 20 * NS_PER_MS, .loss_ppm = 20000},
	  {LANE(15, 60), .jitter = 25 * NS_PER_MS, .loss_ppm = 20000}},
	 16.5,
	 24,
	 9},
};

struct result {
	double mbit, worst, resent; /* in any 2 s, by halves of a second; % */
};

enum { HALVES_MAX = 40, WINDOW = 4 /* halves of a second */ };

static void
read_on(struct world *w, const struct transfer *t, int span, struct result *ret)
{
	uint64_t at[HALVES_MAX] = {t->read[SIM_CLIENT]};

	assert_true(2 * span < HALVES_MAX);
	for (int i = 1; i <= 2 * span; i++) {
		double mbit;

		world_run(w, SEC / 2);
		at[i] = t->read[SIM_CLIENT];
		if (i < WINDOW)
			continue;
		mbit = (double)(at[i] - at[i - WINDOW]) * 8e-6 / 2;
		if (i == WINDOW || mbit < ret->worst)
			ret->worst = mbit;
	}
	ret->mbit = (double)(at[2 * span] - at[0]) * 8e-6 / span;
}

/* `which`: bits of the links that are there. */
static struct result
measure(const struct profile *p, unsigned which)
{
	const struct world_options opt = {.seed = 1, .cc = CC_BBR};
	struct world *w = world_new(&opt);
	struct session_stats st;
	struct transfer *t;
	struct result r = {0};

	for (unsigned i = 0; i < 2; i++) {
		struct sim_lane lane = p->lanes[i];

		lane.queue = 100 * NS_PER_MS;
		lane.mtu = 1500;
		if ((which & 1u << i) != 0)
			world_add_link(w, &lane, &lane);
	}
	t = world_transfer(w, 100, 2000000000);
	world_run(w, 3 * SEC);
	read_on(w, t, p->span, &r);
	session_stats_get(world_session(w, SIM_SERVER), &st);
	r.resent = 100 * (double)st.resent / (double)st.stream_bytes_out;
	world_free(w);
	return r;
}

static bool
reaches(const struct profile *p)
{
	struct result both = measure(p, 3);
	double a = measure(p, 1).mbit, b = measure(p, 2).mbit;
	double single = a > b ? a : b;
	bool ok = both.mbit >= p->gate && both.mbit >= 0.97 * single &&
		  both.worst >= 0.95 * single;

	printf("%-13s %6.1f Mbit/s, never less than %5.1f, %5.1f and %5.1f alone, gate "
	       "%5.1f, goal %5.1f, resent %4.1f %%%s\n",
	       p->name, both.mbit, both.worst, a, b, p->gate, p->goal, both.resent,
	       !ok                   ? "  MISSED"
	       : both.mbit < p->goal ? "  below the goal"
				     : "");
	return ok;
}

static void
every_profile_reaches_its_gate(void **state)
{
	size_t n = ARRAY_LEN(profiles);
	unsigned missed = 0;

	(void)state;
#ifdef __SANITIZE_ADDRESS__
	n = 3;
#endif
	for (size_t i = 0; i < n; i++)
		missed += !reaches(&profiles[i]);
	assert_int_equal(missed, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_profile_reaches_its_gate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
