#include "tests/unit/unit.h"

#include "common/addr.h"
#include "tests/unit/addrs.h"
#include "tests/unit/seed.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned seed;

static int
setup(void **state)
{
	(void)state;
	seed = seed_choose();
	srandom(seed);
	return 0;
}

static struct addr
random_addr(void)
{
	struct addr a = {.family = random() % 2 ? AF_INET : AF_INET6};

	/* Runs of zeros make the short forms of IPv6. */
	for (size_t i = 0; i < (a.family == AF_INET ? 4 : 16); i++)
		a.ip[i] = random() % 2 ? (uint8_t)random() : 0;
	a.port = (uint16_t)(1 + random() % 65535);
	return a;
}

/* What is formatted is what inet_ntop writes, and is read back. */
static void
test_round_trips(void **state)
{
	(void)state;
	for (int round = 0; round < 5000; round++) {
		struct addr a = random_addr();
		struct addr ip = a;
		struct addr back;
		char model[INET6_ADDRSTRLEN], expected[ADDR_TEXT_MAX];

		inet_ntop(a.family, a.ip, model, sizeof(model));
		snprintf(expected, sizeof(expected),
			 a.family == AF_INET6 ? "[%s]:%u" : "%s:%u", model, a.port);
		assert_string_equal(addr_format(&a).s, expected);
		assert_int_equal(addr_parse(expected, &back), 0);
		assert_true(addr_equal(&a, &back));

		ip.port = 0;
		assert_string_equal(addr_format(&ip).s, model);
		assert_int_equal(addr_parse_ip(model, &back), 0);
		assert_true(addr_equal(&ip, &back));
		assert_true(addr_same_ip(&a, &back));
		assert_false(addr_equal(&a, &back));
	}
}

static void
test_sockaddrs_round_trip(void **state)
{
	struct sockaddr local = {.sa_family = AF_UNIX};
	struct addr a;

	(void)state;
	for (int round = 0; round < 1000; round++) {
		struct sockaddr_storage ss;
		struct addr back;
		socklen_t len;

		a = random_addr();
		if (a.family == AF_INET6)
			a.scope = (uint32_t)random();
		len = addr_to_sockaddr(&a, &ss);
		assert_int_equal(len, a.family == AF_INET
					      ? sizeof(struct sockaddr_in)
					      : sizeof(struct sockaddr_in6));
		assert_int_equal(addr_from_sockaddr((struct sockaddr *)&ss, &back), 0);
		assert_true(addr_equal(&a, &back));
	}
	assert_int_equal(addr_from_sockaddr(&local, &a), -EAFNOSUPPORT);
}

static void
test_refuses_other_addresses(void **state)
{
	static const char *const bad[] = {
		"",
		"1.2.3.4",
		"1.2.3.4:",
		"1.2.3.4:0",
		"1.2.3.4:65536",
		"1.2.3.4:99999999999999999999",
		"1.2.3.4:80x",
		"1.2.3.4:-1",
		"1.2.3.4:+1",
		"1.2.3.4: 1",
		" 1.2.3.4:1",
		"1.2.3.4 :1",
		"1.2.3:80",
		"1.2.3.256:80",
		"0x1.2.3.4:80",
		"[1.2.3.4]:80",
		"::1:80",
		"[::1]",
		"[::1]80",
		"[::1:80",
		"::1]:80",
		"[]:80",
		"[[::1]]:80",
		"[fe80::1%lo]:80",
		"localhost:80",
		":80",
		"[2001:db8:2001:db8:2001:db8:2001:db8:2001:db8:2001:db8:2001:db8]:80",
	};
	struct addr before, a;

	(void)state;
	memset(&before, 0x5a, sizeof(before));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		a = before;
		assert_int_equal(addr_parse(bad[i], &a), -EINVAL);
		assert_memory_equal(&a, &before, sizeof(a));
	}
	assert_int_equal(addr_parse_ip("1.2.3.4:80", &a), -EINVAL);
	assert_int_equal(addr_parse_ip("[::1]", &a), -EINVAL);
	assert_int_equal(addr_parse_ip("", &a), -EINVAL);
	assert_memory_equal(&a, &before, sizeof(a));
}

static void
test_splits_host_and_port(void **state)
{
	static const struct {
		const char *text;
		const char *host; /* NULL: refused */
		uint16_t port;
	} cases[] = {
		{"example.net:443", "example.net", 443},
		{"1.2.3.4:1", "1.2.3.4", 1},
		{"[2001:db8::1]:65535", "2001:db8::1", 65535},
		{"a:007", "a", 7},
		{"fifteen-letters:1", "fifteen-letters", 1},
		{"sixteen-letters-:1", NULL, 0},
		{"[example.net]:443", NULL, 0},
		{"[example.net:443", NULL, 0},
		{"example.net]:443", NULL, 0},
		{"exa[m]ple:443", NULL, 0},
		{"[::[1]:443", NULL, 0},
		{"a:b:443", NULL, 0},
		{"[]:443", NULL, 0},
		{"[:443", NULL, 0},
		{"example.net", NULL, 0},
		{"example.net:http", NULL, 0},
		{":", NULL, 0},
		{"", NULL, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char host[16] = "before";
		uint16_t port = 77;
		int err = addr_split(cases[i].text, host, sizeof(host), &port);

		assert_int_equal(err, cases[i].host != NULL ? 0 : -EINVAL);
		assert_string_equal(host, err == 0 ? cases[i].host : "before");
		assert_int_equal(port, err == 0 ? cases[i].port : 77);
	}
}

/* Bit by bit, as the words say it. */
static bool
model_contains(const struct addr *base, unsigned bits, const struct addr *a)
{
	if (base->family != a->family)
		return false;
	for (unsigned i = 0; i < bits; i++) {
		if ((base->ip[i / 8] ^ a->ip[i / 8]) & (0x80 >> (i % 8)))
			return false;
	}
	return true;
}

static void
test_prefixes_agree_with_the_model(void **state)
{
	unsigned n_inside = 0;

	(void)state;
	for (int round = 0; round < 5000; round++) {
		struct addr base = random_addr(), a = random_addr();
		unsigned max = base.family == AF_INET ? 32 : 128;
		unsigned bits = (unsigned)random() % (max + 1);
		struct prefix p = {0};
		char text[ADDR_TEXT_MAX + 8];

		base.port = 0;
		for (unsigned i = bits; i < max; i++)
			base.ip[i / 8] &= (uint8_t) ~(0x80 >> (i % 8));
		snprintf(text, sizeof(text), "%s/%u", addr_format(&base).s, bits);
		assert_int_equal(prefix_parse(text, &p), 0);
		assert_int_equal(p.bits, bits);
		assert_true(addr_equal(&p.base, &base));

		/* Often near it: only one bit is another. */
		if (random() % 4) {
			unsigned flip = (unsigned)random() % max;

			a = base;
			a.ip[flip / 8] ^= (uint8_t)(0x80 >> (flip % 8));
		}
		assert_int_equal(prefix_contains(&p, &a),
				 model_contains(&base, bits, &a));
		n_inside += prefix_contains(&p, &a);
	}
	assert_in_range(n_inside, 500, 4500);
}

static void
test_refuses_other_prefixes(void **state)
{
	static const char *const bad[] = {
		"",
		"/8",
		"10.0.0.0/",
		"10.0.0.0/33",
		"10.0.0.0/-1",
		"10.0.0.0/8 ",
		"10.0.0.0/8/8",
		"10.0.0.1/8",
		"10/8",
		"::/129",
		"2001:db8::1/64",
		"0.0.0.1/0",
		"10.0.0.0:80",
		"[::]/0",
		"example.net",
		"10.0.0.0/0x8",
		"10.0.0.0/99999999999999999999",
		"2001:db8:2001:db8:2001:db8:2001:db8:2001:db8:2001:db8:2001:db8/128",
	};
	struct prefix before, p;

	(void)state;
	memset(&before, 0x5a, sizeof(before));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		p = before;
		assert_int_equal(prefix_parse(bad[i], &p), -EINVAL);
		assert_memory_equal(&p, &before, sizeof(p));
	}
	assert_int_equal(prefix_parse("192.0.2.1", &p), 0);
	assert_int_equal(p.bits, 32);
	assert_int_equal(prefix_parse("2001:db8::1", &p), 0);
	assert_int_equal(p.bits, 128);
}

static void
test_knows_special_addresses(void **state)
{
	static const struct {
		const char *text;
		bool loopback, wildcard;
	} cases[] = {
		{"127.0.0.1", true, false},    {"127.255.255.254", true, false},
		{"::1", true, false},          {"::ffff:127.0.0.1", true, false},
		{"128.0.0.1", false, false},   {"126.255.255.255", false, false},
		{"::2", false, false},         {"::ffff:128.0.0.1", false, false},
		{"7f00::", false, false},      {"0.0.0.0", false, true},
		{"::", false, true},           {"0.0.0.1", false, false},
		{"::127.0.0.1", false, false},
	};
	struct addr none = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct addr a = addrs_ip(cases[i].text, 0);

		assert_int_equal(addr_is_loopback(&a), cases[i].loopback);
		assert_int_equal(addr_is_wildcard(&a), cases[i].wildcard);
	}
	assert_false(addr_is_wildcard(&none));
	assert_false(addr_is_loopback(&none));
	assert_string_equal(addr_format(&none).s, "none");
}

static void
test_unmaps_only_mapped_addresses(void **state)
{
	struct addr a = addrs_ip("::ffff:192.0.2.1", 0), v4 = addrs_ip("192.0.2.1", 0);
	static const char *const others[] = {"192.0.2.1", "::192.0.2.1",
					     "64:ff9b::192.0.2.1", "::fffe:192.0.2.1",
					     "1::ffff:192.0.2.1"};

	(void)state;
	a.port = v4.port = 80;
	a.scope = 3;
	addr_unmap(&a);
	assert_true(addr_equal(&a, &v4));
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		struct addr before = addrs_ip(others[i], 0);

		a = before;
		addr_unmap(&a);
		assert_true(addr_equal(&a, &before));
	}
}

static void
test_scopes_tell_addresses_apart(void **state)
{
	struct addr a = addrs_ip("fe80::1", 0), b = a;

	(void)state;
	a.scope = 2;
	b.scope = 3;
	assert_false(addr_same_ip(&a, &b));
	assert_string_equal(addr_format(&a).s, "fe80::1%2");
	a.port = 80;
	assert_string_equal(addr_format(&a).s, "[fe80::1%2]:80");
	/* The longest there is fits, with room for its NUL. */
	memset(a.ip, 0xff, sizeof(a.ip));
	a.scope = UINT32_MAX;
	a.port = UINT16_MAX;
	assert_string_equal(addr_format(&a).s,
			    "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
			    "%4294967295]:65535");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trips),
		cmocka_unit_test(test_sockaddrs_round_trip),
		cmocka_unit_test(test_refuses_other_addresses),
		cmocka_unit_test(test_splits_host_and_port),
		cmocka_unit_test(test_prefixes_agree_with_the_model),
		cmocka_unit_test(test_refuses_other_prefixes),
		cmocka_unit_test(test_knows_special_addresses),
		cmocka_unit_test(test_unmaps_only_mapped_addresses),
		cmocka_unit_test(test_scopes_tell_addresses_apart),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
