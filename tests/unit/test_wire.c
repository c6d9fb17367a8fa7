/*
 * Packets and frames: the bytes of docs/protocol.md, every bound at its edge, every
 * cut, and random frames there and back. Bytes lie in buffers of exact size, so that
 * the sanitizers see whoever looks further.
 */
#include "tests/unit/unit.h"

#include "daemon/core/wire.h"
#include "tests/unit/addrs.h"
#include "tests/unit/frames.h"
#include "tests/unit/seed.h"

#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 2000, DATA_MAX = 3000, FRAME_MAX = DATA_MAX + 64 };

static unsigned seed;

static uint64_t
draw64(void)
{
	uint64_t v = 0;

	for (int i = 0; i < 5; i++)
		v = v << 15 ^ (uint64_t)rand_r(&seed);
	return v;
}

/* Of any length in bits, often at the edge of a form. */
static uint64_t
draw_number(uint64_t max)
{
	static const unsigned edges[] = {6, 14, 30, 62};
	uint64_t v = draw64() >> draw64() % 64;

	if (draw64() % 3 == 0)
		v = (UINT64_C(1) << edges[draw64() % 4]) - draw64() % 2;
	return v <= max ? v : max - draw64() % (max / 2 + 1);
}

static bool
draw_bool(void)
{
	return draw64() % 2 != 0;
}

static void
draw_bytes(uint8_t *p, size_t len)
{
	uint64_t v = 0;

	for (size_t i = 0; i < len; i++, v >>= 8) {
		if (i % 8 == 0)
			v = draw64();
		p[i] = (uint8_t)v;
	}
}

static uint8_t *
exact(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len);

	assert_non_null(copy);
	if (len > 0)
		memcpy(copy, data, len);
	return copy;
}

static struct frame got;

/* Reads one frame from `len` bytes; its own bytes stay in `kept` for its pointers. */
static uint8_t *kept;

static int
get(const uint8_t *data, size_t len, size_t *ret_used)
{
	const uint8_t *at;
	int err;

	free(kept);
	kept = exact(data, len);
	at = kept;
	err = frame_get(&at, kept + len, &got);
	*ret_used = (size_t)(at - kept);
	return err;
}

static void
accepts(const uint8_t *data, size_t len, const struct frame *f)
{
	size_t used;

	assert_int_equal(get(data, len, &used), 0);
	assert_int_equal(used, len);
	assert_true(frames_same(&got, f));
}

/* And nothing has changed. */
static void
refuses(const uint8_t *data, size_t len)
{
	static struct frame before;
	size_t used;

	memset(&got, 0xa5, sizeof(got));
	memset(&before, 0xa5, sizeof(before));
	assert_int_equal(get(data, len, &used), -EBADMSG);
	assert_int_equal(used, 0);
	assert_memory_equal(&got, &before, sizeof(got));
}

static size_t
put(uint8_t buf[FRAME_MAX], const struct frame *f)
{
	size_t len = frame_put(buf, FRAME_MAX, f);

	assert_true(len > 0);
	return len;
}

/* Hexadecimal digits, spaces between. */
static size_t
unhex(const char *text, uint8_t *out)
{
	size_t len = 0;

	while (*text != '\0') {
		char pair[3] = {text[0], text[1], '\0'};

		if (*text == ' ') {
			text++;
			continue;
		}
		out[len++] = (uint8_t)strtoul(pair, NULL, 16);
		text += 2;
	}
	return len;
}

static void
refuses_hex(const char *text)
{
	uint8_t data[256];

	refuses(data, unhex(text, data));
}

static void
accepts_hex(const char *text, const struct frame *f)
{
	uint8_t data[256];

	accepts(data, unhex(text, data), f);
}

static void
headers_are_the_documents(void **state)
{
	static const struct packet_header h = {.session = 0x123456,
					       .subflow = 7,
					       .generation = 2,
					       .ack_now = true,
					       .counter = 0x89abcdef};
	static const uint8_t want[] = {0x89, 0x12, 0x34, 0x56, 7,
				       0x89, 0xab, 0xcd, 0xef};
	uint8_t data[WIRE_HEADER_LEN];

	(void)state;
	packet_header_put(data, &h);
	assert_memory_equal(data, want, sizeof(want));
}

static void
headers_come_back(void **state)
{
	struct packet_header h = {0}, back;
	uint8_t data[WIRE_OVERHEAD + 1] = {0};

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		h.session = (uint32_t)draw64() >> 8;
		h.subflow = (uint8_t)draw64();
		h.generation = draw64() % 4;
		h.ack_now = draw_bool();
		h.counter = (uint32_t)draw64();
		packet_header_put(data, &h);
		assert_int_equal(packet_header_get(data, sizeof(data), &back), 0);
		assert_int_equal(back.session, h.session);
		assert_int_equal(back.subflow, h.subflow);
		assert_int_equal(back.generation, h.generation);
		assert_int_equal(back.ack_now, h.ack_now);
		assert_int_equal(back.counter, h.counter);
	}
}

static void
other_first_bytes_are_no_packets(void **state)
{
	uint8_t data[WIRE_OVERHEAD + 1] = {0};
	struct packet_header h;
	int n = 0;

	(void)state;
	for (unsigned b = 0; b < 256; b++) {
		bool is_packet = b >= 0x80 && b < 0x90 && (b & 2) == 0;
		int err;

		data[0] = (uint8_t)b;
		err = packet_header_get(data, sizeof(data), &h);
		assert_int_equal(err, is_packet ? 0 : -EBADMSG);
		n += is_packet;
	}
	assert_int_equal(n, 8);
}

static void
packets_hold_a_frame(void **state)
{
	uint8_t data[WIRE_OVERHEAD + 1] = {WIRE_IS_PACKET};
	struct packet_header h;

	(void)state;
	for (size_t len = 0; len <= WIRE_OVERHEAD; len++) {
		uint8_t *copy = exact(data, len);

		assert_int_equal(packet_header_get(copy, len, &h), -EBADMSG);
		free(copy);
	}
	assert_int_equal(packet_header_get(data, sizeof(data), &h), 0);
}

static uint64_t
distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

/* All counters with these low bits around `expected`; of two as near, the higher. */
static uint64_t
nearest(uint32_t low, uint64_t expected)
{
	uint64_t block = expected >> 32, best = UINT64_MAX;

	for (uint64_t b = block > 0 ? block - 1 : 0; b <= block + 1; b++) {
		uint64_t c = b << 32 | low;

		if (c <= WIRE_NUMBER_MAX &&
		    (best == UINT64_MAX ||
		     distance(c, expected) <= distance(best, expected)))
			best = c;
	}
	return best;
}

static void
counters_are_the_nearest(void **state)
{
	static const uint64_t around[] = {0,
					  UINT64_C(1) << 31,
					  UINT64_C(1) << 32,
					  UINT64_C(3) << 31,
					  UINT64_C(1) << 40,
					  WIRE_NUMBER_MAX - (UINT64_C(1) << 32),
					  WIRE_NUMBER_MAX - (UINT64_C(1) << 31),
					  WIRE_NUMBER_MAX};
	static const uint32_t lows[] = {0,          1,          0x7fffffff,
					0x80000000, 0x80000001, 0xffffffff};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(around); i++) {
		for (uint64_t d = 0; d < 9; d++) {
			uint64_t expected = around[i] + d - 4;
			uint32_t at = (uint32_t)expected;

			if (expected > WIRE_NUMBER_MAX)
				continue;
			for (size_t j = 0; j < ARRAY_LEN(lows); j++) {
				uint32_t low = lows[j], off = at + lows[j];

				assert_int_equal(packet_counter(low, expected),
						 nearest(low, expected));
				assert_int_equal(packet_counter(off, expected),
						 nearest(off, expected));
			}
		}
	}
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t expected = draw_number(WIRE_NUMBER_MAX);
		uint32_t low = (uint32_t)draw64();

		assert_int_equal(packet_counter(low, expected), nearest(low, expected));
	}
	/* The example of RFC 9000, A.3, at this protocol's width. */
	assert_int_equal(packet_counter(0x00000002, 0xfffffffe), 0x100000002);
	assert_int_equal(packet_counter(0xfffffffe, 0x100000002), 0xfffffffe);
}

static const uint8_t ten[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};

static void
writes(const struct frame *f, const char *hex)
{
	uint8_t want[256], buf[FRAME_MAX];
	size_t want_len = unhex(hex, want), len = put(buf, f);

	assert_int_equal(len, want_len);
	assert_memory_equal(buf, want, len);
	accepts(buf, len, f);
}

static void
frames_are_the_documents(void **state)
{
	struct frame f = {.type = FRAME_PING};

	(void)state;
	writes(&f, "01");
	f.type = FRAME_PADDING;
	writes(&f, "00");
	f.type = FRAME_REKEY_ASK;
	writes(&f, "14");
	f = (struct frame){FRAME_OPEN, .open = {0x4000, ten, 3}};
	writes(&f, "03 80004000 03 010203");
	f = (struct frame){FRAME_OPENED, .opened = {5, 9}};
	writes(&f, "04 05 09");
	f = (struct frame){FRAME_RESET, .reset = {64, 2, 9}};
	writes(&f, "05 4040 02 09");
	f = (struct frame){FRAME_STREAM_MAX, .max = {1, 0x40000000}};
	writes(&f, "06 01 c000000040000000");
	f = (struct frame){FRAME_SESSION_MAX, .max = {0, 16383}};
	writes(&f, "07 7fff");
	f = (struct frame){FRAME_PRIO, .prio = {63, 255, 1}};
	writes(&f, "0b 3f ff 01");
	f = (struct frame){FRAME_FASTCLOSE, .key = {1, 2, 3, 4, 5, 6, 7, 8}};
	writes(&f, "0f 0102030405060708");
	f = (struct frame){FRAME_SUBFLOW_RESET, .end = {63, 6}};
	writes(&f, "10 3f 06");
	f = (struct frame){FRAME_CHALLENGE, .data = {8, 7, 6, 5, 4, 3, 2, 1}};
	writes(&f, "11 0807060504030201");
	f.type = FRAME_RESPONSE;
	writes(&f, "12 0807060504030201");
	f = (struct frame){FRAME_CLOSE, .code = 255};
	writes(&f, "15 ff");
}

static void
joins_are_the_documents(void **state)
{
	struct frame f = {FRAME_JOIN, .join = {.token = 0x8a851ff8,
					       .nonce = {1, 2, 3, 4, 5, 6, 7, 8},
					       .addr_id = 3,
					       .tier = 1}};

	(void)state;
	writes(&f, "08 8a851ff8 0102030405060708 03 01");
	f.type = FRAME_JOIN_REPLY;
	memset(f.join.hmac, 0xee, sizeof(f.join.hmac));
	f.join.tier = 0;
	writes(&f, "09 0102030405060708 03 00 eeeeeeeeeeeeeeee");
	f.type = FRAME_JOIN_CONFIRM;
	writes(&f, "0a eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee");
}

static void
addresses_are_the_documents(void **state)
{
	struct frame f = {FRAME_ADD_ADDR,
			  .addr = {.id = 1, .hmac = {9, 9, 9, 9, 9, 9, 9, 9}}};

	(void)state;
	f.addr.addr = addrs_of("192.0.2.1:65101");
	writes(&f, "0c 01 04 c0000201 fe4d 0909090909090909");
	f.type = FRAME_ADD_ADDR_ECHO;
	writes(&f, "0d 01 04 c0000201 fe4d");
	f.addr.addr = addrs_ip("2001:db8::1", 0);
	writes(&f, "0d 01 06 20010db8000000000000000000000001 0000");
	f.type = FRAME_REMOVE_ADDR;
	writes(&f, "0e 01");
}

static void
acks_and_streams_are_the_documents(void **state)
{
	struct frame f = {FRAME_ACK, .ack = {.subflow = 2,
					     .received_at = 0x01020304,
					     .delay = 100,
					     .n_ranges = 3,
					     .ranges = {{95, 101}, {93, 94}, {0, 92}}}};

	(void)state;
	writes(&f, "02 02 01020304 4064 4064 02 05 00 00 00 405b");
	f = (struct frame){FRAME_STREAM, .stream = {.stream = 1,
						    .off = 100,
						    .data = ten,
						    .len = 2,
						    .to_end = true}};
	writes(&f, "20 01 4064 0102");
	f.stream.fin = true;
	writes(&f, "21 01 4064 0102");
	f.stream.to_end = false;
	writes(&f, "23 01 4064 4002 0102");
	f.stream.fin = false;
	f.stream.len = 0;
	f.stream.data = NULL;
	writes(&f, "22 01 4064 4000");
}

static const uint8_t types[] = {
	FRAME_PADDING,       FRAME_PING,          FRAME_ACK,          FRAME_OPEN,
	FRAME_OPENED,        FRAME_RESET,         FRAME_STREAM_MAX,   FRAME_SESSION_MAX,
	FRAME_JOIN,          FRAME_JOIN_REPLY,    FRAME_JOIN_CONFIRM, FRAME_PRIO,
	FRAME_ADD_ADDR,      FRAME_ADD_ADDR_ECHO, FRAME_REMOVE_ADDR,  FRAME_FASTCLOSE,
	FRAME_SUBFLOW_RESET, FRAME_CHALLENGE,     FRAME_RESPONSE,     FRAME_REKEY,
	FRAME_REKEY_ASK,     FRAME_CLOSE,         FRAME_STREAM,
};

static void
draw_ack(struct frame_ack *a)
{
	uint64_t end = draw_number(WIRE_NUMBER_MAX) + 1;

	a->subflow = (uint8_t)draw64();
	a->received_at = (uint32_t)draw64();
	a->delay = (uint32_t)draw_number(UINT32_MAX);
	a->n_ranges = 0;
	for (uint64_t n = 1 + draw64() % FRAME_ACK_RANGES_MAX; n > 0 && end > 0; n--) {
		struct range *r = &a->ranges[a->n_ranges++];

		r->end = end;
		r->start = end - 1 - draw_number(end - 1) % (draw_bool() ? 5 : end);
		if (r->start == 0)
			break;
		end = r->start - 1 -
		      draw_number(r->start - 1) % (draw_bool() ? 5 : end);
	}
}

static void
draw_stream(struct frame_stream *s, const uint8_t data[DATA_MAX])
{
	s->stream = draw_number(WIRE_NUMBER_MAX);
	s->data = data;
	s->len = draw_number(DATA_MAX);
	s->off = draw_number(WIRE_NUMBER_MAX - s->len);
	s->fin = draw_bool();
	s->to_end = draw_bool();
}

static void
draw_addr(struct frame_addr *a)
{
	a->id = (uint8_t)draw64();
	a->addr.family = draw_bool() ? AF_INET : AF_INET6;
	draw_bytes(a->addr.ip, a->addr.family == AF_INET ? 4 : 16);
	a->addr.port = (uint16_t)draw64();
	draw_bytes(a->hmac, sizeof(a->hmac));
}

/* A valid one; whatever it points to is in `data`. */
static void
draw_frame(uint8_t type, struct frame *f, uint8_t data[DATA_MAX])
{
	memset(f, 0, sizeof(*f));
	f->type = type;
	draw_bytes(data, DATA_MAX);
	switch (type) {
	case FRAME_ACK: draw_ack(&f->ack); break;
	case FRAME_STREAM: draw_stream(&f->stream, data); break;
	case FRAME_OPEN:
		f->open.stream = draw_number(WIRE_NUMBER_MAX);
		f->open.request = data;
		f->open.len = 1 + draw64() % FRAME_REQUEST_MAX;
		break;
	case FRAME_OPENED:
		f->opened.stream = draw_number(WIRE_NUMBER_MAX);
		f->opened.status = (uint8_t)draw64();
		break;
	case FRAME_RESET:
		f->reset.stream = draw_number(WIRE_NUMBER_MAX);
		f->reset.code = (uint8_t)draw64();
		f->reset.final = draw_number(WIRE_NUMBER_MAX);
		break;
	case FRAME_STREAM_MAX:
	case FRAME_SESSION_MAX:
		f->max.max = draw_number(WIRE_NUMBER_MAX);
		if (type == FRAME_STREAM_MAX)
			f->max.stream = draw_number(WIRE_NUMBER_MAX);
		break;
	case FRAME_JOIN:
	case FRAME_JOIN_REPLY:
	case FRAME_JOIN_CONFIRM:
		draw_bytes(f->join.nonce, sizeof(f->join.nonce));
		draw_bytes(f->join.hmac, sizeof(f->join.hmac));
		f->join.token = (uint32_t)draw64();
		f->join.addr_id = (uint8_t)draw64();
		f->join.tier = (uint8_t)(draw64() % 3);
		break;
	case FRAME_PRIO:
		f->prio.seq = draw_number(WIRE_NUMBER_MAX);
		f->prio.subflow = (uint8_t)draw64();
		f->prio.tier = (uint8_t)(draw64() % 3);
		break;
	case FRAME_ADD_ADDR:
	case FRAME_ADD_ADDR_ECHO:
	case FRAME_REMOVE_ADDR: draw_addr(&f->addr); break;
	case FRAME_REKEY: f->message = data; break;
	default: draw_bytes(f->data, sizeof(f->data));
	}
}

static void
every_frame_comes_back(void **state)
{
	static struct frame f;
	uint8_t data[DATA_MAX], buf[FRAME_MAX];

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		for (size_t t = 0; t < ARRAY_LEN(types); t++) {
			draw_frame(types[t], &f, data);
			memset(&got, 0xa5, sizeof(got));
			accepts(buf, put(buf, &f), &f);
		}
	}
}

/* How much of a frame may be missing: data that runs to the end, and padding. */
static size_t
least(const struct frame *f, size_t len)
{
	if (f->type == FRAME_STREAM && f->stream.to_end)
		return frame_stream_overhead(f->stream.stream, f->stream.off, true);
	return len;
}

static void
every_cut_is_refused(void **state)
{
	static struct frame f;
	uint8_t data[DATA_MAX], buf[FRAME_MAX];

	(void)state;
	for (int i = 0; i < 20; i++) {
		for (size_t t = 0; t < ARRAY_LEN(types); t++) {
			size_t len;

			draw_frame(types[t], &f, data);
			if (f.type == FRAME_STREAM)
				f.stream.len %= 300;
			len = least(&f, put(buf, &f));
			for (size_t cut = 0; cut < len; cut++)
				refuses(buf, cut);
		}
	}
}

static void
nothing_is_written_behind_cap(void **state)
{
	static struct frame f;
	uint8_t data[DATA_MAX], buf[FRAME_MAX];

	(void)state;
	for (size_t t = 0; t < ARRAY_LEN(types); t++) {
		size_t len;

		draw_frame(types[t], &f, data);
		len = put(buf, &f);
		for (size_t cap = 0; cap <= len; cap++) {
			uint8_t *room = malloc(cap);

			assert_non_null(room);
			assert_int_equal(frame_put(room, cap, &f), cap < len ? 0 : len);
			free(room);
		}
	}
}

static void
frames_follow_each_other(void **state)
{
	static struct frame sent[ARRAY_LEN(types)];
	static uint8_t data[ARRAY_LEN(types)][DATA_MAX];
	static uint8_t buf[ARRAY_LEN(types) * FRAME_MAX];

	(void)state;
	for (int i = 0; i < 50; i++) {
		size_t len = 0, n = ARRAY_LEN(types);
		const uint8_t *at, *end;

		for (size_t t = 0; t < n; t++) {
			draw_frame(types[t], &sent[t], data[t]);
			if (types[t] == FRAME_STREAM)
				sent[t].stream.to_end = t + 1 == n;
			len += put(buf + len, &sent[t]);
		}
		free(kept);
		at = kept = exact(buf, len);
		end = at + len;
		for (size_t t = 0; t < n; t++) {
			assert_int_equal(frame_get(&at, end, &got), 0);
			assert_true(frames_same(&got, &sent[t]));
		}
		assert_ptr_equal(at, end);
		assert_int_equal(frame_get(&at, end, &got), -EBADMSG);
	}
}

static void
a_run_of_padding_is_one(void **state)
{
	static const uint8_t data[] = {0, 0, 0, 0, FRAME_PING, 0, 0};
	size_t used;

	(void)state;
	assert_int_equal(get(data, sizeof(data), &used), 0);
	assert_int_equal(got.type, FRAME_PADDING);
	assert_int_equal(used, 4);
	assert_int_equal(get(data + 5, 2, &used), 0);
	assert_int_equal(used, 2);
}

static void
other_types_are_no_frames(void **state)
{
	uint8_t data[300] = {0};

	(void)state;
	/* What follows would do for any frame that has no bound. */
	memset(data, 1, sizeof(data));
	for (unsigned type = 0; type < 256; type++) {
		bool is_type = type < FRAME_TYPE_COUNT || (type >= 32 && type < 36);
		size_t used;

		if (type == FRAME_ADD_ADDR || type == FRAME_ADD_ADDR_ECHO)
			continue;
		data[0] = (uint8_t)type;
		/* An ACK of these has its second range below 0. */
		if (type == FRAME_ACK)
			data[7] = 0x3f;
		if (is_type) {
			assert_int_equal(get(data, sizeof(data), &used), 0);
			assert_int_equal(got.type, type >= 32 ? FRAME_STREAM : type);
		} else {
			refuses(data, sizeof(data));
		}
		data[7] = 1;
	}
}

static void
acks_never_go_below_zero(void **state)
{
	struct frame f = {FRAME_ACK, .ack = {.n_ranges = 1, .ranges = {{0, 6}}}};

	(void)state;
	accepts_hex("02 00 00000000 00 05 00 05", &f);
	refuses_hex("02 00 00000000 00 05 00 06");
	refuses_hex("02 00 00000000 00 00 00 01");
	refuses_hex("02 00 00000000 00 05 00 ffffffffffffffff");
	/* The second range is 0 alone; then it would be -1. */
	f.ack.n_ranges = 2;
	f.ack.ranges[0] = (struct range){3, 6};
	f.ack.ranges[1] = (struct range){0, 1};
	accepts_hex("02 00 00000000 00 05 01 02 01 00", &f);
	refuses_hex("02 00 00000000 00 05 01 02 02 00");
	refuses_hex("02 00 00000000 00 05 01 02 01 01");
	refuses_hex("02 00 00000000 00 05 01 02 ffffffffffffffff 00");
	/* There is no room for a second range below 1. */
	refuses_hex("02 00 00000000 00 05 01 05 00 00");
	refuses_hex("02 00 00000000 00 05 01 04 00 00");
	f.ack.ranges[0] = (struct range){2, 6};
	accepts_hex("02 00 00000000 00 05 01 03 00 00", &f);
	/* The highest counter there is. */
	f.ack.n_ranges = 1;
	f.ack.ranges[0] = (struct range){0, WIRE_NUMBER_MAX + 1};
	accepts_hex("02 00 00000000 00 ffffffffffffffff 00 ffffffffffffffff", &f);
}

static void
acks_have_64_ranges(void **state)
{
	struct frame f = {FRAME_ACK, .ack = {.n_ranges = FRAME_ACK_RANGES_MAX}};
	uint8_t buf[FRAME_MAX];
	size_t len;

	(void)state;
	for (uint64_t i = 0; i < FRAME_ACK_RANGES_MAX; i++) {
		f.ack.ranges[i].start = 1000 - 2 * i;
		f.ack.ranges[i].end = f.ack.ranges[i].start + 1;
	}
	len = put(buf, &f);
	assert_int_equal(len, 1 + 1 + 4 + 1 + 2 + 1 + 1 + 63 * 2);
	accepts(buf, len, &f);
	assert_int_equal(buf[9], 63);
	memset(buf + len, 0, 10);
	for (unsigned more = 64; more < 256; more++) {
		buf[9] = (uint8_t)more;
		refuses(buf, len + 2);
	}
}

static void
delays_have_32_bits(void **state)
{
	struct frame f = {
		FRAME_ACK,
		.ack = {.delay = UINT32_MAX, .n_ranges = 1, .ranges = {{0, 1}}}};

	(void)state;
	accepts_hex("02 00 00000000 c0000000ffffffff 00 00 00", &f);
	refuses_hex("02 00 00000000 c000000100000000 00 00 00");
}

static void
streams_end_at_the_highest_number(void **state)
{
	struct frame f = {
		FRAME_STREAM,
		.stream = {.off = WIRE_NUMBER_MAX - 2, .data = ten, .len = 2}};

	(void)state;
	accepts_hex("22 00 fffffffffffffffd 02 0102", &f);
	refuses_hex("22 00 fffffffffffffffe 02 0102");
	f.stream.to_end = true;
	accepts_hex("20 00 fffffffffffffffd 0102", &f);
	refuses_hex("20 00 fffffffffffffffe 0102");
	f.stream.len = 0;
	f.stream.off = WIRE_NUMBER_MAX;
	accepts_hex("20 00 ffffffffffffffff", &f);
}

static void
lengths_have_two_bytes(void **state)
{
	static uint8_t buf[2 * FRAME_STREAM_LEN_MAX], data[FRAME_STREAM_LEN_MAX + 1];
	struct frame f = {FRAME_STREAM,
			  .stream = {.data = data, .len = FRAME_STREAM_LEN_MAX}};
	size_t len = frame_put(buf, sizeof(buf), &f);

	(void)state;
	assert_int_equal(len, 5 + FRAME_STREAM_LEN_MAX);
	accepts(buf, len, &f);
	/* One more takes four bytes, and is refused. */
	memcpy(buf, "\x22\x00\x00\x80\x00\x40\x00", 7);
	refuses(buf, 7 + FRAME_STREAM_LEN_MAX + 1);
	memcpy(buf, "\x22\x00\x00\x80\x00\x3f\xff", 7);
	accepts(buf, 7 + FRAME_STREAM_LEN_MAX, &f);
	/* Up to the end of the packet there may be more. */
	f.stream.len = sizeof(data);
	f.stream.to_end = true;
	len = frame_put(buf, sizeof(buf), &f);
	assert_int_equal(len, 3 + sizeof(data));
	accepts(buf, len, &f);
}

static void
overheads_are_what_is_written(void **state)
{
	static struct frame f;
	uint8_t data[DATA_MAX], buf[FRAME_MAX];
	size_t most = 0;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		size_t overhead;

		draw_frame(FRAME_STREAM, &f, data);
		overhead = frame_stream_overhead(f.stream.stream, f.stream.off,
						 f.stream.to_end);
		assert_int_equal(put(buf, &f), overhead + f.stream.len);
		most = max_size(most, overhead);
	}
	assert_int_equal(most, FRAME_STREAM_OVERHEAD_MAX);
}

static void
requests_have_1_to_512_bytes(void **state)
{
	uint8_t data[FRAME_REQUEST_MAX + 16] = {FRAME_OPEN, 7, 0x42, 0};
	struct frame f = {FRAME_OPEN, .open = {7, data + 4, FRAME_REQUEST_MAX}};
	size_t used;

	(void)state;
	accepts(data, 4 + FRAME_REQUEST_MAX, &f);
	data[3] = 1;
	refuses(data, 4 + FRAME_REQUEST_MAX + 1);
	refuses_hex("03 07 00");
	refuses_hex("03 07 00 00");
	refuses_hex("03 07 ffffffffffffffff 00");
	f.open = (struct frame_open){7, ten, 1};
	accepts_hex("03 07 01 01", &f);
	/* It ends where its length says. */
	assert_int_equal(get((const uint8_t *)"\x03\x07\x01\x01\x01", 5, &used), 0);
	assert_int_equal(used, 4);
}

static void
tiers_are_0_to_2(void **state)
{
	(void)state;
	for (unsigned v = 3; v < 256; v++) {
		uint8_t join[15] = {FRAME_JOIN}, reply[19] = {FRAME_JOIN_REPLY};
		uint8_t prio[4] = {FRAME_PRIO};

		join[14] = reply[10] = prio[3] = (uint8_t)v;
		refuses(join, sizeof(join));
		refuses(reply, sizeof(reply));
		refuses(prio, sizeof(prio));
	}
}

static void
addresses_are_ipv4_or_ipv6(void **state)
{
	uint8_t data[29] = {FRAME_ADD_ADDR};
	size_t used;

	(void)state;
	for (unsigned v = 0; v < 256; v++) {
		data[2] = (uint8_t)v;
		if (v != 4 && v != 6) {
			refuses(data, sizeof(data));
			continue;
		}
		assert_int_equal(get(data, sizeof(data), &used), 0);
		assert_int_equal(used, v == 4 ? 17 : 29);
		assert_int_equal(got.addr.addr.scope, 0);
	}
}

/* Longer than needed is the same number. */
static void
long_forms_are_taken(void **state)
{
	static const char *const opened[] = {"04 05 09", "04 4005 09", "04 80000005 09",
					     "04 c000000000000005 09"};
	static const char *const acks[] = {
		"02 01 00000000 4003 4009 01 4001 4002 4003",
		"02 01 00000000 80000003 80000009 01 80000001 80000002 80000003",
		("02 01 00000000 c000000000000003 c000000000000009 01 c000000000000001 "
		 "c000000000000002 c000000000000003")};
	static const char *const streams[] = {"22 01 02 02 0102",
					      "22 4001 4002 4002 0102",
					      "22 80000001 80000002 80000002 0102",
					      ("22 c000000000000001 c000000000000002 "
					       "c000000000000002 0102")};
	struct frame f = {FRAME_OPENED, .opened = {5, 9}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(opened); i++)
		accepts_hex(opened[i], &f);
	f = (struct frame){FRAME_ACK, .ack = {.subflow = 1,
					      .delay = 3,
					      .n_ranges = 2,
					      .ranges = {{8, 10}, {1, 5}}}};
	for (size_t i = 0; i < ARRAY_LEN(acks); i++)
		accepts_hex(acks[i], &f);
	f = (struct frame){FRAME_STREAM,
			   .stream = {.stream = 1, .off = 2, .data = ten, .len = 2}};
	for (size_t i = 0; i < ARRAY_LEN(streams); i++)
		accepts_hex(streams[i], &f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_are_the_documents),
		cmocka_unit_test(headers_come_back),
		cmocka_unit_test(other_first_bytes_are_no_packets),
		cmocka_unit_test(packets_hold_a_frame),
		cmocka_unit_test(counters_are_the_nearest),
		cmocka_unit_test(frames_are_the_documents),
		cmocka_unit_test(joins_are_the_documents),
		cmocka_unit_test(addresses_are_the_documents),
		cmocka_unit_test(acks_and_streams_are_the_documents),
		cmocka_unit_test(every_frame_comes_back),
		cmocka_unit_test(every_cut_is_refused),
		cmocka_unit_test(nothing_is_written_behind_cap),
		cmocka_unit_test(frames_follow_each_other),
		cmocka_unit_test(a_run_of_padding_is_one),
		cmocka_unit_test(other_types_are_no_frames),
		cmocka_unit_test(acks_never_go_below_zero),
		cmocka_unit_test(acks_have_64_ranges),
		cmocka_unit_test(delays_have_32_bits),
		cmocka_unit_test(streams_end_at_the_highest_number),
		cmocka_unit_test(lengths_have_two_bytes),
		cmocka_unit_test(overheads_are_what_is_written),
		cmocka_unit_test(requests_have_1_to_512_bytes),
		cmocka_unit_test(tiers_are_0_to_2),
		cmocka_unit_test(addresses_are_ipv4_or_ipv6),
		cmocka_unit_test(long_forms_are_taken),
	};
	int failed;

	seed = seed_choose();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(kept);
	return failed;
}
