/*
 * udp_race - the handshake of the udp transport, run over all uplinks at once.
 *
 * Model:   gives the initiator (see there) its sockets and its timer: what is
 *          due on an uplink goes out by every open port of it. It runs until an
 *          answer opens, or until it is ended.
 * Owner:   udp_client embeds the struct; identity and ports outlive it.
 */
#ifndef DAEMON_UDP_RACE_H
#define DAEMON_UDP_RACE_H

#include "daemon/core/initiator.h"
#include "daemon/identity.h"
#include "daemon/udp_ports.h"

struct udp_race {
	struct loop *loop;
	const struct identity *me;
	struct udp_ports *ports;
	struct initiator initiator; /* while it runs, and until it is ended */
	bool running;
	struct timer timer;
};

int udp_race_init(struct udp_race *r, struct loop *l, const struct identity *me,
		  struct udp_ports *ports) MUST_CHECK;
void udp_race_done(struct udp_race *r);

/* Nothing happens where it runs already. */
void udp_race_start(struct udp_race *r);
void udp_race_end(struct udp_race *r);
/* A port of this uplink was opened or closed. */
void udp_race_uplink(struct udp_race *r, const struct uplink *u);
/* Sends what is due; later it does so by itself. */
void udp_race_run(struct udp_race *r);

/*
 * Takes a datagram that came in by this port. True: an answer has opened; the
 * caller wipes it, and ends the race.
 */
bool udp_race_input(struct udp_race *r, const struct udp_port *p, const struct burst *b,
		    struct initiator_result *ret_result) MUST_CHECK;

#endif
