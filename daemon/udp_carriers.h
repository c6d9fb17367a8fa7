/*
 * udp_carriers - the server's ends of the TCP connections that carry datagrams
 * of sessions.
 *
 * Model:   a connection belongs to the session whose packet opened on it, by its
 *          index, and has a number, which is the `via` of its bursts.
 * Bounds:  UDP_CARRIERS_OF_SESSION of one session: the one silent longest goes.
 *          One that is silent for UDP_CARRIER_SILENT goes as well.
 * Owner:   udp_server embeds the struct.
 */
#ifndef DAEMON_UDP_CARRIERS_H
#define DAEMON_UDP_CARRIERS_H

#include "common/list.h"
#include "daemon/core/session.h"
#include "daemon/door.h"
#include "daemon/io/carrier.h"

#define UDP_CARRIER_SILENT (60 * NS_PER_SEC)

enum { UDP_CARRIERS_OF_SESSION = 16, UDP_CARRIER_BUCKETS = 256 };

struct udp_carriers {
	struct loop *loop;
	void (*on_burst)(void *arg, const struct burst *b);
	void *arg;
	struct list by_via[UDP_CARRIER_BUCKETS];
	uint32_t last_via; /* of the newest; 0 is no carrier's */
};

void udp_carriers_init(struct udp_carriers *cs, struct loop *l,
		       void (*on_burst)(void *arg, const struct burst *b), void *arg);
void udp_carriers_done(struct udp_carriers *cs);

/* The number that the next one gets; one that could not be taken used it up. */
uint32_t udp_carriers_next(const struct udp_carriers *cs);
/* Takes over the descriptor; after an error it is the caller's. */
int udp_carriers_take(struct udp_carriers *cs, uint32_t session,
		      const struct door_knock *k, const struct addr *local) MUST_CHECK;
void udp_carriers_send(struct udp_carriers *cs, const struct burst *b);
/* Ends those that were silent for too long. */
void udp_carriers_expire(struct udp_carriers *cs, ns_t now);
/* The session is over. */
void udp_carriers_end(struct udp_carriers *cs, uint32_t session);

#endif
