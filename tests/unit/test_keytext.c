#include "tests/unit/unit.h"

#include "common/keytext.h"
#include "tests/unit/seed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char alphabet[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* RFC 4648 as it is written: three bytes, four characters, padding. */
static void
model_format(const uint8_t *key, char *ret_text)
{
	uint8_t padded[33] = {0};

	memcpy(padded, key, 32);
	for (size_t i = 0; i < 11; i++) {
		const uint8_t *p = padded + 3 * i;
		unsigned group = (unsigned)p[0] << 16 | (unsigned)p[1] << 8 | p[2];

		for (size_t j = 0; j < 4; j++)
			ret_text[4 * i + j] = alphabet[group >> (18 - 6 * j) & 63];
	}
	ret_text[43] = '=';
	ret_text[44] = '\0';
}

static void
test_agrees_with_the_model(void **state)
{
	unsigned seed = seed_choose();

	(void)state;
	srandom(seed);
	for (int round = 0; round < 2000; round++) {
		uint8_t key[KEYTEXT_KEY_LEN], back[KEYTEXT_KEY_LEN];
		char expected[KEYTEXT_LEN + 1];
		struct keytext text;

		for (size_t i = 0; i < sizeof(key); i++)
			key[i] = (uint8_t)(random() >> 8);
		model_format(key, expected);
		text = keytext_format(key);
		assert_string_equal(text.s, expected);
		assert_int_equal(keytext_parse(text.s, back), 0);
		assert_memory_equal(back, key, sizeof(key));
	}
}

static void
test_knows_zeros_and_ones(void **state)
{
	uint8_t key[KEYTEXT_KEY_LEN] = {0};

	(void)state;
	assert_string_equal(keytext_format(key).s,
			    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
	memset(key, 0xff, sizeof(key));
	assert_string_equal(keytext_format(key).s,
			    "//////////////////////////////////////////8=");
}

/* In each place, each byte: only the alphabet, and only canonical at the end. */
static void
test_refuses_every_other_character(void **state)
{
	static const char good[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
	uint8_t key[KEYTEXT_KEY_LEN];
	uint8_t untouched[KEYTEXT_KEY_LEN];

	(void)state;
	memset(untouched, 0x5a, sizeof(untouched));
	for (size_t at = 0; at < KEYTEXT_LEN; at++) {
		for (int c = 1; c < 256; c++) {
			const char *in = strchr(alphabet, c);
			bool fits = in != NULL;
			char text[sizeof(good)];

			if (at == 43)
				fits = c == '=';
			else if (at == 42)
				fits = in != NULL && (in - alphabet) % 4 == 0;
			memcpy(text, good, sizeof(text));
			text[at] = (char)c;
			memset(key, 0x5a, sizeof(key));
			assert_int_equal(keytext_parse(text, key), fits ? 0 : -EINVAL);
			if (!fits)
				assert_memory_equal(key, untouched, sizeof(key));
		}
	}
}

static void
test_refuses_other_lengths(void **state)
{
	uint8_t key[KEYTEXT_KEY_LEN];
	char text[64];

	(void)state;
	for (size_t len = 0; len < sizeof(text); len++) {
		memset(text, 'A', len);
		text[len] = '\0';
		if (len > 0)
			text[len - 1] = '=';
		assert_int_equal(keytext_parse(text, key), len == 44 ? 0 : -EINVAL);
	}
	assert_int_equal(
		keytext_parse("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==", key),
		-EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_agrees_with_the_model),
		cmocka_unit_test(test_knows_zeros_and_ones),
		cmocka_unit_test(test_refuses_every_other_character),
		cmocka_unit_test(test_refuses_other_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
