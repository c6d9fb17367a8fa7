/*
 * scheduler - which subflow carries the next packet, behind one interface.
 *
 * Model:   a pure function of a table of subflows, asked once for a burst.
 *          The answer is one of them, or to wait for a better one.
 * Units:   bytes, bytes a second, ns.
 * Source:  docs/protocol.md, "Scheduling"; ECF (Lim et al., CoNEXT 2017), BLEST
 *          (Ferlin et al., IFIP Networking 2016), STTF (Hurtig et al., ToN 2019).
 */
#ifndef DAEMON_CORE_SCHEDULER_H
#define DAEMON_CORE_SCHEDULER_H

#include "common/base.h"

enum scheduler_kind {
	SCHEDULER_EARLIEST, /* where it arrives first */
	SCHEDULER_MINRTT,   /* the least round trip that has room, to compare with */
	SCHEDULER_LOWEST_LATENCY, /* never more than the path with the least delay takes */
	SCHEDULER_REDUNDANT,      /* as EARLIEST; the session copies every chunk */
};

/* Tiers of priority: a tier is used when those before it cannot take more. */
enum { TIER_ALWAYS, TIER_SECONDARY, TIER_BACKUP, TIER_COUNT };

/* A subflow that may carry data. */
struct candidate {
	uint8_t tier;
	bool ready;         /* window and pacing let a packet go now */
	bool room;          /* the window does */
	uint64_t bandwidth; /* as far as known, else a guess; not 0 */
	ns_t delay;         /* one way, without a queue of ours: half the least RTT */
	ns_t queueing;      /* what stands in queues on the way now */
	ns_t sigma;         /* of the round trip */
	ns_t wait;          /* until it is ready, at a guess */
};

struct question {
	const struct candidate *at;
	size_t n;
	uint32_t bytes;       /* of the packet */
	uint64_t backlog;     /* bytes that go before this one's stream is through */
	uint64_t window_left; /* bytes that the peer still takes */
	bool waited;          /* the answer was to wait last time */
};

enum { SCHEDULER_WAIT = -1 };

/* The index of the subflow to send on now, or SCHEDULER_WAIT. */
int scheduler_pick(enum scheduler_kind kind, const struct question *q);

const char *scheduler_name(enum scheduler_kind kind);

#endif
