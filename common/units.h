/*
 * units - quantities as people type them and as we print them.
 *
 * Model:   a number, which may have a fraction, and a unit: "10mbit" "2.5gbit"
 *          (bits per second), "100ms" "2s" "5m" "24h" "30d", "5GB" "64KiB",
 *          "20%". No sign, no space, unit without regard to case; "0" alone
 *          needs no unit.
 * Units:   rates in bit/s, durations in ns, sizes in bytes, parts in 1/10,000.
 * Errors:  -EINVAL not such a quantity, -ERANGE it does not fit. Nothing is
 *          stored on error.
 */
#ifndef COMMON_UNITS_H
#define COMMON_UNITS_H

#include "common/base.h"

/* "18446.7 GB" and the NUL, with room. */
#define UNITS_TEXT_MAX 24

struct units_text {
	char s[UNITS_TEXT_MAX];
};

int units_parse_rate(const char *text, uint64_t *ret_bits_per_s) MUST_CHECK;
int units_parse_duration(const char *text, ns_t *ret_ns) MUST_CHECK;
int units_parse_size(const char *text, uint64_t *ret_bytes) MUST_CHECK;
int units_parse_part(const char *text, uint32_t *ret_per_10000) MUST_CHECK;
/* A whole number without unit from `min` to `max`. */
int units_parse_number(const char *text, uint64_t min, uint64_t max,
		       uint64_t *ret_number) MUST_CHECK;

/* Three significant digits: "48.3 Mbit/s", "43 ms", "1.20 GB", "2 h 5 min". */
struct units_text units_format_rate(uint64_t bits_per_s);
struct units_text units_format_duration(ns_t ns);
struct units_text units_format_size(uint64_t bytes);

#endif
