/*
 * sent - what is remembered of a packet that was sent.
 *
 * Units:   counters; bytes of whole datagrams (UDP payload); ns.
 * Bounds:  LOSS_ITEMS_MAX items.
 * Owner:   loss.h has them; `items` are words of the one who sends.
 */
#ifndef DAEMON_CORE_SENT_H
#define DAEMON_CORE_SENT_H

#include "common/base.h"

enum { LOSS_ITEMS_MAX = 6 };
#define SENT_NOBODY UINT64_MAX /* no counter of a packet */

/* Something in a packet that matters when its fate is known. */
struct item {
	uint64_t stream; /* or another number, as `kind` has it */
	uint64_t off;
	uint32_t len;
	uint8_t kind;
	bool fin;
	bool again; /* it was lost before */
};

enum sent_state { SENT_NONE, SENT_IN_FLIGHT, SENT_ACKED, SENT_LOST };
enum lost_by { LOST_BY_COUNT, LOST_BY_TIME, LOST_BY_DEATH };

struct sent {
	uint64_t counter;
	ns_t sent_at;
	/* The state of delivery when it was sent. */
	uint64_t delivered;
	ns_t delivered_at, first_sent_at;
	uint64_t in_flight; /* bytes, this one included */
	uint32_t size;
	uint8_t state; /* enum sent_state */
	uint8_t n_items;
	bool wants_ack; /* else it is neither in flight nor ever lost */
	bool mtu_probe; /* its loss is no sign of congestion */
	bool app_limited;
	bool taken;      /* by loss_take() */
	bool copied;     /* or in no need of it: loss_copied() */
	uint8_t lost_by; /* enum lost_by */
	struct item items[LOSS_ITEMS_MAX];
	ns_t lost_at;
	uint64_t order;        /* among those that want an acknowledgement */
	uint64_t older, newer; /* neighbours in the list that it is in */
	uint64_t skip; /* acknowledged: so is everything between here and there */
};

/* Packets in order of their counters, linked by `older` and `newer`. */
struct sent_list {
	uint64_t oldest, newest; /* both SENT_NOBODY: empty */
};

#endif
