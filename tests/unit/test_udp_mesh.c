/*
 * Which addresses of the server an uplink has ports to.
 */
#include "tests/unit/unit.h"

#include "daemon/core/session_parts.h"
#include "daemon/udp_mesh.h"
#include "tests/unit/addrs.h"

#include <stdio.h>
#include <string.h>

static struct uplink uplink;
static struct endpoints endpoints;
static struct session session;
static struct udp_mesh mesh;

static int
clear(void **state)
{
	(void)state;
	memset(&uplink, 0, sizeof(uplink));
	memset(&endpoints, 0, sizeof(endpoints));
	memset(&session, 0, sizeof(session));
	uplink.v4 = addrs_of("10.0.0.1:1");
	return 0;
}

static void
has_name(const char *text)
{
	endpoints.addrs[endpoints.n++] = addrs_of(text);
}

static void
tells(uint8_t id, struct addr a)
{
	session.addrs.at[id - 1].addr = (struct session_addr){id, a};
}

static void
mesh_is(const struct session *s, const char *const *want, size_t n)
{
	udp_mesh_of(&endpoints, s, &uplink, &mesh);
	assert_int_equal(mesh.n, n);
	for (size_t i = 0; i < n; i++)
		assert_string_equal(addr_format(&mesh.addrs[i]).s, want[i]);
}

static void
one_without_a_session(void **state)
{
	static const char *const want[] = {"192.0.2.1:4433"};

	(void)state;
	mesh_is(NULL, NULL, 0);
	has_name("[2001:db8::1]:4433");
	has_name("192.0.2.1:4433");
	has_name("192.0.2.2:4433");
	mesh_is(NULL, want, 1);
}

static void
what_is_told_comes_before_other_names(void **state)
{
	static const char *const want[] = {"192.0.2.1:4433", "192.0.2.9:443",
					   "192.0.2.2:4433"};
	static const char *const six[] = {"[2001:db8::1]:4433", "192.0.2.9:443",
					  "192.0.2.1:4433", "192.0.2.2:4433"};

	(void)state;
	has_name("[2001:db8::1]:4433");
	has_name("192.0.2.1:4433");
	has_name("192.0.2.2:4433");
	tells(3, addrs_of("192.0.2.9:443"));
	tells(4, addrs_of("192.0.2.2:4433"));
	/* What both say, once, and what this uplink has no address for, not at all. */
	tells(5, addrs_of("[2001:db8::9]:443"));
	session.addrs.at[3].addr.id = 0;
	mesh_is(&session, want, 3);
	session.addrs.at[4].addr.id = 0;
	uplink.v6 = addrs_of("[2001:db8::5]:1");
	mesh_is(&session, six, 4);
}

static void
four_and_no_more(void **state)
{
	static const char *const want[] = {"192.0.2.1:4433", "192.0.2.11:1",
					   "192.0.2.12:1", "192.0.2.13:1"};
	char text[32];

	(void)state;
	has_name("192.0.2.1:4433");
	for (uint8_t id = 1; id <= SESSION_ADDRS_MAX; id++) {
		snprintf(text, sizeof(text), "192.0.2.%d:1", 10 + id);
		tells(id, addrs_of(text));
	}
	mesh_is(&session, want, 4);
}

static void
no_port_is_the_one_in_use(void **state)
{
	static const char *const want[] = {"192.0.2.1:4433", "192.0.2.9:4433"};
	struct addr a = addrs_of("192.0.2.9:1");

	(void)state;
	has_name("192.0.2.1:4433");
	a.port = 0;
	tells(1, a);
	mesh_is(&session, want, 2);
}

/* It would make us send to many, or to ourselves. */
static void
what_is_nobodys_is_left_out(void **state)
{
	static const char *const bad[] = {"0.0.0.0:1",   "0.1.2.3:1",
					  "224.0.0.1:1", "255.255.255.255:1",
					  "[::]:1",      "[ff02::1]:1"};
	static const char *const want[] = {"192.0.2.1:4433"};

	(void)state;
	uplink.v6 = addrs_of("[2001:db8::5]:1");
	has_name("192.0.2.1:4433");
	for (uint8_t i = 0; i < ARRAY_LEN(bad); i++)
		tells(i + 1, addrs_of(bad[i]));
	mesh_is(&session, want, 1);
}

static void
there_is_room_for_every_uplinks_tcp(void **state)
{
	static struct udp_ports ports;
	static struct uplink uplinks[UPLINKS_MAX];
	unsigned n = 0;

	(void)state;
	for (size_t i = 0; i < UDP_PORTS_MAX; i++) {
		struct addr at = addrs_of("192.0.2.1:1");
		struct udp_port *p;

		at.ip[3] = (uint8_t)(i / UPLINKS_MAX);
		p = udp_ports_find(&ports, &uplinks[i % UPLINKS_MAX], &at, false);
		assert_non_null(p);
		if (!udp_mesh_may_open(p, NS_PER_SEC))
			continue;
		p->open = true;
		n++;
	}
	assert_int_equal(n, UDP_PORTS_MAX - UPLINKS_MAX);
	/* What could not be opened is not tried again at once. */
	ports.at[0].open = false;
	ports.at[0].tried_at = NS_PER_SEC;
	assert_false(udp_mesh_may_open(&ports.at[0], 2 * NS_PER_SEC));
	assert_true(udp_mesh_may_open(&ports.at[0], 60 * NS_PER_SEC));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(one_without_a_session, clear),
		cmocka_unit_test_setup(what_is_told_comes_before_other_names, clear),
		cmocka_unit_test_setup(four_and_no_more, clear),
		cmocka_unit_test_setup(no_port_is_the_one_in_use, clear),
		cmocka_unit_test_setup(what_is_nobodys_is_left_out, clear),
		cmocka_unit_test_setup(there_is_room_for_every_uplinks_tcp, clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
