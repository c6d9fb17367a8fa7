/*
 * Subflows that one side ends, and addresses of the server that come and go. The
 * world looks at every byte.
 */
#include "tests/unit/unit.h"

#include "daemon/core/join.h"
#include "daemon/core/session_packet.h"
#include "daemon/core/subflow.h"
#include "tests/sim/world.h"

#define MS  NS_PER_MS
#define SEC NS_PER_SEC
#define MB  UINT64_C(1000000)

static const struct world_options options = {.cc = CC_BBR,
					     .scheduler = SCHEDULER_EARLIEST};

/* 50 Mbit/s and 15 ms each. */
static struct world *
links(unsigned n)
{
	const struct sim_lane l = world_lane(50, 15);
	struct world *w = world_new(&options);

	while (n-- > 0)
		world_add_link(w, &l, &l);
	return w;
}

static enum subflow_state
state_at(struct world *w, enum sim_side side, uint8_t id)
{
	return session_subflow(world_session(w, side), id)->state;
}

static void
reset(struct world *w, enum sim_side side, uint8_t id, uint8_t why)
{
	session_reset_subflow(world_session(w, side), id, why, world_now(w));
}

/* How long until both sides have it in this state; NS_NEVER: not within `patience`. */
static ns_t
until(struct world *w, uint8_t id, enum subflow_state state, ns_t patience)
{
	for (ns_t t = 0; t < patience; t += 5 * MS) {
		if (state_at(w, SIM_CLIENT, id) == state &&
		    state_at(w, SIM_SERVER, id) == state)
			return t;
		world_run(w, 5 * MS);
	}
	return NS_NEVER;
}

/* What was in flight comes by the other one, at once, also where it was lost. */
static void
a_reset_moves_everything(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		enum sim_side side = (enum sim_side)(i % 2);
		struct world *w = links(2);
		struct transfer *t = world_transfer(w, 10 * MB, 20 * MB);

		world_during(w, t, 2 * SEC);
		t->gap = 0;
		world_set_silent(w, 0, i < 2, i < 2);
		reset(w, side, 1, SUBFLOW_END_PERFORMANCE);
		assert_true(until(w, 1, SUBFLOW_ENDED, 60 * MS) != NS_NEVER);
		world_during(w, t, 500 * MS);
		print_message("longest gap %.0f ms\n", (double)t->gap / 1e6);
		assert_true(t->gap <= 80 * MS);
		assert_true(world_finish(w, t, 10 * SEC));
		world_run(w, SEC);
		world_check_end(w);
		world_free(w);
	}
}

/* 1, 2, 4 ... 60 s; a minute of service, and it begins at 1 s again. */
static void
a_transient_reset_is_tried_again(void **state)
{
	static const ns_t pauses[] = {1, 2, 4, 8, 16, 32, 60, 60};
	struct world *w = links(2);

	(void)state;
	world_run(w, SEC);
	for (size_t i = 0; i <= ARRAY_LEN(pauses); i++) {
		ns_t want = pauses[i % ARRAY_LEN(pauses)] * SEC, took;

		if (i == ARRAY_LEN(pauses))
			world_run(w, 61 * SEC);
		reset(w, SIM_SERVER, 2, SUBFLOW_END_RESOURCES);
		took = until(w, 2, SUBFLOW_ENDED, SEC);
		took += until(w, 2, SUBFLOW_ACTIVE, 62 * SEC);
		assert_true(took >= want && took <= want + 150 * MS);
	}
	world_free(w);
}

static void
a_prohibited_one_stays_away(void **state)
{
	struct world *w = links(2);
	const struct addr local =
		session_subflow(world_session(w, SIM_CLIENT), 2)->local;
	struct transfer *t = world_transfer(w, 100, 5 * MB);
	uint64_t before;

	(void)state;
	world_during(w, t, 500 * MS);
	reset(w, SIM_SERVER, 2, SUBFLOW_END_PROHIBITED);
	assert_true(until(w, 2, SUBFLOW_ENDED, 100 * MS) != NS_NEVER);
	world_during(w, t, 2 * SEC);
	before = world_carried(w, 1, SIM_CLIENT);
	session_subflow_up(world_session(w, SIM_CLIENT), 2, &local, world_now(w));
	assert_int_equal(until(w, 2, SUBFLOW_ACTIVE, 120 * SEC), NS_NEVER);
	assert_int_equal(state_at(w, SIM_CLIENT, 2), SUBFLOW_ENDED);
	assert_int_equal(session_subflow(world_session(w, SIM_CLIENT), 2)->end.code,
			 SUBFLOW_END_PROHIBITED);
	assert_int_equal(world_carried(w, 1, SIM_CLIENT), before);
	assert_true(world_is_done(t));
	world_free(w);
}

/* It was the client's to end, and is the client's to have back: under its own id. */
static void
the_client_has_it_back(void **state)
{
	struct world *w = links(2);
	struct session *s = world_session(w, SIM_CLIENT);
	struct transfer *t = world_transfer(w, 100, 500 * MB);
	uint64_t before;

	(void)state;
	for (int i = 0; i < 5; i++) {
		const struct addr local = session_subflow(s, 2)->local;

		world_during(w, t, SEC);
		reset(w, SIM_CLIENT, 2, SUBFLOW_END_PROHIBITED);
		if (i > 0) { /* else at once, while the server speaks */
			world_during(w, t, (ns_t)i * SEC);
			assert_int_equal(state_at(w, SIM_CLIENT, 2), SUBFLOW_ENDED);
			assert_int_equal(state_at(w, SIM_SERVER, 2), SUBFLOW_ENDED);
		}
		session_subflow_up(s, 2, &local, world_now(w));
		world_during(w, t, 3 * SEC);
		assert_int_equal(state_at(w, SIM_CLIENT, 2), SUBFLOW_ACTIVE);
		assert_int_equal(state_at(w, SIM_SERVER, 2), SUBFLOW_ACTIVE);
		before = world_carried(w, 1, SIM_SERVER);
		world_during(w, t, SEC);
		assert_true(world_carried(w, 1, SIM_SERVER) - before > 5 * MB);
	}
	world_free(w);
}

/* Nothing is left to say it by but the subflow itself; it gets lost at first. */
static void
the_last_one_is_reset(void **state)
{
	(void)state;
	for (int lost = 0; lost < 2; lost++) {
		struct world *w = links(1);
		struct transfer *t = world_transfer(w, 5 * MB, 20 * MB);

		world_during(w, t, SEC);
		world_set_silent(w, 0, false, lost == 1);
		reset(w, SIM_SERVER, 1, SUBFLOW_END_OUTSTANDING);
		world_during(w, t, 100 * MS);
		world_set_silent(w, 0, false, false);
		assert_true(until(w, 1, SUBFLOW_ENDED, 2 * SEC) != NS_NEVER);
		assert_true(world_finish(w, t, 10 * SEC));
		world_run(w, SEC);
		world_check_end(w);
		world_free(w);
	}
}

/* A loss of every other packet: both sides come to agree all the same. */
static void
a_reset_gets_lost(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct world_options seeded = options;
		struct sim_lane l = world_lane(50, 15);
		struct world *w;

		seeded.seed = seed;
		l.loss_ppm = 500000;
		w = world_new(&seeded);
		for (int i = 0; i < 3; i++)
			world_add_link(w, &l, &l);
		if (until(w, 3, SUBFLOW_ACTIVE, 20 * SEC) == NS_NEVER)
			world_fail(w, "it does not begin");
		reset(w, SIM_SERVER, 3, SUBFLOW_END_PROHIBITED);
		if (until(w, 3, SUBFLOW_ENDED, 30 * SEC) == NS_NEVER)
			world_fail(w, "they do not agree");
		world_free(w);
	}
}

/* A packet of the server that opens, with a frame that there is not. */
static void
send_nonsense(struct world *w, uint8_t id)
{
	struct session *s = world_session(w, SIM_SERVER);
	struct subflow *sf = s->subflows[id];
	uint8_t buf[MTU_MAX];
	struct sim_dgram d = {.src = sf->local, .dst = sf->remote, .data = buf};
	struct outbound p;

	packet_begin(&p, buf, sizeof(buf));
	buf[p.len++] = 0x3f;
	d.len = packet_finish(s, sf, &p);
	d.to = SIM_CLIENT;
	assert_int_equal(net_send(world_net(w), &d, world_now(w)), 0);
}

static void
nonsense_ends_a_subflow_not_the_session(void **state)
{
	struct world *w = links(2);
	struct transfer *t = world_transfer(w, 100, 20 * MB);

	(void)state;
	world_during(w, t, SEC);
	send_nonsense(w, 2);
	assert_true(until(w, 2, SUBFLOW_ENDED, 100 * MS) != NS_NEVER);
	assert_int_equal(session_subflow(world_session(w, SIM_SERVER), 2)->end.code,
			 SUBFLOW_END_PROTOCOL);
	assert_true(world_finish(w, t, 10 * SEC));
	world_free(w);
}

/* Addresses of the server */

enum { SECOND = 7 }; /* an address's id */

static const struct addr second = {
	.ip = {192, 0, 2, 2}, .port = 4434, .family = AF_INET};

static void
advertise(struct world *w)
{
	assert_int_equal(net_listen(world_net(w), &second), 0);
	assert_int_equal(
		session_advertise(world_session(w, SIM_SERVER), SECOND, &second), 0);
}

/* How many addresses the client knows. */
static size_t
known(struct world *w)
{
	struct session_addr a[SESSION_ADDRS_MAX];
	size_t n = session_addrs(world_session(w, SIM_CLIENT), a);

	if (n > 0) {
		assert_int_equal(a[0].id, SECOND);
		assert_true(addr_equal(&a[0].at, &second));
	}
	return n;
}

static bool
is_echoed(struct world *w)
{
	return session_addrs_deadline(world_session(w, SIM_SERVER)) == NS_NEVER;
}

/* A second subflow, over the same link or another one, to the other address. */
static uint8_t
join_second(struct world *w, unsigned link)
{
	uint8_t id;

	advertise(w);
	world_run(w, 100 * MS);
	assert_int_equal(known(w), 1);
	id = world_join(w, link, &second);
	assert_true(until(w, id, SUBFLOW_ACTIVE, 200 * MS) != NS_NEVER);
	return id;
}

static void
an_address_is_told_and_used(void **state)
{
	struct world *w = links(2);
	struct transfer *t = world_transfer(w, 100, 20 * MB);
	const struct subflow *sf;
	uint8_t id;

	(void)state;
	world_during(w, t, SEC);
	id = join_second(w, 1);
	assert_true(is_echoed(w));
	sf = session_subflow(world_session(w, SIM_SERVER), id);
	assert_true(addr_equal(&sf->local, &second));
	/* Nothing but it is left. */
	world_set_silent(w, 0, true, true);
	reset(w, SIM_SERVER, 2, SUBFLOW_END_PROHIBITED);
	assert_true(world_finish(w, t, 20 * SEC));
	world_free(w);
}

/* The frame gets lost, or its echo: after a second, two and four it is said again. */
static void
it_is_told_until_it_is_echoed(void **state)
{
	(void)state;
	for (int echo = 0; echo < 2; echo++) {
		struct world *w = links(1);

		world_run(w, SEC);
		world_set_silent(w, 0, echo == 1, echo == 0);
		advertise(w);
		world_run(w, 6 * SEC);
		assert_int_equal(known(w), echo == 1);
		assert_false(is_echoed(w));
		world_set_silent(w, 0, false, false);
		world_run(w, 2 * SEC);
		assert_int_equal(known(w), 1);
		assert_true(is_echoed(w));
		world_free(w);
	}
}

/* A packet of the server that opens, with this frame. */
static void
send_frame(struct world *w, const struct frame *f)
{
	struct session *s = world_session(w, SIM_SERVER);
	struct subflow *sf = s->subflows[1];
	uint8_t buf[MTU_MAX];
	struct sim_dgram d = {.src = sf->local, .dst = sf->remote, .data = buf};
	struct outbound p;

	packet_begin(&p, buf, sizeof(buf));
	assert_true(packet_put(&p, f));
	d.len = packet_finish(s, sf, &p);
	d.to = SIM_CLIENT;
	assert_int_equal(net_send(world_net(w), &d, world_now(w)), 0);
	world_run(w, 100 * MS);
}

static uint64_t
refused(struct world *w)
{
	struct session_stats st;

	session_stats_get(world_session(w, SIM_CLIENT), &st);
	return st.addrs_refused;
}

static void
forged_ones_are_counted_no_more(void **state)
{
	struct world *w = links(1);
	struct session *s = world_session(w, SIM_SERVER);
	struct frame f = {.type = FRAME_ADD_ADDR};

	(void)state;
	f.addr.id = SECOND;
	f.addr.addr = second;
	world_run(w, SEC);
	/* With the client's key first, it would be an address of the client. */
	assert_int_equal(
		join_addr_hmac(s->key_a, s->key_b, SECOND, &second, f.addr.hmac), 0);
	send_frame(w, &f);
	assert_int_equal(refused(w), 1);
	assert_int_equal(
		join_addr_hmac(s->key_b, s->key_a, SECOND, &second, f.addr.hmac), 0);
	f.addr.addr.port++;
	send_frame(w, &f);
	assert_int_equal(refused(w), 2);
	assert_int_equal(known(w), 0);
	f.addr.addr.port--;
	send_frame(w, &f);
	assert_int_equal(known(w), 1);
	/* The same id, and another address. */
	f.addr.addr.port++;
	assert_int_equal(
		join_addr_hmac(s->key_b, s->key_a, SECOND, &f.addr.addr, f.addr.hmac),
		0);
	send_frame(w, &f);
	assert_int_equal(refused(w), 3);
	assert_int_equal(known(w), 1);
	world_free(w);
}

static void
addresses_have_a_limit(void **state)
{
	struct world *w = links(1);
	struct session *s = world_session(w, SIM_SERVER);
	struct session_addr a[SESSION_ADDRS_MAX];
	struct addr at = second;
	struct frame f = {.type = FRAME_ADD_ADDR};

	(void)state;
	for (uint8_t id = 1; id <= SESSION_ADDRS_MAX; id++) {
		at.port++;
		assert_int_equal(session_advertise(s, id, &at), 0);
	}
	assert_int_equal(session_advertise(s, 100, &second), -ENOSPC);
	assert_int_equal(session_advertise(s, 1, &second), -EEXIST);
	world_run(w, SEC);
	assert_int_equal(session_addrs(world_session(w, SIM_CLIENT), a),
			 SESSION_ADDRS_MAX);
	f.addr.id = 100;
	f.addr.addr = second;
	assert_int_equal(join_addr_hmac(s->key_b, s->key_a, 100, &second, f.addr.hmac),
			 0);
	send_frame(w, &f);
	assert_int_equal(refused(w), 1);
	assert_int_equal(session_addrs(world_session(w, SIM_CLIENT), a),
			 SESSION_ADDRS_MAX);
	/* One goes: there is room for another, but not under the same id. */
	session_withdraw(s, 1);
	world_run(w, SEC);
	assert_int_equal(session_advertise(s, 1, &second), -EEXIST);
	assert_int_equal(session_advertise(s, 100, &second), 0);
	world_free(w);
}

/* What is alive stays; it ends once it is silent. */
static void
what_is_taken_back_and_alive_stays(void **state)
{
	struct world *w = links(2);
	struct transfer *t = world_transfer(w, 100, 200 * MB);
	uint64_t before;
	uint8_t id;

	(void)state;
	world_during(w, t, SEC);
	id = join_second(w, 1);
	reset(w, SIM_SERVER, 2, SUBFLOW_END_PROHIBITED);
	session_withdraw(world_session(w, SIM_SERVER), SECOND);
	world_during(w, t, 2 * SEC);
	assert_int_equal(known(w), 0);
	before = world_carried(w, 1, SIM_SERVER);
	world_during(w, t, SEC);
	assert_true(world_carried(w, 1, SIM_SERVER) - before > 5 * MB);
	assert_int_equal(state_at(w, SIM_CLIENT, id), SUBFLOW_ACTIVE);
	world_set_silent(w, 1, true, true);
	assert_true(until(w, id, SUBFLOW_ENDED, 2 * SEC) != NS_NEVER);
	world_free(w);
}

/* Dead, or still joining: half a second to prove that it is not so. */
static void
what_is_taken_back_and_dead_ends(void **state)
{
	(void)state;
	for (int joining = 0; joining < 2; joining++) {
		struct world *w = links(2);
		uint8_t id;

		world_run(w, SEC);
		if (joining == 1) {
			advertise(w);
			world_set_silent(w, 1, true, false);
			world_run(w, 100 * MS);
			id = world_join(w, 1, &second);
			world_run(w, SEC);
			session_withdraw(world_session(w, SIM_SERVER), SECOND);
			world_run(w, 2 * SEC);
			assert_int_equal(state_at(w, SIM_CLIENT, id), SUBFLOW_ENDED);
			world_free(w);
			continue;
		}
		id = join_second(w, 1);
		world_set_silent(w, 1, true, true);
		world_run(w, 10 * SEC);
		assert_int_equal(state_at(w, SIM_CLIENT, id), SUBFLOW_DEAD);
		session_withdraw(world_session(w, SIM_SERVER), SECOND);
		assert_true(until(w, id, SUBFLOW_ENDED, 2 * SEC) != NS_NEVER);
		/* The other one of this link was not taken back. */
		assert_int_equal(state_at(w, SIM_CLIENT, 2), SUBFLOW_DEAD);
		world_free(w);
	}
}

/* Dead, and its way is there again: it is asked at once, and answers. */
static void
what_is_taken_back_and_dead_is_asked(void **state)
{
	struct world *w = links(2);
	const struct subflow *sf;
	uint8_t id;

	(void)state;
	world_run(w, SEC);
	id = join_second(w, 1);
	sf = session_subflow(world_session(w, SIM_CLIENT), id);
	world_set_silent(w, 1, true, true);
	world_run(w, 10 * SEC);
	assert_int_equal(sf->state, SUBFLOW_DEAD);
	while (sf->probe_at - world_now(w) < 800 * MS)
		world_run(w, 10 * MS);
	world_set_silent(w, 1, false, false);
	session_withdraw(world_session(w, SIM_SERVER), SECOND);
	assert_true(until(w, id, SUBFLOW_ACTIVE, 600 * MS) != NS_NEVER);
	world_free(w);
}

/* REMOVE_ADDR gets lost: it is said again; an ADD_ADDR that comes late is nothing. */
static void
it_is_taken_back_until_that_is_known(void **state)
{
	struct world *w = links(2);
	struct session *s = world_session(w, SIM_SERVER);
	struct frame f = {.type = FRAME_ADD_ADDR};

	(void)state;
	world_run(w, SEC);
	advertise(w);
	world_run(w, 100 * MS);
	world_set_silent(w, 0, false, true);
	world_set_silent(w, 1, false, true);
	session_withdraw(s, SECOND);
	world_run(w, 2 * SEC);
	assert_int_equal(known(w), 1);
	world_set_silent(w, 0, false, false);
	world_set_silent(w, 1, false, false);
	world_run(w, 2 * SEC);
	assert_int_equal(known(w), 0);
	f.addr.id = SECOND;
	f.addr.addr = second;
	assert_int_equal(
		join_addr_hmac(s->key_b, s->key_a, SECOND, &second, f.addr.hmac), 0);
	send_frame(w, &f);
	assert_int_equal(known(w), 0);
	world_free(w);
}

/* Two subflows that share one link carry what one would, at no greater delay. */
static void
two_over_one_link_are_no_worse(void **state)
{
	double rate[2];
	ns_t queue[2];

	(void)state;
	for (int both = 0; both < 2; both++) {
		struct world *w = links(1);
		struct transfer *t = world_transfer(w, 100, 500 * MB);
		uint64_t got;

		if (both == 1)
			join_second(w, 0);
		world_during(w, t, 5 * SEC);
		net_counters(world_net(w), 0, SIM_SERVER)->queue_max = 0;
		got = world_during(w, t, 20 * SEC);
		rate[both] = (double)got * 8 / 20e6;
		queue[both] = net_counters(world_net(w), 0, SIM_SERVER)->queue_max;
		print_message("%d: %.1f Mbit/s, queue %.0f ms\n", both + 1, rate[both],
			      (double)queue[both] / 1e6);
		world_free(w);
	}
	assert_true(rate[1] >= 0.97 * rate[0]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reset_moves_everything),
		cmocka_unit_test(a_transient_reset_is_tried_again),
		cmocka_unit_test(a_prohibited_one_stays_away),
		cmocka_unit_test(the_client_has_it_back),
		cmocka_unit_test(the_last_one_is_reset),
		cmocka_unit_test(a_reset_gets_lost),
		cmocka_unit_test(nonsense_ends_a_subflow_not_the_session),
		cmocka_unit_test(an_address_is_told_and_used),
		cmocka_unit_test(it_is_told_until_it_is_echoed),
		cmocka_unit_test(forged_ones_are_counted_no_more),
		cmocka_unit_test(addresses_have_a_limit),
		cmocka_unit_test(what_is_taken_back_and_alive_stays),
		cmocka_unit_test(what_is_taken_back_and_dead_ends),
		cmocka_unit_test(what_is_taken_back_and_dead_is_asked),
		cmocka_unit_test(it_is_taken_back_until_that_is_known),
		cmocka_unit_test(two_over_one_link_are_no_worse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
