#include "daemon/core/loss.h"

#include "daemon/core/acks.h"

#include <stdlib.h>

enum {
	CAP_FIRST = 64,      /* packets */
	PERSISTENT_PTOS = 3, /* RFC 9002, 7.6.1 */
	HOLD_RTTS = 2,       /* what is lost is held for */
};

static struct sent *
packet(const struct loss *l, uint64_t counter)
{
	assert(counter >= l->low && counter < l->next);
	return &l->ring[counter & (l->cap - 1)];
}

static void
list_append(struct loss *l, struct sent_list *list, struct sent *p)
{
	p->older = list->newest;
	p->newer = SENT_NOBODY;
	if (list->newest != SENT_NOBODY)
		packet(l, list->newest)->newer = p->counter;
	else
		list->oldest = p->counter;
	list->newest = p->counter;
}

static void
list_remove(struct loss *l, struct sent_list *list, struct sent *p)
{
	if (p->older != SENT_NOBODY)
		packet(l, p->older)->newer = p->newer;
	else
		list->oldest = p->newer;
	if (p->newer != SENT_NOBODY)
		packet(l, p->newer)->older = p->older;
	else
		list->newest = p->older;
}

int
loss_init(struct loss *l)
{
	static const struct sent_list empty = {SENT_NOBODY, SENT_NOBODY};
	struct sent *ring = calloc(CAP_FIRST, sizeof(*ring));

	if (ring == NULL)
		return -ENOMEM;
	*l = (struct loss){
		.ring = ring,
		.cap = CAP_FIRST,
		.largest_acked = SENT_NOBODY,
		.threshold = LOSS_THRESHOLD,
		.loss_at = NS_NEVER,
		.flying = empty,
		.acked = empty,
		.lost = empty,
		.run = {SENT_NOBODY, SENT_NOBODY, 0, 0},
		.first_acked_at = NS_NEVER,
	};
	return 0;
}

void
loss_done(struct loss *l)
{
	free(l->ring);
	l->ring = NULL;
}

/* ---- the ring ---- */

static bool
is_done_with(const struct sent *p)
{
	return p->state == SENT_NONE || (p->state != SENT_IN_FLIGHT && p->taken);
}

/* Forgets at the low end what nobody needs, and what was lost up to `held_from`. */
static void
forget(struct loss *l, ns_t held_from)
{
	while (l->low < l->next) {
		const struct sent *p = packet(l, l->low);

		if (!is_done_with(p))
			break;
		if (p->state == SENT_LOST && p->lost_at > held_from)
			break;
		l->low++;
	}
}

static bool
is_full(const struct loss *l)
{
	return l->next - l->low == LOSS_PACKETS_MAX;
}

bool
loss_has_room(const struct loss *l)
{
	return !is_full(l) || is_done_with(packet(l, l->low));
}

static int
grow(struct loss *l)
{
	struct sent *ring = calloc(2 * l->cap, sizeof(*ring));

	if (ring == NULL)
		return -ENOMEM;
	for (uint64_t c = l->low; c < l->next; c++)
		ring[c & (2 * l->cap - 1)] = *packet(l, c);
	free(l->ring);
	l->ring = ring;
	l->cap *= 2;
	return 0;
}

/* There is room for one more packet afterwards. */
static int
make_room(struct loss *l)
{
	if (l->next - l->low < l->cap)
		return 0;
	forget(l, INT64_MIN);
	if (l->next - l->low < l->cap)
		return 0;
	if (!is_full(l))
		return grow(l);
	if (!loss_has_room(l))
		return -ENOBUFS;
	l->low++;
	return 0;
}

int
loss_sent(struct loss *l, const struct sent *p, ns_t now)
{
	struct sent *new;
	int err;

	assert(p->n_items <= LOSS_ITEMS_MAX && l->next < WIRE_NUMBER_MAX);
	err = make_room(l);
	if (err < 0)
		return err;

	l->next++;
	l->sent_packets++;
	new = packet(l, l->next - 1);
	*new = *p;
	new->counter = l->next - 1;
	new->sent_at = now;
	new->state = SENT_NONE;
	new->taken = false;
	new->copied = false;
	if (p->wants_ack) {
		if (l->in_flight == 0)
			l->first_sent_at = l->delivered_at = now;
		l->in_flight += p->size;
		l->last_sent_at = now;
		new->state = SENT_IN_FLIGHT;
		new->order = l->order++;
		list_append(l, &l->flying, new);
	}
	new->delivered = l->delivered;
	new->delivered_at = l->delivered_at;
	new->first_sent_at = l->first_sent_at;
	new->in_flight = l->in_flight;
	new->app_limited = l->app_limited_until != 0;
	return 0;
}

/* ---- acknowledgements ---- */

/*
 * The first counter at or above `c` that no acknowledgement has told of. Chains of
 * skips are halved on the way, so that telling the same again and again is cheap.
 */
static uint64_t
skip_acked(struct loss *l, uint64_t c)
{
	while (c < l->next && packet(l, c)->state == SENT_ACKED) {
		struct sent *p = packet(l, c);

		if (p->skip < l->next && packet(l, p->skip)->state == SENT_ACKED)
			p->skip = packet(l, p->skip)->skip;
		c = p->skip;
	}
	return c;
}

/* The packet came after all: what took it for lost was too hasty. */
static void
learn(struct loss *l, const struct sent *p, uint64_t largest_before,
      struct loss_sample *sample)
{
	uint64_t distance = largest_before - p->counter;

	l->spurious_packets++;
	l->rounds = 0;
	if (!p->mtu_probe && p->lost_by != LOST_BY_DEATH)
		sample->spurious = true;
	if (p->counter >= l->run.first && p->counter <= l->run.last)
		l->run.first = l->run.last = SENT_NOBODY;

	switch ((enum lost_by)p->lost_by) {
	case LOST_BY_COUNT:
		if (distance >= LOSS_THRESHOLD_MAX)
			l->threshold = LOSS_THRESHOLD_NONE;
		else if (distance >= l->threshold)
			l->threshold = (uint32_t)distance + 1;
		break;
	case LOST_BY_TIME:
		l->late = max_ns(l->late,
				 min_ns(sample->now - p->sent_at, LOSS_LATE_MAX));
		break;
	case LOST_BY_DEATH: break;
	}
}

static void
mark_acked(struct loss *l, struct sent *p, uint64_t end, uint64_t largest_before,
	   struct loss_sample *sample)
{
	const enum sent_state before = p->state;

	if (before == SENT_LOST)
		learn(l, p, largest_before, sample);
	if (before == SENT_LOST && !p->taken)
		list_remove(l, &l->lost, p);
	if (before == SENT_IN_FLIGHT) {
		list_remove(l, &l->flying, p);
		l->in_flight -= p->size;
	}
	if (p->wants_ack) {
		sample->acked += p->size;
		sample->acked_packets++;
		sample->acked_ns += sample->now - p->sent_at;
		l->delivered += p->size;
	}
	p->state = SENT_ACKED;
	p->skip = end;
	/* Also what was taken as lost: it need not be sent again any more. */
	p->taken = false;
	list_append(l, &l->acked, p);
}

/* Returns the newest of those that are new and wanted it, else `newest`. */
static struct sent *
mark_range(struct loss *l, const struct range *range, uint64_t largest_before,
	   struct sent *newest, struct loss_sample *sample)
{
	uint64_t c = skip_acked(l, max_u64(range->start, l->low));

	while (c < range->end) {
		struct sent *p = packet(l, c);

		mark_acked(l, p, range->end, largest_before, sample);
		if (p->wants_ack)
			newest = p;
		c = skip_acked(l, c + 1);
	}
	return newest;
}

/*
 * The bytes delivered between the sending of `p` and now, by the longer of the
 * times that sending and acknowledging them took. That is at least the round trip
 * of `p`, so that a heap of acknowledgements at once does not look like speed.
 */
static void
sample_rate(struct loss *l, const struct sent *p, ns_t now, struct loss_sample *sample)
{
	ns_t elapsed = max_ns(p->sent_at - p->first_sent_at, now - p->delivered_at);

	sample->prior_in_flight = p->in_flight;
	sample->prior_delivered = p->delivered;
	sample->app_limited = p->app_limited;
	/* At most LOSS_PACKETS_MAX before it and as many after: no wrap. */
	if (elapsed > 0)
		sample->rate = (l->delivered - p->delivered) * NS_PER_SEC / elapsed;

	l->delivered_at = now;
	l->first_sent_at = max_ns(l->first_sent_at, p->sent_at);
	l->first_acked_at = min_ns(l->first_acked_at, now);
	if (p->counter >= l->app_limited_until)
		l->app_limited_until = 0;
}

static bool
is_possible(const struct loss *l, const struct frame_ack *ack)
{
	if (ack->n_ranges == 0 || ack->n_ranges > FRAME_ACK_RANGES_MAX)
		return false;
	for (uint32_t i = 0; i < ack->n_ranges; i++) {
		const struct range *range = &ack->ranges[i];

		if (range->start >= range->end || range->end > l->next)
			return false;
		if (i > 0 && range->end > ack->ranges[i - 1].start)
			return false;
	}
	return true;
}

int
loss_acked(struct loss *l, const struct frame_ack *ack, ns_t now,
	   const struct sent **ret_newest, struct loss_sample *ret_sample)
{
	struct loss_sample sample = {.now = now};
	const uint64_t largest_before = l->largest_acked;
	struct sent *newest = NULL, *highest = NULL;
	uint64_t top;

	if (!is_possible(l, ack))
		return -EPROTO;

	top = ack->ranges[0].end - 1;
	if (top >= l->low && packet(l, top)->state != SENT_ACKED)
		highest = packet(l, top);
	for (uint32_t i = ack->n_ranges; i > 0; i--)
		newest = mark_range(l, &ack->ranges[i - 1], largest_before, newest,
				    &sample);
	if (l->largest_acked == SENT_NOBODY || top > l->largest_acked)
		l->largest_acked = top;
	if (newest != NULL)
		sample_rate(l, newest, now, &sample);
	if (newest == NULL)
		highest = NULL;
	if (highest != NULL)
		sample.rtt = max_ns(now - highest->sent_at, 1);
	sample.delivered = l->delivered;
	sample.in_flight = l->in_flight;
	*ret_newest = highest;
	*ret_sample = sample;
	return 0;
}

/* ---- losses ---- */

/* Prolongs the run of lost packets, or begins another one. */
static void
count_run(struct loss *l, const struct sent *p, ns_t persistent_after,
	  struct loss_sample *sample)
{
	struct loss_run *run = &l->run;
	bool goes_on = run->last != SENT_NOBODY && p->order == run->last_order + 1;

	/* A probe says nothing, but does not interrupt either. */
	if (p->mtu_probe && !goes_on)
		return;
	/* What was sent before the first round trip was known does not count. */
	if (!goes_on && p->sent_at < l->first_acked_at)
		return;
	if (!goes_on) {
		run->first = p->counter;
		run->since = p->sent_at;
	}
	run->last = p->counter;
	run->last_order = p->order;
	if (p->mtu_probe || p->sent_at - run->since <= persistent_after)
		return;
	sample->persistent = true;
	run->first = p->counter;
	run->since = p->sent_at;
}

/* Rounds with losses, none of them spurious, wear off what was learnt. */
static void
count_round(struct loss *l, const struct sent *p)
{
	if (p->counter < l->round_from)
		return;
	l->round_from = l->next;
	if (++l->rounds < LOSS_ROUNDS)
		return;
	l->rounds = 0;
	if (l->threshold == LOSS_THRESHOLD_NONE)
		l->threshold = LOSS_THRESHOLD_MAX;
	else if (l->threshold > LOSS_THRESHOLD)
		l->threshold -= (l->threshold - LOSS_THRESHOLD + 1) / 2;
	l->late /= 2;
}

static void
mark_lost(struct loss *l, struct sent *p, enum lost_by by, ns_t now,
	  struct loss_sample *sample)
{
	list_remove(l, &l->flying, p);
	list_append(l, &l->lost, p);
	l->in_flight -= p->size;
	p->state = SENT_LOST;
	p->lost_by = (uint8_t)by;
	p->lost_at = now;
	if (p->mtu_probe)
		return;
	l->lost_packets++;
	sample->lost += p->size;
	sample->lost_sent_at = p->sent_at;
}

void
loss_detect(struct loss *l, const struct rtt *r, ns_t now, struct loss_sample *sample)
{
	const ns_t rtt = max_ns(rtt_smoothed(r), r->latest);
	const ns_t wait =
		max_ns(max_ns(rtt, l->late) * LOSS_EIGHTHS / 8, RTT_GRANULARITY);
	const ns_t persistent_after = PERSISTENT_PTOS * rtt_pto(r, ACKS_DELAY_MAX);

	l->loss_at = NS_NEVER;
	/* Both rules take older packets before newer ones: the first to stay is the end. */
	while (l->largest_acked != SENT_NOBODY && l->flying.oldest < l->largest_acked) {
		struct sent *p = packet(l, l->flying.oldest);
		bool by_count = l->largest_acked - p->counter >= l->threshold;

		if (!by_count && p->sent_at + wait > now) {
			l->loss_at = p->sent_at + wait;
			break;
		}
		mark_lost(l, p, by_count ? LOST_BY_COUNT : LOST_BY_TIME, now, sample);
		count_run(l, p, persistent_after, sample);
		if (!p->mtu_probe)
			count_round(l, p);
	}
	forget(l, now - HOLD_RTTS * max_ns(rtt, l->late));
	sample->now = now;
	sample->delivered = l->delivered;
	sample->in_flight = l->in_flight;
}

void
loss_all(struct loss *l, struct loss_sample *sample)
{
	while (l->flying.oldest != SENT_NOBODY)
		mark_lost(l, packet(l, l->flying.oldest), LOST_BY_DEATH, sample->now,
			  sample);
	l->loss_at = NS_NEVER;
	sample->delivered = l->delivered;
	sample->in_flight = l->in_flight;
}

/* ---- what the caller looks at ---- */

const struct sent *
loss_take(struct loss *l)
{
	bool is_acked = l->acked.oldest < l->lost.oldest;
	struct sent_list *list = is_acked ? &l->acked : &l->lost;
	struct sent *p;

	if (list->oldest == SENT_NOBODY)
		return NULL;
	p = packet(l, list->oldest);
	list_remove(l, list, p);
	p->taken = true;
	return p;
}

const struct sent *
loss_oldest(const struct loss *l)
{
	return l->flying.oldest != SENT_NOBODY ? packet(l, l->flying.oldest) : NULL;
}

const struct sent *
loss_after(const struct loss *l, const struct sent *p)
{
	return p->newer != SENT_NOBODY ? packet(l, p->newer) : NULL;
}

const struct sent *
loss_newest(const struct loss *l)
{
	return l->flying.newest != SENT_NOBODY ? packet(l, l->flying.newest) : NULL;
}

const struct sent *
loss_before(const struct loss *l, const struct sent *p)
{
	return p->older != SENT_NOBODY ? packet(l, p->older) : NULL;
}

void
loss_copied(struct loss *l, const struct sent *p)
{
	packet(l, p->counter)->copied = true;
}

void
loss_app_limited(struct loss *l)
{
	l->app_limited_until = max_u64(l->next, 1);
}
