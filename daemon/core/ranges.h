/*
 * ranges - a sorted set of numbers, as ranges that neither touch nor overlap.
 *
 *	[start, end)      [start, end)         [start, end)
 *	  at[0]             at[1]                at[n - 1]
 *
 * Bounds:  at most `max` ranges, at most RANGES_MAX; memory grows and shrinks
 *          with n, and an empty set has none.
 * Owner:   the caller owns the struct, which owns its array from the first
 *          add until ranges_done(); all zero but `max` is an empty set.
 * Errors:  negative errno; after an error the set is as it was before.
 */
#ifndef DAEMON_CORE_RANGES_H
#define DAEMON_CORE_RANGES_H

#include "common/base.h"

enum { RANGES_MAX = 4096 };

struct range {
	uint64_t start, end; /* start < end */
};

struct ranges {
	struct range *at;
	uint32_t n, cap, max;
	uint32_t skip; /* places before at[0] that are free again */
};

void ranges_init(struct ranges *r, uint32_t max);
void ranges_done(struct ranges *r);

/*
 * Adds, or takes out, every number of [start, end). Empty ranges change nothing.
 *
 * -ENOBUFS  one more range than `max` would be needed
 * -ENOMEM
 */
int ranges_add(struct ranges *r, uint64_t start, uint64_t end) MUST_CHECK;
int ranges_remove(struct ranges *r, uint64_t start, uint64_t end) MUST_CHECK;

/* The errors of ranges_add(), but nothing is added: the same add cannot fail then. */
int ranges_prepare(struct ranges *r, uint64_t start, uint64_t end) MUST_CHECK;

/* Takes out whatever is below `edge`; cannot fail. */
void ranges_remove_below(struct ranges *r, uint64_t edge);

/* The place of the first range that ends at or above `number`; n: there is none. */
uint32_t ranges_find(const struct ranges *r, uint64_t number);

/* Whether every number of [start, end) is there; of an empty range they all are. */
bool ranges_contains(const struct ranges *r, uint64_t start, uint64_t end);

/* The first numbers at or above `from` that are not in the set, up to `limit`;
 * { limit, limit } where there are none. */
struct range ranges_gap(const struct ranges *r, uint64_t from, uint64_t limit);

#endif
