/*
 * The server's carriers, each over one end of a pair of sockets; what they hand out
 * is written down.
 */
#include "tests/unit/unit.h"

#include "common/bytes.h"
#include "daemon/core/wire.h"
#include "daemon/udp_carriers.h"
#include "tests/unit/addrs.h"
#include "tests/unit/clock.h"
#include "tests/unit/heap.h"
#include "tests/unit/spin.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEARD_MAX = 16, PACKET_LEN = 40, A = 0x123456, B = 0x654321 };

struct rig {
	struct loop *loop;
	struct udp_carriers carriers;
	unsigned n; /* bursts */
	uint32_t vias[HEARD_MAX];
	uint8_t marks[HEARD_MAX];
	bool end_all; /* of A, when one of its packets comes */
	struct addr local, remote;
};

static void
on_burst(void *arg, const struct burst *b)
{
	struct rig *r = arg;

	assert_true(r->n < HEARD_MAX);
	assert_int_equal(b->len, PACKET_LEN);
	assert_int_equal(b->packet, PACKET_LEN);
	assert_true(addr_equal(&b->local, &r->local));
	assert_true(addr_equal(&b->remote, &r->remote));
	r->vias[r->n] = b->via;
	r->marks[r->n++] = b->data[PACKET_LEN - 1];
	if (r->end_all)
		udp_carriers_end(&r->carriers, A);
}

static void
turn(struct rig *r)
{
	for (int i = 0; i < 4; i++)
		spin_for(r->loop, 0);
}

static void
rig_init(struct rig *r)
{
	memset(r, 0, sizeof(*r));
	r->loop = loop_new();
	assert_non_null(r->loop);
	udp_carriers_init(&r->carriers, r->loop, on_burst, r);
	r->local = addrs_of("192.0.2.1:443");
	r->remote = addrs_of("198.51.100.7:5000");
}

static void
rig_done(struct rig *r)
{
	udp_carriers_done(&r->carriers);
	loop_free(r->loop);
}

/* A carrier of this session; returns the client's end. */
static int
take(struct rig *r, uint32_t session, const void *rest, size_t rest_len)
{
	struct door_knock k = {.remote = r->remote, .rest = rest, .rest_len = rest_len};
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	k.fd = fds[0];
	assert_int_equal(udp_carriers_take(&r->carriers, session, &k, &r->local), 0);
	return fds[1];
}

static size_t
packet(uint8_t *to, uint32_t session, uint8_t mark)
{
	const struct packet_header h = {.session = session, .subflow = 1};

	put_be16(to, PACKET_LEN);
	to += CARRIER_LENGTH_LEN;
	memset(to, mark, PACKET_LEN);
	packet_header_put(to, &h);
	return CARRIER_LENGTH_LEN + PACKET_LEN;
}

static void
say(struct rig *r, int far, uint32_t session, uint8_t mark)
{
	uint8_t bytes[CARRIER_LENGTH_LEN + PACKET_LEN];
	size_t len = packet(bytes, session, mark);

	assert_int_equal(write(far, bytes, len), (ssize_t)len);
	turn(r);
}

static bool
is_closed(int far)
{
	uint8_t byte;

	return recv(far, &byte, 1, MSG_PEEK) == 0;
}

static void
hands_out_packets_of_its_session_only(void **state)
{
	uint8_t rest[2 * (CARRIER_LENGTH_LEN + PACKET_LEN)];
	struct rig r;
	size_t len;
	int a, b;

	(void)state;
	rig_init(&r);
	len = packet(rest, A, 1);
	len += packet(rest + len, B, 2);
	a = take(&r, A, rest, len - 10);
	assert_int_equal(write(a, rest + len - 10, 10), 10);
	b = take(&r, B, "", 0);
	turn(&r);
	say(&r, b, B, 3);
	say(&r, b, A, 4);
	assert_int_equal(write(b, "\0\1x\0\5hello", 10), 10);
	say(&r, a, A, 5);
	assert_int_equal(r.n, 3);
	assert_memory_equal(r.marks, "\1\3\5", 3);
	assert_int_equal(r.vias[0], 1);
	assert_int_equal(r.vias[1], 2);
	assert_int_equal(r.vias[2], 1);
	close(a);
	close(b);
	rig_done(&r);
}

static void
sends_by_the_number_that_is_asked_for(void **state)
{
	uint8_t data[] = "packet", back[32];
	struct burst b = {.data = data, .len = 6, .packet = 4, .via = 2};
	struct rig r;
	int first, second;

	(void)state;
	rig_init(&r);
	first = take(&r, A, "", 0);
	second = take(&r, A, "", 0);
	udp_carriers_send(&r.carriers, &b);
	assert_int_equal(read(second, back, sizeof(back)), 10);
	assert_memory_equal(back, "\0\4pack\0\2et", 10);
	close(second);
	turn(&r);
	/* Nobody has this number any more, or had it ever. */
	udp_carriers_send(&r.carriers, &b);
	for (b.via = 0; b.via < 600; b.via += 3)
		udp_carriers_send(&r.carriers, &b);
	assert_int_equal(read(first, back, sizeof(back)), -1);
	close(first);
	rig_done(&r);
}

static void
the_one_silent_longest_makes_room(void **state)
{
	int far[UDP_CARRIERS_OF_SESSION + 1], other;
	struct rig r;

	(void)state;
	rig_init(&r);
	other = take(&r, B, "", 0);
	for (size_t i = 0; i < UDP_CARRIERS_OF_SESSION; i++) {
		clock_skip(NS_PER_MS);
		far[i] = take(&r, A, "", 0);
	}
	clock_skip(NS_PER_MS);
	say(&r, far[0], A, 1);
	assert_int_equal(r.n, 1);
	far[UDP_CARRIERS_OF_SESSION] = take(&r, A, "", 0);
	for (size_t i = 0; i < ARRAY_LEN(far); i++) {
		assert_int_equal(is_closed(far[i]), i == 1);
		close(far[i]);
	}
	assert_false(is_closed(other));
	close(other);
	rig_done(&r);
}

static void
silent_ones_expire(void **state)
{
	struct rig r;
	int silent, speaks;

	(void)state;
	rig_init(&r);
	silent = take(&r, A, "", 0);
	speaks = take(&r, A, "", 0);
	clock_skip(UDP_CARRIER_SILENT / 2);
	say(&r, speaks, A, 1);
	clock_skip(UDP_CARRIER_SILENT / 2 - NS_PER_SEC);
	udp_carriers_expire(&r.carriers, loop_now(r.loop));
	assert_false(is_closed(silent));
	clock_skip(2 * NS_PER_SEC);
	udp_carriers_expire(&r.carriers, loop_now(r.loop));
	assert_true(is_closed(silent));
	assert_false(is_closed(speaks));
	close(silent);
	close(speaks);
	rig_done(&r);
}

static void
all_of_a_session_end_with_it(void **state)
{
	struct rig r;
	int far[3], other;

	(void)state;
	for (int by_callback = 0; by_callback < 2; by_callback++) {
		rig_init(&r);
		other = take(&r, B, "", 0);
		for (size_t i = 0; i < 3; i++)
			far[i] = take(&r, A, "", 0);
		r.end_all = by_callback;
		if (by_callback)
			say(&r, far[1], A, 1);
		else
			udp_carriers_end(&r.carriers, A);
		for (size_t i = 0; i < 3; i++) {
			assert_true(is_closed(far[i]));
			close(far[i]);
		}
		assert_false(is_closed(other));
		close(other);
		rig_done(&r);
	}
}

static void
nonsense_ends_one(void **state)
{
	struct rig r;
	int wrong, other;

	(void)state;
	rig_init(&r);
	wrong = take(&r, A, "", 0);
	other = take(&r, A, "", 0);
	assert_int_equal(write(wrong, "\xff\xff", 2), 2);
	turn(&r);
	assert_true(is_closed(wrong));
	assert_false(is_closed(other));
	close(wrong);
	close(other);
	rig_done(&r);
}

/* The session may speak to it: it must not reach another's client. */
static void
a_number_is_never_given_twice(void **state)
{
	struct door_knock k = {.fd = -1};
	uint32_t before;
	struct rig r;
	int far;

	(void)state;
	rig_init(&r);
	before = udp_carriers_next(&r.carriers);
	heap_fail(0, 1);
	assert_int_equal(udp_carriers_take(&r.carriers, A, &k, &r.local), -ENOMEM);
	assert_true(heap_heal());
	assert_int_not_equal(udp_carriers_next(&r.carriers), before);
	r.carriers.last_via = UINT32_MAX;
	far = take(&r, A, "", 0);
	say(&r, far, A, 1);
	assert_int_equal(r.vias[0], 1);
	close(far);
	rig_done(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hands_out_packets_of_its_session_only),
		cmocka_unit_test(sends_by_the_number_that_is_asked_for),
		cmocka_unit_test(the_one_silent_longest_makes_room),
		cmocka_unit_test(silent_ones_expire),
		cmocka_unit_test(all_of_a_session_end_with_it),
		cmocka_unit_test(nonsense_ends_one),
		cmocka_unit_test(a_number_is_never_given_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
