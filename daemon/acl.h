/*
 * acl - which destinations the server connects to.
 *
 * Model:   denied unless global by the IANA registries (special-purpose
 *          addresses, IPv4 and IPv6, read in November 2026); v4-mapped,
 *          NAT64, 6to4 and other embeddings are judged by the address inside
 *          as well. A peer's `allow` narrows, `deny` narrows, `allow_private`
 *          opens what is not global, but never loopback, link-local,
 *          multicast, unspecified or an address of this machine.
 * Source:  RFC 6890 and its updates; RFC 4291, 6052, 3056, 4380.
 */
#ifndef DAEMON_ACL_H
#define DAEMON_ACL_H

#include "common/addr.h"
#include "daemon/config.h"

bool addr_is_global(const struct addr *a);

/* `own`: whether an address is this machine's. `why` gets a few words. */
struct acl_machine {
	bool (*is_own)(void *arg, const struct addr *a);
	void *arg;
};
bool acl_permits(const struct config_peer *peer, const struct acl_machine *machine,
		 const struct addr *dest, const char **ret_why);

#endif
