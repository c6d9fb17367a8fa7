#include "daemon/core/acks.h"

#include <stdlib.h>

enum {
	PACKETS_MIN = 2, /* to acknowledge, before that is done */
	PACKETS_MAX = 16,
	PACKETS_OF_WINDOW = 8, /* at least so often a window of the peer's */
	TIMES_OF_RTT = 8,      /* and a round trip */
	GAPS_IN_RTT = 32,
	TOLD_AGAIN = 4, /* one part of a frame: the last one may have been lost */
};

int
acks_init(struct acks *a)
{
	uint64_t *window = calloc(ACKS_WINDOW / 64, sizeof(*window));

	if (window == NULL)
		return -ENOMEM;
	*a = (struct acks){
		.window = window,
		.due_at = NS_NEVER,
		.said_at = -ACKS_GAP,
		.last_at = INT64_MIN / 2,
		.unsaid_low = UINT64_MAX,
	};
	ranges_init(&a->ranges, ACKS_RANGES_MAX);
	return 0;
}

void
acks_done(struct acks *a)
{
	ranges_done(&a->ranges);
	free(a->window);
	a->window = NULL;
}

#define TRIM_GAP (250 * NS_PER_MS)

static uint64_t *
word_of(const struct acks *a, uint64_t counter)
{
	return &a->window[counter % ACKS_WINDOW / 64];
}

static uint64_t
bit_of(uint64_t counter)
{
	return UINT64_C(1) << counter % 64;
}

bool
acks_is_new(const struct acks *a, uint64_t counter)
{
	if (counter > WIRE_NUMBER_MAX)
		return false;
	if (counter >= a->next)
		return true;
	if (a->next - counter > ACKS_WINDOW)
		return false;
	return (*word_of(a, counter) & bit_of(counter)) == 0;
}

/* Moves the window up behind `counter`; what it skips has not come. */
static void
advance(struct acks *a, uint64_t counter)
{
	uint64_t c = a->next;

	if (counter - c >= ACKS_WINDOW)
		c = counter - ACKS_WINDOW + 1;
	while (c <= counter) {
		bool is_whole = c % 64 == 0 && counter - c >= 63;

		*word_of(a, c) &= is_whole ? 0 : ~bit_of(c);
		c += is_whole ? 64 : 1;
	}
	a->next = counter + 1;
}

/*
 * What does not fit or is out of memory is not told, and is taken for lost by the
 * peer: the lowest range first, which it has been told most often.
 */
static void
add_range(struct acks *a, uint64_t counter)
{
	while (ranges_add(&a->ranges, counter, counter + 1) == -ENOBUFS &&
	       counter > a->ranges.at[0].start)
		ranges_remove_below(&a->ranges, a->ranges.at[0].end);
}

static ns_t
longest_delay(const struct acks_pace *pace)
{
	if (pace->srtt == 0)
		return ACKS_DELAY_MAX;
	return min_ns(ACKS_DELAY_MAX, pace->srtt / TIMES_OF_RTT);
}

static ns_t
least_gap(const struct acks_pace *pace)
{
	return min_ns(ACKS_GAP, pace->srtt / GAPS_IN_RTT);
}

/*
 * A hole that a loss has left never closes, and every frame would tell of it: what
 * came before was told often enough, and is told no more.
 */
static void
trim(struct acks *a, ns_t srtt, ns_t now)
{
	if (now - a->mark_at < max_ns(TRIM_GAP, 2 * srtt))
		return;
	ranges_remove_below(&a->ranges, a->old_mark);
	a->old_mark = a->mark;
	a->mark = a->next - 1;
	a->mark_at = now;
}

void
acks_received(struct acks *a, uint64_t counter, bool wants_ack, bool at_once,
	      const struct acks_pace *pace, ns_t now)
{
	const bool in_order = counter == a->next;
	const unsigned many = pace->packets / PACKETS_OF_WINDOW;
	bool was_silent;

	assert(acks_is_new(a, counter));
	if (counter >= a->next) {
		advance(a, counter);
		a->highest_at = now;
	}
	*word_of(a, counter) |= bit_of(counter);
	add_range(a, counter);
	trim(a, pace->srtt, now);
	if (!wants_ack)
		return;

	was_silent = now - a->last_at > max_ns(pace->srtt, ACKS_DELAY_MAX);
	a->last_at = now;
	a->unsaid++;
	a->unsaid_low = min_u64(a->unsaid_low, counter);
	if (at_once || was_silent)
		a->due_at = min_ns(a->due_at, now);
	else if (!in_order ||
		 a->unsaid >= max_size(PACKETS_MIN, min_size(PACKETS_MAX, many)))
		a->due_at =
			min_ns(a->due_at, max_ns(now, a->said_at + least_gap(pace)));
	else
		a->due_at = min_ns(a->due_at, now + longest_delay(pace));
}

void
acks_refused(struct acks *a, uint64_t counter)
{
	assert(acks_is_new(a, counter));
	if (counter >= a->next)
		advance(a, counter);
	*word_of(a, counter) |= bit_of(counter);
}

bool
acks_frame(const struct acks *a, uint8_t subflow, size_t max_ranges, ns_t now,
	   struct frame_ack *ret_ack)
{
	const uint64_t delay = (uint64_t)max_ns(now - a->highest_at, 0) / NS_PER_US;
	uint32_t n = (uint32_t)min_size(a->ranges.n, max_ranges), low;
	const struct range *next;

	n = (uint32_t)min_size(n, FRAME_ACK_RANGES_MAX);
	if (n == 0)
		return false;
	ret_ack->subflow = subflow;
	ret_ack->received_at = (uint32_t)(a->highest_at / NS_PER_US);
	ret_ack->delay = (uint32_t)min_u64(delay, UINT32_MAX);
	ret_ack->n_ranges = n;
	next = a->ranges.at + a->ranges.n - 1;
	ret_ack->ranges[0] = *next;
	low = ranges_find(&a->ranges, a->unsaid_low);
	low -= (uint32_t)min_size(low, n / TOLD_AGAIN);
	if (low < a->ranges.n - n)
		next = a->ranges.at + low + n - 1;
	for (uint32_t i = 1; i < n; i++)
		ret_ack->ranges[i] = *--next;
	return true;
}

void
acks_said(struct acks *a, ns_t now)
{
	a->said_at = now;
	a->unsaid = 0;
	a->unsaid_low = UINT64_MAX;
	a->due_at = NS_NEVER;
}
