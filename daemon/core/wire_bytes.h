/*
 * wire_bytes - reads and writes the fields of frames.
 *
 * Model:   one look at `bad` or `full` after the last field is enough: both stay
 *          once they are set, and what comes after moves nothing.
 * Owner:   nobody: pointers into the caller's packet.
 * Source:  docs/protocol.md, "Frames"; RFC 9000, 16, for the numbers.
 */
#ifndef DAEMON_CORE_WIRE_BYTES_H
#define DAEMON_CORE_WIRE_BYTES_H

#include "common/base.h"

/* What a variable-length integer holds. */
#define WIRE_NUMBER_MAX ((UINT64_C(1) << 62) - 1)

struct wire_reader {
	const uint8_t *p, *end;
	bool bad; /* it ended too early, or a value is out of bounds */
};

/* Once `r` is bad they return NULL or 0. */
const uint8_t *wire_get_bytes(struct wire_reader *r, size_t len);
uint8_t wire_get_byte(struct wire_reader *r);
uint32_t wire_get_word(struct wire_reader *r); /* 4 bytes */

/* Variable-length, in whichever of its forms; from `min` to `max`. */
uint64_t wire_get_number(struct wire_reader *r);
uint64_t wire_get_within(struct wire_reader *r, uint64_t min, uint64_t max);

struct wire_writer {
	uint8_t *p, *end;
	bool full; /* a field did not fit */
};

/* Where `len` bytes are to be written; NULL: `w` is full. */
uint8_t *wire_put_room(struct wire_writer *w, size_t len);
void wire_put_bytes(struct wire_writer *w, const uint8_t *data, size_t len);
void wire_put_byte(struct wire_writer *w, uint8_t v);
void wire_put_word(struct wire_writer *w, uint32_t v);

/* In the shortest form. */
void wire_put_number(struct wire_writer *w, uint64_t v);
size_t wire_number_len(uint64_t v);

#endif
