/*
 * wire_frames - what the frames of the udp transport hold.
 *
 * Model:   a type of one byte, then the fields. Integers are variable-length
 *          (RFC 9000, 16), but those of 8 bits are one byte.
 * Bounds:  FRAME_*_MAX; variable-length integers at most WIRE_NUMBER_MAX.
 * Owner:   pointers are into the packet that was read, or to what is to be sent.
 * Source:  docs/protocol.md, "Frames"; RFC 8684, 3; RFC 9000, 19.
 */
#ifndef DAEMON_CORE_WIRE_FRAMES_H
#define DAEMON_CORE_WIRE_FRAMES_H

#include "common/addr.h"
#include "common/base.h"
#include "daemon/core/ranges.h"
#include "daemon/core/wire_bytes.h"

enum {
	FRAME_ACK_RANGES_MAX = 64,
	FRAME_REQUEST_MAX = 512, /* OPEN: where the stream goes */
	FRAME_HANDSHAKE_LEN = 164,
	FRAME_TIER_MAX = 2, /* 0 always, 1 when those are full, 2 backup (B) */
	FRAME_STREAM_LEN_MAX = (1 << 14) - 1, /* of data, unless it runs to the end */
	FRAME_STREAM_OVERHEAD_MAX = 1 + 8 + 8 + 2,
};

/* The numbers travel and stay as they are. */
enum frame_type {
	FRAME_PADDING = 0, /* one byte each; a run of them is read as one */
	FRAME_PING = 1,    /* to be acknowledged, nothing else */
	FRAME_ACK = 2,
	FRAME_OPEN = 3,        /* client: a stream, and where it goes */
	FRAME_OPENED = 4,      /* server: what came of it */
	FRAME_RESET = 5,       /* this stream is over, both ways */
	FRAME_STREAM_MAX = 6,  /* window of a stream */
	FRAME_SESSION_MAX = 7, /* window of all streams together */
	FRAME_JOIN = 8,        /* MP_JOIN: first of a subflow, from the client */
	FRAME_JOIN_REPLY = 9,
	FRAME_JOIN_CONFIRM = 10,
	FRAME_PRIO = 11,     /* MP_PRIO */
	FRAME_ADD_ADDR = 12, /* with the echo that acknowledges it */
	FRAME_ADD_ADDR_ECHO = 13,
	FRAME_REMOVE_ADDR = 14,
	FRAME_FASTCLOSE = 15,     /* MP_FASTCLOSE */
	FRAME_SUBFLOW_RESET = 16, /* MP_TCPRST: a subflow ends */
	FRAME_CHALLENGE = 17,     /* an address is to be proven (RFC 9000, 8.2) */
	FRAME_RESPONSE = 18,
	FRAME_REKEY = 19,     /* a handshake message inside the session */
	FRAME_REKEY_ASK = 20, /* server: time for new keys */
	FRAME_CLOSE = 21,     /* the session ends in order */
	FRAME_TYPE_COUNT,
	FRAME_STREAM = 32, /* to 35: bit 0 is FIN, bit 1 says that a length follows */
};

struct frame_ack {
	uint8_t subflow;
	uint32_t received_at; /* when the highest came: microseconds of the receiver's
				 clock, low 32 bits, 4 bytes */
	uint32_t delay;       /* microseconds from then to this frame */
	uint32_t n_ranges;    /* 1 to FRAME_ACK_RANGES_MAX */
	/* Of counters, at most WIRE_NUMBER_MAX; highest first, none touches another. */
	struct range ranges[FRAME_ACK_RANGES_MAX];
};

struct frame_stream {
	uint64_t stream;
	uint64_t off; /* off + len at most WIRE_NUMBER_MAX */
	const uint8_t *data;
	size_t len;
	bool fin;
	bool to_end; /* without a length: nothing may follow in the packet */
};

struct frame_open {
	uint64_t stream;
	const uint8_t *request; /* opaque here */
	size_t len;             /* 1 to FRAME_REQUEST_MAX */
};

struct frame_addr {
	uint8_t id;
	struct addr addr; /* port 0: any; the scope stays at home */
	uint8_t hmac[8];  /* RFC 8684, 3.4.1; ADD_ADDR only */
};

struct frame_join {
	uint32_t token;   /* JOIN; 4 bytes */
	uint8_t nonce[8]; /* JOIN, JOIN_REPLY */
	uint8_t addr_id;  /* JOIN, JOIN_REPLY */
	uint8_t tier;     /* JOIN, JOIN_REPLY; 0 to FRAME_TIER_MAX */
	uint8_t hmac[20]; /* JOIN_REPLY: 8 bytes; JOIN_CONFIRM: 20 */
};

struct frame {
	uint8_t type; /* enum frame_type; FRAME_STREAM for all four of its numbers */
	union {
		struct frame_ack ack;
		struct frame_stream stream;
		struct frame_open open;
		struct frame_addr addr; /* ADD_ADDR, its echo; REMOVE_ADDR: the id */
		struct frame_join join;
		struct {
			uint64_t stream;
			uint8_t status;
		} opened;
		struct {
			uint64_t stream;
			uint8_t code;
			uint64_t final; /* bytes sent, by their highest offset */
		} reset;
		struct {
			uint64_t stream, max;
		} max; /* SESSION_MAX: stream 0, not sent */
		struct {
			uint64_t seq;
			uint8_t subflow;
			uint8_t tier;
		} prio;
		struct {
			uint8_t subflow;
			uint8_t code;   /* RFC 8684, 3.6 */
		} end;                  /* SUBFLOW_RESET */
		uint8_t key[8];         /* FASTCLOSE */
		uint8_t code;           /* CLOSE */
		uint8_t data[8];        /* CHALLENGE, RESPONSE */
		const uint8_t *message; /* REKEY: FRAME_HANDSHAKE_LEN bytes */
	};
};

/* For wire.c: all fields behind the type, of all frames but ACK, STREAM, PADDING. */
void wire_frames_get(struct wire_reader *r, uint8_t type, struct frame *ret_frame);
void wire_frames_put(struct wire_writer *w, const struct frame *f);

#endif
