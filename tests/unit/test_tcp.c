#include "tests/unit/unit.h"

#include "daemon/io/sock.h"
#include "daemon/io/tcp.h"
#include "tests/unit/addrs.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#ifndef TCP_IS_MPTCP
#define TCP_IS_MPTCP 43
#endif

enum { WAIT_MS = 5000 };

static const enum tcp_kind kinds[] = {TCP_PLAIN, TCP_MPTCP};

static void
wait_for(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
}

struct pair {
	int listener, client, server;
	struct addr at;
};

static int
listen_on(enum tcp_kind kind, const char *text, struct addr *ret_at)
{
	struct addr at = addrs_ip(text, 0);
	int fd = tcp_listen(kind, &at, 8);

	assert_true(fd >= 0);
	assert_int_equal(sock_local(fd, ret_at), 0);
	assert_true(ret_at->port != 0);
	return fd;
}

static void
pair_open(struct pair *p, enum tcp_kind kind, const char *text)
{
	struct tcp_connect c = {.kind = kind};
	struct addr from, local;

	p->listener = listen_on(kind, text, &p->at);
	c.remote = p->at;
	p->client = tcp_connect_start(&c);
	assert_true(p->client >= 0);
	wait_for(p->client, POLLOUT);
	assert_int_equal(tcp_connect_result(p->client), 0);
	wait_for(p->listener, POLLIN);
	p->server = tcp_accept(p->listener, &from);
	assert_true(p->server >= 0);
	assert_int_equal(sock_local(p->client, &local), 0);
	assert_true(addr_equal(&from, &local));
}

static void
pair_close(struct pair *p)
{
	close(p->listener);
	if (p->client >= 0)
		close(p->client);
	close(p->server);
}

static void
expect_flags(int fd)
{
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static int
int_option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

static void
test_connects_and_carries(void **state)
{
	static const char *const ips[] = {"127.0.0.1", "::1"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds) * ARRAY_LEN(ips); i++) {
		enum tcp_kind kind = kinds[i % 2];
		struct addr remote;
		struct pair p;
		char buf[8];

		pair_open(&p, kind, ips[i / 2]);
		expect_flags(p.listener);
		expect_flags(p.client);
		expect_flags(p.server);
		assert_int_equal(tcp_accept(p.listener, &remote), -EAGAIN);
		assert_int_equal(tcp_remote(p.client, &remote), 0);
		assert_true(addr_equal(&remote, &p.at));
		assert_int_equal(int_option(p.server, IPPROTO_TCP, TCP_IS_MPTCP),
				 kind == TCP_MPTCP);
		assert_int_equal(write(p.client, "there", 5), 5);
		wait_for(p.server, POLLIN);
		assert_int_equal(read(p.server, buf, sizeof(buf)), 5);
		assert_int_equal(write(p.server, "back", 4), 4);
		wait_for(p.client, POLLIN);
		assert_int_equal(read(p.client, buf, sizeof(buf)), 4);
		pair_close(&p);
	}
}

static void
test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct tcp_connect c = {.kind = kinds[i]};
		int fd;

		close(listen_on(kinds[i], "127.0.0.1", &c.remote));
		fd = tcp_connect_start(&c);
		if (fd < 0) {
			assert_int_equal(fd, -ECONNREFUSED);
			continue;
		}
		wait_for(fd, POLLOUT);
		assert_int_equal(tcp_connect_result(fd), -ECONNREFUSED);
		close(fd);
	}
}

/* A full backlog leaves later connections unanswered. */
static void
test_under_way(void **state)
{
	struct addr at = addrs_ip("127.0.0.1", 0);
	struct tcp_connect c = {.kind = TCP_PLAIN};
	int listener = tcp_listen(TCP_PLAIN, &at, 0);
	int fds[4], last = 0;

	(void)state;
	assert_true(listener >= 0);
	assert_int_equal(sock_local(listener, &c.remote), 0);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = tcp_connect_start(&c);
		assert_true(fds[i] >= 0);
		last = tcp_connect_result(fds[i]);
	}
	assert_int_equal(tcp_connect_result(fds[0]), 0);
	assert_int_equal(last, -EINPROGRESS);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
	close(listener);
	assert_int_equal(tcp_connect_result(listener), -EBADF);
}

static void
test_device_and_congestion(void **state)
{
	struct tcp_connect c = {.kind = TCP_PLAIN};
	int listener = listen_on(TCP_PLAIN, "127.0.0.1", &c.remote);
	char name[16] = "";
	socklen_t len = sizeof(name);
	int fd;

	(void)state;
	c.device = "lo";
	c.congestion = "reno";
	fd = tcp_connect_start(&c);
	assert_true(fd >= 0);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &len), 0);
	assert_string_equal(name, "lo");
	len = sizeof(name);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &len), 0);
	assert_string_equal(name, "reno");
	close(fd);

	assert_int_equal(tcp_try_congestion("reno"), 0);
	assert_int_equal(tcp_try_congestion("nosuch"), -ENOENT);
	assert_int_equal(tcp_try_congestion(""), -EINVAL);
	c.congestion = "nosuch";
	assert_int_equal(tcp_connect_start(&c), -ENOENT);
	c.congestion = "a-name-of-sixteen";
	assert_int_equal(tcp_connect_start(&c), -ENAMETOOLONG);
	c.congestion = NULL;
	c.device = "nosuchdev0";
	assert_int_equal(tcp_connect_start(&c), -ENODEV);
	c.device = "longer-than-a-device";
	assert_int_equal(tcp_connect_start(&c), -ENAMETOOLONG);
	close(listener);
}

static void
test_local_address(void **state)
{
	struct tcp_connect c = {.kind = TCP_PLAIN};
	int listener = listen_on(TCP_PLAIN, "127.0.0.1", &c.remote);
	struct addr local, got;
	int fd;

	(void)state;
	local = addrs_ip("127.0.0.9", 0);
	c.local = &local;
	fd = tcp_connect_start(&c);
	assert_true(fd >= 0);
	assert_int_equal(sock_local(fd, &got), 0);
	assert_true(addr_same_ip(&got, &local));
	assert_int_not_equal(got.port, 0);
	close(fd);

	local = addrs_ip("192.0.2.9", 0);
	assert_int_equal(tcp_connect_start(&c), -EADDRNOTAVAIL);
	close(listener);
}

static void
test_listen_twice(void **state)
{
	struct addr at, any4, any6;
	int fd, fd6;
	struct pair p;

	(void)state;
	/* The server's end goes first, and its TIME_WAIT stays. */
	pair_open(&p, TCP_PLAIN, "127.0.0.1");
	at = p.at;
	close(p.server);
	wait_for(p.client, POLLIN);
	close(p.client);
	assert_int_equal(tcp_listen(TCP_PLAIN, &at, 8), -EADDRINUSE);
	close(p.listener);
	fd = tcp_listen(TCP_PLAIN, &at, 8);
	assert_true(fd >= 0);
	close(fd);

	/* Both families on one port: the IPv6 one is for IPv6 only. */
	fd = listen_on(TCP_MPTCP, "0.0.0.0", &any4);
	any6 = addrs_ip("::", any4.port);
	fd6 = tcp_listen(TCP_MPTCP, &any6, 8);
	assert_true(fd6 >= 0);
	assert_int_equal(int_option(fd6, IPPROTO_IPV6, IPV6_V6ONLY), 1);
	close(fd);
	close(fd6);

	at = addrs_ip("192.0.2.1", 0); /* not of this machine */
	assert_int_equal(tcp_listen(TCP_PLAIN, &at, 8), -EADDRNOTAVAIL);
}

/* Reads until the end, and returns what the end was: 0 or -errno. */
static int
read_to_end(int fd)
{
	char buf[64];
	ssize_t n;

	do {
		wait_for(fd, POLLIN);
		n = read(fd, buf, sizeof(buf));
	} while (n > 0 || (n < 0 && errno == EAGAIN));
	return n < 0 ? -errno : 0;
}

static void
test_reset_is_a_reset(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct pair p;

		pair_open(&p, kinds[i], "127.0.0.1");
		tcp_reset(p.client);
		p.client = -1;
		assert_int_equal(read_to_end(p.server), -ECONNRESET);
		pair_close(&p);

		pair_open(&p, kinds[i], "127.0.0.1");
		assert_int_equal(write(p.client, "last", 4), 4);
		tcp_reset(p.client);
		p.client = -1;
		assert_int_equal(read_to_end(p.server), -ECONNRESET);
		pair_close(&p);

		/* close() alone would be an end. */
		pair_open(&p, kinds[i], "127.0.0.1");
		close(p.client);
		p.client = -1;
		assert_int_equal(read_to_end(p.server), 0);
		pair_close(&p);
	}
}

static void
test_no_descriptor_left(void **state)
{
	struct rlimit before, tight;
	struct tcp_connect c = {.kind = TCP_PLAIN};
	int listener = listen_on(TCP_PLAIN, "127.0.0.1", &c.remote);
	int first, second, spare_fd;
	struct tcp_spare spare;
	struct addr from;

	(void)state;
	assert_int_equal(tcp_spare_init(&spare), 0);
	spare_fd = spare.fd;
	first = tcp_connect_start(&c);
	assert_true(first >= 0);
	wait_for(listener, POLLIN);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	tight = before;
	tight.rlim_cur = (rlim_t)first + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
	assert_int_equal(tcp_accept(listener, &from), -EMFILE);
	assert_true(tcp_spare_shed(&spare, listener));
	assert_int_equal(spare.fd, spare_fd);
	assert_int_equal(tcp_accept(listener, &from), -EMFILE);
	assert_false(tcp_spare_shed(&spare, listener)); /* nobody waits */
	assert_int_equal(spare.fd, spare_fd);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(tcp_accept(listener, &from), -EAGAIN);
	assert_int_equal(read_to_end(first), -ECONNRESET);

	second = tcp_connect_start(&c);
	assert_true(second >= 0);
	wait_for(listener, POLLIN);
	close(first);
	first = tcp_accept(listener, &from);
	assert_true(first >= 0);
	close(first);
	close(second);
	tcp_spare_done(&spare);
	tcp_spare_done(&spare);
	close(listener);
}

static void
test_options(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct pair p;
		int fd;

		pair_open(&p, kinds[i], "127.0.0.1");
		fd = p.client;
		tcp_set_nodelay(fd, true);
		assert_int_equal(int_option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
		tcp_set_nodelay(fd, false);
		assert_int_equal(int_option(fd, IPPROTO_TCP, TCP_NODELAY), 0);
		if (tcp_force_send_buffer(fd, 1 << 24) != -EPERM)
			assert_int_equal(int_option(fd, SOL_SOCKET, SO_SNDBUF),
					 1 << 24);
		tcp_set_keepalive(fd, 90 * NS_PER_SEC);
		assert_int_equal(int_option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
		assert_int_equal(int_option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 90);
		assert_int_equal(int_option(fd, IPPROTO_TCP, TCP_KEEPINTVL) *
					 int_option(fd, IPPROTO_TCP, TCP_KEEPCNT),
				 30);
		pair_close(&p);
	}
}

static void
test_unacked(void **state)
{
	static char block[65536];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		size_t written = 0, got = 0;
		struct pair p;
		ssize_t n;

		pair_open(&p, kinds[i], "127.0.0.1");
		assert_int_equal(tcp_unacked(p.client), 0);
		while ((n = write(p.client, block, sizeof(block))) > 0)
			written += (size_t)n;
		assert_int_equal(errno, EAGAIN);
		assert_true(tcp_unacked(p.client) > 0);
		assert_true((size_t)tcp_unacked(p.client) <= written);
		while (got < written) {
			wait_for(p.server, POLLIN);
			n = read(p.server, block, sizeof(block));
			assert_true(n > 0);
			got += (size_t)n;
		}
		for (int ms = 0; tcp_unacked(p.client) != 0; ms++) {
			assert_true(ms < WAIT_MS);
			poll(NULL, 0, 1);
		}
		pair_close(&p);
	}
	assert_int_equal(tcp_unacked(-1), -EBADF);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connects_and_carries),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_under_way),
		cmocka_unit_test(test_device_and_congestion),
		cmocka_unit_test(test_local_address),
		cmocka_unit_test(test_listen_twice),
		cmocka_unit_test(test_reset_is_a_reset),
		cmocka_unit_test(test_no_descriptor_left),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_unacked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
