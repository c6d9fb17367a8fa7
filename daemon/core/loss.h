/*
 * loss - the packets that one subflow has sent: which came, which are lost.
 *
 * Model:   a ring of sent packets by counter. An acknowledgement marks packets
 *          and finds others lost; loss_take() hands out each one whose fate
 *          was decided: once, and once more when what was lost came after all.
 *          A packet is never sent again, its items are.
 *
 *	low                                             next
 *	 | decided | in flight | lost, held | in flight |
 *
 *          A packet is lost when one sent `threshold` packets later was
 *          acknowledged, or a later one was and 9/8 of max(srtt, latest, late)
 *          went by. Lost ones are held for two round trips: when an
 *          acknowledgement comes after all, the loss was spurious, and the rule
 *          that was too hasty waits for as long as this one took. Whatever was taken, or
 *          wanted no acknowledgement, leaves at the low end.
 * Units:   counters; bytes of whole datagrams (UDP payload); ns.
 * Bounds:  LOSS_PACKETS_MAX packets between low and next: more cannot be sent.
 *          An acknowledgement costs its ranges and what is new in them.
 * Owner:   the caller owns the struct from loss_init() to loss_done(); packets
 *          that are returned live until the next call that is not const.
 * Errors:  0 or -errno; after an error nothing has changed.
 * Source:  RFC 9002, 6, 7.6 and A; RFC 8985, 6.2 (reordering);
 *          draft-cheng-iccrg-delivery-rate-estimation-02 (rate samples).
 */
#ifndef DAEMON_CORE_LOSS_H
#define DAEMON_CORE_LOSS_H

#include "common/base.h"
#include "daemon/core/rtt.h"
#include "daemon/core/sent.h"
#include "daemon/core/wire.h"

enum {
	LOSS_PACKETS_MAX = 32768,
	LOSS_THRESHOLD = 3,      /* packets, at first */
	LOSS_THRESHOLD_MAX = 64, /* after spurious losses */
	LOSS_EIGHTHS = 9,        /* of the round trip, or of what came latest */
	LOSS_ROUNDS = 16,        /* with losses, none spurious: halfway back again */
};
#define LOSS_LATE_MAX       NS_PER_SEC
#define LOSS_THRESHOLD_NONE UINT32_MAX /* reordering beyond the maximum: time decides */

/* Lost packets with nothing acknowledged in between; RFC 9002, 7.6. */
struct loss_run {
	uint64_t first, last; /* counters; SENT_NOBODY: no run */
	uint64_t last_order;
	ns_t since; /* when the first one was sent */
};

struct loss {
	struct sent *ring;
	size_t cap;             /* power of two, grows to LOSS_PACKETS_MAX */
	uint64_t low;           /* every counter below is forgotten */
	uint64_t next;          /* the next packet's counter */
	uint64_t largest_acked; /* SENT_NOBODY: none */
	uint64_t in_flight;     /* bytes */
	uint32_t threshold;     /* packets, or LOSS_THRESHOLD_NONE */
	ns_t late; /* how long what was taken for lost took to be acknowledged; 0: never */
	ns_t loss_at; /* when a packet will be lost by time; NS_NEVER: none waits */
	ns_t last_sent_at; /* of those that want an acknowledgement */
	uint64_t lost_packets, spurious_packets, sent_packets; /* statistics */
	/* Delivery rate. */
	uint64_t delivered; /* bytes acknowledged since the start */
	ns_t delivered_at, first_sent_at;
	uint64_t app_limited_until; /* counter; 0: not limited */
	/* The module's own. */
	struct sent_list flying, acked, lost; /* the latter two wait to be taken */
	struct loss_run run;
	uint64_t order;      /* packets that wanted an acknowledgement so far */
	ns_t first_acked_at; /* NS_NEVER: nothing was */
	uint64_t round_from; /* what was sent before is no new round with losses */
	unsigned rounds;     /* with losses since the last spurious one */
};

/* What one acknowledgement, or the time that went by, has changed. */
struct loss_sample {
	ns_t now;
	ns_t rtt; /* of the highest packet acknowledged, if that is new; 0: none */
	uint64_t acked;         /* bytes newly acknowledged */
	uint32_t acked_packets; /* the same, and how long all of these took */
	ns_t acked_ns;
	uint64_t lost;            /* bytes newly lost, MTU probes left out */
	ns_t lost_sent_at;        /* when the newest of those was sent */
	uint64_t in_flight;       /* bytes, after both */
	uint64_t prior_in_flight; /* the same when the sample's packet was sent */
	uint64_t delivered;       /* bytes since the start */
	uint64_t prior_delivered; /* the same when the sample's packet was sent */
	uint64_t rate;            /* bytes a second; 0: no valid sample */
	bool app_limited;
	bool spurious;   /* a loss was undone that counted in `lost` */
	bool persistent; /* RFC 9002, 7.6 */
};

int loss_init(struct loss *l) MUST_CHECK;
void loss_done(struct loss *l);

/* Whether another packet can be remembered. */
bool loss_has_room(const struct loss *l);

/*
 * A packet has been sent, with the counter l->next before the call. `p`:
 * size, wants_ack, mtu_probe and items are the caller's; the rest is filled in.
 * -ENOMEM, -ENOBUFS: it is not remembered; do not send it.
 */
int loss_sent(struct loss *l, const struct sent *p, ns_t now) MUST_CHECK;

/*
 * An acknowledgement came. ret_newest: the highest packet that it acknowledges
 * when that is new, for rtt_sample() and rtt_one_way(), else NULL.
 *
 * -EPROTO  it acknowledges what was never sent: end the subflow
 */
int
loss_acked(struct loss *l, const struct frame_ack *ack, ns_t now,
	   const struct sent **ret_newest, struct loss_sample *ret_sample) MUST_CHECK;

/*
 * Finds what is lost by now, after loss_acked() and rtt_sample(), or at loss_at:
 * `sample` is then all zero, and losses are added to it.
 */
void
loss_detect(struct loss *l, const struct rtt *r, ns_t now, struct loss_sample *sample);

/* The subflow is taken for dead: whatever is in flight is lost. As above, at sample->now. */
void loss_all(struct loss *l, struct loss_sample *sample);

/*
 * The next packet whose fate was decided (SENT_ACKED, SENT_LOST), or NULL; what
 * one acknowledgement decided comes oldest first.
 */
const struct sent *loss_take(struct loss *l);

/* The oldest packet that is in flight, or NULL; the next one after `p`. */
const struct sent *loss_oldest(const struct loss *l);
const struct sent *loss_after(const struct loss *l, const struct sent *p);

/* The same from the other end. */
const struct sent *loss_newest(const struct loss *l);
const struct sent *loss_before(const struct loss *l, const struct sent *p);
/* `p`, which is in flight, has a copy elsewhere, or needs none. */
void loss_copied(struct loss *l, const struct sent *p);

/* The subflow had room and was given nothing: samples from here are too low. */
void loss_app_limited(struct loss *l);

#endif
