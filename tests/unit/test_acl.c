#include "tests/unit/unit.h"

#include "daemon/acl.h"
#include "tests/unit/addrs.h"

#include <string.h>

static const char *const globals[] = {
	"1.0.0.0",
	"1.1.1.1",
	"8.8.8.8",
	"9.255.255.255",
	"11.0.0.0",
	"100.63.255.255",
	"100.128.0.0",
	"126.255.255.255",
	"128.0.0.0",
	"169.253.255.255",
	"169.255.0.0",
	"172.15.255.255",
	"172.32.0.0",
	"191.255.255.255",
	"192.0.0.9",
	"192.0.0.10",
	"192.0.1.0",
	"192.0.3.0",
	"192.31.196.1",
	"192.52.193.1",
	"192.88.98.255",
	"192.88.100.0",
	"192.167.255.255",
	"192.169.0.0",
	"192.175.48.1",
	"198.17.255.255",
	"198.20.0.0",
	"198.51.99.255",
	"198.51.101.0",
	"203.0.112.255",
	"203.0.114.0",
	"223.255.255.255",
	"::ffff:1.1.1.1",
	"::FFFF:0808:0808",
	"0:0:0:0:0:ffff:8.8.8.8",
	"::ffff:192.0.0.9",
	"64:ff9b::1.1.1.1",
	"64:ff9b::808:808",
	"0064:ff9b:0:0:0:0:8.8.8.8",
	"2002:101:101::1",
	"2002:808:808::",
	"2002:0808:0808:1:2:3:4:5",
	"2000::",
	"2000::1",
	"2001:1::1",
	"2001:1::2",
	"2001:1::3",
	"2001:3::1",
	"2001:3:ffff::",
	"2001:4:112::1",
	"2001:200::",
	"2001:0200::1",
	"2001:4860:4860::8888",
	"2001:db7:ffff::",
	"2001:db9::",
	"2003::1",
	"2400:cb00::1",
	"2606:4700::1111",
	"2620:4f:8000::1",
	"2a00:1450:4001:81b::200e",
	"3ffe:ffff::1",
	"3fff:1000::",
	"3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	"2a00::0:5efe:8.8.8.8",
	"2a00::ffff:10.0.0.1",
};

static const char *const privates[] = {
	"10.0.0.0",
	"10.0.0.1",
	"10.255.255.255",
	"100.64.0.0",
	"100.64.0.1",
	"100.127.255.255",
	"172.16.0.0",
	"172.16.0.1",
	"172.31.255.255",
	"192.0.0.0",
	"192.0.0.8",
	"192.0.0.11",
	"192.0.0.170",
	"192.0.0.171",
	"192.0.0.255",
	"192.0.2.0",
	"192.0.2.1",
	"192.0.2.255",
	"192.88.99.0",
	"192.88.99.1",
	"192.88.99.255",
	"192.168.0.0",
	"192.168.1.1",
	"192.168.255.255",
	"198.18.0.0",
	"198.18.0.1",
	"198.19.255.255",
	"198.51.100.0",
	"198.51.100.7",
	"198.51.100.255",
	"203.0.113.0",
	"203.0.113.9",
	"203.0.113.255",
	"240.0.0.0",
	"240.0.0.1",
	"250.1.2.3",
	"255.255.255.254",
	"::ffff:10.0.0.1",
	"::ffff:a00:1",
	"::FFFF:10.0.0.1",
	"0:0:0:0:0:ffff:c0a8:0101",
	"::ffff:192.168.1.1",
	"::ffff:172.16.0.1",
	"::ffff:100.64.0.1",
	"::ffff:198.18.0.1",
	"::ffff:240.0.0.1",
	"64:ff9b::10.0.0.1",
	"64:ff9b::a00:1",
	"64:ff9b::192.168.1.1",
	"64:ff9b:0:0:0:0:c0a8:101",
	"64:ff9b::100.64.0.1",
	"64:ff9b::0:1:808:808",
	"64:ff9b:0:0:1:0:808:808",
	"64:ff9b:1::",
	"64:ff9b:1::8.8.8.8",
	"64:ff9b:1:808:8:800::",
	"64:ff9a::8.8.8.8",
	"64:ff9c::8.8.8.8",
	"2002:a00:1::1",
	"2002:a00:1::",
	"2002:c0a8:101::c0a8:101",
	"2002:ac10:1::1",
	"2002:6440:1::1",
	"2002:c058:6301::1",
	"2002:c000:201::1",
	"2002:f000:1::1",
	"2001::",
	"2001::1",
	"2001:0:4136:e378:8000:63bf:3fff:fdd2",
	"2001:0:808:808:0:0:f5ff:fffe",
	"2001:0:808:808:0:0:80ff:fffe",
	"2001:1::",
	"2001:1::4",
	"2001:2::1",
	"2001:2:0:ffff::",
	"2001:4:111::",
	"2001:4:113::",
	"2001:10::1",
	"2001:1f:ffff::",
	"2001:20::1",
	"2001:2f:ffff::",
	"2001:30::1",
	"2001:1ff:ffff::",
	"2001:db8::",
	"2001:db8::1",
	"2001:0DB8:0:0::1",
	"2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
	"3fff::",
	"3fff::1",
	"3fff:fff:ffff::",
	"100::",
	"100::1",
	"100:0:0:1::1",
	"200::1",
	"400::1",
	"1000::1",
	"1fff:ffff::",
	"4000::",
	"5f00::1",
	"5f00:ffff::",
	"8000::1",
	"c000::1",
	"e000::1",
	"f000::1",
	"fbff::1",
	"fc00::",
	"fc00::1",
	"fd00::1",
	"fd12:3456:789a::1",
	"fdff:ffff::",
	"fe00::1",
	"fe7f::1",
	"fec0::",
	"fec0::1",
	"feff::1",
	"::8.8.8.8",
	"::808:808",
	"::10.0.0.1",
	"::1.1.1.1",
	"::ffff:0:8.8.8.8",
	"::ffff:0:10.0.0.1",
	"::1:0:0",
	"::fffe:8.8.8.8",
	"::1:ffff:8.8.8.8",
};

static const char *const nevers[] = {
	"0.0.0.0",
	"0.0.0.1",
	"0.255.255.255",
	"127.0.0.0",
	"127.0.0.1",
	"127.1.2.3",
	"127.255.255.255",
	"169.254.0.0",
	"169.254.169.254",
	"169.254.255.255",
	"224.0.0.0",
	"224.0.0.1",
	"239.255.255.255",
	"255.255.255.255",
	"::",
	"::0",
	"::1",
	"0:0:0:0:0:0:0:1",
	"0:0::0.0.0.1",
	"::0.0.0.0",
	"::127.0.0.1",
	"::7f00:1",
	"::169.254.169.254",
	"::ffff:127.0.0.1",
	"::ffff:7f00:1",
	"::FFFF:127.0.0.1",
	"0:0:0:0:0:FFFF:7F00:0001",
	"::ffff:0.0.0.0",
	"::ffff:0:0",
	"::ffff:169.254.169.254",
	"::ffff:a9fe:a9fe",
	"::ffff:224.0.0.1",
	"::ffff:255.255.255.255",
	"::ffff:0:127.0.0.1",
	"64:ff9b::127.0.0.1",
	"64:ff9b::7f00:1",
	"64:ff9b::0.0.0.0",
	"64:ff9b::",
	"64:ff9b::169.254.169.254",
	"64:ff9b::a9fe:a9fe",
	"64:ff9b::e000:1",
	"2002:7f00:1::1",
	"2002:7f00:1::",
	"2002::",
	"2002::1",
	"2002:a9fe:a9fe::1",
	"2002:e000:1::1",
	"2002:ffff:ffff::1",
	"fe80::",
	"fe80::1",
	"FE80::1",
	"fe80:1::1",
	"febf:ffff::1",
	"fe80::ffff:8.8.8.8",
	"ff00::",
	"ff01::1",
	"ff02::1",
	"ff02::fb",
	"ff05::2",
	"ff0e::1",
	"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
};

static const char *const not_literals[] = {
	"0x7f.1",
	"127.1",
	"2130706433",
	"0177.0.0.1",
	"0x7f000001",
	"0x7f.0.0.1",
	"127.0.1",
	"127.0.0.01",
	"127.000.000.001",
	"017700000001",
	"127.0.0.1.",
	"1",
	"0",
	"00.0.0.0",
	"256.0.0.1",
	"1.2.3",
	"1.2.3.4.5",
	"1.2.3.4/32",
	" 1.2.3.4",
	"1.2.3.4 ",
	"-1.2.3.4",
	"+1.2.3.4",
	"1.2.3.0x4",
	"[::1]",
	"::1%lo",
	"fe80::1%1",
	"::1%25lo",
	":::1",
	"1::2::3",
	"::ffff:127.1",
	"::ffff:0x7f.0.0.1",
	"::g",
	"12345::",
	"1:2:3:4:5:6:7",
	"1:2:3:4:5:6:7:8:9",
	"::1/128",
	"1.2.3.4:80",
	"localhost",
	"::ffff:127.0.0.1.",
	"",
};

static void
add(struct prefix *list, size_t *n, const char *text)
{
	assert_int_equal(prefix_parse(text, &list[(*n)++]), 0);
}

static bool
never_own(void *arg, const struct addr *a)
{
	(void)arg;
	assert_int_equal(a->port, 0);
	return false;
}

static bool
is_the_one(void *arg, const struct addr *a)
{
	return addr_same_ip(arg, a);
}

static const struct acl_machine nobody = {.is_own = never_own};

/* NULL: permitted. */
static const char *
verdict(const struct config_peer *p, const char *text)
{
	const struct addr a = addrs_ip(text, 443);
	const char *why = NULL;
	bool ok = acl_permits(p, &nobody, &a, &why);

	assert_int_equal(ok, why == NULL);
	return why;
}

static void
open_everything(struct config_peer *p)
{
	add(p->allow_private, &p->n_allow_private, "0.0.0.0/0");
	add(p->allow_private, &p->n_allow_private, "::/0");
	add(p->allow, &p->n_allow, "0.0.0.0/0");
	add(p->allow, &p->n_allow, "::/0");
}

static void
test_global(void **state)
{
	const struct config_peer plain = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(globals); i++) {
		const struct addr a = addrs_ip(globals[i], 443);

		if (!addr_is_global(&a) || verdict(&plain, globals[i]) != NULL)
			fail_msg("%s is global", globals[i]);
	}
}

static void
test_private(void **state)
{
	const struct config_peer plain = {0};
	struct config_peer opened = {0};

	(void)state;
	open_everything(&opened);
	for (size_t i = 0; i < ARRAY_LEN(privates); i++) {
		const struct addr a = addrs_ip(privates[i], 443);

		if (addr_is_global(&a) || verdict(&plain, privates[i]) == NULL)
			fail_msg("%s is not global", privates[i]);
		if (verdict(&opened, privates[i]) != NULL)
			fail_msg("%s: %s", privates[i], verdict(&opened, privates[i]));
	}
}

static void
test_never(void **state)
{
	struct config_peer opened = {0};

	(void)state;
	open_everything(&opened);
	for (size_t i = 0; i < ARRAY_LEN(nevers); i++) {
		const struct addr a = addrs_ip(nevers[i], 443);

		if (addr_is_global(&a) || verdict(&opened, nevers[i]) == NULL)
			fail_msg("%s can be opened", nevers[i]);
	}
}

/* What inet_aton() and some resolvers take for an address is none here. */
static void
test_not_literals(void **state)
{
	struct addr a;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(not_literals); i++) {
		if (addr_parse_ip(not_literals[i], &a) == 0)
			fail_msg("\"%s\" was taken for an address", not_literals[i]);
	}
}

static void
test_deny_wins(void **state)
{
	struct config_peer p = {0};

	(void)state;
	open_everything(&p);
	add(p.deny, &p.n_deny, "198.20.0.0/16");
	add(p.deny, &p.n_deny, "2a00::/16");
	assert_string_equal(verdict(&p, "198.20.1.1"), "in the peer's deny list");
	assert_string_equal(verdict(&p, "::ffff:198.20.1.1"),
			    "in the peer's deny list");
	assert_string_equal(verdict(&p, "64:ff9b::198.20.1.1"),
			    "in the peer's deny list");
	assert_string_equal(verdict(&p, "2002:c614:101::1"), "in the peer's deny list");
	assert_string_equal(verdict(&p, "2a00::1"), "in the peer's deny list");
	assert_null(verdict(&p, "198.21.0.0"));
	assert_null(verdict(&p, "2a01::1"));
}

static void
test_allow_narrows(void **state)
{
	struct config_peer p = {0};

	(void)state;
	add(p.allow, &p.n_allow, "1.1.0.0/16");
	add(p.allow, &p.n_allow, "10.0.0.0/8");
	assert_null(verdict(&p, "1.1.1.1"));
	assert_null(verdict(&p, "::ffff:1.1.1.1"));
	assert_string_equal(verdict(&p, "1.2.0.0"), "not in the peer's allow list");
	assert_string_equal(verdict(&p, "2a00::1"), "not in the peer's allow list");
	/* allow alone never opens what is not global */
	assert_string_equal(verdict(&p, "10.0.0.1"), "not a global address");
	add(p.allow_private, &p.n_allow_private, "10.0.0.0/8");
	assert_null(verdict(&p, "10.0.0.1"));
}

static void
test_allow_private(void **state)
{
	struct config_peer p = {0};

	(void)state;
	add(p.allow_private, &p.n_allow_private, "10.1.0.0/16");
	add(p.allow_private, &p.n_allow_private, "fd00:1::/32");
	assert_null(verdict(&p, "10.1.2.3"));
	assert_null(verdict(&p, "::ffff:10.1.2.3"));
	assert_null(verdict(&p, "64:ff9b::10.1.2.3"));
	assert_null(verdict(&p, "fd00:1::5"));
	assert_null(verdict(&p, "1.1.1.1"));
	assert_string_equal(verdict(&p, "10.2.0.0"), "not a global address");
	assert_string_equal(verdict(&p, "::ffff:10.2.0.0"), "not a global address");
	assert_string_equal(verdict(&p, "fd00:2::5"), "not a global address");
	assert_string_equal(verdict(&p, "127.0.0.1"), "loopback address");
	assert_string_equal(verdict(&p, "fe80::1"), "link-local address");
}

static void
test_own_address(void **state)
{
	static const char *const spellings[] = {"1.2.3.4", "::ffff:1.2.3.4",
						"64:ff9b::1.2.3.4", "2002:102:304::1"};
	struct addr own = addrs_ip("1.2.3.4", 443);
	const struct acl_machine machine = {.is_own = is_the_one, .arg = &own};
	struct config_peer p = {0};
	const char *why;

	(void)state;
	open_everything(&p);
	for (size_t i = 0; i < ARRAY_LEN(spellings); i++) {
		const struct addr a = addrs_ip(spellings[i], 443);

		why = NULL;
		assert_false(acl_permits(&p, &machine, &a, &why));
		assert_string_equal(why, "an address of the server itself");
	}
	own = addrs_ip("2a00::1", 443);
	assert_false(acl_permits(&p, &machine, &own, &why));
	assert_null(verdict(&p, "1.2.3.5"));
}

static void
test_smtp(void **state)
{
	struct config_peer p = {0};
	struct addr a = addrs_ip("1.1.1.1", 443);
	const char *why = NULL;

	(void)state;
	a.port = 25;
	assert_false(acl_permits(&p, &nobody, &a, &why));
	assert_string_equal(why, "port 25 is not allowed");
	p.allow_smtp = true;
	assert_true(acl_permits(&p, &nobody, &a, &why));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_global),
		cmocka_unit_test(test_private),
		cmocka_unit_test(test_never),
		cmocka_unit_test(test_not_literals),
		cmocka_unit_test(test_deny_wins),
		cmocka_unit_test(test_allow_narrows),
		cmocka_unit_test(test_allow_private),
		cmocka_unit_test(test_own_address),
		cmocka_unit_test(test_smtp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
