#include "daemon/core/wire_bytes.h"

#include "common/bytes.h"

#include <string.h>

const uint8_t *
wire_get_bytes(struct wire_reader *r, size_t len)
{
	const uint8_t *here = r->p;

	if (r->bad || (size_t)(r->end - here) < len) {
		r->bad = true;
		return NULL;
	}
	r->p += len;
	return here;
}

uint8_t
wire_get_byte(struct wire_reader *r)
{
	const uint8_t *p = wire_get_bytes(r, 1);

	return p != NULL ? *p : 0;
}

uint32_t
wire_get_word(struct wire_reader *r)
{
	const uint8_t *p = wire_get_bytes(r, 4);

	return p != NULL ? get_be32(p) : 0;
}

uint64_t
wire_get_number(struct wire_reader *r)
{
	const uint8_t *p = wire_get_bytes(r, 1);
	unsigned form;

	if (p == NULL)
		return 0;
	form = *p >> 6;
	if (form == 0)
		return *p;
	if (wire_get_bytes(r, (1u << form) - 1) == NULL)
		return 0;
	if (form == 1)
		return get_be16(p) & 0x3fff;
	if (form == 2)
		return get_be32(p) & 0x3fffffff;
	return get_be64(p) & WIRE_NUMBER_MAX;
}

uint64_t
wire_get_within(struct wire_reader *r, uint64_t min, uint64_t max)
{
	uint64_t v = wire_get_number(r);

	if (v >= min && v <= max)
		return v;
	r->bad = true;
	return 0;
}

uint8_t *
wire_put_room(struct wire_writer *w, size_t len)
{
	uint8_t *here = w->p;

	if (w->full || (size_t)(w->end - here) < len) {
		w->full = true;
		return NULL;
	}
	w->p += len;
	return here;
}

void
wire_put_bytes(struct wire_writer *w, const uint8_t *data, size_t len)
{
	uint8_t *p = wire_put_room(w, len);

	if (p != NULL && len > 0)
		memcpy(p, data, len);
}

void
wire_put_byte(struct wire_writer *w, uint8_t v)
{
	wire_put_bytes(w, &v, 1);
}

void
wire_put_word(struct wire_writer *w, uint32_t v)
{
	uint8_t *p = wire_put_room(w, 4);

	if (p != NULL)
		put_be32(p, v);
}

size_t
wire_number_len(uint64_t v)
{
	assert(v <= WIRE_NUMBER_MAX);
	return v < 1u << 6 ? 1 : v < 1u << 14 ? 2 : v < 1u << 30 ? 4 : 8;
}

void
wire_put_number(struct wire_writer *w, uint64_t v)
{
	size_t len = wire_number_len(v);
	uint8_t *p = wire_put_room(w, len);

	if (p == NULL)
		return;
	switch (len) {
	case 1: p[0] = (uint8_t)v; break;
	case 2: put_be16(p, (uint16_t)(v | 1u << 14)); break;
	case 4: put_be32(p, (uint32_t)(v | UINT32_C(2) << 30)); break;
	default: put_be64(p, v | UINT64_C(3) << 62);
	}
}
