#include "tests/unit/unit.h"

#include "daemon/uplinks.h"
#include "tests/unit/netlab.h"
#include "tests/unit/spin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE (5 * NS_PER_SEC)
#define UNHEARD  "udp: no answer yet; mptcp: no answer yet"

struct fixture {
	struct loop *loop;
	struct config *config;
	struct netmon *netmon;
	struct uplinks *us;
	unsigned told[UPLINKS_MAX + 1]; /* on_change, by id */
	bool in_call;
};

static void
on_netmon(void *arg)
{
	struct fixture *f = arg;

	uplinks_refresh(f->us);
}

static void
on_change(void *arg, struct uplink *u)
{
	struct fixture *f = arg;

	assert_false(f->in_call);
	f->told[u->id]++;
}

static struct config *
sample_config(void)
{
	struct config *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	strcpy(c->uplinks_allow[0], "u*");
	strcpy(c->uplinks_allow[1], "lo");
	c->n_uplinks_allow = 2;
	strcpy(c->uplinks_deny[0], "ux*");
	c->n_uplinks_deny = 1;
	strcpy(c->uplinks[0].name, "lte");
	strcpy(c->uplinks[0].interface, "u0");
	c->uplinks[0].priority = PRIORITY_BACKUP;
	c->n_uplinks = 1;
	return c;
}

static int
setup(void **state)
{
	static struct fixture f;
	const struct uplinks_handler handler = {on_change, &f};
	struct errmsg why;

	memset(&f, 0, sizeof(f));
	f.loop = loop_new();
	assert_non_null(f.loop);
	f.netmon = netmon_new(f.loop, on_netmon, &f, &why);
	assert_non_null(f.netmon);
	f.config = sample_config();
	f.us = uplinks_new(f.loop, f.config, f.netmon, &handler, &why);
	assert_non_null(f.us);
	*state = &f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	uplinks_free(f->us);
	netmon_free(f->netmon);
	loop_free(f->loop);
	free(f->config);
	netlab_sh(NETLAB_CLIENT, "for i in $(ls /proc/sys/net/ipv4/conf | grep ^u);"
				 "do ip link del $i 2>/dev/null; done; true");
	return 0;
}

struct expected {
	struct uplink *u;
	enum uplink_state state;
	const char *reason;
};

static bool
is_there(void *arg)
{
	const struct expected *e = arg;

	return e->u->state == e->state &&
	       strcmp(uplink_reason(e->u, 0).s, e->reason) == 0;
}

static void
expect(struct fixture *f, struct uplink *u, enum uplink_state state, const char *reason)
{
	struct expected e = {u, state, reason};

	if (!spin_until(f->loop, is_there, &e, PATIENCE))
		fail_msg("%s is %s, \"%s\", not %s, \"%s\"", u->name,
			 uplink_state_name(u->state), uplink_reason(u, 0).s,
			 uplink_state_name(state), reason);
	spin_for(f->loop, 0); /* and what was deferred */
}

static void
heard(struct fixture *f, struct uplink *u, ns_t srtt)
{
	f->in_call = true;
	uplinks_heard(f->us, u, TRANSPORT_MPTCP,
		      &(struct hearing_answer){.at = loop_now(f->loop), .srtt = srtt});
	f->in_call = false;
}

static void
silent(struct fixture *f, struct uplink *u, const char *why)
{
	f->in_call = true;
	uplinks_silent(f->us, u, TRANSPORT_MPTCP, loop_now(f->loop), why);
	f->in_call = false;
}

static void
set_priority(struct fixture *f, struct uplink *u, enum config_priority p)
{
	f->in_call = true;
	uplinks_set_priority(f->us, u, p);
	f->in_call = false;
}

static void
test_life_of_an_uplink(void **state)
{
	struct fixture *f = *state;
	struct uplink *u = uplinks_find(f->us, "LTE");

	assert_non_null(u);
	assert_int_equal(u->id, 1);
	assert_int_equal(u->priority, PRIORITY_BACKUP);
	assert_ptr_equal(uplinks_find(f->us, "u0"), u);
	expect(f, u, UPLINK_ABSENT, "interface u0 does not exist");
	heard(f, u, NS_PER_MS);
	assert_int_equal(u->state, UPLINK_ABSENT);
	netlab_sh(NETLAB_CLIENT, "ip link add u0 type veth peer name p0");
	expect(f, u, UPLINK_DOWN, "interface u0 is down");
	netlab_sh(
		NETLAB_CLIENT,
		"echo 1 > /proc/sys/net/ipv6/conf/u0/disable_ipv6; ip link set u0 up");
	expect(f, u, UPLINK_DOWN, "no carrier on u0");
	netlab_sh(NETLAB_CLIENT, "ip link set p0 up");
	expect(f, u, UPLINK_NO_ADDRESS, "no address on u0");
	netlab_sh(NETLAB_CLIENT, "ip addr add 192.0.2.1/24 dev u0");
	expect(f, u, UPLINK_PROBING, UNHEARD);
	assert_true(u->ifindex > 0);
	assert_string_equal(addr_format(uplink_addr(u, AF_INET)).s, "192.0.2.1");
	assert_null(uplink_addr(u, AF_INET6));
	f->told[1] = 0;
	heard(f, u, 43 * NS_PER_MS);
	heard(f, u, 44 * NS_PER_MS);
	assert_true(uplink_is_heard(u, TRANSPORT_MPTCP));
	assert_false(uplink_is_heard(u, TRANSPORT_UDP));
	expect(f, u, UPLINK_ACTIVE, "udp: no answer yet; mptcp: answers, 44 ms");
	assert_int_equal(f->told[1], 1);
	assert_true(hearing_srtt(&u->hearing) == 44 * NS_PER_MS);
	silent(f, u, "not reached: No route to host");
	silent(f, u, "the connection ended");
	expect(f, u, UPLINK_DEAD, "udp: no answer yet; mptcp: the connection ended");
	assert_int_equal(f->told[1], 2);
	heard(f, u, NS_PER_MS);
	expect(f, u, UPLINK_ACTIVE, "udp: no answer yet; mptcp: answers, 1.00 ms");
	/* A new address from DHCP has to prove itself. */
	netlab_sh(NETLAB_CLIENT, "ip addr del 192.0.2.1/24 dev u0;"
				 "ip addr add 192.0.2.9/24 dev u0");
	expect(f, u, UPLINK_PROBING, UNHEARD);
	assert_string_equal(addr_format(uplink_addr(u, AF_INET)).s, "192.0.2.9");
	heard(f, u, NS_PER_MS);
	netlab_sh(NETLAB_CLIENT, "ip link set p0 down");
	expect(f, u, UPLINK_DOWN, "no carrier on u0");
	netlab_sh(NETLAB_CLIENT, "ip link del u0");
	expect(f, u, UPLINK_ABSENT, "interface u0 does not exist");
	assert_int_equal(u->ifindex, 0);
	assert_null(uplink_addr(u, AF_INET));
}

static void
test_priority(void **state)
{
	struct fixture *f = *state;
	struct uplink *u = uplinks_find(f->us, "lte");

	netlab_sh(NETLAB_CLIENT, "ip link add u0 type veth peer name p0;"
				 "ip link set p0 up; ip link set u0 up;"
				 "ip addr add 192.0.2.1/24 dev u0");
	expect(f, u, UPLINK_PROBING, UNHEARD);
	heard(f, u, NS_PER_MS);
	spin_for(f->loop, 20 * NS_PER_MS);
	f->told[1] = 0;
	set_priority(f, u, PRIORITY_BACKUP); /* as it is */
	spin_for(f->loop, 20 * NS_PER_MS);
	assert_int_equal(f->told[1], 0);
	set_priority(f, u, PRIORITY_ALWAYS);
	spin_for(f->loop, 20 * NS_PER_MS);
	assert_int_equal(f->told[1], 1);
	assert_true(uplink_is_heard(u, TRANSPORT_MPTCP));
	set_priority(f, u, PRIORITY_NEVER);
	expect(f, u, UPLINK_OFF, "priority is never");
	heard(f, u, NS_PER_MS);
	assert_int_equal(u->state, UPLINK_OFF);
	netlab_sh(NETLAB_CLIENT, "ip link set u0 down");
	spin_for(f->loop, 20 * NS_PER_MS);
	assert_int_equal(u->state, UPLINK_OFF);
	set_priority(f, u, PRIORITY_BACKUP);
	expect(f, u, UPLINK_DOWN, "interface u0 is down");
}

/* One of the two transports is enough; who may use it is told by each. */
static void
test_two_transports(void **state)
{
	struct fixture *f = *state;
	struct uplink *u = uplinks_find(f->us, "lte");
	const ns_t now = loop_now(f->loop);

	netlab_sh(NETLAB_CLIENT, "ip link add u0 type veth peer name p0;"
				 "ip link set p0 up; ip link set u0 up;"
				 "ip addr add 192.0.2.1/24 dev u0");
	expect(f, u, UPLINK_PROBING, UNHEARD);
	uplinks_heard(f->us, u, TRANSPORT_UDP, &(struct hearing_answer){.at = now});
	expect(f, u, UPLINK_ACTIVE, "udp: answers; mptcp: no answer yet");
	assert_false(uplink_is_heard(u, TRANSPORT_MPTCP));
	f->told[1] = 0;
	heard(f, u, NS_PER_MS); /* the same state, and news for mptcp */
	spin_for(f->loop, 0);
	assert_int_equal(f->told[1], 1);
	uplinks_doubted(f->us, u, TRANSPORT_UDP, loop_now(f->loop) + NS_PER_MS);
	spin_for(f->loop, 0);
	assert_int_equal(u->state, UPLINK_SUSPECT);
	assert_int_equal(f->told[1], 2);
	assert_true(uplink_is_heard(u, TRANSPORT_MPTCP)); /* it knows of nothing */
	uplinks_silent(f->us, u, TRANSPORT_UDP, 0, NULL);
	assert_int_equal(u->state, UPLINK_SUSPECT);
	silent(f, u, NULL);
	assert_int_equal(u->state, UPLINK_DEAD);
	spin_for(f->loop, 2 * NS_PER_MS);
	heard(f, u, NS_PER_MS);
	assert_int_equal(u->state, UPLINK_ACTIVE);
	/* Nothing of that counts for another address. */
	netlab_sh(NETLAB_CLIENT, "ip addr del 192.0.2.1/24 dev u0;"
				 "ip addr add 192.0.2.9/24 dev u0");
	expect(f, u, UPLINK_PROBING, UNHEARD);
	assert_false(uplink_is_heard(u, TRANSPORT_MPTCP));
}

static void
test_globs(void **state)
{
	struct fixture *f = *state;
	struct uplink *u;

	assert_int_equal(uplinks_count(f->us), 1); /* lo is none, whatever allows it */
	netlab_sh(NETLAB_CLIENT, "ip link add ux1 type veth peer name u7;"
				 "ip link add u0 type veth peer name v0");
	for (int i = 0; i < 500 && uplinks_find(f->us, "u7") == NULL; i++)
		spin_for(f->loop, NS_PER_MS);
	spin_for(f->loop, 20 * NS_PER_MS);
	u = uplinks_find(f->us, "u7");
	assert_non_null(u);
	assert_int_equal(u->id, 2);
	assert_string_equal(u->name, "u7");
	assert_null(uplinks_find(f->us, "ux1"));
	assert_int_equal(uplinks_count(f->us), 2); /* u0 is lte's */
	assert_ptr_equal(uplinks_by_id(f->us, 2), u);
	assert_null(uplinks_by_id(f->us, 0));
	assert_null(uplinks_by_id(f->us, 3));
	/* Plugged out and in again it is the same uplink. */
	netlab_sh(NETLAB_CLIENT, "ip link del u7");
	expect(f, u, UPLINK_ABSENT, "interface u7 does not exist");
	netlab_sh(NETLAB_CLIENT, "ip link add u7 type veth peer name v7");
	expect(f, u, UPLINK_DOWN, "interface u7 is down");
	assert_int_equal(uplinks_count(f->us), 2);
	netlab_sh(NETLAB_CLIENT, "for i in $(seq 20 45); do ip link add u$i type veth "
				 "peer name v$i; done");
	spin_for(f->loop, 50 * NS_PER_MS);
	assert_int_equal(uplinks_count(f->us), UPLINKS_MAX);
	assert_non_null(uplinks_by_id(f->us, UPLINKS_MAX));
}

static void
test_ipv6_choice(void **state)
{
	struct fixture *f = *state;
	struct uplink *u = uplinks_find(f->us, "lte");

	netlab_sh(NETLAB_CLIENT,
		  "ip link add u0 type veth peer name p0; ip link set p0 up;"
		  "ip link set u0 up");
	/* A link-local address reaches no server. */
	spin_for(f->loop, 100 * NS_PER_MS);
	expect(f, u, UPLINK_NO_ADDRESS, "no address on u0");
	netlab_sh(NETLAB_CLIENT, "ip addr add fd00::5/64 dev u0 nodad");
	expect(f, u, UPLINK_PROBING, UNHEARD);
	assert_string_equal(addr_format(uplink_addr(u, AF_INET6)).s, "fd00::5");
	netlab_sh(NETLAB_CLIENT, "ip addr add 2001:db8::5/64 dev u0 nodad");
	for (int i = 0; i < 500 && u->v6.ip[0] != 0x20; i++)
		spin_for(f->loop, NS_PER_MS);
	assert_string_equal(addr_format(uplink_addr(u, AF_INET6)).s, "2001:db8::5");
	heard(f, u, NS_PER_MS);
	/* An IPv4 address that comes later disturbs nothing. */
	netlab_sh(NETLAB_CLIENT, "ip addr add 192.0.2.1/24 dev u0");
	for (int i = 0; i < 500 && u->v4.family == 0; i++)
		spin_for(f->loop, NS_PER_MS);
	assert_int_equal(u->v4.family, AF_INET);
	assert_true(uplink_is_heard(u, TRANSPORT_MPTCP));
}

#define WITH_FIXTURE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(test_life_of_an_uplink), WITH_FIXTURE(test_priority),
		WITH_FIXTURE(test_two_transports),    WITH_FIXTURE(test_globs),
		WITH_FIXTURE(test_ipv6_choice),
	};

	if (!netlab_init())
		return 77;
	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
