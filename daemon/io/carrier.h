/*
 * carrier - datagrams over one TCP connection, for where UDP does not get through.
 *
 * Model:   behind a first byte, which says what the connection is for, each
 *          datagram follows its length: two bytes, the most significant first.
 *          What does not fit into the room for output is dropped whole, as by a
 *          router with a full queue: who sends datagrams bears losses.
 *
 *	carrier_connect() --on_up--> datagrams --on_end--> carrier_done()
 *	carrier_take() ------------^
 *
 * Units:   bytes.
 * Bounds:  CARRIER_DATAGRAM_MAX a datagram, CARRIER_ROOM of output, and
 *          CARRIER_UNSENT in the kernel that is not on its way: what waits longer
 *          is late for whatever comes behind it.
 * Owner:   the caller embeds the struct, zeroed at first, and ends it by
 *          carrier_done(), also in any of its callbacks. The descriptor is the
 *          carrier's. What on_datagram gets may be written to until it returns.
 * Errors:  0 or -errno.
 */
#ifndef DAEMON_IO_CARRIER_H
#define DAEMON_IO_CARRIER_H

#include "daemon/io/loop.h"
#include "daemon/io/tcp.h"

enum {
	CARRIER_DATAGRAM_MAX = 2048,
	CARRIER_LENGTH_LEN = 2,
	CARRIER_ROOM = 128 * 1024,
	CARRIER_UNSENT = 64 * 1024,
};

struct carrier_handler {
	void (*on_up)(void *arg); /* of carrier_connect() */
	void (*on_datagram)(void *arg, uint8_t *data, size_t len);
	/* It has failed, or the peer closed it, or wrote nonsense; the last call. */
	void (*on_end)(void *arg, int err);
	void *arg;
};

struct carrier {
	struct loop *loop;
	struct watch watch;
	struct deferred early; /* what was read before carrier_take() */
	struct carrier_handler handler;
	int fd;
	bool up;
	uint8_t first;
	uint8_t *in, *out; /* in: NULL, when there is no carrier */
	size_t in_len, out_at, out_len;
	uint64_t dropped; /* datagrams */
};

/* Starts to connect; the connection begins with the byte `first`. */
int carrier_connect(struct carrier *c, struct loop *l, const struct tcp_connect *to,
		    uint8_t first, const struct carrier_handler *handler) MUST_CHECK;

struct carrier_early {
	const uint8_t *data; /* behind `first` */
	size_t len;
};
/* Takes over a connection, of which these bytes have been read; after an error
 * the descriptor is the caller's as before. -ENOBUFS: too many bytes. */
int carrier_take(struct carrier *c, struct loop *l, int fd,
		 const struct carrier_early *early,
		 const struct carrier_handler *handler) MUST_CHECK;
void carrier_done(struct carrier *c); /* idempotent on a zeroed struct */

/* Datagrams of `each` bytes, the last one may be shorter; see "Model". */
void carrier_send(struct carrier *c, const uint8_t *data, size_t len, size_t each);

#endif
