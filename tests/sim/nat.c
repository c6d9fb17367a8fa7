#include "tests/sim/nat.h"

#include <string.h>

enum {
	PORT_FIRST = 20000,
	PORT_LAST = 59999,
	HOST_LAST = 254,
};

/*
 * The parts that tell links and hosts apart are at the same place in private and
 * public addresses.
 */
enum { IPV4_LINK = 2, IPV4_HOST = 3, IPV6_LINK = 7, IPV6_HOST = 15 };

static const struct addr local4 = {.family = AF_INET, .ip = {10, 0, 0, 2}};
static const struct addr local6 = {.family = AF_INET6, .ip = {0xfd, [IPV6_HOST] = 2}};

/* Both are for benchmarks: RFC 2544, RFC 5180. */
static const struct addr public4 = {.family = AF_INET, .ip = {198, 18}};
static const struct addr public6 = {.family = AF_INET6, .ip = {0x20, 0x01, 0, 2}};

static size_t
link_at(const struct addr *a)
{
	return a->family == AF_INET6 ? IPV6_LINK : IPV4_LINK;
}

static size_t
host_at(const struct addr *a)
{
	return a->family == AF_INET6 ? IPV6_HOST : IPV4_HOST;
}

static struct addr
public_of(unsigned link, unsigned host, int family)
{
	struct addr a = family == AF_INET6 ? public6 : public4;

	a.ip[link_at(&a)] = (uint8_t)link;
	a.ip[host_at(&a)] = (uint8_t)host;
	return a;
}

void
nat_init(struct nat *nat, unsigned link)
{
	*nat = (struct nat){.link = (uint8_t)link, .host = 1, .next_port = PORT_FIRST};
}

void
nat_rebind(struct nat *nat, bool readdress)
{
	memset(nat->entries, 0, sizeof(nat->entries));
	if (readdress)
		nat->host = nat->host == HOST_LAST ? 1 : nat->host + 1;
}

struct addr
nat_local(unsigned link, int family)
{
	struct addr a = family == AF_INET6 ? local6 : local4;

	a.ip[link_at(&a)] = (uint8_t)link;
	return a;
}

int
nat_link_of(const struct addr *public)
{
	unsigned link = public->ip[link_at(public)];
	unsigned host = public->ip[host_at(public)];
	struct addr a = public_of(link, host, public->family);

	return addr_same_ip(&a, public) ? (int)link : -1;
}

bool
nat_has(const struct nat *nat, const struct addr *public)
{
	struct addr a = public_of(nat->link, nat->host, public->family);

	return addr_same_ip(&a, public);
}

static uint16_t
new_port(struct nat *nat, const struct addr *local)
{
	struct nat_entry *e = &nat->entries[nat->n_made++ % NAT_ENTRIES];

	e->family = local->family;
	e->local = local->port;
	e->public = nat->next_port;
	nat->next_port = nat->next_port == PORT_LAST ? PORT_FIRST
						     : (uint16_t)(nat->next_port + 1);
	return e->public;
}

struct addr
nat_out(struct nat *nat, const struct addr *local)
{
	struct addr a = public_of(nat->link, nat->host, local->family);

	for (size_t i = 0; i < NAT_ENTRIES && a.port == 0; i++) {
		const struct nat_entry *e = &nat->entries[i];

		if (e->family == local->family && e->local == local->port)
			a.port = e->public;
	}
	if (a.port == 0)
		a.port = new_port(nat, local);
	return a;
}

bool
nat_in(const struct nat *nat, const struct addr *public, struct addr *ret_local)
{
	if (!nat_has(nat, public))
		return false;
	for (size_t i = 0; i < NAT_ENTRIES; i++) {
		const struct nat_entry *e = &nat->entries[i];

		if (e->family == public->family && e->public == public->port) {
			*ret_local = nat_local(nat->link, public->family);
			ret_local->port = e->local;
			return true;
		}
	}
	return false;
}
