/*
 * reorder - puts the bytes of one direction of a stream back in order.
 *
 * Chunks travel over several subflows and arrive late, twice, or in pieces:
 *
 *	read           edge                              limit
 *	 |## readable ##|  hole  |## island ##|  hole  |##|  free
 *
 * Units:   offsets and lengths are bytes of the stream, counted from 0.
 * Bounds:  nothing at or above `limit`, which the caller raises as it grants
 *          window; REORDER_ISLANDS_MAX islands, each charged to the budget.
 *          Islands leave an eighth of the budget to what comes in order, or
 *          the last hole could never be filled.
 * Owner:   the caller owns the struct, which owns its memory until
 *          reorder_done().
 * Errors:  negative errno; after an error the buffer is as it was before.
 * Source:  docs/protocol.md, "Streams"; the window works as in RFC 9000, 4.1.
 */
#ifndef DAEMON_CORE_REORDER_H
#define DAEMON_CORE_REORDER_H

#include "common/base.h"
#include "daemon/core/ranges.h"
#include "daemon/core/store.h"

enum {
	REORDER_ISLANDS_MAX = 4096,
	REORDER_ISLAND_COST = 64, /* bytes charged: more than `islands` takes for one */
};

struct reorder {
	struct store store;
	struct ranges islands; /* above edge */
	uint64_t read, edge;
	uint64_t limit; /* never moves back */
	uint64_t top;   /* one after the highest byte that was stored */
	uint64_t fin;   /* where the direction ends, UINT64_MAX: not known */
};

void reorder_init(struct reorder *r, struct budget *budget, uint64_t limit);
void reorder_done(struct reorder *r);

/*
 * Stores the bytes of a chunk. Bytes that are here already are skipped.
 *
 * -EPROTO   past the limit, or against a FIN that came before: end the session
 * -ENOBUFS  too many holes, or the budget is used up: do not acknowledge it
 * -ENOMEM   as well
 */
int reorder_insert(struct reorder *r, uint64_t off, const uint8_t *data, size_t len,
		   bool fin) MUST_CHECK;

/* The next bytes in order, in one piece, until they are consumed; NULL and
 * ret_len 0: none yet. */
const uint8_t *reorder_readable(const struct reorder *r, size_t *ret_len);
void reorder_consume(struct reorder *r, size_t len);

/* Whether everything up to the FIN has been consumed. */
bool reorder_is_done(const struct reorder *r);

#endif
