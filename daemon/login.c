#include "daemon/login.h"

#include "daemon/core/crypto.h"

#include <string.h>

/* RFC 4648, section 4. `out` has room for it and its NUL. */
static void
base64(char *out, const uint8_t *in, size_t len)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < len; i += 3) {
		const size_t have = min_size(len - i, 3);
		uint32_t three = 0;

		for (size_t k = 0; k < 3; k++)
			three = three << 8 | (k < have ? in[i + k] : 0);
		for (size_t k = 0; k < 4; k++)
			*out++ = k > have ? '=' : digits[three >> (18 - 6 * k) & 63];
	}
	*out = '\0';
}

int
login_init(struct login *l, const char *user, const char *password)
{
	const size_t user_len = strlen(user);
	const size_t password_len = strlen(password);
	uint8_t pair[2 * LOGIN_PART_MAX];

	if (user_len == 0 || user_len >= sizeof(l->user))
		return -EINVAL;
	if (password_len == 0 || password_len >= sizeof(l->password))
		return -EINVAL;
	*l = (struct login){.user = ""};
	memcpy(l->user, user, user_len);
	memcpy(l->password, password, password_len);
	memcpy(pair, user, user_len);
	pair[user_len] = ':';
	memcpy(pair + user_len + 1, password, password_len);
	base64(l->basic, pair, user_len + 1 + password_len);
	crypto_wipe(pair, sizeof(pair));
	return 0;
}

void
login_wipe(struct login *l)
{
	crypto_wipe(l, sizeof(*l));
}

/* `want` is padded with zeros to `cap`, all of which is always compared. */
static bool
same(const char *want, size_t cap, const void *got, size_t len)
{
	char padded[LOGIN_BASIC_MAX] = "";
	const size_t kept = min_size(len, cap);
	bool equal;

	assert(cap <= sizeof(padded));
	memcpy(padded, got, kept);
	equal = crypto_equal(want, padded, cap);
	crypto_wipe(padded, sizeof(padded));
	return equal && len == strlen(want);
}

bool
login_matches(const struct login *l, const uint8_t *user, size_t user_len,
	      const uint8_t *password, size_t password_len)
{
	const bool known = same(l->user, sizeof(l->user), user, user_len);
	const bool proved =
		same(l->password, sizeof(l->password), password, password_len);

	return known && proved;
}

bool
login_matches_basic(const struct login *l, const char *basic, size_t len)
{
	return same(l->basic, sizeof(l->basic), basic, len);
}
