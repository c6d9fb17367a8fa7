#include "daemon/core/wire.h"

#include "common/bytes.h"
#include "daemon/core/wire_bytes.h"

#include <string.h>

enum {
	FLAGS_FIXED = 0xf2, /* these bits are those of WIRE_IS_PACKET */
	FLAGS_ACK_NOW = 0x01,
	FLAGS_GENERATION_SHIFT = 2,
	GENERATION_MAX = 3,
	SESSION_MAX = 0xffffff,
};

int
packet_header_get(const uint8_t *data, size_t len, struct packet_header *ret_header)
{
	if (len <= WIRE_OVERHEAD || (data[0] & FLAGS_FIXED) != WIRE_IS_PACKET)
		return -EBADMSG;
	ret_header->generation = data[0] >> FLAGS_GENERATION_SHIFT & GENERATION_MAX;
	ret_header->ack_now = (data[0] & FLAGS_ACK_NOW) != 0;
	ret_header->session = get_be32(data) & SESSION_MAX;
	ret_header->subflow = data[4];
	ret_header->counter = get_be32(data + 5);
	return 0;
}

void
packet_header_put(uint8_t ret_data[WIRE_HEADER_LEN], const struct packet_header *h)
{
	assert(h->session <= SESSION_MAX && h->generation <= GENERATION_MAX);
	put_be32(ret_data, h->session);
	ret_data[0] =
		(uint8_t)(WIRE_IS_PACKET | h->generation << FLAGS_GENERATION_SHIFT |
			  (h->ack_now ? FLAGS_ACK_NOW : 0));
	ret_data[4] = h->subflow;
	put_be32(ret_data + 5, h->counter);
}

uint64_t
packet_counter(uint32_t low, uint64_t expected)
{
	const uint64_t span = UINT64_C(1) << 32;
	uint64_t near = (expected & ~(span - 1)) | low;

	if (near + span / 2 <= expected && near + span <= WIRE_NUMBER_MAX)
		return near + span;
	if (near > expected + span / 2 && near >= span)
		return near - span;
	return near;
}

/*
 * As in RFC 9000, 19.3.1: the highest counter, and how many below it came as well;
 * then, for each further range, one less than are missing, and again how many.
 */
static uint32_t
get_ranges(struct wire_reader *r, struct range *ranges)
{
	uint64_t end = wire_get_number(r) + 1, less;
	uint32_t n = 1u + wire_get_byte(r);

	if (n > FRAME_ACK_RANGES_MAX)
		r->bad = true;
	for (uint32_t i = 0; !r->bad; i++) {
		less = wire_get_within(r, 0, end - 1);
		ranges[i].end = end;
		ranges[i].start = end - 1 - less;
		if (i + 1 == n)
			break;
		less = wire_get_number(r) + 1;
		if (less >= ranges[i].start)
			r->bad = true;
		end = ranges[i].start - less;
	}
	return n;
}

static void
get_ack(struct wire_reader *r, struct frame_ack *ret_ack)
{
	struct range ranges[FRAME_ACK_RANGES_MAX];
	uint8_t subflow = wire_get_byte(r);
	uint32_t received_at = wire_get_word(r);
	uint32_t delay = (uint32_t)wire_get_within(r, 0, UINT32_MAX);
	uint32_t n = get_ranges(r, ranges);

	if (r->bad)
		return;
	ret_ack->subflow = subflow;
	ret_ack->received_at = received_at;
	ret_ack->delay = delay;
	ret_ack->n_ranges = n;
	memcpy(ret_ack->ranges, ranges, n * sizeof(ranges[0]));
}

static void
put_ack(struct wire_writer *w, const struct frame_ack *a)
{
	const struct range *at = a->ranges;

	assert(a->n_ranges >= 1 && a->n_ranges <= FRAME_ACK_RANGES_MAX);
	wire_put_byte(w, FRAME_ACK);
	wire_put_byte(w, a->subflow);
	wire_put_word(w, a->received_at);
	wire_put_number(w, a->delay);
	assert(at[0].end > 0);
	wire_put_number(w, at[0].end - 1);
	wire_put_byte(w, (uint8_t)(a->n_ranges - 1));
	for (uint32_t i = 0; i < a->n_ranges; i++) {
		assert(at[i].start < at[i].end);
		if (i > 0) {
			assert(at[i].end < at[i - 1].start);
			wire_put_number(w, at[i - 1].start - at[i].end - 1);
		}
		wire_put_number(w, at[i].end - 1 - at[i].start);
	}
}

enum { STREAM_FIN = 1, STREAM_HAS_LEN = 2, STREAM_BITS = 3 };

static void
get_stream(struct wire_reader *r, uint8_t bits, struct frame_stream *ret_stream)
{
	uint64_t stream = wire_get_number(r);
	uint64_t off = wire_get_number(r);
	bool to_end = (bits & STREAM_HAS_LEN) == 0;
	size_t len = to_end ? (size_t)(r->end - r->p)
			    : wire_get_within(r, 0, FRAME_STREAM_LEN_MAX);
	const uint8_t *data = wire_get_bytes(r, len);

	if (len > WIRE_NUMBER_MAX - off)
		r->bad = true;
	if (r->bad)
		return;
	ret_stream->stream = stream;
	ret_stream->off = off;
	ret_stream->data = data;
	ret_stream->len = len;
	ret_stream->fin = (bits & STREAM_FIN) != 0;
	ret_stream->to_end = to_end;
}

size_t
frame_stream_overhead(uint64_t stream, uint64_t off, bool to_end)
{
	/* A length always has two bytes, so that it need not be known before. */
	return 1 + wire_number_len(stream) + wire_number_len(off) + (to_end ? 0 : 2);
}

static void
put_stream_head(struct wire_writer *w, const struct frame_stream *s)
{
	uint8_t *p;

	assert(s->off <= WIRE_NUMBER_MAX && s->len <= WIRE_NUMBER_MAX - s->off);
	wire_put_byte(w, (uint8_t)(FRAME_STREAM | (s->fin ? STREAM_FIN : 0) |
				   (s->to_end ? 0 : STREAM_HAS_LEN)));
	wire_put_number(w, s->stream);
	wire_put_number(w, s->off);
	if (s->to_end)
		return;
	assert(s->len <= FRAME_STREAM_LEN_MAX);
	p = wire_put_room(w, 2);
	if (p != NULL)
		put_be16(p, (uint16_t)(s->len | 1u << 14));
}

size_t
frame_put_stream_head(uint8_t *buf, const struct frame_stream *s)
{
	struct wire_writer w = {buf, buf + FRAME_STREAM_OVERHEAD_MAX, false};

	put_stream_head(&w, s);
	return (size_t)(w.p - buf);
}

static void
put_stream(struct wire_writer *w, const struct frame_stream *s)
{
	put_stream_head(w, s);
	wire_put_bytes(w, s->data, s->len);
}

static void
skip_padding(struct wire_reader *r)
{
	while (r->p < r->end && *r->p == FRAME_PADDING)
		r->p++;
}

int
frame_get(const uint8_t **at, const uint8_t *end, struct frame *ret_frame)
{
	struct wire_reader r = {*at, end, false};
	uint8_t type = wire_get_byte(&r), bits = 0;

	if (type >= FRAME_STREAM && type <= FRAME_STREAM + STREAM_BITS) {
		bits = type - FRAME_STREAM;
		type = FRAME_STREAM;
		get_stream(&r, bits, &ret_frame->stream);
	} else if (type == FRAME_ACK) {
		get_ack(&r, &ret_frame->ack);
	} else if (type == FRAME_PADDING) {
		skip_padding(&r);
	} else if (type < FRAME_TYPE_COUNT) {
		wire_frames_get(&r, type, ret_frame);
	} else {
		r.bad = true;
	}
	if (r.bad)
		return -EBADMSG;
	ret_frame->type = type;
	*at = r.p;
	return 0;
}

size_t
frame_put(uint8_t *buf, size_t cap, const struct frame *f)
{
	struct wire_writer w = {buf, buf + cap, false};

	if (f->type == FRAME_STREAM)
		put_stream(&w, &f->stream);
	else if (f->type == FRAME_ACK)
		put_ack(&w, &f->ack);
	else if (f->type == FRAME_PADDING)
		wire_put_byte(&w, FRAME_PADDING);
	else
		wire_frames_put(&w, f);
	return w.full ? 0 : (size_t)(w.p - buf);
}
