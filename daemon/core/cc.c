#include "daemon/core/cc.h"

#include <string.h>

/* What CC_FIXED has in flight beyond two round trips: room for jitter. */
#define FIXED_SLACK (100 * NS_PER_MS)

static const char *const names[] = {
	[CC_BBR] = "bbr",
	[CC_CUBIC] = "cubic",
	[CC_FIXED] = "fixed",
};

uint64_t
cc_bytes(uint64_t rate, ns_t span)
{
	uint64_t ns = (uint64_t)min_ns(max_ns(span, 0), CC_TIME_MAX);

	return min_u64(rate, CC_RATE_MAX) * ns / NS_PER_SEC;
}

uint64_t
cc_rate(uint64_t bytes, ns_t span)
{
	uint64_t rate = min_u64(bytes, CC_RATE_MAX) * NS_PER_SEC;

	return min_u64(rate / (uint64_t)max_ns(span, 1), CC_RATE_MAX);
}

int
cc_parse(const char *name, enum cc_kind *ret_kind)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(name, names[i]) == 0) {
			*ret_kind = (enum cc_kind)i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *
cc_name(enum cc_kind kind)
{
	return names[kind];
}

/* Whatever a controller wants, these hold. */
static void
keep_bounds(struct cc *c)
{
	c->cwnd = max_u64(min_u64(c->cwnd, CC_WINDOW_MAX), 2 * (uint64_t)c->mss);
	c->pacing_rate = min_u64(c->pacing_rate, CC_RATE_MAX);
	if (c->max_rate > 0)
		c->pacing_rate = min_u64(c->pacing_rate, c->max_rate);
	c->pacing_rate = max_u64(c->pacing_rate, CC_RATE_MIN);
}

static void
fixed_set(struct cc *c, ns_t rtt)
{
	c->pacing_rate = c->rate;
	c->cwnd = cc_bytes(c->rate, 2 * rtt + FIXED_SLACK);
}

static void
begin(struct cc *c, uint8_t phase, ns_t now)
{
	switch (c->kind) {
	case CC_BBR: cc_bbr_init(c, phase, now); break;
	case CC_CUBIC: cc_cubic_init(c); break;
	case CC_FIXED: fixed_set(c, RTT_INITIAL); break;
	}
	keep_bounds(c);
}

void
cc_init(struct cc *c, enum cc_kind kind, uint32_t mss, uint64_t rate, uint8_t phase,
	ns_t now)
{
	assert(mss > 0);

	memset(c, 0, sizeof(*c));
	c->kind = kind;
	c->mss = mss;
	c->rate = min_u64(rate, CC_RATE_MAX);
	begin(c, phase, now);
}

void
cc_set_mss(struct cc *c, uint32_t mss)
{
	assert(mss > 0);

	c->mss = mss;
	keep_bounds(c);
}

void
cc_set_max_rate(struct cc *c, uint64_t rate)
{
	c->max_rate = rate;
	if (c->kind == CC_FIXED)
		c->pacing_rate = c->rate;
	keep_bounds(c);
}

void
cc_sent(struct cc *c, uint64_t in_flight, uint32_t size, ns_t now)
{
	(void)size;
	if (c->kind == CC_BBR)
		cc_bbr_sent(c, in_flight, now);
}

void
cc_sample(struct cc *c, const struct loss_sample *s, const struct rtt *r)
{
	switch (c->kind) {
	case CC_BBR: cc_bbr_sample(c, s, r); break;
	case CC_CUBIC: cc_cubic_sample(c, s, r); break;
	case CC_FIXED: fixed_set(c, rtt_minimum(r)); break;
	}
	keep_bounds(c);
}

void
cc_restart(struct cc *c, ns_t now)
{
	switch (c->kind) {
	case CC_BBR: cc_bbr_restart(c, now); break;
	case CC_CUBIC: cc_cubic_restart(c); break;
	case CC_FIXED: break;
	}
	keep_bounds(c);
}

uint64_t
cc_bandwidth(const struct cc *c, const struct rtt *r)
{
	uint64_t rate = c->rate;

	switch (c->kind) {
	case CC_BBR: rate = cc_bbr_bandwidth(c, r); break;
	case CC_CUBIC: rate = cc_cubic_bandwidth(c, r); break;
	case CC_FIXED: break;
	}
	return c->max_rate > 0 ? min_u64(rate, c->max_rate) : rate;
}
