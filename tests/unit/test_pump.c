/*
 * Two ends of a stream with all that is real but MPTCP and the handshake:
 *
 *	application -- TCP -- client's pump == leg (TCP) == server's pump -- TCP --
 *	destination
 */
#include "tests/unit/unit.h"

#include "daemon/io/sock.h"
#include "daemon/io/tcp.h"
#include "daemon/mptcp_client.h"
#include "daemon/mptcp_server.h"
#include "tests/unit/addrs.h"
#include "tests/unit/seed.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE (20 * NS_PER_SEC)
#define LOOK     (1 * NS_PER_MS)
#define STILL    (200 * NS_PER_MS) /* nothing moved for so long: all is full */

enum { CHUNK_MAX = 200000 };

static const uint8_t secret[CRYPTO_KEY_LEN] = "a secret of thirty-two bytes...";
static const uint8_t client_hello[6] = {22, 3, 1, 2, 0, 1};

/* One daemon with its one stream, and who is on the other side of it. */
struct side {
	struct tunnel_mptcp *mptcp;
	struct mptcp_stream *stream; /* until closed */
	int local;                   /* the daemon's end, attached or not yet */
	int user;                    /* the application or the destination */
	bool closed;
};

/* The bytes of one direction, from user to user. */
struct flow {
	int from, to;
	bool up;
	size_t total, sent, got;
	bool holds_sender, holds_reader, keeps_open;
	bool shut, ended;
	int error; /* of reading */
};

struct fixture {
	struct loop *loop;
	struct config config;
	struct config_peer config_peer;
	struct peers known;
	struct peer peer;
	struct mptcp_peer mptcp_peer;
	struct mptcp_client client;
	struct mptcp_server server;
	struct side c, s;
	struct flow up, down;
	bool tls;
	struct timer look;
	bool (*met)(struct fixture *f);
	ns_t until, moved_at;
	bool timed_out;
};

static unsigned seed;
static uint8_t chunk[CHUNK_MAX];

static void
tcp_pair(int ret_fds[2])
{
	struct tcp_connect to = {.kind = TCP_PLAIN};
	struct pollfd waits;
	const struct addr at = addrs_ip("127.0.0.1", 0);
	struct addr remote;
	int listener;

	listener = tcp_listen(TCP_PLAIN, &at, 1);
	assert_true(listener >= 0);
	assert_int_equal(sock_local(listener, &to.remote), 0);
	ret_fds[0] = tcp_connect_start(&to);
	assert_true(ret_fds[0] >= 0);
	waits = (struct pollfd){.fd = listener, .events = POLLIN};
	assert_int_equal(poll(&waits, 1, 5000), 1);
	ret_fds[1] = tcp_accept(listener, &remote);
	assert_true(ret_fds[1] >= 0);
	close(listener);
}

static void
on_closed(void *arg)
{
	struct side *side = arg;

	side->closed = true;
	side->stream = NULL;
}

static void
side_init(struct side *side, struct tunnel_mptcp *t, int leg_fd, bool client)
{
	struct mptcp_stream *s = mptcp_stream_new(t, STREAM_OPEN);
	int fds[2];

	assert_non_null(s);
	tcp_pair(fds);
	*side = (struct side){.mptcp = t, .stream = s, .local = fds[0], .user = fds[1]};
	s->id = 1;
	s->base.opened_told = true;
	s->fallback = true;
	s->base.user = (struct tunnel_user){.on_closed = on_closed, .arg = side};
	assert_int_equal(mptcp_stream_set_leg(s, leg_fd), 0);
	assert_int_equal(
		leg_set_keys(&s->leg, AEAD_CHACHA20_POLY1305, secret, 1, client), 0);
}

static void
on_look(void *arg)
{
	struct fixture *f = arg;

	f->timed_out = loop_now(f->loop) > f->until;
	if (f->timed_out || f->met(f))
		loop_stop(f->loop);
	else
		timer_set(&f->look, LOOK);
}

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int legs[2];

	assert_non_null(f);
	f->loop = loop_new();
	assert_non_null(f->loop);
	assert_int_equal(timer_init(&f->look, f->loop, on_look, f), 0);
	assert_int_equal(tunnel_mptcp_init(&f->client.mptcp, f->loop, &f->config, NULL),
			 0);
	assert_int_equal(tunnel_mptcp_init(&f->server.mptcp, f->loop, &f->config, NULL),
			 0);
	f->client.mptcp.client = &f->client;
	f->server.mptcp.server = &f->server;
	f->config_peer.allow_auth_only = true;
	f->peer.config = &f->config_peer;
	f->peer.peers = &f->known;
	f->mptcp_peer.known = &f->peer;
	f->client.n_open = f->known.n_streams = f->peer.n_streams = 1;
	tcp_pair(legs);
	side_init(&f->c, &f->client.mptcp, legs[0], true);
	side_init(&f->s, &f->server.mptcp, legs[1], false);
	f->s.stream->peer = &f->mptcp_peer;
	f->s.stream->base.peer = &f->peer;
	f->up = (struct flow){.from = f->c.user, .to = f->s.user, .up = true};
	f->down = (struct flow){.from = f->s.user, .to = f->c.user};
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	tunnel_mptcp_done(&f->client.mptcp);
	tunnel_mptcp_done(&f->server.mptcp);
	close(f->c.user);
	close(f->s.user);
	timer_done(&f->look);
	loop_free(f->loop);
	free(f);
	return 0;
}

static void
attach(struct side *side)
{
	tunnel_stream_attach(&side->stream->base, side->local, NULL, 0);
}

/* Both are attached; with `tls` the stream may be plain, and begins like TLS. */
static void
start(struct fixture *f, bool tls)
{
	f->tls = tls;
	f->c.stream->may_be_plain = f->s.stream->may_be_plain = tls;
	f->c.stream->pump.offers_plain = tls;
	attach(&f->c);
	attach(&f->s);
}

static uint8_t
byte_at(const struct fixture *f, const struct flow *w, size_t at)
{
	uint32_t x = (uint32_t)at * 2654435761u + (w->up ? 12345u : 54321u);

	if (f->tls && w->up && at < sizeof(client_hello))
		return client_hello[at];
	return (uint8_t)(x >> 24 ^ x >> 13);
}

static size_t
some(size_t most)
{
	size_t n = 1 + (size_t)rand_r(&seed) % CHUNK_MAX;

	/* Small pieces as well, not large ones with another size. */
	if (rand_r(&seed) % 4 == 0)
		n = 1 + n % 20;
	return min_size(n, most);
}

static void
send_some(struct fixture *f, struct flow *w)
{
	size_t n = some(w->total - w->sent);
	ssize_t sent;

	/* What begins like TLS begins so in one piece. */
	if (w->sent == 0)
		n = min_size(w->total, max_size(n, sizeof(client_hello)));
	for (size_t i = 0; i < n; i++)
		chunk[i] = byte_at(f, w, w->sent + i);
	sent = send(w->from, chunk, n, MSG_NOSIGNAL);
	if (sent <= 0)
		return;
	w->sent += (size_t)sent;
	f->moved_at = loop_now(f->loop);
}

static void
read_some(struct fixture *f, struct flow *w)
{
	ssize_t n = recv(w->to, chunk, some(CHUNK_MAX), 0);

	if (n < 0) {
		if (errno != EAGAIN)
			w->error = errno;
		return;
	}
	w->ended = n == 0;
	for (ssize_t i = 0; i < n; i++) {
		if (chunk[i] != byte_at(f, w, w->got + (size_t)i))
			fail_msg("byte %zu of %s is wrong", w->got + (size_t)i,
				 w->up ? "up" : "down");
	}
	w->got += (size_t)n;
	f->moved_at = loop_now(f->loop);
}

static void
move(struct fixture *f, struct flow *w)
{
	if (!w->holds_sender && w->sent < w->total)
		send_some(f, w);
	if (!w->holds_sender && w->sent == w->total && !w->keeps_open && !w->shut) {
		w->shut = true;
		assert_int_equal(shutdown(w->from, SHUT_WR), 0);
	}
	if (!w->holds_reader && !w->ended && w->error == 0)
		read_some(f, w);
}

static bool
run_until(struct fixture *f, bool (*met)(struct fixture *f))
{
	f->met = met;
	f->moved_at = loop_now(f->loop);
	f->until = f->moved_at + PATIENCE;
	timer_set(&f->look, 0);
	assert_int_equal(loop_run(f->loop), 0);
	return !f->timed_out;
}

static void
move_both(struct fixture *f)
{
	move(f, &f->up);
	move(f, &f->down);
}

static bool
all_is_over(struct fixture *f)
{
	move_both(f);
	return f->c.closed && f->s.closed && f->up.ended && f->down.ended;
}

static bool
both_are_told_of_a_reset(struct fixture *f)
{
	move_both(f);
	return f->c.closed && f->s.closed && f->up.error != 0 && f->down.error != 0;
}

static bool
both_are_closed(struct fixture *f)
{
	return f->c.closed && f->s.closed;
}

static bool
up_has_ended(struct fixture *f)
{
	move_both(f);
	return f->up.ended;
}

static bool
down_has_ended(struct fixture *f)
{
	move_both(f);
	return f->down.ended;
}

static bool
all_has_arrived(struct fixture *f)
{
	move_both(f);
	return f->up.got == f->up.total && f->down.got == f->down.total;
}

static bool
nothing_moves(struct fixture *f)
{
	move_both(f);
	return loop_now(f->loop) - f->moved_at > STILL;
}

static void
assert_ended_well(struct fixture *f)
{
	assert_int_equal(f->up.got, f->up.total);
	assert_int_equal(f->down.got, f->down.total);
	assert_int_equal(f->client.mptcp.base.counters.streams_reset, 0);
	assert_int_equal(f->server.mptcp.base.counters.streams_reset, 0);
	assert_int_equal(f->client.mptcp.base.counters.bytes_up, f->up.total);
	assert_int_equal(f->client.mptcp.base.counters.bytes_down, f->down.total);
	assert_int_equal(f->server.mptcp.base.counters.bytes_up, f->up.total);
	assert_int_equal(f->server.mptcp.base.counters.bytes_down, f->down.total);
	assert_int_equal(f->client.n_open, 0);
	assert_int_equal(f->peer.n_streams, 0);
}

static void
both_ways(struct fixture *f, bool tls)
{
	f->up.total = 1000 + (size_t)rand_r(&seed) % 8000000;
	f->down.total = 1000 + (size_t)rand_r(&seed) % 8000000;
	start(f, tls);
	assert_true(run_until(f, all_is_over));
	assert_ended_well(f);
}

static void
sealed_bytes_arrive_both_ways(void **state)
{
	both_ways(*state, false);
}

static void
plain_bytes_arrive_both_ways(void **state)
{
	both_ways(*state, true);
}

/* `first` ends; only then the other direction begins. */
static void
one_end_first(struct fixture *f, bool tls, bool client_first)
{
	struct flow *first = client_first ? &f->up : &f->down;
	struct flow *last = client_first ? &f->down : &f->up;

	first->total = 300000;
	last->total = 1000000;
	last->holds_sender = true;
	start(f, tls);
	assert_true(run_until(f, client_first ? up_has_ended : down_has_ended));
	assert_int_equal(first->got, first->total);
	assert_false(f->c.closed || f->s.closed);
	last->holds_sender = false;
	assert_true(run_until(f, all_is_over));
	assert_ended_well(f);
}

static void
sealed_the_client_ends_first(void **state)
{
	one_end_first(*state, false, true);
}

static void
sealed_the_server_ends_first(void **state)
{
	one_end_first(*state, false, false);
}

static void
plain_the_client_ends_first(void **state)
{
	one_end_first(*state, true, true);
}

/* The server never turned plain: its end is a FIN record, the client's is TCP's. */
static void
mixed_the_server_ends_first(void **state)
{
	one_end_first(*state, true, false);
}

static void
a_stream_without_a_byte_ends(void **state)
{
	struct fixture *f = *state;

	start(f, false);
	assert_true(run_until(f, all_is_over));
	assert_ended_well(f);
}

static void
assert_bounds(const struct pump *p)
{
	assert_true(p->late_len <= SCRATCH_SIZE);
	assert_true(p->leg->out_len <= SCRATCH_SIZE + RECORD_LEN_MAX);
	assert_true(p->leg->in_len < RECORD_LEN_MAX);
	assert_true(p->up_pipe.held <= PUMP_PIPE_SIZE);
}

static void
slow_reader(struct fixture *f, bool tls)
{
	f->up.total = f->down.total = 40 * 1000 * 1000;
	f->up.holds_reader = f->down.holds_reader = true;
	start(f, tls);
	assert_true(run_until(f, nothing_moves));
	assert_true(f->up.sent < f->up.total && f->down.sent < f->down.total);
	assert_bounds(&f->c.stream->pump);
	assert_bounds(&f->s.stream->pump);
	/* Full as they are, one direction does not need the other. */
	f->up.total = f->up.sent;
	f->down.total = f->down.sent;
	f->down.holds_reader = false;
	assert_true(run_until(f, down_has_ended));
	f->up.holds_reader = false;
	assert_true(run_until(f, all_is_over));
	assert_ended_well(f);
}

static void
sealed_slow_readers_hold_back_the_sender(void **state)
{
	slow_reader(*state, false);
}

static void
plain_slow_readers_hold_back_the_sender(void **state)
{
	slow_reader(*state, true);
}

static void
a_user_resets(struct fixture *f, bool tls, bool client)
{
	struct side *who = client ? &f->c : &f->s;
	struct flow *told = client ? &f->up : &f->down;

	f->up.total = f->down.total = 50000;
	f->up.keeps_open = f->down.keeps_open = true;
	start(f, tls);
	assert_true(run_until(f, all_has_arrived));
	tcp_reset(who->user);
	who->user = -1;
	f->up.holds_sender = f->down.holds_sender = true;
	if (client) {
		f->down.holds_reader = true;
		f->down.error = ECONNRESET;
	} else {
		f->up.holds_reader = true;
		f->up.error = ECONNRESET;
	}
	assert_true(run_until(f, both_are_told_of_a_reset));
	assert_int_equal(told->error, ECONNRESET);
	assert_int_equal(f->client.mptcp.base.counters.streams_reset, 1);
	assert_int_equal(f->server.mptcp.base.counters.streams_reset, 1);
}

static void
sealed_the_application_resets(void **state)
{
	a_user_resets(*state, false, true);
}

static void
sealed_the_destination_resets(void **state)
{
	a_user_resets(*state, false, false);
}

static void
plain_the_application_resets(void **state)
{
	a_user_resets(*state, true, true);
}

static void
plain_the_destination_resets(void **state)
{
	a_user_resets(*state, true, false);
}

/* It is not read from any more, and yet the other end must hear of it. */
static void
half_closed_and_reset(struct fixture *f, bool tls, bool client)
{
	struct side *who = client ? &f->c : &f->s;
	struct flow *told = client ? &f->up : &f->down;
	struct flow *gone = client ? &f->down : &f->up;

	told->total = 1000;
	gone->holds_sender = true;
	start(f, tls);
	assert_true(run_until(f, client ? up_has_ended : down_has_ended));
	tcp_reset(who->user);
	who->user = -1;
	gone->holds_reader = true;
	told->holds_reader = true;
	assert_true(run_until(f, both_are_closed));
	assert_true(send(told->to, "x", 1, MSG_NOSIGNAL) < 0);
	assert_true(errno == ECONNRESET || errno == EPIPE);
	assert_int_equal(f->client.mptcp.base.counters.streams_reset, 1);
	assert_int_equal(f->server.mptcp.base.counters.streams_reset, 1);
}

static void
sealed_half_closed_the_application_resets(void **state)
{
	half_closed_and_reset(*state, false, true);
}

static void
sealed_half_closed_the_destination_resets(void **state)
{
	half_closed_and_reset(*state, false, false);
}

static void
plain_half_closed_the_application_resets(void **state)
{
	half_closed_and_reset(*state, true, true);
}

/* Somebody on the way cuts the leg as if it had ended. */
static void
an_end_without_fin_is_a_reset(void **state)
{
	struct fixture *f = *state;

	f->up.total = f->down.total = 100000;
	f->up.keeps_open = f->down.keeps_open = true;
	start(f, false);
	assert_true(run_until(f, all_has_arrived));
	assert_int_equal(shutdown(f->c.stream->leg.fd, SHUT_WR), 0);
	assert_true(run_until(f, both_are_told_of_a_reset));
	assert_int_equal(f->up.error, ECONNRESET);
	assert_int_equal(f->down.error, ECONNRESET);
}

static void
only_tls_turns_plain(void **state)
{
	struct fixture *f = *state;

	f->up.total = f->down.total = 1000;
	f->up.keeps_open = f->down.keeps_open = true;
	start(f, true);
	f->tls = false;
	assert_true(run_until(f, all_has_arrived));
	assert_int_equal(f->c.stream->pump.up, PUMP_SEALED);
	assert_int_equal(f->c.stream->pump.down, PUMP_SEALED);
	assert_int_equal(f->s.stream->pump.up, PUMP_SEALED);
}

static void
tls_turns_plain_both_ways(void **state)
{
	struct fixture *f = *state;

	f->up.total = 1000;
	f->up.keeps_open = f->down.keeps_open = true;
	start(f, true);
	assert_true(run_until(f, all_has_arrived));
	f->down.total = 1000;
	assert_true(run_until(f, all_has_arrived));
	assert_int_equal(f->c.stream->pump.up, PUMP_PLAIN);
	assert_int_equal(f->c.stream->pump.down, PUMP_PLAIN);
	assert_int_equal(f->s.stream->pump.up, PUMP_PLAIN);
	assert_int_equal(f->s.stream->pump.down, PUMP_PLAIN);
}

static void
a_server_does_not_turn_plain_first(void **state)
{
	struct fixture *f = *state;

	f->up.keeps_open = f->down.keeps_open = true;
	start(f, true);
	assert_int_equal(leg_send(&f->s.stream->leg, RECORD_PLAIN, NULL, 0), 0);
	assert_true(run_until(f, both_are_told_of_a_reset));
}

static bool
server_went_plain(struct fixture *f)
{
	return f->s.stream->pump.down == PUMP_PLAIN;
}

/* PLAIN came, and bytes after it, while the destination is connected to. */
static void
plain_bytes_wait_for_the_destination(void **state)
{
	struct fixture *f = *state;

	f->tls = true;
	f->s.stream->state = STREAM_OPENING;
	f->c.stream->may_be_plain = f->s.stream->may_be_plain = true;
	watch_want(&f->s.stream->leg.watch, LOOP_READ);
	f->c.stream->pump.was_plain = true;
	f->c.stream->pump.up = PUMP_PLAIN;
	assert_int_equal(leg_send(&f->c.stream->leg, RECORD_PLAIN, NULL, 0), 0);
	assert_true(run_until(f, server_went_plain));
	assert_int_equal(f->s.stream->leg.watch.wanted & LOOP_READ, 0);

	f->up.total = f->down.total = 1000000;
	f->down.holds_reader = f->down.holds_sender = true;
	attach(&f->c);
	assert_true(run_until(f, nothing_moves));
	assert_int_equal(f->up.got, 0);
	f->s.stream->state = STREAM_OPEN;
	attach(&f->s);
	f->down.holds_reader = f->down.holds_sender = false;
	assert_true(run_until(f, all_is_over));
	assert_ended_well(f);
}

static void
early_bytes_go_first(void **state)
{
	struct fixture *f = *state;
	uint8_t early[3000];

	f->up.total = f->down.total = 100000;
	for (size_t i = 0; i < sizeof(early); i++)
		early[i] = byte_at(f, &f->up, i);
	f->up.sent = sizeof(early);
	tunnel_stream_attach(&f->c.stream->base, f->c.local, early, sizeof(early));
	attach(&f->s);
	assert_true(run_until(f, all_is_over));
	assert_ended_well(f);
}

int
main(void)
{
#define WITH_PUMPS(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH_PUMPS(sealed_bytes_arrive_both_ways),
		WITH_PUMPS(plain_bytes_arrive_both_ways),
		WITH_PUMPS(sealed_the_client_ends_first),
		WITH_PUMPS(sealed_the_server_ends_first),
		WITH_PUMPS(plain_the_client_ends_first),
		WITH_PUMPS(mixed_the_server_ends_first),
		WITH_PUMPS(a_stream_without_a_byte_ends),
		WITH_PUMPS(sealed_slow_readers_hold_back_the_sender),
		WITH_PUMPS(plain_slow_readers_hold_back_the_sender),
		WITH_PUMPS(sealed_the_application_resets),
		WITH_PUMPS(sealed_the_destination_resets),
		WITH_PUMPS(plain_the_application_resets),
		WITH_PUMPS(plain_the_destination_resets),
		WITH_PUMPS(sealed_half_closed_the_application_resets),
		WITH_PUMPS(sealed_half_closed_the_destination_resets),
		WITH_PUMPS(plain_half_closed_the_application_resets),
		WITH_PUMPS(an_end_without_fin_is_a_reset),
		WITH_PUMPS(only_tls_turns_plain),
		WITH_PUMPS(tls_turns_plain_both_ways),
		WITH_PUMPS(a_server_does_not_turn_plain_first),
		WITH_PUMPS(plain_bytes_wait_for_the_destination),
		WITH_PUMPS(early_bytes_go_first),
	};

	seed = seed_choose();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
