#include "daemon/core/scheduler_kinds.h"

/* The subflow that delivers first, were all of them idle; the packet waits for it. */
int
scheduler_lowest_latency(const struct question *q, uint8_t tier)
{
	const struct candidate *best = NULL;

	for (size_t i = 0; i < q->n; i++) {
		const struct candidate *c = &q->at[i];

		if (c->tier == tier &&
		    (best == NULL ||
		     scheduler_eta(c, q->bytes) < scheduler_eta(best, q->bytes)))
			best = c;
	}
	if (best == NULL)
		return SCHEDULER_WAIT;
	return best->ready ? (int)(best - q->at) : SCHEDULER_HOLD;
}
