/*
 * mtu - finds the largest packet that one subflow carries, without ICMP.
 *
 * Model:   starts at the least size that always works, makes sure of it, then
 *          tries the sizes that uplinks really have, the largest first; what is
 *          acknowledged counts.
 *
 *	  BASE --1280 acked--> SEARCHING --nothing larger left--> COMPLETE
 *	   ^                    |     ^                            |   |
 *	   |                    |     +----- MTU_RAISE_AFTER ------+   |
 *	   +-- MTU_FULL_LOST packets above MTU_BASE lost in a row, ----+
 *	       none acknowledged, and smaller ones are
 *
 * Units:   bytes of a whole IP packet; mtu_payload() takes the headers off.
 * Bounds:  MTU_BASE to MTU_MAX.
 * Owner:   the caller owns the struct.
 * Source:  RFC 8899 (DPLPMTUD), 5; the sizes: protocol.md, "MTU".
 */
#ifndef DAEMON_CORE_MTU_H
#define DAEMON_CORE_MTU_H

#include "common/base.h"

enum {
	MTU_BASE = 1280,
	MTU_MAX = 1500,
	MTU_PROBES = 3,    /* of a size, before it counts as too large */
	MTU_FULL_LOST = 3, /* before the path counts as changed */
};
#define MTU_PROBE_GAP   (100 * NS_PER_MS) /* at least, between two probes */
#define MTU_RAISE_AFTER (600 * NS_PER_SEC)

enum mtu_state { MTU_STATE_BASE, MTU_STATE_SEARCHING, MTU_STATE_COMPLETE };

struct mtu {
	enum mtu_state state;
	uint16_t current;   /* what certainly goes through */
	uint16_t ceiling;   /* the least that did not */
	uint16_t probed;    /* the size on its way; 0: none */
	uint8_t attempts;   /* of the size that is tried */
	uint8_t full_lost;  /* packets above MTU_BASE lost in a row */
	uint16_t lost_size; /* the least of them */
	ns_t full_lost_at;  /* the last one counted */
	uint8_t headers;    /* IP and UDP, bytes */
	ns_t next_at;       /* no probe before */
};

/* `ipv6`: 48 bytes of headers, else 28. */
void mtu_init(struct mtu *m, bool ipv6, ns_t now);

/* Bytes of UDP payload of a full packet. */
uint16_t mtu_payload(const struct mtu *m);
/* The UDP payload of a probe to be sent now; 0: none. */
uint16_t mtu_probe(const struct mtu *m, ns_t now);
void mtu_probe_sent(struct mtu *m, uint16_t payload, ns_t now);

/*
 * Fates, sizes as UDP payload, older packets first. True: mtu_payload() has
 * changed. Three lost in a row at one instant prove nothing yet, for a full queue
 * does that too: a smaller packet that is acknowledged later is the proof.
 */
bool mtu_acked(struct mtu *m, uint16_t payload, bool probe, ns_t now);
void mtu_lost(struct mtu *m, uint16_t payload, bool probe, ns_t now);
/* Not even MTU_BASE came through, MTU_PROBES times in a row. */
bool mtu_is_blocked(const struct mtu *m);
/* When mtu_probe() may have something; NS_NEVER: not before a fate is known. */
ns_t mtu_deadline(const struct mtu *m);

#endif
