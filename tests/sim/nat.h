/*
 * nat - the client's NAT on one link of the simulator.
 *
 * Model:   a local port gets a public one with the first datagram that leaves from
 *          it, whoever that goes to, and keeps it until nat_rebind(). Any sender
 *          may use it.
 * Bounds:  NAT_ENTRIES ports; the oldest is forgotten for a new one. A public port
 *          comes back after 40,000 others.
 * Owner:   the caller owns the struct.
 */
#ifndef TESTS_SIM_NAT_H
#define TESTS_SIM_NAT_H

#include "common/addr.h"

enum { NAT_ENTRIES = 32 };

struct nat_entry {
	uint8_t family; /* 0: free */
	uint16_t local, public;
};

struct nat {
	uint8_t link;
	uint8_t host; /* the last part of the public address, 1 to 254 */
	uint16_t next_port;
	unsigned n_made;
	struct nat_entry entries[NAT_ENTRIES];
};

void nat_init(struct nat *nat, unsigned link);
void nat_rebind(struct nat *nat, bool readdress);

/* The client's own address on a link; port 0. */
struct addr nat_local(unsigned link, int family);

/* The link that would have this public address, now or at another time; -1: none. */
int nat_link_of(const struct addr *public);

/* Whether it has that address now. */
bool nat_has(const struct nat *nat, const struct addr *public);

/* The public source of what leaves `local`, an address of this link. */
struct addr nat_out(struct nat *nat, const struct addr *local);

/* False: nothing of the client's is there. */
bool nat_in(const struct nat *nat, const struct addr *public, struct addr *ret_local);

#endif
