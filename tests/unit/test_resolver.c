#include "tests/unit/unit.h"

#include "common/bytes.h"
#include "daemon/io/resolver.h"
#include "daemon/io/sock.h"
#include "daemon/io/tcp.h"
#include "tests/unit/addrs.h"
#include "tests/unit/spin.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	QR = 0x8000,
	TC = 0x0200,
	RCODE_SERVFAIL = 2,
	RCODE_NXDOMAIN = 3,
	TYPE_A = 1,
	TYPE_AAAA = 28,
	PACKET_MAX = 2048,
	HEADER_LEN = 12,
	MANY = 20, /* more than RESOLVER_ADDRS_MAX */
};

#define GUARD (10 * NS_PER_SEC)

/*
 * A name server on loopback, UDP and TCP. The first label of the name says what
 * it answers.
 */
struct server {
	struct loop *loop;
	struct watch udp, listener, tcp;
	int udp_fd, listener_fd, tcp_fd;
	struct addr_text at;
	int queries;
	int over_tcp;
	int lost; /* so many are ignored */
};

static bool
asks_for(const uint8_t *q, const char *label)
{
	size_t len = strlen(label);

	return q[HEADER_LEN] == len && memcmp(q + HEADER_LEN + 1, label, len) == 0;
}

static size_t
question_end(const uint8_t *q, size_t len)
{
	size_t at = HEADER_LEN;

	while (at < len && q[at] != 0)
		at += 1u + q[at];
	assert_true(at + 5 <= len);
	return at + 5;
}

static size_t
put_address(uint8_t *p, unsigned int type, unsigned int n)
{
	size_t len = type == TYPE_A ? 4 : 16;

	put_be16(p, 0xc000 | HEADER_LEN);
	put_be16(p + 2, (uint16_t)type);
	put_be16(p + 4, 1);
	put_be32(p + 6, 60);
	put_be16(p + 10, (uint16_t)len);
	if (type == TYPE_A)
		put_be32(p + 12, 0xc0000200 + n); /* 192.0.2.n */
	else
		inet_pton(AF_INET6, "2001:db8::1", p + 12);
	return 12 + len;
}

/* Bytes of the answer in `a`; 0: none. */
static size_t
answer(struct server *s, const uint8_t *q, size_t len, bool tcp, uint8_t *a)
{
	size_t end = question_end(q, len);
	unsigned int type = get_be16(q + end - 4), flags = QR, count = 0;

	s->queries++;
	s->over_tcp += tcp;
	if (asks_for(q, "silent") || s->lost-- > 0)
		return 0;
	memcpy(a, q, end);
	if (asks_for(q, "none"))
		flags |= RCODE_NXDOMAIN;
	else if (asks_for(q, "fail"))
		flags |= RCODE_SERVFAIL;
	else if (asks_for(q, "many"))
		flags |= tcp ? 0 : TC;
	if (asks_for(q, "both") || (asks_for(q, "four") && type == TYPE_A) ||
	    (asks_for(q, "six") && type == TYPE_AAAA))
		count = 1;
	if (asks_for(q, "many") && tcp && type == TYPE_A)
		count = MANY;
	if (asks_for(q, "forged"))
		a[0] ^= 1;
	put_be16(a + 2, (uint16_t)flags);
	put_be16(a + 4, 1);
	put_be16(a + 6, (uint16_t)count);
	put_be32(a + 8, 0);
	for (unsigned int i = 1; i <= count; i++)
		end += put_address(a + end, type, i);
	return asks_for(q, "torn") ? end - 3 : end;
}

static void
udp_ready(void *arg, int what)
{
	struct server *s = arg;
	struct sockaddr_storage from;
	socklen_t from_len = sizeof(from);
	uint8_t q[PACKET_MAX], a[PACKET_MAX];
	ssize_t n;
	size_t len;

	(void)what;
	n = recvfrom(s->udp_fd, q, sizeof(q), 0, (struct sockaddr *)&from, &from_len);
	assert_true(n >= HEADER_LEN);
	len = answer(s, q, (size_t)n, false, a);
	if (len > 0)
		assert_int_equal(sendto(s->udp_fd, a, len, 0, (struct sockaddr *)&from,
					from_len),
				 len);
}

static void
tcp_ready(void *arg, int what)
{
	struct server *s = arg;
	uint8_t q[PACKET_MAX], a[2 + PACKET_MAX];
	ssize_t n = read(s->tcp_fd, q, sizeof(q));
	size_t at = 0, len;

	(void)what;
	if (n <= 0) {
		watch_done(&s->tcp);
		close(s->tcp_fd);
		s->tcp_fd = -1;
		watch_want(&s->listener, LOOP_READ);
		return;
	}
	while (at + 2 < (size_t)n) {
		size_t one = get_be16(q + at);

		len = answer(s, q + at + 2, one, true, a + 2);
		put_be16(a, (uint16_t)len);
		assert_int_equal(write(s->tcp_fd, a, len + 2), len + 2);
		at += 2 + one;
	}
}

static void
listener_ready(void *arg, int what)
{
	struct server *s = arg;
	struct addr from;

	(void)what;
	s->tcp_fd = tcp_accept(s->listener_fd, &from);
	assert_true(s->tcp_fd >= 0);
	assert_int_equal(watch_init(&s->tcp, s->loop, s->tcp_fd, tcp_ready, s), 0);
	watch_want(&s->tcp, LOOP_READ);
	watch_want(&s->listener, 0);
}

static void
server_open(struct server *s, struct loop *l, const char *ip, uint16_t port)
{
	struct sockaddr_storage ss;
	struct addr at = addrs_ip(ip, port);

	*s = (struct server){.loop = l, .tcp_fd = -1};
	s->listener_fd = tcp_listen(TCP_PLAIN, &at, 8);
	assert_true(s->listener_fd >= 0);
	assert_int_equal(sock_local(s->listener_fd, &at), 0);
	s->at = addr_format(&at);
	s->udp_fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_int_equal(
		bind(s->udp_fd, (struct sockaddr *)&ss, addr_to_sockaddr(&at, &ss)), 0);
	assert_int_equal(watch_init(&s->udp, l, s->udp_fd, udp_ready, s), 0);
	assert_int_equal(watch_init(&s->listener, l, s->listener_fd, listener_ready, s),
			 0);
	watch_want(&s->udp, LOOP_READ);
	watch_want(&s->listener, LOOP_READ);
}

static void
server_close(struct server *s)
{
	watch_done(&s->udp);
	watch_done(&s->listener);
	watch_done(&s->tcp);
	close(s->udp_fd);
	close(s->listener_fd);
	if (s->tcp_fd >= 0)
		close(s->tcp_fd);
}

struct asked {
	struct loop *l;
	struct lookup *lk;
	int calls;
	int err;
	size_t n;
	struct addr addrs[RESOLVER_ADDRS_MAX];
	struct resolver *then_free;
	struct asked *then_cancel;
	struct resolver *then_ask;
};

static void on_done(void *arg, int err, const struct addr *addrs, size_t n);

static void
ask(struct asked *a, struct resolver *r, const char *host, ns_t deadline)
{
	assert_int_equal(resolver_start(r, host, deadline, on_done, a, &a->lk), 0);
	assert_int_equal(a->calls, 0);
}

static void
on_done(void *arg, int err, const struct addr *addrs, size_t n)
{
	struct asked *a = arg;

	a->calls++;
	a->err = err;
	a->n = n;
	assert_true(n <= RESOLVER_ADDRS_MAX);
	memcpy(a->addrs, addrs, n * sizeof(*addrs));
	if (a->then_cancel != NULL)
		resolver_cancel(a->then_cancel->lk);
	resolver_free(a->then_free);
	if (a->then_ask != NULL) {
		struct resolver *r = a->then_ask;

		a->then_ask = NULL;
		a->calls = 0;
		ask(a, r, "both.test", GUARD);
		return;
	}
	loop_stop(a->l);
}

static void
resolve(struct asked *a, struct resolver *r, struct loop *l, const char *host,
	ns_t deadline)
{
	*a = (struct asked){.l = l};
	ask(a, r, host, deadline);
	spin_for(l, GUARD);
	assert_int_equal(a->calls, 1);
}

struct setup {
	struct loop *l;
	struct server server;
	struct resolver *r;
};

static int
set_up(void **state)
{
	struct setup *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->l = loop_new();
	assert_non_null(s->l);
	server_open(&s->server, s->l, "127.0.0.1", 0);
	s->r = resolver_new(s->l, NULL);
	assert_non_null(s->r);
	assert_int_equal(resolver_set_servers(s->r, s->server.at.s), 0);
	*state = s;
	return 0;
}

static int
tear_down(void **state)
{
	struct setup *s = *state;

	resolver_free(s->r);
	server_close(&s->server);
	loop_free(s->l);
	free(s);
	return 0;
}

static void
test_answers(void **state)
{
	static const struct {
		const char *host;
		int err;
		size_t n;
	} cases[] = {
		{"both.test", 0, 2},       {"both.test.", 0, 2},
		{"four.test", 0, 1},       {"six.test", 0, 1},
		{"none.test", -ENOENT, 0}, {"many.test", 0, RESOLVER_ADDRS_MAX},
		{"localhost", 0, 2},       {"both.onion", -ENOENT, 0}, /* RFC 7686 */
	};
	struct setup *s = *state;
	struct asked a;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		resolve(&a, s->r, s->l, cases[i].host, GUARD);
		assert_int_equal(a.err, cases[i].err);
		if (strcmp(cases[i].host, "localhost") == 0)
			assert_true(a.n >= 1); /* as its hosts file says */
		else
			assert_int_equal(a.n, cases[i].n);
		for (size_t k = 0; k < a.n; k++)
			assert_int_equal(a.addrs[k].port, 0);
	}
	assert_true(s->server.over_tcp > 0);
	resolve(&a, s->r, s->l, "four.test", GUARD);
	assert_string_equal(addr_format(&a.addrs[0]).s, "192.0.2.1");
	resolve(&a, s->r, s->l, "six.test", GUARD);
	assert_string_equal(addr_format(&a.addrs[0]).s, "2001:db8::1");
}

static void
test_failures(void **state)
{
	struct setup *s = *state;
	struct asked a;

	resolve(&a, s->r, s->l, "nodata.test", GUARD);
	assert_int_equal(a.err, -ENODATA);
	resolve(&a, s->r, s->l, "fail.test", GUARD);
	assert_int_equal(a.err, -ECONNREFUSED);
	resolve(&a, s->r, s->l, "forged.test", 50 * NS_PER_MS);
	assert_int_equal(a.err, -ETIMEDOUT);
	resolve(&a, s->r, s->l, "torn.test", 50 * NS_PER_MS);
	assert_true(a.err < 0 && a.n == 0);
	/* Nobody listens on the port: refused, long before the deadline. */
	watch_done(&s->server.udp);
	close(s->server.udp_fd);
	resolve(&a, s->r, s->l, "both.test", GUARD);
	assert_int_equal(a.err, -ECONNREFUSED);
	s->server.udp_fd = -1;
}

static void
test_a_lost_query_is_asked_again(void **state)
{
	struct setup *s = *state;
	struct asked a;

	s->server.lost = 1;
	resolve(&a, s->r, s->l, "both.test", GUARD);
	assert_int_equal(a.err, 0);
	assert_int_equal(a.n, 2);
	assert_int_equal(s->server.queries, 3);
}

static void
test_deadline(void **state)
{
	struct setup *s = *state;
	ns_t start = loop_now(s->l), took;
	struct asked a;

	resolve(&a, s->r, s->l, "silent.test", 30 * NS_PER_MS);
	took = loop_now(s->l) - start;
	assert_int_equal(a.err, -ETIMEDOUT);
	assert_true(took >= 30 * NS_PER_MS && took < NS_PER_SEC);
}

static void
test_hostile_names(void **state)
{
	static const char *const hosts[] = {
		"", " ", "a b", "a\nb", "a/b", "a\\.b", "\xc3\xa9.test", "a:80", "%lo"};
	struct setup *s = *state;
	struct lookup *lk = NULL;
	struct asked a = {.l = s->l};
	char longest[256];

	for (size_t i = 0; i < ARRAY_LEN(hosts); i++)
		assert_int_equal(
			resolver_start(s->r, hosts[i], GUARD, on_done, &a, &lk),
			-EINVAL);
	memset(longest, 'a', sizeof(longest) - 1);
	longest[255] = '\0';
	assert_int_equal(resolver_start(s->r, longest, GUARD, on_done, &a, &lk),
			 -EINVAL);
	assert_null(lk);
	/* A label of more than 63 bytes, an empty one: told by c-ares. */
	longest[70] = '\0';
	resolve(&a, s->r, s->l, longest, GUARD);
	assert_true(a.err < 0);
	resolve(&a, s->r, s->l, "a..test", GUARD);
	assert_true(a.err < 0);
	resolve(&a, s->r, s->l, "..", GUARD);
	assert_true(a.err < 0);
}

static void
test_cancel_in_every_state(void **state)
{
	struct setup *s = *state;
	struct asked a = {.l = s->l}, b = a, c = a, d = a;

	/* Asked; answered at once; asked, and the answer comes later. */
	ask(&a, s->r, "both.test", GUARD);
	ask(&b, s->r, "localhost", GUARD);
	ask(&c, s->r, "silent.test", 20 * NS_PER_MS);
	ask(&d, s->r, "both.test", GUARD);
	resolver_cancel(a.lk);
	resolver_cancel(b.lk);
	resolver_cancel(c.lk);
	spin_for(s->l, GUARD);
	assert_int_equal(d.calls, 1);
	spin_for(s->l, 40 * NS_PER_MS);
	assert_int_equal(a.calls + b.calls + c.calls, 0);
	assert_true(s->server.queries >= 4);

	/* By another look-up that is answered in the same turn. */
	d = (struct asked){.l = s->l, .then_cancel = &b};
	ask(&d, s->r, "localhost", GUARD);
	ask(&b, s->r, "localhost", GUARD);
	ask(&c, s->r, "silent.test", GUARD);
	spin_for(s->l, GUARD);
	assert_int_equal(d.calls, 1);
	assert_int_equal(b.calls, 0);
	/* tear_down() frees the resolver with c under way. */
}

static void
test_free_and_ask_inside_on_done(void **state)
{
	struct setup *s = *state;
	struct asked a = {.l = s->l}, b = a, c = a;

	a.then_ask = s->r;
	ask(&a, s->r, "localhost", GUARD);
	spin_for(s->l, GUARD);
	assert_int_equal(a.calls, 1);
	assert_int_equal(a.n, 2);

	a = (struct asked){.l = s->l, .then_free = s->r};
	ask(&b, s->r, "silent.test", 20 * NS_PER_MS);
	ask(&a, s->r, "both.test", GUARD);
	ask(&c, s->r, "silent.test", GUARD);
	resolver_cancel(c.lk);
	spin_for(s->l, GUARD);
	spin_for(s->l, 40 * NS_PER_MS);
	assert_int_equal(a.calls, 1);
	assert_int_equal(b.calls + c.calls, 0);
	s->r = NULL;

	/* By a deadline, which is a timer of the look-up itself. */
	s->r = resolver_new(s->l, NULL);
	assert_int_equal(resolver_set_servers(s->r, s->server.at.s), 0);
	a = (struct asked){.l = s->l, .then_free = s->r};
	ask(&a, s->r, "silent.test", NS_PER_MS);
	spin_for(s->l, GUARD);
	assert_int_equal(a.err, -ETIMEDOUT);
	s->r = NULL;
}

static void
test_limit_of_look_ups(void **state)
{
	struct setup *s = *state;
	struct asked a = {.l = s->l};
	struct lookup *lk;

	/* The cancelled ones count for as long as c-ares works on them. */
	for (int i = 0; i < RESOLVER_PENDING_MAX; i++) {
		ask(&a, s->r, "silent.test", GUARD);
		if (i % 2 == 0)
			resolver_cancel(a.lk);
	}
	assert_int_equal(resolver_start(s->r, "both.test", GUARD, on_done, &a, &lk),
			 -ENOBUFS);
	spin_for(s->l, NS_PER_MS);
	assert_int_equal(a.calls, 0);
}

static void
test_other_servers(void **state)
{
	static const char *const bad[] = {
		"",         "nonsense", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:70000",
		"1.2.3.4.5"};
	struct setup *s = *state;
	struct asked old = {.l = s->l}, a;
	struct server second;
	int queries;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(resolver_set_servers(s->r, bad[i]), -EINVAL);
	}
	assert_int_equal(resolver_set_servers(s->r, "[::1]:5353,127.0.0.1"), 0);
	assert_int_equal(resolver_set_servers(s->r, NULL), 0);
	assert_int_equal(resolver_set_servers(s->r, s->server.at.s), 0);

	/* The old ones are asked still; this look-up stays theirs. */
	s->server.lost = 2;
	ask(&old, s->r, "both.test", GUARD);
	server_open(&second, s->l, "127.0.0.1", 0);
	assert_int_equal(resolver_set_servers(s->r, second.at.s), 0);
	resolve(&a, s->r, s->l, "four.test", GUARD);
	assert_int_equal(a.err, 0);
	assert_int_equal(second.queries, 2);
	queries = s->server.queries;
	spin_for(s->l, GUARD);
	assert_int_equal(old.calls, 1);
	assert_int_equal(old.err, 0);
	assert_true(s->server.queries > queries);
	assert_int_equal(second.queries, 2);

	for (int i = 1; i < RESOLVER_CHANNELS_MAX; i++) {
		ask(&(struct asked){.l = s->l}, s->r, "silent.test", GUARD);
		assert_int_equal(resolver_set_servers(s->r, second.at.s), 0);
	}
	assert_int_equal(resolver_set_servers(s->r, second.at.s), -EBUSY);
	resolver_free(s->r);
	s->r = NULL;
	server_close(&second);
}

static void
test_device(void **state)
{
	struct setup *s = *state;
	struct asked a;

	resolver_free(s->r);
	assert_null(resolver_new(s->l, "longer-than-a-device"));
	s->r = resolver_new(s->l, "lo");
	assert_int_equal(resolver_set_servers(s->r, s->server.at.s), 0);
	resolve(&a, s->r, s->l, "both.test", GUARD);
	assert_int_equal(a.err, 0);
	resolver_free(s->r);

	/* Rather no answer than a query out of another interface. */
	s->server.queries = 0;
	s->r = resolver_new(s->l, "nosuchdev0");
	assert_int_equal(resolver_set_servers(s->r, s->server.at.s), 0);
	resolve(&a, s->r, s->l, "both.test", GUARD);
	assert_true(a.err < 0);
	spin_for(s->l, 10 * NS_PER_MS);
	assert_int_equal(s->server.queries, 0);
}

static void
write_conf(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void
enter_namespaces(const char *conf)
{
	struct ifreq ifr = {.ifr_flags = IFF_UP | IFF_RUNNING};
	int fd;

	assert_int_equal(unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS), 0);
	assert_int_equal(mount(conf, "/etc/resolv.conf", NULL, MS_BIND, NULL), 0);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	strcpy(ifr.ifr_name, "lo");
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &ifr), 0);
	close(fd);
}

static void
follow_changes(const char *conf)
{
	struct loop *l = loop_new();
	struct server first, second;
	struct resolver *r;
	struct asked a;

	enter_namespaces(conf);
	server_open(&first, l, "127.0.0.2", 53);
	server_open(&second, l, "127.0.0.3", 53);
	r = resolver_new(l, NULL);
	resolve(&a, r, l, "both.test", GUARD);
	assert_int_equal(a.err, 0);
	assert_int_equal(first.queries, 2);
	resolve(&a, r, l, "both.test", GUARD);
	assert_int_equal(first.queries, 4);
	write_conf(conf, "# changed\nnameserver 127.0.0.3\n");
	resolve(&a, r, l, "both.test", GUARD);
	assert_int_equal(a.err, 0);
	assert_int_equal(first.queries, 4);
	assert_int_equal(second.queries, 2);
	resolver_free(r);
	server_close(&first);
	server_close(&second);
	loop_free(l);
}

/* In a process of its own, which has its own network and resolv.conf. */
static void
test_resolv_conf_changes(void **state)
{
	char conf[] = "/tmp/mpp-resolv.XXXXXX";
	int fd = mkstemp(conf), status;
	pid_t pid;

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	write_conf(conf, "nameserver 127.0.0.2\n");
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		alarm(20);
		follow_changes(conf);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	unlink(conf);
	assert_int_equal(status, 0);
}

#define WITH_SERVER(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SERVER(test_answers),
		WITH_SERVER(test_failures),
		WITH_SERVER(test_a_lost_query_is_asked_again),
		WITH_SERVER(test_deadline),
		WITH_SERVER(test_hostile_names),
		WITH_SERVER(test_cancel_in_every_state),
		WITH_SERVER(test_free_and_ask_inside_on_done),
		WITH_SERVER(test_limit_of_look_ups),
		WITH_SERVER(test_other_servers),
		WITH_SERVER(test_device),
		cmocka_unit_test(test_resolv_conf_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
