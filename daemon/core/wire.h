/*
 * wire - packets and frames of the udp transport, to bytes and back.
 *
 * Model:   a packet is a header in clear, then sealed frames, then a tag.
 *
 *	| flags | session index | subflow id | counter | frames ... | tag |
 *	    1           3             1      4, its low       1 on     16
 *	                                      32 bits
 *
 *	flags    1 0 0 0  g g 0 a      g: key generation, a: acknowledge at once
 *
 *          A frame is read into one struct and written from it.
 * Bounds:  in wire_frames.h. Every value that can be written can be read, and
 *          the other way round; to write one that is out of bounds is a bug.
 * Owner:   a frame that was read points into the packet; it lives as long.
 * Errors:  -EBADMSG  the bytes are no packet, or no frame: the whole packet
 *          counts for nothing
 * Source:  docs/protocol.md, "Packets" and "Frames"; RFC 9000, 12 and 19.
 */
#ifndef DAEMON_CORE_WIRE_H
#define DAEMON_CORE_WIRE_H

#include "common/base.h"
#include "daemon/core/wire_frames.h"

enum {
	WIRE_HEADER_LEN = 9,
	WIRE_OVERHEAD = WIRE_HEADER_LEN + 16, /* and the tag */
	WIRE_IS_PACKET = 0x80, /* of the first byte; without: a handshake message */
	WIRE_OVER_TCP = 5,     /* what a TCP connection that carries both begins with */
};

struct packet_header {
	uint32_t session; /* 24 bits */
	uint8_t subflow;
	uint8_t generation; /* 2 bits */
	bool ack_now;
	uint32_t counter; /* low 32 bits */
};

/* -EBADMSG: no data packet of this version, or too short for a frame. */
int packet_header_get(const uint8_t *data, size_t len,
		      struct packet_header *ret_header) MUST_CHECK;
void
packet_header_put(uint8_t ret_data[WIRE_HEADER_LEN], const struct packet_header *h);

/* The counter with these low 32 bits that is nearest to `expected` (RFC 9000, A.3). */
uint64_t packet_counter(uint32_t low, uint64_t expected);

/*
 * Reads the frame at *at and moves *at behind it. What a frame of this type
 * does not have is not to be looked at: it may be as it was.
 *
 * -EBADMSG  there is no frame, or it is cut short, or a value is out of bounds;
 *           nothing has changed
 */
int
frame_get(const uint8_t **at, const uint8_t *end, struct frame *ret_frame) MUST_CHECK;

/*
 * Writes a frame. Returns its bytes; 0: it does not fit into `cap`, and what
 * `buf` holds is garbage. PADDING is one byte.
 */
size_t frame_put(uint8_t *buf, size_t cap, const struct frame *f);

/* Writes a STREAM frame but for its data, which the caller puts behind. Its bytes. */
size_t frame_put_stream_head(uint8_t *buf, const struct frame_stream *s);

/* Bytes of a STREAM frame without its data, and with a length unless `to_end`. */
size_t frame_stream_overhead(uint64_t stream, uint64_t off, bool to_end);

#endif
