/*
 * Loss detection against a model that looks at every packet ever sent, over a network
 * that loses, delays and repeats packets and acknowledgements.
 */
#include "tests/unit/unit.h"

#include "daemon/core/acks.h"
#include "daemon/core/loss.h"
#include "tests/unit/seed.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PACKETS = 4000, ACKS_IN_FLIGHT = 64 };
#define TICK NS_PER_MS

static unsigned seed;

static unsigned
draw(unsigned below)
{
	return (unsigned)rand_r(&seed) % below;
}

/* ---- the model: plain arrays, each rule written out ---- */

struct naive_packet {
	struct sent is; /* what loss_take() is to say of it */
	ns_t lost_at;
	bool by_death, by_count, is_taken;
	ns_t comes_at; /* to the peer; NS_NEVER: not */
};

struct naive {
	struct naive_packet at[PACKETS];
	uint64_t n, low;
	uint64_t largest;
	bool has_largest;
	uint32_t threshold;
	unsigned rounds;
	ns_t late;
	uint64_t round_from, run_from, limited_until;
	ns_t first_acked_at, delivered_at, first_sent_at, held_from;
	uint64_t delivered, spurious, lost;
};

static uint64_t
naive_in_flight(const struct naive *v)
{
	uint64_t bytes = 0;

	for (uint64_t i = 0; i < v->n; i++)
		bytes += v->at[i].is.state == SENT_IN_FLIGHT ? v->at[i].is.size : 0;
	return bytes;
}

static void
naive_sent(struct naive *v, const struct sent *p, ns_t now)
{
	struct naive_packet *new = &v->at[v->n];

	*new = (struct naive_packet){.is = *p};
	if (p->wants_ack && naive_in_flight(v) == 0)
		v->delivered_at = v->first_sent_at = now;
	new->is.counter = v->n;
	new->is.sent_at = now;
	new->is.state = p->wants_ack ? SENT_IN_FLIGHT : SENT_NONE;
	new->is.delivered = v->delivered;
	new->is.delivered_at = v->delivered_at;
	new->is.first_sent_at = v->first_sent_at;
	new->is.app_limited = v->limited_until > 0;
	v->n++;
	new->is.in_flight = naive_in_flight(v);
}

/* Whether all that wanted an acknowledgement from `a` to `b` was found lost. */
static bool
all_lost(const struct naive *v, uint64_t a, uint64_t b)
{
	for (uint64_t i = a; i <= b; i++) {
		if (!v->at[i].is.wants_ack)
			continue;
		if (v->at[i].is.state != SENT_LOST || v->at[i].by_death)
			return false;
	}
	return true;
}

/* The oldest packet of the run of losses that ends with `b`; v->n: there is none. */
static uint64_t
run_start(const struct naive *v, uint64_t b)
{
	for (uint64_t a = v->run_from; a <= b; a++) {
		if (v->at[a].is.wants_ack && !v->at[a].is.mtu_probe &&
		    v->at[a].is.sent_at >= v->first_acked_at && all_lost(v, a, b))
			return a;
	}
	return v->n;
}

static void
naive_spurious(struct naive *v, const struct naive_packet *p, struct loss_sample *s)
{
	uint64_t c = p->is.counter, last = v->n;

	v->spurious++;
	v->rounds = 0;
	s->spurious |= !p->is.mtu_probe && !p->by_death;
	/* A run that it interrupts is over. */
	for (uint64_t i = 0; i < v->n; i++) {
		if (v->at[i].is.state == SENT_LOST && !v->at[i].by_death)
			last = i;
	}
	if (last < v->n && c <= last && run_start(v, last) <= c)
		v->run_from = last + 1;
	if (p->by_death)
		return;
	if (p->by_count) {
		uint64_t wanted = v->largest - c + 1;

		if (wanted > LOSS_THRESHOLD_MAX)
			v->threshold = LOSS_THRESHOLD_NONE;
		if (wanted > v->threshold)
			v->threshold = (uint32_t)wanted;
	} else if (s->now - p->is.sent_at > v->late) {
		v->late = min_ns(s->now - p->is.sent_at, LOSS_LATE_MAX);
	}
}

static bool
frame_has(const struct frame_ack *f, uint64_t counter)
{
	for (uint32_t i = 0; i < f->n_ranges; i++) {
		if (counter >= f->ranges[i].start && counter < f->ranges[i].end)
			return true;
	}
	return false;
}

static void
naive_acked(struct naive *v, const struct frame_ack *f, ns_t now, struct loss_sample *s)
{
	struct naive_packet *newest = NULL;
	uint64_t top = f->ranges[0].end - 1;
	bool top_is_new = top >= v->low && v->at[top].is.state != SENT_ACKED;

	*s = (struct loss_sample){.now = now};
	for (uint64_t i = v->low; i < v->n; i++) {
		struct naive_packet *p = &v->at[i];

		if (p->is.state == SENT_ACKED || !frame_has(f, i))
			continue;
		if (p->is.state == SENT_LOST)
			naive_spurious(v, p, s);
		p->is.state = SENT_ACKED;
		p->is_taken = false; /* what was lost comes once more */
		if (!p->is.wants_ack)
			continue;
		newest = p;
		s->acked += p->is.size;
		s->acked_packets++;
		s->acked_ns += now - p->is.sent_at;
		v->delivered += p->is.size;
	}
	if (!v->has_largest || top > v->largest)
		v->largest = top;
	v->has_largest = true;
	s->delivered = v->delivered;
	s->in_flight = naive_in_flight(v);
	if (newest == NULL)
		return;
	if (top_is_new)
		s->rtt = max_ns(1, now - v->at[top].is.sent_at);
	s->prior_in_flight = newest->is.in_flight;
	s->prior_delivered = newest->is.delivered;
	s->app_limited = newest->is.app_limited;
	s->rate = (v->delivered - newest->is.delivered) * NS_PER_SEC /
		  max_ns(newest->is.sent_at - newest->is.first_sent_at,
			 now - newest->is.delivered_at);
	v->delivered_at = now;
	v->first_sent_at = max_ns(v->first_sent_at, newest->is.sent_at);
	v->first_acked_at = min_ns(v->first_acked_at, now);
	if (newest->is.counter >= v->limited_until)
		v->limited_until = 0;
}

static void
naive_round(struct naive *v, uint64_t c)
{
	if (c < v->round_from)
		return;
	v->round_from = v->n;
	if (++v->rounds < LOSS_ROUNDS)
		return;
	v->rounds = 0;
	v->threshold = v->threshold == LOSS_THRESHOLD_NONE
			       ? LOSS_THRESHOLD_MAX
			       : LOSS_THRESHOLD + (v->threshold - LOSS_THRESHOLD) / 2;
	v->late /= 2;
}

static void
naive_lost(struct naive *v, struct naive_packet *p, ns_t now, struct loss_sample *s)
{
	p->is.state = SENT_LOST;
	p->lost_at = now;
	if (p->is.mtu_probe)
		return;
	v->lost++;
	s->lost += p->is.size;
	s->lost_sent_at = p->is.sent_at;
}

/* Returns when the next one is lost by time. */
static ns_t
naive_detect(struct naive *v, const struct rtt *r, ns_t now, struct loss_sample *s)
{
	ns_t rtt = max_ns(rtt_smoothed(r), r->latest);
	ns_t wait = max_ns(NS_PER_MS, max_ns(rtt, v->late) * 9 / 8), at = NS_NEVER;
	ns_t long_time = 3 * rtt_pto(r, ACKS_DELAY_MAX);

	for (uint64_t i = 0; v->has_largest && i < v->largest; i++) {
		struct naive_packet *p = &v->at[i];
		uint64_t a;

		if (p->is.state != SENT_IN_FLIGHT)
			continue;
		p->by_count = v->largest - i >= v->threshold;
		if (!p->by_count && now < p->is.sent_at + wait) {
			at = min_ns(at, p->is.sent_at + wait);
			continue;
		}
		naive_lost(v, p, now, s);
		if (p->is.mtu_probe)
			continue;
		a = run_start(v, i);
		if (a < v->n && p->is.sent_at - v->at[a].is.sent_at > long_time) {
			s->persistent = true;
			v->run_from = i;
		}
		naive_round(v, i);
	}
	v->held_from = max_ns(v->held_from, now - 2 * rtt);
	s->now = now;
	s->delivered = v->delivered;
	s->in_flight = naive_in_flight(v);
	return at;
}

/* ---- both, side by side ---- */

struct pair {
	struct naive v;
	struct loss l;
	struct rtt rtt;
	ns_t now;
	unsigned persistents;
	bool is_behind; /* not taken after each acknowledgement */
};

static void
same_sample(const struct loss_sample *a, const struct loss_sample *b)
{
	assert_int_equal(a->now, b->now);
	assert_int_equal(a->rtt, b->rtt);
	assert_int_equal(a->acked, b->acked);
	assert_int_equal(a->acked_packets, b->acked_packets);
	assert_int_equal(a->acked_ns, b->acked_ns);
	assert_int_equal(a->lost, b->lost);
	assert_int_equal(a->lost_sent_at, b->lost_sent_at);
	assert_int_equal(a->in_flight, b->in_flight);
	assert_int_equal(a->prior_in_flight, b->prior_in_flight);
	assert_int_equal(a->delivered, b->delivered);
	assert_int_equal(a->prior_delivered, b->prior_delivered);
	assert_int_equal(a->rate, b->rate);
	assert_int_equal(a->app_limited, b->app_limited);
	assert_int_equal(a->spurious, b->spurious);
	assert_int_equal(a->persistent, b->persistent);
}

static void
same_low(struct pair *p)
{
	/* Nothing is forgotten that matters. */
	for (; p->v.low < p->l.low; p->v.low++) {
		const struct naive_packet *gone = &p->v.at[p->v.low];

		assert_int_not_equal(gone->is.state, SENT_IN_FLIGHT);
		assert_true(gone->is_taken || gone->is.state == SENT_NONE);
		if (gone->is.state == SENT_LOST)
			assert_true(gone->lost_at <= p->v.held_from);
	}
}

static void
same_state(struct pair *p)
{
	const struct sent *s = loss_oldest(&p->l);

	assert_int_equal(p->l.next, p->v.n);
	assert_int_equal(p->l.in_flight, naive_in_flight(&p->v));
	assert_int_equal(p->l.threshold, p->v.threshold);
	assert_int_equal(p->l.late, p->v.late);
	assert_int_equal(p->l.delivered, p->v.delivered);
	assert_int_equal(p->l.lost_packets, p->v.lost);
	assert_int_equal(p->l.spurious_packets, p->v.spurious);
	assert_int_equal(p->l.sent_packets, p->v.n);
	for (uint64_t i = 0; i < p->v.n; i++) {
		if (p->v.at[i].is.state != SENT_IN_FLIGHT)
			continue;
		assert_non_null(s);
		assert_int_equal(s->counter, i);
		s = loss_after(&p->l, s);
	}
	assert_null(s);
	same_low(p);
}

static void
take_all(struct pair *p)
{
	const struct sent *s;
	uint64_t next = 0;

	while ((s = loss_take(&p->l)) != NULL) {
		struct naive_packet *wanted = &p->v.at[s->counter];

		assert_true(s->counter >= next || p->is_behind);
		next = s->counter + 1;
		assert_false(wanted->is_taken);
		wanted->is_taken = true;
		assert_true(s->state == SENT_ACKED || s->state == SENT_LOST);
		assert_int_equal(s->state, wanted->is.state);
		assert_int_equal(s->sent_at, wanted->is.sent_at);
		assert_int_equal(s->size, wanted->is.size);
		assert_int_equal(s->mtu_probe, wanted->is.mtu_probe);
		assert_int_equal(s->n_items, wanted->is.n_items);
		assert_memory_equal(s->items, wanted->is.items, sizeof(s->items));
	}
	p->is_behind = false;
	for (uint64_t i = 0; i < p->v.n; i++) {
		uint8_t state = p->v.at[i].is.state;

		if (state == SENT_LOST || (state == SENT_ACKED && i >= p->v.low))
			assert_true(p->v.at[i].is_taken);
	}
}

static void
pair_init(struct pair *p)
{
	memset(p, 0, sizeof(*p));
	assert_int_equal(loss_init(&p->l), 0);
	p->v.threshold = LOSS_THRESHOLD;
	p->v.first_acked_at = NS_NEVER;
	p->v.held_from = INT64_MIN;
}

static void
pair_send(struct pair *p, const struct sent *s)
{
	naive_sent(&p->v, s, p->now);
	assert_true(loss_has_room(&p->l));
	assert_int_equal(loss_sent(&p->l, s, p->now), 0);
	same_low(p);
}

static void
pair_detect(struct pair *p, struct loss_sample *s, struct loss_sample *wanted)
{
	ns_t at = naive_detect(&p->v, &p->rtt, p->now, wanted);

	loss_detect(&p->l, &p->rtt, p->now, s);
	same_sample(s, wanted);
	assert_int_equal(p->l.loss_at, at);
	p->persistents += s->persistent;
	same_state(p);
}

static void
pair_ack(struct pair *p, const struct frame_ack *f)
{
	const struct sent *newest;
	struct loss_sample s, wanted;

	naive_acked(&p->v, f, p->now, &wanted);
	assert_int_equal(loss_acked(&p->l, f, p->now, &newest, &s), 0);
	same_sample(&s, &wanted);
	assert_int_equal(newest != NULL, s.rtt != 0);
	if (newest != NULL) {
		assert_int_equal(newest->counter, f->ranges[0].end - 1);
		rtt_sample(&p->rtt, s.rtt, f->delay * NS_PER_US, p->now);
	}
	pair_detect(p, &s, &wanted);
}

static void
pair_time(struct pair *p)
{
	struct loss_sample s = {0}, wanted = {0};

	if (p->l.loss_at > p->now)
		return;
	pair_detect(p, &s, &wanted);
	assert_true(s.lost > 0 || p->l.loss_at > p->now);
}

static void
pair_death(struct pair *p)
{
	struct loss_sample s = {.now = p->now}, wanted = {.now = p->now};

	for (uint64_t i = 0; i < p->v.n; i++) {
		if (p->v.at[i].is.state != SENT_IN_FLIGHT)
			continue;
		naive_lost(&p->v, &p->v.at[i], p->now, &wanted);
		p->v.at[i].by_death = true;
	}
	wanted.delivered = p->v.delivered;
	loss_all(&p->l, &s);
	same_sample(&s, &wanted);
	assert_int_equal(p->l.loss_at, NS_NEVER);
	assert_int_equal(p->l.in_flight, 0);
	same_state(p);
}

/* ---- a network ---- */

struct network {
	unsigned percent, ack_percent; /* lost */
	ns_t delay, jitter;            /* each way */
	unsigned burst;                /* packets a tick, at most */
	unsigned max_ranges;
	unsigned silence_every; /* ticks; half of each is silent. 0: never */
};

struct ack_on_its_way {
	struct frame_ack f;
	ns_t comes_at;
};

static ns_t
arrival(const struct network *n, ns_t now, unsigned percent)
{
	ns_t half = n->silence_every * TICK / 2;

	if (draw(100) < percent || (half > 0 && now / half % 2 == 1))
		return NS_NEVER;
	return now + n->delay + (n->jitter > 0 ? draw((unsigned)n->jitter) : 0);
}

static void
send_some(struct pair *p, const struct network *n)
{
	unsigned some = draw(n->burst + 1);

	for (unsigned i = 0; i < some && p->v.n < PACKETS; i++) {
		struct sent s = {.size = 40 + draw(1400)};

		s.wants_ack = draw(10) != 0;
		s.mtu_probe = s.wants_ack && draw(30) == 0;
		s.n_items = (uint8_t)draw(LOSS_ITEMS_MAX + 1);
		for (unsigned k = 0; k < s.n_items; k++)
			s.items[k] = (struct item){.stream = draw(9), .off = draw(99)};
		pair_send(p, &s);
		p->v.at[p->v.n - 1].comes_at = arrival(n, p->now, n->percent);
	}
	if (draw(20) == 0) {
		loss_app_limited(&p->l);
		p->v.limited_until = max_u64(1, p->v.n);
	}
}

/* What has come by now, highest first, at most so many ranges. */
static bool
make_ack(const struct pair *p, unsigned max_ranges, struct frame_ack *f)
{
	f->n_ranges = 0;
	for (uint64_t i = p->v.n; i > 0; i--) {
		struct range *last = &f->ranges[f->n_ranges - (f->n_ranges > 0)];

		if (p->v.at[i - 1].comes_at > p->now)
			continue;
		if (f->n_ranges > 0 && last->start == i) {
			last->start--;
			continue;
		}
		if (f->n_ranges == max_ranges)
			break;
		f->ranges[f->n_ranges++] = (struct range){i - 1, i};
	}
	if (f->n_ranges == 0)
		return false;
	f->delay = (uint32_t)((p->now - p->v.at[f->ranges[0].end - 1].comes_at) /
			      NS_PER_US);
	return true;
}

static void
run_network(struct pair *p, const struct network *n)
{
	static struct ack_on_its_way acks[ACKS_IN_FLIGHT];
	ns_t end = NS_NEVER;

	for (size_t i = 0; i < ACKS_IN_FLIGHT; i++)
		acks[i].comes_at = NS_NEVER;
	for (; p->now < end; p->now += TICK) {
		struct ack_on_its_way *a = &acks[draw(ACKS_IN_FLIGHT)];

		send_some(p, n);
		if (p->v.n == PACKETS && end == NS_NEVER)
			end = p->now + 5 * (n->delay + n->jitter) + NS_PER_SEC;
		if (a->comes_at == NS_NEVER && make_ack(p, n->max_ranges, &a->f))
			a->comes_at = arrival(n, p->now, n->ack_percent);
		for (size_t i = 0; i < ACKS_IN_FLIGHT; i++) {
			if (acks[i].comes_at > p->now)
				continue;
			pair_ack(p, &acks[i].f);
			/* The same comes twice now and then. */
			if (draw(4) != 0)
				acks[i].comes_at = NS_NEVER;
			if (draw(8) != 0)
				take_all(p);
			else
				p->is_behind = true;
		}
		pair_time(p);
		if (draw(3000) == 0)
			pair_death(p);
		p->is_behind = true;
		if (draw(3) != 0)
			take_all(p);
		same_state(p);
	}
	take_all(p);
}

static struct pair *
run_pair(const struct network *n)
{
	static struct pair p;

	pair_init(&p);
	run_network(&p, n);
	loss_done(&p.l);
	return &p;
}

#define MS(n) ((n)*NS_PER_MS)

static void
detection_is_the_models(void **state)
{
	static const struct network networks[] = {
		{0, 0, MS(15), 0, 4, 64, 0},        {3, 3, MS(15), 0, 4, 64, 0},
		{0, 0, MS(10), MS(3), 8, 64, 0},    {1, 5, MS(20), MS(40), 20, 64, 0},
		{0, 0, MS(15), 0, 2, 64, 2000},     {20, 30, MS(5), MS(8), 3, 8, 0},
		{2, 2, MS(15), MS(2), 4, 64, 700},  {0, 50, MS(100), MS(100), 6, 1, 0},
		{5, 5, MS(30), MS(1), 60, 64, 300},
	};
	uint64_t persistents = 0, spurious = 0, relaxed = 0, by_time_alone = 0;

	(void)state;
	/* Again when chance kept something rare from happening at all. */
	for (size_t n = 0; n < 10 * ARRAY_LEN(networks); n++) {
		const size_t i = n % ARRAY_LEN(networks);
		const struct pair *p;

		if (i == 0 && persistents > 0 && relaxed > 0 && by_time_alone > 0)
			break;
		p = run_pair(&networks[i]);
		persistents += p->persistents;
		spurious += p->v.spurious;
		relaxed += p->v.late > 0;
		by_time_alone += p->v.threshold == LOSS_THRESHOLD_NONE;
		/* In order and with nothing lost, nothing is taken for lost. */
		if (networks[i].percent == 0 && networks[i].jitter == 0)
			assert_int_equal((uint64_t)p->v.late + p->v.threshold,
					 LOSS_THRESHOLD);
	}
	assert_true(persistents > 0 && spurious > 100);
	assert_true(relaxed > 0 && by_time_alone > 0);
}

/* ---- persistent congestion ---- */

struct story {
	const char *kinds; /* d data, D data that came, p probe, n nothing wanted */
	unsigned sent_ms[6];
	bool is_persistent;
};

/* 3 (50 + 4 + 5) ms: 177 ms are not yet long enough, 178 are. */
static const struct story stories[] = {
	{"ddd", {100, 200, 278}, true},
	{"ddd", {100, 200, 277}, false},
	{"dDd", {100, 200, 278}, false},
	{"Ddd", {99, 100, 278}, true},
	{"pdd", {100, 200, 278}, false},
	{"dpd", {100, 200, 278}, true},
	{"dpp", {100, 200, 278}, false},
	{"dnd", {100, 200, 278}, true},
	{"dnpnd", {100, 150, 160, 170, 278}, true},
	/* The first was sent before anything was known of the path. */
	{"ddd", {49, 101, 278}, false},
	{"ddd", {51, 101, 278}, true},
};

static void
losses_that_last_are_persistent(void **state)
{
	static const struct rtt rtt = {
		.srtt = 50 * NS_PER_MS, .rttvar = NS_PER_MS, .latest = 50 * NS_PER_MS};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(stories); i++) {
		const struct story *t = &stories[i];
		const struct sent *newest;
		struct frame_ack f = {.n_ranges = 1, .ranges = {{0, 1}}};
		struct loss_sample sample;
		bool is_known = false;
		struct loss l;

		assert_int_equal(loss_init(&l), 0);
		assert_int_equal(
			loss_sent(&l, &(struct sent){.size = 9, .wants_ack = true}, 0),
			0);
		for (size_t k = 0; k < strlen(t->kinds) + 3; k++) {
			char kind = k < strlen(t->kinds) ? t->kinds[k] : 'D';
			ns_t at = k < strlen(t->kinds) ? t->sent_ms[k] * NS_PER_MS
						       : 300 * NS_PER_MS;
			const struct sent p = {.size = 1000,
					       .wants_ack = kind != 'n',
					       .mtu_probe = kind == 'p'};

			if (at > 50 * NS_PER_MS && !is_known)
				assert_int_equal(loss_acked(&l, &f, 50 * NS_PER_MS,
							    &newest, &sample),
						 0);
			is_known |= at > 50 * NS_PER_MS;
			assert_int_equal(loss_sent(&l, &p, at), 0);
			if (kind != 'D')
				continue;
			memmove(f.ranges + 1, f.ranges,
				f.n_ranges++ * sizeof(*f.ranges));
			f.ranges[0] = (struct range){l.next - 1, l.next};
		}
		assert_int_equal(loss_acked(&l, &f, 350 * NS_PER_MS, &newest, &sample),
				 0);
		loss_detect(&l, &rtt, 350 * NS_PER_MS, &sample);
		assert_int_equal(l.in_flight, 0);
		if (sample.persistent != t->is_persistent)
			fail_msg("%s at %u ms", t->kinds, t->sent_ms[0]);
		loss_done(&l);
	}
}

/* A run is over where one of its packets came after all. */
static void
a_spurious_loss_ends_a_run(void **state)
{
	static const ns_t sent_ms[] = {0, 100, 150, 278, 279, 280, 281, 282};
	static const struct rtt rtt = {
		.srtt = 50 * NS_PER_MS, .rttvar = NS_PER_MS, .latest = 50 * NS_PER_MS};
	static const struct {
		ns_t ms;
		struct range came;
	} acks[] = {{50, {0, 1}}, {330, {4, 5}}, {331, {1, 2}}, {332, {5, 8}}};
	const struct sent *newest;
	struct loss_sample s;
	struct loss l;
	size_t n = 0;

	(void)state;
	assert_int_equal(loss_init(&l), 0);
	for (size_t i = 0; i < ARRAY_LEN(acks); i++) {
		const struct frame_ack f = {.n_ranges = 1, .ranges = {acks[i].came}};
		const ns_t now = acks[i].ms * NS_PER_MS;

		for (; n < ARRAY_LEN(sent_ms) && sent_ms[n] < acks[i].ms; n++) {
			const struct sent p = {.size = 1, .wants_ack = true};

			assert_int_equal(loss_sent(&l, &p, sent_ms[n] * NS_PER_MS), 0);
		}
		assert_int_equal(loss_acked(&l, &f, now, &newest, &s), 0);
		loss_detect(&l, &rtt, now, &s);
		assert_false(s.persistent);
		assert_int_equal(s.spurious, acks[i].ms == 331);
	}
	assert_int_equal(l.lost_packets, 3);
	assert_int_equal(l.in_flight, 0);
	loss_done(&l);
}

/* ---- delivery rate ---- */

/* A queue before a link of `rate`; acknowledgements of every `every`th packet. */
struct bottleneck {
	struct loss l;
	struct rtt rtt;
	uint64_t rate, window;
	ns_t delay, now;
	unsigned every;
	ns_t free_at; /* when the link has sent what it has */
	ns_t comes_at[100000];
	uint64_t said; /* packets that were acknowledged */
	struct loss_sample last;
};

enum { SIZE = 1400 };

static void
fill_window(struct bottleneck *b, uint64_t window)
{
	while (b->l.in_flight + SIZE <= window && b->l.next < ARRAY_LEN(b->comes_at)) {
		const struct sent p = {.size = SIZE, .wants_ack = true};

		b->free_at = max_ns(b->free_at, b->now) +
			     (ns_t)(SIZE * NS_PER_SEC / b->rate);
		b->comes_at[b->l.next] = b->free_at + b->delay;
		assert_int_equal(loss_sent(&b->l, &p, b->now), 0);
	}
}

/* Goes on to the next acknowledgement. */
static void
hear(struct bottleneck *b)
{
	uint64_t n = min_u64(b->said + b->every, b->l.next);
	struct frame_ack f = {.n_ranges = 1, .ranges = {{0, n}}};
	const struct sent *newest;

	b->now = max_ns(b->now, b->comes_at[n - 1] + b->delay);
	b->said = n;
	assert_int_equal(loss_acked(&b->l, &f, b->now, &newest, &b->last), 0);
	rtt_sample(&b->rtt, b->last.rtt, 0, b->now);
	loss_detect(&b->l, &b->rtt, b->now, &b->last);
	assert_int_equal(b->last.lost, 0);
	while (loss_take(&b->l) != NULL)
		;
}

static void
assert_rate(const struct bottleneck *b)
{
	assert_false(b->last.app_limited);
	assert_in_range(b->last.rate, b->rate * 98 / 100, b->rate * 102 / 100);
}

static void
samples_are_the_bottlenecks_rate(void **state)
{
	static const uint64_t rates[] = {125000, 1250000, 12500000, 125000000};
	static struct bottleneck b;

	(void)state;
	for (size_t i = 0; i < 4 * ARRAY_LEN(rates); i++) {
		static const unsigned every[] = {1, 2, 5, 16};
		uint64_t until;

		memset(&b, 0, sizeof(b));
		assert_int_equal(loss_init(&b.l), 0);
		b.rate = rates[i % ARRAY_LEN(rates)];
		b.every = every[i / ARRAY_LEN(rates)];
		b.delay = 20 * NS_PER_MS;
		b.window = max_u64(2 * b.rate * 40 / 1000, 40 * SIZE);
		for (until = 6 * b.window / SIZE; b.l.next < until;) {
			fill_window(&b, b.window);
			hear(&b);
			if (b.said > 2 * b.window / SIZE)
				assert_rate(&b);
		}
		/* One packet a round trip shows no rate, and says so. */
		while (b.l.in_flight > 0)
			hear(&b);
		for (int n = 0; n < 10; n++) {
			loss_app_limited(&b.l);
			fill_window(&b, SIZE);
			hear(&b);
			b.now += 100 * NS_PER_MS;
		}
		assert_true(b.last.app_limited && b.last.rate < 50000);
		/* That is over some round trips after there is enough to do. */
		until = b.l.next + 3 * b.window / SIZE;
		while (b.said < until) {
			fill_window(&b, b.window);
			hear(&b);
		}
		assert_rate(&b);
		loss_done(&b.l);
	}
}

/* ---- bounds ---- */

static void
send_many(struct loss *l, uint64_t n, bool wants_ack)
{
	const struct sent p = {.size = 1000, .wants_ack = wants_ack};

	while (n-- > 0)
		assert_int_equal(loss_sent(l, &p, 0), 0);
}

static void
say(struct loss *l, const struct frame_ack *f, ns_t now)
{
	static const struct rtt rtt = {.srtt = 50 * NS_PER_MS};
	const struct sent *newest;
	struct loss_sample s;

	assert_int_equal(loss_acked(l, f, now, &newest, &s), 0);
	loss_detect(l, &rtt, now, &s);
	while (loss_take(l) != NULL)
		;
}

static void
the_ring_has_an_end(void **state)
{
	const struct sent p = {.size = 1000, .wants_ack = true};
	const struct frame_ack f = {.n_ranges = 1, .ranges = {{0, 5}}};
	struct loss l, before;

	(void)state;
	assert_int_equal(loss_init(&l), 0);
	send_many(&l, LOSS_PACKETS_MAX, true);
	assert_false(loss_has_room(&l));
	before = l;
	assert_int_equal(loss_sent(&l, &p, 0), -ENOBUFS);
	assert_memory_equal(&l, &before, sizeof(l));
	say(&l, &f, 1);
	for (int i = 0; i < 5; i++) {
		assert_true(loss_has_room(&l));
		assert_int_equal(loss_sent(&l, &p, 1), 0);
	}
	assert_false(loss_has_room(&l));
	loss_done(&l);
}

/* What is lost is held while there is room, and no longer. */
static void
one_lost_packet_holds_nobody_up(void **state)
{
	struct loss l;

	(void)state;
	assert_int_equal(loss_init(&l), 0);
	send_many(&l, 10, true);
	for (uint64_t n = 10; n < 4 * LOSS_PACKETS_MAX; n += 10) {
		const struct frame_ack f = {.n_ranges = 1, .ranges = {{1, n}}};

		say(&l, &f, 1);
		assert_int_equal(l.lost_packets, 1);
		assert_int_equal(l.low > 0, n > LOSS_PACKETS_MAX);
		assert_true(loss_has_room(&l));
		send_many(&l, 10, true);
	}
	loss_done(&l);
}

/* A receiver that only acknowledges needs no memory for that. */
static void
nobody_waits_for_acknowledgements_of_acknowledgements(void **state)
{
	struct loss l;

	(void)state;
	assert_int_equal(loss_init(&l), 0);
	send_many(&l, 10 * LOSS_PACKETS_MAX, false);
	assert_true(l.cap < 1000);
	assert_int_equal(l.in_flight, 0);
	assert_null(loss_oldest(&l));
	assert_null(loss_take(&l));
	loss_done(&l);
}

static void
the_impossible_is_refused(void **state)
{
	static const struct frame_ack frames[] = {
		{.n_ranges = 1, .ranges = {{0, 101}}},
		{.n_ranges = 1, .ranges = {{100, 101}}},
		{.n_ranges = 1, .ranges = {{5, UINT64_MAX}}},
		{.n_ranges = 1, .ranges = {{5, 5}}},
		{.n_ranges = 2, .ranges = {{50, 60}, {5, 4}}},
		{.n_ranges = 2, .ranges = {{5, 6}, {8, 9}}},
		{.n_ranges = 2, .ranges = {{50, 60}, {40, 51}}},
		{.n_ranges = 0},
		{.n_ranges = FRAME_ACK_RANGES_MAX + 1},
	};
	const struct sent *newest = (const struct sent *)&frames, *untouched = newest;
	struct loss_sample s = {.now = 77};
	struct loss l, before;

	(void)state;
	assert_int_equal(loss_init(&l), 0);
	send_many(&l, 100, true);
	before = l;
	for (size_t i = 0; i < ARRAY_LEN(frames); i++) {
		assert_int_equal(loss_acked(&l, &frames[i], 5, &newest, &s), -EPROTO);
		assert_memory_equal(&l, &before, sizeof(l));
		assert_ptr_equal(newest, untouched);
		assert_int_equal(s.now, 77);
	}
	assert_null(loss_take(&l));
	loss_done(&l);
}

/*
 * The same told again costs its ranges and not what is in them: 64 ranges of some
 * 500 packets, a hundred thousand times.
 */
static void
repetition_is_cheap(void **state)
{
	struct frame_ack f = {.n_ranges = FRAME_ACK_RANGES_MAX};
	const unsigned part = LOSS_PACKETS_MAX / FRAME_ACK_RANGES_MAX;
	clock_t began = clock();
	struct loss l;

	(void)state;
	assert_int_equal(loss_init(&l), 0);
	send_many(&l, LOSS_PACKETS_MAX, true);
	for (unsigned i = 0; i < FRAME_ACK_RANGES_MAX; i++) {
		uint64_t end = LOSS_PACKETS_MAX - i * part;

		/* One by one from above, which makes the longest chains. */
		f.ranges[i] = (struct range){end - part + 1, end};
		for (uint64_t c = end - 1; c > end - part; c--) {
			const struct frame_ack one = {.n_ranges = 1,
						      .ranges = {{c, c + 1}}};

			say(&l, &one, 1);
		}
	}
	for (int i = 0; i < 100000; i++)
		say(&l, &f, 1);
	assert_int_equal(l.low, 0);
	assert_true(clock() - began < 3 * CLOCKS_PER_SEC);
	loss_done(&l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(detection_is_the_models),
		cmocka_unit_test(losses_that_last_are_persistent),
		cmocka_unit_test(a_spurious_loss_ends_a_run),
		cmocka_unit_test(samples_are_the_bottlenecks_rate),
		cmocka_unit_test(the_ring_has_an_end),
		cmocka_unit_test(one_lost_packet_holds_nobody_up),
		cmocka_unit_test(nobody_waits_for_acknowledgements_of_acknowledgements),
		cmocka_unit_test(the_impossible_is_refused),
		cmocka_unit_test(repetition_is_cheap),
	};

	seed = seed_choose();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
