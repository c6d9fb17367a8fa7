/*
 * lane - one direction of an emulated link.
 *
 * Model:   a packet waits in a queue, is serialised at `rate`, may then be
 *          lost, spoilt or doubled, and flies for `delay`:
 *
 *	lane_put -> | queue | -> serialise -> ~ flight ~ -> lane_take
 *	    |           |             |            |
 *	  state, mtu   full       loss, bursts   state turned
 *
 *          Loss comes after the serialiser: a lost packet has used the rate.
 *          A lane that is not up drops what it holds, in flight too.
 * Units:   bytes are IP bytes; rates bit/s, 0 for no limit; parts 0 to 1.
 * Bounds:  LANE_FLIGHT_MAX packets in flight, `queue` in the queue.
 * Owner:   the lane owns its packets; lane_take() gives one to the caller,
 *          who frees it.
 */
#ifndef TESTS_LAB_LANE_H
#define TESTS_LAB_LANE_H

#include "common/base.h"

#define LANE_FLIGHT_MAX       65536
/* The memory of recent deliveries: 10.24 s. */
#define LANE_RECENT_BUCKETS   1024
#define LANE_RECENT_BUCKET_NS (10 * NS_PER_MS)

enum lane_state {
	LANE_UP,
	LANE_DOWN,      /* the sending end's device is down */
	LANE_NOCARRIER, /* the sending end's device has lost its carrier */
	LANE_SILENT,    /* everything is dropped, and nobody is told */
};

struct lane_params {
	double rate;
	double queue_bytes; /* 0: by time */
	ns_t queue_ns;
	ns_t delay;
	ns_t jitter;  /* uniform, +- */
	bool ordered; /* jitter delays the packets behind instead */
	double loss;
	double burst; /* mean length of a burst of losses; up to 1: none */
	double reorder;
	ns_t reorder_by; /* how much later a reordered packet comes */
	double duplicate;
	double corrupt;
	size_t mtu;
	enum lane_state state;
};

/*
 * in + duplicated = out + every dropped_* + waiting in queue and flight.
 */
struct lane_counters {
	uint64_t in_packets, in_bytes;
	uint64_t out_packets, out_bytes;
	uint64_t dropped_queue, dropped_loss, dropped_mtu, dropped_state;
	uint64_t dropped_error; /* the receiving device refused it */
	uint64_t duplicated, reordered, corrupted;
};

struct packet {
	struct packet *next;
	ns_t due_at;
	uint64_t order;
	size_t len;
	uint8_t data[];
};

struct lane {
	struct lane_params params;
	struct lane_counters counters;

	struct packet *head, **tail;
	size_t queue_packets, queue_bytes;
	ns_t sent_at; /* when the head has left the serialiser */

	struct packet **flight; /* heap by (due_at, order) */
	size_t n_flight;
	uint64_t order;
	ns_t last_due_at;

	uint64_t random;
	bool in_burst;

	uint64_t recent[LANE_RECENT_BUCKETS];
	int64_t recent_at; /* number of the newest bucket */
};

/* Up, without limits; -ENOMEM. */
int lane_init(struct lane *lane, uint64_t seed) MUST_CHECK;
void lane_done(struct lane *lane);

void lane_configure(struct lane *lane, const struct lane_params *params, ns_t now);
void lane_put(struct lane *lane, const uint8_t *data, size_t len, ns_t now);

/* The next packet whose time has come, or NULL. */
struct packet *lane_take(struct lane *lane, ns_t now);
/* What became of the packet that lane_take() gave. */
void lane_delivered(struct lane *lane, size_t len, bool accepted, ns_t now);

/* When lane_take() may next have a packet; NS_NEVER if the lane is empty. */
ns_t lane_next_at(const struct lane *lane);
/* Bytes delivered in the last `span`, in whole buckets. */
uint64_t lane_recent(struct lane *lane, ns_t span, ns_t now);

#endif
