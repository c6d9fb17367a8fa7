#include "daemon/acl.h"

#include <string.h>

enum { PORT_SMTP = 25 };

struct entry {
	struct prefix prefix;
	bool global;
};

#define V4(length, ...)                                                            \
	{                                                                          \
		.base = {.ip = {__VA_ARGS__}, .family = AF_INET}, .bits = (length) \
	}
#define V6(length, ...)                                                             \
	{                                                                           \
		.base = {.ip = {__VA_ARGS__}, .family = AF_INET6}, .bits = (length) \
	}

/*
 * The registries' "Globally Reachable" column; the longest match decides, and
 * the first entry of a family is for the rest of it. Left out, and so denied
 * with 2001::/23: ORCHIDv2 and drone identifiers, which name but do not locate.
 */
static const struct entry registry[] = {
	{V4(0, 0), true},
	{V4(8, 0), false},             /* "this network" */
	{V4(8, 10), false},            /* private use */
	{V4(10, 100, 64), false},      /* shared by carriers */
	{V4(8, 127), false},           /* loopback */
	{V4(16, 169, 254), false},     /* link-local */
	{V4(12, 172, 16), false},      /* private use */
	{V4(24, 192, 0, 0), false},    /* protocol assignments */
	{V4(32, 192, 0, 0, 9), true},  /* PCP anycast */
	{V4(32, 192, 0, 0, 10), true}, /* TURN anycast */
	{V4(24, 192, 0, 2), false},    /* documentation */
	{V4(24, 192, 88, 99), false},  /* 6to4 relays, withdrawn */
	{V4(16, 192, 168), false},     /* private use */
	{V4(15, 198, 18), false},      /* benchmarking */
	{V4(24, 198, 51, 100), false}, /* documentation */
	{V4(24, 203, 0, 113), false},  /* documentation */
	{V4(4, 224), false},           /* multicast */
	{V4(4, 240), false},           /* reserved, and broadcast */

	{V6(0, 0), false},
	{V6(3, 0x20), true},         /* the only space given out for global unicast */
	{V6(23, 0x20, 0x01), false}, /* protocol assignments, Teredo */
	{V6(128, 0x20, 1, 0, 1, [15] = 1), true}, /* PCP anycast */
	{V6(128, 0x20, 1, 0, 1, [15] = 2), true}, /* TURN anycast */
	{V6(128, 0x20, 1, 0, 1, [15] = 3), true}, /* DNS-SD registration anycast */
	{V6(32, 0x20, 1, 0, 3), true},            /* AMT */
	{V6(48, 0x20, 1, 0, 4, 1, 0x12), true},   /* AS112 */
	{V6(32, 0x20, 1, 0x0d, 0xb8), false},     /* documentation */
	{V6(16, 0x20, 0x02), false},              /* 6to4: see embedded() */
	{V6(20, 0x3f, 0xff), false},              /* documentation */
};

/* Where an IPv4 address is inside of an IPv6 one. */
struct embedding {
	struct prefix prefix;
	uint8_t at;
	bool stands_for_it; /* as global as the address inside */
};

static const struct embedding embeddings[] = {
	{V6(96, [10] = 0xff, [11] = 0xff), 12, true}, /* v4-mapped, RFC 4291 */
	{V6(96, 0), 12, false},                       /* v4-compatible, RFC 4291 */
	{V6(96, [8] = 0xff, [9] = 0xff), 12, false},  /* translated, RFC 7915 */
	{V6(96, 0, 0x64, 0xff, 0x9b), 12, true},      /* NAT64, RFC 6052 */
	{V6(16, 0x20, 0x02), 2, true},                /* 6to4, RFC 3056 */
};

static const struct embedding *
find_embedded(const struct addr *a, struct addr *ret_inner)
{
	for (size_t i = 0; i < ARRAY_LEN(embeddings); i++) {
		const struct embedding *e = &embeddings[i];

		if (!prefix_contains(&e->prefix, a))
			continue;
		*ret_inner = (struct addr){.family = AF_INET, .port = a->port};
		memcpy(ret_inner->ip, a->ip + e->at, 4);
		return e;
	}
	return NULL;
}

bool
addr_is_global(const struct addr *a)
{
	const struct entry *best = NULL;
	const struct embedding *e;
	struct addr inner;

	e = find_embedded(a, &inner);
	if (e != NULL)
		return e->stands_for_it && addr_is_global(&inner);
	for (size_t i = 0; i < ARRAY_LEN(registry); i++) {
		const struct entry *r = &registry[i];

		if (prefix_contains(&r->prefix, a) &&
		    (best == NULL || r->prefix.bits > best->prefix.bits))
			best = r;
	}
	return best != NULL && best->global;
}

/* What no configuration opens, in words; NULL: it is none of this. */
static const char *
never_permitted(const struct addr *a)
{
	static const struct {
		struct prefix prefix;
		const char *why;
	} never[] = {
		{V4(8, 0), "unspecified address"},
		{V4(8, 127), "loopback address"},
		{V4(16, 169, 254), "link-local address"},
		{V4(4, 224), "multicast address"},
		{V4(32, 255, 255, 255, 255), "broadcast address"},
		{V6(128, 0), "unspecified address"},
		{V6(128, [15] = 1), "loopback address"},
		{V6(10, 0xfe, 0x80), "link-local address"},
		{V6(8, 0xff), "multicast address"},
	};

	for (size_t i = 0; i < ARRAY_LEN(never); i++) {
		if (prefix_contains(&never[i].prefix, a))
			return never[i].why;
	}
	return NULL;
}

/* The address as it is written, and the one inside: a rule for either counts. */
struct faces {
	struct addr a[2];
	size_t n;
};

static bool
matches(const struct prefix *list, size_t n, const struct faces *f)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < f->n; k++) {
			if (prefix_contains(&list[i], &f->a[k]))
				return true;
		}
	}
	return false;
}

static const char *
why_never(const struct acl_machine *machine, const struct faces *f)
{
	for (size_t k = 0; k < f->n; k++) {
		const char *why = never_permitted(&f->a[k]);

		if (why != NULL)
			return why;
		if (machine->is_own(machine->arg, &f->a[k]))
			return "an address of the server itself";
	}
	return NULL;
}

static const char *
why_denied(const struct config_peer *peer, const struct faces *f, uint16_t port)
{
	if (matches(peer->deny, peer->n_deny, f))
		return "in the peer's deny list";
	if (!addr_is_global(&f->a[0]) &&
	    !matches(peer->allow_private, peer->n_allow_private, f))
		return "not a global address";
	if (peer->n_allow > 0 && !matches(peer->allow, peer->n_allow, f))
		return "not in the peer's allow list";
	if (port == PORT_SMTP && !peer->allow_smtp)
		return "port 25 is not allowed";
	return NULL;
}

bool
acl_permits(const struct config_peer *peer, const struct acl_machine *machine,
	    const struct addr *dest, const char **ret_why)
{
	struct faces f = {.a = {*dest}, .n = 1};
	const char *why;

	/* Own addresses are compared without port and without scope. */
	f.a[0].port = 0;
	f.a[0].scope = 0;
	if (find_embedded(&f.a[0], &f.a[1]) != NULL)
		f.n = 2;
	why = why_never(machine, &f);
	if (why == NULL)
		why = why_denied(peer, &f, dest->port);
	if (why != NULL)
		*ret_why = why;
	return why == NULL;
}
