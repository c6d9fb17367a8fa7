/*
 * Two path managers against the real kernel, one in each namespace:
 *
 *	c1 10.0.1.1 ---- 20 Mbit/s ---- s1
 *	                                    10.9.9.9, the server
 *	c2 10.0.2.1 ---- 20 Mbit/s ---- s2
 *
 * What the heartbeats would do is done here by a timer (beat) and by on_dead.
 */
#include "tests/unit/unit.h"

#include "daemon/io/tcp.h"
#include "daemon/subflows.h"
#include "tests/unit/netlab.h"
#include "tests/unit/spin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE (5 * NS_PER_SEC)
#define BEAT     (50 * NS_PER_MS)

struct fixture;

/* One end of the leg: it may send all the time, and counts what it gets. */
struct end {
	struct fixture *f;
	struct subflows *subflows;
	struct mptcp_pm *pm;
	struct leg_subflows leg;
	struct watch watch;
	int fd;
	bool sends;
	bool deaf; /* events are lost */
	uint64_t received;
	ns_t received_at, longest_gap;
	ns_t dead_at; /* the last verdict of this end */
	unsigned n_dead;
};

struct fixture {
	struct loop *loop;
	struct config *config;
	struct netmon *netmon;
	struct uplinks *uplinks;
	struct timer beat;
	struct end client, server;
	struct uplink *u1, *u2;
	bool mute[UPLINKS_MAX + 1]; /* by uplink id: the server is not heard */
	bool tells_lost;
	int listener;
};

/* The ends */

static void
on_ready(void *arg, int what)
{
	static char buf[65536];
	struct end *e = arg;
	ssize_t n;

	if (what & LOOP_READ) {
		n = read(e->fd, buf, sizeof(buf));
		if (n > 0) {
			ns_t now = loop_now(e->f->loop);

			if (e->received_at != 0 &&
			    now - e->received_at > e->longest_gap)
				e->longest_gap = now - e->received_at;
			e->received_at = now;
			e->received += (uint64_t)n;
		}
	}
	if (what & LOOP_WRITE) {
		n = write(e->fd, buf, sizeof(buf));
		subflows_sent(e->subflows, &e->leg);
	}
}

static void
set_sending(struct end *e, bool sends)
{
	watch_want(&e->watch, LOOP_READ | (sends ? LOOP_WRITE : 0));
}

static void
on_result(void *arg, const struct mptcp_pm_result *r)
{
	struct end *e = arg;

	subflows_on_result(e->subflows, r);
}

static void
on_event(void *arg, const struct mptcp_pm_event *ev)
{
	struct end *e = arg;

	if (!e->deaf)
		subflows_on_event(e->subflows, ev);
}

static void
on_dead(void *arg, struct leg_subflows *ls, const struct subflow *sf)
{
	struct end *e = arg;
	struct leg_subflows *other = &e->f->client.leg;

	assert_ptr_equal(ls, &e->leg);
	e->n_dead++;
	e->dead_at = loop_now(e->f->loop);
	if (e != &e->f->server || !e->f->tells_lost)
		return;
	for (size_t i = 0; i < other->n; i++) {
		struct addr local = other->sf[i].local;

		if (other->sf[i].state == SUBFLOW_UP &&
		    other->sf[i].local_id == sf->remote_id)
			subflows_peer_lost(e->f->client.subflows, other, &local);
	}
}

static void
start_end(struct fixture *f, struct end *e, enum netlab_side side, bool userspace)
{
	const struct mptcp_pm_handler pm_handler = {on_result, on_event, e};
	const struct subflows_handler handler = {on_dead, e};
	struct errmsg why;

	e->f = f;
	netlab_sh(side, "echo %d > /proc/sys/net/mptcp/pm_type", userspace);
	netlab_enter(side);
	if (userspace) {
		e->pm = mptcp_pm_new(f->loop, &pm_handler, &why);
		assert_non_null(e->pm);
	}
	netlab_enter(NETLAB_CLIENT);
	e->subflows = subflows_new(f->loop, side == NETLAB_CLIENT ? f->uplinks : NULL,
				   &handler);
	assert_non_null(e->subflows);
	subflows_set_pm(e->subflows, e->pm);
}

static void
attach(struct end *e, int fd, const struct uplink *u)
{
	e->fd = fd;
	assert_int_equal(subflows_add(e->subflows, &e->leg, fd, u), 0);
	assert_int_equal(watch_init(&e->watch, e->f->loop, fd, on_ready, e), 0);
	set_sending(e, false);
}

static void
stop_end(struct end *e)
{
	subflows_remove(e->subflows, &e->leg);
	subflows_remove(e->subflows, &e->leg);
	watch_done(&e->watch);
	tcp_reset(e->fd);
	subflows_free(e->subflows);
	mptcp_pm_free(e->pm);
}

/* The fixture */

static void
on_beat(void *arg)
{
	struct fixture *f = arg;

	for (size_t i = 0; i < uplinks_count(f->uplinks); i++) {
		struct uplink *u = uplinks_at(f->uplinks, i);

		if (!f->mute[u->id])
			uplinks_heard(f->uplinks, u, TRANSPORT_MPTCP,
				      &(struct hearing_answer){.at = loop_now(f->loop),
							       .srtt = NS_PER_MS});
	}
	timer_set(&f->beat, BEAT);
}

static void
on_netmon(void *arg)
{
	struct fixture *f = arg;

	uplinks_refresh(f->uplinks);
}

static void
on_uplink(void *arg, struct uplink *u)
{
	struct fixture *f = arg;

	subflows_uplink_changed(f->client.subflows, u);
}

static void
start_uplinks(struct fixture *f)
{
	const struct uplinks_handler handler = {on_uplink, f};
	struct errmsg why;

	f->config = calloc(1, sizeof(*f->config));
	assert_non_null(f->config);
	strcpy(f->config->uplinks_allow[0], "c[12]");
	f->config->n_uplinks_allow = 1;
	f->netmon = netmon_new(f->loop, on_netmon, f, &why);
	assert_non_null(f->netmon);
	f->uplinks = uplinks_new(f->loop, f->config, f->netmon, &handler, &why);
	assert_non_null(f->uplinks);
	f->u1 = uplinks_find(f->uplinks, "c1");
	f->u2 = uplinks_find(f->uplinks, "c2");
	assert_non_null(f->u1);
	assert_non_null(f->u2);
}

static struct fixture *
start(bool userspace)
{
	static struct fixture f;
	struct netlab_leg leg;

	memset(&f, 0, sizeof(f));
	f.loop = loop_new();
	assert_non_null(f.loop);
	start_uplinks(&f);
	start_end(&f, &f.client, NETLAB_CLIENT, userspace);
	start_end(&f, &f.server, NETLAB_SERVER, userspace);
	f.tells_lost = true;
	f.listener = netlab_listen();
	assert_int_equal(timer_init(&f.beat, f.loop, on_beat, &f), 0);
	timer_set(&f.beat, 0);
	leg = netlab_connect_to(f.loop, f.listener, "10.9.9.9:5000", "c1");
	attach(&f.server, leg.server, NULL);
	attach(&f.client, leg.client, f.u1);
	return &f;
}

static int
setup(void **state)
{
	*state = start(true);
	return 0;
}

static int
setup_in_kernel(void **state)
{
	*state = start(false);
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	stop_end(&f->client);
	stop_end(&f->server);
	timer_done(&f->beat);
	uplinks_free(f->uplinks);
	netmon_free(f->netmon);
	close(f->listener);
	loop_free(f->loop);
	free(f->config);
	netlab_sh(NETLAB_SERVER, "nft flush ruleset");
	return 0;
}

/* Waiting for subflows */

struct wanted {
	struct fixture *f;
	size_t client, server;
};

static size_t
count_up(const struct leg_subflows *ls)
{
	size_t n = 0;

	for (size_t i = 0; i < ls->n; i++)
		n += ls->sf[i].state == SUBFLOW_UP;
	return n;
}

static bool
are_there(void *arg)
{
	const struct wanted *w = arg;

	/* REMOVE_ADDR may be lost like any bare acknowledgement: then the server
	 * keeps its end until it has something to send there. */
	return count_up(&w->f->client.leg) == w->client &&
	       count_up(&w->f->server.leg) >= w->server;
}

static void
await_subflows(struct fixture *f, size_t client, size_t server)
{
	struct wanted w = {f, client, server};

	if (!spin_until(f->loop, are_there, &w, PATIENCE))
		fail_msg("client has %zu subflows, server %zu, not %zu and %zu",
			 count_up(&f->client.leg), count_up(&f->server.leg), client,
			 server);
}

static const struct subflow *
subflow_over(struct fixture *f, const struct uplink *u)
{
	for (size_t i = 0; i < f->client.leg.n; i++) {
		if (f->client.leg.sf[i].uplink == u->id)
			return &f->client.leg.sf[i];
	}
	return NULL;
}

/* Bytes that both ends of link `n` send in `span`. */
static uint64_t
traffic(struct fixture *f, int n, ns_t span)
{
	char c[8], s[8];
	uint64_t before;

	snprintf(c, sizeof(c), "c%d", n);
	snprintf(s, sizeof(s), "s%d", n);
	before = netlab_tx_bytes(NETLAB_CLIENT, c) + netlab_tx_bytes(NETLAB_SERVER, s);
	spin_for(f->loop, span);
	return netlab_tx_bytes(NETLAB_CLIENT, c) + netlab_tx_bytes(NETLAB_SERVER, s) -
	       before;
}

/* Until the link is in full use, in one direction or both. */
static void
await_traffic(struct fixture *f, int n)
{
	for (int i = 0; i < 25; i++) {
		if (traffic(f, n, 200 * NS_PER_MS) > 200000)
			return;
	}
	fail_msg("link %d is not used again", n);
}

/* What was on its way when B was set drains first; then nothing follows. */
static uint64_t
await_quiet(struct fixture *f, int n)
{
	uint64_t after = UINT64_MAX;

	for (int i = 0; i < 20 && after > 5000; i++) {
		if (traffic(f, n, 100 * NS_PER_MS) > 5000)
			continue;
		after = traffic(f, n, 200 * NS_PER_MS);
		print_message("quiet after %d ms, ", i * 100);
	}
	return after;
}

/* Tests */

static void
test_joins_every_uplink(void **state)
{
	struct fixture *f = *state;
	const struct subflow *sf;

	await_subflows(f, 2, 2);
	sf = subflow_over(f, f->u2);
	assert_int_equal(sf->local_id, 2);
	assert_string_equal(addr_format(&sf->remote).s, "10.9.9.9:5000");
	assert_int_equal(subflow_over(f, f->u1)->local_id, 0);
	assert_int_equal(f->server.leg.sf[1].remote_id, 2);
	assert_int_equal(subflows_counters(f->client.subflows)->joined, 1);
	set_sending(&f->client, true);
	assert_true(traffic(f, 1, 300 * NS_PER_MS) > 100000);
	assert_true(traffic(f, 2, 300 * NS_PER_MS) > 100000);
	assert_int_equal(f->client.n_dead, 0);
}

/* B on each of both in turn, traffic both ways, counted on the wire. */
static void
test_backup_in_both_directions(void **state)
{
	struct fixture *f = *state;

	await_subflows(f, 2, 2);
	set_sending(&f->client, true);
	set_sending(&f->server, true);
	spin_for(f->loop, 500 * NS_PER_MS);
	for (int i = 1; i <= 2; i++) {
		struct uplink *u = i == 1 ? f->u1 : f->u2;
		uint64_t before = traffic(f, i, 200 * NS_PER_MS), after;

		uplinks_set_priority(f->uplinks, u, PRIORITY_BACKUP);
		after = await_quiet(f, i);
		print_message("backup on link %d: %llu -> %llu bytes in 200 ms\n", i,
			      (unsigned long long)before, (unsigned long long)after);
		assert_true(before > 200000);
		assert_true(after < before / 20);
		await_traffic(f, 3 - i);
		uplinks_set_priority(f->uplinks, u, PRIORITY_ALWAYS);
		await_traffic(f, i);
	}
	assert_int_equal(subflows_counters(f->client.subflows)->priority_set, 4);
	/* A lost tail whose repetition is lost too looks like a death. */
	assert_true(f->client.n_dead + f->server.n_dead <= 1);
}

static bool
has_judged(void *arg)
{
	const struct end *e = arg;

	return e->n_dead > 0;
}

/*
 * Link 1 carries the first subflow, link 2 the join; `sender` has traffic. True:
 * the sending end found it. It cannot where nothing was in flight at that
 * moment; then the heartbeat does, which comes later.
 */
static bool
check_silent_death(struct fixture *f, struct end *sender, struct end *receiver,
		   int link)
{
	struct uplink *u = link == 1 ? f->u1 : f->u2;
	ns_t silent_at;
	bool found;

	set_sending(sender, true);
	await_traffic(f, link);
	await_subflows(f, 2, 2);
	receiver->longest_gap = 0;
	sender->n_dead = 0;
	netlab_silence(link);
	silent_at = loop_now(f->loop);
	f->mute[u->id] = true;
	found = spin_until(f->loop, has_judged, sender, NS_PER_SEC);
	if (found) {
		print_message("link %d: destroyed after %lld ms, ", link,
			      (long long)((sender->dead_at - silent_at) / NS_PER_MS));
		assert_true(sender->dead_at - silent_at <= 400 * NS_PER_MS);
	} else {
		uplinks_silent(f->uplinks, u, TRANSPORT_MPTCP, loop_now(f->loop),
			       "no answer for 1 s");
	}
	await_subflows(f, 1, 1);
	spin_for(f->loop, 500 * NS_PER_MS);
	print_message("longest stall %lld ms\n",
		      (long long)(receiver->longest_gap / NS_PER_MS));
	/* What was in flight waits for its turn on a link that is full itself. */
	assert_true(receiver->longest_gap <= NS_PER_SEC);
	/* Not joined again before the uplink is heard. */
	spin_for(f->loop, 1000 * NS_PER_MS);
	assert_int_equal(count_up(&f->client.leg), 1);
	assert_int_not_equal(subflow_over(f, u)->state, SUBFLOW_JOINING);
	netlab_unsilence(link);
	f->mute[u->id] = false;
	await_subflows(f, 2, 2);
	assert_int_equal(subflow_over(f, u)->local_id, link);
	await_traffic(f, link);
	set_sending(sender, false);
	spin_for(f->loop, 500 * NS_PER_MS);
	return found;
}

static void
test_silent_death_in_upload(void **state)
{
	struct fixture *f = *state;
	unsigned found = 0;

	await_subflows(f, 2, 2);
	for (int i = 0; i < 4; i++)
		found += check_silent_death(f, &f->client, &f->server, 2 - i % 2);
	assert_true(found >= 2);
	assert_true(subflows_counters(f->client.subflows)->found_dead >= found);
}

static void
test_silent_death_in_download(void **state)
{
	struct fixture *f = *state;
	unsigned found = 0;

	await_subflows(f, 2, 2);
	for (int i = 0; i < 4; i++)
		found += check_silent_death(f, &f->server, &f->client, 2 - i % 2);
	assert_true(found >= 2);
	assert_true(subflows_counters(f->server.subflows)->found_dead >= found);
	assert_true(subflows_counters(f->client.subflows)->peer_said_dead >= found);
}

static void
test_last_one_is_kept(void **state)
{
	struct fixture *f = *state;
	uint64_t before;

	await_subflows(f, 2, 2);
	set_sending(&f->client, true);
	spin_for(f->loop, 500 * NS_PER_MS);
	netlab_silence(1);
	netlab_silence(2);
	f->mute[1] = f->mute[2] = true;
	uplinks_silent(f->uplinks, f->u1, TRANSPORT_MPTCP, loop_now(f->loop), "silent");
	uplinks_silent(f->uplinks, f->u2, TRANSPORT_MPTCP, loop_now(f->loop), "silent");
	spin_for(f->loop, 1500 * NS_PER_MS);
	assert_true(count_up(&f->client.leg) >= 1);
	netlab_unsilence(1);
	netlab_unsilence(2);
	f->mute[1] = f->mute[2] = false;
	before = f->server.received;
	spin_for(f->loop, 3000 * NS_PER_MS);
	assert_true(f->server.received > before + 1000000);
	await_subflows(f, 2, 2);
}

/* The interface goes: all at once, by netmon, without anybody waiting. */
static void
test_uplink_goes_and_returns(void **state)
{
	struct fixture *f = *state;

	await_subflows(f, 2, 2);
	set_sending(&f->client, true);
	spin_for(f->loop, 300 * NS_PER_MS);
	netlab_sh(NETLAB_SERVER, "ip link set s1 down");
	await_subflows(f, 1, 1);
	netlab_sh(NETLAB_SERVER, "ip link set s1 up");
	await_subflows(f, 2, 2);
	/* Another address under the same id. */
	netlab_sh(NETLAB_CLIENT, "ip addr del 10.0.2.1/24 dev c2;"
				 "ip addr add 10.0.2.77/24 dev c2;"
				 "ip route add 10.9.9.9 via 10.0.2.2 dev c2 metric 2");
	await_subflows(f, 1, 1);
	await_subflows(f, 2, 2);
	assert_string_equal(addr_format(uplink_addr(f->u2, AF_INET)).s, "10.0.2.77");
	assert_true(addr_same_ip(&subflow_over(f, f->u2)->local, &f->u2->v4));
	uplinks_set_priority(f->uplinks, f->u2, PRIORITY_NEVER);
	await_subflows(f, 1, 1);
	uplinks_set_priority(f->uplinks, f->u2, PRIORITY_BACKUP);
	await_subflows(f, 2, 2);
	assert_true(subflow_over(f, f->u2)->backup);
	assert_true(traffic(f, 2, 200 * NS_PER_MS) < 10000);
	netlab_sh(NETLAB_CLIENT, "ip addr del 10.0.2.77/24 dev c2;"
				 "ip addr add 10.0.2.1/24 dev c2;"
				 "ip route add 10.9.9.9 via 10.0.2.2 dev c2 metric 2");
}

static bool
has_failed_thrice(void *arg)
{
	struct fixture *f = arg;
	const struct subflow *sf = subflow_over(f, f->u2);

	return sf != NULL && sf->failures == 3;
}

static void
test_backs_off(void **state)
{
	struct fixture *f = *state;
	const struct subflow *sf;
	ns_t began;

	await_subflows(f, 2, 2);
	/* Joins are refused from here on. */
	netlab_sh(NETLAB_SERVER, "printf 'table ip refuse {\\nchain in {\\n"
				 "type filter hook input priority 0\\n"
				 "iifname s2 tcp flags syn reject with tcp "
				 "reset\\n}\\n}\\n' | nft -f -");
	uplinks_set_priority(f->uplinks, f->u2, PRIORITY_NEVER);
	await_subflows(f, 1, 1);
	uplinks_set_priority(f->uplinks, f->u2, PRIORITY_ALWAYS);
	began = loop_now(f->loop);
	assert_true(spin_until(f->loop, has_failed_thrice, f, 2 * PATIENCE));
	/* The second 1 s after the first, the third 2 s after that. */
	assert_true(loop_now(f->loop) - began >= 3 * NS_PER_SEC);
	sf = subflow_over(f, f->u2);
	assert_int_equal(subflows_counters(f->client.subflows)->join_failed, 3);
	assert_true(sf->retry_at - loop_now(f->loop) > 2 * NS_PER_SEC);
	netlab_sh(NETLAB_SERVER, "nft delete table ip refuse");
	await_subflows(f, 2, 2);
}

static bool
all_are_active(void *arg)
{
	struct fixture *f = arg;
	size_t n = 0;

	for (size_t i = 0; i < uplinks_count(f->uplinks); i++)
		n += uplink_is_heard(uplinks_at(f->uplinks, i), TRANSPORT_MPTCP);
	return n == SUBFLOWS_MAX + 3;
}

/* With fewer places than uplinks, one that failed is not free at once. */
static void
test_backs_off_where_places_are_few(void **state)
{
	struct fixture *f = *state;
	uint64_t failed;

	await_subflows(f, 2, 2);
	netlab_sh(NETLAB_SERVER, "printf 'table ip refuse {\\nchain in {\\n"
				 "type filter hook input priority 0\\n"
				 "iifname != { s1, s2 } tcp flags syn reject with tcp "
				 "reset\\n}\\n}\\n' | nft -f -");
	strcpy(f->config->uplinks_allow[0], "c*");
	for (int n = 3; n <= SUBFLOWS_MAX + 3; n++) {
		netlab_add_link(n, 0);
		netlab_sh(NETLAB_CLIENT,
			  "ip route add 10.9.9.9 via 10.0.%d.2 dev c%d metric %d", n, n,
			  n);
	}
	assert_true(spin_until(f->loop, all_are_active, f, PATIENCE));
	spin_for(f->loop, 2500 * NS_PER_MS);
	failed = subflows_counters(f->client.subflows)->join_failed;
	print_message("%d joins failed\n", (int)failed);
	/* Six places: at 0, 1 and 2 s, the last one perhaps not yet. */
	assert_in_range(failed, SUBFLOWS_MAX - 2, 3 * (SUBFLOWS_MAX - 2));
	for (int n = 3; n <= SUBFLOWS_MAX + 3; n++)
		netlab_sh(NETLAB_CLIENT, "ip link del c%d", n);
}

static void
test_overrun(void **state)
{
	const struct mptcp_pm_event overrun = {.type = MPTCP_PM_EVENT_OVERRUN};
	struct fixture *f = *state;

	await_subflows(f, 2, 2);
	uplinks_set_priority(f->uplinks, f->u2, PRIORITY_NEVER);
	await_subflows(f, 1, 1);
	f->client.deaf = f->server.deaf = true;
	uplinks_set_priority(f->uplinks, f->u2, PRIORITY_ALWAYS);
	spin_for(f->loop, 2000 * NS_PER_MS);
	assert_int_equal(count_up(&f->client.leg), 1);
	assert_int_equal(count_up(&f->server.leg), 1);
	f->client.deaf = f->server.deaf = false;
	subflows_on_event(f->client.subflows, &overrun);
	subflows_on_event(f->server.subflows, &overrun);
	assert_int_equal(count_up(&f->client.leg), 2);
	assert_int_equal(count_up(&f->server.leg), 2);
	uplinks_set_priority(f->uplinks, f->u2, PRIORITY_NEVER);
	await_subflows(f, 1, 1);
}

static void
test_in_kernel_manager_is_watched(void **state)
{
	struct fixture *f = *state;

	set_sending(&f->client, true);
	spin_for(f->loop, 1000 * NS_PER_MS);
	assert_int_equal(count_up(&f->client.leg), 1);
	assert_int_equal(subflows_counters(f->client.subflows)->joined, 0);
	uplinks_set_priority(f->uplinks, f->u1, PRIORITY_NEVER);
	spin_for(f->loop, 300 * NS_PER_MS);
	assert_int_equal(count_up(&f->client.leg), 1);
	assert_int_equal(f->client.n_dead, 0);
}

#define WITH_FIXTURE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

static void
add_links(void)
{
	for (int n = 1; n <= 2; n++) {
		netlab_add_link(n, 20);
		netlab_sh(NETLAB_CLIENT,
			  "ip route add 10.9.9.9 via 10.0.%d.2 dev c%d metric %d", n, n,
			  n);
	}
	netlab_sh(NETLAB_SERVER, "ip addr add 10.9.9.9/32 dev lo");
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(test_joins_every_uplink),
		WITH_FIXTURE(test_backup_in_both_directions),
		WITH_FIXTURE(test_silent_death_in_upload),
		WITH_FIXTURE(test_silent_death_in_download),
		WITH_FIXTURE(test_last_one_is_kept),
		WITH_FIXTURE(test_uplink_goes_and_returns),
		WITH_FIXTURE(test_backs_off),
		WITH_FIXTURE(test_backs_off_where_places_are_few),
		WITH_FIXTURE(test_overrun),
		cmocka_unit_test_setup_teardown(test_in_kernel_manager_is_watched,
						setup_in_kernel, teardown),
	};

	if (!netlab_init())
		return 77;
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	add_links();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
