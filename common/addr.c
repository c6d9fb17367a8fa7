#include "common/addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static size_t
ip_len(uint8_t family)
{
	return family == AF_INET ? 4 : 16;
}

int
addr_parse_ip(const char *text, struct addr *ret_addr)
{
	struct addr a = {0};

	if (inet_pton(AF_INET, text, a.ip) == 1)
		a.family = AF_INET;
	else if (inet_pton(AF_INET6, text, a.ip) == 1)
		a.family = AF_INET6;
	else
		return -EINVAL;
	*ret_addr = a;
	return 0;
}

static int
parse_uint(const char *text, unsigned long max, unsigned long *ret_value)
{
	unsigned long v = 0;

	if (*text == '\0')
		return -EINVAL;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		v = v * 10 + (unsigned long)(*text - '0');
		if (v > max)
			return -EINVAL;
	}
	*ret_value = v;
	return 0;
}

int
addr_split(const char *text, char *ret_host, size_t cap, uint16_t *ret_port)
{
	const char *colon = strrchr(text, ':');
	const char *host = text;
	unsigned long port;
	bool in_brackets;
	size_t len;

	if (colon == NULL || parse_uint(colon + 1, 65535, &port) < 0 || port == 0)
		return -EINVAL;
	len = (size_t)(colon - text);
	in_brackets = len >= 2 && text[0] == '[' && colon[-1] == ']';
	if (in_brackets) {
		host++;
		len -= 2;
	}
	/* Brackets are for IPv6, and only there is a colon part of the host. */
	if ((memchr(host, ':', len) != NULL) != in_brackets ||
	    memchr(host, '[', len) != NULL || memchr(host, ']', len) != NULL)
		return -EINVAL;
	if (len == 0 || len >= cap)
		return -EINVAL;
	memcpy(ret_host, host, len);
	ret_host[len] = '\0';
	*ret_port = (uint16_t)port;
	return 0;
}

int
addr_parse(const char *text, struct addr *ret_addr)
{
	char host[INET6_ADDRSTRLEN];
	struct addr a;
	uint16_t port;

	if (addr_split(text, host, sizeof(host), &port) < 0 ||
	    addr_parse_ip(host, &a) < 0)
		return -EINVAL;
	if ((a.family == AF_INET6) != (text[0] == '['))
		return -EINVAL;
	a.port = port;
	*ret_addr = a;
	return 0;
}

static bool
same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned whole = bits / 8;
	unsigned rest = bits % 8;

	if (memcmp(a, b, whole) != 0)
		return false;
	return rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

int
prefix_parse(const char *text, struct prefix *ret_prefix)
{
	char host[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);
	struct prefix p = {0};
	unsigned long bits;

	if (len >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, len);
	host[len] = '\0';
	if (addr_parse_ip(host, &p.base) < 0)
		return -EINVAL;
	bits = ip_len(p.base.family) * 8;
	if (slash != NULL && parse_uint(slash + 1, bits, &bits) < 0)
		return -EINVAL;
	p.bits = (uint8_t)bits;
	for (unsigned i = p.bits; i < ip_len(p.base.family) * 8; i++) {
		if (p.base.ip[i / 8] & (0x80 >> (i % 8)))
			return -EINVAL;
	}
	*ret_prefix = p;
	return 0;
}

bool
prefix_contains(const struct prefix *p, const struct addr *a)
{
	return p->base.family == a->family && same_bits(p->base.ip, a->ip, p->bits);
}

struct addr_text
addr_format(const struct addr *a)
{
	char ip[INET6_ADDRSTRLEN] = "none";
	char scope[16] = "";
	struct addr_text t;
	bool v6 = a->family == AF_INET6;

	if (a->family != 0)
		inet_ntop(a->family, a->ip, ip, sizeof(ip));
	if (a->scope != 0)
		snprintf(scope, sizeof(scope), "%%%u", a->scope);
	if (a->port == 0)
		snprintf(t.s, sizeof(t.s), "%s%s", ip, scope);
	else
		snprintf(t.s, sizeof(t.s), v6 ? "[%s%s]:%u" : "%s%s:%u", ip, scope,
			 a->port);
	return t;
}

bool
addr_same_ip(const struct addr *a, const struct addr *b)
{
	return a->family == b->family && a->scope == b->scope &&
	       memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

bool
addr_equal(const struct addr *a, const struct addr *b)
{
	return addr_same_ip(a, b) && a->port == b->port;
}

bool
addr_is_loopback(const struct addr *a)
{
	struct addr u = *a;

	addr_unmap(&u);
	if (u.family == AF_INET)
		return u.ip[0] == 127;
	return u.family == AF_INET6 && memcmp(u.ip, &in6addr_loopback, 16) == 0;
}

bool
addr_is_wildcard(const struct addr *a)
{
	return a->family != 0 && memcmp(a->ip, &in6addr_any, 16) == 0;
}

void
addr_unmap(struct addr *a)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (a->family != AF_INET6 || memcmp(a->ip, mapped, sizeof(mapped)) != 0)
		return;
	memmove(a->ip, a->ip + 12, 4);
	memset(a->ip + 4, 0, 12);
	a->family = AF_INET;
	a->scope = 0;
}

socklen_t
addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *ret_ss)
{
	memset(ret_ss, 0, sizeof(*ret_ss));
	if (a->family == AF_INET) {
		struct sockaddr_in *in = (struct sockaddr_in *)ret_ss;

		in->sin_family = AF_INET;
		in->sin_port = htons(a->port);
		memcpy(&in->sin_addr, a->ip, 4);
		return sizeof(*in);
	} else {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret_ss;

		assert(a->family == AF_INET6);
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(a->port);
		in6->sin6_scope_id = a->scope;
		memcpy(&in6->sin6_addr, a->ip, 16);
		return sizeof(*in6);
	}
}

int
addr_from_sockaddr(const struct sockaddr *sa, struct addr *ret_addr)
{
	struct addr a = {0};

	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in =
			(const struct sockaddr_in *)(const void *)sa;

		a.family = AF_INET;
		a.port = ntohs(in->sin_port);
		memcpy(a.ip, &in->sin_addr, 4);
	} else if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 =
			(const struct sockaddr_in6 *)(const void *)sa;

		a.family = AF_INET6;
		a.port = ntohs(in6->sin6_port);
		a.scope = in6->sin6_scope_id;
		memcpy(a.ip, &in6->sin6_addr, 16);
	} else {
		return -EAFNOSUPPORT;
	}
	*ret_addr = a;
	return 0;
}
