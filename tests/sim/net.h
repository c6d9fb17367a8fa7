/*
 * net - links between a client and a server, in virtual time.
 *
 * Model:   a link has two lanes, and the client's NAT:
 *
 *	client                     NAT             up       server
 *	10.0.LINK.2      <--> 198.18.LINK.N      ------->   what net_listen()
 *	fd00:0:0:LINK::2 <--> 2001:2:0:LINK::N   <-------   was told
 *	                                          down
 *
 *          What happens to a datagram in a lane, in this order:
 *
 *	send      tap, silence, mtu, the queue's end
 *	  |       | queue |, serialised at `rate`
 *	  |       lost, doubled, corrupted, delayed
 *	receive   silence, an address that is no longer there
 *
 *          So a datagram that is lost has used the rate, and one whose receiver
 *          has lost its address meanwhile does not arrive.
 * Units:   sizes of `mtu` and `rate` are IP bytes: the datagram and 28 for IPv4,
 *          48 for IPv6. Counters are datagrams and their bytes.
 * Bounds:  the enum below, and FLIGHTS_MAX (flights.h). A burst of losses has
 *          a survivor behind it: at most burst / (burst + 1) can be lost.
 * Owner:   datagrams are copied in; what net_receive() and net_tapped() show
 *          belongs to the net.
 * Errors:  negative errno; nothing was sent then, and nothing has changed.
 *          A datagram that does not arrive is no error.
 * Source:  loss in bursts is Gilbert's model of two states.
 */
#ifndef TESTS_SIM_NET_H
#define TESTS_SIM_NET_H

#include "common/addr.h"
#include "common/base.h"

enum {
	NET_LINKS_MAX = 16,
	NET_LISTEN_MAX = 8,
	NET_TAP_MAX = 64,      /* copies a tap keeps */
	NET_DGRAM_MAX = 65507, /* bytes: what UDP over IPv4 can carry */
};

enum sim_side { SIM_CLIENT, SIM_SERVER };

struct sim_dgram {
	struct addr src, dst;
	uint8_t *data; /* of a datagram that was received: may be written to */
	size_t len;
	uint8_t link;
	enum sim_side to;
};

/* All zero is a lane that carries everything at once. */
struct sim_lane {
	uint64_t rate;     /* bit/s; 0: no limit */
	ns_t queue;        /* whoever had to wait longer for the first bit is dropped */
	ns_t delay;        /* from the last bit to the receiver */
	ns_t jitter;       /* uniform, +-, but not before the last bit; overtakes */
	unsigned loss_ppm; /* parts of a million, as all of these */
	unsigned burst;    /* mean length of a burst of losses; 0, 1: independent */
	unsigned dup_ppm;
	unsigned corrupt_ppm; /* one bit turned */
	unsigned reorder_ppm;
	ns_t reorder_delay; /* how much later a reordered one comes */
	size_t mtu;         /* larger ones vanish; 0: no limit */
	bool silent;        /* what is sent or due vanishes */
};

/*
 * sent + duplicated + injected = delivered + lost + dropped + oversize +
 * silenced + strays + those that are on their way.
 */
struct sim_counters {
	uint64_t sent, sent_bytes;
	uint64_t delivered, delivered_bytes;
	uint64_t lost;     /* by chance */
	uint64_t dropped;  /* the queue was full */
	uint64_t oversize; /* larger than the mtu */
	uint64_t silenced;
	uint64_t strays; /* nobody has the address, or no longer */
	uint64_t duplicated, corrupted, reordered;
	uint64_t injected;
	ns_t queue_max; /* the longest wait for the first bit */
};

struct sim_net;

/* NULL: no memory. The same seed and the same calls have the same result. */
struct sim_net *net_new(uint64_t seed);
void net_free(struct sim_net *net);

/* The new link's number, from 0 on. -ENOSPC: NET_LINKS_MAX are there. */
int net_add_link(struct sim_net *net, const struct sim_lane *up,
		 const struct sim_lane *down) MUST_CHECK;

/* The server has `addr` too, over every link. -ENOSPC: NET_LISTEN_MAX are there. */
int net_listen(struct sim_net *net, const struct addr *addr) MUST_CHECK;

/* The client's own address on a link, port 0. */
struct addr net_client_addr(unsigned link, int family);

/* The lane away from `from`, to be changed at will. What it holds keeps its time. */
struct sim_lane *net_lane(struct sim_net *net, unsigned link, enum sim_side from);
/* A test may set them back. */
struct sim_counters *
net_counters(struct sim_net *net, unsigned link, enum sim_side from);
/* What the server sent to addresses that no link has. */
uint64_t net_unrouted(const struct sim_net *net);

/*
 * The NAT forgets its ports, and its address if `readdress`: from now on the client
 * comes from elsewhere, and what is sent to where it was vanishes.
 */
void net_rebind(struct sim_net *net, unsigned link, bool readdress);

/*
 * Sends `d` to the other side; the link is found by `dst` where that is the client.
 *
 * -EADDRNOTAVAIL  `src` is not the sender's, there, or not of `dst`'s family
 * -EMSGSIZE       more than NET_DGRAM_MAX bytes
 * -ENOBUFS        FLIGHTS_MAX are on their way, or no memory: end the test
 */
int net_send(struct sim_net *net, const struct sim_dgram *d, ns_t now) MUST_CHECK;

/* When net_receive() has something to do; NS_NEVER: nothing is on its way. */
ns_t net_deadline(const struct sim_net *net);

/*
 * The next datagram that is due; `data` is there until the next call. False: none,
 * even though one was due that vanished at the last moment.
 */
bool net_receive(struct sim_net *net, ns_t now, struct sim_dgram *ret_d);

/*
 * An attacker on the link: copies of what enters a lane, as it looks behind the
 * NAT, whatever becomes of it. Off: the copies are gone.
 */
void net_tap(struct sim_net *net, unsigned link, enum sim_side from, bool on);
/* The copy that is `age` younger ones old; `data` is there until the next net_send(). */
bool net_tapped(const struct sim_net *net, unsigned link, enum sim_side from,
		unsigned age, struct sim_dgram *ret_d);

/*
 * Lets `d` arrive over its link at `at`, from whatever `src`, with no lane in its
 * way. The client is reached by its public address. Errors as net_send().
 */
int net_inject(struct sim_net *net, const struct sim_dgram *d, ns_t at) MUST_CHECK;

#endif
