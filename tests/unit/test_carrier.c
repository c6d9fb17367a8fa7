#include "tests/unit/unit.h"

#include "common/bytes.h"
#include "daemon/io/carrier.h"
#include "daemon/io/sock.h"
#include "tests/unit/addrs.h"
#include "tests/unit/seed.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEARD_MAX = 64 };
#define PATIENCE (5 * NS_PER_SEC)

/* One carrier and what its handler heard. */
struct end {
	struct loop *loop;
	struct carrier carrier;
	size_t lens[HEARD_MAX];
	uint8_t firsts[HEARD_MAX], lasts[HEARD_MAX];
	unsigned n, until; /* datagrams, and how many of them end the run */
	unsigned ups, ends;
	int err;
	bool leave; /* ends the carrier at the first datagram */
};

struct rig {
	struct loop *loop;
	struct timer patience;
	struct end end;
	int far;
};

static void
on_up(void *arg)
{
	struct end *e = arg;

	e->ups++;
	loop_stop(e->loop);
}

static void
on_datagram(void *arg, uint8_t *data, size_t len)
{
	struct end *e = arg;

	assert_true(e->n < HEARD_MAX);
	e->lens[e->n] = len;
	e->firsts[e->n] = data[0];
	e->lasts[e->n] = data[len - 1];
	memset(data, 0xee, len);
	if (++e->n == e->until)
		loop_stop(e->loop);
	if (e->leave)
		carrier_done(&e->carrier);
}

static void
on_end(void *arg, int err)
{
	struct end *e = arg;

	e->ends++;
	e->err = err;
	loop_stop(e->loop);
}

static void
on_patience(void *arg)
{
	loop_stop(arg);
}

static void
run(struct rig *r)
{
	timer_set(&r->patience, PATIENCE);
	assert_int_equal(loop_run(r->loop), 0);
	assert_true(timer_is_set(&r->patience));
}

static struct carrier_handler
handler_of(struct end *e)
{
	return (struct carrier_handler){on_up, on_datagram, on_end, e};
}

static void
rig_init(struct rig *r)
{
	memset(r, 0, sizeof(*r));
	r->loop = r->end.loop = loop_new();
	assert_non_null(r->loop);
	assert_int_equal(timer_init(&r->patience, r->loop, on_patience, r->loop), 0);
}

/* A carrier that has taken over one end of a pair; the other one is `far`. */
static void
rig_pair(struct rig *r, const void *early, size_t early_len)
{
	const struct carrier_early had = {early, early_len};
	struct carrier_handler h = handler_of(&r->end);
	int fds[2];

	rig_init(r);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	assert_int_equal(carrier_take(&r->end.carrier, r->loop, fds[0], &had, &h), 0);
	r->far = fds[1];
}

static void
rig_done(struct rig *r)
{
	carrier_done(&r->end.carrier);
	carrier_done(&r->end.carrier);
	timer_done(&r->patience);
	loop_free(r->loop);
	close(r->far);
}

static size_t
frame(uint8_t *to, size_t len, uint8_t mark)
{
	put_be16(to, (uint16_t)len);
	memset(to + 2, mark, len);
	return 2 + len;
}

static void
finds_datagrams_in_any_pieces(void **state)
{
	unsigned seed = seed_choose();
	uint8_t bytes[16 * (CARRIER_DATAGRAM_MAX + 2)];
	size_t len = 0, lens[16];
	struct rig r;

	(void)state;
	for (unsigned i = 0; i < 16; i++) {
		lens[i] = i == 0   ? 1
			  : i == 1 ? CARRIER_DATAGRAM_MAX
				   : 1 + (size_t)rand_r(&seed) % CARRIER_DATAGRAM_MAX;
		len += frame(bytes + len, lens[i], (uint8_t)i);
	}
	rig_pair(&r, "", 0);
	for (size_t at = 0; at < len;) {
		size_t piece = min_size(1 + (size_t)rand_r(&seed) % 3000, len - at);

		assert_int_equal(write(r.far, bytes + at, piece), (ssize_t)piece);
		at += piece;
		r.end.until = r.end.n + 1;
		timer_set(&r.patience, NS_PER_MS);
		assert_int_equal(loop_run(r.loop), 0);
	}
	r.end.until = 16;
	if (r.end.n < 16)
		run(&r);
	for (unsigned i = 0; i < 16; i++) {
		assert_int_equal(r.end.lens[i], lens[i]);
		assert_int_equal(r.end.firsts[i], i);
		assert_int_equal(r.end.lasts[i], i);
	}
	assert_int_equal(r.end.ends, 0);
	rig_done(&r);
}

static void
begins_with_what_was_read_before(void **state)
{
	uint8_t bytes[400];
	size_t len = frame(bytes, 150, 7);
	struct rig r;

	(void)state;
	len += frame(bytes + len, 200, 8);
	rig_pair(&r, bytes, len - 60);
	assert_int_equal(write(r.far, bytes + len - 60, 60), 60);
	r.end.until = 2;
	run(&r);
	assert_int_equal(r.end.lens[0], 150);
	assert_int_equal(r.end.lens[1], 200);
	assert_int_equal(r.end.lasts[1], 8);
	rig_done(&r);
}

static void
nonsense_ends_it(void **state)
{
	static const uint8_t wrong[][3] = {
		{0, 0, 1},
		{(CARRIER_DATAGRAM_MAX + 1) >> 8, (CARRIER_DATAGRAM_MAX + 1) & 255, 1},
		{255, 255, 1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct rig r;

		rig_pair(&r, "", 0);
		assert_int_equal(write(r.far, wrong[i], 3), 3);
		run(&r);
		assert_int_equal(r.end.err, -EPROTO);
		assert_int_equal(r.end.ends, 1);
		assert_int_equal(r.end.n, 0);
		rig_done(&r);
	}
}

static void
is_told_when_the_peer_goes(void **state)
{
	struct rig r;

	(void)state;
	rig_pair(&r, "", 0);
	assert_int_equal(shutdown(r.far, SHUT_RDWR), 0);
	run(&r);
	assert_int_equal(r.end.err, -ECONNRESET);
	assert_int_equal(r.end.ends, 1);
	/* Nobody is there; nothing happens. */
	carrier_send(&r.end.carrier, (const uint8_t *)"x", 1, 1);
	rig_done(&r);
}

static void
may_be_ended_by_its_handler(void **state)
{
	uint8_t bytes[10];
	size_t len = frame(bytes, 1, 1);
	struct rig r;

	(void)state;
	len += frame(bytes + len, 1, 2);
	rig_pair(&r, bytes, len);
	r.end.leave = true;
	r.end.until = 1;
	run(&r);
	assert_int_equal(r.end.n, 1);
	assert_int_equal(r.end.ends, 0);
	rig_done(&r);
}

/* Whole datagrams are lost; what arrives is in order and complete. */
static void
drops_what_does_not_fit(void **state)
{
	uint8_t data[50 * 1000], back[1002];
	unsigned sent = 0, heard = 0, wrong = 0;
	struct rig r;

	(void)state;
	rig_pair(&r, "", 0);
	for (; sent < 40; sent++) {
		memset(data, (int)sent, sizeof(data));
		carrier_send(&r.end.carrier, data, sizeof(data), 1000);
	}
	assert_true(r.end.carrier.dropped > 0);
	assert_true(r.end.carrier.out_len <= CARRIER_ROOM);
	while (heard + r.end.carrier.dropped < 40 * 50) {
		size_t have = 0;

		while (have < sizeof(back)) {
			ssize_t n = read(r.far, back + have, sizeof(back) - have);

			if (n > 0) {
				have += (size_t)n;
				continue;
			}
			timer_set(&r.patience, NS_PER_MS);
			assert_int_equal(loop_run(r.loop), 0);
			assert_true(++wrong < 1000);
		}
		assert_int_equal(get_be16(back), 1000);
		assert_int_equal(back[2], back[1001]);
		heard++;
	}
	assert_int_equal(read(r.far, back, 1), -1);
	rig_done(&r);
}

static void
cuts_a_burst_into_datagrams(void **state)
{
	uint8_t data[2500], back[2600];
	struct rig r;

	(void)state;
	rig_pair(&r, "", 0);
	memset(data, 1, 1000);
	memset(data + 1000, 2, 1000);
	memset(data + 2000, 3, 500);
	carrier_send(&r.end.carrier, data, sizeof(data), 1000);
	assert_int_equal(read(r.far, back, sizeof(back)), 2506);
	assert_int_equal(get_be16(back), 1000);
	assert_int_equal(get_be16(back + 1002), 1000);
	assert_int_equal(back[1004], 2);
	assert_int_equal(get_be16(back + 2004), 500);
	assert_int_equal(back[2505], 3);
	rig_done(&r);
}

static void
connects_and_says_what_for(void **state)
{
	struct tcp_connect to = {.kind = TCP_PLAIN};
	uint8_t bytes[8];
	struct carrier_handler h;
	struct addr at, from;
	struct rig r;
	int listener, unsent = 0;
	socklen_t size = sizeof(unsent);

	(void)state;
	rig_init(&r);
	h = handler_of(&r.end);
	at = addrs_ip("127.0.0.1", 0);
	listener = tcp_listen(TCP_PLAIN, &at, 4);
	assert_true(listener >= 0);
	assert_int_equal(sock_local(listener, &to.remote), 0);
	assert_int_equal(carrier_connect(&r.end.carrier, r.loop, &to, 9, &h), 0);
	carrier_send(&r.end.carrier, (const uint8_t *)"lost", 4, 4);
	run(&r);
	assert_int_equal(r.end.ups, 1);
	assert_int_equal(getsockopt(r.end.carrier.fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT,
				    &unsent, &size),
			 0);
	assert_int_equal(unsent, CARRIER_UNSENT);
	carrier_send(&r.end.carrier, (const uint8_t *)"abc", 3, 3);
	r.far = tcp_accept(listener, &from);
	assert_true(r.far >= 0);
	assert_int_equal(fcntl(r.far, F_SETFL, 0), 0);
	assert_int_equal(recv(r.far, bytes, 6, MSG_WAITALL), 6);
	assert_memory_equal(bytes,
			    "\x09\0\x03"
			    "abc",
			    6);
	close(listener);
	rig_done(&r);
}

static void
is_told_that_nobody_listens(void **state)
{
	struct tcp_connect to = {.kind = TCP_PLAIN};
	struct carrier_handler h;
	struct addr at;
	struct rig r;
	int listener;

	(void)state;
	rig_init(&r);
	h = handler_of(&r.end);
	at = addrs_ip("127.0.0.1", 0);
	listener = tcp_listen(TCP_PLAIN, &at, 4);
	assert_true(listener >= 0);
	assert_int_equal(sock_local(listener, &to.remote), 0);
	close(listener);
	assert_int_equal(carrier_connect(&r.end.carrier, r.loop, &to, 9, &h), 0);
	run(&r);
	assert_int_equal(r.end.err, -ECONNREFUSED);
	assert_int_equal(r.end.ups, 0);
	r.far = -1;
	rig_done(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_datagrams_in_any_pieces),
		cmocka_unit_test(begins_with_what_was_read_before),
		cmocka_unit_test(nonsense_ends_it),
		cmocka_unit_test(is_told_when_the_peer_goes),
		cmocka_unit_test(may_be_ended_by_its_handler),
		cmocka_unit_test(drops_what_does_not_fit),
		cmocka_unit_test(cuts_a_burst_into_datagrams),
		cmocka_unit_test(connects_and_says_what_for),
		cmocka_unit_test(is_told_that_nobody_listens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
