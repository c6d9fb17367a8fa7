/*
 * secret - keys and passwords in files.
 *
 * Model:   a file is opened with O_NOFOLLOW and looked at through its
 *          descriptor: regular, owned by root or by us, closed to group and
 *          others; group-read is fine under $CREDENTIALS_DIRECTORY.
 * Errors:  -errno and a sentence that names the file and says what to do, and
 *          never quotes what is in it.
 */
#ifndef DAEMON_SECRET_H
#define DAEMON_SECRET_H

#include "common/errmsg.h"
#include "daemon/core/crypto.h"

/* A base64 key of 32 bytes, as `mpproxyctl genkey` writes it. */
int secret_load_key(const char *file, uint8_t ret_key[CRYPTO_KEY_LEN],
		    struct errmsg *why) MUST_CHECK;
/* The first line, without its end, 1 to cap - 1 bytes; the caller wipes it. */
int secret_load_line(const char *file, char *ret_line, size_t cap,
		     struct errmsg *why) MUST_CHECK;

#endif
