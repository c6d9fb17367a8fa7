#include "daemon/core/scheduler_kinds.h"

/* BLEST's lambda: how much of a slow one's time must fit into the window. */
enum { LAMBDA_PERCENT = 115 };

static const struct candidate *
soonest(const struct question *q, uint8_t tier, bool ready)
{
	const struct candidate *best = NULL;

	for (size_t i = 0; i < q->n; i++) {
		const struct candidate *c = &q->at[i];

		if (c->tier != tier || (ready && !c->ready))
			continue;
		if (best == NULL ||
		    scheduler_eta(c, q->bytes) < scheduler_eta(best, q->bytes))
			best = c;
	}
	return best;
}

/*
 * Whether `slow` delivers the packet before the faster ones are through with
 * all that waits (ECF), and does not block the window meanwhile (BLEST).
 */
static bool
is_worth(const struct question *q, const struct candidate *slow)
{
	ns_t eta = scheduler_eta(slow, q->bytes);
	ns_t fastest = NS_NEVER, sigma = slow->sigma, fast;
	uint64_t rate = 0;

	for (size_t i = 0; i < q->n; i++) {
		const struct candidate *c = &q->at[i];
		ns_t theirs = scheduler_eta(c, q->bytes);

		if (c->tier != slow->tier || theirs >= eta)
			continue;
		rate += c->bandwidth;
		sigma = max_ns(sigma, c->sigma);
		fastest = min_ns(fastest, theirs);
	}
	if (rate == 0)
		return true;
	fast = fastest + (ns_t)(q->backlog * (uint64_t)NS_PER_MS / rate * 1000);
	if (fast * 4 < (4 + q->waited) * (eta + sigma / 2))
		return false;
	return (eta - fastest) / NS_PER_US * (ns_t)(rate / 1000) / 1000 *
		       LAMBDA_PERCENT / 100 <=
	       (ns_t)q->window_left - (ns_t)q->bytes;
}

int
scheduler_earliest(const struct question *q, uint8_t tier)
{
	const struct candidate *best = soonest(q, tier, false);
	const struct candidate *ready;

	if (best == NULL)
		return SCHEDULER_WAIT;
	if (best->ready)
		return (int)(best - q->at);
	ready = soonest(q, tier, true);
	if (ready == NULL)
		return SCHEDULER_WAIT;
	return is_worth(q, ready) ? (int)(ready - q->at) : SCHEDULER_HOLD;
}
