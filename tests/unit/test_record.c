/*
 * Records against a model that derives every key from the start, as
 * docs/protocol.md says it, and seals with nothing but the AEAD.
 */
#include "tests/unit/unit.h"

#include "common/bytes.h"
#include "daemon/core/record.h"
#include "tests/unit/seed.h"

#include <stdlib.h>
#include <string.h>

enum { SLACK = 1024 };

static const enum aead_alg algs[] = {AEAD_CHACHA20_POLY1305, AEAD_AES_128_GCM};
static const uint8_t stream_secret[CRYPTO_KEY_LEN] = "a stream secret of a session...";

static unsigned seed;

static unsigned
draw(unsigned below)
{
	return (unsigned)rand_r(&seed) % below;
}

struct model {
	enum aead_alg alg;
	uint64_t number;
	enum record_direction dir;
};

/* The record that is number `counter` of its direction, written to `ret`. */
static size_t
model_seal(const struct model *m, uint64_t counter, uint8_t type, const uint8_t *data,
	   size_t len, uint8_t *ret)
{
	uint8_t secret[32], key[32], iv[12], context[8];
	struct aead a;

	put_be64(context, m->number);
	assert_int_equal(crypto_hkdf_expand(secret, 32, stream_secret,
					    m->dir == RECORD_UP
						    ? "mpproxy/1 stream up"
						    : "mpproxy/1 stream down",
					    context, 8),
			 0);
	for (uint64_t i = 0; i < counter >> 20; i++) {
		uint8_t next[32];

		assert_int_equal(
			crypto_hkdf_expand(next, 32, secret, "mpproxy/1 next", NULL, 0),
			0);
		memcpy(secret, next, 32);
	}
	assert_int_equal(crypto_hkdf_expand(key, 32, secret, "mpproxy/1 key", NULL, 0),
			 0);
	assert_int_equal(crypto_hkdf_expand(iv, 12, secret, "mpproxy/1 iv", NULL, 0),
			 0);
	assert_int_equal(aead_init(&a, m->alg, true, key, iv), 0);

	put_be16(ret, (uint16_t)(1 + len + 16));
	ret[2] = type;
	memcpy(ret + 3, data, len);
	assert_int_equal(aead_seal(&a, (struct aead_nonce){0, counter}, ret, 2, ret + 2,
				   1 + len),
			 0);
	aead_done(&a);
	return 2 + 1 + len + 16;
}

static struct record_key
key_of(const struct model *m, bool seals)
{
	struct record_key k;

	assert_int_equal(
		record_key_init(&k, m->alg, seals, stream_secret, m->number, m->dir),
		0);
	return k;
}

static size_t
seal(struct record_key *k, enum record_type type, const uint8_t *data, size_t len,
     uint8_t *ret)
{
	size_t rec_len;

	memcpy(ret + RECORD_HEADER_LEN, data, len);
	assert_int_equal(record_seal(k, type, ret, len, &rec_len), 0);
	assert_int_equal(rec_len, len + RECORD_OVERHEAD);
	return rec_len;
}

static void
fill(uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)draw(256);
}

static void
assert_opens(struct record_key *k, const uint8_t *rec, size_t rec_len, uint8_t type,
	     const uint8_t *data, size_t len)
{
	uint8_t buf[RECORD_LEN_MAX];
	struct record r;
	size_t used;

	memcpy(buf, rec, rec_len);
	assert_int_equal(record_open(k, buf, rec_len, RECORD_PAYLOAD_MAX, &r, &used),
			 0);
	assert_int_equal(used, rec_len);
	assert_int_equal(r.type, type);
	assert_int_equal(r.len, len);
	assert_memory_equal(r.payload, data, len);
}

/* The record and then other bytes, as they may stand in a receive buffer. */
static int
try_open(struct record_key *k, const uint8_t *rec, size_t rec_len)
{
	static uint8_t buf[RECORD_LEN_MAX + SLACK];
	struct record r = {.len = 12345};
	size_t used = 54321;
	int err;

	memset(buf, 0x77, sizeof(buf));
	memcpy(buf, rec, rec_len);
	err = record_open(k, buf, sizeof(buf), RECORD_PAYLOAD_MAX, &r, &used);
	if (err < 0) {
		assert_int_equal(r.len, 12345);
		assert_int_equal(used, 54321);
	}
	return err;
}

static void
records_are_the_models(void **state)
{
	static const size_t lens[] = {0, 1, 15, 16, 17, 4096, 16383, 16384};
	static uint8_t data[RECORD_PAYLOAD_MAX], got[RECORD_LEN_MAX],
		want[RECORD_LEN_MAX];

	(void)state;
	for (unsigned round = 0; round < 8; round++) {
		struct model m = {algs[round % 2],
				  round < 4 ? round : UINT64_MAX - draw(1000),
				  round / 2 % 2 ? RECORD_UP : RECORD_DOWN};
		struct record_key tx = key_of(&m, true), rx = key_of(&m, false);

		for (unsigned i = 0; i < 40; i++) {
			size_t len = i < ARRAY_LEN(lens) ? lens[i] : draw(16384), n;
			uint8_t type = (uint8_t)(1 + draw(RECORD_TYPE_COUNT - 1));

			fill(data, len);
			n = model_seal(&m, i, type, data, len, want);
			assert_int_equal(seal(&tx, type, data, len, got), n);
			assert_memory_equal(got, want, n);
			assert_opens(&rx, got, n, type, data, len);
		}
		record_key_done(&tx);
		record_key_done(&rx);
	}
}

/* A receive buffer that fills in pieces of any size. */
static void
records_survive_any_split(void **state)
{
	enum { COUNT = 200, DATA_MAX = 600 };
	static uint8_t wire[COUNT * (DATA_MAX + RECORD_OVERHEAD)];
	static uint8_t data[COUNT][DATA_MAX];
	size_t lens[COUNT], wire_len = 0, have = 0, at = 0;
	struct model m = {algs[draw(2)], draw(1000), RECORD_UP};
	struct record_key tx = key_of(&m, true), rx = key_of(&m, false);
	unsigned opened = 0;

	(void)state;
	for (unsigned i = 0; i < COUNT; i++) {
		lens[i] = draw(DATA_MAX);
		fill(data[i], lens[i]);
		wire_len += seal(&tx, RECORD_DATA, data[i], lens[i], wire + wire_len);
	}
	while (opened < COUNT) {
		struct record r;
		size_t used;
		int err = record_open(&rx, wire + at, have - at, DATA_MAX, &r, &used);

		if (err == -EAGAIN) {
			assert_true(have < wire_len);
			assert_true(have - at < lens[opened] + RECORD_OVERHEAD);
			have += min_size(1 + draw(draw(4) ? 8 : 2000), wire_len - have);
			continue;
		}
		assert_int_equal(err, 0);
		assert_int_equal(r.len, lens[opened]);
		assert_memory_equal(r.payload, data[opened], lens[opened]);
		at += used;
		opened++;
	}
	assert_int_equal(at, wire_len);
	record_key_done(&tx);
	record_key_done(&rx);
}

static void
every_flipped_bit_is_refused(void **state)
{
	uint8_t data[40], rec[RECORD_OVERHEAD + sizeof(data)];

	(void)state;
	fill(data, sizeof(data));
	for (size_t a = 0; a < ARRAY_LEN(algs); a++) {
		struct model m = {algs[a], 7, RECORD_DOWN};
		struct record_key rx = key_of(&m, false);
		size_t n = model_seal(&m, 0, RECORD_DATA, data, sizeof(data), rec);

		for (size_t bit = 0; bit < n * 8; bit++) {
			int err;

			rec[bit / 8] ^= (uint8_t)(1 << bit % 8);
			err = try_open(&rx, rec, n);
			rec[bit / 8] ^= (uint8_t)(1 << bit % 8);
			if (bit >= 16)
				assert_int_equal(err, -EBADMSG);
			else
				assert_true(err == -EBADMSG || err == -EMSGSIZE);
		}
		assert_opens(&rx, rec, n, RECORD_DATA, data, sizeof(data));
		record_key_done(&rx);
	}
}

static void
only_the_next_record_opens(void **state)
{
	enum { COUNT = 6 };
	uint8_t data[10] = "123456789", recs[COUNT][RECORD_OVERHEAD + sizeof(data)];
	struct model m = {AEAD_AES_128_GCM, 3, RECORD_UP};
	struct record_key rx = key_of(&m, false);
	size_t n = sizeof(recs[0]);

	(void)state;
	for (unsigned i = 0; i < COUNT; i++)
		model_seal(&m, i, RECORD_DATA, data, sizeof(data), recs[i]);
	for (unsigned i = 0; i < COUNT; i++) {
		for (unsigned j = 0; j < COUNT; j++) {
			if (j != i)
				assert_int_equal(try_open(&rx, recs[j], n), -EBADMSG);
		}
		assert_opens(&rx, recs[i], n, RECORD_DATA, data, sizeof(data));
	}
	record_key_done(&rx);
}

static void
other_legs_and_directions_share_no_key(void **state)
{
	static const uint8_t other_secret[CRYPTO_KEY_LEN] = "another session's secret";
	struct model m = {AEAD_CHACHA20_POLY1305, 3, RECORD_UP}, other;
	uint8_t rec[RECORD_OVERHEAD] = {0};
	size_t n = model_seal(&m, 0, RECORD_FIN, rec, 0, rec);
	struct record_key rx;

	(void)state;
	for (int what = 0; what < 4; what++) {
		other = m;
		other.number ^= what == 0 ? UINT64_C(1) << 56 : 0;
		other.dir = what == 1 ? RECORD_DOWN : RECORD_UP;
		other.alg = what == 2 ? AEAD_AES_128_GCM : m.alg;
		rx = key_of(&other, false);
		if (what == 3) {
			record_key_done(&rx);
			assert_int_equal(record_key_init(&rx, m.alg, false,
							 other_secret, m.number, m.dir),
					 0);
		}
		assert_int_equal(try_open(&rx, rec, n), -EBADMSG);
		record_key_done(&rx);
	}
}

/* Every 2^20 records, unsignalled; also when a bad record comes right there. */
static void
keys_turn_at_the_boundary(void **state)
{
	uint8_t data[33], got[RECORD_OVERHEAD + sizeof(data)], want[sizeof(got)];
	struct model m = {algs[draw(2)], 42, RECORD_UP};
	struct record_key tx = key_of(&m, true), rx = key_of(&m, false);

	(void)state;
	fill(data, sizeof(data));
	for (uint64_t turn = 1; turn <= 4; turn++) {
		uint64_t at = (turn << 20) - 3;

		/* As if the records in between had been sent. */
		tx.counter = at;
		rx.counter = at;
		for (unsigned i = 0; i < 6; i++) {
			size_t n = model_seal(&m, at + i, RECORD_DATA, data,
					      sizeof(data), want);

			assert_int_equal(
				seal(&tx, RECORD_DATA, data, sizeof(data), got), n);
			assert_memory_equal(got, want, n);
			got[5] ^= 1;
			assert_int_equal(try_open(&rx, got, n), -EBADMSG);
			assert_opens(&rx, want, n, RECORD_DATA, data, sizeof(data));
		}
	}
	record_key_done(&tx);
	record_key_done(&rx);
}

/* Two bytes are enough to say no. */
static void
impossible_lengths_are_refused_at_once(void **state)
{
	static const size_t maxima[] = {0, 1, RECORD_FIRST_MAX, RECORD_PAYLOAD_MAX};
	struct model m = {AEAD_AES_128_GCM, 0, RECORD_UP};
	struct record_key rx = key_of(&m, false);
	struct record r;
	size_t used;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(maxima); i++) {
		for (size_t len = 0; len <= UINT16_MAX; len++) {
			bool possible = len >= 17 && len <= 17 + maxima[i];
			uint8_t buf[2];

			put_be16(buf, (uint16_t)len);
			assert_int_equal(record_open(&rx, buf, 2, maxima[i], &r, &used),
					 possible ? -EAGAIN : -EMSGSIZE);
			assert_int_equal(record_open(&rx, buf, 1, maxima[i], &r, &used),
					 -EAGAIN);
			assert_int_equal(record_open(&rx, buf, 0, maxima[i], &r, &used),
					 -EAGAIN);
		}
	}
	record_key_done(&rx);
}

static void
unknown_types_are_refused(void **state)
{
	struct model m = {AEAD_AES_128_GCM, 0, RECORD_UP};
	struct record_key rx = key_of(&m, false);
	uint8_t rec[RECORD_OVERHEAD] = {0};

	(void)state;
	for (unsigned type = 0; type < 256; type++) {
		size_t n = model_seal(&m, 0, (uint8_t)type, rec, 0, rec);
		bool known = type >= 1 && type <= 9;

		assert_int_equal(try_open(&rx, rec, n), known ? 0 : -EBADMSG);
		rx.counter = 0;
	}
	record_key_done(&rx);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_are_the_models),
		cmocka_unit_test(records_survive_any_split),
		cmocka_unit_test(every_flipped_bit_is_refused),
		cmocka_unit_test(only_the_next_record_opens),
		cmocka_unit_test(other_legs_and_directions_share_no_key),
		cmocka_unit_test(keys_turn_at_the_boundary),
		cmocka_unit_test(impossible_lengths_are_refused_at_once),
		cmocka_unit_test(unknown_types_are_refused),
	};

	seed = seed_choose();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
