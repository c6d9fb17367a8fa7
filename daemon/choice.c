#include "daemon/choice.h"

enum { FADE = 600 }; /* of a best second, each second */

static const char *const texts[] = {
	[CHOICE_CONFIGURED] = "configured",
	[CHOICE_NEITHER] = "no transport has a session yet",
	[CHOICE_ONLY] = "the other transport does not work",
	[CHOICE_SOUND] = "the other transport is less than it could be",
	[CHOICE_TRIED] = "tried, to measure it",
	[CHOICE_FASTER] = "it was faster of late",
	[CHOICE_DEFAULT] = "it fails over faster",
};

const char *
choice_reason_text(enum choice_reason r)
{
	assert((unsigned)r < ARRAY_LEN(texts));
	return texts[r];
}

void
choice_measure(struct choice *c, const uint64_t totals[TRANSPORT_COUNT], ns_t now)
{
	ns_t span = now - c->measured_at;

	for (size_t i = 0; i < TRANSPORT_COUNT; i++) {
		uint64_t bytes = totals[i] - min_u64(c->of[i].total, totals[i]);

		c->of[i].total = totals[i];
		/* A turn that came late is no measure of a second. */
		if (c->measured_at != 0 && span >= CHOICE_SECOND / 2 &&
		    span <= 2 * CHOICE_SECOND)
			c->of[i].best = max_u64(
				c->of[i].best - c->of[i].best / FADE,
				(uint64_t)((double)bytes * NS_PER_SEC / (double)span));
	}
	if (c->measured_at == 0)
		c->tried_at = now;
	c->measured_at = now;
}

static enum config_transport
other(enum config_transport t)
{
	return t == TRANSPORT_UDP ? TRANSPORT_MPTCP : TRANSPORT_UDP;
}

enum config_transport
choice_look(const struct choice *c, const struct transport_health of[TRANSPORT_COUNT],
	    enum choice_reason *ret_reason)
{
	const struct transport_health *mptcp = &of[TRANSPORT_MPTCP];
	const struct transport_health *udp = &of[TRANSPORT_UDP];
	uint64_t best_udp = c->of[TRANSPORT_UDP].best;

	if (!mptcp->works || !udp->works) {
		*ret_reason =
			!mptcp->works && !udp->works ? CHOICE_NEITHER : CHOICE_ONLY;
		return udp->works ? TRANSPORT_UDP : TRANSPORT_MPTCP;
	}
	if ((mptcp->handicap == NULL) != (udp->handicap == NULL)) {
		*ret_reason = CHOICE_SOUND;
		return udp->handicap == NULL ? TRANSPORT_UDP : TRANSPORT_MPTCP;
	}
	if (best_udp > 0 && c->of[TRANSPORT_MPTCP].best > best_udp + best_udp / 4) {
		*ret_reason = CHOICE_FASTER;
		return TRANSPORT_MPTCP;
	}
	*ret_reason = CHOICE_DEFAULT;
	return TRANSPORT_UDP;
}

enum config_transport
choice_take(struct choice *c, const struct transport_health of[TRANSPORT_COUNT],
	    enum choice_reason *ret_reason)
{
	enum config_transport t = choice_look(c, of, ret_reason);

	if (*ret_reason != CHOICE_FASTER && *ret_reason != CHOICE_DEFAULT)
		return t;
	if (c->measured_at - c->tried_at < CHOICE_TRIAL)
		return t;
	c->tried_at = c->measured_at;
	*ret_reason = CHOICE_TRIED;
	return other(t);
}
