#include "daemon/core/mtu.h"

enum {
	IPV4_UDP = 20 + 8,
	IPV6_UDP = 40 + 8,
	CEILING_NONE = MTU_MAX + 1,
	BACKOFF_MAX = 6, /* doublings of the gap while not even 1280 comes through */
};

/* Ethernet, PPPoE, tunnels of one kind and another, LTE; largest first. */
static const uint16_t sizes[] = {1500, 1492, 1480, 1460, 1440, 1428, 1400, 1372, 1320};

/* The next size to try; 0: none. */
static uint16_t
candidate(const struct mtu *m)
{
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		if (sizes[i] < m->ceiling && sizes[i] > m->current)
			return sizes[i];
	}
	return 0;
}

static bool
is_edge(enum mtu_state from, enum mtu_state to)
{
	switch (from) {
	case MTU_STATE_BASE: return to == MTU_STATE_SEARCHING;
	case MTU_STATE_SEARCHING:
	case MTU_STATE_COMPLETE: return to != from;
	}
	return false;
}

static void
enter(struct mtu *m, enum mtu_state next, ns_t now)
{
	assert(is_edge(m->state, next));
	m->state = next;
	m->attempts = 0;
	m->probed = 0;
	m->full_lost = 0;
	switch (next) {
	case MTU_STATE_BASE:
		m->current = MTU_BASE;
		m->ceiling = CEILING_NONE;
		m->next_at = now;
		break;
	case MTU_STATE_SEARCHING: m->next_at = now; break;
	case MTU_STATE_COMPLETE:
		m->ceiling = CEILING_NONE;
		m->next_at = now + MTU_RAISE_AFTER;
		break;
	}
}

void
mtu_init(struct mtu *m, bool ipv6, ns_t now)
{
	*m = (struct mtu){
		.state = MTU_STATE_BASE,
		.current = MTU_BASE,
		.ceiling = CEILING_NONE,
		.headers = ipv6 ? IPV6_UDP : IPV4_UDP,
		.next_at = now,
	};
}

uint16_t
mtu_payload(const struct mtu *m)
{
	return m->current - m->headers;
}

bool
mtu_is_blocked(const struct mtu *m)
{
	return m->state == MTU_STATE_BASE && m->attempts >= MTU_PROBES;
}

ns_t
mtu_deadline(const struct mtu *m)
{
	bool is_largest = m->state == MTU_STATE_COMPLETE && candidate(m) == 0;

	return m->probed != 0 || is_largest ? NS_NEVER : m->next_at;
}

uint16_t
mtu_probe(const struct mtu *m, ns_t now)
{
	if (now < mtu_deadline(m))
		return 0;
	return (m->state == MTU_STATE_BASE ? MTU_BASE : candidate(m)) - m->headers;
}

void
mtu_probe_sent(struct mtu *m, uint16_t payload, ns_t now)
{
	if (m->state == MTU_STATE_COMPLETE)
		enter(m, MTU_STATE_SEARCHING, now);
	m->probed = payload + m->headers;
	m->next_at = now + MTU_PROBE_GAP;
	/* Where not even the least size is answered, more of them do not help. */
	if (m->state == MTU_STATE_BASE)
		m->next_at = now + (MTU_PROBE_GAP << m->attempts);
}

static void
complete_if_done(struct mtu *m, ns_t now)
{
	if (m->state == MTU_STATE_SEARCHING && candidate(m) == 0)
		enter(m, MTU_STATE_COMPLETE, now);
}

bool
mtu_acked(struct mtu *m, uint16_t payload, bool probe, ns_t now)
{
	const uint16_t before = m->current;
	const uint32_t size = (uint32_t)payload + m->headers;

	if (probe && size == m->probed) {
		m->probed = 0;
		m->attempts = 0;
		m->current = (uint16_t)size;
	}
	if (size >= m->lost_size)
		m->full_lost = 0;
	if (m->state == MTU_STATE_BASE && size >= MTU_BASE)
		enter(m, MTU_STATE_SEARCHING, now);
	else if (m->full_lost >= MTU_FULL_LOST && now > m->full_lost_at)
		enter(m, MTU_STATE_BASE, now);
	complete_if_done(m, now);
	return m->current != before;
}

static void
probe_lost(struct mtu *m, ns_t now)
{
	if (m->state == MTU_STATE_BASE) {
		if (m->attempts < BACKOFF_MAX)
			m->attempts++;
	} else if (++m->attempts >= MTU_PROBES) {
		m->attempts = 0;
		m->ceiling = m->probed;
	}
	m->probed = 0;
	complete_if_done(m, now);
}

void
mtu_lost(struct mtu *m, uint16_t payload, bool probe, ns_t now)
{
	const uint32_t size = (uint32_t)payload + m->headers;

	if (probe) {
		if (size == m->probed)
			probe_lost(m, now);
	} else if (size <= MTU_BASE) {
		m->full_lost = 0;
	} else if (m->current > MTU_BASE && m->full_lost < MTU_FULL_LOST) {
		if (m->full_lost++ == 0 || size < m->lost_size)
			m->lost_size = (uint16_t)size;
		m->full_lost_at = now;
	}
}
