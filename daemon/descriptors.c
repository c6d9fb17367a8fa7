#include "daemon/descriptors.h"

#include "daemon/udp_carriers.h"

#include <inttypes.h>
#include <stdio.h>

int
descriptors_check(const struct config *c, unsigned limit, struct errmsg *why)
{
	const uint64_t others =
		DESCRIPTORS_RESERVED + (uint64_t)UDP_CARRIERS_OF_SESSION * c->n_peers;
	const uint64_t needed = 2 * (uint64_t)c->max_streams + others;
	const uint64_t streams = limit > others ? (limit - others) / 2 : 0;
	char lower[48] = "";

	if (needed <= limit)
		return 0;
	if (streams > 0)
		snprintf(lower, sizeof(lower), "lower it to %" PRIu64 ", or ", streams);
	return errmsg_set(why, -EMFILE,
			  "max_streams = %" PRIu32 " needs %" PRIu64
			  " descriptors and the limit is %u: %sraise LimitNOFILE",
			  c->max_streams, needed, limit, lower);
}
