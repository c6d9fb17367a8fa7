/*
 * The primitives against the vectors of the papers that define them.
 */
#include "tests/unit/unit.h"

#include "daemon/core/crypto.h"

#include <stdio.h>
#include <string.h>

enum { BYTES_MAX = 256 };

struct bytes {
	uint8_t b[BYTES_MAX];
	size_t len;
};

static struct bytes
hex(const char *text)
{
	struct bytes r = {.len = strlen(text) / 2};

	assert_true(r.len <= BYTES_MAX - CRYPTO_TAG_LEN);
	for (size_t i = 0; i < r.len; i++)
		assert_int_equal(sscanf(text + 2 * i, "%2hhx", &r.b[i]), 1);
	return r;
}

static void
assert_hex(const uint8_t *got, const char *want)
{
	struct bytes w = hex(want);

	assert_memory_equal(got, w.b, w.len);
}

/* RFC 7748, 5.2 and 6.1 */
static void
x25519_vectors(void **state)
{
	static const struct {
		const char *priv, *pub, *shared;
	} rows[] = {
		{"a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
		 "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
		 "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"},
		{"4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
		 "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
		 "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"},
		{"77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
		 "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
		 "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"},
		{"5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
		 "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
		 "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"},
	};
	uint8_t out[CRYPTO_KEY_LEN];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct bytes priv = hex(rows[i].priv), pub = hex(rows[i].pub);

		assert_int_equal(crypto_x25519(out, priv.b, pub.b), 0);
		assert_hex(out, rows[i].shared);
	}
	assert_int_equal(crypto_x25519_public(out, hex(rows[2].priv).b), 0);
	assert_hex(out, rows[3].pub);
	assert_int_equal(crypto_x25519_public(out, hex(rows[3].priv).b), 0);
	assert_hex(out, rows[2].pub);
}

/* The points of small order, whose product with any scalar is zero. */
static void
x25519_refuses_zero(void **state)
{
	static const char *const points[] = {
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	};
	uint8_t priv[CRYPTO_KEY_LEN], out[CRYPTO_KEY_LEN], before[CRYPTO_KEY_LEN];

	(void)state;
	memset(priv, 0x5a, sizeof(priv));
	memset(out, 0xa5, sizeof(out));
	memcpy(before, out, sizeof(before));
	for (size_t i = 0; i < ARRAY_LEN(points); i++) {
		assert_int_equal(crypto_x25519(out, priv, hex(points[i]).b), -EBADMSG);
		assert_memory_equal(out, before, sizeof(out));
	}
}

/* FIPS 180-2, B.1; RFC 4231, 4.2 and 4.7 */
static void
hash_vectors(void **state)
{
	uint8_t out[CRYPTO_HASH_LEN], key[131];
	static const char large[] =
		"Test Using Larger Than Block-Size Key - Hash Key First";

	(void)state;
	assert_int_equal(crypto_sha256(out, "abc", 3), 0);
	assert_hex(out, "ba7816bf8f01cfea414140de5dae2223"
			"b00361a396177a9cb410ff61f20015ad");

	memset(key, 0x0b, sizeof(key));
	assert_int_equal(crypto_hmac(out, key, 20, "Hi There", 8), 0);
	assert_hex(out, "b0344c61d8db38535ca8afceaf0bf12b"
			"881dc200c9833da726e9376c2e32cff7");
	memset(key, 0xaa, sizeof(key));
	assert_int_equal(crypto_hmac(out, key, sizeof(key), large, strlen(large)), 0);
	assert_hex(out, "60e431591ee0b67f0d8a26aacbf5b77f"
			"8e0bc6213728c5140546040f0ee37f54");
}

/* RFC 5869, A.1 to A.3 */
static void
hkdf_vectors(void **state)
{
	static const struct {
		const char *ikm, *salt, *info, *prk, *okm;
	} rows[] = {
		{"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
		 "000102030405060708090a0b0c", "f0f1f2f3f4f5f6f7f8f9",
		 "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
		 "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
		 "34007208d5b887185865"},
		{"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
		 "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"
		 "404142434445464748494a4b4c4d4e4f",
		 "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f"
		 "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"
		 "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
		 "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecf"
		 "d0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeef"
		 "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
		 "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
		 "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
		 "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
		 "cc30c58179ec3e87c14c01d5c1f3434f1d87"},
		{"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
		 "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
		 "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
		 "9d201395faa4b61a96c8"},
	};
	uint8_t prk[CRYPTO_HASH_LEN], okm[BYTES_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct bytes ikm = hex(rows[i].ikm), salt = hex(rows[i].salt);
		struct bytes info = hex(rows[i].info), want = hex(rows[i].okm);

		assert_int_equal(
			crypto_hkdf_extract(prk, salt.b, salt.len, ikm.b, ikm.len), 0);
		assert_hex(prk, rows[i].prk);
		assert_int_equal(
			crypto_hkdf_expand(okm, want.len, prk, "", info.b, info.len),
			0);
		assert_memory_equal(okm, want.b, want.len);
	}
}

/* RFC 5869, 2.3: info is the label and then the context. */
static void
hkdf_joins_label_and_context(void **state)
{
	uint8_t prk[CRYPTO_HASH_LEN] = {1}, a[64], b[64];

	(void)state;
	assert_int_equal(crypto_hkdf_expand(a, 64, prk, "label!", NULL, 0), 0);
	assert_int_equal(
		crypto_hkdf_expand(b, 64, prk, "lab", (const uint8_t *)"el!", 3), 0);
	assert_memory_equal(a, b, 64);
}

struct aead_row {
	enum aead_alg alg;
	const char *key, *iv, *aad, *plain, *sealed;
};

/* RFC 8439, 2.8.2; test case 4 of "The Galois/Counter Mode of Operation". */
static const struct aead_row aead_rows[] = {
	{AEAD_CHACHA20_POLY1305,
	 "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
	 "070000004041424344454647", "50515253c0c1c2c3c4c5c6c7",
	 "4c616469657320616e642047656e746c656d656e206f662074686520636c6173"
	 "73206f66202739393a204966204920636f756c64206f6666657220796f75206f"
	 "6e6c79206f6e652074697020666f7220746865206675747572652c2073756e73"
	 "637265656e20776f756c642062652069742e",
	 "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
	 "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
	 "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
	 "3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd060"
	 "0691"},
	{AEAD_AES_128_GCM,
	 "feffe9928665731c6d6a8f9467308308"
	 "ffffffffffffffffffffffffffffffff",
	 "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
	 "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
	 "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
	 "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
	 "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e0915bc94fbc"
	 "3221a5db94fae95ae7121a47"},
};

static struct aead
aead_new(const struct aead_row *row, bool seals)
{
	struct aead a;

	assert_int_equal(
		aead_init(&a, row->alg, seals, hex(row->key).b, hex(row->iv).b), 0);
	return a;
}

static void
aead_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(aead_rows); i++) {
		const struct aead_row *row = &aead_rows[i];
		struct aead seal = aead_new(row, true), open = aead_new(row, false);
		struct bytes aad = hex(row->aad), plain = hex(row->plain);
		struct bytes sealed = hex(row->sealed), buf = plain;

		/* Twice: the context serves more than one packet. */
		for (int again = 0; again < 2; again++) {
			assert_int_equal(aead_seal(&seal, (struct aead_nonce){0, 0},
						   aad.b, aad.len, buf.b, plain.len),
					 0);
			assert_memory_equal(buf.b, sealed.b, sealed.len);
			assert_int_equal(aead_open(&open, (struct aead_nonce){0, 0},
						   aad.b, aad.len, buf.b, sealed.len),
					 0);
			assert_memory_equal(buf.b, plain.b, plain.len);
		}
		aead_done(&seal);
		aead_done(&open);
	}
}

/* The vector's nonce again, from another IV and the counter that makes up for it. */
static void
aead_nonce_is_iv_xor_counter(void **state)
{
	const struct aead_nonce nonce = {0x01000002, UINT64_C(0x0300000000000004)};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(aead_rows); i++) {
		const struct aead_row *row = &aead_rows[i];
		struct bytes aad = hex(row->aad), buf = hex(row->plain);
		struct bytes iv = hex(row->iv);
		struct aead a;

		iv.b[0] ^= 0x01;
		iv.b[3] ^= 0x02;
		iv.b[4] ^= 0x03;
		iv.b[11] ^= 0x04;
		assert_int_equal(aead_init(&a, row->alg, true, hex(row->key).b, iv.b),
				 0);
		assert_int_equal(aead_seal(&a, nonce, aad.b, aad.len, buf.b, buf.len),
				 0);
		assert_hex(buf.b, row->sealed);
		aead_done(&a);
	}
}

static void
assert_refused(struct aead *a, struct aead_nonce nonce, const struct bytes *aad,
	       struct bytes sealed)
{
	static const uint8_t zero[BYTES_MAX];

	assert_int_equal(aead_open(a, nonce, aad->b, aad->len, sealed.b, sealed.len),
			 -EBADMSG);
	if (sealed.len > CRYPTO_TAG_LEN)
		assert_memory_equal(sealed.b, zero, sealed.len - CRYPTO_TAG_LEN);
}

static void
aead_refuses_what_was_changed(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(aead_rows); i++) {
		const struct aead_row *row = &aead_rows[i];
		struct aead open = aead_new(row, false);
		struct bytes aad = hex(row->aad), sealed = hex(row->sealed), bad;

		for (size_t at = 0; at < sealed.len; at++) {
			bad = sealed;
			bad.b[at] ^= 1 << (at % 8);
			assert_refused(&open, (struct aead_nonce){0, 0}, &aad, bad);
		}
		for (size_t at = 0; at < aad.len; at++) {
			bad = aad;
			bad.b[at] ^= 1 << (at % 8);
			assert_refused(&open, (struct aead_nonce){0, 0}, &bad, sealed);
		}
		for (bad = sealed; bad.len > 0;) {
			bad.len--;
			assert_refused(&open, (struct aead_nonce){0, 0}, &aad, bad);
		}
		assert_refused(&open, (struct aead_nonce){1, 0}, &aad, sealed);
		assert_refused(&open, (struct aead_nonce){0, 1}, &aad, sealed);

		/* and the key is as good as before */
		assert_int_equal(aead_open(&open, (struct aead_nonce){0, 0}, aad.b,
					   aad.len, sealed.b, sealed.len),
				 0);
		assert_hex(sealed.b, row->plain);
		aead_done(&open);
	}
}

static void
aead_seals_nothing_at_all(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(aead_rows); i++) {
		struct aead seal = aead_new(&aead_rows[i], true);
		struct aead open = aead_new(&aead_rows[i], false);
		uint8_t tag[CRYPTO_TAG_LEN];

		assert_int_equal(
			aead_seal(&seal, (struct aead_nonce){1, 2}, NULL, 0, tag, 0),
			0);
		assert_int_equal(aead_open(&open, (struct aead_nonce){1, 2}, NULL, 0,
					   tag, sizeof(tag)),
				 0);
		tag[15] ^= 1;
		assert_int_equal(aead_open(&open, (struct aead_nonce){1, 2}, NULL, 0,
					   tag, sizeof(tag)),
				 -EBADMSG);
		aead_done(&seal);
		aead_done(&open);
		aead_done(&open);
	}
}

static void
aead_choice(void **state)
{
	const uint8_t both = AEAD_CHACHA20_POLY1305 | AEAD_AES_128_GCM;

	(void)state;
	assert_int_equal(aead_choose(both, both), AEAD_AES_128_GCM);
	assert_int_equal(aead_choose(0xff, both), AEAD_AES_128_GCM);
	assert_int_equal(aead_choose(AEAD_CHACHA20_POLY1305, both),
			 AEAD_CHACHA20_POLY1305);
	assert_int_equal(aead_choose(both, 0), AEAD_CHACHA20_POLY1305);
	assert_true(aead_fast_mask() & AEAD_CHACHA20_POLY1305);
	assert_int_equal(aead_fast_mask() & ~both, 0);
}

/* RFC 8439, A.1, vectors 1 and 2: 128 bytes of keystream of the zero key. */
static void
prng_is_chacha20_with_key_erasure(void **state)
{
	static const char stream[] =
		"76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
		"da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"
		"9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"
		"29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f";
	static const uint8_t seed[CRYPTO_KEY_LEN];
	struct bytes want = hex(stream);
	struct prng r, next;
	uint8_t got[96], rest[1000], again[1000];

	(void)state;
	assert_int_equal(prng_init(&r, seed), 0);
	assert_int_equal(prng_bytes(&r, got, 1), 0);
	assert_int_equal(prng_bytes(&r, got + 1, 95), 0);
	assert_memory_equal(got, want.b + 32, 96);
	assert_memory_equal(r.key, want.b, CRYPTO_KEY_LEN);

	/* When the pool is empty, a generator seeded with that key goes on. */
	assert_int_equal(prng_init(&next, want.b), 0);
	assert_int_equal(prng_bytes(&r, rest, sizeof(r.pool) - 32 - 96), 0);
	assert_int_equal(prng_bytes(&r, rest, sizeof(rest)), 0);
	assert_int_equal(prng_bytes(&next, again, sizeof(again)), 0);
	assert_memory_equal(rest, again, sizeof(rest));
	prng_done(&r);
	prng_done(&next);
}

static void
equal_compares_every_byte(void **state)
{
	uint8_t a[32] = {0}, b[32] = {0};

	(void)state;
	assert_true(crypto_equal(a, b, 32));
	for (size_t i = 0; i < 32; i++) {
		b[i] = 1;
		assert_false(crypto_equal(a, b, 32));
		b[i] = 0;
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(x25519_vectors),
		cmocka_unit_test(x25519_refuses_zero),
		cmocka_unit_test(hash_vectors),
		cmocka_unit_test(hkdf_vectors),
		cmocka_unit_test(hkdf_joins_label_and_context),
		cmocka_unit_test(aead_vectors),
		cmocka_unit_test(aead_nonce_is_iv_xor_counter),
		cmocka_unit_test(aead_refuses_what_was_changed),
		cmocka_unit_test(aead_seals_nothing_at_all),
		cmocka_unit_test(aead_choice),
		cmocka_unit_test(prng_is_chacha20_with_key_erasure),
		cmocka_unit_test(equal_compares_every_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
