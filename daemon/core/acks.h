/*
 * acks - which packets of one subflow have come, and when to say so.
 *
 * Model:   a bitmap of the last ACKS_WINDOW counters refuses replays; ranges
 *          of what came are told to the peer, newest first. When there are more
 *          than a frame holds, it tells the newest one and, as far as they fit,
 *          those from the lowest packet up that no frame has told of:
 *
 *	lowest                                                     newest
 *	 |##|    |#| |##| |##| |##| ... |##| |#|   |##| |##| |##| |#|
 *	             ^ came since the last frame               told: |#|
 *	              told: |##| |##| |##| ... |##|
 *
 * Units:   counters of packets; ns.
 * Bounds:  ACKS_WINDOW counters; ACKS_RANGES_MAX ranges: the lowest are
 *          forgotten first. A counter below the window counts as a replay.
 * Owner:   the caller owns the struct from acks_init() to acks_done().
 * Errors:  0 or -errno.
 * Source:  docs/protocol.md, "Acknowledgements": every max(2, min(16,
 *          window / 8)) packets or min(5 ms, srtt / 8); at once out of order,
 *          after a silence of a round trip, on request; but for the last two no
 *          sooner than min(ACKS_GAP, srtt / 32) after the one before. RFC 9000, 13.2;
 *          RFC 6479 (window).
 */
#ifndef DAEMON_CORE_ACKS_H
#define DAEMON_CORE_ACKS_H

#include "common/base.h"
#include "daemon/core/ranges.h"
#include "daemon/core/wire.h"

enum {
	ACKS_WINDOW = 32768,
	ACKS_RANGES_MAX = 1024, /* jitter of +-20 ms leaves 600 at a gigabit */
};
#define ACKS_DELAY_MAX (5 * NS_PER_MS)
#define ACKS_GAP       NS_PER_MS /* a way up may be narrow, and a way down fast */

struct acks {
	uint64_t next;    /* one above the highest counter that came */
	uint64_t *window; /* bitmap of ACKS_WINDOW bits */
	struct ranges ranges;
	ns_t highest_at;         /* when the highest one came */
	unsigned unsaid;         /* packets to acknowledge that no frame has told of */
	uint64_t unsaid_low;     /* the lowest of them; UINT64_MAX: none */
	uint64_t mark, old_mark; /* the highest counter at the last two trims */
	ns_t mark_at;
	ns_t due_at;  /* when to tell at the latest; NS_NEVER: nothing to tell */
	ns_t last_at; /* when the last packet to acknowledge came */
	ns_t said_at; /* when a frame was sent last */
};

int acks_init(struct acks *a) MUST_CHECK; /* -ENOMEM */
void acks_done(struct acks *a);

/* Whether this counter may still be opened: not seen, not too old, not impossible. */
bool acks_is_new(const struct acks *a, uint64_t counter);

/* What the pace of acknowledgements depends on. */
struct acks_pace {
	ns_t srtt;        /* 0: not known */
	unsigned packets; /* of the peer's window, as far as known; 0: not known */
};

/*
 * A packet that opened, whose counter is new. `wants_ack`: it holds more than
 * acknowledgements. `at_once`: its header asks for that.
 */
void acks_received(struct acks *a, uint64_t counter, bool wants_ack, bool at_once,
		   const struct acks_pace *pace, ns_t now);

/* A packet that opened, and is not to be acknowledged: only its replays are refused. */
void acks_refused(struct acks *a, uint64_t counter);

/* Fills in everything, see above. False: nothing has come yet. */
bool acks_frame(const struct acks *a, uint8_t subflow, size_t max_ranges, ns_t now,
		struct frame_ack *ret_ack);
/* A frame has been sent. */
void acks_said(struct acks *a, ns_t now);

#endif
