/*
 * bottleneck - senders that share one link, in virtual time.
 *
 *	sender --+                                       +--> receiver
 *	sender --+--> queue --> rate --> loss --> delay -+--> receiver
 *	   ^                                                     |
 *	   +--------------------- delay <------------------------+
 *
 * Model:   each sender is paced by its controller and bounded by its window;
 *          a timer fires every 250 us. Acknowledgements follow every few packets
 *          and are not lost. Jitter changes the order of packets.
 * Units:   bytes, bytes a second, ns of virtual time, from 1 s.
 * Owner:   link_new() to link_free().
 */
#ifndef TESTS_UNIT_BOTTLENECK_H
#define TESTS_UNIT_BOTTLENECK_H

#include "daemon/core/cc.h"

enum { LINK_MSS = 1400, LINK_FLOWS_MAX = 3 };

struct link_setup {
	uint64_t rate;  /* bytes a second */
	ns_t rtt;       /* without queue; half each way */
	uint64_t queue; /* bytes; 0: one second of the rate */
	unsigned loss;  /* of 10,000 */
	ns_t jitter;    /* each packet is so much earlier or later, at most */
	unsigned seed;
};

struct link;

struct link *link_new(const struct link_setup *setup);
void link_free(struct link *l);

/* A sender more; returns its number. */
int link_add(struct link *l, enum cc_kind kind, uint64_t rate);
struct cc *link_cc(struct link *l, int flow);
const struct rtt *link_rtt(const struct link *l, int flow);

/* Data is offered at this rate from now on; UINT64_MAX: as much as can be sent. */
void link_offer(struct link *l, int flow, uint64_t rate);
void link_set_rate(struct link *l, uint64_t rate);
void link_set_rtt(struct link *l, ns_t rtt);
void link_set_loss(struct link *l, unsigned loss);

void link_run(struct link *l, ns_t span);

/* Since link_mark(): bytes received; mean, least and highest queue; bytes lost. */
void link_mark(struct link *l);
uint64_t link_received(const struct link *l, int flow);
uint64_t link_lost(const struct link *l, int flow);
ns_t link_queue_mean(const struct link *l);
ns_t link_queue_max(const struct link *l);

#endif
