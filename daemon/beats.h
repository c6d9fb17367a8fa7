/*
 * beats - the server's end of its peers' heartbeats.
 *
 * Model:   PING is answered with PONG; what the server has to tell the client
 *          goes out over the leg that was heard last.
 * Bounds:  BEATS_MAX a peer, the one unheard longest goes first; BEAT_LIFE
 *          without a PING ends one.
 * Owner:   the peer's list.
 */
#ifndef DAEMON_BEATS_H
#define DAEMON_BEATS_H

#include "daemon/mptcp_server.h"

#define BEAT_LIFE (60 * NS_PER_SEC)

void beats_take(struct mptcp_server *sv, struct mptcp_peer *p, struct leg *leg);
void beats_expire(struct mptcp_peer *p, ns_t now);
void beats_end_all(struct mptcp_peer *p);
/* LOST: our subflow to the client's address `address_id` of leg `number` is dead. */
void beats_tell_lost(struct mptcp_peer *p, uint64_t number, uint8_t address_id);

#endif
