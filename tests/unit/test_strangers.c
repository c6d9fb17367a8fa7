/*
 * A real server on loopback, and everybody who should not get far with it:
 *
 *	127.A.B.C:* ---- plain TCP ----> 127.0.0.1:PORT, the server
 *	(a source each, where it matters)
 */
#include "tests/unit/unit.h"

#include "common/bytes.h"
#include "daemon/io/sock.h"
#include "daemon/mptcp_server.h"
#include "daemon/strangers.h"
#include "tests/unit/addrs.h"
#include "tests/unit/clients.h"
#include "tests/unit/seed.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE (5 * NS_PER_SEC)
#define LOOK     (2 * NS_PER_MS)

enum { MANY = 5000, DESCRIPTORS_SPARE = 200, OUT_MAX = 64 * 1024 };

struct fixture {
	struct clients clients;
	struct loop *loop;
	struct subflows *subflows;
	struct resolver *resolver;
	struct egress *egress;
	struct tunnel *tunnel;
	struct mptcp_server *server;
	struct addr at;
	struct timer look;
	bool (*met)(void *arg); /* what run_until() waits for */
	void *arg;
	ns_t until;
	bool timed_out;
};

/* A client's end of one connection, with what it is about to send. */
struct caller {
	int fd;
	struct record_key seal, open;
	uint8_t out[OUT_MAX];
	size_t out_len;
	uint8_t in[1024];
	size_t in_len, in_want;
	bool closed, reset;
	ns_t closed_at;
};

static unsigned seed;
static unsigned descriptors;

static int
choose_seed(void **state)
{
	struct rlimit rl;

	(void)state;
	seed = seed_choose();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &rl), 0);
	rl.rlim_cur = rl.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &rl), 0);
	descriptors = rl.rlim_cur > 100000 ? 100000 : (unsigned)rl.rlim_cur;
	return 0;
}

static void
on_look(void *arg)
{
	struct fixture *f = arg;

	f->timed_out = loop_now(f->loop) > f->until;
	if (f->timed_out || f->met(f->arg))
		loop_stop(f->loop);
	else
		timer_set(&f->look, LOOK);
}

static bool
run_until(struct fixture *f, bool (*met)(void *arg), void *arg, ns_t patience)
{
	f->met = met;
	f->arg = arg;
	f->until = loop_now(f->loop) + patience;
	timer_set(&f->look, 0);
	assert_int_equal(loop_run(f->loop), 0);
	return !f->timed_out;
}

static bool
is_own(void *arg, const struct addr *a)
{
	(void)arg;
	(void)a;
	return false;
}

static void
on_dead(void *arg, struct leg_subflows *ls, const struct subflow *sf)
{
	(void)arg;
	(void)ls;
	(void)sf;
}

static int
set_up(void **state)
{
	const struct acl_machine machine = {is_own, NULL};
	const struct subflows_handler handler = {on_dead, NULL};
	struct fixture *f = calloc(1, sizeof(*f));
	struct errmsg why = {""};
	struct transport *mptcp;

	assert_non_null(f);
	clients_init(&f->clients, seed);
	f->clients.config.listen[0] = addrs_ip("127.0.0.1", 0);
	f->clients.config.n_listen = 1;
	f->loop = loop_new();
	assert_non_null(f->loop);
	f->subflows = subflows_new(f->loop, NULL, &handler);
	f->resolver = resolver_new(f->loop, NULL);
	f->egress = egress_new(f->loop, f->resolver, &machine);
	assert_int_equal(timer_init(&f->look, f->loop, on_look, f), 0);
	f->tunnel = tunnel_new(1);
	assert_non_null(f->tunnel);
	mptcp = mptcp_server_new(f->loop, &f->clients.known, f->subflows, f->egress,
				 descriptors, &why);
	if (mptcp == NULL)
		fail_msg("%s", why.text);
	tunnel_add(f->tunnel, TRANSPORT_MPTCP, mptcp);
	f->server = container_of(mptcp, struct mptcp_server, mptcp.base);
	assert_int_equal(sock_local(f->server->listeners[0].fd, &f->at), 0);
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	tunnel_free(f->tunnel);
	egress_free(f->egress);
	resolver_free(f->resolver);
	subflows_free(f->subflows);
	timer_done(&f->look);
	loop_free(f->loop);
	clients_done(&f->clients);
	free(f);
	return 0;
}

static int
connect_from(const struct fixture *f, uint32_t source)
{
	struct sockaddr_in from = {.sin_family = AF_INET};
	struct sockaddr_storage to;
	socklen_t len = addr_to_sockaddr(&f->at, &to);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	from.sin_addr.s_addr = htonl(source);
	assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	if (connect(fd, (struct sockaddr *)&to, len) < 0)
		assert_int_equal(errno, EINPROGRESS);
	return fd;
}

static struct caller *
call(const struct fixture *f, uint32_t source)
{
	struct caller *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	c->fd = connect_from(f, source);
	return c;
}

static void
hang_up(struct caller *c)
{
	close(c->fd);
	record_key_done(&c->seal);
	record_key_done(&c->open);
	free(c);
}

static void
say(struct caller *c, const void *bytes, size_t len)
{
	assert_true(c->out_len + len <= sizeof(c->out));
	memcpy(c->out + c->out_len, bytes, len);
	c->out_len += len;
}

/* Reads what is there, and notes the end. */
static void
listen_to(struct caller *c)
{
	struct timespec ts;
	ssize_t n;

	if (c->closed)
		return;
	n = recv(c->fd, c->in + c->in_len, sizeof(c->in) - c->in_len, 0);
	if (n > 0) {
		c->in_len += (size_t)n;
		return;
	}
	if (n < 0 && (errno == EAGAIN || errno == ENOTCONN))
		return;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	c->closed = true;
	c->reset = n < 0;
	c->closed_at = ts.tv_sec * NS_PER_SEC + ts.tv_nsec;
}

static bool
has_sent(void *arg)
{
	struct caller *c = arg;
	ssize_t n = send(c->fd, c->out, c->out_len, MSG_NOSIGNAL);

	if (n > 0) {
		c->out_len -= (size_t)n;
		memmove(c->out, c->out + n, c->out_len);
	}
	return c->out_len == 0 || (n < 0 && errno != EAGAIN && errno != ENOTCONN);
}

static void
send_all(struct fixture *f, struct caller *c)
{
	assert_true(run_until(f, has_sent, c, PATIENCE));
}

static bool
next_byte_is_sent(void *arg)
{
	struct caller *c = arg;

	if (send(c->fd, c->out, 1, MSG_NOSIGNAL) == 1)
		memmove(c->out, c->out + 1, --c->out_len);
	return c->out_len == 0;
}

static bool
has_enough(void *arg)
{
	struct caller *c = arg;

	listen_to(c);
	return c->closed || c->in_len >= c->in_want;
}

static void
hear(struct fixture *f, struct caller *c, size_t want)
{
	c->in_want = want;
	assert_true(run_until(f, has_enough, c, PATIENCE));
	assert_false(c->closed);
	assert_int_equal(c->in_len, want);
}

static void
finish_handshake(struct client_try *t, const struct caller *c,
		 struct handshake_answer *ret_answer, struct handshake_keys *ret_keys)
{
	assert_int_equal(handshake_finish(&t->handshake, c->in, ret_answer, ret_keys),
			 0);
}

struct session {
	struct handshake_answer answer;
	struct handshake_keys keys;
};

static struct session
make_session(struct fixture *f, unsigned who)
{
	struct caller *c = call(f, 0x7f000001);
	struct client_try t;
	struct session s;

	clients_initiate(&f->clients, who, HANDSHAKE_MPTCP, &t);
	say(c, t.initiation, sizeof(t.initiation));
	send_all(f, c);
	hear(f, c, HANDSHAKE_LEN);
	finish_handshake(&t, c, &s.answer, &s.keys);
	hang_up(c);
	return s;
}

/* Seals a record to be sent. */
static void
say_record(struct caller *c, enum record_type type, const void *payload, size_t len)
{
	uint8_t rec[RECORD_OVERHEAD + 8192];
	size_t rec_len;

	assert_true(len <= 8192);
	if (len > 0)
		memcpy(rec + RECORD_HEADER_LEN, payload, len);
	assert_int_equal(record_seal(&c->seal, type, rec, len, &rec_len), 0);
	say(c, rec, rec_len);
}

static void
say_header(struct caller *c, const struct session *s, uint64_t number)
{
	const struct leg_header header = {s->answer.session_index, number};
	enum aead_alg alg = (enum aead_alg)s->answer.aead;
	uint8_t bytes[LEG_HEADER_LEN];

	leg_header_write(&header, bytes);
	say(c, bytes, sizeof(bytes));
	assert_int_equal(record_key_init(&c->seal, alg, true, s->keys.stream_secret,
					 number, RECORD_UP),
			 0);
	assert_int_equal(record_key_init(&c->open, alg, false, s->keys.stream_secret,
					 number, RECORD_DOWN),
			 0);
}

static void
say_hello(struct caller *c, enum leg_kind kind)
{
	const struct leg_hello hello = {.kind = kind, .boot_id = "testboot"};
	uint8_t body[LEG_HELLO_LEN];

	leg_hello_write(&hello, body);
	say_record(c, RECORD_HELLO, body, sizeof(body));
}

/* The server's next record, which must be of that type. */
static void
hear_record(struct fixture *f, struct caller *c, enum record_type type, size_t len)
{
	struct record r;
	size_t used;

	hear(f, c, RECORD_OVERHEAD + len);
	assert_int_equal(
		record_open(&c->open, c->in, c->in_len, RECORD_PAYLOAD_MAX, &r, &used),
		0);
	assert_int_equal(r.type, type);
	assert_int_equal(r.len, len);
	c->in_len = 0;
}

static struct caller *
open_leg(struct fixture *f, const struct session *s, uint64_t number)
{
	struct caller *c = call(f, 0x7f000001);

	say_header(c, s, number);
	say_hello(c, LEG_STREAM);
	send_all(f, c);
	hear_record(f, c, RECORD_HELLO, 0);
	return c;
}

static unsigned
count_streams(struct fixture *f)
{
	unsigned n = 0;

	list_for_each (it, &f->server->mptcp.base.streams)
		n++;
	return n;
}

struct crowd {
	struct fixture *f;
	struct caller **all;
	size_t n;
	unsigned strangers; /* that the server should have */
};

static bool
all_closed(void *arg)
{
	struct crowd *crowd = arg;
	bool closed = true;

	for (size_t i = 0; i < crowd->n; i++) {
		listen_to(crowd->all[i]);
		closed &= crowd->all[i]->closed;
	}
	return closed;
}

static bool
has_strangers(void *arg)
{
	struct crowd *crowd = arg;

	return crowd->f->server->n_strangers == crowd->strangers;
}

/* Everything that is wrong, each in a connection of its own. */
static size_t
call_with_all_that_is_wrong(struct fixture *f, struct caller **ret_all)
{
	static const char http[] = "GET / HTTP/1.1\r\nHost: example.net\r\n\r\n";
	static const uint8_t tls[] = {22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3};
	struct session s = make_session(f, 0);
	struct session none = s;
	uint8_t noise[9000];
	struct client_try t;
	size_t n = 0;

	assert_int_equal(prng_bytes(&f->clients.prng, noise, sizeof(noise)), 0);
	for (; n < 12; n++)
		ret_all[n] = call(f, 0x7f000001);
	n = 0;
	ret_all[n++]->out_len = 0; /* says nothing */
	say(ret_all[n++], http, sizeof(http) - 1);
	say(ret_all[n++], tls, sizeof(tls));
	say(ret_all[n++], noise, sizeof(noise));
	noise[0] = HANDSHAKE_INITIATION;
	say(ret_all[n++], noise, HANDSHAKE_LEN);
	noise[0] = LEG_HEADER;
	say(ret_all[n++], noise, sizeof(noise));
	clients_initiate(&f->clients, CLIENTS_STRANGER, HANDSHAKE_MPTCP, &t);
	say(ret_all[n++], t.initiation, HANDSHAKE_LEN);
	clients_initiate(&f->clients, 0, HANDSHAKE_MPTCP, &t);
	say(ret_all[n], t.initiation, HANDSHAKE_LEN);
	say(ret_all[n++], "x", 1); /* more than an initiation */
	none.answer.session_index ^= 1;
	say_header(ret_all[n], &none, 0);
	say_hello(ret_all[n++], LEG_STREAM);
	say_header(ret_all[n], &s, 0);
	say_hello(ret_all[n], LEG_STREAM);
	ret_all[n]->out[ret_all[n]->out_len - 1] ^= 1;
	n++;
	say_header(ret_all[n], &s, 0);
	say_record(ret_all[n++], RECORD_OPEN, noise, 100); /* not HELLO */
	say_header(ret_all[n], &s, 0);
	say_record(ret_all[n++], RECORD_HELLO, noise, RECORD_FIRST_MAX + 1);
	return n;
}

static void
what_is_wrong_is_dropped_in_silence(void **state)
{
	struct fixture *f = *state;
	struct caller *all[16];
	struct crowd crowd = {f, all, 0, 0};
	ns_t since = loop_now(f->loop);

	crowd.n = call_with_all_that_is_wrong(f, all);
	for (size_t i = 0; i < crowd.n; i++)
		send_all(f, all[i]);
	assert_true(run_until(f, all_closed, &crowd, 2 * HALF_OPEN_LIFE));
	for (size_t i = 0; i < crowd.n; i++) {
		assert_int_equal(all[i]->in_len, 0);
		assert_true(all[i]->closed_at - since >= HALF_OPEN_LIFE);
		hang_up(all[i]);
	}
	assert_int_equal(f->server->mptcp.base.counters.strangers, crowd.n);
	assert_int_equal(f->server->n_strangers, 0);
	assert_int_equal(count_streams(f), 0);
}

static void
a_source_has_a_limit_and_its_oldest_goes(void **state)
{
	enum { OVER = 5, OTHERS = 3, N = HALF_OPEN_PER_SOURCE + OVER + OTHERS };

	struct fixture *f = *state;
	struct caller *all[N];
	struct crowd first = {f, all + OTHERS, OVER, 0};
	struct crowd crowd = {f, all, N, 0};

	for (size_t i = 0; i < N; i++) {
		all[i] = call(f, i < OTHERS ? 0x7f000003 : 0x7f000002);
		/* One after the other, so that the order is known. */
		crowd.strangers =
			(unsigned)min_size(i + 1, HALF_OPEN_PER_SOURCE + OTHERS);
		assert_true(run_until(f, has_strangers, &crowd, PATIENCE));
	}
	assert_true(run_until(f, all_closed, &first, PATIENCE));
	(void)all_closed(&crowd);
	for (size_t i = 0; i < N; i++) {
		assert_int_equal(all[i]->closed, i >= OTHERS && i < OTHERS + OVER);
		hang_up(all[i]);
	}
}

static void
bytes_may_come_one_by_one(void **state)
{
	struct fixture *f = *state;
	struct caller *c = call(f, 0x7f000001);
	struct client_try t;
	struct session s;

	clients_initiate(&f->clients, 0, HANDSHAKE_MPTCP, &t);
	say(c, t.initiation, sizeof(t.initiation));
	assert_true(run_until(f, next_byte_is_sent, c, PATIENCE));
	hear(f, c, HANDSHAKE_LEN);
	finish_handshake(&t, c, &s.answer, &s.keys);
	hang_up(c);

	c = call(f, 0x7f000001);
	say_header(c, &s, 0);
	say_hello(c, LEG_STREAM);
	assert_true(run_until(f, next_byte_is_sent, c, PATIENCE));
	hear_record(f, c, RECORD_HELLO, 0);
	assert_int_equal(count_streams(f), 1);
	hang_up(c);
}

static void
a_number_is_used_once(void **state)
{
	struct fixture *f = *state;
	struct session s = make_session(f, 0);
	struct caller *c = open_leg(f, &s, 7);
	struct caller *again = call(f, 0x7f000001);
	struct crowd crowd = {f, &again, 1, 0};

	say_header(again, &s, 7);
	say_hello(again, LEG_STREAM);
	send_all(f, again);
	assert_true(run_until(f, all_closed, &crowd, 2 * HALF_OPEN_LIFE));
	assert_int_equal(again->in_len, 0);
	assert_int_equal(count_streams(f), 1);
	hang_up(again);
	again = open_leg(f, &s, 6);
	assert_int_equal(count_streams(f), 2);
	hang_up(again);
	hang_up(c);
}

static void
many_half_open_do_not_stop_a_client(void **state)
{
	struct fixture *f = *state;
	unsigned n = MANY < (descriptors - DESCRIPTORS_SPARE) / 2
			     ? MANY
			     : (descriptors - DESCRIPTORS_SPARE) / 2;
	int *fds = calloc(n, sizeof(*fds));
	struct crowd crowd = {f, NULL, 0, 0};
	struct session s;
	struct caller *c;

	assert_non_null(fds);
	for (unsigned i = 0; i < n; i++) {
		fds[i] = connect_from(f, 0x7f010000 + i / 16);
		crowd.strangers = i + 1 < f->server->strangers_max
					  ? i + 1
					  : f->server->strangers_max;
		if (i % 256 == 255 || i + 1 == n)
			assert_true(run_until(f, has_strangers, &crowd, PATIENCE));
	}
	s = make_session(f, 0);
	c = open_leg(f, &s, 0);
	assert_true(f->server->n_strangers <= f->server->strangers_max);
	hang_up(c);
	for (unsigned i = 0; i < n; i++)
		close(fds[i]);
	free(fds);
}

/* OPEN to a place that is denied: the answer takes a turn of the loop. */
static void
say_open(struct caller *c, uint8_t flags)
{
	static const char host[] = "127.0.0.1";
	uint8_t open[4 + sizeof(host) - 1] = {flags, 0, 9, sizeof(host) - 1};

	memcpy(open + 4, host, sizeof(host) - 1);
	say_record(c, RECORD_OPEN, open, sizeof(open));
}

static void
open_twice(struct caller *c)
{
	say_open(c, 0);
	say_open(c, 0);
}

static void
open_without_a_host(struct caller *c)
{
	say_record(c, RECORD_OPEN, (uint8_t[]){0, 0, 80, 0}, 4);
}

static void
open_with_a_long_host(struct caller *c)
{
	uint8_t open[4 + 255] = {0, 0, 80, 254};

	memset(open + 4, 'a', 255);
	say_record(c, RECORD_OPEN, open, sizeof(open));
}

static void
open_beyond_the_record(struct caller *c)
{
	say_record(c, RECORD_OPEN, (uint8_t[]){0, 0, 80, 3, 'a', 'b'}, 6);
}

static void
open_with_a_zero_byte(struct caller *c)
{
	say_record(c, RECORD_OPEN, (uint8_t[]){0, 0, 80, 3, 'a', 0, 'b'}, 7);
}

static void
data_before_open(struct caller *c)
{
	say_record(c, RECORD_DATA, "x", 1);
}

static void
empty_data_before_open(struct caller *c)
{
	say_record(c, RECORD_DATA, NULL, 0);
}

static void
fin_before_open(struct caller *c)
{
	say_record(c, RECORD_FIN, NULL, 0);
}

static void
fin_twice(struct caller *c)
{
	say_open(c, 0);
	say_record(c, RECORD_FIN, NULL, 0);
	say_record(c, RECORD_FIN, NULL, 0);
}

static void
data_after_fin(struct caller *c)
{
	say_open(c, 0);
	say_record(c, RECORD_FIN, NULL, 0);
	say_record(c, RECORD_DATA, "x", 1);
}

static void
empty_data_after_fin(struct caller *c)
{
	say_open(c, 0);
	say_record(c, RECORD_FIN, NULL, 0);
	say_record(c, RECORD_DATA, NULL, 0);
}

static void
hello_again(struct caller *c)
{
	say_hello(c, LEG_STREAM);
}

static void
opened_from_a_client(struct caller *c)
{
	say_open(c, 0);
	say_record(c, RECORD_OPENED, "", 1);
}

static void
ping_on_a_stream(struct caller *c)
{
	say_record(c, RECORD_PING, "1234", 4);
}

static void
lost_on_a_stream(struct caller *c)
{
	say_record(c, RECORD_LOST, "123456789", 9);
}

static void
plain_without_the_flag(struct caller *c)
{
	say_open(c, 0);
	say_record(c, RECORD_PLAIN, NULL, 0);
}

static void
plain_that_is_not_allowed(struct caller *c)
{
	say_open(c, 1);
	say_record(c, RECORD_PLAIN, NULL, 0);
}

static void
plain_before_open(struct caller *c)
{
	say_record(c, RECORD_PLAIN, NULL, 0);
}

static void
a_record_of_no_bytes(struct caller *c)
{
	say(c, (uint8_t[]){0, 0, 0}, 3);
}

static void
a_record_without_a_type(struct caller *c)
{
	uint8_t rec[18] = {0, 16};

	say(c, rec, sizeof(rec));
}

static void
a_record_too_long(struct caller *c)
{
	say(c, (uint8_t[]){0x40, 0x12}, 2);
}

static void
a_record_that_does_not_open(struct caller *c)
{
	say_open(c, 0);
	c->out[c->out_len - 1] ^= 0x80;
}

/* Whatever is left of the legs that were reset would end up here. */
static bool
has_no_stream(void *arg)
{
	struct fixture *f = arg;

	return count_streams(f) == 0;
}

static void
hostile_records_reset_the_leg(void **state)
{
	static void (*const attacks[])(struct caller * c) = {
		open_twice,
		open_without_a_host,
		open_with_a_long_host,
		open_beyond_the_record,
		open_with_a_zero_byte,
		data_before_open,
		empty_data_before_open,
		fin_before_open,
		fin_twice,
		data_after_fin,
		empty_data_after_fin,
		hello_again,
		opened_from_a_client,
		ping_on_a_stream,
		lost_on_a_stream,
		plain_without_the_flag,
		plain_that_is_not_allowed,
		plain_before_open,
		a_record_of_no_bytes,
		a_record_without_a_type,
		a_record_too_long,
		a_record_that_does_not_open,
	};
	struct fixture *f = *state;
	struct session s = make_session(f, 0);
	struct caller *other = open_leg(f, &s, 1000);

	for (size_t i = 0; i < ARRAY_LEN(attacks); i++) {
		struct caller *c = open_leg(f, &s, i);
		struct crowd crowd = {f, &c, 1, 0};

		attacks[i](c);
		send_all(f, c);
		if (!run_until(f, all_closed, &crowd, PATIENCE) || !c->reset ||
		    c->in_len != 0)
			fail_msg("attack %zu: closed=%d reset=%d answer=%zu", i,
				 c->closed, c->reset, c->in_len);
		hang_up(c);
		assert_int_equal(count_streams(f), 1);
	}
	say_open(other, 0);
	send_all(f, other);
	hear_record(f, other, RECORD_OPENED, 1);
	hang_up(other);
	assert_true(run_until(f, has_no_stream, f, PATIENCE));
	assert_int_equal(f->clients.known.all[0].n_streams, 0);
	assert_int_equal(f->server->peers.all[0].n_idle, 0);
	assert_int_equal(f->clients.known.n_streams, 0);
}

static void
idle_legs_of_a_peer_have_a_limit(void **state)
{
	struct fixture *f = *state;
	struct session s = make_session(f, 0), theirs = make_session(f, 1);
	struct caller *all[IDLE_LEGS_MAX], *one_more, *other;
	struct crowd crowd = {f, &one_more, 1, 0};

	for (unsigned i = 0; i < IDLE_LEGS_MAX; i++)
		all[i] = open_leg(f, &s, i);
	one_more = call(f, 0x7f000001);
	say_header(one_more, &s, IDLE_LEGS_MAX);
	say_hello(one_more, LEG_STREAM);
	send_all(f, one_more);
	assert_true(run_until(f, all_closed, &crowd, PATIENCE));
	assert_true(one_more->reset);
	other = open_leg(f, &theirs, 0);
	hang_up(other);
	hang_up(one_more);
	for (unsigned i = 0; i < IDLE_LEGS_MAX; i++)
		hang_up(all[i]);
}

static void
streams_over_the_limit_are_refused(void **state)
{
	struct fixture *f = *state;
	struct session s;
	struct caller *c;

	f->clients.peers[0].max_streams = 0;
	s = make_session(f, 0);
	c = open_leg(f, &s, 0);
	say_open(c, 0);
	send_all(f, c);
	hear_record(f, c, RECORD_OPENED, 1);
	hang_up(c);
	assert_true(run_until(f, has_no_stream, f, PATIENCE));
	assert_int_equal(f->server->peers.all[0].n_leaving, 0);

	f->clients.peers[0].max_streams = 1;
	f->clients.config.max_streams = 0;
	c = open_leg(f, &s, 1);
	say_open(c, 0);
	send_all(f, c);
	hear_record(f, c, RECORD_OPENED, 1);
	hang_up(c);
	assert_true(run_until(f, has_no_stream, f, PATIENCE));
}

static void
a_restarted_client_ends_its_old_streams(void **state)
{
	static const uint8_t reborn[10] = {LEG_STREAM, 'r', 'e', 'b', 'o', 'r', 'n'};
	struct fixture *f = *state;
	struct session s = make_session(f, 0), theirs = make_session(f, 1);
	struct caller *old = open_leg(f, &s, 0), *other = open_leg(f, &theirs, 0);
	struct caller *c = call(f, 0x7f000001);
	struct crowd crowd = {f, &old, 1, 0};

	s = make_session(f, 0);
	say_header(c, &s, 0);
	say_record(c, RECORD_HELLO, reborn, sizeof(reborn));
	send_all(f, c);
	hear_record(f, c, RECORD_HELLO, 0);
	assert_true(run_until(f, all_closed, &crowd, PATIENCE));
	assert_true(old->reset);
	assert_int_equal(count_streams(f), 2);
	hang_up(old);
	hang_up(other);
	hang_up(c);
}

static void
a_heartbeat_is_answered(void **state)
{
	struct fixture *f = *state;
	struct session s = make_session(f, 0);
	struct caller *c = call(f, 0x7f000001);
	struct crowd crowd = {f, &c, 1, 0};

	say_header(c, &s, 0);
	say_hello(c, LEG_HEARTBEAT);
	say_record(c, RECORD_PING, "1234", 4);
	send_all(f, c);
	hear(f, c, 2 * RECORD_OVERHEAD + 4);
	say_record(c, RECORD_PONG, "1234", 4);
	send_all(f, c);
	assert_true(run_until(f, all_closed, &crowd, PATIENCE));
	assert_true(c->reset);
	hang_up(c);
}

int
main(void)
{
#define WITH_SERVER(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH_SERVER(what_is_wrong_is_dropped_in_silence),
		WITH_SERVER(a_source_has_a_limit_and_its_oldest_goes),
		WITH_SERVER(bytes_may_come_one_by_one),
		WITH_SERVER(a_number_is_used_once),
		WITH_SERVER(many_half_open_do_not_stop_a_client),
		WITH_SERVER(hostile_records_reset_the_leg),
		WITH_SERVER(idle_legs_of_a_peer_have_a_limit),
		WITH_SERVER(streams_over_the_limit_are_refused),
		WITH_SERVER(a_restarted_client_ends_its_old_streams),
		WITH_SERVER(a_heartbeat_is_answered),
	};

	return cmocka_run_group_tests(tests, choose_seed, NULL);
}
