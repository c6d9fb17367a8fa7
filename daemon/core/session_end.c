#include "daemon/core/session_parts.h"

#include <string.h>

/* MP_TCPRST's flag T goes without saying (RFC 8684, 3.6). */
static bool
is_final(uint8_t why)
{
	return why == SUBFLOW_END_PROTOCOL || why == SUBFLOW_END_PROHIBITED ||
	       why == SUBFLOW_END_MIDDLEBOX;
}

static void
leave(struct session *s, struct subflow *sf, uint8_t why, ns_t now)
{
	session_give_up_flight(s, sf, now);
	if (sf->state == SUBFLOW_ACTIVE && now - sf->state_at >= SUBFLOW_RETRY_MAX)
		sf->end.retries = 0;
	subflow_enter(sf, SUBFLOW_ENDED, now);
	sf->words &= SUBFLOW_PRIO;
	sf->probe_at = NS_NEVER;
	sf->probe_credit = 0;
	sf->end.code = why;
	/* Who rejoins at once may come before the reset, which goes another way. */
	sf->end.rest_until = now + SUBFLOW_RETRY_MIN;
	sf->end.said_at = now;
}

void
session_say_end(struct session *s, struct subflow *sf, ns_t now)
{
	sf->end.says = true;
	sf->end.said_at = now;
	s->tell_subflows = true;
}

void
session_end_subflow(struct session *s, struct subflow *sf, uint8_t why, ns_t now)
{
	sf->end.retry_at = NS_NEVER;
	if (sf->state == SUBFLOW_ENDED)
		return;
	leave(s, sf, why, now);
	sf->end.barred = s->cfg.role == SESSION_SERVER && is_final(why);
	session_say_end(s, sf, now);
}

void
session_reset_subflow(struct session *s, uint8_t id, uint8_t why, ns_t now)
{
	session_end_subflow(s, s->subflows[id], why, now);
}

/* 1, 2, 4 ... 60 s. */
static ns_t
rest(const struct subflow *sf)
{
	ns_t gap = SUBFLOW_RETRY_MIN;

	for (unsigned i = 0; i < sf->end.retries && gap < SUBFLOW_RETRY_MAX; i++)
		gap *= 2;
	return min_ns(gap, SUBFLOW_RETRY_MAX);
}

void
session_on_reset(struct session *s, uint8_t id, uint8_t why, ns_t now)
{
	struct subflow *sf = id < SESSION_SUBFLOWS_MAX ? s->subflows[id] : NULL;

	if (sf == NULL)
		return;
	sf->end.says = false;
	if (sf->state == SUBFLOW_ENDED)
		return;
	leave(s, sf, why, now);
	sf->end.barred = s->cfg.role == SESSION_CLIENT && is_final(why);
	if (s->cfg.role != SESSION_CLIENT || sf->end.barred)
		return;
	sf->end.rest_until = now + rest(sf);
	sf->end.retry_at = sf->end.rest_until;
	sf->end.retries++;
}

void
session_heard_ended(struct session *s, struct subflow *sf, ns_t now)
{
	if (now - sf->end.said_at < SUBFLOW_END_AGAIN + session_slowest_rtt(s))
		return;
	/* The client's own reason would bar it. */
	if (s->cfg.role == SESSION_SERVER && !sf->end.barred)
		sf->end.code = SUBFLOW_END_UNSPECIFIED;
	session_say_end(s, sf, now);
}

bool
session_rejoin(struct session *s, struct subflow *sf, ns_t now)
{
	sf->end.retry_at = NS_NEVER;
	if (prng_bytes(&s->rng, sf->nonce, sizeof(sf->nonce)) < 0)
		return false;
	session_give_up_flight(s, sf, now);
	subflow_enter(sf, SUBFLOW_JOINING, now);
	cc_restart(&sf->cc, now);
	sf->joined = false;
	sf->end.rejoins++;
	sf->end.says = false;
	sf->probes = 0;
	sf->probe_at = now + RTT_INITIAL;
	sf->words &= SUBFLOW_PRIO;
	if (s->cfg.role == SESSION_CLIENT)
		sf->words |= SUBFLOW_JOIN;
	else if (sf->moved && !sf->proven)
		sf->words |= SUBFLOW_CHALLENGE;
	return true;
}

bool
session_accept_rejoin(struct session *s, struct subflow *sf, ns_t now)
{
	if (sf->end.barred)
		return false;
	/* Its end has not come here yet. */
	if (sf->state != SUBFLOW_ENDED)
		leave(s, sf, SUBFLOW_END_UNSPECIFIED, now);
	return session_rejoin(s, sf, now);
}
