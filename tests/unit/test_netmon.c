#include "tests/unit/unit.h"

#include "daemon/io/netmon.h"
#include "tests/unit/addrs.h"
#include "tests/unit/netlab.h"
#include "tests/unit/spin.h"

#include <stdio.h>
#include <string.h>

#define PATIENCE (5 * NS_PER_SEC)

struct fixture {
	struct loop *loop;
	struct netmon *m;
	unsigned changes;
};

static void
on_change(void *arg)
{
	struct fixture *f = arg;

	f->changes++;
}

static int
setup(void **state)
{
	static struct fixture f;
	struct errmsg why;

	f.loop = loop_new();
	assert_non_null(f.loop);
	netlab_enter(NETLAB_CLIENT);
	f.changes = 0;
	f.m = netmon_new(f.loop, on_change, &f, &why);
	if (f.m == NULL)
		fail_msg("%s", why.text);
	*state = &f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	netmon_free(f->m);
	loop_free(f->loop);
	return 0;
}

struct expected {
	struct fixture *f;
	const char *name;
	bool there, up, carrier;
	const char *addr; /* NULL: any or none */
	bool has_addr;
};

static bool
has_addr(const struct netmon_interface *ifc, const char *text)
{
	const struct addr a = addrs_ip(text, 0);

	for (size_t i = 0; i < ifc->n_addrs; i++) {
		if (addr_equal(&ifc->addrs[i], &a))
			return true;
	}
	return false;
}

static bool
as_expected(void *arg)
{
	const struct expected *e = arg;
	const struct netmon_interface *ifc = netmon_find(e->f->m, e->name);

	if (ifc == NULL || !e->there)
		return (ifc != NULL) == e->there;
	return ifc->up == e->up && ifc->carrier == e->carrier &&
	       (e->addr == NULL || has_addr(ifc, e->addr) == e->has_addr);
}

static void
expect(const struct expected *e)
{
	if (!spin_until(e->f->loop, as_expected, (void *)e, PATIENCE))
		fail_msg("%s: not there=%d up=%d carrier=%d %s=%d", e->name, e->there,
			 e->up, e->carrier, e->addr != NULL ? e->addr : "",
			 e->has_addr);
}

static void
test_life_of_an_interface(void **state)
{
	struct fixture *f = *state;
	struct addr a;

	expect(&(struct expected){f, "lo", true, true, true, "127.0.0.1", true});
	assert_true(netmon_find(f->m, "lo")->loopback);
	netlab_sh(NETLAB_CLIENT, "ip link add w0 type veth peer name w0p");
	expect(&(struct expected){f, "w0", true, false, false, NULL, false});
	netlab_sh(NETLAB_CLIENT, "ip addr add 192.0.2.7/24 dev w0; ip link set w0 up");
	expect(&(struct expected){f, "w0", true, true, false, "192.0.2.7", true});
	netlab_sh(NETLAB_CLIENT, "ip link set w0p up");
	expect(&(struct expected){f, "w0", true, true, true, "192.0.2.7", true});
	a = addrs_ip("192.0.2.7", 0);
	assert_true(netmon_is_own(f->m, &a));
	netlab_sh(NETLAB_CLIENT, "ip addr del 192.0.2.7/24 dev w0");
	expect(&(struct expected){f, "w0", true, true, true, "192.0.2.7", false});
	assert_false(netmon_is_own(f->m, &a));
	netlab_sh(NETLAB_CLIENT, "ip link set w0 down; ip link set w0 name w1");
	expect(&(struct expected){f, "w0", false, false, false, NULL, false});
	expect(&(struct expected){f, "w1", true, false, false, NULL, false});
	netlab_sh(NETLAB_CLIENT, "ip link del w1");
	expect(&(struct expected){f, "w1", false, false, false, NULL, false});
	expect(&(struct expected){f, "w0p", false, false, false, NULL, false});
	assert_true(f->changes > 0);
}

static void
test_tentative_and_deprecated(void **state)
{
	struct fixture *f = *state;
	struct addr a;

	netlab_sh(NETLAB_CLIENT, "ip link add d0 type veth peer name d0p;"
				 "ip link set d0p up; ip link set d0 up;"
				 "ip addr add 2001:db8::5/64 dev d0");
	expect(&(struct expected){f, "d0", true, true, true, "2001:db8::5", true});
	netlab_sh(NETLAB_CLIENT,
		  "ip addr change 2001:db8::5/64 dev d0 preferred_lft 0");
	expect(&(struct expected){f, "d0", true, true, true, "2001:db8::5", false});
	/* It is still an address of this machine. */
	a = addrs_ip("2001:db8::5", 0);
	assert_true(netmon_is_own(f->m, &a));
	netlab_sh(NETLAB_CLIENT, "ip link del d0");
	expect(&(struct expected){f, "d0", false, false, false, NULL, false});
	assert_false(netmon_is_own(f->m, &a));
}

/* One that starts late must see the same as one that watched it all happen. */
static void
check_same_as_fresh(struct fixture *f)
{
	struct errmsg why;
	struct netmon *fresh = netmon_new(f->loop, on_change, f, &why);

	assert_non_null(fresh);
	assert_int_equal(netmon_count(fresh), netmon_count(f->m));
	for (size_t i = 0; i < netmon_count(fresh); i++) {
		const struct netmon_interface *a = netmon_at(fresh, i);
		const struct netmon_interface *b = netmon_find(f->m, a->name);

		assert_non_null(b);
		assert_int_equal(a->index, b->index);
		assert_int_equal(a->up, b->up);
		assert_int_equal(a->carrier, b->carrier);
		assert_int_equal(a->n_addrs, b->n_addrs);
		for (size_t k = 0; k < a->n_addrs; k++)
			assert_true(addr_equal(&a->addrs[k], &b->addrs[k]));
	}
	netmon_free(fresh);
}

static bool
some_are_left_out(void *arg)
{
	struct fixture *f = arg;

	return netmon_left_out(f->m) == 45;
}

static bool
all_are_listed(void *arg)
{
	struct fixture *f = arg;

	return netmon_count(f->m) == 181 && netmon_left_out(f->m) == 0;
}

static bool
only_lo(void *arg)
{
	struct fixture *f = arg;

	return netmon_count(f->m) == 1 && netmon_left_out(f->m) == 0;
}

/* lo and 300 others: 256 are listed, 45 are counted. */
static void
test_hundreds(void **state)
{
	struct fixture *f = *state;

	netlab_sh(NETLAB_CLIENT,
		  "for i in $(seq 150); do echo link add m$i type veth peer name n$i;"
		  "echo link set m$i up; echo addr add 10.9.$i.1/24 dev m$i;"
		  "done | ip -batch -");
	assert_true(spin_until(f->loop, some_are_left_out, f, PATIENCE));
	assert_int_equal(netmon_count(f->m), NETMON_INTERFACES_MAX);
	netlab_sh(NETLAB_CLIENT, "for i in $(seq 60); do echo link del m$i;"
				 "done | ip -batch -");
	/* What was left out has its place now. */
	assert_true(spin_until(f->loop, all_are_listed, f, PATIENCE));
	check_same_as_fresh(f);
	netlab_sh(NETLAB_CLIENT, "for i in $(seq 61 150); do echo link del m$i;"
				 "done | ip -batch -");
	assert_true(spin_until(f->loop, only_lo, f, PATIENCE));
}

/* The loop stands still while far more happens than the socket can hold. */
static void
test_overrun(void **state)
{
	struct fixture *f = *state;

	netlab_sh(NETLAB_CLIENT,
		  "ip link add o0 type veth peer name o0p; ip link set o0p up;"
		  "for i in $(seq 6000); do echo link set o0 mtu $((1000 + i %% 400));"
		  "echo addr add 10.8.$((i %% 5)).1/24 dev o0;"
		  "echo addr del 10.8.$((i %% 5)).1/24 dev o0;"
		  "done | ip -batch -; ip link set o0 up; ip addr add 10.8.9.1/24 dev "
		  "o0");
	expect(&(struct expected){f, "o0", true, true, true, "10.8.9.1", true});
	spin_for(f->loop, 100 * NS_PER_MS);
	check_same_as_fresh(f);
	netlab_sh(NETLAB_CLIENT, "ip link del o0");
	expect(&(struct expected){f, "o0", false, false, false, NULL, false});
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_life_of_an_interface, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_tentative_and_deprecated, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_hundreds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_overrun, setup, teardown),
	};

	if (!netlab_init())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
