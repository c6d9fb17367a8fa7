/*
 * The NAT, wrong addresses, attackers, and whole worlds of the simulator's network.
 */
#include "tests/unit/unit.h"

#include "tests/sim/probe.h"
#include "tests/unit/addrs.h"
#include "tests/unit/seed.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static unsigned seed;

static uint64_t
draw(uint64_t n)
{
	return ((uint64_t)rand_r(&seed) << 31 ^ (uint64_t)rand_r(&seed)) % n;
}

/* --- addresses ------------------------------------------------------------------- */

/* Sends from the client's `port`; returns what the server sees as its source. */
static struct addr
seen_source(struct sim_net *net, unsigned link, int family, uint16_t port)
{
	struct sim_dgram d = probe_up(link, family, NULL, 0), got;
	ns_t at;

	d.src.port = port;
	assert_int_equal(net_send(net, &d, 0), 0);
	assert_true(probe_next(net, &at, &got));
	assert_int_equal(got.to, SIM_SERVER);
	assert_int_equal(got.link, link);
	assert_true(addr_equal(&got.dst, &d.dst));
	assert_false(addr_same_ip(&got.src, &d.src));
	return got.src;
}

/* Whether the server's datagram to `public` comes to the client's `local`. */
static bool
answers(struct sim_net *net, const struct addr *public, const struct addr *local)
{
	struct sim_dgram d = probe_down(public, NULL, 0), got;
	ns_t at;

	assert_int_equal(net_send(net, &d, 0), 0);
	if (!probe_next(net, &at, &got))
		return false;
	assert_int_equal(got.to, SIM_CLIENT);
	assert_true(addr_equal(&got.src, &d.src));
	assert_true(addr_equal(&got.dst, local));
	return true;
}

static void
nat_maps_ports_both_ways(void **state)
{
	struct sim_net *net =
		probe_net(draw(UINT64_MAX), NET_LINKS_MAX, &probe_ideal, &probe_ideal);
	struct addr public[NET_LINKS_MAX][2][3];

	(void)state;
	assert_int_equal(net_add_link(net, &probe_ideal, &probe_ideal), -ENOSPC);
	for (int pass = 0; pass < 2; pass++) {
		for (unsigned i = 0; i < NET_LINKS_MAX * 6; i++) {
			struct addr *p = &public[i / 6][i / 3 % 2][i % 3];
			int family = i / 3 % 2 == 0 ? AF_INET : AF_INET6;
			uint16_t port = (uint16_t)(7000 + i % 3);
			struct addr local = probe_client(i / 6, family, port);
			struct addr seen = seen_source(net, i / 6, family, port);

			assert_true(pass == 0 || addr_equal(p, &seen));
			*p = seen;
			assert_true(answers(net, p, &local));
		}
	}
	/* The port of one family is not the other's. */
	public[3][0][1].port = public[3][1][1].port;
	assert_false(answers(net, &public[3][0][1], &public[3][0][1]));
	for (unsigned i = 0; i < NET_LINKS_MAX * 6; i++) {
		for (unsigned j = 0; j < i; j++)
			assert_false(addr_equal(&public[i / 6][i / 3 % 2][i % 3],
						&public[j / 6][j / 3 % 2][j % 3]));
	}
	net_free(net);
}

static void
rebinding_moves_the_client(void **state)
{
	struct sim_net *net =
		probe_net(draw(UINT64_MAX), 2, &probe_ideal, &probe_ideal);
	struct addr local = probe_client(1, AF_INET, 5000), before, after, moved;
	const struct addr bystander = seen_source(net, 0, AF_INET, 5000);

	(void)state;
	before = seen_source(net, 1, AF_INET, 5000);
	assert_true(answers(net, &before, &local));
	net_rebind(net, 1, false);
	assert_false(answers(net, &before, &local));
	after = seen_source(net, 1, AF_INET, 5000);
	assert_true(addr_same_ip(&before, &after));
	assert_int_not_equal(before.port, after.port);
	assert_false(answers(net, &before, &local));
	assert_true(answers(net, &after, &local));
	assert_int_equal(net_counters(net, 1, SIM_SERVER)->strays, 2);

	net_rebind(net, 1, true);
	moved = seen_source(net, 1, AF_INET, 5000);
	assert_false(addr_same_ip(&moved, &after));
	assert_false(answers(net, &after, &local));
	assert_true(answers(net, &moved, &local));
	assert_int_equal(net_unrouted(net), 1);

	local = probe_client(0, AF_INET, 5000);
	assert_true(answers(net, &bystander, &local));
	probe_adds_up(net, 1, SIM_SERVER);
	net_free(net);
}

/* On its way to the old address when the NAT forgets it. */
static void
rebinding_strands_what_is_on_its_way(void **state)
{
	const struct sim_lane lane = {.delay = 10};

	(void)state;
	for (int readdress = 0; readdress < 2; readdress++) {
		struct sim_net *net =
			probe_net(draw(UINT64_MAX), 1, &probe_ideal, &lane);
		struct addr public = seen_source(net, 0, AF_INET6, 5000);
		struct sim_dgram d = probe_down(&public, NULL, 0);

		assert_int_equal(net_send(net, &d, 0), 0);
		net_rebind(net, 0, readdress);
		seen_source(net, 0, AF_INET6, 5000);
		assert_false(probe_arrives(net));
		assert_int_equal(net_counters(net, 0, SIM_SERVER)->strays, 1);
		net_free(net);
	}
}

static void
wrong_addresses(void **state)
{
	static uint8_t large[NET_DGRAM_MAX + 1];
	struct sim_net *net =
		probe_net(draw(UINT64_MAX), 1, &probe_ideal, &probe_ideal);
	struct addr public = seen_source(net, 0, AF_INET, 5000);
	struct sim_dgram up = probe_up(0, AF_INET, large, 10), d;
	struct sim_dgram down = probe_down(&public, large, 10);
	const struct sim_counters before[] = {*net_counters(net, 0, SIM_CLIENT),
					      *net_counters(net, 0, SIM_SERVER)};

	(void)state;
	d = up;
	d.len = sizeof(large);
	assert_int_equal(net_send(net, &d, 0), -EMSGSIZE);
	assert_int_equal(net_inject(net, &d, 0), -EMSGSIZE);
	d = up;
	d.src = net_client_addr(1, AF_INET);
	d.src.port = 5000;
	assert_int_equal(net_send(net, &d, 0), -EADDRNOTAVAIL);
	d.src = public;
	assert_int_equal(net_send(net, &d, 0), -EADDRNOTAVAIL);
	d.src = net_client_addr(0, AF_INET);
	assert_int_equal(net_send(net, &d, 0), -EADDRNOTAVAIL);
	d = up;
	d.dst = probe_server(AF_INET6);
	assert_int_equal(net_send(net, &d, 0), -EADDRNOTAVAIL);
	d = down;
	d.src.port++;
	assert_int_equal(net_send(net, &d, 0), -EADDRNOTAVAIL);
	assert_memory_equal(net_counters(net, 0, SIM_CLIENT), &before[0],
			    sizeof(*before));
	assert_memory_equal(net_counters(net, 0, SIM_SERVER), &before[1],
			    sizeof(*before));
	assert_int_equal(net_deadline(net), NS_NEVER);

	/* Well sent, and nobody is there. */
	d = up;
	d.dst.port++;
	assert_int_equal(net_send(net, &d, 0), 0);
	assert_false(probe_arrives(net));
	assert_int_equal(net_counters(net, 0, SIM_CLIENT)->strays, 1);
	d = down;
	d.dst = addrs_of("203.0.113.5:99");
	assert_int_equal(net_send(net, &d, 0), 0);
	d.dst = addrs_of("198.18.1.1:20000");
	assert_int_equal(net_send(net, &d, 0), 0);
	assert_false(probe_arrives(net));
	assert_int_equal(net_unrouted(net), 2);
	d.dst = probe_server(AF_INET);
	for (int i = 2; i < NET_LISTEN_MAX; i++)
		assert_int_equal(net_listen(net, &d.dst), 0);
	assert_int_equal(net_listen(net, &d.dst), -ENOSPC);
	d = up;
	d.len = NET_DGRAM_MAX;
	assert_int_equal(net_send(net, &d, 0), 0);
	assert_true(probe_arrives(net));
	net_free(net);
}

/* --- attackers ------------------------------------------------------------------- */

/* The last copies are there, youngest first, whatever became of the datagrams. */
static void
tap_keeps_the_last(void **state)
{
	const struct sim_lane lane = {.loss_ppm = 500000, .corrupt_ppm = 500000};
	struct sim_net *net = probe_net(draw(UINT64_MAX), 2, &lane, &lane);
	struct addr public;
	struct sim_dgram got;
	unsigned n = 0;

	(void)state;
	net_tap(net, 1, SIM_CLIENT, true);
	assert_false(net_tapped(net, 1, SIM_CLIENT, 0, &got));
	for (; n < 3 * NET_TAP_MAX; n++) {
		struct sim_dgram d = probe_up(1, AF_INET, &n, sizeof(n));

		assert_int_equal(net_send(net, &d, 0), 0);
		for (unsigned age = 0; age <= NET_TAP_MAX; age++) {
			bool is_kept = age < NET_TAP_MAX && age <= n;
			unsigned number;

			assert_int_equal(net_tapped(net, 1, SIM_CLIENT, age, &got),
					 is_kept);
			if (!is_kept)
				continue;
			memcpy(&number, got.data, sizeof(number));
			assert_int_equal(number, n - age);
			assert_true(addr_equal(&got.dst, &d.dst));
		}
	}
	while (probe_arrives(net))
		;
	public = got.src;
	net_tap(net, 1, SIM_CLIENT, false);
	assert_false(net_tapped(net, 1, SIM_CLIENT, 0, &got));
	assert_false(net_tapped(net, 0, SIM_CLIENT, 0, &got));
	assert_false(addr_same_ip(&public, &(struct addr){.family = AF_INET}));
	assert_int_equal(net_client_addr(1, AF_INET).ip[2], public.ip[2]);
	net_free(net);
}

/* A copy overtakes its datagram; it needs no lane. */
static void
replays_and_forgeries_arrive(void **state)
{
	const struct sim_lane lane = {.rate = 1000, .delay = NS_PER_SEC};
	struct sim_net *net = probe_net(draw(UINT64_MAX), 1, &lane, &lane);
	uint8_t data[] = "once";
	struct sim_dgram d = probe_up(0, AF_INET, data, sizeof(data)), copy, got;
	struct addr public;

	(void)state;
	net_tap(net, 0, SIM_CLIENT, true);
	assert_int_equal(net_send(net, &d, 0), 0);
	assert_true(net_tapped(net, 0, SIM_CLIENT, 0, &copy));
	assert_int_equal(net_inject(net, &copy, 5), 0);
	net_lane(net, 0, SIM_CLIENT)->silent = true;
	assert_int_equal(net_deadline(net), 5);
	assert_true(net_receive(net, 5, &got));
	assert_memory_equal(got.data, "once", got.len);
	assert_true(addr_equal(&got.src, &copy.src));
	public = got.src;
	assert_false(probe_arrives(net));

	/* To the client, as if from the server. */
	d = probe_down(&public, data, sizeof(data));
	d.src = addrs_of("203.0.113.5:99");
	assert_int_equal(net_inject(net, &d, 7), 0);
	assert_true(net_receive(net, 7, &got));
	assert_true(addr_equal(&got.src, &d.src));
	d.dst = probe_client(0, AF_INET, 5000);
	assert_true(addr_equal(&got.dst, &d.dst));
	/* From outside nobody reaches the client's own address. */
	assert_int_equal(net_inject(net, &d, 8), 0);
	assert_false(probe_arrives(net));
	probe_adds_up(net, 0, SIM_CLIENT);
	probe_adds_up(net, 0, SIM_SERVER);
	net_free(net);
}

/* --- worlds ---------------------------------------------------------------------- */

/* What happens: FNV-1a over when, where and what. */
static uint64_t
hash_arrivals(struct sim_net *net, ns_t until, uint64_t hash, unsigned link)
{
	struct sim_dgram d;
	ns_t at;

	while ((at = net_deadline(net)) <= until && at != NS_NEVER) {
		if (!net_receive(net, at, &d) || d.link != link)
			continue;
		hash = (hash ^ (uint64_t)at) * UINT64_C(1099511628211);
		for (size_t i = 0; i < d.len; i++)
			hash = (hash ^ d.data[i]) * UINT64_C(1099511628211);
	}
	return hash;
}

/* What arrives over link 0; link 1 has `n_beside` datagrams for each of link 0. */
static uint64_t
eventful_world(uint64_t net_seed, unsigned n_beside)
{
	const struct sim_lane lane = {.rate = 20000000,
				      .queue = 20 * NS_PER_MS,
				      .delay = 20 * NS_PER_MS,
				      .jitter = 5 * NS_PER_MS,
				      .loss_ppm = 50000,
				      .burst = 3,
				      .dup_ppm = 50000,
				      .corrupt_ppm = 50000,
				      .reorder_ppm = 50000,
				      .reorder_delay = 7 * NS_PER_MS};
	const struct addr server = probe_server(AF_INET);
	struct sim_net *net = net_new(net_seed);
	uint64_t hash = UINT64_C(14695981039346656037);
	uint8_t data[1000] = {0};

	assert_non_null(net);
	assert_int_equal(net_listen(net, &server), 0);
	assert_int_equal(net_add_link(net, &lane, &lane), 0);
	assert_int_equal(net_add_link(net, &lane, &lane), 1);
	for (unsigned i = 0; i < 5000; i++) {
		ns_t now = i * NS_PER_MS / 3;

		hash = hash_arrivals(net, now, hash, 0);
		for (unsigned n = 0; n <= n_beside; n++) {
			struct sim_dgram d =
				probe_up(n > 0, AF_INET, data, 900 + i % 100);

			data[0] = (uint8_t)i;
			assert_int_equal(net_send(net, &d, now), 0);
		}
	}
	hash = hash_arrivals(net, NS_NEVER, hash, 0);
	probe_adds_up(net, 0, SIM_CLIENT);
	probe_adds_up(net, 1, SIM_CLIENT);
	net_free(net);
	return hash;
}

/* Which of 64 datagrams the lane of a link loses, half of them. */
static uint64_t
losses(struct sim_net *net, unsigned link, enum sim_side from,
       const struct addr *public)
{
	const struct sim_counters *c = net_counters(net, link, from);
	struct sim_dgram d = from == SIM_CLIENT ? probe_up(link, AF_INET, NULL, 0)
						: probe_down(public, NULL, 0);
	uint64_t lost = 0;

	net_lane(net, link, from)->loss_ppm = 500000;
	for (int i = 0; i < 64; i++) {
		uint64_t before = c->lost;

		assert_int_equal(net_send(net, &d, 0), 0);
		lost = lost << 1 | (c->lost - before);
	}
	return lost;
}

static void
every_lane_has_its_own_chances(void **state)
{
	struct sim_net *net =
		probe_net(draw(UINT64_MAX), 3, &probe_ideal, &probe_ideal);
	uint64_t lost[6];

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(lost); i++) {
		struct addr public = seen_source(net, i / 2, AF_INET, PROBE_PORT);

		net_lane(net, i / 2, SIM_CLIENT)->loss_ppm = 0;
		lost[i] = losses(net, i / 2, i % 2 ? SIM_CLIENT : SIM_SERVER, &public);
		while (probe_arrives(net))
			;
		for (unsigned j = 0; j < i; j++)
			assert_true(lost[i] != lost[j]);
	}
	net_free(net);
}

static void
same_seed_same_world(void **state)
{
	uint64_t a = draw(UINT64_MAX), hash = eventful_world(a, 0);

	(void)state;
	assert_true(eventful_world(a, 0) == hash);
	assert_true(eventful_world(a, 2) == hash);
	assert_false(eventful_world(a + 1, 0) == hash);
}

/* What was received stays as it is, whatever is sent meanwhile. */
static void
received_data_stays(void **state)
{
	struct sim_net *net =
		probe_net(draw(UINT64_MAX), 1, &probe_ideal, &probe_ideal);
	uint8_t data[3][100];
	struct sim_dgram got;

	(void)state;
	for (uint8_t i = 0; i < 3; i++) {
		struct sim_dgram d = probe_up(0, AF_INET, data[i], sizeof(data[i]));

		memset(data[i], i, sizeof(data[i]));
		assert_int_equal(net_send(net, &d, 0), 0);
		if (i == 0)
			assert_true(net_receive(net, 0, &got));
		/* The sender's own bytes are not the net's. */
		memset(data[i], 0xff, sizeof(data[i]));
	}
	for (uint8_t i = 0; i < 3; i++) {
		for (size_t at = 0; at < got.len; at++)
			assert_int_equal(got.data[at], i);
		memset(got.data, 0xee, got.len);
		assert_int_equal(net_receive(net, 0, &got), i < 2);
	}
	net_free(net);
}

/* What is due at one time comes as it was sent. */
static void
equals_keep_their_turn(void **state)
{
	struct sim_net *net =
		probe_net(draw(UINT64_MAX), 2, &probe_ideal, &probe_ideal);
	struct sim_dgram got;
	unsigned number;

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		struct sim_dgram d = probe_up(i % 2, AF_INET, &i, sizeof(i));

		assert_int_equal(net_send(net, &d, 0), 0);
	}
	for (unsigned i = 0; i < 1000; i++) {
		assert_true(net_receive(net, 0, &got));
		memcpy(&number, got.data, sizeof(number));
		assert_int_equal(number, i);
	}
	net_free(net);
}

/* In order, however many are on their way; what is left over is freed with the net. */
static void
many_arrive_in_order(void **state)
{
	const struct sim_lane lane = {.delay = NS_PER_SEC, .jitter = NS_PER_SEC};
	struct sim_net *net = probe_net(draw(UINT64_MAX), 3, &lane, &probe_ideal);
	struct sim_dgram got;
	ns_t at, last_at = 0;

	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		struct sim_dgram d = probe_up(i % 3, AF_INET, &i, sizeof(i));

		assert_int_equal(net_send(net, &d, 0), 0);
	}
	for (unsigned i = 0; i < 90000; i++) {
		assert_true(probe_next(net, &at, &got));
		assert_true(at >= last_at);
		last_at = at;
	}
	net_free(net);
}

/* Full: back-pressure, nothing sent, and room again when one has landed. */
static void
too_many_are_refused(void **state)
{
	const struct sim_lane lane = {.delay = NS_PER_SEC};
	struct sim_net *net = probe_net(draw(UINT64_MAX), 1, &lane, &probe_ideal);
	struct sim_dgram d = probe_up(0, AF_INET, NULL, 0), got;
	uint64_t n = 0;

	(void)state;
	while (net_send(net, &d, (ns_t)n) == 0)
		n++;
	assert_true(n >= 100000);
	assert_int_equal(net_send(net, &d, 0), -ENOBUFS);
	assert_int_equal(net_inject(net, &d, 0), -ENOBUFS);
	assert_int_equal(net_counters(net, 0, SIM_CLIENT)->sent, n);
	assert_int_equal(net_counters(net, 0, SIM_CLIENT)->injected, 0);
	assert_true(net_receive(net, NS_PER_SEC, &got));
	assert_false(net_receive(net, NS_PER_SEC, &got));
	assert_int_equal(net_send(net, &d, NS_PER_SEC), 0);
	net_free(net);
}

/* A thousand worlds of ten seconds must be over in minutes. */
static void
is_fast_enough(void **state)
{
	enum { LINKS = 4, ROUNDS = 500000, LEAST_PER_SECOND = 200000 };
	const struct sim_lane lane = {.rate = 100000000,
				      .queue = 50 * NS_PER_MS,
				      .delay = 30 * NS_PER_MS,
				      .jitter = NS_PER_MS,
				      .loss_ppm = 5000,
				      .burst = 3};
	struct sim_net *net = probe_net(draw(UINT64_MAX), LINKS, &lane, &lane);
	uint8_t data[1400] = {0};
	struct sim_dgram got;
	clock_t began = clock();
	double rate;

	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct sim_dgram d = probe_up(i % LINKS, AF_INET, data, sizeof(data));
		ns_t now = (ns_t)i * 30 * NS_PER_US;

		assert_int_equal(net_send(net, &d, now), 0);
		while (net_receive(net, now, &got))
			;
	}
	rate = ROUNDS / ((double)(clock() - began) / CLOCKS_PER_SEC);
	print_message("%.2f million datagrams of %zu bytes a second\n", rate / 1e6,
		      sizeof(data));
	assert_true(rate > LEAST_PER_SECOND);
	net_free(net);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nat_maps_ports_both_ways),
		cmocka_unit_test(rebinding_moves_the_client),
		cmocka_unit_test(rebinding_strands_what_is_on_its_way),
		cmocka_unit_test(wrong_addresses),
		cmocka_unit_test(tap_keeps_the_last),
		cmocka_unit_test(replays_and_forgeries_arrive),
		cmocka_unit_test(same_seed_same_world),
		cmocka_unit_test(every_lane_has_its_own_chances),
		cmocka_unit_test(received_data_stays),
		cmocka_unit_test(equals_keep_their_turn),
		cmocka_unit_test(many_arrive_in_order),
		cmocka_unit_test(too_many_are_refused),
		cmocka_unit_test(is_fast_enough),
	};

	seed = seed_choose();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
