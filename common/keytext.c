#include "common/keytext.h"

#include <string.h>

/*
 * Neither branches nor look-ups depend on the key: each character is compared
 * with every range of the alphabet, and masks pick the one that fits.
 */
static const struct {
	uint8_t value; /* of the first character */
	uint8_t n;
	char first;
} ranges[] = {
	{0, 26, 'A'}, {26, 26, 'a'}, {52, 10, '0'}, {62, 1, '+'}, {63, 1, '/'},
};

/* All ones if a < b, else 0. */
static uint32_t
below(uint32_t a, uint32_t b)
{
	return (uint32_t) - (((uint64_t)a - b) >> 63);
}

static char
char_of(uint32_t value)
{
	uint32_t c = 0;

	for (size_t i = 0; i < ARRAY_LEN(ranges); i++) {
		uint32_t at = value - ranges[i].value;

		c |= below(at, ranges[i].n) & ((uint32_t)ranges[i].first + at);
	}
	return (char)c;
}

/* Bits over the sixth are set for what is not in the alphabet. */
static uint32_t
value_of(char c)
{
	uint32_t value = 0;
	uint32_t known = 0;

	for (size_t i = 0; i < ARRAY_LEN(ranges); i++) {
		uint32_t at = (uint32_t)(unsigned char)c - (uint32_t)ranges[i].first;
		uint32_t fits = below(at, ranges[i].n);

		value |= fits & (ranges[i].value + at);
		known |= fits;
	}
	return value | ~known;
}

struct keytext
keytext_format(const uint8_t key[KEYTEXT_KEY_LEN])
{
	struct keytext t;
	uint32_t bits = 0;
	unsigned n_bits = 0;
	size_t n = 0;

	for (size_t i = 0; i < KEYTEXT_KEY_LEN; i++) {
		bits = bits << 8 | key[i];
		for (n_bits += 8; n_bits >= 6; n_bits -= 6)
			t.s[n++] = char_of(bits >> (n_bits - 6) & 63);
	}
	t.s[n++] = char_of(bits << (6 - n_bits) & 63);
	t.s[n++] = '=';
	t.s[n] = '\0';
	assert(n == KEYTEXT_LEN);
	return t;
}

int
keytext_parse(const char *text, uint8_t ret_key[KEYTEXT_KEY_LEN])
{
	uint8_t key[KEYTEXT_KEY_LEN];
	uint32_t wrong = 0;
	uint32_t bits = 0;
	unsigned n_bits = 0;
	size_t n = 0;

	if (strnlen(text, KEYTEXT_LEN + 1) != KEYTEXT_LEN ||
	    text[KEYTEXT_LEN - 1] != '=')
		return -EINVAL;
	for (size_t i = 0; i < KEYTEXT_LEN - 1; i++) {
		uint32_t v = value_of(text[i]);

		wrong |= v >> 6;
		bits = bits << 6 | (v & 63);
		n_bits += 6;
		if (n_bits >= 8) {
			n_bits -= 8;
			key[n++] = (uint8_t)(bits >> n_bits);
		}
	}
	assert(n == KEYTEXT_KEY_LEN && n_bits == 2);
	/* Canonical: the two bits that are left over are 0. */
	wrong |= bits & 3;
	if (wrong == 0)
		memcpy(ret_key, key, sizeof(key));
	explicit_bzero(key, sizeof(key));
	return wrong == 0 ? 0 : -EINVAL;
}
