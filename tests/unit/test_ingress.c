/*
 * test_ingress - real sockets on loopback in front, a tunnel of the test's own
 * behind, whose streams do what the test says:
 *
 *	client socket ---- ingress ---- tunnel_open(), attach(), abort() below
 *
 * open_status_text() is here too, so that no part of the real tunnel is linked.
 */
#include "tests/unit/unit.h"

#include "common/bytes.h"
#include "daemon/ingress.h"
#include "daemon/io/tcp.h"
#include "tests/unit/spin.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { STREAMS_MAX = 64 };

struct tunnel_stream {
	struct tunnel_user user;
	struct config_host dest;
	bool aborted;
	int fd; /* -1: not attached */
	uint8_t early[INGRESS_HEADER_MAX];
	size_t early_len;
};

struct tunnel {
	bool full;
	size_t n;
	struct tunnel_stream *streams[STREAMS_MAX];
};

struct fixture {
	struct loop *loop;
	struct tunnel tunnel;
	struct config *config;
	struct ingress *ingress;
	char password_file[32];
	struct rlimit limit; /* of descriptors, before the test */
};

const char *
open_status_text(enum open_status s)
{
	static const char *const texts[OPEN_STATUS_COUNT] = {
		[OPEN_DENIED] = "why: denied", [OPEN_REFUSED] = "why: refused"};

	return texts[s] != NULL ? texts[s] : "why: else";
}

struct tunnel_stream *
tunnel_open(struct tunnel *t, const struct config_host *dest,
	    const struct config_listener *from, const struct tunnel_user *user)
{
	struct tunnel_stream *s;

	assert_non_null(from);
	if (t->full)
		return NULL;
	assert_true(t->n < STREAMS_MAX);
	s = calloc(1, sizeof(*s));
	s->user = *user;
	s->dest = *dest;
	s->fd = -1;
	t->streams[t->n++] = s;
	return s;
}

void
tunnel_stream_attach(struct tunnel_stream *s, int fd, const uint8_t *early,
		     size_t early_len)
{
	assert_false(s->aborted);
	assert_int_equal(s->fd, -1);
	assert_true(fd >= 0);
	s->fd = fd;
	s->early_len = early_len;
	if (early_len > 0)
		memcpy(s->early, early, early_len);
}

void
tunnel_stream_abort(struct tunnel_stream *s)
{
	assert_false(s->aborted);
	s->aborted = true;
	if (s->fd >= 0)
		tcp_reset(s->fd);
	s->fd = -1;
}

static void
add_listener(struct fixture *f, const char *name, enum config_ingress type, bool login)
{
	struct config_listener *ln = &f->config->listeners[f->config->n_listeners++];

	snprintf(ln->name, sizeof(ln->name), "%s", name);
	ln->type = type;
	/* Addresses that no other process listens at. */
	ln->address = (struct addr){.family = AF_INET, .port = 1080};
	ln->address.ip[0] = 127;
	put_be16(ln->address.ip + 1, (uint16_t)getpid());
	ln->address.ip[3] = (uint8_t)f->config->n_listeners;
	snprintf(ln->target.host, sizeof(ln->target.host), "target.test");
	ln->target.port = 7;
	if (!login)
		return;
	snprintf(ln->user, sizeof(ln->user), "alice");
	snprintf(ln->password_file, sizeof(ln->password_file), "%s", f->password_file);
}

enum { FORWARD, SOCKS, SOCKS_LOGIN, HTTP, HTTP_LOGIN };

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct errmsg why;
	int fd;

	*state = f;
	strcpy(f->password_file, "/tmp/mpp-password-XXXXXX");
	fd = mkstemp(f->password_file);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "s3cret\n", 7), 7);
	close(fd);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &f->limit), 0);
	f->loop = loop_new();
	assert_non_null(f->loop);
	f->config = calloc(1, sizeof(*f->config));
	add_listener(f, "forward", INGRESS_FORWARD, false);
	add_listener(f, "socks", INGRESS_SOCKS5, false);
	add_listener(f, "socks-login", INGRESS_SOCKS5, true);
	add_listener(f, "http", INGRESS_HTTP, false);
	add_listener(f, "http-login", INGRESS_HTTP, true);
	f->ingress = ingress_new(f->loop, f->config, &f->tunnel, &why);
	if (f->ingress == NULL)
		fail_msg("%s", why.text);
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	setrlimit(RLIMIT_NOFILE, &f->limit);
	ingress_free(f->ingress);
	loop_free(f->loop);
	for (size_t i = 0; i < f->tunnel.n; i++) {
		if (f->tunnel.streams[i]->fd >= 0)
			close(f->tunnel.streams[i]->fd);
		free(f->tunnel.streams[i]);
	}
	unlink(f->password_file);
	free(f->config);
	free(f);
	return 0;
}

/* Runs the loop until `condition`; fails after `seconds`. */
#define WAIT_FOR(f, seconds, condition)                                        \
	do {                                                                   \
		const ns_t until = loop_now((f)->loop) + (seconds)*NS_PER_SEC; \
                                                                               \
		while (!(condition)) {                                         \
			if (loop_now((f)->loop) > until)                       \
				fail_msg("line %d: not in time: " #condition,  \
					 __LINE__);                            \
			turn(f);                                               \
		}                                                              \
	} while (0)

static void
turn(struct fixture *f)
{
	spin_for(f->loop, NS_PER_MS);
}

static int
dial(struct fixture *f, size_t listener)
{
	const struct tcp_connect c = {.kind = TCP_PLAIN,
				      .remote = f->config->listeners[listener].address};
	int fd = tcp_connect_start(&c);
	struct pollfd p = {.fd = fd, .events = POLLOUT};

	assert_true(fd >= 0);
	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_int_equal(tcp_connect_result(fd), 0);
	tcp_set_nodelay(fd, true);
	return fd;
}

static void
put(int fd, const char *bytes, size_t len)
{
	assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
}
#define PUT(fd, text) put(fd, text, sizeof(text) - 1)

/* What is there to read without waiting, added to `buf`; -errno, or 1 at the end. */
static int
gather(int fd, char *buf, size_t cap, size_t *len)
{
	for (;;) {
		ssize_t got = recv(fd, buf + *len, cap - *len, MSG_DONTWAIT);

		if (got < 0)
			return errno == EAGAIN ? 0 : -errno;
		if (got == 0)
			return 1;
		*len += (size_t)got;
		assert_true(*len < cap);
	}
}

/* Reads to the end, which must come in order and not as a reset. */
static size_t
read_all(struct fixture *f, int fd, char *buf, size_t cap)
{
	size_t len = 0;
	int r = 0;

	WAIT_FOR(f, 5, (r = gather(fd, buf, cap, &len)) != 0);
	assert_int_equal(r, 1);
	buf[len] = '\0';
	return len;
}

static void
expect(struct fixture *f, int fd, const char *want, size_t want_len)
{
	char buf[1024];
	size_t len = 0;

	WAIT_FOR(f, 5, gather(fd, buf, sizeof(buf), &len) != 0 || len >= want_len);
	assert_int_equal(len, want_len);
	assert_memory_equal(buf, want, want_len);
}
#define EXPECT(f, fd, text) expect(f, fd, text, sizeof(text) - 1)

static bool
is_over(int fd)
{
	char buf[4096];
	size_t len = 0;

	return gather(fd, buf, sizeof(buf), &len) != 0;
}

static struct tunnel_stream *
next_stream(struct fixture *f)
{
	const size_t n = f->tunnel.n;

	WAIT_FOR(f, 5, f->tunnel.n > n);
	return f->tunnel.streams[n];
}

static void
opened(struct tunnel_stream *s, enum open_status status)
{
	s->user.on_opened(s->user.arg, status);
}

static struct ingress_counters
counters(const struct fixture *f, size_t listener)
{
	struct ingress_counters c;

	ingress_counters_get(f->ingress, listener, &c);
	return c;
}

#define SOCKS_REQUEST "\5\1\0\3\6a.test\0\120"
#define SOCKS_HELLO   "\5\1\0" SOCKS_REQUEST
#define HTTP_REQUEST  "CONNECT a.test:80 HTTP/1.1\r\nHost: a.test:80\r\n\r\n"

static void
test_forward(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f, FORWARD);
	struct tunnel_stream *s = next_stream(f);
	int on = 0;
	socklen_t len = sizeof(on);

	assert_true(s->fd >= 0);
	assert_int_equal(s->early_len, 0);
	assert_string_equal(s->dest.host, "target.test");
	assert_int_equal(getsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
	assert_int_equal(on, 1);
	PUT(s->fd, "hello");
	EXPECT(f, fd, "hello");
	opened(s, OPEN_OK);
	s->user.on_closed(s->user.arg);
	close(fd);
	f->tunnel.full = true;
	fd = dial(f, FORWARD);
	WAIT_FOR(f, 5, is_over(fd));
	close(fd);
	assert_int_equal(counters(f, FORWARD).accepted, 2);
}

static void
test_socks5(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f, SOCKS);
	struct tunnel_stream *s;

	PUT(fd, "\5\1\0");
	EXPECT(f, fd, "\5\0");
	assert_int_equal(counters(f, SOCKS).pending, 1);
	PUT(fd, SOCKS_REQUEST "early");
	s = next_stream(f);
	assert_int_equal(counters(f, SOCKS).pending, 0);
	assert_string_equal(s->dest.host, "a.test");
	assert_int_equal(s->dest.port, 80);
	/* No answer before the far side has one, and what comes now is kept. */
	PUT(fd, " bird");
	for (int i = 0; i < 20; i++)
		turn(f);
	assert_int_equal(s->fd, -1);
	assert_false(is_over(fd));
	opened(s, OPEN_OK);
	assert_true(s->fd >= 0);
	assert_int_equal(s->early_len, 10);
	assert_memory_equal(s->early, "early bird", 10);
	EXPECT(f, fd, "\5\0\0\1\0\0\0\0\0\0");
	PUT(s->fd, "from afar");
	EXPECT(f, fd, "from afar");
	s->user.on_closed(s->user.arg);
	turn(f);
	assert_false(s->aborted);
	close(fd);
}

static void
test_login(void **state)
{
	struct fixture *f = *state;
	char text[1024];
	int fd = dial(f, SOCKS_LOGIN);

	PUT(fd, "\5\1\2\1\5alice\6s3cret" SOCKS_REQUEST);
	next_stream(f);
	EXPECT(f, fd, "\5\2\1\0");
	close(fd);

	fd = dial(f, SOCKS_LOGIN);
	PUT(fd, "\5\1\2\1\5alice\6S3cret" SOCKS_REQUEST);
	assert_int_equal(read_all(f, fd, text, sizeof(text)), 4);
	assert_memory_equal(text, "\5\2\1\1", 4);
	close(fd);

	fd = dial(f, HTTP_LOGIN);
	PUT(fd, HTTP_REQUEST);
	read_all(f, fd, text, sizeof(text));
	assert_memory_equal(text, "HTTP/1.1 407 ", 13);
	close(fd);

	fd = dial(f, HTTP_LOGIN);
	PUT(fd, "CONNECT a.test:80 HTTP/1.0\r\n"
		"Proxy-Authorization: Basic YWxpY2U6czNjcmV0\r\n\r\n");
	next_stream(f);
	close(fd);
	assert_int_equal(counters(f, SOCKS_LOGIN).refused_header, 1);
	assert_int_equal(counters(f, HTTP_LOGIN).refused_header, 1);
}

static void
test_http(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f, HTTP);
	struct tunnel_stream *s;

	PUT(fd, HTTP_REQUEST "early");
	s = next_stream(f);
	assert_string_equal(s->dest.host, "a.test");
	opened(s, OPEN_OK);
	assert_memory_equal(s->early, "early", 5);
	EXPECT(f, fd, "HTTP/1.1 200 Connection established\r\n\r\n");
	s->user.on_closed(s->user.arg);
	close(fd);
}

/* The answer arrives whole although the client has sent much more than is read. */
static void
test_refusals(void **state)
{
	static char more[20000];
	struct fixture *f = *state;
	struct tunnel_stream *s;
	char text[1024];
	int fd = dial(f, SOCKS);

	PUT(fd, SOCKS_HELLO);
	put(fd, more, sizeof(more));
	s = next_stream(f);
	opened(s, OPEN_REFUSED);
	s->user.on_closed(s->user.arg);
	assert_int_equal(read_all(f, fd, text, sizeof(text)), 12);
	assert_memory_equal(text, "\5\0\5\5\0\1\0\0\0\0\0\0", 12);
	close(fd);

	fd = dial(f, HTTP);
	PUT(fd, HTTP_REQUEST);
	put(fd, more, sizeof(more));
	s = next_stream(f);
	opened(s, OPEN_DENIED);
	read_all(f, fd, text, sizeof(text));
	assert_memory_equal(text, "HTTP/1.1 403 ", 13);
	assert_non_null(strstr(text, "\r\n\r\nwhy: denied\n"));
	close(fd);
	/* Whoever has gone before the stream's end asks for that end. */
	WAIT_FOR(f, 5, s->aborted);

	f->tunnel.full = true;
	fd = dial(f, SOCKS);
	PUT(fd, SOCKS_HELLO);
	assert_int_equal(read_all(f, fd, text, sizeof(text)), 12);
	assert_memory_equal(text, "\5\0\5\1\0\1\0\0\0\0\0\0", 12);
	close(fd);
}

/* The tunnel may lose a stream before it has an answer. */
/* There is no stream any more, and none is ended. */
static void
hear_503(struct fixture *f, int fd, const struct tunnel_stream *s)
{
	char text[1024];

	read_all(f, fd, text, sizeof(text));
	assert_memory_equal(text, "HTTP/1.1 503 ", 13);
	close(fd);
	turn(f);
	assert_false(s->aborted);
}

static void
test_stream_lost(void **state)
{
	struct fixture *f = *state;
	struct tunnel_stream *s;
	int fd = dial(f, HTTP);

	PUT(fd, HTTP_REQUEST);
	s = next_stream(f);
	s->user.on_closed(s->user.arg);
	hear_503(f, fd, s);
}

/* Aborted is the one it was moved to. */
static void
test_stream_moved(void **state)
{
	struct fixture *f = *state;
	struct tunnel_stream *s, moved = {.fd = -1};
	int fd = dial(f, HTTP);

	PUT(fd, HTTP_REQUEST);
	s = next_stream(f);
	s->user.on_moved(s->user.arg, &moved);
	close(fd);
	WAIT_FOR(f, 5, moved.aborted);
	assert_false(s->aborted);
}

static void
test_stream_moved_nowhere(void **state)
{
	struct fixture *f = *state;
	struct tunnel_stream *s;
	int fd = dial(f, HTTP);

	PUT(fd, HTTP_REQUEST);
	s = next_stream(f);
	s->user.on_moved(s->user.arg, NULL);
	hear_503(f, fd, s);
}

static void
test_client_leaves(void **state)
{
	struct fixture *f = *state;
	struct tunnel_stream *s;
	int fd = dial(f, SOCKS);

	PUT(fd, SOCKS_HELLO);
	s = next_stream(f);
	close(fd);
	WAIT_FOR(f, 5, s->aborted);

	fd = dial(f, HTTP);
	PUT(fd, HTTP_REQUEST);
	s = next_stream(f);
	tcp_reset(fd);
	WAIT_FOR(f, 5, s->aborted);
	assert_int_equal(s->fd, -1);

	fd = dial(f, SOCKS);
	PUT(fd, "\5");
	WAIT_FOR(f, 5, counters(f, SOCKS).pending == 1);
	close(fd);
	WAIT_FOR(f, 5, counters(f, SOCKS).pending == 0);
}

/* Gone in the very moment in which the stream opens. */
static void
test_client_leaves_at_once(void **state)
{
	struct fixture *f = *state;
	struct tunnel_stream *s;
	int fd = dial(f, SOCKS);

	PUT(fd, SOCKS_HELLO);
	s = next_stream(f);
	tcp_reset(fd);
	opened(s, OPEN_OK);
	assert_true(s->aborted);
}

static void
test_bad_headers(void **state)
{
	struct fixture *f = *state;
	char text[1024];
	int fd = dial(f, SOCKS);

	PUT(fd, HTTP_REQUEST);
	assert_int_equal(read_all(f, fd, text, sizeof(text)), 2);
	close(fd);
	fd = dial(f, HTTP);
	PUT(fd, "GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n");
	read_all(f, fd, text, sizeof(text));
	assert_memory_equal(text, "HTTP/1.1 501 ", 13);
	close(fd);
	fd = dial(f, HTTP);
	memset(text, 'a', sizeof(text));
	for (size_t sent = 0; sent < INGRESS_HEADER_MAX; sent += sizeof(text))
		put(fd, text, sizeof(text));
	read_all(f, fd, text, sizeof(text));
	assert_memory_equal(text, "HTTP/1.1 431 ", 13);
	close(fd);
	assert_int_equal(counters(f, SOCKS).refused_header, 1);
	assert_int_equal(counters(f, HTTP).refused_header, 2);
	assert_int_equal(f->tunnel.n, 0);
}

/* Refused clients that stay, or that never stop to send, do not stay for long. */
static void
test_linger_is_bounded(void **state)
{
	static char flood[16384];
	struct fixture *f = *state;
	int quiet = dial(f, SOCKS);
	int loud = dial(f, SOCKS);
	ns_t began = loop_now(f->loop);
	ssize_t sent = 0;

	PUT(quiet, "\4");
	PUT(loud, "\4");
	WAIT_FOR(f, 5,
		 (sent = send(loud, flood, sizeof(flood), MSG_NOSIGNAL)) < 0 &&
			 errno != EAGAIN);
	WAIT_FOR(f, 5, send(quiet, "x", 1, MSG_NOSIGNAL) < 0);
	assert_true(loop_now(f->loop) - began < 3 * NS_PER_SEC);
	close(quiet);
	close(loud);
}

static void
test_header_deadline(void **state)
{
	struct fixture *f = *state;
	ns_t began = loop_now(f->loop);
	int fds[] = {dial(f, SOCKS), dial(f, HTTP)};

	PUT(fds[0], "\5");
	PUT(fds[1], "CONNECT ");
	WAIT_FOR(f, 8, counters(f, SOCKS).timed_out == 1);
	WAIT_FOR(f, 8, counters(f, HTTP).timed_out == 1);
	assert_true(loop_now(f->loop) - began >= HEADER_DEADLINE);
	assert_true(is_over(fds[0]));
	assert_true(is_over(fds[1]));
	close(fds[0]);
	close(fds[1]);
}

static void
test_half_open_flood(void **state)
{
	enum { CROWD = 5000 };
	static int fds[CROWD];
	struct fixture *f = *state;
	struct rlimit more = f->limit;
	struct tunnel_stream *s;
	int fd;

	more.rlim_cur = more.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &more), 0);
	if (more.rlim_cur < CROWD + INGRESS_PENDING_MAX + 64)
		skip();
	for (int i = 0; i < CROWD; i++) {
		fds[i] = dial(f, SOCKS);
		if (i % 256 == 0)
			turn(f);
	}
	WAIT_FOR(f, 10, counters(f, SOCKS).accepted == CROWD);
	assert_int_equal(counters(f, SOCKS).pending, INGRESS_PENDING_MAX);
	assert_int_equal(counters(f, SOCKS).shed, CROWD - INGRESS_PENDING_MAX);
	assert_true(is_over(fds[0]));
	assert_true(is_over(fds[CROWD - INGRESS_PENDING_MAX - 1]));
	assert_false(is_over(fds[CROWD - INGRESS_PENDING_MAX]));
	assert_false(is_over(fds[CROWD - 1]));
	fd = dial(f, SOCKS);
	PUT(fd, SOCKS_HELLO);
	s = next_stream(f);
	opened(s, OPEN_OK);
	EXPECT(f, fd, "\5\0\5\0\0\1\0\0\0\0\0\0");
	close(fd);
	s->user.on_closed(s->user.arg);
	for (int i = 0; i < CROWD; i++)
		close(fds[i]);
	WAIT_FOR(f, 5, counters(f, SOCKS).pending == 0);
}

/* Not one descriptor is left: the pending give theirs, then the spare is used. */
static void
test_no_descriptors(void **state)
{
	enum { LIMIT = 128 };
	struct fixture *f = *state;
	struct rlimit less = f->limit;
	int taken[LIMIT];
	size_t n = 0;
	int waiting = dial(f, HTTP);
	int first = dial(f, SOCKS);
	int fd, third;

	PUT(waiting, "C");
	WAIT_FOR(f, 5, counters(f, HTTP).pending == 1);
	WAIT_FOR(f, 5, counters(f, SOCKS).pending == 1);
	less.rlim_cur = LIMIT;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &less), 0);
	while ((fd = dup(0)) >= 0)
		taken[n++] = fd;
	assert_int_equal(errno, EMFILE);
	assert_true(n > 2);

	close(taken[--n]);
	fd = dial(f, SOCKS);
	WAIT_FOR(f, 5, counters(f, SOCKS).shed == 1);
	assert_int_equal(counters(f, SOCKS).pending, 1);
	assert_true(is_over(first));
	assert_false(is_over(fd));
	assert_false(is_over(waiting));

	/* A forward listener has nobody pending: the newcomer is turned away. */
	close(taken[--n]);
	third = dial(f, FORWARD);
	WAIT_FOR(f, 5, counters(f, FORWARD).shed == 1);
	assert_true(is_over(third));

	while (n > 0)
		close(taken[--n]);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &f->limit), 0);
	close(third);
	third = dial(f, FORWARD);
	next_stream(f);
	close(third);
	close(first);
	close(fd);
	close(waiting);
}

/* Taken down with visitors in every state. */
static void
test_taken_down(void **state)
{
	struct fixture *f = *state;
	struct tunnel_stream *opening, *attached;
	int fds[4];

	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = dial(f, SOCKS);
		if (i == 0)
			PUT(fds[i], "\5");
		else if (i == 1)
			PUT(fds[i], "\4");
		if (i < 2)
			WAIT_FOR(f, 5, counters(f, SOCKS).accepted == i + 1);
	}
	WAIT_FOR(f, 5, counters(f, SOCKS).refused_header == 1);
	PUT(fds[2], SOCKS_HELLO);
	opening = next_stream(f);
	PUT(fds[3], SOCKS_HELLO);
	attached = next_stream(f);
	opened(attached, OPEN_OK);
	ingress_free(f->ingress);
	f->ingress = NULL;
	assert_true(opening->aborted);
	assert_true(attached->aborted);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		assert_true(is_over(fds[i]));
		close(fds[i]);
	}
}

static void
test_cannot_start(void **state)
{
	struct fixture *f = *state;
	struct errmsg why = {""};

	assert_null(ingress_new(f->loop, f->config, &f->tunnel, &why));
	assert_non_null(strstr(why.text, "[listen forward]: "));
	assert_non_null(strstr(why.text, "in use"));

	for (size_t i = 0; i < f->config->n_listeners; i++)
		f->config->listeners[i].address.port++;
	assert_int_equal(unlink(f->password_file), 0);
	assert_null(ingress_new(f->loop, f->config, &f->tunnel, &why));
	assert_non_null(strstr(why.text, "[listen socks-login]: "));
	assert_non_null(strstr(why.text, f->password_file));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_forward),         TEST(test_socks5),
		TEST(test_login),           TEST(test_http),
		TEST(test_refusals),        TEST(test_stream_lost),
		TEST(test_stream_moved),    TEST(test_stream_moved_nowhere),
		TEST(test_client_leaves),   TEST(test_client_leaves_at_once),
		TEST(test_bad_headers),     TEST(test_linger_is_bounded),
		TEST(test_header_deadline), TEST(test_half_open_flood),
		TEST(test_no_descriptors),  TEST(test_taken_down),
		TEST(test_cannot_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
