/*
 * MP_JOIN's and ADD_ADDR's arithmetic, against values computed elsewhere with RFC 8684's formulas.
 */
#include "tests/unit/unit.h"

#include "daemon/core/join.h"

#include <string.h>

static const uint8_t key_a[] = {0, 1, 2, 3, 4, 5, 6, 7};
static const uint8_t key_b[] = {8, 9, 10, 11, 12, 13, 14, 15};
static const uint8_t nonce_a[] = {0x11, 0x22, 0x33, 0x44};
static const uint8_t nonce_b[] = {0x55, 0x66, 0x77, 0x88};
static const struct join_side a = {key_a, nonce_a}, b = {key_b, nonce_b};

static void
tokens_are_the_rfcs(void **state)
{
	uint32_t token;

	(void)state;
	assert_int_equal(join_token(key_a, &token), 0);
	assert_int_equal(token, 0x8a851ff8);
	assert_int_equal(join_token(key_b, &token), 0);
	assert_int_equal(token, 0x34179de5);
}

static void
hmacs_are_the_rfcs(void **state)
{
	static const uint8_t of_a[] = {0x78, 0xe4, 0xd1, 0xf9, 0x82, 0xdf, 0x9b,
				       0x57, 0xa1, 0x01, 0x93, 0x4d, 0xdb, 0x41,
				       0xb7, 0x2e, 0xe9, 0x3f, 0x7a, 0xb3};
	static const uint8_t of_b[] = {0x8c, 0xa0, 0x7a, 0x5a, 0xec, 0x54, 0x98, 0xa6};
	uint8_t mac[CRYPTO_HASH_LEN];

	(void)state;
	assert_int_equal(join_hmac(&a, &b, sizeof(nonce_a), mac), 0);
	assert_memory_equal(mac, of_a, sizeof(of_a));
	assert_int_equal(join_hmac(&b, &a, sizeof(nonce_a), mac), 0);
	assert_memory_equal(mac, of_b, sizeof(of_b));
}

static void
hmacs_of_addresses_are_the_rfcs(void **state)
{
	static const uint8_t without_port[] = {0x72, 0x30, 0xbf, 0x83,
					       0xec, 0xca, 0x9f, 0x2e};
	static const uint8_t with_port[] = {0x35, 0x23, 0x37, 0x2c,
					    0x85, 0x57, 0x8e, 0xf7};
	struct addr at = {.ip = {192, 0, 2, 1}, .family = AF_INET};
	uint8_t mac[8], other[8];

	(void)state;
	assert_int_equal(join_addr_hmac(key_a, key_b, 1, &at, mac), 0);
	assert_memory_equal(mac, without_port, sizeof(mac));
	at.port = 65101;
	assert_int_equal(join_addr_hmac(key_a, key_b, 1, &at, mac), 0);
	assert_memory_equal(mac, with_port, sizeof(mac));
	/* Whose, which and where: each counts. */
	assert_int_equal(join_addr_hmac(key_b, key_a, 1, &at, other), 0);
	assert_memory_not_equal(mac, other, sizeof(mac));
	assert_int_equal(join_addr_hmac(key_a, key_b, 2, &at, other), 0);
	assert_memory_not_equal(mac, other, sizeof(mac));
	at.family = AF_INET6;
	assert_int_equal(join_addr_hmac(key_a, key_b, 1, &at, mac), 0);
	at.ip[15] = 1;
	assert_int_equal(join_addr_hmac(key_a, key_b, 1, &at, other), 0);
	assert_memory_not_equal(mac, other, sizeof(mac));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tokens_are_the_rfcs),
		cmocka_unit_test(hmacs_are_the_rfcs),
		cmocka_unit_test(hmacs_of_addresses_are_the_rfcs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
