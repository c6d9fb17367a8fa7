#include "daemon/core/ratelimit.h"

#include <string.h>

#define COST  (NS_PER_SEC / RATELIMIT_PER_SECOND)
#define BURST (RATELIMIT_BURST * COST)

enum { IPV6_PREFIX_BYTES = 8 };

struct addr
ratelimit_source(const struct addr *remote)
{
	struct addr source = *remote;

	source.port = 0;
	source.scope = 0;
	addr_unmap(&source);
	if (source.family == AF_INET6)
		memset(source.ip + IPV6_PREFIX_BYTES, 0,
		       sizeof(source.ip) - IPV6_PREFIX_BYTES);
	return source;
}

bool
ratelimit_is_load(struct ratelimit *r, ns_t now)
{
	ns_t age = now - r->second_at;

	if (age >= NS_PER_SEC) {
		r->count_before = age < 2 * NS_PER_SEC ? r->count : 0;
		r->count = 0;
		r->second_at = now - age % NS_PER_SEC;
	}
	r->count++;
	return r->count > RATELIMIT_LOAD || r->count_before > RATELIMIT_LOAD;
}

/* The slot of `source`, or the one it may have. */
static struct ratelimit_slot *
slot_of(struct ratelimit *r, const struct addr *source)
{
	struct ratelimit_slot *set, *oldest;
	uint32_t hash = 2166136261u ^ source->family;

	for (size_t i = 0; i < IPV6_PREFIX_BYTES; i++)
		hash = (hash ^ source->ip[i]) * 16777619u;
	hash ^= hash >> 15;
	set = &r->slots[hash % (RATELIMIT_SLOTS / RATELIMIT_WAYS) * RATELIMIT_WAYS];
	oldest = set;
	for (size_t i = 0; i < RATELIMIT_WAYS; i++) {
		if (set[i].family == source->family &&
		    memcmp(set[i].source, source->ip, sizeof(set[i].source)) == 0)
			return &set[i];
		if (set[i].full_at < oldest->full_at)
			oldest = &set[i];
	}
	memcpy(oldest->source, source->ip, sizeof(oldest->source));
	oldest->family = source->family;
	oldest->full_at = 0;
	return oldest;
}

bool
ratelimit_take(struct ratelimit *r, const struct addr *remote, ns_t now)
{
	struct addr source = ratelimit_source(remote);
	struct ratelimit_slot *slot;

	slot = slot_of(r, &source);
	if (slot->full_at + COST > now + BURST)
		return false;
	slot->full_at = max_ns(slot->full_at, now) + COST;
	return true;
}
