#include "tests/unit/unit.h"

#include "common/units.h"

#include <stdio.h>
#include <string.h>

enum kind { RATE, DURATION, SIZE, PART };

static int
parse(enum kind kind, const char *text, uint64_t *ret_value)
{
	uint32_t part = 77;
	ns_t ns = 77;
	int err;

	*ret_value = 77;
	switch (kind) {
	case RATE: return units_parse_rate(text, ret_value);
	case SIZE: return units_parse_size(text, ret_value);
	case DURATION:
		err = units_parse_duration(text, &ns);
		*ret_value = (uint64_t)ns;
		return err;
	case PART:
		err = units_parse_part(text, &part);
		*ret_value = part;
		return err;
	}
	return -ENOSYS;
}

static void
test_parses_what_the_header_promises(void **state)
{
	static const struct {
		enum kind kind;
		const char *text;
		uint64_t value;
	} good[] = {
		{RATE, "10mbit", 10000000},
		{RATE, "2.5gbit", 2500000000},
		{RATE, "2.5GBit", 2500000000},
		{RATE, "9600bit", 9600},
		{RATE, "0", 0},
		{RATE, "0.000000001gbit", 1},
		{RATE, "18446744073709551615bit", UINT64_MAX},
		{DURATION, "100ms", 100 * NS_PER_MS},
		{DURATION, "2s", 2 * NS_PER_SEC},
		{DURATION, "1.5s", 1500 * NS_PER_MS},
		{DURATION, "5m", 300 * NS_PER_SEC},
		{DURATION, "24h", 86400 * NS_PER_SEC},
		{DURATION, "30d", 30 * 86400 * NS_PER_SEC},
		{DURATION, "007us", 7000},
		{DURATION, "9223372036854775806ns", INT64_MAX - 1},
		{SIZE, "5GB", 5000000000},
		{SIZE, "64KiB", 65536},
		{SIZE, "64kib", 65536},
		{SIZE, "0.5KiB", 512},
		{SIZE, "1B", 1},
		{SIZE, "16777215TiB", UINT64_C(16777215) << 40},
		{PART, "20%", 2000},
		{PART, "0.01%", 1},
		{PART, "99.99%", 9999},
		{PART, "100%", 10000},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		uint64_t value;

		assert_int_equal(parse(good[i].kind, good[i].text, &value), 0);
		assert_int_equal(value, good[i].value);
	}
}

static void
test_refuses_the_rest_and_stores_nothing(void **state)
{
	static const struct {
		enum kind kind;
		const char *text;
		int err;
	} bad[] = {
		{RATE, "", -EINVAL},
		{RATE, "10", -EINVAL},
		{RATE, "00", -EINVAL},
		{RATE, "mbit", -EINVAL},
		{RATE, "fast", -EINVAL},
		{RATE, "-1mbit", -EINVAL},
		{RATE, "+1mbit", -EINVAL},
		{RATE, " 1mbit", -EINVAL},
		{RATE, "1 mbit", -EINVAL},
		{RATE, "1mbit ", -EINVAL},
		{RATE, ".5mbit", -EINVAL},
		{RATE, "1.mbit", -EINVAL},
		{RATE, "1.2.3mbit", -EINVAL},
		{RATE, "1.0000000000mbit", -EINVAL},
		{RATE, "1,5mbit", -EINVAL},
		{RATE, "1e3mbit", -EINVAL},
		{RATE, "0x10mbit", -EINVAL},
		{RATE, "1s", -EINVAL},
		{RATE, "18446744073709551616bit", -ERANGE},
		{RATE, "18446744073709551615kbit", -ERANGE},
		{RATE, "99999999999999999999999999gbit", -ERANGE},
		{DURATION, "1", -EINVAL},
		{DURATION, "1min", -EINVAL},
		{DURATION, "9223372036854775807ns", -ERANGE},
		{DURATION, "200000d", -ERANGE},
		{SIZE, "16777216TiB", -ERANGE},
		{SIZE, "1mbit", -EINVAL},
		{PART, "100.01%", -ERANGE},
		{PART, "20", -EINVAL},
		{PART, "%", -EINVAL},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		uint64_t value;

		assert_int_equal(parse(bad[i].kind, bad[i].text, &value), bad[i].err);
		assert_int_equal(value, 77);
	}
}

static void
test_numbers_keep_their_bounds(void **state)
{
	uint64_t n = 77;

	(void)state;
	assert_int_equal(units_parse_number("5", 5, 9, &n), 0);
	assert_int_equal(n, 5);
	assert_int_equal(units_parse_number("9", 5, 9, &n), 0);
	assert_int_equal(n, 9);
	assert_int_equal(units_parse_number("4", 5, 9, &n), -ERANGE);
	assert_int_equal(units_parse_number("10", 5, 9, &n), -ERANGE);
	assert_int_equal(units_parse_number("18446744073709551616", 0, 9, &n), -ERANGE);
	assert_int_equal(units_parse_number("", 0, 9, &n), -EINVAL);
	assert_int_equal(units_parse_number("-1", 0, 9, &n), -EINVAL);
	assert_int_equal(units_parse_number("1 ", 0, 9, &n), -EINVAL);
	assert_int_equal(units_parse_number("0x1", 0, 9, &n), -EINVAL);
	assert_int_equal(units_parse_number("1.0", 0, 9, &n), -EINVAL);
	assert_int_equal(n, 9);
	assert_int_equal(units_parse_number("18446744073709551615", 0, UINT64_MAX, &n),
			 0);
	assert_true(n == UINT64_MAX);
}

static void
test_formats_three_digits(void **state)
{
	static const struct {
		enum kind kind;
		uint64_t value;
		const char *text;
	} cases[] = {
		{RATE, 0, "0 bit/s"},
		{RATE, 999, "999 bit/s"},
		{RATE, 1000, "1.00 kbit/s"},
		{RATE, 48312345, "48.3 Mbit/s"},
		{RATE, 9994999, "9.99 Mbit/s"},
		{RATE, 9995000, "10.0 Mbit/s"},
		{RATE, 99950000, "100 Mbit/s"},
		{RATE, 999499999, "999 Mbit/s"},
		{RATE, 999500000, "1.00 Gbit/s"},
		{RATE, UINT64_MAX, "18446744 Tbit/s"},
		{SIZE, 1204000000, "1.20 GB"},
		{SIZE, 120000000, "120 MB"},
		{SIZE, UINT64_MAX, "18.4 EB"},
		{DURATION, 0, "0 ms"},
		{DURATION, 1, "1 ns"},
		{DURATION, 43 * NS_PER_MS, "43 ms"},
		{DURATION, 43600 * NS_PER_US, "44 ms"},
		{DURATION, 4320 * NS_PER_US, "4.32 ms"},
		{DURATION, 999499999, "999 ms"},
		{DURATION, 999500000, "1.00 s"},
		{DURATION, 1250 * NS_PER_MS, "1.25 s"},
		{DURATION, 60 * NS_PER_SEC, "1 min"},
		{DURATION, 65 * NS_PER_SEC, "1 min 5 s"},
		{DURATION, 7500 * NS_PER_SEC, "2 h 5 min"},
		{DURATION, 7259 * NS_PER_SEC, "2 h"},
		{DURATION, 100000 * NS_PER_SEC, "1 d 3 h"},
		{DURATION, INT64_MAX, "106751 d 23 h"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct units_text t =
			cases[i].kind == RATE ? units_format_rate(cases[i].value)
			: cases[i].kind == SIZE
				? units_format_size(cases[i].value)
				: units_format_duration((ns_t)cases[i].value);

		assert_string_equal(t.s, cases[i].text);
	}
	assert_string_equal(units_format_duration(-5).s, "0 ms");
}

/* What is printed is within half a unit of its third digit. */
static void
test_formatted_sizes_are_near(void **state)
{
	static const char *const names[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};

	(void)state;
	for (uint64_t v = 1000; v < UINT64_MAX / 3; v += v / 7 + 1) {
		struct units_text t = units_format_size(v);
		double shown, scale = 1;
		char name[8];

		assert_int_equal(sscanf(t.s, "%lf %7s", &shown, name), 2);
		for (size_t i = 0; strcmp(names[i], name) != 0; i++) {
			assert_true(i + 1 < ARRAY_LEN(names));
			scale *= 1000;
		}
		assert_true(shown >= 1 && shown < 1000);
		assert_true(shown * scale / (double)v < 1.0051);
		assert_true(shown * scale / (double)v > 0.9949);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parses_what_the_header_promises),
		cmocka_unit_test(test_refuses_the_rest_and_stores_nothing),
		cmocka_unit_test(test_numbers_keep_their_bounds),
		cmocka_unit_test(test_formats_three_digits),
		cmocka_unit_test(test_formatted_sizes_are_near),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
