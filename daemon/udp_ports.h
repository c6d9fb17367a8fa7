/*
 * udp_ports - the client's ends of the udp transport: a socket for each uplink,
 * address of the server and carrier.
 *
 * Model:   a port over UDP sends datagrams of its own; one over TCP carries the
 *          same ones on a connection to the same address (carrier.h). What
 *          comes in, or happens, is told to the handler; who decides which ports
 *          there are is the client.
 * Bounds:  UDP_PORTS_MAX, as many as a session may have subflows.
 * Owner:   the client embeds the struct. A port's pointer is good as long, and
 *          means the same uplink, address and carrier while it has a subflow.
 * Source:  docs/protocol.md, "Over TCP".
 */
#ifndef DAEMON_UDP_PORTS_H
#define DAEMON_UDP_PORTS_H

#include "daemon/core/session.h"
#include "daemon/io/carrier.h"
#include "daemon/io/udp.h"
#include "daemon/uplinks.h"

#define UDP_PORT_DEAF (3 * NS_PER_SEC) /* a ping a second is answered */

enum { UDP_PORTS_MAX = SESSION_SUBFLOWS_MAX - 1 };

struct udp_ports;

struct udp_port {
	struct udp_ports *all;
	const struct uplink *uplink; /* NULL: never used */
	bool over_tcp;
	bool open;       /* something may be sent */
	uint8_t subflow; /* of the session; 0: none */
	ns_t tried_at;   /* udp_port_open() */
	ns_t heard_at;   /* anything came */
	/* Of udp_fallback: when it was last found to serve, and not to serve. */
	ns_t served_at, failed_at;
	ns_t gap; /* over TCP: between two tries; 0: none has failed */
	struct addr local, remote;
	struct udp_sock sock; /* over UDP */
	struct watch watch;
	struct carrier carrier; /* over TCP */
};

struct udp_ports_handler {
	/* Datagrams of one size; they may be written to. */
	void (*on_burst)(void *arg, struct udp_port *p, const struct burst *b);
	void (*on_open)(void *arg, struct udp_port *p);
	/* It closed itself, or could not be opened. */
	void (*on_lost)(void *arg, struct udp_port *p);
	/* Somebody, perhaps a liar, says that it leads nowhere. */
	void (*on_doubt)(void *arg, struct udp_port *p);
	void *arg;
};

struct udp_ports {
	struct loop *loop;
	struct udp_inbox *inbox;
	struct udp_ports_handler handler;
	const char *congestion; /* of those over TCP; NULL: as the system has it */
	struct udp_port at[UDP_PORTS_MAX]; /* burst.via is the place here */
};

int udp_ports_init(struct udp_ports *ps, struct loop *l,
		   const struct udp_ports_handler *handler) MUST_CHECK;
void udp_ports_done(struct udp_ports *ps);

/* The port of these; a new one is not open. NULL: there are too many. */
struct udp_port *udp_ports_find(struct udp_ports *ps, const struct uplink *u,
				const struct addr *remote, bool over_tcp);
/* Ends in on_open or on_lost, over TCP not at once. */
void udp_port_open(struct udp_port *p);
void udp_port_close(struct udp_port *p);
/* Over TCP: it is being connected. */
bool udp_port_is_opening(const struct udp_port *p);
/* It is open, or being connected. */
bool udp_port_is_there(const struct udp_port *p);
/* It is open, or will be, or has a subflow that may come back. */
bool udp_port_is_used(const struct udp_port *p);
/* It has a subflow that may carry data. */
bool udp_port_is_active(const struct udp_port *p, const struct session *core);
/* And packets of full size come through, in both directions. */
bool udp_port_is_whole(const struct udp_port *p, const struct session *core);
/* What cannot be sent is lost. */
void udp_port_send(struct udp_port *p, const uint8_t *data, size_t len, size_t packet);

#endif
