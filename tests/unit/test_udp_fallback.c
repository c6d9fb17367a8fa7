/*
 * When an uplink goes over TCP. The ports are real, on loopback, and somebody
 * listens for those over TCP; what their sessions say to each other is carried by
 * hand, as far as the way lets it through. The clock is moved on by hand.
 *
 *	port over UDP  127.0.0.5 ...... session ...... the server's session
 *	port over TCP  127.0.0.5 ----> listener 127.0.0.1
 */
#include "tests/unit/unit.h"

#include "daemon/core/subflow.h"
#include "daemon/core/wire.h"
#include "daemon/io/sock.h"
#include "daemon/udp_fallback.h"
#include "tests/unit/clock.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define STEP   (10 * NS_PER_MS)
#define TICK   (250 * NS_PER_MS)
#define ONEWAY NS_PER_MS
#define LATE   (TICK + 3 * STEP)

enum { ALL = 65535, NARROW = 1000, OUT_SIZE = 64 * 1024 };

struct rig {
	struct loop *loop;
	struct timer stop;
	struct uplink uplink, another;
	struct udp_ports ports;
	struct udp_port *udp;            /* by all others everything gets through */
	struct session *client, *server; /* NULL: none yet */
	size_t up_max, down_max;         /* bytes, of what UDP lets through */
	ns_t tick_at;
	int listener, tcp;            /* tcp: the last connection; -1: none */
	unsigned connections, losses; /* losses: of ports over TCP */
	ns_t lost_at;
};

static void
on_burst(void *arg, struct udp_port *p, const struct burst *b)
{
	(void)arg;
	(void)p;
	(void)b;
}

static void
on_open(void *arg, struct udp_port *p)
{
	struct rig *r = arg;
	const struct subflow_way way = {p->local, p->remote,
					(uint32_t)(p - r->ports.at), p->uplink->id};
	ns_t now = loop_now(r->loop);

	if (r->client == NULL)
		return;
	if (p->subflow != 0)
		session_subflow_up(r->client, p->subflow, &p->local, now);
	else
		p->subflow = (uint8_t)session_add_subflow(r->client, &way, false, now);
	assert_int_not_equal(p->subflow, 0);
}

static void
on_lost(void *arg, struct udp_port *p)
{
	struct rig *r = arg;

	r->losses += p->over_tcp;
	r->lost_at = loop_now(r->loop);
	if (p->subflow != 0)
		session_subflow_down(r->client, p->subflow, loop_now(r->loop));
}

static void
on_doubt(void *arg, struct udp_port *p)
{
	(void)arg;
	(void)p;
	fail();
}

static void
on_stop(void *arg)
{
	loop_stop(arg);
}

static struct session *
session(enum session_role role, ns_t now)
{
	bool client = role == SESSION_CLIENT;
	const struct session_settings cfg = {
		.role = role,
		.aead = AEAD_CHACHA20_POLY1305,
		.index = client ? 1 : 2,
		.index_peer = client ? 2 : 1,
		.cc = CC_BBR,
		.max_streams = 4,
		.memory = 1 << 22,
	};
	const struct handshake_keys keys = {.key_up = {1}, .key_down = {2}};
	const uint8_t seed[CRYPTO_KEY_LEN] = {(uint8_t)role};
	struct session *s = session_new(&cfg, &keys, seed, now);

	assert_non_null(s);
	return s;
}

static struct rig *
rig_new(bool listens)
{
	const struct udp_ports_handler h = {on_burst, on_open, on_lost, on_doubt, NULL};
	struct rig *r = calloc(1, sizeof(*r));
	struct addr at;

	assert_non_null(r);
	r->loop = loop_new();
	assert_non_null(r->loop);
	assert_int_equal(timer_init(&r->stop, r->loop, on_stop, r->loop), 0);
	assert_int_equal(udp_ports_init(&r->ports, r->loop, &h), 0);
	r->ports.handler.arg = r;
	r->uplink.id = 1;
	strcpy(r->uplink.name, "fibre");
	strcpy(r->uplink.interface, "lo");
	assert_int_equal(addr_parse_ip("127.0.0.5", &r->uplink.v4), 0);
	r->another = r->uplink;
	r->another.id = 2;
	assert_int_equal(addr_parse_ip("127.0.0.6", &r->another.v4), 0);
	assert_int_equal(addr_parse_ip("127.0.0.1", &at), 0);
	r->listener = tcp_listen(TCP_PLAIN, &at, 4);
	assert_true(r->listener >= 0);
	assert_int_equal(sock_local(r->listener, &at), 0);
	if (!listens) {
		close(r->listener);
		r->listener = -1;
	}
	r->tcp = -1;
	r->udp = udp_ports_find(&r->ports, &r->uplink, &at, false);
	assert_non_null(r->udp);
	return r;
}

/* With a session, on an uplink that lets so much of UDP through each way. */
static struct rig *
rig_begin(size_t up_max, size_t down_max)
{
	struct rig *r = rig_new(true);
	ns_t now = loop_now(r->loop);

	r->client = session(SESSION_CLIENT, now);
	r->server = session(SESSION_SERVER, now);
	r->up_max = up_max;
	r->down_max = down_max;
	udp_port_open(r->udp);
	assert_true(r->udp->open);
	return r;
}

static void
rig_free(struct rig *r)
{
	udp_ports_done(&r->ports);
	session_free(r->client);
	session_free(r->server);
	timer_done(&r->stop);
	loop_free(r->loop);
	if (r->listener >= 0)
		close(r->listener);
	if (r->tcp >= 0)
		close(r->tcp);
	free(r);
}

static bool
passes(const struct rig *r, const struct burst *b, bool up)
{
	const struct udp_port *p = &r->ports.at[b->via];

	if (p != r->udp)
		return p->open;
	return p->open && b->packet <= (up ? r->up_max : r->down_max);
}

static void
carry(struct rig *r, bool up)
{
	struct session *from = up ? r->client : r->server;
	struct session *to = up ? r->server : r->client;
	static uint8_t buf[OUT_SIZE];
	ns_t now = loop_now(r->loop);
	struct burst b;

	if (session_deadline(from) <= now)
		session_expire(from, now);
	while (session_output(from, buf, sizeof(buf), &b, loop_now(r->loop)) > 0) {
		struct burst in = b;

		in.local = b.remote;
		in.remote = b.local;
		clock_skip(ONEWAY);
		if (passes(r, &b, up))
			assert_true(session_input(to, &in, loop_now(r->loop)) >= 0);
	}
}

static void
accept_tcp(struct rig *r)
{
	struct addr from;
	int fd = r->listener < 0 ? -1 : tcp_accept(r->listener, &from);

	if (fd < 0)
		return;
	if (r->tcp >= 0)
		close(r->tcp);
	r->tcp = fd;
	r->connections++;
	assert_true(addr_same_ip(&from, &r->uplink.v4));
}

static void
run(struct rig *r, ns_t span)
{
	ns_t end = loop_now(r->loop) + span;

	while (loop_now(r->loop) < end) {
		clock_skip(STEP);
		timer_set(&r->stop, 0);
		assert_int_equal(loop_run(r->loop), 0);
		accept_tcp(r);
		if (r->client != NULL) {
			carry(r, true);
			carry(r, false);
		}
		if (loop_now(r->loop) < r->tick_at)
			continue;
		r->tick_at = loop_now(r->loop) + TICK;
		udp_fallback_check(&r->ports, r->client, loop_now(r->loop));
	}
}

static struct udp_port *
tcp_port(struct rig *r)
{
	struct udp_port *p =
		udp_ports_find(&r->ports, &r->uplink, &r->udp->remote, true);

	assert_non_null(p);
	return p;
}

static bool
is_closed(const struct rig *r)
{
	uint8_t bytes[8];
	ssize_t n;

	while ((n = recv(r->tcp, bytes, sizeof(bytes), 0)) > 0)
		continue;
	return n == 0 || errno == ECONNRESET;
}

static void
what_is_heard_needs_no_tcp(void **state)
{
	struct rig *r = rig_begin(ALL, ALL);

	(void)state;
	run(r, 10 * NS_PER_SEC);
	assert_true(udp_port_is_whole(r->udp, r->client));
	assert_false(udp_fallback_is_spare(r->udp, r->client));
	assert_int_equal(r->connections, 0);
	rig_free(r);
}

static void
silence_leads_to_tcp(void **state)
{
	struct rig *r = rig_begin(0, 0);
	uint8_t byte;

	(void)state;
	run(r, UDP_FALLBACK_AFTER - STEP);
	assert_int_equal(r->connections, 0);
	run(r, 2 * TICK);
	assert_int_equal(r->connections, 1);
	assert_int_equal(recv(r->tcp, &byte, 1, 0), 1);
	assert_int_equal(byte, WIRE_OVER_TCP);
	run(r, 10 * NS_PER_SEC);
	assert_true(udp_port_is_whole(tcp_port(r), r->client));
	assert_false(udp_fallback_is_spare(tcp_port(r), r->client));
	assert_int_equal(r->connections, 1);
	assert_false(is_closed(r));
	rig_free(r);
}

static void
silence_later_leads_to_tcp(void **state)
{
	struct rig *r = rig_begin(ALL, ALL);

	(void)state;
	run(r, 10 * NS_PER_SEC);
	r->up_max = r->down_max = 0;
	run(r, 4 * NS_PER_SEC);
	assert_int_equal(r->connections, 1);
	assert_true(udp_port_is_active(tcp_port(r), r->client));
	rig_free(r);
}

static void
tcp_ends_when_udp_is_heard_again(void **state)
{
	struct rig *r = rig_begin(0, 0);

	(void)state;
	run(r, 5 * NS_PER_SEC);
	assert_true(udp_port_is_active(tcp_port(r), r->client));
	r->up_max = r->down_max = ALL;
	while (!udp_port_is_active(r->udp, r->client))
		run(r, STEP);
	assert_true(udp_fallback_is_spare(tcp_port(r), r->client));
	run(r, UDP_FALLBACK_LINGER - TICK - 2 * STEP);
	assert_true(tcp_port(r)->open);
	run(r, 3 * TICK);
	assert_false(tcp_port(r)->open);
	assert_true(is_closed(r));
	assert_int_equal(tcp_port(r)->gap, 0);
	run(r, 5 * NS_PER_SEC);
	assert_int_equal(r->connections, 1);
	rig_free(r);
}

/* What it brings to the server is told by TCP: no reason to do without it. */
static void
silence_one_way_is_silence(void **state)
{
	struct rig *r = rig_begin(ALL, ALL);

	(void)state;
	run(r, 5 * NS_PER_SEC);
	r->down_max = 0;
	run(r, UDP_PORT_DEAF + 3 * NS_PER_SEC);
	assert_true(udp_port_is_whole(tcp_port(r), r->client));
	run(r, 20 * NS_PER_SEC);
	assert_true(udp_port_is_whole(tcp_port(r), r->client));
	assert_int_equal(r->connections, 1);
	rig_free(r);
}

static void
where_only_small_packets_go_up_there_is_tcp(void **state)
{
	struct rig *r = rig_begin(NARROW, ALL);
	struct udp_port *tcp;

	(void)state;
	run(r, 5 * NS_PER_SEC);
	tcp = tcp_port(r);
	assert_int_equal(r->connections, 1);
	assert_true(udp_port_is_active(r->udp, r->client));
	assert_true(udp_fallback_is_spare(r->udp, r->client));
	assert_true(udp_port_is_whole(tcp, r->client));
	assert_false(udp_fallback_is_spare(tcp, r->client));

	r->up_max = ALL;
	run(r, 12 * NS_PER_SEC);
	assert_false(udp_fallback_is_spare(r->udp, r->client));
	assert_false(tcp->open);
	assert_int_equal(r->connections, 1);
	rig_free(r);
}

static void
what_the_server_cannot_fill_there_is_tcp_for(void **state)
{
	struct rig *r = rig_begin(ALL, ALL);

	(void)state;
	run(r, 5 * NS_PER_SEC);
	session_set_tier(r->server, r->udp->subflow, TIER_BACKUP);
	run(r, 3 * NS_PER_SEC);
	assert_int_equal(r->connections, 1);
	assert_true(udp_port_is_whole(tcp_port(r), r->client));
	session_set_tier(r->server, r->udp->subflow, TIER_ALWAYS);
	run(r, 3 * NS_PER_SEC);
	assert_false(tcp_port(r)->open);
	rig_free(r);
}

/* Until it is tried for the nth time; how long that took since the last time. */
static ns_t
next_try(struct rig *r)
{
	ns_t before = r->lost_at;
	unsigned losses = r->losses;

	for (int i = 0; i < 10000 && r->losses == losses; i++)
		run(r, STEP);
	assert_int_equal(r->losses, losses + 1);
	return r->lost_at - before;
}

static void
tries_become_rare(void **state)
{
	static const int gaps[] = {1, 2, 4, 4, 4};
	struct rig *r = rig_new(false);

	(void)state;
	udp_port_open(r->udp);
	r->lost_at = loop_now(r->loop);
	assert_in_range(next_try(r), UDP_FALLBACK_AFTER, UDP_FALLBACK_AFTER + LATE);
	for (size_t i = 0; i < ARRAY_LEN(gaps); i++)
		assert_in_range(next_try(r), gaps[i] * NS_PER_SEC,
				gaps[i] * NS_PER_SEC + LATE);
	/* It may be another network that the uplink has now. */
	udp_port_close(r->udp);
	run(r, NS_PER_SEC);
	udp_port_open(r->udp);
	r->lost_at = loop_now(r->loop);
	assert_in_range(next_try(r), UDP_FALLBACK_AFTER, UDP_FALLBACK_AFTER + LATE);
	assert_in_range(next_try(r), NS_PER_SEC, NS_PER_SEC + LATE);
	rig_free(r);
}

/* Another uplink is heard: until it is not any more. */
static void
tries_become_rarer_beside_others(void **state)
{
	static const int gaps[] = {1, 2, 4, 8, 16, 32, 60, 60};
	struct rig *r = rig_begin(0, 0);
	struct udp_port *other;

	(void)state;
	close(r->listener);
	r->listener = -1;
	other = udp_ports_find(&r->ports, &r->another, &r->udp->remote, false);
	assert_non_null(other);
	udp_port_open(other);
	(void)next_try(r);
	for (size_t i = 0; i < ARRAY_LEN(gaps); i++)
		assert_in_range(next_try(r), gaps[i] * NS_PER_SEC,
				gaps[i] * NS_PER_SEC + LATE);
	run(r, 10 * NS_PER_SEC);
	session_subflow_down(r->client, other->subflow, loop_now(r->loop));
	udp_port_close(other);
	run(r, 2 * TICK);
	assert_in_range(r->lost_at, loop_now(r->loop) - 2 * TICK, loop_now(r->loop));
	rig_free(r);
}

/* Somebody takes the connection and says nothing. */
static void
what_leads_nowhere_is_closed(void **state)
{
	struct rig *r = rig_new(true);

	(void)state;
	udp_port_open(r->udp);
	run(r, UDP_FALLBACK_AFTER + 2 * TICK);
	assert_int_equal(r->connections, 1);
	run(r, UDP_FALLBACK_PATIENCE - 3 * TICK);
	assert_false(is_closed(r));
	run(r, 4 * TICK);
	assert_int_equal(r->losses, 1);
	rig_free(r);
}

/* A server of something else. */
static void
what_speaks_nonsense_is_closed(void **state)
{
	struct rig *r = rig_new(true);

	(void)state;
	udp_port_open(r->udp);
	run(r, UDP_FALLBACK_AFTER + 2 * TICK);
	assert_int_equal(r->connections, 1);
	assert_int_equal(send(r->tcp, "HTTP/1.1 400", 12, 0), 12);
	run(r, 2 * STEP);
	assert_int_equal(r->losses, 1);
	assert_false(tcp_port(r)->open);
	rig_free(r);
}

/* The server is heard at another of its addresses: that one stands in, not TCP. */
static void
another_address_stands_in(void **state)
{
	struct rig *r = rig_begin(ALL, ALL);
	struct addr at = r->udp->remote;
	struct udp_port *other;

	(void)state;
	at.port ^= 1;
	other = udp_ports_find(&r->ports, &r->uplink, &at, false);
	assert_non_null(other);
	udp_port_open(other);
	run(r, 5 * NS_PER_SEC);
	assert_false(udp_fallback_is_spare(r->udp, r->client));
	assert_true(udp_port_is_whole(other, r->client));
	assert_true(udp_fallback_is_spare(other, r->client));
	r->up_max = r->down_max = 0;
	run(r, 5 * NS_PER_SEC);
	assert_false(udp_fallback_is_spare(other, r->client));
	assert_int_equal(r->connections, 0);
	/* It fails as well: now there is TCP, once. */
	udp_port_close(other);
	session_subflow_down(r->client, other->subflow, loop_now(r->loop));
	run(r, 5 * NS_PER_SEC);
	assert_int_equal(r->connections, 1);
	assert_true(udp_port_is_whole(tcp_port(r), r->client));
	/* And no more, when either is back. */
	udp_port_open(other);
	run(r, 5 * NS_PER_SEC);
	assert_false(tcp_port(r)->open);
	assert_true(udp_port_is_whole(other, r->client));
	rig_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_heard_needs_no_tcp),
		cmocka_unit_test(silence_leads_to_tcp),
		cmocka_unit_test(silence_later_leads_to_tcp),
		cmocka_unit_test(tcp_ends_when_udp_is_heard_again),
		cmocka_unit_test(silence_one_way_is_silence),
		cmocka_unit_test(where_only_small_packets_go_up_there_is_tcp),
		cmocka_unit_test(what_the_server_cannot_fill_there_is_tcp_for),
		cmocka_unit_test(tries_become_rare),
		cmocka_unit_test(tries_become_rarer_beside_others),
		cmocka_unit_test(another_address_stands_in),
		cmocka_unit_test(what_leads_nowhere_is_closed),
		cmocka_unit_test(what_speaks_nonsense_is_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
