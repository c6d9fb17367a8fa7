/*
 * Cookies: who may use one, for how long, and what cannot be changed in it.
 */
#include "tests/unit/unit.h"

#include "common/bytes.h"
#include "daemon/core/cookie.h"
#include "tests/unit/addrs.h"
#include "tests/unit/heap.h"
#include "tests/unit/seed.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static unsigned seed;

struct fixture {
	struct prng rng;
	struct cookie_maker maker;
	uint8_t pub[CRYPTO_KEY_LEN];
	uint8_t msg[HANDSHAKE_LEN]; /* any bytes: cookies do not look into it */
	struct addr source;
};

static void
set_up(struct fixture *f)
{
	uint8_t bytes[CRYPTO_KEY_LEN] = {0};

	memset(f, 0, sizeof(*f));
	put_be32(bytes, seed++);
	assert_int_equal(prng_init(&f->rng, bytes), 0);
	assert_int_equal(prng_bytes(&f->rng, f->pub, sizeof(f->pub)), 0);
	assert_int_equal(prng_bytes(&f->rng, f->msg, sizeof(f->msg)), 0);
	f->source = addrs_of("192.0.2.1:4433");
	assert_int_equal(cookie_maker_init(&f->maker, f->pub, &f->rng, 0), 0);
}

/* A cookie for the fixture's source, through a reply. */
static void
get_cookie(struct fixture *f, uint8_t ret_cookie[COOKIE_LEN])
{
	uint8_t reply[COOKIE_REPLY_LEN];

	assert_int_equal(cookie_reply(&f->maker, &f->rng, &f->source, f->msg, reply),
			 0);
	assert_int_equal(cookie_open(f->pub, f->msg, reply, ret_cookie), 0);
}

static void
a_cookie_is_good_from_where_it_was_asked(void **state)
{
	static const char *const others[] = {
		"192.0.2.2:4433", "192.0.2.1:4434", "[2001:db8::1]:4433",
		"[c000:201::]:4433", /* the same first bytes */
	};
	uint8_t cookie[COOKIE_LEN];
	struct fixture f;
	struct addr a;

	(void)state;
	set_up(&f);
	get_cookie(&f, cookie);
	assert_false(cookie_mac2_ok(&f.maker, &f.source, f.msg));
	assert_int_equal(cookie_put_mac2(cookie, f.msg), 0);
	assert_true(cookie_mac2_ok(&f.maker, &f.source, f.msg));
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		a = addrs_of(others[i]);
		assert_false(cookie_mac2_ok(&f.maker, &a, f.msg));
	}
	a = addrs_of("[::ffff:192.0.2.1]:4433");
	assert_true(cookie_mac2_ok(&f.maker, &a, f.msg));
}

static void
no_mac2_is_never_good(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	memset(f.msg + HANDSHAKE_MAC2_AT, 0, HANDSHAKE_MAC_LEN);
	assert_false(cookie_mac2_ok(&f.maker, &f.source, f.msg));
}

static void
mac2_covers_every_bit(void **state)
{
	uint8_t cookie[COOKIE_LEN];
	struct fixture f;

	(void)state;
	set_up(&f);
	get_cookie(&f, cookie);
	assert_int_equal(cookie_put_mac2(cookie, f.msg), 0);
	for (size_t bit = 0; bit < HANDSHAKE_LEN * 8; bit++) {
		f.msg[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(cookie_mac2_ok(&f.maker, &f.source, f.msg));
		f.msg[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_true(cookie_mac2_ok(&f.maker, &f.source, f.msg));
}

static void
assert_does_not_open(const struct fixture *f, const uint8_t reply[COOKIE_REPLY_LEN])
{
	uint8_t cookie[COOKIE_LEN] = {99}, before[COOKIE_LEN] = {99};

	assert_int_equal(cookie_open(f->pub, f->msg, reply, cookie), -EBADMSG);
	assert_memory_equal(cookie, before, sizeof(cookie));
}

static void
a_reply_opens_only_as_it_was_and_for_its_question(void **state)
{
	uint8_t reply[COOKIE_REPLY_LEN], cookie[COOKIE_LEN];
	struct fixture f;

	(void)state;
	set_up(&f);
	assert_int_equal(cookie_reply(&f.maker, &f.rng, &f.source, f.msg, reply), 0);
	for (size_t bit = 0; bit < sizeof(reply) * 8; bit++) {
		reply[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_does_not_open(&f, reply);
		reply[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	f.msg[HANDSHAKE_MAC1_AT] ^= 1;
	assert_does_not_open(&f, reply);
	f.msg[HANDSHAKE_MAC1_AT] ^= 1;
	f.pub[0] ^= 1;
	assert_does_not_open(&f, reply);
	f.pub[0] ^= 1;
	assert_int_equal(cookie_open(f.pub, f.msg, reply, cookie), 0);
}

static void
replies_differ_and_hide_the_cookie(void **state)
{
	uint8_t a[COOKIE_REPLY_LEN], b[COOKIE_REPLY_LEN], cookie[COOKIE_LEN];
	struct fixture f;

	(void)state;
	set_up(&f);
	get_cookie(&f, cookie);
	assert_int_equal(cookie_reply(&f.maker, &f.rng, &f.source, f.msg, a), 0);
	assert_int_equal(cookie_reply(&f.maker, &f.rng, &f.source, f.msg, b), 0);
	assert_memory_not_equal(a + 4, b + 4, COOKIE_RANDOM_LEN);
	assert_memory_not_equal(a + 28, b + 28, COOKIE_LEN);
	assert_memory_not_equal(a + 28, cookie, COOKIE_LEN);
	assert_memory_equal(a, "\3\0\0\0", 4);
	assert_int_equal(sizeof(a), 60);
}

/* As docs/protocol.md has it, made by hand. */
static void
bytes_of_a_reply(void **state)
{
	uint8_t in[16 + 32] = "mpproxy/1 cookie", root[32], key[32];
	uint8_t reply[COOKIE_REPLY_LEN], cookie[COOKIE_LEN], mac[32];
	static const uint8_t iv[CRYPTO_IV_LEN];
	struct fixture f;
	struct aead a;

	(void)state;
	set_up(&f);
	assert_int_equal(cookie_reply(&f.maker, &f.rng, &f.source, f.msg, reply), 0);
	assert_int_equal(cookie_open(f.pub, f.msg, reply, cookie), 0);

	memcpy(in + 16, f.pub, 32);
	assert_int_equal(crypto_sha256(root, in, sizeof(in)), 0);
	assert_int_equal(crypto_hmac(key, root, 32, reply + 4, 24), 0);
	assert_int_equal(aead_init(&a, AEAD_CHACHA20_POLY1305, false, key, iv), 0);
	assert_int_equal(aead_open(&a, (struct aead_nonce){0, 0}, f.msg + 132, 16,
				   reply + 28, 32),
			 0);
	aead_done(&a);
	assert_memory_equal(reply + 28, cookie, 16);

	assert_int_equal(cookie_put_mac2(cookie, f.msg), 0);
	assert_int_equal(crypto_hmac(mac, cookie, 16, f.msg, 148), 0);
	assert_memory_equal(f.msg + 148, mac, 16);
}

/* Good for COOKIE_LIFE at least, for twice that at most, whoever asks when. */
static void
a_cookie_has_its_time(void **state)
{
	enum { STEPS = 3000, COOKIES = 8 };
	uint8_t cookie[COOKIES][COOKIE_LEN];
	ns_t given_at[COOKIES], now = 0;
	unsigned good = 0, bad = 0;
	struct fixture f;

	(void)state;
	set_up(&f);
	for (size_t i = 0; i < COOKIES; i++) {
		given_at[i] = now;
		get_cookie(&f, cookie[i]);
	}
	for (int step = 0; step < STEPS; step++) {
		size_t i = (unsigned)rand_r(&seed) % COOKIES;
		ns_t max = rand_r(&seed) % 8 == 0 ? 300 : 20, age;
		bool ok;

		now += (ns_t)rand_r(&seed) % (max * 1000) * NS_PER_MS;
		assert_int_equal(cookie_maker_renew(&f.maker, &f.rng, now), 0);
		age = now - given_at[i];
		assert_int_equal(cookie_put_mac2(cookie[i], f.msg), 0);
		ok = cookie_mac2_ok(&f.maker, &f.source, f.msg);
		if (age < COOKIE_LIFE)
			assert_true(ok);
		if (age >= 2 * COOKIE_LIFE)
			assert_false(ok);
		good += ok;
		bad += !ok;
		if (ok && rand_r(&seed) % 4 != 0)
			continue;
		given_at[i] = now;
		get_cookie(&f, cookie[i]);
	}
	assert_true(good > STEPS / 10);
	assert_true(bad > STEPS / 10);
}

static void
a_lack_of_memory_changes_nothing(void **state)
{
	struct fixture f, before;
	uint8_t reply[COOKIE_REPLY_LEN] = {99}, cookie[COOKIE_LEN];
	uint8_t msg[HANDSHAKE_LEN];
	unsigned failures = 0;

	(void)state;
	set_up(&f);
	get_cookie(&f, cookie);
	for (unsigned n = 0;; n++) {
		int err;

		f.rng.left = 0; /* so that it needs a cipher */
		before = f;
		heap_fail(n, UINT_MAX);
		err = cookie_maker_renew(&f.maker, &f.rng, COOKIE_LIFE);
		if (err == 0)
			err = cookie_reply(&f.maker, &f.rng, &f.source, f.msg, reply);
		if (!heap_heal()) {
			assert_int_equal(err, 0);
			break;
		}
		failures += err < 0;
		if (err < 0)
			assert_int_equal(reply[0], 99);
		if (err < 0 && f.maker.renewed_at == 0)
			assert_memory_equal(&f.maker, &before.maker, sizeof(f.maker));
		f = before;
		reply[0] = 99;
	}
	assert_true(failures > 3);

	memcpy(msg, f.msg, sizeof(msg));
	heap_fail(0, UINT_MAX);
	if (cookie_put_mac2(cookie, msg) < 0)
		assert_memory_equal(msg, f.msg, sizeof(msg));
	assert_true(heap_heal());
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cookie_is_good_from_where_it_was_asked),
		cmocka_unit_test(no_mac2_is_never_good),
		cmocka_unit_test(mac2_covers_every_bit),
		cmocka_unit_test(a_reply_opens_only_as_it_was_and_for_its_question),
		cmocka_unit_test(replies_differ_and_hide_the_cookie),
		cmocka_unit_test(bytes_of_a_reply),
		cmocka_unit_test(a_cookie_has_its_time),
		cmocka_unit_test(a_lack_of_memory_changes_nothing),
	};

	heap_take_crypto();
	seed = seed_choose();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
