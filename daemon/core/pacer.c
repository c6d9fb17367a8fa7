#include "daemon/core/pacer.h"

enum {
	QUANTUM_MIN = 2, /* packets */
	QUANTUM_MAX = 16,
	QUANTUM_MAX_FAST = 44,
};
#define FAST     UINT64_C(62500000) /* bytes a second: 500 Mbit/s */
#define RATE_MAX (UINT64_C(1) << 40)

/* A rate that can be divided by, and multiplied without wrapping. */
static int64_t
sane(uint64_t rate)
{
	return (int64_t)max_u64(1, min_u64(rate, RATE_MAX));
}

void
pacer_init(struct pacer *p, ns_t now)
{
	p->tokens = INT64_MAX;
	p->filled_at = now;
}

uint32_t
pacer_quantum(uint64_t rate, uint32_t mss)
{
	uint64_t most = (uint64_t)mss * (rate > FAST ? QUANTUM_MAX_FAST : QUANTUM_MAX);
	uint64_t least = (uint64_t)mss * QUANTUM_MIN;

	return (uint32_t)max_u64(least, min_u64(rate / 1000, most));
}

static int64_t
tokens_at(const struct pacer *p, uint64_t rate, uint32_t mss, ns_t now)
{
	int64_t full = pacer_quantum(rate, mss) * NS_PER_SEC;
	ns_t elapsed = max_ns(now - p->filled_at, 0);

	if (p->tokens >= full || elapsed > (full - p->tokens) / sane(rate))
		return full;
	return p->tokens + sane(rate) * elapsed;
}

uint32_t
pacer_allowance(struct pacer *p, uint64_t rate, uint32_t mss, ns_t now)
{
	p->tokens = tokens_at(p, rate, mss, now);
	p->filled_at = max_ns(p->filled_at, now);
	if (p->tokens <= 0)
		return 0;
	return (uint32_t)max_u64(mss, (uint64_t)(p->tokens / NS_PER_SEC));
}

void
pacer_sent(struct pacer *p, uint32_t bytes)
{
	p->tokens -= bytes * NS_PER_SEC;
}

ns_t
pacer_next(const struct pacer *p, uint64_t rate, uint32_t mss, ns_t now)
{
	int64_t tokens = tokens_at(p, rate, mss, now);

	return tokens > 0 ? now : now + -tokens / sane(rate) + 1;
}
