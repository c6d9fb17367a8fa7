/*
 * keytext - 32-byte keys as people see them: base64, 44 characters.
 *
 * Source:  RFC 4648, section 4; the same form as WireGuard's keys.
 */
#ifndef COMMON_KEYTEXT_H
#define COMMON_KEYTEXT_H

#include "common/base.h"

enum { KEYTEXT_KEY_LEN = 32, KEYTEXT_LEN = 44 };

struct keytext {
	char s[KEYTEXT_LEN + 1];
};

/* In constant time, whatever the key. */
struct keytext keytext_format(const uint8_t key[KEYTEXT_KEY_LEN]);

/* -EINVAL: not exactly 44 characters of canonical base64 with 32 bytes in them. */
int keytext_parse(const char *text, uint8_t ret_key[KEYTEXT_KEY_LEN]) MUST_CHECK;

#endif
