/*
 * control_client - one connection to a control socket.
 *
 * Model:   reading -> a whole line -> answering -> reading, and so on; one
 *          request a turn of the loop, so that a full buffer of them keeps
 *          nobody waiting. Nothing is read while an answer waits to be written.
 * Owner:   a client frees itself, at the end of the turn in which it ends;
 *          until then it is on the list it was given.
 */
#ifndef DAEMON_CONTROL_CLIENT_H
#define DAEMON_CONTROL_CLIENT_H

#include "common/list.h"
#include "daemon/io/loop.h"

struct proxy;

struct control_client_place {
	struct loop *loop;
	struct proxy *proxy;
	struct list *clients; /* of this socket */
	bool read_only;
};

/* Takes `fd` over, also on failure. -ENOMEM. */
int control_client_start(const struct control_client_place *place, int fd) MUST_CHECK;
void control_clients_free(struct list *clients);

#endif
