/*
 * test_egress - real sockets in a network namespace of the test's own:
 *
 *	lo   10.1.0.1, fd00::1   private, opened by allow_private
 *	     8.8.4.4             global as far as the classifier can tell
 *	     127.0.0.1:53        the test's name server
 *	10.2.0.0/16  unreachable     10.3.0.0/16  prohibited
 *	172.31.0.0/16 and others     no route
 */
#include "tests/unit/unit.h"

#include "common/bytes.h"
#include "daemon/egress.h"
#include "daemon/io/sock.h"
#include "daemon/io/tcp.h"
#include "tests/unit/addrs.h"
#include "tests/unit/clock.h"
#include "tests/unit/spin.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

/* One question: A records for it, one answer a look-up and then the last one. */
struct zone_entry {
	const char *name;
	const char *answers[3]; /* addresses, a space between */
	bool silent;
	unsigned asked;
};

struct fixture {
	struct loop *loop;
	struct resolver *resolver;
	struct egress *egress;
	struct config_peer peer;
	struct egress_load load;
	struct addr own; /* family 0: none */
	int dns;
	struct watch dns_watch;
	struct zone_entry *zone;
	size_t n_zone;
	struct timer guard;
	unsigned waiting;
};

struct result {
	struct fixture *f;
	bool done;
	enum open_status status;
	int fd;
};

static bool have_namespace;

static void
write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0)
		perror(path);
	close(fd);
}

static bool
enter_namespace(void)
{
	const int spaces = CLONE_NEWNET | CLONE_NEWNS;
	char uid[32], gid[32];

	if (unshare(spaces) == 0)
		return true;
	snprintf(uid, sizeof(uid), "0 %u 1", (unsigned)getuid());
	snprintf(gid, sizeof(gid), "0 %u 1", (unsigned)getgid());
	if (unshare(spaces | CLONE_NEWUSER) < 0)
		return false;
	write_file("/proc/self/setgroups", "deny");
	write_file("/proc/self/uid_map", uid);
	write_file("/proc/self/gid_map", gid);
	return true;
}

static void
use_own_name_server(void)
{
	char file[] = "/tmp/mpp-resolv-XXXXXX";
	int fd = mkstemp(file);

	assert_true(fd >= 0);
	write_file(file, "nameserver 127.0.0.1\n");
	close(fd);
	assert_int_equal(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	assert_int_equal(mount(file, "/etc/resolv.conf", NULL, MS_BIND, NULL), 0);
	unlink(file);
}

static int
make_namespace(void **state)
{
	(void)state;
	have_namespace = enter_namespace();
	if (!have_namespace)
		return 0;
	use_own_name_server();
	return system("ip link set lo up &&"
		      "ip addr add 10.1.0.1/32 dev lo &&"
		      "ip addr add 8.8.4.4/32 dev lo &&"
		      "ip addr add fd00::1/128 dev lo &&"
		      "ip route add unreachable 10.2.0.0/16 &&"
		      "ip route add prohibit 10.3.0.0/16");
}

static bool
is_own(void *arg, const struct addr *a)
{
	const struct fixture *f = arg;

	return f->own.family != 0 && addr_same_ip(&f->own, a);
}

static size_t
read_name(const uint8_t *msg, size_t len, char *name, size_t cap)
{
	size_t at = 12;
	size_t n = 0;

	while (at < len && msg[at] != 0) {
		const size_t label = msg[at];

		if (at + 1 + label >= len || n + label + 2 > cap)
			return 0;
		memcpy(name + n, msg + at + 1, label);
		n += label;
		name[n++] = '.';
		at += 1 + label;
	}
	if (n == 0 || at + 5 > len)
		return 0;
	name[n - 1] = '\0';
	return at + 5;
}

static size_t
put_answers(uint8_t *msg, size_t len, const char *answers)
{
	char text[128];
	char *rest = text;
	uint16_t count = 0;

	snprintf(text, sizeof(text), "%s", answers);
	for (char *one; (one = strsep(&rest, " ")) != NULL; count++) {
		struct addr a;

		a = addrs_ip(one, 0);
		put_be16(msg + len, 0xc00c); /* the question's name */
		put_be16(msg + len + 2, 1);  /* A */
		put_be16(msg + len + 4, 1);  /* IN */
		put_be32(msg + len + 6, 0);  /* lives not at all */
		put_be16(msg + len + 10, 4);
		memcpy(msg + len + 12, a.ip, 4);
		len += 16;
	}
	put_be16(msg + 6, count);
	return len;
}

static struct zone_entry *
find_entry(struct fixture *f, const char *name)
{
	for (size_t i = 0; i < f->n_zone; i++) {
		if (strcasecmp(f->zone[i].name, name) == 0)
			return &f->zone[i];
	}
	return NULL;
}

static void
dns_ready(void *arg, int what)
{
	struct fixture *f = arg;
	struct sockaddr_storage from;
	socklen_t from_len = sizeof(from);
	uint8_t msg[1024];
	char name[256];
	ssize_t got =
		recvfrom(f->dns, msg, 512, 0, (struct sockaddr *)&from, &from_len);
	size_t len;
	struct zone_entry *e;

	(void)what;
	if (got < 12 || (len = read_name(msg, (size_t)got, name, sizeof(name))) == 0)
		return;
	e = find_entry(f, name);
	put_be16(msg + 2, e == NULL ? 0x8183 : 0x8180);
	put_be16(msg + 6, 0);
	put_be16(msg + 8, 0);
	put_be16(msg + 10, 0);
	if (e != NULL && e->silent)
		return;
	if (e != NULL && get_be16(msg + len - 4) == 1) {
		const size_t i = e->asked++;

		len = put_answers(msg, len,
				  e->answers[min_size(i, e->answers[1] ? 1 : 0)]);
	}
	assert_true(sendto(f->dns, msg, len, 0, (struct sockaddr *)&from, from_len) >
		    0);
}

static void
guard_expired(void *arg)
{
	(void)arg;
	fail_msg("no result in time");
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const struct acl_machine machine = {.is_own = is_own, .arg = f};
	struct sockaddr_storage ss;
	struct addr at;
	socklen_t len;

	*state = f;
	if (!have_namespace)
		return 0;
	at = addrs_of("127.0.0.1:53");
	len = addr_to_sockaddr(&at, &ss);
	f->dns = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(f->dns, (struct sockaddr *)&ss, len), 0);
	f->loop = loop_new();
	f->resolver = resolver_new(f->loop, NULL);
	f->egress = egress_new(f->loop, f->resolver, &machine);
	assert_non_null(f->egress);
	assert_int_equal(watch_init(&f->dns_watch, f->loop, f->dns, dns_ready, f), 0);
	watch_want(&f->dns_watch, LOOP_READ);
	assert_int_equal(timer_init(&f->guard, f->loop, guard_expired, f), 0);
	assert_int_equal(prefix_parse("10.0.0.0/8", &f->peer.allow_private[0]), 0);
	assert_int_equal(prefix_parse("fd00::/8", &f->peer.allow_private[1]), 0);
	assert_int_equal(prefix_parse("172.16.0.0/12", &f->peer.allow_private[2]), 0);
	f->peer.n_allow_private = 3;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	if (have_namespace) {
		egress_free(f->egress);
		assert_int_equal(f->load.lookups, 0);
		assert_int_equal(f->load.connects, 0);
		resolver_free(f->resolver);
		watch_done(&f->dns_watch);
		timer_done(&f->guard);
		loop_free(f->loop);
		close(f->dns);
	}
	free(f);
	return 0;
}

static struct fixture *
ready(void **state)
{
	if (!have_namespace)
		skip();
	return *state;
}

static void
on_done(void *arg, enum open_status status, int fd)
{
	struct result *r = arg;

	assert_false(r->done);
	assert_int_equal(fd >= 0, status == OPEN_OK);
	r->done = true;
	r->status = status;
	r->fd = fd;
	if (--r->f->waiting == 0)
		loop_stop(r->f->loop);
}

static struct egress_request *
start(struct fixture *f, const char *host, uint16_t port, struct result *r)
{
	struct config_host dest = {.port = port};
	struct egress_request *req;

	snprintf(dest.host, sizeof(dest.host), "%s", host);
	*r = (struct result){.f = f, .fd = -1};
	f->waiting++;
	req = egress_start(f->egress, &dest, &f->peer, &f->load, on_done, r);
	assert_non_null(req);
	assert_false(r->done);
	return req;
}

static void
wait_for_all(struct fixture *f)
{
	timer_set(&f->guard, 15 * NS_PER_SEC);
	assert_int_equal(loop_run(f->loop), 0);
	timer_stop(&f->guard);
	assert_int_equal(f->waiting, 0);
}

static enum open_status
open_once(struct fixture *f, const char *host, uint16_t port, int *ret_fd)
{
	struct result r;

	start(f, host, port, &r);
	wait_for_all(f);
	if (ret_fd != NULL)
		*ret_fd = r.fd;
	else if (r.fd >= 0)
		close(r.fd);
	return r.status;
}

static int
listen_at(const char *ip, int backlog, uint16_t *ret_port)
{
	struct addr a;
	int fd;

	a = addrs_ip(ip, 0);
	fd = tcp_listen(TCP_PLAIN, &a, backlog);
	assert_true(fd >= 0);
	assert_int_equal(sock_local(fd, &a), 0);
	*ret_port = a.port;
	return fd;
}

static bool
somebody_came(int listener)
{
	struct pollfd p = {.fd = listener, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

static void
check_connects(struct fixture *f, const char *ip)
{
	uint16_t port;
	int listener = listen_at(ip, 8, &port);
	struct addr want, got;
	int fd;

	want = addrs_ip(ip, 0);
	want.port = port;
	assert_int_equal(open_once(f, ip, port, &fd), OPEN_OK);
	assert_int_equal(tcp_remote(fd, &got), 0);
	assert_true(addr_equal(&want, &got));
	assert_true(somebody_came(listener));
	close(fd);
	close(listener);
}

static void
test_literals(void **state)
{
	struct fixture *f = ready(state);

	check_connects(f, "10.1.0.1");
	check_connects(f, "8.8.4.4");
	check_connects(f, "fd00::1");
}

static void
test_reasons(void **state)
{
	struct fixture *f = ready(state);

	assert_int_equal(open_once(f, "10.1.0.1", 9, NULL), OPEN_REFUSED);
	assert_int_equal(open_once(f, "fd00::1", 9, NULL), OPEN_REFUSED);
	assert_int_equal(open_once(f, "10.2.0.1", 9, NULL), OPEN_HOST_UNREACHABLE);
	assert_int_equal(open_once(f, "10.3.0.1", 9, NULL), OPEN_DENIED);
	assert_int_equal(open_once(f, "172.31.0.1", 9, NULL), OPEN_NET_UNREACHABLE);
	assert_int_equal(open_once(f, "2a00::1", 9, NULL), OPEN_NET_UNREACHABLE);
}

static void
test_denied(void **state)
{
	struct fixture *f = ready(state);
	uint16_t port;
	int listener = listen_at("127.0.0.1", 8, &port);
	char mapped[] = "::ffff:127.0.0.1";

	assert_int_equal(open_once(f, "127.0.0.1", port, NULL), OPEN_DENIED);
	assert_int_equal(open_once(f, mapped, port, NULL), OPEN_DENIED);
	assert_int_equal(open_once(f, "0.0.0.0", port, NULL), OPEN_DENIED);
	assert_int_equal(open_once(f, "::", port, NULL), OPEN_DENIED);
	assert_int_equal(open_once(f, "192.168.0.1", port, NULL), OPEN_DENIED);
	f->own = addrs_ip("8.8.4.4", 0);
	assert_int_equal(open_once(f, "8.8.4.4", port, NULL), OPEN_DENIED);
	assert_false(somebody_came(listener));
	close(listener);
}

/* A resolver may read these as addresses, so that none is asked. */
static void
test_unfit_names(void **state)
{
	static const char *const names[] = {
		"0x7f.1",
		"127.1",
		"2130706433",
		"0177.0.0.1",
		"0x7f000001",
		"127.0.0.1.",
		"1.2.3.4.5",
		"999.1.1.1",
		"0x",
		"a.0x1F",
		"a.b.7",
		"",
		".",
		"..",
		".a",
		"a..b",
		"a b",
		"a\nb",
		"a/b",
		"a@b",
		"[::1]",
		"fe80::1%lo",
		"a\x80",
		"::1::",
		"0123456789012345678901234567890123456789012345678901234567890123.test",
	};
	struct fixture *f = ready(state);

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct result r;

		start(f, names[i], 80, &r);
		assert_int_equal(f->load.lookups, 0);
		wait_for_all(f);
		if (r.status != OPEN_NO_SUCH_NAME)
			fail_msg("\"%s\": %s", names[i], open_status_text(r.status));
	}
	assert_int_equal(open_once(f, "a.test", 0, NULL), OPEN_FAILED);
}

static void
test_names(void **state)
{
	struct fixture *f = ready(state);
	struct zone_entry zone[] = {{.name = "a.test", .answers = {"8.8.4.4"}},
				    {.name = "Host_1-x.test", .answers = {"8.8.4.4"}}};
	uint16_t port;
	int listener = listen_at("8.8.4.4", 8, &port);

	f->zone = zone;
	f->n_zone = ARRAY_LEN(zone);
	assert_int_equal(open_once(f, "a.test", port, NULL), OPEN_OK);
	assert_int_equal(open_once(f, "a.test.", port, NULL), OPEN_OK);
	assert_int_equal(open_once(f, "host_1-x.test", port, NULL), OPEN_OK);
	assert_int_equal(open_once(f, "missing.test", port, NULL), OPEN_NO_SUCH_NAME);
	close(listener);
}

/* The second look-up of the same name points into the server's own network. */
static void
test_rebinding(void **state)
{
	struct fixture *f = ready(state);
	struct zone_entry zone[] = {
		{.name = "turns.test", .answers = {"8.8.4.4", "10.1.0.1"}},
		{.name = "mixed.test", .answers = {"10.1.0.1 127.0.0.1 8.8.4.4"}},
		{.name = "local.test", .answers = {"127.0.0.1"}},
	};
	uint16_t port, same;
	int outside = listen_at("8.8.4.4", 8, &port);
	struct addr at;
	int inside, loopback, fd;

	at = addrs_ip("10.1.0.1", 0);
	at.port = port;
	inside = tcp_listen(TCP_PLAIN, &at, 8);
	at = addrs_ip("127.0.0.1", 0);
	at.port = port;
	loopback = tcp_listen(TCP_PLAIN, &at, 8);
	assert_true(inside >= 0 && loopback >= 0);

	f->peer.n_allow_private = 0;
	f->zone = zone;
	f->n_zone = ARRAY_LEN(zone);
	assert_int_equal(open_once(f, "turns.test", port, &fd), OPEN_OK);
	assert_int_equal(tcp_remote(fd, &at), 0);
	same = at.port;
	assert_string_equal((at.port = 0, addr_format(&at).s), "8.8.4.4");
	assert_int_equal(same, port);
	close(fd);
	assert_int_equal(zone[0].asked, 1);
	assert_int_equal(open_once(f, "turns.test", port, NULL), OPEN_DENIED);
	assert_int_equal(open_once(f, "mixed.test", port, &fd), OPEN_OK);
	assert_int_equal(tcp_remote(fd, &at), 0);
	assert_string_equal((at.port = 0, addr_format(&at).s), "8.8.4.4");
	close(fd);
	assert_int_equal(open_once(f, "local.test", port, NULL), OPEN_DENIED);
	assert_false(somebody_came(inside));
	assert_false(somebody_came(loopback));
	close(outside);
	close(inside);
	close(loopback);
}

/* A listener whose queue is full: what comes now is not even refused. */
static int
silent_listener(const char *ip, uint16_t *ret_port, int *ret_filler)
{
	int fd = listen_at(ip, 0, ret_port);
	struct tcp_connect c = {.kind = TCP_PLAIN};
	struct pollfd p = {.events = POLLOUT};

	assert_int_equal(sock_local(fd, &c.remote), 0);
	p.fd = tcp_connect_start(&c);
	assert_true(p.fd >= 0);
	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_int_equal(tcp_connect_result(p.fd), 0);
	*ret_filler = p.fd;
	return fd;
}

static void
test_second_address_is_tried(void **state)
{
	struct fixture *f = ready(state);
	struct zone_entry zone[] = {
		{.name = "silent.test", .answers = {"10.1.0.1 8.8.4.4"}},
		{.name = "refused.test", .answers = {"8.8.4.4 10.2.0.1"}},
	};
	struct addr at;
	uint16_t port;
	int filler, silent = silent_listener("10.1.0.1", &port, &filler);
	int answers;
	ns_t began;

	at = addrs_ip("8.8.4.4", 0);
	at.port = port;
	answers = tcp_listen(TCP_PLAIN, &at, 8);
	assert_true(answers >= 0);
	f->zone = zone;
	f->n_zone = ARRAY_LEN(zone);
	began = loop_now(f->loop);
	assert_int_equal(open_once(f, "silent.test", port, NULL), OPEN_OK);
	assert_true(loop_now(f->loop) - began < 3 * NS_PER_SEC);
	/* Of two failures the one that says more is told. */
	assert_int_equal(open_once(f, "refused.test", 9, NULL), OPEN_REFUSED);
	close(answers);
	close(filler);
	close(silent);
}

static void
test_deadlines(void **state)
{
	struct fixture *f = ready(state);
	struct zone_entry zone[] = {{.name = "mute.test", .silent = true}};
	struct result connecting, looking;
	uint16_t port;
	int filler, silent = silent_listener("10.1.0.1", &port, &filler);
	ns_t began = loop_now(f->loop);

	f->zone = zone;
	f->n_zone = 1;
	start(f, "10.1.0.1", port, &connecting);
	start(f, "mute.test", port, &looking);
	clock_skip(CONNECT_DEADLINE - NS_PER_SEC / 2);
	wait_for_all(f);
	assert_true(loop_now(f->loop) - began >= CONNECT_DEADLINE);
	assert_true(loop_now(f->loop) - began < CONNECT_DEADLINE + NS_PER_SEC);
	assert_int_equal(connecting.status, OPEN_TIMED_OUT);
	assert_int_equal(looking.status, OPEN_NAME_FAILED);
	close(filler);
	close(silent);
}

static size_t
open_descriptors(void)
{
	size_t n = 0;

	for (int fd = 0; fd < 2048; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void
test_limits(void **state)
{
	struct fixture *f = ready(state);
	struct zone_entry zone[] = {{.name = "mute.test", .silent = true}};
	struct egress_request *reqs[EGRESS_CONNECTS_MAX];
	struct result results[EGRESS_CONNECTS_MAX];
	struct result late;
	uint16_t port;
	int filler, silent = silent_listener("10.1.0.1", &port, &filler);
	size_t before;

	f->zone = zone;
	f->n_zone = 1;
	for (size_t i = 0; i < EGRESS_LOOKUPS_MAX; i++)
		reqs[i] = start(f, "mute.test", port, &results[i]);
	assert_int_equal(f->load.lookups, EGRESS_LOOKUPS_MAX);
	f->waiting = 0;
	assert_int_equal(open_once(f, "mute.test", port, NULL), OPEN_LIMIT);
	for (size_t i = 0; i < EGRESS_LOOKUPS_MAX; i++)
		egress_cancel(reqs[i]);
	assert_int_equal(f->load.lookups, 0);

	before = open_descriptors();
	for (size_t i = 0; i < EGRESS_CONNECTS_MAX; i++)
		reqs[i] = start(f, "10.1.0.1", port, &results[i]);
	timer_set(&f->guard, 15 * NS_PER_SEC);
	while (f->load.connects < EGRESS_CONNECTS_MAX)
		spin_for(f->loop, NS_PER_MS);
	timer_stop(&f->guard);
	f->waiting = 0;
	start(f, "10.1.0.1", port, &late);
	wait_for_all(f);
	assert_int_equal(late.status, OPEN_LIMIT);
	for (size_t i = 0; i < EGRESS_CONNECTS_MAX; i++)
		egress_cancel(reqs[i]);
	assert_int_equal(f->load.connects, 0);
	assert_int_equal(open_descriptors(), before);
	for (size_t i = 0; i < EGRESS_CONNECTS_MAX; i++)
		assert_false(results[i].done);
	close(filler);
	close(silent);
}

/* Cancelled before its first step, in a look-up, while connecting; or freed. */
static void
test_cancel(void **state)
{
	struct fixture *f = ready(state);
	struct zone_entry zone[] = {{.name = "mute.test", .silent = true}};
	struct result dropped[4], last;
	uint16_t port;
	int filler, silent = silent_listener("10.1.0.1", &port, &filler);
	struct egress_request *r;

	f->zone = zone;
	f->n_zone = 1;
	egress_cancel(start(f, "127.0.0.1", port, &dropped[0]));
	egress_cancel(start(f, "mute.test", port, &dropped[1]));
	r = start(f, "10.1.0.1", port, &dropped[2]);
	f->waiting = 0;
	start(f, "127.0.0.1", port, &last);
	wait_for_all(f);
	assert_int_equal(last.status, OPEN_DENIED);
	assert_int_equal(f->load.connects, 1);
	egress_cancel(r);
	start(f, "10.1.0.1", port, &dropped[2]);
	start(f, "mute.test", port, &dropped[3]);
	for (size_t i = 0; i < ARRAY_LEN(dropped); i++)
		assert_false(dropped[i].done);
	f->waiting = 0;
	close(filler);
	close(silent);
	/* teardown frees egress with two requests under way */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_literals),
		TEST(test_reasons),
		TEST(test_denied),
		TEST(test_unfit_names),
		TEST(test_names),
		TEST(test_rebinding),
		TEST(test_second_address_is_tried),
		TEST(test_deadlines),
		TEST(test_limits),
		TEST(test_cancel),
	};

	return cmocka_run_group_tests(tests, make_namespace, NULL);
}
