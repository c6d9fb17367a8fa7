#include "tests/lab/lane.h"

#include <stdlib.h>
#include <string.h>

/* A queue shorter than this could stop a link of large packets for good. */
#define QUEUE_BYTES_MIN 3000.0

/* splitmix64: one word of state, and any seed is a good one. */
static uint64_t
draw(struct lane *lane)
{
	uint64_t z = lane->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* Uniform in [0, 1). */
static double
draw_part(struct lane *lane)
{
	return (double)(draw(lane) >> 11) / (double)(UINT64_C(1) << 53);
}

static bool
happens(struct lane *lane, double part)
{
	return part > 0 && draw_part(lane) < part;
}

static bool
flies_before(const struct packet *a, const struct packet *b)
{
	if (a->due_at != b->due_at)
		return a->due_at < b->due_at;
	return a->order < b->order;
}

static void
flight_push(struct lane *lane, struct packet *p)
{
	size_t i = lane->n_flight++;

	while (i > 0 && flies_before(p, lane->flight[(i - 1) / 2])) {
		lane->flight[i] = lane->flight[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	lane->flight[i] = p;
}

static struct packet *
flight_pop(struct lane *lane)
{
	struct packet *first = lane->flight[0];
	struct packet *last = lane->flight[--lane->n_flight];
	size_t i = 0;

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= lane->n_flight)
			break;
		if (child + 1 < lane->n_flight &&
		    flies_before(lane->flight[child + 1], lane->flight[child]))
			child++;
		if (!flies_before(lane->flight[child], last))
			break;
		lane->flight[i] = lane->flight[child];
		i = child;
	}
	lane->flight[i] = last;
	return first;
}

static ns_t
serialise_ns(const struct lane *lane, size_t len)
{
	if (lane->params.rate <= 0)
		return 0;
	return (ns_t)((double)len * 8 * 1e9 / lane->params.rate + 0.5);
}

/*
 * Gilbert's two states: within a burst everything is lost; the chances of
 * entering and leaving make bursts of the mean length and `loss` overall.
 */
static bool
is_lost(struct lane *lane)
{
	const struct lane_params *p = &lane->params;

	if (p->burst <= 1)
		return happens(lane, p->loss);
	if (p->loss <= 0 || p->loss >= 1)
		return p->loss >= 1;
	if (lane->in_burst)
		lane->in_burst = draw_part(lane) >= 1 / p->burst;
	else
		lane->in_burst = happens(lane, p->loss / (p->burst * (1 - p->loss)));
	return lane->in_burst;
}

/* One bit behind the IP header, so that it gets as far as the transport. */
static void
corrupt(struct lane *lane, struct packet *p)
{
	size_t header = p->data[0] >> 4 == 6 ? 40 : 20;
	uint64_t bit;

	if (p->len <= header)
		return;
	bit = draw(lane) % ((p->len - header) * 8);
	p->data[header + bit / 8] ^= (uint8_t)(1 << bit % 8);
	lane->counters.corrupted++;
}

static struct packet *
packet_new(const uint8_t *data, size_t len)
{
	struct packet *p = malloc(sizeof(*p) + len);

	if (p == NULL)
		return NULL;
	p->next = NULL;
	p->len = len;
	memcpy(p->data, data, len);
	return p;
}

static void
take_off(struct lane *lane, struct packet *p, ns_t due_at)
{
	if (p == NULL || lane->n_flight == LANE_FLIGHT_MAX) {
		lane->counters.dropped_queue++;
		free(p);
		return;
	}
	p->due_at = due_at;
	p->order = lane->order++;
	flight_push(lane, p);
}

/* The packet leaves the serialiser at `now`. */
static void
leave(struct lane *lane, struct packet *p, ns_t now)
{
	const struct lane_params *params = &lane->params;
	ns_t due_at = now + params->delay;

	if (is_lost(lane)) {
		lane->counters.dropped_loss++;
		free(p);
		return;
	}
	if (params->jitter > 0)
		due_at += (ns_t)((2 * draw_part(lane) - 1) * (double)params->jitter);
	due_at = max_ns(due_at, now);
	if (params->ordered)
		due_at = max_ns(due_at, lane->last_due_at);
	lane->last_due_at = due_at;
	if (happens(lane, params->reorder)) {
		due_at += params->reorder_by;
		lane->counters.reordered++;
	}
	if (happens(lane, params->corrupt))
		corrupt(lane, p);
	if (happens(lane, params->duplicate)) {
		lane->counters.duplicated++;
		take_off(lane, packet_new(p->data, p->len), due_at);
	}
	take_off(lane, p, due_at);
}

static struct packet *
dequeue(struct lane *lane)
{
	struct packet *p = lane->head;

	lane->head = p->next;
	if (lane->head == NULL)
		lane->tail = &lane->head;
	lane->queue_packets--;
	lane->queue_bytes -= p->len;
	return p;
}

static void
advance(struct lane *lane, ns_t now)
{
	while (lane->head != NULL && lane->sent_at <= now) {
		leave(lane, dequeue(lane), lane->sent_at);
		if (lane->head != NULL)
			lane->sent_at += serialise_ns(lane, lane->head->len);
	}
}

static void
drop_all(struct lane *lane)
{
	while (lane->head != NULL) {
		free(dequeue(lane));
		lane->counters.dropped_state++;
	}
	while (lane->n_flight > 0) {
		free(flight_pop(lane));
		lane->counters.dropped_state++;
	}
}

int
lane_init(struct lane *lane, uint64_t seed)
{
	struct packet **flight = calloc(LANE_FLIGHT_MAX, sizeof(struct packet *));

	if (flight == NULL)
		return -ENOMEM;
	*lane = (struct lane){
		.params = {.queue_ns = 50 * NS_PER_MS,
			   .reorder_by = 5 * NS_PER_MS,
			   .mtu = 65535},
		.flight = flight,
		.random = seed,
	};
	lane->tail = &lane->head;
	return 0;
}

void
lane_done(struct lane *lane)
{
	drop_all(lane);
	free(lane->flight);
}

void
lane_configure(struct lane *lane, const struct lane_params *params, ns_t now)
{
	ns_t old_ns, left;

	advance(lane, now);
	left = lane->sent_at - now;
	old_ns = lane->head != NULL ? serialise_ns(lane, lane->head->len) : 0;
	lane->params = *params;
	if (params->state != LANE_UP)
		drop_all(lane);
	/* What is left of the packet on the wire goes on at the new rate. */
	if (lane->head != NULL && old_ns > 0)
		lane->sent_at =
			now + (ns_t)((double)left / (double)old_ns *
				     (double)serialise_ns(lane, lane->head->len));
}

static bool
has_room(const struct lane *lane, size_t len)
{
	const struct lane_params *p = &lane->params;
	double limit = p->queue_bytes;

	if (p->rate <= 0)
		return true;
	if (limit <= 0)
		limit = p->rate / 8 * (double)p->queue_ns / 1e9;
	if (limit < QUEUE_BYTES_MIN)
		limit = QUEUE_BYTES_MIN;
	return (double)(lane->queue_bytes + len) <= limit;
}

static void
enqueue(struct lane *lane, struct packet *p, ns_t now)
{
	if (lane->head == NULL)
		lane->sent_at = now + serialise_ns(lane, p->len);
	*lane->tail = p;
	lane->tail = &p->next;
	lane->queue_packets++;
	lane->queue_bytes += p->len;
}

void
lane_put(struct lane *lane, const uint8_t *data, size_t len, ns_t now)
{
	struct lane_counters *c = &lane->counters;
	struct packet *p = NULL;

	advance(lane, now);
	c->in_packets++;
	c->in_bytes += len;
	if (lane->params.state != LANE_UP) {
		c->dropped_state++;
		return;
	}
	if (len > lane->params.mtu) {
		c->dropped_mtu++;
		return;
	}
	if (has_room(lane, len))
		p = packet_new(data, len);
	if (p == NULL) {
		c->dropped_queue++;
		return;
	}
	enqueue(lane, p, now);
}

struct packet *
lane_take(struct lane *lane, ns_t now)
{
	advance(lane, now);
	if (lane->n_flight == 0 || lane->flight[0]->due_at > now)
		return NULL;
	return flight_pop(lane);
}

/* Empties the buckets between the newest one and `now`. */
static void
recent_advance(struct lane *lane, ns_t now)
{
	int64_t newest = now / LANE_RECENT_BUCKET_NS;

	if (newest - lane->recent_at >= LANE_RECENT_BUCKETS) {
		memset(lane->recent, 0, sizeof(lane->recent));
		lane->recent_at = newest;
	}
	while (lane->recent_at < newest)
		lane->recent[++lane->recent_at % LANE_RECENT_BUCKETS] = 0;
}

void
lane_delivered(struct lane *lane, size_t len, bool accepted, ns_t now)
{
	if (!accepted) {
		lane->counters.dropped_error++;
		return;
	}
	lane->counters.out_packets++;
	lane->counters.out_bytes += len;
	recent_advance(lane, now);
	lane->recent[lane->recent_at % LANE_RECENT_BUCKETS] += len;
}

ns_t
lane_next_at(const struct lane *lane)
{
	ns_t at = NS_NEVER;

	if (lane->n_flight > 0)
		at = lane->flight[0]->due_at;
	/* What the serialiser lets go is due no earlier than that. */
	if (lane->head != NULL)
		at = min_ns(at, lane->sent_at);
	return at;
}

uint64_t
lane_recent(struct lane *lane, ns_t span, ns_t now)
{
	int64_t n = (span + LANE_RECENT_BUCKET_NS - 1) / LANE_RECENT_BUCKET_NS;
	uint64_t sum = 0;

	if (n > LANE_RECENT_BUCKETS)
		n = LANE_RECENT_BUCKETS;
	recent_advance(lane, now);
	for (int64_t i = 0; i < n && i <= lane->recent_at; i++)
		sum += lane->recent[(lane->recent_at - i) % LANE_RECENT_BUCKETS];
	return sum;
}
