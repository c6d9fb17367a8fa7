#include "tests/unit/legs.h"

#include "daemon/config.h"
#include "daemon/subflows.h"
#include "tests/unit/addrs.h"

#include <string.h>

void
legs_each(unsigned n, int fd, tunnel_each_fn fn, void *arg)
{
	static const struct config_host dest = {.host = "2001:db8::7", .port = 443};
	struct leg_subflows ls = {.n = 3}, none = {0};

	ls.sf[0] = (struct subflow){.state = SUBFLOW_UP,
				    .uplink = 1,
				    .local = addrs_of("192.0.2.1:1000"),
				    .remote = addrs_of("198.51.100.1:4433")};
	ls.sf[1] = (struct subflow){.state = SUBFLOW_NONE, .uplink = 2, .failures = 4};
	ls.sf[2] = (struct subflow){.state = SUBFLOW_NONE};
	for (unsigned i = 1; i <= n; i++) {
		const struct tunnel_stream_info info = {
			.id = i,
			.peer = "vps",
			.listener = "web\xff\033[31m",
			.transport = "mptcp",
			.dest = &dest,
			.state = "open",
			.fallback = i == 2 ? "the \"peer\" has none" : NULL,
			.bytes_up = UINT64_C(5000000000),
			.age = 90 * NS_PER_SEC,
			.subflows = i == 2 ? &none : &ls,
			.fd = i == 2 ? -1 : fd};

		fn(arg, &info);
	}
}

int
legs_info(int fd, struct mptcp_info_all *ret_info)
{
	if (fd < 0)
		return -EOPNOTSUPP;
	memset(ret_info, 0, sizeof(*ret_info));
	ret_info->n_subflows = (size_t)fd;
	for (int i = 0; i < fd; i++)
		ret_info->subflows[i] = (struct mptcp_subflow_info){
			.local = addrs_of(i == 0 ? "192.0.2.1:1000"
						 : "203.0.113.1:2000"),
			.remote = addrs_of("198.51.100.1:4433"),
			.srtt = 43210 * NS_PER_US,
			.unacked = 7,
			.bytes_acked = 123456789,
			.delivery_rate = 48300000};
	return 0;
}
