#include "tests/unit/unit.h"

#include "daemon/hearing.h"

#include <string.h>

#define UDP   TRANSPORT_UDP
#define MPTCP TRANSPORT_MPTCP

static bool
answered(struct hearing *h, enum config_transport by, ns_t at)
{
	return hearing_answered(h, by, &(struct hearing_answer){.at = at});
}

static void
expect_text(const struct hearing *h, ns_t now, const char *want)
{
	assert_string_equal(hearing_format(h, now).s, want);
}

/* With only one of the two, as where the kernel has no MPTCP. */
static void
test_one_transport(void **state)
{
	const enum config_transport each[] = {UDP, MPTCP};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(each); i++) {
		enum config_transport by = each[i], other = each[1 - i];
		struct hearing h = {0};

		assert_int_equal(hearing_verdict(&h), HEARING_NOTHING);
		/* Whoever was never heard cannot fall silent. */
		assert_false(hearing_silent(&h, other, 5, "no session"));
		assert_false(hearing_doubted(&h, by, 5));
		assert_int_equal(hearing_verdict(&h), HEARING_NOTHING);
		assert_true(answered(&h, by, 10));
		assert_false(answered(&h, by, 20));
		assert_int_equal(hearing_verdict(&h), HEARING_ANSWERS);
		assert_true(hearing_doubted(&h, by, 30));
		assert_false(hearing_doubted(&h, by, 31));
		assert_int_equal(hearing_verdict(&h), HEARING_DOUBT);
		assert_true(answered(&h, by, 32));
		assert_int_equal(hearing_verdict(&h), HEARING_ANSWERS);
		assert_true(hearing_silent(&h, by, 40, NULL));
		assert_false(hearing_silent(&h, by, 50, NULL));
		assert_int_equal(hearing_verdict(&h), HEARING_SILENCE);
		assert_false(hearing_doubted(&h, by, 60));
		assert_true(answered(&h, by, 70));
		assert_int_equal(hearing_verdict(&h), HEARING_ANSWERS);
	}
}

/* Any that answers is enough, silent only if all are. */
static void
test_two_transports(void **state)
{
	struct hearing h = {0};

	(void)state;
	answered(&h, UDP, 100);
	answered(&h, MPTCP, 110);
	hearing_silent(&h, UDP, 105, NULL);
	assert_int_equal(hearing_verdict(&h), HEARING_ANSWERS);
	hearing_silent(&h, MPTCP, 120, NULL);
	assert_int_equal(hearing_verdict(&h), HEARING_SILENCE);
	answered(&h, UDP, 130);
	assert_int_equal(hearing_verdict(&h), HEARING_ANSWERS);
	/* A silence that lasts is no new question. */
	hearing_silent(&h, MPTCP, 1000, NULL);
	assert_int_equal(hearing_verdict(&h), HEARING_ANSWERS);
}

/* What was heard before another one's question proves nothing after it. */
static void
test_old_answers(void **state)
{
	struct hearing h = {0};

	(void)state;
	answered(&h, UDP, 100);
	answered(&h, MPTCP, 150);
	hearing_doubted(&h, UDP, 160);
	assert_int_equal(hearing_verdict(&h), HEARING_DOUBT);
	assert_false(answered(&h, MPTCP, 170)); /* it was asked again */
	assert_int_equal(hearing_verdict(&h), HEARING_ANSWERS);
	hearing_silent(&h, UDP, 500, NULL); /* the question is that of the doubt */
	assert_int_equal(hearing_verdict(&h), HEARING_ANSWERS);
	answered(&h, UDP, 600);
	hearing_doubted(&h, UDP, 700);
	hearing_silent(&h, UDP, 700, NULL);
	assert_int_equal(hearing_verdict(&h), HEARING_DOUBT);
	hearing_silent(&h, MPTCP, 700, NULL);
	assert_int_equal(hearing_verdict(&h), HEARING_SILENCE);
}

static void
test_srtt(void **state)
{
	struct hearing h = {0};

	(void)state;
	assert_true(hearing_srtt(&h) == 0);
	hearing_answered(&h, MPTCP, &(struct hearing_answer){.at = 1, .srtt = 40});
	assert_true(hearing_srtt(&h) == 40);
	hearing_answered(&h, UDP, &(struct hearing_answer){.at = 1, .srtt = 30});
	assert_true(hearing_srtt(&h) == 30);
	hearing_silent(&h, UDP, 2, NULL);
	assert_true(hearing_srtt(&h) == 40);
}

static void
test_words(void **state)
{
	struct hearing h = {0};
	char long_why[200];

	(void)state;
	expect_text(&h, 0, "udp: no answer yet; mptcp: no answer yet");
	hearing_silent(&h, MPTCP, 0, "not reached: Connection refused");
	expect_text(&h, 0,
		    "udp: no answer yet; mptcp: not reached: Connection refused");
	hearing_answered(
		&h, UDP,
		&(struct hearing_answer){.at = NS_PER_SEC, .srtt = 31 * NS_PER_MS});
	answered(&h, MPTCP, NS_PER_SEC);
	expect_text(&h, NS_PER_SEC, "udp: answers, 31 ms; mptcp: answers");
	hearing_silent(&h, MPTCP, 0, NULL);
	hearing_answered(&h, UDP,
			 &(struct hearing_answer){.at = NS_PER_SEC,
						  .srtt = 31 * NS_PER_MS,
						  .over_tcp = true});
	expect_text(&h, 4 * NS_PER_SEC,
		    "udp: answers over TCP, 31 ms; mptcp: no answer for 3.00 s");
	hearing_doubted(&h, UDP, 0);
	expect_text(&h, NS_PER_SEC + 300 * NS_PER_MS,
		    "udp: no answer for 300 ms; mptcp: no answer for 300 ms");
	/* The longest there are fit. */
	memset(long_why, 'x', sizeof(long_why));
	long_why[sizeof(long_why) - 1] = '\0';
	hearing_silent(&h, UDP, 0, long_why);
	hearing_silent(&h, MPTCP, 0, long_why);
	assert_in_range(strlen(hearing_format(&h, 0).s), 150, 255);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_transport),
		cmocka_unit_test(test_two_transports),
		cmocka_unit_test(test_old_answers),
		cmocka_unit_test(test_srtt),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
