/*
 * udp - datagram sockets that send and receive many packets with one call.
 *
 * Model:   a burst is what goes to, or came from, one address in one go: packets
 *          of `packet` bytes, back to back; only the last may be shorter. The
 *          kernel cuts it up (UDP_SEGMENT) and puts it together (UDP_GRO), or
 *          does not, when it cannot: the same bytes travel either way.
 *
 *	data |  packet  |  packet  |  packet  | rest |
 *	     |<------------------ len -------------->|
 *
 *          A client has a socket for each (device, remote), connected: what ICMP
 *          says of it is heard, but can be forged, and so never fails a call;
 *          see udp_take_soft(). A server has a socket for each address that it
 *          listens on; one on a wildcard answers from the address that was asked.
 *          Packets are never fragmented; any size up to the device's MTU leaves,
 *          whatever ICMP says of the path (IP_PMTUDISC_PROBE).
 * Bounds:  an inbox has room for UDP_INBOX_MESSAGES of 64 KiB. A wake-up takes
 *          UDP_TURN_MESSAGES or UDP_TURN_BYTES, whichever comes first, and leaves
 *          the rest to the loop's next turn; see udp_take().
 * Owner:   the caller embeds the socket; one inbox serves any number of them.
 *          What a burst from it points at lives until the next udp_receive().
 * Errors:  0, a count, or -errno as the kernel gave it.
 * Source:  udp(7), ip(7), ipv6(7); RFC 8899 for the caller's search for the MTU.
 */
#ifndef DAEMON_IO_UDP_H
#define DAEMON_IO_UDP_H

#include "common/addr.h"
#include "common/base.h"

#include <sys/types.h>

enum {
	UDP_INBOX_MESSAGES = 8,
	UDP_TURN_MESSAGES = 64,
	UDP_TURN_BYTES = 256 * 1024,
};

struct udp_burst {
	struct addr local, remote;
	unsigned interface; /* a server's: it came over this one; 0: any, see below */
	uint8_t *data;
	size_t len;    /* of all packets together, at least 1 */
	size_t packet; /* of each, at least 1 */
};

struct udp_counts {
	uint64_t send_calls, receive_calls;
	uint64_t packets_sent, packets_received;
	uint64_t bytes_sent, bytes_received;
	uint64_t soft_errors;     /* ICMP messages */
	uint64_t queue_drops;     /* -ENOBUFS */
	uint64_t offload_refused; /* 0 or 1 */
};

struct udp_sock {
	int fd;             /* to be watched */
	struct addr local;  /* with its port; a server's may be a wildcard */
	struct addr remote; /* family 0: a server */
	bool offload;       /* UDP_SEGMENT; the kernel has not refused it yet */
	int soft;
	struct udp_counts counts;
};

/*
 * Opens a socket that sends over this device only (NULL: as the routing table
 * says), from `local` (NULL or a wildcard: chosen by the kernel), to `remote`.
 *
 * -ENODEV, -ENETUNREACH, -EADDRNOTAVAIL, others: not over this device, for now
 */
int udp_open_client(const char *device, const struct addr *local,
		    const struct addr *remote, struct udp_sock *ret_sock) MUST_CHECK;
/* [::] is for IPv6 only. -EADDRINUSE: another socket listens there. */
int udp_open_server(const struct addr *at, struct udp_sock *ret_sock) MUST_CHECK;
void udp_close(struct udp_sock *s); /* idempotent on one with fd -1 */

/*
 * Sends the packets in their order and returns how many bytes left, whole packets.
 * Fewer than `len`: call again with the rest, when writable; the reason returns.
 *
 * A client's `local` and `remote` are those of its socket. A server's packets leave
 * from `local` (family 0: chosen by the kernel), and over `interface` if that is
 * not 0; else as the routing table says for this pair of addresses.
 *
 * -EAGAIN    the socket is full: wait until it is writable
 * -EMSGSIZE  a packet exceeds the device's MTU: send smaller ones
 * -ENOBUFS   the device's queue dropped it: count it as lost, or send it later
 * others     it cannot be sent: count it as lost, and ask udp_is_gone()
 */
ssize_t udp_send(struct udp_sock *s, const struct udp_burst *b) MUST_CHECK;

/*
 * Whether -err of a call says that device, address or route are not there (any
 * more). It is this machine that says so, not ICMP. Of a server's socket it is
 * about one pair of addresses only.
 */
bool udp_is_gone(int err);

/*
 * What an ICMP message has last said of a client's socket, once: -ECONNREFUSED,
 * -EHOSTUNREACH and the like; 0: nothing new. That a packet was too large for the
 * path is only counted: probes tell it, and cannot be forged.
 */
int udp_take_soft(struct udp_sock *s) MUST_CHECK;

struct udp_inbox;
struct udp_inbox *udp_inbox_new(void); /* NULL: no memory */
void udp_inbox_free(struct udp_inbox *box);

/*
 * Replaces what is in the inbox by what waits in the socket, and returns the
 * number of messages; 0: none waits. To be called whenever the socket is
 * readable, which it also is when ICMP was heard. An error lasts: close it.
 */
int udp_receive(struct udp_sock *s, struct udp_inbox *box) MUST_CHECK;
/* The last udp_receive() took all that fits: more may wait. */
bool udp_inbox_is_full(const struct udp_inbox *box);
/* False: there are no more. Empty datagrams are left out. */
bool udp_inbox_next(struct udp_inbox *box, struct udp_burst *ret_burst);

/* What one wake-up has taken; zeroed at first. */
struct udp_turn {
	unsigned messages;
	size_t bytes;
};
/*
 * 1: the next burst of what waits in the socket. 0: there is none, or the turn has
 * had its share. Else as udp_receive(). What the caller leaves of a turn is gone.
 */
int udp_take(struct udp_turn *t, struct udp_sock *s, struct udp_inbox *box,
	     struct udp_burst *ret_burst) MUST_CHECK;

#endif
