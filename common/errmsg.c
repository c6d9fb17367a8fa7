#include "common/errmsg.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int
errmsg_set(struct errmsg *e, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return err;
}

void
errmsg_prefix(struct errmsg *e, const char *fmt, ...)
{
	char old[ERRMSG_MAX];
	va_list ap;
	size_t n;

	memcpy(old, e->text, sizeof(old));
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	n = strlen(e->text);
	snprintf(e->text + n, sizeof(e->text) - n, ": %s", old);
}

const char *
errmsg_escape(char *dst, size_t cap, const char *src, size_t len)
{
	size_t n = 0;

	assert(cap > 0);
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)src[i];
		bool plain = c >= 0x20 && c <= 0x7e && c != '\\';

		if (n + (plain ? 1 : 4) >= cap)
			break;
		if (plain)
			dst[n++] = (char)c;
		else
			n += (size_t)snprintf(dst + n, cap - n, "\\x%02x", c);
	}
	dst[n] = '\0';
	return dst;
}
