/*
 * door - where a TCP connection that carries datagrams is let in.
 *
 * Model:   the server's TCP port belongs to the mptcp transport. Of a stranger
 *          that says it carries the udp transport's datagrams, each one is
 *          shown here until one of them opens; then the connection changes hands.
 * Owner:   the udp transport; it outlives the mptcp transport's listeners.
 * Source:  docs/protocol.md, "Over TCP".
 */
#ifndef DAEMON_DOOR_H
#define DAEMON_DOOR_H

#include "common/addr.h"
#include "daemon/core/handshake.h"

enum door_verdict {
	DOOR_SILENT, /* as if it had been lost */
	DOOR_REPLY,  /* one datagram to send back */
	DOOR_TAKEN,  /* the descriptor has another owner now, with the rest */
};

struct door_knock {
	int fd;
	struct addr remote;
	uint8_t *data; /* one datagram; it may be written to */
	size_t len;
	const uint8_t *rest; /* what was read behind it */
	size_t rest_len;
	uint8_t reply[HANDSHAKE_LEN];
	size_t reply_len;
};

struct door {
	enum door_verdict (*knock)(void *arg, struct door_knock *k);
	void *arg;
};

#endif
