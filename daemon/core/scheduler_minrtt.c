#include "daemon/core/scheduler_kinds.h"

int
scheduler_minrtt(const struct question *q, uint8_t tier)
{
	int best = SCHEDULER_WAIT;

	for (size_t i = 0; i < q->n; i++) {
		const struct candidate *c = &q->at[i];

		if (c->tier == tier && c->ready &&
		    (best < 0 || c->delay < q->at[best].delay))
			best = (int)i;
	}
	return best;
}
