/*
 * Legs over a socket pair: records cut at random places, what is kept, what
 * waits to be sent, and how a leg ends.
 */
#include "tests/unit/unit.h"

#include "daemon/leg.h"
#include "tests/unit/seed.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const uint8_t secret[CRYPTO_KEY_LEN] = "a secret of thirty-two bytes...";

struct fixture {
	struct loop *loop;
	struct leg client, server;
	struct scratch scratch;
};

static unsigned seed;

static void
on_ready(void *arg, int what)
{
	(void)arg;
	(void)what;
}

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int fds[2];

	assert_non_null(f);
	f->loop = loop_new();
	assert_non_null(f->loop);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
		0);
	leg_init(&f->client);
	leg_init(&f->server);
	assert_int_equal(leg_start(&f->client, f->loop, fds[0], on_ready, f), 0);
	assert_int_equal(leg_start(&f->server, f->loop, fds[1], on_ready, f), 0);
	assert_int_equal(
		leg_set_keys(&f->client, AEAD_CHACHA20_POLY1305, secret, 3, true), 0);
	assert_int_equal(
		leg_set_keys(&f->server, AEAD_CHACHA20_POLY1305, secret, 3, false), 0);
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	leg_done(&f->client, false);
	leg_done(&f->server, true);
	loop_free(f->loop);
	free(f);
	return 0;
}

/* One reading turn of the server's end: how many records, 0 to 255 in a row. */
static unsigned
take_numbers(struct fixture *f, size_t budget, uint8_t *next)
{
	struct record r;
	unsigned n = 0;
	int err;

	err = leg_fill(&f->server, &f->scratch, budget);
	if (err == -EAGAIN)
		return 0;
	assert_int_equal(err, 0);
	while ((err = leg_next(&f->server, &f->scratch, &r)) == 0) {
		assert_int_equal(r.type, RECORD_DATA);
		assert_true(r.len > 0);
		for (size_t i = 0; i < r.len; i++)
			assert_int_equal(r.payload[i], *next);
		(*next)++;
		n++;
	}
	assert_int_equal(err, -EAGAIN);
	assert_int_equal(leg_keep(&f->server, &f->scratch), 0);
	assert_true(f->server.in_len < RECORD_LEN_MAX);
	return n;
}

static void
records_arrive_whole_however_they_are_read(void **state)
{
	enum { RECORDS = 5000 };

	struct fixture *f = *state;
	uint8_t payload[LEG_SEND_MAX], next = 0;
	unsigned sent = 0, taken = 0;

	while (taken < RECORDS) {
		if (sent < RECORDS && rand_r(&seed) % 3 > 0) {
			memset(payload, (int)(sent % 256), sizeof(payload));
			assert_int_equal(
				leg_send(&f->client, RECORD_DATA, payload,
					 1 + (size_t)rand_r(&seed) % sizeof(payload)),
				0);
			sent++;
		} else {
			taken += take_numbers(f, 1 + (size_t)rand_r(&seed) % 3000,
					      &next);
		}
		assert_int_equal(leg_flush(&f->client), 0);
	}
	assert_int_equal(taken, RECORDS);
	assert_true(leg_is_flushed(&f->client));
}

static void
what_the_kernel_does_not_take_waits_in_order(void **state)
{
	struct fixture *f = *state;
	uint8_t payload[LEG_SEND_MAX], next = 0;
	unsigned sent = 0, taken = 0;

	while (leg_is_flushed(&f->client) || sent % 7 != 0) {
		memset(payload, (int)(sent % 256), sizeof(payload));
		assert_int_equal(
			leg_send(&f->client, RECORD_DATA, payload, sizeof(payload)), 0);
		sent++;
	}
	while (taken < sent) {
		taken += take_numbers(f, SCRATCH_SIZE, &next);
		assert_int_equal(leg_flush(&f->client), 0);
	}
	assert_true(leg_is_flushed(&f->client));
	assert_null(f->client.out);
}

static void
a_turned_bit_does_not_open(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[64];
	struct record r;
	ssize_t n;

	assert_int_equal(leg_send(&f->client, RECORD_DATA, "hello", 5), 0);
	n = recv(f->server.fd, bytes, sizeof(bytes), 0);
	assert_int_equal(n, RECORD_OVERHEAD + 5);
	bytes[2 + (size_t)rand_r(&seed) % (size_t)(n - 2)] ^= 4;
	assert_int_equal(send(f->client.fd, bytes, (size_t)n, 0), n);
	assert_int_equal(leg_fill(&f->server, &f->scratch, 1000), 0);
	assert_int_equal(leg_next(&f->server, &f->scratch, &r), -EBADMSG);
}

static void
a_record_does_not_open_twice_nor_backwards(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[64];
	struct record r;
	ssize_t n;

	assert_int_equal(leg_send(&f->client, RECORD_DATA, "hello", 5), 0);
	n = recv(f->server.fd, bytes, sizeof(bytes), 0);
	assert_true(n > 0);
	/* To its sender: the directions have keys of their own. */
	assert_int_equal(send(f->server.fd, bytes, (size_t)n, 0), n);
	assert_int_equal(leg_fill(&f->client, &f->scratch, 1000), 0);
	assert_int_equal(leg_next(&f->client, &f->scratch, &r), -EBADMSG);
	f->scratch.in_off = f->scratch.in_len;

	assert_int_equal(send(f->client.fd, bytes, (size_t)n, 0), n);
	assert_int_equal(send(f->client.fd, bytes, (size_t)n, 0), n);
	assert_int_equal(leg_fill(&f->server, &f->scratch, 1000), 0);
	assert_int_equal(leg_next(&f->server, &f->scratch, &r), 0);
	assert_int_equal(leg_next(&f->server, &f->scratch, &r), -EBADMSG);
}

static void
the_end_of_the_socket_is_an_error(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(leg_fill(&f->server, &f->scratch, 1000), -EAGAIN);
	leg_done(&f->client, false);
	assert_int_equal(leg_fill(&f->server, &f->scratch, 1000), -ECONNABORTED);
}

static void
what_was_kept_can_be_taken_back(void **state)
{
	struct fixture *f = *state;
	struct record r;
	uint8_t *rest;

	assert_int_equal(leg_send(&f->client, RECORD_PLAIN, NULL, 0), 0);
	assert_int_equal(leg_write(&f->client, (const uint8_t *)"plain", 5), 0);
	assert_int_equal(leg_fill(&f->server, &f->scratch, 10), 0);
	assert_int_equal(leg_next(&f->server, &f->scratch, &r), -EAGAIN);
	assert_int_equal(leg_keep(&f->server, &f->scratch), 0);
	assert_int_equal(f->server.in_len, 10);
	leg_unkeep(&f->server, &f->scratch);
	assert_int_equal(f->server.in_len, 0);
	assert_int_equal(leg_next(&f->server, &f->scratch, &r), -EAGAIN);
	assert_int_equal(leg_keep(&f->server, &f->scratch), 0);

	assert_int_equal(leg_fill(&f->server, &f->scratch, 1000), 0);
	assert_int_equal(leg_next(&f->server, &f->scratch, &r), 0);
	assert_int_equal(r.type, RECORD_PLAIN);
	assert_int_equal(leg_rest(&f->scratch, &rest), 5);
	assert_memory_equal(rest, "plain", 5);
	assert_int_equal(leg_rest(&f->scratch, &rest), 0);
}

static void
headers_and_hellos_are_what_was_written(void **state)
{
	const struct leg_header h = {0xabcdef, UINT64_C(0x1122334455667788)};
	const struct leg_hello hello = {LEG_HEARTBEAT, "bootid!", 7};
	struct leg_header got;
	struct leg_hello got_hello;
	uint8_t bytes[LEG_HEADER_LEN], body[LEG_HELLO_LEN];
	struct record r = {RECORD_HELLO, body, sizeof(body)};

	(void)state;
	leg_header_write(&h, bytes);
	assert_int_equal(leg_header_read(bytes, &got), 0);
	assert_int_equal(got.session_index, h.session_index);
	assert_int_equal(got.number, h.number);
	bytes[0] ^= 1;
	assert_int_equal(leg_header_read(bytes, &got), -EBADMSG);

	leg_hello_write(&hello, body);
	assert_int_equal(leg_hello_read(&r, &got_hello), 0);
	assert_int_equal(got_hello.kind, LEG_HEARTBEAT);
	assert_int_equal(got_hello.uplink, 7);
	assert_memory_equal(got_hello.boot_id, hello.boot_id, 8);
	r.len--;
	assert_int_equal(leg_hello_read(&r, &got_hello), -EBADMSG);
	r.len++;
	r.type = RECORD_OPEN;
	assert_int_equal(leg_hello_read(&r, &got_hello), -EBADMSG);
	r.type = RECORD_HELLO;
	body[0] = 3;
	assert_int_equal(leg_hello_read(&r, &got_hello), -EBADMSG);
}

static void
done_wipes_the_keys(void **state)
{
	static const uint8_t zero[CRYPTO_KEY_LEN];
	struct fixture *f = *state;
	int fd = f->client.fd;

	leg_done(&f->client, true);
	assert_memory_equal(f->client.seal.secret, zero, sizeof(zero));
	assert_memory_equal(f->client.open.secret, zero, sizeof(zero));
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_int_equal(f->client.fd, -1);
	leg_done(&f->client, true);
}

int
main(void)
{
#define WITH_LEGS(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH_LEGS(records_arrive_whole_however_they_are_read),
		WITH_LEGS(what_the_kernel_does_not_take_waits_in_order),
		WITH_LEGS(a_turned_bit_does_not_open),
		WITH_LEGS(a_record_does_not_open_twice_nor_backwards),
		WITH_LEGS(the_end_of_the_socket_is_an_error),
		WITH_LEGS(what_was_kept_can_be_taken_back),
		cmocka_unit_test(headers_and_hellos_are_what_was_written),
		WITH_LEGS(done_wipes_the_keys),
	};

	seed = seed_choose();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
