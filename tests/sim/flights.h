/*
 * flights - the simulator's datagrams on their way, by when they are due.
 *
 * Model:   a binary heap by time, and by turn among those of one time. Those that
 *          have landed wait, with their buffers, for the next datagram.
 * Bounds:  FLIGHTS_MAX in all. Memory is that of the most that there were at once.
 * Owner:   the caller owns the struct, which owns all flights; one that was taken
 *          or popped is the caller's until it is pushed or put back.
 */
#ifndef TESTS_SIM_FLIGHTS_H
#define TESTS_SIM_FLIGHTS_H

#include "common/base.h"
#include "tests/sim/net.h"

enum { FLIGHTS_MAX = 1 << 18 };

struct flight {
	struct flight *next; /* of those without a datagram */
	struct sim_dgram dgram;
	size_t cap; /* bytes at dgram.data */
	bool injected;
};

struct flights_due {
	ns_t at;
	uint64_t turn;
	struct flight *flight;
};

struct flights {
	struct flights_due *heap; /* has room for all flights that there are */
	size_t n, cap;
	uint64_t turn;
	struct flight *idle;
	size_t n_made;
};

/* All zero is ready. */
void flights_done(struct flights *fs);

/* With a copy of `d`. NULL: FLIGHTS_MAX are there, or no memory. */
struct flight *flights_take(struct flights *fs, const struct sim_dgram *d);
void flights_put_back(struct flights *fs, struct flight *f);

void flights_push(struct flights *fs, struct flight *f, ns_t at);
/* When the first is due; NS_NEVER: none is on its way. */
ns_t flights_first_at(const struct flights *fs);
/* Takes the first out; one must be there. */
struct flight *flights_pop(struct flights *fs);

#endif
