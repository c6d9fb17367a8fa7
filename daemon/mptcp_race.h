/*
 * mptcp_race - the handshake, raced on every uplink at once.
 *
 * Model:   one initiation goes out over one connection per uplink; the first
 *          answer that opens wins, the others are closed. An uplink that
 *          failed is tried again after 0.25, 0.5, 1, 2, 2 ... s; every 8 s
 *          there is a new initiation. So no uplink is the master. Where the
 *          server has several addresses, one that does not answer gives way
 *          to the next; the one that answered is used from then on.
 * Owner:   mptcp_client.
 */
#ifndef DAEMON_MPTCP_RACE_H
#define DAEMON_MPTCP_RACE_H

#include "daemon/mptcp_client.h"

struct mptcp_race *mptcp_race_new(struct mptcp_client *c); /* NULL: no memory */
void mptcp_race_free(struct mptcp_race *r);
/* Ends by mptcp_client_session_made(). Does nothing while it runs. */
void mptcp_race_start(struct mptcp_race *r);
/* An uplink came or went: do not wait for the next round. */
void mptcp_race_hurry(struct mptcp_race *r);

#endif
