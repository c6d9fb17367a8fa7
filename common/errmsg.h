/*
 * errmsg - one sentence for the operator, carried up to whoever prints it.
 *
 * Bounds:  ERRMSG_MAX bytes with the NUL; longer text is cut.
 * Owner:   the caller owns the struct, usually on its stack.
 */
#ifndef COMMON_ERRMSG_H
#define COMMON_ERRMSG_H

#include "common/base.h"

#define ERRMSG_MAX 384

struct errmsg {
	char text[ERRMSG_MAX];
};

/* Sets the sentence. Returns `err`, so that failing reads `return errmsg_set(...)`. */
int errmsg_set(struct errmsg *e, int err, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Puts "prefix: " before what is there already. */
void errmsg_prefix(struct errmsg *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

/*
 * Copies text that somebody else wrote, fit to be shown: control characters,
 * backslashes and bytes over 0x7e become \xNN. Returns `dst`, cut to `cap`.
 */
const char *errmsg_escape(char *dst, size_t cap, const char *src, size_t len);

#endif
