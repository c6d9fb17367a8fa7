/*
 * A session and the socket it sends by: the session is a real one, and the socket
 * takes as much as the test lets it.
 */
#include "tests/unit/unit.h"

#include "daemon/udp_session.h"
#include "tests/unit/addrs.h"
#include "tests/unit/clock.h"

#include <stdlib.h>
#include <string.h>

enum { OFFERS_MAX = 64, BURST_MAX = 16 * 1024, MESSAGE = 8000 };

enum take { NOTHING, ONE_PACKET, ALL };

struct offer {
	size_t len, packet;
	uint8_t data[BURST_MAX];
};

struct rig {
	struct loop *loop;
	struct deferred stop;
	struct udp_session us;
	enum take takes[OFFERS_MAX];     /* of each offer */
	struct offer offers[OFFERS_MAX]; /* from the first with many packets on */
	size_t n;
};

static size_t
on_send(void *arg, const struct burst *b)
{
	struct rig *r = arg;
	struct offer *o = &r->offers[r->n];

	if (r->n == 0 && b->len <= b->packet)
		return b->len;
	assert_true(r->n < OFFERS_MAX);
	assert_in_range(b->len, 1, BURST_MAX);
	o->len = b->len;
	o->packet = b->packet;
	memcpy(o->data, b->data, b->len);
	switch (r->takes[r->n++]) {
	case NOTHING: return 0;
	case ONE_PACKET: return min_size(b->packet, b->len);
	case ALL: return b->len;
	}
	return 0;
}

static void
on_news(void *arg, struct stream *st, uint8_t news)
{
	(void)arg;
	(void)st;
	(void)news;
}

static void
on_over(void *arg)
{
	(void)arg;
	fail();
}

/* A client that has a stream to open, and a message for it, of several packets. */
static int
setup(void **state)
{
	const struct session_settings cfg = {
		.role = SESSION_CLIENT,
		.aead = AEAD_CHACHA20_POLY1305,
		.index = 1,
		.index_peer = 2,
		.cc = CC_BBR,
		.max_streams = 4,
		.memory = 1 << 22,
	};
	const struct handshake_keys keys = {.key_up = {1}, .key_down = {2}};
	const struct subflow_way way = {addrs_of("192.0.2.1:1000"),
					addrs_of("198.51.100.1:4433"), 0, 1};
	struct rig *r = calloc(1, sizeof(*r));
	const struct udp_session_handler h = {on_send, on_news, NULL, on_over, r};
	struct stream *st;
	size_t room;
	uint8_t *at;

	assert_non_null(r);
	*state = r;
	r->loop = loop_new();
	assert_non_null(r->loop);
	assert_int_equal(udp_session_init(&r->us, r->loop, &cfg, &keys, &h), 0);
	assert_int_equal(session_add_subflow(r->us.core, &way, true, loop_now(r->loop)),
			 1);
	st = session_open(r->us.core, (const uint8_t *)"request", 7, NULL);
	assert_non_null(st);
	at = session_room(r->us.core, st, &room);
	assert_non_null(at);
	assert_true(room >= MESSAGE);
	memset(at, 'm', MESSAGE);
	session_written(r->us.core, st, MESSAGE, loop_now(r->loop));
	udp_session_touch(&r->us);
	return 0;
}

static int
teardown(void **state)
{
	struct rig *r = *state;

	r->takes[r->n] = ALL;
	udp_session_done(&r->us);
	loop_free(r->loop);
	free(r);
	return 0;
}

static void
stop(struct deferred *d)
{
	loop_stop(container_of(d, struct rig, stop)->loop);
}

static void
turns(struct rig *r)
{
	for (int i = 0; i < 4; i++) {
		loop_defer(r->loop, &r->stop, stop);
		assert_int_equal(loop_run(r->loop), 0);
	}
}

static void
pass(struct rig *r, ns_t span)
{
	clock_skip(span);
	turns(r);
}

static void
wait_for_first(struct rig *r)
{
	for (int i = 0; r->n == 0 && i < 100; i++)
		pass(r, NS_PER_MS);
	assert_int_equal(r->n, 1);
	assert_true(r->offers[0].len > r->offers[0].packet);
}

static void
assert_same(const struct offer *a, const struct offer *b, size_t off)
{
	assert_int_equal(a->len, b->len - off);
	assert_memory_equal(a->data, b->data + off, a->len);
}

static void
what_the_socket_does_not_take_is_offered_again(void **state)
{
	struct rig *r = *state;
	const struct offer *o = r->offers;

	r->takes[3] = ONE_PACKET;
	r->takes[5] = ALL;
	wait_for_first(r);
	for (unsigned i = 1; i < 6; i++) {
		pass(r, NS_PER_MS);
		assert_true(r->n > i);
		assert_same(&o[i], &o[0], i < 4 ? 0 : o[0].packet);
	}
	/* It is gone, and what comes then is another one. */
	pass(r, NS_PER_MS);
	assert_true(r->n > 6);
	assert_memory_not_equal(o[6].data, o[0].data, 9);
	assert_memory_not_equal(o[6].data, o[5].data, 9);
}

static void
what_waits_too_long_is_lost(void **state)
{
	struct rig *r = *state;
	size_t n;

	wait_for_first(r);
	pass(r, UDP_SESSION_HELD - NS_PER_MS);
	n = r->n;
	assert_true(n > 1);
	for (size_t i = 1; i < n; i++)
		assert_same(&r->offers[i], &r->offers[0], 0);
	pass(r, NS_PER_MS);
	pass(r, NS_PER_MS);
	assert_true(r->n > n + 1);
	assert_same(&r->offers[n], &r->offers[0], 0);
	assert_memory_not_equal(r->offers[n + 1].data, r->offers[0].data, 9);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_the_socket_does_not_take_is_offered_again),
		TEST(what_waits_too_long_is_lost),
	};

	clock_freeze();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
