#include "tests/unit/unit.h"

#include "daemon/io/udp.h"
#include "tests/unit/addrs.h"
#include "tests/unit/netlab.h"
#include "tests/unit/seed.h"

#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/*
 *	NETLAB_CLIENT  c1 10.0.1.1, fd10:1::1 ---- 10.0.1.2, fd10:1::2 s1  NETLAB_SERVER
 *	               c2 10.0.2.1            ---- 10.0.2.2            s2
 *	               lo 10.9.9.1                 10.9.9.2            lo
 */
enum { WAIT_MS = 5000, PORT = 5000, BURST_MAX = 100 * 1500 };

static const enum netlab_side C = NETLAB_CLIENT, S = NETLAB_SERVER;
static unsigned seed;
static uint8_t data[BURST_MAX];
static struct udp_inbox *inbox;

static struct udp_sock
open_server(enum netlab_side side, const char *at, uint16_t port)
{
	struct addr a = addrs_ip(at, port);
	struct udp_sock s;

	netlab_enter(side);
	assert_int_equal(udp_open_server(&a, &s), 0);
	netlab_enter(C);
	return s;
}

static struct udp_sock
open_client(const char *device, const char *remote, uint16_t port)
{
	struct addr to = addrs_ip(remote, port);
	struct udp_sock s;

	assert_int_equal(udp_open_client(device, NULL, &to, &s), 0);
	return s;
}

static short
wait_for(const struct udp_sock *s, short events)
{
	struct pollfd p = {.fd = s->fd, .events = events};

	if (poll(&p, 1, WAIT_MS) != 1)
		fail_msg("to %s: waited for %d in vain", addr_format(&s->remote).s,
			 events);
	return p.revents;
}

static bool
is_silent(const struct udp_sock *s)
{
	struct pollfd p = {.fd = s->fd, .events = POLLIN};

	return poll(&p, 1, 50) == 0;
}

static void
set_int(const struct udp_sock *s, int level, int name, int value)
{
	assert_int_equal(setsockopt(s->fd, level, name, &value, sizeof(value)), 0);
}

static int
get_int(const struct udp_sock *s, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	assert_int_equal(getsockopt(s->fd, level, name, &value, &len), 0);
	return value;
}

static struct udp_burst
burst(size_t len, size_t packet)
{
	assert_in_range(len, 1, sizeof(data));
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)rand_r(&seed);
	return (struct udp_burst){.data = data, .len = len, .packet = packet};
}

static void
send_whole(struct udp_sock *s, const struct udp_burst *b)
{
	assert_int_equal(udp_send(s, b), b->len);
}

/* Exactly this burst comes, in whatever pieces. Returns the last of them. */
static struct udp_burst
expect(struct udp_sock *s, const struct udp_burst *want)
{
	struct udp_burst b = {.len = 0};
	size_t got = 0;

	while (got < want->len) {
		int n;

		(void)wait_for(s, POLLIN);
		n = udp_receive(s, inbox);
		assert_in_range(n, 1, UDP_INBOX_MESSAGES);
		while (udp_inbox_next(inbox, &b)) {
			assert_in_range(b.len, 1, want->len - got);
			assert_int_equal(got % want->packet, 0);
			assert_int_equal(b.packet,
					 min_size(want->packet, want->len - got));
			assert_memory_equal(b.data, want->data + got, b.len);
			got += b.len;
		}
	}
	assert_int_equal(udp_receive(s, inbox), 0);
	return b;
}

/* How bursts travel: cut and joined by the kernel, or not. */
struct way {
	bool cut, joined;
};

static void
check_random_bursts(const char *device, const char *remote, struct way way)
{
	struct udp_sock server = open_server(S, remote, 0);
	struct udp_sock client = open_client(device, remote, server.local.port);
	uint64_t bytes = 0, packets = 0;

	client.offload = way.cut;
	set_int(&server, SOL_UDP, UDP_GRO, way.joined);
	for (unsigned i = 0; i < 60; i++) {
		size_t packet = 1 + (unsigned)rand_r(&seed) % 1452;
		size_t n = 1 + (unsigned)rand_r(&seed) % 100;
		size_t tail = 1 + (unsigned)rand_r(&seed) % packet;
		struct udp_burst got, b = burst((n - 1) * packet + tail, packet);

		send_whole(&client, &b);
		got = expect(&server, &b);
		assert_true(addr_equal(&got.remote, &client.local));
		assert_true(addr_equal(&got.local, &client.remote));
		bytes += b.len;
		packets += n;
	}
	assert_int_equal(client.offload, way.cut);
	assert_int_equal(client.counts.bytes_sent, bytes);
	assert_int_equal(client.counts.packets_sent, packets);
	assert_int_equal(server.counts.bytes_received, bytes);
	assert_int_equal(server.counts.packets_received, packets);
	assert_int_equal(client.counts.soft_errors, 0);
	/* At most two calls a burst: of 64 messages, cut or not. */
	assert_in_range(client.counts.send_calls, 60, way.cut ? 60 : 120);
	udp_close(&client);
	udp_close(&server);
}

static void
test_bursts_arrive(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct way way = {.cut = i & 1, .joined = i & 2};

		check_random_bursts("c1", "10.0.1.2", way);
		check_random_bursts("c1", "fd10:1::2", way);
	}
}

/* The kernel's own limits: 64 segments, and 64 KiB, of one message. */
static void
test_sizes_at_the_limits(void **state)
{
	static const struct {
		size_t n, packet;
	} sizes[] = {{63, 100},  {64, 100},  {65, 100}, {300, 50}, {44, 1472},
		     {45, 1472}, {47, 1400}, {1, 1472}, {2, 1},    {100, 1023}};
	struct udp_sock server = open_server(S, "0.0.0.0", 0);
	struct udp_sock client = open_client("c1", "10.0.1.2", server.local.port);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct udp_burst b =
			burst(sizes[i].n * sizes[i].packet, sizes[i].packet);

		send_whole(&client, &b);
		expect(&server, &b);
	}
	assert_int_equal(client.counts.send_calls, ARRAY_LEN(sizes));
	assert_true(client.offload);
	udp_close(&client);
	udp_close(&server);
}

/* Without checksums the kernel cuts nothing. */
static void
test_offload_refused(void **state)
{
	struct udp_sock server = open_server(S, "10.0.1.2", 0);
	struct udp_sock client = open_client("c1", "10.0.1.2", server.local.port);
	struct udp_burst b = burst(1000, 1000);
	uint64_t calls;

	(void)state;
	set_int(&client, SOL_SOCKET, SO_NO_CHECK, 1);
	send_whole(&client, &b); /* needs none, and tells nothing */
	expect(&server, &b);
	assert_true(client.offload);
	b = burst(99 * 1000 + 1, 1000);
	send_whole(&client, &b);
	expect(&server, &b);
	assert_false(client.offload);
	assert_int_equal(client.counts.offload_refused, 1);
	assert_int_equal(client.counts.packets_sent, 101);
	calls = client.counts.send_calls;
	send_whole(&client, &b);
	expect(&server, &b);
	assert_int_equal(client.counts.send_calls - calls, 2);
	assert_int_equal(client.counts.offload_refused, 1);
	udp_close(&client);
	udp_close(&server);
}

/* The scope of a link-local address is each side's own. */
static bool
is_same(const struct addr *a, const struct addr *b)
{
	struct addr x = *a;

	x.scope = b->scope;
	return addr_equal(&x, b) && (a->scope != 0) == (b->scope != 0);
}

/* A client that is connected hears no answer from another address. */
static void
check_answers_from(const char *listen, const struct addr *asked, const char *device)
{
	struct udp_sock server = open_server(S, listen, 0), client;
	struct udp_burst got, b = burst(3000, 1000);
	struct addr to = *asked;

	to.port = server.local.port;
	assert_int_equal(udp_open_client(device, NULL, &to, &client), 0);
	send_whole(&client, &b);
	got = expect(&server, &b);
	assert_true(is_same(&got.local, &client.remote));
	assert_true(is_same(&got.remote, &client.local));
	assert_true(got.interface != 0);
	for (int over = 0; over < 2; over++) {
		struct udp_burst back;

		b = burst(2500, 800);
		b.local = got.local;
		b.remote = got.remote;
		b.interface = over ? got.interface : 0;
		send_whole(&server, &b);
		back = expect(&client, &b);
		assert_true(addr_equal(&back.local, &client.local));
		assert_true(addr_equal(&back.remote, &client.remote));
		assert_int_equal(back.interface, 0);
	}
	udp_close(&client);
	udp_close(&server);
	udp_close(&server);
}

static void
test_answers_from_the_address_asked(void **state)
{
	static const char *const asked[][2] = {
		{"0.0.0.0", "10.0.1.2"},  {"0.0.0.0", "10.9.9.2"},
		{"10.9.9.2", "10.9.9.2"}, {"::", "fd10:1::2"},
		{"::", "fd10:9::2"},      {"fd10:9::2", "fd10:9::2"},
		{"::", "fe80::2"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
		struct addr a = addrs_ip(asked[i][1], 0);

		if (strncmp(asked[i][1], "fe80", 4) == 0)
			a.scope = if_nametoindex("c1");
		check_answers_from(asked[i][0], &a, NULL);
		check_answers_from(asked[i][0], &a, "c1");
	}
}

/* To 10.9.9.2 the route over c1 is the better one, back to 10.9.9.1 that over s1. */
static void
test_bound_to_the_device(void **state)
{
	struct udp_sock server = open_server(S, "0.0.0.0", 0);
	struct addr from = addrs_ip("10.9.9.1", 0),
		    to = addrs_ip("10.9.9.2", server.local.port);
	struct udp_burst got, b = burst(50000, 1000);
	struct udp_sock client;
	uint64_t c1, c2, s1, s2;

	(void)state;
	assert_int_equal(udp_open_client("c2", &from, &to, &client), 0);
	assert_true(addr_same_ip(&client.local, &from));
	c1 = netlab_tx_bytes(C, "c1");
	c2 = netlab_tx_bytes(C, "c2");
	send_whole(&client, &b);
	got = expect(&server, &b);
	assert_true(netlab_tx_bytes(C, "c1") - c1 < b.len / 10);
	assert_true(netlab_tx_bytes(C, "c2") - c2 >= b.len);

	s1 = netlab_tx_bytes(S, "s1");
	s2 = netlab_tx_bytes(S, "s2");
	b.local = got.local;
	b.remote = got.remote;
	b.interface = got.interface;
	send_whole(&server, &b);
	expect(&client, &b);
	assert_true(netlab_tx_bytes(S, "s1") - s1 < b.len / 10);
	assert_true(netlab_tx_bytes(S, "s2") - s2 >= b.len);
	/* As the routing table says: to a device that the client is not bound to. */
	b.interface = 0;
	send_whole(&server, &b);
	assert_true(netlab_tx_bytes(S, "s1") - s1 >= b.len);
	assert_true(is_silent(&client));
	udp_close(&client);
	udp_close(&server);
}

static void
check_too_large(const char *remote, size_t headers)
{
	struct udp_sock server = open_server(S, remote, 0);
	struct udp_sock client = open_client("c1", remote, server.local.port);
	size_t largest = 1300 - headers;

	for (int cut = 0; cut < 2; cut++) {
		struct udp_burst b = burst(largest + 1, largest + 1);

		client.offload = cut;
		assert_int_equal(udp_send(&client, &b), -EMSGSIZE);
		b = burst(30 * (largest + 1), largest + 1);
		assert_int_equal(udp_send(&client, &b), -EMSGSIZE);
		assert_true(is_silent(&client)); /* no error has stayed */
		b = burst(30 * largest, largest);
		send_whole(&client, &b);
		expect(&server, &b);
		assert_int_equal(client.offload, cut);
	}
	assert_int_equal(udp_take_soft(&client), 0);
	assert_int_equal(client.counts.soft_errors, 0);
	assert_int_equal(client.counts.packets_sent, 60);
	udp_close(&client);
	udp_close(&server);
}

static void
test_too_large_for_the_device(void **state)
{
	(void)state;
	netlab_sh(C, "ip link set c1 mtu 1300");
	check_too_large("10.0.1.2", 28);
	check_too_large("fd10:1::2", 48);
	netlab_sh(C, "ip link set c1 mtu 1500");
}

/* Behind the server a link of 1,300: ICMP says so, and is not believed. */
static void
test_too_large_for_the_path(void **state)
{
	static const char *const remotes[] = {"10.7.7.2", "fd10:7::2"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(remotes); i++) {
		struct udp_sock client = open_client("c1", remotes[i], PORT);
		uint64_t sent = netlab_tx_bytes(C, "c1");
		struct udp_burst b = burst(40 * 1400, 1400);

		for (unsigned k = 0; k < 5; k++) {
			send_whole(&client, &b);
			assert_true(wait_for(&client, POLLIN | POLLERR) & POLLERR);
		}
		assert_true(netlab_tx_bytes(C, "c1") - sent >= 5 * b.len);
		assert_int_equal(udp_receive(&client, inbox), 0);
		assert_true(is_silent(&client));
		assert_true(client.counts.soft_errors >= 5);
		assert_int_equal(udp_take_soft(&client), 0);
		udp_close(&client);
	}
}

struct unreachable {
	const char *remote;
	int soft;
	const char *rejected_with; /* by a firewall of the server */
};

static const struct unreachable unreachables[] = {
	{"10.0.1.2", -ECONNREFUSED, NULL}, /* nobody listens */
	{"fd10:1::2", -ECONNREFUSED, NULL},
	{"10.6.6.1", -ENETUNREACH, "net-unreachable"},
	{"10.6.6.2", -EHOSTUNREACH, "host-unreachable"},
	{"10.6.6.3", -EHOSTUNREACH, "admin-prohibited"},
	{"fd10:6::1", -ENETUNREACH, "no-route"},
	{"fd10:6::2", -EHOSTUNREACH, "addr-unreachable"},
	{"fd10:6::3", -EACCES, "admin-prohibited"},
};

static void
test_icmp_is_soft(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(unreachables); i++) {
		const struct unreachable *u = &unreachables[i];
		struct udp_sock client = open_client("c1", u->remote, PORT);
		struct udp_burst b = burst(3000, 1000);

		send_whole(&client, &b);
		(void)wait_for(&client, POLLERR);
		/* Each call finds what ICMP has said of the last one. */
		for (unsigned k = 0; k < 6; k++) {
			client.offload = k & 1;
			send_whole(&client, &b);
		}
		assert_int_equal(udp_receive(&client, inbox), 0);
		assert_int_equal(udp_take_soft(&client), u->soft);
		assert_int_equal(udp_take_soft(&client), 0);
		assert_true(client.counts.soft_errors >= 1);
		assert_true(is_silent(&client));
		udp_close(&client);
	}
}

/* The peer starts late; data that waits is read in spite of ICMP's error. */
static void
test_works_after_icmp(void **state)
{
	struct udp_sock client = open_client("c1", "10.0.1.2", PORT), server;
	struct udp_burst got, b = burst(3000, 1000);

	(void)state;
	send_whole(&client, &b);
	assert_true(wait_for(&client, POLLIN | POLLERR) & POLLERR);
	server = open_server(S, "10.0.1.2", PORT);
	send_whole(&client, &b);
	got = expect(&server, &b);
	udp_close(&server);
	send_whole(&client, &b);
	server = open_server(S, "10.0.1.2", PORT);
	b.local = got.local;
	b.remote = got.remote;
	send_whole(&server, &b);
	assert_true(wait_for(&client, POLLIN | POLLERR) & POLLERR);
	expect(&client, &b);
	assert_int_equal(udp_take_soft(&client), -ECONNREFUSED);
	/* Somebody else has got the error, and its entry in the queue is left. */
	udp_close(&server);
	send_whole(&client, &b);
	assert_true(wait_for(&client, POLLIN | POLLERR) & POLLERR);
	assert_int_equal(send(client.fd, "", 1, 0), -1);
	assert_true(wait_for(&client, POLLIN | POLLERR) & POLLERR);
	assert_int_equal(udp_receive(&client, inbox), 0);
	assert_true(is_silent(&client));
	assert_int_equal(udp_take_soft(&client), -ECONNREFUSED);
	udp_close(&client);
}

/* A server hears nothing of ICMP: it would be about one of its many remotes. */
static void
test_server_ignores_icmp(void **state)
{
	struct udp_sock server = open_server(S, "0.0.0.0", PORT);
	struct udp_sock client = open_client("c1", "10.0.1.2", PORT);
	struct udp_burst b = burst(3000, 1000), gone = b;

	(void)state;
	gone.remote = addrs_ip("10.0.1.1", 9);
	gone.local = client.remote;
	b.remote = client.local;
	b.local = client.remote;
	for (unsigned k = 0; k < 5; k++) {
		send_whole(&server, &gone);
		send_whole(&server, &b);
		expect(&client, &b);
	}
	assert_int_equal(udp_take_soft(&server), 0);
	assert_true(is_silent(&server));
	/* An address that is not the server's, and one without a route. */
	b.local = addrs_ip("10.0.1.77", 0);
	assert_true(udp_is_gone((int)udp_send(&server, &b)));
	b.local = client.remote;
	b.remote = addrs_ip("203.0.113.1", 9);
	assert_true(udp_is_gone((int)udp_send(&server, &b)));
	udp_close(&client);
	udp_close(&server);
}

static void
check_gone(const char *remote, const char *how)
{
	struct udp_burst b = burst(3000, 1000);
	struct udp_sock client, none = {.fd = 42};
	struct addr from, to = addrs_ip(remote, PORT);

	netlab_add_link(3, 0);
	netlab_sh(C, "ip addr add fd10:3::1/64 dev c3 nodad;"
		     "ip neigh add fd10:3::2 lladdr 02:00:00:00:00:03 dev c3;"
		     "ip neigh add 10.0.3.2 lladdr 02:00:00:00:00:03 dev c3");
	client = open_client("c3", remote, PORT);
	send_whole(&client, &b);
	netlab_sh(C, "%s", how);
	for (int cut = 0; cut < 2; cut++) {
		client.offload = cut;
		assert_true(udp_is_gone((int)udp_send(&client, &b)));
		assert_int_equal(client.offload, cut);
	}
	assert_int_equal(udp_receive(&client, inbox), 0);
	assert_int_equal(udp_take_soft(&client), 0);
	from = client.local;
	udp_close(&client);
	assert_true(udp_is_gone(udp_open_client("c3", &from, &to, &none)));
	assert_int_equal(none.fd, 42);
	netlab_sh(C, "ip link del c3 2>/dev/null || true");
}

static void
test_device_is_gone(void **state)
{
	static const int others[] = {-EAGAIN, -EMSGSIZE, -ENOBUFS, -ECONNREFUSED,
				     -EPERM,  -EACCES,   -EIO,     -EHOSTUNREACH};

	(void)state;
	check_gone("10.0.3.2", "ip link del c3");
	check_gone("fd10:3::2", "ip link del c3");
	check_gone("10.0.3.2", "ip link set c3 down");
	check_gone("fd10:3::2", "ip link set c3 down");
	check_gone("10.0.3.2", "ip addr del 10.0.3.1/24 dev c3");
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		assert_false(udp_is_gone(others[i]));
	assert_true(udp_is_gone(-ENETDOWN) && udp_is_gone(-ENODEV));
	assert_true(udp_is_gone(-EADDRNOTAVAIL));
}

static void
check_full(bool cut)
{
	struct udp_sock server = open_server(S, "10.0.2.2", 0);
	struct udp_sock client = open_client("c2", "10.0.2.2", server.local.port);
	struct udp_burst b = burst(BURST_MAX, 1500 - 28), rest = b;
	unsigned full = 0, in_part = 0;

	client.offload = cut;
	set_int(&client, SOL_SOCKET, SO_SNDBUF, 20000);
	while (rest.len > 0) {
		ssize_t n = udp_send(&client, &rest);

		if (n == -EAGAIN) {
			full++;
			assert_true(wait_for(&client, POLLOUT) & POLLOUT);
			continue;
		}
		assert_in_range(n, 1, rest.len);
		in_part += (size_t)n < rest.len;
		rest.data += n;
		rest.len -= (size_t)n;
		assert_true((size_t)n % b.packet == 0 || rest.len == 0);
		assert_int_equal(client.counts.bytes_sent, b.len - rest.len);
	}
	assert_true(full > 0 && in_part > 0);
	expect(&server, &b);
	assert_int_equal(client.counts.queue_drops, 0);
	udp_close(&client);
	udp_close(&server);
}

/* A device that takes 10 Mbit/s, and as much as there is into its queue. */
static void
test_full(void **state)
{
	(void)state;
	netlab_sh(C, "tc qdisc add dev c2 root tbf rate 10mbit burst 4k limit 10m");
	check_full(true);
	check_full(false);
	netlab_sh(C, "tc qdisc del dev c2 root");
}

/* One that takes 1 kbit/s into a queue of two packets. */
static void
test_dropped_by_the_device(void **state)
{
	struct udp_sock client = open_client("c2", "10.0.2.2", PORT);
	struct udp_burst b = burst(50 * 1000, 1000);

	(void)state;
	netlab_sh(C, "tc qdisc add dev c2 root tbf rate 1kbit burst 2k limit 3k");
	for (int cut = 0; cut < 2; cut++) {
		ssize_t n;

		client.offload = cut;
		n = udp_send(&client, &b);
		assert_true(n == -ENOBUFS || (n > 0 && (size_t)n < b.len));
		assert_int_equal(udp_send(&client, &b), -ENOBUFS);
	}
	assert_int_equal(client.counts.queue_drops, 4);
	assert_true(client.offload);
	netlab_sh(C, "tc qdisc del dev c2 root");
	udp_close(&client);
}

/* What a firewall of our own refuses is lost; the device is not gone for it. */
static void
test_refused_by_a_firewall(void **state)
{
	struct udp_sock client = open_client("c2", "10.0.2.2", PORT);
	struct udp_burst b = burst(50 * 1000, 1000);
	ssize_t n;

	(void)state;
	netlab_sh(C,
		  "printf 'table ip f {\\nchain o {\\n"
		  "type filter hook output priority 0\\nudp dport %d drop\\n"
		  "}\\n}\\n' | nft -f -",
		  PORT);
	n = udp_send(&client, &b);
	assert_int_equal(n, -EPERM);
	assert_false(udp_is_gone((int)n));
	/* Refused with offload, and failing without: nobody knows yet. */
	set_int(&client, SOL_SOCKET, SO_NO_CHECK, 1);
	assert_int_equal(udp_send(&client, &b), -EPERM);
	assert_true(client.offload);
	assert_int_equal(client.counts.offload_refused, 0);
	netlab_sh(C, "nft delete table ip f");
	udp_close(&client);
}

/* Many small ones: an inbox at a time; empty ones are nothing, 64 KiB is something. */
static void
test_inbox(void **state)
{
	struct udp_sock server = open_server(C, "127.0.0.1", 0);
	struct udp_sock client = open_client("lo", "127.0.0.1", server.local.port);
	unsigned full = 0, bursts = 0;
	struct udp_burst got, b;
	int n;

	(void)state;
	assert_int_equal(udp_receive(&server, inbox), 0);
	assert_false(udp_inbox_next(inbox, &got));
	assert_false(udp_inbox_is_full(inbox));
	for (unsigned i = 0; i < 40; i++) {
		b = burst(1 + i, 1 + i);
		send_whole(&client, &b);
		assert_int_equal(send(client.fd, "", 0, 0), 0);
	}
	while ((n = udp_receive(&server, inbox)) > 0) {
		assert_in_range(n, 1, UDP_INBOX_MESSAGES);
		full += udp_inbox_is_full(inbox);
		while (udp_inbox_next(inbox, &got))
			assert_int_equal(got.len, 1 + bursts++);
	}
	assert_int_equal(n, 0);
	assert_int_equal(bursts, 40);
	assert_int_equal(full, 80 / UDP_INBOX_MESSAGES);
	assert_int_equal(server.counts.packets_received, 40);
	assert_int_equal(server.counts.receive_calls, 80 / UDP_INBOX_MESSAGES + 2);
	b = burst(65507, 65507);
	send_whole(&client, &b);
	expect(&server, &b);
	b = burst(65535, 65535);
	assert_int_equal(udp_send(&client, &b), -EMSGSIZE);
	udp_close(&client);
	udp_close(&server);
}

static unsigned
bursts_of_a_turn(struct udp_sock *s, size_t len)
{
	struct udp_turn turn = {0};
	struct udp_burst got;
	unsigned n = 0;
	int more;

	for (; (more = udp_take(&turn, s, inbox, &got)) > 0; n++)
		assert_int_equal(got.len, len);
	assert_int_equal(more, 0);
	return n;
}

static void
test_turns(void **state)
{
	struct udp_sock server = open_server(C, "127.0.0.1", 0);
	struct udp_sock other = open_server(C, "127.0.0.1", 0);
	struct udp_sock client = open_client("lo", "127.0.0.1", server.local.port);
	struct udp_burst got, b = burst(9, 9);
	struct udp_turn turn = {0};

	(void)state;
	for (unsigned i = 0; i < UDP_TURN_MESSAGES + 5; i++)
		send_whole(&client, &b);
	assert_int_equal(bursts_of_a_turn(&server, 9), UDP_TURN_MESSAGES);
	assert_int_equal(bursts_of_a_turn(&server, 9), 5);
	assert_int_equal(bursts_of_a_turn(&server, 9), 0);
	/* A share of bytes is full here before one of messages. */
	b = burst(65507, 65507);
	for (unsigned i = 0; i < UDP_INBOX_MESSAGES + 2; i++)
		send_whole(&client, &b);
	assert_int_equal(bursts_of_a_turn(&server, 65507), UDP_INBOX_MESSAGES);
	assert_int_equal(bursts_of_a_turn(&server, 65507), 2);
	/* A turn that was broken off leaves nothing for another socket's. */
	for (unsigned i = 0; i < 3; i++)
		send_whole(&client, &b);
	assert_int_equal(udp_take(&turn, &server, inbox, &got), 1);
	assert_int_equal(bursts_of_a_turn(&other, 9), 0);
	udp_close(&client);
	udp_close(&other);
	udp_close(&server);
	assert_int_equal(udp_take(&(struct udp_turn){0}, &server, inbox, &got), -EBADF);
}

static void
expect_options(const struct udp_sock *s, int level, int discover, int probe)
{
	assert_true(fcntl(s->fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(s->fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(get_int(s, level, discover), probe);
	assert_int_equal(get_int(s, SOL_UDP, UDP_GRO), 1);
}

static void
test_opening(void **state)
{
	struct udp_sock any4 = open_server(C, "0.0.0.0", 0), any6, s = {.fd = 42};
	struct addr at = any4.local, lo = addrs_ip("127.0.0.1", 9);

	(void)state;
	any6 = open_server(C, "::", at.port); /* beside the other one */
	expect_options(&any4, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
	expect_options(&any6, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
	assert_int_equal(udp_open_server(&at, &s), -EADDRINUSE);
	udp_close(&any4);
	udp_close(&any6);
	at = addrs_ip("192.0.2.1", 0); /* not of this machine */
	assert_int_equal(udp_open_server(&at, &s), -EADDRNOTAVAIL);
	assert_int_equal(udp_open_client(NULL, &at, &lo, &s), -EADDRNOTAVAIL);
	assert_int_equal(udp_open_client("nosuchdev0", NULL, &lo, &s), -ENODEV);
	assert_int_equal(udp_open_client("longer-than-a-device", NULL, &lo, &s),
			 -ENAMETOOLONG);
	assert_int_equal(s.fd, 42);
	at = addrs_ip("0.0.0.0", 0);
	assert_int_equal(udp_open_client("lo", &at, &lo, &s), 0);
	expect_options(&s, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
	assert_int_equal(get_int(&s, IPPROTO_IP, IP_RECVERR), 1);
	assert_false(addr_is_wildcard(&s.local));
	assert_true(s.local.port != 0);
	udp_close(&s);
	assert_int_equal(s.fd, -1);
}

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Sending and receiving in turn, on one processor. Returns the calls for both. */
static uint64_t
measure(struct way way, const char *name)
{
	enum { ROUNDS = 400, PACKET = 1400, PACKETS = 46 };
	struct udp_sock server = open_server(S, "10.0.1.2", 0);
	struct udp_sock client = open_client("c1", "10.0.1.2", server.local.port);
	struct udp_burst got, b = burst(PACKETS * PACKET, PACKET);
	double took, begin = seconds();
	uint64_t calls;

	client.offload = way.cut;
	set_int(&server, SOL_UDP, UDP_GRO, way.joined);
	for (unsigned i = 0; i < ROUNDS; i++) {
		send_whole(&client, &b);
		while (udp_receive(&server, inbox) > 0)
			while (udp_inbox_next(inbox, &got))
				continue;
	}
	took = seconds() - begin;
	assert_int_equal(server.counts.packets_received, ROUNDS * PACKETS);
	calls = client.counts.send_calls + server.counts.receive_calls;
	print_message("%s: %.0f kpps, %.1f calls a MB\n", name,
		      ROUNDS * PACKETS / took / 1e3,
		      (double)calls / (ROUNDS * PACKETS * PACKET / 1e6));
	udp_close(&client);
	udp_close(&server);
	return calls;
}

static void
test_rate(void **state)
{
	uint64_t both, none;

	(void)state;
	both = measure((struct way){true, true}, "cut and joined by the kernel");
	(void)measure((struct way){true, false}, "cut by the kernel");
	(void)measure((struct way){false, true}, "joined by the kernel");
	none = measure((struct way){false, false}, "without offload");
	assert_true(both < none);
}

/* One processor, or packets of one burst could overtake each other. */
static void
stay_on_one_processor(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET((unsigned)sched_getcpu(), &one);
	(void)sched_setaffinity(0, sizeof(one), &one);
}

static void
add_rejection(const struct unreachable *u)
{
	const char *ip_version = strchr(u->remote, ':') != NULL ? "6" : "";

	if (u->rejected_with == NULL)
		return;
	netlab_sh(S,
		  "ip addr add %s dev lo; nft add rule inet r i ip%s daddr %s "
		  "reject with icmp%s type %s",
		  u->remote, ip_version, u->remote, *ip_version != 0 ? "v6" : "",
		  u->rejected_with);
}

static void
prepare(void)
{
	netlab_add_link(1, 0);
	netlab_add_link(2, 0);
	netlab_sh(C, "ip addr add fd10:1::1/64 dev c1 nodad;"
		     "ip addr add fe80::1/64 dev c1 nodad;"
		     "ip addr add 10.9.9.1/32 dev lo;"
		     "ip route add 10.9.9.2 via 10.0.1.2 metric 10;"
		     "ip route add 10.9.9.2 via 10.0.2.2 metric 20;"
		     "ip route add fd10:9::2 via fd10:1::2;"
		     "ip route add 10.6.6.0/24 via 10.0.1.2;"
		     "ip route add 10.7.7.0/24 via 10.0.1.2;"
		     "ip route add fd10:6::/64 via fd10:1::2;"
		     "ip route add fd10:7::/64 via fd10:1::2");
	netlab_sh(S, "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 "
		     "net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0;"
		     "ip addr add fd10:1::2/64 dev s1 nodad;"
		     "ip addr add fe80::2/64 dev s1 nodad;"
		     "ip addr add 10.9.9.2/32 dev lo; ip addr add fd10:9::2/128 dev lo;"
		     "ip route add 10.9.9.1 via 10.0.1.1 metric 10;"
		     "ip route add 10.9.9.1 via 10.0.2.1 metric 20");
	netlab_sh(S, "ip link add m0 mtu 1300 type veth peer name m1;"
		     "ip link set m1 up; ip link set m0 up;"
		     "ip addr add 10.7.7.1/24 dev m0;"
		     "ip addr add fd10:7::1/64 dev m0 nodad;");
	netlab_sh(S, "nft 'add table inet r';"
		     "nft 'add chain inet r i { type filter hook input priority 0; }'");
	for (size_t i = 0; i < ARRAY_LEN(unreachables); i++)
		add_rejection(&unreachables[i]);
}

static int
set_up(void **state)
{
	(void)state;
	stay_on_one_processor();
	prepare();
	inbox = udp_inbox_new();
	assert_non_null(inbox);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	udp_inbox_free(inbox);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bursts_arrive),
		cmocka_unit_test(test_sizes_at_the_limits),
		cmocka_unit_test(test_offload_refused),
		cmocka_unit_test(test_answers_from_the_address_asked),
		cmocka_unit_test(test_bound_to_the_device),
		cmocka_unit_test(test_too_large_for_the_device),
		cmocka_unit_test(test_too_large_for_the_path),
		cmocka_unit_test(test_icmp_is_soft),
		cmocka_unit_test(test_works_after_icmp),
		cmocka_unit_test(test_server_ignores_icmp),
		cmocka_unit_test(test_device_is_gone),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_dropped_by_the_device),
		cmocka_unit_test(test_refused_by_a_firewall),
		cmocka_unit_test(test_inbox),
		cmocka_unit_test(test_turns),
		cmocka_unit_test(test_opening),
		cmocka_unit_test(test_rate),
	};

	if (!netlab_init())
		return 77;
	seed = seed_choose();
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
