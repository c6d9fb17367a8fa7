#include "tests/unit/bottleneck.h"

#include "daemon/core/acks.h"
#include "daemon/core/loss.h"

#include <stdlib.h>
#include <string.h>

#define TICK      (250 * NS_PER_US)
#define BURST     NS_PER_MS
#define UNLIMITED UINT64_MAX

enum event_kind { EVENT_SEND, EVENT_LINK, EVENT_ARRIVE, EVENT_ACK_DUE, EVENT_ACK };

struct event {
	ns_t at;
	uint64_t order;
	enum event_kind kind;
	int flow;
	uint64_t counter;
	struct frame_ack *ack;
};

struct flow {
	struct cc cc;
	struct rtt rtt;
	struct loss loss;
	ns_t next_at, wake_at; /* pacing allows a packet; the timer */
	ns_t acked_at;
	uint64_t offer;  /* bytes a second */
	uint64_t budget; /* bytes offered and not sent */
	ns_t budget_at;
	/* The receiver. */
	struct acks acks;
	uint64_t received, received_mark, lost, lost_mark;
};

struct link {
	struct link_setup setup;
	ns_t now;
	struct event *heap;
	size_t n, cap;
	uint64_t order;
	struct flow flows[LINK_FLOWS_MAX];
	int n_flows;
	struct event *queue; /* ring of what waits; flow and counter */
	size_t head, waiting, queue_cap;
	uint64_t queued; /* bytes */
	ns_t queue_sum, queue_max;
	uint64_t queue_samples;
	unsigned seed;
};

static void
push(struct link *l, struct event e)
{
	size_t i = l->n++;

	if (l->n > l->cap) {
		l->cap = max_size(2 * l->cap, 1024);
		l->heap = realloc(l->heap, l->cap * sizeof(*l->heap));
		assert(l->heap != NULL);
	}
	e.order = l->order++;
	for (; i > 0 && l->heap[(i - 1) / 2].at > e.at; i = (i - 1) / 2)
		l->heap[i] = l->heap[(i - 1) / 2];
	l->heap[i] = e;
}

static bool
is_before(const struct event *a, const struct event *b)
{
	return a->at < b->at || (a->at == b->at && a->order < b->order);
}

static struct event
pop(struct link *l)
{
	struct event first = l->heap[0], last = l->heap[--l->n];
	size_t i = 0, child;

	while ((child = 2 * i + 1) < l->n) {
		if (child + 1 < l->n && is_before(&l->heap[child + 1], &l->heap[child]))
			child++;
		if (!is_before(&l->heap[child], &last))
			break;
		l->heap[i] = l->heap[child];
		i = child;
	}
	l->heap[i] = last;
	return first;
}

static unsigned
draw(struct link *l, unsigned below)
{
	unsigned v = (unsigned)rand_r(&l->seed) << 15 ^ (unsigned)rand_r(&l->seed);

	return v % below;
}

/* ---- the link ---- */

static ns_t
queue_time(const struct link *l)
{
	return (ns_t)(l->queued * NS_PER_SEC / l->setup.rate);
}

static void
serve(struct link *l)
{
	push(l, (struct event){
			.at = l->now + (ns_t)(LINK_MSS * NS_PER_SEC / l->setup.rate),
			.kind = EVENT_LINK,
		});
}

static void
enqueue(struct link *l, int flow, uint64_t counter)
{
	uint64_t limit = l->setup.queue > 0 ? l->setup.queue : l->setup.rate;

	l->queue_sum += queue_time(l);
	l->queue_max = max_ns(l->queue_max, queue_time(l));
	l->queue_samples++;
	if (l->queued + LINK_MSS > max_u64(limit, 2 * LINK_MSS) ||
	    l->waiting == l->queue_cap || draw(l, 10000) < l->setup.loss) {
		l->flows[flow].lost += LINK_MSS;
		return;
	}
	l->queue[(l->head + l->waiting++) % l->queue_cap] =
		(struct event){.flow = flow, .counter = counter};
	l->queued += LINK_MSS;
	if (l->waiting == 1)
		serve(l);
}

static void
leave(struct link *l)
{
	struct event e = l->queue[l->head];
	ns_t jitter = 0;

	l->head = (l->head + 1) % l->queue_cap;
	l->waiting--;
	l->queued -= LINK_MSS;
	if (l->setup.jitter > 0)
		jitter = draw(l, 20001) * l->setup.jitter / 10000 - l->setup.jitter;
	e.kind = EVENT_ARRIVE;
	e.at = l->now + max_ns(l->setup.rtt / 2 + jitter, 0);
	push(l, e);
	if (l->waiting > 0)
		serve(l);
}

/* ---- the receiver ---- */

static void
acknowledge(struct link *l, int flow)
{
	struct flow *f = &l->flows[flow];
	struct frame_ack *ack = calloc(1, sizeof(*ack));

	assert(ack != NULL);
	assert(acks_frame(&f->acks, 0, FRAME_ACK_RANGES_MAX, l->now, ack));
	acks_said(&f->acks, l->now);
	push(l, (struct event){
			.at = l->now + l->setup.rtt / 2,
			.kind = EVENT_ACK,
			.flow = flow,
			.ack = ack,
		});
}

static void
arrive(struct link *l, int flow, uint64_t counter)
{
	struct flow *f = &l->flows[flow];
	const struct acks_pace pace = {
		.srtt = f->rtt.srtt,
		.packets = (unsigned)(f->cc.cwnd / LINK_MSS),
	};

	acks_received(&f->acks, counter, true, false, &pace, l->now);
	f->received += LINK_MSS;
	if (f->acks.due_at <= l->now)
		acknowledge(l, flow);
	else if (f->acks.unsaid == 1)
		push(l, (struct event){
				.at = f->acks.due_at,
				.kind = EVENT_ACK_DUE,
				.flow = flow,
			});
}

/* ---- the sender ---- */

static void
wake(struct link *l, int flow, ns_t at)
{
	struct flow *f = &l->flows[flow];

	if (at >= f->wake_at)
		return;
	at = (max_ns(at, l->now + 1) + TICK - 1) / TICK * TICK;
	if (at == f->wake_at)
		return;
	f->wake_at = at;
	push(l, (struct event){.at = at, .kind = EVENT_SEND, .flow = flow});
}

static void
fill_budget(struct link *l, struct flow *f)
{
	f->budget += cc_bytes(f->offer, l->now - f->budget_at);
	f->budget = min_u64(f->budget, 10 * LINK_MSS);
	if (f->offer == UNLIMITED)
		f->budget = UNLIMITED;
	f->budget_at = l->now;
}

static void
send_packet(struct link *l, int flow)
{
	struct flow *f = &l->flows[flow];
	const struct sent p = {.size = LINK_MSS, .wants_ack = true};

	cc_sent(&f->cc, f->loss.in_flight, LINK_MSS, l->now);
	enqueue(l, flow, f->loss.next);
	assert(loss_sent(&f->loss, &p, l->now) == 0);
	f->next_at = max_ns(f->next_at, l->now - BURST) +
		     (ns_t)(LINK_MSS * NS_PER_SEC / f->cc.pacing_rate);
}

/* When everything that is in flight may be lost. */
static ns_t
probe_at(const struct flow *f)
{
	if (f->loss.in_flight == 0)
		return NS_NEVER;
	return max_ns(f->loss.last_sent_at, f->acked_at) +
	       rtt_pto(&f->rtt, ACKS_DELAY_MAX);
}

static void
send_packets(struct link *l, int flow)
{
	struct flow *f = &l->flows[flow];

	fill_budget(l, f);
	while (f->loss.in_flight + LINK_MSS <= f->cc.cwnd && f->next_at <= l->now &&
	       loss_has_room(&f->loss)) {
		if (f->budget < LINK_MSS) {
			loss_app_limited(&f->loss);
			wake(l, flow, l->now + NS_PER_MS);
			return;
		}
		if (f->budget != UNLIMITED)
			f->budget -= LINK_MSS;
		send_packet(l, flow);
	}
	if (f->loss.in_flight + LINK_MSS <= f->cc.cwnd)
		wake(l, flow, f->next_at);
	else if (f->wake_at == NS_NEVER)
		wake(l, flow, probe_at(f));
	wake(l, flow, f->loss.loss_at);
}

static void
detect(struct link *l, struct flow *f, struct loss_sample *s)
{
	loss_detect(&f->loss, &f->rtt, l->now, s);
	if (s->acked > 0 || s->lost > 0)
		cc_sample(&f->cc, s, &f->rtt);
	while (loss_take(&f->loss) != NULL)
		;
}

static void
take_ack(struct link *l, int flow, struct frame_ack *ack)
{
	struct flow *f = &l->flows[flow];
	const struct sent *newest;
	struct loss_sample s;

	assert(loss_acked(&f->loss, ack, l->now, &newest, &s) == 0);
	free(ack);
	f->acked_at = l->now;
	if (newest != NULL)
		rtt_sample(&f->rtt, s.rtt, 0, l->now);
	detect(l, f, &s);
	send_packets(l, flow);
}

static void
timer(struct link *l, int flow, ns_t at)
{
	struct flow *f = &l->flows[flow];
	struct loss_sample s = {.now = l->now};

	if (f->wake_at != at)
		return;
	f->wake_at = NS_NEVER;
	if (f->loss.loss_at <= l->now)
		detect(l, f, &s);
	if (probe_at(f) <= l->now)
		send_packet(l, flow);
	send_packets(l, flow);
}

static void
handle(struct link *l, const struct event *e)
{
	switch (e->kind) {
	case EVENT_SEND: timer(l, e->flow, e->at); break;
	case EVENT_LINK: leave(l); break;
	case EVENT_ARRIVE: arrive(l, e->flow, e->counter); break;
	case EVENT_ACK_DUE:
		if (l->flows[e->flow].acks.due_at == e->at)
			acknowledge(l, e->flow);
		break;
	case EVENT_ACK: take_ack(l, e->flow, e->ack); break;
	}
}

/* ---- what tests see ---- */

struct link *
link_new(const struct link_setup *setup)
{
	struct link *l = calloc(1, sizeof(*l));

	assert(l != NULL);
	l->setup = *setup;
	l->seed = setup->seed;
	l->now = NS_PER_SEC;
	l->queue_cap = 65536;
	l->queue = calloc(l->queue_cap, sizeof(*l->queue));
	assert(l->queue != NULL);
	return l;
}

void
link_free(struct link *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->heap[i].ack);
	for (int i = 0; i < l->n_flows; i++) {
		loss_done(&l->flows[i].loss);
		acks_done(&l->flows[i].acks);
	}
	free(l->heap);
	free(l->queue);
	free(l);
}

int
link_add(struct link *l, enum cc_kind kind, uint64_t rate)
{
	int flow = l->n_flows++;
	struct flow *f = &l->flows[flow];

	assert(flow < LINK_FLOWS_MAX);
	cc_init(&f->cc, kind, LINK_MSS, rate,
		(uint8_t)((unsigned)flow * 85 + l->setup.seed), l->now);
	assert(loss_init(&f->loss) == 0);
	assert(acks_init(&f->acks) == 0);
	f->wake_at = NS_NEVER;
	f->next_at = f->budget_at = l->now;
	f->offer = UNLIMITED;
	wake(l, flow, l->now);
	return flow;
}

struct cc *
link_cc(struct link *l, int flow)
{
	return &l->flows[flow].cc;
}

const struct rtt *
link_rtt(const struct link *l, int flow)
{
	return &l->flows[flow].rtt;
}

void
link_offer(struct link *l, int flow, uint64_t rate)
{
	struct flow *f = &l->flows[flow];

	f->offer = rate;
	f->budget = 0;
	f->budget_at = l->now;
	wake(l, flow, l->now);
}

void
link_set_rate(struct link *l, uint64_t rate)
{
	l->setup.rate = rate;
}

void
link_set_rtt(struct link *l, ns_t rtt)
{
	l->setup.rtt = rtt;
}

void
link_set_loss(struct link *l, unsigned loss)
{
	l->setup.loss = loss;
}

void
link_run(struct link *l, ns_t span)
{
	ns_t end = l->now + span;

	while (l->n > 0 && l->heap[0].at <= end) {
		struct event e = pop(l);

		l->now = e.at;
		handle(l, &e);
	}
	l->now = end;
}

void
link_mark(struct link *l)
{
	for (int i = 0; i < l->n_flows; i++) {
		l->flows[i].received_mark = l->flows[i].received;
		l->flows[i].lost_mark = l->flows[i].lost;
	}
	l->queue_sum = l->queue_max = 0;
	l->queue_samples = 0;
}

uint64_t
link_received(const struct link *l, int flow)
{
	return l->flows[flow].received - l->flows[flow].received_mark;
}

uint64_t
link_lost(const struct link *l, int flow)
{
	return l->flows[flow].lost - l->flows[flow].lost_mark;
}

ns_t
link_queue_mean(const struct link *l)
{
	return l->queue_samples > 0 ? l->queue_sum / (ns_t)l->queue_samples : 0;
}

ns_t
link_queue_max(const struct link *l)
{
	return l->queue_max;
}
