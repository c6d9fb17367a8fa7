/*
 * fuzz_record - exactly the records that are as they were sealed do open.
 *
 * The input is a program: seal a record, put in foreign bytes, flip a bit. The
 * receiver must open what comes before the first changed byte, and no more.
 */
#include "common/bytes.h"
#include "daemon/core/record.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WIRE_MAX = 1 << 16, LEN_UNIT = 67, FOREIGN_MAX = 16, STEP_MIN = 7 };

struct input {
	const uint8_t *p, *end;
};

static uint8_t
next(struct input *in)
{
	return in->p < in->end ? *in->p++ : 0;
}

/* `wire` is what arrives, `sealed` what was sent, up to the first foreign byte. */
struct play {
	uint8_t wire[WIRE_MAX], sealed[WIRE_MAX];
	size_t len, sealed_len;
	struct record_key tx, rx;
	size_t payload_max;
};

static void
seal_one(struct play *p, struct input *in)
{
	size_t len = min_size((size_t)next(in) * LEN_UNIT, p->payload_max), rec_len;
	uint8_t rec[RECORD_LEN_MAX];
	int err;

	if (p->len + len + RECORD_OVERHEAD > WIRE_MAX)
		return;
	memset(rec + RECORD_HEADER_LEN, next(in), len);
	err = record_seal(&p->tx, 1 + next(in) % (RECORD_TYPE_COUNT - 1), rec, len,
			  &rec_len);
	assert(err == 0 && rec_len == len + RECORD_OVERHEAD);
	if (p->sealed_len == p->len) {
		memcpy(p->sealed + p->len, rec, rec_len);
		p->sealed_len += rec_len;
	}
	memcpy(p->wire + p->len, rec, rec_len);
	p->len += rec_len;
}

static void
put_foreign(struct play *p, struct input *in)
{
	for (size_t n = next(in) % FOREIGN_MAX; n > 0 && p->len < WIRE_MAX; n--)
		p->wire[p->len++] = next(in);
}

static void
flip_bit(struct play *p, struct input *in)
{
	size_t at = (size_t)next(in) << 8;

	at |= next(in);
	if (at < p->len)
		p->wire[at] ^= (uint8_t)(1 << next(in) % 8);
}

static void
write_wire(struct play *p, struct input *in)
{
	while (in->p < in->end) {
		switch (next(in) % 4) {
		case 0: put_foreign(p, in); break;
		case 1: flip_bit(p, in); break;
		default: seal_one(p, in);
		}
	}
}

/* At the end of a buffer, so that reading past it is seen. */
static int
open_at(struct play *p, size_t at, size_t have, size_t *ret_used)
{
	static uint8_t room[WIRE_MAX];
	uint8_t *buf = room + WIRE_MAX - have;
	struct record r;
	int err;

	memcpy(buf, p->wire + at, have);
	err = record_open(&p->rx, buf, have, p->payload_max, &r, ret_used);
	if (err == 0) {
		assert(r.type > 0 && r.type < RECORD_TYPE_COUNT);
		assert(*ret_used <= have && r.len <= p->payload_max);
		assert(r.len + RECORD_OVERHEAD == *ret_used);
	} else {
		assert(err == -EAGAIN || err == -EBADMSG || err == -EMSGSIZE);
	}
	return err;
}

/* Where the last record ends that arrives as it was sent. */
static size_t
true_end(const struct play *p)
{
	size_t same = 0, end = 0, len;

	while (same < p->sealed_len && p->wire[same] == p->sealed[same])
		same++;
	for (;;) {
		if (same - end < RECORD_OVERHEAD)
			return end;
		len = 2 + (size_t)get_be16(p->sealed + end);
		if (same - end < len)
			return end;
		end += len;
	}
}

static void
read_wire(struct play *p, size_t step)
{
	size_t at = 0, have = 0, used;
	int err = -EAGAIN;

	while (err == 0 || (err == -EAGAIN && have < p->len - at)) {
		have = min_size(have + (err == 0 ? 0 : step), p->len - at);
		err = open_at(p, at, have, &used);
		if (err == 0) {
			at += used;
			have -= used;
		}
	}
	assert(at == true_end(p));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t secret[CRYPTO_KEY_LEN] = "a stream secret";
	static struct play p;
	struct input in = {data, data + size};
	uint8_t flags = next(&in);
	enum aead_alg alg = flags & 1 ? AEAD_AES_128_GCM : AEAD_CHACHA20_POLY1305;

	p.len = p.sealed_len = 0;
	p.payload_max = flags & 2 ? RECORD_FIRST_MAX : RECORD_PAYLOAD_MAX;
	if (record_key_init(&p.tx, alg, true, secret, flags, RECORD_UP) < 0 ||
	    record_key_init(&p.rx, alg, false, secret, flags, RECORD_UP) < 0)
		abort();
	if (flags & 4)
		p.tx.counter = p.rx.counter = RECORD_REKEY_EVERY - 2;
	write_wire(&p, &in);
	read_wire(&p, STEP_MIN + (size_t)(flags >> 3) * 300);
	record_key_done(&p.tx);
	record_key_done(&p.rx);
	return 0;
}
