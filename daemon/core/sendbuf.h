/*
 * sendbuf - what one direction of a stream still has to bring to the peer.
 *
 *	una              sent          end
 *	 |###  ##  #### #|## unsent ###|  room
 *	     ^^ holes in `acked`; `lost` says which of them go out again
 *
 * Model:   bytes are appended at `end`, go out as chunks, and leave at `una`
 *          when acknowledged. A chunk that got lost is sent again before new
 *          ones. A copy of what is in flight may be sent at any time: it
 *          changes nothing here. FIN is one number after the last byte.
 * Units:   bytes of the stream, counted from 0.
 * Bounds:  SENDBUF_RANGES_MAX ranges each of acked and lost. When there are
 *          more, what does not fit counts as not acknowledged, or as lost
 *          together with its neighbours: sent once more than needed, never less.
 * Owner:   the caller owns the struct, which owns its memory until
 *          sendbuf_done().
 * Source:  docs/protocol.md, "Streams".
 */
#ifndef DAEMON_CORE_SENDBUF_H
#define DAEMON_CORE_SENDBUF_H

#include "common/base.h"
#include "daemon/core/ranges.h"
#include "daemon/core/store.h"

enum { SENDBUF_RANGES_MAX = 4096 };

/* Bytes [off, off + len) of a stream, and its end if `fin`. */
struct chunk {
	uint64_t off;
	uint32_t len;
	bool fin;
};

struct sendbuf {
	struct store store;
	struct ranges acked;   /* above una */
	struct ranges lost;    /* to be sent again; below sent */
	struct range unlisted; /* lost too, when `lost` had no memory for its first */
	uint64_t una, sent, end;
	bool fin;      /* nothing more is appended */
	bool fin_sent; /* and not known to be lost */
	bool fin_acked;
};

void sendbuf_init(struct sendbuf *b, struct budget *budget);
void sendbuf_done(struct sendbuf *b);

/*
 * Where the next bytes may be put, ret_len of them in one piece, at least 1.
 * -ENOBUFS, -ENOMEM: not now. Not after sendbuf_end(). Good until the next call.
 */
int sendbuf_room(struct sendbuf *b, uint8_t **ret_at, size_t *ret_len) MUST_CHECK;
/* `len` bytes have been put there; 0: none, an idle stream gives the room back. */
void sendbuf_commit(struct sendbuf *b, size_t len);
/* The direction ends at `end`. */
void sendbuf_end(struct sendbuf *b);

/*
 * What to send next: what is lost first, then what was never sent, at most
 * `max` bytes and nothing new at or above `limit` (the peer's window; a FIN
 * needs none). A FIN goes along with the last byte, or by itself with len 0.
 * False: nothing. Changes nothing.
 */
bool sendbuf_next(const struct sendbuf *b, size_t max, uint64_t limit,
		  struct chunk *ret_chunk);
/* The bytes of a chunk that is not acknowledged yet. */
void sendbuf_read(const struct sendbuf *b, const struct chunk *c, uint8_t *ret_data);
/* It has been sent, as sendbuf_next() gave it, or less of it. */
void sendbuf_sent(struct sendbuf *b, const struct chunk *c);

/*
 * The oldest bytes in flight, neither acknowledged nor lost, from `from` on. The
 * FIN comes as in sendbuf_next(), whatever `from` is: nothing is behind it.
 */
bool sendbuf_in_flight(const struct sendbuf *b, uint64_t from, size_t max,
		       struct chunk *ret_chunk);

/*
 * A packet with this chunk was acknowledged, or lost: what sendbuf_sent() was told,
 * or a copy, or a part. Both may come twice, and one after the other.
 */
void sendbuf_acked(struct sendbuf *b, const struct chunk *c);
void sendbuf_lost(struct sendbuf *b, const struct chunk *c);

/* Whether everything, the FIN included, is acknowledged. */
bool sendbuf_is_done(const struct sendbuf *b);

#endif
