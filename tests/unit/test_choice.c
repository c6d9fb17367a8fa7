#include "tests/unit/unit.h"

#include "daemon/choice.h"

#include <string.h>

#define MB UINT64_C(1000000)

static struct transport_health health[TRANSPORT_COUNT];

static void
both_work(void)
{
	health[TRANSPORT_MPTCP] = (struct transport_health){true, NULL};
	health[TRANSPORT_UDP] = (struct transport_health){true, NULL};
}

/* One second in which each carries this much; `c` counts what it had before. */
static void
second(struct choice *c, uint64_t mptcp, uint64_t udp)
{
	uint64_t totals[TRANSPORT_COUNT] = {0};

	totals[TRANSPORT_MPTCP] = c->of[TRANSPORT_MPTCP].total + mptcp;
	totals[TRANSPORT_UDP] = c->of[TRANSPORT_UDP].total + udp;
	choice_measure(c, totals, c->measured_at + NS_PER_SEC);
}

static void
assert_choice(struct choice *c, enum config_transport t, enum choice_reason r)
{
	enum choice_reason why, why_look;

	assert_int_equal(choice_look(c, health, &why_look), t);
	assert_int_equal(why_look, r);
	assert_int_equal(choice_take(c, health, &why), t);
	assert_int_equal(why, r);
	assert_true(strlen(choice_reason_text(r)) > 0);
}

static void
what_works_is_taken(void **state)
{
	struct choice c = {0};

	(void)state;
	memset(health, 0, sizeof(health));
	assert_choice(&c, TRANSPORT_MPTCP, CHOICE_NEITHER);
	health[TRANSPORT_UDP].works = true;
	assert_choice(&c, TRANSPORT_UDP, CHOICE_ONLY);
	health[TRANSPORT_UDP].handicap = "limps";
	assert_choice(&c, TRANSPORT_UDP, CHOICE_ONLY);
	health[TRANSPORT_UDP] = (struct transport_health){false, NULL};
	health[TRANSPORT_MPTCP].works = true;
	assert_choice(&c, TRANSPORT_MPTCP, CHOICE_ONLY);
	both_work();
	assert_choice(&c, TRANSPORT_UDP, CHOICE_DEFAULT);
}

static void
the_sound_one_is_taken(void **state)
{
	struct choice c = {0};

	(void)state;
	both_work();
	health[TRANSPORT_UDP].handicap = "limps";
	assert_choice(&c, TRANSPORT_MPTCP, CHOICE_SOUND);
	health[TRANSPORT_MPTCP].handicap = "limps";
	assert_choice(&c, TRANSPORT_UDP, CHOICE_DEFAULT);
	health[TRANSPORT_UDP].handicap = NULL;
	assert_choice(&c, TRANSPORT_UDP, CHOICE_SOUND);
}

static void
the_faster_one_is_taken(void **state)
{
	struct choice c = {0};

	(void)state;
	both_work();
	second(&c, 0, 0);
	second(&c, 50 * MB, 0);
	assert_choice(&c, TRANSPORT_UDP, CHOICE_DEFAULT); /* nobody has measured udp */
	second(&c, 0, 39 * MB);
	assert_choice(&c, TRANSPORT_MPTCP, CHOICE_FASTER);
	second(&c, 0, 41 * MB);
	assert_choice(&c, TRANSPORT_UDP, CHOICE_DEFAULT);
}

static void
a_best_second_fades(void **state)
{
	struct choice c = {0};
	unsigned seconds = 0;

	(void)state;
	both_work();
	second(&c, 0, 0);
	second(&c, 100 * MB, 10 * MB);
	for (; c.of[TRANSPORT_MPTCP].best > 12 * MB && seconds < 10000; seconds++)
		second(&c, 0, 10 * MB);
	assert_in_range(seconds, 1200, 1350);
	c.tried_at = c.measured_at;
	assert_choice(&c, TRANSPORT_UDP, CHOICE_DEFAULT);
}

static void
a_late_look_is_no_measure(void **state)
{
	struct choice c = {0};
	uint64_t totals[TRANSPORT_COUNT] = {0};

	(void)state;
	second(&c, 0, 0);
	totals[TRANSPORT_UDP] = 100 * MB;
	choice_measure(&c, totals, c.measured_at + 5 * NS_PER_SEC);
	assert_int_equal(c.of[TRANSPORT_UDP].best, 0);
	totals[TRANSPORT_UDP] = 103 * MB;
	choice_measure(&c, totals, c.measured_at + 3 * NS_PER_SEC / 2);
	assert_int_equal(c.of[TRANSPORT_UDP].best, 2 * MB);
	/* A counter that goes back is a transport that began anew. */
	totals[TRANSPORT_UDP] = 0;
	choice_measure(&c, totals, c.measured_at + NS_PER_SEC);
	assert_in_range(c.of[TRANSPORT_UDP].best, 2 * MB - MB / 100, 2 * MB);
}

static void
the_other_one_is_tried_at_times(void **state)
{
	struct choice c = {0};
	enum choice_reason why;
	unsigned tried = 0;

	(void)state;
	both_work();
	for (int i = 0; i < 600; i++) {
		second(&c, 0, MB);
		for (int n = 0; n < 5; n++) {
			enum config_transport t = choice_take(&c, health, &why);

			tried += t == TRANSPORT_MPTCP;
			assert_int_equal(why, t == TRANSPORT_MPTCP ? CHOICE_TRIED
								   : CHOICE_DEFAULT);
		}
	}
	assert_int_equal(tried, 9);
	health[TRANSPORT_MPTCP].handicap = "limps";
	for (int i = 0; i < 100; i++) {
		second(&c, 0, MB);
		assert_choice(&c, TRANSPORT_UDP, CHOICE_SOUND);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_works_is_taken),
		cmocka_unit_test(the_sound_one_is_taken),
		cmocka_unit_test(the_faster_one_is_taken),
		cmocka_unit_test(a_best_second_fades),
		cmocka_unit_test(a_late_look_is_no_measure),
		cmocka_unit_test(the_other_one_is_tried_at_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
