/*
 * strangers - connections to the server that have not authenticated yet.
 *
 * Model, bounds: see mptcp_server.h.
 */
#ifndef DAEMON_STRANGERS_H
#define DAEMON_STRANGERS_H

#include "daemon/mptcp_server.h"

/* Takes over `fd`; it may be closed at once. */
void strangers_take(struct mptcp_server *sv, int fd, const struct addr *remote);
void strangers_expire(struct mptcp_server *sv);
void strangers_end_all(struct mptcp_server *sv);

#endif
