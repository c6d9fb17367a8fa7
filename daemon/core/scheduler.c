#include "daemon/core/scheduler.h"

#include "daemon/core/scheduler_kinds.h"

static const struct {
	const char *name;
	int (*pick)(const struct question *q, uint8_t tier);
} kinds[] = {
	[SCHEDULER_EARLIEST] = {"earliest", scheduler_earliest},
	[SCHEDULER_MINRTT] = {"minrtt", scheduler_minrtt},
	[SCHEDULER_LOWEST_LATENCY] = {"lowest-latency", scheduler_lowest_latency},
	[SCHEDULER_REDUNDANT] = {"redundant", scheduler_earliest},
};

ns_t
scheduler_eta(const struct candidate *c, uint32_t bytes)
{
	ns_t through = (ns_t)((uint64_t)bytes * NS_PER_SEC / c->bandwidth);

	return c->wait + through + c->delay + c->queueing;
}

static bool
has(const struct question *q, uint8_t tier)
{
	for (size_t i = 0; i < q->n; i++) {
		if (q->at[i].tier == tier)
			return true;
	}
	return false;
}

/* A secondary subflow helps when those before it are full; a backup one, when
 * there is none before it. */
int
scheduler_pick(enum scheduler_kind kind, const struct question *q)
{
	bool any = false;

	for (unsigned t = 0; t < TIER_COUNT; t++) {
		uint8_t tier = (uint8_t)t;
		int pick;

		if (!has(q, tier) || (tier == TIER_BACKUP && any))
			continue;
		any = true;
		pick = kinds[kind].pick(q, tier);
		if (pick >= 0)
			return pick;
		if (pick == SCHEDULER_HOLD)
			return SCHEDULER_WAIT;
	}
	return SCHEDULER_WAIT;
}

const char *
scheduler_name(enum scheduler_kind kind)
{
	return kinds[kind].name;
}
