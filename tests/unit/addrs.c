#include "tests/unit/unit.h"

#include "tests/unit/addrs.h"

struct addr
addrs_of(const char *text)
{
	struct addr a;

	if (addr_parse(text, &a) < 0)
		fail_msg("not an address with a port: %s", text);
	return a;
}

struct addr
addrs_ip(const char *text, uint16_t port)
{
	struct addr a;

	if (addr_parse_ip(text, &a) < 0)
		fail_msg("not an address: %s", text);
	a.port = port;
	return a;
}
