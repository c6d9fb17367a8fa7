/*
 * numbers - which stream numbers of a session have been used.
 *
 * Model:   a ring of one bit a number, for the NUMBER_WINDOW numbers below the
 *          highest one used; whatever is older counts as used.
 *
 *	   used           | some used, some free |        free
 *	------------------+----------------------+----------------------->
 *	            next - NUMBER_WINDOW        next
 *
 * Bounds:  numbers are 0 to 2^64 - 2, so that `next` cannot wrap; 2^64 - 1 is
 *          never free.
 * Owner:   the caller owns the struct; all zero is a session without streams.
 * Source:  docs/protocol.md, "Stream numbers".
 */
#ifndef DAEMON_CORE_NUMBERS_H
#define DAEMON_CORE_NUMBERS_H

#include "common/base.h"
#include "daemon/core/limits.h"

struct numbers {
	uint64_t next; /* one above the highest marked */
	uint64_t used[NUMBER_WINDOW / 64];
};

bool numbers_is_free(const struct numbers *n, uint64_t number);

/* False: it is used already, perhaps since it was asked for; refuse the leg. */
bool numbers_mark(struct numbers *n, uint64_t number) MUST_CHECK;

#endif
