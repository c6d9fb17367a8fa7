#include "daemon/request.h"

#include <string.h>

int
request_set_dest(struct request *r, const uint8_t *host, size_t len, uint16_t port)
{
	if (len == 0 || len >= sizeof(r->dest.host) || port == 0)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		if (host[i] <= 0x20 || host[i] >= 0x7f)
			return -EINVAL;
	}
	memcpy(r->dest.host, host, len);
	r->dest.host[len] = '\0';
	r->dest.port = port;
	return 0;
}
