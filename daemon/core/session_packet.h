/*
 * session_packet - one packet to send: acknowledgements, words, sealing.
 *
 * Owner:   the caller owns the packet and its buffer.
 * Source:  docs/protocol.md, "Packets" and "Frames".
 */
#ifndef DAEMON_CORE_SESSION_PACKET_H
#define DAEMON_CORE_SESSION_PACKET_H

#include "daemon/core/session_parts.h"

/* What an item of a sent packet was. */
enum item_kind {
	ITEM_CHUNK,
	ITEM_COPY, /* of a chunk that is in flight elsewhere */
	ITEM_WORD, /* off: enum stream_word */
	ITEM_WORD_COPY,
	ITEM_SESSION_MAX,
	ITEM_SUBFLOW_WORD, /* stream: subflow id, off: enum subflow_word */
	ITEM_SUBFLOW_END,  /* stream: subflow id */
	ITEM_REMOVE_ADDR,  /* stream: its id */
};

/* A packet that is being filled. */
struct outbound {
	uint8_t *buf;
	size_t len, max; /* frames end at `max`: the tag has its room behind */
	struct sent sent;
};

/* `size` is the most that the whole packet may have. */
void packet_begin(struct outbound *p, uint8_t *buf, size_t size);
bool packet_put(struct outbound *p, const struct frame *f);
bool packet_has_items(const struct outbound *p);
void packet_note(struct outbound *p, struct item it);
void packet_put_acks(struct session *s, struct outbound *p, struct subflow *sf);
void
packet_put_subflow_words(struct session *s, struct outbound *p, struct subflow *sf);
/* MP_PRIO and MP_TCPRST of all subflows, ADD_ADDR and its kin. */
void packet_put_news(struct session *s, struct outbound *p);
void packet_put_addrs(struct session *s, struct outbound *p);
/* False: the packet is full. */
bool packet_put_word(struct outbound *p, const struct stream *st, uint8_t word,
		     enum item_kind kind);
/* A chunk's frame and bytes; `c` shrinks to what fits. False: the packet is full. */
bool packet_put_chunk(struct outbound *p, const struct stream *st, struct chunk *c);
/* Seals and remembers it. Returns its bytes, 0 when it came to nothing. */
size_t packet_finish(struct session *s, struct subflow *sf, struct outbound *p);
/* On the subflow that ended itself, where there is no other. */
size_t
packet_send_reset(struct session *s, struct subflow *sf, uint8_t *buf, size_t size);
size_t
packet_send_mtu_probe(struct session *s, struct subflow *sf, uint8_t *buf, size_t size);

#endif
