/*
 * subflow - one way to the peer inside a session: (uplink, server address).
 *
 *           answered              a probe timeout of silence
 *  JOINING ----------> ACTIVE ------------------------------> SUSPECT
 *                       ^  ^                                   |  |
 *                       |  +------- fresh acknowledgement -----+  |
 *                       +--- challenge answered --- DEAD <--------+
 *                                       500 ms while another lives, or told
 *
 *  any of them -- one side resets it --> ENDED -- joins again --> JOINING
 *
 * Model:   counters, acknowledgements, congestion control, MTU and health of
 *          one subflow. The session builds its packets and reads them.
 * Units:   bytes of UDP payload, ns.
 * Bounds:  an address that is not proven gets three times the bytes that came
 *          from it (RFC 9000, 8.1).
 * Owner:   the session, from subflow_new() to subflow_free().
 * Source:  docs/protocol.md, "Subflows".
 */
#ifndef DAEMON_CORE_SUBFLOW_H
#define DAEMON_CORE_SUBFLOW_H

#include "common/addr.h"
#include "common/base.h"
#include "daemon/core/acks.h"
#include "daemon/core/cc.h"
#include "daemon/core/loss.h"
#include "daemon/core/mtu.h"
#include "daemon/core/pacer.h"
#include "daemon/core/rtt.h"
#include "daemon/core/subflow_end.h"

#define SUBFLOW_DEAD_AFTER (500 * NS_PER_MS) /* of silence, while another lives */
#define SUBFLOW_PROBE_GAP  (250 * NS_PER_MS) /* at most, between two probes */
#define SUBFLOW_PROBE_SLOW NS_PER_SEC        /* after SUBFLOW_PROBE_FAST of DEAD */
#define SUBFLOW_PROBE_FAST (5 * NS_PER_SEC)
#define SUBFLOW_PING_IDLE  NS_PER_SEC
#define SUBFLOW_ELSEWHERE  (2 * NS_PER_SEC)
#define SUBFLOW_DEAF       (500 * NS_PER_MS) /* its way back has died */

enum subflow_state {
	SUBFLOW_JOINING,
	SUBFLOW_ACTIVE,
	SUBFLOW_SUSPECT,
	SUBFLOW_DEAD,
	SUBFLOW_ENDED, /* acknowledges what still comes, and says that it ended */
};

/* What it still has to say to the peer, beside acknowledgements. */
enum subflow_word {
	SUBFLOW_JOIN = 1,
	SUBFLOW_JOIN_REPLY = 2,
	SUBFLOW_JOIN_CONFIRM = 4,
	SUBFLOW_PRIO = 8,
	SUBFLOW_PING = 16,
	SUBFLOW_CHALLENGE = 32,
	SUBFLOW_RESPONSE = 64,
	SUBFLOW_REKEY = 128, /* what rekey_says() */
};

enum {
	SUBFLOW_SPEAKS =
		64, /* bytes of a packet that is worth sending; three times a JOIN is more */
	SUBFLOW_JOINING_MAX = 8 * 1024, /* bytes in flight before it is active */
};

struct subflow {
	uint8_t id;
	uint8_t uplink;    /* the client's; the server learns it as address id */
	uint32_t via;      /* burst.via */
	uint8_t tier;      /* by our own policy */
	uint8_t tier_peer; /* what the peer asks of us (MP_PRIO) */
	uint64_t prio_seq, prio_seen;
	struct addr local, remote;
	enum subflow_state state;
	ns_t state_at;
	struct rtt rtt;
	struct loss loss;
	struct acks acks;
	struct cc cc;
	struct pacer pacer;
	struct mtu mtu;
	uint8_t words;
	uint8_t nonce[8], nonce_peer[8];
	uint64_t join_counter; /* server: of the JOIN that began it */
	uint8_t challenge[8], response[8];
	bool joined; /* server: JOIN came; client: it was answered */
	bool asks;   /* whether it is heard; who does not is content to hear */
	bool proven;
	bool moved; /* its address changed once: only RESPONSE proves it again */
	/* From `remote` in packets that opened, and to it. */
	uint64_t bytes_in, bytes_out;
	bool acks_elsewhere;  /* what came is still to be told on another one too */
	ns_t elsewhere_until; /* the peer does not hear us here: so is what comes */
	ns_t heard_at;        /* when anything came that opened */
	ns_t acked_at;        /* when an acknowledgement made progress */
	ns_t detour_at;       /* since when they come by others alone; 0: they do not */
	ns_t doubted_at;      /* since when it has had to prove itself */
	ns_t probe_at;        /* the next probe; NS_NEVER: none is needed */
	unsigned probes;      /* unanswered in a row */
	unsigned suspected;   /* times, statistics */
	unsigned probe_credit; /* packets that may go out beyond the window */
	/* Statistics: packets that opened; bytes in them and in those sent. */
	uint64_t packets_in, received, sent;
	struct subflow_ended end;
};

/* NULL: no memory. `ipv6` by the remote address. */
struct subflow *subflow_new(uint8_t id, const struct addr *local,
			    const struct addr *remote, enum cc_kind cc, ns_t now);
void subflow_free(struct subflow *sf);

void subflow_enter(struct subflow *sf, enum subflow_state next, ns_t now);

/* Bytes of the next packet; 0: window or proof do not let it go. */
uint32_t subflow_packet_max(const struct subflow *sf);
/* Whether the window takes one more full packet. */
bool subflow_has_room(const struct subflow *sf);
/* When silence makes it suspect, or suspicion makes it dead; NS_NEVER: it does not. */
ns_t subflow_doubt_at(const struct subflow *sf);
/* When nothing has gone on for so long that the way may have died. */
ns_t subflow_ping_at(const struct subflow *sf);
ns_t subflow_deadline(const struct subflow *sf);
/* Time for a probe: sets when the next one is due. */
void subflow_probe(struct subflow *sf, ns_t now);
/* An acknowledgement has made progress. */
void subflow_alive(struct subflow *sf, ns_t now);

/* Whose policy is the stricter one decides. */
uint8_t subflow_tier(const struct subflow *sf);

/* What stands in queues on the way, as far as known: it drains when we are quiet. */
ns_t subflow_queueing(const struct subflow *sf, ns_t now);
/* Bytes a second that it can be counted on for; a guess at first. */
uint64_t subflow_bandwidth(const struct subflow *sf);

#endif
