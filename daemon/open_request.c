#include "daemon/open_request.h"

#include "common/bytes.h"

#include <string.h>

enum { FIXED_LEN = 4 };

size_t
open_request_put(uint8_t ret_buf[OPEN_REQUEST_MAX], const struct config_host *dest,
		 uint8_t flags)
{
	size_t len = strlen(dest->host);

	ret_buf[0] = flags;
	put_be16(ret_buf + 1, dest->port);
	ret_buf[3] = (uint8_t)len;
	memcpy(ret_buf + FIXED_LEN, dest->host, len);
	return FIXED_LEN + len;
}

int
open_request_get(const uint8_t *buf, size_t len, struct config_host *ret_dest,
		 uint8_t *ret_flags)
{
	size_t host;

	if (len < FIXED_LEN)
		return -EBADMSG;
	host = buf[3];
	if (host == 0 || host >= HOST_MAX || len < FIXED_LEN + host ||
	    memchr(buf + FIXED_LEN, '\0', host) != NULL)
		return -EBADMSG;
	memset(ret_dest, 0, sizeof(*ret_dest));
	memcpy(ret_dest->host, buf + FIXED_LEN, host);
	ret_dest->port = get_be16(buf + 1);
	*ret_flags = buf[0];
	return 0;
}
