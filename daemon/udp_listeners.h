/*
 * udp_listeners - the server's sockets of the udp transport, one per listening
 * address.
 *
 * Model:   what comes in is told in bursts; what goes out leaves by the socket
 *          that has its local address.
 * Bounds:  UDP_TURN_MESSAGES and UDP_TURN_BYTES a turn of the loop and socket.
 * Owner:   udp_server embeds the struct; udp_listeners_close() may be called on
 *          one that is zeroed, or was opened in part.
 */
#ifndef DAEMON_UDP_LISTENERS_H
#define DAEMON_UDP_LISTENERS_H

#include "daemon/config.h"
#include "daemon/core/session.h"
#include "daemon/io/loop.h"
#include "daemon/io/udp.h"

struct udp_listeners;

struct udp_listener {
	struct udp_listeners *all;
	struct udp_sock sock;
	struct watch watch;
};

struct udp_listeners {
	struct udp_inbox *inbox;
	/* Datagrams of one size; they may be written to, and answered by `s`. */
	void (*on_burst)(void *arg, struct udp_sock *s, const struct udp_burst *b);
	void *arg;
	struct udp_listener at[CONFIG_LISTEN_MAX];
	size_t n;
};

/* On all addresses that are configured. -errno and why: one that cannot be had. */
int udp_listeners_open(struct udp_listeners *ls, struct loop *l, const struct config *c,
		       struct errmsg *why) MUST_CHECK;
void udp_listeners_close(struct udp_listeners *ls);

/* Returns the bytes that were sent or are lost; the rest finds the socket full. */
size_t udp_listeners_send(struct udp_listeners *ls, const struct burst *b);

#endif
