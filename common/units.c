#include "common/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

typedef unsigned __int128 u128; /* products of two 64-bit numbers */

/* More would be lost in the smallest unit of any quantity here. */
enum { FRACTION_DIGITS_MAX = 9 };

struct unit {
	const char *name;
	uint64_t size;
};

static const struct unit rate_units[] = {
	{"bit", 1},
	{"kbit", 1000},
	{"mbit", 1000000},
	{"gbit", 1000000000},
};

static const struct unit duration_units[] = {
	{"ns", 1},
	{"us", NS_PER_US},
	{"ms", NS_PER_MS},
	{"s", NS_PER_SEC},
	{"m", 60 * NS_PER_SEC},
	{"h", 3600 * NS_PER_SEC},
	{"d", 86400 * NS_PER_SEC},
};

static const struct unit size_units[] = {
	{"b", 1},
	{"kb", 1000},
	{"mb", 1000000},
	{"gb", 1000000000},
	{"tb", 1000000000000},
	{"kib", UINT64_C(1) << 10},
	{"mib", UINT64_C(1) << 20},
	{"gib", UINT64_C(1) << 30},
	{"tib", UINT64_C(1) << 40},
};

static const struct unit part_units[] = {{"%", 100}};

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Reads digits. -EINVAL: there are none, -ERANGE: over 64 bits. */
static int
take_digits(const char **text, uint64_t *ret_value)
{
	const char *p = *text;
	uint64_t v = 0;

	if (!is_digit(*p))
		return -EINVAL;
	for (; is_digit(*p); p++) {
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
			return -ERANGE;
	}
	*text = p;
	*ret_value = v;
	return 0;
}

/* Reads ".5" as 5 of 10; nothing there is 0 of 1. */
static int
take_fraction(const char **text, uint64_t *ret_value, uint64_t *ret_of)
{
	const char *p = *text;
	uint64_t value = 0;
	uint64_t of = 1;

	if (*p == '.') {
		const char *digits = ++p;

		if (take_digits(&p, &value) < 0 || p - digits > FRACTION_DIGITS_MAX)
			return -EINVAL;
		for (; digits < p; digits++)
			of *= 10;
	}
	*text = p;
	*ret_value = value;
	*ret_of = of;
	return 0;
}

static int
parse(const char *text, const struct unit *units, size_t n_units, uint64_t max,
      uint64_t *ret_value)
{
	uint64_t whole, part, of;
	u128 value;
	int err;

	if (strcmp(text, "0") == 0) {
		*ret_value = 0;
		return 0;
	}
	err = take_digits(&text, &whole);
	if (err == 0)
		err = take_fraction(&text, &part, &of);
	if (err != 0)
		return err;
	for (size_t i = 0; i < n_units; i++) {
		if (strcasecmp(text, units[i].name) != 0)
			continue;
		value = (u128)whole * units[i].size + (u128)part * units[i].size / of;
		if (value > max)
			return -ERANGE;
		*ret_value = (uint64_t)value;
		return 0;
	}
	return -EINVAL;
}

int
units_parse_rate(const char *text, uint64_t *ret_bits_per_s)
{
	return parse(text, rate_units, ARRAY_LEN(rate_units), UINT64_MAX,
		     ret_bits_per_s);
}

int
units_parse_duration(const char *text, ns_t *ret_ns)
{
	uint64_t v;
	int err;

	/* NS_NEVER is not a duration that can be waited for. */
	err = parse(text, duration_units, ARRAY_LEN(duration_units), NS_NEVER - 1, &v);
	if (err == 0)
		*ret_ns = (ns_t)v;
	return err;
}

int
units_parse_size(const char *text, uint64_t *ret_bytes)
{
	return parse(text, size_units, ARRAY_LEN(size_units), UINT64_MAX, ret_bytes);
}

int
units_parse_part(const char *text, uint32_t *ret_per_10000)
{
	uint64_t v;
	int err;

	err = parse(text, part_units, ARRAY_LEN(part_units), 10000, &v);
	if (err == 0)
		*ret_per_10000 = (uint32_t)v;
	return err;
}

int
units_parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret_number)
{
	uint64_t v;
	int err;

	err = take_digits(&text, &v);
	if (err < 0)
		return err;
	if (*text != '\0')
		return -EINVAL;
	if (v < min || v > max)
		return -ERANGE;
	*ret_number = v;
	return 0;
}

/* Three digits, in the first of `names`, each 1,000 of the last, that holds them. */
static struct units_text
format_three(uint64_t value, const char *const names[], size_t n_names)
{
	static const uint64_t tens[] = {1, 10, 100};
	struct units_text t;
	u128 scale = 1;

	if (value < 1000) {
		snprintf(t.s, sizeof(t.s), "%" PRIu64 " %s", value, names[0]);
		return t;
	}
	for (size_t i = 1; i < n_names; i++) {
		scale *= 1000;
		for (unsigned digits = 3; digits-- > 0;) {
			u128 v = ((u128)value * tens[digits] + scale / 2) / scale;

			/* Rounding may have made a fourth digit: one place less. */
			if (v >= 1000)
				continue;
			snprintf(t.s, sizeof(t.s), "%.*f %s", (int)digits,
				 (double)v / (double)tens[digits], names[i]);
			return t;
		}
	}
	snprintf(t.s, sizeof(t.s), "%" PRIu64 " %s", (uint64_t)(value / scale),
		 names[n_names - 1]);
	return t;
}

struct units_text
units_format_rate(uint64_t bits_per_s)
{
	static const char *const names[] = {"bit/s", "kbit/s", "Mbit/s", "Gbit/s",
					    "Tbit/s"};

	return format_three(bits_per_s, names, ARRAY_LEN(names));
}

struct units_text
units_format_size(uint64_t bytes)
{
	static const char *const names[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};

	return format_three(bytes, names, ARRAY_LEN(names));
}

/* From a minute on: two units, the smaller one left out where it is 0. */
static struct units_text
format_long(uint64_t seconds)
{
	static const struct {
		const char *name;
		uint64_t seconds;
	} units[] = {{"d", 86400}, {"h", 3600}, {"min", 60}, {"s", 1}};
	struct units_text t;
	size_t i = 0;
	int n;

	while (seconds < units[i].seconds)
		i++;
	n = snprintf(t.s, sizeof(t.s), "%" PRIu64 " %s", seconds / units[i].seconds,
		     units[i].name);
	seconds = seconds % units[i].seconds / units[i + 1].seconds;
	if (seconds > 0)
		snprintf(t.s + n, sizeof(t.s) - (size_t)n, " %" PRIu64 " %s", seconds,
			 units[i + 1].name);
	return t;
}

struct units_text
units_format_duration(ns_t ns)
{
	static const char *const names[] = {"ns", "us", "ms", "s"};
	struct units_text t;

	if (ns >= 60 * NS_PER_SEC)
		return format_long((uint64_t)(ns / NS_PER_SEC));
	if (ns <= 0) {
		snprintf(t.s, sizeof(t.s), "0 ms");
		return t;
	}
	/* Tenths of a millisecond say nothing about a round trip of 43 ms. */
	if (ns >= 10 * NS_PER_MS && ns < NS_PER_SEC - NS_PER_MS / 2) {
		snprintf(t.s, sizeof(t.s), "%" PRId64 " ms",
			 (ns + NS_PER_MS / 2) / NS_PER_MS);
		return t;
	}
	return format_three((uint64_t)ns, names, ARRAY_LEN(names));
}
