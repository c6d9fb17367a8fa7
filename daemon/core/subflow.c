#include "daemon/core/subflow.h"

#include <stdlib.h>
#include <sys/socket.h>

struct subflow *
subflow_new(uint8_t id, const struct addr *local, const struct addr *remote,
	    enum cc_kind cc, ns_t now)
{
	struct subflow *sf = calloc(1, sizeof(*sf));

	if (sf == NULL)
		return NULL;
	if (loss_init(&sf->loss) < 0)
		goto out_free;
	if (acks_init(&sf->acks) < 0)
		goto out_loss;
	sf->id = id;
	sf->local = *local;
	sf->remote = *remote;
	sf->state = SUBFLOW_JOINING;
	sf->state_at = now;
	sf->probe_at = NS_NEVER;
	sf->end.retry_at = NS_NEVER;
	sf->end.leave_at = NS_NEVER;
	mtu_init(&sf->mtu, remote->family == AF_INET6, now);
	cc_init(&sf->cc, cc, mtu_payload(&sf->mtu), 0, (uint8_t)(id * 37), now);
	pacer_init(&sf->pacer, now);
	return sf;
out_loss:
	loss_done(&sf->loss);
out_free:
	free(sf);
	return NULL;
}

void
subflow_free(struct subflow *sf)
{
	if (sf == NULL)
		return;
	loss_done(&sf->loss);
	acks_done(&sf->acks);
	free(sf);
}

static bool
is_edge(enum subflow_state from, enum subflow_state to)
{
	if (to == SUBFLOW_ENDED)
		return from != SUBFLOW_ENDED;
	switch (from) {
	case SUBFLOW_JOINING: return to == SUBFLOW_ACTIVE;
	case SUBFLOW_ACTIVE: return to == SUBFLOW_SUSPECT || to == SUBFLOW_DEAD;
	case SUBFLOW_SUSPECT: return to == SUBFLOW_ACTIVE || to == SUBFLOW_DEAD;
	case SUBFLOW_DEAD: return to == SUBFLOW_ACTIVE;
	case SUBFLOW_ENDED: return to == SUBFLOW_JOINING;
	}
	return false;
}

void
subflow_enter(struct subflow *sf, enum subflow_state next, ns_t now)
{
	assert(is_edge(sf->state, next));

	sf->state = next;
	sf->state_at = now;
	sf->doubted_at = now;
	if (next == SUBFLOW_ACTIVE) {
		sf->probes = 0;
		sf->probe_credit = 0;
		sf->probe_at = NS_NEVER;
	}
}

uint32_t
subflow_packet_max(const struct subflow *sf)
{
	uint64_t max = mtu_payload(&sf->mtu);

	if (!loss_has_room(&sf->loss) ||
	    (sf->state == SUBFLOW_JOINING && sf->loss.in_flight > SUBFLOW_JOINING_MAX))
		return 0;
	if (!sf->proven)
		max = min_u64(max, 3 * sf->bytes_in > sf->bytes_out
					   ? 3 * sf->bytes_in - sf->bytes_out
					   : 0);
	return (uint32_t)max;
}

bool
subflow_has_room(const struct subflow *sf)
{
	return sf->loss.in_flight + mtu_payload(&sf->mtu) <= sf->cc.cwnd;
}

static ns_t
silence_since(const struct subflow *sf)
{
	const struct sent *oldest = loss_oldest(&sf->loss);

	if (oldest == NULL)
		return NS_NEVER;
	return max_ns(oldest->sent_at, sf->acked_at);
}

ns_t
subflow_doubt_at(const struct subflow *sf)
{
	ns_t since;

	switch (sf->state) {
	case SUBFLOW_JOINING:
	case SUBFLOW_DEAD:
	case SUBFLOW_ENDED: return NS_NEVER;
	case SUBFLOW_ACTIVE:
		since = silence_since(sf);
		if (since == NS_NEVER)
			return NS_NEVER;
		return since + max_ns(rtt_pto(&sf->rtt, ACKS_DELAY_MAX),
				      sf->loss.late + ACKS_DELAY_MAX);
	case SUBFLOW_SUSPECT: return sf->doubted_at + SUBFLOW_DEAD_AFTER;
	}
	return NS_NEVER;
}

ns_t
subflow_ping_at(const struct subflow *sf)
{
	return max_ns(sf->asks ? sf->acked_at : sf->heard_at, sf->loss.last_sent_at) +
	       SUBFLOW_PING_IDLE;
}

ns_t
subflow_deadline(const struct subflow *sf)
{
	ns_t at = min_ns(sf->loss.loss_at, subflow_doubt_at(sf));

	at = min_ns(at, min_ns(sf->probe_at, sf->end.retry_at));
	/* Nothing is due that may not be sent. */
	if (subflow_packet_max(sf) < SUBFLOW_SPEAKS)
		return at;
	at = min_ns(at, sf->acks.due_at);
	if (sf->state == SUBFLOW_ACTIVE && sf->proven) {
		at = min_ns(at, mtu_deadline(&sf->mtu));
		if (loss_oldest(&sf->loss) == NULL)
			at = min_ns(at, subflow_ping_at(sf));
	}
	return at;
}

void
subflow_probe(struct subflow *sf, ns_t now)
{
	ns_t gap = rtt_pto(&sf->rtt, ACKS_DELAY_MAX) / 2;

	for (unsigned i = 0; i < sf->probes && gap < SUBFLOW_PROBE_GAP; i++)
		gap *= 2;
	gap = min_ns(gap, SUBFLOW_PROBE_GAP);
	if (sf->state != SUBFLOW_SUSPECT && now - sf->state_at > SUBFLOW_PROBE_FAST)
		gap = SUBFLOW_PROBE_SLOW;
	sf->probes++;
	sf->probe_credit = 2;
	sf->probe_at = now + gap;
	sf->words |= SUBFLOW_PING;
}

void
subflow_alive(struct subflow *sf, ns_t now)
{
	sf->acked_at = now;
	sf->probes = 0;
	if (sf->state == SUBFLOW_DEAD)
		cc_restart(&sf->cc, now);
	if (sf->state == SUBFLOW_SUSPECT || sf->state == SUBFLOW_DEAD)
		subflow_enter(sf, SUBFLOW_ACTIVE, now);
}

ns_t
subflow_queueing(const struct subflow *sf, ns_t now)
{
	return max_ns(rtt_queueing(&sf->rtt) - (now - sf->loss.last_sent_at), 0);
}

uint64_t
subflow_bandwidth(const struct subflow *sf)
{
	uint64_t bw = cc_bandwidth(&sf->cc, &sf->rtt);

	if (bw == 0)
		bw = sf->cc.cwnd * (uint64_t)NS_PER_SEC /
		     (uint64_t)rtt_smoothed(&sf->rtt);
	return max_u64(bw, 1);
}

uint8_t
subflow_tier(const struct subflow *sf)
{
	return sf->tier > sf->tier_peer ? sf->tier : sf->tier_peer;
}
