/*
 * login - the user and password that a listener asks for.
 *
 * Model:   compared in a time that tells nothing but lengths.
 * Owner:   embedded; login_wipe() before it goes.
 */
#ifndef DAEMON_LOGIN_H
#define DAEMON_LOGIN_H

#include "common/base.h"

enum {
	LOGIN_PART_MAX = 256,  /* a user or a password, with the NUL (RFC 1929) */
	LOGIN_BASIC_MAX = 688, /* base64 of "user:password", with the NUL */
};

struct login {
	char user[LOGIN_PART_MAX];
	char password[LOGIN_PART_MAX];
	char basic[LOGIN_BASIC_MAX]; /* as HTTP's Basic has it (RFC 7617) */
};

/* -EINVAL: either is empty or too long. */
int login_init(struct login *l, const char *user, const char *password) MUST_CHECK;
void login_wipe(struct login *l);

bool login_matches(const struct login *l, const uint8_t *user, size_t user_len,
		   const uint8_t *password, size_t password_len);
bool login_matches_basic(const struct login *l, const char *basic, size_t len);

#endif
