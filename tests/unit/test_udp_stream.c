/*
 * Streams of the udp transport from end to end: client and server are the real ones,
 * with their sockets, in one process and in a network namespace of its own.
 *
 *	test -- client 127.0.0.1 ~~ session ~~ server 127.0.0.1:4433 -- 10.1.0.1:7
 *
 * Nothing answers at 10.9.9.9.
 */
#include "tests/unit/unit.h"

#include "daemon/egress.h"
#include "daemon/io/sock.h"
#include "daemon/io/tcp.h"
#include "daemon/udp_client.h"
#include "daemon/udp_listeners.h"
#include "daemon/udp_server.h"
#include "tests/unit/addrs.h"
#include "tests/unit/clients.h"
#include "tests/unit/clock.h"
#include "tests/unit/netlab.h"
#include "tests/unit/spin.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE (5 * NS_PER_SEC)
#define SLACK    (2 * NS_PER_SEC) /* of a busy machine */

enum { SERVER_PORT = 4433, PORT = 7, LIMIT = 2 };

/* Who asks the client for a stream. */
struct asker {
	struct rig *rig;
	struct tunnel_stream *stream;
	ns_t asked_at, told_at;
	enum open_status status;
	unsigned n_opened, n_closed;
};

struct rig {
	struct loop *loop;
	struct resolver *resolver;
	struct netmon *netmon;
	struct config config; /* the client's */
	struct config_listener from;
	struct identity me;
	struct uplinks *uplinks;
	struct tunnel *client, *server; /* server: NULL: it does not run */
	struct clients clients;
	struct egress *egress;
	int listener; /* at 10.1.0.1:7 */
	struct asker askers[LIMIT + 2];
	size_t n_askers;
};

static bool
is_own(void *arg, const struct addr *a)
{
	(void)arg;
	(void)a;
	return false;
}

static void
on_netmon(void *arg)
{
	struct rig *r = arg;

	if (r->uplinks != NULL)
		uplinks_refresh(r->uplinks);
}

static void
on_uplink(void *arg, struct uplink *u)
{
	struct rig *r = arg;

	if (r->client != NULL)
		tunnel_uplink_changed(r->client, u);
}

static void
set_host(struct config_host *h, const char *host, uint16_t port)
{
	snprintf(h->host, sizeof(h->host), "%s", host);
	h->port = port;
}

static void
start_client(struct rig *r)
{
	const struct uplinks_handler h = {on_uplink, r};
	struct errmsg why = {""};
	struct transport *t;

	r->config.role = ROLE_CLIENT;
	r->config.max_streams = 100;
	strcpy(r->config.uplinks[0].name, "fibre");
	strcpy(r->config.uplinks[0].interface, "lo");
	r->config.n_uplinks = 1;
	set_host(&r->config.server.endpoints[0], "127.0.0.1", SERVER_PORT);
	r->config.server.n_endpoints = 1;
	memcpy(r->config.server.public_key, r->clients.server_pub, CRYPTO_KEY_LEN);
	memcpy(r->me.private_key, r->clients.priv[0], CRYPTO_KEY_LEN);
	r->me.config = &r->config;
	r->from.transport = TRANSPORT_UDP;
	r->uplinks = uplinks_new(r->loop, &r->config, r->netmon, &h, &why);
	assert_non_null(r->uplinks);
	r->client = tunnel_new(r->config.max_streams);
	assert_non_null(r->client);
	t = udp_client_new(r->loop, &r->me, r->uplinks, r->resolver, &why);
	assert_non_null(t);
	tunnel_add(r->client, TRANSPORT_UDP, t);
}

static void
start_server(struct rig *r)
{
	struct errmsg why = {""};
	struct transport *t;

	r->server = tunnel_new(r->clients.config.max_streams);
	assert_non_null(r->server);
	t = udp_server_new(r->loop, &r->clients.known, r->egress, &why);
	if (t == NULL)
		fail_msg("%s", why.text);
	tunnel_add(r->server, TRANSPORT_UDP, t);
}

static void
stop_server(struct rig *r)
{
	tunnel_free(r->server);
	r->server = NULL;
}

static int
setup(void **state)
{
	const struct acl_machine machine = {is_own, NULL};
	struct rig *r = calloc(1, sizeof(*r));
	struct config_peer *peer;
	struct errmsg why = {""};
	struct addr at;

	assert_non_null(r);
	*state = r;
	netlab_sh(NETLAB_CLIENT,
		  "ip link set lo up && ip route replace 10.9.9.9/32 dev lo");
	clients_init(&r->clients, 1);
	peer = &r->clients.peers[0];
	peer->max_streams = LIMIT;
	assert_int_equal(prefix_parse("10.0.0.0/8", &peer->allow_private[0]), 0);
	peer->n_allow_private = 1;
	r->clients.config.listen[0] = addrs_of("127.0.0.1:4433");
	r->clients.config.n_listen = 1;
	r->loop = loop_new();
	r->resolver = resolver_new(r->loop, NULL);
	r->egress = egress_new(r->loop, r->resolver, &machine);
	r->netmon = netmon_new(r->loop, on_netmon, r, &why);
	assert_non_null(r->egress);
	assert_non_null(r->netmon);
	at = addrs_of("10.1.0.1:7");
	r->listener = tcp_listen(TCP_PLAIN, &at, 4);
	assert_true(r->listener >= 0);
	start_client(r);
	return 0;
}

static int
teardown(void **state)
{
	struct rig *r = *state;

	tunnel_free(r->client);
	tunnel_free(r->server);
	egress_free(r->egress);
	clients_done(&r->clients);
	uplinks_free(r->uplinks);
	netmon_free(r->netmon);
	resolver_free(r->resolver);
	loop_free(r->loop);
	close(r->listener);
	free(r);
	return 0;
}

static void
on_opened(void *arg, enum open_status status)
{
	struct asker *a = arg;

	a->n_opened++;
	a->status = status;
	a->told_at = loop_now(a->rig->loop);
}

static void
on_closed(void *arg)
{
	struct asker *a = arg;

	a->n_closed++;
}

/* NULL: there is no stream for it. */
static struct asker *
ask(struct rig *r, const char *host)
{
	struct asker *a = &r->askers[r->n_askers++];
	const struct tunnel_user user = {
		.on_opened = on_opened, .on_closed = on_closed, .arg = a};
	struct config_host dest;

	assert_true(r->n_askers <= ARRAY_LEN(r->askers));
	set_host(&dest, host, PORT);
	*a = (struct asker){.rig = r, .asked_at = loop_now(r->loop)};
	a->stream = tunnel_open(r->client, &dest, &r->from, &user);
	return a->stream != NULL ? a : NULL;
}

static bool
is_told(void *arg)
{
	const struct asker *a = arg;

	return a->n_opened > 0;
}

static bool
is_closed(void *arg)
{
	const struct asker *a = arg;

	return a->n_closed > 0;
}

static bool
server_has_all(void *arg)
{
	const struct rig *r = arg;
	struct tunnel_counters c;

	tunnel_counters_get(r->server, &c);
	return c.streams == r->n_askers;
}

static void
assert_answer(struct asker *a, enum open_status status)
{
	assert_true(spin_until(a->rig->loop, is_told, a, PATIENCE));
	assert_int_equal(a->status, status);
	if (status != OPEN_OK)
		assert_true(spin_until(a->rig->loop, is_closed, a, PATIENCE));
	assert_int_equal(a->n_opened, 1);
}

/* So much later, and still nothing. */
static void
assert_waits(struct asker *a, ns_t span)
{
	clock_skip(span);
	spin_for(a->rig->loop, 5 * NS_PER_MS);
	assert_int_equal(a->n_opened, 0);
	assert_int_equal(a->n_closed, 0);
}

static void
is_refused_when_no_session_comes(void **state)
{
	struct rig *r = *state;
	struct asker *a = ask(r, "10.1.0.1");
	struct tunnel_counters c;

	assert_non_null(a);
	assert_waits(a, CONNECT_DEADLINE - SLACK);
	clock_skip(SLACK);
	assert_answer(a, OPEN_NO_TUNNEL);
	assert_true(a->told_at - a->asked_at >= CONNECT_DEADLINE);
	assert_true(a->told_at - a->asked_at < CONNECT_DEADLINE + SLACK);
	tunnel_counters_get(r->client, &c);
	assert_int_equal(c.streams, 0);
	assert_int_equal(c.streams_refused, 1);
}

/* Each side has its own time to answer in, which begins when it was asked. */
static void
has_time_for_an_answer_behind_a_late_session(void **state)
{
	struct rig *r = *state;
	struct asker *a = ask(r, "10.9.9.9");

	assert_non_null(a);
	assert_waits(a, CONNECT_DEADLINE / 2);
	start_server(r);
	assert_true(spin_until(r->loop, server_has_all, r, PATIENCE));
	assert_waits(a, CONNECT_DEADLINE - SLACK);
	clock_skip(SLACK);
	assert_answer(a, OPEN_TIMED_OUT);
	assert_true(a->told_at - a->asked_at >= CONNECT_DEADLINE * 3 / 2);
}

static void
is_refused_when_the_server_falls_silent(void **state)
{
	struct rig *r = *state;
	struct asker *a;

	start_server(r);
	a = ask(r, "10.9.9.9");
	assert_non_null(a);
	assert_true(spin_until(r->loop, server_has_all, r, PATIENCE));
	netlab_sh(NETLAB_CLIENT, "ip link set lo down");
	assert_waits(a, CONNECT_DEADLINE + 5 * NS_PER_SEC - SLACK);
	clock_skip(SLACK);
	assert_answer(a, OPEN_NO_TUNNEL);
}

static void
those_that_waited_are_no_more_than_the_limit(void **state)
{
	struct rig *r = *state;
	struct asker *a = r->askers;

	for (size_t i = 0; i < LIMIT + 1; i++)
		assert_non_null(ask(r, "10.1.0.1"));
	start_server(r);
	for (size_t i = 0; i < LIMIT; i++)
		assert_answer(&a[i], OPEN_OK);
	assert_answer(&a[LIMIT], OPEN_LIMIT);
	assert_null(ask(r, "10.1.0.1"));
}

static void
a_session_that_ends_leaves_no_stream(void **state)
{
	struct asker *opening, *open;
	struct rig *r = *state;

	start_server(r);
	open = ask(r, "10.1.0.1");
	assert_non_null(open);
	assert_answer(open, OPEN_OK);
	opening = ask(r, "10.9.9.9");
	assert_non_null(opening);
	assert_true(spin_until(r->loop, server_has_all, r, PATIENCE));
	stop_server(r);
	assert_answer(opening, OPEN_NO_TUNNEL);
	assert_true(spin_until(r->loop, is_closed, open, PATIENCE));
	assert_int_equal(open->n_opened, 1);
}

/* A program that is attached to the stream; its own end returns. */
static int
attach(const struct asker *a, const char *early)
{
	struct addr at = addrs_ip("127.0.0.1", 0), from;
	struct sockaddr_storage ss;
	int listener = tcp_listen(TCP_PLAIN, &at, 1);
	int program = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len;
	int fd;

	assert_true(listener >= 0 && program >= 0);
	assert_int_equal(sock_local(listener, &at), 0);
	len = addr_to_sockaddr(&at, &ss);
	assert_int_equal(connect(program, (struct sockaddr *)&ss, len), 0);
	fd = tcp_accept(listener, &from);
	assert_true(fd >= 0);
	close(listener);
	tunnel_stream_attach(a->stream, fd, (const uint8_t *)early, strlen(early));
	return program;
}

struct hearer {
	int fd;
	char text[64];
	size_t len;
	ssize_t last; /* of recv() */
	int err;
};

static bool
hears_end(void *arg)
{
	struct hearer *h = arg;

	do {
		h->last = recv(h->fd, h->text + h->len, sizeof(h->text) - 1 - h->len,
			       MSG_DONTWAIT);
		h->err = errno;
		h->len += h->last > 0 ? (size_t)h->last : 0;
	} while (h->last > 0);
	return h->last == 0 || h->err != EAGAIN;
}

/* Exactly this text comes, and then the end. */
static void
assert_hears(struct rig *r, int fd, const char *text)
{
	struct hearer h = {.fd = fd};

	assert_true(spin_until(r->loop, hears_end, &h, PATIENCE));
	assert_int_equal(h.last, 0);
	assert_string_equal(h.text, text);
}

static bool
has_connection(void *arg)
{
	const struct rig *r = arg;
	struct pollfd p = {.fd = r->listener, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

static int
accept_at_destination(struct rig *r)
{
	struct addr from;
	int fd;

	assert_true(spin_until(r->loop, has_connection, r, PATIENCE));
	fd = tcp_accept(r->listener, &from);
	assert_true(fd >= 0);
	return fd;
}

static void
say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* A forwarder attaches at once, and its program may speak and end before there is a
 * session; the other direction goes on. */
static void
each_direction_ends_by_itself(void **state)
{
	struct rig *r = *state;
	struct asker *a = ask(r, "10.1.0.1");
	struct tunnel_counters c;
	int program, far;

	assert_non_null(a);
	program = attach(a, "");
	say(program, "question");
	assert_int_equal(shutdown(program, SHUT_WR), 0);
	assert_waits(a, NS_PER_SEC);
	start_server(r);
	far = accept_at_destination(r);
	assert_answer(a, OPEN_OK);
	assert_hears(r, far, "question");
	assert_int_equal(a->n_closed, 0);
	say(far, "long answer");
	close(far);
	assert_hears(r, program, "long answer");
	assert_true(spin_until(r->loop, is_closed, a, PATIENCE));
	tunnel_counters_get(r->client, &c);
	assert_int_equal(c.streams_reset, 0);
	assert_int_equal(c.bytes_up, strlen("question"));
	assert_int_equal(c.bytes_down, strlen("long answer"));
	close(program);
}

static void
what_was_read_early_comes_first(void **state)
{
	struct rig *r = *state;
	struct tunnel_counters c;
	struct asker *a;
	int program, far;

	start_server(r);
	a = ask(r, "10.1.0.1");
	assert_non_null(a);
	assert_answer(a, OPEN_OK);
	program = attach(a, "early, ");
	say(program, "late");
	assert_int_equal(shutdown(program, SHUT_WR), 0);
	far = accept_at_destination(r);
	assert_hears(r, far, "early, late");
	close(far);
	assert_true(spin_until(r->loop, is_closed, a, PATIENCE));
	tunnel_counters_get(r->client, &c);
	assert_int_equal(c.bytes_up, strlen("early, late"));
	close(program);
}

/* A reset comes out as one, never as an end. */
static void
a_reset_goes_through(void **state)
{
	struct rig *r = *state;
	struct hearer h = {0};
	struct asker *a;
	int far;

	start_server(r);
	a = ask(r, "10.1.0.1");
	assert_non_null(a);
	assert_answer(a, OPEN_OK);
	h.fd = attach(a, "");
	far = accept_at_destination(r);
	tcp_reset(far);
	assert_true(spin_until(r->loop, hears_end, &h, PATIENCE));
	assert_int_equal(h.last, -1);
	assert_int_equal(h.err, ECONNRESET);
	assert_true(spin_until(r->loop, is_closed, a, PATIENCE));
	close(h.fd);
}

static bool
is_taken(struct udp_listeners *ls, const struct burst *b)
{
	size_t n = udp_listeners_send(ls, b);

	assert_true(n == 0 || n == b->len);
	return n > 0;
}

/* The server's session waits then: what found no room was not sent, nor lost. */
static void
a_full_socket_of_the_server_says_so(void **state)
{
	static uint8_t data[1000];
	struct rig *r = *state;
	struct udp_listeners ls = {0};
	const struct burst b = {.local = r->clients.config.listen[0],
				.remote = addrs_of("127.0.0.1:5000"),
				.data = data,
				.len = sizeof(data),
				.packet = sizeof(data)};
	const struct burst elsewhere = {.local = addrs_of("127.0.0.1:1"), .len = 9};
	struct errmsg why = {""};
	unsigned n = 0, least = 5000;

	netlab_sh(NETLAB_CLIENT, "tc qdisc add dev lo root tbf rate 8kbit burst 2k "
				 "limit 10m");
	assert_int_equal(udp_listeners_open(&ls, r->loop, &r->clients.config, &why), 0);
	assert_int_equal(setsockopt(ls.at[0].sock.fd, SOL_SOCKET, SO_SNDBUF, &least,
				    sizeof(least)),
			 0);
	while (n < 100 && is_taken(&ls, &b))
		n++;
	assert_in_range(n, 1, 99);
	assert_int_equal(udp_listeners_send(&ls, &elsewhere), elsewhere.len);
	udp_listeners_close(&ls);
	netlab_sh(NETLAB_CLIENT, "tc qdisc del dev lo root");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(is_refused_when_no_session_comes),
		TEST(has_time_for_an_answer_behind_a_late_session),
		TEST(is_refused_when_the_server_falls_silent),
		TEST(those_that_waited_are_no_more_than_the_limit),
		TEST(a_session_that_ends_leaves_no_stream),
		TEST(each_direction_ends_by_itself),
		TEST(what_was_read_early_comes_first),
		TEST(a_reset_goes_through),
		TEST(a_full_socket_of_the_server_says_so),
	};

	if (!netlab_init())
		return 77;
	netlab_sh(NETLAB_CLIENT, "ip addr add 10.1.0.1/32 dev lo");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
