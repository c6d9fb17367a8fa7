/*
 * addr - an IP address with a port, and a range of addresses.
 *
 * Model:   one struct for both families, so that nobody above casts sockaddrs.
 *          IPv4 uses the first 4 bytes of `ip`; the others are 0.
 * Units:   ports in host order.
 */
#ifndef COMMON_ADDR_H
#define COMMON_ADDR_H

#include "common/base.h"

#include <sys/socket.h>

/* "[" 39 digits and colons "%" 15 of a scope "]:65535" and the NUL. */
#define ADDR_TEXT_MAX 72

struct addr {
	uint8_t ip[16];
	uint16_t port;
	uint8_t family; /* AF_INET, AF_INET6; 0: no address */
	uint32_t scope; /* interface index of a link-local IPv6 address, else 0 */
};

struct prefix {
	struct addr base; /* port 0, host bits 0 */
	uint8_t bits;
};

struct addr_text {
	char s[ADDR_TEXT_MAX];
};

/* "192.0.2.1" or "2001:db8::1", port 0. -EINVAL: it is not an address. */
int addr_parse_ip(const char *text, struct addr *ret_addr) MUST_CHECK;

/* "192.0.2.1:443" or "[2001:db8::1]:443". -EINVAL: it is not that. */
int addr_parse(const char *text, struct addr *ret_addr) MUST_CHECK;

/*
 * Splits "HOST:PORT" or "[IPV6]:PORT" into a host of at most `cap` - 1 bytes
 * and a port from 1 to 65535. -EINVAL: it is not that, or the host is too long.
 */
int
addr_split(const char *text, char *ret_host, size_t cap, uint16_t *ret_port) MUST_CHECK;

/* "10.0.0.0/8"; a bare address is a prefix of full length. Host bits must be 0. */
int prefix_parse(const char *text, struct prefix *ret_prefix) MUST_CHECK;
bool prefix_contains(const struct prefix *p, const struct addr *a);

/* "192.0.2.1:443"; without the port where it is 0. */
struct addr_text addr_format(const struct addr *a);

/* The same family, address and scope; the port too for addr_equal(). */
bool addr_equal(const struct addr *a, const struct addr *b);
bool addr_same_ip(const struct addr *a, const struct addr *b);
bool addr_is_loopback(const struct addr *a);
bool addr_is_wildcard(const struct addr *a);

/* Rewrites ::ffff:a.b.c.d as a.b.c.d; others stay as they are. */
void addr_unmap(struct addr *a);

socklen_t addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *ret_ss);
/* -EAFNOSUPPORT: neither IPv4 nor IPv6. */
int addr_from_sockaddr(const struct sockaddr *sa, struct addr *ret_addr) MUST_CHECK;

#endif
