/*
 * watch - what must hold of two sessions, whatever the network does.
 *
 * Model:   the world shows it every burst and every step; it compares what it
 *          sees from outside with what the sessions believe:
 *
 *	counters    each packet of a subflow has a higher one, through all
 *	            generations of keys: no nonce twice under a key
 *	generation  counts up by one, and never goes back; the server is at
 *	            most one behind the client
 *	addresses   three times what came from it, until it is proven; one that
 *	            the client cannot have is never proven
 *	data        only on active subflows, as long as there is one; on a backup
 *	            only when no other is active; never on one that has ended
 *	flight      the sum over packets is what the window is compared with
 *	memory      within both budgets
 *	windows     in the end, both sides have counted the same bytes
 *
 * Bounds:  WATCH_ADDRESSES_MAX addresses of the client.
 * Owner:   the caller owns the struct, which looks at the sessions.
 * Errors:  what is wrong, as a sentence; NULL: nothing is.
 */
#ifndef TESTS_SIM_WATCH_H
#define TESTS_SIM_WATCH_H

#include "daemon/core/session.h"
#include "tests/sim/net.h"

enum { WATCH_ADDRESSES_MAX = 512 };

/* Where the server has heard somebody who has the keys. */
struct watch_address {
	struct addr at;
	uint64_t in, out; /* bytes */
	bool proven;
};

struct watch {
	const struct session *s[2];
	struct session_stats before; /* of the side that is sending, or hearing */
	uint64_t counters[2][SESSION_SUBFLOWS_MAX]; /* the least that may come next */
	uint8_t generation[2];
	struct watch_address addresses[WATCH_ADDRESSES_MAX];
	unsigned n_addresses;
	unsigned steps;
};

void
watch_init(struct watch *w, const struct session *client, const struct session *server);

/* Before and after session_output() and session_input(). */
void watch_begin(struct watch *w, enum sim_side side);
const char *watch_sent(struct watch *w, enum sim_side side, const struct burst *b);
const char *watch_heard(struct watch *w, enum sim_side side, const struct burst *b);

/* When both have done what they had to. */
const char *watch_step(struct watch *w);
/* When every stream is over and nothing is on its way. */
const char *watch_end(const struct watch *w);

#endif
