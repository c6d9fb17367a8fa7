/*
 * Strangers who say that they carry datagrams, and a door that decides by the
 * first byte of each one: 's' silence, 'r' a reply, 't' it takes the connection.
 */
#include "tests/unit/unit.h"

#include "common/bytes.h"
#include "daemon/core/wire.h"
#include "daemon/io/carrier.h"
#include "daemon/strangers.h"
#include "tests/unit/addrs.h"
#include "tests/unit/clock.h"
#include "tests/unit/seed.h"
#include "tests/unit/spin.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { KNOCKS_MAX = 8192, REST_MAX = 8192 };

struct rig {
	struct mptcp_server server; /* of which only the strangers work */
	struct door door;
	unsigned n; /* knocks */
	uint8_t firsts[KNOCKS_MAX];
	size_t lens[KNOCKS_MAX];
	int taken; /* its descriptor; -1: none */
	uint8_t rest[REST_MAX];
	size_t rest_len;
	int far; /* the stranger's end */
};

static enum door_verdict
knock(void *arg, struct door_knock *k)
{
	struct rig *r = arg;

	assert_true(r->n < KNOCKS_MAX);
	r->firsts[r->n] = k->data[0];
	r->lens[r->n++] = k->len;
	assert_int_equal(k->data[k->len - 1], k->data[0]);
	assert_int_equal(k->remote.port, 99);
	switch (k->data[0]) {
	case 'r':
		memcpy(k->reply, "answer", 6);
		k->reply_len = 6;
		return DOOR_REPLY;
	case 't':
		r->taken = k->fd;
		memcpy(r->rest, k->rest, k->rest_len);
		r->rest_len = k->rest_len;
		return DOOR_TAKEN;
	default: memset(k->data, 0, k->len); return DOOR_SILENT;
	}
}

/* Lets the server see whatever there is to be seen. */
static void
turn(struct rig *r)
{
	for (int i = 0; i < 4; i++)
		spin_for(r->server.loop, 0);
}

static int
set_up(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	struct mptcp_server *sv;
	const struct addr remote = addrs_of("192.0.2.7:99");
	int fds[2];

	assert_non_null(r);
	sv = &r->server;
	sv->loop = loop_new();
	assert_non_null(sv->loop);
	list_init(&sv->strangers);
	list_init(&sv->strangers_gone);
	for (size_t i = 0; i < SOURCE_BUCKETS; i++)
		list_init(&sv->buckets[i]);
	sv->strangers_max = 10;
	r->door = (struct door){knock, r};
	sv->door = &r->door;
	r->taken = -1;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	strangers_take(sv, fds[0], &remote);
	r->far = fds[1];
	*state = r;
	return 0;
}

static int
tear_down(void **state)
{
	struct rig *r = *state;

	strangers_end_all(&r->server);
	loop_free(r->server.loop);
	close(r->far);
	if (r->taken >= 0)
		close(r->taken);
	free(r);
	return 0;
}

static void
say(struct rig *r, const void *bytes, size_t len)
{
	assert_int_equal(write(r->far, bytes, len), (ssize_t)len);
	turn(r);
}

static size_t
frame(uint8_t *to, uint8_t mark, size_t len)
{
	put_be16(to, (uint16_t)len);
	memset(to + CARRIER_LENGTH_LEN, mark, len);
	return CARRIER_LENGTH_LEN + len;
}

static bool
is_closed(const struct rig *r)
{
	uint8_t byte;

	return recv(r->far, &byte, 1, MSG_PEEK) == 0;
}

static void
shows_datagrams_that_come_in_pieces(void **state)
{
	unsigned seed = seed_choose();
	uint8_t bytes[20 * (CARRIER_DATAGRAM_MAX + CARRIER_LENGTH_LEN)];
	struct rig *r = *state;
	size_t len = 1, lens[20];

	bytes[0] = WIRE_OVER_TCP;
	for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
		lens[i] = i == 0   ? CARRIER_DATAGRAM_MAX
			  : i == 1 ? 1
				   : 1 + (size_t)rand_r(&seed) % CARRIER_DATAGRAM_MAX;
		len += frame(bytes + len, (uint8_t)(i + 1), lens[i]);
	}
	for (size_t at = 0, piece; at < len; at += piece) {
		piece = min_size(1 + (size_t)rand_r(&seed) % 4000, len - at);
		say(r, bytes + at, piece);
	}
	assert_int_equal(r->n, ARRAY_LEN(lens));
	for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
		assert_int_equal(r->firsts[i], i + 1);
		assert_int_equal(r->lens[i], lens[i]);
	}
	assert_int_equal(r->server.mptcp.base.counters.strangers, 0);
}

static void
sends_a_reply_and_goes_on(void **state)
{
	struct rig *r = *state;
	uint8_t bytes[32] = {WIRE_OVER_TCP};
	size_t len = 1;

	len += frame(bytes + len, 'r', 3);
	len += frame(bytes + len, 's', 4);
	len += frame(bytes + len, 'r', 5);
	say(r, bytes, len);
	assert_int_equal(r->n, 3);
	assert_int_equal(read(r->far, bytes, sizeof(bytes)), 16);
	assert_memory_equal(bytes, "\0\6answer\0\6answer", 16);
}

/* It would be a stranger's way to make the server hold what it says. */
static void
who_does_not_hear_the_reply_is_gone(void **state)
{
	struct rig *r = *state;
	uint8_t bytes[3] = {0};

	bytes[0] = WIRE_OVER_TCP;
	assert_int_equal(write(r->far, bytes, 1), 1);
	frame(bytes, 'r', 1);
	for (unsigned i = 0; i < KNOCKS_MAX && r->server.n_strangers > 0; i++) {
		(void)!write(r->far, bytes, 3);
		turn(r);
	}
	assert_int_equal(r->server.n_strangers, 0);
	assert_true(r->n < KNOCKS_MAX);
}

static void
who_takes_it_gets_the_rest(void **state)
{
	struct rig *r = *state;
	uint8_t bytes[1024] = {WIRE_OVER_TCP}, back[8];
	size_t len = 1, behind;

	len += frame(bytes + len, 's', 40);
	len += frame(bytes + len, 't', 50);
	behind = len;
	len += frame(bytes + len, 's', 60);
	len += frame(bytes + len, 's', 70) - 9;
	say(r, bytes, len);
	assert_int_equal(r->n, 2);
	assert_int_equal(r->rest_len, len - behind);
	assert_memory_equal(r->rest, bytes + behind, len - behind);
	assert_int_equal(r->server.n_strangers, 0);
	/* Nobody else closes it or reads from it. */
	say(r, "later", 5);
	assert_int_equal(r->n, 2);
	assert_int_equal(recv(r->taken, back, sizeof(back), 0), 5);
	assert_int_equal(send(r->taken, "well", 4, 0), 4);
	assert_int_equal(read(r->far, back, sizeof(back)), 4);
	assert_int_equal(r->server.mptcp.base.counters.strangers, 0);
}

static void
wrong_length_ends_the_reading(void **state, size_t wrong, size_t have)
{
	struct rig *r = *state;
	uint8_t bytes[8192] = {WIRE_OVER_TCP};
	size_t len = 1;

	len += frame(bytes + len, 's', 10);
	put_be16(bytes + len, (uint16_t)wrong);
	say(r, bytes, len + CARRIER_LENGTH_LEN + have);
	assert_int_equal(r->n, 1);
	assert_int_equal(r->server.mptcp.base.counters.strangers, 1);
	len = frame(bytes, 's', 10);
	say(r, bytes, len);
	assert_int_equal(r->n, 1);
	/* It is told nothing, and stays as long as any stranger. */
	assert_false(is_closed(r));
	clock_skip(HALF_OPEN_LIFE);
	strangers_expire(&r->server);
	assert_true(is_closed(r));
}

static void
no_length_ends_the_reading(void **state)
{
	wrong_length_ends_the_reading(state, 0, 0);
}

static void
a_length_too_large_ends_the_reading(void **state)
{
	wrong_length_ends_the_reading(state, CARRIER_DATAGRAM_MAX + 1, 0);
}

static void
a_datagram_too_large_is_not_shown(void **state)
{
	wrong_length_ends_the_reading(state, CARRIER_DATAGRAM_MAX + 1,
				      CARRIER_DATAGRAM_MAX + 1);
}

static void
its_stay_is_as_long_as_a_strangers(void **state)
{
	struct rig *r = *state;
	uint8_t bytes[16] = {WIRE_OVER_TCP};
	size_t len = 1 + frame(bytes + 1, 's', 4);

	say(r, bytes, len);
	for (ns_t t = 0; t < 4; t++) {
		clock_skip(HALF_OPEN_LIFE / 5);
		strangers_expire(&r->server);
		assert_false(is_closed(r));
		say(r, bytes + 1, len - 1);
	}
	assert_int_equal(r->n, 5);
	clock_skip(HALF_OPEN_LIFE / 5);
	strangers_expire(&r->server);
	assert_true(is_closed(r));
	assert_int_equal(r->server.n_strangers, 0);
}

static void
without_a_door_it_is_ignored(void **state)
{
	struct rig *r = *state;
	uint8_t bytes[16] = {WIRE_OVER_TCP};

	r->server.door = NULL;
	say(r, bytes, 1 + frame(bytes + 1, 'r', 4));
	assert_int_equal(r->n, 0);
	assert_int_equal(r->server.mptcp.base.counters.strangers, 1);
	assert_false(is_closed(r));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(shows_datagrams_that_come_in_pieces),
		TEST(sends_a_reply_and_goes_on),
		TEST(who_does_not_hear_the_reply_is_gone),
		TEST(who_takes_it_gets_the_rest),
		TEST(no_length_ends_the_reading),
		TEST(a_length_too_large_ends_the_reading),
		TEST(a_datagram_too_large_is_not_shown),
		TEST(its_stay_is_as_long_as_a_strangers),
		TEST(without_a_door_it_is_ignored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
